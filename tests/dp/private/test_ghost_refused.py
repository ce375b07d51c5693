"""Batch statistics and a clip of each window do not go together."""

from __future__ import annotations

import pytest
import torch
from opacus.validators import ModuleValidator
from torch import Tensor, nn
from torch.optim import SGD

from dp.clipping import UnsupportedLayer
from dp.mechanisms.randomness import Generator
from dp.mechanisms.window_sampling import WindowSampling
from dp.private import training as private
from dp.private.training import check_model
from models.nets.ghost_norm import GhostBatchNorm

GHOST = 4


def model(affine: bool = True) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 5), GhostBatchNorm(5, GHOST, affine=affine), nn.Linear(5, 1))


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_ghosts_are_refused_with_the_reason(affine: bool, training: bool) -> None:
    """Also where they have nothing to learn, and in evaluation mode: the next epoch trains again."""
    with pytest.raises(UnsupportedLayer) as refused:
        check_model(model(affine).train(training))
    message = str(refused.value)
    assert "'1' (GhostBatchNorm) cannot be trained privately" in message
    assert "it mixes the samples of a batch; use nn.LayerNorm" in message


def test_a_private_step_refuses_before_it_touches_a_weight() -> None:
    net = model()
    before = [parameter.detach().clone() for parameter in net.parameters()]
    steps = private._Steps(WindowSampling(8, 8, 1, 1, 1.0), 1.0, Generator(bytes(32)))

    def loss(net: nn.Module, batch: Tensor) -> Tensor:
        return net(batch).square().mean(dim=1)

    with pytest.raises(UnsupportedLayer, match="GhostBatchNorm"):
        steps.step(net, SGD(net.parameters(), lr=1.0), torch.randn(8, 3), loss)
    for parameter, old in zip(net.parameters(), before, strict=True):
        assert torch.equal(parameter, old)


def test_opacus_refuses_batch_normalisation_too() -> None:
    errors = ModuleValidator.validate(nn.Sequential(nn.BatchNorm1d(5)).train(), strict=False)
    assert errors
    assert "BatchNorm" in str(errors[0])


def test_one_window_changes_the_gradients_of_its_whole_ghost() -> None:
    """Why: with LayerNorm in its place one window changes its own gradient alone."""
    torch.manual_seed(0)
    inputs = torch.randn(3 * GHOST, 3)
    changed = inputs.clone()
    changed[0] += 5

    def gradients(net: nn.Module, batch: Tensor) -> Tensor:
        losses = net(batch).square().sum(dim=1)
        rows = [
            torch.autograd.grad(one, list(net.parameters()), retain_graph=True) for one in losses
        ]
        return torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])

    ghosts = model()
    layers = nn.Sequential(ghosts[0], nn.LayerNorm(5), ghosts[2])
    for net, moved in ((ghosts, GHOST), (layers, 1)):
        apart = (gradients(net, inputs) - gradients(net, changed)).norm(dim=1)
        assert (apart[:moved] > 1e-3).all()
        assert (apart[moved:] < 1e-6).all()
