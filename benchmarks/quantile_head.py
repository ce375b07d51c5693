"""Prediction intervals: quarters of the day against a quantile head, both conformal.

The head (Romano, Patterson, Candès 2019) gives each quantile as a linear function, on a logarithmic
scale, of time of day, forecast and how restless the counts have been; it minimises the pinball loss on
one week before the last, and is made conformal on the week after. The quarters are calibrated on that
week alone. Both are scored on the next week; the test week is not looked at.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus

from data import sources, validate
from flows.pipeline.fit import learner
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.privatise import Privatised
from flows.pipeline.windows import prepare
from flows.recipe.load import override
from flows.recipe.recipe import from_dict
from models import metrics
from models.backtest import Fold, backtest
from models.conformal import fit_intervals

LEVELS = (0.5, 0.8, 0.9, 0.95)
SHARES = torch.tensor(
    [share for one in LEVELS for share in ((1 - one) / 2, (1 + one) / 2)]
).double()
SIDES = torch.tensor([-1.0, 1.0] * len(LEVELS)).double()


@dataclass(frozen=True)
class Head:
    """Weights of the quantiles and size of the residuals, by region."""

    weights: list[torch.Tensor]
    sizes: list[float]

    def ends(self, fold: Fold) -> np.ndarray:
        """Quantiles of the residuals, [N, R, 2·levels]."""
        return np.stack(
            [
                (SIDES * torch.exp(design(fold, region) @ weights.T) * size).numpy()
                for region, (weights, size) in enumerate(zip(self.weights, self.sizes, strict=True))
            ],
            axis=1,
        )


def design(fold: Fold, region: int) -> torch.Tensor:
    """What the spread may depend on, [N, F]."""
    calendar, level = fold.windows.calendar[:, 0], fold.forecast[:, 0, region]
    restless = fold.windows.past[:, -8:, region].std(axis=1)
    angle = np.arctan2(calendar[:, 0], calendar[:, 1])
    waves = [wave(k * angle) for k in (1, 2, 3) for wave in (np.sin, np.cos)]
    columns = [np.ones_like(level), *waves, level / level.mean(), restless / restless.mean()]
    return torch.tensor(np.column_stack(columns))


def learn(fold: Fold) -> Head:
    """Minimise the pinball loss, its corner rounded off."""
    weights, sizes = [], []
    for region in range(fold.forecast.shape[2]):
        inputs = design(fold, region)
        off = torch.tensor((fold.windows.target - fold.forecast)[:, 0, region])
        size = float(off.abs().mean())
        found = torch.zeros(len(SHARES), inputs.shape[1], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([found], max_iter=200, line_search_fn="strong_wolfe")

        def loss(inputs=inputs, off=off, size=size, found=found, optimizer=optimizer):
            optimizer.zero_grad()
            gap = 20 * ((off / size)[:, None] - SIDES * torch.exp(inputs @ found.T))
            pinball = (SHARES * softplus(gap) + (1 - SHARES) * softplus(-gap)) / 20
            value = pinball.sum(dim=1).mean() + 1e-3 * found[:, 1:].square().sum()
            value.backward()
            return value

        optimizer.step(loss)
        weights.append(found.detach())
        sizes.append(size)
    return Head(weights, sizes)


def by_head(head: Head, known: Fold, new: Fold) -> dict[float, tuple[np.ndarray, np.ndarray]]:
    """Low and high ends on the new week, conformal on the known one."""
    off, here, there = (
        (known.windows.target - known.forecast)[:, 0],
        head.ends(known),
        head.ends(new),
    )
    result = {}
    for number, level in enumerate(LEVELS):
        low, high = 2 * number, 2 * number + 1
        outside = np.sort(np.maximum(here[..., low] - off, off - here[..., high]), axis=0)
        slack = outside[min(len(off), int(np.ceil((len(off) + 1) * level))) - 1]
        forecast = new.forecast[:, 0]
        result[level] = (
            np.maximum(forecast + there[..., low] - slack, 0)[:, None],
            (forecast + there[..., high] + slack)[:, None],
        )
    return result


def by_quarters(known: Fold, new: Fold) -> dict[float, tuple[np.ndarray, np.ndarray]]:
    """What the package does."""
    found = fit_intervals(known.forecast, known.windows, LEVELS)
    return {level: found.around(new.forecast, new.windows, level) for level in LEVELS}


def score(low: np.ndarray, high: np.ndarray, new: Fold, level: float) -> tuple[float, float]:
    """Coverage, and pinball loss of both ends in persons."""
    target, names = new.windows.target, new.windows.regions
    lost = metrics.pinball(low, target, names, (1 - level) / 2).mean
    lost += metrics.pinball(high, target, names, (1 + level) / 2).mean
    return metrics.coverage(low, high, target, names).mean, lost


def main(source: str, model: str, sigma: float, folds: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    panel, _ = validate.to_panel(sources.read(source), max_gap="1d")
    values = override({"privacy": {"mechanism": "none"}}, [f"model.name={model}"])
    asked = from_dict({**values, "windows": {"validation": "0d"}})
    noise = np.random.default_rng(0).normal(size=panel.values.shape) * sigma
    noised = panel.with_values(panel.values + noise)
    prepared = prepare(Privatised(noised, noised, Guarantee()), panel, asked.windows)
    size = panel.steps("7d")
    weeks = backtest(learner(prepared, asked), prepared.learning, folds=folds + 2, size=size)
    found: dict[str, dict[float, list[tuple[float, float]]]] = {"quarters": {}, "head": {}}
    for before, known, new in zip(weeks, weeks[1:], weeks[2:], strict=False):
        ways = {"quarters": by_quarters(known, new), "head": by_head(learn(before), known, new)}
        for way, ends in ways.items():
            for level, (low, high) in ends.items():
                found[way].setdefault(level, []).append(score(low, high, new, level))
    means = {way: {k: np.mean(v, axis=0) for k, v in one.items()} for way, one in found.items()}
    return {
        "source": source,
        "model": model,
        "sigma": sigma,
        "weeks": folds,
        "levels": [
            {
                "level": level,
                **{
                    f"coverage, {way}": round(float(one[level][0]), 3) for way, one in means.items()
                },
                "pinball, head over quarters": round(
                    float(means["head"][level][1] / means["quarters"][level][1]), 3
                ),
            }
            for level in LEVELS
        ],
    }


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--source", default="paris-cdr")
    options.add_argument("--model", default="ridge")
    options.add_argument("--sigma", type=float, default=0.0, help="Noise on the counts, persons.")
    options.add_argument("--weeks", type=int, default=4)
    given = options.parse_args()
    print(json.dumps(main(given.source, given.model, given.sigma, given.weeks), indent=2))
