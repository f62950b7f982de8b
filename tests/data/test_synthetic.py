"""Synthetic markets: the truth that comes with the prices is true, and the same seed gives the same bytes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.stattools import coint

from pairs_bt.data.synthetic.market import PlantedPair, book_size_universe, make_market, random_walks
from pairs_bt.data.synthetic.random_walks import ar1, stream, unit_draws

LONG = 40_000


def ols(y, x):
    """Slope, intercept and the slope's standard error."""
    design = np.column_stack([x, np.ones_like(x)])
    coefficients, rss, *_ = np.linalg.lstsq(design, y, rcond=None)
    se = np.sqrt(rss[0] / (len(y) - 2) * np.linalg.inv(design.T @ design)[0, 0])
    return coefficients[0], coefficients[1], se


def engle_granger_pvalue(y, x):
    """statsmodels' p-value; one lag is plenty for an AR(1) spread."""
    return coint(y, x, maxlag=1, autolag=None)[1]


def assert_identity(market):
    """y = intercept + hedge ratio * x + spread at every bar."""
    for row in market.truth.itertuples():
        y, x = market.prices[row.y], market.prices[row.x]
        made = market.intercepts[row.pair] + market.hedge_ratios[row.pair] * x + market.spreads[row.pair]
        seen = (y.notna() & x.notna()).to_numpy()
        assert seen.any()
        np.testing.assert_allclose(y[seen], made[seen], rtol=1e-11)


# ---- determinism ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: make_market(seed=seed).prices,
        lambda seed: make_market(seed=seed, tail_df=4.0).spreads,
        lambda seed: random_walks(3, 50, seed=seed),
        lambda seed: random_walks(3, 50, seed=seed, space="level"),
        lambda seed: book_size_universe(12, 10, seed=seed, cointegrated_share=0.1).prices,
    ],
)
def test_same_seed_same_bytes_other_seed_other_prices(make):
    first, again, other = make(7), make(7), make(8)
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    assert not np.allclose(first, other)


def test_one_more_ticker_changes_no_other():
    pairs = (PlantedPair(), PlantedPair(half_life=30.0))
    small = make_market(seed=3, pairs=pairs[:1], n_independent=2, n_bars=100)
    large = make_market(seed=3, pairs=pairs, n_independent=5, n_bars=100)
    pd.testing.assert_frame_equal(small.prices, large.prices[small.prices.columns], check_exact=True)
    few, many = random_walks(2, 60, seed=1), random_walks(9, 60, seed=1)
    pd.testing.assert_frame_equal(few, many[few.columns], check_exact=True)


def test_streams_are_told_apart():
    keys = [((7,), ()), ((7, 0), ()), ((7,), (0,)), ((7,), (0, 0)), ((7,), (1,)), ((0, 7), ())]
    draws = [stream(seed, *key).integers(2**62) for seed, key in keys]
    assert len(set(draws)) == len(keys)
    assert stream(7).integers(2**62) == stream((7,)).integers(2**62)


# ---- the truth is true ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_prices_are_made_of_the_truth_and_positive(seed):
    pairs = (
        PlantedPair(),
        PlantedPair(kind="drifting", beta_walk=0.01, beta_trend=-0.8),
        PlantedPair(kind="breaking", beta=2.0, beta_after=0.3, break_at=400),
        PlantedPair(beta=-1.0, spread_vol=0.2, half_life=60.0),
    )
    market = make_market(seed=seed, pairs=pairs, n_bars=1000, volatility=(0.8, 0.9), tail_df=3.0)
    assert (market.prices > 0).all().all()
    assert_identity(market)
    assert list(market.truth["kind"]) == ["constant", "drifting", "breaking", "constant"]
    np.testing.assert_array_equal(market.truth["beta"], market.hedge_ratios.iloc[0])
    np.testing.assert_array_equal(market.truth["beta_last"], market.hedge_ratios.iloc[-1])
    np.testing.assert_array_equal(market.truth["alpha"], market.intercepts.iloc[0])
    assert market.groups["independent"] == ("W001", "W002", "W003", "W004")


@pytest.mark.parametrize("half_life", [2.0, 10.0, 40.0])
def test_half_life_and_spread_volatility_are_recovered(half_life):
    pair = PlantedPair(half_life=half_life, spread_vol=0.05)
    market = make_market(seed=11, pairs=[pair], n_independent=0, n_bars=LONG)
    truth = market.truth.iloc[0]
    s = market.spreads.iloc[:, 0].to_numpy()
    slope, _, se = ols(np.diff(s), s[:-1])
    assert abs(1.0 + slope - truth["phi"]) < 4 * se
    assert -np.log(2) / np.log(truth["phi"]) == pytest.approx(half_life, rel=1e-12)
    # sd of the estimate of an AR(1)'s standard deviation: sd * sqrt((1 + phi^2) / (1 - phi^2) / 2n)
    phi = truth["phi"]
    tolerance = 4 * np.sqrt((1 + phi**2) / (1 - phi**2) / (2 * LONG))
    assert s.std() / truth["spread_sd"] == pytest.approx(1.0, abs=tolerance)


@pytest.mark.parametrize("beta", [0.4, 1.0, 3.0, -0.7])
def test_regression_recovers_the_constant_hedge_ratio(beta):
    market = make_market(seed=5, pairs=[PlantedPair(beta=beta)], n_independent=0, n_bars=LONG // 4)
    y, x = market.prices["P01Y"].to_numpy(), market.prices["P01X"].to_numpy()
    slope, intercept, se = ols(y, x)
    truth = market.truth.iloc[0]
    # the residual is an AR(1): its long-run sd is sqrt((1 + phi) / (1 - phi)) times what the OLS error assumes
    inflation = np.sqrt((1 + truth["phi"]) / (1 - truth["phi"]))
    assert abs(slope - beta) < 4 * se * inflation
    assert intercept == pytest.approx(truth["alpha"], abs=4 * se * inflation * x.mean() + truth["spread_sd"])


def test_ar1_is_stationary_from_the_first_bar():
    draws = np.random.default_rng(0).standard_normal((4000, 6))
    paths = np.array([ar1(row.copy(), 20.0, 2.0) for row in draws])
    np.testing.assert_allclose(paths.std(axis=0), 2.0, rtol=4 / np.sqrt(2 * 4000))
    phi = 2.0 ** (-1 / 20)
    assert (paths[:, 0] * paths[:, 5]).mean() == pytest.approx(4.0 * phi**5, abs=4 * 6.0 / np.sqrt(4000))


def test_engle_granger_finds_planted_pairs():
    pairs = [PlantedPair(half_life=h) for h in (5.0, 10.0, 15.0)]
    market = make_market(seed=2, pairs=pairs, n_bars=1260)
    for row in market.truth.itertuples():
        assert engle_granger_pvalue(market.prices[row.y], market.prices[row.x]) < 0.01


def test_engle_granger_finds_hardly_anything_elsewhere():
    walks = random_walks(60, 300, seed=4, volatility=0.2).to_numpy()
    pvalues = np.array([engle_granger_pvalue(walks[:, 2 * i], walks[:, 2 * i + 1]) for i in range(30)])
    assert (pvalues < 0.05).sum() <= 6  # 30 tests of size 5 to 6%: P(more than 6) is below 1%
    assert np.median(pvalues) > 0.2


# ---- hedge ratios that move -------------------------------------------------------------------------------------


def test_breaking_hedge_ratio_breaks_at_its_date_and_the_price_does_not_jump():
    pair = PlantedPair(kind="breaking", beta=1.0, beta_after=2.0, break_at="2018-01-01", spread_vol=0.01)
    market = make_market(seed=9, pairs=[pair], n_bars=1500)
    when = market.truth["break_date"].iloc[0]
    assert when == pd.Timestamp("2018-01-01")
    beta = market.hedge_ratios["P01Y/P01X"]
    assert (beta[beta.index < when] == 1.0).all()
    assert (beta[beta.index >= when] == 2.0).all()
    change = market.prices.diff()
    leftover = change["P01Y"] - beta * change["P01X"] - market.spreads["P01Y/P01X"].diff()
    assert leftover.abs().max() < 1e-9
    for period, expected in ((beta.index < when, 1.0), (beta.index >= when, 2.0)):
        y, x = (change.loc[period, leg].dropna().to_numpy() for leg in ("P01Y", "P01X"))
        slope, _, se = ols(y, x)
        assert abs(slope - expected) < 4 * se


def test_break_defaults_to_the_middle_and_half_as_much_again():
    market = make_market(seed=1, pairs=[PlantedPair(kind="breaking", beta=0.8)], n_bars=101)
    assert market.truth["break_date"].iloc[0] == market.prices.index[50]
    assert market.truth["beta_last"].iloc[0] == pytest.approx(1.2)


def test_drifting_hedge_ratio_follows_its_trend_and_its_walk():
    trend = make_market(seed=1, pairs=[PlantedPair(kind="drifting", beta=2.0, beta_trend=0.5)], n_bars=500)
    np.testing.assert_allclose(trend.hedge_ratios.iloc[:, 0], np.linspace(2.0, 3.0, 500), rtol=1e-12)
    pair = PlantedPair(kind="drifting", beta=2.0, beta_walk=0.0005)
    walk = make_market(seed=1, pairs=[pair], n_bars=LONG, n_independent=0)
    steps = walk.hedge_ratios.iloc[:, 0].diff().dropna()
    assert steps.std() == pytest.approx(0.001, rel=4 / np.sqrt(2 * LONG))
    assert abs(steps.mean()) < 4 * 0.001 / np.sqrt(LONG)


# ---- gaps and delistings ----------------------------------------------------------------------------------------


def test_gaps_and_delistings_are_where_they_were_asked_for():
    plain = make_market(seed=6, n_bars=300)
    dates = plain.prices.index
    cut = make_market(
        seed=6,
        n_bars=300,
        gaps={"W001": [(10, 3), (dates[100], 8)], "P01Y": [(299, 5)]},
        delistings={"P01X": dates[200], "W002": 250},
    )
    expected = plain.prices.copy()
    expected.loc[dates[[10, 11, 12, *range(100, 108)]], "W001"] = np.nan
    expected.loc[dates[299:], "P01Y"] = np.nan
    expected.loc[dates[200:], "P01X"] = np.nan
    expected.loc[dates[250:], "W002"] = np.nan
    pd.testing.assert_frame_equal(cut.prices, expected, check_exact=True)
    pd.testing.assert_frame_equal(cut.truth, plain.truth)
    assert len(cut.notes) == 5
    assert any("W001: no price on 8 bars" in note for note in cut.notes)
    assert any("W002: delisted" in note for note in cut.notes)
    assert_identity(cut)


# ---- walks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tail_df", [None, 6.0])
def test_draws_have_unit_variance_and_the_tails_asked_for(tail_df):
    draws = unit_draws(np.random.default_rng(3), 200_000, tail_df)
    excess = 0.0 if tail_df is None else 6.0 / (tail_df - 4.0)
    assert abs(draws.mean()) < 4 / np.sqrt(draws.size)
    assert draws.var() == pytest.approx(1.0, abs=4 * np.sqrt((2 + excess) / draws.size))
    kurtosis = (draws**4).mean() / draws.var() ** 2 - 3
    assert kurtosis == pytest.approx(0.0, abs=0.1) if tail_df is None else kurtosis > 1.0


def test_log_walks_have_the_drift_and_volatility_asked_for():
    returns = np.log(random_walks(3, LONG, seed=2, drift=0.1, volatility=0.3)).diff().dropna()
    sd = 0.3 / np.sqrt(252)
    np.testing.assert_allclose(returns.std(), sd, rtol=4 / np.sqrt(2 * LONG))
    np.testing.assert_allclose(returns.mean(), 0.1 / 252, atol=4 * sd / np.sqrt(LONG))
    assert np.abs(returns.corr().to_numpy() - np.eye(3)).max() < 4 / np.sqrt(LONG)


def test_level_walks_start_at_the_price_unless_lifted_and_are_positive():
    calm = random_walks(50, 500, seed=1, space="level", step=0.5)
    assert (calm.iloc[0] == 100.0).all()
    wild = random_walks(50, 2000, seed=1, space="level", step=5.0)
    assert wild.min().min() == pytest.approx(10.0)
    lifted = wild.iloc[0] > 100.0
    assert 0 < lifted.sum() < 50
    assert (wild.iloc[0] >= 100.0).all()
    np.testing.assert_allclose(wild.min()[lifted], 10.0)
    np.testing.assert_allclose(wild.diff().std(), 5.0, rtol=4.5 / np.sqrt(2 * 2000))


def test_common_factor_sets_the_correlation_of_returns():
    for share in (0.0, 0.5):
        market = make_market(seed=1, pairs=(), n_independent=4, n_bars=20_000, factor_share=share)
        corr = np.log(market.prices).diff().corr().to_numpy()[np.triu_indices(4, 1)]
        np.testing.assert_allclose(corr, share, atol=4.5 / np.sqrt(20_000))


def test_dates_are_weekdays_from_the_start():
    index = random_walks(1, 10, seed=0, start="2015-01-03").index
    assert index[0] == pd.Timestamp("2015-01-05")
    assert index.name == "date"
    assert (index.day_of_week < 5).all()


# ---- the book-size universe -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def universe():
    return book_size_universe(seed=7)


def test_book_size_universe_has_the_size_of_the_book(universe):
    left, right = universe.groups["left"], universe.groups["right"]
    assert (len(left), len(right)) == (172, 139)
    assert (left[0], left[-1], right[0], right[-1]) == ("S001", "S172", "E001", "E139")
    assert list(universe.prices.columns) == [*left, *right]
    assert (universe.prices > 0).all().all()
    assert len(universe.truth) == round(0.02 * 172 * 139) == 478
    assert universe.truth["pair"].is_unique
    assert set(universe.truth["y"]) <= set(left)
    assert set(universe.truth["x"]) <= set(right)
    assert universe.truth["half_life"].between(10, 40).all()


def test_book_size_universe_holds_eleven_windows(universe):
    first, last = universe.prices.index[[0, -1]]
    assert (first, last) == (pd.Timestamp("2015-01-01"), pd.Timestamp("2019-12-31"))
    ends = [
        end
        for end in pd.date_range("2014-03-31", "2020-12-31", freq="QE")
        if end + pd.Timedelta(days=1) - pd.DateOffset(years=2) >= first
        and end + pd.Timedelta(days=1) + pd.DateOffset(months=6) - pd.Timedelta(days=1) <= last
    ]
    assert (len(ends), ends[0], ends[-1]) == (11, pd.Timestamp("2016-12-31"), pd.Timestamp("2019-06-30"))
    assert len(ends) * 172 * 139 == 262_988


def test_book_size_truth_is_true(universe):
    assert_identity(universe)
    assert list(universe.hedge_ratios.columns) == list(universe.truth["pair"])
    s = universe.spreads.to_numpy()
    phi = (s[1:] * s[:-1]).sum(axis=0) / (s[:-1] ** 2).sum(axis=0)
    # least squares is biased down by about (1 + 3 phi) / n; the mean over pairs of 20 clusters is well inside
    assert abs((phi - universe.truth["phi"]).mean()) < 0.01
    np.testing.assert_allclose(np.median(s.std(axis=0) / universe.truth["spread_sd"]), 1.0, atol=0.05)
    fastest = universe.truth.nsmallest(30, "half_life").iloc[::6]
    for row in fastest.itertuples():
        assert engle_granger_pvalue(universe.prices[row.y], universe.prices[row.x]) < 0.01


def test_book_size_truth_holds_where_prices_had_to_be_lifted():
    market = book_size_universe(20, 15, seed=3, cointegrated_share=0.2, spread_vol=0.5)
    assert (market.prices > 0).all().all()
    assert (market.truth["alpha"].abs() > 1.0).any()
    assert_identity(market)


@pytest.mark.parametrize(
    ("n_left", "n_right", "share", "cluster", "count"),
    [
        (10, 8, 0.0, (6, 4), 0),
        (10, 8, 0.0125, (6, 4), 1),
        (9, 7, 0.5, (8, 4), 32),
        (12, 9, 0.24, (4, 3), 26),
        (3, 2, 1.0, (6, 4), 6),
    ],
)
def test_book_size_plants_exactly_the_share(n_left, n_right, share, cluster, count):
    options = {"cointegrated_share": share, "cluster": cluster, "end": "2015-06-30"}
    market = book_size_universe(n_left, n_right, seed=1, **options)
    assert len(market.truth) == market.truth["pair"].nunique() == count
    assert market.hedge_ratios.shape == (len(market.prices), count)
    assert market.truth.dtypes["break_date"] == "datetime64[us]"


# ---- nonsense ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: PlantedPair(half_life=0.0), "half_life = 0.0"),
        (lambda: PlantedPair(beta=0.0), "beta = 0"),
        (lambda: PlantedPair(beta=np.nan), "beta = nan"),
        (lambda: PlantedPair(half_life=np.inf), "half_life = inf"),
        (lambda: make_market(seed=1, drift=np.nan), "drift = nan"),
        (lambda: random_walks(1, 10, seed=1, tail_df=np.inf), "tail_df = inf"),
        (lambda: book_size_universe(9, 5, seed=1, spread_vol=np.nan), "spread_vol = nan"),
        (lambda: PlantedPair(spread_vol=-1.0), "spread_vol = -1.0"),
        (lambda: PlantedPair(kind="jumping"), "one of constant, drifting, breaking"),
        (lambda: PlantedPair(kind="drifting"), "needs one of them"),
        (lambda: PlantedPair(beta_trend=0.1), "the other kinds neither"),
        (lambda: PlantedPair(beta_after=2.0), "belong to kind='breaking'"),
        (lambda: make_market(seed=-1), "seed = -1"),
        (lambda: make_market(seed=()), "seed = "),
        (lambda: make_market(seed=1.5), "seed = 1.5"),
        (lambda: make_market(seed=1, pairs=(), n_independent=0), "at least one"),
        (lambda: make_market(seed=1, n_bars=1), "n_bars = 1"),
        (lambda: make_market(seed=1, factor_share=1.5), "factor_share = 1.5"),
        (lambda: make_market(seed=1, volatility=(0.4, 0.1)), "volatility"),
        (lambda: make_market(seed=1, first_price=(0.0, 1.0)), "first_price"),
        (lambda: make_market(seed=1, tail_df=2.0), "tail_df = 2.0"),
        (lambda: make_market(seed=1, gaps={"NOPE": [(1, 2)]}), "no ticker 'NOPE'"),
        (lambda: make_market(seed=1, gaps={"W001": [(1, 0)]}), "length 0"),
        (lambda: make_market(seed=1, delistings={"W001": 5000}), "5000 lies outside the 1260 bars"),
        (lambda: make_market(seed=1, delistings={"W001": "2031-01-01"}), "lies outside"),
        (lambda: make_market(seed=1, pairs=[PlantedPair(y="A", x="A")]), "two tickers called 'A'"),
        (lambda: make_market(seed=1, pairs=[PlantedPair(kind="breaking", break_at=0)]), "is bar 0"),
        (lambda: random_walks(0, 10, seed=1), "n_tickers = 0"),
        (lambda: random_walks(1, 10, seed=1, space="cube"), "space = 'cube'"),
        (lambda: random_walks(1, 10, seed=1, step=0.0), "step = 0.0"),
        (lambda: random_walks(1, 10, seed=1, volatility=-0.1), "volatility = -0.1"),
        (lambda: random_walks(1, 10, seed=1, first_price=-5.0), "first_price = -5.0"),
        (lambda: book_size_universe(0, 5, seed=1), "both groups need a ticker"),
        (lambda: book_size_universe(9, 5, seed=1, cointegrated_share=2.0), "cointegrated_share = 2.0"),
        (lambda: book_size_universe(172, 139, seed=1, cointegrated_share=0.5), "lower cointegrated_share"),
        (lambda: book_size_universe(9, 5, seed=1, half_life=(20.0, 10.0)), "half_life"),
        (lambda: book_size_universe(9, 5, seed=1, end="2014-01-01"), "fewer than 2 weekdays"),
        (lambda: book_size_universe(9, 5, seed=1, cluster=(0, 1)), "cluster"),
    ],
)
def test_nonsense_is_refused_with_a_helpful_text(call, says):
    with pytest.raises(ValueError) as caught:
        call()
    assert says in str(caught.value)
