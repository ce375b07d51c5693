"""The place of the ledger for display: its URL without credentials."""

from __future__ import annotations

from itertools import chain

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

_SHORT = 4
"""Letters below which a value is no secret worth the name, and too common to be taken out of words."""


_HARMLESS = ("cache", "host", "mode", "sslmode", "uri")


def parse(url: str) -> URL:
    """Parse a database URL in which no part of a password can be mistaken for something else.

    Raises:
        ArgumentError: it is none, or has an `@` in its password.
        ValueError: the port is no number; the message quotes it.
    """
    made = make_url(url)
    if "@" in (made.host or "") or "?" in (made.username or ""):
        raise ArgumentError("an @ in the password")
    return made


def without_credentials(url: URL) -> str:
    """Return dialect, host, port and database; the query is left out, as it may hold a password."""
    return URL.create(
        url.drivername, host=url.host, port=url.port, database=url.database
    ).render_as_string()


def scrub(text: str, url: URL) -> str:
    """Return a driver's message without any password that it may quote."""
    values = [
        [value] if isinstance(value, str) else list(value)
        for name, value in url.query.items()
        if name not in _HARMLESS
    ]
    for secret in sorted([str(url.password or ""), *chain(*values)], key=len, reverse=True):
        if len(secret) >= _SHORT:
            text = text.replace(secret, "***")
    return text
