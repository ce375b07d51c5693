"""Outputs in the pages: what their commands and snippets print, each page in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from docs.generate import DOCS, ROOT
from docs.generate.blocks import Example, examples

PAGES = (
    DOCS / "tutorial.md",
    *sorted((DOCS / "concepts").glob("*.md")),
    *sorted((DOCS / "how-to").glob("*.md")),
)
"""Whose blocks are run, and whose outputs are what came out."""
KEPT = ("OMP_NUM_THREADS", "LANG", "LC_ALL", "PATH", "HOME", "TMPDIR")


def regenerated(page: str) -> str:
    """The page with every output as it came out now."""
    with tempfile.TemporaryDirectory() as scratch:
        outputs = [(one, run(one, Path(scratch))) for one in examples(page)]
    for example, output in reversed(outputs):
        if example.output is not None:
            start, end = example.output.start, example.output.start + len(example.output.body)
            page = page[:start] + output.rstrip() + "\n" + page[end:]
    return page


def run(example: Example, folder: Path) -> str:
    """Write the file, or run the block as a reader would; what it prints, without the folder's name.

    Raises:
        RuntimeError: its exit code is not the one that is announced.
    """
    block = example.block
    if block.file:
        (folder / block.file).write_text(block.body)
        return ""
    program = ["bash", "-euc"] if block.lang == "bash" else [sys.executable, "-c"]
    done = subprocess.run(
        [*program, block.body],
        cwd=folder,
        env=environment(),
        text=True,
        check=False,
        capture_output=True,
    )
    if done.returncode != code(example):
        raise RuntimeError(f"exit {done.returncode} from:\n{block.body}\n{done.stderr}")
    return (
        (done.stdout + complaint(done.stderr))
        .replace(f"{folder.resolve()}/", "")
        .replace(f"{folder}/", "")
    )


def complaint(stderr: str) -> str:
    """The message for people, without the progress before it."""
    _, mark, message = stderr.partition("error:")
    return mark + message


def code(example: Example) -> int:
    """The exit code that the output's title announces."""
    title = example.output.title if example.output else ""
    return int(title.removeprefix("exit ")) if title.startswith("exit ") else 0


def environment() -> dict[str, str]:
    """Nothing of the writer's own settings; `veilcast` is this one."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT)}
