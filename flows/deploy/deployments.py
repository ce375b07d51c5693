"""Deployments: flows and their schedules, registered with a Prefect server by module path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from data.sources.credentials import shown
from flows.deploy.heartbeats import watch
from flows.document import Document
from flows.errors import SetupError, UsageError
from flows.recipe.recipe import from_dict
from flows.settings import POOL

USUAL = {"forecast": "*/30 * * * *", "train": "15 2 * * *", "audit": "45 4 * * 0"}
"""Default cron by flow. `forecast` also ingests; a sweep spends budget and is started by hand."""
FLOWS = ("ingest", "forecast", "train", "sweep", "audit")


@dataclass(frozen=True)
class Deployment:
    """One flow for one data set.

    Attributes:
        flow: one of `FLOWS`.
        name: name of the data set; deployments of one name run one at a time.
        cron: its schedule; None if it is started by hand.
        parameters: parameters of the flow.
    """

    flow: str
    name: str
    cron: str | None
    parameters: Document

    @property
    def entrypoint(self) -> str:
        """Module path of the flow; a file path would put `flows/` first on the worker's path."""
        return f"flows.jobs.{self.flow}"


def deployments(values: Document, schedules: dict[str, str | None]) -> tuple[Deployment, ...]:
    """Return all deployments of a recipe.

    Args:
        values: values of the recipe, checked.
        schedules: cron by flow, in place of the defaults; an empty one for none.

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
        _check_cron(flow, cron)
    parameters = {flow: {"recipe": plain} for flow in FLOWS}
    parameters["sweep"] = {"grid": _grid(plain)}
    return tuple(
        Deployment(flow, name, crons.get(flow) or None, parameters[flow]) for flow in FLOWS
    )


def register(wanted: tuple[Deployment, ...], *, pool: str = POOL) -> Document:
    """Register deployments; registering them again changes nothing.

    Each data set has a work queue, whose limit of one keeps two runs from working on it at a time.

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
        registered = [
            {
                "deployment": f"{deployment.flow}/{deployment.name}",
                "id": str(_apply(deployment, pool, queue)),
                "schedule": deployment.cron,
            }
            for deployment in wanted
        ]
    except (httpx.HTTPError, PrefectException, RuntimeError) as error:
        raise SetupError(
            f"the Prefect server at {shown(api)} cannot be used ({type(error).__name__}); check "
            "PREFECT_API_URL and that it is up"
        ) from None
    return {"api": shown(api), "pool": pool, "queue": queue, "deployments": registered}


def to_yaml(wanted: tuple[Deployment, ...], *, pool: str = POOL) -> str:
    """Return the deployments as a `prefect.yaml`, for Prefect's own command."""
    listed = [
        {
            "name": deployment.name,
            "entrypoint": deployment.entrypoint,
            "parameters": deployment.parameters,
            "schedules": (
                [{"cron": deployment.cron, "timezone": "UTC"}] if deployment.cron else []
            ),
            "work_pool": {"name": pool, "work_queue_name": queue_name(deployment.name)},
        }
        for deployment in wanted
    ]
    head = (
        "# Written by `veilcast deploy RECIPE --yaml`; `prefect deploy --all` registers the same as\n"
        "# `veilcast deploy RECIPE`.\n"
    )
    import json

    # a copy without shared objects, which YAML would write as references
    plain = json.loads(json.dumps({"name": "veilcast", "deployments": listed}))
    return head + str(yaml.safe_dump(plain, sort_keys=False))


def queue_name(name: str) -> str:
    """Return the name of a data set's work queue."""
    return re.sub(r"[^\w.\- ]+", "-", name).strip("-")


def _apply(deployment: Deployment, pool: str, queue: str) -> Any:
    import importlib

    from prefect.client.schemas.schedules import CronSchedule
    from prefect.types.entrypoint import EntrypointType

    flow = getattr(importlib.import_module("flows.jobs"), deployment.flow)
    cron = deployment.cron
    runner = flow.to_deployment(
        name=deployment.name,
        parameters=deployment.parameters,
        schedules=[CronSchedule(cron=cron, timezone="UTC")] if cron else [],
        work_pool_name=pool,
        work_queue_name=queue,
        entrypoint_type=EntrypointType.MODULE_PATH,
        description=(flow.__doc__ or "").strip(),
    )
    return runner.apply()


def _queue(api: str, pool: str, name: str) -> str:
    """Create the data set's queue if it is missing, and limit it to one run."""
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


def _grid(recipe: Document) -> Document:
    """Return a small sweep: three budgets around the recipe's own."""
    epsilon = recipe["privacy"]["epsilon"]
    return {
        "recipe": recipe,
        "mechanisms": ["input"],
        "epsilons": [epsilon / 2, epsilon, epsilon * 2],
        "models": [recipe["model"]["name"]],
        "optimizers": [recipe["training"]["optimizer"]],
        "seeds": 3,
    }


def _check_cron(flow: str, cron: str) -> None:
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
