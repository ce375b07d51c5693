"""Expected error of a promise, before anything is drawn or charged.

Only public facts are read: the number of intervals and regions, and the usual count of a region, which
is declared (or read from published counts). How error grows with noise is measured on a made-up city:
as a curve of error against noise, both in units of a region's usual step, and a law for the step of a
region of a given size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from data import sources, validate
from data.panel import Panel
from data.sources import synthetic
from dp.budget import Budget
from dp.mechanisms.count_noise import calibrate
from flows.document import Document
from flows.errors import UsageError
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.privatise import Privatised, mechanism
from flows.pipeline.windows import prepare
from flows.recipe.recipe import from_dict
from flows.recipe.sections import WindowConfig
from models.config import ForecasterConfig
from models.predict import predict
from models.tabular.ridge import Ridge

Floats = NDArray[np.float64]

UNITS = ("user", "user-week", "user-day", "user-interval")
GENERIC = (100.0, 1_000.0, 10_000.0, 100_000.0)
"""Sizes of regions that are shown where none are declared."""
_NOISE = np.array([0.0, 0.05, 0.15, 0.4, 1.0, 2.5, 6.0, 15.0])
"""Noise levels of the curve, in steps."""
_DROWNED, _WEAK = 1.0, 0.1
"""Relative loss above which a region is called drowned (error doubled) or weak (up by a tenth)."""


@dataclass(frozen=True)
class Curve:
    """Growth of error with noise, measured on a made-up city.

    Attributes:
        noise: in steps of a region, [P].
        error: RMSE of a forecast one interval ahead, in steps of a region, [P].
        poisson, rhythm: a and b of step² = a·size + (b·size)².
    """

    noise: Floats
    error: Floats
    poisson: float
    rhythm: float

    def step(self, size: float) -> float:
        """Return the usual step of a region from one interval to the next, in persons."""
        return float(np.sqrt(self.poisson * size + (self.rhythm * size) ** 2))

    def rmse(self, size: float, sigma: float) -> float:
        """Return the expected RMSE of a region under noise, in persons."""
        step = self.step(size)
        if sigma / step > self.noise[-1]:  # beyond the curve, error is proportional to noise
            return float(self.error[-1] * sigma / self.noise[-1])
        return step * float(np.interp(sigma / step, self.noise, self.error))


@cache
def curve(city: str = "synthetic") -> Curve:
    """Measure the curve of ridge regression on a made-up city, which costs no budget."""
    panel = synthetic.panel(city)
    steps, sizes = _steps(panel), np.nanmean(panel.values, axis=0)
    draw = np.random.default_rng(0)
    errors = [_error(panel, noise * steps, draw) for noise in _NOISE]
    design = np.stack([1 / sizes, np.ones_like(sizes)], axis=1)  # of step²/size²
    poisson, rhythm = np.linalg.lstsq(design, (steps / sizes) ** 2, rcond=None)[0]
    relative = np.array([np.mean(error / steps) for error in errors])
    floor = float(np.square(steps / sizes).min()) / 100
    return Curve(
        _NOISE,
        np.maximum.accumulate(relative),
        max(float(poisson), 0.0),
        float(np.sqrt(max(float(rhythm), floor))),
    )


def plan(
    source: str,
    *,
    units: Sequence[str],
    epsilons: Sequence[float],
    delta: float,
    sizes: dict[str, float],
    intervals_per_unit: int | None = None,
    regions_per_interval: int | None = None,
    regions_ever: int | None = None,
) -> Document:
    """Return noise and expected error for every unit and epsilon; draws and charges nothing.

    Args:
        source: as `veilcast train --source` takes it; its calendar and its regions are read.
        units: privacy units to compare.
        epsilons: budgets to compare.
        delta: of all of them.
        sizes: usual count of each region, persons; `{"": size}` for all of them.
        intervals_per_unit: K, if it is declared.
        regions_per_interval: M, if it is declared.
        regions_ever: G, if it is declared.

    Raises:
        UsageError: an unknown region or unit, a budget or bound out of range.
        BoundError: G does not fit the panel.
        DataError: the source cannot be read.
    """
    table = sources.read(
        source, regions_per_interval=regions_per_interval, regions_ever=regions_ever
    )
    panel, _ = validate.to_panel(table, max_gap="1d")
    known, where = _sizes(panel, sizes)
    growth = curve()
    rows = [
        _row(panel, unit, Budget(epsilon, delta), known, growth, intervals_per_unit)
        for unit in units
        for epsilon in epsilons
    ]
    return {
        "source": panel.source,
        "delta": delta,
        "neighbours": "add or remove the records of one unit",
        "intervals": int(panel.observed.sum()),
        "regions_per_interval": panel.regions_per_interval or len(panel.regions),
        "regions_ever": panel.regions_ever,
        "sizes": known,
        "sizes_from": where,
        "rows": rows,
        "spent": "nothing: no count of a private source was used, none was noised, none was charged",
    }


def _row(
    panel: Panel,
    unit: str,
    budget: Budget,
    sizes: dict[str, float],
    growth: Curve,
    intervals_per_unit: int | None,
) -> Document:
    if unit not in UNITS:
        raise UsageError(f"unit {unit!r} is unknown; choose from {', '.join(UNITS)}")
    privacy = {"mechanism": "input", "unit": unit, "epsilon": budget.epsilon, "delta": budget.delta}
    if intervals_per_unit is not None:
        privacy["intervals_per_unit"] = intervals_per_unit
    noise, _, reasons = mechanism(panel, from_dict({"privacy": privacy}))
    sigma = noise.deviation
    regions = {}
    for name, size in sizes.items():
        free, noised = growth.rmse(size, 0.0), growth.rmse(size, sigma)
        loss = noised / free - 1
        verdict = "drowned" if loss > _DROWNED else "weak" if loss > _WEAK else "good"
        regions[name] = {
            "size": size,
            "rmse_without": free,
            "rmse": noised,
            "loss": loss,
            "verdict": verdict,
        }
    free = float(np.mean([region["rmse_without"] for region in regions.values()]))
    noised = float(np.mean([region["rmse"] for region in regions.values()]))
    return {
        "unit": unit,
        "epsilon": budget.epsilon,
        "sigma": sigma,
        "sigma_independent": calibrate(budget, noise.bound).sigma,
        "sensitivity": noise.bound.sensitivity,
        "bound": list(reasons),
        "loss": noised / free - 1,
        "drowned": [name for name, region in regions.items() if region["verdict"] == "drowned"],
        "regions": regions,
    }


def _sizes(panel: Panel, given: dict[str, float]) -> tuple[dict[str, float], str]:
    """Return the usual count of each region, and where it comes from."""
    unknown = [name for name in given if name and name not in panel.regions]
    if unknown:
        raise UsageError(
            f"no region {unknown[0]!r} in {panel.source}; it has {', '.join(panel.regions[:12])}"
        )
    if any(not size > 0 for size in given.values()):
        raise UsageError("expected every --size to be above 0")
    if "" in given:
        return {name: given.get(name, given[""]) for name in panel.regions}, "declared"
    if given:
        missing = [name for name in panel.regions if name not in given]
        if missing:
            raise UsageError(
                f"no --size for {missing[0]!r}; give one for every region, or --size 1000 for all"
            )
        return dict(given), "declared"
    if panel.public:
        means = np.nanmean(panel.values, axis=0)
        return dict(zip(panel.regions, map(float, means), strict=True)), "published counts"
    return {f"a region of {size:,.0f}": size for size in GENERIC}, (
        "no declaration, so regions of four sizes stand for yours; declare yours with --size "
        "region=persons (they are not read from private counts)"
    )


def _steps(panel: Panel) -> Floats:
    """Return the root mean square of the steps from one interval to the next, [R]."""
    return np.asarray(np.sqrt(np.nanmean(np.square(np.diff(panel.values, axis=0)), axis=0)))


def _error(panel: Panel, sigma: Floats, draw: np.random.Generator) -> Floats:
    """Return the RMSE of ridge regression on noised counts, against the true ones, [R]."""
    noised = panel.with_values(panel.values + draw.normal(size=panel.values.shape) * sigma)
    prepared = prepare(
        Privatised(noised, noised, Guarantee()), panel, WindowConfig(validation="0d", lags=24)
    )
    spec, windows = prepared.spec, prepared.learning
    model = Ridge(
        ForecasterConfig(
            model="ridge",
            regions=windows.regions,
            lags=spec.lags,
            seasonal=len(spec.seasonal),
            seasonal_context=spec.seasonal_context,
            seasonal_change=len(spec.seasonal),
        )
    )
    model.fit(windows)
    off = predict(model, prepared.truth) - prepared.truth.target
    return np.asarray(np.sqrt(np.square(off).mean(axis=(0, 1))))
