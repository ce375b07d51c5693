"""The order of the rooms: each imports only what stands below it, and no files import in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

ORDER = {
    "data": """errors findings spans bound nesting calendar plot rules raw_rules panel sources windows
        validate split clean load events store""",
    "dp": """errors budget permit unit charge accounting mechanisms composition ledger clipping private
        statement release audit""",
    "models": """errors registry device config batch forecaster predict nets tabular solvers heads blend
        metrics baselines conformal backtest optimizers training diagnostics forecasters checkpoint""",
    "flows": """document errors settings runtime recipe service budget tracking pipeline forecasting
        planning compare stream audit arcolezi sweep notebook deploy jobs stack cli __main__""",
}
"""Rooms of each package from the ground up: folders, and files beside them."""

FLOORS = {package: rooms.split() for package, rooms in ORDER.items()}


def module_of(path: Path) -> str:
    """Dotted name of a file; a package is its `__init__`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    module_of(path): path for package in ORDER for path in sorted((ROOT / package).rglob("*.py"))
}


def imports_of(module: str) -> Iterator[str]:
    """Modules of the house that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in FILES)
        elif isinstance(node, ast.ImportFrom):
            for name in node.names:
                full = f"{node.module}.{name.name}"
                if full in FILES:
                    yield full
                elif node.module in FILES:
                    yield node.module


GRAPH = {module: set(imports_of(module)) - {module} for module in FILES}


@pytest.mark.parametrize("package", ORDER)
def test_every_room_has_a_floor(package: str) -> None:
    rooms = {module.split(".")[1] for module in FILES if module.startswith(f"{package}.")}
    assert rooms == set(FLOORS[package])
    assert len(FLOORS[package]) == len(rooms)


@pytest.mark.parametrize("module", GRAPH)
def test_a_room_imports_what_stands_below_it(module: str) -> None:
    package, *rest = module.split(".")
    if not rest:
        return  # the package's own face
    floors = FLOORS[package]
    here = floors.index(rest[0])
    above = {
        name
        for name in GRAPH[module]
        if name.startswith(f"{package}.") and floors.index(name.split(".")[1]) > here
    }
    assert not above


def test_no_files_import_in_a_circle() -> None:
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_an_upward_import_would_be_noticed() -> None:
    assert "dp.unit.privacy_unit" in GRAPH["dp.unit.contribution"]
    assert FLOORS["dp"].index("ledger") > FLOORS["dp"].index("unit")
    with pytest.raises(CycleError):
        TopologicalSorter({**GRAPH, "dp.unit.privacy_unit": {"dp.unit.contribution"}}).prepare()
