"""Clipped sums of per-sample gradients, by one forward and one backward pass."""

from dp.clipping.gradients import Clipped, Clipper, Stack, clipped_gradients
from dp.clipping.support import UnsupportedLayer, check_layers

__all__ = ["Clipped", "Clipper", "Stack", "UnsupportedLayer", "check_layers", "clipped_gradients"]
