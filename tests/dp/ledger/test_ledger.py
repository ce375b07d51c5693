"""The ledger on SQLite and on a real PostgreSQL: caps, states, units, periods, names, changes."""

import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from dp.accounting.gaussian import gaussian_epsilon
from dp.budget import Budget, BudgetRefused
from dp.composition.total import COUNTS, total
from dp.composition.unit_conversion import event_for_unit
from dp.errors import LedgerError
from dp.ledger import Charge, Ledger, verify
from dp.ledger.tables import LogRow
from dp.ledger.totals import largest
from dp.mechanisms.window_sampling import WindowSampling
from dp.unit.period import Period
from dp.unit.privacy_unit import IntervalUnit, PrivacyUnit
from dp.unit.time_grid import TimeGrid

Charges = Callable[..., Charge]
ROOT = Path(__file__).resolve().parents[3]
HALF_HOUR = timedelta(minutes=30)
USER, DAY, WEEK, INTERVAL = (
    PrivacyUnit.USER,
    PrivacyUnit.USER_DAY,
    PrivacyUnit.USER_WEEK,
    PrivacyUnit.USER_INTERVAL,
)


def noised(
    sigma: float = 60.0, intervals: int = 48, observed: int = 96, regions: int = 2
) -> dict[str, Any]:
    return {
        "mechanism": COUNTS,
        "sigma": sigma,
        "intervals": intervals,
        "regions": regions,
        "weight": 1,
        "panel": {"observed": observed, "interval_seconds": 1800.0, "regions": 2},
    }


def days(first: int, last: int) -> Period:
    """From the start of one day of January 2024 to the end of another."""
    return Period(datetime(2024, 1, first), datetime(2024, 1, last) + timedelta(days=1), HALF_HOUR)


def charged(ledger: Ledger, charge: Charge, **options: Any) -> int:
    entry = ledger.reserve(charge, **options)
    ledger.commit(entry)
    return entry.id


def test_an_entry_goes_its_way_and_no_other(url: str, charge: Charges) -> None:
    ledger = Ledger(url)
    entry = ledger.reserve(charge(noised()))
    assert ledger.reserve(charge(noised())) == entry  # one that died here goes on with it
    permit = ledger.commit(entry)
    with pytest.raises(LedgerError, match="is committed; only what is reserved can be voided"):
        ledger.void(entry)
    with pytest.raises(LedgerError, match="has this key already and is committed"):
        ledger.reserve(charge(noised()))
    with pytest.raises(LedgerError, match="no release key"):
        ledger.released("key")
    ledger.release(permit, b"noised counts")
    with pytest.raises(LedgerError, match="is released"):
        ledger.release(permit, b"other counts")
    assert ledger.released("key") == b"noised counts"
    assert [one.state for one in ledger.entries()] == ["released"]
    assert verify(ledger).holds


def test_what_is_voided_is_given_back(url: str, charge: Charges) -> None:
    ledger = Ledger(url)
    charged(ledger, charge(noised()))
    before = ledger.spent("city", DAY, 1e-7)
    entry = ledger.reserve(charge(noised(), key="second"))
    assert ledger.spent("city", DAY, 1e-7) > before
    ledger.void(entry)
    assert ledger.spent("city", DAY, 1e-7) == before
    assert [one.state for one in ledger.entries()] == ["committed", "voided"]
    assert verify(ledger).holds


def test_reserved_budget_counts(url: str, charge: Charges) -> None:
    ledger = Ledger(url)
    ledger.reserve(charge(noised()))
    cap = Budget(ledger.spent("city", DAY, 1e-7) * 1.1, 1e-7)
    with pytest.raises(BudgetRefused):
        ledger.reserve(charge(noised(), key="second"), cap=cap)
    assert len(ledger.entries()) == 1


def test_a_day_in_two_periods_pays_for_both_and_a_user_always(url: str, charge: Charges) -> None:
    ledger = Ledger(url)
    for number, period in enumerate((days(1, 2), days(3, 4), days(4, 5))):
        for unit, intervals in ((DAY, 48), (USER, 96)):
            event = noised(intervals=intervals)
            charged(ledger, charge(event, key=f"{number}{unit}", period=period, unit=unit))
    mu_day, mu_user = math.sqrt(96) / 60, math.sqrt(192) / 60
    twice = gaussian_epsilon(mu_day * math.sqrt(4), 1e-7)  # the fourth of January, two charges each
    assert ledger.spent("city", DAY, 1e-7) == pytest.approx(twice, rel=1e-3)
    sixfold = gaussian_epsilon(mu_user * math.sqrt(6), 1e-7)
    assert ledger.spent("city", USER, 1e-7) == pytest.approx(sixfold, rel=1e-3)
    assert verify(ledger).holds


def test_a_full_period_is_refused_and_another_one_is_not(url: str, charge: Charges) -> None:
    ledger = Ledger(url)
    charged(ledger, charge(noised(), period=days(1, 10)))
    ledger.set_cap("city", DAY, Budget(ledger.spent("city", DAY, 1e-7), 1e-7))
    with pytest.raises(BudgetRefused) as refused:
        ledger.reserve(charge(noised(), key="b", period=days(8, 20)))
    assert "2024-01-11 00:00:00 to 2024-01-21 00:00:00" in str(refused.value)
    charged(ledger, charge(noised(), key="c", period=days(11, 20)))
    assert verify(ledger).holds


@pytest.mark.parametrize(
    ("unit", "first", "second", "shared"),
    [
        (USER, days(1, 2), days(20, 21), True),
        (DAY, days(1, 2), days(3, 4), False),
        (
            DAY,
            Period(datetime(2024, 1, 1), datetime(2024, 1, 1, 12), HALF_HOUR),
            Period(datetime(2024, 1, 1, 12), datetime(2024, 1, 2), HALF_HOUR),
            True,
        ),
        (WEEK, days(1, 2), days(7, 7), True),  # Monday and Sunday of one week
        (WEEK, days(1, 7), days(8, 14), False),
        (
            INTERVAL,
            Period(datetime(2024, 1, 1), datetime(2024, 1, 1, 12), HALF_HOUR),
            Period(datetime(2024, 1, 1, 12), datetime(2024, 1, 2), HALF_HOUR),
            False,
        ),
        (IntervalUnit(1), days(1, 2), days(3, 4), False),
        (IntervalUnit(2), days(1, 2), days(3, 4), True),  # may straddle midnight
        (IntervalUnit(50), days(1, 2), days(4, 5), True),
        (IntervalUnit(49), days(1, 2), days(4, 5), False),
    ],
    ids=str,
)
def test_which_periods_share_a_unit(unit: Any, first: Period, second: Period, shared: bool) -> None:
    (a, b), (c, d) = first.unit_range(unit), second.unit_range(unit)
    assert (a < d and c < b) == shared


def test_the_cap_of_a_larger_unit_is_kept_too(url: str, charge: Charges) -> None:
    ledger = Ledger(url)
    ledger.set_cap("city", USER, Budget(1.0, 1e-7), new=True)
    weeks = charge(noised(sigma=100, observed=3456), unit=DAY)
    with pytest.raises(BudgetRefused) as refused:
        ledger.reserve(weeks)
    assert "unit user," in str(refused.value)
    assert refused.value.requested == pytest.approx(
        gaussian_epsilon(math.sqrt(6912) / 100, 1e-7), rel=1e-3
    )
    assert ledger.entries() == ()
    charged(ledger, charge(noised(sigma=800, observed=3456), unit=DAY))
    assert 0 < ledger.spent("city", USER, 1e-7) < 1
    # ... and no noise on counts keeps a promise to whole intervals
    assert ledger.spent("city", IntervalUnit(1), 1e-7) == math.inf


def test_an_account_opened_late_knows_what_was_before(url: str, charge: Charges) -> None:
    ledger = Ledger(url)
    charged(ledger, charge(noised(), unit=DAY))
    early = ledger.spent("city", USER, 1e-7)
    with pytest.raises(LedgerError, match="below that"):
        ledger.set_cap("city", USER, Budget(early * 0.99, 1e-7))
    assert ledger.set_cap("city", USER, Budget(early, 1e-7), because="agreed").cap
    assert ledger.spent("city", USER, 1e-7) == early
    assert verify(ledger).holds


def test_a_training_as_other_units_see_it(charge: Charges) -> None:
    run = WindowSampling(3114, 512, 300, 7, 30.0).event()
    run["panel"] = {
        "observed": 3120,
        "interval_seconds": 1800.0,
        "regions": 6,
        "regions_per_interval": 2,
        "lags": 6,
        "seasonal": [],
        "horizon": 1,
        "distance": 2,
    }
    asked = charge(run, unit=IntervalUnit(1))
    grid = TimeGrid().plus(asked.period, None)
    hits = [event_for_unit(unit, asked, grid) for unit in (INTERVAL, IntervalUnit(5), DAY, USER)]
    assert [one and one["hit"] for one in hits] == [7, 11, 54, 3114]
    run["aside"] = {"sigma": 50.0, "cells": 24}
    asked = charge(run, unit=IntervalUnit(2))
    cells = [event_for_unit(unit, asked, grid) for unit in (INTERVAL, IntervalUnit(1), DAY)]
    # 25 pairs of a day may all move from one cell of a histogram to the same other one
    assert [one and one["aside"]["cells"] for one in cells] == [8, 24, 4 * 2 * 25**2]


def test_a_copy_under_another_name_is_no_new_budget(url: str, charge: Charges) -> None:
    ledger = Ledger(url)
    charged(ledger, charge(noised(), dataset="city.csv", fingerprint="same"))
    entry = ledger.reserve(charge(noised(), key="b", dataset="copy.csv", fingerprint="same"))
    assert entry.dataset == "city.csv"
    assert {account.dataset for account in ledger.accounts()} == {"city.csv"}


def test_two_populations_under_one_name_are_refused(url: str, charge: Charges) -> None:
    ledger = Ledger(url)
    charged(ledger, charge(noised(), population="subscribers in Lyon"))
    with pytest.raises(LedgerError, match=r"Lyon.*Paris.*another name"):
        ledger.reserve(charge(noised(), key="b", population="subscribers in Paris"))
    charged(ledger, charge(noised(), key="c"))


def test_unknown_accounts_are_named(url: str, charge: Charges) -> None:
    ledger = Ledger(url)
    with pytest.raises(LedgerError, match="known: none yet"):
        ledger.set_cap("city", USER, Budget(1, 1e-7))
    charged(ledger, charge(noised()))
    with pytest.raises(LedgerError, match=r"'ctiy'; did you mean city\?"):
        ledger.set_cap("ctiy", USER, Budget(1, 1e-7))
    with pytest.raises(LedgerError, match="it has user-day"):
        ledger.account("city", WEEK)


def _spend(url: str, charge: Charge, process: int, count: int) -> None:
    ledger = Ledger(url)
    for number in range(count):
        try:
            charged(ledger, replace(charge, key=f"{process}-{number}"))
        except BudgetRefused:
            continue


# Forked from a process that has done nothing else: children run the exit handlers of whatever
# libraries their parent has used, and those of a cluster end them with exit code 1.
FIFTY = """
import multiprocessing, pickle, runpy, sys
spend = runpy.run_path(sys.argv[1])["_spend"]
charge, context = pickle.load(sys.stdin.buffer), multiprocessing.get_context("fork")
workers = [
    context.Process(target=spend, args=(sys.argv[2], charge, number, 20)) for number in range(50)
]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
sys.exit(sum(worker.exitcode != 0 for worker in workers))
"""


@pytest.mark.slow
def test_fifty_processes_never_pass_the_cap(url: str, charge: Charges) -> None:
    cap = Budget(gaussian_epsilon(math.sqrt(400 * 96) / 900, 1e-7), 1e-7)
    ledger = Ledger(url)
    ledger.set_cap("city", DAY, cap, new=True)
    ended = subprocess.run(
        [sys.executable, "-c", FIFTY, __file__, url],
        input=pickle.dumps(charge(noised(sigma=900.0))),
        cwd=ROOT,
        capture_output=True,
        timeout=400,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    entries = ledger.entries()
    (account,) = ledger.accounts()
    assert all(total.delta(cap.epsilon) <= cap.delta for total in ledger.worst(account))
    assert ledger.spent("city", DAY, cap.delta) <= cap.epsilon * (1 + 1e-12)
    assert len({entry.key for entry in entries}) == len(entries)
    # ... and not one charge fewer than fits
    with pytest.raises(BudgetRefused):
        ledger.reserve(charge(noised(sigma=900.0), key="one more"))
    assert 395 <= len(entries) <= 400
    assert verify(ledger).holds


COLUMNS = ("time", "kind", "account", "key", "fingerprint", "body", "previous", "hash", "entry")


@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_line_is_found(url: str, charge: Charges, column: str) -> None:
    ledger = Ledger(url)
    ledger.release(ledger.commit(ledger.reserve(charge(noised()))), b"counts")
    charged(ledger, charge(noised(), key="b"))
    assert verify(ledger).holds
    number = 3 if column == "entry" else 2
    with ledger.database.writing() as session:
        row = session.scalars(select(LogRow).where(LogRow.seq == number)).one()
        value = getattr(row, column)
        flipped = value + 1 if isinstance(value, int) else value[:-1] + chr(ord(value[-1]) ^ 1)
        setattr(row, column, flipped)
    verdict = verify(ledger)
    assert not verdict.holds
    assert verdict.broken[0][0] == number


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DELETE FROM ledger_log WHERE seq = 3", "line 3 is missing"),
        ("DELETE FROM ledger_log WHERE seq > 4", "totals do not follow"),
        ("DELETE FROM ledger_totals", "totals do not follow"),
        ("UPDATE ledger_accounts SET cap_epsilon = 99, cap_delta = 0.1", "not what the log says"),
        ("DELETE FROM ledger_releases", "no longer kept"),
        ("UPDATE ledger_releases SET content = :other", "not what was released"),
    ],
)
def test_whatever_else_is_changed_is_found(
    url: str, charge: Charges, change: str, said: str
) -> None:
    ledger = Ledger(url)
    ledger.release(ledger.commit(ledger.reserve(charge(noised()))), b"counts")
    charged(ledger, charge(noised(), key="b"))
    head = ledger.head()
    with ledger.database.writing() as session:
        session.execute(text(change), {"other": b"0"} if ":other" in change else {})
    found = verify(ledger)
    assert any(said in what for _, what in found.broken), found
    if "seq > 4" in change:
        assert any("noted" in what for _, what in verify(ledger, head).broken)


@given(st.lists(st.lists(st.floats(2.1, 90), min_size=1, max_size=4), min_size=2, max_size=8))
@settings(max_examples=60, deadline=None)
def test_no_total_that_binds_is_left_out(sigmas: list[list[float]]) -> None:
    found = [total([noised(sigma, 1, regions=1) for sigma in some]) for some in sigmas]
    kept = largest(found)
    for delta in (1e-3, 1e-7):
        assert max(one.epsilon(delta) for one in kept) == max(one.epsilon(delta) for one in found)


def test_a_larger_rho_may_go_with_a_smaller_mu() -> None:
    less_noise = total([noised(2.2, 1, regions=1), noised(2.3, 1, regions=1)])
    more_noise = total([noised(50.0, 600, regions=1), noised(51.0, 600, regions=1)])
    assert more_noise.rho > less_noise.rho
    assert more_noise.mu2 < less_noise.mu2
    assert largest([more_noise, less_noise]) == {more_noise, less_noise}


@given(
    st.lists(
        st.tuples(st.integers(1, 20), st.integers(0, 8), st.sampled_from([DAY, USER, WEEK])),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=15, deadline=None)
def test_totals_kept_charge_by_charge_are_those_from_nothing(
    charge: Charges, spans: list[tuple[int, int, PrivacyUnit]]
) -> None:
    ledger = Ledger("sqlite://")
    for number, (first, length, unit) in enumerate(spans):
        period = days(first, first + length)
        charged(ledger, charge(noised(), key=str(number), period=period, unit=unit))
    assert verify(ledger).holds
