"""A release that was lost on the way may be drawn again from the same seed, and from no other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dp.errors import LedgerError
from dp.ledger import Charge, Ledger, local_secret
from dp.mechanisms.seed import Seed
from dp.permit import Permit
from dp.release.idempotent import is_paid, release_once, reserve
from dp.unit.period import Period
from dp.unit.privacy_unit import IntervalUnit

START = datetime(2024, 1, 1, tzinfo=UTC)
EVENT = {
    "mechanism": "poisson-sampled windows",
    "rate": 0.1,
    "windows": 100,
    "batch": 10,
    "steps": 3,
    "hit": 2,
    "noise_multiplier": 30.0,
    "aside": None,
    "panel": {
        "observed": 100,
        "interval_seconds": 1800.0,
        "regions": 1,
        "regions_per_interval": 1,
        "lags": 1,
        "seasonal": [],
        "horizon": 1,
        "distance": 2,
    },
}


class LostError(Exception):
    """The process that trained is gone."""


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


@pytest.fixture
def secret(tmp_path: Path) -> bytes:
    return local_secret(tmp_path / "secret")


def charge() -> Charge:
    return Charge(
        key="k",
        dataset="city",
        fingerprint="f",
        unit=IntervalUnit(1),
        epsilon=1.0,
        delta=1e-7,
        period=Period(START, START + timedelta(hours=50), timedelta(minutes=30)),
        event=EVENT,
        purpose="training",
    )


def lose(ledger: Ledger, mark: str | None) -> None:
    def make(_: Permit) -> bytes:
        raise LostError

    with pytest.raises(LostError):
        release_once(ledger, charge(), make, mark=mark)


def test_the_same_seed_goes_on_under_the_same_charge(ledger: Ledger, secret: bytes) -> None:
    mark = Seed().mark(secret)
    lose(ledger, mark)
    kept = release_once(ledger, charge(), lambda _: b"model", mark=mark)
    assert (kept.content, kept.fresh) == (b"model", True)
    assert [entry.state for entry in ledger.entries()] == ["released"]


def test_what_was_released_is_never_drawn_again(ledger: Ledger, secret: bytes) -> None:
    mark = Seed().mark(secret)
    first = release_once(ledger, charge(), lambda _: b"model", mark=mark)
    second = release_once(ledger, charge(), lambda _: b"another", mark=mark)
    assert (second.content, second.fresh) == (b"model", False)
    with pytest.raises(LedgerError, match="same seed"):
        ledger.repeat(first.entry, mark)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_any_other_randomness_pays_again(
    ledger: Ledger, secret: bytes, first: bool, second: bool
) -> None:
    lose(ledger, Seed().mark(secret) if first else None)
    assert not is_paid(ledger, charge())
    release_once(ledger, charge(), lambda _: b"model", mark=Seed().mark(secret) if second else None)
    assert [entry.state for entry in ledger.entries()] == ["committed", "released"]
    assert is_paid(ledger, charge())


def test_leave_to_repeat_needs_the_mark(ledger: Ledger, secret: bytes) -> None:
    entry = reserve(ledger, charge())
    with pytest.raises(LedgerError, match="reserved; only noise from the same seed"):
        ledger.repeat(entry, Seed().mark(secret))
    lose(ledger, None)
    (entry,) = ledger.entries()
    with pytest.raises(LedgerError, match="same seed"):
        ledger.repeat(entry, Seed().mark(secret))


def test_a_mark_needs_the_secret_and_tells_nothing(secret: bytes) -> None:
    seed, last = Seed(bytes(32)), Seed(bytes(31) + b"\x01")
    assert seed.mark(secret) == Seed(bytes(32)).mark(secret) != last.mark(secret)
    assert seed.mark(secret) != seed.mark(b"other")
    assert repr(seed) == "Seed()"
    assert Seed() != Seed()
