"""TrAct against the least-squares problem that defines it, and as an optimizer among others."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from data.windows import Windows
from dp.mechanisms.randomness import Generator
from dp.mechanisms.window_sampling import WindowSampling
from dp.private import training as private
from models.batch import to_device
from models.config import ForecasterConfig
from models.forecaster import fit_scaler
from models.forecasters import new
from models.optimizers.tract import FIRST, TrAct, precondition

RATE = 0.05


class Net(nn.Module):
    def __init__(self, kind: str = "GRU", inputs: int = 3) -> None:
        super().__init__()
        self.rnn = getattr(nn, kind)(inputs, 4, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


def fresh(kind: str = "GRU", inputs: int = 3, seed: int = 0) -> Net:
    torch.manual_seed(seed)
    return Net(kind, inputs).double()


def batch(rows: int = 5, length: int = 4, inputs: int = 3, seed: int = 1) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    make: dict[str, Any] = {"generator": draw, "dtype": torch.float64}
    return 1 + torch.randn(rows, length, inputs, **make), torch.randn(rows, 2, **make)


def backward(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    loss = (model(x) - y).square().mean()
    loss.backward()
    return loss


def by_definition(inputs: np.ndarray, slopes: np.ndarray, rate: float, ridge: float) -> np.ndarray:
    """ΔW of least ‖−ηb∇z − X·ΔWᵀ‖² + λb‖ΔW‖²: least squares with √(λb)·I below X."""
    rows, width = inputs.shape
    left = np.vstack([inputs, np.sqrt(ridge * rows) * np.eye(width)])
    right = np.vstack([-rate * rows * slopes, np.zeros((width, slopes.shape[1]))])
    return np.linalg.lstsq(left, right, rcond=None)[0].T


@settings(deadline=None)
@given(
    rows=st.integers(1, 12),
    width=st.integers(1, 12),
    ridge=st.floats(1e-2, 10),
    seed=st.integers(0, 999),
)
def test_the_preconditioned_gradient_is_the_least_squares_step(
    rows: int, width: int, ridge: float, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    inputs, slopes = draw.normal(size=(rows, width)), draw.normal(size=(rows, 6))
    grad = torch.from_numpy(slopes.T @ inputs)
    got = precondition(grad, torch.from_numpy(inputs), ridge)
    want = by_definition(inputs, slopes, RATE, ridge)
    np.testing.assert_allclose(-RATE * got.numpy(), want, atol=1e-10, rtol=1e-9)
    inverse = np.linalg.inv(inputs.T @ inputs / rows + ridge * np.eye(width))  # whatever the shape
    np.testing.assert_allclose(got.numpy(), grad.numpy() @ inverse, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("rows", [3, 50])
def test_a_large_ridge_gives_the_gradient_back(rows: int) -> None:
    torch.manual_seed(2)
    grad, inputs = torch.randn(4, 8).double(), torch.randn(rows, 8).double()
    torch.testing.assert_close(1e9 * precondition(grad, inputs, 1e9), grad, atol=1e-7, rtol=1e-7)
    assert not torch.allclose(0.1 * precondition(grad, inputs, 0.1), grad, atol=0.1)


def gates_of(kind: str, z: Tensor, h: Tensor, cell: Tensor, net: Any) -> tuple:
    """One step of torch's equations from input pre-activations z, forward direction of layer 0."""
    old = h @ net.weight_hh_l0.T + net.bias_hh_l0
    if kind == "GRU":
        (zr, zu, zn), (r, u, n) = z.chunk(3, 1), old.chunk(3, 1)
        reset, update = torch.sigmoid(zr + r), torch.sigmoid(zu + u)
        return update * h + (1 - update) * torch.tanh(zn + reset * n), cell
    into, forget, new, out = (z + old).chunk(4, 1)
    cell = torch.sigmoid(forget) * cell + torch.sigmoid(into) * torch.tanh(new)
    return torch.sigmoid(out) * torch.tanh(cell), cell


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
@pytest.mark.parametrize("shape", [(6, 4, 3), (2, 2, 7)])  # more rows than inputs, and fewer
def test_recurrent_pre_activations_take_the_step_of_least_squares(
    kind: str, shape: tuple[Any, ...]
) -> None:
    rows, length, width = shape
    torch.manual_seed(3)
    net = getattr(nn, kind)(width, 4, batch_first=True).double()
    x, y = batch(rows, length, width)
    weight = net.weight_ih_l0.detach().clone()
    optimizer = TrAct(net, SGD(net.parameters(), lr=RATE), ridge=0.2)
    (net(x)[0][:, -1, :2] - y).square().mean().backward()
    # the same loss with the pre-activations as leaves
    z = (x @ weight.T + net.bias_ih_l0).detach().requires_grad_()
    h = cell = torch.zeros(rows, 4, dtype=torch.float64)
    for step in range(length):
        h, cell = gates_of(kind, z[:, step], h, cell, net)
    (h[:, :2] - y).square().mean().backward()
    optimizer.step()
    want = by_definition(x.flatten(0, 1).numpy(), z.grad.flatten(0, 1).numpy(), RATE, 0.2)
    np.testing.assert_allclose((net.weight_ih_l0 - weight).detach().numpy(), want, atol=1e-13)


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_nothing_but_the_input_weights_of_the_first_layer_is_touched(kind: str) -> None:
    plain, ours = fresh(kind), fresh(kind)
    x, y = batch()
    base = SGD(plain.parameters(), lr=RATE)
    optimizer = TrAct(ours, SGD(ours.parameters(), lr=RATE))
    for model in (plain, ours):
        backward(model, x, y)
    base.step()
    optimizer.step()
    grads: dict[str, Any] = {name: parameter.grad for name, parameter in ours.named_parameters()}
    flat = x.flatten(0, 1)
    inverse = torch.linalg.inv(flat.T @ flat / len(flat) + 0.1 * torch.eye(3).double())
    start = fresh(kind).state_dict()
    for name, parameter in plain.named_parameters():
        got = ours.get_parameter(name)
        assert parameter.grad is not None
        assert torch.equal(grads[name], parameter.grad)  # put back after the step
        if name.removeprefix("rnn.") in FIRST:
            want = start[name] - RATE * parameter.grad @ inverse
            torch.testing.assert_close(got, want, atol=1e-14, rtol=1e-12)
            assert not torch.allclose(got, parameter)
        else:
            assert torch.equal(got, parameter)


def test_a_fixed_second_moment_is_that_of_the_batch_and_needs_no_hook() -> None:
    one, other = fresh(), fresh()
    x, y = batch()
    flat = x.flatten(0, 1)
    moment = flat.T @ flat / len(flat)
    reads = TrAct(one, Adam(one.parameters(), lr=RATE), ridge=0.3)
    fixed = TrAct(other, Adam(other.parameters(), lr=RATE), ridge=0.3, second_moment=moment)
    assert len(one.rnn._forward_pre_hooks) == 1
    assert not other.rnn._forward_pre_hooks
    for model, optimizer in ((one, reads), (other, fixed)):
        for _ in range(3):
            optimizer.zero_grad()
            backward(model, x, y)
            optimizer.step()
    for got, want in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(got, want, atol=1e-9, rtol=1e-9)


def test_accumulated_gradients_meet_all_their_inputs() -> None:
    whole, parts = fresh(), fresh()
    x, y = batch(6)
    optimizer = TrAct(whole, SGD(whole.parameters(), lr=RATE))
    backward(whole, x, y)
    optimizer.step()
    optimizer = TrAct(parts, SGD(parts.parameters(), lr=RATE))
    for rows in (slice(0, 3), slice(3, 6)):
        ((parts(x[rows]) - y[rows]).square().mean() / 2).backward()
    parts.eval()
    parts(100 * x)  # evaluation is not training
    parts.train()
    with torch.no_grad():
        parts(100 * x)
    optimizer.step()
    for got, want in zip(parts.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(got, want, atol=1e-14, rtol=1e-12)


def trained(model: Net, optimizer: Optimizer, steps: range) -> None:
    for step in steps:
        optimizer.zero_grad()
        backward(model, *batch(seed=step))
        optimizer.step()


def test_a_saved_state_goes_on_bit_for_bit_and_is_that_of_the_base() -> None:
    model = fresh()
    optimizer = TrAct(model, Adam(model.parameters(), lr=RATE))
    trained(model, optimizer, range(3))
    weights, state = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
    trained(model, optimizer, range(3, 6))
    again = fresh(seed=9)
    other = TrAct(again, Adam(again.parameters(), lr=9.0))
    again.load_state_dict(weights)
    other.load_state_dict(state)
    assert other.param_groups[0]["lr"] == RATE
    trained(again, other, range(3, 6))
    for got, want in zip(again.parameters(), model.parameters(), strict=True):
        assert torch.equal(got, want)
    bare = Adam(fresh().parameters())
    bare.load_state_dict(state)  # nothing in it that Adam would not know
    assert state.keys() == bare.state_dict().keys()


def test_schedules_closures_and_groups_reach_the_base() -> None:
    model = fresh()
    base = SGD(model.rnn.parameters(), lr=1.0)
    optimizer = TrAct(model, base)
    optimizer.add_param_group({"params": list(model.head.parameters()), "lr": 0.5})
    schedule = LambdaLR(optimizer, lambda done: 0.1**done)
    twin = fresh()
    plain = TrAct(twin, SGD(twin.rnn.parameters(), lr=1.0))
    plain.add_param_group({"params": list(twin.head.parameters()), "lr": 0.5})
    x, y = batch()
    backward(twin, x, y)
    plain.step()

    def closure() -> float:
        optimizer.zero_grad()
        return float(backward(model, x, y).detach())

    with torch.no_grad():
        assert optimizer.step(closure) == pytest.approx(float((fresh()(x) - y).square().mean()))
    schedule.step()
    assert [group["lr"] for group in base.param_groups] == pytest.approx([0.1, 0.05])
    for got, want in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(got, want)
    assert not torch.equal(model.head.weight, fresh().head.weight)


def test_copies_of_the_model_keep_nothing_and_hooks_end_with_the_optimizer() -> None:
    model = fresh()
    optimizer = TrAct(model, SGD(model.parameters(), lr=RATE))
    inputs = next(iter(model.rnn._forward_pre_hooks.values()))
    twin = copy.deepcopy(model)
    x, y = batch()
    backward(twin, x, y)
    assert inputs.take() == []  # the copy's inputs are not the model's
    kept = [vars(hook) for hook in twin.rnn._forward_pre_hooks.values() if hasattr(hook, "take")]
    assert kept == []
    torch.testing.assert_close(pickle.loads(pickle.dumps(twin))(x), twin(x))
    backward(model, x, y)
    optimizer.step()
    assert inputs.take() == []  # nothing outlives the step
    del optimizer
    gc.collect()
    assert not model.rnn._forward_pre_hooks


def test_the_forecasters_network_learns(
    toy_windows: Callable[..., Windows], config_of: Callable[..., ForecasterConfig]
) -> None:
    windows = toy_windows()
    data = to_device(windows, torch.device("cpu"))
    losses = {}
    for name in ("bilstm", "gru"):
        model = new(config_of(windows, name), seed=0)
        fit_scaler(model, windows)
        optimizer = TrAct(model, Adam(model.parameters(), lr=0.01))
        found = []
        for _ in range(30):
            optimizer.zero_grad()
            loss = ((model(data) - data.target) / model.step).square().mean()
            loss.backward()
            optimizer.step()
            found.append(float(loss.detach()))
        losses[name] = found
        assert found[-1] < 0.5 * found[0]
        assert found[-1] < 1  # which is persistence


def test_with_public_figures_the_private_step_is_the_plain_one() -> None:
    x, y = batch(20)
    moment = torch.diag(torch.tensor([2.0, 1.0, 0.5])).double()

    class Rows:
        def __len__(self) -> int:
            return len(x)

    def loss(model: Net, _: Rows) -> Tensor:
        return (model(x) - y).square().mean(dim=1)

    plain, private_ = fresh(), fresh()
    optimizer = TrAct(plain, Adam(plain.parameters(), lr=RATE), second_moment=moment)
    wrapped = TrAct(private_, Adam(private_.parameters(), lr=RATE), second_moment=moment)
    training = private._Steps(WindowSampling(20, 20, 5, 3, 0.0), 1e9, Generator(bytes(32)))
    for _ in range(5):
        optimizer.zero_grad()
        loss(plain, Rows()).mean().backward()
        optimizer.step()
        training.step(private_, wrapped, Rows(), loss)
    for got, want in zip(private_.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(got, want, atol=1e-9, rtol=1e-9)


def test_noise_on_a_preconditioned_column_is_as_large_as_said() -> None:
    moment, ridge = torch.diag(torch.tensor([4.0, 1.0, 0.01])).double(), 0.1
    model = fresh()
    optimizer = TrAct(model, SGD(model.parameters(), lr=1.0), ridge=ridge, second_moment=moment)
    before = model.rnn.weight_ih_l0.detach().clone()
    torch.manual_seed(0)
    moves = []
    for _ in range(2000):
        model.rnn.weight_ih_l0.grad = torch.randn_like(before)
        optimizer.step()
        moves.append(model.rnn.weight_ih_l0.detach() - before)
        before = model.rnn.weight_ih_l0.detach().clone()
    inverse = torch.linalg.inv(moment + ridge * torch.eye(3).double())
    got = torch.stack(moves).square().mean(dim=(0, 1))
    torch.testing.assert_close(got, (inverse @ inverse).diagonal(), rtol=0.05, atol=0)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("rows", [2, 40])
def test_half_precision_gradients_stay_in_half_precision(kind: torch.dtype, rows: int) -> None:
    torch.manual_seed(4)
    grad, inputs = torch.randn(5, 6), torch.randn(rows, 6)
    got = precondition(grad.to(kind), inputs.to(kind), 0.5)
    assert got.dtype == kind
    want = precondition(grad.to(kind).double(), inputs.to(kind).double(), 0.5)
    torch.testing.assert_close(got.double(), want, atol=0.02, rtol=0.02)


def test_a_gradient_that_is_not_a_number_stays_so_and_none_is_passed_over() -> None:
    model = fresh()
    optimizer = TrAct(model, SGD(model.parameters(), lr=RATE))
    before = model.rnn.weight_ih_l0_reverse.detach().clone()
    model(batch()[0])
    model.rnn.weight_ih_l0.grad = torch.full_like(model.rnn.weight_ih_l0, torch.nan)
    optimizer.step()
    assert model.rnn.weight_ih_l0.isnan().all()
    assert torch.equal(model.rnn.weight_ih_l0_reverse, before)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"ridge": 0.0}, "expected ridge=0.0 to be above 0"),
        ({"ridge": float("inf")}, "expected ridge=inf to be above 0 and finite"),
        ({"second_moment": torch.eye(4)}, r"expected second_moment \[3, 3\], got \[4, 4\]"),
        ({"second_moment": torch.ones(3)}, r"expected second_moment \[3, 3\], got \[3\]"),
        ({"second_moment": torch.eye(3) * torch.nan}, "finite and positive semidefinite"),
        ({"second_moment": torch.ones(3, 3).triu()}, "finite and positive semidefinite"),
        ({"second_moment": -torch.eye(3)}, "finite and positive semidefinite"),
    ],
)
def test_values_out_of_range_are_refused(setting: dict[str, Any], message: str) -> None:
    model = fresh()
    with pytest.raises(ValueError, match=message):
        TrAct(model, SGD(model.parameters(), lr=RATE), **setting)


def test_models_without_recurrence_and_steps_without_input_are_refused() -> None:
    linear = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="TrAct needs a GRU or LSTM"):
        TrAct(linear, SGD(linear.parameters(), lr=RATE))
    model = fresh()
    optimizer = TrAct(model, SGD(model.parameters(), lr=RATE))
    model.eval()
    backward(model, *batch())
    with pytest.raises(ValueError, match="TrAct saw no input"):
        optimizer.step()
