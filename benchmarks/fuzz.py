"""Hostile input for everything that reads: files, tables, recipes, names, checkpoints, kept releases.

    python benchmarks/fuzz.py [--inputs 100000] [--seed 1] [--only NAME]

Inputs are made by hypothesis: text and bytes of any kind, and valid ones with some bytes changed, cut
out or put in. Whatever is read must be read, or be refused by one of the errors that are the user's to
mend; anything else is a crash, and is printed with its input. A refusal that quotes a count is a leak.
Exit 1 if there is either.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import sqlite3
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hostile import (
    BATCH,
    CELLS,
    MARKER,
    NAMES,
    RECIPES,
    TEXT,
    batched,
    changed,
    checkpoints,
    csvs,
    frame,
    number,
    parquets,
    setting,
    word,
)
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from data import sources, validate
from data.errors import DataError
from data.sources.credentials import without_secrets
from data.spans import to_span
from dp.budget import Budget, BudgetRefused
from dp.errors import LedgerError
from dp.ledger import Charge, Ledger
from dp.release.panel import panel_of
from dp.unit.period import Period
from dp.unit.privacy_unit import PrivacyUnit, parse_unit
from flows.errors import UsageError
from flows.recipe.load import override
from flows.recipe.recipe import from_dict
from models import checkpoint
from models.config import ForecasterConfig
from models.errors import ModelError
from models.forecasters import new


def read_file(folder: Path, name: str) -> Callable[[bytes], None]:
    path = folder / name

    def read(content: bytes) -> None:
        path.write_bytes(content)
        validate.to_panel(sources.read(str(path)))

    return read


def read_table(folder: Path) -> Callable[[Any], None]:
    """Any names of tables and columns, any cells; and names asked for that are there or not."""
    path = folder / "counts.db"

    def quoted(name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def read(given: tuple[str, list[str], list[Any], str]) -> None:
        table, columns, cells, asked = given
        path.unlink(missing_ok=True)
        with sqlite3.connect(path) as connection:
            try:
                names = ", ".join(quoted(name) for name in columns)
                connection.execute(f"CREATE TABLE {quoted(table)} ({names})")
                marks = ", ".join("?" * len(columns))
                row = (cells * len(columns))[: len(columns)]
                connection.executemany(f"INSERT INTO {quoted(table)} VALUES ({marks})", [row, row])
            except (sqlite3.Error, ValueError, UnicodeEncodeError, OverflowError):
                return  # not a table that SQLite has
            finally:
                connection.commit()
        try:
            validate.to_panel(sources.read(f"sqlite:///{path}#{asked or table}"))
        finally:
            with sqlite3.connect(
                path
            ) as connection:  # whatever was asked, the table is still there
                found = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
                assert found == 1, "the table is gone"

    return read


def spend() -> Callable[[Any], None]:
    """Keys, names and units of anybody's making, in one ledger."""
    import datetime as dt

    ledger = Ledger("sqlite://")
    start = dt.datetime(2024, 1, 1)
    period = Period(start, start + dt.timedelta(days=1), dt.timedelta(hours=1))

    def charge(given: tuple[str, str, str]) -> None:
        key, dataset, population = given
        made = Charge(
            key=key,
            dataset=dataset,
            fingerprint=key,
            period=period,
            unit=PrivacyUnit.USER_DAY,
            epsilon=0.1,
            delta=1e-7,
            purpose="panel",
            population=population,
            event={
                "mechanism": "discrete-gaussian",
                "sigma": 900.0,
                "intervals": 24,
                "regions": 1,
                "weight": 1,
                "panel": {"observed": 24, "interval_seconds": 3600.0, "regions": 1},
            },
        )
        entry = ledger.reserve(made)
        assert ledger.find(key) is not None
        ledger.void(entry)

    return charge


def read_checkpoint(content: bytes) -> None:
    checkpoint.unpacked(content)


def read_config(folder: Path) -> Callable[[bytes], None]:
    place = folder / "model"
    config = ForecasterConfig(model="gru", hidden=2, regions=("a", "b"), lags=2)
    checkpoint.save(new(config, seed=0), place, {})

    def read(content: bytes) -> None:
        (place / checkpoint.CONFIG).write_bytes(content)
        checkpoint.load(place)
        checkpoint.load_extra(place)

    return read


def read_recipe(content: bytes) -> None:
    import tomlkit

    try:
        values = tomlkit.parse(content.decode()).unwrap()
    except (UnicodeDecodeError, tomlkit.exceptions.TOMLKitError):
        return  # `flows.recipe.load.load` says so
    from_dict(values)


def read_settings(given: list[str]) -> None:
    from_dict(override({}, given))


def read_word(text: str) -> None:
    with suppress(DataError):
        without_secrets(text)
    for reader in (parse_unit, to_span):
        try:
            reader(text)
        except ValueError as error:
            if type(error) not in (ValueError, DataError):
                raise
    sources.read(text)


def read_budget(given: tuple[float, float]) -> None:
    try:
        Budget(*given)
    except ValueError as error:
        if type(error) is not ValueError:
            raise


def targets(folder: Path) -> dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], None], float]]:
    """What is read: made how, by what, and its share of all inputs."""
    release = io.BytesIO()
    frame().to_parquet(release)
    configuration = read_config(folder)
    config = (folder / "model" / checkpoint.CONFIG).read_bytes()
    table = st.tuples(
        NAMES | TEXT,
        st.lists(NAMES | TEXT, min_size=1, max_size=4),
        st.lists(CELLS, min_size=1, max_size=4),
        NAMES | TEXT,
    )
    tables = st.lists(table, min_size=BATCH, max_size=BATCH)
    return {
        "csv": (batched(changed(csvs())), read_file(folder, "c.csv"), 2.0),
        "csv.gz": (
            batched(changed([gzip.compress(one) for one in csvs()])),
            read_file(folder, "c.csv.gz"),
            1.0,
        ),
        "parquet": (batched(changed(parquets())), read_file(folder, "c.parquet"), 3.0),
        "sql": (tables, read_table(folder), 0.5),
        "words": (batched(word), read_word, 15.0),
        "recipes": (batched(changed(RECIPES)), read_recipe, 20.0),
        "settings": (batched(setting), read_settings, 20.0),
        "budgets": (batched(number), read_budget, 15.0),
        "ledger names": (
            st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=BATCH, max_size=BATCH),
            spend(),
            0.5,
        ),
        "checkpoints": (batched(changed(checkpoints())), read_checkpoint, 13.0),
        "model configurations": (batched(changed([config])), configuration, 5.0),
        "kept releases": (batched(changed([release.getvalue()])), panel_of, 5.0),
    }


EXPECTED = (DataError, UsageError, ModelError, LedgerError, BudgetRefused)


def tried(
    name: str, strategy: st.SearchStrategy[Any], read: Callable[[Any], None], count: int, of: int
) -> list[dict[str, str]]:
    """Read `count` batches; what was not read and not refused properly, each kind once."""
    found: dict[str, dict[str, str]] = {}

    @seed(of)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(batch: list[Any]) -> None:
        for one in batch:
            attempt(one)

    def attempt(one: Any) -> None:
        try:
            read(one)
        except EXPECTED as error:
            # what is asked for may be quoted, a cell may not
            if MARKER in str(error) and name in ("csv", "parquet", "sql"):
                found.setdefault(f"leak {type(error).__name__}", _told(one, error))
        except Exception as error:
            at = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} {Path(at.filename).name}:{at.lineno}"
            found.setdefault(kind, _told(one, error))

    each()
    return [{"target": name, "kind": kind, **told} for kind, told in found.items()]


def _told(one: Any, error: Exception) -> dict[str, str]:
    ours = [
        f"{Path(at.filename).name}:{at.lineno}"
        for at in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in at.filename
    ]
    return {
        "input": repr(one)[:400],
        "error": f"{type(error).__name__}: {error}"[:200],
        "through": " ".join(ours[-3:]),
    }


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--inputs", type=int, default=100_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--only")
    asked = arguments.parse_args()
    warnings.simplefilter("ignore")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        os.chdir(place)  # names without a folder are looked up here
        every = targets(Path(place))
        counts, faults = {}, []
        for name, (strategy, read, share) in every.items():
            if asked.only and name != asked.only:
                continue
            batches = max(1, round(asked.inputs * share / 100 / BATCH))
            counts[name] = batches * BATCH
            begun = time.perf_counter()
            faults += tried(name, strategy, read, batches, asked.seed)
            spent = time.perf_counter() - begun
            print(f"{name}: {counts[name]} in {spent:.0f} s", file=sys.stderr, flush=True)
    print(
        json.dumps(
            {
                "inputs": sum(counts.values()),
                "of": counts,
                "faults": faults,
                "seconds": round(time.perf_counter() - started, 1),
                "ratio_of_faults": len(faults) / max(1, sum(counts.values())),
            },
            indent=2,
        )
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
