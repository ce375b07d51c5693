from __future__ import annotations

import pytest
import torch
from torch import nn

from models import nets
from models.errors import ModelError
from models.registry import NETWORKS


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("layers", [1, 2])
def test_weights_load_into_the_stock_module_and_give_the_same_hidden_state(
    name: str, layers: int
) -> None:
    torch.manual_seed(0)
    net = nets.build(name, inputs=5, hidden=7, layers=layers, dropout=0.0)
    family = nn.GRU if name.endswith("gru") else nn.LSTM
    stock = family(5, 7, num_layers=layers, batch_first=True, bidirectional=name.startswith("bi"))
    stock.load_state_dict(net.rnn.state_dict())
    sequence = torch.randn(3, 11, 5)
    output, state = stock(sequence)
    hidden = state[0] if isinstance(state, tuple) else state
    directions = 2 if name.startswith("bi") else 1
    got = net(sequence)
    assert got.shape == (3, 7 * directions) == (3, net.outputs)
    assert torch.equal(got[:, :7], hidden[-directions])
    assert torch.equal(got[:, :7], output[:, -1, :7])  # forward direction: after the newest
    if directions == 2:
        assert torch.equal(got[:, 7:], output[:, 0, 7:])  # backward direction: after the oldest


def test_dropout_without_a_second_layer_is_silent(recwarn: pytest.WarningsRecorder) -> None:
    nets.build("gru", inputs=5, hidden=7, layers=1, dropout=0.5)
    assert not recwarn.list


def test_unknown_name_lists_the_names() -> None:
    with pytest.raises(ModelError, match=r"'transformer'.*lstm, gru, bilstm, bigru"):
        nets.build("transformer", 5, 7, 1, 0.0)
