"""Keyed random order of a person's events, which decides what is counted where not all may be.

It is a function of the person, the interval, the region and a secret key only. It does not depend on
other persons, so that removing one changes nobody else's selection, nor on counts or the order of rows,
so that the selection reveals nothing further. The bound holds for any order; a random-looking one keeps
counts unbiased over intervals and regions.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import ibis

PRIME = 2**31 - 1
_INDEPENDENCE = 4
_WHOLE = r"^(0|[1-9][0-9]{0,17})$"
_DIGITS = len(str(PRIME))

Expression = Any  # of Ibis, which has no types for mypy


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator,unused-ignore]
def md5(text: str) -> str:  # type: ignore[empty-body]
    """Call the database's `md5`."""


def keyed_order(
    secret: bytes, purpose: str, person: Expression, *where: Expression, written: bool = False
) -> Expression:
    """Return a column to sort by.

    For whole-number identifiers a cubic over GF(2³¹−1) with secret coefficients: the
    places of one person are ordered four-wise independently (Wegman and Carter 1981). For text, MD5
    after the key. Both are the same in every database.

    Args:
        secret: the installation's key.
        purpose: orders for different purposes are independent.
        person: identifiers, whole numbers or text.
        where: whole numbers below 2²¹ in size (interval, region).
        written: whether text that is a whole number stands for that number. Which of the two orders
            applies to a person depends on their own identifier only.
    """
    if person.type().is_integer():
        return _cubic(secret, purpose, person, where)
    if not written:
        return _digest(secret, purpose, person, where)
    whole = person.re_search(_WHOLE)
    number = ibis.ifelse(whole, person, "0").cast("int64")
    # numbers of one length, so that text sorts them as numbers are sorted
    cubic = _cubic(secret, purpose, number, where).cast("string").lpad(_DIGITS, "0")
    return ibis.ifelse(whole, cubic, _digest(secret, purpose, person, where))


def _digest(
    secret: bytes, purpose: str, person: Expression, where: tuple[Expression, ...]
) -> Expression:
    key = hmac.new(secret, purpose.encode(), hashlib.sha256).hexdigest()[:32]
    parts = [ibis.literal(key), person, *(place.cast("string") for place in where)]
    text = parts[0]
    for part in parts[1:]:
        text = text + ibis.literal("|") + part
    return md5(text)


def _cubic(
    secret: bytes, purpose: str, person: Expression, where: tuple[Expression, ...]
) -> Expression:
    numbers = coefficients(secret, purpose, _INDEPENDENCE + 1 + len(where))
    # the rest first: unsigned identifiers need not fit into 64 bits with a sign
    point = (person % PRIME).cast("int64") * numbers.pop()
    for place in where:  # each below 2⁵², so that the sum stays below 2⁶³
        point = point + place.cast("int64") * numbers.pop()
    point = point % PRIME
    value = point * numbers.pop() + numbers.pop()
    while numbers:
        value = value % PRIME * point + numbers.pop()
    return value % PRIME


def coefficients(secret: bytes, purpose: str, count: int) -> list[int]:
    """Derive numbers from 1 to PRIME − 1 from the key."""
    return [
        1
        + int.from_bytes(hmac.new(secret, f"{purpose}/{n}".encode(), hashlib.sha256).digest())
        % (PRIME - 1)
        for n in range(count)
    ]


def exact_remainders(connection: Any) -> None:
    """Give a SQLite connection a `mod` of whole numbers; its own rounds to floating point.

    Args:
        connection: of Ibis.
    """
    connection.con.create_function("mod", 2, _remainder, deterministic=True)


def _remainder(number: object, divisor: object) -> float | None:
    """Return what `number % divisor` is in SQL: the sign is that of the number.

    A column of numbers may hold anything else in SQLite, which is no reason to fail.
    """
    if not isinstance(number, int | float) or not isinstance(divisor, int | float) or not divisor:
        return None
    rest = abs(number) % abs(divisor)
    return rest if number >= 0 else -rest
