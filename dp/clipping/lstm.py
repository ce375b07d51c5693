"""One direction of one LSTM layer, run by hand so that the gradients at its gates are seen."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dp.clipping.recurrent import Direction, RecurrentRecord, Term
from dp.clipping.tape import Tape

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


class Lstm(torch.autograd.Function):
    """i, f, g, o = σ, σ, tanh, σ of W_ih x + b_ih + W_hh h + b_hh; c' = f·c + i·g; h' = o·tanh c'.

    (Hochreiter and Schmidhuber 1997, as torch has it.) Both sides share all gradients.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, anchor: Tensor, layer: Direction, tape: Tape
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden states [T, B, H], the last of them and the last cell, [B, H], of [T, B, F]."""
        length, batch, _ = inputs.shape
        space = tape.space
        weight = layer.weight_hh.t()
        bias: Tensor | None = layer.bias_ih
        if bias is not None and layer.bias_hh is not None:
            bias = bias + layer.bias_hh
        # All input products at once; becomes i, f, g, o in place, step by step.
        gates = layer.project(inputs, bias, space)
        states = layer.states(inputs, space, "states")
        cells = layer.states(inputs, space, "cells")
        squashed = space.take(
            (layer.name, "squashed"), inputs, length, batch, layer.hidden
        )  # tanh c'
        for step in layer.order(length):
            gates[step].addmm_(layer.before(states, step), weight)
            both, write, read = gates[step].tensor_split(
                (2 * layer.hidden, 3 * layer.hidden), dim=1
            )
            both.sigmoid_()
            write.tanh_()
            read.sigmoid_()
            enter, keep = both.chunk(2, dim=1)
            cell = layer.after(cells, step)
            torch.mul(keep, layer.before(cells, step), out=cell)
            cell.addcmul_(enter, write)
            torch.tanh(cell, out=squashed[step])
            torch.mul(read, squashed[step], out=layer.after(states, step))
        ctx.kept = (inputs, gates, states, cells, squashed)
        ctx.layer, ctx.tape = layer, tape
        ctx.set_materialize_grads(False)
        return layer.all_after(states), layer.last(states).clone(), layer.last(cells).clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        """Back through time; the gate gradients go to the tape, none to the parameters."""
        inputs, gates, states, cells, squashed = ctx.kept
        layer: Direction = ctx.layer
        along, last, last_cell = gradients
        two = 2 * layer.hidden
        to_gates = ctx.tape.space.take((layer.name, "to gates"), gates, *gates.shape)
        zeros = torch.zeros_like(states[0])
        grad = zeros if last is None else last.clone()
        cell_grad = zeros.clone() if last_cell is None else last_cell.clone()
        scratch = torch.empty_like(zeros)
        for step in reversed(layer.order(len(inputs))):
            if along is not None:
                grad += along[step]
            enter, keep, write, read = gates[step].chunk(4, dim=1)
            to_enter, to_keep, to_write, to_read = to_gates[step].chunk(4, dim=1)
            torch.mul(grad, squashed[step], out=to_read)
            _sigmoid_backward(to_read, read, grad_input=to_read)
            grad *= read
            _tanh_backward(grad, squashed[step], grad_input=scratch)
            cell_grad += scratch
            torch.mul(cell_grad, write, out=to_enter)
            torch.mul(cell_grad, layer.before(cells, step), out=to_keep)
            both = to_gates[step, :, :two]
            _sigmoid_backward(both, gates[step, :, :two], grad_input=both)
            torch.mul(cell_grad, enter, out=to_write)
            _tanh_backward(to_write, write, grad_input=to_write)
            cell_grad *= keep
            torch.mm(to_gates[step], layer.weight_hh, out=grad)
        terms = (Term(to_gates, slice(None)),)
        ctx.tape.records.append(RecurrentRecord(layer, inputs, layer.all_before(states), terms))
        if not ctx.needs_input_grad[0]:
            return None, None, None, None
        return to_gates @ layer.weight_ih, None, None, None
