"""`veilcast audit promise`: every attack works where a hole is put in, and fails where there is none."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from dp.audit import keys
from dp.mechanisms.randomness import Generator
from dp.mechanisms.seed import Seed
from flows.audit.attacks import accounts, files
from flows.audit.attacks import keys as key_attacks
from flows.audit.attacks.attempt import Attempt
from flows.audit.attacks.poison import poison
from flows.audit.attacks.promise import PromiseAudit, audit_promise
from flows.cli.app import app
from flows.pipeline.completed import Completed, result_of
from flows.pipeline.result import RunResult
from flows.settings import Home

TOLD = Attempt("kind", "tried", "claimed", "found", refutes=False)


KINDS = (
    "key of noise and batches",
    "seed search",
    "poisoned window",
    "neighbouring counts",
    "neighbouring events, nothing declared",
    "neighbouring events, regions and period declared",
    "two spellings",
    "two interval lengths",
    "two time zones",
    "intervals across midnight",
)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PromiseAudit]:
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("promise") / "var"
        patch.setenv("VEILCAST_HOME", str(root))
        yield audit_promise(tries=500)
        assert not (root / "veilcast.db").exists()  # nothing was charged


@pytest.mark.parametrize("kind", KINDS)
def test_no_attack_succeeds(audited: PromiseAudit, kind: str) -> None:
    (attempt,) = (one for one in audited.attempts if one.kind == kind)
    assert not attempt.refutes, attempt.found
    assert attempt.works is not False


def test_every_kind_is_attacked(audited: PromiseAudit) -> None:
    assert tuple(one.kind for one in audited.attempts) == KINDS


# Keys


def _shortened(patch: pytest.MonkeyPatch, bits: int) -> None:
    """All generators, with fewer bits of their keys than they are given."""
    honest = Generator.__init__

    def short(self: Any, seed: Any = None) -> None:
        value = Seed().value if seed is None else seed
        whole = isinstance(value, bytes)
        number = int.from_bytes(value, "little") if whole else value
        number %= 2**bits
        honest(self, number.to_bytes(len(value), "little") if whole else number)

    patch.setattr(Generator, "__init__", short)


def test_a_short_key_is_found_and_tells_the_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    _shortened(monkeypatch, 10)
    released, neighbours = keys.released_under(None)
    found = keys.search(released, neighbours, range(2**10))
    assert found.found
    assert found.right
    other = keys.search(released, neighbours[::-1], range(2**10))
    assert other.right is False  # it is the noise that tells, and no order of asking
    attempt = key_attacks.search(2**10)
    assert attempt.refutes
    bits = key_attacks.bits()
    assert bits.refutes
    assert bits.found.startswith("10 bits")


def test_keys_a_multiple_of_two_to_the_32_apart_differ() -> None:
    """What made four minutes of search enough."""
    draws = [keys.first_noise(7 + times * 2**32) for times in (0, 1, 7, 2**30)]
    for place, one in enumerate(draws):
        assert not any(np.array_equal(one, other) for other in draws[:place])


# One window


def test_a_sum_that_is_not_clipped_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dp.clipping.gradients._factors", lambda norms, _: torch.ones_like(norms))
    monkeypatch.setattr("flows.audit.attacks.poison.POISONS", (1e6,))
    assert poison().refutes


# Files


def test_a_sentence_that_depends_on_a_count_is_noticed(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = result_of

    def leaking(completed: Completed, place: Home) -> RunResult:
        smallest = completed.prepared.raw.counts["harbour"].max()
        return replace(honest(completed, place), evaluation=f"at most {smallest}")

    monkeypatch.setattr(files, "result_of", leaking)
    attempt = next(files.files(tmp_path))
    assert attempt.refutes
    assert "evaluation" in attempt.found


# Accounts


def test_less_than_the_truth_is_noticed() -> None:
    assert accounts.Cost(1.0, 1.448).hidden
    assert not accounts.Cost(1.448, 1.448).hidden
    assert accounts.attempt("kind", "tried", accounts.Cost(1.0, 1.448)).refutes
    attempt = accounts.attempt("kind", "tried", accounts.Cost(1.0, 1.0, ("too much",)))
    assert "too much" in attempt.found
    assert not attempt.refutes


# The command


def _command(patch: pytest.MonkeyPatch, attempt: Attempt, *words: str) -> Any:
    patch.setattr(
        "flows.audit.attacks.promise.audit_promise", lambda: PromiseAudit((attempt,), seconds=1.0)
    )
    return CliRunner().invoke(app, ["audit", "promise", "-q", *words])


def test_exit_code_table_and_json(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    done = _command(monkeypatch, TOLD)
    assert done.exit_code == 0
    assert "No claim is refuted" in done.stdout
    document = json.loads(_command(monkeypatch, TOLD, "--json").stdout)
    assert not document["refuted"]
    assert document["attempts"][0]["kind"] == "kind"
    assert document["data"].startswith("made-up data only")
    refuted = Attempt("kind", "tried", "claimed", "found", refutes=True)
    done = _command(monkeypatch, refuted)
    assert done.exit_code == 1
    assert "A claim is refuted" in done.stdout
    blunt = Attempt("kind", "tried", "claimed", "found", refutes=False, works=False)
    done = _command(monkeypatch, blunt, "--json")
    assert done.exit_code == 1  # an attack that finds nothing anywhere tells nothing
    assert json.loads(done.stdout)["refuted"]
