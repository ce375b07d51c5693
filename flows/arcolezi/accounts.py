"""What the paper's settings cost the people in the data, truly."""

from __future__ import annotations

from typing import Any

from dp.accounting.gaussian import discrete_epsilon
from dp.mechanisms.window_sampling import WindowSampling
from dp.unit.contribution import ContributionBound
from dp.unit.window_reach import WindowReach
from flows.arcolezi.published import DELTA, EPOCHS, LAGS, Setting, claimed_sigma

INTERVALS, DAY, WINDOWS = 3456, 48, 3114
"""Of the data set, of a day, and of the paper's training."""
_REGIONS = 2
"""One region contains the five others, so that a person can be counted twice in an interval."""


def of_counts(setting: Setting) -> dict[str, Any]:
    """Epsilon of noise on counts, for one interval, one day and all that a person did.

    The paper adds up what it claims for each interval; Gaussians compose far better than that.
    """
    assert setting.epsilon is not None  # noqa: S101  (of table 4)
    sigma = claimed_sigma(setting.epsilon)

    def spent(intervals: int, regions: int) -> float:
        return discrete_epsilon(sigma, ContributionBound(intervals, regions), DELTA)

    return {
        "name": setting.name,
        "sigma": sigma,
        "claimed": setting.epsilon,
        "user-interval": spent(1, 1),
        "user-interval, two regions": spent(1, _REGIONS),
        "user-day, two regions": spent(DAY, _REGIONS),
        "user, one region": spent(INTERVALS, 1),
        "user, two regions": spent(INTERVALS, _REGIONS),
    }


def of_training(setting: Setting) -> dict[str, Any]:
    """Epsilon of DP-SGD at these settings, had its noise been added.

    The paper's figure is for one window, of which every interval is in seven.
    """
    sampling = account(setting, EPOCHS)
    everything = WindowSampling(
        WINDOWS, sampling.batch, sampling.steps, WINDOWS, sampling.noise_multiplier
    )
    return {
        "name": setting.name,
        "noise_multiplier": setting.noise_multiplier,
        "claimed": setting.epsilon,
        "one window": sampling.naive_epsilon(DELTA),
        "interval-1": sampling.epsilon(DELTA),
        "user": everything.epsilon(DELTA),
    }


def account(setting: Setting, epochs: int) -> WindowSampling:
    """Batches and noise of a training at these settings, for all values of one interval."""
    assert setting.noise_multiplier is not None  # noqa: S101  (of table 4)
    steps = epochs * -(-WINDOWS // setting.batch_size)
    hit = WindowReach(LAGS).affected(1)
    return WindowSampling(WINDOWS, setting.batch_size, steps, hit, setting.noise_multiplier)
