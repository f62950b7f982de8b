"""Sharpe intervals, the Ledoit-Wolf test, Holm, MCS and SPA, cohorts, exposure and the verdict's rules."""

import math
import re
from dataclasses import fields
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import MCS, SPA
from numpy.testing import assert_allclose
from scipy.signal import lfilter
from scipy.stats import t as student

from benchmarks import interval_coverage as coverage
from pairs_bt.stats import comparison
from pairs_bt.stats.bootstrap import sharpe_contributions, stationary_bootstrap_indices, stationary_resamples
from pairs_bt.stats.multiple_comparison import superiority
from pairs_bt.stats.performance import sharpe
from pairs_bt.stats.sharpe_difference import holm
from pairs_bt.stats.verdict import Outcome, VerdictInputs, verdict

NAN = math.nan


def ar1_pairs(rng, n, rho=0.2, correlation=0.6, burn=50):
    """Two AR(1) return series with the same mean and variance: the Sharpe difference is zero."""
    shocks = rng.standard_normal((n + burn, 2))
    shocks[:, 1] = correlation * shocks[:, 0] + math.sqrt(1 - correlation**2) * shocks[:, 1]
    values = lfilter([1.0], [1.0, -rho], shocks, axis=0)
    return 0.0003 + 0.01 * values[burn:]


def four_variants(n=1200, seed=0):
    rng = np.random.default_rng(seed)
    common = rng.normal(0.0002, 0.004, n)
    means = {"dynamic": 0.0, "fixed_first": 1e-4, "averaged": 5e-5, "fixed_last": -2e-4}
    data = {name: common + rng.normal(mean, 0.003, n) for name, mean in means.items()}
    return pd.DataFrame(data, index=pd.bdate_range("2010-01-01", periods=n))


# --- intervals


@pytest.mark.parametrize(("days", "block", "level"), [(700, 60, 0.9), (504, 126, 0.95), (901, 40, 0.99)])
def test_intervals_equal_a_slow_recomputation(days, block, level):
    returns = four_variants(days)
    ours = comparison.sharpe_intervals(returns, block=block, level=level)
    for name in returns:
        r = returns[name].to_numpy()
        mean, deviation, blocks = r.mean(), r.std(), days // block
        # Delta method on (mean, mean square): d SR = dm / s - SR / (2 s^2) ((r - m)^2 - s^2)
        influence = (r - mean) / deviation - mean / deviation / 2 * (((r - mean) / deviation) ** 2 - 1)
        total = 0.0
        for j in range(1, blocks + 1):
            wave = [math.sqrt(2 / days) * math.cos(math.pi * j * (day - 0.5) / days) for day in range(1, days + 1)]
            total += float(np.dot(wave, influence)) ** 2 / blocks
        error = math.sqrt(total / days) * math.sqrt(252)
        row = ours.loc[name]
        assert row["sharpe"] == pytest.approx(sharpe(r), rel=1e-13)
        assert row["std_error"] == pytest.approx(error, rel=1e-9)
        margin = student.ppf((1 + level) / 2, blocks) * error
        assert_allclose([row["low"], row["high"]], [sharpe(r) - margin, sharpe(r) + margin], rtol=1e-9)
        assert row["blocks"] == blocks


def test_contributions_are_the_influence_of_a_day():
    r = four_variants(300)["dynamic"].to_numpy()
    found = sharpe_contributions(r)
    assert found.mean() == pytest.approx(r.mean() / r.std(), rel=1e-12)
    for day in (0, 17, 299):
        # the derivative of the ratio in the weight of one day
        step = 1e-6
        weight = np.full(300, (1 - step) / 300)
        weight[day] += step
        mean = weight @ r
        ratio = mean / math.sqrt(weight @ (r - mean) ** 2)
        assert (ratio - r.mean() / r.std()) / step == pytest.approx(found[day] - found.mean(), abs=1e-4)


@pytest.mark.parametrize("process", ["normal", "GARCH-t", "cohorts"])
def test_intervals_hold_the_truth_as_often_as_they_say(process):
    # 300 series: three standard errors of a coverage of 95% are 3.8 points
    found = coverage.measure(process, 504, 300, 5, bootstrap=False)
    assert 0.912 <= found["cosines, one a block, t (chosen)"][0] <= 0.988


def test_percentiles_of_the_stationary_bootstrap_do_not():
    found = coverage.measure("normal", 504, 200, 5)
    # ten points below what it says: six standard errors of 200 series
    assert found["percentile, blocks of 126 (before 0.2)"][0] < 0.89
    assert found["cosines, one a block, t (chosen)"][0] > 0.91


# --- the stationary bootstrap


def test_blocks_are_consecutive_days_of_the_mean_length():
    days = stationary_bootstrap_indices(np.random.default_rng(3), 500, 25, 400)
    follows = days[:, 1:] == (days[:, :-1] + 1) % 500
    assert days.min() == 0
    assert days.max() == 499
    # A day starts a new block with probability 1/25, and then follows its predecessor by luck in 1/500.
    assert abs(1 - follows.mean() - 0.04) < 0.002


@pytest.mark.parametrize("block", [1, 25, 400])
def test_resamples_are_the_days_of_the_bootstrap_as_blocks(block):
    drawn = stationary_resamples(500, block, 150, seed=3)
    days = stationary_bootstrap_indices(np.random.default_rng(3), 500, block, 150)
    written = np.concatenate([np.arange(a, a + n) % 500 for a, n in zip(drawn.start, drawn.length, strict=True)])
    np.testing.assert_array_equal(written, days.ravel())
    np.testing.assert_array_equal(
        np.cumsum(drawn.length)[drawn.first] - drawn.length[drawn.first], 500 * np.arange(150)
    )
    values = np.random.default_rng(8).normal(size=(500, 3))
    assert_allclose(drawn.means(values), values[days].mean(axis=1), atol=1e-15)


def test_a_variant_is_tested_on_the_same_resamples_alone_or_among_all():
    returns = four_variants(600)
    table = comparison.superior_predictive_ability(returns, draws=200, block=30, seed=4)
    for name in returns.columns:
        assert superiority(returns, name, draws=200, block=30, seed=4)[:3] == tuple(table.loc[name][:3]), name


def test_intervals_are_blind_to_scale():
    returns = four_variants(600)
    returns["scaled"] = returns["dynamic"] * 3.0
    table = comparison.sharpe_intervals(returns, block=50)
    assert_allclose(
        table.loc["scaled", ["low", "high"]].astype(float), table.loc["dynamic", ["low", "high"]].astype(float)
    )


# --- Ledoit and Wolf: a slow and literal twin


def twin_statistic(a, b, psi, length):
    v = np.array([a.mean(), b.mean(), (a * a).mean(), (b * b).mean()])
    spread_a, spread_b = v[2] - v[0] ** 2, v[3] - v[1] ** 2
    gradient = np.array(
        [v[2] / spread_a**1.5, -v[3] / spread_b**1.5, -v[0] / 2 / spread_a**1.5, v[1] / 2 / spread_b**1.5]
    )
    difference = v[0] / math.sqrt(spread_a) - v[1] / math.sqrt(spread_b)
    return difference, math.sqrt(gradient @ psi @ gradient / length)


def twin_psi(a, b, blocks):
    y = np.column_stack([a - a.mean(), b - b.mean(), a * a - (a * a).mean(), b * b - (b * b).mean()])
    total = np.zeros((4, 4))
    for block in blocks:
        zeta = y[block].sum(axis=0) / math.sqrt(len(block))
        total += np.outer(zeta, zeta)
    return total / len(blocks)


def twin_difference(a, b, draws, block, seed, level):
    n = a.size
    every = [np.arange(start, start + block) % n for start in range(n)]
    difference, error = twin_statistic(a, b, twin_psi(a, b, every), n)
    count = n // block
    drawn = np.random.default_rng(seed).integers(n, size=(draws, count))
    statistics = []
    for starts in drawn:
        days = np.concatenate([np.arange(s, s + block) % n for s in starts])
        inside = [np.arange(j * block, (j + 1) * block) for j in range(count)]
        a_star, b_star = a[days], b[days]
        d_star, e_star = twin_statistic(a_star, b_star, twin_psi(a_star, b_star, inside), count * block)
        statistics.append(abs(d_star - difference) / e_star)
    pvalue = (sum(s >= abs(difference) / error for s in statistics) + 1) / (draws + 1)
    bound = np.quantile(statistics, level, method="higher")
    return difference, error, pvalue, bound


@pytest.mark.parametrize(("n", "block"), [(300, 21), (257, 40), (120, 1)])
def test_sharpe_difference_equals_a_slow_recomputation(n, block):
    values = ar1_pairs(np.random.default_rng(n), n)
    a, b = values[:, 0] + 0.0004, values[:, 1]
    difference, error, pvalue, bound = twin_difference(a, b, 99, block, 5, 0.9)
    result = comparison.sharpe_difference(a, b, draws=99, block=block, seed=5, level=0.9)
    year = math.sqrt(252)
    assert_allclose(result.difference, difference * year, rtol=1e-10)
    assert_allclose(result.std_error, error * year, rtol=1e-8)
    assert_allclose(result.statistic, difference / error, rtol=1e-8)
    assert result.pvalue == pvalue
    margin = bound * error * year
    assert_allclose(result.ci, (difference * year - margin, difference * year + margin), rtol=1e-7)
    assert result.blocks == n // block


def test_the_test_is_symmetric_and_blind_to_scale():
    values = ar1_pairs(np.random.default_rng(1), 800)
    a, b = values[:, 0] + 0.0005, values[:, 1]
    one = comparison.sharpe_difference(a, b, draws=200, block=40, seed=2)
    other = comparison.sharpe_difference(b, 7.0 * a, draws=200, block=40, seed=2)
    assert_allclose(other.difference, -one.difference, rtol=1e-10)
    assert other.pvalue == one.pvalue
    assert_allclose(other.ci, (-one.ci[1], -one.ci[0]), rtol=1e-8)


def test_a_large_difference_is_found():
    values = ar1_pairs(np.random.default_rng(4), 2000)
    result = comparison.sharpe_difference(values[:, 0] + 0.002, values[:, 1], draws=499, block=50, seed=1)
    assert result.pvalue == 1 / 500
    assert result.ci[0] > 0


@pytest.mark.slow
@pytest.mark.parametrize(("n", "block", "rho"), [(1000, 20, 0.2), (2000, 126, 0.2), (4000, 126, 0.3)])
def test_intervals_of_the_difference_cover_zero_as_often_as_they_say(n, block, rho):
    # 3,000 pairs put the simulation's own error at 0.4 percentage points; of 500, one in 16 would fail by luck.
    rng = np.random.default_rng(2024)
    covered = 0
    for seed in range(3000):
        values = ar1_pairs(rng, n, rho=rho)
        low, high = comparison.sharpe_difference(values[:, 0], values[:, 1], draws=499, block=block, seed=seed).ci
        covered += low <= 0.0 <= high
    assert 0.92 <= covered / 3000 <= 0.97


def test_paired_differences_are_the_single_tests_with_holm():
    from statsmodels.stats.multitest import multipletests

    returns = four_variants()
    table = comparison.paired_differences(returns, draws=300, block=60, seed=9)
    assert list(zip(table["first"], table["second"], strict=True)) == list(combinations(returns.columns, 2))
    for row in table.itertuples():
        single = comparison.sharpe_difference(returns[row.first], returns[row.second], draws=300, block=60, seed=9)
        assert (row.difference, row.pvalue, row.low, row.high) == (single.difference, single.pvalue, *single.ci)
    assert_allclose(table["pvalue_holm"], multipletests(table["pvalue"], method="holm")[1], rtol=1e-14)


def test_holm_against_statsmodels_and_with_missing_values():
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(0).random(12) ** 3
    p[4] = p[7]
    assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-14)
    assert_allclose(holm([0.01, NAN, 0.04]), [0.02, NAN, 0.04])
    assert holm([]).size == 0


def test_robustness_repeats_the_test_with_half_and_double_blocks():
    returns = four_variants(600)
    table = comparison.robustness(returns, draws=50, block=40, seed=3)
    assert list(table["block"].unique()) == [20, 40, 80]
    for block in (20, 40, 80):
        part = table[table["block"] == block].drop(columns="block").reset_index(drop=True)
        expected = comparison.paired_differences(returns, draws=50, block=block, seed=3)
        pd.testing.assert_frame_equal(part, expected, check_exact=True)


# --- model confidence set and SPA


@pytest.mark.parametrize(("seed", "days"), [(3, 500), (4, 900), (5, 300)])
def test_confidence_set_is_archs(seed, days):
    noise = np.random.default_rng(seed).normal(0.0, 0.01, (days, 6)) + np.linspace(-0.001, 0.001, 6)
    returns = pd.DataFrame(noise, index=pd.bdate_range("2010-01-01", periods=days), columns=list("abcdef"))
    mcs = MCS(-noise, 0.1, reps=300, block_size=20, method="R", bootstrap="stationary", seed=seed)
    mcs.compute()
    ours = comparison.model_confidence_set(returns, draws=300, block=20, seed=seed, size=0.1)
    assert ours["pvalue"].to_list() == mcs.pvalues["Pvalue"].sort_index().to_list()
    assert ours["pvalue"].nunique() > 2


def test_confidence_set_and_spa_are_archs():
    returns = four_variants(500)
    losses = -returns.to_numpy()
    mcs = MCS(losses, 0.1, reps=200, block_size=30, method="R", bootstrap="stationary", seed=4)
    mcs.compute()
    ours = comparison.model_confidence_set(returns, draws=200, block=30, seed=4, size=0.1)
    assert_allclose(ours["pvalue"], mcs.pvalues["Pvalue"].sort_index())
    assert list(np.flatnonzero(ours["included"])) == mcs.included
    spa = SPA(losses[:, 3], losses[:, :3], block_size=30, reps=200, seed=4)
    spa.compute()
    row = comparison.superior_predictive_ability(returns, draws=200, block=30, seed=4).loc["fixed_last"]
    assert_allclose([row["lower"], row["consistent"], row["upper"]], spa.pvalues.to_numpy())


def test_repeated_and_idle_variants_in_the_confidence_set():
    returns = four_variants(400)[["dynamic", "fixed_last"]]
    alone = comparison.model_confidence_set(returns, draws=100, block=20, seed=1)
    extra = returns.assign(copy=returns["dynamic"], idle=0.0, shifted=returns["dynamic"] + 0.001)
    table = comparison.model_confidence_set(extra, draws=100, block=20, seed=1)
    assert_allclose(table["pvalue"][:2], alone["pvalue"])
    assert table.loc["copy", "pvalue"] == alone.loc["dynamic", "pvalue"]
    assert table.loc["idle", "reason"] == "no day with a return (no trades)"
    assert table.loc["shifted", "reason"] == "differs from dynamic by a constant"
    spa = comparison.superior_predictive_ability(extra, draws=100, block=20, seed=1)
    assert spa.loc["copy", "consistent"] == spa.loc["dynamic", "consistent"]
    assert math.isnan(spa.loc["idle", "consistent"])


# --- inputs that leave nothing to estimate


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r.assign(dynamic=0.0), "dynamic: no day with a return (no trades)"),
        (lambda r: r.assign(dynamic=0.001), "dynamic: constant returns"),
        (lambda r: r.assign(dynamic=r["fixed_last"]), "the same returns up to a factor"),
        (lambda r: r.assign(dynamic=2.0 * r["fixed_last"]), "the same returns up to a factor"),
        (lambda r: r[:99], "99 days are fewer than two blocks of 50"),
        (lambda r: r[:0], "0 days are fewer than two blocks of 50"),
    ],
)
def test_degenerate_pairs_get_a_reason_and_no_number(change, reason):
    returns = change(four_variants(300)[["dynamic", "fixed_last"]])
    row = comparison.paired_differences(returns, draws=20, block=50, seed=1).iloc[0]
    assert row["reason"] == reason
    assert math.isnan(row["pvalue"])
    assert math.isnan(row["pvalue_holm"])
    single = comparison.sharpe_difference(
        returns["dynamic"].to_numpy(), returns["fixed_last"].to_numpy(), draws=20, block=50, seed=1
    )
    assert single.reason == reason.replace("dynamic:", "a:")


def test_resamples_without_returns_count_against_a_difference():
    # One busy month in 600 days: most resamples see nothing of it, so there is no bound to give.
    values = np.zeros((600, 2))
    values[100:120] = np.random.default_rng(0).normal(0.01, 0.01, (20, 2))
    result = comparison.sharpe_difference(values[:, 0], values[:, 1], draws=200, block=50, seed=1)
    assert result.pvalue > 0.05
    assert result.ci == (-math.inf, math.inf)


def test_arguments_are_checked():
    returns = four_variants(100)
    with pytest.raises(ValueError, match="different dates"):
        comparison.sharpe_difference(returns["dynamic"][1:], returns["averaged"][:-1], seed=1)
    with pytest.raises(ValueError, match="same days"):
        comparison.sharpe_difference(np.zeros(5), np.zeros(6), seed=1)
    with pytest.raises(ValueError, match="draws is 0"):
        comparison.paired_differences(returns, draws=0, seed=1)
    with pytest.raises(ValueError, match="block is 0"):
        comparison.sharpe_intervals(returns, block=0)
    with pytest.raises(ValueError, match="level is 95"):
        comparison.sharpe_intervals(returns, level=95)
    with pytest.raises(ValueError, match=r"returns\['averaged'\] has nan at position 7"):
        comparison.sharpe_intervals(returns.assign(averaged=returns["averaged"].where(np.arange(100) != 7)))
    with pytest.raises(ValueError, match="two columns named 'a'"):
        comparison.paired_differences(pd.DataFrame(np.zeros((4, 2)), columns=["a", "a"]), seed=1)
    with pytest.raises(ValueError, match="twice"):
        comparison.paired_differences(pd.concat([returns, returns]), seed=1)


# --- cohorts, concentration, exposure


def test_win_matrix_counts_windows():
    cohorts = pd.DataFrame({"A": [1.0, 2.0, 3.0, NAN], "B": [0.0, 2.0, 4.0, 1.0], "C": [0.5, 1.0, 5.0, 0.0]})
    wins, windows = comparison.win_matrix(cohorts)
    assert wins.to_numpy().tolist() == [[0, 1, 2], [1, 0, 2], [1, 2, 0]]
    assert windows.to_numpy().tolist() == [[3, 3, 3], [3, 4, 4], [3, 4, 4]]
    assert list(wins.index) == list(wins.columns) == ["A", "B", "C"]


def test_concentration_by_hand():
    trades = pd.DataFrame(
        {
            "variant": ["a", "a", "a", "a", "b"],
            "y": ["K", "K", "M", "M", "K"],
            "x": ["L", "L", "N", "N", "L"],
            "test_end": pd.to_datetime(["2010-03-31", "2010-06-30", "2010-03-31", "2010-06-30", "2010-03-31"]),
            "net_pnl": [50.0, -10.0, 30.0, 30.0, -5.0],
        }
    )
    table = comparison.concentration(trades, variants=["a", "b", "c"])
    a = table.loc["a"]
    assert (a["trades"], a["total_pnl"], a["best_trades_share"]) == (4, 100.0, 0.5)
    assert (a["best_pair"], a["best_pair_share"]) == ("M/N", 0.6)
    assert (a["best_cohort"], a["best_cohort_share"]) == (pd.Timestamp("2010-03-31"), 0.8)
    assert math.isnan(table.loc["b", "best_pair_share"])
    assert table.loc["c", "trades"] == 0
    assert list(comparison.concentration(trades).index) == ["a", "b"]
    assert (a["win_pair"], a["win_pnl"], a["loss_pnl"], a["without_extreme"]) == ("K/L", 50.0, -10.0, 50.0)
    assert math.isnan(a["worst_pair_share"])
    assert math.isnan(table.loc["b", "win_pnl"])


def test_concentration_of_a_loss_by_hand():
    ends = pd.to_datetime(["2010-03-31", "2010-03-31", "2010-06-30", "2010-06-30"])
    trades = pd.DataFrame(
        {
            "variant": ["a"] * 4,
            "y": ["K", "K", "M", "K"],
            "x": ["L", "L", "N", "L"],
            "test_end": ends,
            "entry_date": ends + pd.Timedelta(days=3),
            "capital": [100.0, 100.0, 500.0, 100.0],
            "net_pnl": [20.0, -15.0, -80.0, -25.0],
        }
    )
    row = comparison.concentration(trades).loc["a"]
    assert math.isnan(row["best_trades_share"])
    assert row["worst_trades_share"] == 0.8
    assert (row["worst_pair"], row["worst_pair_share"]) == ("M/N", 0.8)
    assert (row["worst_cohort"], row["worst_cohort_share"]) == (ends[2], 1.05)
    assert (row["loss_pair"], row["loss_date"], row["loss_cohort"]) == ("M/N", pd.Timestamp("2010-07-03"), ends[2])
    assert (row["loss_capital"], row["loss_pnl"], row["win_pnl"]) == (500.0, -80.0, 20.0)
    assert (row["extreme_pnl"], row["without_extreme"]) == (-80.0, -20.0)


def test_market_exposure_is_the_regression_slope():
    rng = np.random.default_rng(5)
    dates = pd.bdate_range("2010-01-01", periods=300)
    prices = pd.DataFrame(
        100 * np.exp(np.cumsum(rng.normal(0, 0.01, (300, 4)), axis=0)), index=dates, columns=list("KLMN")
    )
    prices.iloc[:100, 2] = np.nan
    market = prices.pct_change(fill_method=None).mean(axis=1).iloc[1:]
    returns = pd.DataFrame({"a": 0.3 * market + rng.normal(0, 0.005, 299), "idle": 0.0})
    table = comparison.market_exposure(returns.iloc[20:], prices)
    slope = np.polyfit(market.iloc[20:], returns["a"].iloc[20:], 1)[0]
    assert_allclose(table.loc["a", "beta"], slope, rtol=1e-10)
    assert_allclose(table.loc["a", "correlation"], np.corrcoef(market[20:], returns["a"][20:])[0, 1], rtol=1e-10)
    assert table.loc["a", "days"] == 279
    assert table.loc["idle", "beta"] == 0.0
    assert math.isnan(table.loc["idle", "correlation"])


# --- the verdict


def inputs(rows, *, sharpes=None, annual=None, traded=None, others=None, reason=""):
    sharpes = sharpes or {"dynamic": 0.6, "averaged": 0.2, "fixed_first": 0.1}
    return VerdictInputs(
        sharpes=sharpes,
        annual_returns=annual or dict.fromkeys(sharpes, 0.03),
        traded=traded or dict.fromkeys(sharpes, True),
        outcomes=tuple(Outcome(*row) for row in rows),
        block=126,
        other_blocks={b: tuple(Outcome(*row) for row in rows) for b, rows in (others or {}).items()},
        reason=reason,
    )


OPEN = [
    ("dynamic", "averaged", 0.4, 0.31),
    ("dynamic", "fixed_first", 0.5, 0.12),
    ("averaged", "fixed_first", 0.1, 0.9),
]
CLEAR = [
    ("averaged", "dynamic", -0.4, 0.012),
    ("dynamic", "fixed_first", 0.5, 0.3),
    ("averaged", "fixed_first", 0.1, 0.9),
]
LOSSES = dict.fromkeys(("dynamic", "averaged", "fixed_first"), -0.02)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            inputs(OPEN),
            "After costs, these data cannot tell them apart: the largest difference in net Sharpe ratio is 0.50, "
            "dynamic ahead of fixed_first (Holm-adjusted p = 0.120).",
        ),
        (
            inputs(OPEN, annual=LOSSES),
            "None made money after costs, and these data cannot tell them apart: the largest difference in net Sharpe "
            "ratio is 0.50, dynamic ahead of fixed_first (Holm-adjusted p = 0.120).",
        ),
        (
            inputs(OPEN, others={63: CLEAR, 252: OPEN}),
            "After costs, these data cannot tell them apart: the largest difference in net Sharpe ratio is 0.50, "
            "dynamic ahead of fixed_first (Holm-adjusted p = 0.120); with blocks of 63 days instead of 126 a pair "
            "would differ.",
        ),
        (
            inputs(CLEAR, others={63: CLEAR, 252: CLEAR}),
            "After costs, dynamic did better than averaged: its net Sharpe ratio is higher by 0.40 (Holm-adjusted "
            "p = 0.012); 2 of 3 pairs cannot be told apart.",
        ),
        (
            inputs(CLEAR, others={63: CLEAR, 252: OPEN}),
            "After costs, dynamic did better than averaged: its net Sharpe ratio is higher by 0.40 (Holm-adjusted "
            "p = 0.012); 2 of 3 pairs cannot be told apart; blocks of 252 days instead of 126 take this back, so it is "
            "not settled.",
        ),
        (
            inputs([("dynamic", "averaged", 0.4, 0.0004)], sharpes={"dynamic": -0.1, "averaged": -0.5}, annual=LOSSES),
            "None made money after costs, but dynamic lost less per unit of risk than averaged: its net Sharpe ratio "
            "is higher by 0.40 (Holm-adjusted p < 0.001).",
        ),
        (
            inputs([("b", "c", 0.9, 0.01)], sharpes={"a": 1.2, "b": 1.0, "c": 0.1}),
            "After costs, b did better than c: its net Sharpe ratio is higher by 0.90 (Holm-adjusted p = 0.010); the "
            "highest Sharpe ratio is a's.",
        ),
        (
            inputs([("dynamic", "averaged", NAN, NAN)], reason="90 days are fewer than two blocks of 126"),
            "After costs, these data cannot tell them apart: 90 days are fewer than two blocks of 126.",
        ),
        (
            inputs([], sharpes={"dynamic": 0.31}),
            "Only dynamic was compared: it made money after costs (net Sharpe ratio 0.31), and there is nothing to "
            "compare it with.",
        ),
        (
            inputs([], annual=LOSSES, traded={"dynamic": True, "averaged": False}),
            "Only dynamic traded: it lost money after costs (net Sharpe ratio 0.60), and there is nothing to compare "
            "it with.",
        ),
        (inputs(OPEN, traded={"dynamic": False}), "No variant traded, so there is nothing to compare."),
        (VerdictInputs({}, {}, {}, (), 126), "There is no variant to compare."),
    ],
)
def test_verdict_rules(given, sentence):
    assert verdict(given) == sentence


def test_a_p_of_exactly_five_percent_names_no_winner():
    assert "cannot tell them apart" in verdict(inputs([("dynamic", "averaged", 0.4, 0.05)]))
    assert "did better" in verdict(inputs([("dynamic", "averaged", 0.4, 0.0499)]))


def test_of_equal_p_values_the_larger_difference_is_named():
    rows = [("dynamic", "averaged", 0.4, 0.01), ("dynamic", "ols", 0.7, 0.01), ("ols", "averaged", -0.3, 0.01)]
    assert "dynamic did better than ols: its net Sharpe ratio is higher by 0.70" in verdict(inputs(rows))


# --- the bundle


def test_comparison_bundles_the_parts_and_is_the_same_again():
    returns = four_variants(600)
    cohorts = returns.groupby(returns.index.to_period("Q").to_timestamp()).sum()
    settings = {"draws": 80, "block": 60, "seed": 3}
    result = comparison.compare_variants(returns, **settings, cohort_returns=cohorts)
    pd.testing.assert_frame_equal(result.intervals, comparison.sharpe_intervals(returns, block=60))
    pd.testing.assert_frame_equal(result.differences, comparison.paired_differences(returns, **settings))
    expected = comparison.sharpe_confidence_set(result.differences, list(returns))
    pd.testing.assert_frame_equal(result.confidence_set, expected)
    assert result.wins.loc["dynamic", "averaged"] + result.wins.loc["averaged", "dynamic"] == len(cohorts)
    again = comparison.compare_variants(returns, **settings, cohort_returns=cohorts)
    for part in fields(result):
        ours, theirs = getattr(result, part.name), getattr(again, part.name)
        if isinstance(ours, pd.DataFrame):
            pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
        else:
            assert ours == theirs, part.name
    assert str(result.settings["first"])[:10] == "2010-01-01"
    assert len(result.differences) == 6


def test_comparison_of_equal_variants_names_no_winner():
    values = ar1_pairs(np.random.default_rng(8), 1000)
    result = comparison.compare_variants(pd.DataFrame(values, columns=["a", "b"]), draws=100, seed=1)
    assert "these data cannot tell them apart" in result.verdict


@pytest.mark.parametrize(
    ("columns", "days", "beginning"),
    [
        (["dynamic"], 400, "Only dynamic was compared"),
        (["idle"], 400, "No variant traded"),
        (["dynamic", "idle"], 400, "Only dynamic traded"),
        (["dynamic", "averaged"], 90, "After costs, these data cannot tell them apart: 90 days are fewer"),
        (["dynamic", "averaged"], 0, "No variant traded"),
        ([], 400, "There is no variant"),
    ],
)
def test_comparison_of_almost_nothing(columns, days, beginning):
    returns = four_variants(400).assign(idle=0.0)[columns][:days]
    result = comparison.compare_variants(returns, draws=20, block=50, seed=1)
    assert result.verdict.startswith(beginning)


def test_a_planted_difference_is_called_and_the_loser_leaves_the_set():
    returns = four_variants(3000)
    returns["fixed_last"] -= 0.0008
    result = comparison.compare_variants(returns, draws=400, seed=2)
    assert "did better than fixed_last" in result.verdict
    assert list(result.confidence_set.index[~result.confidence_set["included"]]) == ["fixed_last"]
    assert " The 3,000 days are 23 blocks of 126; between these two, four of five such samples would" in result.verdict
    assert result.superior.loc["fixed_last", "consistent"] < 0.05


@pytest.mark.parametrize("block", [21, 60])
def test_equal_variants_are_told_apart_in_at_most_five_per_cent(block):
    rng = np.random.default_rng(12)
    called = 0
    for seed in range(200):
        common = rng.normal(0.0003, 0.008, 1200)
        frame = pd.DataFrame({name: common + rng.normal(0.0, 0.006, 1200) for name in "abc"})
        table = comparison.paired_differences(frame, draws=199, block=block, seed=seed)
        called += bool((table["pvalue_holm"] < 0.05).any())
        assert comparison.sharpe_confidence_set(table, list("abc"))["included"].all() == (
            not (table["pvalue_holm"] < 0.05).any()
        )
    # 5% of 200 is 10, and three standard errors are 9
    assert called <= 19


def test_the_verdict_never_contradicts_the_set_beside_it():
    words = set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        names = list("abcd"[: rng.integers(2, 5)])
        common = rng.normal(0.0, 0.006, 700)
        drift = rng.normal(0.0, 0.0006, len(names))
        frame = pd.DataFrame(
            {
                name: rng.choice([1.0, 3.0]) * (common + rng.normal(d, 0.004, 700))
                for name, d in zip(names, drift, strict=True)
            }
        )
        result = comparison.compare_variants(frame, draws=120, block=21, seed=seed)
        sets = result.confidence_set
        out = list(sets.index[~sets["included"]])
        named = re.search(r"(\w) (?:did better|lost less per unit of risk) than (\w)", result.verdict)
        words.add(bool(named))
        assert bool(named) == bool(out), result.verdict
        assert named is None or named[2] in out
        # the best of the sample is never out, and who leaves was beaten by a pair beside it
        assert sets["included"][result.metrics.loc["sharpe"].idxmax()]
        clear = result.differences.query("pvalue_holm < 0.05")
        losers = clear["first"].where(clear["difference"] < 0.0, clear["second"])
        assert set(out) == set(losers)
    assert words == {True, False}


def test_the_findable_difference_is_found_in_four_samples_of_five():
    rng = np.random.default_rng(3)

    def pair(gap):
        values = rng.standard_normal((1500, 2))
        values[:, 1] = 0.6 * values[:, 0] + 0.8 * values[:, 1]
        values[:, 0] += gap / math.sqrt(252)
        return values

    size = np.mean(
        [comparison.sharpe_difference(*pair(0.0).T, draws=199, block=21, seed=k).detectable for k in range(40)]
    )
    found = [
        comparison.sharpe_difference(*pair(size).T, draws=199, block=21, seed=k).pvalue <= 0.05 for k in range(200)
    ]
    # 80% of 200 series, with a standard error of 2.8 points and the normal shape of the power curve
    assert 0.71 < np.mean(found) < 0.89


def test_trades_decide_who_traded():
    returns = four_variants(400)
    columns = ["variant", "y", "x", "test_end", "net_pnl"]
    result = comparison.compare_variants(
        returns, draws=20, block=50, seed=1, trades=pd.DataFrame({name: [] for name in columns})
    )
    assert result.verdict == "No variant traded, so there is nothing to compare."
    assert list(result.concentration["trades"]) == [0, 0, 0, 0]
