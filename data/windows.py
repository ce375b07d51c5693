"""From a panel to training examples: short lags, seasonal lags, calendar and target."""

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
    """What a forecast may look at, in intervals.

    Attributes:
        lags: L, how many of the latest intervals are read one by one.
        seasonal: offsets back from each target interval (say one day and one week).
        horizon: H, how many intervals ahead are forecast.
    """

    lags: int
    seasonal: tuple[int, ...] = ()
    horizon: int = 1

    def __post_init__(self) -> None:
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
        """How many intervals before the first target a window reads."""
        return max(self.lags, *self.seasonal, 1)


@dataclass(frozen=True)
class Windows:
    """N windows; arrays may be views of one panel and must not be written to.

    Attributes:
        past: latest values, oldest first, [N, L, R].
        past_calendar: calendar of those intervals, [N, L, C].
        seasonal: values S offsets before each target interval, [N, S, H, R].
        calendar: calendar of the target intervals, [N, H, C].
        target: values to forecast, [N, H, R]; NaN where the interval was not observed.
        times: start of the first target interval, [N].
        interval: length of one interval.
        regions: names of the regions, [R].
    """

    past: Floats
    past_calendar: NDArray[np.float32]
    seasonal: Floats
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
        """The chosen windows only."""
        return replace(
            self,
            past=self.past[keep],
            past_calendar=self.past_calendar[keep],
            seasonal=self.seasonal[keep],
            calendar=self.calendar[keep],
            target=self.target[keep],
            times=self.times[keep],
        )


def make(inputs: Panel, target: Panel, spec: WindowSpec) -> Windows:
    """Every window of a panel, in the order of time.

    Args:
        inputs: what the model may see, without gaps (filled after the noise).
        target: what is to be forecast, on the same index; its gaps stay NaN and are never scored.
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
    """The one window whose targets are the H intervals after the end of the panel."""
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
    """Windows whose first target interval is at each of `first_target`, positions in `times`."""
    values, calendar = inputs.values, features(times)
    start = first_target[0]
    count = len(first_target)
    past = sliding_window_view(values, spec.lags, axis=0).swapaxes(1, 2)
    past_calendar = sliding_window_view(calendar, spec.lags, axis=0).swapaxes(1, 2)
    ahead = np.arange(spec.horizon)
    targets = first_target[:, None] + ahead
    back = targets[:, None, :] - np.array(spec.seasonal, dtype=np.int64)[None, :, None]
    return Windows(
        past=past[start - spec.lags :][:count],
        past_calendar=past_calendar[start - spec.lags :][:count],
        seasonal=values[back],
        calendar=calendar[targets],
        target=target[targets],
        times=times[first_target],
        interval=inputs.interval,
        regions=inputs.regions,
    )
