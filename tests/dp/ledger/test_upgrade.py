"""A ledger from before data sets had more than one name: opened, nothing is lost and nothing cheaper.

`ledger_0001.json` was written by veilcast 0.1.0: a copied file, a bound that was enforced for the whole
panel, one interval at two lengths, two clocks, days from four o'clock, and a training with its scale.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from dp.budget import Budget, BudgetRefused
from dp.composition.total import Total, largest_epsilon
from dp.errors import LedgerError
from dp.ledger import Charge, Ledger, database, datasets, verify
from dp.unit.period import Period
from dp.unit.privacy_unit import PrivacyUnit

OLD: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parent / "ledger_0001.json").read_text()
)
DELTA = 1e-7
HALF_HOUR = timedelta(minutes=30)


@pytest.fixture
def old(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The old ledger in a database of each kind."""
    with monkeypatch.context() as before:
        before.setattr(database, "SCHEMA", "0001")
        made = database.Database(url)
    with made.writing() as session:
        for table, rows in OLD.items():
            if table == "ledger_version":
                continue
            for row in rows:
                values = {**row, "content": row["content"].encode()} if "content" in row else row
                names = ", ".join(f'"{name}"' for name in values)
                given = ", ".join(f":{name}" for name in values)
                session.execute(text(f"INSERT INTO {table} ({names}) VALUES ({given})"), values)
    return url


def test_no_line_is_lost_and_no_total_gets_lower(old: str) -> None:
    before: dict[int, list[Total]] = {}
    for row in OLD["ledger_totals"]:
        before.setdefault(row["account"], []).append(Total.from_json(row["total"]))
    ledger = Ledger(old)
    assert verify(ledger, head=OLD["ledger_log"][-1]["hash"]).holds
    assert len(ledger.entries()) == sum(row["kind"] == "reserved" for row in OLD["ledger_log"])
    for row in OLD["ledger_releases"]:
        (key,) = [line["key"] for line in OLD["ledger_log"] if line["seq"] == row["entry"]]
        assert ledger.released(key) == row["content"].encode()
    accounts = {account.id: account for account in ledger.accounts()}
    assert len(accounts) == len(OLD["ledger_accounts"])
    told, now = {}, {}
    for row in OLD["ledger_accounts"]:
        account = accounts[row["id"]]
        assert (account.dataset, account.unit.value) == (row["dataset"], row["unit"])
        cap = None if row["cap_epsilon"] is None else Budget(row["cap_epsilon"], row["cap_delta"])
        assert account.cap == cap
        name = account.dataset, account.unit.value
        told[name] = largest_epsilon(before[account.id], DELTA)
        now[name] = largest_epsilon(ledger.worst(account), DELTA)
        assert now[name] >= told[name]
    dearer = {name for name in now if now[name] > told[name] * 1.01}
    assert dearer == {
        ("events.parquet", "user-day"),  # K was enforced for the whole panel
        ("counters.csv", "user-interval"),  # a day is as much an interval as half an hour
        ("trips.csv", "user-day"),  # by two clocks
        ("late.csv", "user-day"),  # two days of the calendar in one
        ("walks.csv", "user-day"),  # pairs that move together
    }


def charge(dataset: str, key: str, **more: Any) -> Charge:
    event = {
        "mechanism": "discrete-gaussian",
        "sigma": 120.0,
        "intervals": 48,
        "regions": 1,
        "weight": 1,
        "panel": {
            "observed": 1344,
            "interval_seconds": 1800.0,
            "regions": 3,
            "intervals_per_unit": None,
            "enforced": False,
        },
    }
    start = more.pop("start", datetime(2024, 1, 1))
    values = {
        "fingerprint": (key * 32)[:64],
        "period": Period(start, start + timedelta(days=28), HALF_HOUR),
        "unit": PrivacyUnit.USER_DAY,
        "epsilon": 0.5,
        "delta": DELTA,
        "purpose": "panel",
        **more,
    }
    return Charge(key=key, dataset=dataset, event=event, **values)


def test_old_accounts_are_found_under_resolved_names(old: str) -> None:
    ledger = Ledger(old)
    entry = ledger.reserve(
        charge("/data/counts.csv", "a1", aliases=("file:/data/counts.csv",))
    )  # the same file, which has grown
    assert entry.dataset == "counts.csv"
    assert ledger.reserve(charge("copy.csv", "a2")).dataset == "counts.csv"  # once known as a copy
    assert ledger.reserve(charge("other.csv", "a3", aliases=("file:/data/other.csv",))).dataset == (
        "other.csv"
    )
    assert verify(ledger).holds


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("../flows.csv", "file:/data/flows.csv"),
        ("x/../y//flows.csv", "file:/data/y/flows.csv"),
        ("~/flows.csv", "file:/home/me/flows.csv"),
        ("postgresql://h:5432/db#flows", "postgresql://h/db#public.flows"),
        ("mysql://h/db#Flows", "mysql://h/db#flows"),
    ],
)
def test_old_names_are_found_however_they_were_typed(old: str, before: str, now: str) -> None:
    with database.Database(old).writing() as session:
        session.execute(
            text("UPDATE ledger_datasets SET name = :name WHERE name = 'late.csv'"),
            {"name": before},
        )
    for named, found in ((now, before), (now.replace("flows", "cities"), "another")):
        with database.Database(old).reading() as session:
            family = datasets.find(session, "another", (named,))
            assert (family is not None and family.names == (before,)) == (found == before)


def test_an_old_cap_still_binds(old: str) -> None:
    ledger = Ledger(old)

    def spend() -> None:
        for number in range(200):
            name = f"/somewhere/{number}/counts.csv"
            ledger.reserve(charge(name, f"b{number}", aliases=(f"file:{name}",)))

    with pytest.raises(BudgetRefused, match="user-day"):
        spend()
    assert ledger.spent("counts.csv", PrivacyUnit.USER_DAY, DELTA) <= 2.0


def test_the_clock_of_before_stays_the_clock(old: str) -> None:
    ledger = Ledger(old)
    # nobody wrote down by which clock; the next release says it, and then it is that one
    ledger.reserve(charge("counts.csv", "c1", timezone="UTC"))
    with pytest.raises(LedgerError, match=r"clock of UTC, this panel .* Europe/Paris.*nothing was"):
        ledger.reserve(charge("counts.csv", "c2", timezone="Europe/Paris"))
    with pytest.raises(LedgerError, match=r"clock of UTC or the source .* Asia/Tokyo"):
        ledger.reserve(charge("late.csv", "c4", timezone="Asia/Tokyo"))
    before = ledger.spent("trips.csv", PrivacyUnit.USER_DAY, DELTA)
    ledger.reserve(charge("trips.csv", "c3", timezone="Asia/Tokyo", start=datetime(2025, 1, 1)))
    assert ledger.spent("trips.csv", PrivacyUnit.USER_DAY, DELTA) > before  # nothing is parallel
    assert verify(ledger).holds
