"""Noise-aware optimizers: for clipped and noised gradients, with known variance of the noise.

Each reads three things: the noisy mean gradient g̃, its own earlier state, and Φ = (σC/B)², the
variance of the noise on each coordinate of g̃, from noise multiplier σ, clip C and expected batch B.
g̃ is released and charged; the state is computed from earlier g̃; Φ is a setting, the same for any data,
and B is the *expected* size, because the drawn size is private. So each update is post-processing of a
release (Dwork and Roth 2014, proposition 2.1), and costs no budget.
"""

from models.optimizers.private.adabelief import DpAdaBelief
from models.optimizers.private.adam import DpAdam
from models.optimizers.private.adamp import DpAdamP
from models.optimizers.private.diffgrad import DpDiffGrad
from models.optimizers.private.sgdp import DpSgdp

__all__ = ["DpAdaBelief", "DpAdam", "DpAdamP", "DpDiffGrad", "DpSgdp"]
