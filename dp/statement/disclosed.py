"""Unprotected quantities: what a release shows without noise."""

from __future__ import annotations

from dp.mechanisms.window_sampling import WindowSampling
from dp.unit.contribution import ContributionBound

SERIES = (
    "which intervals were observed and which are missing (outages), and the calendar of the series",
    "the names of the regions, and how many there are",
    "the start and the end of the series, the length of an interval, and how many intervals there are",
    "that this data set has an account in the ledger, and what was spent on it",
    "the recipe and the statement",
)
"""Unprotected quantities of every release."""

RAW_ERRORS = (
    "errors of the forecasts, which were measured on raw data and are published without noise "
    "(RMSE, MAE and what else is evaluated on the test period)"
)


def of_counts(bound: ContributionBound, *, raw_errors: bool) -> list[str]:
    """List the unprotected quantities of noised counts.

    Args:
        bound: what one unit can change.
        raw_errors: whether errors against raw counts were computed.
    """
    return [
        *SERIES,
        f"the declared or enforced bounds: K = {bound.intervals} intervals, M = {bound.regions} "
        f"regions, w_max = {bound.weight}",
        *([RAW_ERRORS] if raw_errors else []),
    ]


def of_training(sampling: WindowSampling) -> list[str]:
    """List the unprotected quantities of a private training."""
    return [
        *SERIES,
        f"the size of the training: {sampling.windows} windows, of which {sampling.batch} are expected "
        f"in a batch, and {sampling.steps} updates; it follows from the calendar and the recipe",
        f"the bound: one unit is taken to change at most {sampling.hit} windows",
        "the initial weights, which follow from the recipe's seed",
        RAW_ERRORS,
    ]


def of_raw_counts() -> list[str]:
    """List the unprotected quantities of a run without a guarantee."""
    return [
        "everything: weights, forecasts and errors were made from raw counts and carry no noise "
        "that could be relied on",
        *SERIES,
    ]
