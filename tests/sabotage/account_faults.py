"""Faults of what is charged to whom: names, units, clocks, borders, records that are coupled."""

from __future__ import annotations

from tests.sabotage.fault import Fault

DATASETS, SEEN = "tests/dp/ledger/test_datasets.py", "tests/dp/composition/test_unit_conversion.py"

ACCOUNTS = (
    Fault(
        "a data set known by its name alone",
        "dp/ledger/datasets.py",
        "for row in _by_name(session, charge.aliases):",
        "for row in _by_name(session, []):",
        (f"{DATASETS}::test_a_cap_by_one_name_holds_by_every_other",),
    ),
    Fault(
        "a file that has grown is another data set",
        "dp/ledger/datasets.py",
        "enough = min(_SHARED, len(charge.sketch))",
        "enough = 10**6",
        (f"{DATASETS}::test_a_changed_copy_is_the_same_data_set",),
    ),
    Fault(
        "linked accounts are charged one by one",
        "dp/ledger/datasets.py",
        "        row.family = oldest\n    session.flush()",
        "        pass",
        (f"{DATASETS}::test_two_accounts_that_turn_out_to_be_one_are_charged_together",),
    ),
    Fault(
        "caps are looked at only where a charge reaches",
        "dp/ledger/ledger.py",
        "family.grid, caps, everywhere=changed)",
        "family.grid, caps)",
        (f"{DATASETS}::test_accounts_that_would_pass_a_cap_together_are_refused_whole",),
    ),
    Fault(
        "two clocks in one account",
        "dp/ledger/datasets.py",
        "    _check_clock(session, before, after, charge)\n",
        "",
        (f"{DATASETS}::test_a_clock_that_changed_is_refused",),
    ),
    Fault(
        "periods by two clocks are parallel",
        "dp/composition/unit_conversion.py",
        "if unit is PrivacyUnit.USER or not grid.one_clock:",
        "if unit is PrivacyUnit.USER:",
        (f"{SEEN}::test_by_two_clocks_nothing_is_parallel",),
    ),
    Fault(
        "one interval is whatever a release says",
        "dp/composition/unit_conversion.py",
        "        if grid.uniform and grid.one_clock:\n            return unit.width",
        "        if True:\n            return unit.width",
        (f"{SEEN}::test_an_interval_is_as_long_as_the_longest_that_was_released",),
    ),
    Fault(
        "records that are let in for others are not charged",
        "dp/composition/unit_conversion.py",
        "return _Touch(width, most, most)",
        "return _Touch(width, most)",
        (f"{SEEN}::test_no_neighbour_changes_more_than_is_charged",),
    ),
    Fault(
        "an interval belongs to the day in which it starts",
        "dp/unit/privacy_unit.py",
        "first = step - 1 if offset is None else -(offset // _TICK) % step",
        "first = 0",
        ("tests/dp/unit/test_privacy_unit.py::test_touched_intervals_are_those_that_overlap",),
    ),
    Fault(
        "pairs of intervals never move together",
        "dp/composition/unit_conversion.py",
        "int(min(pairs, all_pairs)) ** 2",
        "int(min(pairs, all_pairs))",
        (f"{SEEN}::test_trainings_are_coupled_by_a_bound_as_well",),
    ),
    Fault(
        "an old ledger keeps its old totals",
        "dp/ledger/upgrade.py",
        "            accounts.rebuild(session, [account], family)\n",
        "",
        ("tests/dp/ledger/test_upgrade.py::test_no_line_is_lost_and_no_total_gets_lower",),
    ),
)
