"""Stacked passes: R models of one architecture run forward and backward side by side, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from dp.clipping.layers import FORWARDS
from dp.clipping.support import UnsupportedLayer
from dp.clipping.tape import Tape
from dp.clipping.workspace import Workspace


@contextmanager
def taped(
    models: Sequence[nn.Module],
    space: Workspace,
    wrap: Callable[..., Callable[[Tensor], object]] | None = None,
) -> Iterator[Tape]:
    """Let the first model's layers compute those of all models within the block, recorded on a tape.

    Args:
        models: of one architecture. Parameters are used in place: models keep their stock layers, names
            and state.
        space: reusable memory.
        wrap: converts a forward pass with a run axis to the layer's; by default the axis stays.
    """
    tape = Tape(space)
    patched: list[nn.Module] = []
    others = [dict(model.named_modules()) for model in models]
    try:
        for name, module in models[0].named_modules():
            own = next(module.parameters(recurse=False), None)
            if own is not None and own.requires_grad:
                # Without an input that needs gradients, autograd would not call the backward pass.
                anchor = torch.zeros((), device=own.device, requires_grad=True)
                peers = [modules[name] for modules in others]
                forward = partial(FORWARDS[type(module)], peers, tape, anchor)
                module.__dict__["forward"] = _Once(name, wrap(forward) if wrap else forward)
                patched.append(module)
        yield tape
    finally:
        for module in patched:
            del module.__dict__["forward"]
        # break the cycle: the graph holds the tape, whose records hold the graph
        tape.records.clear()


class _Once:
    """A layer's forward that may be called once: two gradients of one layer add up before the norm."""

    def __init__(self, name: str, forward: Callable[[Tensor], object]) -> None:
        self._name, self._forward, self._called = name, forward, False

    def __call__(self, inputs: Tensor, state: object = None) -> object:
        if self._called:
            raise UnsupportedLayer(
                f"layer {self._name!r} is called twice in one pass; call it once"
            )
        if state is not None:
            raise UnsupportedLayer(
                f"layer {self._name!r} is given an initial state; leave it at zero"
            )
        self._called = True
        return self._forward(inputs)
