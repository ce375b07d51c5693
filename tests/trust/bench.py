"""A bench for neighbouring files: commands on a file, in a home of their own, under drowning noise."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from data.store import open_store
from dp.ledger import Ledger, local_secret
from flows.cli.app import app
from flows.settings import open_home
from flows.tracking import Tracker
from tests.trust.drowned import drown
from tests.trust.published import Published, differences, prefect_rows, published

TOKEN = "a-token-of-tests-0123456789"
Steps = Callable[["Bench", Path], None]


def with_settings(*values: str) -> list[str]:
    return [word for value in values for word in ("--set", value)]


@dataclass
class Bench:
    """Runs commands on a file in a home of their own, and keeps what was published."""

    folder: Path
    template: Path
    patch: pytest.MonkeyPatch
    said: dict[str, str]
    known: dict[str, Published]
    flows: set[str]
    numbers: Iterator[int]

    @property
    def source(self) -> Path:
        """The file: at the same place for both neighbours, since pictures are titled by it."""
        return self.folder / "data.csv"

    def command(self, *words: object) -> None:
        """One command; its output is part of what is published."""
        result = CliRunner().invoke(app, [str(word) for word in words])
        name = f"{len(self.said)} {' '.join(map(str, words[:2]))}"
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        self.said[name] = f"exit {result.exit_code}\n{result.stdout}\n{result.stderr}"

    def asked(self, *commands: str) -> None:
        """What anybody may ask of a home afterwards."""
        for line in (
            "budget show --json",
            "budget history --json",
            "budget export",
            "budget export --format registry",
            *commands,
        ):
            self.command(*line.split())

    def published(self, frame: pd.DataFrame, steps: Steps, secret: str | None = None) -> Published:
        """Everything that comes of a file."""
        place = self.place(frame, steps, secret)
        try:
            rows, self.flows = prefect_rows(self.flows)
            return published(place, {**self.said, "prefect": rows})
        finally:
            shutil.rmtree(place)

    def place(self, frame: pd.DataFrame, steps: Steps, secret: str | None = None) -> Path:
        """A folder in which the steps were done."""
        place = self.folder / f"{next(self.numbers):06d}"
        shutil.copytree(self.template, place / "var")
        if secret is not None:
            (place / "var" / "secret").write_text(secret)
        frame.to_csv(self.source, index="time" not in frame)
        self.patch.setenv("VEILCAST_HOME", str(place / "var"))
        self.said = {}
        steps(self, place)
        return place

    def compare(self, name: str, base: pd.DataFrame, change: Any, steps: Steps) -> None:
        """Fail with every place where a neighbour's differs; the base is run once for each name."""
        if name not in self.known:
            self.known[name] = self.published(base, steps)
            failed = [said for said in self.said.values() if not said.startswith("exit 0")]
            assert not failed, failed
        found = differences(self.known[name], self.published(change.applied(base), steps))
        assert not found, f"{change} is seen in {len(found)} places:\n" + "\n".join(found[:40])


@contextmanager
def opened(folder: Path) -> Iterator[Bench]:
    """A bench in a folder, with noise that drowns everything."""
    before = dict(
        os.environ
    )  # commands set what Prefect and MLflow read, by a folder that goes away
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", "4000")  # so that no table is folded by the length of a path
            patch.setenv("VEILCAST_HOME", str(folder / "template"))
            patch.setenv("VEILCAST_TOKEN", TOKEN)
            for name in ("VEILCAST_DATABASE_URL", "MLFLOW_TRACKING_URI"):
                patch.delenv(name, raising=False)
            home = open_home()
            Tracker(home).runs()
            open_store(home.database_url)
            Ledger(home.database_url)
            local_secret(home.secret)
            drown(patch)
            _, flows = prefect_rows(set())  # what earlier tests of this process ran
            yield Bench(folder, home.root, patch, {}, {}, flows, itertools.count())
    finally:
        os.environ.clear()
        os.environ.update(before)
