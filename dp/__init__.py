"""Privatise and account: units, budgets, mechanisms, the ledger, the statement.

What one asks for in a notebook is here under its own name (`from dp import Budget, calibrate`). Each
name is imported when it is first asked for, so that `import dp` costs nothing and waits for no torch;
that of `PrivateTraining` alone needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dp.accounting import (
        discrete_delta,
        discrete_epsilon,
        discrete_sigma,
        gaussian_delta,
        gaussian_epsilon,
        gaussian_mu,
        zcdp_delta,
        zcdp_epsilon,
    )
    from dp.budget import Budget, BudgetRefused
    from dp.composition import Total, total
    from dp.ledger import Account, Charge, Entry, Ledger, local_secret
    from dp.mechanisms import CountNoise, calibrate
    from dp.private import PrivateTraining
    from dp.reach import WindowReach, hit_windows
    from dp.release import Release, charge_for_counts, release_counts
    from dp.risk import trade_off
    from dp.sampling import WindowSampling
    from dp.unit import ContributionBound, IntervalUnit, PrivacyUnit, derive_bound, parse_unit
    from dp.windowed import epsilon_of, naive_epsilon, noise_for

__all__ = [
    "Account",
    "Budget",
    "BudgetRefused",
    "Charge",
    "ContributionBound",
    "CountNoise",
    "Entry",
    "IntervalUnit",
    "Ledger",
    "PrivacyUnit",
    "PrivateTraining",
    "Release",
    "Total",
    "WindowReach",
    "WindowSampling",
    "calibrate",
    "charge_for_counts",
    "derive_bound",
    "discrete_delta",
    "discrete_epsilon",
    "discrete_sigma",
    "epsilon_of",
    "gaussian_delta",
    "gaussian_epsilon",
    "gaussian_mu",
    "hit_windows",
    "local_secret",
    "naive_epsilon",
    "noise_for",
    "parse_unit",
    "release_counts",
    "total",
    "trade_off",
    "zcdp_delta",
    "zcdp_epsilon",
]

_HOMES = {
    "accounting": "discrete_delta discrete_epsilon discrete_sigma gaussian_delta gaussian_epsilon "
    "gaussian_mu zcdp_delta zcdp_epsilon",
    "budget": "Budget BudgetRefused",
    "composition": "Total total",
    "ledger": "Account Charge Entry Ledger local_secret",
    "mechanisms": "CountNoise calibrate",
    "private": "PrivateTraining",
    "reach": "WindowReach hit_windows",
    "release": "Release charge_for_counts release_counts",
    "risk": "trade_off",
    "sampling": "WindowSampling",
    "unit": "ContributionBound IntervalUnit PrivacyUnit derive_bound parse_unit",
    "windowed": "epsilon_of naive_epsilon noise_for",
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

if not TYPE_CHECKING:  # a checker reads the imports above, and tells of names that there are not

    def __getattr__(name: str) -> object:
        """Import a public name when it is first asked for."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'dp' has no attribute {name!r}")
        found = getattr(import_module(f"dp.{_MODULE_OF[name]}"), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        """Public names, for completion."""
        return sorted({*globals(), *__all__})
