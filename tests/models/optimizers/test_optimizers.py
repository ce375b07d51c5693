"""The registry: what may train what, and what is said where it may not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models import optimizers
from models.errors import ModelError
from models.optimizers import Public
from models.registry import HEADS, NAMES


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(2, 3, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rnn(x)[1].square().sum()


@pytest.mark.parametrize(
    "name", [*optimizers.FIRST_ORDER, *optimizers.NOISE_AWARE, optimizers.TRACT]
)
def test_each_moves_the_weights_downhill(name: str) -> None:
    torch.manual_seed(0)
    model, x = Tiny(), torch.randn(8, 4, 2)
    public = Public(noise_variance=1e-12) if name in optimizers.NOISE_AWARE else None
    optimizer = optimizers.build(name, model, lr=0.01, public=public)
    before = float(model(x).detach())
    for _ in range(5):
        optimizer.zero_grad()
        model(x).backward()
        optimizer.step()
    assert float(model(x).detach()) < before


def test_plain_names_are_torchs() -> None:
    model = Tiny()
    for name, kind in (
        ("adam", torch.optim.Adam),
        ("adamw", torch.optim.AdamW),
        ("sgd", torch.optim.SGD),
    ):
        assert type(optimizers.build(name, model, lr=0.1)) is kind


def test_the_noise_is_handed_on() -> None:
    built = optimizers.build("dp-adam", Tiny(), lr=0.1, public=Public(noise_variance=0.25))
    assert built.param_groups[0]["noise_variance"] == 0.25
    with pytest.raises(ModelError, match="needs the noise variance"):
        optimizers.build("dp-adam", Tiny(), lr=0.1)


def test_tract_never_reads_a_private_batch() -> None:
    with pytest.raises(ModelError, match="would read the batch"):
        optimizers.build("tract", Tiny(), lr=0.1, public=Public(noise_variance=0.25))
    public = Public(noise_variance=0.25, second_moment=torch.eye(2))
    optimizers.build("tract", Tiny(), lr=0.1, public=public)


@pytest.mark.parametrize("name", optimizers.FIRST_ORDER)
def test_weight_decay_has_an_effect(name: str) -> None:
    ends = []
    for decay in (0.0, 0.5):
        torch.manual_seed(0)
        model = Tiny()
        optimizer = optimizers.build(name, model, lr=0.05, weight_decay=decay)
        model(torch.ones(2, 3, 2)).backward()
        optimizer.step()
        ends.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert not torch.equal(*ends)


@pytest.mark.parametrize(
    ("name", "lr", "decay", "message"),
    [
        ("adamm", 0.1, 0.0, r"optimizer='adamm' is unknown; did you mean 'adam"),
        ("newton", 0.1, 0.0, r"'newton' is unknown \(known: adam, adamw, sgd, diffgrad"),
        ("sgd", 0.0, 0.0, r"learning_rate=0.0 must be above 0"),
        ("adabelief", 0.1, -1.0, r"'adabelief': expected weight_decay=-1.0"),
        ("gns", 0.1, 0.0, "is a solver of heads"),
    ],
)
def test_refusals_name_the_field_and_the_value(
    name: str, lr: float, decay: float, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        optimizers.build(name, Tiny(), lr, weight_decay=decay)


def test_every_model_says_what_may_train_it() -> None:
    for model in NAMES:
        for private in (False, True):
            for name in optimizers.allowed(model, private=private):
                optimizers.suit(name, model, private=private)
    assert optimizers.allowed("gru", private=True) == (
        *optimizers.FIRST_ORDER,
        *optimizers.NOISE_AWARE,
        "tract",
    )
    assert optimizers.allowed("ridge") == ()
    assert optimizers.allowed("blend", members=("trees",)) == ()
    assert "adam" in optimizers.allowed("blend", members=("trees", "gru"))


@pytest.mark.parametrize(
    ("name", "model", "private", "said"),
    [
        ("dp-adam", "gru", False, "there is none; choose one of adam"),
        ("gns", "gru", True, "would have to be charged"),
        ("prox_cg", "poisson", False, "solves the heads of sparse; choose one of gns"),
        ("adam", "sparse", False, "is for networks, sparse is solved by prox_cg or accelerated"),
    ],
)
def test_what_does_not_suit_is_told_with_the_reason(
    name: str, model: str, private: bool, said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        optimizers.suit(name, model, private=private)


def test_solvers_are_those_of_the_heads() -> None:
    assert set(optimizers.SOLVERS) == {name for names in HEADS.values() for name in names}
