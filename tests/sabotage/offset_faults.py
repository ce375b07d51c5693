"""Faults of shared offsets: what is drawn, what it costs, and whom."""

from __future__ import annotations

from tests.sabotage.fault import Fault

NOISE = "tests/dp/mechanisms/test_offset_noise.py"
WORST, NESTED = "tests/dp/accounting/test_worst_case.py", "tests/dp/accounting/test_nested.py"
UNITS = "tests/dp/composition/test_offsets_of_units.py"
_DRAW, _COST = "dp/mechanisms/offset_noise.py", "dp/accounting/shared_offset.py"
_CONVERSION = "dp/composition/unit_conversion.py"

OFFSETS = (
    Fault(
        "no offset is drawn",
        _DRAW,
        "(noise + offsets[members])",
        "(noise + 0 * offsets[members])",
        (f"{NOISE}::test_counts_of_a_group_share_an_offset_and_others_do_not",),
        quick=True,
    ),
    Fault(
        "all regions share one offset",
        _DRAW,
        "(noise + offsets[members])",
        "(noise + offsets[members][:, :1])",
        (f"{NOISE}::test_counts_of_a_group_share_an_offset_and_others_do_not",),
    ),
    Fault(
        "all groups share one offset",
        _DRAW,
        "(noise + offsets[members])",
        "(noise + offsets[0 * members])",
        (f"{NOISE}::test_counts_of_a_group_share_an_offset_and_others_do_not",),
    ),
    Fault(
        "groups larger than they were accounted for",
        _DRAW,
        "sizes.max(initial=0) > self.cells",
        "sizes.max(initial=0) < 0",
        (f"{NOISE}::test_counts_that_were_not_accounted_for_are_not_noised",),
    ),
    Fault(
        "cost at a shift that is not on the grid",
        _COST,
        "min(line(math.floor(best) / self.grid), line(math.ceil(best) / self.grid))",
        "line(best / self.grid)",
        (f"{WORST}::test_no_change_of_a_tiny_panel_costs_more_and_one_costs_as_much",),
    ),
    Fault(
        "cost of somebody who is always there",
        "dp/accounting/worst_case.py",
        "    most = cost.peak(min(bound.intervals, cost.cells))\n",
        "    most = min(bound.intervals, cost.cells)\n",
        (f"{WORST}::test_no_change_of_a_tiny_panel_costs_more_and_one_costs_as_much",),
        quick=True,
    ),
    Fault(
        "prices of nested regions without those of the best set",
        "dp/accounting/nested.py",
        "best = min(best, worth / held + float(number @ rest))",
        "best = min(best, float(number @ rest))",
        (f"{NESTED}::test_the_dual_bound_is_the_largest_cost",),
    ),
    Fault(
        "a design that does not keep its budget",
        _DRAW,
        "        if reached > self.budget.delta:\n",
        "        if False:\n",
        (f"{NOISE}::test_refusals",),
    ),
    Fault(
        "shorter units pay what the protected one pays for as many counts",
        _CONVERSION,
        '    costs = [{**_counts(unit, charge, grid), "apart": True}]\n',
        "    return charge.event\n    costs: list[Event] = []\n",
        (f"{UNITS}::test_a_longer_unit_pays_for_each_of_its_groups",),
    ),
    Fault(
        "a longer unit pays for one group",
        _CONVERSION,
        '        costs.append({**charge.event, "groups": _groups(unit, charge, grid)})\n',
        '        costs.append({**charge.event, "groups": 1})\n',
        (f"{UNITS}::test_no_unit_costs_more_than_it_is_charged",),
    ),
    Fault(
        "offsets are relied on by another clock",
        _CONVERSION,
        "    if _same(unit, charge, grid):\n        return charge.event\n    costs",
        "    if unit == charge.unit:\n        return charge.event\n    costs",
        (f"{UNITS}::test_by_another_clock_offsets_are_not_relied_on",),
    ),
)
