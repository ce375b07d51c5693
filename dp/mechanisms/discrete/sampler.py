"""Samples of the discrete Gaussian: one word and one look into a table for each, and exact decisions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dp.mechanisms.discrete.exact import decide
from dp.mechanisms.discrete.table import Table, table
from dp.mechanisms.discrete.words import SystemWords, Words

_CHUNK = 1 << 15
"""Counts that are sampled at a time: few enough to stay in a cache."""


def sample(size: int, sigma: float, words: Words | None = None) -> NDArray[np.int64]:
    """Return whole numbers x with probability proportional to exp(-x² / (2σ²)), exactly; [size].

    It is the x with F(x - 1) ≤ U < F(x), where F is the law's distribution function and U the number in
    [0, 1) whose binary digits are the words. The value at a position depends on σ and the words of that
    position alone, so that a shorter sample of the same words is the beginning of a longer one.

    Time and places in memory that are used depend on the values.

    Args:
        size: how many.
        sigma: σ, from `SMALLEST` to `LARGEST`; the exact value of the float.
        words: where randomness comes from; by default the operating system.

    Raises:
        ValueError: σ is out of range, or the size negative.

    Example:
        >>> from dp.mechanisms.discrete import KeyedWords
        >>> sample(6, 40.0, KeyedWords(bytes(32), stream=0)).tolist()
        [-65, -20, -98, 46, -14, 32]
    """
    law = table(float(sigma))
    source = SystemWords() if words is None else words
    result = np.empty(size, np.int64)
    for start in range(0, size, _CHUNK):
        part = result[start : start + _CHUNK]
        part[:] = _values(law, float(sigma), source, start, len(part))
    return result


def _values(law: Table, sigma: float, source: Words, start: int, size: int) -> NDArray[np.int64]:
    """Return the values of some positions.

    The law is symmetric: P(X ≤ -x) = P(X ≥ x). A word of the upper half is folded onto the lower one by
    turning its bits, which makes 1 - U of U, and what is found is positive.
    """
    drawn = source.take(start, size)
    sign = drawn.view(np.int64) >> 63
    folded = drawn ^ sign.view(np.uint64)
    values = law.magnitudes(folded)
    for index in np.flatnonzero(values < 0).tolist():
        more = _folded(source.further(start + index), upper=bool(sign[index]))
        values[index] = decide(sigma, int(folded[index]), more)
    values ^= sign  # -|X| or |X|, without a branch
    np.subtract(sign, values, out=values)
    return values


def _folded(words: Iterator[int], *, upper: bool) -> Iterator[int]:
    """Yield words, their bits turned if the first one was in the upper half."""
    turned = (1 << 64) - 1 if upper else 0
    return (word ^ turned for word in words)
