"""One GRU layer with an explicit time loop, so that the gradients at its gates are available."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dp.clipping.activations import sigmoid_backward, tanh_, tanh_backward
from dp.clipping.recurrent import RecurrentRecord
from dp.clipping.tape import Tape
from dp.clipping.unrolled import Layer, Terms


class Gru(torch.autograd.Function):
    """r, z, n = σ(i_r + h_r), σ(i_z + h_z), tanh(i_n + r·h_n); h' = n + z·(h − n).

    As in torch, i = W_ih x + b_ih and h = W_hh h + b_hh: the reset gate scales the hidden side of n,
    bias included (Cho et al. 2014, arXiv:1406.1078, in the variant of cuDNN). So both sides share their
    gradients in r and z, and have separate ones in n.
    """

    @staticmethod
    def forward(
        ctx: Any, sequence: Tensor, anchor: Tensor, layer: Layer, tape: Tape
    ) -> tuple[Tensor, Tensor]:
        """Return the states [T, R, B, directions × H] and the last of them, [directions, R, B, H].

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
        weights = layer.stacked("weight_hh")
        biases = new_bias = None
        if layer.bias:
            biases, hidden_biases = layer.stacked("bias_ih"), layer.stacked("bias_hh")
            biases[0], biases[1] = biases[0] + hidden_biases[0], biases[1] + hidden_biases[1]
            new_bias = hidden_biases[2]
        # All input products at once; becomes r, z, n in place, step by step. The fourth is h_n.
        gates = space.take(layer.name("gates"), inputs, length, 4, places, batch, layer.hidden)
        layer.project(inputs, layer.stacked("weight_ih"), biases, gates, space)
        states = layer.states(inputs, space, "states")
        both, hidden = gates[:, :2].unbind(), states.unbind()
        reset, update, new, product = (gate.unbind() for gate in gates.unbind(1))
        for step in range(length):
            before = hidden[step]
            reset[step].baddbmm_(before, weights[0])
            update[step].baddbmm_(before, weights[1])
            both[step].sigmoid_()
            if new_bias is None:
                torch.bmm(before, weights[2], out=product[step])
            else:
                torch.baddbmm(new_bias, before, weights[2], out=product[step])
            tanh_(new[step].addcmul_(reset[step], product[step]))
            torch.lerp(new[step], before, update[step], out=hidden[step + 1])
        ctx.kept = (inputs, gates, states)
        ctx.layer, ctx.tape = layer, tape
        ctx.set_materialize_grads(False)
        return layer.along(states, space), layer.last(states)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        """Run back through time; gate gradients go to the tape, none to the parameters."""
        inputs, gates, states = ctx.kept
        layer: Layer = ctx.layer
        along, last = gradients
        grad = torch.zeros_like(states[0]) if last is None else last.flatten(0, 1).clone()
        steps = None if along is None else layer.along_back(along).unbind()
        carry = torch.empty_like(grad)
        # r and z, shared by both sides, then n of the hidden side, then n of the input side
        sides = ctx.tape.space.take(layer.name("sides"), gates, *gates.shape)
        weights = [weight.transpose(1, 2) for weight in layer.stacked("weight_hh")]
        both, to_both, hidden = gates[:, :2].unbind(), sides[:, :2].unbind(), states.unbind()
        reset, update, new, product = (gate.unbind() for gate in gates.unbind(1))
        to_reset, to_update, to_inner, to_new = (side.unbind() for side in sides.unbind(1))
        for step in reversed(range(len(inputs))):
            if steps is not None:
                grad += steps[step]
            torch.sub(hidden[step], new[step], out=to_update[step])
            to_update[step].mul_(grad)
            torch.mul(grad, update[step], out=carry)
            grad -= carry
            tanh_backward(grad, new[step], grad_input=to_new[step])
            torch.mul(to_new[step], reset[step], out=to_inner[step])
            torch.mul(to_new[step], product[step], out=to_reset[step])
            sigmoid_backward(to_both[step], both[step], grad_input=to_both[step])
            carry.baddbmm_(to_reset[step], weights[0])
            carry.baddbmm_(to_update[step], weights[1])
            carry.baddbmm_(to_inner[step], weights[2])
            grad, carry = carry, grad
        terms = Terms(sides, on_input=(0, 1, 3), on_hidden=(0, 1, 2))
        ctx.tape.records.append(RecurrentRecord(layer, inputs, states[:-1], terms))
        to_inputs = layer.to_inputs(terms) if ctx.needs_input_grad[0] else None
        return to_inputs, None, None, None
