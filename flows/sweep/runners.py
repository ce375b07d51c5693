"""Runners of the chunks of a sweep: here, in threads, in processes, on Dask or on Ray."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from data.sources.credentials import shown
from flows.document import Document
from flows.errors import SetupError, UsageError

HERE = "here"
RUNNERS = (HERE, "threads", "processes", "dask", "ray")
CHUNK = 16
"""Trainings of a chunk, at most: what is lost with a worker."""
_PATIENCE = 5
"""Seconds that a scheduler has to answer."""
_VARIED = ("seed", "learning_rate", "optimizer", "weight_decay", "grad_norm")
"""Fields of `[training]` in which trainings of one chunk may differ."""


def check(runner: str, address: str | None) -> None:
    """Refuse a runner that is not there, before anything is charged.

    Raises:
        UsageError: an unknown name, or an address for a runner that has none.
        SetupError: a package is missing, or nobody answers at the address.
    """
    if runner not in RUNNERS:
        raise UsageError(f"runner={runner!r} is unknown; choose one of {', '.join(RUNNERS)}")
    if address is not None and runner not in ("dask", "ray"):
        raise UsageError(
            f"--address {shown(address)} is for --runner dask or ray, not for {runner}"
        )
    if runner in ("dask", "ray"):
        try:
            __import__(f"prefect_{runner}")
        except ImportError:
            raise SetupError(
                f"--runner {runner} needs the extra: pip install 'veilcast[scale]'"
            ) from None
    if runner == "dask" and address is not None:
        from distributed import Client

        try:
            Client(address, timeout=_PATIENCE).close()  # type: ignore[no-untyped-call]
        except (OSError, ValueError, TimeoutError) as error:
            raise SetupError(
                f"no Dask scheduler answers at {shown(address)} ({type(error).__name__}); start one "
                "with `dask scheduler`, or leave --address out for a cluster on this machine"
            ) from None
    if runner == "ray" and address is not None:
        from ray.util.state import list_nodes

        try:
            list_nodes(address, timeout=_PATIENCE)
        except Exception as error:  # Ray has no common one
            raise SetupError(
                f"no Ray cluster answers at {shown(address)} ({type(error).__name__}); start one with "
                "`ray start --head`, or leave --address out for one on this machine"
            ) from None


def task_runner(runner: str, workers: int, address: str | None) -> TaskRunner[Any]:
    """Prefect's task runner of a name; dashboards stay off.

    Args:
        runner: one of `RUNNERS`, checked.
        workers: processes or threads, of a cluster that is started for this sweep.
        address: of a scheduler that runs already.
    """
    if runner == "processes":
        return ProcessPoolTaskRunner(max_workers=workers)
    if runner == "dask":
        from prefect_dask.task_runners import DaskTaskRunner

        cluster = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
        return DaskTaskRunner(address=address, cluster_kwargs=None if address else cluster)
    if runner == "ray":
        from prefect_ray.task_runners import RayTaskRunner

        local = {"num_cpus": workers, "include_dashboard": False}
        ray: TaskRunner[Any] = RayTaskRunner(
            address=address, init_kwargs=None if address else local
        )
        return ray
    return ThreadPoolTaskRunner(max_workers=workers)


@contextmanager
def shared_server() -> Iterator[None]:
    """Let workers in other processes use the temporary server of this one."""
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.settings import PREFECT_API_URL, temporary_settings

    if PREFECT_API_URL.value():
        yield
        return
    server = SubprocessASGIServer()
    server.start()
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        yield


def usual(runner: str) -> int:
    """Workers, if nobody says how many."""
    return 1 if runner == HERE else os.cpu_count() or 1


def threads(runner: str, workers: int) -> int | None:
    """Threads of torch in a worker, so that all of them together use the machine once."""
    return None if runner == HERE else max(1, (os.cpu_count() or 1) // workers)


def chunks(recipes: list[Document], workers: int) -> list[list[int]]:
    """Positions of trainings that are done together: those of one model on windows of one shape.

    Enough chunks for all workers, where there are trainings for them.
    """
    groups: dict[str, list[int]] = {}
    for at, recipe in enumerate(recipes):
        groups.setdefault(_alike(recipe), []).append(at)
    most = min(CHUNK, max(1, -(-len(recipes) // workers)))
    return [
        group[start : start + most]
        for group in groups.values()
        for start in range(0, len(group), most)
    ]


def _alike(recipe: Document) -> str:
    training = {name: value for name, value in recipe["training"].items() if name not in _VARIED}
    mechanism = recipe["privacy"]["mechanism"] == "gradient"
    return repr((recipe["source"], recipe["windows"], recipe["model"], training, mechanism))
