"""Credentials in made-up URLs of every driver: never shown, never kept, and the URL still works."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from data.errors import DataError
from data.events.connect import open_events
from data.sources import check, read
from data.sources.credentials import (
    PASSWORD,
    expanded,
    hidden,
    scrubbed,
    shown,
    unambiguous,
    without_secrets,
)

DRIVERS = (
    "postgresql",
    "postgresql+psycopg",
    "postgres",
    "mysql",
    "mysql+pymysql",
    "mariadb+mariadbconnector",
    "mssql+pyodbc",
    "oracle+oracledb",
    "snowflake",
    "bigquery",
    "sqlite",
    "duckdb",
    "clickhouse",
    "clickhouse+native",
    "trino",
    "redshift+psycopg2",
    "databricks",
    "impala",
    "exasol+websocket",
)
FORMS = (
    "{driver}://reader:{password}@db.example.org:5432/city#hourly",
    "{driver}://reader:{password}@db.example.org/city#public.hourly",
    "{driver}://:{password}@db.example.org/city#hourly",
    "{driver}://db.example.org/city?user=reader&password={password}#hourly",
    "{driver}://db.example.org/city?sslmode=require&pwd={password}#hourly",
    "{driver}://reader@db.example.org/city?sslpassword={password}#hourly",
    "{driver}:///?odbc_connect=DRIVER%3DODBC%3BUID%3Dreader%3BPWD%3D{password}#hourly",
    "{driver}://account/db/schema?warehouse=w&token={password}#hourly",
    "{driver}://project/dataset?credentials_base64={password}#hourly",
    "{driver}://reader:{password}@db.example.org:5432/city?api_key={password}",
    "{driver}://reader:{password}@[::1]:5432/city#hourly",
    "{driver}://reader:{password}@db.example.org:port/city#hourly",
    "{driver}:/reader:{password}@db.example.org/city#hourly",
    "{driver}://reader:{password}@db.example.org;password={password}#hourly",
    "{driver}://reader:{password}@",
)
ANY = st.text(st.characters(min_codepoint=33, max_codepoint=0x17F), min_size=4, max_size=20)
EVERYTHING = "".join(FORMS) + "".join(DRIVERS) + PASSWORD + "the source"


def url_of(driver: str, form: str, password: str) -> str:
    """The URL, unless the password could be read off the rest of it or names a variable."""
    assume(password.lower() not in EVERYTHING.lower() and not re.fullmatch(r"\$\{\w+\}", password))
    assume("%" not in password)  # what follows it would be read as an encoded letter
    if "=" in form.partition("{password}")[0]:  # within a query & and # end a value
        assume(not set(password) & set("&#"))
    return form.format(driver=driver, password=password)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in os.environ if one.startswith(PASSWORD)]:
        monkeypatch.delenv(name)


@settings(max_examples=600, deadline=None)
@given(
    driver=st.sampled_from(DRIVERS), form=st.sampled_from(FORMS), password=ANY, plain=st.booleans()
)
def test_no_password_is_shown_or_kept(driver: str, form: str, password: str, plain: bool) -> None:
    typed = password if plain else quote(password, safe="")
    assume(len(typed) >= 4)
    source = (
        url_of(driver, form, password).replace(password, typed)
        if not plain
        else url_of(driver, form, password)
    )
    kept, environment = without_secrets(source)
    for said in (shown(source), kept, shown(kept)):
        assert typed not in said, said
        assert password not in said, said
    references = {f"${{{name}}}": value for name, value in environment.items()}
    back = re.sub(r"\$\{\w+\}", lambda found: references.get(found[0], found[0]), kept)
    assert back == source


def _said(attempt: Any, source: str) -> str:
    try:
        attempt(source)
    except DataError as error:
        return str(error)
    return ""


@settings(max_examples=300, deadline=None)
@given(driver=st.sampled_from(DRIVERS), form=st.sampled_from(FORMS), password=ANY)
def test_no_reader_quotes_it(driver: str, form: str, password: str) -> None:
    assume(password not in "127.0.0.1:1")  # which is told
    source = url_of(driver, form, password).replace("db.example.org", "127.0.0.1:1")
    for attempt in (check, read, lambda url: open_events(url).__enter__()):
        said = _said(attempt, source)
        # the same words are said of any other password
        other = url_of(driver, form, "ÆØÅ" * 3).replace("db.example.org", "127.0.0.1:1")
        assert password not in said or password in _said(attempt, other)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(DRIVERS), ANY), min_size=2, max_size=5))
def test_no_two_sources_share_a_variable(pairs: list[tuple[str, str]]) -> None:
    sources = [url_of(driver, FORMS[0], password) for driver, password in pairs]
    before = dict(os.environ)
    try:
        kept = [hidden(source) for source in sources]
        assert [expanded(one) for one in kept] == sources
        assert [hidden(source) for source in sources] == kept  # and again the same names
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]


@pytest.mark.parametrize("password", ["0:0@", "00:@", "a;b=@c"])
def test_an_at_in_a_query_makes_no_login(password: str) -> None:
    source = f"postgresql://db.example.org/city?user=reader&password={password}#hourly"
    kept, environment = without_secrets(source)
    assert password not in kept
    for name, value in environment.items():
        kept = kept.replace(f"${{{name}}}", value)
    assert kept == source


def test_an_at_in_a_password_among_parameters_is_hidden_with_what_follows() -> None:
    kept, _ = without_secrets("snowflake://reader:@000@db.example.org;password=@000#hourly")
    assert "000" not in kept


def test_the_first_password_keeps_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, environment = without_secrets("postgresql://me:hunter2@host/db#t")
    assert kept == "postgresql://me:${VEILCAST_SOURCE_PASSWORD}@host/db#t"
    assert environment == {PASSWORD: "hunter2"}
    monkeypatch.setenv(PASSWORD, "of another")
    kept, environment = without_secrets("postgresql://me:hunter2@host/db#t")
    assert set(environment.values()) == {"hunter2"}
    assert PASSWORD not in environment
    assert "hunter2" not in kept


@pytest.mark.parametrize(
    "source",
    [
        "counts.csv",
        "paris-cdr",
        "synthetic:days=90,seed=2",
        "${URL}#t",
        "sqlite:////data/x.db#t",
        "sqlite:////home/me@work/x.db#t",
        "postgresql://me:${PW}@host/db#t",
        "duckdb:///data/x.duckdb?access_mode=read_only#t",
        "postgresql://me@host/db?sslmode=require#t",
        "events/key=3/part.parquet",
    ],
)
def test_what_holds_no_secret_stays(source: str) -> None:
    assert without_secrets(source) == (source, {})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("postgresql+psycopg://me:pw@Host:5432/db?sslmode=x#s.t", "postgresql://Host:5432/db#s.t"),
        ("sqlite:////home/me@work/x.db#t", "sqlite:////home/me@work/x.db#t"),
        ("postgresql://me@corp:pw@host/db#t", "postgresql://host/db#t"),
        ("postgresql://host/db?user=me@corp&password=pw#t", "postgresql://…"),
        ("postgresql://me:p@ss@host/db#t", "postgresql://…"),
        ("postgresql://me:${PW}@[::1]/db#t", "postgresql://[::1]/db#t"),
        ("counts.csv", "counts.csv"),
    ],
)
def test_what_is_shown(source: str, said: str) -> None:
    assert shown(source) == said


@pytest.mark.parametrize("password", ["p@ssword", "pass@word/1", "pass#word@1", "pa?ss@word"])
def test_an_at_in_a_password_is_refused_with_the_way_out(password: str) -> None:
    source = f"postgresql://me:{password}@127.0.0.1:1/db#t"
    for attempt in (check, read, unambiguous, lambda url: open_events(url).__enter__()):
        with pytest.raises(DataError, match="write @ as %40") as error:
            attempt(source)
        assert password not in str(error.value)
        assert "word" not in str(error.value).replace("password", "")


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(DataError, match="variable NO_SUCH_VARIABLE is not set"):
        read("postgresql://me:${NO_SUCH_VARIABLE}@127.0.0.1:1/db#t")


def test_a_driver_may_quote_it() -> None:
    said = scrubbed('no host "hunter2x"', "postgresql://me:hunter2x@h/db?password=s%40cret#t")
    assert said == 'no host "***"'


@pytest.mark.parametrize(
    "query",
    [
        "driver=ODBC+Driver+18;UID=me;PWD=Secret1",
        "options=-c%20password=Secret1",
        "database=x%3Bpassword%3DSecret1",
        "service=x%26password=Secret1",
        "host=me:Secret1@h",
    ],
)
def test_a_secret_within_a_harmless_parameter_is_moved(query: str) -> None:
    source = f"mssql+pyodbc://h/db?{query}#t"
    kept, made = without_secrets(source)
    assert "Secret1" not in kept
    assert "Secret1" not in shown(source)
    assert any("Secret1" in value for value in made.values())
