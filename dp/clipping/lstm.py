"""One LSTM layer with an explicit time loop, so that the gradients at its gates are available."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dp.clipping.activations import sigmoid_backward, tanh_, tanh_backward
from dp.clipping.recurrent import RecurrentRecord
from dp.clipping.tape import Tape
from dp.clipping.unrolled import Layer, Terms

_ORDER = (0, 1, 3, 2)
"""Rows of the weights for gates i, f, o, g, with the three sigmoids adjacent; its own inverse."""


class Lstm(torch.autograd.Function):
    """i, f, g, o = σ, σ, tanh, σ of W_ih x + b_ih + W_hh h + b_hh; c' = f·c + i·g; h' = o·tanh c'.

    As in torch (Hochreiter and Schmidhuber 1997). Both sides share all gradients.
    """

    @staticmethod
    def forward(
        ctx: Any, sequence: Tensor, anchor: Tensor, layer: Layer, tape: Tape
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return states [T, R, B, directions × H], last states and last cells [directions, R, B, H].

        Args:
            ctx: autograd's.
            sequence: [T, R, B, F].
            anchor: needs a gradient, so that autograd calls `backward`.
            layer: parameters of R runs.
            tape: where gradients are recorded.
        """
        space = tape.space
        inputs = layer.read(sequence, space)
        length, places, batch, _ = inputs.shape
        weights = _ordered(layer.stacked("weight_hh"))
        biases = None
        if layer.bias:
            sides = zip(layer.stacked("bias_ih"), layer.stacked("bias_hh"), strict=True)
            biases = _ordered([on_input + on_hidden for on_input, on_hidden in sides])
        # All input products at once; becomes i, f, o, g in place, step by step. The fifth is tanh c'.
        gates = space.take(layer.name("gates"), inputs, length, 5, places, batch, layer.hidden)
        layer.project(inputs, _ordered(layer.stacked("weight_ih")), biases, gates, space)
        states = layer.states(inputs, space, "states")
        cells = layer.states(inputs, space, "cells")
        three, hidden, cell = gates[:, :3].unbind(), states.unbind(), cells.unbind()
        each = [gate.unbind() for gate in gates.unbind(1)]
        enter, keep, read, write, out = each
        for step in range(length):
            for gate, weight in zip(each, weights, strict=False):
                gate[step].baddbmm_(hidden[step], weight)
            three[step].sigmoid_()
            tanh_(write[step])
            torch.mul(keep[step], cell[step], out=cell[step + 1])
            cell[step + 1].addcmul_(enter[step], write[step])
            tanh_(out[step].copy_(cell[step + 1]))
            torch.mul(read[step], out[step], out=hidden[step + 1])
        ctx.kept = (inputs, gates, states, cells)
        ctx.layer, ctx.tape = layer, tape
        ctx.set_materialize_grads(False)
        return layer.along(states, space), layer.last(states), layer.last(cells)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        """Run back through time; gate gradients go to the tape, none to the parameters."""
        inputs, gates, states, cells = ctx.kept
        layer: Layer = ctx.layer
        along, last, last_cell = gradients
        zeros = torch.zeros_like(states[0])
        grad = zeros if last is None else last.flatten(0, 1).clone()
        cell_grad = zeros.clone() if last_cell is None else last_cell.flatten(0, 1).clone()
        steps = None if along is None else layer.along_back(along).unbind()
        scratch = torch.empty_like(zeros)
        shape = (len(inputs), 4, *zeros.shape)
        to_gates = ctx.tape.space.take(layer.name("to gates"), gates, *shape)
        weights = [w.transpose(1, 2) for w in _ordered(layer.stacked("weight_hh"))]
        three, to_three = gates[:, :3].unbind(), to_gates[:, :3].unbind()
        cell = cells.unbind()
        enter, keep, read, write, out = (gate.unbind() for gate in gates.unbind(1))
        to_each = [gate.unbind() for gate in to_gates.unbind(1)]
        to_enter, to_keep, to_read, to_write = to_each
        for step in reversed(range(len(inputs))):
            if steps is not None:
                grad += steps[step]
            torch.mul(grad, out[step], out=to_read[step])
            grad *= read[step]
            tanh_backward(grad, out[step], grad_input=scratch)
            cell_grad += scratch
            torch.mul(cell_grad, write[step], out=to_enter[step])
            torch.mul(cell_grad, cell[step], out=to_keep[step])
            sigmoid_backward(to_three[step], three[step], grad_input=to_three[step])
            torch.mul(cell_grad, enter[step], out=to_write[step])
            tanh_backward(to_write[step], write[step], grad_input=to_write[step])
            cell_grad *= keep[step]
            torch.bmm(to_enter[step], weights[0], out=grad)
            for to_gate, weight in zip(to_each[1:], weights[1:], strict=True):
                grad.baddbmm_(to_gate[step], weight)
        terms = Terms(to_gates, on_input=_ORDER, on_hidden=_ORDER)
        ctx.tape.records.append(RecurrentRecord(layer, inputs, states[:-1], terms))
        to_inputs = layer.to_inputs(terms) if ctx.needs_input_grad[0] else None
        return to_inputs, None, None, None


def _ordered(by_row: list[Tensor]) -> list[Tensor]:
    return [by_row[row] for row in _ORDER]
