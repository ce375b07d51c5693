import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from dp.budget import Budget
from dp.composition.total import Total
from dp.mechanisms.count_noise import calibrate
from dp.mechanisms.window_sampling import WindowSampling
from dp.statement import gradient_perturbation, input_perturbation, no_privacy, stream, unproven
from dp.unit.contribution import ContributionBound, derive_bound
from dp.unit.privacy_unit import MONDAY, NEIGHBOURS, IntervalUnit, PrivacyUnit, Unit


def statement(
    delta: float = 1e-7,
    persons: int | None = 4000,
    unit: PrivacyUnit = PrivacyUnit.USER_DAY,
    says: Any = input_perturbation,
    spent: float | None = None,
    **more: Any,
) -> dict[str, Any]:
    bound, reasons = derive_bound(
        unit,
        observed=3456,
        interval=timedelta(minutes=30),
        regions=6,
        regions_per_interval=2,
        start=MONDAY,
    )
    noise = calibrate(Budget(1.0, delta), bound)
    said: dict[str, Any] = says(
        noise,
        unit,
        reasons=reasons,
        spent=spent or noise.epsilon,
        persons=persons,
        total=Total().plus(noise.event()),
        **more,
    )
    return said


def test_no_bare_epsilon() -> None:
    text = str(statement()["text"])
    for part in ("(1, 1e-07)", "one person on one calendar day", NEIGHBOURS, "9.8 persons"):
        assert part in text or part == "9.8 persons"
    assert "standard deviation 45.8 persons" in text


def test_it_says_what_it_does_not_cover() -> None:
    said = json.dumps(statement())
    assert "not a private release" in said
    assert "weakens as they add up" in said


def test_a_large_delta_is_a_warning() -> None:
    assert statement(1e-7)["warnings"] == []
    assert "1/4000" in str(statement(2.5e-4)["warnings"])
    assert statement(2.5e-4, persons=None)["warnings"] == []


def test_none_promises_nothing() -> None:
    assert "No privacy guarantee" in no_privacy()["text"]


SAMPLING = WindowSampling(2688, 512, 252, 5, 23.0)


def of_training(unit: Unit, inputs: dict[str, object] | None = None, **more: Any) -> dict[str, Any]:
    return gradient_perturbation(
        SAMPLING,
        unit,
        epsilon=7.5,
        delta=1e-7,
        clip=1.0,
        hit_because="windows that read it",
        scaler="declared",
        inputs=inputs,
        spent=7.5,
        persons=4000,
        total=Total().plus(SAMPLING.event()),
        **more,
    )


def test_a_private_training_names_its_unit_and_calls_the_naive_figure_naive() -> None:
    said = of_training(IntervalUnit(1))
    for part in (
        "(7.5, 1e-07)",
        "everybody in one interval",
        "change all values of one unit",
        "5 of 2688 windows",
        "would say epsilon 0.6 at delta 1e-07 (naive, not a guarantee)",
    ):
        assert part in str(said["text"])
    assert said["epsilon_naive"] == SAMPLING.naive_epsilon(1e-7)
    assert "not a guarantee" in str(said["naive_is"])


def test_a_private_training_says_that_forecasts_from_raw_counts_are_not_covered() -> None:
    uncovered = json.dumps(of_training(IntervalUnit(1))["not_covered"])
    assert "forecasts: the model reads the latest counts as they are" in uncovered
    assert "add up" in uncovered
    covered = of_training(PrivacyUnit.USER_DAY, inputs={"mechanism": "input"})
    assert "forecasts" not in json.dumps(covered["not_covered"])
    assert "and of the counts it forecasts from" in str(covered["text"])


def test_a_training_without_proof_promises_nothing() -> None:
    text = unproven({"checks": {"noise": False, "batches": True}})["text"]
    assert "No privacy guarantee" in text
    assert "(noise)" in text


NEW = {"time_zone", "unprotected", "other_releases", "identification", "caveats", "version"}
CAP = Budget(4.0, 1e-6)
UNPROVEN = unproven({"checks": {"noise": False}})


def streamed(**more: Any) -> dict[str, Any]:
    return statement(says=stream, spent=1.7, **more)


def with_inputs(unit: Unit, **more: Any) -> dict[str, Any]:
    return of_training(unit, statement(), **more)


PERSONS: tuple[Unit, ...] = tuple(PrivacyUnit)
CASES = [
    (says, unit, settings)
    for settings in ({}, {"cap": CAP, "clock": "Europe/Paris"})
    for says, units in (
        (statement, PERSONS),
        (streamed, PERSONS),
        (of_training, (*PERSONS, IntervalUnit(1), IntervalUnit(48))),
        (with_inputs, PERSONS),
    )
    for unit in units
]


@pytest.fixture(
    scope="module", params=CASES, ids=lambda case: f"{case[0].__name__} {case[1].value} {case[2]}"
)
def promised(request: pytest.FixtureRequest) -> dict[str, Any]:
    says, unit, settings = request.param
    said: dict[str, Any] = says(unit=unit, **settings)
    return said


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for one in value.values() for text in texts(one))
    elif isinstance(value, list | tuple):
        yield from (text for one in value for text in texts(one))


def dicts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list | tuple):
        yield from (found for one in value for found in dicts(one))


def test_every_statement_has_every_part(promised: dict[str, Any]) -> None:
    assert {*NEW} <= set(promised)
    assert all(promised[name] for name in NEW)
    assert json.loads(json.dumps(promised)) == promised
    for nothing in (no_privacy(), UNPROVEN):
        assert {*NEW} <= set(nothing)
        assert nothing["unprotected"][0].startswith("everything")
        assert nothing["identification"] is None


def test_every_epsilon_has_its_delta_beside_it(promised: dict[str, Any]) -> None:
    for text in texts(promised):
        for sentence in re.split(r"(?<=[a-z)])[.;] ", text):
            if re.search(r"epsilon [\d.]", sentence):
                assert re.search(r"delta \d", sentence), sentence
            assert not re.search(r"(ε|epsilon) ?[=≤<]", sentence), sentence
    for one in dicts(promised):
        if any(name.startswith("epsilon") for name in one):
            assert "delta" in one


def test_the_promise_names_unit_and_neighbours(promised: dict[str, Any]) -> None:
    unit = {"interval-1": "everybody in one interval"}.get(promised["unit"], "")
    for part in (promised["neighbours"], "1e-07", unit):
        assert part in promised["text"]
    assert promised["neighbours"] in promised["other_releases"]


def test_the_clock_is_named() -> None:
    day = statement(clock="UTC")
    assert day["protects"] == (
        "the records of one person on one calendar day (00:00 to 24:00, UTC)"
    )
    assert "(00:00 to 24:00, UTC; neighbours: " in day["text"]
    week = statement(unit=PrivacyUnit.USER_WEEK, clock="Asia/Tokyo")
    assert "(Monday 00:00 to Sunday 24:00, Asia/Tokyo)" in week["protects"]
    unknown = statement()
    assert "by the clock of the source's times" in unknown["protects"]
    assert "it is the same in all releases of this data set" in unknown["time_zone"]
    training = of_training(PrivacyUnit.USER_DAY, clock="UTC")
    assert "(00:00 to 24:00, UTC; neighbours: " in training["text"]
    assert "00:00" not in statement(unit=PrivacyUnit.USER, clock="UTC")["protects"]


def test_a_day_by_another_clock_is_two_units() -> None:
    said = statement(clock="UTC")
    noise = calibrate(Budget(1.0, 1e-7), ContributionBound(48, 2))
    both = Total().plus({**noise.event(), "intervals": 96}).epsilon(1e-7)
    assert f"protected as two units together, which come to epsilon {both:.4g}" in said["time_zone"]
    assert both > 1.4


def test_unprotected_quantities_are_named(promised: dict[str, Any]) -> None:
    listed = " | ".join(promised["unprotected"])
    for part in (
        "outages",
        "calendar",
        "names of the regions",
        "start and the end",
        "how many intervals",
        "account in the ledger",
        "bound",
    ):
        assert part in listed
    streamed = "epsilon_of_stream_alone" in promised
    assert ("measured on raw data" in listed) != streamed
    if promised["mechanism"] == "gradient":
        assert "2688 windows" in listed
        assert "252 updates" in listed
        assert ("the latest counts" in listed) == (promised["inputs"] == "raw")


def test_a_stream_says_what_other_releases_and_a_cap_do_to_it() -> None:
    for unit in PrivacyUnit:
        free = statement(says=stream, unit=unit, spent=1.7)
        assert "whatever is released before or after" not in free["text"]
        assert "(1, 1e-07)-differential privacy" in free["text"]
        assert "of all that this stream alone may ever release" in free["text"]
        assert "epsilon 1.7 at delta 1e-07" in free["text"]
        assert (
            "Every other release of the same data set, before or after, adds to it" in free["text"]
        )
        assert "no cap" in free["text"]
        assert (free["epsilon"], free["epsilon_of_stream_alone"]) == (1.7, pytest.approx(1.0))
        capped = statement(says=stream, unit=unit, spent=1.7, cap=CAP)
        assert "A cap of epsilon 4 at delta 1e-06" in capped["text"]
        assert "no cap" not in capped["text"]


def test_declared_bounds_are_assumptions_in_plain_words_and_enforced_ones_are_not() -> None:
    declared = " | ".join(statement()["assumptions"])
    assert "one person on one calendar day is counted in at most 48 intervals" in declared
    assert "the operator's word" in declared
    for enforced in (statement(enforced=True), of_training(PrivacyUnit.USER_DAY, enforced=True)):
        said = " | ".join(enforced["assumptions"])
        assert "operator" not in said
        for part in (
            "every identifier stands for one person",
            "is protected as several",
            "can change twice the bound",
        ):
            assert part in said


def test_no_training_loss_is_published(promised: dict[str, Any]) -> None:
    assert "training loss" not in json.dumps(promised)


def test_caveats_and_versions(promised: dict[str, Any]) -> None:
    said = " | ".join(promised["caveats"])
    for part in ("floating point", "timing", "operating system", "memory of the process"):
        assert part in said
    gradient = promised["mechanism"] == "gradient"
    assert ("AES-256 in counter mode" in said) == gradient
    assert ("32-bit" in said) == gradient
    libraries = promised["version"]["libraries"]
    exact = not gradient or promised["inputs"] != "raw"
    assert ("opendp" in libraries, "torch" in libraries) == (exact, gradient)
    assert all(libraries.values())
