"""Notifications: events that need attention go to the log, and to a webhook if one is set."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import httpx

from data.errors import DataError
from dp.budget import BudgetRefused
from dp.errors import LedgerError
from flows.errors import SetupError, UsageError
from models.errors import ModelError

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun, State

WEBHOOK = "VEILCAST_WEBHOOK"
_OURS = (BudgetRefused, DataError, LedgerError, ModelError, SetupError, UsageError)
"""Errors whose messages are meant for people and contain no count."""

_log = logging.getLogger("veilcast")


def tell(event: str, message: str, **about: object) -> bool:
    """Log an event and post it; a webhook that does not answer stops nothing.

    Args:
        event: `failed`, `crashed`, `budget-refused` or `promoted`.
        message: for people.
        about: further fields of the notification, as JSON values.

    Returns:
        Whether a webhook accepted it.
    """
    _log.warning("%s: %s", event, message)
    address = os.environ.get(WEBHOOK)
    if not address:
        return False
    payload = {"event": event, "text": f"veilcast {event}: {message}", "message": message, **about}
    try:
        httpx.post(address, json=payload, timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        # the address may hold a token
        _log.warning("the webhook did not accept it (%s)", type(error).__name__)
        return False
    return True


def failed(flow: Flow[..., object], flow_run: FlowRun, state: State[object]) -> None:
    """Notify of a run that failed or crashed; Prefect calls this hook."""
    error = error_of(state)
    event = "budget-refused" if isinstance(error, BudgetRefused) else state.type.value.lower()
    tell(event, words(error, state), flow=flow.name, run=flow_run.name, run_id=str(flow_run.id))


def error_of(state: State[object]) -> BaseException | None:
    """Return the error that a run ended with, if any."""
    try:
        state.result()
    except BaseException as error:
        return error
    return None


def words(error: BaseException | None, state: State[object]) -> str:
    """Return an error as text; of a foreign error only its type, since its text may quote a count."""
    if error is None:
        return str(state.name)
    return str(error) if isinstance(error, _OURS) else f"{type(error).__name__} (see the run's log)"
