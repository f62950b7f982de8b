"""Every hedge rule against an outside oracle, in all price spaces, and blind to the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pairs_bt.backtest.hedge_rules import HEDGE_RULES, FilterPath, PairPrices, from_dollars
from pairs_bt.backtest.signals import to_space
from pairs_bt.kernels.hedge_ratios import rebuilt_spreads
from pairs_bt.kernels.kalman import hedge_paths
from pairs_bt.models import hedge_ratios as formula

SPACES = ("raw", "normalised", "log")
N_TRAIN, BARS = 200, 260
OURS = (
    "ols", "rolling_ols", "tls", "min_variance", "johansen", "dollar", "one_to_one", "beta", "kalman_changes",
    "kalman_reverting", "residual",
)  # fmt: skip


def seeded() -> tuple[np.ndarray, np.ndarray]:
    r = np.random.RandomState(42)
    x = 50 + np.cumsum(r.normal(0, 1, 100))
    return (5 * x + r.normal(0, 1, 100))[None, :], x[None, :]


def market_prices(seed: int = 3, tickers: int = 8, bars: int = BARS) -> np.ndarray:
    rng = np.random.default_rng(seed)
    common = rng.normal(size=bars) * 0.01
    own = rng.normal(size=(tickers, bars)) * 0.01
    loading = rng.uniform(0.6, 1.5, size=(tickers, 1))
    start = rng.uniform(8, 400, size=(tickers, 1))
    return start * np.exp(np.cumsum(loading * common + own, axis=1))


def path_of(prices: np.ndarray, space: str, n_train: int = N_TRAIN, pairs: np.ndarray | None = None) -> FilterPath:
    iy, ix = (np.array([0, 1, 2, 5]), np.array([3, 4, 7, 6])) if pairs is None else pairs
    levels = to_space(prices, space)
    beta, alpha = np.empty((iy.size, prices.shape[1])), np.empty((iy.size, prices.shape[1]))
    hedge_paths(levels, iy, ix, 1e-3, 2.0, np.zeros(2), np.ones((2, 2)), beta, alpha)
    unit = prices[:, 0].copy() if space == "normalised" else np.ones(prices.shape[0])
    market = formula.market_returns(prices[:, :n_train], np.arange(prices.shape[0]))
    source = PairPrices(prices, unit, iy, ix, log_space=space == "log", market=market, rolling_window=60)
    return FilterPath(beta, alpha, levels[iy], levels[ix], source)


def in_shares(ratio: np.ndarray, path: FilterPath) -> np.ndarray:
    """Shares of x per share of y at every bar."""
    source = path.priced
    if source.log_space:
        return ratio * source.prices[source.iy] / source.prices[source.ix]
    return ratio * (source.unit[source.iy] / source.unit[source.ix])[:, None]


def test_the_seeded_numbers() -> None:
    y, x = seeded()
    assert formula.ols_ratio(y, x, constant=False)[0] == pytest.approx(5.000487, abs=5e-7)
    assert formula.ols_ratio(y, x)[0] == pytest.approx(4.998313, abs=5e-7)
    assert formula.tls_ratio(y, x, centred=False)[0] == pytest.approx(5.000577, abs=5e-7)
    assert formula.tls_ratio(y, x)[0] == pytest.approx(5.006425, abs=5e-7)


def test_the_seeded_johansen_ratio_is_statsmodels() -> None:
    from statsmodels.tsa.vector_ar.vecm import coint_johansen

    from pairs_bt.models.cointegration import johansen

    y, x = seeded()
    vector = coint_johansen(np.stack([y[0], x[0]], axis=1), 0, 1).evec[:, 0]
    assert -vector[1] / vector[0] == pytest.approx(5.001491, abs=5e-7)
    assert -johansen(y[0], x[0], 1).vector[1] == pytest.approx(5.001491, abs=5e-7)


def test_least_squares_is_lstsq_and_total_least_squares_the_svd() -> None:
    prices = market_prices()
    y, x = prices[:4, :N_TRAIN], prices[4:, :N_TRAIN]
    ols, tls, through_zero = formula.ols_ratio(y, x), formula.tls_ratio(y, x), formula.tls_ratio(y, x, centred=False)
    for p in range(4):
        design = np.stack([x[p], np.ones(N_TRAIN)], axis=1)
        assert ols[p] == pytest.approx(np.linalg.lstsq(design, y[p], rcond=None)[0][0], rel=1e-11)
        cloud = np.stack([x[p], y[p]], axis=1)
        for value, points in ((tls[p], cloud - cloud.mean(axis=0)), (through_zero[p], cloud)):
            first = np.linalg.svd(points)[2][0]
            assert value == pytest.approx(first[1] / first[0], rel=1e-10)


def test_total_least_squares_has_no_side() -> None:
    prices = market_prices()
    y, x = prices[:4, :N_TRAIN], prices[4:, :N_TRAIN]
    assert formula.tls_ratio(x, y) == pytest.approx(1.0 / formula.tls_ratio(y, x), rel=1e-12)
    assert formula.tls_ratio(-y, x) == pytest.approx(-formula.tls_ratio(y, x), rel=1e-12)


def test_minimum_variance_is_a_minimum_and_the_slope_of_changes() -> None:
    prices = market_prices()
    y, x = prices[:4, :N_TRAIN], prices[4:, :N_TRAIN]
    ratio = formula.min_variance_ratio(y, x)

    def variance(b: np.ndarray) -> np.ndarray:
        return np.diff(y - b[:, None] * x, axis=1).var(axis=1)

    assert (variance(ratio) < variance(ratio * 1.001)).all()
    assert (variance(ratio) < variance(ratio * 0.999)).all()
    for p in range(4):
        dy, dx = np.diff(y[p]), np.diff(x[p])
        assert ratio[p] == pytest.approx(np.cov(dy, dx)[0, 1] / dx.var(ddof=1), rel=1e-11)


@pytest.mark.parametrize("order", ["theory", "book"])
def test_johansen_is_statsmodels_at_the_order_it_selects(order) -> None:
    from statsmodels.tsa.api import VAR
    from statsmodels.tsa.vector_ar.vecm import VECM, coint_johansen

    rng = np.random.default_rng(5)
    x = 60 + np.cumsum(rng.normal(size=(3, 300)), axis=1)
    noise = np.zeros((3, 300))
    for t in range(1, 300):
        noise[:, t] = 0.8 * noise[:, t - 1] + rng.normal(size=3)
    y = np.array([[1.4], [-0.7], [0.3]]) * x + 200 + noise
    ratio = formula.johansen_ratio(y, x, var_order=order)
    for p in range(3):
        frame = np.stack([y[p], x[p]], axis=1)
        lag = VAR(frame).select_order().aic
        k = max(lag - 1, 1) if order == "theory" else max(lag, 1)
        vector = coint_johansen(frame, 0, k).evec[:, 0]
        assert ratio[p] == pytest.approx(-vector[1] / vector[0], rel=1e-8)
        fitted = VECM(frame, k_ar_diff=k, deterministic="co", coint_rank=1).fit().beta[:, 0]
        assert ratio[p] == pytest.approx(-fitted[1] / fitted[0], rel=1e-6)
    # y stands in front with weight one, whatever the sign and length of the eigenvector
    assert ratio == pytest.approx([1.4, -0.7, 0.3], abs=0.08)


def test_rolling_least_squares_is_statsmodels_and_starts_with_its_first_full_window() -> None:
    from statsmodels.regression.rolling import RollingOLS

    prices = market_prices()
    y, x = prices[:4], prices[4:]
    ratio, intercept = formula.rolling_ols_line(y, x, 60, N_TRAIN)
    for p in range(4):
        twin = RollingOLS(y[p], np.stack([x[p], np.ones(BARS)], axis=1), window=60).fit().params
        assert ratio[p, 59:] == pytest.approx(twin[59:, 0], rel=1e-7)
        assert intercept[p, 59:] == pytest.approx(twin[59:, 1], rel=1e-7, abs=1e-7)
        assert (ratio[p, :59] == ratio[p, 59]).all()
        assert (intercept[p, :59] == intercept[p, 59]).all()
    longest, _ = formula.rolling_ols_line(y, x, 10_000, N_TRAIN)
    assert longest[:, N_TRAIN - 1] == pytest.approx(formula.ols_ratio(y[:, :N_TRAIN], x[:, :N_TRAIN]), rel=1e-11)


def test_market_betas_are_regressions_on_the_market() -> None:
    prices = market_prices()
    market = formula.market_returns(prices, np.arange(8))
    returns = prices[:, 1:] / prices[:, :-1] - 1
    assert market == pytest.approx(returns.mean(axis=0), rel=1e-12)
    design = np.stack([market, np.ones(market.size)], axis=1)
    slopes = np.linalg.lstsq(design, returns.T, rcond=None)[0][0]
    assert formula.beta_ratio(prices[:4], prices[4:], market) == pytest.approx(slopes[:4] / slopes[4:], rel=1e-11)
    single = formula.market_returns(prices, np.array([6]))
    assert single == pytest.approx(returns[6], rel=1e-15)
    assert formula.beta_ratio(prices[6:7], prices[6:7], single)[0] == pytest.approx(1.0, rel=1e-14)


def test_the_filter_of_changes_is_pykalman() -> None:
    from pykalman import KalmanFilter

    prices = market_prices()
    ratio = formula.changes_ratio(prices, np.array([0, 2]), np.array([5, 1]), delta=1e-3, observation_cov=2.0)
    for p, (i, j) in enumerate(((0, 5), (2, 1))):
        dy, dx = 100 * np.diff(np.log(prices[i])), 100 * np.diff(np.log(prices[j]))
        # the missing first bar lets one prediction pass before the first change
        q = 1e-3 / 0.999 * np.eye(2)
        twin = KalmanFilter(
            n_dim_obs=1, n_dim_state=2, initial_state_mean=np.zeros(2), initial_state_covariance=np.ones((2, 2)) + q,
            transition_matrices=np.eye(2), transition_covariance=q, observation_covariance=2.0,
            observation_matrices=np.stack([dx, np.ones_like(dx)], axis=1)[:, None, :],
        )  # fmt: skip
        assert ratio[p, 1:] == pytest.approx(twin.filter(dy)[0][:, 0], rel=1e-9)


@pytest.mark.parametrize("space", SPACES)
def test_dollars_become_the_same_shares_in_every_space(space) -> None:
    """beta, dollar, one_to_one, kalman_changes find dollars; what is held for them cannot depend on the price space."""
    prices = market_prices()
    path = path_of(prices, space)
    iy, ix = path.priced.iy, path.priced.ix
    train = prices[:, :N_TRAIN]
    value = prices[iy] / prices[ix]
    at = slice(None) if space == "log" else slice(N_TRAIN - 1, N_TRAIN)
    start = slice(None) if space == "log" else slice(0, 1)
    betas = formula.beta_ratio(train[iy], train[ix], path.priced.market)
    expected = {
        # under logs a ratio is in dollars at each fill; else in shares, counted once
        "dollar": value[:, at],
        "one_to_one": value[:, start],
        "beta": betas[:, None] * value[:, at],
        "kalman_changes": formula.changes_ratio(prices, iy, ix, delta=1e-3, observation_cov=2.0) * value,
    }
    for name, shares in expected.items():
        got = in_shares(HEDGE_RULES[name](path, N_TRAIN), path)
        assert got == pytest.approx(np.broadcast_to(shares, got.shape), rel=1e-13), name
    # equal dollars on the train end, to the cent
    held = in_shares(HEDGE_RULES["dollar"](path, N_TRAIN), path)[:, N_TRAIN - 1]
    assert held * prices[ix, N_TRAIN - 1] == pytest.approx(prices[iy, N_TRAIN - 1], rel=1e-14)


@pytest.mark.parametrize("rule", ["ols", "min_variance", "johansen", "rolling_ols"])
def test_regressions_of_levels_hold_the_same_shares_raw_and_normalised(rule) -> None:
    prices = market_prices()
    raw, normalised = path_of(prices, "raw"), path_of(prices, "normalised")
    one = in_shares(HEDGE_RULES[rule](raw, N_TRAIN), raw)
    other = in_shares(HEDGE_RULES[rule](normalised, N_TRAIN), normalised)
    assert one == pytest.approx(other, rel=1e-8)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("rule", OURS)
def test_no_rule_sees_the_future_or_its_neighbours(rule, space) -> None:
    prices = market_prices()
    whole = HEDGE_RULES[rule](path_of(prices, space), N_TRAIN)
    cut = HEDGE_RULES[rule](path_of(np.ascontiguousarray(prices[:, : N_TRAIN + 17]), space), N_TRAIN)
    assert np.array_equal(whole[:, : N_TRAIN + 17], cut)
    alone = HEDGE_RULES[rule](path_of(prices, space, pairs=(np.array([2]), np.array([7]))), N_TRAIN)
    assert np.array_equal(whole[2:3], alone)
    moved = prices.copy()
    moved[:, N_TRAIN:] *= np.linspace(1.0, 3.0, BARS - N_TRAIN)
    after = HEDGE_RULES[rule](path_of(moved, space), N_TRAIN)
    assert np.array_equal(whole[:, :N_TRAIN], after[:, :N_TRAIN])
    if rule not in ("rolling_ols", "kalman_changes", "kalman_reverting", "residual"):
        assert np.array_equal(whole, after)
        assert (whole == whole[:, :1]).all()
    else:
        assert not np.array_equal(whole, after)


def test_the_rebuilt_spread_earns_what_the_shares_earn() -> None:
    prices = market_prices()
    path = path_of(prices, "raw")
    ratio = np.ascontiguousarray(HEDGE_RULES["kalman_changes"](path, N_TRAIN))
    out = np.empty_like(ratio)
    rebuilt_spreads(path.y, path.x, ratio, out)
    pnl = np.diff(path.y, axis=1) - ratio[:, :-1] * np.diff(path.x, axis=1)
    assert np.diff(out, axis=1) == pytest.approx(pnl, rel=1e-9, abs=1e-9)
    # differencing y - ratio x instead claims x dratio, which nobody earned
    level = np.diff(path.y - ratio * path.x, axis=1)
    assert np.abs(level - pnl).max() > 1.0


def test_a_pair_without_an_answer_is_nan_and_spoils_no_other() -> None:
    prices = market_prices()
    prices[3] = 50.0
    path = path_of(prices, "raw")
    for rule in ("ols", "rolling_ols", "min_variance", "johansen", "beta", "kalman_reverting"):
        ratio = HEDGE_RULES[rule](path, N_TRAIN)
        assert np.isnan(ratio[0]).all(), rule
        assert np.isfinite(ratio[1:]).all(), rule


def test_rules_that_read_prices_say_so() -> None:
    flat = np.ones((1, 50))
    bare = FilterPath(flat, flat, flat, flat)
    with pytest.raises(ValueError, match="reads prices"):
        HEDGE_RULES["dollar"](bare, 40)
    with pytest.raises(ValueError, match="market"):
        HEDGE_RULES["beta"](
            FilterPath(flat, flat, flat, flat, PairPrices(flat, np.ones(1), np.zeros(1, int), np.zeros(1, int))), 40
        )
    assert from_dollars(np.ones(1), path_of(market_prices(), "log"), 0).tolist() == [1.0]


def numbered_path() -> FilterPath:
    """Two pairs whose filter says its bar's number, with a jump of the levels at the first trade bar."""
    prices = market_prices()
    prices[:, N_TRAIN] *= np.linspace(0.5, 2.0, 8)
    path = path_of(prices, "raw", pairs=(np.array([0, 1]), np.array([3, 4])))
    return replace(path, beta=np.arange(2.0 * BARS).reshape(2, BARS) ** 1.5, first=3)


def test_a_held_ratio_is_that_of_the_bar_it_is_named_for() -> None:
    path = numbered_path()
    for rule, expected in (
        ("fixed_first", path.beta[:, 3]),
        ("fixed_last", path.beta[:, N_TRAIN - 1]),
        ("averaged", [row[3:N_TRAIN].sum() / (N_TRAIN - 3) for row in path.beta]),
        ("ols", [np.polyfit(path.x[k, :N_TRAIN], path.y[k, :N_TRAIN], 1)[0] for k in range(2)]),
        ("dollar", path.y[:, N_TRAIN - 1] / path.x[:, N_TRAIN - 1]),
        ("one_to_one", path.y[:, 0] / path.x[:, 0]),
    ):
        held = HEDGE_RULES[rule](path, N_TRAIN)
        assert held.shape == path.beta.shape
        assert (held == held[:, :1]).all()
        np.testing.assert_allclose(held[:, 0], expected, rtol=1e-9, err_msg=rule)
    assert (HEDGE_RULES["dynamic"](path, N_TRAIN) == path.beta).all()


@pytest.mark.parametrize("rule", ["fixed_first", "fixed_last", "averaged", "ols", "tls", "min_variance", "johansen"])
def test_a_held_ratio_knows_no_trade_bar(rule) -> None:
    path = numbered_path()
    later = np.arange(BARS) >= N_TRAIN
    spoiled = replace(
        path, beta=np.where(later, np.nan, path.beta), y=np.where(later, 1e9, path.y), x=np.where(later, 1e-3, path.x)
    )
    assert np.array_equal(HEDGE_RULES[rule](path, N_TRAIN), HEDGE_RULES[rule](spoiled, N_TRAIN))
