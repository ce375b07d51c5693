"""A fast tanh, and the backward operators of sigmoid and tanh."""

from __future__ import annotations

import torch
from torch import Tensor

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input


def tanh_(values: Tensor) -> Tensor:
    """Compute the hyperbolic tangent in place.

    On a CPU it is computed as 2σ(2x) − 1, which takes half the time and is off by less than 2e-7 in
    single precision.
    """
    if values.device.type != "cpu":
        return values.tanh_()
    return values.mul_(2).sigmoid_().mul_(2).sub_(1)
