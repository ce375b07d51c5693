"""The base of first-order optimizers: validated settings, state, and the tensors of a step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

Tensors = list[Tensor]
Settings = dict[str, Any]

_HALF = (torch.float16, torch.bfloat16)

_RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    "lr": (lambda value: 0 < value < math.inf, "above 0 and finite"),
    "floor": (lambda value: 0 < value < math.inf, "above 0 and finite"),
    "momentum": (lambda value: 0 <= value < 1, "in [0, 1)"),
    "dampening": (lambda value: 0 <= value <= 1, "in [0, 1]"),
}
_NOT_NEGATIVE = ("eps", "weight_decay", "delta", "wd_ratio", "noise_variance")


class FirstOrder(Optimizer):
    """An optimizer whose update is one formula over gradients and running averages.

    A subclass names its `BUFFERS` and defines `_update` over lists of tensors. Parameters without a
    gradient and their step counts do not change; NaN in a gradient reaches the weights. Buffers and
    arithmetic of half-precision parameters are in float32, rounded once per step.

    Args:
        params: tensors, or groups with settings of their own.
        defaults: settings of groups without their own.

    Raises:
        ValueError: a setting out of its range, or a parameter that is not floating-point.
    """

    BUFFERS: tuple[str, ...] = ()

    def __init__(self, params: ParamsT, defaults: Settings) -> None:
        _check(defaults)
        super().__init__(params, defaults)

    def add_param_group(self, param_group: Settings) -> None:
        """Add parameters with their own settings; refused groups are not added."""
        _check(param_group)
        super().add_param_group(param_group)
        for param in self.param_groups[-1]["params"]:
            if not param.is_floating_point():
                self.param_groups.pop()
                raise ValueError(f"expected real floating-point parameters, got {param.dtype}")

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update the weights once.

        Args:
            closure: computes the loss and its gradients anew.

        Returns:
            The result of the closure; None without one.

        Raises:
            ValueError: a gradient is sparse; nothing is updated then.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for param in (param for group in self.param_groups for param in group["params"]):
            if param.grad is not None and param.grad.layout != torch.strided:
                raise ValueError(
                    f"{type(self).__name__} expected dense gradients, got {param.grad.layout} for a "
                    f"parameter of shape {tuple(param.shape)}; use layers with sparse=False"
                )
        for group in self.param_groups:
            for step, params, grads, *buffers in self._alike(group):
                half = params[0].dtype in _HALF
                weights = [param.float() for param in params] if half else params
                self._update(group, step, weights, grads, *buffers)
                if half:
                    torch._foreach_copy_(params, weights)
        return loss

    def _update(
        self, group: Settings, step: int, weights: Tensors, grads: Tensors, *buffers: Tensors
    ) -> None:
        """Change weights and buffers in place, never the gradients.

        Args:
            group: settings.
            step: t, counted from 1.
            weights: of any shapes, of one device and one data type, as all other tensors.
            grads: one per weight, of its shape, contiguous.
            *buffers: one list for each of `BUFFERS`, like `grads`; zero before the first step.
        """
        raise NotImplementedError

    def _alike(self, group: Settings) -> list[Any]:
        """Return step count, parameters, gradients and buffers of parameters that are updated together.

        They have one device, one data type and one step count, which is increased by one.
        """
        alike: dict[tuple[Any, ...], list[Any]] = {}
        for param in group["params"]:
            if param.grad is None or not param.numel():
                continue
            state = self.state[param]
            dtype = torch.float32 if param.dtype in _HALF else param.dtype
            if not state:
                state["step"] = 0
                for name in self.BUFFERS:
                    state[name] = torch.zeros(param.shape, dtype=dtype, device=param.device)
            state["step"] += 1
            key = param.device, param.dtype, state["step"]
            if key not in alike:
                alike[key] = [state["step"], *([] for _ in range(2 + len(self.BUFFERS)))]
            gradient = param.grad.to(dtype).contiguous()
            tensors = param, gradient, *(state[name] for name in self.BUFFERS)
            for column, tensor in zip(alike[key][1:], tensors, strict=True):
                column.append(tensor)
        return list(alike.values())

    def _scratch(self, weights: Tensors) -> Tensor:
        """Return working memory as large as the largest weight.

        It is kept between steps: to free and allocate pages takes longer than the work in them.
        """
        memory: dict[Any, Tensor] = self.__dict__.setdefault("_memory", {})  # copies have none
        key = weights[0].device, weights[0].dtype
        size = max(weight.numel() for weight in weights)
        if key not in memory or memory[key].numel() < size:
            memory[key] = weights[0].new_empty(size)
        return memory[key]

    def load_state_dict(self, state_dict: Settings) -> None:
        """Load a saved state; buffers keep the precision in which they were saved."""
        super().load_state_dict(state_dict)
        # torch rounds buffers to the data type of the parameter: copy them again
        saved = [place for group in state_dict["param_groups"] for place in group["params"]]
        params = [param for group in self.param_groups for param in group["params"]]
        for place, param in zip(saved, params, strict=True):
            if param.dtype in _HALF and place in state_dict["state"]:
                for name in self.BUFFERS:
                    buffer = state_dict["state"][place][name]
                    self.state[param][name] = buffer.to(param.device, torch.float32, copy=True)


def _check(settings: Settings) -> None:
    """Raise a ValueError for the first setting that is out of its range."""
    for name, value in settings.items():
        if name in _RANGES:
            within, text = _RANGES[name]
            if not within(value):
                raise ValueError(f"expected {name}={value} to be {text}")
        elif name in _NOT_NEGATIVE and not 0 <= value < math.inf:
            raise ValueError(f"expected {name}={value} to be 0 or more and finite")
        elif name == "betas" and not (len(value) == 2 and all(0 <= beta < 1 for beta in value)):
            raise ValueError(f"expected betas={value} to be two numbers in [0, 1)")


def with_decay(weights: Tensors, grads: Tensors, weight_decay: float) -> Tensors:
    """Return gradients of loss plus weight_decay/2·‖θ‖²: coupled weight decay."""
    return list(torch._foreach_add(grads, weights, alpha=weight_decay)) if weight_decay else grads


def adam_change(
    exp_avg: Tensors,
    exp_avg_sq: Tensors,
    grads: Tensors,
    betas: tuple[float, float],
    eps: float,
    step: int,
) -> Tensors:
    """Update Adam's averages, and return its change at a learning rate of 1: m̂/(√v̂ + eps).

    The kernel of torch's fused Adam needs one pass over memory, and a third of the time of separate
    operations. It reads tensors as flat rows, so all must be contiguous; zeros replace the weights.
    """
    change = [torch.zeros_like(average) for average in exp_avg]
    count = torch.full((), float(step), dtype=torch.float32, device=change[0].device)
    torch._fused_adam_(
        change,
        grads,
        exp_avg,
        exp_avg_sq,
        [],
        [count] * len(change),
        lr=-1.0,
        beta1=betas[0],
        beta2=betas[1],
        weight_decay=0.0,
        eps=eps,
        amsgrad=False,
        maximize=False,
    )
    return change
