"""The private step, and the proof that it was private: each sabotage turns a named test red."""

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam

from dp.clipping import Clipped, Clipper, UnsupportedLayer, clipped_gradients, gradients
from dp.mechanisms.randomness import Generator, Randomness
from dp.mechanisms.seed import Seed
from dp.mechanisms.window_sampling import WindowSampling
from dp.permit import Permit
from dp.private import training as private
from dp.private.noise_proof import CRYPTOGRAPHIC, Proof, prove, reread
from dp.private.training import PrivateTraining, check_model, twins_differ


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


@pytest.fixture
def data() -> Pairs:
    torch.manual_seed(3)
    return Pairs(torch.randn(60, 5, 3), torch.randn(60, 2))


@pytest.fixture
def model() -> Net:
    torch.manual_seed(4)
    return Net()


def sampling(noise: float, *, batch: int = 20, steps: int = 90) -> WindowSampling:
    return WindowSampling(60, batch, steps, 3, noise)


def steps(
    sampling: WindowSampling, clip: float, randomness: Randomness | None = None
) -> private._Steps:
    """What `PrivateTraining` does once it has its permit; the data of these tests is made up."""
    return private._Steps(sampling, clip, randomness or Generator())


def trained(model: Net, data: Pairs, training: private._Steps, lr: float = 1e-3) -> None:
    optimizer = SGD(model.parameters(), lr=lr)
    for rows in training.batches():
        training.step(model, optimizer, data.take(rows), loss)


def proof_of(model: Net, training: private._Steps, data: Pairs) -> Proof:
    twins = twins_differ(model, training.clip, data, loss)
    tensors = sum(1 for _ in model.parameters())
    return prove(training.sampling, training.draws, parameters=tensors, twins_differ=twins)


def flat(model: Net) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


# What a private step does


def test_without_noise_and_clipping_it_is_plain_training(model: Net, data: Pairs) -> None:
    plain, training = copy.deepcopy(model), steps(sampling(0.0, batch=60, steps=25), 1e9)
    optimizer = Adam(plain.parameters(), lr=1e-2)
    private_optimizer = Adam(model.parameters(), lr=1e-2)
    for rows in training.batches():
        training.step(model, private_optimizer, data.take(rows), loss)
        optimizer.zero_grad()
        loss(plain, data).mean().backward()
        optimizer.step()
        torch.testing.assert_close(flat(model), flat(plain), rtol=1e-4, atol=1e-5)
    assert not torch.equal(flat(model), flat(Net()))


@pytest.mark.slow
def test_every_coordinate_gets_noise_of_the_deviation_accounted_for(model: Net) -> None:
    """Windows without any gradient, so that all that moves the weights is noise."""
    noise, clip, batch, rounds = 3.0, 0.5, 20, 1_500
    still = Pairs(torch.zeros(20, 5, 3), torch.zeros(20, 2))
    training = steps(sampling(noise, batch=batch), clip)
    optimizer = SGD(model.parameters(), lr=1.0)
    moved, squared = torch.zeros_like(flat(model)), torch.zeros_like(flat(model))
    for _ in range(rounds):
        before = flat(model)
        training.step(model, optimizer, still, lambda m, b: 0.0 * loss(m, b))
        step = (flat(model) - before).double() * batch
        moved += step
        squared += step.square()
    std = (squared / rounds - (moved / rounds).square()).sqrt()
    assert float(std.square().mean().sqrt()) == pytest.approx(noise * clip, rel=0.01)
    # each coordinate by itself, as far as its own sample of rounds allows
    assert float((std / (noise * clip) - 1).abs().max()) < 6 / math.sqrt(2 * rounds)
    assert float((moved / rounds).abs().max()) < 6 * noise * clip / math.sqrt(rounds)


def test_the_expected_batch_divides_and_never_the_drawn_one(model: Net, data: Pairs) -> None:
    start = flat(model)
    for size in (5, 40):
        twin = copy.deepcopy(model)
        training = steps(sampling(0.0), 1e9)
        training.step(twin, SGD(twin.parameters(), lr=1.0), data.take(torch.arange(size)), loss)
        one = copy.deepcopy(model)
        loss(one, data.take(torch.arange(size))).sum().backward()
        gradient = torch.cat([p.grad.flatten() for p in one.parameters() if p.grad is not None])
        torch.testing.assert_close(flat(twin) - start, -gradient / 20, rtol=1e-3, atol=1e-5)


def test_clipping_bounds_what_one_window_can_do(model: Net, data: Pairs) -> None:
    huge = Pairs(data.x[:1] * 100, data.y[:1] + 1e6)
    start, training = flat(model), steps(sampling(0.0, batch=1), 0.3)
    training.step(model, SGD(model.parameters(), lr=1.0), huge, loss)
    assert float((flat(model) - start).norm()) == pytest.approx(0.3, rel=1e-4)


def test_an_empty_batch_is_noise_alone(model: Net, data: Pairs) -> None:
    start, training = flat(model), steps(sampling(2.0), 1.0)
    nothing = data.take(torch.arange(0))
    training.step(model, SGD(model.parameters(), lr=1.0), nothing, loss)
    assert float((flat(model) - start).std()) == pytest.approx(2.0 / 20, rel=0.2)


def test_two_runs_never_get_the_same_noise(model: Net, data: Pairs) -> None:
    twin = copy.deepcopy(model)
    torch.manual_seed(0)
    trained(model, data, steps(sampling(1.0, steps=3), 1.0))
    torch.manual_seed(0)
    trained(twin, data, steps(sampling(1.0, steps=3), 1.0))
    assert not torch.equal(flat(model), flat(twin))


def test_weights_load_into_a_stock_model(model: Net, data: Pairs) -> None:
    trained(model, data, steps(sampling(1.0, steps=3), 1.0))
    stock = Net()
    stock.load_state_dict(model.state_dict())
    torch.testing.assert_close(stock(data.x), model(data.x), rtol=0, atol=0)


def test_what_cannot_be_trained_privately_is_refused(model: Net, data: Pairs) -> None:
    with pytest.raises(UnsupportedLayer, match="InstanceNorm1d"):
        check_model(nn.Sequential(nn.Linear(3, 3), nn.InstanceNorm1d(3, affine=True)))
    with pytest.raises(UnsupportedLayer, match="'1'"):  # Opacus has its say
        check_model(nn.Sequential(nn.Linear(3, 3), nn.InstanceNorm1d(3, track_running_stats=True)))
    with pytest.raises(ValueError, match="clip=0"):
        steps(sampling(1.0), 0)
    training = steps(sampling(1.0), 1.0)
    training.step(model, SGD(model.parameters(), lr=1.0), data, loss)
    with pytest.raises(ValueError, match="the model and the optimizer of the first step"):
        training.step(model, SGD(model.parameters(), lr=1.0), data, loss)


def test_each_charge_trains_once_with_what_it_paid_for(
    permit: Callable[[dict[str, Any]], Permit],
) -> None:
    asked = sampling(5.0, steps=3)
    paid = permit(asked.event())
    with pytest.raises(RuntimeError, match="noise_multiplier differ"):
        PrivateTraining(sampling(4.0, steps=3), 1.0, paid)
    PrivateTraining(asked, 1.0, paid)
    with pytest.raises(RuntimeError, match="has paid for one training, which was drawn"):
        PrivateTraining(asked, 1.0, paid)
    assert issubclass(PrivateTraining, private._Steps)


def test_a_training_draws_from_its_seed_or_from_a_key_of_its_own(
    permit: Callable[[dict[str, Any]], Permit],
) -> None:
    asked, seed = sampling(5.0, steps=3), Seed()
    batches = []
    for given in (seed, seed, Seed(), None, None):
        training = PrivateTraining(asked, 1.0, permit(asked.event()), seed=given)
        assert type(training._randomness) is Generator
        batches.append([rows.tolist() for rows in training.batches()])
    assert batches[0] == batches[1] == [rows.tolist() for rows in asked.draw(Generator(seed.value))]
    assert all(one not in batches[:place] for place, one in enumerate(batches) if place > 1)


def test_noise_is_added_before_it_is_rounded(model: Net, data: Pairs) -> None:
    """Once, and in double precision: what was added cannot be read off low bits."""
    asked, key = sampling(1.0, steps=1), bytes(32)
    twin, noise = copy.deepcopy(model), Generator(key)
    training = steps(asked, 1.0, Generator(key))
    clipped_gradients(twin, lambda: loss(twin, data), 1.0)
    training.step(model, SGD(model.parameters(), lr=0.0), data, loss)
    for mine, clipped in zip(model.parameters(), twin.parameters(), strict=True):
        assert clipped.grad is not None
        wanted = (clipped.grad.double() + noise.normal(clipped, 1.0)).float() / asked.batch
        assert mine.grad is not None
        assert torch.equal(mine.grad, wanted)


# The proof of noise, and what breaks it


def test_an_honest_run_proves_its_noise(model: Net, data: Pairs) -> None:
    training = steps(sampling(5.0), 1.0)
    trained(model, data, training)
    proof = proof_of(model, training, data)
    assert proof.holds, proof.checks
    assert len(proof.checks) == 6


class Torch:
    """The generator of earlier versions, with 32 bits of state."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(3)

    def uniform(self, size: int) -> Tensor:
        return torch.rand(size, generator=self.generator, dtype=torch.float64)

    def normal(self, like: Tensor, std: float) -> Tensor:
        return torch.empty(like.shape).normal_(0.0, std, generator=self.generator).double()


def test_noise_of_another_generator_is_found_out(model: Net, data: Pairs) -> None:
    training = steps(sampling(5.0), 1.0, Torch())
    trained(model, data, training)
    proof = proof_of(model, training, data)
    assert failed(proof) == {CRYPTOGRAPHIC}
    # and a proof that was kept before there was such a check
    kept = {name: held for name, held in proof.checks.items() if name != CRYPTOGRAPHIC}
    assert Proof(kept).holds
    assert not reread(Proof(kept).to_dict())["holds"]
    assert reread({**proof.to_dict(), "checks": {**kept, CRYPTOGRAPHIC: True}})["holds"]


def failed(proof: Proof) -> set[str]:
    assert not proof.holds
    return {name for name, held in proof.checks.items() if not held}


STRENGTH = "the noise has the strength accounted for"
TWINS = "twin runs that differ in noise alone end in different weights"
BATCHES = "batches vary as under the sampling accounted for"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("share", "broken"), [(0.0, {STRENGTH, TWINS}), (0.5, {STRENGTH}), (0.97, {STRENGTH})]
)
def test_noise_removed_or_weakened_is_found_out(
    model: Net, data: Pairs, monkeypatch: pytest.MonkeyPatch, share: float, broken: set[str]
) -> None:
    honest = Generator.normal
    monkeypatch.setattr(
        Generator, "normal", lambda self, like, std: share * honest(self, like, std)
    )
    training = steps(sampling(5.0, steps=300), 1.0)
    trained(model, data, training)
    assert failed(proof_of(model, training, data)) == broken


def test_noise_asked_for_at_half_the_strength_is_found_out(
    model: Net, data: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The optimizer is told less than the account says: the proof does not take its word."""
    honest = private._NoisedOptimizer.__init__

    def weak(self: Any, optimizer: Any, **options: Any) -> None:
        honest(self, optimizer, **{**options, "noise_multiplier": options["noise_multiplier"] / 2})

    monkeypatch.setattr(private._NoisedOptimizer, "__init__", weak)
    training = steps(sampling(5.0), 1.0)
    trained(model, data, training)
    assert failed(proof_of(model, training, data)) == {STRENGTH}


def test_noise_that_is_counted_and_not_added_is_found_out(
    model: Net, data: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(self: Any) -> None:
        for parameter in self.params:
            parameter.grad = parameter.summed_grad

    monkeypatch.setattr(private._NoisedOptimizer, "add_noise", without)
    training = steps(sampling(5.0), 1.0)
    trained(model, data, training)
    assert {"every update was noised", STRENGTH, TWINS} == failed(proof_of(model, training, data))


def test_a_run_accounted_without_noise_has_no_proof(model: Net, data: Pairs) -> None:
    training = steps(sampling(0.0), 1.0)
    trained(model, data, training)
    assert STRENGTH in failed(proof_of(model, training, data))


def test_shuffling_in_place_of_poisson_sampling_is_found_out(
    model: Net, data: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shuffled(self: WindowSampling, _: object) -> Iterator[Tensor]:
        for _ in range(self.steps // 3):
            yield from torch.randperm(self.windows).split(self.batch)

    monkeypatch.setattr(WindowSampling, "draw", shuffled)
    training = steps(sampling(5.0), 1.0)
    trained(model, data, training)
    assert failed(proof_of(model, training, data)) == {BATCHES}


def test_batches_other_than_those_drawn_are_found_out(model: Net, data: Pairs) -> None:
    training = steps(sampling(5.0), 1.0)
    optimizer = SGD(model.parameters(), lr=1e-3)
    for _ in training.batches():
        training.step(model, optimizer, data, loss)
    assert failed(proof_of(model, training, data)) == {"every batch drawn was used once"}


def test_a_run_that_stopped_early_or_went_on_is_found_out(model: Net, data: Pairs) -> None:
    training = steps(sampling(5.0), 1.0)
    optimizer = SGD(model.parameters(), lr=1e-3)
    for step, rows in enumerate(training.batches()):
        if step < 80:
            training.step(model, optimizer, data.take(rows), loss)
    assert {"every update was noised", "every batch drawn was used once"} <= failed(
        proof_of(model, training, data)
    )


def test_clipping_removed_is_found_out(
    model: Net, data: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test of what one window can do goes red."""
    monkeypatch.setattr(gradients, "_factors", lambda norms, clips: torch.ones_like(norms))
    with pytest.raises(AssertionError):
        test_clipping_bounds_what_one_window_can_do(model, data)


@pytest.mark.parametrize("clip", [None, 2.0])
def test_gradients_clipped_to_another_norm_are_refused(
    model: Net, data: Pairs, clip: float | None
) -> None:
    training = steps(sampling(5.0), 1.0)
    optimizer = SGD(model.parameters(), lr=1e-3)
    plain = Clipped(loss(model, data).detach(), None, None)
    found = plain if clip is None else Clipper(model, clip)(lambda: loss(model, data))
    with pytest.raises(ValueError, match=f"clipped to 1.0, got {clip}"):
        training.apply(model, optimizer, found)
    assert not training.draws.noised
