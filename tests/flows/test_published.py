"""Every part of what a private run publishes is listed, with what it may depend on; so is every rule."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from data.findings import RULES
from docs.generate import DOCS, ROOT
from flows.cli.app import app
from flows.settings import Home

PAGE = (DOCS / "concepts" / "what-is-published.md").read_text()
KINDS = {"declared", "structure", "released", "evaluated"}
FAST = ["--model", "ridge", "--set", "windows.validation=0d", "--set", "windows.lags=4"]


def listed(heading: str) -> dict[str, str]:
    """First column of the table under a heading, name by name, and what the second one says."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| `")]
    return {name: row[1].strip() for row in rows for name in re.findall(r"`([\w-]+)`", row[0])}


def command(*words: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def counts(tmp_path: Path) -> str:
    """A region that never changes, and one that contains the other: what one person would alter."""
    times = pd.date_range("2024-01-01", periods=28 * 48, freq="30min")
    moving = 20 + pd.Series(range(len(times))) % 48
    pd.DataFrame({"time": times, "whole": moving + 5, "part": moving, "still": 3}).to_csv(
        tmp_path / "counts.csv", index=False
    )
    return str(tmp_path / "counts.csv")


def test_a_private_run_publishes_what_is_listed_and_no_finding_of_values(
    home: Home, counts: str
) -> None:
    document = command("train", "--source", counts, "--unit", "user-day", *FAST)
    parts = listed("A training")
    assert set(document) == set(parts)
    assert {re.split(r"\W", kind)[0] for kind in parts.values()} == KINDS
    assert document["evaluation"] == "evaluated on raw data, not a private release"
    for finding in document["findings"]:
        assert RULES[finding.split(":")[0]] == "structure"
    values = [rule.encode() for rule, reads in RULES.items() if reads == "values"]
    for file in home.root.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not [rule for rule in values if rule in content], file
    bare = command("train", "--source", counts, "--mechanism", "none", *FAST)
    told = {finding.split(":")[0] for finding in bare["findings"]}
    assert "constant-region" in told  # without a mechanism nothing is promised


def test_an_ingest_publishes_what_is_listed(home: Home, counts: str) -> None:
    document = command("ingest", counts, "--unit", "user-day")
    assert set(document) == set(listed("`veilcast ingest`"))
    assert "not a private release" in document["late"]["note"]


def test_every_rule_is_listed() -> None:
    assert listed("Findings") == dict(RULES)


def test_check_marks_what_is_read_off_raw_counts(home: Home, counts: str) -> None:
    document = command("check", counts)
    marks = {one["rule"]: one["release"] for one in document["findings"]}
    assert marks["constant-region"] == "read off raw counts, not a private release"
    assert marks["too-short"] is None
    said = CliRunner().invoke(app, ["check", counts]).output.replace("\n", " ")
    assert re.search(r"constant-region.*\(read off raw counts, not a private release\)", said)


def test_only_check_and_runs_without_a_mechanism_ask_for_values() -> None:
    asking: dict[str, set[str]] = {}
    for path in [*ROOT.glob("flows/**/*.py"), *ROOT.glob("data/**/*.py")]:
        for call in ast.walk(ast.parse(path.read_text())):
            name = ast.unparse(call.func).split(".")[-1] if isinstance(call, ast.Call) else ""
            if name in ("read", "read_events", "to_panel", "findings", "validate_step"):
                asking.setdefault(str(path.relative_to(ROOT)), set()).update(
                    f"{word.arg}={ast.unparse(word.value)}"
                    for word in call.keywords  # type: ignore[attr-defined]
                    if word.arg in ("values", "look") and ast.unparse(word.value) != word.arg
                )
    assert {path: found for path, found in asking.items() if found} == {
        "flows/pipeline/check.py": {"look=True", "values=True"},
        "flows/pipeline/read.py": {
            "look=recipe.privacy.mechanism == 'none' if look is None else look"
        },
        "flows/pipeline/train.py": {"values=recipe.privacy.mechanism == 'none'"},
    }
