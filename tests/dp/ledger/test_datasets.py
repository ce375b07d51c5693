"""One data set has one account, by whatever name, path, spelling, growth, clock or length it comes."""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from dp.accounting.gaussian import gaussian_epsilon
from dp.budget import Budget, BudgetRefused
from dp.composition.total import COUNTS
from dp.errors import LedgerError
from dp.ledger import Charge, Ledger, fingerprint, verify
from dp.ledger.identity import sketch
from dp.ledger.tables import LogRow
from dp.unit.period import Period
from dp.unit.privacy_unit import IntervalUnit, PrivacyUnit

Charges = Callable[..., Charge]
HALF_HOUR = timedelta(minutes=30)
DELTA = 1e-7
SECRET = bytes(range(32))
USER, DAY, INTERVAL = PrivacyUnit.USER, PrivacyUnit.USER_DAY, PrivacyUnit.USER_INTERVAL


def noised(intervals: int = 48, observed: int = 96, length: float = 1800.0) -> dict[str, Any]:
    return {
        "mechanism": COUNTS,
        "sigma": 60.0,
        "intervals": intervals,
        "regions": 1,
        "weight": 1,
        "panel": {
            "observed": observed,
            "interval_seconds": length,
            "regions": 2,
            "intervals_per_unit": None,
            "enforced": False,
        },
    }


def panel(days: int, *, seed: int = 0, columns: str = "ab") -> pd.DataFrame:
    times = pd.date_range("2024-01-01", periods=48 * days, freq="30min", name="time")
    counts = np.random.default_rng(seed).poisson(50, (len(times), len(columns))).astype(float)
    return pd.DataFrame(counts, times, list(columns))


def prints(counts: pd.DataFrame) -> dict[str, Any]:
    return {
        "fingerprint": fingerprint(SECRET, counts),
        "sketch": sketch(SECRET, counts, HALF_HOUR),
    }


def epsilon(counts: int) -> float:
    return gaussian_epsilon(math.sqrt(counts) / 60, DELTA)


def names(ledger: Ledger) -> set[str]:
    return {account.dataset for account in ledger.accounts()}


def test_a_cap_by_one_name_holds_by_every_other(url: str, charge: Charges) -> None:
    ledger, here = Ledger(url), "file:/data/counts.csv"
    cap = Budget(epsilon(96) * 1.01, DELTA)
    ledger.set_cap("counts.csv", DAY, cap, new=True, aliases=(here,))
    ledger.reserve(charge(noised(), dataset="counts.csv", aliases=(here,), fingerprint="first"))
    spellings = {"key": "b", "dataset": "/data/counts.csv", "aliases": (here,), "fingerprint": "x"}
    assert ledger.reserve(charge(noised(), **spellings)).dataset == "counts.csv"
    for name in ("counts.csv", "/data/counts.csv", here):
        with pytest.raises(BudgetRefused, match=r"counts\.csv refused"):
            ledger.reserve(
                charge(noised(), key=name, dataset=name, aliases=(here,), fingerprint=name)
            )
        assert ledger.spent(name, DAY, DELTA) == pytest.approx(epsilon(96), rel=1e-3)
        assert len(ledger.entries(name)) == 2
    assert names(ledger) == {"counts.csv"}
    assert verify(ledger).holds


@pytest.mark.parametrize("change", ["grown", "shortened", "wider", "another order", "corrected"])
def test_a_changed_copy_is_the_same_data_set(url: str, charge: Charges, change: str) -> None:
    ledger, counts = Ledger(url), panel(28)
    ledger.reserve(charge(noised(), dataset="city.csv", **prints(counts)))
    if change == "grown":
        copy = panel(35)
        copy.iloc[: len(counts)] = counts
    elif change == "shortened":
        copy = counts.iloc[7 * 48 : -5]
    elif change == "wider":
        copy = counts.assign(c=7.0)
    elif change == "another order":
        copy = counts[["b", "a"]]
    else:
        copy = counts.copy()
        copy.iloc[100, 0] = copy.to_numpy()[100, 0] + 1
    entry = ledger.reserve(charge(noised(), key="b", dataset="elsewhere.csv", **prints(copy)))
    assert entry.dataset == "city.csv"
    other = ledger.reserve(
        charge(noised(), key="c", dataset="village.csv", **prints(panel(28, seed=1)))
    )
    assert other.dataset == "village.csv"


@pytest.mark.parametrize("days", [3, 10, 72 * 8])
def test_a_short_cut_and_a_long_growth_are_recognised(charge: Charges, days: int) -> None:
    ledger, counts = Ledger("sqlite://"), panel(max(72, days), columns="abcdef")
    ledger.reserve(charge(noised(), dataset="city.csv", **prints(counts.iloc[: 72 * 48])))
    copy = counts.iloc[: 48 * days] if days > 72 else counts.iloc[20 * 48 : (20 + days) * 48]
    entry = ledger.reserve(charge(noised(), key="b", dataset="elsewhere.csv", **prints(copy)))
    assert entry.dataset == "city.csv"


def test_names_cannot_be_taken_away(url: str, charge: Charges) -> None:
    ledger = Ledger(url)
    ledger.reserve(charge(noised(), dataset="a.csv", aliases=("file:/a.csv",), **prints(panel(28))))
    assert verify(ledger).holds
    with ledger.database.writing() as session:
        session.execute(text("DELETE FROM ledger_names WHERE value NOT LIKE :one"), {"one": "0%"})
    assert "no longer known" in verify(ledger).broken[0][1]


def test_closed_nights_make_nothing_the_same() -> None:
    """Blocks of zeros, or of one and the same count, are alike everywhere."""
    lively, found = panel(28), []
    for level in (0.0, 3.0):
        for longer in (28, 35):
            counts = panel(longer)
            counts.loc[:] = level
            found.append(set(sketch(SECRET, counts, HALF_HOUR)))
    for number, one in enumerate(found):
        assert not any(one & other for other in found[:number])
    # how many prints there are follows from the times and the regions alone
    assert len(found[0]) == len(found[2]) == len(sketch(SECRET, lively, HALF_HOUR))
    assert sketch(SECRET, panel(28).iloc[:20], HALF_HOUR) == ()


def test_prints_tell_nothing_without_the_key() -> None:
    counts = panel(28)
    mine, theirs = (sketch(key, counts, HALF_HOUR) for key in (SECRET, bytes(32)))
    assert len(mine) == len(theirs) == 82
    assert not set(mine) & set(theirs)


def test_two_accounts_that_turn_out_to_be_one_are_charged_together(
    url: str, charge: Charges
) -> None:
    ledger = Ledger(url)
    ledger.reserve(charge(noised(), key="a", dataset="left", fingerprint="l"))
    ledger.reserve(charge(noised(), key="b", dataset="right", fingerprint="r"))
    once = epsilon(48)
    assert ledger.spent("left", DAY, DELTA) == pytest.approx(once, rel=1e-3)
    ledger.set_cap("right", DAY, Budget(epsilon(150), DELTA))
    # the same panel under a name that the other one has
    ledger.reserve(charge(noised(), key="c", dataset="left", fingerprint="r"))
    for name in ("left", "right"):
        assert ledger.spent(name, DAY, DELTA) == pytest.approx(epsilon(144), rel=1e-3)
    with pytest.raises(BudgetRefused, match="right refused"):
        ledger.reserve(charge(noised(), key="d", dataset="left", fingerprint="new"))
    with ledger.database.reading() as session:
        assert session.scalars(select(LogRow.kind).where(LogRow.kind == "link")).all() == ["link"]
    assert verify(ledger).holds


def test_accounts_that_would_pass_a_cap_together_are_refused_whole(
    url: str, charge: Charges
) -> None:
    ledger = Ledger(url)
    ledger.set_cap("left", DAY, Budget(epsilon(100), DELTA), new=True)
    ledger.reserve(charge(noised(), key="a", dataset="left", fingerprint="l"))
    ledger.reserve(charge(noised(), key="b", dataset="right", fingerprint="r"))
    far = Period(datetime(2025, 1, 1), datetime(2025, 1, 3), HALF_HOUR)
    ledger.reserve(charge(noised(), key="c", dataset="left", fingerprint="r", period=far))
    late = Period(datetime(2026, 1, 1), datetime(2026, 1, 3), HALF_HOUR)
    assert ledger.spent("left", DAY, DELTA) == pytest.approx(epsilon(96), rel=1e-3)
    ledger.reserve(charge(noised(), key="d", dataset="third", fingerprint="t"))
    with pytest.raises(BudgetRefused, match="left refused"):  # far away from where it is full
        ledger.reserve(charge(noised(), key="e", dataset="third", fingerprint="l", period=late))
    assert len(ledger.entries()) == 4
    assert verify(ledger).holds


def test_other_people_in_one_table_are_two_accounts_if_somebody_says_so(
    url: str, charge: Charges
) -> None:
    ledger, table = Ledger(url), ("postgresql://host/db#public.counts",)
    for city in ("lyon", "paris"):
        about = {"aliases": table, "population": city, "recipe": {"source": {"account": city}}}
        ledger.reserve(charge(noised(), key=city, dataset=city, fingerprint=city, **about))
    assert names(ledger) == {"lyon", "paris"}
    again = {"aliases": table, "recipe": {"source": {}}}
    ledger.reserve(charge(noised(), key="c", dataset=table[0], fingerprint="c", **again))
    for city in ("lyon", "paris"):  # who does not say is charged for both
        assert ledger.spent(city, DAY, DELTA) > epsilon(96) * 0.99


def test_a_clock_that_changed_is_refused(url: str, charge: Charges) -> None:
    ledger = Ledger(url)
    ledger.reserve(charge(noised(), timezone="UTC"))
    for number, zone in enumerate(("Asia/Tokyo", None)):
        later = Period(datetime(2024, 1, 3), datetime(2024, 1, 5), HALF_HOUR)
        moved = charge(noised(), key=f"b{number}", timezone=zone, period=later)
        with pytest.raises(LedgerError, match=r"clock of UTC.*nothing was drawn.*events.timezone"):
            ledger.reserve(moved)
    assert len(ledger.entries()) == 1
    # to `user` it does not matter what a day is
    for number, zone in enumerate(("UTC", "Asia/Tokyo")):
        about = {"dataset": "all", "fingerprint": "all", "unit": USER, "timezone": zone}
        ledger.reserve(charge(noised(96), key=f"u{number}", **about))
    assert ledger.spent("all", USER, DELTA) == pytest.approx(epsilon(192), rel=1e-3)
    assert ledger.spent("all", DAY, DELTA) >= epsilon(2 * 49) * (1 - 1e-6)
    assert verify(ledger).holds


@pytest.mark.parametrize("longest_first", [True, False])
def test_one_interval_is_the_longest_in_either_order(
    url: str, charge: Charges, longest_first: bool
) -> None:
    ledger = Ledger(url)
    days = Period(datetime(2024, 1, 1), datetime(2024, 1, 3), timedelta(days=1))
    daily = charge(noised(1, 2, 86400.0), key="days", unit=INTERVAL, period=days)
    fine = charge(noised(1), key="halves", unit=INTERVAL)
    order = (daily, fine) if longest_first else (fine, daily)
    for one in order:
        ledger.reserve(one)
    assert ledger.spent("city", INTERVAL, DELTA) == pytest.approx(epsilon(49), rel=1e-3)
    assert verify(ledger).holds


def test_a_longer_interval_cannot_pass_a_cap_that_shorter_ones_kept(
    url: str, charge: Charges
) -> None:
    ledger = Ledger(url)
    ledger.set_cap("city", INTERVAL, Budget(epsilon(3), DELTA), new=True)
    ledger.reserve(charge(noised(1), key="halves", unit=INTERVAL))
    far = Period(datetime(2025, 1, 1), datetime(2025, 1, 3), timedelta(days=1))
    with pytest.raises(BudgetRefused, match="user-interval"):
        ledger.reserve(charge(noised(1, 2, 86400.0), key="d", unit=INTERVAL, period=far))
    assert ledger.spent("city", INTERVAL, DELTA) == pytest.approx(epsilon(1), rel=1e-3)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from(["p", "q", "r", "s"]),
            st.sampled_from([1800, 3600, 86400]),
            st.integers(0, 6),
            st.sampled_from([DAY, USER, INTERVAL, IntervalUnit(2)]),
        ),
        min_size=1,
        max_size=7,
    )
)
def test_totals_follow_from_the_entries_however_names_turn_out(
    charge: Charges, asked: list[tuple[str, str, int, int, Any]]
) -> None:
    ledger = Ledger("sqlite://")
    for number, (name, alias, length, first, unit) in enumerate(asked):
        start = datetime(2024, 1, 1) + timedelta(days=first)
        period = Period(start, start + timedelta(days=3), timedelta(seconds=length))
        observed = 3 * 86400 // length
        if isinstance(unit, IntervalUnit):
            event = {
                "mechanism": "poisson-sampled windows",
                "rate": 0.1,
                "windows": 100,
                "batch": 10,
                "steps": 5,
                "hit": 8,
                "noise_multiplier": 60.0,
                "aside": None,
                "panel": {
                    "observed": observed,
                    "interval_seconds": float(length),
                    "regions": 2,
                    "regions_per_interval": 1,
                    "lags": 6,
                    "seasonal": [],
                    "horizon": 1,
                    "distance": 2,
                    "intervals_per_unit": None,
                    "enforced": False,
                },
            }
        else:
            event = noised(min(observed, {DAY: 48, USER: 999, INTERVAL: 1}[unit]), observed, length)
        ledger.reserve(
            charge(
                event,
                key=str(number),
                dataset=name,
                aliases=(alias,),
                unit=unit,
                fingerprint=f"{name}{alias}{number}",
                period=period,
            )
        )
    assert verify(ledger).holds
