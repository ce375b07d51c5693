"""Differential privacy: units, budgets, mechanisms, the ledger and the statement.

The public names are importable from here (`from dp import Budget, calibrate`). Each is imported on first
access, so that `import dp` is cheap; only `PrivateTraining` imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dp.accounting.gaussian import (
        discrete_delta,
        discrete_epsilon,
        discrete_sigma,
        gaussian_delta,
        gaussian_epsilon,
        gaussian_mu,
        zcdp_delta,
        zcdp_epsilon,
    )
    from dp.accounting.sliding_window import epsilon_of, naive_epsilon, noise_for
    from dp.budget import Budget, BudgetRefused
    from dp.composition.risk import trade_off
    from dp.composition.total import Total, total
    from dp.ledger import Account, Charge, Entry, Ledger, local_secret
    from dp.mechanisms.count_noise import CountNoise, calibrate
    from dp.mechanisms.window_sampling import WindowSampling
    from dp.private.training import PrivateTraining
    from dp.release.panel import Release, charge_for_counts, release_counts
    from dp.unit.contribution import ContributionBound, derive_bound
    from dp.unit.privacy_unit import IntervalUnit, PrivacyUnit, parse_unit
    from dp.unit.window_reach import WindowReach, affected_windows

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
    "affected_windows",
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
    "accounting.gaussian": "discrete_delta discrete_epsilon discrete_sigma gaussian_delta "
    "gaussian_epsilon gaussian_mu zcdp_delta zcdp_epsilon",
    "accounting.sliding_window": "epsilon_of naive_epsilon noise_for",
    "budget": "Budget BudgetRefused",
    "composition.risk": "trade_off",
    "composition.total": "Total total",
    "ledger": "Account Charge Entry Ledger local_secret",
    "mechanisms.count_noise": "CountNoise calibrate",
    "mechanisms.window_sampling": "WindowSampling",
    "private.training": "PrivateTraining",
    "release.panel": "Release charge_for_counts release_counts",
    "unit.contribution": "ContributionBound derive_bound",
    "unit.privacy_unit": "IntervalUnit PrivacyUnit parse_unit",
    "unit.window_reach": "WindowReach affected_windows",
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

if not TYPE_CHECKING:  # type checkers read the imports above, and report unknown names

    def __getattr__(name: str) -> object:
        """Import a public name on first access."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'dp' has no attribute {name!r}")
        value = getattr(import_module(f"dp.{_MODULE_OF[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """Return the public names, for completion."""
        return sorted({*globals(), *__all__})
