"""What training longer is worth when epsilon is fixed: loss and error against updates and batches.

Every update costs budget, so that the noise multiplier is calibrated anew for each number of updates
and each batch. Two questions: how many epochs at one batch size ("steps"), and what larger batches do
while the number of updates stays ("batches"; learning rate by `models.training.batch_scaling`). `noise`
is σC/B, the deviation of the noise on each coordinate of the mean gradient: what the optimizer sees.
The synthetic city holds nobody's data, so that looking at it costs nothing; mean ± sd over seeds.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Sequence
from typing import Any

import torch
from private_training import recipe_of, synthetic, train_privately, windows_of

from data.panel import Panel
from dp.unit.privacy_unit import IntervalUnit
from models import metrics
from models.baselines import persistence
from models.training import batch_scaling
from models.training.config import TrainingConfig

UNIT = IntervalUnit(1)


def settings_of(training: TrainingConfig, *, windows: int, epochs: int, batch: int) -> list[str]:
    """The regime with another batch and length; the learning rate follows the rule that suits."""
    rule = batch_scaling.rule_for(training.optimizer, "gradient").rule
    rate = batch_scaling.scaled_rate(
        training.learning_rate, batch=batch, base=training.batch_size, rule=rule
    )
    return [
        f"training.epochs={epochs}",
        f"training.batch_size={min(batch, windows)}",
        f"training.learning_rate={rate}",
    ]


def row(part: str, panel: Panel, settings: list[str], epsilon: float, seeds: int) -> dict[str, Any]:
    """One number of updates and batch, over all seeds."""
    recipe = recipe_of(epsilon, 0, settings)
    runs = [
        train_privately(part, recipe_of(epsilon, seed, settings), panel) for seed in range(seeds)
    ]
    sampling, delta = runs[0].sampling, recipe.privacy.delta
    return {
        "part": part,
        "epochs": recipe.training.epochs,
        "steps": sampling.steps,
        "batch": sampling.batch,
        "learning_rate": recipe.training.learning_rate,
        "noise_multiplier": round(sampling.noise_multiplier, 3),
        "noise": round(sampling.noise_multiplier * recipe.training.grad_norm / sampling.batch, 4),
        "epsilon": round(sampling.epsilon(delta), 4),
        "delta": delta,
        "unit": UNIT.value,
        "neighbours": UNIT.neighbours,
        **_over_seeds("rmse", [run.rmse for run in runs], 2),
        **_over_seeds("loss", [run.loss for run in runs], 4),
        "seeds": seeds,
    }


def _over_seeds(name: str, values: Sequence[float], digits: int) -> dict[str, float | None]:
    deviation = statistics.stdev(values) if len(values) > 1 else math.nan
    return {
        name: round(statistics.fmean(values), digits),
        f"{name}_sd": None if math.isnan(deviation) else round(deviation, digits),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--epsilon", type=float, default=7.5)
    options.add_argument("--epochs", type=int, nargs="*", default=[5, 10, 20, 42, 80, 160])
    options.add_argument("--batches", type=int, nargs="*", default=[128, 256, 512, 1024, 2048])
    options.add_argument("--optimizer", default="adam")
    options.add_argument("--seeds", type=int, default=5)
    asked = options.parse_args()
    torch.set_num_threads(1)
    panel, start = synthetic(), [f'training.optimizer="{asked.optimizer}"']
    base = recipe_of(asked.epsilon, 0, start)
    parts = windows_of(panel, base)
    windows, training = len(parts.train), base.training
    updates = batch_scaling.updates_of(training.epochs, windows=windows, batch=training.batch_size)
    plans = [("steps", epochs, training.batch_size) for epochs in asked.epochs] + [
        ("batches", batch_scaling.epochs_for(updates, windows=windows, batch=batch), batch)
        for batch in asked.batches
    ]
    for part, epochs, batch in plans:
        settings = settings_of(training, windows=windows, epochs=epochs, batch=batch)
        print(
            json.dumps(row(part, panel, [*start, *settings], asked.epsilon, asked.seeds)),
            flush=True,
        )
    still = metrics.rmse(persistence(parts.test), parts.test.target, panel.regions).mean
    print(
        json.dumps(
            {
                "source": "synthetic",
                "model": base.model.name,
                "optimizer": training.optimizer,
                "windows": windows,
                "persistence": round(still, 2),
                "rmse": "mean of the regions, persons, last week; of made-up people",
            }
        )
    )


if __name__ == "__main__":
    main()
