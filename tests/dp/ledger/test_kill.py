"""kill -9 at every step of a release: nothing uncharged, nothing noised twice under one key."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dp.composition.total import COUNTS
from dp.ledger import Charge, Ledger, verify
from dp.permit import Permit
from dp.release.idempotent import release_once

EVENT = {"mechanism": COUNTS, "sigma": 60.0, "intervals": 48, "regions": 1, "weight": 1}
STEPS = ("reserve", "commit", "draw", "release", "anywhere")
TURNS = 26
"""Of each step, half before it and half after it: 208 kills on both databases, and some anywhere."""
Charges = Callable[..., Charge]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _attempt(url: str, charge: Charge, noises: Path, step: str, *, after: bool) -> None:
    """A whole release that dies before or after one of its steps, or at any moment."""
    ledger = Ledger(url)

    def dying(name: str, work: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments: object, **options: object) -> object:
            if step == name and not after:
                _die()
            done = work(*arguments, **options)
            if step == name and after:
                _die()
            return done

        return wrapped

    def draw(permit: Permit) -> bytes:
        permit.use("noise", EVENT)
        noise = os.urandom(16)
        with noises.open("a") as file:  # every noise that was ever drawn, with what paid for it
            file.write(f"{permit.key} {permit.entry} {noise.hex()}\n")
            file.flush()
        return noise

    for name in ("reserve", "commit", "release"):
        setattr(ledger, name, dying(name, getattr(ledger, name)))
    release_once(ledger, charge, dying("draw", draw))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step(url: str, tmp_path: Path, charge: Charges, step: str) -> None:
    ledger, noises = Ledger(url), tmp_path / "noises"
    noises.touch()
    chance = random.Random(step)
    kills = 0
    for turn in range(TURNS):
        mine = charge(EVENT, key=f"key{turn}")
        child = os.fork()
        if child == 0:
            try:
                _attempt(url, mine, noises, step, after=turn % 2 == 1)
            finally:
                os._exit(0)
        if step == "anywhere":
            time.sleep(chance.uniform(0, 0.06))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        kills += os.WIFSIGNALED(status)
        _, again = os.waitpid(_finish(url, mine, noises), 0)
        assert again == 0
    assert kills == TURNS if step != "anywhere" else kills >= 5

    drawn = [line.split() for line in noises.read_text().splitlines()]
    keys = [key for key, _, _ in drawn]
    assert len(set(keys)) == len(keys)  # never two noises under one key
    paid = {str(entry.id): entry for entry in ledger.entries() if entry.state != "voided"}
    assert {entry for _, entry, _ in drawn} <= set(paid)  # never one that was not charged
    for key, entry, noise in drawn:
        if paid[entry].state == "released":
            assert ledger.released(key).hex() == noise
    for turn in range(TURNS):  # and in the end each request has its one release
        found = [e for e in paid.values() if e.key.split(".")[0] == f"key{turn}"]
        assert sum(e.state == "released" for e in found) == 1
    assert verify(ledger).holds


def _finish(url: str, charge: Charge, noises: Path) -> int:
    """The same request once more, left alone."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _attempt(url, charge, noises, "none", after=False)
            code = 0
        finally:
            os._exit(code)
    return child
