"""One place, one identity, however it is spelt; two tables are never taken for one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import DataError
from data.sources import identities

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
Urls = st.SearchStrategy[str]
SERVERS = {
    "postgresql": (("postgresql", "postgres", "postgresql+psycopg"), 5432, "public"),
    "mysql": (("mysql", "mysql+pymysql", "mariadb", "mariadb+mariadbconnector"), 3306, None),
    "mssql": (("mssql", "mssql+pyodbc", "mssql+pymssql"), 1433, "dbo"),
    "snowflake": (("snowflake",), None, "public"),
    "clickhouse": (("clickhouse", "clickhouse+http"), 8123, None),
    "trino": (("trino",), 8080, "default"),
}
LOCAL = (
    "localhost",
    "LOCALHOST",
    "127.0.0.1",
    "127.0.1.1",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "localhost.",
)


@pytest.fixture(autouse=True)
def no_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGPORT", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("A_PASSWORD", "p;w")


def spelt(dialect: str, hosts: tuple[str, ...], database: str, schema: str, table: str) -> Urls:
    """URLs of one table: drivers, credentials, hosts, ports, parameters, the schema left out or not."""
    drivers, port, default = SERVERS[dialect]
    places = [f"{schema}.{table}"] + ([table] if schema == default else [])
    if default is None:
        places = [table, f"{database}.{table}"]
    return st.builds(
        "{}://{}{}{}/{}{}#{}".format,
        st.sampled_from(drivers),
        st.sampled_from(["", "me@", "me:p%40ss@", "other:${A_PASSWORD}@"]),
        st.sampled_from(hosts),
        st.sampled_from(["", *([] if port is None else [f":{port}"])]),
        st.just(database),
        st.sampled_from(["", "?sslmode=require", "?password=Secret1"]),
        st.sampled_from(places),
    )


@settings(max_examples=300, deadline=None)
@given(
    data=st.data(),
    dialect=st.sampled_from(sorted(SERVERS)),
    host=st.one_of(st.just(""), NAMES),
    database=NAMES,
    schema=NAMES,
    table=NAMES,
    usual=st.booleans(),
)
def test_many_spellings_of_a_table_are_one(
    data: st.DataObject,
    dialect: str,
    host: str,
    database: str,
    schema: str,
    table: str,
    *,
    usual: bool,
) -> None:
    default = SERVERS[dialect][2]
    schema = database if default is None else default if usual else schema
    name = f"{host}.example.org"
    hosts = (name, name.upper(), f"{name}.") if host or dialect == "snowflake" else LOCAL
    urls = spelt(dialect, hosts, database, schema, table)
    first, second = data.draw(urls), data.draw(urls)
    found = identities(first)
    assert found == identities(second)
    assert "Secret1" not in str(found)
    assert identities(second.partition("#")[0], f'SELECT * FROM {schema}."{table}"') == found


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(SERVERS)), NAMES, st.sampled_from((1, 2)), NAMES, NAMES, NAMES
        ),
        min_size=2,
        max_size=2,
        unique=True,
    )
)
def test_two_tables_are_never_one(pair: list[tuple[str, str, int, str, str, str]]) -> None:
    def place(dialect: str, host: str, port: int, database: str, schema: str, table: str) -> str:
        return f"{dialect}://{host}.org:{port}/{database}#{schema}.{table}"

    def what(dialect: str, host: str, port: int, database: str, schema: str, table: str) -> object:
        # a schema of MySQL is a database: the one of the URL does not matter then
        flat = SERVERS[dialect][2] is None
        return (dialect, host, port, None if flat else database, schema, table)

    first, second = pair
    same = identities(place(*first)) == identities(place(*second))
    assert same == (what(*first) == what(*second))


def test_files_are_their_real_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tmp_path / "data" / "counts.csv"
    real.parent.mkdir()
    real.touch()
    (tmp_path / "link.csv").symlink_to(real)
    (tmp_path / "folder").symlink_to(real.parent)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLACE", "data")
    names = (
        "data/counts.csv",
        "./data/counts.csv",
        str(real),
        "link.csv",
        "folder/counts.csv",
        "data/../data/counts.csv",
        "~/data/counts.csv",
        "${PLACE}/counts.csv",
        "data//counts.csv",
    )
    assert {identities(one) for one in names} == {(f"file:{real}",)}
    assert identities("data/") == identities("folder") == (f"file:{real.parent}",)
    assert identities("data/Counts.csv") != identities("data/counts.csv")
    other = real.with_name("other.csv")
    assert identities(str(other)) == (f"file:{other}",)


@pytest.mark.parametrize("dialect", ["sqlite", "duckdb"])
def test_database_files_are_their_real_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dialect: str
) -> None:
    (tmp_path / "a.db").touch()
    (tmp_path / "b.db").symlink_to(tmp_path / "a.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLACE", str(tmp_path))
    urls = [
        f"{dialect}:///a.db#t",
        f"{dialect}:///b.db#main.T",
        f"{dialect}:///{tmp_path}/x/../a.db#t",
        f"{dialect}:///${{PLACE}}/a.db#t",
    ]
    if dialect == "sqlite":
        urls += ["sqlite+pysqlite:///a.db#t", f"sqlite:///file:{tmp_path}/b.db?mode=ro&uri=true#t"]
    assert {identities(one) for one in urls} == {(f"{dialect}://{tmp_path}/a.db#main.t",)}
    assert identities(f"{dialect}:///a.db", "SELECT * FROM t") == identities(urls[0])
    assert identities(f"{dialect}:///a.db#u") != identities(urls[0])


def test_a_socket_and_the_library_s_defaults_are_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = identities("postgresql://localhost/city#t")
    assert identities("postgresql:///city?host=/var/run/postgresql#t") == here
    assert identities("postgresql:///?dbname=city&host=127.0.0.1&port=5432#t") == here
    assert identities("postgresql://city@/#t") == here  # a user's own database
    monkeypatch.setenv("PGHOST", "far.org")
    monkeypatch.setenv("PGPORT", "5433")
    assert identities("postgresql:///city#t") == identities("postgresql://far.org:5433/city#t")


def test_a_schema_that_is_searched_first_is_the_usual_one() -> None:
    searched = "postgresql://h/db?options=-csearch_path%3Dmobility#t"
    assert identities(searched) == identities("postgresql://h/db#mobility.t")
    assert identities(searched) != identities("postgresql://h/db#t")


def test_the_published_and_the_made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "paris-cdr" / "ML_final_df_real.csv"
    monkeypatch.setenv("VEILCAST_DATA", str(tmp_path))
    file.parent.mkdir()
    file.touch()
    assert identities("paris-cdr") == ("paris-cdr", f"file:{file}")
    assert identities("synthetic") == identities("synthetic:seed=1") == identities("synthetic:,")
    assert identities("synthetic:days=7,seed=2") == identities("synthetic:seed=2, days=7")
    assert identities("synthetic:seed=2") != identities("synthetic")


@pytest.mark.parametrize(
    ("query", "tables"),
    [
        ("SELECT * FROM a", "a"),
        ("SELECT * FROM A JOIN public.b USING (x)", "a b"),
        ('SELECT * FROM "A"', "A"),
        ("WITH a AS (SELECT * FROM a) SELECT * FROM a", "a"),
        ("WITH c AS (SELECT * FROM a) SELECT * FROM c WHERE x IN (SELECT y FROM b)", "a b"),
        ("SELECT * FROM a UNION ALL SELECT * FROM b", "a b"),
        ("SELECT (SELECT max(x) FROM b) FROM (SELECT * FROM a) AS q", "a b"),
        ("SELECT * FROM a, LATERAL (SELECT * FROM b WHERE b.x = a.x) AS q", "a b"),
        ("SELECT * FROM a WHERE time >= :since AND EXISTS (SELECT 1 FROM b)", "a b"),
    ],
)
def test_a_query_is_every_table_that_it_reads(query: str, tables: str) -> None:
    expected = tuple(f"postgresql://h/db#public.{one}" for one in tables.split())
    assert identities("postgresql://me:Secret1@h/db", query) == expected


@pytest.mark.parametrize(
    "query",
    [
        "SELECT",
        "SELECT 1",
        "SELECT * FROM a; SELECT * FROM b",
        "DELETE FROM a",
        "COPY a TO 'x'",
        "SELECT * FROM generate(1, 'Marie')",
        "SELECT * FROM (((",
    ],
)
def test_a_query_whose_tables_cannot_be_told_is_refused(query: str) -> None:
    with pytest.raises(DataError, match=r"which account is charged.*source\.account") as error:
        identities("postgresql://me:Secret1@h/db", query)
    assert "Secret1" not in str(error.value)
    assert "Marie" not in str(error.value)


def test_what_names_no_table_is_refused() -> None:
    for source in ("postgresql://me:Secret1@h/db", "postgresql://me:Sec@ret1@h/db#t"):
        with pytest.raises(DataError) as error:
            identities(source)
        assert "ret1" not in str(error.value)


def test_a_query_may_open_a_file() -> None:
    found = identities("duckdb:////tmp/x.duckdb", "SELECT * FROM 'counts.csv'")
    assert found == identities("counts.csv") == (f"file:{os.path.realpath('counts.csv')}",)


@pytest.mark.parametrize("dialect", ["redshift", "presto", "hive", "exasol", "db2", "cockroachdb"])
def test_where_case_may_not_matter_two_spellings_share_an_account(dialect: str) -> None:
    upper, lower = (
        identities(f"{dialect}://h/db", f"SELECT time FROM {name}") for name in ("Calls", "calls")
    )
    assert upper == lower


def test_a_port_is_the_same_behind_a_comma() -> None:
    assert identities("mssql+pyodbc://h,1433/db#t") == identities("mssql://h/db#dbo.t")


def test_several_hosts_have_a_name() -> None:
    assert identities("postgresql://h1:5432,h2:5432/db#t")
