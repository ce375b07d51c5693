"""A secret of the source's URL is looked for wherever anything is kept or said."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sqlite3
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from sqlalchemy import create_engine
from typer.testing import CliRunner

from data.store import open_store
from flows import jobs
from flows.cli.app import app
from flows.deploy.deployments import deployments, to_yaml
from flows.errors import UsageError
from flows.recipe.load import compose
from flows.recipe.recipe import from_dict
from flows.service.latest import Latest
from flows.settings import Home
from flows.sweep.grid import Grid

SECRET = "987612345"
"""A number that SQLite takes as a setting, and that a recipe must not keep."""
URLS = (
    "postgresql://reader:{}@h/db#t",
    "postgresql+psycopg://h/db?user=u&password={}#t",
    "mysql+pymysql://reader:{}@h/db?charset=utf8#t",
    "mssql+pyodbc:///?odbc_connect=UID%3Du;PWD%3D{}#t",
    "snowflake://u:{}@account/db/schema?warehouse=w#t",
    "bigquery://p/ds?credentials_base64={}#t",
    "trino://u:{}@h:8080/cat/schema#t",
    "clickhouse://h/db?user=u&password={}#t",
    "duckdb:////tmp/x.duckdb?motherduck_token={}#t",
    "sqlite:////tmp/x.db?key={}#t",
)
ANY = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x17F, exclude_characters='&#%$"\\'),
    min_size=4,
    max_size=16,
)


@settings(max_examples=60, deadline=None)
@given(url=st.sampled_from(URLS), secret=ANY)
def test_no_recipe_grid_or_deployment_keeps_it(url: str, secret: str) -> None:
    source = url.format(secret)
    plain = from_dict({"privacy": {"unit": "user-day"}})
    known = plain.to_toml() + to_yaml(deployments(plain.to_dict(), {})) + "".join(URLS)
    known += "VEILCAST_SOURCE_PASSWORD_0123456789ABCDEF account: city"
    assume(secret.lower() not in known.lower())
    given_ = {"source": {"name": source, "account": "city"}, "privacy": {"unit": "user-day"}}
    asked = from_dict(given_)
    grid = Grid(
        given_,
        ("input",),
        ("user-day",),
        (1.0,),
        ("ridge",),
        ("adam",),
        settings=(f"source.name={json.dumps(source)}", f"source.name={source}"),
    )
    said = [
        asked.to_toml(),
        repr(asked.to_dict()),
        repr(compose(None, {"source.name": source}, [])),
        repr(asdict(grid)),
        to_yaml(deployments(given_, {})),
        repr([one.parameters for one in deployments(given_, {})]),
    ]
    for one in said:
        assert secret not in one
        assert json.dumps(secret)[1:-1] not in one


@pytest.mark.parametrize(
    "values",
    [
        {"source": f"postgresql://me:{SECRET}@h/db#t"},
        {"source": {"name": "x", "events": f"postgresql://me:{SECRET}@h/db#t"}},
        {"source": {"persons": f"postgresql://me:{SECRET}@h/db#t"}},
    ],
)
def test_no_refusal_quotes_it(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as error:
        from_dict(values)
    assert SECRET not in str(error.value)


def test_it_is_nowhere_after_a_loop_a_training_and_a_sweep(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for folder in (home.root, home.artifacts, home.reports):
        folder.mkdir(parents=True)
    monkeypatch.setenv("VEILCAST_HOME", str(home.root))
    caplog.set_level(logging.DEBUG)
    database = f"sqlite:///{tmp_path / 'source.db'}"
    times = pd.date_range("2024-01-01", periods=12 * 35, freq="2h", name="time")
    counts = 2000 + np.random.default_rng(3).integers(0, 60, (len(times), 2))
    frame = pd.DataFrame(counts, times, ["north", "south"]).reset_index()
    frame.to_sql("counts", create_engine(database), index=False)
    source = f"{database}?cached_statements={SECRET}#counts"
    windows = {"lags": 4, "around": 1, "seasons": 2, "test": "4d", "validation": "0d"}
    values = {
        "source": {"name": source},
        "windows": windows,
        "model": {"name": "ridge"},
        "privacy": {"unit": "user-day", "epsilon": 2.0, "delta": 1e-6},
    }
    plan = from_dict(values).to_dict()
    said = [json.dumps(jobs.forecast(plan))]
    service = Latest(open_store(home.database_url))
    said.append(asyncio.run(service.streams()).decode())
    assert "counts" in said[-1]
    small = [
        word for name, value in windows.items() for word in ("--set", f"windows.{name}={value}")
    ]
    for arguments in (
        ["train", "--source", source, "--unit", "user-week", "--model", "ridge", "--json", *small],
        [
            "sweep",
            "--source",
            source,
            "--unit",
            "user-week",
            "--epsilon",
            "1",
            "--model",
            "ridge",
            "--seeds",
            "1",
            "--json",
            *small,
        ],
        ["runs"],
        ["budget", "show"],
        ["budget", "history"],
        ["budget", "export"],
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        said += [result.output, result.stderr]
    said.append(caplog.text)
    assert not [text for text in said if SECRET in text]
    for path in home.root.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path
    url = PREFECT_API_DATABASE_CONNECTION_URL.value()
    prefect = Path(str(url).partition("///")[2].partition("?")[0])
    with sqlite3.connect(f"file:{prefect}?mode=ro", uri=True) as connection:
        dumped = "\n".join(connection.iterdump())
    assert re.search(r"VEILCAST_SOURCE_PASSWORD", dumped)  # parameters are there, and refer to it
    assert SECRET not in dumped
