"""A deliberate fault: a small change of the source, and the tests that must notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: what is broken.
        file: where, from the root of the repository.
        old: text that occurs once in it.
        new: text in its place.
        tests: that must pass without the fault, and of which one must fail with it.
        quick: whether continuous integration tries it every time.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    quick: bool = False
