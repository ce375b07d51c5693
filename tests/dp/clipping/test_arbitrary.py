"""One sample with whatever values: it moves the clipped sum by the clip at most, and no other sample."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dp.clipping import Clipper, Stack

FEATURES, HIDDEN, OUT, LENGTH, BATCH = 3, 5, 2, 4, 5


class Recurrent(nn.Module):
    """As a forecaster: a recurrent layer, a layer normalisation and a head."""

    def __init__(self, kind: str, layers: int = 1, both: bool = False) -> None:
        super().__init__()
        self.rnn = getattr(nn, kind)(FEATURES, HIDDEN, layers, batch_first=True, bidirectional=both)
        self.norm = nn.LayerNorm(HIDDEN * (1 + both))
        self.head = nn.Linear(HIDDEN * (1 + both), OUT)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.rnn(x)[0])).mean(dim=-2)


class Along(nn.Module):
    """A linear layer along time; wide, so that norms come from Gram matrices, or narrow."""

    def __init__(self, wide: int, bias: bool = True) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(FEATURES, wide, bias), nn.Linear(wide, OUT, bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(torch.tanh(self.one(x))).sum(dim=-2)


class Last(nn.Module):
    """Layers that see each sample once."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm = nn.Linear(FEATURES, 4), nn.LayerNorm(4)
        self.two = nn.Linear(4, OUT)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.norm(self.one(x[..., -1, :])))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "linear": Last,
    "linear along time": lambda: Along(4),
    "linear along time, wide": lambda: Along(64),
    "linear along time, no bias": lambda: Along(4, bias=False),
    "gru": lambda: Recurrent("GRU"),
    "gru, both ways, two layers": lambda: Recurrent("GRU", 2, both=True),
    "lstm": lambda: Recurrent("LSTM"),
    "lstm, both ways, two layers": lambda: Recurrent("LSTM", 2, both=True),
}

ABSURD = st.sampled_from(
    [math.nan, math.inf, -math.inf, 1e25, -1e38, 3.4e38, 1e19, -1e19, 1e10, 1e-30, 1e-45, 0.0]
)
VALUE = ABSURD | st.floats(width=32) | st.floats(-3, 3, width=32)
SAMPLE = st.lists(VALUE, min_size=LENGTH * FEATURES, max_size=LENGTH * FEATURES)
TARGET = st.lists(VALUE, min_size=OUT, max_size=OUT)
LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "mse": torch.square,
    "mae": torch.abs,
    "huber": lambda off: nn.functional.huber_loss(off, torch.zeros_like(off), reduction="none"),
}


def losses(model: nn.Module, x: Tensor, y: Tensor, loss: str = "mse") -> Tensor:
    return LOSSES[loss](model(x) - y).mean(dim=-1)


def summed(model: nn.Module, x: Tensor, sign: Tensor) -> Tensor:
    output: Tensor = model(x, sign)
    return output.sum(dim=1)


def gradient(model: nn.Module) -> Tensor:
    parts = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return torch.cat(parts).double()


def ordinary(runs: int | None = None) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    shape = (BATCH,) if runs is None else (runs, BATCH)
    return torch.randn(*shape, LENGTH, FEATURES), torch.randn(*shape, OUT)


def made(name: str) -> nn.Module:
    torch.manual_seed(2)
    return MODELS[name]()


def within(moved: Tensor, others: Tensor, clip: float) -> bool:
    """Whether a change is within the clip; a sum of other size rounds the others differently."""
    rounding = 2e-7 * BATCH * clip
    return bool(torch.isfinite(moved).all()) and float(moved.norm()) <= clip * (1 + 1e-5) + rounding


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    sample=SAMPLE,
    target=TARGET,
    place=st.integers(0, BATCH - 1),
    clip=st.sampled_from([1e-3, 0.5, 100.0]),
    loss=st.sampled_from(sorted(LOSSES)),
)
def test_one_sample_moves_the_sum_by_the_clip_at_most(
    name: str, sample: list[float], target: list[float], place: int, clip: float, loss: str
) -> None:
    model, (x, y) = made(name), ordinary()
    x[place], y[place] = torch.tensor(sample).view(LENGTH, FEATURES), torch.tensor(target)
    others = torch.arange(BATCH) != place
    clipper = Clipper(model, clip)
    clipper(lambda: losses(model, x, y, loss))
    with_it = gradient(model)
    clipper(lambda: losses(model, x[others], y[others], loss))  # in the same memory
    assert within(with_it - gradient(model), gradient(model), clip)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=12, deadline=None, derandomize=True)
@given(sample=SAMPLE, target=TARGET, run=st.integers(0, 2), place=st.integers(0, BATCH - 1))
def test_so_it_does_among_runs_side_by_side(
    name: str, sample: list[float], target: list[float], run: int, place: int
) -> None:
    """Whether it is in the batch or in the padding, and whoever its neighbours are."""
    clips, sizes = (0.3, None, 2.0), (BATCH, BATCH - 1, 2)
    models = [made(name) for _ in clips]
    x, y = ordinary(len(clips))
    stack = Stack()

    def sums() -> list[Tensor]:
        stack(models, lambda: losses(models[0], x, y), sizes, clips)
        return [gradient(model) for model in models]

    before = sums()
    x[run, place], y[run, place] = torch.tensor(sample).view(LENGTH, FEATURES), torch.tensor(target)
    after = sums()
    for number, (one, other) in enumerate(zip(before, after, strict=True)):
        clip = clips[number]
        if number != run:
            torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-7)
        elif clip is not None:
            # a changed sample takes its share away and brings another
            assert within((other - one) / 2, one, clip)
            if place >= sizes[run]:
                torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e25, -1e38], ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_what_is_not_finite_counts_for_nothing(name: str, bad: float) -> None:
    """The target of one sample: its own gradient is lost, those of the others are what they were."""
    model, (x, y) = made(name), ordinary()
    clipper = Clipper(model, 0.5)
    clipper(lambda: losses(model, x[1:], y[1:]))
    without = gradient(model)
    y[0] = bad
    clipper(lambda: losses(model, x, y))
    torch.testing.assert_close(gradient(model), without, rtol=1e-5, atol=1e-7)
    x[:], y[:] = bad, bad  # and if it is all of them
    clipper(lambda: losses(model, x, y))
    assert bool(torch.isfinite(gradient(model)).all())


@pytest.mark.parametrize("wide", [4, 64])
@pytest.mark.parametrize("size", [1e3, 1e6, 1e9, 1e15])
def test_large_terms_that_cancel_do_not_hide_a_norm(wide: int, size: float) -> None:
    """The gradient is a difference of values so large that nothing is left of it but rounding."""

    class Signed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(FEATURES, wide, bias=False)

        def forward(self, x: Tensor, sign: Tensor) -> Tensor:
            return (self.layer(x) * sign).sum(dim=-2)

    torch.manual_seed(3)
    for clip in (1e-3, 1.0):
        model, x = Signed(), torch.randn(BATCH, 2 * LENGTH, FEATURES)
        sign = torch.randn(BATCH, 2 * LENGTH, 1)
        half = size * torch.randn(LENGTH, FEATURES)
        x[0] = torch.cat([half, half * (1 + 1e-7)])
        sign[0, :LENGTH], sign[0, LENGTH:] = 1.0, -1.0
        clipper = Clipper(model, clip)
        clipper(partial(summed, model, x, sign))
        with_it = gradient(model)
        clipper(partial(summed, model, x[1:], sign[1:]))
        moved = float((with_it - gradient(model)).norm())
        assert moved <= clip * (1 + 2e-4), moved / clip
