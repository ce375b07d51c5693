"""The discrete Gaussian, sampled exactly: inversion with precision that is refined where it is needed.

A count costs one random word of 64 bits and a look into a table. Where a word is too close to a
threshold of the table to be sure, further words and whole numbers of any length decide (decision 0024).
"""

from dp.mechanisms.discrete.law import LARGEST, SMALLEST
from dp.mechanisms.discrete.sampler import sample
from dp.mechanisms.discrete.words import KeyedWords, SystemWords, Words

__all__ = ["LARGEST", "SMALLEST", "KeyedWords", "SystemWords", "Words", "sample"]
