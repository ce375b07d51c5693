"""Help: every command has an example that it understands, every default told is the one that holds."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from flows.cli.app import app
from flows.deploy.deployments import USUAL
from flows.recipe.recipe import Recipe


def commands(group: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for name, command in group.commands.items():
        inner = hasattr(command, "commands")
        found |= commands(command, (*path, name)) if inner else {(*path, name): command}
    return found


ALL = {
    path: command
    for path, command in commands(typer.main.get_command(app)).items()
    if not command.hidden
}


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_a_command_has_an_example_that_it_understands(path: tuple[str, ...]) -> None:
    command = ALL[path]
    assert command.epilog.startswith("For example: veilcast ")
    words = shlex.split(command.epilog.removeprefix("For example: veilcast ").partition(" > ")[0])
    assert tuple(words[: len(path)]) == path
    command.make_context(" ".join(path), words[len(path) :])  # refuses what it does not know


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_option_is_explained(path: tuple[str, ...]) -> None:
    for parameter in ALL[path].params:
        if parameter.name != "help":
            assert parameter.help, parameter.name
            assert "What --source of train takes" not in parameter.help
            assert not parameter.help.startswith("As for train"), parameter.name


def test_the_defaults_that_are_told_are_those_of_a_recipe() -> None:
    told = {one.name: one.show_default for one in ALL[("train",)].params}
    recipe = Recipe()
    held = {
        "source": recipe.source.name,
        "model": recipe.model.name,
        "optimizer": recipe.training.optimizer,
        "mechanism": recipe.privacy.mechanism,
        "unit": recipe.privacy.unit,
        "epsilon": f"{recipe.privacy.epsilon:g}",
        "delta": f"{recipe.privacy.delta:g}",
        "seed": str(recipe.training.seed),
    }
    assert {name: told[name] for name in held} == {
        name: f"the recipe's, or {value}" for name, value in held.items()
    }
    times = {one.name: one.show_default for one in ALL[("deploy",)].params}
    assert {name: times[name] for name in USUAL} == USUAL


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "../counts.csv"], "write --source ../counts.csv"),
        (["train", "postgresql://me:hunter2@host/db#t"], "write --source URL#table"),
        (["ingest"], "which source?"),
        (["runs", "--where", "nonsense ("], "fields are run_id, started"),
        (["train", "--model", "foo"], "choose one of lstm, gru"),
        (["budget", "cap", "city", "--epsilon", "3"], "--new"),
        (["check", "counts.csv", "--set", "events.interval=1h"], "--set is for raw events"),
        (["plan", "synthetic", "--charge", "1"], "--charge is for raw events"),
        (["plan", "synthetic", "--events", "--size", "9"], "--size describes counts"),
    ],
)
def test_a_refusal_says_what_to_do(home: object, words: list[str], said: str) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code in (1, 2)
    assert said in done.stderr
    assert "hunter2" not in done.output
