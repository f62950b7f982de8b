"""Partial cointegration: against a dense twin, statsmodels, scipy's search, planted truth and walks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import pairs_bt
from pairs_bt.backtest import window_tasks
from pairs_bt.backtest.selection import select_pairs
from pairs_bt.backtest.study import prepare
from pairs_bt.config.schema import Config
from pairs_bt.data.prices import check_prices
from pairs_bt.errors import ConfigError, DataError
from pairs_bt.kernels.scan import partial_cointegration as kernel
from pairs_bt.models.scan.partial_cointegration import (
    COLUMNS,
    ar_pvalues,
    changes_of,
    measure_pairs,
    partial_cointegration,
    walk_pvalues,
)
from tests.twins.partial_cointegration import dense, planted

BARS = 504


@pytest.mark.parametrize(("rho", "share"), [(0.0, 0.0), (0.0, 1.0), (0.5, 0.3), (0.9, 0.8), (0.99, 1.0), (0.9975, 0.6)])
@pytest.mark.parametrize("bars", [40, 400])
def test_the_likelihood_is_that_of_one_normal_vector(rho: float, share: float, bars: int) -> None:
    y, x = planted(np.random.default_rng(1), bars, 0.9, 0.5, beta=0.7)
    assert kernel.concentrated(np.diff(y), np.diff(x), rho, share) == pytest.approx(dense(y, x, rho, share), rel=1e-9)


@pytest.mark.parametrize(("rho", "share"), [(0.5, 0.3), (0.9, 0.8), (0.99, 0.5)])
def test_the_likelihood_is_that_of_statsmodels_with_a_level_of_which_nothing_is_known(rho: float, share: float) -> None:
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    y, x = planted(np.random.default_rng(2), BARS, 0.9, 0.5)
    value, beta, scale = kernel.concentrated(np.diff(y), np.diff(x), rho, share)
    model = UnobservedComponents(y, level="rwalk", autoregressive=1, exog=x, use_exact_diffuse=True)
    assert model.param_names == ["sigma2.level", "sigma2.ar", "ar.L1", "beta.x1"]
    theirs = model.loglike([scale * (1.0 - share), scale * 0.5 * share * (1.0 + rho), rho, beta])
    # of the first bar, which fixes the level, they count the constant of the normal density
    assert value == pytest.approx(theirs + 0.5 * np.log(2.0 * np.pi), rel=1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_the_search_finds_what_scipy_finds(seed: int) -> None:
    y, x = planted(np.random.default_rng(seed), BARS, (0.95, 0.8, 0.5, 0.9)[seed], (0.6, 1.0, 0.4, 0.8)[seed])
    dy, dx = np.diff(y), np.diff(x)
    best = max(
        -minimize(
            lambda p: -kernel.concentrated(dy, dx, 1.0 - np.exp(-p[0]), p[1])[0],
            start, method="Nelder-Mead", bounds=((0.0, 6.0), (0.0, 1.0)), options={"xatol": 1e-6, "fatol": 1e-9},
        ).fun
        for start in ((0.5, 0.3), (2.0, 0.7), (3.0, 0.9), (5.0, 0.5))
    )  # fmt: skip
    found = np.empty(kernel.N_FOUND)
    kernel.fit(dy, dx, found)
    assert -0.02 < found[kernel.LIKELIHOOD] - best < 1e-6


def test_statistics_are_differences_of_log_likelihood() -> None:
    y, x = planted(np.random.default_rng(5), BARS, 0.85, 0.7)
    fit = partial_cointegration(y, x)
    assert fit.log_likelihood == pytest.approx(dense(y, x, fit.rho, fit.share)[0], rel=1e-9)
    assert fit.walk_stat == pytest.approx(2.0 * (fit.log_likelihood - dense(y, x, 0.0, 0.0)[0]), abs=1e-6)
    whole = max(dense(y, x, 1.0 - np.exp(-u), 1.0)[0] for u in np.linspace(0.0, 6.0, 61))
    assert fit.ar_stat == pytest.approx(2.0 * (fit.log_likelihood - whole), abs=0.05)
    # the share is what the two deviations say
    own, walk = 2.0 * fit.sigma_m**2, (1.0 + fit.rho) * fit.sigma_r**2
    assert fit.share == pytest.approx(own / (own + walk), rel=1e-12)


@pytest.mark.parametrize(("rho", "share"), [(0.8, 0.8), (0.5, 0.5), (0.9, 0.7)])
def test_a_planted_share_is_found_within_its_error(rho: float, share: float) -> None:
    rng = np.random.default_rng([17, int(100 * rho)])
    fits = [partial_cointegration(*planted(rng, 1500, rho, share, beta=1.3)) for _ in range(40)]
    for name, truth in (("share", share), ("rho", rho), ("beta", 1.3)):
        values = np.array([getattr(fit, name) for fit in fits])
        error = values.std(ddof=1) / np.sqrt(values.size)
        assert abs(values.mean() - truth) < 3.0 * error + 0.01, name
    assert np.mean([fit.walk_pvalue < 0.05 for fit in fits]) > 0.9


def test_a_cointegrated_pair_has_a_share_of_about_one_and_a_walk_passes_at_its_level() -> None:
    rng = np.random.default_rng(23)
    whole = [partial_cointegration(*planted(rng, BARS, 0.9, 1.0)) for _ in range(60)]
    assert np.median([fit.share for fit in whole]) > 0.99
    assert np.mean([fit.share for fit in whole]) > 0.97
    assert np.mean([fit.walk_pvalue < 0.05 for fit in whole]) > 0.95
    assert np.mean([fit.ar_pvalue < 0.05 for fit in whole]) <= 0.12
    rows = rng.normal(size=(3000, 251))
    walks = measure_pairs(changes_of(np.cumsum(rows, axis=1)), np.arange(1500), np.arange(1500) + 1500)
    # binomial: 5% of 1,500 has a standard error of 0.56%
    assert (walks[:, COLUMNS.index("partial_pvalue")] <= 0.05).mean() == pytest.approx(0.05, abs=0.017)


def test_pvalues_fall_and_are_one_where_nothing_speaks_against_the_null() -> None:
    points = np.linspace(0.0, 40.0, 400)
    for p in (walk_pvalues(points, 100), walk_pvalues(points, 503), walk_pvalues(points, 5000), ar_pvalues(points)):
        assert p[0] == 1.0
        assert (np.diff(p) <= 0.0).all()
        assert 0.0 < p[-1] < 1e-6
        assert p.max() <= 1.0
    assert np.isnan(walk_pvalues(np.nan, 503))
    assert np.isnan(ar_pvalues(np.nan))
    assert ar_pvalues(2.705543454) == pytest.approx(0.05)


def test_nothing_depends_on_units_and_a_pairs_bytes_on_it_alone() -> None:
    rng = np.random.default_rng(4)
    y, x = planted(rng, BARS, 0.9, 0.7)
    one, other = partial_cointegration(y, x), partial_cointegration(1000.0 * y - 7.0, 0.01 * x)
    assert other.walk_stat == pytest.approx(one.walk_stat, rel=1e-6)
    assert (other.share, other.rho) == pytest.approx((one.share, one.rho))
    assert other.beta == pytest.approx(1e5 * one.beta)
    assert other.sigma_r == pytest.approx(1000.0 * one.sigma_r)
    changes = changes_of(np.stack([y, x, rng.normal(size=BARS).cumsum()]))
    alone = measure_pairs(changes, np.array([0]), np.array([1]))
    both = measure_pairs(changes, np.array([2, 0]), np.array([1, 1]))
    assert both[1].tobytes() == alone[0].tobytes()


def test_what_cannot_be_fitted_is_refused_in_words() -> None:
    y, x = planted(np.random.default_rng(6), 60, 0.5, 0.5)
    gap = y.copy()
    gap[7] = np.nan
    with pytest.raises(DataError, match=r"y is NaN at position 7 \(1 such"):
        partial_cointegration(gap, x)
    with pytest.raises(ValueError, match="y has 59 bars and x 60"):
        partial_cointegration(y[1:], x)
    with pytest.raises(DataError, match=r"39 bars\. Partial cointegration needs 40"):
        partial_cointegration(y[:39], x[:39])
    for constant in ((y, np.full(60, 3.0)), (2.0 * x + 1.0, x), (np.full(60, 3.0), x)):
        with pytest.raises(DataError, match="no fit"):
            partial_cointegration(*constant)
    rows = np.stack([np.full(60, 3.0), x, 2.0 * x])
    assert np.isnan(measure_pairs(changes_of(rows), np.array([0, 1, 2]), np.array([1, 0, 1]))).all()


def market(bars: int = 640) -> pd.DataFrame:
    """Two planted pairs, one of them with a part that wanders, and two walks."""
    rng = np.random.default_rng(12)
    columns = {}
    for names, share in ((("A", "B"), 0.8), (("C", "D"), 1.0)):
        y, x = planted(rng, bars, 0.85, share, deviation=0.6)
        columns |= dict(zip(names, (y + 40.0, x + 40.0), strict=True))
    columns |= {name: 90.0 + np.cumsum(rng.normal(size=bars)) for name in "EF"}
    return pd.DataFrame(columns, index=pd.bdate_range("2001-01-02", periods=bars))


SHORT = (
    "data.path=x", "windows.train=1Y", "windows.trade=3M", "windows.step=3M", "windows.entry_within=2M",
    "comparison.draws=100",
)  # fmt: skip


def short_config(*overrides: str) -> Config:
    return Config().with_changes(*SHORT, *overrides)


def test_the_scan_measures_the_pair_with_y_on_the_left_on_train_prices_alone() -> None:
    prices = market()
    config = short_config('selection.tests=["partial"]')
    study = prepare(config, check_prices(prices))
    scan = window_tasks.scan_task(study, 0, 0, study.pair_i.size)
    choice = select_pairs(scan, config.selection)
    train = study.context(0).train
    for p in range(study.pair_i.size):
        y, x = (scan.i[p], scan.j[p]) if scan.y_is_first[p] else (scan.j[p], scan.i[p])
        fit = partial_cointegration(train[y], train[x])
        assert scan.partial[p] == pytest.approx(
            [fit.walk_stat, fit.walk_pvalue, fit.ar_stat, fit.ar_pvalue, fit.rho, fit.share], rel=1e-6, nan_ok=True
        )
    chosen = {(study.tickers[scan.i[p]], study.tickers[scan.j[p]]) for p in choice.order}
    assert {("A", "B"), ("C", "D")} <= chosen
    # best first
    assert (np.diff(scan.partial[choice.order, 1]) >= 0.0).all()
    assert set(choice.reason[~choice.selected]) == {"partial"}
    # another future, the same scan
    other = prices.copy()
    other.iloc[study.windows[0].split :] *= 1.7
    again = window_tasks.scan_task(prepare(config, check_prices(other)), 0, 0, study.pair_i.size)
    assert again.partial.tobytes() == scan.partial.tobytes()


def test_a_run_lists_the_columns_where_the_test_is_asked_for_and_only_there(tmp_path: Path) -> None:
    prices = market()
    run = pairs_bt.run(short_config('selection.tests=["engle_granger", "partial"]'), prices=prices, out=tmp_path / "a")
    assert set(COLUMNS) <= set(run.tests)
    kept = pairs_bt.load_run(tmp_path / "a").tests
    assert kept[list(COLUMNS)].equals(run.tests[list(COLUMNS)])
    tested = run.tests["partial_stat"].notna()
    assert tested.all()
    one, two = (
        pairs_bt.run(short_config('selection.tests=["partial"]'), prices=prices, jobs=jobs).tests for jobs in (1, 3)
    )
    assert one.equals(two)
    assert not set(COLUMNS) & set(pairs_bt.run(short_config(), prices=prices).tests)


def test_pvalues_of_this_test_may_be_adjusted_and_wrong_names_are_refused() -> None:
    short_config('selection.tests=["partial"]', "selection.multiplicity=bh")
    with pytest.raises(ConfigError, match="'engle_granger' and 'partial' give"):
        short_config('selection.tests=["johansen"]', "selection.multiplicity=bh")
    with pytest.raises(ConfigError, match="'engle_granger', 'johansen' or 'partial'"):
        short_config('selection.tests=["partially"]')
