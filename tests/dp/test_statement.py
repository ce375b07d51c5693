import json
from datetime import timedelta

from dp.budget import Budget
from dp.composition import Total
from dp.mechanisms import calibrate
from dp.sampling import WindowSampling
from dp.statement import gradient_perturbation, input_perturbation, no_privacy, unproven
from dp.unit import NEIGHBOURS, IntervalUnit, PrivacyUnit, Unit, derive_bound


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
        noise, PrivacyUnit.USER_DAY, reasons=reasons, spent=noise.epsilon, persons=persons,
        total=Total().plus(noise.event()),
    )  # fmt: skip


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


def of_training(unit: Unit, inputs: dict[str, object] | None = None) -> dict[str, object]:
    return gradient_perturbation(
        SAMPLING, unit, epsilon=7.5, delta=1e-7, clip=1.0, hit_because="windows that read it",
        scaler="declared", inputs=inputs, spent=7.5, persons=4000,
        total=Total().plus(SAMPLING.event()),
    )  # fmt: skip


def test_a_private_training_names_its_unit_and_calls_the_naive_figure_naive() -> None:
    said = of_training(IntervalUnit(1))
    for part in ("(7.5, 1e-07)", "everybody in one interval", "change all values of one unit",
                 "5 of 2688 windows", "naive, not a guarantee"):  # fmt: skip
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
