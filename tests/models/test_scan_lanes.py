"""Four pairs in step against the kernel for one pair: equal decisions, statistics equal to rounding, the same bytes."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numba import config as numba_config

from pairs_bt.kernels.scan import cointegration as one_pair
from pairs_bt.kernels.scan import lanes
from pairs_bt.models import cointegration as ct

pytestmark = pytest.mark.skipif(bool(numba_config.DISABLE_JIT), reason="vectors need compiled code")

FLOATS = ("eg_stat_12", "eg_pvalue_12", "eg_stat_21", "eg_pvalue_21", "trace0", "trace1", "max_eig0", "max_eig1")
DECISIONS = ("eg_lag_12", "eg_lag_21", "var_order", "code", "qr_fallback")
# A pivot of 1e-4 of its column loses four digits of sixteen, and what follows from it may lose as many as the sums of
# products and the factor's own add up to: the two kernels are as far from the reflections.
BOUND = 1e-8
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def market(kind, tickers, bars, seed):
    """(tickers, bars) of levels."""
    rng = np.random.default_rng([seed, bars])
    shocks = rng.normal(size=(tickers, bars))
    logs = np.cumsum(0.012 * shocks + 0.008 * rng.normal(size=bars), axis=1)
    if kind == "walks":
        return np.cumsum(shocks, axis=1)
    if kind == "prices":
        return 50.0 * np.exp(logs)
    if kind == "crashes":
        at = rng.integers(0, bars, size=tickers)
        return 50.0 * np.exp(logs + np.where(np.arange(bars) >= at[:, None], rng.normal(0, 2.0, (tickers, 1)), 0.0))
    if kind == "near collinear":
        sizes = 10.0 ** rng.uniform(-4, 0, size=(tickers, 1))
        return np.cumsum(rng.normal(size=bars)) + sizes * np.cumsum(shocks, axis=1)
    if kind == "rounded":
        return np.round(20.0 * np.exp(logs), 1)
    if kind == "scales":
        return 10.0 ** rng.choice([-6.0, 0.0, 9.0], size=(tickers, 1)) * np.exp(logs)
    if kind == "noise":
        return 100.0 + shocks
    if kind == "cointegrated":
        common = np.cumsum(rng.normal(size=(3, bars)), axis=1)[rng.integers(0, 3, size=tickers)]
        return rng.uniform(0.5, 2.0, (tickers, 1)) * common + shocks
    raise ValueError(kind)


KINDS = ("walks", "prices", "crashes", "near collinear", "rounded", "scales", "noise", "cointegrated")


def check(levels, i, j, var_order="theory"):
    """Compare both ways over pairs; (pairs that lanes answered, largest difference)."""
    inputs = ct.prepare(np.ascontiguousarray(levels))
    assert inputs.four is not None
    ours = ct.scan_chunk(inputs, i, j, var_order=var_order)
    twin = ct.scan_chunk(ct.ScanInputs(*inputs), i, j, var_order=var_order)
    for name in DECISIONS:
        assert np.array_equal(getattr(ours, name), getattr(twin, name)), name
    apart = 0.0
    for name in FLOATS:
        a, b = getattr(ours, name), getattr(twin, name)
        assert np.array_equal(np.isnan(a), np.isnan(b))
        apart = max(apart, np.max(np.abs(a - b) / np.maximum(1.0, np.abs(b)), initial=0.0, where=~np.isnan(b)))
    left = ct._scan_in_step(inputs.four, i, j, var_order == "book", np.empty((4, i.size)), np.empty((3, i.size), int))
    return i.size - left.size, apart


@pytest.mark.parametrize("bars", [40, 60, 121, 504, 1003])
@pytest.mark.parametrize("kind", KINDS)
def test_lanes_equal_the_kernel_for_one_pair(kind, bars):
    levels = market(kind, 24, bars, 1)
    i, j = np.array(list(combinations(range(24), 2))).T
    for var_order in ("theory", "book"):
        answered, apart = check(levels, i, j, var_order)
        assert apart <= BOUND
        assert answered > (0.8 if kind in ("walks", "prices", "cointegrated") else 0.0) * i.size


@pytest.mark.parametrize("pairs", [1, 2, 3, 4, 5, 11])
def test_a_pairs_bytes_do_not_depend_on_its_company(pairs):
    levels = np.vstack([market(kind, 5, 252, 2) for kind in KINDS])
    inputs = ct.prepare(levels)
    i, j = np.array(list(combinations(range(len(levels)), 2))).T
    whole = ct.scan_chunk(inputs, i, j)
    rng = np.random.default_rng(3)
    for _ in range(60):
        some = rng.choice(i.size, pairs, replace=False)
        part = ct.scan_chunk(inputs, i[some], j[some])
        for name in part._fields:
            assert getattr(part, name).tobytes() == getattr(whole, name)[some].tobytes(), name


@pytest.mark.parametrize("bars", [40, 41, 252, 504, 2520])
def test_lagged_products_of_transforms_are_the_sums(bars):
    levels = market("crashes", 6, bars, 4)
    inputs = ct.prepare(levels)
    four, e, lags = inputs.four, inputs.e, inputs.lags
    assert four is not None
    work = lanes.make_work(four)
    i, j = np.array([0, 1, 2, 3]), np.array([5, 4, 1, 2])
    stats, orders, clear = np.empty((4, 4)), np.empty((3, 4), np.int64), np.zeros(4, np.bool_)
    lanes.test_lanes(four, work, i, j, False, stats, orders, clear)
    t = np.arange(lags + 1, bars)
    for lane in range(4):
        one, two = e[i[lane]], e[j[lane]]
        size = np.sqrt((one @ one) * (two @ two))
        for d in range(lags + 1):
            assert work.cross12[4 * d + lane] == pytest.approx(one[t] @ two[t - d], rel=0, abs=2e-15 * size)
            assert work.cross21[4 * d + lane] == pytest.approx(two[t] @ one[t - d], rel=0, abs=2e-15 * size)


def test_what_is_not_clear_is_left_to_the_other_kernel():
    rng = np.random.default_rng(5)
    walk, other = np.cumsum(rng.normal(size=(2, 300)), axis=1)
    levels = np.array([walk, other, 2.0 * walk + 3.0, np.full(300, 7.0), walk + 1e-4 * other, walk + 0.004 * other])
    inputs = ct.prepare(levels)
    i, j = np.zeros(5, int), np.array([1, 2, 3, 4, 5])
    left = ct._scan_in_step(inputs.four, i, j, False, np.empty((4, 5)), np.empty((3, 5), int))
    assert left.tolist() == [1, 2, 3, 4]
    assert ct.scan_chunk(inputs, i, j).code.tolist() == [0, 3, 1, 3, 0]


def test_nearly_equal_criteria_are_left_to_the_other_kernel(monkeypatch):
    levels = market("walks", 12, 200, 6)
    inputs = ct.prepare(levels)
    i, j = np.array(list(combinations(range(12), 2))).T
    four = inputs.four

    def left(**changed):
        return ct._scan_in_step(
            four._replace(**changed), i, j, False, np.empty((4, i.size)), np.empty((3, i.size), int)
        ).size

    assert left() < 3
    # weights that make the largest lag and the one before it a tie up to what the last lag explains: nothing here
    flat = np.full_like(four.lag_weight, 1e9)
    flat[-2:] = 1.0
    assert left(lag_weight=flat) < i.size
    huge = four.order_weight.copy()
    huge[0] = 0.0
    assert left(order_weight=huge) == i.size


def test_transforms_have_the_cheapest_size():
    for bars in (40, 60, 252, 504, 1260, 2520, 12_000):
        lags = ct._largest_lag(bars)
        stretches, points = lanes.transform_size(bars, lags)
        length = 2 * (points - 1) - 2 * lags
        assert points % 8 == 0
        assert length > 0
        assert (stretches - 1) * length < bars - lags - 1 <= stretches * length


def real_prices(bars):
    """Levels of the shared large US names over their last `bars` days."""
    path = SHARED / "us_1000_2015_2017.parquet"
    if not path.exists():
        pytest.skip("the shared prices are not there")
    frame = pd.read_parquet(path).tail(bars).dropna(axis=1)
    return np.ascontiguousarray(frame.to_numpy(dtype=float).T)


def test_lanes_equal_the_kernel_for_one_pair_on_real_prices():
    levels = real_prices(504)
    rng = np.random.default_rng(7)
    i, j = rng.integers(0, len(levels), size=(2, 2000))
    answered, apart = check(levels, i[i != j], j[i != j])
    assert apart <= BOUND
    assert answered > 0.9 * i.size


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, "real"])
def test_lanes_equal_the_kernel_for_one_pair_a_hundred_thousand_times(kind):
    rng = np.random.default_rng(8)
    for bars, pairs in ((40, 3000), (60, 3000), (120, 3000), (252, 2000), (504, 2000), (1260, 1000), (2520, 500)):
        if kind == "real" and bars > 504:
            continue
        levels = real_prices(bars) if kind == "real" else market(kind, 150, bars, 9)
        i, j = rng.integers(0, len(levels), size=(2, pairs))
        _, apart = check(levels, i[i != j], j[i != j])
        assert apart <= BOUND


def test_what_only_kernels_call_refuses_python_in_words():
    # without what lets Python call it, a call would end the process
    for module, name in ((one_pair, "_cholesky"), (lanes, "_cross_moments")):
        with pytest.raises(TypeError, match=f"{name} is for kernels to call"):
            getattr(module, name)(1)
