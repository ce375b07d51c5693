import math

import pytest
from scipy.stats import norm

from dp.budget import Budget
from dp.composition.risk import least_false_alarms, trade_off
from dp.composition.total import Total
from dp.mechanisms.count_noise import calibrate
from dp.mechanisms.window_sampling import WindowSampling
from dp.statement.identification import identification, of_counts, of_training
from dp.unit.contribution import ContributionBound
from dp.unit.privacy_unit import IntervalUnit, PrivacyUnit


def of(epsilon: float, prior: float = 0.01) -> dict:
    noise = calibrate(Budget(epsilon, 1e-7), ContributionBound(48, 2))
    return identification(
        Total().plus(noise.event()),
        PrivacyUnit.USER_DAY,
        of_counts(noise.sigma, 1),
        limit="No cap.",
        prior=prior,
    )


def mu(epsilon: float) -> float:
    noise = calibrate(Budget(epsilon, 1e-7), ContributionBound(48, 2))
    return noise.bound.sensitivity / noise.sigma


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 4.0])
def test_releases_needed_are_those_of_the_most_powerful_test(epsilon: float) -> None:
    said = of(epsilon)
    exact = (2 * norm.ppf(0.95) / mu(epsilon)) ** 2
    assert said["releases_needed_knowing_all_others"] == pytest.approx(exact, rel=0.02, abs=1)
    single = (2 * norm.ppf(0.95) * said["noise_in_persons"]) ** 2
    assert said["releases_needed_for_one_count"] == math.ceil(single)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("prior", [0.001, 0.01, 0.3])
def test_no_test_is_right_more_often_than_said(epsilon: float, prior: float) -> None:
    """Against the best test of a Gaussian, at every power that counts."""
    said = of(epsilon, prior)
    for power in (0.05, 0.2, 0.5, 0.9):
        alarms = norm.cdf(norm.ppf(power) - mu(epsilon))
        right = prior * power / (prior * power + (1 - prior) * alarms)
        assert right <= said["right_when_named_at_most"] + 1e-9
    best = norm.cdf(norm.ppf(0.05) - mu(epsilon))
    tight = prior * 0.05 / (prior * 0.05 + (1 - prior) * best)
    assert said["right_when_named_at_most"] <= tight * 1.15 + 0.001


def test_false_alarms_agree_with_the_trade_off_curve() -> None:
    noise = calibrate(Budget(1.0, 1e-7), ContributionBound(48, 2))
    total = Total().plus(noise.event())
    for point in trade_off(total)[1:-1:7]:
        alarms = least_false_alarms(total, 1 - point["type_2"])
        assert alarms == pytest.approx(point["type_1"], abs=2e-3)


def test_much_noise_is_called_so_and_little_noise_is_not() -> None:
    private, loud = of(1.0), of(20.0)
    assert private["supports"]
    assert "gives little means of singling anybody out" in private["text"]
    assert "of little use" in private["purpose"]
    assert not loud["supports"]
    assert "cannot be argued that identification is not reasonably likely" in loud["text"]
    assert "the noise is no obstacle" in loud["cost"]
    assert "treat what was released as personal data" in loud["purpose"]


def test_a_tenfold_chance_is_no_longer_called_little() -> None:
    sampling = WindowSampling(2688, 512, 252, 5, 23.0)
    said = identification(
        Total().plus(sampling.event()), IntervalUnit(1), of_training(sampling), limit="No cap."
    )
    assert said["right_when_named_at_most"] > 0.1
    assert not said["supports"]
    assert said["noise_in_persons"] is None
    assert "23 clips" in said["technology"]


def test_the_four_terms_carry_the_figures() -> None:
    said = of(1.0)
    assert (
        f"about {said['releases_needed_knowing_all_others']:,} independent releases" in said["cost"]
    )
    assert "No cap." in said["cost"]
    assert f"noise of {said['noise_in_persons']:.1f} persons" in said["technology"]
    assert f"{100 * said['right_when_named_at_most']:.3g} %" in said["purpose"]
    assert "not a legal opinion" in said["note"]


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.1, math.nan])
def test_a_prior_that_is_no_chance_is_refused(prior: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        of(1.0, prior)
