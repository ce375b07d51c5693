"""TrAct: training of the pre-activations of the first layer in place of its weights.

The first layer is z = Wx with data x, and the few large inputs dominate its gradient ∇W = (∂L/∂z)ᵀX.
TrAct takes the gradient step in z, and W follows it: min over ΔW of
‖−ηb·∂L/∂z − X·ΔWᵀ‖² + λb‖ΔW‖², which is ΔW = −η·∇W·(XᵀX/b + λI)⁻¹ (Petersen et al. 2024,
arXiv:2410.23970). In a recurrent layer X has the inputs of all windows and time steps, b = B·T rows.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

FIRST = ("weight_ih_l0", "weight_ih_l0_reverse")


class TrAct(Optimizer):
    """A wrapper of another optimizer that preconditions the gradients of recurrent input weights.

    Groups, settings and state are those of `base`; gradients are restored after a step. Without
    `second_moment` it reads the batch, which under privacy would mix windows and break the bound on the
    contribution of each. With one from public or charged figures it reads no data, and a step on a
    noised gradient is free. The noise on column j is then Φ·(P²)_jj, P = (S + λI)⁻¹, more where inputs
    vary little: report λ, and choose no `base` that subtracts Φ.

    Args:
        model: with one or more `nn.GRU`, `nn.LSTM` or `nn.RNN`.
        base: over the parameters of `model`; adds weight decay after the preconditioning.
        ridge: λ, above 0; 0.05 to 0.2 in the paper, for inputs of unit variance.
        second_moment: S, of the inputs of one time step, [F, F]; None for XᵀX/b of each batch.

    Raises:
        ValueError: no recurrent layer, or a value that is out of its range.
    """

    def __init__(
        self,
        model: nn.Module,
        base: Optimizer,
        *,
        ridge: float = 0.1,
        second_moment: Tensor | None = None,
    ) -> None:
        if not 0 < ridge < math.inf:
            raise ValueError(f"expected ridge={ridge} to be above 0 and finite")
        layers = [layer for layer in model.modules() if isinstance(layer, nn.RNNBase)]
        if not layers:
            raise ValueError("TrAct needs a GRU or LSTM in the model; choose another optimizer")
        self.base, self.ridge = base, ridge
        self._layers: list[tuple[nn.RNNBase, _Inputs | Tensor]] = []
        for layer in layers:
            if second_moment is not None:
                self._layers.append((layer, _inverse(second_moment, ridge, layer.input_size)))
                continue
            self._layers.append((layer, inputs := _Inputs()))
            # the model may be trained further without the optimizer: the hook then ends
            weakref.finalize(self, layer.register_forward_pre_hook(inputs).remove)
        super().__init__(base.param_groups, base.defaults)
        self.param_groups, self.state = base.param_groups, base.state

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update the weights once, and return the result of the closure, if any."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        changed = [(weight, weight.grad, new) for weight, new in self._preconditioned()]
        for weight, _, new in changed:
            weight.grad = new
        self.base.step()
        for weight, old, _ in changed:
            weight.grad = old
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a saved state; λ and the second moment are those of the constructor."""
        self.base.load_state_dict(state_dict)
        self.param_groups, self.state = self.base.param_groups, self.base.state

    def _preconditioned(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield weights that have a gradient, each with its preconditioned gradient."""
        for layer, source in self._layers:
            inputs = source.take() if isinstance(source, _Inputs) else []
            weights = [getattr(layer, name) for name in FIRST if hasattr(layer, name)]
            for weight in (weight for weight in weights if weight.grad is not None):
                if isinstance(source, Tensor):
                    yield weight, weight.grad @ source.to(weight.grad)
                    continue
                if not inputs:
                    raise ValueError("TrAct saw no input; call the model in training mode first")
                yield weight, precondition(weight.grad, torch.cat(inputs), self.ridge)


class _Inputs:
    """A hook that stores the inputs of a layer in training; on a copy of the layer it does nothing."""

    def __init__(self) -> None:
        self._parts: list[Tensor] = []

    def __call__(self, layer: nn.Module, args: tuple[Any, ...]) -> None:
        if layer.training and torch.is_grad_enabled():
            self._parts.append(args[0].data.flatten(0, -2))  # packed sequences included

    def __deepcopy__(self, memo: dict[int, Any]) -> Callable[..., None]:
        return _nothing

    def take(self) -> list[Tensor]:
        parts, self._parts = self._parts, []
        return parts


def _nothing(layer: nn.Module, args: tuple[Any, ...]) -> None:
    """Do nothing: the hook on a copy of the layer."""


def precondition(grad: Tensor, inputs: Tensor, ridge: float) -> Tensor:
    """Return ∇W·(XᵀX/b + λI)⁻¹ of a mean loss, by the smaller of XᵀX and XXᵀ; [G, F] and [b, F]."""
    rows, width = inputs.shape
    kind = torch.promote_types(grad.dtype, torch.float32)  # nothing is factorised in half precision
    new, read = grad.to(kind), inputs.to(kind)
    eye = torch.eye(min(rows, width), dtype=kind, device=grad.device)
    if rows >= width:
        new = torch.linalg.solve(read.T @ read / rows + ridge * eye, new.T).T
    else:  # (I − Xᵀ(XXᵀ + λbI)⁻¹X)/λ
        part = torch.linalg.solve(read @ read.T + ridge * rows * eye, read @ new.T)
        new = (new - part.T @ read) / ridge
    result: Tensor = new.to(grad.dtype)
    return result


def _inverse(second_moment: Tensor, ridge: float, width: int) -> Tensor:
    """Check S, and return (S + λI)⁻¹ in double precision."""
    moment = second_moment.detach().cpu().double()  # some accelerators have no doubles
    if moment.shape != (width, width):
        raise ValueError(f"expected second_moment [{width}, {width}], got {list(moment.shape)}")
    values, vectors = torch.linalg.eigh(moment.nan_to_num())
    symmetric = moment.isfinite().all() and torch.allclose(moment, moment.T)
    if not symmetric or values[0] < -1e-6 * values[-1].abs():
        raise ValueError("expected second_moment to be finite and positive semidefinite")
    inverse: Tensor = (vectors / (values.clamp(min=0) + ridge)) @ vectors.T
    return inverse
