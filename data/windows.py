"""Windows: training examples of short lags, seasonal lags, calendar and target."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from data.calendar import features
from data.errors import DataError
from data.panel import Panel

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class WindowSpec:
    """The intervals that a forecast may read.

    Attributes:
        lags: L, how many of the latest intervals are read one by one.
        seasonal: offsets back from each target interval (say one day and one week).
        horizon: H, how many intervals ahead are forecast.
        seasonal_context: A, how many intervals just before each seasonal lag are read as well: they
            show how the latest values differ from those of a day or a week ago.
        seasons: over how many past seasons the seasonal change is averaged; 0 for none.
    """

    lags: int
    seasonal: tuple[int, ...] = ()
    horizon: int = 1
    seasonal_context: int = 0
    seasons: int = 0

    def __post_init__(self) -> None:
        if self.seasonal_context < 0 or self.seasons < 0:
            raise ValueError(
                f"seasonal_context={self.seasonal_context} (windows.around of a recipe) and "
                f"seasons={self.seasons} must be 0 or more"
            )
        if self.lags < 1 or self.horizon < 1:
            raise ValueError(
                f"lags and horizon must be at least 1, got {self.lags} and {self.horizon}"
            )
        short = [offset for offset in self.seasonal if offset < self.horizon]
        if short:
            raise ValueError(
                f"seasonal lag {short[0]} is shorter than the horizon {self.horizon}: "
                "it would look at the target"
            )

    @property
    def reach(self) -> int:
        """Number of intervals before the first target that a window reads."""
        context = max(self.seasonal_context, 1 if self.seasons else 0)
        return max(self.lags, *(offset + context for offset in self.seasonal), 1)


@dataclass(frozen=True)
class Windows:
    """N windows; arrays may be views of one panel and must not be written to.

    Attributes:
        past: latest values, oldest first, [N, L, R].
        past_calendar: calendar of those intervals, [N, L, C].
        seasonal: values S offsets before each target interval, [N, S, H, R].
        seasonal_context: values just before the first of those, oldest first, [N, S, A, R].
        seasonal_change: change from the latest value to each target in past seasons, averaged over as
            many of them as there are, [N, U, H, R]; U is S, or 0 without `seasons`.
        calendar: calendar of the target intervals, [N, H, C].
        target: values to forecast, [N, H, R]; NaN where the interval was not observed.
        times: start of the first target interval, [N].
        interval: length of one interval.
        regions: names of the regions, [R].
    """

    past: Floats
    past_calendar: NDArray[np.float32]
    seasonal: Floats
    seasonal_context: Floats
    seasonal_change: Floats
    calendar: NDArray[np.float32]
    target: Floats
    times: pd.DatetimeIndex
    interval: pd.Timedelta
    regions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.times)

    @property
    def ends(self) -> pd.DatetimeIndex:
        """When the last target interval ends, [N]."""
        return pd.DatetimeIndex(self.times + self.target.shape[1] * self.interval)

    @property
    def last(self) -> Floats:
        """The latest value before the target, [N, R]."""
        return self.past[:, -1]

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Windows whose whole target was observed, [N]."""
        return np.asarray(~np.isnan(self.target).any(axis=(1, 2)))

    def take(self, keep: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Windows:
        """Return the chosen windows only."""
        return replace(
            self,
            past=self.past[keep],
            past_calendar=self.past_calendar[keep],
            seasonal=self.seasonal[keep],
            seasonal_context=self.seasonal_context[keep],
            seasonal_change=self.seasonal_change[keep],
            calendar=self.calendar[keep],
            target=self.target[keep],
            times=self.times[keep],
        )


def make(inputs: Panel, target: Panel, spec: WindowSpec) -> Windows:
    """Return every window of a panel, in the order of time.

    Args:
        inputs: counts that the model may read, without gaps (filled after the noise).
        target: counts to forecast, on the same index; gaps stay NaN and are never scored.
        spec: lags, seasonal lags and horizon.

    Raises:
        DataError: the panel is too short for one window.
    """
    if inputs.regions != target.regions or not inputs.times.equals(target.times):
        raise ValueError("inputs and target must have the same regions and intervals")
    first, last = spec.reach, len(inputs.times) - spec.horizon
    if last < first:
        raise DataError(
            f"{inputs.source}: {len(inputs.times)} intervals are too few for windows that reach "
            f"{spec.reach} back and {spec.horizon} ahead; shorten the lags or bring more data"
        )
    return _windows(inputs, target.values, inputs.times, np.arange(first, last + 1), spec)


def latest(inputs: Panel, spec: WindowSpec) -> Windows:
    """Return the window whose targets are the H intervals after the end of the panel."""
    if len(inputs.times) < spec.reach:
        raise DataError(
            f"{inputs.source}: {len(inputs.times)} intervals are too few to forecast from; "
            f"{spec.reach} are needed"
        )
    ahead = pd.date_range(inputs.times[-1], periods=spec.horizon + 1, freq=inputs.interval)[1:]
    times = pd.DatetimeIndex(inputs.times.append(ahead))
    unknown = np.full((len(times), len(inputs.regions)), np.nan)
    return _windows(inputs, unknown, times, np.array([len(inputs.times)]), spec)


def _windows(
    inputs: Panel,
    target: Floats,
    times: pd.DatetimeIndex,
    first_target: NDArray[np.int64],
    spec: WindowSpec,
) -> Windows:
    """Return windows whose first targets are at the positions `first_target` of `times`."""
    values, calendar = inputs.values, features(times)
    start = first_target[0]
    count = len(first_target)
    past = sliding_window_view(values, spec.lags, axis=0).swapaxes(1, 2)
    past_calendar = sliding_window_view(calendar, spec.lags, axis=0).swapaxes(1, 2)
    ahead = np.arange(spec.horizon)
    targets = first_target[:, None] + ahead
    offsets = np.array(spec.seasonal, dtype=np.int64)[:, None]
    back = targets[:, None, :] - offsets
    length = spec.seasonal_context if spec.seasonal else 0
    context = first_target[:, None, None] - offsets - np.arange(length, 0, -1)
    return Windows(
        past=past[start - spec.lags :][:count],
        past_calendar=past_calendar[start - spec.lags :][:count],
        seasonal=values[back],
        seasonal_context=values[context],
        seasonal_change=_seasonal_change(values, targets, spec),
        calendar=calendar[targets],
        target=target[targets],
        times=times[first_target],
        interval=inputs.interval,
        regions=inputs.regions,
    )


def _seasonal_change(values: Floats, targets: NDArray[np.int64], spec: WindowSpec) -> Floats:
    """Return the mean change in past seasons from before the first target to each target."""
    if not (spec.seasons and spec.seasonal):
        return np.empty((len(targets), 0, spec.horizon, values.shape[1]))
    means = []
    for offset in spec.seasonal:
        back = offset * np.arange(1, spec.seasons + 1)[:, None, None]
        then = targets - back  # [seasons, N, H]
        latest = then[:, :, :1] - 1
        exists = (latest >= 0)[..., None]
        change = values[np.maximum(then, 0)] - values[np.maximum(latest, 0)]
        means.append((change * exists).sum(axis=0) / exists.sum(axis=0))
    return np.stack(means, axis=1)
