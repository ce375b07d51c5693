"""One recurrent layer unrolled over time: its weights side by side, its inputs and its gradients.

All runs and both directions of a layer are computed side by side, G = directions × R of them: the
reverse direction reads the sequence turned round, so that both go through the same loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dp.clipping.workspace import Workspace


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
        """Whether both sides have a bias."""
        return self.modules[0].bias

    def name(self, buffer: str) -> tuple[int, int, str]:
        """Return the name of a buffer that the layer needs until its backward pass."""
        return id(self.modules[0]), self.number, buffer

    def parameters(self, kind: str) -> list[nn.Parameter]:
        """Return `weight_ih`, `weight_hh`, `bias_ih` or `bias_hh`: G of them, directions outermost."""
        return [
            getattr(module, f"{kind}_l{self.number}{suffix}")
            for suffix in ("", "_reverse")[: self.directions]
            for module in self.modules
        ]

    def stacked(self, kind: str) -> list[Tensor]:
        """Return parameters per gate: weights for products from the right, [G, ., H], or biases.

        Biases are [G, 1, H].
        """
        joined = torch.stack([parameter.detach() for parameter in self.parameters(kind)])
        if kind.startswith("bias"):
            return list(torch.split(joined[:, None], self.hidden, dim=2))
        return list(torch.split(joined.transpose(1, 2), self.hidden, dim=2))

    def read(self, sequence: Tensor, space: Workspace) -> Tensor:
        """Return [T, R, B, F] as [T, G, B, F], every direction in the order in which it reads."""
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
        """Write W_ih x (+ bias) of each gate for all time steps into [T, J, G, B, H].

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
        """Return room for the states before and after each step, [T + 1, G, B, H], the first zero."""
        length, places, batch, _ = inputs.shape
        result = space.take(self.name(kind), inputs, length + 1, places, batch, self.hidden)
        result[0].zero_()
        return result

    def along(self, states: Tensor, space: Workspace) -> Tensor:
        """Return the states after each step as the layer returns them, [T, R, B, directions × H]."""
        after = states[1:]
        if self.directions == 1:
            return after
        forward, backward = split_axis(after, 1, 2).unbind(1)
        both = space.take(self.name("along"), after, *forward.shape[:3], 2 * self.hidden)
        both[..., : self.hidden].copy_(forward)
        for target, step in zip(both[..., self.hidden :], reversed(backward.unbind()), strict=True):
            target.copy_(step)
        return both

    def last(self, states: Tensor) -> Tensor:
        """Return the states after the step that was processed last, [directions, R, B, H]."""
        return split_axis(states[-1], 0, self.directions).clone()

    def along_back(self, grad: Tensor) -> Tensor:
        """Return the gradients of the result of `along` in the order of processing, [T, G, B, H]."""
        if self.directions == 1:
            return grad
        forward, backward = grad.chunk(2, dim=3)
        return torch.stack([forward, backward.flip(0)], dim=1).flatten(1, 2)

    def to_inputs(self, terms: Terms) -> Tensor:
        """Return the gradients of the sequence that was read, [T, R, B, F]."""
        length, _, places, batch, _ = terms.grads.shape
        weights = self.stacked("weight_ih")
        total = terms.grads.new_zeros(places, length * batch, weights[0].shape[1])
        for block, weight in zip(terms.on_input, weights, strict=True):
            rows = terms.grads[:, block].transpose(0, 1).flatten(1, 2)
            total.baddbmm_(rows, weight.transpose(1, 2))
        grad = total.view(places, length, batch, -1).transpose(0, 1)
        if self.directions == 1:
            return grad
        forward, backward = split_axis(grad, 1, 2).unbind(1)
        return forward + backward.flip(0)


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
        """Return the blocks by whether they are on the input's side and on the hidden side."""
        blocks: dict[tuple[bool, bool], list[int]] = {}
        for block in range(self.grads.shape[1]):
            blocks.setdefault((block in self.on_input, block in self.on_hidden), []).append(block)
        return blocks


def split_axis(values: Tensor, dim: int, parts: int) -> Tensor:
    """Split one axis in two, the first of them `parts` long."""
    shape = (*values.shape[:dim], parts, -1, *values.shape[dim + 1 :])
    return values.reshape(shape)
