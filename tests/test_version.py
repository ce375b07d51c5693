"""One version: what is released, what the changelog dates, what images and pages name."""

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
RELEASES: list[tuple[str, str]] = re.findall(
    r"^## (\S+) \((.+)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
)


def test_the_changelog_dates_every_release() -> None:
    """Only what comes after the version of the package may be unreleased."""
    released = RELEASES[1:] if RELEASES[0][1] == "unreleased" else RELEASES
    assert released[0][0] == VERSION
    dates = [date.fromisoformat(day) for _, day in released]
    assert dates == sorted(dates, reverse=True)


@pytest.mark.parametrize(
    ("page", "pattern"),
    [
        ("docker/compose.yaml", r"image: veilcast:(\d+\.\d+\.\d+)"),
        ("docker/compose.gpu.yaml", r"image: veilcast:(\d+\.\d+\.\d+)-gpu"),
        ("docs/tutorial.md", r"Made by veilcast (\d+\.\d+\.\d+),"),
    ],
)
def test_pages_and_images_name_the_version(page: str, pattern: str) -> None:
    assert set(re.findall(pattern, (ROOT / page).read_text())) == {VERSION}


def test_the_security_policy_covers_the_version() -> None:
    supported = re.findall(
        r"^\| (\S+) \| yes \|$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE
    )
    assert supported == [VERSION.rpartition(".")[0]]
