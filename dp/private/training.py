"""Private updates of the weights: clipped gradients, noise, one step of any torch optimizer.

Opacus validates the layers, adds up and scales the gradients, and steps the optimizer. Clipping is our
own (`dp.clipping`), because it is faster on recurrent layers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from opacus.optimizers.optimizer_fast_gradient_clipping import DPOptimizerFastGradientClipping
from opacus.validators import ModuleValidator
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from dp.clipping import Clipped, Clipper, UnsupportedLayer, check_layers
from dp.clipping.layers import FORWARDS
from dp.mechanisms.randomness import Generator, Randomness
from dp.mechanisms.seed import KEY_BYTES, Seed
from dp.mechanisms.window_sampling import WindowSampling
from dp.permit import Permit
from dp.private.noise_proof import Draws

_KNOWN = bytes(KEY_BYTES)
"""A public key, for made-up data only."""


class _Steps:
    """Batches and steps that nobody has paid for; for made-up data only."""

    def __init__(self, sampling: WindowSampling, clip: float, randomness: Randomness) -> None:
        if not clip > 0:
            raise ValueError(f"expected clip={clip} to be above 0")
        self.sampling, self.clip = sampling, clip
        self.draws = Draws(
            sampling.noise_multiplier * clip, cryptographic=type(randomness) is Generator
        )
        self._randomness = randomness
        self._clipper: Clipper | None = None
        self._optimizer: _NoisedOptimizer | None = None
        self._model: nn.Module | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Updates in an epoch."""
        return self.sampling.steps_per_epoch

    @property
    def noise_variance(self) -> float:
        """Φ = (s·C/B)², of the noise on each coordinate of the mean gradient; public."""
        return (self.sampling.noise_multiplier * self.clip / self.sampling.batch) ** 2

    def batches(self) -> Iterator[Tensor]:
        """Yield the positions of the windows of each update; may be empty."""
        for rows in self.sampling.draw(self._randomness):
            self.draws.drew(len(rows))
            yield rows

    def step(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        batch: Any,
        loss: Callable[[Any, Any], Tensor],
    ) -> None:
        """Update the weights once.

        Args:
            model: in training mode.
            optimizer: over the model's parameters; the same one at every step.
            batch: B windows, drawn by `batches`; B may be 0.
            loss: maps model and batch to one loss per window, [B]. Losses are private data: they are
                neither returned nor stored.
        """
        noised = self._prepare(model, optimizer)
        if self._clipper is None:
            self._clipper = Clipper(model, self.clip)
        if len(batch):
            self.apply(model, optimizer, self._clipper(lambda: loss(model, batch)))
            return
        for parameter in noised.params:
            parameter.grad = torch.zeros_like(parameter)
        empty = noised.params[0].new_zeros(0)
        self.apply(model, optimizer, Clipped(empty, empty, self.clip))

    def apply(self, model: nn.Module, optimizer: Optimizer, clipped: Clipped) -> None:
        """Update the weights by gradients that are already clipped (`dp.clipping.Stack`).

        Args:
            model: `.grad` of its parameters is the sum of the clipped gradients of the batch.
            optimizer: over the model's parameters; the same one at every step.
            clipped: of the pass that left them, with B windows; B may be 0.

        Raises:
            ValueError: the gradients were clipped to another norm, or not at all.
        """
        if clipped.clip != self.clip:
            raise ValueError(f"expected gradients clipped to {self.clip}, got {clipped.clip}")
        noised = self._prepare(model, optimizer)
        self.draws.used(len(clipped.losses))
        noised.step()

    def _prepare(self, model: nn.Module, optimizer: Optimizer) -> _NoisedOptimizer:
        if self._optimizer is None:
            check_model(model)
            self._model = model
            self._optimizer = _NoisedOptimizer(
                optimizer,
                noise_multiplier=self.sampling.noise_multiplier,
                max_grad_norm=self.clip,
                expected_batch_size=self.sampling.batch,
                randomness=self._randomness,
                draws=self.draws,
            )
        if self._model is not model or self._optimizer.original_optimizer is not optimizer:
            raise ValueError("expected the model and the optimizer of the first step")
        return self._optimizer


class PrivateTraining(_Steps):
    """DP-SGD for one training run: hands out the batches it accounts for, and takes the steps.

    Args:
        sampling: batches, noise and their account, one value.
        clip: C, largest L2 norm of one window's gradient.
        permit: from the ledger, for this sampling.
        seed: of all random numbers; by default a fresh one from the operating system.

    Attributes:
        draws: what was drawn so far, for the proof of noise.
    """

    def __init__(
        self,
        sampling: WindowSampling,
        clip: float,
        permit: Permit,
        *,
        seed: Seed | None = None,
    ) -> None:
        super().__init__(sampling, clip, Generator(None if seed is None else seed.value))
        permit.use("training", sampling.event())


def check_model(model: nn.Module) -> None:
    """Refuse a model that cannot be trained privately.

    Opacus validates every layer that `dp.clipping` does not clip.

    Raises:
        UnsupportedLayer: a layer cannot be clipped; the message names it, the reason and a replacement.
    """
    check_layers(model)
    for name, module in model.named_modules():
        validate = ModuleValidator.VALIDATORS.get(type(module))
        problems = validate(module) if validate and type(module) not in FORWARDS else []
        if problems:
            raise UnsupportedLayer(f"layer {name!r}: {problems[0]}")


def twins_differ(model: nn.Module, clip: float, batch: Any, loss: Callable[..., Tensor]) -> bool:
    """Return whether two private steps that differ only in the strength of noise differ in weights.

    Two steps that differ in nothing must give equal weights, so that the difference is the noise. The
    model is copied and the batch is made up, so that no private data is touched.

    Args:
        model: of the kind that is trained.
        clip: C.
        batch: any B windows of the right shape, made up.
        loss: maps model and batch to one loss per window, [B].
    """

    def weights(noise: float) -> Tensor:
        twin = copy.deepcopy(model)
        sampling = WindowSampling(len(batch), len(batch), 1, 1, noise)
        training = _Steps(sampling, clip, Generator(_KNOWN))
        training.step(twin, SGD(twin.parameters(), lr=1.0), batch, loss)
        return torch.cat([parameter.detach().flatten() for parameter in twin.parameters()])

    quiet, again, noisier = weights(1.0), weights(1.0), weights(2.0)
    return bool(torch.equal(quiet, again)) and not torch.equal(quiet, noisier)


class _NoisedOptimizer(DPOptimizerFastGradientClipping):  # type: ignore[misc]
    """Opacus's optimizer for gradients that are clipped already, with noise that is counted."""

    def __init__(
        self, optimizer: Optimizer, *, randomness: Randomness, draws: Draws, **options: Any
    ) -> None:
        super().__init__(optimizer, loss_reduction="mean", **options)
        self._randomness, self._draws = randomness, draws

    def accumulate(self) -> None:
        """Take over the sum of the whole batch."""
        for parameter in self.params:
            parameter.summed_grad = parameter.grad

    def add_noise(self) -> None:
        """Add Gaussian noise to every gradient, and record the noise as measured."""
        std = self.noise_multiplier * self.max_grad_norm
        for parameter in self.params:
            clipped = parameter.summed_grad
            # added in double precision, rounded once (`dp.mechanisms.randomness.Randomness.normal`)
            noised = clipped.cpu().double() + self._randomness.normal(clipped, std)
            parameter.grad = noised.to(clipped)
            self._draws.noise(parameter.grad - clipped)
