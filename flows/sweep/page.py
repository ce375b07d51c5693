"""The frontier as a page that can be asked: one file, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from flows.pipeline.evaluate import NOT_PRIVATE
from flows.runtime.templates import template
from flows.sweep.cost import Announcement
from flows.sweep.figure import FAR, baselines, by_unit, lines
from flows.sweep.result import Row

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, Scatter

_COLOURS = ("#0b6e99", "#b44d12", "#3f7d20", "#7b4fa3", "#a3324f", "#46606b", "#927a12", "#1d4e89")


def write(table: list[Row], total: Announcement, path: Path) -> Path:
    """Write a page with one chart per privacy unit, the charges, and one row per point.

    Args:
        table: a row a point (`flows.sweep.record.rows`).
        total: what was announced.
        path: of the page.
    """
    charts = [
        (title, _chart(rows).to_html(full_html=False, include_plotlyjs=number == 0))
        for number, (title, rows) in enumerate(by_unit(table, total).items())
    ]
    page = template("sweep.html", escape=True).render(
        charts=charts,
        total=total,
        rows=sorted(table, key=lambda row: row.rmse),
        evaluation=NOT_PRIVATE,
    )
    path.write_text(page)
    return path


def _chart(rows: list[Row]) -> Figure:
    """Lines over epsilon with the spread over seeds; what has no epsilon goes across."""
    from plotly.graph_objects import Figure

    figure = Figure()
    spent = sorted({row.epsilon for row in rows if row.epsilon is not None})
    ends = (spent[0] / 1.2, spent[-1] * 1.2) if spent else (0.5, 2.0)
    for (name, line), colour in zip(lines(rows).items(), cycle(_COLOURS), strict=False):
        across = line[0].epsilon is None
        figure.add_trace(
            _across(name, line[0].rmse, ends, "dash", colour)
            if across
            else _over_epsilon(name, line, colour)
        )
    for trace in _rivals(rows, ends):
        figure.add_trace(trace)
    ticks = {"tickvals": spent, "ticktext": [f"{one:.3g}" for one in spent]} if spent else {}
    figure.update_xaxes(title="ε", type="log", **ticks)
    figure.update_yaxes(title="RMSE, persons, mean over regions")
    figure.update_layout(
        template="plotly_white",
        height=520,
        margin={"l": 60, "r": 20, "t": 20, "b": 50},
        legend={"orientation": "h", "y": -0.18},
        hovermode="closest",
    )
    return figure


def _over_epsilon(name: str, line: list[Row], colour: str) -> Scatter:
    from plotly.graph_objects import Scatter

    return Scatter(
        x=[row.epsilon for row in line],
        y=[row.rmse for row in line],
        error_y={"array": [row.sd or 0.0 for row in line], "thickness": 1},
        name=name,
        mode="lines+markers",
        line={"color": colour},
        hovertext=[
            f"{row.seeds} seeds, {row.unit}, ε = {row.epsilon:.4g} at δ = {row.delta:g}"
            for row in line
        ],
    )


def _across(name: str, rmse: float, ends: tuple[float, float], dash: str, colour: str) -> Scatter:
    from plotly.graph_objects import Scatter

    return Scatter(
        x=list(ends),
        y=[rmse, rmse],
        name=f"{name} {rmse:,.0f}",
        mode="lines",
        line={"dash": dash, "color": colour},
    )


def _rivals(rows: list[Row], ends: tuple[float, float]) -> Iterator[Scatter]:
    """Baselines; one that is far off can be switched on in the legend."""
    most = max(row.rmse for row in rows)
    for (name, rmse), dash in zip(baselines(rows).items(), ("dot", "dashdot"), strict=False):
        trace = _across(name, rmse, ends, dash, "#9aa5b1")
        if rmse > FAR * most:
            trace.visible = "legendonly"
        yield trace
