"""The private forms: against textbook loops, their plain forms, and the statistics of noise alone."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from models.optimizers.adabelief import AdaBelief
from models.optimizers.adamp import AdamP
from models.optimizers.diffgrad import DiffGrad, friction
from models.optimizers.private import DpAdaBelief, DpAdam, DpAdamP, DpDiffGrad, DpSgdp
from models.optimizers.private.adabelief import noise_share
from models.optimizers.private.adam import noise_spread
from models.optimizers.sgdp import SGDP

ADAPTIVE = (DpAdam, DpAdaBelief, DpDiffGrad, DpAdamP)
CLASSES = (*ADAPTIVE, DpSgdp)
SHAPES = ((), (7,), (6, 5), (4, 3, 2))
LR, NOISE = 1e-2, 0.25


def start(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def gradients(shape: tuple[int, ...], steps: int, scale: float = 1.0) -> list[Tensor]:
    """Signal and noise, of about the same size as Φ."""
    random = torch.Generator().manual_seed(6)
    noise = torch.randn(steps, *shape, generator=random, dtype=torch.float64)
    signal = torch.randn(shape, generator=random, dtype=torch.float64)
    return [scale * (0.5 * signal + math.sqrt(NOISE) * each) for each in noise]


def path(
    make: Callable[[list[nn.Parameter]], Optimizer],
    shapes: Sequence[tuple[int, ...]] = SHAPES,
    steps: int = 100,
    scale: float = 1.0,
) -> list[Tensor]:
    """Weights after each step, one [steps, ...] a shape."""
    params = [nn.Parameter(start(shape)) for shape in shapes]
    optimizer = make(params)
    given_ = [gradients(shape, steps, scale) for shape in shapes]
    seen: list[list[Tensor]] = []
    for step in range(steps):
        for param, each in zip(params, given_, strict=True):
            param.grad = each[step].clone()
        optimizer.step()
        seen.append([param.detach().clone() for param in params])
    return [torch.stack(each) for each in zip(*seen, strict=True)]


# Textbook loops, one tensor each, in the order of the equations


def floor_of(t: int, b2: float, mean: float, floor: float) -> float:
    """Standard deviation of a weighted mean of chi-squares, from its weights one by one."""
    w = torch.tensor([(1 - b2) * b2 ** (t - i) for i in range(1, t + 1)], dtype=torch.float64)
    return floor * mean * math.sqrt(2 * float((w / w.sum()).square().sum()))


def dp_adam(
    w: Tensor,
    grads: Iterable[Tensor],
    phi: float,
    lr: float = LR,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    wd: float = 0.0,
    floor: float = 1.0,
) -> Iterator[Tensor]:
    m = v = torch.zeros_like(w)
    for t, g in enumerate(grads, start=1):
        g = g + wd * w
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        clean = (v / (1 - b2**t) - phi).clamp_min(floor_of(t, b2, phi, floor))
        w = w - lr * m / (1 - b1**t) / (clean.sqrt() + eps)
        yield w


def dp_adabelief(
    w: Tensor,
    grads: Iterable[Tensor],
    phi: float,
    lr: float = LR,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-16,
    wd: float = 0.0,
    floor: float = 1.0,
) -> Iterator[Tensor]:
    m = s = torch.zeros_like(w)
    shares = 0.0
    for t, g in enumerate(grads, start=1):
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps
        each = b1**2 * (1 + (1 - b1) * (1 - b1 ** (2 * (t - 1))) / (1 + b1))
        shares = b2 * shares + (1 - b2) * each
        mean = phi * shares / (1 - b2**t)
        clean = (s / (1 - b2**t) - mean).clamp_min(floor_of(t, b2, mean, floor))
        w = w * (1 - lr * wd) - lr * m / (1 - b1**t) / (clean.sqrt() + eps)
        yield w


def dp_diffgrad(
    w: Tensor,
    grads: Iterable[Tensor],
    phi: float,
    lr: float = LR,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    wd: float = 0.0,
    floor: float = 1.0,
) -> Iterator[Tensor]:
    m = v = before = torch.zeros_like(w)
    for t, g in enumerate(grads, start=1):
        g = g + wd * w
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        xi = 1 / (1 + torch.exp(-(before - g).abs() / math.sqrt(2 * phi)))
        before = g
        clean = (v / (1 - b2**t) - phi).clamp_min(floor_of(t, b2, phi, floor)) * (1 - b2**t)
        w = w - lr * math.sqrt(1 - b2**t) / (1 - b1**t) * xi * m / (clean.sqrt() + eps)
        yield w


def tangent(w: Tensor, p: Tensor, eps: float) -> Tensor:
    a, b = w.reshape(len(w), -1), p.reshape(len(w), -1)
    unit = a / (a.norm(dim=1, keepdim=True) + eps)
    return (b - unit * (unit * b).sum(1, keepdim=True)).view_as(w)


def dp_adamp(
    w: Tensor,
    grads: Iterable[Tensor],
    phi: float,
    lr: float = LR,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    wd: float = 0.0,
    floor: float = 1.0,
    ratio: float = 0.1,
    rows: bool = False,
) -> Iterator[Tensor]:
    m = v = torch.zeros_like(w)
    for t, g in enumerate(grads, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        clean = (v / (1 - b2**t) - phi).clamp_min(floor_of(t, b2, phi, floor))
        p = m / (1 - b1**t) / (clean.sqrt() + eps)
        p = tangent(w, p, eps) if rows else p
        w = w * (1 - lr * wd * (ratio if rows else 1)) - lr * p
        yield w


def dp_sgdp(
    w: Tensor,
    grads: Iterable[Tensor],
    phi: float,
    lr: float = LR,
    mu: float = 0.9,
    damp: float = 0.0,
    eps: float = 1e-8,
    wd: float = 0.0,
    ratio: float = 0.1,
    rows: bool = False,
) -> Iterator[Tensor]:
    buffer = torch.zeros_like(w)
    for g in grads:
        buffer = mu * buffer + (1 - damp) * g
        p = tangent(w, buffer, eps) if rows else buffer
        w = w * (1 - lr * wd * (ratio if rows else 1) / (1 - mu)) - lr * p
        yield w


TEXTBOOK: dict[type[Any], Callable[..., Iterator[Tensor]]] = {
    DpAdam: dp_adam,
    DpAdaBelief: dp_adabelief,
    DpDiffGrad: dp_diffgrad,
    DpAdamP: dp_adamp,
    DpSgdp: dp_sgdp,
}


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("cls", CLASSES)
def test_each_is_its_textbook_loop_for_100_steps(cls: type[Any], weight_decay: float) -> None:
    ours = path(lambda p: cls(p, lr=LR, noise_variance=NOISE, weight_decay=weight_decay))
    for found, shape in zip(ours, SHAPES, strict=True):
        book = TEXTBOOK[cls](start(shape), gradients(shape, 100), NOISE, wd=weight_decay)
        close(found, torch.stack(list(book)))


@pytest.mark.parametrize("cls", [DpAdamP, DpSgdp])
def test_declared_weights_are_projected_by_rows_and_others_never(cls: type[Any]) -> None:
    ours = path(
        lambda p: cls(
            p, lr=LR, noise_variance=NOISE, weight_decay=0.3, wd_ratio=0.2, scale_invariant=[p[2]]
        )
    )
    for place, shape in enumerate(SHAPES):
        book = TEXTBOOK[cls](
            start(shape), gradients(shape, 100), NOISE, wd=0.3, ratio=0.2, rows=place == 2
        )
        close(ours[place], torch.stack(list(book)))


@pytest.mark.parametrize(
    ("cls", "options", "names"),
    [
        *((cls, {"betas": (0.8, 0.95)}, {"b1": 0.8, "b2": 0.95}) for cls in ADAPTIVE),
        *((cls, {"betas": (0.6, 0.36)}, {"b1": 0.6, "b2": 0.36}) for cls in ADAPTIVE),  # β₂ = β₁²
        *((cls, {"eps": 1e-2}, {"eps": 1e-2}) for cls in ADAPTIVE),
        *((cls, {"floor": 0.05}, {"floor": 0.05}) for cls in ADAPTIVE),
        (DpSgdp, {"momentum": 0.5, "dampening": 0.3}, {"mu": 0.5, "damp": 0.3}),
    ],
)
def test_every_setting_means_what_it_says(
    cls: type[Any], options: dict[str, Any], names: dict[str, Any]
) -> None:
    ours = path(lambda p: cls(p, lr=LR, noise_variance=NOISE, **options), ((6, 5),), 40)
    book = TEXTBOOK[cls](start((6, 5)), gradients((6, 5), 40), NOISE, **names)
    close(ours[0], torch.stack(list(book)), 1e-11)


# Without noise


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize(
    ("private", "plain", "declared", "options"),
    [
        (DpAdam, Adam, False, {}),
        (DpAdaBelief, AdaBelief, False, {}),
        (DpDiffGrad, DiffGrad, False, {}),
        (DpAdamP, AdamP, False, {"delta": 0.0}),
        (DpAdamP, AdamP, True, {"delta": 1e9}),
        (DpSgdp, SGDP, False, {"delta": 0.0}),
        (DpSgdp, SGDP, True, {"delta": 1e9}),
    ],
)
def test_without_noise_each_is_its_plain_form(
    private: type[Any],
    plain: type[Any],
    declared: bool,
    options: dict[str, Any],
    weight_decay: float,
) -> None:
    """AdamP and SGDP: had they found just what was declared."""

    def make(params: list[nn.Parameter]) -> Optimizer:
        rows = [param for param in params if param.dim() > 1] if declared else []
        more: dict[str, Any] = {"scale_invariant": rows} if private in (DpAdamP, DpSgdp) else {}
        return private(params, lr=LR, weight_decay=weight_decay, noise_variance=0.0, **more)

    peer = path(lambda p: plain(p, lr=LR, weight_decay=weight_decay, **options))
    for found, expected in zip(path(make), peer, strict=True):
        close(found, expected)


def test_little_noise_makes_dp_diffgrad_adam_and_none_makes_it_diffgrad() -> None:
    """The unit of the friction is the noise; without any it is 1, as published."""
    options: dict[str, Any] = {"lr": LR, "eps": 0.0}
    little = path(lambda p: DpDiffGrad(p, noise_variance=1e-20, **options))
    adam = path(lambda p: Adam(p, **options))
    none = path(lambda p: DpDiffGrad(p, noise_variance=0.0, **options))
    for one, peer, other in zip(little, adam, none, strict=True):
        close(one, peer, 1e-7)
        assert float((other - peer).abs().max()) > 1e-3


# Under noise alone


def noise_alone(
    cls: Any, steps: int, phi: float, count: int = 40_000, **options: Any
) -> Iterator[tuple[int, Any, Tensor]]:
    """The optimizer and its parameter after each of so many steps on noise of variance Φ."""
    random = torch.Generator().manual_seed(7)
    weight = nn.Parameter(torch.zeros(count, dtype=torch.float64))
    optimizer = cls([weight], lr=1.0, noise_variance=phi, **options)
    for step in range(1, steps + 1):
        weight.grad = math.sqrt(phi) * torch.randn(count, generator=random, dtype=torch.float64)
        optimizer.step()
        yield step, optimizer.state[weight], weight.detach()


@pytest.mark.slow
@pytest.mark.parametrize("phi", [1.0, 3e-5])
def test_what_is_taken_off_adam_is_what_noise_alone_puts_there(phi: float) -> None:
    """Mean of v̂ − Φ is 0 and its deviation the unit of the floor, from the first step on."""
    for step, state, _ in noise_alone(DpAdam, 300, phi, betas=(0.9, 0.99)):
        if step in (1, 2, 5, 50, 300):
            left = state["exp_avg_sq"] / (1 - 0.99**step) / phi - 1
            spread = noise_spread(0.99, step)
            assert abs(float(left.mean())) < 5 * spread / math.sqrt(len(left))
            assert float(left.std()) == pytest.approx(spread, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("betas", [(0.9, 0.99), (0.5, 0.9), (0.99, 0.95), (0.0, 0.9)])
def test_what_is_taken_off_adabelief_is_what_noise_alone_puts_there(betas: tuple[Any, ...]) -> None:
    for step, state, _ in noise_alone(DpAdaBelief, 300, 0.01, betas=betas, eps=0.0):
        if step in (1, 2, 5, 50, 300):
            mean = state["exp_avg_var"] / (1 - betas[1] ** step) / 0.01
            share = noise_share(betas, step)
            deviation = float(mean.std()) / math.sqrt(len(mean))
            assert abs(float(mean.mean()) - share) <= 5 * deviation
            if betas == (0.9, 0.99):
                assert float(mean.std()) == pytest.approx(
                    share * noise_spread(0.99, step), rel=0.05
                )


def test_shares_and_spreads_are_those_of_the_reference() -> None:
    assert noise_share((0.9, 0.999), 1) == pytest.approx(0.81)
    assert noise_share((0.9, 0.999), 50_000) == pytest.approx(0.81 * (1 + 0.1 / 1.9))  # .8526
    assert noise_spread(0.999, 1) == pytest.approx(math.sqrt(2))
    assert noise_spread(0.999, 50_000) == pytest.approx(math.sqrt(2 * 0.001 / 1.999))


@given(st.floats(0, 0.999), st.floats(0, 0.9999), st.integers(1, 400))
@settings(max_examples=60, deadline=None)
def test_the_share_of_noise_is_the_weighted_mean_of_the_shares(
    beta1: float, beta2: float, step: int
) -> None:
    k = (1 - beta1) / (1 + beta1)
    shares = [beta1**2 * (1 + k * (1 - beta1 ** (2 * (i - 1)))) for i in range(1, step + 1)]
    weights = [beta2 ** (step - i) for i in range(1, step + 1)]
    mean = math.fsum(w * c for w, c in zip(weights, shares, strict=True)) / math.fsum(weights)
    assert noise_share((beta1, beta2), step) == pytest.approx(mean, rel=1e-9, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("cls", ADAPTIVE)
def test_a_coordinate_without_signal_moves_no_further_than_by_adam(cls: type[Any]) -> None:
    """What the floor is for: with one that is next to nothing, luck takes it far."""
    before = torch.zeros(40_000, dtype=torch.float64)
    for step, _, weight in noise_alone(cls, 300, 1e-4):
        assert float((weight - before).square().mean().sqrt()) < 1.5, step
        before = weight.clone()
    far = 0.0
    before = torch.zeros(40_000, dtype=torch.float64)
    for _, _, weight in noise_alone(cls, 30, 1e-4, floor=1e-6):
        far = max(far, float((weight - before).square().mean().sqrt()))
        before = weight.clone()
    assert far > 50


def test_friction_is_measured_in_noise() -> None:
    """Mean of sigmoid(|z|), z normal, whatever the noise; the published one is ½ if it is small."""
    density = lambda z: math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / (1 + math.exp(-abs(z)))  # noqa: E731
    expected = integrate.quad(density, -12, 12)[0]
    assert expected == pytest.approx(0.68, abs=0.01)
    for phi in (1.0, 1e-4):
        random = torch.Generator().manual_seed(7)
        pair = math.sqrt(phi) * torch.randn(2, 200_000, generator=random, dtype=torch.float64)
        found = friction([pair[0].clone()], [pair[1]], math.sqrt(2 * phi))[0]
        assert float(found.mean()) == pytest.approx(expected, abs=0.002)
    assert float(friction([pair[0].clone()], [pair[1]], 1.0)[0].mean()) < 0.503


@given(st.integers(-20, 20))
@settings(max_examples=15, deadline=None)
def test_units_of_the_gradient_have_no_effect(power: int) -> None:
    """Twice the gradient with four times Φ is the same path, bit for bit; SGDP is linear in it."""
    scale = 2.0**power
    for cls in ADAPTIVE:
        one, other = (
            path(
                partial(cls, lr=LR, eps=0.0, noise_variance=unit * unit * NOISE),
                ((6, 5),),
                30,
                unit,
            )
            for unit in (1.0, scale)
        )
        assert torch.equal(one[0], other[0])


@pytest.mark.parametrize("noise", [0.01, 100.0])
def test_the_noise_has_an_effect_where_it_is_said_to(noise: float) -> None:
    for cls in CLASSES:
        one, other = (
            path(partial(cls, lr=LR, noise_variance=phi), ((6, 5),), 10) for phi in (NOISE, noise)
        )
        assert torch.equal(one[0], other[0]) == (cls is DpSgdp)


# Declared weights


@given(st.integers(1, 7), st.integers(2, 9), st.sampled_from([DpAdamP, DpSgdp]), st.booleans())
@settings(max_examples=30, deadline=None)
def test_projected_steps_are_at_right_angles_to_the_rows(
    rows: int, length: int, cls: type[Any], noisy: bool
) -> None:
    phi = NOISE if noisy else 0.0
    (after,) = path(
        lambda p: cls(p, lr=LR, eps=1e-300, noise_variance=phi, scale_invariant=p),
        ((rows, length),),
        5,
    )
    weights = torch.cat([start((rows, length))[None], after])
    squares = weights.square().sum(-1)
    close(squares.diff(dim=0), weights.diff(dim=0).square().sum(-1), 1e-11)


@pytest.mark.parametrize("cls", [DpAdamP, DpSgdp])
def test_declarations_hold_in_groups_by_name_and_after_a_round_trip(cls: type[Any]) -> None:
    def build(params: list[nn.Parameter]) -> Optimizer:
        groups = [
            {"params": [("a", params[0]), ("b", params[1])]},
            {"params": [("c", params[2]), ("d", params[3])], "lr": 2 * LR},
        ]
        return cls(groups, lr=LR, noise_variance=NOISE, scale_invariant=(params[2],))

    grouped = path(build)
    alone = path(
        lambda p: cls([p[2]], lr=2 * LR, noise_variance=NOISE, scale_invariant=iter([p[2]]))
    )
    assert torch.equal(grouped[2], alone[2])

    params = [nn.Parameter(start(shape)) for shape in SHAPES]
    twins = [nn.Parameter(start(shape)) for shape in SHAPES]
    one, other = build(params), build(twins)
    for step in range(10):
        if step == 5:
            other = build(twins)
            other.load_state_dict(copy.deepcopy(one.state_dict()))
        for group, optimizer in ((params, one), (twins, other)):
            for param, shape in zip(group, SHAPES, strict=True):
                param.grad = gradients(shape, 10)[step]
            optimizer.step()
    for param, twin in zip(params, twins, strict=True):
        assert torch.equal(param, twin)


@pytest.mark.parametrize("cls", [DpAdamP, DpSgdp])
def test_declarations_that_make_no_sense_are_refused(cls: type[Any]) -> None:
    weight, flat, strange = (nn.Parameter(start(shape)) for shape in ((4, 3), (5,), (2, 2)))
    options: dict[str, Any] = {"lr": LR, "noise_variance": NOISE}
    with pytest.raises(ValueError, match=r"parameters to have rows, got shape=\(5,\); declare"):
        cls([weight, flat], scale_invariant=[flat], **options)
    with pytest.raises(ValueError, match=r"scale_invariant, of shape=\(2, 2\), to be among"):
        cls([weight, flat], scale_invariant=[weight, strange], **options)
    optimizer = cls([weight], **options)
    with pytest.raises(ValueError, match=r"have rows, got shape=\(5,\)"):
        optimizer.add_param_group({"params": [flat], "scale_invariant": True})
    assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": [strange], "scale_invariant": True})
    assert [group["scale_invariant"] for group in optimizer.param_groups] == [False, True]


# As torch optimizers


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("cls", CLASSES)
def test_a_saved_state_goes_on_bit_for_bit(cls: type[Any], dtype: torch.dtype) -> None:
    params = [nn.Parameter(start(shape).to(dtype)) for shape in SHAPES]
    twins = [nn.Parameter(param.detach().clone()) for param in params]
    one = cls(params, lr=LR, noise_variance=NOISE, weight_decay=0.1)
    other = one
    for step in range(10):
        for param, shape in zip(params, SHAPES, strict=True):
            param.grad = gradients(shape, 10)[step].to(dtype)
        if step == 5:
            other = cls(twins, lr=1.0, noise_variance=0.0)
            other.load_state_dict(copy.deepcopy(one.state_dict()))
        one.step()
        for param, twin in zip(params, twins, strict=True):
            if step < 5:
                twin.data.copy_(param.data)
            else:
                assert param.grad is not None
                twin.grad = param.grad.clone()
        if step >= 5:
            other.step()
    for param, twin in zip(params, twins, strict=True):
        assert torch.isfinite(param).all()
        assert torch.equal(param, twin)


@pytest.mark.parametrize("cls", CLASSES)
def test_nan_is_not_silenced_by_the_floor(cls: type[Any]) -> None:
    weight = nn.Parameter(start((4, 3)))
    optimizer = cls([weight], lr=LR, noise_variance=NOISE)
    for step, gradient in enumerate(gradients((4, 3), 5)):
        weight.grad = gradient
        if step == 1:
            weight.grad[1, 2] = math.nan
        optimizer.step()
    expected = torch.zeros(4, 3, dtype=torch.bool)
    expected[1, 2] = True
    assert torch.equal(weight.isnan(), expected)


@pytest.mark.parametrize("cls", [DpAdamP, DpSgdp])
def test_rows_of_nan_are_not_silenced_by_projection(cls: type[Any]) -> None:
    weight = nn.Parameter(start((4, 3)))
    optimizer = cls([weight], lr=LR, noise_variance=NOISE, scale_invariant=[weight])
    weight.grad = gradients((4, 3), 1)[0]
    weight.grad[1, 2] = math.nan
    optimizer.step()
    assert torch.equal(weight.isnan().all(1), torch.tensor([False, True, False, False]))
    assert torch.isfinite(weight[[0, 2, 3]]).all()


@pytest.mark.parametrize("cls", CLASSES)
def test_odd_parameters_are_passed_or_refused(cls: type[Any]) -> None:
    empty, frozen, table = (
        nn.Parameter(torch.empty(0, 3)),
        nn.Parameter(start((2,))),
        nn.Embedding(5, 2, sparse=True),
    )
    empty.grad = torch.empty(0, 3)
    optimizer = cls([empty, frozen, *table.parameters()], lr=LR, noise_variance=NOISE)
    optimizer.step()
    assert torch.equal(frozen, start((2,)))
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(ValueError, match=f"{cls.__name__} expected dense gradients"):
        optimizer.step()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise_variance": -1.0}, "expected noise_variance=-1.0 to be 0 or more and finite"),
        ({"noise_variance": math.nan}, "expected noise_variance=nan to be 0 or more"),
        ({"noise_variance": math.inf}, "expected noise_variance=inf to be 0 or more and finite"),
        ({"noise_variance": 1.0, "lr": -1.0}, "expected lr=-1.0 to be above 0"),
        (
            {"noise_variance": 1.0, "weight_decay": -1.0},
            "expected weight_decay=-1.0 to be 0 or more",
        ),
    ],
)
@pytest.mark.parametrize("cls", CLASSES)
def test_settings_out_of_range_are_refused(
    cls: type[Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        cls([nn.Parameter(start((2, 2)))], **{"lr": LR, **options})


@pytest.mark.parametrize("cls", CLASSES)
def test_the_noise_must_be_told_and_by_name(cls: type[Any]) -> None:
    with pytest.raises(TypeError, match="noise_variance"):
        cls([nn.Parameter(start((2, 2)))], lr=LR)


@pytest.mark.parametrize("cls", ADAPTIVE)
def test_a_floor_of_nothing_is_refused(cls: type[Any]) -> None:
    with pytest.raises(ValueError, match=r"expected floor=0.0 to be above 0"):
        cls([nn.Parameter(start((2, 2)))], noise_variance=1.0, floor=0.0)
