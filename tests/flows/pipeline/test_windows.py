import numpy as np
import pandas as pd
import pytest

from data.panel import Panel
from flows.errors import UsageError
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.privatise import Privatised
from flows.pipeline.windows import prepare
from flows.recipe.recipe import from_dict
from flows.recipe.sections import WindowConfig

CONFIG = WindowConfig(lags=4, seasonal=("1d",), test="7d", validation="7d")


def raw() -> Panel:
    times = pd.date_range("2024-01-01", periods=4 * 42, freq="6h", name="time")
    rng = np.random.default_rng(0)
    counts = pd.DataFrame(rng.integers(0, 50, (len(times), 2)).astype(float), times, ["a", "b"])
    counts.iloc[30] = np.nan
    return Panel(counts, "mine")


def used(inputs: Panel, training: Panel | None = None) -> Privatised:
    return Privatised(inputs, training or inputs, Guarantee())


def test_models_read_and_learn_from_the_release_alone() -> None:
    """Raw counts are below 50, released ones above 900: nothing a model gets is below 900."""
    released = raw().with_values(raw().values + 950)
    prepared = prepare(used(released), raw(), CONFIG)
    for windows in (prepared.split.train, prepared.split.validation, prepared.split.test):
        for values in (windows.past, windows.seasonal, windows.target):
            assert values.min() > 900
    assert prepared.inputs.values.min() > 900
    assert prepared.truth.past.min() > 900
    assert prepared.truth.seasonal.min() > 900
    for windows in prepared.seasons.values():
        assert windows.past.min() > 900
        assert windows.seasonal.min() > 900


def test_scores_are_against_raw_counts_of_the_test_period() -> None:
    released = raw().with_values(raw().values + 950)
    prepared = prepare(used(released), raw(), CONFIG)
    assert np.array_equal(prepared.truth.target[:, 0], raw().values[-28:])
    for windows in prepared.seasons.values():
        assert np.array_equal(windows.target, prepared.truth.target)


def test_a_length_that_fits_no_interval_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="1h is not a whole number"):
        prepare(used(raw()), raw(), WindowConfig(seasonal=("1h",)))
    for name in ("test", "validation", "calibration"):
        with pytest.raises(UsageError, match=r"windows: 'soon' is not a length of time"):
            from_dict({"windows": {name: "soon"}})


def test_without_repair_no_training_window_reads_or_forecasts_a_gap() -> None:
    """One observed count must not reach windows that the account does not count."""
    repaired = prepare(used(raw()), raw(), CONFIG)
    untouched = prepare(used(raw()), raw(), CONFIG, repair=False)
    gap = raw().times[30]
    left_out = {gap + step * raw().interval for step in (1, 2, 3, 4)}  # lags 1 to 4; 4 is a day
    assert set(repaired.split.train.times) - set(untouched.split.train.times) == left_out
    assert np.isfinite(untouched.split.train.past).all()
    assert len(untouched.truth) == len(repaired.truth)


def test_forecasts_read_the_release_and_training_reads_what_it_protects() -> None:
    released = raw().with_values(raw().values + 950)
    prepared = prepare(used(released, training=raw()), raw(), CONFIG, repair=False)
    assert prepared.split.train.past.max() < 50
    assert prepared.truth.past.min() > 900
    assert prepared.inputs.values.min() > 900
    assert prepared.truth.target.max() < 50
