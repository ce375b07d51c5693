from itertools import chain, repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dp.mechanisms.discrete.exact import decide, tails
from dp.mechanisms.discrete.table import table
from tests.dp.mechanisms.discrete.oracle import at_least, digits_of, number

SIGMAS = [0.25, 0.5, 1.0, 3.7, 40.0, 100.5]
DIGITS = 150
FULL = (1 << 64) - 1


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("bits", [128, 192, 384])
def test_tails_are_between_their_bounds(sigma: float, bits: int) -> None:
    sums, truth = tails(sigma, bits), at_least(sigma, DIGITS)
    for x in range(min(sums.size + 3, len(truth) - 1)):
        low, high = sums.above(x)
        assert low <= truth[x + 1] * (1 << bits) <= high
        assert high - low < 1 << 32  # well below the guard


@pytest.mark.parametrize("sigma", [3.7, 40.0])
@pytest.mark.parametrize("length", [1, 2, 4])
def test_words_on_a_threshold_are_decided_by_the_next_ones(sigma: float, length: int) -> None:
    """The digits of P(X ≥ x) themselves: what comes after them tells the side."""
    truth = at_least(sigma, DIGITS)
    for x in (1, 2, 3, int(4 * sigma), int(8 * sigma)):
        digits = digits_of(truth[x], 64 * length)
        words = [digits >> 64 * place & FULL for place in reversed(range(length))]
        assert decide(sigma, words[0], chain(words[1:], repeat(FULL))) == x - 1
        assert decide(sigma, words[0], chain(words[1:], repeat(0))) == x


@given(
    st.sampled_from(SIGMAS),
    st.integers(0, 200),
    st.integers(-3, 3),
    st.integers(1, 4),
    st.lists(st.sampled_from([0, 1, FULL, FULL - 1]) | st.integers(0, FULL), max_size=3),
)
@settings(max_examples=300, deadline=None)
def test_whatever_the_words_the_decision_is_exact(
    sigma: float, x: int, off: int, length: int, rest: list[int]
) -> None:
    truth = at_least(sigma, DIGITS)
    digits = digits_of(truth[min(x, len(truth) - 1)], 64 * length) + off
    digits = min(max(digits, 0), (1 << 64 * length - 1) - 1)
    words = [digits >> 64 * place & FULL for place in reversed(range(length))]
    script = [*words, *rest, *[0x5555555555555555] * 12]
    value = number(script)
    found = decide(sigma, script[0], iter(script[1:]))
    assert truth[found + 1] <= value
    assert found == 0 or value < truth[found]


@pytest.mark.parametrize("zeros", [1, 2, 5, 20])
def test_tails_beyond_the_table_are_exact(zeros: int) -> None:
    words = [0] * zeros + [1 << 40]
    for sigma in (0.5, 3.7):
        found = decide(sigma, words[0], chain(words[1:], repeat(0x5555555555555555)))
        truth = at_least(sigma, 450)
        value = number([*words, *[0x5555555555555555] * 3])
        assert truth[found + 1] <= value < truth[found]
        assert found > len(table(sigma).thresholds)


def test_zeros_alone_decide_nothing() -> None:
    with pytest.raises(StopIteration):
        decide(3.7, 0, repeat(0, 10))


@pytest.mark.parametrize("sigma", [1e3, pytest.param(2e4, marks=pytest.mark.slow)])
def test_large_sigmas_agree_with_a_direct_sum(sigma: float) -> None:
    sums, truth = tails(sigma, 128), at_least(sigma, 45)
    for x in (0, 1, 1234, int(sigma), int(5.5 * sigma)):
        low, high = sums.above(x)
        assert low <= truth[x + 1] * 2**128 <= high
        assert decide(sigma, int(truth[x + 1] * 2**64), repeat(FULL)) == x
        assert decide(sigma, int(truth[x + 1] * 2**64), repeat(0)) == x + 1
