import math

import pytest

from dp.accounting import gaussian_epsilon
from dp.budget import Budget
from dp.composition import largest_fitting, rho, total_epsilon, weaker
from dp.mechanisms import calibrate
from dp.sampling import WindowSampling
from dp.unit import ContributionBound

DELTA = 1e-6
TRAINING = WindowSampling(300, 60, 200, 5, 40.0)
COUNTS = calibrate(Budget(1.0, DELTA), ContributionBound(48, 2)).event()


def test_one_release_costs_what_it_costs_alone() -> None:
    assert total_epsilon([TRAINING.event()], DELTA) == TRAINING.epsilon(DELTA)
    assert total_epsilon([COUNTS], DELTA) == pytest.approx(1.0, rel=1e-6)
    assert total_epsilon([], DELTA) == 0.0


def test_trainings_compose_as_one_longer_training() -> None:
    longer = WindowSampling(300, 60, 400, 5, 40.0)
    assert total_epsilon([TRAINING.event()] * 2, DELTA) == pytest.approx(
        longer.epsilon(DELTA), rel=1e-3
    )


def test_trainings_of_different_noise_compose_like_gaussians_without_sampling() -> None:
    runs = [WindowSampling(60, 60, steps, 3, noise) for steps, noise in ((50, 60.0), (100, 90.0))]
    mu = math.sqrt(sum(run.steps * (2 * 3 / run.noise_multiplier) ** 2 for run in runs))
    assert total_epsilon([run.event() for run in runs], DELTA) == pytest.approx(
        gaussian_epsilon(mu, DELTA), rel=1e-3
    )


def test_releases_of_both_kinds_add_up_safely() -> None:
    both = total_epsilon([TRAINING.event(), COUNTS], DELTA)
    assert both > total_epsilon([TRAINING.event()], DELTA)
    assert both == pytest.approx(
        total_epsilon([TRAINING.event()], DELTA / 2) + total_epsilon([COUNTS], DELTA / 2)
    )


@pytest.mark.parametrize("event", [TRAINING.event(), COUNTS], ids=["training", "counts"])
def test_what_is_left_fits_and_no_more(event: dict[str, object]) -> None:
    alone = total_epsilon([event], DELTA)
    cap = 1.2 * alone
    left = largest_fitting(cap, event, [event], DELTA)
    assert 0 < left < alone
    low, high = 1.0, 10.0
    while high > low * 1.001:
        factor = math.sqrt(low * high)
        fits = total_epsilon([weaker(event, factor)], DELTA) <= left
        low, high = (low, factor) if fits else (factor, high)
    factor = high
    assert total_epsilon([event, weaker(event, factor)], DELTA) <= cap * 1.001
    assert total_epsilon([event, weaker(event, factor * 0.99)], DELTA) > cap * 0.999
    assert largest_fitting(alone * 0.9, event, [event], DELTA) == 0.0


def test_rho_is_an_upper_bound() -> None:
    from dp.accounting import zcdp_epsilon

    for event in (TRAINING.event(), COUNTS):
        assert zcdp_epsilon(rho(event), DELTA) >= total_epsilon([event], DELTA)


def test_an_unknown_mechanism_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown mechanism"):
        total_epsilon([{"mechanism": "magic"}], DELTA)
