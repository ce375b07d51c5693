"""What a promise will cost in error, before anything is drawn or charged.

Only public facts are read: how many intervals and regions there are, and how large a region usually
is, which is declared (or read off counts that are published anyway). How error grows with noise is
tried out on a synthetic city, whose counts are nobody's: as a curve of error against noise, both in
units of a region's usual step, and a law for the step of a region of a given size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data import sources, validate
from data.panel import Panel
from data.sources import synthetic
from dp.budget import Budget
from dp.mechanisms.count_noise import calibrate
from dp.unit.contribution import derive_bound
from dp.unit.privacy_unit import PrivacyUnit
from flows.errors import UsageError
from flows.pipeline.guarantee import Promise
from flows.pipeline.privatise import Privatised
from flows.pipeline.windows import prepare
from flows.recipe.sections import WindowConfig
from models.config import ForecasterConfig
from models.predict import predict
from models.tabular.ridge import Ridge

Floats = NDArray[np.float64]

UNITS = ("user", "user-week", "user-day", "user-interval")
GENERIC = (100.0, 1_000.0, 10_000.0, 100_000.0)
"""Sizes shown where nobody says how large the regions are."""
_NOISE = np.array([0.0, 0.05, 0.15, 0.4, 1.0, 2.5, 6.0, 15.0])
"""Noise that is tried out, in steps."""
_DROWNED, _WEAK = 1.0, 0.1
"""Loss from which a region is called so: error doubled, error up by a tenth."""


@dataclass(frozen=True)
class Curve:
    """How error grows with noise, from a synthetic city.

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
        """Usual step of a region from one interval to the next, persons."""
        return float(np.sqrt(self.poisson * size + (self.rhythm * size) ** 2))

    def rmse(self, size: float, sigma: float) -> float:
        """Expected RMSE of a region under noise, persons."""
        step = self.step(size)
        if sigma / step > self.noise[-1]:  # far out, error is in proportion to noise
            return float(self.error[-1] * sigma / self.noise[-1])
        return step * float(np.interp(sigma / step, self.noise, self.error))


@cache
def curve(city: str = "synthetic") -> Curve:
    """The curve of ridge regression on a synthetic city; made-up counts, so that nothing is spent."""
    panel = synthetic.panel(city)
    steps, sizes = _steps(panel), np.nanmean(panel.values, axis=0)
    draw = np.random.default_rng(0)
    errors = [_error(panel, noise * steps, draw) for noise in _NOISE]
    design = np.stack([1 / sizes, np.ones_like(sizes)], axis=1)  # of step²/size²
    poisson, rhythm = np.linalg.lstsq(design, (steps / sizes) ** 2, rcond=None)[0]
    relative = np.array([np.mean(one / steps) for one in errors])
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
    units: list[str],
    epsilons: list[float],
    delta: float,
    sizes: dict[str, float],
    intervals_per_unit: int | None = None,
    regions_per_interval: int | None = None,
) -> dict[str, Any]:
    """Noise and expected error for every unit and epsilon; draws nothing, charges nothing.

    Args:
        source: what `--source` of train takes; its calendar and its regions are read.
        units: privacy units to compare.
        epsilons: budgets to compare.
        delta: of all of them.
        sizes: usual count of each region, persons; `{"": size}` for all of them.
        intervals_per_unit: K, if it is bounded.
        regions_per_interval: M, if it is declared.

    Raises:
        UsageError: an unknown region or unit, a budget or bound out of range.
        DataError: the source cannot be read.
    """
    table = sources.read(source, regions_per_interval=regions_per_interval)
    panel, _ = validate.to_panel(table, max_gap="1d")
    known, where = _sizes(panel, sizes)
    found = curve()
    rows = []
    for unit in units:
        for epsilon in epsilons:
            rows.append(_row(panel, unit, Budget(epsilon, delta), known, found, intervals_per_unit))
    return {
        "source": panel.source,
        "delta": delta,
        "neighbours": "add or remove the records of one unit",
        "intervals": int(panel.observed.sum()),
        "regions_per_interval": panel.regions_per_interval or len(panel.regions),
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
    found: Curve,
    intervals_per_unit: int | None,
) -> dict[str, Any]:
    try:
        bound, reasons = derive_bound(
            PrivacyUnit(unit),
            observed=int(panel.observed.sum()),
            interval=panel.interval.to_pytimedelta(),
            regions=len(panel.regions),
            regions_per_interval=panel.regions_per_interval,
            intervals_per_unit=intervals_per_unit,
            start=panel.times[0].to_pydatetime(),
        )
    except ValueError as error:
        raise UsageError(f"unit {unit!r}: {error}; choose from {', '.join(UNITS)}") from None
    sigma = calibrate(budget, bound).sigma
    regions = {}
    for name, size in sizes.items():
        free, noised = found.rmse(size, 0.0), found.rmse(size, sigma)
        loss = noised / free - 1
        verdict = "drowned" if loss > _DROWNED else "weak" if loss > _WEAK else "good"
        regions[name] = {
            "size": size,
            "rmse_without": free,
            "rmse": noised,
            "loss": loss,
            "verdict": verdict,
        }
    free = float(np.mean([one["rmse_without"] for one in regions.values()]))
    noised = float(np.mean([one["rmse"] for one in regions.values()]))
    return {
        "unit": unit,
        "epsilon": budget.epsilon,
        "sigma": sigma,
        "sensitivity": bound.sensitivity,
        "bound": list(reasons),
        "loss": noised / free - 1,
        "drowned": [name for name, one in regions.items() if one["verdict"] == "drowned"],
        "regions": regions,
    }


def _sizes(panel: Panel, given: dict[str, float]) -> tuple[dict[str, float], str]:
    """Usual count of each region, and how it is known."""
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
    """Root mean square of the steps from one interval to the next, [R]."""
    return np.asarray(np.sqrt(np.nanmean(np.square(np.diff(panel.values, axis=0)), axis=0)))


def _error(panel: Panel, sigma: Floats, draw: np.random.Generator) -> Floats:
    """RMSE of ridge regression on counts with noise, against those without, [R]."""
    noised = panel.with_values(panel.values + draw.normal(size=panel.values.shape) * sigma)
    prepared = prepare(
        Privatised(noised, noised, Promise()), panel, WindowConfig(validation="0d", lags=24)
    )
    spec, windows = prepared.spec, prepared.learning
    model = Ridge(
        ForecasterConfig(
            model="ridge",
            regions=windows.regions,
            lags=spec.lags,
            seasonal=len(spec.seasonal),
            around=spec.around,
            usual=len(spec.seasonal),
        )
    )
    model.fit(windows)
    off = predict(model, prepared.truth) - prepared.truth.target
    return np.asarray(np.sqrt(np.square(off).mean(axis=(0, 1))))
