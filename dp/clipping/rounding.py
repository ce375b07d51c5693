"""Rounding of norms in single precision, and an upper bound on it.

The squared norm of Σ_t b_t a_tᵀ is a sum of products that may be huge and cancel, leaving little but
rounding. A sample can be crafted that way: its computed norm would be too small, and it would count for
more than the clip. The loss is bounded by (Σ_t ‖a_t‖‖b_t‖)² (Higham 2002, section 3.1), of which a
share is added to the norm. It also bounds how many digits of other samples a sample's large terms can
displace in the clipped sum.
"""

from __future__ import annotations

import torch
from torch import Tensor

_STEPS = 64
"""Units of rounding that are allowed for; errors of sums grow like the root of their length."""

_TINY = 1e-15
"""Below it squares are lost in single precision; beside values near 10¹⁹ they would have counted."""


def lost(inputs: Tensor, grads: Tensor) -> Tensor:
    """Return an upper bound on the rounding in the squared norm of Σ_t b_t a_tᵀ, [...].

    Args:
        inputs: ‖a_t‖², [..., T].
        grads: ‖b_t‖², [..., T].
    """
    products = (inputs.sqrt() + _TINY) * (grads.sqrt() + _TINY)
    return _STEPS * torch.finfo(inputs.dtype).eps * products.sum(dim=-1).square()
