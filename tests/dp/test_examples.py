"""The examples in the docstrings of `dp`."""

import doctest
import importlib
import pkgutil

import dp

MODULES = [
    module.name
    for module in pkgutil.walk_packages(dp.__path__, "dp.")
    if ".migrations" not in module.name  # Alembic runs them
]


def test_examples_in_docstrings_hold() -> None:
    results = [doctest.testmod(importlib.import_module(name)) for name in ["dp", *MODULES]]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) >= 12


def test_functions_that_calculate_have_an_example() -> None:
    names = (
        *("gaussian_epsilon", "gaussian_mu", "zcdp_epsilon", "discrete_epsilon", "discrete_sigma"),
        *("epsilon_of", "naive_epsilon", "parse_unit", "derive_bound", "affected_windows"),
        *("ContributionBound", "WindowSampling", "Budget", "calibrate", "total", "trade_off"),
    )
    for name in names:
        assert ">>> " in (getattr(dp, name).__doc__ or ""), name
