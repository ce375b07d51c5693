"""Mechanisms: noise on counts, Poisson sampling of windows, scales.

Random numbers of trainings need torch: `dp.mechanisms.randomness` is imported only where they are drawn.
"""

from dp.mechanisms.count_noise import CountNoise, calibrate
from dp.mechanisms.scale import Scale
from dp.mechanisms.seed import Seed
from dp.mechanisms.window_sampling import WindowSampling, calibrate_sampling

__all__ = ["CountNoise", "Scale", "Seed", "WindowSampling", "calibrate", "calibrate_sampling"]
