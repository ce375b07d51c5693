"""Recurrent layers: one pass over time, then norms and weighted sums for all time steps at once.

All runs and both directions of a layer are computed side by side, G = directions × R of them: the
reverse direction reads the sequence turned round, so that both go through the same loop.

The gradient of one sample's weights is Σ_t b_t a_tᵀ, with a_t the layer's input or previous hidden
state and b_t the gradient at the gates' pre-activations. Its squared norm is
Σ_{t,s} ⟨b_t, b_s⟩⟨a_t, a_s⟩: two T × T Gram matrices stand in for a gradient of 3H × D values
a sample (Goodfellow 2015, arXiv:1510.01799; Li et al. 2022, arXiv:2110.05679; book-keeping after
Bu et al. 2023, arXiv:2210.00038). The weighted sum is one matrix product over all samples and steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dp.clipping.workspace import Workspace

_BLOCK = 2**20
"""Values that are worked on at a time where the order is free: few enough to stay in a cache."""


@dataclass(frozen=True)
class Layer:
    """One recurrent layer of R runs.

    Attributes:
        modules: the stock module of each run, R.
        number: of the layer in its module, from 0.
    """

    modules: Sequence[nn.RNNBase]
    number: int

    @property
    def hidden(self) -> int:
        """H, width of the hidden state."""
        return self.modules[0].hidden_size

    @property
    def directions(self) -> int:
        """1 or 2."""
        return 2 if self.modules[0].bidirectional else 1

    @property
    def bias(self) -> bool:
        """Whether there is one on each side."""
        return self.modules[0].bias

    def name(self, buffer: str) -> tuple[int, int, str]:
        """Of a buffer that the layer needs until its backward pass."""
        return id(self.modules[0]), self.number, buffer

    def parameters(self, kind: str) -> list[nn.Parameter]:
        """`weight_ih`, `weight_hh`, `bias_ih` or `bias_hh`: G of them, directions outermost."""
        return [
            getattr(module, f"{kind}_l{self.number}{suffix}")
            for suffix in ("", "_reverse")[: self.directions]
            for module in self.modules
        ]

    def stacked(self, kind: str) -> list[Tensor]:
        """The same gate by gate: weights to multiply from the right, [G, ., H], or biases, [G, 1, H]."""
        joined = torch.stack([parameter.detach() for parameter in self.parameters(kind)])
        if kind.startswith("bias"):
            return list(torch.split(joined[:, None], self.hidden, dim=2))
        return list(torch.split(joined.transpose(1, 2), self.hidden, dim=2))

    def read(self, sequence: Tensor, space: Workspace) -> Tensor:
        """[T, R, B, F] to [T, G, B, F], every direction in the order in which it reads."""
        if self.directions == 1:
            return sequence.contiguous()
        length, runs, batch, width = sequence.shape
        both = space.take(self.name("read"), sequence, length, 2, runs, batch, width)
        both[:, 0].copy_(sequence)
        both[:, 1].copy_(sequence.flip(0))
        return both.flatten(1, 2)

    def project(
        self,
        inputs: Tensor,
        weights: Sequence[Tensor],
        biases: Sequence[Tensor] | None,
        out: Tensor,
        space: Workspace,
    ) -> None:
        """W_ih x (+ bias) of each gate for all time steps, into [T, J, G, B, H].

        Args:
            inputs: [T, G, B, F].
            weights: of J gates.
            biases: of the same, or None.
            out: its first J gates are written.
            space: memory to work in.
        """
        length, places, batch, width = inputs.shape
        flat = space.take("flat", inputs, places, length, batch, width)
        flat.copy_(inputs.transpose(0, 1))
        product = space.take("product", inputs, places, length * batch, self.hidden)
        for gate, weight in enumerate(weights):
            if biases is None:
                torch.bmm(flat.flatten(1, 2), weight, out=product)
            else:
                torch.baddbmm(biases[gate], flat.flatten(1, 2), weight, out=product)
            out[:, gate].copy_(product.view(places, length, batch, -1).transpose(0, 1))

    def states(self, inputs: Tensor, space: Workspace, kind: str) -> Tensor:
        """Room for the states before and after each step, [T + 1, G, B, H], the first one zero."""
        length, places, batch, _ = inputs.shape
        result = space.take(self.name(kind), inputs, length + 1, places, batch, self.hidden)
        result[0].zero_()
        return result

    def along(self, states: Tensor, space: Workspace) -> Tensor:
        """States after each step as the layer returns them, [T, R, B, directions × H]."""
        after = states[1:]
        if self.directions == 1:
            return after
        one, other = _parted(after, 1, 2).unbind(1)
        both = space.take(self.name("along"), after, *one.shape[:3], 2 * self.hidden)
        both[..., : self.hidden].copy_(one)
        for target, step in zip(both[..., self.hidden :], reversed(other.unbind()), strict=True):
            target.copy_(step)
        return both

    def last(self, states: Tensor) -> Tensor:
        """States after the step that was processed last, [directions, R, B, H]."""
        return _parted(states[-1], 0, self.directions).clone()

    def along_back(self, grad: Tensor) -> Tensor:
        """Gradients of what `along` returned, in the order of processing, [T, G, B, H]."""
        if self.directions == 1:
            return grad
        one, other = grad.chunk(2, dim=3)
        return torch.stack([one, other.flip(0)], dim=1).flatten(1, 2)

    def to_inputs(self, terms: Terms) -> Tensor:
        """Gradients of the sequence that was read, [T, R, B, F]."""
        length, _, places, batch, _ = terms.grads.shape
        weights = self.stacked("weight_ih")
        total = terms.grads.new_zeros(places, length * batch, weights[0].shape[1])
        for block, weight in zip(terms.on_input, weights, strict=True):
            rows = terms.grads[:, block].transpose(0, 1).flatten(1, 2)
            total.baddbmm_(rows, weight.transpose(1, 2))
        grad = total.view(places, length, batch, -1).transpose(0, 1)
        if self.directions == 1:
            return grad
        one, other = _parted(grad, 1, 2).unbind(1)
        return one + other.flip(0)


@dataclass(frozen=True)
class Terms:
    """Gradients at the pre-activations, block by block of the weights' rows.

    Attributes:
        grads: b, [T, J, G, B, H].
        on_input, on_hidden: which of the J blocks belong to the rows of `weight_ih`, and to those of
            `weight_hh`, in the order of the rows.
    """

    grads: Tensor
    on_input: tuple[int, ...]
    on_hidden: tuple[int, ...]

    def sides(self) -> dict[tuple[bool, bool], list[int]]:
        """Blocks by whether they are on the input's side and on the hidden side."""
        found: dict[tuple[bool, bool], list[int]] = {}
        for block in range(self.grads.shape[1]):
            found.setdefault((block in self.on_input, block in self.on_hidden), []).append(block)
        return found


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

    def squared_norms(self, space: Workspace) -> Tensor:
        """Squared L2 norm of each sample's gradient, [R, B], by the cheaper of two forms."""
        norms = self._by_gram if self._gram_is_cheaper() else self._by_sample
        parts = [norms(places, space) for places in self._places()]
        return _parted(torch.cat(parts), 0, self.layer.directions).sum(dim=0)

    def write(self, factors: Tensor | None, space: Workspace) -> None:
        """Weighted sums of all weights in one product, Σ_t,b factor · b (h, x, 1)ᵀ."""
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
        for side, wanted, of_weight in (
            ("ih", self.terms.on_input, slice(hidden, -1)),
            ("hh", self.terms.on_hidden, slice(0, hidden)),
        ):
            chosen = by_block[:, list(wanted)].flatten(1, 2)
            self._set(f"weight_{side}", chosen[..., of_weight].contiguous())
            if self.layer.bias:
                self._set(f"bias_{side}", chosen[..., -1].contiguous())

    def _set(self, kind: str, grads: Tensor) -> None:
        for parameter, grad in zip(self.layer.parameters(kind), grads.unbind(), strict=True):
            parameter.grad = grad

    def _places(self) -> Iterator[slice]:
        """The G places, a few at a time."""
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
        # per-sample gradients are written and read once more: measured twice as dear per entry
        return length * (blocks * hidden + width) <= 2 * entries

    def _by_gram(self, places: slice, space: Workspace) -> Tensor:
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
        for side, blocks in self.terms.sides().items():
            grads = [_by_sample(self.terms.grads[:, block, places]) for block in blocks]
            product = _gram(grads, space, "grads")
            total += torch.linalg.vecdot(product.flatten(1), factors[side].flatten(1))
        return total.view(-1, batch)

    def _by_sample(self, places: slice, space: Workspace) -> Tensor:
        batch = self.inputs.shape[2]
        inputs, states = _by_sample(self.inputs[:, places]), _by_sample(self.states[:, places])
        total = torch.zeros_like(inputs[:, 0, 0])
        for (on_input, on_hidden), blocks in self.terms.sides().items():
            for block in blocks:
                rows = _by_sample(self.terms.grads[:, block, places]).transpose(1, 2)
                for used, values in ((on_input, inputs), (on_hidden, states)):
                    if used:
                        each = (rows @ values).flatten(1)
                        total += torch.linalg.vecdot(each, each)
                        if self.layer.bias:
                            total += rows.sum(dim=2).square().sum(dim=1)
        return total.view(-1, batch)


def _by_sample(values: Tensor) -> Tensor:
    """[T, G, B, K] as [G·B, T, K]."""
    return values.flatten(1, 2).transpose(0, 1)


def _parted(values: Tensor, dim: int, parts: int) -> Tensor:
    """One axis as two, the first of them `parts` long."""
    shape = (*values.shape[:dim], parts, -1, *values.shape[dim + 1 :])
    return values.reshape(shape)


def _gram(parts: Sequence[Tensor], space: Workspace, name: str) -> Tensor:
    """⟨v_t, v_s⟩ of each sample, added up over parts: [N, T, K] each to [N, T, T]."""
    count, length, _ = parts[0].shape
    result = space.take(f"gram {name}", parts[0], count, length, length)
    torch.bmm(parts[0], parts[0].transpose(1, 2), out=result)
    for part in parts[1:]:
        result.baddbmm_(part, part.transpose(1, 2))
    return result
