"""What `dp` offers under its own name: all of it there, nothing heavy before it is asked for."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import dp

ROOT = Path(__file__).resolve().parents[2]


def test_every_name_is_the_module_s_own() -> None:
    assert sorted(dp._MODULE_OF) == sorted(dp.__all__)
    for name, module in dp._MODULE_OF.items():
        assert getattr(dp, name) is getattr(importlib.import_module(f"dp.{module}"), name)
    assert set(dp.__all__) <= set(dir(dp))


def test_checkers_see_the_same_names() -> None:
    (guarded,) = [
        node
        for node in ast.parse(Path(dp.__file__).read_text()).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name)
    ]
    seen = {
        alias.name: node.module
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {name: f"dp.{module}" for name, module in dp._MODULE_OF.items()}


def test_accounting_waits_for_no_torch() -> None:
    names = ", ".join(name for name in dp.__all__ if name != "PrivateTraining")
    code = (
        f"import sys\nimport dp\nassert 'scipy' not in sys.modules\nfrom dp import {names}\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_an_unknown_name_is_an_import_error() -> None:
    code = "from dp import epsilom"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True)
    assert b"ImportError: cannot import name 'epsilom'" in done.stderr
