"""Deployed flows: what a schedule starts. A worker needs to import nothing else.

Only reading the source and writing to the database are retried. Noise is drawn in a task that is never
retried: the next scheduled run finds its outcome in the ledger.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff
from sqlalchemy.exc import InterfaceError, OperationalError

from data.errors import DataError
from dp.budget import BudgetRefused
from dp.errors import LedgerError, LedgerUnreachableError
from dp.ledger import Ledger, verify
from flows.document import Document
from flows.errors import SetupError, UsageError
from flows.recipe.recipe import Recipe, from_dict
from flows.runtime.notify import error_of, failed, tell
from flows.settings import Home, open_home, quiet_environment
from flows.stream import forecast as forecasts
from flows.stream import release, retrain
from flows.stream.arrivals import Arrivals
from flows.stream.champion import Champion, champion
from flows.stream.names import in_use
from flows.stream.refusals import newly_stopped

if TYPE_CHECKING:
    from prefect import Task
    from prefect.client.schemas.objects import State, TaskRun


def outage(_task: Task[..., object], _run: TaskRun, state: State[object]) -> bool:
    """Return whether a database did not answer, the only failure that is retried."""
    error = error_of(state)
    cause = getattr(error, "__context__", None)
    return isinstance(error, LedgerUnreachableError) or isinstance(
        cause, OperationalError | InterfaceError
    )


_PLAIN: Document = {"cache_policy": NO_CACHE, "persist_result": False}
_PATIENT: Document = {
    **_PLAIN,
    "retries": 5,
    "retry_delay_seconds": exponential_backoff(backoff_factor=2),
    "retry_condition_fn": outage,
}
_HOOKS: Document = {
    "persist_result": False,
    "on_failure": [failed],
    "on_crashed": [failed],
}


@task(name="read", **_PATIENT)
def read_step(recipe: Recipe, home: Home) -> Arrivals:
    """Read new raw counts, which stay in memory."""
    return release.arrived(recipe, home)


@task(name="release", **_PLAIN)
def release_step(recipe: Recipe, home: Home, raw: Arrivals) -> release.Ingested:
    """Charge, noise and store new counts; never retried."""
    try:
        return release.release(recipe, home, raw)
    except (BudgetRefused, DataError, LedgerError, UsageError):
        raise
    except Exception as error:
        # The text of a foreign error may quote a count, and Prefect stores it.
        raise DataError(f"{raw.source}: cannot be released ({type(error).__name__})") from None


@task(name="forecast", **_PATIENT)
def forecast_step(
    recipe: Recipe, home: Home, model: Champion, ingested: release.Ingested
) -> forecasts.WrittenForecasts:
    """Write the missing forecasts to the store; a repeat changes nothing."""
    assert ingested.seen is not None  # noqa: S101  (there is a model, so something was released)
    return forecasts.write_forecasts(recipe, home, model, ingested.seen)


@task(name="train", **_PLAIN)
def train_step(recipe: Recipe, home: Home) -> retrain.Retrained:
    """Train on released counts; promote the model if its provenance verifies and it is better."""
    return retrain.retrain(recipe, home)


@flow(name="ingest", **_HOOKS)
def ingest(recipe: Document) -> Document:
    """Release new counts: charged, noised once, written to the store."""
    return _shown(_ingest(*_opened(recipe)))


@flow(name="forecast", **_HOOKS)
def forecast(recipe: Document) -> Document:
    """Release new counts and write the next forecasts; trains the first model."""
    opened, home = _opened(recipe)
    ingested = _ingest(opened, home)
    model = champion(ingested.stream, home)
    trained = None
    if model is None:
        trained = _train(opened, home)
        model = champion(ingested.stream, home)
    if model is None:
        raise SetupError(
            f"{ingested.stream} has no model to forecast with, and the new one was "
            f"{trained.because if trained else 'not trained'}"
        )
    if not model.current:
        get_run_logger().warning("MLflow does not answer; forecasting with the last known model")
    written = forecast_step(opened, home, model, ingested)
    get_run_logger().info(
        "%s: %d intervals released, %d forecasts of %d rows",
        ingested.stream,
        ingested.new,
        len(written.made),
        written.rows,
    )
    return {
        **_shown(ingested),
        "run": model.run_id,
        "forecasts": [str(moment) for moment in written.made],
        "rows": written.rows,
    }


@flow(name="train", **_HOOKS)
def train(recipe: Document) -> Document:
    """Retrain on released counts."""
    retrained = _train(*_opened(recipe))
    return {
        "run": retrained.result.run_id,
        "promoted": retrained.promoted,
        "because": retrained.because,
        "proof": retrained.proof,
    }


@flow(name="sweep", **_HOOKS)
def sweep(grid: Document) -> Document:
    """Run a sweep; its whole charge is reserved before its first draw."""
    from flows.sweep.flow import sweep as run_sweep
    from flows.sweep.grid import Grid

    open_home()
    names: Document = {
        name: tuple(value) if isinstance(value, list) else value for name, value in grid.items()
    }
    document = run_sweep(Grid(**names)).to_dict()
    return {"total": document["total"], "table": document["table"]}


@flow(name="audit", **_HOOKS)
def audit(recipe: Document) -> Document:
    """Verify the ledger, and that the store holds what it released."""
    opened, home = _opened(recipe)
    counts = release.panel(opened, home)
    checks = retrain.verify_provenance(in_use(opened, home), counts, home)
    broken = [check for check, holds in checks.items() if not holds]
    if broken:
        raise LedgerError(f"{in_use(opened, home)}: {'; '.join(broken)}: this does not hold")
    return {"checks": checks, "head": verify(Ledger(home.database_url)).head}


def _opened(recipe: Document) -> tuple[Recipe, Home]:
    home = open_home()
    quiet_environment(home)
    opened = from_dict(recipe)
    in_use(opened, home)
    return opened, home


def _ingest(recipe: Recipe, home: Home) -> release.Ingested:
    ingested = release_step(recipe, home, read_step(recipe, home))
    if newly_stopped(ingested.stream, ingested.refused, home):
        tell(
            "budget-refused",
            f"releases of {ingested.stream} have stopped at {ingested.until}; forecasts go on from "
            f"released counts. {ingested.refused}",
            stream=ingested.stream,
        )
    if ingested.refused:
        get_run_logger().warning(
            "releases have stopped at %s: %s", ingested.until, ingested.refused
        )
    return ingested


def _train(recipe: Recipe, home: Home) -> retrain.Retrained:
    retrained = train_step(recipe, home)
    get_run_logger().info("%s: %s", in_use(recipe, home), retrained.because)
    return retrained


def _shown(ingested: release.Ingested) -> Document:
    """Return the result as JSON values."""
    values = asdict(ingested)
    return {
        **values,
        **{name: None if values[name] is None else str(values[name]) for name in ("until", "seen")},
    }
