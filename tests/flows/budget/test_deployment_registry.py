"""Exports for the public registry of deployments keep to its schema, whatever the ledger holds."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator  # type: ignore[import-untyped]
from typer.testing import CliRunner

from dp.budget import Budget
from dp.ledger import Charge, Ledger
from dp.mechanisms.count_noise import calibrate
from dp.mechanisms.window_sampling import WindowSampling
from dp.unit.contribution import ContributionBound
from dp.unit.period import Period
from dp.unit.privacy_unit import IntervalUnit, PrivacyUnit, Unit
from flows.budget import accounts, deployment_registry
from flows.cli.app import app
from flows.settings import Home

SCHEMA = yaml.safe_load(Path(__file__).with_name("registry_schema.yaml").read_text())
VALIDATOR = Draft7Validator(SCHEMA, format_checker=Draft7Validator.FORMAT_CHECKER)
UNITS: tuple[Unit, ...] = (*PrivacyUnit, IntervalUnit(1), IntervalUnit(48))
COUNTS = calibrate(Budget(1.0, 1e-7), ContributionBound(48, 2)).event()
TRAINING = {
    **WindowSampling(2688, 512, 252, 55, 300.0).event(),
    "panel": {
        "observed": 3000,
        "interval_seconds": 1800.0,
        "regions": 6,
        "regions_per_interval": 2,
        "lags": 4,
        "seasonal": [48],
        "horizon": 1,
        "distance": 60,
        "intervals_per_unit": 5,
        "enforced": True,
    },
}


@pytest.fixture
def ledger(home: Home) -> Ledger:
    home.root.mkdir()
    return Ledger(home.database_url)


def charged(
    ledger: Ledger,
    dataset: str,
    unit: Unit,
    event: dict[str, Any],
    *,
    day: int = 0,
    purpose: str = "panel",
    population: str | None = None,
    committed: bool = True,
) -> None:
    start = datetime(2024, 1, 1) + timedelta(days=day)
    entry = ledger.reserve(
        Charge(
            key=f"{dataset} {unit.value} {day} {purpose} {event['mechanism']}",
            dataset=dataset,
            fingerprint=f"{dataset} {day}",
            period=Period(start, start + timedelta(days=1), timedelta(minutes=30)),
            unit=unit,
            epsilon=1.0,
            delta=1e-7,
            event=event,
            purpose=purpose,
            bound=("K = 48 intervals",),
            population=population,
        )
    )
    ledger.commit(entry) if committed else ledger.void(entry)


def exported(home: Home) -> list[dict[str, Any]]:
    """Entries as the registry reads them, each checked against the schema."""
    result = CliRunner().invoke(app, ["budget", "export", "--format", "registry"])
    assert result.exit_code == 0, result.output
    entries = list(yaml.safe_load_all(result.stdout))
    for entry in entries:
        assert [error.message for error in VALIDATOR.iter_errors(entry)] == []
        assert entry["url_slug"] == slug(entry)
        figures_have_company(entry)
    assert len({entry["url_slug"] for entry in entries}) == len(entries)
    return entries


def slug(entry: dict[str, Any]) -> str:
    """What the registry's own check makes of an entry."""
    basic = entry["deployment"]["basic"]
    words = [
        basic["name"],
        "-".join(basic["data_curators"]),
        basic["publication_date"].split("-")[0],
    ]
    return "_".join(re.sub(r"\W+", "_", word.lower()) for word in words).replace("_", "-")


def figures_have_company(entry: dict[str, Any]) -> None:
    loss = entry["deployment"]["privacy_loss"]
    assert set(loss.get("privacy_parameters", {})) in ({"epsilon", "delta"}, set())
    for sentence in re.split(r"[.;\n] ", yaml.safe_dump(entry, width=10**6)):
        if re.search(r"epsilon \d", sentence):
            assert re.search(r"delta \d.*unit .*neighbours: ", sentence), sentence


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.value)
@pytest.mark.parametrize("capped", [False, True])
def test_every_mechanism_and_unit(home: Home, ledger: Ledger, unit: Unit, capped: bool) -> None:
    if isinstance(unit, PrivacyUnit):
        charged(ledger, "counts.csv", unit, COUNTS, population="people with a telephone")
    charged(ledger, "counts.csv", unit, TRAINING, purpose="training", day=40)
    if capped:
        ledger.set_cap("counts.csv", unit, Budget(50.0, 1e-6))
    (entry,) = exported(home)
    inside = entry["deployment"]
    terms = inside["privacy_loss"]
    assert terms["privacy_unit"] == unit.value
    assert unit.neighbours in terms["privacy_unit_details"]
    delta = 1e-6 if capped else 1e-7
    assert terms["privacy_parameters"] == {
        "epsilon": pytest.approx(ledger.spent("counts.csv", unit, delta)),
        "delta": delta,
    }
    assert ("Cap of the account: epsilon 50" in terms["privacy_parameters_details"]) == capped
    assert inside["basic"]["data_product_type"] == "Machine learning model"
    known = isinstance(unit, PrivacyUnit)
    assert (inside["dp_variant"]["data_domain"] == "people with a telephone") == known


def test_an_account_that_is_promised_nothing_has_no_epsilon(home: Home, ledger: Ledger) -> None:
    charged(ledger, "counts.csv", IntervalUnit(1), TRAINING, purpose="training")
    charged(ledger, "counts.csv", PrivacyUnit.USER_DAY, COUNTS, day=2)
    entries = {one["deployment"]["privacy_loss"]["privacy_unit"]: one for one in exported(home)}
    loss = entries["interval-1"]["deployment"]["privacy_loss"]
    assert "privacy_parameters" not in loss
    assert "No finite epsilon at delta 1e-07" in loss["privacy_parameters_details"]


def test_streams_and_sweeps(home: Home, ledger: Ledger) -> None:
    for day in range(4):
        charged(ledger, "arrivals", PrivacyUnit.USER_DAY, COUNTS, day=day, purpose="stream")
        charged(ledger, "tried.csv", IntervalUnit(1), TRAINING, day=day, purpose="trial")
    stream, sweep = exported(home)
    for entry in (stream, sweep):
        model = entry["deployment"]["deployment_model"]
        assert (model["release_type"], model["data_source_type"]) == ("Many releases", "Dynamic")
    assert (
        "errors of the forecasts"
        not in stream["deployment"]["dp_variant"]["unprotected_quantities"]
    )
    assert "errors of the forecasts" in sweep["deployment"]["dp_variant"]["unprotected_quantities"]


def test_nothing_charged_is_no_deployment(home: Home, ledger: Ledger) -> None:
    ledger.set_cap("capped.csv", PrivacyUnit.USER, Budget(1.0, 1e-7), new=True)
    charged(ledger, "given back.csv", PrivacyUnit.USER_DAY, COUNTS, committed=False)
    assert exported(home) == []


def test_names_are_without_machine_paths_and_slugs_are_unique(home: Home, ledger: Ledger) -> None:
    for dataset in ("/home/me/counts.csv", "/srv/counts.csv", "postgresql://host/city#counts.csv"):
        charged(ledger, dataset, PrivacyUnit.USER_DAY, COUNTS)
    entries = exported(home)
    assert [one["deployment"]["basic"]["name"] for one in entries] == [
        "counts.csv, unit user-day",
        "counts.csv, unit user-day, account 2",
        "city#counts.csv, unit user-day",
    ]
    text = deployment_registry.to_yaml(entries)
    assert not re.search(r"/home|/srv|host", text)
    for name in re.findall("^# (.*)$", text, re.MULTILINE):
        assert re.fullmatch(r"deployments/[a-z0-9_]+\.yaml", name)


def test_what_the_ledger_cannot_know_is_marked(home: Home, ledger: Ledger) -> None:
    charged(ledger, "counts.csv", PrivacyUnit.USER_DAY, COUNTS)
    (entry,) = exported(home)
    inside = entry["deployment"]
    for marked in (
        inside["basic"]["data_curators"][0],
        inside["basic"]["data_product_region"],
        inside["basic"]["description"],
        inside["dp_variant"]["data_domain"],
        inside["deployment_model"]["actors"],
        inside["implementation"]["justification"],
        inside["administrative"]["registry_authors"][0],
    ):
        assert deployment_registry.FILL_IN in marked
    assert "data_product_sector" not in inside["basic"]
    assert "data_product_sector" in inside["administrative"]["notes"]
    first = accounts.export(home)["entries"][0]["time"]
    assert inside["basic"]["publication_date"] == first[:10]
