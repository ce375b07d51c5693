import multiprocessing
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dp.mechanisms.count_noise import measurement
from dp.mechanisms.discrete import KeyedWords, sample
from dp.mechanisms.discrete.table import table
from tests.dp.mechanisms.discrete.oracle import (
    Scripted,
    at_least,
    digits_of,
    distribution,
    number,
)

KEY = bytes(range(32))
FULL = (1 << 64) - 1
DIGITS = 150
SIGMAS = [0.5, 1.0, 3.7, 40.0, 389.0, 98_765.4]


def edges(sigma: float, bins: int) -> np.ndarray:
    """Whole numbers between which bins of about the same probability lie, symmetric around 0."""
    inner = stats.norm.ppf(np.arange(1, bins) / bins) * sigma
    return np.unique(np.ceil(inner)).astype(np.int64)


def masses(sigma: float, cuts: np.ndarray) -> np.ndarray:
    """Probability of each bin, by adding up the law in double precision."""
    points = np.arange(-int(12 * sigma) - 12, int(12 * sigma) + 13)
    mass = np.exp(-(points.astype(float) ** 2) / (2 * sigma**2))
    return np.add.reduceat(mass / mass.sum(), [0, *np.searchsorted(points, cuts)])


def assert_law(drawn: np.ndarray, sigma: float, bins: int = 200) -> None:
    """χ² against the exact law; a false alarm once in 10⁶ runs."""
    cuts = edges(sigma, bins)
    seen = np.bincount(np.searchsorted(cuts, drawn, side="right"), minlength=len(cuts) + 1)
    assert stats.chisquare(seen, masses(sigma, cuts) * len(drawn)).pvalue > 1e-6


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("words", [None, KeyedWords(KEY, 0)])
def test_samples_have_the_law(sigma: float, words: KeyedWords | None) -> None:
    assert_law(sample(1_000_000, sigma, words), sigma)


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [0.25, *SIGMAS, 1e6])
def test_many_samples_have_the_law(sigma: float) -> None:
    assert_law(sample(20_000_000, sigma), sigma, bins=2000)


@pytest.mark.parametrize("sigma", [0.5, 3.7, 40.0, 389.0])
def test_samples_agree_with_opendps(sigma: float) -> None:
    """Two samples of one law, by the χ² of a table of two rows."""
    mine, theirs = sample(40_000, sigma), measurement(sigma)([0] * 40_000)
    cuts = edges(sigma, 40)
    rows = [
        np.bincount(np.searchsorted(cuts, drawn, side="right"), minlength=len(cuts) + 1)
        for drawn in (mine, theirs)
    ]
    assert stats.chi2_contingency(rows).pvalue > 1e-6


@pytest.mark.parametrize("sigma", [0.5, 3.7, 40.0])
def test_values_far_out_are_as_rare_as_they_should_be(sigma: float) -> None:
    """Words of the tail alone: U below 2^-20, where no chi-square of all of them looks."""
    size, random = 20_000, np.random.default_rng(1)
    words = random.integers(0, 1 << 44, size, dtype=np.uint64).tolist()
    drawn = -sample(size, sigma, Scripted(words))
    tail = at_least(sigma, DIGITS)
    first = int(drawn.min())
    mass = [
        float(max(Fraction(0), min(Fraction(1), tail[x] * 2**20) - tail[x + 1] * 2**20))
        for x in range(first, len(tail) - 1)
    ]
    seen = np.bincount(drawn - first, minlength=len(mass))
    kept = np.flatnonzero(np.array(mass) * size > 5)[-1] + 1
    expected = np.append(mass[:kept], sum(mass[kept:])) * size
    assert stats.chisquare(np.append(seen[:kept], seen[kept:].sum()), expected).pvalue > 1e-6


WORDS = st.sampled_from([0, 1, 2, FULL, FULL - 1, 1 << 63, (1 << 63) - 1]) | st.integers(0, FULL)


@given(st.sampled_from([0.25, 0.5, 3.7, 40.0]), st.lists(WORDS, max_size=20), st.lists(WORDS))
@settings(deadline=None)
def test_a_sample_is_the_inverse_of_the_distribution_function(
    sigma: float, first: list[int], rest: list[int]
) -> None:
    """F(x - 1) ≤ U < F(x) in exact arithmetic, for any words whatever."""
    source = Scripted(first, rest[:4])
    for word, x in zip(first, sample(len(first), sigma, source).tolist(), strict=True):
        value = number([word, *rest[:4], *[source.then] * 12])
        assert distribution(sigma, x - 1, DIGITS * 2) <= value < distribution(sigma, x, DIGITS * 2)


@given(
    st.sampled_from([0.5, 3.7, 40.0]),
    st.integers(-150, 150),
    st.integers(-2, 2),
    st.integers(1, 3),
    st.sampled_from([0, FULL, 12345]),
)
@settings(deadline=None)
def test_words_at_a_threshold_are_decided_exactly(
    sigma: float, x: int, off: int, length: int, then: int
) -> None:
    """U shares 64, 128 or 192 digits with F(x), or nearly so."""
    digits = digits_of(distribution(sigma, x, DIGITS), 64 * length) + off
    digits = min(max(digits, 0), (1 << 64 * length) - 1)
    words = [digits >> 64 * place & FULL for place in reversed(range(length))]
    value = number([*words, then, *[0x5555555555555555] * 12])
    source = Scripted(words[:1], [*words[1:], then])
    (found,) = sample(1, sigma, source).tolist()
    assert distribution(sigma, found - 1, DIGITS * 2) <= value
    assert value < distribution(sigma, found, DIGITS * 2)


def test_further_words_are_asked_for_only_where_64_digits_leave_it_open() -> None:
    threshold = digits_of(distribution(3.7, 2, DIGITS), 64)
    for word, asked in ((threshold, 1), (threshold - 1, 0), (threshold + 1, 0), (1 << 62, 0)):
        source = Scripted([word])
        sample(1, 3.7, source)
        assert source.asked == asked


def test_a_key_gives_the_same_noise_everywhere() -> None:
    """Written down once; a change of these numbers breaks every kept seed."""
    assert sample(8, 3.7, KeyedWords(KEY, 1)).tolist() == [3, -3, -7, 2, -1, 8, 3, 0]
    drawn = sample(8, 389.25, KeyedWords(KEY, 2)).tolist()
    assert drawn == [204, -806, 347, -88, 466, -426, -60, -495]
    assert sample(100_000, 1e5, KeyedWords(KEY, 3)).sum() == -51_894_089


@pytest.mark.parametrize("size", [0, 1, 99, 32_768, 40_001])
def test_a_shorter_sample_is_the_beginning_of_a_longer_one(size: int) -> None:
    words = KeyedWords(KEY, 5)
    assert np.array_equal(sample(size, 40.0, words), sample(70_000, 40.0, words)[:size])


def test_keys_and_streams_give_other_noise() -> None:
    one = sample(1000, 1e5, KeyedWords(KEY, 0))
    for other in (KeyedWords(KEY, 1), KeyedWords(KEY[::-1], 0), None):
        assert (sample(1000, 1e5, other) == one).mean() < 0.01
    assert (sample(1000, 1e5) == sample(1000, 1e5)).mean() < 0.01


def test_a_fork_draws_other_noise() -> None:
    sample(10, 1e6)
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        parts = pool.starmap(sample, [(20, 1e6)] * 4, chunksize=1)
    every = [int(x) for part in [*parts, sample(20, 1e6)] for x in part]
    assert len(set(every)) > len(every) - 3


def test_memory_is_little_more_than_the_result() -> None:
    size = 4_000_000
    table(40.0)
    tracemalloc.start()
    try:
        sample(size, 40.0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 9 * size


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        sample(-1, 40.0)
    with pytest.raises(ValueError, match="between"):
        sample(3, 0.1)
    with pytest.raises(ValueError, match="between"):
        sample(3, float("nan"))
