"""The picture of README.md: a frontier, and one week of forecasts, from real runs.

python -m docs.generate.picture --points var/reports/sweep-KEY.parquet --run latest

Points are what `veilcast sweep` wrote (CSV or Parquet), the run one of a public source under `input`,
whose kept release is read again: no noise is drawn and nothing is charged. Errors are evaluated on raw
data, not a private release.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from data import validate
from docs.generate import DOCS
from flows.pipeline import read as counted
from flows.pipeline.evaluate import NOT_PRIVATE
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.privatise import Privatised, kept_release, suppressed
from flows.pipeline.windows import Prepared, prepare
from flows.recipe.load import load
from flows.recipe.recipe import Recipe, from_dict
from flows.settings import Home, open_home, quiet_environment
from flows.tracking import Tracker
from models.checkpoint import open_model
from models.predict import predict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#0b6e99", "#b44d12", "#3f7d20", "#7b4fa3", "#a3324f", "#46606b")
_COUNTS = "#9aa5b1"


def lines(points: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Mean and spread over seeds along epsilon, by what they compare."""
    promised = points.dropna(subset="epsilon")
    for (mechanism, unit, model), group in promised.groupby(["mechanism", "unit", "model"]):
        yield f"{mechanism}, {unit}, {model}", group.groupby("epsilon").rmse.agg(["mean", "std"])


def across(points: pd.DataFrame) -> Iterator[tuple[str, float]]:
    """What has no epsilon."""
    for model, group in points[points.epsilon.isna()].groupby("model"):
        yield f"no privacy, {model}", float(group.rmse.mean())


def read(path: Path) -> pd.DataFrame:
    """A row a training."""
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def week(run: str, home: Home) -> tuple[Prepared, Recipe, np.ndarray]:
    """The test period of a run, and what its model forecasts from the kept release, [N, H, R].

    Raises:
        SystemExit: the source is private, or nothing was released.
    """
    tracker = Tracker(home)
    files = tracker.files(tracker.find(run)["run_id"])
    recipe = from_dict(load(str(files / "recipe.toml")))
    saved = open_model(files / "model")
    raw = validate.to_panel(counted.read(recipe), max_gap=recipe.source.max_gap)[0]
    if not raw.public or not saved.extra["release"]:
        raise SystemExit(
            f"run {run} is of {raw.source}: only a public source under mechanism=input is drawn"
        )
    noised = suppressed(kept_release(saved.extra["release"], home), recipe)
    inputs = raw.with_values(noised.reindex(raw.times).to_numpy())
    prepared = prepare(Privatised(inputs, inputs, Guarantee()), raw, recipe.windows)
    return prepared, recipe, predict(saved.model, prepared.truth)


def draw(points: pd.DataFrame, run: str, home: Home, out: Path, regions: int = 2) -> Path:
    """The PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.2), layout="constrained")
    grid = figure.add_gridspec(regions, 2, width_ratios=(1, 1.25))
    _frontier(figure.add_subplot(grid[:, 0]), points)
    prepared, recipe, forecast = week(run, home)
    truth, guarantee = prepared.truth, recipe.privacy
    promised = f"ε = {guarantee.epsilon:g} at δ = {guarantee.delta:g}"
    largest = np.argsort(-np.nanmean(truth.target[:, 0], axis=0))[:regions]
    for row, region in enumerate(largest):
        axis = figure.add_subplot(grid[row, 1])
        axis.plot(
            truth.times, truth.target[:, 0, region], color=_COUNTS, lw=1.8, label="counts (raw)"
        )
        axis.plot(
            truth.times,
            forecast[:, 0, region],
            color=_COLOURS[0],
            lw=1.1,
            label="forecast one interval ahead, from noised counts",
        )
        axis.set_title(truth.regions[region], loc="left", fontsize=10)
        axis.set_ylim(bottom=0)
        _bare(axis)
        _days(axis)
        if row == 0:
            axis.set_title(
                f"{recipe.model.name}, {guarantee.unit}, {promised}\n"
                "add or remove the records of one unit",
                loc="right",
                fontsize=8,
            )
            axis.legend(frameon=False, fontsize=8, loc="lower right")
    figure.suptitle(f"{prepared.raw.source}; errors {NOT_PRIVATE}", fontsize=10)
    out.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure).print_png(out)
    return out


def _frontier(axis: Axes, points: pd.DataFrame) -> None:
    seeds = int(points.groupby("point").size().max())
    for (name, line), colour in zip(lines(points), _COLOURS, strict=False):
        axis.errorbar(
            line.index,
            line["mean"],
            yerr=line["std"].fillna(0),
            marker="o",
            ms=4,
            lw=1.3,
            capsize=2,
            color=colour,
            label=name,
        )
    for name, error in across(points):
        axis.axhline(error, ls="--", lw=1, color="#52606d", label=f"{name} {error:,.0f}")
    spent = sorted(points.epsilon.dropna().unique())
    axis.set_xscale("log")
    axis.set_xticks(spent, [f"{one:g}" for one in np.round(spent, 3)])
    axis.minorticks_off()
    deltas = sorted(points.delta.dropna().unique())
    axis.set_xlabel("ε of the unit, at δ = " + ", ".join(f"{one:g}" for one in deltas), fontsize=9)
    spread = f"± sd over {seeds} seeds" if seeds > 1 else "one seed"
    axis.set_ylabel(f"RMSE in persons, mean over regions ({spread})", fontsize=9)
    axis.set_title("Error against the promise", loc="left", fontsize=10)
    axis.legend(frameon=False, fontsize=8)
    _bare(axis)


def _bare(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="#e4e7eb", lw=0.6)
    axis.tick_params(labelsize=8)


def _days(axis: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=8)
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def main() -> None:
    """Read the arguments, draw."""
    about = argparse.ArgumentParser(
        prog="python -m docs.generate.picture",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    about.add_argument("--points", type=Path, required=True, help="CSV or Parquet of a sweep")
    about.add_argument("--run", default="latest", help="start of a run's id, or latest")
    about.add_argument("--out", type=Path, default=DOCS / "picture.png")
    about.add_argument("--regions", type=int, default=2, help="the largest so many are drawn")
    asked = about.parse_args()
    home = open_home()
    quiet_environment(home)
    print(draw(read(asked.points), asked.run, home, asked.out, asked.regions))


if __name__ == "__main__":
    main()
