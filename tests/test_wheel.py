"""The wheel: it holds every file of the packages, and works where the repository is not."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("data", "dp", "models", "flows")


@dataclass(frozen=True)
class Clean:
    """An environment with the wheel, and the libraries of the one that runs the tests."""

    site: Path
    programs: Path
    home: Path

    def run(self, *words: str) -> str:
        """Return what a program prints that knows nothing of this process and its folder."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "OMP_NUM_THREADS": "1",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        }
        command = [str(self.programs / words[0]), *words[1:]]
        done = subprocess.run(
            command, env=environment, cwd=self.home, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    subprocess.run([*build, str(folder), str(ROOT)], check=True)
    (built,) = folder.glob("veilcast-*.whl")
    return built


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Clean:
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder / "venv", with_pip=False)
    programs = folder / "venv" / "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python")]
    subprocess.run([*pip, "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    # searched last; .pth files in there, such as one of an editable veilcast, are not read
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    (site / "libraries.pth").write_text("\n".join(libraries))
    (folder / "home").mkdir()
    return Clean(site, programs, folder / "home")


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    sources = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    recipes = {f"flows/recipes/{path.name}" for path in (ROOT / "recipes").glob("*.toml")}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == sources | recipes


@pytest.mark.slow
def test_the_packages_are_those_of_the_wheel(clean: Clean) -> None:
    code = "import data, dp, flows, models; print(*(m.__file__ for m in (data, dp, flows, models)))"
    files = [Path(name) for name in clean.run("python", "-c", code).split()]
    assert [file.parent.parent for file in files] == [clean.site] * 4


@pytest.mark.slow
def test_the_demo_runs_from_the_wheel(clean: Clean) -> None:
    result = json.loads(clean.run("veilcast", "demo", "--quiet", "--json"))
    assert result["mechanism"] == "input"
    assert result["statement"]["version"]["commit"] is None
    assert result["ledger_entry"] is not None
    assert result["rmse"]["mean"] > 0
