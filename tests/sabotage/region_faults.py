"""Faults of the bound on a unit's regions: whether it is applied, in which order, what it costs."""

from __future__ import annotations

from tests.sabotage.fault import Fault

EVER = "tests/data/events/test_regions_ever.py"
COUNTING, BOUND = "tests/data/events/test_counting.py", "tests/data/test_bound.py"
CHOSEN = "tests/dp/composition/test_chosen_regions.py"
_FILE = "data/events/counting.py"
_ORDER = (
    '    order = keyed_order(secret, "ever", cells.person, *where, cells.region, written=written)\n'
)

REGIONS = (
    Fault(
        "regions of a unit are not bounded",
        _FILE,
        "    if bound.cuts_regions:\n",
        "    if False:\n",
        (f"{EVER}::test_one_unit_adds_counts_in_at_most_g_regions",),
        quick=True,
    ),
    Fault(
        "regions kept by how often a person is there",
        _FILE,
        _ORDER,
        '    often = ibis.window(group_by=[*within, "region"])\n'
        "    order = -cells.region.count().over(often)\n",
        (f"{EVER}::test_every_region_is_as_likely_to_be_kept",),
    ),
    Fault(
        "regions kept by how many persons are there",
        _FILE,
        _ORDER,
        '    order = -cells.region.count().over(ibis.window(group_by="region"))\n',
        (f"{EVER}::test_one_unit_adds_counts_in_at_most_g_regions",),
    ),
    Fault(
        "regions bounded within an interval and not within a unit",
        _FILE,
        "    kept = _first(cells, most, within=within, order=order",
        '    kept = _first(cells, most, within=[*within, "interval"], order=order',
        (f"{EVER}::test_one_unit_adds_counts_in_at_most_g_regions",),
    ),
    Fault(
        "regions of a day chosen for the whole panel",
        _FILE,
        "    where = [cells[name] for name in within[1:]]\n",
        "    where: list[Expression] = []\n",
        (f"{EVER}::test_days_choose_their_regions_on_their_own",),
    ),
    Fault(
        "more regions than there are let through",
        "data/bound.py",
        "    if regions is not None and regions_ever > regions:\n",
        "    if False:\n",
        (f"{BOUND}::test_a_number_of_regions_that_does_not_fit_is_refused",),
    ),
    Fault(
        "regions of a unit that do not fit are charged",
        "data/validate.py",
        "    _check_declared(table)\n",
        "",
        ("tests/flows/pipeline/test_events.py::test_more_regions_than_there_are_charge_nothing",),
    ),
    Fault(
        "regions of persons bounded for interval-w",
        "flows/recipe/recipe.py",
        "if ever is not None and isinstance(parse_unit(unit), IntervalUnit):",
        "if False:",
        ("tests/flows/pipeline/test_interval_units.py::test_a_cut_over_regions_is_refused",),
    ),
    Fault(
        "records that move to another region are not charged",
        "dp/composition/unit_conversion.py",
        '    return most is not None and most < panel["regions"]\n',
        "    return False\n",
        (f"{CHOSEN}::test_no_neighbour_changes_more_than_is_charged",),
        quick=True,
    ),
    Fault(
        "regions read off private events for a plan",
        "flows/planning/region_bound.py",
        '    if source.partition(":")[0] != "synthetic":\n',
        "    if False:\n",
        (
            "tests/flows/planning/test_region_bound.py::"
            "test_private_events_are_not_read_without_a_charge",
        ),
    ),
    Fault(
        "two histograms at the noise of one",
        "flows/planning/histograms.py",
        "axis=1), 2 * _MOVED",
        "axis=1), _MOVED",
        (
            "tests/flows/planning/test_region_bound.py::"
            "test_regions_are_paid_for_where_they_are_asked_for",
        ),
    ),
    Fault(
        "remainders of SQLite rounded",
        "data/events/connect.py",
        "            exact_remainders(connection)\n",
        "",
        (f"{EVER}::test_a_file_of_sqlite_is_counted_as_any_other",),
    ),
)
