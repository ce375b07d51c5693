"""Windows for training and for scoring, from one privatised panel."""

from __future__ import annotations

from dataclasses import dataclass

from data.clean import fill_gaps
from data.panel import Panel
from data.split import Split, split
from data.windows import Windows, WindowSpec, make
from flows.errors import UsageError
from flows.recipe import WindowConfig

_SEASONS = {"seasonal": "7d", "seasonal_day": "1d"}
"""Baselines by name, with the season they repeat."""


@dataclass(frozen=True)
class Prepared:
    """Everything the models read.

    Attributes:
        split: training, validation and test windows; inputs and targets are privatised.
        truth: the test windows once more, with raw targets; for scoring only.
        inputs: the privatised panel without gaps, to forecast from after its end.
        spec: shape of the windows.
        seasons: windows for the seasonal baselines, by baseline, with the truth as target.
    """

    split: Split
    truth: Windows
    inputs: Panel
    spec: WindowSpec
    seasons: dict[str, Windows]


def prepare(privatised: Panel, raw: Panel, config: WindowConfig) -> Prepared:
    """Windows for training, validation, test and baselines.

    Args:
        privatised: what models may read and learn from, with gaps.
        raw: what test forecasts are scored against.
        config: lags and periods.

    Raises:
        UsageError: a length is not a whole number of the panel's intervals, or makes no sense.
        DataError: the panel is too short.
    """
    try:
        spec = config.spec(raw)
        test = raw.steps(config.test)
        validation = 0 if config.validation.startswith("0") else raw.steps(config.validation)
    except ValueError as error:
        raise UsageError(f"recipe section [windows]: {error}") from None
    inputs = fill_gaps(privatised)  # after the noise: repair is free, and sees nothing raw
    parts = split(make(inputs, privatised, spec), test=test, validation=validation)
    return Prepared(
        split=parts,
        truth=_test_windows(inputs, raw, spec, test),
        inputs=inputs,
        spec=spec,
        seasons={
            name: _test_windows(inputs, raw, one, test)
            for name, one in _season_specs(raw, spec).items()
        },
    )


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
