"""Every first-order optimizer through the private step: without noise and clipping, plain training."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from dp.mechanisms.randomness import Generator
from dp.mechanisms.window_sampling import WindowSampling
from dp.private import training as private
from models.optimizers.adabelief import AdaBelief
from models.optimizers.adamp import AdamP
from models.optimizers.diffgrad import DiffGrad
from models.optimizers.private import DpAdaBelief, DpAdam, DpAdamP, DpDiffGrad, DpSgdp
from models.optimizers.sgdp import SGDP

LR = 1e-2

Make = Callable[[nn.Module], Optimizer]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(3, 8, batch_first=True, bidirectional=True)
        self.head = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        _, hidden = self.rnn(x)
        return self.head(torch.cat([hidden[0], hidden[1]], dim=1))


class Pairs:
    """Inputs and targets that can be cut into batches."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Tensor) -> "Pairs":
        return Pairs(self.x[rows], self.y[rows])


def loss(model: Net, batch: Pairs) -> Tensor:
    return (model(batch.x) - batch.y).square().mean(dim=1)


def flat(model: Net) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def rows(model: nn.Module) -> list[nn.Parameter]:
    return [param for param in model.parameters() if param.dim() > 1]


PLAIN: dict[str, Make] = {
    "diffgrad": lambda model: DiffGrad(model.parameters(), lr=LR, weight_decay=0.1),
    "adabelief": lambda model: AdaBelief(model.parameters(), lr=LR, weight_decay=0.1),
    "adamp": lambda model: AdamP(model.parameters(), lr=LR, weight_decay=0.1),
    "sgdp": lambda model: SGDP(model.parameters(), lr=LR, weight_decay=0.1),
}
"""Each is its own peer: the private step changes nothing."""

PAIRS: dict[str, tuple[Make, Make]] = {
    **{name: (make, make) for name, make in PLAIN.items()},
    "dp-adam": (
        lambda model: DpAdam(model.parameters(), lr=LR, noise_variance=0.0),
        lambda model: Adam(model.parameters(), lr=LR),
    ),
    "dp-adabelief": (
        lambda model: DpAdaBelief(model.parameters(), lr=LR, noise_variance=0.0),
        lambda model: AdaBelief(model.parameters(), lr=LR),
    ),
    "dp-diffgrad": (
        lambda model: DpDiffGrad(model.parameters(), lr=LR, noise_variance=0.0),
        lambda model: DiffGrad(model.parameters(), lr=LR),
    ),
    "dp-adamp": (  # AdamP, told what it would otherwise look for
        lambda model: DpAdamP(
            model.parameters(), lr=LR, noise_variance=0.0, scale_invariant=rows(model)
        ),
        lambda model: AdamP(model.parameters(), lr=LR, delta=1e9),
    ),
    "dp-sgdp": (
        lambda model: DpSgdp(model.parameters(), lr=LR, noise_variance=0.0),
        lambda model: SGDP(model.parameters(), lr=LR, delta=0.0),
    ),
}


@pytest.fixture
def data() -> Pairs:
    torch.manual_seed(3)
    return Pairs(torch.randn(60, 5, 3).double(), torch.randn(60, 2).double())


@pytest.fixture
def model() -> Net:
    torch.manual_seed(4)
    return Net().double()


@pytest.mark.parametrize("name", PAIRS)
def test_without_noise_and_clipping_it_is_plain_training(
    name: str, model: Net, data: Pairs
) -> None:
    through, plainly = PAIRS[name]
    plain = copy.deepcopy(model)
    start = flat(model)
    training = private._Steps(WindowSampling(60, 60, 40, 3, 0.0), 1e9, Generator())
    optimizer, peer = through(model), plainly(plain)
    for batch in training.batches():
        assert len(batch) == 60
        training.step(model, optimizer, data.take(batch), loss)
        peer.zero_grad()
        loss(plain, data).mean().backward()
        peer.step()
    torch.testing.assert_close(flat(model), flat(plain), rtol=1e-7, atol=1e-9)
    assert float((flat(model) - start).abs().max()) > 1e-2


FORMS = {
    "dp-adam": DpAdam,
    "dp-adabelief": DpAdaBelief,
    "dp-diffgrad": DpDiffGrad,
    "dp-adamp": DpAdamP,
    "dp-sgdp": DpSgdp,
}


@pytest.mark.parametrize("name", FORMS)
def test_with_noise_the_weights_depend_on_the_noised_gradients_alone(
    name: str, model: Net, data: Pairs
) -> None:
    """The optimizer replays the training from what was released: it is post-processing."""
    sampling = WindowSampling(60, 20, 15, 3, 2.0)
    phi = (2.0 * 0.5 / 20) ** 2
    replay = copy.deepcopy(model)
    optimizer = FORMS[name](model.parameters(), lr=LR, noise_variance=phi)
    again = FORMS[name](replay.parameters(), lr=LR, noise_variance=phi)
    training = private._Steps(sampling, 0.5, Generator(bytes(32)))
    for batch in training.batches():
        training.step(model, optimizer, data.take(batch), loss)
        for param, twin in zip(model.parameters(), replay.parameters(), strict=True):
            assert param.grad is not None
            twin.grad = param.grad.clone()
        again.step()
    assert torch.equal(flat(model), flat(replay))
