from __future__ import annotations

import pytest
import torch
from torch import nn

from models import optimizers
from models.errors import ModelError


@pytest.mark.parametrize("name", optimizers.NAMES)
def test_each_is_the_torch_class_and_moves_the_weights(name: str) -> None:
    weight = nn.Parameter(torch.ones(3))
    optimizer = optimizers.build(name, [weight], lr=0.1, weight_decay=0.0)
    assert type(optimizer) is optimizers.NAMES[name]
    weight.square().sum().backward()
    optimizer.step()
    assert (weight < 1).all()


@pytest.mark.parametrize(
    ("name", "lr", "options", "message"),
    [
        ("adamm", 0.1, {}, r"optimizer='adamm' is unknown; did you mean 'adam'"),
        ("lbfgs", 0.1, {}, r"'lbfgs' is unknown \(known: adam, adamw, sgd\)"),
        ("sgd", 0.0, {}, r"learning_rate=0.0 must be above 0"),
        ("sgd", 0.1, {"betas": (0.9, 0.9)}, r"'sgd' takes no option 'betas'"),
        ("adam", 0.1, {"weight_decay": -1.0}, r"'adam': Invalid weight_decay"),
    ],
)
def test_refusals_name_the_field_and_the_value(name, lr, options, message) -> None:
    with pytest.raises(ModelError, match=message):
        optimizers.build(name, [nn.Parameter(torch.ones(1))], lr, **options)
