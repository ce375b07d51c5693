"""What single precision may have lost of a norm.

The squared norm of Σ_t b_t a_tᵀ is a sum of products that may be huge and cancel, so that what is left
of it is rounding. A sample can be made so; its norm would come out too small, and it would count for
more than the clip. The loss is bounded by (Σ_t ‖a_t‖‖b_t‖)² (Higham 2002, section 3.1), of which a
share is added: it bounds, too, how far a sample's large terms can push aside the digits of the others
in the clipped sum.
"""

from __future__ import annotations

import torch
from torch import Tensor

_STEPS = 64
"""Units of rounding that are allowed for; errors of sums grow like the root of their length."""

_TINY = 1e-15
"""Below it squares are lost in single precision; beside values near 10¹⁹ they would have counted."""


def lost(inputs: Tensor, grads: Tensor) -> Tensor:
    """Upper bound on the rounding in the squared norm of Σ_t b_t a_tᵀ, [...].

    Args:
        inputs: ‖a_t‖², [..., T].
        grads: ‖b_t‖², [..., T].
    """
    products = (inputs.sqrt() + _TINY) * (grads.sqrt() + _TINY)
    return _STEPS * torch.finfo(inputs.dtype).eps * products.sum(dim=-1).square()
