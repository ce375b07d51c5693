"""One forward pass, one backward pass, and the clipped sum of all samples' gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from dp.clipping.layers import FORWARDS
from dp.clipping.support import UnsupportedLayer, check_layers
from dp.clipping.tape import Tape
from dp.clipping.workspace import Workspace


@dataclass(frozen=True)
class Clipped:
    """What a pass found out about each sample; all of it is private data.

    Attributes:
        losses: [B].
        norms: L2 norm of each sample's gradient before clipping, [B].
    """

    losses: Tensor
    norms: Tensor


class Clipper:
    """Sets `.grad` of every trainable parameter to Σ_i min(1, clip/‖g_i‖)·g_i.

    g_i is the gradient of sample i's loss with respect to all trainable parameters. Parameters are
    read where they are: the model keeps its stock layers, names and state. Memory is used again from
    call to call, so what recurrent layers return inside the loss is valid until the next call.

    Args:
        model: its layers are checked; batch first.
        clip: largest L2 norm that one sample's gradient may have in the sum, above 0.

    Raises:
        UnsupportedLayer: the per-sample gradients of a layer are not known.
        ValueError: `clip` is not above 0.
    """

    def __init__(self, model: nn.Module, clip: float) -> None:
        if not clip > 0:
            raise ValueError(f"expected clip={clip} to be above 0")
        check_layers(model)
        self.model, self.clip = model, clip
        self._space = Workspace()

    def __call__(self, loss: Callable[[], Tensor]) -> Clipped:
        """Run the model once, forward and backward.

        Args:
            loss: calls the model once and returns one loss a sample, [B], each of its own sample
                alone.

        Raises:
            UnsupportedLayer: a layer is called twice in one pass, or given an initial state.
            ValueError: the loss is not one value a sample.
        """
        self.model.zero_grad(set_to_none=True)
        with self._taped() as tape:
            losses = loss()
        if losses.dim() != 1:
            raise ValueError(f"expected one loss a sample, [B], got shape {tuple(losses.shape)}")
        try:
            losses.sum().backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                norms = tape.squared_norms().sqrt()
                if norms.shape != losses.shape:
                    raise ValueError(
                        f"expected {len(norms)} losses, one a sample, got {len(losses)}"
                    )
                tape.write(self.clip / norms.clamp(min=self.clip))
        finally:
            # the graph holds the tape, whose records hold the graph: nobody else would free them
            tape.records.clear()
        for parameter in self.model.parameters():
            if parameter.requires_grad and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)  # not used by the loss
        return Clipped(losses.detach(), norms)

    @contextmanager
    def _taped(self) -> Iterator[Tape]:
        """Layers note on a tape what they need, as long as the block runs."""
        tape = Tape(self._space)
        patched: list[nn.Module] = []
        try:
            for name, module in self.model.named_modules():
                own = next(module.parameters(recurse=False), None)
                if own is not None and own.requires_grad:
                    # Without an input that needs gradients autograd would not come back here.
                    anchor = torch.zeros((), device=own.device, requires_grad=True)
                    forward = partial(FORWARDS[type(module)], module, tape, anchor)
                    module.__dict__["forward"] = _Once(name, forward)
                    patched.append(module)
            yield tape
        finally:
            for module in patched:
                del module.__dict__["forward"]


def clipped_gradients(model: nn.Module, loss: Callable[[], Tensor], clip: float) -> Clipped:
    """The same for a single pass; see `Clipper`."""
    return Clipper(model, clip)(loss)


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
