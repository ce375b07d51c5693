"""Many models in one pass: each run's gradients are those it would get alone."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad

from dp.clipping import Clipped, Stack, gradients

FEATURES, HIDDEN, OUT, LENGTH = 5, 6, 3, 7
SIZES = (6, 2, 0, 9)
CLIPS = (0.05, None, 0.3, 1e9)


class Net(nn.Module):
    """A recurrent layer, a layer normalisation and a head; whatever axes there are before."""

    def __init__(self, kind: str, layers: int, both: bool) -> None:
        super().__init__()
        self.rnn = getattr(nn, kind)(FEATURES, HIDDEN, layers, batch_first=True, bidirectional=both)
        self.norm = nn.LayerNorm(HIDDEN * (1 + both))
        self.head = nn.Linear(HIDDEN * (1 + both), OUT)
        self.ends = 1 + both

    def forward(self, x: Tensor) -> Tensor:
        along, end = self.rnn(x)
        hidden = end[0] if isinstance(end, tuple) else end
        last = torch.cat(list(hidden[-self.ends :]), dim=-1)
        return self.head(self.norm(last)) + along.mean(dim=(-2, -1))[..., None]


def losses(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return (model(x) - y).square().mean(dim=-1)


@pytest.fixture(params=[("GRU", 1, False), ("GRU", 2, True), ("LSTM", 1, True), ("LSTM", 2, False)])
def runs(request: pytest.FixtureRequest) -> tuple[list[Net], Tensor, Tensor]:
    """Four models, and rows for each; those past its batch are padding."""
    torch.manual_seed(0)
    models = [Net(*request.param).double() for _ in SIZES]
    x = torch.randn(len(SIZES), max(SIZES), LENGTH, FEATURES, dtype=torch.float64)
    y = torch.randn(len(SIZES), max(SIZES), OUT, dtype=torch.float64)
    return models, x, y


def oracle(model: nn.Module, x: Tensor, y: Tensor, clip: float | None) -> dict[str, Tensor]:
    """Per-sample gradients by torch.func, clipped and added."""
    params = {name: p.detach() for name, p in model.named_parameters()}

    def one(params: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return (functional_call(model, params, (x[None],))[0] - y).square().mean()

    if not len(x):
        return {name: torch.zeros_like(p) for name, p in params.items()}
    alone = [grad(one)(params, *pair) for pair in zip(x, y, strict=True)]
    each = {name: torch.stack([sample[name] for sample in alone]) for name in params}
    if clip is None:
        return {name: values.mean(dim=0) for name, values in each.items()}
    norms = torch.stack([v.flatten(1).square().sum(dim=1) for v in each.values()]).sum(dim=0).sqrt()
    factors = (clip / norms).clamp(max=1.0)
    return {name: torch.einsum("b,b...->...", factors, v) for name, v in each.items()}


def check(models: list[Net], x: Tensor, y: Tensor) -> list[Clipped]:
    found = Stack()(models, lambda: losses(models[0], x, y), SIZES, CLIPS)
    for run, (model, size, clip) in enumerate(zip(models, SIZES, CLIPS, strict=True)):
        wanted = oracle(model, x[run, :size], y[run, :size], clip)
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(parameter.grad, wanted[name], rtol=1e-8, atol=1e-10)
        torch.testing.assert_close(
            found[run].losses, losses(model, x[run, :size], y[run, :size]).detach()
        )
        assert found[run].clip == clip
        assert (found[run].norms is None) == (clip is None)
    return found


def test_each_runs_clipped_sum_equals_that_of_its_samples_one_by_one(
    runs: tuple[list[Net], Tensor, Tensor],
) -> None:
    check(*runs)


def test_padding_counts_for_nothing_whatever_it_holds(
    runs: tuple[list[Net], Tensor, Tensor],
) -> None:
    models, x, y = runs
    for run, size in enumerate(SIZES):
        x[run, size:] = 1e6
        y[run, size:] = -1e6
    check(models, x, y)


def test_a_run_that_diverges_leaves_the_others_alone(
    runs: tuple[list[Net], Tensor, Tensor],
) -> None:
    models, x, y = runs
    x[0] = torch.nan
    Stack()(models, lambda: losses(models[0], x, y), SIZES, CLIPS)
    assert not any(p.grad.any() for p in models[0].parameters())  # type: ignore[union-attr]
    assert all(torch.isfinite(p.grad).all() for m in models[1:] for p in m.parameters())  # type: ignore[arg-type]
    x[1] = torch.nan  # of a run that clips nothing: its gradient is what it is
    Stack()(models, lambda: losses(models[0], x, y), SIZES, CLIPS)
    assert torch.isnan(models[1].head.weight.grad).any()  # type: ignore[arg-type]
    others = [p.grad for m in (models[0], *models[2:]) for p in m.parameters()]
    assert all(torch.isfinite(grad).all() for grad in others)  # type: ignore[arg-type]


def test_mixing_the_runs_factors_is_found_out(
    runs: tuple[list[Net], Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = gradients._factors
    monkeypatch.setattr(
        gradients, "_factors", lambda norms, clips: honest(norms, clips).roll(1, dims=0)
    )
    with pytest.raises(AssertionError):
        check(*runs)


def test_models_keep_their_layers_and_share_nothing(
    runs: tuple[list[Net], Tensor, Tensor],
) -> None:
    models, x, y = runs
    before = copy.deepcopy([model.state_dict() for model in models])
    Stack()(models, lambda: losses(models[0], x, y), SIZES, CLIPS)
    for model, state in zip(models, before, strict=True):
        assert all("forward" not in module.__dict__ for module in model.modules())
        for name, value in model.state_dict().items():
            assert torch.equal(value, state[name])


def test_a_clip_that_is_not_positive_and_losses_without_a_run_axis_are_refused(
    runs: tuple[list[Net], Tensor, Tensor],
) -> None:
    models, x, y = runs
    with pytest.raises(ValueError, match="clip=0"):
        Stack()(models, lambda: losses(models[0], x, y), SIZES, (1.0, 0.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="4 runs"):
        Stack()(models, lambda: losses(models[0], x, y).sum(dim=0), SIZES, CLIPS)
