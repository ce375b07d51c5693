"""Private training: clipped gradients, noise, and proof that it was drawn."""

from dp.private.noise_proof import Draws, Proof, prove
from dp.private.training import PrivateTraining, check_model, twins_differ

__all__ = ["Draws", "PrivateTraining", "Proof", "check_model", "prove", "twins_differ"]
