from __future__ import annotations

import warnings
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pairs_bt.errors import DataError
from pairs_bt.kernels.scan import cointegration as kernel
from pairs_bt.models import cointegration as ct
from tests.twins import cointegration as twin

DEMO = Path(__file__).resolve().parents[2] / "data" / "us_large_caps.parquet"
STATS = ("eg_stat_12", "eg_pvalue_12", "eg_stat_21", "eg_pvalue_21", "trace0", "trace1", "max_eig0", "max_eig1")


def autoregression(innovations, coefficient=0.93):
    values = np.zeros_like(innovations)
    for t in range(1, len(values)):
        values[t] = coefficient * values[t - 1] + innovations[t]
    return values


def make_pair(kind, n, seed):
    rng = np.random.default_rng([seed, n])
    shocks, others = rng.normal(size=(2, n))
    walk, noise = np.cumsum(shocks), autoregression(others)
    level = {
        "independent": (np.cumsum(others), walk),
        "cointegrated": (2.0 + 0.7 * walk + noise, walk),
        "collinear": (3.0 * walk + 0.1 * noise * walk.std() / noise.std(), walk),
        "nearly_identical": (walk + 0.004 * noise * walk.std() / noise.std(), walk),
        "huge": ((50 + 0.7 * walk + noise) * 1e9, (60 + walk) * 1e9),
        "tiny": ((50 + 0.7 * walk + noise) * 1e-6, (60 + walk) * 1e-6),
        "prices": (80 * np.exp(np.cumsum(0.001 + 0.015 * others)), 50 * np.exp(np.cumsum(0.001 + 0.01 * shocks))),
        "noise": (100 + others, 50 + shocks + 0.5 * others),
        "walk_on_noise": (walk, 100 + others),
        "moving_average": (
            walk + np.cumsum(others),
            np.cumsum(shocks + 0.8 * np.roll(shocks, 1) + 0.5 * np.roll(shocks, 6)),
        ),
        "smooth": (np.cumsum(noise), np.cumsum(walk)),
        "seasonal": (walk + 5 * np.sin(np.arange(n) * 0.7), np.cumsum(others)),
    }
    return level[kind]


def statsmodels_engle_granger(y, x):
    """(statistic, p-value, lag); the lag is adfuller's, which `coint` calls but does not return."""
    from statsmodels.regression.linear_model import OLS
    from statsmodels.tsa.stattools import adfuller, coint

    stat, pvalue, _ = coint(y, x, trend="c", autolag="aic")
    resid = OLS(y, np.column_stack([x, np.ones(len(x))])).fit().resid
    return stat, pvalue, adfuller(resid, regression="n", autolag="aic", result_object=False)[2]


def statsmodels_order(y, x):
    from statsmodels.tsa.api import VAR

    return int(VAR(np.column_stack([y, x])).select_order().aic)


def statsmodels_scan(y, x, book=False):
    from statsmodels.tsa.vector_ar.vecm import coint_johansen

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stat12, p12, lag12 = statsmodels_engle_granger(y, x)
        stat21, p21, lag21 = statsmodels_engle_granger(x, y)
        order = statsmodels_order(y, x)
        result = coint_johansen(np.column_stack([y, x]), 0, max(order if book else order - 1, 1))
    return (stat12, p12, stat21, p21, *result.lr1, *result.lr2), (lag12, lag21, order)


def scan_pair(y, x, var_order="theory"):
    inputs = ct.prepare(np.ascontiguousarray([y, x], dtype=float))
    return ct.scan_chunk(inputs, np.array([0]), np.array([1]), var_order=var_order)


def numbers(result, at=0):
    return [getattr(result, name)[at] for name in STATS]


def orders(result, at=0):
    return result.eg_lag_12[at], result.eg_lag_21[at], result.var_order[at]


def close(values):
    # The smaller eigenvalue's statistic is T lambda: below 1e-3 or so statsmodels itself knows no ninth digit of it.
    return pytest.approx(values, rel=1e-9, abs=1e-11)


# ---------------------------------------------------------------------------------------------- equal to statsmodels


@pytest.mark.parametrize("bars", [40, 60, 504, 1000])
@pytest.mark.parametrize(
    "kind",
    ["independent", "cointegrated", "huge", "tiny", "prices", "noise", "walk_on_noise", "moving_average", "seasonal"],
)
def test_scan_equals_statsmodels(kind, bars):
    y, x = make_pair(kind, bars, 1)
    for book in (False, True) if bars < 1000 else (False,):
        result = scan_pair(y, x, "book" if book else "theory")
        stats, lags = statsmodels_scan(y, x, book)
        assert result.code[0] == 0
        assert orders(result) == lags
        assert numbers(result) == close(stats)


@pytest.mark.parametrize("bars", [60, 504])
@pytest.mark.parametrize("kind", ["collinear", "nearly_identical", "smooth"])
def test_engle_granger_and_orders_equal_statsmodels_where_the_condition_is_poor(kind, bars):
    y, x = make_pair(kind, bars, 3)
    result = scan_pair(y, x)
    stats, lags = statsmodels_scan(y, x)
    assert orders(result) == lags
    assert numbers(result)[:4] == close(stats[:4])
    assert numbers(result)[4:] == pytest.approx(stats[4:], rel=1e-5)


@pytest.mark.parametrize("kind", ["independent", "collinear", "nearly_identical", "smooth", "mixed_scale"])
def test_scan_equals_the_extended_precision_twin(kind):
    # statsmodels' Johansen and VAR lose digits on nearly collinear legs, and all of them on legs of unlike scale.
    y, x = make_pair("cointegrated" if kind == "mixed_scale" else kind, 120, 4)
    if kind == "mixed_scale":
        y, x = (50 + y) * 1e9, (60 + x) * 1e-6
    result = scan_pair(y, x)
    (stat12, lag12), (stat21, lag21) = twin.engle_granger(y, x), twin.engle_granger(x, y)
    order = twin.var_order(y, x)
    assert orders(result) == (lag12, lag21, order)
    assert [result.eg_stat_12[0], result.eg_stat_21[0]] == pytest.approx([stat12, stat21], rel=1e-10)
    trace = twin.johansen(y, x, max(order - 1, 1))
    assert [result.trace0[0], result.trace1[0]] == pytest.approx(trace, rel=1e-10)


@pytest.mark.parametrize("kind", ["independent", "cointegrated", "prices"])
@pytest.mark.parametrize("k", [1, 3, 12, 30])
def test_library_functions_equal_statsmodels(kind, k):
    from statsmodels.tsa.vector_ar.vecm import coint_johansen

    y, x = make_pair(kind, 250, 5)
    stat, pvalue, lag = statsmodels_engle_granger(y, x)
    ours = ct.engle_granger(y, x)
    assert ours.lags == lag
    assert [ours.stat, ours.pvalue] == close([stat, pvalue])
    reference = coint_johansen(np.column_stack([y, x]), 0, k)
    johansen = ct.johansen(y, x, k)
    assert list(johansen.trace) == close(list(reference.lr1))
    assert list(johansen.max_eig) == close(list(reference.lr2))
    vector = reference.evec[:, 0] / reference.evec[0, 0]
    assert list(johansen.vector) == pytest.approx(list(vector), rel=1e-8)
    assert ct.var_order(y, x) == statsmodels_order(y, x)


def test_pvalues_equal_mackinnon_over_its_whole_range():
    from statsmodels.tsa.adfvalues import mackinnonp

    for stat in [*np.linspace(-25, 3, 300), -18.86, -2.62, 0.92]:
        assert kernel.mackinnon_pvalue(stat) == pytest.approx(mackinnonp(stat, regression="c", N=2), rel=1e-12)


@pytest.mark.skipif(not DEMO.exists(), reason="the demo prices are not there")
@pytest.mark.parametrize("end", ["2008-12-31", "2014-03-31", "2020-12-31"])
@pytest.mark.parametrize("part", [0, 1])
def test_every_pair_of_the_demo_equals_statsmodels(end, part):
    prices = pd.read_parquet(DEMO)
    prices = prices.set_index("date") if "date" in prices else prices
    stop = pd.Timestamp(end)
    window = prices.loc[stop + pd.Timedelta(days=1) - pd.DateOffset(years=2) : stop].dropna(axis=1)
    levels = np.ascontiguousarray(window.to_numpy().T)
    pairs = np.array(list(combinations(range(len(levels)), 2)))[part::2]
    result = ct.scan_chunk(ct.prepare(levels), pairs[:, 0], pairs[:, 1])
    assert not result.code.any()
    for at, (i, j) in enumerate(pairs):
        stats, lags = statsmodels_scan(levels[i], levels[j])
        assert orders(result, at) == lags
        assert numbers(result, at) == close(stats)


# -------------------------------------------------------------------------------------------------- published facts


def test_crude_oil_as_published():
    from arch.data import crude

    logs = np.log(crude.load()[["WTI", "Brent"]].dropna())
    wti, brent = logs["WTI"].to_numpy(), logs["Brent"].to_numpy()
    assert ct.engle_granger(wti, brent).stat == pytest.approx(-5.5396, abs=5e-5)
    assert list(ct.johansen(wti, brent, 1).trace) == pytest.approx([32.244, 2.749], abs=5e-4)


def test_johansen_vector_is_the_hedge_ratio():
    rng = np.random.RandomState(42)
    x = 50 + np.cumsum(rng.normal(0, 1, 100))
    y = 5 * x + rng.normal(0, 1, 100)
    one, minus_ratio = ct.johansen(y, x, 1).vector
    assert one == 1.0
    assert -minus_ratio == pytest.approx(5.001491, abs=5e-7)


# ------------------------------------------------------------------------------- what must not change a result


def universe(tickers=12, bars=504, seed=7):
    rng = np.random.default_rng(seed)
    logs = np.cumsum(rng.normal(0, 0.012, (bars, tickers)) + rng.normal(0, 0.008, (bars, 1)), axis=0)
    index = pd.bdate_range("2015-01-01", periods=bars)
    return pd.DataFrame(50 * np.exp(logs), index, [f"T{k:02d}" for k in range(tickers)])


@pytest.mark.parametrize("var_order", ["theory", "book"])
def test_same_bytes_for_any_jobs_and_chunks(var_order, monkeypatch):
    prices = universe()
    expected = ct.scan(prices, jobs=1, var_order=var_order)
    for jobs, chunk in [(2, 7), (3, 1), (None, 64)]:
        monkeypatch.setattr(ct, "_CHUNK", chunk)
        pd.testing.assert_frame_equal(ct.scan(prices, jobs=jobs, var_order=var_order), expected, check_exact=True)


def test_a_pair_does_not_depend_on_its_company():
    prices = universe()
    whole = ct.scan(prices).set_index(["s1", "s2"])
    alone = ct.scan(prices[["T03", "T08"]]).set_index(["s1", "s2"])
    pd.testing.assert_frame_equal(alone, whole.loc[[("T03", "T08")]], check_exact=True)


def test_swapping_the_legs_swaps_the_directions():
    prices = universe()
    there = ct.scan(prices, [("T01", "T02")]).iloc[0]
    back = ct.scan(prices, np.array([["T02", "T01"]])).iloc[0]
    assert [back.eg_stat_12, back.eg_stat_21] == pytest.approx([there.eg_stat_21, there.eg_stat_12], rel=1e-12)
    assert [back.trace0, back.trace1] == pytest.approx([there.trace0, there.trace1], rel=1e-10)
    assert back.var_order == there.var_order


@pytest.mark.parametrize("bars", [60, 504])
def test_scale_and_origin_do_not_matter(bars):
    y, x = make_pair("prices", bars, 8)
    base = scan_pair(y, x)
    for factors in [(2.0**40, 2.0**-30), (2.0, 2.0)]:
        assert numbers(scan_pair(y * factors[0], x * factors[1])) == numbers(base)
    for one, two in [(1e7, 1e-8), (1e-8, 1e7), (10.0, 1.0)]:
        scaled = scan_pair(y * one, x * two)
        assert orders(scaled) == orders(base)
        assert numbers(scaled) == pytest.approx(numbers(base), rel=1e-10, abs=1e-11)


@pytest.mark.parametrize("bars", [40, 60, 504])
@pytest.mark.parametrize("kind", ["independent", "cointegrated", "collinear", "moving_average", "noise", "prices"])
def test_moments_and_reflections_agree(kind, bars):
    y, x = make_pair(kind, bars, 9)
    inputs = ct.prepare(np.ascontiguousarray([y, x]))
    moments, reflections = np.zeros(4), np.zeros(4)
    lags, same_lags = np.zeros(3, np.int64), np.zeros(3, np.int64)
    assert kernel._scan_design(inputs, 0, 1, False, reflections, same_lags)
    if kernel._scan_moments(inputs, kernel.make_work(inputs.lags), 0, 1, False, moments, lags):
        assert list(lags) == list(same_lags)
        assert list(moments) == pytest.approx(list(reflections), rel=1e-9, abs=1e-15)
    else:
        assert kind == "collinear"


def test_poor_condition_is_reported():
    assert scan_pair(*make_pair("nearly_identical", 504, 3)).qr_fallback[0]
    assert not scan_pair(*make_pair("independent", 504, 3)).qr_fallback[0]
    for kind, expected in (("nearly_identical", True), ("independent", False)):
        y, x = make_pair(kind, 504, 3)
        frame = ct.scan(pd.DataFrame({"A": y, "B": x}))
        assert frame.columns[-1] == "qr_fallback"
        assert frame["qr_fallback"].tolist() == [expected]


# --------------------------------------------------------------------------------------------------------- refusals


def degenerate(kind, n=120):
    rng = np.random.default_rng(11)
    walk, other = 100 + np.cumsum(rng.normal(size=(2, n)), axis=1)
    step = np.where(np.arange(n) < 5, 10.0, 11.0)
    return {
        "identical": (walk, walk.copy()),
        "shifted": (walk + 64.0, walk),
        "proportional": (walk * 1.7, walk),
        "mirrored": (300 - walk, walk),
        "collinear to rounding": (3.0 * walk + 1e-9 * other, walk),
        "constant y": (np.full(n, 42.1), walk),
        "constant x": (walk, np.full(n, 1e9)),
        "constant to rounding": (walk, 1e9 + 1e-7 * (np.arange(n) % 2)),
        "both constant": (np.full(n, 1.0), np.full(n, 2.0)),
        "straight line": (np.arange(n) + 1.0, walk),
        "lagged copy": (np.roll(other, 1), other),
        "step": (step, walk),
        "two steps": (step, np.where(np.arange(n) < 60, 1.0, 2.0)),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("identical", "identical"),
        ("shifted", "the two series are"),
        ("proportional", "collinear"),
        ("mirrored", "collinear"),
        ("collinear to rounding", "collinear"),
        ("constant y", "constant"),
        ("constant x", "constant"),
        ("constant to rounding", "constant"),
        ("both constant", "constant"),
        ("straight line", "singular"),
        ("lagged copy", "singular"),
        ("step", "singular"),
        ("two steps", "singular"),
    ],
)
def test_no_statistic_without_a_meaning(kind, reason):
    y, x = degenerate(kind)
    result = scan_pair(y, x)
    text = ct.REASONS[int(result.code[0])]
    assert reason in text
    if reason:
        assert result.code[0] > 0
        assert np.isnan(numbers(result)).all()
        assert orders(result) == (-1, -1, -1)
        row = ct.scan(pd.DataFrame({"A": y, "B": x})).iloc[0]
        assert row.reason == text
        assert np.isnan([row.eg_pvalue_12, row.eg_pvalue_21, row.trace0]).all()
    else:
        assert np.isfinite(numbers(result)).all()
    if reason and reason != "singular":
        with pytest.raises(DataError, match=r"cannot be tested"):
            ct.engle_granger(y, x)
        with pytest.raises(DataError, match=r"cannot be tested"):
            ct.johansen(y, x, 1)


def test_too_few_bars_are_refused():
    y, x = make_pair("independent", 40, 1)
    assert scan_pair(y, x).code[0] == 0
    short = scan_pair(y[:39], x[:39])
    assert ct.REASONS[int(short.code[0])] == "fewer than 40 bars"
    assert np.isnan(numbers(short)).all()
    for bars in (1, 2, 3, 8):
        assert scan_pair(y[:bars], x[:bars]).code[0] == short.code[0]
    with pytest.raises(DataError, match=r"8 bars.*40 or more"):
        ct.engle_granger(y[:8], x[:8])


def test_tested_means_finite():
    rng = np.random.default_rng(12)
    for bars in (40, 41, 47, 120):
        walks = np.cumsum(rng.normal(size=(6, bars)), axis=1)
        rows = [
            *(1e-6 * np.exp(0.02 * walks[:2])),
            *(1e9 * np.exp(0.02 * walks[2:4])),
            *np.round(walks[4:] + 20),
            np.repeat(walks[0, ::10], 10)[:bars],
            np.where(np.arange(bars) == bars - 1, 2.0, 1.0),
            np.where(np.arange(bars) == 0, 2.0, 1.0),
            np.arange(bars) ** 2.0 + 1,
            np.exp(0.01 * np.arange(bars)),
            1.0 + np.arange(bars) % 2,
            walks[1] + 1e-9 * walks[2],
            walks[1],
        ]
        width = min(len(row) for row in rows)
        levels = np.ascontiguousarray([row[:width] for row in rows])
        i, j = np.array(list(combinations(range(len(rows)), 2))).T
        result = ct.scan_chunk(ct.prepare(levels), i, j)
        values = np.array([getattr(result, name) for name in STATS])
        tested = result.code == 0
        assert np.isfinite(values[:, tested]).all()
        assert np.isnan(values[:, ~tested]).all()
        assert tested.any()


@pytest.mark.parametrize("k", [0, -1, 60])
def test_johansen_refuses_lags_it_cannot_fit(k):
    y, x = make_pair("independent", 100, 1)
    with pytest.raises(ValueError, match=rf"k_ar_diff is {k}; with 100 bars"):
        ct.johansen(y, x, k)


def test_bad_series_are_named():
    y, x = make_pair("independent", 60, 1)
    gap = y.copy()
    gap[7] = np.nan
    with pytest.raises(DataError, match=r"y is nan at position 7"):
        ct.engle_granger(gap, x)
    with pytest.raises(ValueError, match=r"y has 60 bars and x 59"):
        ct.engle_granger(y, x[:-1])
    with pytest.raises(ValueError, match=r"x has shape \(60, 1\)"):
        ct.johansen(y, x[:, None], 1)


def test_bad_frames_are_named():
    prices = universe(3, 40)
    hole = prices.copy()
    hole.iloc[5, 1] = np.nan
    with pytest.raises(DataError, match=r"'T01' is nan at 2015-01-08"):
        ct.scan(hole)
    with pytest.raises(DataError, match=r"'ZZ' of a pair is no column"):
        ct.scan(prices, [("T00", "ZZ")])
    with pytest.raises(ValueError, match=r"not a pair"):
        ct.scan(prices, [("T00", "T01", "T02")])
    with pytest.raises(DataError, match=r"'T00' stands in two columns"):
        ct.scan(prices.iloc[:, [0, 0]])
    with pytest.raises(ValueError, match=r"var_order is 'aic'"):
        ct.scan(prices, var_order="aic")
    with pytest.raises(ValueError, match=r"jobs is 0"):
        ct.scan(prices, jobs=0)


def test_the_frame_has_the_columns_and_rows_promised():
    prices = universe(4)
    frame = ct.scan(prices)
    assert list(frame.columns) == [
        "s1",
        "s2",
        "eg_stat_12",
        "eg_pvalue_12",
        "eg_stat_21",
        "eg_pvalue_21",
        "var_order",
        "trace0",
        "trace1",
        "reason",
        "qr_fallback",
    ]
    assert list(zip(frame.s1, frame.s2, strict=True)) == list(combinations(prices.columns, 2))
    assert (frame.reason == "").all()
    assert ct.scan(prices, []).shape == (0, 11)
    assert ct.scan(prices[["T00"]]).shape == (0, 11)


# ------------------------------------------------------------------------------------------------------------- slow


@pytest.mark.slow
def test_lags_and_orders_never_flip():
    rng = np.random.default_rng(13)
    kinds = ["independent", "cointegrated", "prices", "noise", "moving_average", "seasonal", "collinear"]
    flips = []
    for trial in range(3000):
        y, x = make_pair(kinds[trial % len(kinds)], int(rng.integers(40, 400)), 1000 + trial)
        result = scan_pair(y, x)
        if result.code[0]:
            continue
        _, lags = statsmodels_scan(y, x)
        if orders(result) != lags:
            flips.append((trial, orders(result), lags))
    assert flips == []


@pytest.mark.slow
def test_random_walks_pass_the_books_rules_as_often_as_they_should():
    rng = np.random.default_rng(14)
    passed = np.zeros(4)
    batches, pairs = 8, 10_000
    for _ in range(batches):
        walks = np.cumsum(rng.normal(size=(2 * pairs, 504)), axis=1)
        left = np.arange(pairs)
        result = ct.scan_chunk(ct.prepare(walks), left, left + pairs, var_order="book")
        engle_granger = np.minimum(result.eg_pvalue_12, result.eg_pvalue_21) < 0.05
        johansen = (result.trace0 > 15.4943) & (result.trace1 > 3.8415)
        passed += [rule.sum() for rule in (engle_granger, johansen, engle_granger & johansen, engle_granger | johansen)]
    rates = passed / (batches * pairs)
    assert rates == pytest.approx([0.091, 0.054, 0.014, 0.130], abs=0.004)


# ------------------------------------------------------------------------------------------- where a rule turns


def test_the_collinear_threshold_is_exclusive():
    """R2 = 1 - 100 sqrt(eps) itself is collinear, as in statsmodels; anything below it is tested."""
    least = 1.0 - 100.0 * 2.0**-26
    for r2, code in ((least, kernel.COLLINEAR_PAIR), (np.nextafter(least, 0.0), kernel.TESTED)):
        # squares 1 and r2, product r2: R2 = r2^2 / (1 r2) without a rounding
        z = np.array([[1.0, 0.0], [r2, np.sqrt(r2 - r2 * r2)]])
        inputs = kernel.prepare(np.arange(240.0).reshape(2, 120) ** 2, 1, 1)
        assert kernel._refusal(inputs._replace(z=z, total=np.array([1.0, r2])), 0, 1) == code


@pytest.mark.parametrize(("share", "reason"), [(0.9, ct.REASONS[kernel.COLLINEAR_PAIR]), (1.1, "")])
def test_pairs_beside_the_collinear_threshold(share, reason):
    rng = np.random.default_rng(8)
    x = np.cumsum(rng.normal(size=400))
    x -= x.mean()
    other = rng.normal(size=400)
    other -= other.mean() + x * ((other - other.mean()) @ x / (x @ x))
    # 1 - R2 = e^2 / (1 + e^2) with e the size of what x does not explain
    e = np.sqrt(share * 100.0 * 2.0**-26) * np.sqrt((x @ x) / (other @ other))
    frame = pd.DataFrame({"A": 50.0 + x + e * other, "B": 50.0 + x})
    assert ct.scan(frame, jobs=1)["reason"].tolist() == [reason]


def test_the_ends_of_mackinnons_range_belong_to_it():
    from statsmodels.tsa.adfvalues import mackinnonp

    for stat in (-18.86, 0.92):
        assert kernel.mackinnon_pvalue(stat) == pytest.approx(mackinnonp(stat, regression="c", N=2), rel=1e-9)
        assert 0.0 < kernel.mackinnon_pvalue(stat) < 1.0
    assert kernel.mackinnon_pvalue(np.nextafter(-18.86, -20.0)) == 0.0
    assert kernel.mackinnon_pvalue(np.nextafter(0.92, 1.0)) == 1.0


def test_a_tie_of_criteria_goes_to_the_fewer_lags():
    # so many rows that the penalty is lost in rounding, and lags that explain nothing
    rows = 10**18
    factor = np.zeros((8, 8))
    np.fill_diagonal(factor, 1.0)
    assert kernel._adf_lag(factor, 3, rows) == 0
    assert kernel._var_order(factor, 2, rows, 2.0) == 1
    assert kernel._var_order(factor, 2, rows, 1.0) == 0


@pytest.mark.parametrize("bars", [15, 20, 30, 60, 250])
def test_the_largest_order_is_statsmodels(bars):
    from statsmodels.tsa.api import VAR

    # Below MIN_BARS, where nothing is tested, two series and a constant bound it.
    levels = np.cumsum(np.random.default_rng(bars).normal(size=(bars, 2)), axis=0)
    assert ct._largest_order(bars) == len(VAR(levels).select_order().ics["aic"]) - 1
