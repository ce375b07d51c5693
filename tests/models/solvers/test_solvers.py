"""Solvers against closed forms, other solvers and the inequalities that they promise."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from sklearn.linear_model import Lasso, PoissonRegressor

from models import solvers
from models.errors import ModelError
from models.registry import HEADS
from models.solvers import accelerated, gns, prox_cg
from models.solvers.penalties import L1, Mcp, Penalty, Scad, soft, strong, violation

SPARSE = [prox_cg.minimise, accelerated.minimise]
PENALTIES = [L1, Scad, Mcp]
RATES = st.floats(0.05, 2)


def log_sum_exp(seed: int, count: int = 200) -> tuple[Callable[[np.ndarray], Any], ...]:
    """f, ∇f, Hessian and weighted Gauss-Newton matrix, with the minimum at 0."""
    draw = np.random.default_rng(seed)
    a, b = draw.uniform(-1, 1, (count, count)), draw.uniform(-1, 1, count)
    a = a - softmax(-b) @ a

    def weights(x: np.ndarray) -> np.ndarray:
        return softmax(a @ x - b)

    def slope(x: np.ndarray) -> np.ndarray:
        return a.T @ weights(x)

    def gauss_newton(x: np.ndarray) -> np.ndarray:
        return a.T @ (weights(x)[:, None] * a)

    def hessian(x: np.ndarray) -> np.ndarray:
        return gauss_newton(x) - np.outer(slope(x), slope(x))

    return lambda x: float(logsumexp(a @ x - b)), slope, hessian, gauss_newton


def rosenbrock(x: np.ndarray) -> float:
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def rosenbrock_slope(x: np.ndarray) -> np.ndarray:
    return np.array([2 * (x[0] - 1) - 400 * x[0] * (x[1] - x[0] ** 2), 200 * (x[1] - x[0] ** 2)])


def rosenbrock_hessian(x: np.ndarray) -> np.ndarray:
    return np.array([[2 - 400 * (x[1] - 3 * x[0] ** 2), -400 * x[0]], [-400 * x[0], 200.0]])


def holds_its_promises(
    found: gns.Minimum,
    value: Callable[[np.ndarray], float],
    slope: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
) -> None:
    """‖d‖ ≤ γ, λ = ‖g‖/γ and f − f⁺ ≥ ‖g⁺‖²/(8λ) at every step; the last is what is returned."""
    before, steepness = value(start), float(np.linalg.norm(slope(start)))
    for step in found.history:
        assert step.length <= step.radius * (1 + 1e-8)
        assert step.damping == pytest.approx(steepness / step.radius)
        assert before - step.value >= step.slope**2 / (8 * step.damping)
        before, steepness = step.value, step.slope
    assert before == found.value == value(found.point)
    assert steepness == pytest.approx(np.linalg.norm(slope(found.point)))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("kind", "most"), [("hessian", 18), ("gauss-newton", 40)])
def test_gns_solves_log_sum_exp_in_the_published_number_of_steps(
    seed: int, kind: str, most: int
) -> None:
    value, slope, hessian, gauss_newton = log_sum_exp(seed)
    curvature = hessian if kind == "hessian" else gauss_newton
    found = gns.minimise(value, slope, curvature, np.ones(200), tolerance=1e-6)
    least = value(np.zeros(200))
    assert found.converged
    assert next(n for n, step in enumerate(found.history, 1) if step.value - least < 1e-8) <= most
    holds_its_promises(found, value, slope, np.ones(200))


def test_gns_walks_down_the_valley_of_rosenbrock() -> None:
    start = np.array([-2.0, 2.0])
    found = gns.minimise(rosenbrock, rosenbrock_slope, rosenbrock_hessian, start)
    assert next(n for n, step in enumerate(found.history, 1) if step.value < 1e-10) <= 52
    np.testing.assert_allclose(found.point, 1, atol=1e-7)
    holds_its_promises(found, rosenbrock, rosenbrock_slope, start)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), rank=st.integers(0, 6), radius=st.floats(1e-3, 1e3))
def test_gns_promises_hold_for_any_curvature(seed: int, rank: int, radius: float) -> None:
    draw = np.random.default_rng(seed)
    table, signs = draw.normal(size=(30, 6)), draw.choice([-1.0, 1.0], 30)
    part, start = draw.normal(size=(rank, 6)), draw.normal(size=6)

    def value(x: np.ndarray) -> float:
        return float(np.logaddexp(0, -signs * (table @ x)).sum() + x @ x)

    def slope(x: np.ndarray) -> np.ndarray:
        return -table.T @ (signs / (1 + np.exp(signs * (table @ x)))) + 2 * x

    def curvature(x: np.ndarray) -> np.ndarray:  # nothing to do with f, but ⪰ 0
        return part.T @ part

    found = gns.minimise(value, slope, curvature, start, radius=radius, tolerance=1e-5, steps=2000)
    assert found.converged
    holds_its_promises(found, value, slope, start)


def test_gns_leaves_a_place_where_the_hessian_is_indefinite() -> None:
    def value(x: np.ndarray) -> float:
        return float((x[0] ** 2 - 1) ** 2 + x[1] ** 2)

    def slope(x: np.ndarray) -> np.ndarray:
        return np.array([4 * x[0] * (x[0] ** 2 - 1), 2 * x[1]])

    def hessian(x: np.ndarray) -> np.ndarray:
        return np.diag([12 * x[0] ** 2 - 4, 2.0])

    start = np.array([0.1, 3.0])
    found = gns.minimise(value, slope, hessian, start, radius=100.0)
    np.testing.assert_allclose(found.point, [1, 0], atol=1e-8)
    assert found.history[0].radius < 100 / 4  # Cholesky failed more than once
    holds_its_promises(found, value, slope, start)


def test_gns_stays_at_a_minimum_and_survives_overflow() -> None:
    def value(x: np.ndarray) -> float:
        return float(np.exp(x).sum() - x.sum())

    def slope(x: np.ndarray) -> np.ndarray:
        return np.exp(x) - 1

    def curvature(x: np.ndarray) -> np.ndarray:
        return np.zeros((2, 2))  # so that a step goes as far as the radius

    still = gns.minimise(value, slope, curvature, np.zeros(2), tolerance=0.0)
    assert (still.converged, still.history, still.slope) == (True, (), 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        far = gns.minimise(value, slope, curvature, np.full(2, -1.0), radius=1e6, steps=2000)
    np.testing.assert_allclose(far.point, 0, atol=1e-7)


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_gns_fits_poisson_regression_as_others_do(alpha: float) -> None:
    draw = np.random.default_rng(5)
    table = draw.normal(size=(300, 4))
    counts = draw.poisson(np.exp(1 + table @ [0.3, -0.4, 0.0, 0.2])).astype(float)
    full = np.column_stack([table, np.ones(300)])
    ridge = np.array([alpha] * 4 + [0.0])

    def value(x: np.ndarray) -> float:
        eta = full @ x
        return float((np.exp(eta) - counts * eta).mean() + ridge @ x**2 / 2)

    def slope(x: np.ndarray) -> np.ndarray:
        return full.T @ (np.exp(full @ x) - counts) / 300 + ridge * x

    def hessian(x: np.ndarray) -> np.ndarray:
        return full.T @ (np.exp(full @ x)[:, None] * full) / 300 + np.diag(ridge)

    found = gns.minimise(value, slope, hessian, np.zeros(5))
    assert found.converged
    assert len(found.history) <= 15
    other = PoissonRegressor(alpha=alpha, tol=1e-10, max_iter=10_000).fit(table, counts)
    np.testing.assert_allclose(found.point, [*other.coef_, other.intercept_], atol=1e-5)
    best = minimize(value, np.zeros(5), jac=slope, hess=hessian, method="trust-exact", tol=1e-12)
    np.testing.assert_allclose(found.point, best.x, atol=1e-8)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"radius": 0.0}, "expected radius=0.0 to be above 0"),
        ({"tolerance": -1.0}, "expected tolerance=-1.0 to be 0 or more"),
        ({"steps": 0}, "expected steps=0 to be above 0"),
        ({"tries": 0}, "expected tries=0 to be above 0"),
        ({"start": np.array([np.nan, 0.0])}, "not finite at the start"),
    ],
)
def test_gns_refuses(setting: dict[str, Any], message: str) -> None:
    options = {"start": np.zeros(2), **setting}
    with pytest.raises(ValueError, match=message):
        gns.minimise(rosenbrock, rosenbrock_slope, rosenbrock_hessian, **options)


def correlated(
    seed: int, count: int = 300, features: int = 60, share: float = 0.0
) -> tuple[np.ndarray, ...]:
    """XᵀX/n, Xᵀy/n, X, y and the true coefficients, six of which are ±3."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(count, features))
    x += share / (1 - share) * draw.normal(size=(count, 1))
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    truth = np.zeros(features)
    truth[:6] = draw.choice([-3.0, 3.0], 6)
    y = x @ truth + draw.normal(size=count)
    y -= y.mean()
    return x.T @ x / count, x.T @ y / count, x, y, truth


def solved(
    solve: Callable[..., Any],
    gram: np.ndarray,
    moments: np.ndarray,
    penalty: Penalty,
    **options: Any,
) -> Any:
    largest = float(np.linalg.eigvalsh(gram)[-1])
    start = options.pop("start", np.zeros(len(moments)))
    return solve(lambda b: gram @ b - moments, penalty, start, lipschitz=largest, **options)


@pytest.mark.parametrize("solve", SPARSE)
@pytest.mark.parametrize(("rate", "share"), [(0.1, 0.0), (0.01, 0.0), (0.1, 0.5)])
def test_the_lasso_is_scikit_learns(solve: Callable[..., Any], rate: float, share: float) -> None:
    gram, moments, x, y, _ = correlated(1, share=share)
    found = solved(solve, gram, moments, L1(rate), tolerance=1e-11)
    other = Lasso(rate, fit_intercept=False, tol=1e-14, max_iter=1_000_000).fit(x, y)
    np.testing.assert_allclose(found.beta, other.coef_, atol=1e-8)
    assert np.array_equal(found.beta == 0, other.coef_ == 0)


def test_conjugate_gradients_need_few_steps() -> None:
    gram, moments, *_ = correlated(1)
    assert solved(prox_cg.minimise, gram, moments, L1(0.1)).steps <= 22
    gram, moments, *_ = correlated(1, share=0.5)
    quick = solved(prox_cg.minimise, gram, moments, L1(0.1))
    assert quick.converged
    assert quick.steps < solved(accelerated.minimise, gram, moments, L1(0.1)).steps


@pytest.mark.parametrize("solve", SPARSE)
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_what_is_found_is_stationary(
    solve: Callable[..., Any], penalty: type[Any], share: float
) -> None:
    gram, moments, *_ = correlated(2, share=share)
    rule = penalty(0.2)
    found = solved(solve, gram, moments, rule)
    slopes = gram @ found.beta - moments
    assert found.converged
    assert found.violation <= 1e-10
    # by another route: a fixed point of the proximal operator, which knows no c(β)
    again = rule.proximal(found.beta - 0.01 * slopes, 0.01)
    np.testing.assert_allclose(again, found.beta, atol=1e-11)
    assert 0 < np.count_nonzero(found.beta) < len(moments)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("seed", range(3))
def test_the_two_solvers_agree(penalty: type[Any], seed: int) -> None:
    gram, moments, *_ = correlated(seed)
    one, other = (solved(solve, gram, moments, penalty(0.3)).beta for solve in SPARSE)
    np.testing.assert_allclose(one, other, atol=1e-9)


@pytest.mark.parametrize("solve", SPARSE)
@pytest.mark.parametrize("penalty", [Scad, Mcp])
def test_well_separated_coefficients_are_those_of_the_oracle(
    solve: Callable[..., Any], penalty: type[Any]
) -> None:
    gram, moments, x, y, truth = correlated(3)
    found = solved(solve, gram, moments, penalty(0.5)).beta
    oracle = np.zeros_like(truth)
    oracle[:6] = np.linalg.lstsq(x[:, :6], y, rcond=None)[0]
    np.testing.assert_allclose(found, oracle, atol=1e-8)
    shrunk = solved(solve, gram, moments, L1(0.5)).beta
    assert np.abs(shrunk - oracle).max() > 0.3


@pytest.mark.parametrize("solve", SPARSE)
def test_without_a_penalty_it_is_least_squares_and_from_the_solution_no_step(
    solve: Callable[..., Any],
) -> None:
    gram, moments, x, y, _ = correlated(4)
    found = solved(solve, gram, moments, Scad(0.0))
    np.testing.assert_allclose(found.beta, np.linalg.lstsq(x, y, rcond=None)[0], atol=1e-8)
    again = solved(solve, gram, moments, Scad(0.0), start=found.beta, tolerance=1e-9)
    assert again.steps <= 1
    nothing = solve(lambda b: np.zeros(3), L1(1.0), np.zeros(3), lipschitz=0.0)
    assert (nothing.beta == 0).all()
    assert nothing.converged


@pytest.mark.parametrize("solve", SPARSE)
def test_too_few_steps_are_no_convergence(solve: Callable[..., Any]) -> None:
    gram, moments, *_ = correlated(4, share=0.5)
    found = solved(solve, gram, moments, L1(0.1), steps=3)
    assert (found.steps, found.converged) == (3, False)
    assert found.violation > 1e-3


@pytest.mark.parametrize("solve", SPARSE)
@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"lipschitz": -1.0}, "expected lipschitz=-1.0 to be 0 or more"),
        ({"tolerance": float("nan")}, "expected tolerance=nan to be 0 or more"),
        ({"steps": 0}, "expected steps=0 to be at least 1"),
    ],
)
def test_sparse_solvers_refuse(
    solve: Callable[..., Any], setting: dict[str, Any], message: str
) -> None:
    options = {"lipschitz": 1.0, **setting}
    with pytest.raises(ValueError, match=message):
        solve(lambda b: b, L1(0.1), np.zeros(2), **options)


@given(rate=RATES, point=st.floats(-9, 9), step=st.floats(0.02, 0.95))
@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_proximal_operator_minimises(
    penalty: type[Any], rate: float, point: float, step: float
) -> None:
    rule = penalty(rate)
    step = step / rule.bend if rule.bend else step
    found = float(rule.proximal(np.array([point]), step)[0])

    def cost(u: float) -> float:
        return (u - point) ** 2 / 2 + step * rule.value(np.array([u]))

    nearby = found + np.array([-1e-3, -1e-5, 1e-5, 1e-3])
    for other in [*np.linspace(-10, 10, 401), 0.0, *nearby]:
        assert cost(found) <= cost(other) + 1e-12


@given(rate=RATES, beta=st.floats(-9, 9), other=st.floats(-9, 9))
@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_concave_gradient_is_that_of_what_is_taken_back(
    penalty: type[Any], rate: float, beta: float, other: float
) -> None:
    rule = penalty(rate)

    def taken(b: float) -> float:
        return rate * abs(b) - rule.value(np.array([b]))

    there, then = rule.concave_gradient(np.array([beta, other]))
    measured = (taken(beta + 1e-6) - taken(beta - 1e-6)) / 2e-6
    assert there == pytest.approx(
        measured, abs=1e-5
    )  # also beyond aλ, where others have the sign wrong
    assert abs(there - then) <= rule.bend * abs(beta - other) + 1e-12
    assert rule.value(np.array([beta])) == pytest.approx(rule.value(np.array([-beta])))


def test_large_coefficients_cost_a_constant() -> None:
    assert Scad(0.5).value(np.array([2.0, -100.0])) == pytest.approx(2 * 4.7 * 0.25 / 2)
    assert Mcp(0.5).value(np.array([2.0, -100.0])) == pytest.approx(2 * 2.0 * 0.25 / 2)
    assert L1(0.5).value(np.array([2.0, -100.0])) == 51.0


def test_violation_and_strong_rule_by_hand() -> None:
    beta, slopes = np.array([0.0, 0.0, 2.0]), np.array([0.7, -0.2, -0.4])
    assert violation(beta, slopes, L1(0.5)) == pytest.approx(0.2)  # 0.7 − 0.5
    assert violation(beta, slopes, Mcp(0.5)) == pytest.approx(0.4)  # flat at 2: all of the slope
    assert violation(np.zeros(0), np.zeros(0), L1(0.5)) == 0
    assert strong(np.array([0.79, -0.81]), 0.9, 1.0).tolist() == [False, True]
    assert soft(np.array([-2.0, 0.3, 1.0]), 0.5).tolist() == [-1.5, 0.0, 0.5]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L1(-1.0), "expected strength=-1.0 to be 0 or more"),
        (lambda: Scad(1.0, a=2.0), "expected a=2.0 to be above 2"),
        (lambda: Mcp(1.0, gamma=1.0), "expected gamma=1.0 to be above 1"),
        (lambda: Mcp(float("inf")), "expected strength=inf"),
        (
            lambda: Mcp(1.0).proximal(np.zeros(1), 2.0),
            "expected step=2.0 to be above 0 and below 2",
        ),
        (lambda: Scad(1.0).proximal(np.zeros(1), 2.7), "expected step=2.7 to be above 0 and below"),
    ],
)
def test_penalties_refuse(make: Callable[..., Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_solver_is_chosen_where_it_fits_and_refused_elsewhere() -> None:
    for head, takes in HEADS.items():
        assert solvers.choose(None, head) == takes[0]
        assert [solvers.choose(name, head) for name in takes] == list(takes)
    with pytest.raises(
        ModelError,
        match="solver 'gns' is for poisson and negbin; sparse takes prox_cg or accelerated",
    ):
        solvers.choose("gns", "sparse")
    with pytest.raises(ModelError, match="solver 'prox_cg' is for sparse; negbin takes gns"):
        solvers.choose("prox_cg", "negbin")
    with pytest.raises(ModelError, match="solver 'lbfgs' is unknown; poisson takes gns"):
        solvers.choose("lbfgs", "poisson")
