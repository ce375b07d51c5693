"""Clipped sums of per-sample gradients from one forward and one backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dp.clipping.stacked_pass import taped
from dp.clipping.support import check_layers
from dp.clipping.workspace import Workspace


@dataclass(frozen=True)
class Clipped:
    """Losses and gradient norms of the samples of a run; all of it is private data.

    Attributes:
        losses: [B].
        norms: L2 norm of each sample's gradient before clipping, [B]; None if nothing was clipped.
        clip: largest norm after clipping; None if nothing was clipped.
    """

    losses: Tensor
    norms: Tensor | None
    clip: float | None


class Clipper:
    """Sets `.grad` of every trainable parameter to Σ_i min(1, clip/‖g_i‖)·g_i.

    g_i is the gradient of sample i's loss with respect to all trainable parameters. A sample whose
    norm is not finite, or too large to be squared, counts for nothing and does not affect the others.
    In the denominator ‖g_i‖ is rounded up by what the arithmetic may have lost
    (`dp.clipping.rounding`), so that for any values of a sample its share is within the clip. Memory is
    reused from call to call: the outputs of recurrent layers inside the loss are valid until the next
    call.

    Args:
        model: its layers are checked; batch first.
        clip: largest L2 norm that one sample's gradient may have in the sum, above 0.

    Raises:
        UnsupportedLayer: the per-sample gradients of a layer are not known.
        ValueError: `clip` is not above 0.
    """

    def __init__(self, model: nn.Module, clip: float) -> None:
        _check_clip(clip)
        check_layers(model)
        self.model, self.clip = model, clip
        self._space = Workspace()

    def __call__(self, loss: Callable[[], Tensor]) -> Clipped:
        """Run the model once, forward and backward.

        Args:
            loss: calls the model once and returns one loss per sample, [B], which depends on no other
                sample.

        Raises:
            UnsupportedLayer: a layer is called twice in one pass, or given an initial state.
            ValueError: the loss is not one value per sample.
        """
        return _run([self.model], self._space, lambda: loss()[None], None, [self.clip])[0]


class Stack:
    """A `Clipper` for R models of one architecture in one computation, each with its own batch.

    Inputs of the first model's layers have a leading run axis, [R, B, ...]; the first rows of a run
    are its batch, the rest is padding that counts for nothing.

    Each run chooses whether its samples' gradients are clipped. Otherwise `.grad` is that of the mean
    loss.
    """

    def __init__(self) -> None:
        self._space = Workspace()

    def __call__(
        self,
        models: Sequence[nn.Module],
        loss: Callable[[], Tensor],
        sizes: Sequence[int],
        clips: Sequence[float | None],
    ) -> list[Clipped]:
        """Run all models once, forward and backward.

        Args:
            models: whose gradients are set, R.
            loss: calls the first model once and returns one loss per row, [R, B].
            sizes: rows of each run's batch, R; may be 0.
            clips: of each run, above 0; None to clip nothing.

        Raises:
            UnsupportedLayer: a layer's per-sample gradients are not known, or it is called twice.
            ValueError: a clip is not above 0, or the loss is not one value per row.
        """
        for model, clip in zip(models, clips, strict=True):
            if clip is not None:
                _check_clip(clip)
            check_layers(model)
        return _run(models, self._space, loss, sizes, clips)


def clipped_gradients(model: nn.Module, loss: Callable[[], Tensor], clip: float) -> Clipped:
    """Run a single pass of a `Clipper` and return its result."""
    return Clipper(model, clip)(loss)


def _run(
    models: Sequence[nn.Module],
    space: Workspace,
    loss: Callable[[], Tensor],
    sizes: Sequence[int] | None,
    clips: Sequence[float | None],
) -> list[Clipped]:
    for model in models:
        model.zero_grad(set_to_none=True)
    with taped(models, space, None if sizes is not None else _without_runs) as tape:
        losses = loss()
        if losses.dim() != 2 or len(losses) != len(models):
            raise ValueError(
                f"expected one loss per sample, [B], of each of {len(models)} runs, "
                f"got shape {tuple(losses.shape)}"
            )
        batches = [losses.shape[1]] * len(models) if sizes is None else sizes
        shares = _shares(losses, batches, clips)
        losses.backward(shares)  # type: ignore[no-untyped-call]
        norms = None
        with torch.no_grad():
            factors = None
            if any(clip is not None for clip in clips):
                squared, rounding = tape.squared_norms()
                norms = squared.sqrt()
                if norms.shape != losses.shape:
                    raise ValueError(
                        f"expected {norms.shape[1]} losses, one per sample, got {losses.shape[1]}"
                    )
                factors = _factors((squared + rounding).sqrt(), clips)
                lost = ~torch.isfinite(factors)
                if bool(lost.any()):
                    tape.forget(lost)
                    factors = factors.masked_fill(lost, 0)
            tape.write(factors)
    for model in models:
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)  # not used by the loss
    per_sample = losses.detach()
    return [
        Clipped(
            per_sample[run, :size],
            norms[run, :size] if norms is not None and clip is not None else None,
            clip,
        )
        for run, (size, clip) in enumerate(zip(batches, clips, strict=True))
    ]


def _shares(losses: Tensor, sizes: Sequence[int], clips: Sequence[float | None]) -> Tensor:
    """Return the weight of each sample's loss before clipping, [R, B]; padding has weight 0."""
    shares = torch.zeros(losses.shape, dtype=losses.dtype)
    for share, size, clip in zip(shares, sizes, clips, strict=True):
        share[:size] = 1.0 if clip is not None else 1.0 / max(1, size)
    return shares.to(losses.device)


def _factors(norms: Tensor, clips: Sequence[float | None]) -> Tensor:
    """Return min(1, clip/‖g‖) of each sample, [R, B]; 1 where a run clips nothing.

    NaN where the norm is not finite, because the sample has extreme values or its square overflows.
    Such a sample counts for nothing.
    """
    bounds = norms.new_tensor([torch.inf if clip is None else clip for clip in clips])[:, None]
    factors = bounds / torch.maximum(norms, bounds)
    factors = torch.where(torch.isfinite(norms), factors, torch.nan)
    return torch.where(torch.isinf(bounds), torch.ones_like(factors), factors)


def _without_runs(forward: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """Wrap a layer's forward pass for values of one run, without the run axis."""

    def call(inputs: Tensor) -> Any:
        result = forward(inputs[None])
        if isinstance(result, Tensor):
            return result[0]
        along, last = result
        if isinstance(last, Tensor):
            return along[0], last[:, 0]
        return along[0], tuple(part[:, 0] for part in last)

    return call


def _check_clip(clip: float) -> None:
    if not clip > 0:
        raise ValueError(f"expected clip={clip} to be above 0")
