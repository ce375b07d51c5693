"""Ghost batch normalisation (Hoffer, Hubara and Soudry 2017, arXiv:1705.08741, algorithm 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError


class GhostBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of a large batch with the statistics of small ones.

    In training the batch is cut, in its order, into ghosts of `ghost` rows, and each is normalised
    by its own mean and variance: the noise of small batches stays while the batch grows. The running
    statistics take in the K ghosts one after the other, with momentum η,

    μ_run ← (1−η)^K μ_run + Σ_k η(1−η)^{K−1−k} μ_k,

    and the same for the variance (unbiased, as in torch). Evaluation uses the running statistics, so
    a forecast depends on its own window alone. With one ghost this is `nn.BatchNorm1d`.

    | rows | in training |
    |---|---|
    | no multiple of `ghost` | the last ghost is smaller, and counts as much as any other |
    | one row left over | it joins the ghost before it: one row has no variance |
    | fewer than `ghost` | one ghost |
    | one, or none | normalised by the running statistics, which do not change |

    Not for `gradient`: a window's output, and so its gradient, depends on the others of its ghost.
    One person's window would change the gradients of up to `ghost` windows, so clipping each of them
    does not bound the sensitivity; moreover, the running statistics would be released with the model
    without any noise. Opacus refuses batch statistics for this reason, and so does
    `dp.private.training.check_model`. Under `input` the counts are noised first, and this is free.

    Args:
        features: F, values per row.
        ghost: rows per ghost, 2 or more.
        eps: added to the variance, above 0.
        momentum: η, weight of the latest ghost in the running statistics, in (0, 1].
        affine: whether a scale and a shift of each feature are learned.

    Raises:
        ModelError: a value is out of its range; the message names field, value and range.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def __init__(
        self,
        features: int,
        ghost: int,
        *,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
    ) -> None:
        if features < 1:
            raise ModelError(f"features={features} must be at least 1")
        if ghost < 2:
            raise ModelError(f"ghost={ghost} must be at least 2: one row has no variance")
        if not 0 < eps < float("inf"):
            raise ModelError(f"eps={eps} must be above 0 and finite")
        if not 0 < momentum <= 1:
            raise ModelError(f"momentum={momentum} must be above 0 and at most 1")
        super().__init__(features, eps=eps, momentum=momentum, affine=affine)
        self.ghost = ghost

    def forward(self, input: Tensor) -> Tensor:
        """Return normalised rows, [B, F].

        Args:
            input: [B, F].

        Raises:
            ModelError: another shape.
        """
        if input.dim() != 2 or input.shape[1] != self.num_features:
            raise ModelError(
                f"input of shape {list(input.shape)} must be [rows, features={self.num_features}]"
            )
        rows = len(input)
        if not self.training or rows < 2:
            return functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        full, rest = divmod(rows, self.ghost)
        if rest == 1:  # the last full ghost takes it in
            full -= 1
        cut = full * self.ghost
        parts = [self._normalised(input[:cut], full)] if full else []
        if cut < rows:
            parts.append(self._normalised(input[cut:], 1))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _normalised(self, values: Tensor, ghosts: int) -> Tensor:
        """Normalise `ghosts` equal parts at once: side by side they are columns of one batch."""
        width = self.num_features
        beside = values.reshape(ghosts, -1, width).transpose(0, 1).reshape(-1, ghosts * width)
        mean, variance = self.running_mean.repeat(ghosts), self.running_var.repeat(ghosts)
        normal = functional.batch_norm(
            beside,
            mean,
            variance,
            None if self.weight is None else self.weight.repeat(ghosts),
            None if self.bias is None else self.bias.repeat(ghosts),
            training=True,
            momentum=1.0,  # leaves each ghost's own mean and variance in the buffers
            eps=self.eps,
        )
        self._remember(mean.view(ghosts, width), variance.view(ghosts, width))
        return normal.view(-1, ghosts, width).transpose(0, 1).reshape(-1, width)

    @torch.no_grad()
    def _remember(self, means: Tensor, variances: Tensor) -> None:
        """Update the running statistics by those of K ghosts, [K, F], in order."""
        ghosts, decay = len(means), 1 - self.momentum
        age = torch.arange(ghosts - 1, -1, -1, dtype=means.dtype, device=means.device)
        weights = self.momentum * torch.as_tensor(decay, dtype=means.dtype) ** age
        for running, latest in ((self.running_mean, means), (self.running_var, variances)):
            running.mul_(decay**ghosts).add_(weights @ latest)
        self.num_batches_tracked.add_(ghosts)

    def extra_repr(self) -> str:
        """Return shape and settings for torch to print."""
        return (
            f"{self.num_features}, ghost={self.ghost}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}"
        )
