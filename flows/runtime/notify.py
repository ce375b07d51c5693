"""Saying that something needs somebody: in the log, and to a webhook if one is set."""

from __future__ import annotations

import logging
import os
from typing import Any

import httpx

from data.errors import DataError
from dp.budget import BudgetRefused
from dp.errors import LedgerError
from flows.errors import SetupError, UsageError
from models.errors import ModelError

WEBHOOK = "VEILCAST_WEBHOOK"
_OURS = (BudgetRefused, DataError, LedgerError, ModelError, SetupError, UsageError)
"""Errors whose words are written to be read, and hold no count."""

_log = logging.getLogger("veilcast")


def tell(event: str, message: str, **about: Any) -> bool:
    """Log an event and post it; a webhook that does not answer stops nothing.

    Args:
        event: `failed`, `crashed`, `budget-refused` or `promoted`.
        message: for people.
        about: what it is about, as JSON values.

    Returns:
        Whether a webhook took it.
    """
    _log.warning("%s: %s", event, message)
    address = os.environ.get(WEBHOOK)
    if not address:
        return False
    said = {"event": event, "text": f"veilcast {event}: {message}", "message": message, **about}
    try:
        httpx.post(address, json=said, timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        # the address may hold a token
        _log.warning("the webhook did not take it (%s)", type(error).__name__)
        return False
    return True


def failed(flow: Any, flow_run: Any, state: Any) -> None:
    """Prefect's hook for runs that failed or crashed."""
    error = error_of(state)
    event = "budget-refused" if isinstance(error, BudgetRefused) else state.type.value.lower()
    tell(event, words(error, state), flow=flow.name, run=flow_run.name, run_id=str(flow_run.id))


def error_of(state: Any) -> BaseException | None:
    """What a run ended with."""
    try:
        state.result()
    except BaseException as error:
        return error
    return None


def words(error: BaseException | None, state: Any) -> str:
    """An error that may be shown; of a foreign one only its kind, since its text may quote a count."""
    if error is None:
        return str(state.name)
    return str(error) if isinstance(error, _OURS) else f"{type(error).__name__} (see the run's log)"
