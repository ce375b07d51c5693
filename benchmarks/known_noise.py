"""What it is worth to tell forecasters how large the noise is: inputs through a Kalman filter.

A local level for what each region differs from its mean at this time of day over the last week; the
noise variance is known, that of the level follows from the noised counts, so that all of it is free.
Errors on weeks before the test week, against noised counts less the variance of the noise. Also how
often noised counts say that the region that contains the others is smaller than their sum.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from data import sources, validate
from data.clean import fill_gaps
from data.panel import Panel
from data.split import split
from data.windows import make
from flows.compare.backtest import Folds, compare
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.privatise import Privatised
from flows.pipeline.windows import prepare
from flows.recipe.load import compose
from flows.recipe.recipe import Recipe, from_dict


def filtered(panel: Panel, sigma: float) -> Panel:
    """The counts as a Kalman filter sees them when they arrive; it never looks ahead."""
    counts, day = fill_gaps(panel).values, panel.steps("1d")
    usual = np.stack(
        [
            counts[[t - day * k for k in range(1, 8) if t >= day * k] or [t]].mean(axis=0)
            for t in range(len(counts))
        ]
    )
    off = counts - usual
    drift = np.maximum(np.diff(off, axis=0).var(axis=0) - 2 * sigma**2, 1.0)
    ahead = drift / 2 + np.sqrt(drift**2 / 4 + drift * sigma**2)  # steady state
    gain = ahead / (ahead + sigma**2)
    level = off.copy()
    for t in range(1, len(off)):
        level[t] = level[t - 1] + gain * (off[t] - level[t - 1])
    return panel.with_values(np.where(np.isnan(panel.values), np.nan, level + usual))


def error(inputs: Panel, noised: Panel, raw: Panel, asked: Recipe, sigma: float) -> float:
    """Mean RMSE over four weeks; targets are the noised counts whatever the inputs are."""
    prepared = prepare(Privatised(inputs, noised, Guarantee()), raw, asked.windows)
    windows = make(fill_gaps(inputs), noised, prepared.spec)
    learning = split(windows, test=raw.steps("7d"), validation=0).train
    found = compare(replace(prepared, learning=learning), asked, Folds(count=4), sigma)
    return float(found["rmse"]["mean"])


def main(sigmas: list[float], models: list[str], draws: int) -> list[dict[str, Any]]:
    torch.set_num_threads(1)
    raw, _ = validate.to_panel(sources.read("paris-cdr"), max_gap="1d")
    rows = []
    for sigma in sigmas:
        for model in models:
            options = {"privacy.mechanism": "none", "model.name": model}
            asked, ratios, broken = from_dict(compose("paris", options, [])), [], 0
            for draw in range(draws):
                noise = np.random.default_rng(draw).normal(size=raw.values.shape) * sigma
                noised = raw.with_values(raw.values + noise)
                known = filtered(noised, sigma)
                ratios.append(
                    error(known, noised, raw, asked, sigma)
                    / error(noised, noised, raw, asked, sigma)
                )
                counts = noised.values[raw.observed]
                broken += int((counts[:, 0] < counts[:, 1:].sum(axis=1)).sum())
            rows.append(
                {
                    "sigma": sigma,
                    "model": model,
                    "draws": draws,
                    "RMSE, filtered over as it is": round(float(np.mean(ratios)), 4),
                    "intervals whose nesting is broken": broken,
                }
            )
    return rows


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sigma", type=float, nargs="+", default=[389.0, 748.0])
    options.add_argument("--model", nargs="+", default=["ridge", "fourier", "trees"])
    options.add_argument("--draws", type=int, default=2)
    given = options.parse_args()
    print(json.dumps(main(given.sigma, given.model, given.draws), indent=2))
