"""Charges and permits for tests."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from dp.ledger import Charge, Ledger
from dp.permit import Permit
from dp.unit.period import Period
from dp.unit.privacy_unit import PrivacyUnit

DAY = Period(datetime(2024, 1, 1), datetime(2024, 1, 2), timedelta(minutes=30))


@pytest.fixture(scope="session")
def charge() -> Callable[..., Charge]:
    """Makes charges of an event; every field but that has a usual value."""

    def make(event: dict[str, Any], **values: Any) -> Charge:
        usual = {
            "key": "key",
            "dataset": "city",
            "fingerprint": "f",
            "period": DAY,
            "unit": PrivacyUnit.USER_DAY,
            "epsilon": 1.0,
            "delta": 1e-7,
            "purpose": "panel",
        }
        return Charge(**{**usual, "event": event, **values})

    return make


@pytest.fixture(scope="session")
def permit(charge: Callable[..., Charge]) -> Callable[[dict[str, Any]], Permit]:
    """Permits, charged to a ledger in memory as everywhere else."""

    def make(event: dict[str, Any]) -> Permit:
        ledger = Ledger("sqlite://")
        return ledger.commit(ledger.reserve(charge(event)))

    return make
