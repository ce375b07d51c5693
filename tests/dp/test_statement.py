import json
from datetime import timedelta

from dp.budget import Budget
from dp.mechanisms import calibrate
from dp.statement import input_perturbation, no_privacy
from dp.unit import NEIGHBOURS, PrivacyUnit, derive_bound


def statement(delta: float = 1e-7, persons: int | None = 4000) -> dict[str, object]:
    bound, reasons = derive_bound(
        PrivacyUnit.USER_DAY,
        observed=3456,
        interval=timedelta(minutes=30),
        regions=6,
        regions_per_interval=2,
    )
    noise = calibrate(Budget(1.0, delta), bound)
    return input_perturbation(
        noise, PrivacyUnit.USER_DAY, reasons=reasons, spent=noise.epsilon, persons=persons
    )


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
