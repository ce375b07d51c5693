"""Recurrent layers: norms and weighted sums of gradients for all time steps at once.

The gradient of one sample's weights is Σ_t b_t a_tᵀ, with a_t the layer's input or previous hidden
state and b_t the gradient at the gates' pre-activations. Its squared norm is
Σ_{t,s} ⟨b_t, b_s⟩⟨a_t, a_s⟩: two T × T Gram matrices replace a gradient of 3H × D values per sample
(Goodfellow 2015, arXiv:1510.01799; Li et al. 2022, arXiv:2110.05679; book-keeping after Bu et al. 2023,
arXiv:2210.00038). The weighted sum is one matrix product over all samples and steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dp.clipping import rounding
from dp.clipping.unrolled import Layer, Terms, split_axis
from dp.clipping.workspace import Workspace

_BLOCK = 2**20
"""Values that are worked on at a time where the order is free: few enough to stay in a cache."""


@dataclass(frozen=True)
class RecurrentRecord:
    """Inputs, previous states and gate gradients of one layer.

    Attributes:
        layer: its parameters.
        inputs: [T, G, B, F].
        states: hidden state before each step, [T, G, B, H].
        terms: gradients at the pre-activations.
    """

    layer: Layer
    inputs: Tensor
    states: Tensor
    terms: Terms

    def squared_norms(self, space: Workspace) -> tuple[Tensor, Tensor]:
        """Return the squared L2 norm of each sample's gradient, [R, B], by the cheaper of two forms."""
        norms = self._by_gram if self._gram_is_cheaper() else self._by_sample
        parts = zip(*(norms(places, space) for places in self._places()), strict=True)
        total, lost = (
            split_axis(torch.cat(part), 0, self.layer.directions).sum(dim=0) for part in parts
        )
        return total, lost

    def without(self, lost: Tensor) -> RecurrentRecord:
        """Return the record without lost samples; see `Record`."""
        rows = lost.repeat(self.layer.directions, 1)[..., None]
        return replace(
            self,
            inputs=self.inputs.masked_fill(rows, 0),
            states=self.states.masked_fill(rows, 0),
            terms=replace(self.terms, grads=self.terms.grads.masked_fill(rows, 0)),
        )

    def write(self, factors: Tensor | None, space: Workspace) -> None:
        """Write the weighted sums of all weights in one product, Σ_t,b factor · b (h, x, 1)ᵀ."""
        length, blocks, places, batch, hidden = self.terms.grads.shape
        width = self.inputs.shape[3]
        columns = hidden + width + 1
        total = self.inputs.new_zeros(places, blocks * hidden, columns)
        each = places * batch * (blocks * hidden + columns)
        steps = min(length, max(1, _BLOCK // each))
        rows = space.take("rows", total, places, steps, batch, blocks, hidden)
        values = space.take("values", total, places, steps, batch, columns)
        values[..., -1] = 1
        scale = None
        if factors is not None:
            scale = factors.repeat(self.layer.directions, 1)[:, None, :, None, None]
        for start in range(0, length, steps):
            now = slice(start, min(start + steps, length))
            size = now.stop - start
            grads = self.terms.grads[now].permute(2, 0, 3, 1, 4)
            if scale is None:
                rows[:, :size].copy_(grads)
            else:
                torch.mul(grads, scale, out=rows[:, :size])
            values[:, :size, :, :hidden].copy_(self.states[now].transpose(0, 1))
            values[:, :size, :, hidden:-1].copy_(self.inputs[now].transpose(0, 1))
            total.baddbmm_(
                rows[:, :size].flatten(3).flatten(1, 2).transpose(1, 2),
                values[:, :size].flatten(1, 2),
            )
        by_block = total.view(places, blocks, hidden, columns)
        for side, blocks_of_side, of_weight in (
            ("ih", self.terms.on_input, slice(hidden, -1)),
            ("hh", self.terms.on_hidden, slice(0, hidden)),
        ):
            chosen = by_block[:, list(blocks_of_side)].flatten(1, 2)
            self._set(f"weight_{side}", chosen[..., of_weight].contiguous())
            if self.layer.bias:
                self._set(f"bias_{side}", chosen[..., -1].contiguous())

    def _set(self, kind: str, grads: Tensor) -> None:
        for parameter, grad in zip(self.layer.parameters(kind), grads.unbind(), strict=True):
            parameter.grad = grad

    def _places(self) -> Iterator[slice]:
        """Yield slices of the G places, a few places at a time."""
        length, _, places, batch, _ = self.terms.grads.shape
        each = max(1, _BLOCK // (batch * length * length))
        for start in range(0, places, each):
            yield slice(start, start + each)

    def _gram_is_cheaper(self) -> bool:
        length, blocks, _, _, hidden = self.terms.grads.shape
        width = self.inputs.shape[3] + hidden
        entries = hidden * (
            len(self.terms.on_input) * self.inputs.shape[3] + len(self.terms.on_hidden) * hidden
        )
        # per-sample gradients are written and read once more: twice as slow per entry, as measured
        return length * (blocks * hidden + width) <= 2 * entries

    def _by_gram(self, places: slice, space: Workspace) -> tuple[Tensor, Tensor]:
        batch = self.inputs.shape[2]
        on_input = _gram([_by_sample(self.inputs[:, places])], space, "inputs")
        on_hidden = _gram([_by_sample(self.states[:, places])], space, "states")
        if self.layer.bias:
            on_input += 1
            on_hidden += 1
        both = torch.add(
            on_input, on_hidden, out=space.take("gram both", on_input, *on_input.shape)
        )
        factors = {(True, True): both, (True, False): on_input, (False, True): on_hidden}
        total = torch.zeros_like(on_input[:, 0, 0])
        lost = torch.zeros_like(total)
        for side, blocks in self.terms.sides().items():
            grads = [_by_sample(self.terms.grads[:, block, places]) for block in blocks]
            product = _gram(grads, space, "grads")
            total += torch.linalg.vecdot(product.flatten(1), factors[side].flatten(1))
            lost += rounding.lost(_diagonal(factors[side]), _diagonal(product))
        return total.view(-1, batch), lost.view(-1, batch)

    def _by_sample(self, places: slice, space: Workspace) -> tuple[Tensor, Tensor]:
        batch = self.inputs.shape[2]
        inputs, states = _by_sample(self.inputs[:, places]), _by_sample(self.states[:, places])
        total = torch.zeros_like(inputs[:, 0, 0])
        lost = torch.zeros_like(total)
        bias = 1 if self.layer.bias else 0
        squares = [torch.linalg.vecdot(values, values) + bias for values in (inputs, states)]
        for (on_input, on_hidden), blocks in self.terms.sides().items():
            for block in blocks:
                rows = _by_sample(self.terms.grads[:, block, places]).transpose(1, 2)
                slopes = torch.linalg.vecdot(rows, rows, dim=1)
                for used, values, size in zip(
                    (on_input, on_hidden), (inputs, states), squares, strict=True
                ):
                    if used:
                        lost += rounding.lost(size, slopes)
                        each = (rows @ values).flatten(1)
                        total += torch.linalg.vecdot(each, each)
                        if self.layer.bias:
                            total += rows.sum(dim=2).square().sum(dim=1)
        return total.view(-1, batch), lost.view(-1, batch)


def _by_sample(values: Tensor) -> Tensor:
    """Return values [T, G, B, K] as [G·B, T, K]."""
    return values.flatten(1, 2).transpose(0, 1)


def _diagonal(gram: Tensor) -> Tensor:
    """Return ‖v_t‖², [N, T], from Gram matrices [N, T, T]."""
    return gram.diagonal(dim1=1, dim2=2)


def _gram(parts: Sequence[Tensor], space: Workspace, name: str) -> Tensor:
    """Return ⟨v_t, v_s⟩ of each sample, added up over parts: [N, T, K] each to [N, T, T]."""
    count, length, _ = parts[0].shape
    result = space.take(f"gram {name}", parts[0], count, length, length)
    torch.bmm(parts[0], parts[0].transpose(1, 2), out=result)
    for part in parts[1:]:
        result.baddbmm_(part, part.transpose(1, 2))
    return result
