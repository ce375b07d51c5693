from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dp.mechanisms.discrete import bounds

FRACTIONS = st.fractions(min_value=0, max_value=2000, max_denominator=10**12)
BITS = st.sampled_from([64, 192, 500])
DIGITS = 400
PI = (
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534"
    "211706798214808651328230664709384460955058223172535940812848111745028410270193852110555964462294"
)


def exact(value: Decimal, bits: int) -> Fraction:
    return Fraction(value) * (1 << bits)


def test_pi_is_known() -> None:
    low, high = bounds.pi(500)
    assert low <= exact(Decimal(PI), 500) <= high
    assert high - low <= 16


@given(FRACTIONS, BITS)
@settings(deadline=None)
def test_an_exponential_is_between_its_bounds(exponent: Fraction, bits: int) -> None:
    low, high = bounds.exponential(exponent, bits)
    with localcontext() as context:
        context.prec = 900 if bits > 64 else 120
        value = (-Decimal(exponent.numerator) / Decimal(exponent.denominator)).exp()
    assert low <= exact(value, bits) <= high
    assert high - low <= 2


def test_edges_of_the_exponential() -> None:
    one = 1 << 64
    low, high = bounds.exponential(Fraction(0), 64)
    assert low <= one <= high <= one + 1
    assert bounds.exponential(Fraction(10**6), 64) == (0, 1)


@given(FRACTIONS, FRACTIONS, BITS)
@settings(deadline=None)
def test_operations_keep_the_truth_between_the_bounds(
    one: Fraction, other: Fraction, bits: int
) -> None:
    scale = 1 << bits
    first, second = bounds.fixed(one, bits), bounds.fixed(other, bits)
    low, high = bounds.times(first, second, bits)
    assert low <= one * other * scale <= high
    low, high = bounds.square_root(first, bits)
    assert low**2 <= one * scale**2 <= high**2
    assert bounds.coarser(first, 10)[0] << 10 <= one * scale <= bounds.coarser(first, 10)[1] << 10
    if second[0] > 0:
        low, high = bounds.over(first, second, bits)
        assert low <= one / other * scale <= high


@given(st.fractions(0, 1, max_denominator=1000), st.integers(0, 40), BITS)
@settings(deadline=None)
def test_powers_agree(base: Fraction, exponent: int, bits: int) -> None:
    pair, truth = bounds.fixed(base, bits), base**exponent * (1 << bits)
    one_by_one = next(islice(bounds.powers(pair, bits), exponent, None))
    for low, high in (bounds.power(pair, exponent, bits), one_by_one):
        assert low <= truth <= high
        assert high - low <= 200


@pytest.mark.parametrize("rate", [Fraction(8), Fraction(1, 3), Fraction(1, 10**9)])
def test_gaussians_are_between_their_bounds(rate: Fraction) -> None:
    for index, (low, high) in enumerate(islice(bounds.gaussians(rate, 192), 200)):
        with localcontext() as context:
            context.prec = DIGITS
            value = (-Decimal(rate.numerator * index**2) / Decimal(rate.denominator)).exp()
        assert low <= exact(value, 192) <= high
        assert high - low < 1 << 20
