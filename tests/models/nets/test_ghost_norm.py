"""Ghost batch normalisation against torch's own, ghost by ghost."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.errors import ModelError
from models.nets.ghost_norm import GhostBatchNorm

FEATURES = 3


def made(rows: int, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return 5 + 3 * torch.randn(rows, FEATURES, generator=draw, dtype=torch.float64)


def layer(ghost: int, **settings: Any) -> GhostBatchNorm:
    result = GhostBatchNorm(FEATURES, ghost, **settings).double()
    with torch.no_grad():
        result.weight.copy_(torch.tensor([0.5, -1.0, 2.0]))
        result.bias.copy_(torch.tensor([1.0, 0.0, -3.0]))
    return result


def stock(like: GhostBatchNorm) -> nn.BatchNorm1d:
    result = nn.BatchNorm1d(FEATURES, eps=like.eps, momentum=like.momentum).double()
    result.load_state_dict(like.state_dict())
    return result


def ghosts_of(values: Tensor, ghost: int) -> list[Tensor]:
    """The rule in words: equal ghosts, a smaller last one, a lone row joins the one before."""
    parts = list(values.split(ghost))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


@given(
    rows=st.integers(2, 40),
    ghost=st.integers(2, 12),
    momentum=st.floats(0.01, 1.0),
    rounds=st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_each_ghost_is_a_batch_of_torchs_layer(
    rows: int, ghost: int, momentum: float, rounds: int
) -> None:
    """Output, gradients and running statistics, as if the ghosts came one after another."""
    ours = layer(ghost, momentum=momentum)
    theirs = stock(ours)
    for seed in range(rounds):
        values, weigh = made(rows, seed).requires_grad_(), made(rows, 100 + seed)
        twin = values.detach().clone().requires_grad_()
        found = ours(values)
        expected = torch.cat([theirs(part) for part in ghosts_of(twin, ghost)])
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
        (found * weigh).sum().backward()
        (expected * weigh).sum().backward()
        torch.testing.assert_close(values.grad, twin.grad, rtol=1e-9, atol=1e-9)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad, rtol=1e-9, atol=1e-9)


def test_the_running_statistics_have_the_papers_closed_form() -> None:
    rate, ghosts, size = 0.1, 7, 6
    ours, values = layer(size, momentum=rate), made(ghosts * size)
    ours.running_mean.fill_(2.0)
    ours.running_var.fill_(4.0)
    parts = values.view(ghosts, size, FEATURES)
    left = (1 - rate) ** ghosts
    ours(values)
    share = torch.tensor(
        [rate * (1 - rate) ** (ghosts - 1 - k) for k in range(ghosts)], dtype=torch.float64
    )
    mean = left * 2.0 + (share[:, None] * parts.mean(dim=1)).sum(dim=0)
    variance = left * 4.0 + (share[:, None] * parts.var(dim=1)).sum(dim=0)
    assert float((ours.running_mean - mean).abs().max()) < 1e-12
    assert float((ours.running_var - variance).abs().max()) < 1e-12
    assert int(ours.num_batches_tracked) == ghosts


@pytest.mark.parametrize("rows", [8, 9, 2, 5])
def test_one_ghost_is_batch_normalisation_bit_for_bit(rows: int) -> None:
    ours = layer(8)
    theirs = stock(ours)
    values = made(rows)
    assert torch.equal(ours(values), theirs(values))
    assert torch.equal(ours.eval()(values), theirs.eval()(values))
    torch.testing.assert_close(
        dict(ours.state_dict()), dict(theirs.state_dict()), rtol=1e-15, atol=1e-15
    )


def test_ghosts_differ_from_the_batch_as_a_whole() -> None:
    """Else the tests above would pass for plain batch normalisation too."""
    ours, values = layer(4), made(16)
    assert float((ours(values) - stock(ours)(values)).detach().abs().max()) > 0.1
    means = ours(values).view(4, 4, FEATURES).mean(dim=1)
    torch.testing.assert_close(means, ours.bias.expand(4, -1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rows", [8, 9, 11])
def test_first_and_second_derivatives(rows: int) -> None:
    ours = layer(4)

    def run(values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        twin = copy.deepcopy(ours)
        arguments = {"weight": weight, "bias": bias}
        return torch.func.functional_call(twin, arguments, (values,))

    inputs = (
        made(rows).requires_grad_(),
        ours.weight.detach().clone().requires_grad_(),
        ours.bias.detach().clone().requires_grad_(),
    )
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_lone_row_is_normalised_by_what_was_seen_before(rows: int) -> None:
    ours = layer(4)
    ours(made(40))
    before = copy.deepcopy(ours.state_dict())
    values = made(rows, seed=1).requires_grad_()
    found = ours(values)
    torch.testing.assert_close(dict(ours.state_dict()), dict(before), rtol=0, atol=0)
    assert torch.equal(found, copy.deepcopy(ours).eval()(values))
    found.sum().backward()
    assert values.grad is not None
    assert torch.isfinite(values.grad).all()


def test_evaluation_looks_at_each_row_alone() -> None:
    ours, values = layer(4), made(30)
    ours(values)
    ours.eval()
    before = copy.deepcopy(ours.state_dict())
    alone = torch.cat([ours(row[None]) for row in values])
    torch.testing.assert_close(ours(values), alone, rtol=0, atol=0)
    torch.testing.assert_close(dict(ours.state_dict()), dict(before), rtol=0, atol=0)


def test_without_scale_and_shift_there_is_nothing_to_learn() -> None:
    ours = GhostBatchNorm(FEATURES, 4, affine=False).double()
    assert list(ours.parameters()) == []
    found = ours(made(12)).view(3, 4, FEATURES)
    torch.testing.assert_close(
        found.mean(dim=1), torch.zeros(3, 3, dtype=torch.float64), rtol=0, atol=1e-12
    )


def test_a_state_comes_back_and_a_gap_is_not_hidden() -> None:
    ours, fresh = layer(4), GhostBatchNorm(FEATURES, 4).double()
    ours(made(12))
    fresh.load_state_dict(ours.state_dict())
    assert torch.equal(fresh(made(8)), ours(made(8)))
    values = made(8)
    values[5, 1] = torch.nan
    found = ours(values)
    assert found[4:, 1].isnan().all()  # its own ghost, its own feature
    assert int(found.isnan().sum()) == 4


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0, 4), {}, "features=0 must be at least 1"),
        ((3, 1), {}, "ghost=1 must be at least 2"),
        ((3, 4), {"eps": 0.0}, "eps=0.0 must be above 0"),
        ((3, 4), {"momentum": 0.0}, "momentum=0.0 must be above 0"),
        ((3, 4), {"momentum": 1.5}, "momentum=1.5 must be above 0 and at most 1"),
    ],
)
def test_settings_out_of_range(
    arguments: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        GhostBatchNorm(*arguments, **options)


@pytest.mark.parametrize("shape", [(4, 2), (4, 3, 5), (3,)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"must be \[rows, features=3\]"):
        layer(4)(torch.zeros(shape, dtype=torch.float64))
