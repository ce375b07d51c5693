from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dp.mechanisms.discrete.bounds import power, times
from dp.mechanisms.discrete.law import (
    LARGEST,
    SMALLEST,
    block_width,
    blocks,
    checked,
    normaliser,
    reach,
)
from tests.dp.mechanisms.discrete.oracle import at_least

SIGMAS = [0.25, 0.5, 1.0, 3.7, 40.0, 389.25]


@pytest.mark.parametrize("sigma", [0.0, -1.0, 0.2499, 1048577.0, np.nan, np.inf])
def test_other_sigmas_are_refused(sigma: float) -> None:
    with pytest.raises(ValueError, match="to be between"):
        checked(sigma)


def test_sigma_is_the_exact_value_of_the_float() -> None:
    assert checked(0.3) == Fraction(5404319552844595, 1 << 54)


@pytest.mark.parametrize("sigma", SIGMAS[:-1])
@pytest.mark.parametrize("bits", [64, 192, 400])
def test_the_normaliser_is_the_sum(sigma: float, bits: int) -> None:
    """Poisson's summation against adding up."""
    with localcontext() as context:
        context.prec = 140
        twice = 2 * Decimal(sigma) ** 2
        last = int(25 * sigma) + 25
        total = 1 + 2 * sum(((-Decimal(x * x) / twice).exp() for x in range(1, last)), Decimal(0))
    low, high = normaliser(checked(sigma), bits)
    assert low <= Fraction(total) * (1 << bits) <= high
    assert high - low <= 100 + 8 * sigma


@pytest.mark.parametrize("sigma", [40.0, 389.25])
def test_factors_of_a_block_make_its_numbers(sigma: float) -> None:
    law = blocks(sigma, 192, tail=64)
    assert law.width == block_width(sigma) > 1
    with localcontext() as context:
        context.prec = 100
        twice = 2 * Decimal(sigma) ** 2
        for x in range(0, law.size, 7):
            row, place = divmod(x, law.width)
            low, high = times(
                times(law.outer[row], law.inner[place], 192), power(law.ratio[row], place, 192), 192
            )
            assert low <= Fraction((-Decimal(x * x) / twice).exp()) * (1 << 192) <= high


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("tail", [0, 10, 64, 128])
def test_what_is_left_out_is_as_little_as_is_said(sigma: float, tail: int) -> None:
    last = reach(checked(sigma), tail)
    assert last >= sigma
    sums = at_least(sigma, 60)
    assert last >= len(sums) or sums[last] <= Fraction(1, 1 << tail)


@given(st.floats(SMALLEST, LARGEST))
@settings(deadline=None)
def test_blocks_are_small_beside_sigma(sigma: float) -> None:
    width = block_width(sigma)
    assert width == 1 or 16 * width <= sigma
    assert width.bit_count() == 1
    assert width <= 2048  # the proof counts the factors of a probability
