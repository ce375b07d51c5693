"""The paper's protocol: its windows, features, networks and training, without its selection."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from data.panel import Panel
from data.sources.identity import identities
from dp.accounting.gaussian import discrete_epsilon
from dp.budget import Budget
from dp.ledger import Charge, Ledger, fingerprint, local_secret
from dp.ledger.identity import release_key, sketch
from dp.mechanisms.count_noise import CountNoise
from dp.mechanisms.window_sampling import WindowSampling
from dp.permit import Permit
from dp.private.noise_proof import Proof, prove, reread
from dp.private.training import PrivateTraining, twins_differ
from dp.release.idempotent import release_once
from dp.release.panel import period_of, release_counts
from dp.unit.contribution import ContributionBound
from dp.unit.privacy_unit import IntervalUnit, PrivacyUnit
from flows.arcolezi.accounts import account
from flows.arcolezi.published import DELTA, LAGS, REGIONS, TEST, Setting, claimed_sigma
from flows.document import Document
from flows.settings import Home
from models import metrics
from models.device import pick_device, seeded
from models.nets import relu

Floats = NDArray[np.float64]
OnEpoch = Callable[[int], None]


def persistence(panel: Panel) -> Document:
    """Return errors of the latest value, the paper's baseline."""
    counts = observed(panel)
    return _errors(counts[-TEST - 1 : -1], counts)


def train(
    panel: Panel, counts: Floats, setting: Setting, *, epochs: int, seed: int, on_epoch: OnEpoch
) -> Document:
    """Train as the paper did, forecast the test week, and score it against raw counts.

    Args:
        panel: raw, for the score.
        counts: what the network reads and learns from, [T, R]: raw or noised.
        setting: network and training.
        epochs: passes over the training windows; the paper's are 100.
        seed: of weights and batches.
        on_epoch: called after every epoch.
    """
    device = pick_device("auto")
    inputs, targets = (part.to(device) for part in windows(panel, counts))
    with seeded(seed, torch.device("cpu")):
        model = relu.ReluNetwork(setting.network, inputs.shape[2], setting.hidden, len(REGIONS))
    model.to(device)
    relu.fit(
        model,
        inputs[:-TEST],
        targets[:-TEST],
        learning_rate=setting.learning_rate,
        batch_size=setting.batch_size,
        epochs=epochs,
        seed=seed,
        on_epoch=on_epoch,
    )
    with torch.no_grad():
        forecast = model(inputs[-TEST:])
    return _errors(forecast.cpu().double().numpy(), observed(panel))


def train_noised(
    panel: Panel, setting: Setting, home: Home, *, epochs: int, on_epoch: OnEpoch
) -> Document:
    """Train with the noise that the setting claims, under a charge; the same request draws once.

    The network is torch's, with tanh: gradients are clipped window by window in stock layers.
    """
    sampling = account(setting, epochs)
    secret, unit = local_secret(home.secret), IntervalUnit(1)
    name = fingerprint(secret, panel.counts)
    charge = Charge(
        key=release_key(secret, {"data": name, "arcolezi": asdict(setting), "epochs": epochs}),
        dataset=panel.source,
        fingerprint=name,
        period=period_of(panel.counts),
        unit=unit,
        epsilon=sampling.epsilon(DELTA),
        delta=DELTA,
        event={**sampling.event(), "panel": _facts(panel)},
        purpose="training",
        recipe={"reproduce": "arcolezi2022", **asdict(setting)},
        aliases=identities(panel.source),
        sketch=sketch(secret, panel.counts, panel.interval.to_pytimedelta()),
        timezone=panel.timezone,
    )

    def make(permit: Permit) -> bytes:
        forecast, proof = _private(panel, setting, sampling, permit, on_epoch)
        return json.dumps({"forecast": forecast.tolist(), "proof": proof.to_dict()}).encode()

    release = release_once(Ledger(home.database_url), charge, make)
    result = json.loads(release.content)
    proof = reread(result["proof"])
    return {
        **_errors(np.array(result["forecast"]), observed(panel)),
        # without proof of noise a training is charged and promises nothing
        "epsilon": charge.epsilon if proof["holds"] else None,
        "proof": proof,
        "entry": release.entry.id,
    }


def noised(panel: Panel, setting: Setting, home: Home) -> tuple[Floats, int]:
    """Return counts under the noise that the setting claims, charged for unit `user`."""
    assert setting.epsilon is not None  # noqa: S101  (of table 4)
    bound = ContributionBound(int(panel.observed.sum()), panel.regions_per_interval or 1)
    sigma = claimed_sigma(setting.epsilon)
    release = release_counts(
        panel.counts,
        CountNoise(bound, Budget(discrete_epsilon(sigma, bound, DELTA), DELTA), sigma),
        dataset=panel.source,
        unit=PrivacyUnit.USER,
        ledger=Ledger(home.database_url),
        secret=local_secret(home.secret),
        recipe={"reproduce": "arcolezi2022", **asdict(setting)},
        aliases=identities(panel.source),
        timezone=panel.timezone,
    )
    return release.counts.to_numpy(dtype=np.float64)[panel.observed], release.entry.id


def observed(panel: Panel) -> Floats:
    """Return counts of the observed intervals, joined as if no day were missing, [T, R]."""
    return panel.values[panel.observed]


def windows(panel: Panel, counts: Floats) -> tuple[Tensor, Tensor]:
    """Return windows of six intervals with the paper's time features, [N, L, R + 4], and targets."""
    series = np.concatenate([counts, time_features(panel.times[panel.observed])], axis=1)
    first = np.arange(LAGS, len(counts))
    past = series[first[:, None] - np.arange(LAGS, 0, -1)]
    return torch.from_numpy(past).float(), torch.from_numpy(counts[first]).float()


def time_features(times: pd.DatetimeIndex) -> Floats:
    """Return time of day and the notebook's "time of week", whose period is in fact 30 days."""
    seconds = times.to_numpy().astype("datetime64[s]").astype(np.int64)
    turns = [2 * np.pi * seconds / period for period in (86_400, 30 * 86_400)]
    return np.stack([wave(turn) for turn in turns for wave in (np.sin, np.cos)], axis=1)


class _Stock(nn.Module):
    """Torch's bidirectional GRU and a linear head."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.rnn = nn.GRU(inputs, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, len(REGIONS))

    def forward(self, sequence: Tensor) -> Tensor:
        _, state = self.rnn(sequence)
        forecast: Tensor = self.head(torch.cat([state[0], state[1]], dim=1))
        return forecast


@dataclass(frozen=True)
class _Pairs:
    """A batch of B windows and their targets."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)


def _private(
    panel: Panel, setting: Setting, sampling: WindowSampling, permit: Permit, on_epoch: OnEpoch
) -> tuple[Floats, Proof]:
    """Return the forecast of the test week after DP-SGD, [336, R], and the proof of its noise."""
    inputs, targets = windows(panel, observed(panel))
    assert setting.clip is not None  # noqa: S101  (of table 4)
    training = PrivateTraining(sampling, setting.clip, permit)
    model = _Stock(inputs.shape[2], setting.hidden).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=setting.learning_rate, eps=1e-7)

    def loss(network: nn.Module, batch: _Pairs) -> Tensor:
        off: Tensor = network(batch.inputs) - batch.targets
        return off.abs().mean(dim=1)

    made_up = _Pairs(torch.randn(4, *inputs.shape[1:]), torch.randn(4, targets.shape[1]))
    twins = twins_differ(model, setting.clip, made_up, loss)
    for step, rows in enumerate(training.batches(), start=1):
        training.step(model, optimizer, _Pairs(inputs[rows], targets[rows]), loss)
        if step % sampling.steps_per_epoch == 0:
            on_epoch(step // sampling.steps_per_epoch)
    with torch.no_grad():
        forecast: Tensor = model.eval()(inputs[-TEST:])
    tensors = sum(parameter.requires_grad for parameter in model.parameters())
    proof = prove(sampling, training.draws, parameters=tensors, twins_differ=twins)
    return np.asarray(forecast.double().numpy()), proof


def _facts(panel: Panel) -> Document:
    """Return public facts from which the training's cost for other units follows."""
    return {
        "observed": int(panel.observed.sum()) - TEST,
        "interval_seconds": panel.interval.total_seconds(),
        "regions": len(panel.regions),
        "regions_per_interval": panel.regions_per_interval or len(panel.regions),
        "lags": LAGS,
        "seasonal": [],
        "horizon": 1,
        "distance": 2,
    }


def _errors(forecast: Floats, counts: Floats) -> Document:
    """Return RMSE and MAE of the test week, clipped at 0, by the paper's names of regions."""
    clipped, truth = np.maximum(forecast, 0.0)[:, None], counts[-TEST:][:, None]
    both = {
        "RMSE": metrics.rmse(clipped, truth, REGIONS),
        "MAE": metrics.mae(clipped, truth, REGIONS),
    }
    return {name: {**scores.regions, "mean": scores.mean} for name, scores in both.items()}
