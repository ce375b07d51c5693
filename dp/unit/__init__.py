"""Privacy units: whom a guarantee protects, and how much of the data one of them can change."""

from dp.unit.contribution import ContributionBound, derive_bound, enforced_bound
from dp.unit.contribution_set import ContributionSet
from dp.unit.period import Period
from dp.unit.privacy_unit import IntervalUnit, PrivacyUnit, Unit, parse_unit
from dp.unit.time_grid import TimeGrid
from dp.unit.window_reach import WindowReach, affected_windows

__all__ = [
    "ContributionBound",
    "ContributionSet",
    "IntervalUnit",
    "Period",
    "PrivacyUnit",
    "TimeGrid",
    "Unit",
    "WindowReach",
    "affected_windows",
    "derive_bound",
    "enforced_bound",
    "parse_unit",
]
