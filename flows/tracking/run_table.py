"""Runs as a table: filtered by a condition, compared, exported."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd

from flows.document import Document
from flows.errors import UsageError

Run = Document
FIELDS = (
    "run_id",
    "started",
    "source",
    "model",
    "optimizer",
    "mechanism",
    "unit",
    "epsilon",
    "delta",
    "sigma",
    "seed",
    "rmse",
    "mae",
    "persistence_rmse",
)
"""Of a run, as `Tracker.runs` gives them; a condition is understood without any run."""
KINDS = (".csv", ".parquet", ".json")


def where(runs: list[Run], condition: str) -> list[Run]:
    """Runs that meet a condition, in SQL: `unit = 'user' and epsilon <= 1`.

    Args:
        runs: as `Tracker.runs` gives them.
        condition: over their fields.

    Raises:
        UsageError: it cannot be understood.
    """
    table = pd.DataFrame(runs or [dict.fromkeys(FIELDS)]).iloc[: len(runs)]
    with duckdb.connect(config={"enable_external_access": "false"}) as connection:
        connection.register("runs", table.assign(place=range(len(table))))
        connection.execute("SET lock_configuration = true")
        try:
            rows = connection.sql("FROM runs").filter(condition).order("place").project("place")
            return [runs[at] for (at,) in rows.fetchall()]
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise UsageError(
                f"--where {condition!r}: {reason}; fields are {', '.join(table.columns)}"
            ) from None


def compare(first: Run, second: Run, settings: tuple[Run, Run]) -> Document:
    """Compare two runs: settings that differ, and errors.

    Args:
        first: figures of one.
        second: figures of the other.
        settings: parameters of both.
    """
    one, other = settings
    differ = {
        name: [one.get(name), other.get(name)]
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name)
    }
    errors = {
        name: [first[name], second[name]]
        for name in ("rmse", "mae")
        if first[name] and second[name]
    }
    return {
        "runs": [first["run_id"], second["run_id"]],
        "settings": differ,
        "errors": {
            name: {"values": values, "ratio": values[1] / values[0]}
            for name, values in errors.items()
        },
    }


def export(runs: list[Run], path: Path) -> Path:
    """Write runs as CSV, Parquet or JSON, by the name's ending.

    Raises:
        UsageError: another ending, or the folder is not there.
    """
    if path.suffix not in KINDS:
        raise UsageError(f"--export {path}: expected a name that ends with {', '.join(KINDS)}")
    if not path.parent.is_dir():
        raise UsageError(f"--export {path}: there is no folder {path.parent}")
    table = pd.DataFrame(runs)
    partial = path.with_name(f".{path.name}.partial")
    if path.suffix == ".csv":
        table.to_csv(partial, index=False)
    elif path.suffix == ".parquet":
        table.to_parquet(partial, index=False)
    else:
        table.to_json(partial, orient="records", indent=2)
    partial.replace(path)
    return path
