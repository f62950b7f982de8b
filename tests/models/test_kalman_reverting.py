"""The ratio that reverts to its mean: against a dense twin, statsmodels, scipy's search and planted truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from pairs_bt.backtest.hedge_rules import HEDGE_RULES, FilterPath, PairPrices, intercept
from pairs_bt.errors import DataError
from pairs_bt.kernels import kalman_reverting as kernel
from pairs_bt.models.hedge_effectiveness import MEASURES, measure
from pairs_bt.models.kalman_reverting import FLAGS, reverting_ratios
from tests.twins.kalman_reverting import dense, expected

TRAIN, BARS = 504, 630


def planted(
    seed: int, pairs: int, bars: int = BARS, phi: float = 0.95, sd: float = 0.15, noise: float = 0.4
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y, x and the true ratio, (pairs, bars): y = 60 + beta x + noise, beta about 0.8 with deviation sd."""
    rng = np.random.default_rng(seed)
    x = 50.0 * np.exp(np.cumsum(0.02 * rng.normal(size=(pairs, bars)), axis=1))
    steps = rng.normal(size=(pairs, bars))
    away = np.empty((pairs, bars))
    away[:, 0] = sd * steps[:, 0]
    for t in range(1, bars):
        away[:, t] = phi * away[:, t - 1] + sd * math.sqrt(1.0 - phi * phi) * steps[:, t]
    beta = 0.8 + away
    return 60.0 + beta * x + noise * rng.normal(size=(pairs, bars)), x, beta


@pytest.mark.parametrize(("phi", "var"), [(0.0, 0.0), (0.0, 0.01), (0.7, 0.3), (0.99, 1e-4), (0.9975, 2.0)])
@pytest.mark.parametrize("holes", [False, True])
def test_the_likelihood_is_that_of_one_normal_vector(phi: float, var: float, holes: bool) -> None:
    y, x, _ = planted(1, 1, 150)
    if holes:
        y[0, [3, 40, 41]] = np.nan
        x[0, 90] = np.nan
    assert kernel.concentrated(y[0], x[0], phi, var) == pytest.approx(dense(y[0], x[0], phi, var), rel=1e-7)


def test_the_filter_is_the_expectation_given_what_is_known() -> None:
    y, x, _ = planted(2, 1, 150)
    y[0, [0, 50, 51]] = np.nan
    made = reverting_ratios(y, x, 120)
    assert FLAGS[made.flag[0]] == ""
    fit = (made.phi[0], made.mean[0], made.alpha[0], made.step_var[0], made.shock_var[0])
    for t in (0, 1, 49, 50, 51, 52, 119, 120, 149):
        assert made.beta[0, t] == pytest.approx(expected(y[0], x[0], *fit, t), rel=1e-8)
        assert made.forecast[0, t] == pytest.approx(expected(y[0], x[0], *fit, t, ahead=1), rel=1e-8)


def test_likelihood_and_filter_are_statsmodels() -> None:
    from statsmodels.tsa.statespace.mlemodel import MLEModel

    y, x, _ = planted(3, 1)
    made = reverting_ratios(y, x, TRAIN)
    phi, b, alpha, q, r = (float(v[0]) for v in (made.phi, made.mean, made.alpha, made.step_var, made.shock_var))
    for bars in (TRAIN, BARS):
        model = MLEModel(y[0, :bars] - alpha - b * x[0, :bars], k_states=1, initialization="stationary")
        model["design"] = x[:, None, :bars]
        model["transition", 0, 0], model["selection", 0, 0] = phi, 1.0
        model["state_cov", 0, 0], model["obs_cov", 0, 0] = q, r
        twin = model.ssm.filter()
        if bars == TRAIN:
            assert made.log_likelihood[0] == pytest.approx(twin.llf, rel=1e-10)
    assert made.beta[0] == pytest.approx(b + twin.filtered_state[0], rel=1e-9)
    assert made.forecast[0] == pytest.approx(b + twin.predicted_state[0, 1:], rel=1e-9)


@pytest.mark.parametrize(("phi", "sd"), [(0.95, 0.15), (0.5, 0.05), (0.99, 0.1)])
def test_no_search_of_scipy_finds_a_better_fit(phi: float, sd: float) -> None:
    y, x, _ = planted(4, 3, TRAIN, phi, sd)
    made = reverting_ratios(y, x, TRAIN)

    def loss(at: np.ndarray, p: int) -> float:
        return -kernel.concentrated(y[p], x[p], 1.0 - math.exp(-at[0]), math.exp(at[1]) / np.mean(x[p] ** 2))[0]

    for p in range(3):
        best = min(
            minimize(loss, start, args=(p,), method="Nelder-Mead", bounds=[(0.0, 6.0), (-11.5, 11.5)]).fun
            for start in ([0.5, 0.0], [2.0, 2.0], [4.0, 5.0], [5.5, -2.0])
        )
        assert made.log_likelihood[p] > -best - 1e-2


def test_the_fit_finds_what_was_planted_and_does_not_depend_on_units() -> None:
    y, x, _ = planted(5, 40)
    made = reverting_ratios(y, x, TRAIN)
    assert np.median(made.phi) == pytest.approx(0.95, abs=0.02)
    assert np.median(made.mean) == pytest.approx(0.8, abs=0.05)
    assert np.median(np.sqrt(made.shock_var)) == pytest.approx(0.4, abs=0.15)
    assert np.median(np.sqrt(made.step_var / (1 - made.phi**2))) == pytest.approx(0.15, abs=0.03)
    scaled = reverting_ratios(1e3 * y, 0.1 * x, TRAIN)
    assert scaled.forecast == pytest.approx(1e4 * made.forecast, rel=1e-6)


def test_a_constant_ratio_is_seldom_taken_to_move_and_else_is_least_squares() -> None:
    y, x, _ = planted(6, 100, sd=0.0)
    made = reverting_ratios(y, x, TRAIN)
    still = made.flag == FLAGS.index("constant ratio")
    assert still.mean() >= 0.9
    for p in np.flatnonzero(still)[:10]:
        slope, line = np.polyfit(x[p, :TRAIN], y[p, :TRAIN], 1)
        assert made.forecast[p] == pytest.approx(np.full(BARS, slope), rel=1e-9)
        assert made.alpha[p] == pytest.approx(line, rel=1e-8)


def test_cutting_or_bending_the_future_changes_nothing_before() -> None:
    y, x, _ = planted(7, 3)
    whole = reverting_ratios(y, x, TRAIN)
    for cut in (TRAIN, TRAIN + 1, TRAIN + 60):
        part = reverting_ratios(y[:, :cut], x[:, :cut], TRAIN)
        assert np.array_equal(part.forecast, whole.forecast[:, :cut])
    bent = y.copy()
    bent[:, TRAIN + 10 :] *= 1.5
    after = reverting_ratios(bent, x, TRAIN)
    assert np.array_equal(after.forecast[:, : TRAIN + 10], whole.forecast[:, : TRAIN + 10])
    assert not np.array_equal(after.forecast[:, TRAIN + 10 :], whole.forecast[:, TRAIN + 10 :])
    alone = reverting_ratios(y[1:2], x[1:2], TRAIN)
    assert np.array_equal(alone.forecast, whole.forecast[1:2])


def test_a_pair_without_an_answer_is_nan_and_bad_arrays_are_named() -> None:
    y, x, _ = planted(8, 4, 100)
    x[0] = 50.0
    y[1, 3:] = np.nan
    y[2] = 3.0 + 2.0 * x[2]
    made = reverting_ratios(y, x, 80)
    assert [FLAGS[k] for k in made.flag] == ["no answer", "no answer", "constant ratio", ""]
    assert np.isnan(made.forecast[:2]).all()
    assert made.forecast[2] == pytest.approx(np.full(100, 2.0), rel=1e-12)
    assert np.isfinite(made.forecast[3]).all()
    with pytest.raises(DataError, match="give both as"):
        reverting_ratios(y, x[:, 1:], 80)
    with pytest.raises(DataError, match="n_train is 101"):
        reverting_ratios(y, x, 101)
    with pytest.raises(DataError, match="gain is -1"):
        reverting_ratios(y, x, 80, gain=-1.0)


PAIRS = 150
RULES = ("min_variance", "kalman_changes", "ols", "rolling_ols", "dollar", "tls", "kalman_reverting")


def losses_of(sd: float, noise: float) -> dict[str, np.ndarray]:
    """Log variance of each rule's hedge error over the next bar of the trade window: (pairs,) each."""
    y, x, _ = planted(9, PAIRS, phi=0.98, sd=sd, noise=noise)
    prices = np.concatenate([y, x])
    iy, ix = np.arange(PAIRS), np.arange(PAIRS) + PAIRS
    path = FilterPath(np.ones_like(y), np.zeros_like(y), y, x, PairPrices(prices, np.ones(2 * PAIRS), iy, ix))
    trade = np.ascontiguousarray(prices[:, TRAIN:])
    column = MEASURES.index("var_hedged")
    out = {}
    for name in RULES:
        ratio = np.ascontiguousarray(HEDGE_RULES[name](path, TRAIN)[:, TRAIN:])
        out[name] = np.log(measure(trade, iy, ix, ratio)[:, 0, column])
    return out


def test_where_the_ratio_reverts_to_a_mean_it_hedges_best() -> None:
    losses = losses_of(sd=0.15, noise=0.3)
    for name in RULES[:-1]:
        gaps = losses["kalman_reverting"] - losses[name]
        assert gaps.mean() < -2.0 * gaps.std(ddof=1) / math.sqrt(PAIRS), name


def test_where_the_ratio_is_constant_it_is_not_worse_than_least_squares() -> None:
    losses = losses_of(sd=0.0, noise=1.0)
    gaps = losses["kalman_reverting"] - losses["ols"]
    assert gaps.mean() < 2.0 * gaps.std(ddof=1) / math.sqrt(PAIRS) + 1e-4


def test_the_rule_s_intercept_is_that_of_the_fit() -> None:
    y, x, _ = planted(10, 2)
    path = FilterPath(np.ones_like(y), np.zeros_like(y), y, x)
    made = reverting_ratios(y[:, :TRAIN], x[:, :TRAIN], TRAIN)
    held = intercept(path, "kalman_reverting", TRAIN)
    assert np.array_equal(held, np.broadcast_to(made.alpha[:, None], y.shape))
