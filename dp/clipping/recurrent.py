"""Recurrent layers: one pass over time, then norms and clipped sums for all time steps at once.

The gradient of one sample's weights is Σ_t b_t a_tᵀ, with a_t the layer's input or previous hidden
state and b_t the gradient at the gates' pre-activations. Its squared norm is
Σ_{t,s} ⟨b_t, b_s⟩⟨a_t, a_s⟩: two T × T Gram matrices stand in for a gradient of 3H × D values
a sample (Goodfellow 2015, arXiv:1510.01799; Li et al. 2022, arXiv:2110.05679; book-keeping after
Bu et al. 2023, arXiv:2210.00038). The clipped sum is one matrix product over all samples and steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dp.clipping.tape import gram
from dp.clipping.workspace import Workspace


@dataclass(frozen=True)
class Direction:
    """Parameters of one direction of one recurrent layer.

    Attributes:
        weight_ih, weight_hh: [G·H, F] and [G·H, H], G gates.
        bias_ih, bias_hh: [G·H]; None without bias.
        reverse: whether time runs backwards.
        name: of the buffers, one of its own for each direction of each layer.
    """

    weight_ih: nn.Parameter
    weight_hh: nn.Parameter
    bias_ih: nn.Parameter | None
    bias_hh: nn.Parameter | None
    reverse: bool
    name: str

    @property
    def hidden(self) -> int:
        """H, width of the hidden state."""
        return self.weight_hh.shape[1]

    def order(self, length: int) -> range:
        """Time steps in the order in which they are processed."""
        return range(length - 1, -1, -1) if self.reverse else range(length)

    def project(self, inputs: Tensor, bias: Tensor | None, space: Workspace) -> Tensor:
        """W_ih x (+ bias) for all time steps in one product, [T, B, G·H]."""
        length, batch, _ = inputs.shape
        rows = len(self.weight_ih)
        result = space.take((self.name, "gates"), inputs, length * batch, rows)
        flat, weight = inputs.flatten(0, 1), self.weight_ih.t()
        if bias is None:
            torch.mm(flat, weight, out=result)
        else:
            torch.addmm(bias, flat, weight, out=result)
        return result.view(length, batch, rows)

    def states(self, inputs: Tensor, space: Workspace, kind: str) -> Tensor:
        """Room for T + 1 states, [T + 1, B, H], zero where processing starts."""
        length, batch, _ = inputs.shape
        result = space.take((self.name, kind), inputs, length + 1, batch, self.hidden)
        result[-1 if self.reverse else 0].zero_()
        return result

    # States are kept in one array of T + 1, zeros at the end where processing starts.

    def around(self, step: int) -> tuple[int, int]:
        """Where the states before and after a step are."""
        return (step + 1, step) if self.reverse else (step, step + 1)

    def all_before(self, states: Tensor) -> Tensor:
        """States before each step, [T, B, H]."""
        return states[1:] if self.reverse else states[:-1]

    def all_after(self, states: Tensor) -> Tensor:
        """States after each step, [T, B, H]."""
        return states[:-1] if self.reverse else states[1:]

    def last(self, states: Tensor) -> Tensor:
        """State after the step that was processed last, [B, H]."""
        return states[0] if self.reverse else states[-1]


@dataclass(frozen=True)
class Term:
    """Rows of the weights that share one gradient at the pre-activation.

    Attributes:
        grad: b, [T, B, K].
        rows: which K of the G·H rows these are.
        on_input, on_hidden: whether they belong to `weight_ih`, to `weight_hh`, or to both.
    """

    grad: Tensor
    rows: slice
    on_input: bool = True
    on_hidden: bool = True


@dataclass(frozen=True)
class RecurrentRecord:
    """Inputs, previous states and gate gradients of one direction of one layer.

    Attributes:
        layer: its parameters.
        inputs: [T, B, F].
        states: hidden state before each step, [T, B, H].
        terms: gradients at the pre-activations.
    """

    layer: Direction
    inputs: Tensor
    states: Tensor
    terms: Sequence[Term]

    def squared_norms(self, space: Workspace) -> Tensor:
        """Squared L2 norm of each sample's gradient, [B], by the cheaper of two forms."""
        return self._by_gram(space) if self._gram_is_cheaper() else self._by_sample()

    def write(self, factors: Tensor, space: Workspace) -> None:
        """Clipped sums: one product over samples and steps for each block of rows."""
        layer = self.layer
        scale = factors[None, :, None]
        repeated = factors.repeat(len(self.inputs))
        sides = (
            (layer.weight_ih, layer.bias_ih, self.inputs, [t for t in self.terms if t.on_input]),
            (layer.weight_hh, layer.bias_hh, self.states, [t for t in self.terms if t.on_hidden]),
        )
        for weight, bias, values, terms in sides:
            scaled = space.take("scaled", values, *values.shape)
            torch.mul(values, scale, out=scaled)
            weight.grad = torch.empty_like(weight)
            for term in terms:
                rows = term.grad.flatten(0, 1).t()
                torch.mm(rows, scaled.flatten(0, 1), out=weight.grad[term.rows])
            if bias is not None:
                bias.grad = torch.cat([term.grad.flatten(0, 1).t() @ repeated for term in terms])

    def _gram_is_cheaper(self) -> bool:
        steps = len(self.inputs)
        rows = sum(term.grad.shape[2] for term in self.terms)
        entries = self.layer.weight_ih.numel() + self.layer.weight_hh.numel()
        width = self.inputs.shape[2] + self.states.shape[2]
        # per-sample gradients are written and read once more: measured twice as dear per entry
        return steps * (rows + width) <= 2 * entries

    def _by_gram(self, space: Workspace) -> Tensor:
        bias = 0 if self.layer.bias_ih is None else 1
        on_input, on_hidden = gram(self.inputs, space, "inputs"), gram(self.states, space, "states")
        on_input += bias
        on_hidden += bias
        both = torch.add(
            on_input, on_hidden, out=space.take("gram both", on_input, *on_input.shape)
        )
        total = torch.zeros_like(on_input[:, 0, 0])
        for term in self.terms:
            factor = (
                both
                if term.on_input and term.on_hidden
                else (on_input if term.on_input else on_hidden)
            )
            total += torch.linalg.vecdot(
                gram(term.grad, space, "grad").flatten(1), factor.flatten(1)
            )
        return total

    def _by_sample(self) -> Tensor:
        total = torch.zeros_like(self.inputs[0, :, 0])
        for term in self.terms:
            rows = term.grad.permute(1, 2, 0)
            for used, values in ((term.on_input, self.inputs), (term.on_hidden, self.states)):
                if used:
                    each = rows @ values.transpose(0, 1)
                    total += torch.linalg.vecdot(each.flatten(1), each.flatten(1))
                    if self.layer.bias_ih is not None:
                        total += rows.sum(dim=2).square().sum(dim=1)
        return total
