"""The account of a private training, from what is asked for and what is public about the panel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.panel import Panel
from dp.accounting.sliding_window import CellNoise
from dp.mechanisms import scale
from dp.mechanisms.window_sampling import WindowSampling, calibrate_sampling
from dp.unit.privacy_unit import IntervalUnit, Unit, intervals_of, parse_unit
from dp.unit.window_reach import WindowReach, affected_windows
from flows.document import Document
from flows.errors import UsageError
from flows.pipeline.windows import Prepared
from flows.recipe.recipe import Recipe


@dataclass(frozen=True)
class Plan:
    """Everything that is fixed before anything private is touched.

    Attributes:
        unit: whom the promise is about.
        sampling: batches, noise and their account.
        hit_because: why so many windows count as changed.
        width: intervals that a unit may change.
        delta: of the training.
    """

    unit: Unit
    sampling: WindowSampling
    hit_because: str
    width: int
    delta: float


def make_plan(prepared: Prepared, recipe: Recipe) -> Plan:
    """The account, from the recipe and from what is public about the panel."""
    privacy, training, spec = recipe.privacy, recipe.training, prepared.spec
    if training.patience is not None:
        raise UsageError(
            f"training.patience={training.patience} would stop by errors on raw counts, which is "
            "not charged; leave it out under mechanism=gradient"
        )
    if not math.isfinite(training.grad_norm):
        raise UsageError(
            f"training.grad_norm={training.grad_norm} clips nothing; under mechanism=gradient every "
            "window's gradient is clipped to it: choose a number, 1 for instance"
        )
    unit, budget = parse_unit(privacy.unit), privacy.budget_of_part
    interval = prepared.raw.interval.to_pytimedelta()
    windows = len(prepared.split.train)
    try:
        reach = WindowReach(spec.lags, spec.seasonal, spec.horizon)
        hit, why = affected_windows(
            unit,
            reach,
            windows=windows,
            interval=interval,
            intervals_per_unit=privacy.intervals_per_unit,
            known="enforced" if prepared.raw.bound else "declared",
            start=prepared.raw.times[0].to_pydatetime(),
        )
        width = _width(unit, prepared)
        side_release = None
        if recipe.source.max_count is None:
            side_release = scale.scale_noise(
                budget,
                width=width,
                intervals=len(training_counts(prepared)),
                regions=_regions(unit, prepared),
            )
        sampling = _sampling(recipe, windows, hit, side_release)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return Plan(unit, sampling, why, width, budget.delta)


def _sampling(
    recipe: Recipe, windows: int, hit: int, side_release: CellNoise | None
) -> WindowSampling:
    """Batches and noise: the least that keeps to the budget, or what was asked for."""
    privacy, training = recipe.privacy, recipe.training
    budget = privacy.budget_of_part
    steps = training.epochs * -(-windows // training.batch_size)
    shape = {
        "windows": windows,
        "batch": training.batch_size,
        "steps": steps,
        "hit": hit,
        "side_release": side_release,
    }
    if privacy.noise_multiplier is None:
        return calibrate_sampling(budget, **shape)  # type: ignore[arg-type]
    sampling = WindowSampling(noise_multiplier=privacy.noise_multiplier, **shape)  # type: ignore[arg-type]
    spent = sampling.epsilon(budget.delta)
    if spent > budget.epsilon:
        raise UsageError(
            f"privacy.noise_multiplier={privacy.noise_multiplier:g} costs epsilon {spent:.4g} at "
            f"delta {budget.delta:g} for {privacy.unit}, {budget.epsilon:g} was asked for; leave it "
            "out to have it computed"
        )
    return sampling


def facts(prepared: Prepared, plan: Plan, intervals_per_unit: int | None) -> Document:
    """Public facts that decide what the training costs other units."""
    spec, panel = prepared.spec, prepared.raw
    return {
        "observed": len(training_counts(prepared)),
        "interval_seconds": panel.interval.total_seconds(),
        "regions": len(panel.regions),
        "regions_per_interval": panel.regions_per_interval or len(panel.regions),
        "lags": spec.lags,
        "seasonal": list(spec.seasonal),
        "horizon": spec.horizon,
        "distance": scale.distance(plan.width),
        "intervals_per_unit": intervals_per_unit,
        "enforced": panel.bound is not None,
        **({} if panel.regions_ever is None else {"regions_ever": panel.regions_ever}),
        **_runs(panel),
    }


def _runs(panel: Panel) -> Document:
    runs = None if panel.bound is None else panel.bound.runs_per_day
    return {} if runs is None else {"runs_per_day": runs}


def training_counts(prepared: Prepared) -> NDArray[np.float64]:
    """Raw counts of the intervals before the test period, [T, R]."""
    first = prepared.raw.times.get_loc(prepared.truth.times[0])
    return prepared.raw.values[:first]


def _width(unit: Unit, prepared: Prepared) -> int:
    """Consecutive intervals that a unit may change."""
    panel = prepared.raw
    return intervals_of(
        unit,
        observed=len(panel.times),
        interval=panel.interval.to_pytimedelta(),
        start=panel.times[0].to_pydatetime(),
    )


def _regions(unit: Unit, prepared: Prepared) -> int:
    """Counts of one interval that a unit may change."""
    every = len(prepared.raw.regions)
    return every if isinstance(unit, IntervalUnit) else prepared.raw.regions_per_interval or every
