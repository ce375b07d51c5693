"""Rounded Gaussians: a discrete Gaussian costs no more than what it is accounted as."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dp.accounting.rounding import ROUNDING, rounded_delta, rounded_variance


@settings(max_examples=60, deadline=None)
@given(st.floats(2.0, 40.0), st.integers(1, 4), st.integers(1, 3), st.floats(0.0, 3.0))
def test_delta_of_one_draw(sigma: float, grid: int, change: int, epsilon: float) -> None:
    steps = np.arange(-math.ceil(12 * sigma * grid), math.ceil(12 * sigma * grid) + 1)
    law = np.exp(-((steps / (sigma * grid)) ** 2) / 2)
    law /= law.sum()
    moved = np.zeros(len(law) + change * grid)
    moved[change * grid :] = law
    here = np.concatenate([law, np.zeros(change * grid)])
    true = float(np.maximum(here - math.exp(epsilon) * moved, 0).sum())
    promised = rounded_delta(change / math.sqrt(rounded_variance(sigma, grid)), 1, epsilon)
    assert true <= promised + 1e-15


def test_less_than_two_steps_of_noise_is_refused() -> None:
    assert rounded_variance(2.0) == 4.0 - ROUNDING
    assert rounded_variance(0.5, 4) == pytest.approx(0.25 - ROUNDING / 16)
    with pytest.raises(ValueError, match=r"sigma=1\.9 to be at least two steps of 1/1 person"):
        rounded_variance(1.9)
