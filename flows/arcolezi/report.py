"""The report of the comparison: Markdown, one HTML page, one figure."""

from __future__ import annotations

import base64
import io
import statistics
from pathlib import Path

from flows.arcolezi import published
from flows.arcolezi.published import DELTA, REGIONS
from flows.document import Document

Table = tuple[list[str], list[list[str]]]


def write(result: Document, folder: Path) -> dict[str, str]:
    """Write `arcolezi2022.md`, `.html`, `.png` to `folder`, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    figure, sections = _figure(result), _sections(result)
    paths = {kind: folder / f"arcolezi2022.{kind}" for kind in ("md", "html", "png")}
    paths["png"].write_bytes(figure)
    paths["md"].write_text(_markdown(sections))
    paths["html"].write_text(_html(sections, figure))
    return {kind: str(path) for kind, path in paths.items()}


def chosen(result: Document) -> list[Document]:
    """Return the chosen forecaster of every promise."""
    return [row for row in result["honest"] if row["chosen"]]


def _sections(result: Document) -> list[tuple[str, str, Table | None]]:
    """Return title, text and table of each section."""
    effort = result["effort"]
    best = min(published.reported(s.name)["mean"] for s in published.nonprivate())
    full = effort["epochs"] == published.EPOCHS
    how = (
        f"Networks of the paper's protocol were trained for {_many(effort['epochs'], 'epoch')}"
        f"{'' if full else ' (the paper: 100, so that these figures are no verdict on it)'}, "
        f"with {_many(effort['paper_seeds'], 'seed')}, our forecasters with "
        f"{_many(effort['seeds'], 'seed')}; figures are mean ± standard deviation over seeds, never "
        "the best run."
    )
    return [
        (
            "Arcolezi et al. 2022: as published, as run, and under honest selection",
            f"{result['source']}\n\nErrors are RMSE in persons on the test week, mean over the six "
            f"regions, against raw counts: not a private release. {how} "
            f"It took {result['seconds'] / 60:.0f} minutes with {result['threads']} threads; pieces "
            "that were done before were not done again.",
            None,
        ),
        (
            "Forecasts under honest selection",
            "Forecasters of this package, recipe `paris`. They are compared on "
            f"{_many(effort['folds'], 'rolling-origin week')} before the test week (under noise "
            "against noised counts, less the variance of the noise); the one that was best there is "
            "marked. "
            f"The best non-private figure of the paper, chosen on the test week, is {best:.1f}.",
            _honest(result),
        ),
        (
            "Input or gradient perturbation?",
            f"The same promise kept both ways: {result['question']['privacy'].removeprefix('input, ')}. "
            "Noise on the counts also covers the counts that forecasts are made from; noise on the "
            "gradients does not, and the charge of its training is for the weights alone.",
            _question(result),
        ),
        (
            "Table 3: without privacy",
            "The paper chose hyperparameters on the test week and reports the best of ten runs.",
            _as_run(result, [s.name for s in published.nonprivate()], baseline=True),
        ),
        (
            "Table 5: gradient perturbation",
            "The published notebook never calls the method that adds noise; its weights do not depend "
            "on the noise multiplier. So: as published, as run without noise, and with the noise that "
            "the settings claim (torch's tanh network, whose gradients can be clipped).",
            _gradient(result),
        ),
        (
            "Table 5: input perturbation",
            "Noise on the counts of training and inputs alike, as claimed.",
            _as_run(result, [s.name for s in published.perturbed()]),
        ),
        (
            "Table 4: what gradient perturbation would have cost",
            f"Epsilon at δ = {DELTA:g}. The paper's figure is for one window under shuffled batches; an "
            "interval is in seven windows, a person in all of them (substitution of all values of an "
            "interval, and of everything a person did; Poisson sampling).",
            _accounts(result, "noise_multiplier", ("one window", "interval-1", "user")),
        ),
        (
            "Table 4: what input perturbation costs",
            f"Epsilon at δ = {DELTA:g}, add or remove the records of one unit. The paper adds up its "
            "figure over 3,120 intervals; Gaussian noise composes far better. One region contains the "
            "five others, so that a person can count twice in an interval.",
            _accounts(
                result,
                "sigma",
                (
                    "user-interval",
                    "user-interval, two regions",
                    "user-day, two regions",
                    "user, one region",
                    "user, two regions",
                ),
            ),
        ),
    ]


def _proven(epsilon: float | None) -> str:
    return "no proof of noise" if epsilon is None else f"{epsilon:.4g}"


def _many(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"


def _honest(result: Document) -> Table:
    head = ["promise", "forecaster", "folds", "test week", *REGIONS]
    rows = []
    for row in result["honest"]:
        regions = [
            f"{statistics.fmean(run['RMSE'][region] for run in row['runs']):.0f}"
            for region in REGIONS
        ]
        name = f"**{row['model']}** (chosen)" if row["chosen"] else row["model"]
        sd = "" if row["sd"] is None else f" ± {row['sd']:.1f}"
        rows.append(
            [row["privacy"], name, f"{row['folds']:.1f}", f"{row['mean']:.1f}{sd}", *regions]
        )
    return head, rows


def _question(result: Document) -> Table:
    head = ["mechanism, forecaster", "RMSE", "MAE"]
    rows = result["question"]["rows"].items()
    return head, [[name, _over(runs, "RMSE"), _over(runs, "MAE")] for name, runs in rows]


def _as_run(result: Document, names: list[str], *, baseline: bool = False) -> Table:
    head = ["network", "as published", "as run", "MAE published", "MAE run"]
    rows = []
    if baseline:
        here = result["persistence"]
        rows.append(
            [
                "persistence",
                f"{published.reported('Baseline')['mean']:.1f}",
                f"{here['RMSE']['mean']:.1f}",
                f"{published.reported('Baseline', 'MAE')['mean']:.1f}",
                f"{here['MAE']['mean']:.1f}",
            ]
        )
    for name in (name for name in names if name in result["paper"]):
        runs = result["paper"][name]
        rows.append(
            [
                name,
                f"{published.reported(name)['mean']:.1f}",
                _over(runs, "RMSE"),
                f"{published.reported(name, 'MAE')['mean']:.1f}",
                _over(runs, "MAE"),
            ]
        )
    return head, rows


def _gradient(result: Document) -> Table:
    head = [
        "network",
        "as published",
        "as run, without noise",
        "with the noise claimed",
        "its true ε, interval-1",
    ]
    rows, epochs = [], _many(result["effort"]["epochs"], "epoch")
    for setting in published.gradient():
        if setting.name not in result["paper"]:
            continue
        noised = result["paper"][f"{setting.name} noised"]
        rows.append(
            [
                setting.name,
                f"{published.reported(setting.name)['mean']:.1f}",
                _over(result["paper"][setting.name], "RMSE"),
                _over(noised, "RMSE"),
                f"{_proven(noised[0]['epsilon'])} (δ = {DELTA:g}, {epochs})",
            ]
        )
    return head, rows


def _accounts(result: Document, noise: str, columns: tuple[str, ...]) -> Table:
    head = ["setting", noise.replace("_", " "), "claimed ε", *columns]
    rows = [
        [
            row["name"],
            f"{row[noise]:.4g}",
            f"{row['claimed']:g}",
            *(f"{row[column]:.3g}" for column in columns),
        ]
        for row in result["accounts"]
        if noise in row
    ]
    return head, rows


def _over(runs: list[Document], metric: str) -> str:
    means = [run[metric]["mean"] for run in runs]
    sd = f" ± {statistics.stdev(means):.1f}" if len(means) > 1 else ""
    return f"{statistics.fmean(means):.1f}{sd}"


def _markdown(sections: list[tuple[str, str, Table | None]]) -> str:
    parts = []
    for number, (title, text, table) in enumerate(sections):
        parts.append(f"{'#' if not number else '##'} {title}\n\n{text}\n")
        if table:
            head, rows = table
            lines = [head, ["---"] * len(head), *rows]
            parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n")
        elif not number:
            parts.append("![RMSE as published, as run, and chosen on folds](arcolezi2022.png)\n")
    return "\n".join(parts)


def _html(sections: list[tuple[str, str, Table | None]], figure: bytes) -> str:
    from importlib import resources

    from jinja2 import Environment

    page = resources.files("flows").joinpath("templates/arcolezi2022.html").read_text()
    picture = base64.b64encode(figure).decode()
    return Environment(autoescape=True).from_string(page).render(sections=sections, picture=picture)


def _figure(result: Document) -> bytes:
    """Draw the RMSE of the paper's networks and of the forecaster chosen under each promise."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    bars: list[tuple[str, float, float, str]] = [
        ("persistence", result["persistence"]["RMSE"]["mean"], 0.0, "#9aa5b1")
    ]
    for setting in published.nonprivate():
        means = [run["RMSE"]["mean"] for run in result["paper"][setting.name]]
        bars.append(
            (
                f"{setting.name}, as published",
                published.reported(setting.name)["mean"],
                0.0,
                "#d9a441",
            )
        )
        sd = statistics.stdev(means) if len(means) > 1 else 0.0
        epochs = result["effort"]["epochs"]
        how = "" if epochs == published.EPOCHS else f" ({_many(epochs, 'epoch')} of 100)"
        bars.append((f"{setting.name}, as run{how}", statistics.fmean(means), sd, "#e6c98f"))
    for row in chosen(result):
        label = f"{row['model']}: {row['privacy'].split(' (')[0]}"
        bars.append((label, row["mean"], row["sd"] or 0.0, "#0b6e99"))
    picture = Figure(figsize=(9, 0.36 * len(bars) + 1.2), layout="constrained")
    axis = picture.subplots()
    at = range(len(bars))
    axis.barh(
        at,
        [value for _, value, _, _ in bars],
        xerr=[sd for _, _, sd, _ in bars],
        color=[colour for *_, colour in bars],
        height=0.7,
        error_kw={"lw": 1},
    )
    axis.set_yticks(at, [label for label, *_ in bars], fontsize=8)
    for y, (_, value, sd, _) in enumerate(bars):
        text = f"{value:.0f}" + (f" ± {sd:.0f}" if sd else "")
        axis.annotate(
            text,
            (min(value + sd, 2000), y),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axis.set_xlim(0, 2200)
    axis.invert_yaxis()
    axis.set_xlabel("RMSE on the test week, persons, mean over regions", fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    FigureCanvasAgg(picture).print_png(buffer)
    return buffer.getvalue()
