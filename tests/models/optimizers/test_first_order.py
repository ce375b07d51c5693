"""The published optimizers: against textbook loops, packages that follow the paper, and invariants."""

import copy
import io
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import adabelief_pytorch
import adamp
import pytest
import torch
import torch_optimizer
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from models.optimizers.adabelief import AdaBelief
from models.optimizers.adamp import AdamP
from models.optimizers.diffgrad import DiffGrad
from models.optimizers.sgdp import SGDP

CLASSES = (DiffGrad, AdaBelief, AdamP, SGDP)
SHAPES = ((), (1,), (7,), (1, 1), (6, 5), (1, 40), (4, 3, 2), (3, 2, 2, 2))
LR = 1e-2
WITH_ROOM = tuple(shape for shape in SHAPES if shape != (1, 1))
"""For gradients at right angles to weights."""

Pull = Callable[[int, Tensor], Tensor]
"""Step and weights to a gradient."""


# Textbook loops, one tensor each, in the order of the equations


def diffgrad(
    w: Tensor,
    pull: Pull,
    steps: int,
    lr: float = LR,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    wd: float = 0.0,
) -> Iterator[Tensor]:
    m = v = before = torch.zeros_like(w)
    for t in range(1, steps + 1):
        g = pull(t, w) + wd * w
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        friction = 1 / (1 + torch.exp(-(before - g).abs()))
        before = g
        w = w - lr * math.sqrt(1 - b2**t) / (1 - b1**t) * friction * m / (v.sqrt() + eps)
        yield w


def adabelief(
    w: Tensor,
    pull: Pull,
    steps: int,
    lr: float = LR,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-16,
    wd: float = 0.0,
) -> Iterator[Tensor]:
    m = s = torch.zeros_like(w)
    for t in range(1, steps + 1):
        g = pull(t, w)
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps
        w = w * (1 - lr * wd)
        w = w - lr * m / (1 - b1**t) / ((s / (1 - b2**t)).sqrt() + eps)
        yield w


def projected(
    w: Tensor,
    g: Tensor,
    p: Tensor,
    delta: float,
    wd_ratio: float,
    eps: float,
    seen: list[str] | None,
) -> tuple[Tensor, float]:
    """The step without its part along w, and the share of the weight decay."""
    for name, rows in (("rows", w.shape[0]), ("whole", 1)) if w.dim() > 1 else ():
        a, b, c = w.reshape(rows, -1), g.reshape(rows, -1), p.reshape(rows, -1)
        cosine = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))
        if cosine.abs().max() < delta / math.sqrt(a.shape[1]):
            if seen is not None:
                seen.append(name)
            unit = a / (a.norm(dim=1, keepdim=True) + eps)
            return (c - unit * (unit * c).sum(1, keepdim=True)).view_as(w), wd_ratio
    return p, 1.0


def adam_p(
    w: Tensor,
    pull: Pull,
    steps: int,
    lr: float = LR,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    wd: float = 0.0,
    delta: float = 0.1,
    ratio: float = 0.1,
    seen: list[str] | None = None,
) -> Iterator[Tensor]:
    m = v = torch.zeros_like(w)
    for t in range(1, steps + 1):
        g = pull(t, w)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        p = m / (1 - b1**t) / ((v / (1 - b2**t)).sqrt() + eps)
        p, share = projected(w, g, p, delta, ratio, eps, seen)
        w = w * (1 - lr * wd * share) - lr * p
        yield w


def sgd_p(
    w: Tensor,
    pull: Pull,
    steps: int,
    lr: float = LR,
    mu: float = 0.9,
    damp: float = 0.0,
    eps: float = 1e-8,
    wd: float = 0.0,
    delta: float = 0.1,
    ratio: float = 0.1,
    seen: list[str] | None = None,
) -> Iterator[Tensor]:
    buffer = torch.zeros_like(w)
    for t in range(1, steps + 1):
        g = pull(t, w)
        buffer = mu * buffer + (1 - damp) * g
        p, share = projected(w, g, buffer, delta, ratio, eps, seen)
        w = w * (1 - lr * wd * share / (1 - mu)) - lr * p
        yield w


TEXTBOOK: dict[type[Any], Callable[..., Iterator[Tensor]]] = {
    DiffGrad: diffgrad,
    AdaBelief: adabelief,
    AdamP: adam_p,
    SGDP: sgd_p,
}


def start(shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(5), dtype=dtype)


def pull(kind: str, shape: tuple[int, ...]) -> Pull:
    """A quadratic's gradient with noise; at right angles to each row, to the whole, or to nothing."""
    noise = torch.randn(
        200, *shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64
    )

    def gradient(step: int, w: Tensor) -> Tensor:
        free = 0.5 * w.double() + noise[step]
        if kind == "free" or w.dim() < 2:
            return free
        rows = w.shape[0] if kind == "rows" else 1
        a, b = w.double().reshape(rows, -1), free.reshape(rows, -1)
        return (b - a * (a * b).sum(1, keepdim=True) / a.square().sum(1, keepdim=True)).view_as(w)

    return gradient


def run(
    make: Callable[[list[nn.Parameter]], Optimizer],
    weights: list[Tensor],
    pulls: list[Pull],
    steps: int,
    *,
    keep: bool = False,
) -> Iterator[list[Tensor]]:
    """Weights after each step; `keep` reuses the memory of the gradient, as set_to_none=False does."""
    params = [nn.Parameter(weight.clone()) for weight in weights]
    optimizer = make(params)
    for step in range(1, steps + 1):
        optimizer.zero_grad(set_to_none=not keep)
        for param, gradient in zip(params, pulls, strict=True):
            found = gradient(step, param.detach()).to(param.dtype)
            if keep and param.grad is not None:
                param.grad += found
            else:
                param.grad = found.clone()
        optimizer.step()
        yield [param.detach().clone() for param in params]


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize(
    ("cls", "kind"),
    [
        *((cls, "free") for cls in CLASSES),
        *((cls, kind) for cls in (AdamP, SGDP) for kind in ("rows", "whole")),
    ],
)
def test_each_is_its_textbook_loop_for_100_steps(
    cls: type[Any], kind: str, weight_decay: float
) -> None:
    """All shapes in one optimizer, with gradients whose memory is used again."""
    shapes = SHAPES if kind == "free" else WITH_ROOM
    weights, pulls = [start(s) for s in shapes], [pull(kind, s) for s in shapes]
    books = [TEXTBOOK[cls](w, g, 100, wd=weight_decay) for w, g in zip(weights, pulls, strict=True)]
    make = lambda params: cls(params, lr=LR, weight_decay=weight_decay)  # noqa: E731
    for found, *expected in zip(run(make, weights, pulls, 100, keep=True), *books, strict=True):
        for one, other in zip(found, expected, strict=True):
            close(one, other)


@pytest.mark.parametrize(
    ("cls", "options", "names"),
    [
        (DiffGrad, {"betas": (0.8, 0.95), "eps": 1e-2}, {"b1": 0.8, "b2": 0.95, "eps": 1e-2}),
        (DiffGrad, {"betas": (0.0, 0.0)}, {"b1": 0.0, "b2": 0.0}),
        (AdaBelief, {"betas": (0.8, 0.95), "eps": 1e-2}, {"b1": 0.8, "b2": 0.95, "eps": 1e-2}),
        (AdaBelief, {"eps": 1e-8}, {"eps": 1e-8}),
        (AdamP, {"betas": (0.8, 0.95), "eps": 1e-2}, {"b1": 0.8, "b2": 0.95, "eps": 1e-2}),
        (AdamP, {"delta": 3.0, "wd_ratio": 0.5}, {"delta": 3.0, "ratio": 0.5}),
        (AdamP, {"delta": 0.0}, {"delta": 0.0}),
        (SGDP, {"momentum": 0.5, "dampening": 0.3}, {"mu": 0.5, "damp": 0.3}),
        (
            SGDP,
            {"delta": 3.0, "wd_ratio": 0.5, "eps": 1e-2},
            {"delta": 3.0, "ratio": 0.5, "eps": 1e-2},
        ),
        (SGDP, {"delta": 0.0}, {"delta": 0.0}),
    ],
)
def test_every_setting_means_what_it_says(
    cls: type[Any], options: dict[str, Any], names: dict[str, Any]
) -> None:
    weights, pulls = [start(s) for s in SHAPES], [pull("free", s) for s in SHAPES]
    books = [TEXTBOOK[cls](w, g, 40, wd=0.2, **names) for w, g in zip(weights, pulls, strict=True)]
    make = lambda params: cls(params, lr=LR, weight_decay=0.2, **options)  # noqa: E731
    for found, *expected in zip(run(make, weights, pulls, 40), *books, strict=True):
        for one, other in zip(found, expected, strict=True):
            close(one, other)


@pytest.mark.parametrize("book", [adam_p, sgd_p])
def test_the_textbook_projects_by_rows_and_whole_and_not_at_all(book: Callable[..., Any]) -> None:
    """Else the comparisons above would say little about projection."""
    for kind, expected in (("rows", {"rows"}), ("whole", {"whole"})):
        seen: list[str] = []
        list(book(start((6, 5)), pull(kind, (6, 5)), 100, seen=seen))
        assert expected == set(seen)
        assert len(seen) == 100
    free: list[str] = []
    list(book(start((6, 5)), pull("free", (6, 5)), 100, seen=free))
    assert len(free) < 50


# Packages that follow the paper, in float64


def peers() -> dict[str, tuple[type[Optimizer], Callable[..., Optimizer], dict[str, Any], str]]:
    """Ours, the package's, the settings, and the gradients."""
    official = lambda params, **options: adabelief_pytorch.AdaBelief(  # noqa: E731
        params, rectify=False, weight_decouple=True, print_change_log=False, **options
    )
    jettify = lambda params, **options: torch_optimizer.AdaBelief(  # noqa: E731
        params, rectify=False, weight_decouple=True, **options
    )
    return {
        "DiffGrad, torch-optimizer": (DiffGrad, torch_optimizer.DiffGrad, {}, "free"),
        "DiffGrad with decay": (DiffGrad, torch_optimizer.DiffGrad, {"weight_decay": 0.2}, "free"),
        "AdaBelief, adabelief-pytorch": (AdaBelief, official, {"eps": 1e-16}, "free"),
        "AdaBelief, eps 1e-4, decay": (
            AdaBelief,
            official,
            {"eps": 1e-4, "weight_decay": 0.2},
            "free",
        ),
        "AdaBelief, torch-optimizer": (AdaBelief, jettify, {"eps": 1e-8}, "free"),
        "AdamP by rows": (AdamP, adamp.AdamP, {"weight_decay": 0.2}, "rows"),
        "AdamP whole": (AdamP, adamp.AdamP, {"weight_decay": 0.2}, "whole"),
        "AdamP, torch-optimizer": (AdamP, torch_optimizer.AdamP, {"weight_decay": 0.2}, "free"),
        "SGDP never projecting": (
            SGDP,
            adamp.SGDP,
            {"momentum": 0.9, "weight_decay": 0.2, "delta": 0.0},
            "free",
        ),
        "SGDP without momentum": (SGDP, adamp.SGDP, {"momentum": 0.0, "weight_decay": 0.2}, "rows"),
    }


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("name", peers())
def test_each_is_the_package_where_that_follows_the_paper(name: str, keep: bool) -> None:
    """The packages for the rest: AdaBelief's rectification is off; SGDP's momentum, see below."""
    ours: Any
    ours, theirs, options, kind = peers()[name]
    weights, pulls = [start(s) for s in WITH_ROOM], [pull(kind, s) for s in WITH_ROOM]
    one = run(lambda params: ours(params, lr=LR, **options), weights, pulls, 60, keep=keep)
    other = run(lambda params: theirs(params, lr=LR, **options), weights, pulls, 60, keep=keep)
    for found, expected in zip(one, other, strict=True):
        for mine, its in zip(found, expected, strict=True):
            close(mine, its)


def test_sgdp_keeps_its_momentum_where_the_package_projects_it_too() -> None:
    """The package writes the projected step into the buffer; the paper's rule does not."""
    weights, pulls = [start((6, 5))], [pull("rows", (6, 5))]
    ours, theirs, book = (
        list(run(lambda params: SGDP(params, lr=LR), weights, pulls, 40))[-1][0],
        list(run(lambda params: adamp.SGDP(params, lr=LR, momentum=0.9), weights, pulls, 40))[-1][
            0
        ],
        list(sgd_p(weights[0], pulls[0], 40))[-1],
    )
    close(ours, book)
    assert float((theirs - book).abs().max()) > 1e-3


# Invariants


def test_a_constant_gradient_makes_diffgrad_adam_at_half_the_rate() -> None:
    gradient = start((5,))
    options: dict[str, Any] = {"lr": LR, "eps": 0.0}
    ours, peer = (
        torch.stack([weights[0] for weights in run(make, [start((5,))], [lambda *_: gradient], 30)])
        for make in (lambda p: DiffGrad(p, **options), lambda p: Adam(p, **options))
    )
    close(ours.diff(dim=0), peer.diff(dim=0) / 2, 1e-11)
    close(ours[0] - start((5,)), (peer[0] - start((5,))) * torch.sigmoid(gradient.abs()), 1e-11)


def test_diffgrad_settles_in_the_deeper_valley_of_the_papers_example() -> None:
    """F1 of the paper: valleys at -0.3, of depth 0, and at 0.2, of depth 0.05."""
    slope: Pull = lambda _, x: torch.where(x <= 0, 2 * (x + 0.3), 2 * (x - 0.2))  # noqa: E731
    begin = [torch.tensor([-1.0], dtype=torch.float64)]
    ends = [
        list(run(partial(cls, lr=0.1, betas=(0.95, 0.999)), begin, [slope], 300))[-1][0]
        for cls in (DiffGrad, Adam)
    ]
    assert float(ends[0]) == pytest.approx(-0.3, abs=0.01)
    assert float(ends[1]) == pytest.approx(0.2, abs=0.01)


@given(st.floats(1e-6, 1e6), st.floats(0.05, 0.99), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_the_first_step_of_adabelief_is_lr_over_beta1(
    scale: float, beta1: float, seed: int
) -> None:
    gradient = scale * torch.randn(
        6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    gradient = torch.where(gradient.abs() < scale / 100, scale, gradient)
    make = lambda params: AdaBelief(params, lr=LR, betas=(beta1, 0.999), eps=0.0)  # noqa: E731
    (moved,) = run(make, [torch.zeros(6, dtype=torch.float64)], [lambda *_: gradient], 1)
    close(moved[0], -LR / beta1 * gradient.sign())


@given(st.integers(1, 7), st.integers(2, 9), st.sampled_from([AdamP, SGDP]), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_projected_steps_are_at_right_angles_to_the_rows(
    rows: int, length: int, cls: type[Any], seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, length, generator=random, dtype=torch.float64)
    gradient = torch.randn(rows, length, generator=random, dtype=torch.float64)
    make = lambda params: cls(params, lr=LR, delta=1e9, eps=0.0 if cls is SGDP else 1e-300)  # noqa: E731
    (after,) = run(make, [weight], [lambda *_: gradient], 1)
    gained = (after[0] - weight).square().sum(1)
    close(after[0].square().sum(1), weight.square().sum(1) + gained, 1e-11)


def test_weights_that_are_normalised_lengthen_less() -> None:
    """Rows divided by their length before use: Adam's momentum lengthens them, AdamP's hardly."""
    target = start((64, 48))

    def slope(_: int, w: Tensor) -> Tensor:
        leaf = w.clone().requires_grad_()
        (nn.functional.normalize(leaf, dim=1) - target).square().sum().backward()
        assert leaf.grad is not None
        return leaf.grad

    lengths = [
        list(run(partial(cls, lr=LR), [0.1 * start((64, 48))], [slope], 50))[-1][0].norm()
        for cls in (AdamP, Adam)
    ]
    begin = (0.1 * start((64, 48))).norm()
    assert (lengths[0] - begin) < 0.5 * (lengths[1] - begin)


@pytest.mark.parametrize(
    ("cls", "shape", "share"),
    [
        (AdaBelief, (4, 3), 1.0),
        (AdamP, (4,), 1.0),
        (AdamP, (4, 3), 0.1),  # no gradient is at right angles to any weight
        (SGDP, (4,), 10.0),
        (SGDP, (4, 3), 1.0),
    ],
)
def test_decoupled_decay_shrinks_weights_without_a_gradient(
    cls: type[Any], shape: tuple[Any, ...], share: float
) -> None:
    make = lambda params: cls(params, lr=LR, weight_decay=0.3)  # noqa: E731
    *_, end = run(make, [start(shape)], [lambda _, w: torch.zeros_like(w)], 20)
    close(end[0], start(shape) * (1 - LR * 0.3 * share) ** 20)


def test_diffgrads_decay_is_part_of_the_gradient() -> None:
    make = lambda decay: lambda params: DiffGrad(params, lr=LR, weight_decay=decay)  # noqa: E731
    without, coupled = lambda _, w: torch.zeros_like(w), lambda _, w: 0.3 * w
    (*_, one), (*_, other) = (
        run(make(decay), [start((4, 3))], [slope], 20)
        for decay, slope in ((0.3, without), (0.0, coupled))
    )
    close(one[0], other[0])
    assert float((one[0] - start((4, 3))).abs().min()) > 1e-3


# As torch optimizers


def trained(optimizer: Optimizer, params: list[nn.Parameter], first: int, last: int) -> None:
    for step in range(first, last):
        for param in params:
            shape = tuple(param.shape)
            param.grad = pull("free", shape)(step, param.detach()).to(param.dtype)
        optimizer.step()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("cls", CLASSES)
def test_a_saved_state_goes_on_bit_for_bit(cls: type[Any], dtype: torch.dtype) -> None:
    params = [nn.Parameter(start(shape, torch.float64).to(dtype)) for shape in SHAPES]
    optimizer = cls(params, lr=LR, weight_decay=0.1)
    trained(optimizer, params, 1, 6)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    twins = [nn.Parameter(param.detach().clone()) for param in params]
    other = cls(twins, lr=1.0)
    other.load_state_dict(torch.load(file, weights_only=True))
    copied, copies = copy.deepcopy((optimizer, params))
    for one, group in ((optimizer, params), (other, twins), (copied, copies)):
        trained(one, group, 6, 12)
    for param, twin, third in zip(params, twins, copies, strict=True):
        assert torch.equal(param, twin)
        assert torch.equal(param, third)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("cls", CLASSES)
def test_half_precision_is_computed_in_single_and_rounded_once(
    cls: type[Any], dtype: torch.dtype
) -> None:
    half = nn.Parameter(start((6, 5)).to(dtype))
    single = nn.Parameter(half.detach().float())
    one, other = cls([half], lr=LR), cls([single], lr=LR)
    for step in range(1, 30):
        half.grad = pull("free", (6, 5))(step, half.detach()).to(dtype)
        single.grad = half.grad.float()
        one.step()
        other.step()
        assert torch.equal(half.detach(), single.detach().to(dtype))
        single.data.copy_(half.detach())
    buffers = [value for value in one.state[half].values() if isinstance(value, Tensor)]
    assert {buffer.dtype for buffer in buffers} == {torch.float32}


@pytest.mark.parametrize("cls", CLASSES)
def test_small_half_precision_gradients_are_not_lost(cls: type[Any]) -> None:
    """1e-5 squared is 0 in float16."""
    weight = nn.Parameter(torch.zeros(3, dtype=torch.float16))
    optimizer = cls([weight], lr=1.0 if cls is SGDP else 0.01)
    for sign in (1, -1, 1, 1, 1):
        weight.grad = torch.full_like(weight, sign * 1e-5)
        optimizer.step()
    assert torch.isfinite(weight).all()
    assert (weight != 0).all()


@pytest.mark.parametrize("cls", CLASSES)
def test_each_parameter_counts_its_own_steps(cls: type[Any]) -> None:
    """One gets its first gradient late, one never, one is empty, one is of another type."""
    late, never = nn.Parameter(start((4, 3))), nn.Parameter(start((2, 2)))
    always, empty = nn.Parameter(start((5,))), nn.Parameter(torch.empty(0, 3))
    other = nn.Parameter(start((3, 3), torch.float32))
    optimizer = cls([{"params": [late, never, always, empty, other]}], lr=LR)
    alone = [nn.Parameter(param.detach().clone()) for param in (late, always, other)]
    alones = [cls([param], lr=LR) for param in alone]
    empty.grad = torch.empty(0, 3)
    for step in range(1, 12):
        for param, twin, own in zip((late, always, other), alone, alones, strict=True):
            if param is late and step < 5:
                continue
            param.grad = pull("free", tuple(param.shape))(step, param.detach()).to(param.dtype)
            twin.grad = param.grad.clone()
            own.step()
        optimizer.step()
    for param, twin in zip((late, always, other), alone, strict=True):
        assert torch.equal(param, twin)
    assert torch.equal(never, start((2, 2)))
    assert never not in optimizer.state
    assert empty.numel() == 0


@pytest.mark.parametrize("cls", CLASSES)
def test_groups_have_settings_of_their_own(cls: type[Any]) -> None:
    pair = [nn.Parameter(start((4, 3))) for _ in range(2)]
    optimizer = cls([{"params": pair[:1]}, {"params": pair[1:], "lr": 2 * LR}], lr=LR)
    alone = [nn.Parameter(start((4, 3))) for _ in range(2)]
    alones = [cls([alone[0]], lr=LR), cls([alone[1]], lr=2 * LR)]
    trained(optimizer, pair, 1, 9)
    for own, param in zip(alones, alone, strict=True):
        trained(own, [param], 1, 9)
    assert torch.equal(pair[0], alone[0])
    assert torch.equal(pair[1], alone[1])


@pytest.mark.parametrize("cls", CLASSES)
def test_gradients_are_read_and_never_written(cls: type[Any]) -> None:
    params = [nn.Parameter(start(shape)) for shape in SHAPES]
    optimizer = cls(params, lr=LR, weight_decay=0.1)
    for step in (1, 2, 3):
        before = [pull("free", shape)(step, start(shape)) for shape in SHAPES]
        for param, gradient in zip(params, before, strict=True):
            param.grad = gradient.clone()
        optimizer.step()
        for param, gradient in zip(params, before, strict=True):
            assert param.grad is not None
            assert torch.equal(param.grad, gradient)


@pytest.mark.parametrize("cls", CLASSES)
def test_the_layout_in_memory_makes_no_difference(cls: type[Any]) -> None:
    plain = [nn.Parameter(start((6, 5))), nn.Parameter(start((3, 2, 4, 5)))]
    turned = [
        nn.Parameter(start((6, 5)).t().contiguous().t()),
        nn.Parameter(start((3, 2, 4, 5)).to(memory_format=torch.channels_last)),
    ]
    assert not any(param.is_contiguous() for param in turned)
    one, other = cls(plain, lr=LR, weight_decay=0.1), cls(turned, lr=LR, weight_decay=0.1)
    for step in range(1, 15):
        for param, twin in zip(plain, turned, strict=True):
            param.grad = pull("free", tuple(param.shape))(step, param.detach())
            twin.grad = torch.empty_like(twin).copy_(param.grad)
        one.step()
        other.step()
    for param, twin in zip(plain, turned, strict=True):
        close(twin.detach(), param.detach())


@pytest.mark.parametrize("poison", [math.nan, math.inf])
@pytest.mark.parametrize("cls", CLASSES)
def test_nan_and_infinity_are_not_silenced(cls: type[Any], poison: float) -> None:
    """What they touch is NaN or infinite for good, what they do not is untouched."""
    weight, other = nn.Parameter(start((4, 3))), nn.Parameter(start((3,)))
    clean = nn.Parameter(start((3,)))
    optimizer, alone = cls([weight, other], lr=LR), cls([clean], lr=LR)
    for step in range(1, 5):
        weight.grad = pull("free", (4, 3))(step, weight.detach())
        other.grad = clean.grad = pull("free", (3,))(step, start((3,)))
        if step == 2:
            weight.grad[1, 2] = poison
        optimizer.step()
        alone.step()
        assert bool(torch.isfinite(weight[1, 2])) == (step < 2)
        assert torch.isfinite(weight[0, 0])
    assert torch.equal(other, clean)


@pytest.mark.parametrize("cls", CLASSES)
def test_sparse_gradients_are_refused_before_anything_moves(cls: type[Any]) -> None:
    weight, table = nn.Parameter(start((3,))), nn.Embedding(5, 2, sparse=True)
    optimizer = cls([{"params": [weight]}, {"params": table.parameters()}], lr=LR)
    weight.grad = torch.ones_like(weight)
    table(torch.tensor([1, 3])).sum().backward()
    with pytest.raises(
        ValueError, match=rf"{cls.__name__} expected dense .*\(5, 2\); use .*sparse"
    ):
        optimizer.step()
    assert torch.equal(weight, start((3,)))
    assert not optimizer.state


@pytest.mark.parametrize("cls", CLASSES)
def test_a_closure_gives_loss_and_gradient(cls: type[Any]) -> None:
    weight = nn.Parameter(start((4,)))
    optimizer = cls([weight], lr=LR)

    def closure() -> float:
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss.item()

    assert optimizer.step() is None
    losses = [optimizer.step(closure) for _ in range(30)]
    assert losses[0] == pytest.approx(float(start((4,)).square().sum()))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("cls", CLASSES)
def test_weights_of_zero_are_no_trouble(cls: type[Any]) -> None:
    """Heads start at zero, where a weight has no direction; eps is left out as well."""
    weight = nn.Parameter(torch.zeros(4, 3, dtype=torch.float64))
    optimizer = cls([weight], lr=LR, eps=0.0) if cls is not DiffGrad else cls([weight], lr=LR)
    trained(optimizer, [weight], 1, 4)
    assert torch.isfinite(weight).all()
    assert (weight != 0).all()


@pytest.mark.parametrize(
    ("cls", "options", "message"),
    [
        *((cls, {"lr": 0.0}, "expected lr=0.0 to be above 0 and finite") for cls in CLASSES),
        *((cls, {"lr": math.nan}, "expected lr=nan to be above 0") for cls in CLASSES),
        *(
            (cls, {"lr": 1, "weight_decay": -1}, "weight_decay=-1 to be 0 or more")
            for cls in CLASSES
        ),
        *((cls, {"lr": 1, "eps": -1}, "expected eps=-1 to be 0 or more") for cls in CLASSES),
        (DiffGrad, {"betas": (1.0, 0.9)}, r"betas=\(1.0, 0.9\) to be two numbers in \[0, 1\)"),
        (AdaBelief, {"betas": (0.9, -0.1)}, r"betas=\(0.9, -0.1\) to be two numbers"),
        (AdamP, {"betas": (0.9,)}, r"betas=\(0.9,\) to be two numbers"),
        (AdamP, {"delta": -0.1}, "expected delta=-0.1 to be 0 or more"),
        (SGDP, {"lr": 1, "momentum": 1.0}, r"expected momentum=1.0 to be in \[0, 1\)"),
        (SGDP, {"lr": 1, "dampening": 2.0}, r"expected dampening=2.0 to be in \[0, 1\]"),
        (SGDP, {"lr": 1, "wd_ratio": math.inf}, "expected wd_ratio=inf to be 0 or more and finite"),
    ],
)
def test_settings_out_of_range_are_refused(
    cls: type[Any], options: dict[str, Any], message: str
) -> None:
    weight = nn.Parameter(start((3,)))
    with pytest.raises(ValueError, match=message):
        cls([weight], **options)
    optimizer = cls([weight], lr=1.0)
    with pytest.raises(ValueError, match=message):
        optimizer.add_param_group({"params": [nn.Parameter(start((2,)))], **options})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize("cls", CLASSES)
def test_complex_parameters_are_refused(cls: type[Any]) -> None:
    with pytest.raises(ValueError, match=r"real floating-point parameters, got torch.complex64"):
        cls([nn.Parameter(torch.zeros(2, dtype=torch.complex64))], lr=1.0)
