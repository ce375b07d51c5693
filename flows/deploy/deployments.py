"""Deployments: what runs when, registered with a Prefect server under module paths."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from data.sources.credentials import shown
from flows.deploy.heartbeats import watch
from flows.errors import SetupError, UsageError
from flows.recipe.recipe import from_dict
from flows.settings import POOL

USUAL = {"forecast": "*/30 * * * *", "train": "15 2 * * *", "audit": "45 4 * * 0"}
"""Cron by flow. `forecast` ingests by itself; a sweep spends budget, and runs when it is told to."""
FLOWS = ("ingest", "forecast", "train", "sweep", "audit")


@dataclass(frozen=True)
class Deployment:
    """One flow for one data set.

    Attributes:
        flow: one of `FLOWS`.
        name: of the data set; deployments of one name run one at a time.
        cron: when; None for when it is told to.
        parameters: of the flow.
    """

    flow: str
    name: str
    cron: str | None
    parameters: dict[str, Any]

    @property
    def entrypoint(self) -> str:
        """Module path: a file path would put `flows/` before everything on the worker's path."""
        return f"flows.jobs.{self.flow}"


def deployments(values: dict[str, Any], schedules: dict[str, str | None]) -> tuple[Deployment, ...]:
    """Everything that is deployed for a recipe.

    Args:
        values: of the recipe, checked.
        schedules: cron by flow, over the usual ones; an empty one for none.

    Raises:
        UsageError: a schedule cannot be parsed, or the recipe cannot be a stream's.
    """
    from flows.stream.names import name_of

    recipe = from_dict(values)
    name = name_of(recipe)
    plain = recipe.to_dict()
    given = {flow: cron for flow, cron in schedules.items() if cron is not None}
    crons = {**USUAL, **given}
    for flow, cron in crons.items():
        _parsed(flow, cron)
    parameters = {flow: {"recipe": plain} for flow in FLOWS}
    parameters["sweep"] = {"grid": _grid(plain)}
    return tuple(
        Deployment(flow, name, crons.get(flow) or None, parameters[flow]) for flow in FLOWS
    )


def register(wanted: tuple[Deployment, ...], *, pool: str = POOL) -> dict[str, Any]:
    """Register deployments, again and again to the same effect.

    A work queue a data set, whose limit of one keeps two runs from working on it at a time.

    Raises:
        SetupError: there is no server, or it does not answer.
    """
    from prefect.settings import PREFECT_API_URL

    api = PREFECT_API_URL.value()
    if not api:
        raise SetupError(
            "no Prefect server is set, and schedules need one: start the stack (`make up`) and read "
            "its environment (`. var/stack/env`), or set PREFECT_API_URL"
        )
    import httpx
    from prefect.exceptions import PrefectException

    try:
        queue = _queue(api, pool, queue_name(wanted[0].name))
        made = [
            {
                "deployment": f"{one.flow}/{one.name}",
                "id": str(_apply(one, pool, queue)),
                "schedule": one.cron,
            }
            for one in wanted
        ]
    except (httpx.HTTPError, PrefectException, RuntimeError) as error:
        raise SetupError(
            f"the Prefect server at {shown(api)} cannot be used ({type(error).__name__}); check "
            "PREFECT_API_URL and that it is up"
        ) from None
    return {"api": shown(api), "pool": pool, "queue": queue, "deployments": made}


def to_yaml(wanted: tuple[Deployment, ...], *, pool: str = POOL) -> str:
    """The same as a `prefect.yaml`, for Prefect's own command."""
    listed = [
        {
            "name": one.name,
            "entrypoint": one.entrypoint,
            "parameters": one.parameters,
            "schedules": [{"cron": one.cron, "timezone": "UTC"}] if one.cron else [],
            "work_pool": {"name": pool, "work_queue_name": queue_name(one.name)},
        }
        for one in wanted
    ]
    head = (
        "# Written by `veilcast deploy RECIPE --yaml`; `prefect deploy --all` registers the same as\n"
        "# `veilcast deploy RECIPE`.\n"
    )
    import json

    # a copy in which nothing occurs twice: references are hard to read
    plain = json.loads(json.dumps({"name": "veilcast", "deployments": listed}))
    return head + str(yaml.safe_dump(plain, sort_keys=False))


def queue_name(name: str) -> str:
    """The work queue of a data set."""
    return re.sub(r"[^\w.\- ]+", "-", name).strip("-")


def _apply(one: Deployment, pool: str, queue: str) -> Any:
    import importlib

    from prefect.client.schemas.schedules import CronSchedule
    from prefect.types.entrypoint import EntrypointType

    flow = getattr(importlib.import_module("flows.jobs"), one.flow)
    made = flow.to_deployment(
        name=one.name,
        parameters=one.parameters,
        schedules=[CronSchedule(cron=one.cron, timezone="UTC")] if one.cron else [],
        work_pool_name=pool,
        work_queue_name=queue,
        entrypoint_type=EntrypointType.MODULE_PATH,
        description=(flow.__doc__ or "").strip(),
    )
    return made.apply()


def _queue(api: str, pool: str, name: str) -> str:
    """The data set's queue, made if there is none, with room for one run."""
    import httpx

    with httpx.Client(base_url=api, timeout=30) as client:
        watch(client)
        place = f"/work_pools/{pool}/queues"
        if client.get(f"/work_pools/{pool}").status_code == 404:
            raise SetupError(
                f"the Prefect server at {shown(api)} has no work pool {pool!r}; make it with "
                f"`prefect work-pool create {pool} --type process`"
            )
        if client.get(f"{place}/{name}").status_code == 404:
            client.post(place, json={"name": name, "concurrency_limit": 1}).raise_for_status()
        else:
            client.patch(f"{place}/{name}", json={"concurrency_limit": 1}).raise_for_status()
    return name


def _grid(recipe: dict[str, Any]) -> dict[str, Any]:
    """The smallest sweep that says something: three budgets of the recipe's own promise."""
    epsilon = recipe["privacy"]["epsilon"]
    return {
        "recipe": recipe,
        "mechanisms": ["input"],
        "epsilons": [epsilon / 2, epsilon, epsilon * 2],
        "models": [recipe["model"]["name"]],
        "optimizers": [recipe["training"]["optimizer"]],
        "seeds": 3,
    }


def _parsed(flow: str, cron: str) -> None:
    if not cron:
        return
    from prefect.client.schemas.schedules import CronSchedule
    from pydantic import ValidationError

    try:
        CronSchedule(cron=cron, timezone="UTC")
    except (ValidationError, ValueError):
        raise UsageError(
            f"the schedule {cron!r} of {flow} cannot be parsed; expected five fields, minute hour day "
            'month weekday, such as "*/30 * * * *" (every half-hour), in UTC'
        ) from None
