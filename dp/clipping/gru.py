"""One direction of one GRU layer, run by hand so that the gradients at its gates are seen."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dp.clipping.recurrent import Direction, RecurrentRecord, Term
from dp.clipping.tape import Tape

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


class Gru(torch.autograd.Function):
    """r, z, n = σ(i_r + h_r), σ(i_z + h_z), tanh(i_n + r·h_n); h' = n + z·(h − n).

    As torch has it, i = W_ih x + b_ih and h = W_hh h + b_hh: the reset gate scales the hidden side of
    n, bias included (Cho et al. 2014, arXiv:1406.1078, in the variant of cuDNN). So the two sides share
    their gradients in r and z, and have each their own in n.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, anchor: Tensor, layer: Direction, tape: Tape
    ) -> tuple[Tensor, Tensor]:
        """Hidden states [T, B, H] and the last of them, [B, H], of a sequence [T, B, F]."""
        length, batch, _ = inputs.shape
        two = 2 * layer.hidden
        weight, new_bias = layer.weight_hh.t(), None
        bias: Tensor | None = layer.bias_ih
        if bias is not None and layer.bias_hh is not None:
            bias, new_bias = bias.clone(), layer.bias_hh[two:]
            bias[:two] += layer.bias_hh[:two]
        # All input products at once; becomes r, z, n in place, step by step.
        gates = layer.project(inputs, bias, tape.space)
        inner = tape.space.take((layer.name, "inner"), inputs, length, batch, layer.hidden)  # h_n
        states = layer.states(inputs, tape.space, "states")
        both, new = gates[..., :two].unbind(), gates[..., two:].unbind()
        reset, update = (part.unbind() for part in gates[..., :two].chunk(2, dim=2))
        hidden, product = states.unbind(), inner.unbind()
        for step in layer.order(length):
            before, after = layer.around(step)
            both[step].addmm_(hidden[before], weight[:, :two]).sigmoid_()
            torch.mm(hidden[before], weight[:, two:], out=product[step])
            if new_bias is not None:
                product[step].add_(new_bias)
            new[step].addcmul_(reset[step], product[step]).tanh_()
            torch.lerp(new[step], hidden[before], update[step], out=hidden[after])
        ctx.kept = (inputs, gates, inner, states)
        ctx.layer, ctx.tape = layer, tape
        ctx.set_materialize_grads(False)
        return layer.all_after(states), layer.last(states).clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        """Back through time; the gate gradients go to the tape, none to the parameters."""
        inputs, gates, inner, states = ctx.kept
        layer: Direction = ctx.layer
        space = ctx.tape.space
        along, last = gradients
        two = 2 * layer.hidden
        # In the order of the rows: r and z, which both sides share, then n as the hidden side has it.
        hidden_side = space.take((layer.name, "hidden side"), gates, *gates.shape)
        new_side = space.take((layer.name, "new side"), inner, *inner.shape)
        grad = torch.zeros_like(states[0]) if last is None else last.clone()
        carry = torch.empty_like(grad)
        both, to_both = gates[..., :two].unbind(), hidden_side[..., :two].unbind()
        reset, update, new = (part.unbind() for part in gates.chunk(3, dim=2))
        to_reset, to_update, to_inner = (part.unbind() for part in hidden_side.chunk(3, dim=2))
        each, hidden, product, to_new = (
            values.unbind() for values in (hidden_side, states, inner, new_side)
        )
        for step in reversed(layer.order(len(inputs))):
            if along is not None:
                grad += along[step]
            torch.sub(hidden[layer.around(step)[0]], new[step], out=to_update[step])
            to_update[step].mul_(grad)
            torch.mul(grad, update[step], out=carry)
            grad -= carry
            _tanh_backward(grad, new[step], grad_input=to_new[step])
            torch.mul(to_new[step], reset[step], out=to_inner[step])
            torch.mul(to_new[step], product[step], out=to_reset[step])
            _sigmoid_backward(to_both[step], both[step], grad_input=to_both[step])
            carry.addmm_(each[step], layer.weight_hh)
            grad, carry = carry, grad
        shared, own = hidden_side[..., :two], hidden_side[..., two:]
        terms = (
            Term(shared, slice(0, two)),
            Term(new_side, slice(two, None), on_hidden=False),
            Term(own, slice(two, None), on_input=False),
        )
        ctx.tape.records.append(RecurrentRecord(layer, inputs, layer.all_before(states), terms))
        if not ctx.needs_input_grad[0]:
            return None, None, None, None
        to_inputs = shared.flatten(0, 1) @ layer.weight_ih[:two]
        to_inputs.addmm_(new_side.flatten(0, 1), layer.weight_ih[two:])
        return to_inputs.view_as(inputs), None, None, None
