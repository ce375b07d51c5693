"""Canonical names of data sets: one place has one identity, in any spelling.

Charges for releases use these names. What cannot be resolved without a connection stays separate:
aliases of a host in the DNS, copies and hard links of a file, and views.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from data.errors import DataError
from data.sources.credentials import FILES, Address, connectable, expanded, shown, unambiguous

if TYPE_CHECKING:
    from sqlglot import exp

DIALECTS = {
    "postgres": "postgresql",
    "mariadb": "mysql",
    "sqlserver": "mssql",
    "clickhousedb": "clickhouse",
}
_PORTS = {
    "postgresql": 5432,
    "mysql": 3306,
    "mssql": 1433,
    "oracle": 1521,
    "clickhouse": 8123,
    "clickhouse+native": 9000,
    "trino": 8080,
    "snowflake": 443,
    "redshift": 5439,
    "exasol": 8563,
    "databricks": 443,
}
_SCHEMAS = {
    "postgresql": "public",
    "redshift": "public",
    "mssql": "dbo",
    "sqlite": "main",
    "duckdb": "main",
    "snowflake": "public",
    "trino": "default",
    "databricks": "default",
}
_FLAT = ("mysql", "clickhouse", "bigquery", "impala")
"""Dialects whose schemas are databases."""
_EXACT = ("postgresql", "clickhouse", "bigquery")
"""Dialects in which two names that differ in case are two tables; in others they share an account."""
_PARSERS = {"postgresql": "postgres", "mssql": "tsql", "impala": "hive"}
"""Names of dialects in sqlglot, where they differ."""
_WAY_OUT = (
    "the tables that a query reads decide which account is charged; write it as a SELECT from tables "
    "by name, or name source.account"
)


def identities(source: str, query: str | None = None) -> tuple[str, ...]:
    """Return the names that identify a data set, in any spelling of its source.

    Args:
        source: as for `data.sources.read` and `data.events.read.read_events`.
        query: for a database URL without `#table`; there is one name for every table that it reads.

    Returns:
        One name or several, none of them with a credential.

    Raises:
        DataError: the source cannot be parsed, or the tables of the query cannot be determined.
    """
    if source.partition(":")[0] == "synthetic" and "://" not in source:
        return (_city(source),)
    if source == "paris-cdr":
        return _paris()
    if "://" not in source and not source.startswith("${"):
        return (_file(source),)
    if "://" not in expanded(source):
        return (_file(expanded(source)),)
    full = connectable(source)
    address = unambiguous(full)
    if query is not None:
        return _tables_of(query, address)
    if not address.table:
        raise DataError(f"{shown(full)}: no table is named; write URL#table")
    return (_table(address, address.table.split(".")),)


def _city(source: str) -> str:
    """Return the name of the made-up city with all of its settings, in one order."""
    from data.sources.synthetic import described

    return "synthetic:" + ",".join(
        f"{name}={value}" for name, value in sorted(asdict(described(source)).items())
    )


def _paris() -> tuple[str, ...]:
    """Return the names of the published data set and of its copy on this machine, if any."""
    from data.sources.paris import copy

    path = copy()
    return ("paris-cdr", *([_file(str(path))] if path else []))


def _file(source: str) -> str:
    """Return the name of a file or folder, without links, `..` and `~`."""
    path = Path(source)
    if not path.exists():
        path = Path(os.path.expandvars(source)).expanduser()
    return f"file:{path.resolve()}"


def _table(address: Address, parts: list[str]) -> str:
    """Return the name of a table by its place: `dialect://host:port/database#schema.table`.

    Args:
        address: of the database.
        parts: of the table's name, the last of them its own.
    """
    driver = address.scheme.lower()
    dialect = driver.partition("+")[0]
    dialect = DIALECTS.get(dialect, dialect)
    if dialect in FILES:
        place, default = _database_file(address), "main"
        database = ""
    else:
        settings = {key.lower(): value for key, value in parse_qsl(address.query or "")}
        host, port = _server(address, dialect, driver, settings)
        database, default = _database(address, dialect, settings)
        if dialect == "bigquery" and not host:
            host = database
        place = f"{host}{port}"
    *before, table = (part if dialect in _EXACT else part.lower() for part in parts)
    schema = before[-1] if before else default
    if dialect in _FLAT:
        database, schema = schema if before else database, ""
        if len(before) > 1:
            place = before[-2]
    elif len(before) > 1 and dialect not in FILES:
        database = before[-2]
    if dialect not in _EXACT:
        database, schema = database.lower(), schema.lower()
    middle = "" if dialect in FILES else f"/{database}"
    return (
        f"{dialect}://{place}{middle}#{schema}.{table}"
        if schema
        else (f"{dialect}://{place}{middle}#{table}")
    )


def _database_file(address: Address) -> str:
    """Return the resolved path of an SQLite or DuckDB file."""
    place = address.path.removeprefix("/")
    if "uri=" in (address.query or ""):
        place = unquote(re.sub(r"^file:(?://(?:localhost)?(?=/))?", "", place))
    if place in ("", ":memory:") or place.startswith(("md:", "motherduck:")):
        return place or ":memory:"
    return str(
        Path(place).expanduser().resolve() if place.startswith("~") else Path(place).resolve()
    )


def _server(
    address: Address, dialect: str, driver: str, settings: dict[str, str]
) -> tuple[str, str]:
    """Return host and port; all names of this machine are one, and default ports are dropped."""
    host = settings.get("host") or address.host or settings.get("hostaddr") or ""
    port = settings.get("port") or address.port
    if dialect == "postgresql":  # what libpq falls back to
        host, port = host or os.environ.get("PGHOST", ""), port or os.environ.get("PGPORT", "")
    if not address.host and host.rpartition(":")[2].isdigit() and not port:
        host, _, port = host.rpartition(":")
    if dialect == "mssql" and "," in host:  # as its drivers write a port
        host, _, port = host.partition(",")
    usual = _PORTS.get(driver, _PORTS.get(dialect))
    if not port.isdecimal():  # several hosts, each with its own
        return _host(host, dialect), f":{port}" if port else ""
    return _host(host, dialect), "" if int(port) == usual else f":{int(port)}"


def _host(host: str, dialect: str) -> str:
    name = host.strip("[]").lower().rstrip(".").removesuffix(".snowflakecomputing.com")
    if dialect in ("bigquery", "snowflake"):
        return name
    if not name or name.startswith("/") or name in ("localhost", "localhost.localdomain"):
        return "localhost"
    try:
        number = ipaddress.ip_address(name)
    except ValueError:
        return name
    mapped = getattr(number, "ipv4_mapped", None) or number
    if mapped.is_loopback or mapped.is_unspecified:
        return "localhost"
    return f"[{mapped}]" if mapped.version == 6 else str(mapped)


def _database(address: Address, dialect: str, settings: dict[str, str]) -> tuple[str, str]:
    """Return the database, and the schema of tables without one."""
    database, _, schema = unquote(address.path).strip("/").partition("/")
    user = settings.get("user") or unquote((address.user or "").partition(":")[0])
    database = settings.get("dbname") or settings.get("database") or database
    schema = schema or settings.get("schema", "")
    if dialect == "postgresql":
        database = database or os.environ.get("PGDATABASE", "") or user
        path = re.search(r"search_path\s*=\s*\"?(\w+)", unquote(settings.get("options", "")))
        schema = schema or (path[1] if path else "")
    if dialect == "oracle":
        database = settings.get("service_name") or database
        schema = schema or user
    return database, schema or _SCHEMAS.get(dialect, "")


def _tables_of(query: str, address: Address) -> tuple[str, ...]:
    """Return the name of every table that a query reads."""
    import sqlglot
    from sqlglot import exp

    dialect = address.scheme.lower().partition("+")[0]
    dialect = DIALECTS.get(dialect, dialect)
    parser = _PARSERS.get(dialect, dialect)
    known = parser if parser in sqlglot.Dialects._value2member_map_ else None
    where = shown(_url(address))
    try:
        (tree,) = sqlglot.parse(query, read=known)
    except (sqlglot.errors.SqlglotError, ValueError):
        raise DataError(f"{where}: the query cannot be parsed: {_WAY_OUT}") from None
    if not isinstance(tree, exp.Query) or tree.find(exp.DML, exp.DDL, exp.Into, exp.Command):
        raise DataError(f"{where}: the query is not a single SELECT: {_WAY_OUT}")
    names = {_table_of_node(table, dialect, address, where) for table in _tables_in(tree)}
    if not names:
        raise DataError(f"{where}: the query reads no table: {_WAY_OUT}")
    return tuple(sorted(names))


def _tables_in(tree: exp.Query) -> list[exp.Table]:
    """Return the tables of a query; in `WITH a AS (SELECT ... FROM a)` the second `a` is one."""
    from sqlglot import exp
    from sqlglot.optimizer.scope import traverse_scope

    own = {table.alias for table in tree.find_all(exp.CTE)}
    tables = [table for table in tree.find_all(exp.Table) if table.db or table.name not in own]
    for scope in traverse_scope(tree):
        tables += [table for table in scope.sources.values() if isinstance(table, exp.Table)]
    return tables


def _table_of_node(table: exp.Table, dialect: str, address: Address, where: str) -> str:
    from sqlglot import exp

    if not isinstance(table.this, exp.Identifier):
        raise DataError(f"{where}: the query reads what a function returns: {_WAY_OUT}")
    if dialect == "duckdb" and re.search(r"[./]", table.name):  # DuckDB opens a file of that name
        return _file(table.name)
    parts = [part for part in table.parts if isinstance(part, exp.Identifier)]
    lower = dialect in ("postgresql", "redshift")
    names = [part.name.lower() if lower and not part.quoted else part.name for part in parts]
    return _table(address, names)


def _url(address: Address) -> str:
    return f"{address.scheme}://{address.host}{address.path}"
