"""Credentials in URLs: never shown, and moved to environment variables before a URL is stored.

All code that shows, logs or stores a URL uses this module. It has its own parser: standard ones disagree
about a password that holds `@`, `/`, `?` or `#`, and raise errors that quote it.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from data.errors import DataError

PASSWORD = "VEILCAST_SOURCE_PASSWORD"  # noqa: S105  (a name)
"""The variable that a password is moved to; further ones have names that begin with it."""
HINT = "in a password, write @ as %40, : as %3A, / as %2F, ? as %3F and # as %23"

_PASSWORDS = ("", "password", "passwd", "pwd", "pass")
_HARMLESS = frozenset(
    re.findall(
        r"\w+",
        """
    access_mode account application_name autocommit cache catalog channel_binding charset
    client_encoding compression connect_timeout database dataset dbname driver encoding encrypt
    gssencmode host hostaddr http_scheme immutable isolation_level keepalives keepalives_count
    keepalives_idle keepalives_interval load_balance_hosts location mode nolock options port
    project protocol read_only readonly region role schema search_path secure server service
    ssl_verify_cert sslmode sslrootcert target_session_attrs timeout timezone trusted_connection
    trustservercertificate uri user user_id username verify vfs warehouse
""",
    )
)
"""Parameters that are kept as they are; any other one in the query of a URL may be a secret."""
FILES = ("sqlite", "duckdb")
_REFERENCE = re.compile(r"\$\{\w+\}|\$\w+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+._-]*")
_HOST = re.compile(r"(?:[\w.-]|\$\{\w+\})*|\[[0-9A-Fa-f:.%]+\]")
_PORT = re.compile(r"\d{0,5}|\$\{\w+\}")
_INSIDE = re.compile(r";|:.*@|(?:password|passwd|pwd|token|secret)\s*=", re.DOTALL | re.IGNORECASE)
"""Patterns that a harmless parameter has only if further ones were written into it."""
_SETTING = re.compile(r";[^;=]*=")
_PATH = re.compile(r"[^@:;=&#]*")
_LOGIN = re.compile(r":.*@|(?:password|passwd|pwd)=", re.DOTALL | re.IGNORECASE)
_TABLE = re.compile(r"[^@:;=&?#/]*")
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Address:
    """A URL taken apart, as typed.

    Attributes:
        scheme: dialect and driver.
        user: userinfo, with what stands before the last `@`; None without any.
        host: with brackets, if it has some.
        port: digits, or empty.
        path: with its first slash.
        query: without `?`; None without any.
        table: behind the last `#`; None without any.
    """

    scheme: str
    user: str | None
    host: str
    port: str
    path: str
    query: str | None
    table: str | None

    @property
    def is_file(self) -> bool:
        """Whether the path is that of a database file."""
        nowhere = self.user is None and not self.host and not self.port
        return nowhere and self.scheme.partition("+")[0] in FILES


def unambiguous(source: str) -> Address:
    """Parse a URL that can be read in one way only.

    Raises:
        DataError: it is no URL, or a part of a password may be taken for something else. Nothing of
            it is in the message.
    """
    address = _split_url(source)
    if address is None or not _has_one_reading(address):
        raise DataError(
            "not a database URL that can be read in one way only: expected "
            f"dialect://user:password@host/database#table ({HINT})"
        )
    return address


def shown(source: str) -> str:
    """Return a URL without user, password and query, for people, logs and names.

    If the URL is ambiguous, only the scheme is shown. A source that is no URL is shown as it is, unless
    it looks like a misspelt one.
    """
    if "://" not in source:
        return "the source" if _misspelt(source) else source
    scheme = source.partition("://")[0]
    address = _split_url(source)
    if address is None or not _has_one_reading(address) or not _is_plain(address):
        return f"{scheme}://…" if _SCHEME.fullmatch(scheme) else "the URL"
    dialect = "postgresql" if address.scheme == "postgresql+psycopg" else address.scheme
    port = f":{address.port}" if address.port else ""
    table = "" if address.table is None else f"#{address.table}"
    return f"{dialect}://{address.host}{port}{address.path}{table}"


def without_secrets(source: str) -> tuple[str, dict[str, str]]:
    """Return a source with its secrets replaced by environment variables, and those variables.

    Expanding the variables (`expanded`) gives the source back. References to variables stay, and so
    do users: a name is no secret. The first password is called `VEILCAST_SOURCE_PASSWORD`; where that
    has another value already, the name goes on with a digest of the URL without its secrets, so that
    no two sources share a variable.
    """
    scheme, separator, rest = source.partition("://")
    made: dict[str, str] = {}
    digest = hashlib.sha256(shown(source).encode()).hexdigest()[:8].upper()

    def hide(secret: str, name: str = "") -> str:
        if not secret or _is_reference(secret):
            return secret
        value = expanded(secret)
        variable = _variable(name, value, digest, made)
        made[variable] = value
        return f"${{{variable}}}"

    if not separator:
        scheme, colon, rest = source.partition(":")
        return (f"{scheme}:{hide(rest)}", made) if colon and _misspelt(source) else (source, made)
    user, at, place = rest.rpartition("@")
    question, query = "", ""
    if at and (":" not in user or "?" in user.partition(":")[0]):
        user, at, place = "", "", rest  # no password before this @, which belongs to the query
    if "?" in user:  # either the password has a question mark, or the query has an @: hide both
        query = place
    else:
        place, question, query = place.partition("?")
    name, colon, password = user.partition(":")
    user = f"{name}{colon}{hide(password)}"
    if _SETTING.search(password):  # or the last @ is part of a password among parameters
        return f"{scheme}://{user}{at}{hide(rest.rpartition('@')[2])}", made
    first, *settings = ("" if "?" in password else place).split(";")
    place = ";".join([first, *(_hide_setting(setting, hide) for setting in settings)])
    if query:
        query, hash_, table = _split_table(query)
        query = (
            "&".join(_hide_setting(setting, hide) for setting in query.split("&")) + hash_ + table
        )
    return f"{scheme}://{user}{at}{place}{question}{query}", made


def hidden(source: str) -> str:
    """Return a source that may be stored; its secrets are moved to this process' environment."""
    with _LOCK:
        stored, variables = without_secrets(source)
        os.environ.update(variables)
    return stored


def expanded(source: str) -> str:
    """Return a source with the values of its `${NAME}` references, for connecting."""
    return os.path.expandvars(source)


def connectable(source: str) -> str:
    """Return a database URL as its driver needs it, references to variables expanded.

    Raises:
        DataError: a variable is not set, or the URL can be read in more than one way.
    """
    for name in re.findall(r"\$\{(\w+)\}", source):
        if name not in os.environ:
            raise DataError(
                f"{shown(source)}: the environment variable {name} is not set; the URL refers to it"
            )
    full = expanded(source)
    unambiguous(full)
    return full


def scrubbed(text: str, source: str) -> str:
    """Return a foreign message about a URL without any secret of it."""
    for secret in sorted(without_secrets(expanded(source))[1].values(), key=len, reverse=True):
        for form in (secret, unquote_plus(secret)):
            text = text.replace(form, "***")
    return text


def _split_url(source: str) -> Address | None:
    scheme, separator, rest = source.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        return None
    address, hash_, table = rest.rpartition("#")
    whole, question, query = (address if hash_ else rest).partition("?")
    authority, slash, path = whole.partition("/")
    user, at, place = authority.rpartition("@")
    bracket, closed, behind = place.rpartition("]")
    host, _, port = place.partition(":")
    if closed:
        host, port = f"{bracket}]", behind.removeprefix(":")
    return Address(
        scheme=scheme,
        user=user if at else None,
        host=host,
        port=port,
        path=slash + path,
        query=query if question else None,
        table=table if hash_ else None,
    )


def _has_one_reading(address: Address) -> bool:
    """Return whether no `@` or `#` can be part of a password."""
    user, query, table = address.user or "", address.query or "", address.table or ""
    behind = address.path + query + table
    if address.is_file:  # a file may be called anything
        return not _LOGIN.search(address.path) and "@" not in query + table
    return (
        "@" not in user.partition(":")[2] + behind
        and "#" not in user + address.host + address.port + behind
    )


def _is_plain(address: Address) -> bool:
    """Return whether every part that is shown looks like what it should be."""
    port = address.port
    return (
        bool(_HOST.fullmatch(address.host) and _PORT.fullmatch(port))
        and not (port.isdigit() and int(port) > 65535)
        and bool(address.is_file or _PATH.fullmatch(address.path))
        and bool(_TABLE.fullmatch(address.table or ""))
    )


def _misspelt(source: str) -> bool:
    """Return whether it may be a URL without its slashes, with credentials in it."""
    return bool(_LOGIN.search(source)) and not os.path.exists(source)


def _is_reference(secret: str) -> bool:
    """Return whether it is `${NAME}`, or `$NAME` of an existing variable, and no password."""
    if not _REFERENCE.fullmatch(secret):
        return False
    return secret.startswith("${") or secret[1:] in os.environ


def _split_table(query: str) -> tuple[str, str, str]:
    """Split parameters from the table after them; a `#` in a password starts no table."""
    parameters, hash_, table = query.rpartition("#")
    if hash_ and _TABLE.fullmatch(table):
        return parameters, hash_, table
    return query, "", ""


def _hide_setting(setting: str, hide: Any) -> str:
    """Hide the value of one `name=value` unless it is known to hold no secret."""
    name, equals, value = setting.partition("=")
    if not equals:  # the part after an & in a password
        return str(hide(setting))
    plain = unquote_plus(name).strip().lower()
    harmless = plain in _HARMLESS and not _INSIDE.search(unquote_plus(value))
    return setting if harmless else f"{name}={hide(value, plain)}"


def _variable(name: str, value: str, digest: str, made: dict[str, str]) -> str:
    """Return a variable that already holds the value, or that is unused."""
    ending = "" if name in _PASSWORDS else "_" + re.sub(r"\W", "_", name).upper()
    base = f"{PASSWORD}{ending}"
    number, candidate = 1, base
    while {**os.environ, **made}.get(candidate, value) != value:
        candidate = f"{base}_{digest}" + (f"_{number}" if number > 1 else "")
        number += 1
    return candidate
