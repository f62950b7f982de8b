"""Numbers at the edge: finite and equal to the oracle, or refused with a reason; never NaN in silence."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairs_bt import Config, run
from pairs_bt.backtest.signals import REFUSALS
from pairs_bt.errors import DataError
from pairs_bt.models import cointegration
from pairs_bt.models.kalman import hedge_ratio_filter, local_level_filter
from pairs_bt.models.mean_reversion import half_life, rolling_zscore
from tests.twins import cointegration as twin

SEEDS = st.integers(0, 2**31 - 1)
LEVELS = st.sampled_from([1e-6, 1e-3, 1.0, 1e2, 1e5, 1e9])
BETAS = st.sampled_from([-3.0, -1.0, -1e-3, 0.0, 1e-9, 1e-3, 0.5, 1.0, 40.0])
# Size of what separates the legs, in the size of a day's move: from nothing that a double can hold to all there is.
NOISES = st.sampled_from([0.0, 1e-14, 1e-11, 1e-8, 1e-4, 1.0, 100.0])


def legs(seed: int, beta: float, noise: float, bars: int) -> tuple[np.ndarray, np.ndarray]:
    """x a random walk around 1, y = 2 + beta (x - 1) + noise."""
    rng = np.random.default_rng(seed)
    x = 1.0 + 0.01 * rng.normal(size=bars).cumsum() / np.sqrt(bars)
    return 2.0 + beta * (x - 1.0) + 1e-3 * noise * rng.normal(size=bars), x


@settings(max_examples=60, deadline=None)
@given(SEEDS, BETAS, NOISES, LEVELS, LEVELS, st.integers(40, 160))
def test_tests_of_cointegration_give_the_twins_numbers_or_a_reason(seed, beta, noise, level_y, level_x, bars):
    y, x = legs(seed, beta, noise, bars)
    y, x = y * level_y, x * level_x
    inputs = cointegration.prepare(np.ascontiguousarray([y, x]))
    found = cointegration.scan_chunk(inputs, np.array([0]), np.array([1]))
    stats = np.array(
        [found.eg_stat_12[0], found.eg_pvalue_12[0], found.eg_stat_21[0], found.trace0[0], found.trace1[0]]
    )
    if found.code[0]:
        assert cointegration.REASONS[int(found.code[0])]
        assert np.isnan(stats).all()
        return
    assert np.isfinite(stats).all()
    assert 0.0 <= found.eg_pvalue_12[0] <= 1.0
    stat, lag = twin.engle_granger(y, x)
    if lag == found.eg_lag_12[0]:
        assert found.eg_stat_12[0] == pytest.approx(stat, rel=1e-6)
    else:
        # Two lags whose criteria tie to rounding: the twin's own statistic moves less than this between them.
        assert noise <= 1e-8
    trace = twin.johansen(y, x, max(int(found.var_order[0]) - 1, 1))
    assert [found.trace0[0], found.trace1[0]] == pytest.approx(trace, rel=1e-6, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(SEEDS, BETAS, NOISES, LEVELS, LEVELS, st.floats(0, 0.5), st.floats(1e-6, 1e6))
def test_the_hedge_filter_is_finite_whatever_the_legs(seed, beta, noise, level_y, level_x, delta, observation_cov):
    y, x = legs(seed, beta, noise, 120)
    found = hedge_ratio_filter(y * level_y, x * level_x, delta=delta, observation_cov=observation_cov)
    for name in ("beta", "alpha", "beta_var", "alpha_var", "innovation", "innovation_var"):
        assert np.isfinite(getattr(found, name)).all(), name
    assert (found.beta_var >= 0).all()
    assert (found.alpha_var >= 0).all()
    determinant = found.beta_var * found.alpha_var - found.beta_alpha_cov**2
    assert (determinant >= -1e-9 * found.beta_var * found.alpha_var).all()


@settings(max_examples=40, deadline=None)
@given(SEEDS, LEVELS, st.sampled_from([0.0, 1e-15, 1e-9, 1e-3, 1.0]))
def test_the_level_filter_stays_between_its_prior_and_its_prices(seed, level, spread):
    prices = level * (1.0 + spread * np.random.default_rng(seed).uniform(size=200))
    found = local_level_filter(prices)
    assert np.isfinite(found).all()
    assert (found > 0).all()
    assert found.max() <= prices.max() * (1 + 1e-12)


def test_forty_years_of_bars_equal_the_oracles():
    from pykalman import KalmanFilter
    from statsmodels.tsa.stattools import coint

    rng = np.random.default_rng(40)
    x = 1000.0 + rng.normal(size=10_080).cumsum()
    y = 0.7 * x + 30.0 + rng.normal(size=x.size).cumsum() * 0.3
    stat, pvalue, _ = coint(y, x, trend="c", autolag="aic")
    ours = cointegration.engle_granger(y, x)
    assert [ours.stat, ours.pvalue] == pytest.approx([stat, pvalue], rel=1e-9)
    model = KalmanFilter(
        n_dim_obs=1,
        n_dim_state=2,
        initial_state_mean=np.zeros(2),
        initial_state_covariance=np.ones((2, 2)),
        transition_matrices=np.eye(2),
        observation_matrices=np.column_stack([x, np.ones(x.size)])[:, None, :],
        observation_covariance=2.0,
        transition_covariance=1e-3 / (1 - 1e-3) * np.eye(2),
    )
    means = np.asarray(model.filter(y)[0])
    found = hedge_ratio_filter(y, x, delta=1e-3, observation_cov=2.0)
    np.testing.assert_allclose(found.beta, means[:, 0], rtol=1e-10)
    np.testing.assert_allclose(found.alpha, means[:, 1], rtol=1e-8, atol=1e-8)


@settings(max_examples=60, deadline=None)
@given(SEEDS, LEVELS, st.sampled_from([0.0, 1e-12, 1e-9, 1e-6, 1e-2, 1.0]), st.integers(2, 60))
def test_half_life_and_z_score_are_numbers_or_say_why_not(seed, level, wiggle, window):
    noise = np.random.default_rng(seed).normal(size=150)
    spread = level * (1.0 + wiggle * noise)
    try:
        life = half_life(spread)
    except DataError:
        return  # refused in words
    assert life > 0 or np.isnan(life)
    if np.isnan(life):
        assert np.ptp(spread) <= 1e-9 * level
    z = rolling_zscore(spread, window)
    assert np.isnan(z[: window - 1]).all()
    bound = (window - 1) / np.sqrt(window) * (1 + 1e-6)
    told = z[window - 1 :]
    assert (np.abs(told[np.isfinite(told)]) <= bound).all()
    if wiggle >= 1e-6:
        assert np.isfinite(told).all()


@lru_cache
def odd_market() -> pd.DataFrame:
    """Eight tickers, each odd in its own way; 420 business days."""
    rng = np.random.default_rng(8)
    index = pd.bdate_range("2018-01-01", periods=420, name="date")
    walk = np.exp(0.01 * rng.normal(size=(420, 4)).cumsum(axis=0))
    return pd.DataFrame(
        {
            "WALK": 50 * walk[:, 0],
            "TWIN": 50 * walk[:, 0] * (1 + 1e-10 * rng.normal(size=420)),
            "NEAR": 50 * walk[:, 0] * (1 + 1e-3 * rng.normal(size=420)),
            "MIRROR": 20 / walk[:, 0] * (1 + 1e-3 * rng.normal(size=420)),
            "PENNY": 1e-6 * walk[:, 1],
            "HUGE": 1e9 * walk[:, 2],
            "QUIET": 100 * (1 + 1e-9 * rng.normal(size=420)),
            "STEPS": np.where(np.arange(420) % 60 < 30, 10.0, 10.01),
        },
        index=index,
    )


@pytest.mark.parametrize("spread_on", ["raw", "filtered"])
@pytest.mark.parametrize("price_space", ["raw", "normalised", "log"])
@pytest.mark.parametrize("sizing", ["hedge_ratio", "dollar_neutral", "volatility"])
def test_no_table_of_an_odd_market_holds_a_number_that_is_none(price_space, spread_on, sizing):
    config = Config.from_dict(
        {
            "windows": {"train": "8M", "trade": "4M", "step": "4M", "entry_within": "4M"},
            "selection": {"combine": "any", "alpha": 0.99, "two_way": "none", "johansen": "book"},
            "filter": {"price_space": price_space, "spread_on": spread_on},
            "hedge": {"rehedge": ["never", "daily"], "reject_negative": False},
            "signal": {"entry": 0.5, "stop": 3.0, "time_stop": 2.0},
            "portfolio": {"sizing": sizing},
            "comparison": {"draws": 100},
        }
    )
    made = run(config, prices=odd_market())
    tests = made.tests
    tested = tests["eg_stat_12"].notna()
    assert tested.any()
    columns = ["eg_stat_12", "eg_pvalue_12", "eg_stat_21", "eg_pvalue_21", "trace0", "trace1"]
    assert np.isfinite(tests.loc[tested, columns].to_numpy()).all()
    assert tests.loc[~tested, columns].isna().all().all()
    assert (tests.loc[~tested, "reason"] != "").all()
    assert ((tests["reason"] == "") == tests["selected"]).all()
    lives = made.half_lives
    assert set(lives["reason"]) <= set(REFUSALS)
    fine = lives["reason"] == ""
    assert (np.isfinite(lives.loc[fine, "half_life"]) & (lives.loc[fine, "half_life"] > 0)).all()
    assert fine.any()
    assert len(made.trades) > 0
    for name in ("trades", "fills", "returns"):
        numbers = getattr(made, name).select_dtypes("number")
        assert np.isfinite(numbers.to_numpy(dtype=float)).all(), (name, numbers.columns[numbers.isna().any()])
    spreads = made.spreads
    assert np.isfinite(spreads[["hedge_ratio", "spread"]].to_numpy()).all()
    # Where the z-score has no meaning (no variation in its window) nothing is entered.
    lost = spreads["z_score"].isna()
    assert not np.isinf(spreads["z_score"]).any()
    assert lost.mean() < 0.2
    np.testing.assert_allclose(
        made.trades["net_pnl"], made.trades["gross_pnl"] - made.trades["cost"] - made.trades["borrow"], rtol=1e-12
    )
