from fractions import Fraction

import numpy as np
import pytest

from dp.mechanisms.discrete.table import _float, table
from tests.dp.mechanisms.discrete.oracle import at_least

SIGMAS = [0.25, 0.5, 1.0, 3.7, 40.0, 389.0]
SLOW = [pytest.param(sigma, marks=pytest.mark.slow) for sigma in (1e4, 1e5)]


@pytest.mark.parametrize("sigma", [*SIGMAS, *SLOW])
def test_every_threshold_is_within_the_proven_error(sigma: float) -> None:
    law, truth = table(sigma), at_least(sigma, 40)
    size = len(law.thresholds)
    for index, threshold in enumerate(law.thresholds.tolist()):
        assert abs(threshold - truth[size - index] * 2**64) <= law.error, size - index
    assert truth[size + 1] * 2**64 <= 1
    assert (np.diff(law.thresholds.astype(object)) >= 0).all()


@pytest.mark.parametrize("sigma", [*SIGMAS, 1e4, 1e5, 1e6])
def test_words_that_the_table_cannot_tell_are_rare(sigma: float) -> None:
    law = table(sigma)
    share = Fraction(len(law.thresholds) * 2 * (2 * law.error + 2), 1 << 64)
    assert share < Fraction(1, 1 << (26 if sigma <= 1e5 else 22))


@pytest.mark.parametrize("sigma", [*SIGMAS, 1e5, 1e6])
def test_magnitudes_are_those_of_a_plain_search(sigma: float) -> None:
    """Around thresholds and edges of buckets, and anywhere."""
    law, random = table(sigma), np.random.default_rng(0)
    some = random.choice(law.thresholds, 2000)
    steps = [0, 1, 2, law.error, law.error + 1, law.error + 2, law.error + 3]
    near = np.concatenate([some + np.uint64(step) for step in steps])
    below = np.concatenate([some - np.minimum(some, np.uint64(step)) for step in steps])
    edges = random.integers(0, len(law.buckets), 2000).astype(np.uint64) << np.uint64(law.shift)
    anywhere = random.integers(0, 1 << 63, 20_000, dtype=np.uint64)
    low = random.integers(0, 1 << 44, 2000, dtype=np.uint64)
    words = np.concatenate([near, below, edges, edges[1:] - np.uint64(1), anywhere, low])
    words = words[words < np.uint64(1 << 63)]
    index = np.searchsorted(law.thresholds, words, side="right")
    bounded = np.concatenate([law.thresholds, np.full(1, 2**64 - 1, np.uint64)])
    sure = (index > 0) & (bounded[index] - words > law.error + 1)
    sure &= words - bounded[np.maximum(index - 1, 0)] > law.error
    expected = np.where(sure, len(law.thresholds) - index, -1)
    assert np.array_equal(law.magnitudes(words), expected)


@pytest.mark.parametrize("sigma", [1.0, 40.0])
def test_every_bucket_tells_the_truth(sigma: float) -> None:
    """All of its words have one value for certain, or it says that it cannot tell."""
    law, truth = table(sigma), at_least(sigma, 40)
    for bucket, told in enumerate(law.buckets.tolist()):
        low, high = bucket << law.shift, (bucket + 1) << law.shift
        if told >= 0:
            assert truth[told + 1] * 2**64 <= low
            assert told == 0 or high <= truth[told] * 2**64
        else:
            below = -1 - told
            assert below == 0 or truth[len(law.thresholds) + 1 - below] * 2**64 <= low
    assert (law.buckets >= 0).mean() > 0.8


def test_a_factor_that_is_not_known_well_enough_is_refused() -> None:
    assert _float((1 << 100, (1 << 100) + 1), 100) == 1.0
    with pytest.raises(ArithmeticError, match="60 bits"):
        _float((1 << 10, (1 << 10) + 1), 100)


def test_other_sigmas_are_refused() -> None:
    with pytest.raises(ValueError, match="between"):
        table(2e6)
