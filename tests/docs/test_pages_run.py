"""Blocks of README and of the pages run as a reader runs them, and print what is shown."""

import io
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from typer.testing import CliRunner

from docs.generate import DOCS, ROOT
from docs.generate.blocks import Example, examples, stable
from docs.generate.outputs import PAGES, code, complaint, environment, regenerated
from flows.cli.app import app

WRITE = "run `python -m docs.generate outputs`"
TUTORIAL = DOCS / "tutorial.md"
MADE_UP = examples(TUTORIAL.read_text())[0]
"""Writes a counts.csv."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, with nothing of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "CRITICAL")
    for name in ("VEILCAST_HOME", "VEILCAST_DATABASE_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def typed(example: Example, folder: Path) -> str:
    """The block in this process: commands are invoked, snippets executed; what it prints."""
    block = example.block
    if block.file:
        (folder / block.file).write_text(block.body)
        return ""
    if block.lang == "python":
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(block.body, {"__name__": "__main__"})
        return printed.getvalue()
    output, last = "", 0
    for line in block.commands:
        assert last == 0, f"{line} comes after a command that failed"
        words = shlex.split(line)
        if words[0] == "veilcast":
            result = CliRunner().invoke(app, words[1:])
            said = result.stdout + complaint(result.stderr)
            assert result.exit_code in (0, 1, 2, 3), said
            last = result.exit_code
        else:
            assert words[0] == "python", line
            done = subprocess.run(
                [sys.executable, *words[1:]],
                env=environment(),
                check=False,
                text=True,
                capture_output=True,
            )
            said, last = done.stdout, done.returncode
        output += said
    assert last == code(example), output
    root = str(folder.resolve())
    return output.replace(f"{root}/", "").replace(f"{folder}/", "")


def shown(example: Example) -> str:
    assert example.output
    return stable(example.output.body, example.output.title)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_prints_what_it_shows(
    page: Path, folder: Path, request: pytest.FixtureRequest
) -> None:
    found = examples(page.read_text())
    training = ("veilcast train", "flows.notebook")
    if any(word in one.block.body for one in found for word in training):
        request.getfixturevalue("server")
    for example in found:
        printed = typed(example, folder)
        if example.output:
            assert stable(printed, example.output.title) == shown(example), WRITE


@pytest.mark.usefixtures("server")
def test_readme_runs(folder: Path) -> None:
    make, mend = MADE_UP.block.body.split('with open("counts.csv", "a")')
    assert mend
    exec(make, {})  # counts.csv without the fault that the tutorial mends
    for example in examples((ROOT / "README.md").read_text()):
        typed(example, folder)


@pytest.mark.slow
def test_the_tutorial_runs_in_a_shell() -> None:
    page = TUTORIAL.read_text()
    assert [shown(one) for one in examples(regenerated(page)) if one.output] == [
        shown(one) for one in examples(page) if one.output
    ], WRITE


def test_a_changed_output_is_seen() -> None:
    noised = "your noise will differ"
    assert stable("epsilon 1 at delta 1e-06") != stable("epsilon 2 at delta 1e-06")
    assert stable("│ ridge │ 23.9 │ 18.0 │", noised) == stable("│ ridge │ 24.1 │ 17.0 │", noised)
    assert stable("│ ridge │ 23.9 │", noised) != stable("│ blend │ 23.9 │", noised)
    assert stable("sigma 22.9") != stable("sigma 23.1")
    assert stable("run 3e4a4b6e93204a8da52819164ecce3df") == stable(
        "run 00000000000000000000000000000001"
    )
