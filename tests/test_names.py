"""The import rules of the house, read from the source, and which packages the names mean."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("data", "dp", "models", "flows")
MAY_IMPORT = {"data": set(), "dp": set(), "models": {"data"}, "flows": {"data", "dp", "models"}}


def imports(path: Path) -> Iterator[str]:
    """Every module imported anywhere in a file, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    here = path.relative_to(ROOT)
    package = here.parts[0]
    roots = {name.split(".")[0] for name in imports(path)}
    assert not (roots & set(PACKAGES)) - MAY_IMPORT[package] - {package}
    if package != "flows":
        assert "prefect" not in roots
    if here.parts[:2] != ("flows", "tracking"):
        assert "mlflow" not in roots
    if here.parts[:2] != ("dp", "private"):
        assert "opacus" not in roots


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_this_repositorys(package: str) -> None:
    module = importlib.import_module(package)
    assert Path(module.__file__ or "").resolve().parent == ROOT / package


def test_the_ledger_does_not_wait_for_torch() -> None:
    code = "import sys, dp.ledger; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_files_stay_small() -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}


CLI = sorted((ROOT / "flows" / "cli").glob("*.py"))
LIGHT = {
    "__future__",
    "collections.abc",
    "contextlib",
    "json",
    "os",
    "pathlib",
    "sys",
    "typing",
    "warnings",
}


@pytest.mark.parametrize("path", CLI, ids=lambda path: path.name)
def test_the_command_line_imports_nothing_heavy(path: Path) -> None:
    """Help answers at once: whatever is heavy is imported inside the command that needs it."""
    top = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    heavy = {
        name
        for name in top - LIGHT - {"flows.settings", "typer"}
        if not name.startswith("flows.cli")
    }
    assert not heavy
    assert "flows.cli.render" not in top
