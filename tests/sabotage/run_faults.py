"""Faults of runs: whether they are bounded, whole, filtered before the noise, and accounted for."""

from __future__ import annotations

from tests.sabotage.fault import Fault

COUNTED, NOISE = "tests/data/events/test_runs.py", "tests/dp/mechanisms/test_run_noise.py"
COST, UNITS = "tests/dp/accounting/test_run_cost.py", "tests/dp/composition/test_runs_of_units.py"

RUNS = (
    Fault(
        "runs of a day are not bounded",
        "data/events/counting.py",
        "    if bound.cuts_runs:\n        cells = cap_runs(",
        "    if False:\n        cells = cap_runs(",
        (f"{COUNTED}::test_one_unit_adds_few_runs_and_nothing_else",),
    ),
    Fault(
        "as many intervals as runs have",
        "data/events/runs.py",
        '    return cells.filter(cells["last"] < bound.intervals)\n',
        "    return cells\n",
        (f"{COUNTED}::test_one_unit_adds_few_runs_and_nothing_else",),
    ),
    Fault(
        "runs that go on past midnight",
        "data/events/runs.py",
        "_DAY = 24 * 3600\n",
        "_DAY = 7 * 24 * 3600\n",
        (f"{COUNTED}::test_one_unit_adds_few_runs_and_nothing_else",),
    ),
    Fault(
        "a filter for which runs add to each other's cost",
        "dp/accounting/run_cost.py",
        "    if any(product > 0 for product in products[1:]):\n",
        "    if False:\n",
        (f"{COST}::test_filters_for_which_runs_do_not_add_up_are_refused",),
    ),
    Fault(
        "runs of one region cost as if they were one",
        "dp/accounting/run_cost.py",
        "    return sum(run_cost(taps, length) for length in unit.lengths)\n",
        "    return run_cost(taps, sum(unit.lengths))\n",
        (f"{COST}::test_nothing_that_a_person_can_do_costs_more",),
    ),
    Fault(
        "counts noised before they are filtered",
        "dp/mechanisms/run_noise.py",
        "discrete_gaussian(filtered(within_range(whole), self.taps), self.sigma * self.grid)",
        "filtered(discrete_gaussian(whole, self.sigma), self.taps)",
        (f"{NOISE}::test_the_noise_is_white_once_filtered_and_has_the_stated_deviations",),
    ),
    Fault(
        "one interval charged as if no other run came in its place",
        "dp/composition/unit_conversion.py",
        "        coupled = unit is PrivacyUnit.USER_INTERVAL\n",
        '        coupled, part = False, {"runs": 1, "intervals": 1}\n',
        (f"{UNITS}::test_no_unit_costs_more_than_it_is_charged",),
    ),
)
