"""What is deployed: the flows that a schedule starts. Importing this is all that a worker needs.

Retries are around the source and the database alone. Noise is drawn in a task that is never tried
again by itself: the next run of the schedule finds under the ledger's keys what became of it.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff
from sqlalchemy.exc import InterfaceError, OperationalError

from data.errors import DataError
from dp.budget import BudgetRefused
from dp.errors import LedgerError, LedgerUnreachableError
from dp.ledger import Ledger, verify
from flows.errors import SetupError, UsageError
from flows.recipe.recipe import Recipe, from_dict
from flows.runtime.notify import error_of, failed, tell
from flows.settings import Home, open_home, quiet_environment
from flows.stream import forecast as foresee
from flows.stream import release, retrain
from flows.stream.arrivals import Arrivals
from flows.stream.champion import Champion, champion
from flows.stream.names import in_use
from flows.stream.refusals import newly_stopped


def outage(_task: Any, _run: Any, state: Any) -> bool:
    """Whether a database did not answer: what is tried again, and nothing else is."""
    error = error_of(state)
    cause = getattr(error, "__context__", None)
    return isinstance(error, LedgerUnreachableError) or isinstance(
        cause, OperationalError | InterfaceError
    )


_PLAIN: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}
_PATIENT: dict[str, Any] = {
    **_PLAIN,
    "retries": 5,
    "retry_delay_seconds": exponential_backoff(backoff_factor=2),
    "retry_condition_fn": outage,
}
_HOOKS: dict[str, Any] = {
    "persist_result": False,
    "on_failure": [failed],
    "on_crashed": [failed],
}


@task(name="read", **_PATIENT)
def read_step(recipe: Recipe, home: Home) -> Arrivals:
    """Read what has come; raw counts, which stay in memory."""
    return release.arrived(recipe, home)


@task(name="release", **_PLAIN)
def release_step(recipe: Recipe, home: Home, raw: Arrivals) -> release.Ingested:
    """Charge, noise, keep. Never tried again by itself."""
    try:
        return release.release(recipe, home, raw)
    except (BudgetRefused, DataError, LedgerError, UsageError):
        raise
    except Exception as error:
        # The text of a foreign error may quote a count, and Prefect stores it.
        raise DataError(f"{raw.source}: cannot be released ({type(error).__name__})") from None


@task(name="forecast", **_PATIENT)
def forecast_step(
    recipe: Recipe, home: Home, model: Champion, done: release.Ingested
) -> foresee.Foreseen:
    """Forecast, and write to the store; the same again changes nothing."""
    assert done.seen is not None  # noqa: S101  (there is a model, so something was released)
    return foresee.foresee(recipe, home, model, done.seen)


@task(name="train", **_PLAIN)
def train_step(recipe: Recipe, home: Home) -> retrain.Retrained:
    """Train on what was released; promote the model if it is proven and better."""
    return retrain.retrain(recipe, home)


@flow(name="ingest", **_HOOKS)
def ingest(recipe: dict[str, Any]) -> dict[str, Any]:
    """Release new counts: charged, noised once, written to the store."""
    plan, home = _opened(recipe)
    return _shown(_ingest(plan, home))


@flow(name="forecast", **_HOOKS)
def forecast(recipe: dict[str, Any]) -> dict[str, Any]:
    """The loop: new counts, released; the next forecasts, written. Trains a first model itself."""
    plan, home = _opened(recipe)
    done = _ingest(plan, home)
    model = champion(done.stream, home)
    trained = None
    if model is None:
        trained = _train(plan, home)
        model = champion(done.stream, home)
    if model is None:
        raise SetupError(
            f"{done.stream} has no model to forecast with, and the new one was "
            f"{trained.because if trained else 'not trained'}"
        )
    if not model.current:
        get_run_logger().warning("MLflow does not answer; forecasting with the last known model")
    made = forecast_step(plan, home, model, done)
    get_run_logger().info(
        "%s: %d intervals released, %d forecasts of %d rows",
        done.stream,
        done.new,
        len(made.made),
        made.rows,
    )
    return {
        **_shown(done),
        "run": model.run_id,
        "forecasts": [str(moment) for moment in made.made],
        "rows": made.rows,
    }


@flow(name="train", **_HOOKS)
def train(recipe: dict[str, Any]) -> dict[str, Any]:
    """The nightly training, from released counts."""
    plan, home = _opened(recipe)
    done = _train(plan, home)
    return {
        "run": done.result.run_id,
        "promoted": done.promoted,
        "because": done.because,
        "proof": done.proof,
    }


@flow(name="sweep", **_HOOKS)
def sweep(grid: dict[str, Any]) -> dict[str, Any]:
    """A sweep; its whole charge is reserved before its first draw."""
    from flows.sweep.flow import sweep as whole
    from flows.sweep.grid import Grid

    open_home()
    names: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in grid.items()
    }
    document = whole(Grid(**names)).to_dict()
    return {"total": document["total"], "table": document["table"]}


@flow(name="audit", **_HOOKS)
def audit(recipe: dict[str, Any]) -> dict[str, Any]:
    """Whether the ledger verifies, and what is stored is what it released."""
    plan, home = _opened(recipe)
    counts = release.panel(plan, home)
    checks = retrain.prove(in_use(plan, home), counts, home)
    broken = [check for check, held in checks.items() if not held]
    if broken:
        raise LedgerError(f"{in_use(plan, home)}: {'; '.join(broken)}: this does not hold")
    return {"checks": checks, "head": verify(Ledger(home.database_url)).head}


def _opened(recipe: dict[str, Any]) -> tuple[Recipe, Home]:
    home = open_home()
    quiet_environment(home)
    plan = from_dict(recipe)
    in_use(plan, home)
    return plan, home


def _ingest(plan: Recipe, home: Home) -> release.Ingested:
    done = release_step(plan, home, read_step(plan, home))
    if newly_stopped(done.stream, done.refused, home):
        tell(
            "budget-refused",
            f"releases of {done.stream} have stopped at {done.until}; forecasts "
            f"go on from what is released. {done.refused}",
            stream=done.stream,
        )
    if done.refused:
        get_run_logger().warning("releases have stopped at %s: %s", done.until, done.refused)
    return done


def _train(plan: Recipe, home: Home) -> retrain.Retrained:
    done = train_step(plan, home)
    get_run_logger().info("%s: %s", in_use(plan, home), done.because)
    return done


def _shown(done: release.Ingested) -> dict[str, Any]:
    values = asdict(done)
    return {
        **values,
        **{name: None if values[name] is None else str(values[name]) for name in ("until", "seen")},
    }
