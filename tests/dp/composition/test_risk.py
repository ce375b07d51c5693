import math

import pytest
from scipy.stats import norm

from dp.composition.risk import risk, trade_off
from dp.composition.total import COUNTS, total
from dp.mechanisms.window_sampling import WindowSampling

NOISED = {"mechanism": COUNTS, "sigma": 60.0, "intervals": 900, "regions": 1, "weight": 1}
MU = 0.5  # √900 / 60


def test_an_attacker_gains_what_a_gaussian_gives_away() -> None:
    found = risk(total([NOISED]), what="whether it rains")
    chance = norm.cdf(MU / 2)
    assert found["attacker"]["right_after_at_most"] == math.ceil(chance * 1000) / 1000
    for word in ("whether it rains", "50 %", "at most 59.9 %"):
        assert word in found["attacker"]["text"]
    epsilons = [point["epsilon"] for point in found["curve"]]
    assert epsilons == sorted(epsilons)


def test_the_trade_off_curve_is_that_of_a_gaussian() -> None:
    for point in trade_off(total([NOISED])):
        exact = norm.cdf(norm.ppf(1 - point["type_1"]) - MU)  # Dong, Roth, Su 2022, equation 6
        assert point["type_2"] <= exact + 1e-6
        assert point["type_2"] == pytest.approx(exact, abs=2e-3)


def test_a_training_has_curves_as_well() -> None:
    found = risk(total([WindowSampling(300, 60, 200, 5, 40.0).event()]), what="whether it rains")
    assert 0.5 < found["attacker"]["right_after_at_most"] < 1
    assert found["trade_off"][0]["type_2"] > 0.99


def test_where_nothing_is_promised_everything_can_be_told() -> None:
    found = risk(total([None]), what="whether it rains")
    assert found["attacker"]["right_after_at_most"] == 1
    assert all(point["type_2"] == 0 for point in found["trade_off"])
