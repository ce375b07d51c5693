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
        each, hidden, cell = gates.unbind(), states.unbind(), cells.unbind()
        both = gates[..., : 2 * layer.hidden].unbind()
        enter, keep, write, read = (part.unbind() for part in gates.chunk(4, dim=2))
        out = squashed.unbind()
        for step in layer.order(length):
            before, after = layer.around(step)
            each[step].addmm_(hidden[before], weight)
            both[step].sigmoid_()
            write[step].tanh_()
            read[step].sigmoid_()
            torch.mul(keep[step], cell[before], out=cell[after])
            cell[after].addcmul_(enter[step], write[step])
            torch.tanh(cell[after], out=out[step])
            torch.mul(read[step], out[step], out=hidden[after])
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
        each, cell, out = to_gates.unbind(), cells.unbind(), squashed.unbind()
        both, to_both = gates[..., :two].unbind(), to_gates[..., :two].unbind()
        enter, keep, write, read = (part.unbind() for part in gates.chunk(4, dim=2))
        to_enter, to_keep, to_write, to_read = (part.unbind() for part in to_gates.chunk(4, dim=2))
        for step in reversed(layer.order(len(inputs))):
            if along is not None:
                grad += along[step]
            torch.mul(grad, out[step], out=to_read[step])
            _sigmoid_backward(to_read[step], read[step], grad_input=to_read[step])
            grad *= read[step]
            _tanh_backward(grad, out[step], grad_input=scratch)
            cell_grad += scratch
            torch.mul(cell_grad, write[step], out=to_enter[step])
            torch.mul(cell_grad, cell[layer.around(step)[0]], out=to_keep[step])
            _sigmoid_backward(to_both[step], both[step], grad_input=to_both[step])
            torch.mul(cell_grad, enter[step], out=to_write[step])
            _tanh_backward(to_write[step], write[step], grad_input=to_write[step])
            cell_grad *= keep[step]
            torch.mm(each[step], layer.weight_hh, out=grad)
        terms = (Term(to_gates, slice(None)),)
        ctx.tape.records.append(RecurrentRecord(layer, inputs, layer.all_before(states), terms))
        if not ctx.needs_input_grad[0]:
            return None, None, None, None
        return to_gates @ layer.weight_ih, None, None, None
