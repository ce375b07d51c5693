"""The site builds without a warning, and fetches nothing from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.generate import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)],
        cwd=ROOT,
        check=False,
        text=True,
        capture_output=True,
        env=_environment(),
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return out


def _environment() -> dict[str, str]:
    from docs.generate.outputs import environment

    return {**environment(), "NO_MKDOCS_2_WARNING": "1"}


def test_pages_are_there(site: Path) -> None:
    for page in ("index.html", "tutorial.html", "reference/commands.html", "reference/dp.html"):
        assert (site / page).stat().st_size > 10_000
    said = re.sub(r"<[^>]+>", "", (site / "reference/dp.html").read_text())
    assert "derive_bound(\n    unit: PrivacyUnit" in said  # signatures come from the source
    assert not list(site.rglob("*.py"))


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        fetched = re.findall(r"<(?:script|img|iframe)[^>]* src=\"([^\"]+)\"", page.read_text())
        fetched += re.findall(
            r"<link[^>]* rel=\"(?:stylesheet|icon|preconnect)\"[^>]*>", page.read_text()
        )
        assert not [one for one in fetched if "http://" in one or "https://" in one], page
