"""Windows for training and for scoring, from one privatised panel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.clean import fill_gaps
from data.panel import Panel
from data.split import Split, split
from data.windows import Windows, WindowSpec, make
from flows.errors import UsageError
from flows.pipeline.privatise import Privatised
from flows.recipe.sections import WindowConfig

_SEASONS = {"seasonal": "7d", "seasonal_day": "1d"}
"""Baselines by name, with the season they repeat."""


@dataclass(frozen=True)
class Prepared:
    """Everything the models read.

    Attributes:
        split: training, validation and test windows, with inputs and targets as they may be used.
        learning: all windows before the test period, with targets as they may be used.
        truth: the test windows once more, with raw targets; for scoring only.
        raw: the panel as it came, with gaps; for a private training's account and for its charge.
        inputs: the panel that forecasts read, without gaps.
        spec: shape of the windows.
        calibration: length of the period for prediction intervals, in intervals; 0 for none.
        seasons: windows for the seasonal baselines, by baseline, with the truth as target.
    """

    split: Split
    learning: Windows
    truth: Windows
    raw: Panel
    inputs: Panel
    spec: WindowSpec
    calibration: int
    seasons: dict[str, Windows]


def prepare(
    privatised: Privatised, raw: Panel, config: WindowConfig, *, repair: bool = True
) -> Prepared:
    """Windows for training, validation, test and baselines.

    Args:
        privatised: what models may read and learn from, with gaps.
        raw: what test forecasts are scored against.
        config: lags and periods.
        repair: whether training windows may read repaired gaps; if not, they are left out.

    Raises:
        UsageError: a length is not a whole number of the panel's intervals, or makes no sense.
        DataError: the panel is too short.
    """
    try:
        spec = config.spec(raw)
        test = raw.steps(config.test)
        validation, calibration = (
            0 if length.startswith("0") else raw.steps(length)
            for length in (config.validation, config.calibration)
        )
    except ValueError as error:
        raise UsageError(f"recipe section [windows]: {error}") from None
    inputs = fill_gaps(privatised.inputs)  # for forecasts; after the noise, if there is any
    training = privatised.training
    # Repair before the noise would let an interval reach windows that the account does not count.
    read = fill_gaps(training) if repair else training
    windows = make(read, training, spec)
    usable = windows if repair else _untouched(windows)
    return Prepared(
        split=split(usable, test=test, validation=validation),
        learning=split(usable, test=test, validation=0).train,
        truth=_test_windows(inputs, raw, spec, test),
        raw=raw,
        inputs=inputs,
        spec=spec,
        calibration=calibration,
        seasons={
            name: _test_windows(inputs, raw, one, test)
            for name, one in _season_specs(raw, spec).items()
        },
    )


def _untouched(windows: Windows) -> Windows:
    """Windows that read no gap."""
    read = np.isfinite(windows.past).all(axis=(1, 2))
    return windows.take(np.asarray(read & np.isfinite(windows.seasonal).all(axis=(1, 2, 3))))


def _test_windows(inputs: Panel, raw: Panel, spec: WindowSpec, test: int) -> Windows:
    return split(make(inputs, raw, spec), test=test, validation=0).test


def _season_specs(panel: Panel, spec: WindowSpec) -> dict[str, WindowSpec]:
    """Specs with a single seasonal lag; a season that the panel's interval cannot have is left out."""
    specs = {}
    for name, season in _SEASONS.items():
        try:
            specs[name] = WindowSpec(1, (panel.steps(season),), spec.horizon)
        except ValueError:
            continue
    return specs
