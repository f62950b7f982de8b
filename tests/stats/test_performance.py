"""Metrics against empyrical, skfolio's recorded values, and numbers worked by hand."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from pairs_bt.stats import performance as perf
from pairs_bt.stats.deflated_sharpe import SharpeMoments, sharpe_moments

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import empyrical

EMPYRICAL = {
    "annual_return": empyrical.annual_return,
    "annual_volatility": empyrical.annual_volatility,
    "sharpe": empyrical.sharpe_ratio,
    "sortino": empyrical.sortino_ratio,
    "max_drawdown": empyrical.max_drawdown,
    "calmar": empyrical.calmar_ratio,
}


def simulated(seed: int, n: int = 1500) -> pd.Series:
    rng = np.random.default_rng(seed)
    values = 0.0003 + 0.01 * rng.standard_t(4, n)
    values[rng.random(n) < 0.2] = 0.0
    return pd.Series(values, index=pd.bdate_range("2010-01-01", periods=n), name="dynamic")


@pytest.mark.parametrize("name", sorted(EMPYRICAL))
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [7, 63, 1500])
def test_metrics_equal_empyrical(name, seed, n):
    returns = simulated(seed)[-n:]
    assert_allclose(getattr(perf, name)(returns), EMPYRICAL[name](returns), rtol=1e-10, atol=1e-14)


def test_risk_free_rate_equals_empyrical():
    returns = simulated(1)
    assert_allclose(perf.sharpe(returns, risk_free=1e-4), empyrical.sharpe_ratio(returns, 1e-4), rtol=1e-12)
    assert_allclose(perf.sortino(returns, risk_free=1e-4), empyrical.sortino_ratio(returns, 1e-4), rtol=1e-12)


def test_series_metrics_equal_empyrical_and_keep_the_index():
    returns = simulated(2)
    assert_allclose(perf.equity(returns), empyrical.cum_returns(returns, starting_value=1), rtol=1e-12)
    rolling = perf.rolling_sharpe(returns)
    assert_allclose(rolling[125:], empyrical.roll_sharpe_ratio(returns, window=126), rtol=1e-10)
    for result in (perf.equity(returns), perf.drawdown(returns), rolling):
        assert result.index.equals(returns.index)
    assert isinstance(perf.equity(returns.to_numpy()), np.ndarray)


def test_summary_holds_the_single_metrics():
    returns = simulated(3)
    summary = perf.summary_metrics(returns)
    for name in EMPYRICAL:
        assert summary[name] == getattr(perf, name)(returns)
    assert_allclose(summary["total_return"], empyrical.cum_returns_final(returns), rtol=1e-12)
    assert summary["days"] == 1500
    assert_allclose(summary["skew"], float(returns.skew()) * (1498 / math.sqrt(1500 * 1499)), rtol=1e-10)


def test_drawdown_counts_the_first_day_from_the_start():
    assert_allclose(perf.drawdown(np.array([-0.1, 0.05, 0.2])), [-0.1, -0.055, 0.0], atol=1e-15)
    assert_allclose(perf.max_drawdown(np.array([-0.1, 0.05, 0.2])), -0.1, rtol=1e-14)


def test_ruin_stays_ruin():
    returns = np.array([0.1, -1.2, -1.5, 0.3])
    assert_allclose(perf.equity(returns), [1.1, 0.0, 0.0, 0.0])
    assert perf.annual_return(returns) == -1.0
    assert perf.max_drawdown(returns) == -1.0


@pytest.mark.parametrize("cut", [10, 126, 127, 700])
def test_future_days_change_nothing_before_the_cut(cut):
    returns = simulated(4)
    for function in (perf.equity, perf.drawdown, perf.rolling_sharpe):
        pd.testing.assert_series_equal(function(returns[:cut]), function(returns)[:cut], check_exact=True)


@pytest.mark.parametrize("values", [[], [0.01], [0.0] * 300, [0.001] * 300])
def test_undefined_metrics_are_nan_and_silent(values):
    returns = np.array(values, dtype=float)
    summary = perf.summary_metrics(returns)
    for name in ("sharpe", "sortino", "calmar", "skew", "probabilistic_sharpe", "minimum_track_record_days"):
        assert math.isnan(summary[name]), name
    assert np.isnan(perf.rolling_sharpe(returns)).all()
    if not values:
        assert all(math.isnan(value) for name, value in summary.items() if name != "days")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_with_their_place(bad):
    returns = simulated(0, 5)
    returns.iloc[3] = bad
    with pytest.raises(ValueError, match=r"position 3 \(2010-01-06"):
        perf.sharpe(returns)
    with pytest.raises(ValueError, match="one-dimensional"):
        perf.equity(np.zeros((3, 2)))


def test_hit_rate_leaves_idle_days_out():
    assert perf.hit_rate(np.array([0.0, 0.1, -0.1, 0.2, 0.0])) == 2 / 3
    assert math.isnan(perf.hit_rate(np.zeros(4)))


def test_rolling_window_must_hold_two_days():
    with pytest.raises(ValueError, match="at least 2"):
        perf.rolling_sharpe(np.zeros(5), window=1)


def test_trade_metrics_by_hand():
    pnl = np.array([100.0, -50.0, 30.0, -20.0, 0.0])
    assert_allclose(perf.profit_factor(pnl), 130 / 70)
    assert perf.win_rate(pnl) == 0.4
    mean = perf.mean_trade_bp(pnl, 10_000.0)
    # bp: 100, -50, 30, -20, 0; mean 12, sum of squared deviations 13080, sd sqrt(3270).
    assert_allclose(mean, (12.0, math.sqrt(3270 / 5), 12.0 / math.sqrt(3270 / 5), 5), rtol=1e-14)
    # 0.1% a day for two days, and 2% of the capital traded on one of them: (1.001)(1.001 - 0.02 c) = 1
    level = perf.break_even_cost_bps([0.001, 0.001], [0.0, 0.02])
    assert_allclose(level, 1e4 * (1.001 - 1 / 1.001) / 0.02, rtol=1e-12)


def test_trade_metrics_without_trades_or_losers():
    none = np.array([])
    assert math.isnan(perf.profit_factor(none))
    assert math.isnan(perf.profit_factor([1.0, 2.0]))
    assert math.isnan(perf.win_rate(none))
    assert math.isnan(perf.mean_trade_bp(none, 1.0).mean_bp)
    assert perf.mean_trade_bp([5.0], 1e4)[0] == 5.0
    assert math.isnan(perf.mean_trade_bp([5.0, 5.0], 1e4).t_stat)
    assert math.isnan(perf.break_even_cost_bps([0.01, 0.02], [0.0, 0.0]))
    assert math.isnan(perf.break_even_cost_bps([], []))
    assert math.isnan(perf.break_even_cost_bps([-1.0, 0.02], [0.0, 0.1]))


@pytest.mark.parametrize("seed", range(6))
def test_at_the_break_even_cost_the_annual_return_is_zero(seed):
    rng = np.random.default_rng(seed)
    before = rng.normal(0.0004 * (seed - 3), 0.02 * (1 + seed), 300).clip(-0.9)
    traded = np.where(rng.random(300) < 0.3, rng.uniform(0, 2.0, 300), 0.0)
    level = perf.break_even_cost_bps(before, traded)
    assert abs(perf.annual_return(before - level / 1e4 * traded)) < 1e-11
    assert (
        perf.annual_return(before - (level - 1) / 1e4 * traded)
        > 0
        > perf.annual_return(before - (level + 1) / 1e4 * traded)
    )
    # volatility costs growth: the plain sum is still positive there
    assert level < 1e4 * before.sum() / traded.sum()


def test_a_break_even_beside_ruin():
    # the plain sum is zero at a cost that takes more than all on the one day of trading
    level = perf.break_even_cost_bps([0.5, 0.9, -0.2], [0.0, 0.0, 0.1])
    assert_allclose(1.5 * 1.9 * (0.8 - level / 1e4 * 0.1), 1.0, rtol=1e-12)
    with pytest.raises(ValueError, match="positive money"):
        perf.mean_trade_bp([1.0, 2.0], [1.0, 0.0])


def test_tail_share_counts_the_best_trades():
    pnl = np.concatenate([np.full(690, -1.0), np.arange(101.0, 111.0)])
    # 700 trades: the best 7 earned 104..110, in total 749; everything together 1055 - 690.
    assert_allclose(perf.tail_share(pnl), 749 / 365)
    assert perf.tail_share([2.0, 3.0, -1.0]) == 3.0 / 4.0
    assert math.isnan(perf.tail_share([-2.0, 1.0]))
    assert math.isnan(perf.tail_share([]))
    with pytest.raises(ValueError, match="fraction"):
        perf.tail_share([1.0], fraction=0.0)


def test_a_part_of_a_trade_in_the_tail_is_a_whole_one():
    # 1% of 150 trades is one and a half: the best two count, 149 + 150 of 1 + 2 + .. + 150
    assert_allclose(perf.tail_share(np.arange(1.0, 151.0)), 299 / 11_325)
    assert perf.tail_share(np.arange(1.0, 51.0), fraction=0.001) == 50 / 1275
    # 0.07 * 100 is above 7 by a rounding, and still seven trades: 94 + .. + 100 of 5,050
    assert_allclose(perf.tail_share(np.arange(1.0, 101.0), fraction=0.07), 679 / 5050)


# Bailey and Lopez de Prado (2012) and (2014): the moments are given, the results worked by hand.


def test_probabilistic_sharpe_and_track_record_by_hand():
    moments = SharpeMoments(sharpe=0.1, n=401, skew=-0.5, kurtosis=7.0)
    # variance term 1 + 0.05 + 1.5 * 0.01 = 1.065; z = 0.1 * 20 / sqrt(1.065) = 1.9380062
    assert_allclose(perf.probabilistic_sharpe(moments), 0.97368878, atol=5e-9)
    # 1 + 1.065 (1.6448536 / 0.1)^2 = 289.14
    assert_allclose(perf.minimum_track_record_length(moments), 1 + 1.065 * 270.5543454, rtol=1e-8)
    assert perf.probabilistic_sharpe(moments, 0.1) == 0.5
    assert perf.minimum_track_record_length(moments, 0.1) == math.inf
    with pytest.raises(ValueError, match="level"):
        perf.minimum_track_record_length(moments, level=95)


def test_track_record_length_is_where_the_probability_reaches_the_level():
    for seed in range(3):
        moments = sharpe_moments(simulated(seed) + 0.0005)
        length = perf.minimum_track_record_length(moments, level=0.9)
        at = SharpeMoments(moments.sharpe, length, moments.skew, moments.kurtosis)
        assert_allclose(perf.probabilistic_sharpe(at), 0.9, rtol=1e-12)


def test_deflated_sharpe_reproduces_the_papers_example():
    # 2014, "A numerical example": annual SR 2.5, 5 years of 250 days, 100 trials with annual variance 1/2,
    # skew -3, kurtosis 10: SR0 = 0.1132 a day and DSR = 0.9004; 46 trials would give 0.9505.
    moments = SharpeMoments(2.5 / math.sqrt(250), 1250, -3.0, 10.0)
    assert_allclose(perf.expected_maximum_sharpe(100, 0.5 / 250), 0.1132, atol=5e-5)
    assert_allclose(perf.deflated_sharpe(moments, trials=100, trial_variance=0.5 / 250), 0.9004, atol=5e-5)
    assert_allclose(perf.deflated_sharpe(moments, trials=46, trial_variance=0.5 / 250), 0.9505, atol=5e-5)


def test_values_recorded_from_skfolio():
    # skfolio 1.12.2: probabilistic_sharpe_ratio and deflated_sharpe_ratio of this series and these trials.
    returns = np.sin(np.arange(1, 501) ** 2) * 0.01 + 0.0009
    returns[::50] -= 0.02
    trials = np.linspace(-0.05, 0.09, 40)
    assert_allclose(perf.probabilistic_sharpe(returns), 0.9186807342423117, rtol=1e-10)
    assert_allclose(perf.probabilistic_sharpe(returns, 0.02), 0.8298080867274589, rtol=1e-10)
    deflated = perf.deflated_sharpe(returns, trials=40, trial_variance=trials.var(ddof=1))
    assert_allclose(deflated, 0.26165626413577586, rtol=1e-10)


def test_one_trial_deflates_nothing():
    returns = simulated(6)
    deflated = perf.deflated_sharpe(returns, trials=1, trial_variance=0.01)
    assert deflated == perf.probabilistic_sharpe(returns)
    assert perf.expected_maximum_sharpe(1.2, 1.0) == 0.0
    with pytest.raises(ValueError, match="at least 1"):
        perf.deflated_sharpe(returns, trials=0, trial_variance=0.01)
    with pytest.raises(ValueError, match="not negative"):
        perf.deflated_sharpe(returns, trials=3, trial_variance=-0.01)
