from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from pairs_bt.errors import DataError
from pairs_bt.kernels import mean_reversion as kernel
from pairs_bt.kernels.mean_reversion import half_lives, rolling_zscores
from pairs_bt.models.mean_reversion import half_life, rolling_zscore
from tests.twins import rolling as twin

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def reverting(n=300, seed=0, phi=0.9, level=0.0, scale=1.0):
    steps = np.random.default_rng(seed).normal(size=n)
    values = np.empty(n)
    values[0] = steps[0]
    for t in range(1, n):
        values[t] = phi * values[t - 1] + steps[t]
    return level + scale * values


def statsmodels_half_life(spread):
    from statsmodels.api import OLS, add_constant

    slope = OLS(np.diff(spread), add_constant(spread[:-1])).fit().params[1]
    return -np.log(2.0) / slope


@pytest.mark.parametrize("seed", range(5))
def test_half_life_equals_statsmodels_and_the_exact_twin(seed):
    spread = reverting(seed=seed, level=3.0)
    assert_allclose(half_life(spread), statsmodels_half_life(spread), rtol=1e-11)
    assert_allclose(half_life(spread), twin.half_life(spread), rtol=1e-13)
    assert half_life(pd.Series(spread)) == half_life(spread)


def test_half_life_of_real_prices_equals_statsmodels():
    path = DATA / "aapl_spy_close_2016-01_2017-03.csv"
    if not path.exists():
        pytest.skip("no real prices here")
    frame = pd.read_csv(path)
    spread = (frame["AAPL"] - 0.6 * frame["SPY"]).to_numpy()
    assert_allclose(half_life(spread), statsmodels_half_life(spread), rtol=1e-11)


def test_half_life_keeps_its_digits_far_from_zero():
    spread = reverting(level=1e5, scale=0.01)
    assert_allclose(half_life(spread), twin.half_life(spread), rtol=1e-10)


def test_half_life_of_an_exact_decay():
    # s halves every 4 bars: s_t - s_{t-1} = (2**-0.25 - 1) s_{t-1}
    decay = 2.0 ** (-np.arange(40) / 4.0)
    assert_allclose(half_life(decay), np.log(2.0) / (1.0 - 2.0**-0.25), rtol=1e-12)


def test_no_reversion_is_infinite_and_no_variation_is_nan():
    assert half_life(2.0 ** np.arange(20.0)) == np.inf
    assert half_life(np.arange(20.0)) == np.inf
    assert np.isnan(half_life(np.full(20, 0.1)))
    assert np.isnan(twin.half_life(np.full(20, 0.1)))


def test_half_life_leaves_out_the_differences_that_touch_a_gap():
    spread = reverting(60)
    spread[[0, 17, 18, 40]] = np.nan
    assert_allclose(half_life(spread), twin.half_life(spread), rtol=1e-12)


@pytest.mark.parametrize(
    ("spread", "message"),
    [
        ([1.0, 2.0, 3.0], "at least 3 differences"),
        ([1.0, np.nan, 2.0, 3.0, np.nan, 4.0, 5.0], "2 differences without NaN"),
        ([1.0, 2.0, np.inf, 3.0, 4.0], "spread is inf at bar 2"),
        ([], "spread has shape"),
        (np.ones((5, 2)), "spread has shape"),
        (["a", "b"], "spread holds something"),
    ],
)
def test_a_spread_without_a_half_life_is_refused(spread, message):
    with pytest.raises(DataError, match=message):
        half_life(spread)


def test_half_lives_of_rows_equal_the_single_one_bit_for_bit():
    rows = np.array([reverting(200, seed) for seed in range(6)])
    rows[2] = 4.25
    rows[3] = np.arange(200)
    rows[4, 50] = np.nan
    for n_train in (5, 6, 7, 8, 150):
        out = np.full(6, -7.0)
        half_lives(rows, n_train, out)
        for i in (0, 1, 2, 3, 5):
            assert_array_equal(out[i], half_life(rows[i, :n_train]))
        assert np.isnan(out[2])
        assert out[3] == np.inf
        assert np.isnan(out[4]) == (n_train > 50)
        other = rows.copy()
        other[:, n_train:] = 1e6
        again = np.empty(6)
        half_lives(other, n_train, again)
        assert again.tobytes() == out.tobytes()


@pytest.mark.parametrize("window", [2, 3, 4, 5, 20, 63])
def test_zscore_equals_pandas_and_the_exact_twin(window):
    spread = pd.Series(reverting(200, 1), index=pd.date_range("2020-01-01", periods=200), name="s")
    got = rolling_zscore(spread, window)
    rolling = spread.rolling(window)
    wanted = (spread - rolling.mean()) / rolling.std(ddof=1)
    pd.testing.assert_series_equal(got, wanted, rtol=1e-9, atol=1e-10, check_freq=False)
    assert_allclose(got, twin.rolling_zscore(spread.to_numpy(), window), rtol=1e-12, atol=1e-13)
    assert_array_equal(rolling_zscore(spread.to_numpy(), window), got)


@pytest.mark.parametrize(("level", "scale"), [(1e5, 0.01), (-1e9, 1e-3), (0.0, 1e-9)])
def test_zscore_keeps_its_digits_far_from_zero(level, scale):
    spread = reverting(150, 2, level=level, scale=scale)
    assert_allclose(rolling_zscore(spread, 30), twin.rolling_zscore(spread, 30), rtol=1e-6, atol=1e-9)


def test_zscore_after_a_long_walk_away_keeps_its_digits():
    spread = np.concatenate([[1e7], reverting(80, 3)])
    assert_allclose(rolling_zscore(spread, 20), twin.rolling_zscore(spread, 20), rtol=1e-6, atol=1e-9)


def test_zscore_is_nan_where_the_window_is_short_gapped_or_constant():
    spread = reverting(60, 4)
    spread[10] = np.nan
    spread[30:45] = 0.1
    got = rolling_zscore(spread, 5)
    wanted = twin.rolling_zscore(spread, 5)
    assert_array_equal(np.isnan(got), np.isnan(wanted))
    assert_array_equal(np.flatnonzero(np.isnan(got)), [*range(4), *range(10, 15), *range(34, 45)])
    assert np.isnan(rolling_zscore(spread, 61)).all()
    assert np.isnan(rolling_zscore(np.full(10, 123.1), 3)).all()
    assert np.isnan(rolling_zscore(np.full(10, np.nan), 3)).all()


def test_zscore_cannot_exceed_its_bound():
    spike = np.zeros(20)
    spike[-1] = 1.0
    for window in (2, 5, 20):
        assert_allclose(rolling_zscore(spike, window)[-1], (window - 1) / np.sqrt(window), rtol=1e-12)


@pytest.mark.parametrize("window", [0, 1, -3, 2.0, True, None, "5"])
def test_a_window_that_is_none_is_refused(window):
    with pytest.raises(ValueError, match="window is"):
        rolling_zscore([1.0, 2.0, 3.0], window)


def test_an_infinite_spread_has_no_zscore():
    with pytest.raises(DataError, match="spread is inf at bar 1"):
        rolling_zscore([1.0, np.inf, 3.0], 2)


def zscores(rows, first, windows):
    out = np.full((len(rows), rows.shape[1] - first), -7.0)
    rolling_zscores(rows, first, np.asarray(windows), out)
    return out


def test_rows_have_their_own_windows_and_reach_back_before_the_first_column():
    rows = np.array([reverting(120, seed) for seed in range(8)])
    rows[6, 95] = np.nan
    windows = [2, 7, 16, 101, 110, 0, 9, 500]
    got = zscores(rows, 100, windows)
    for row, window, z in zip(rows, windows, got, strict=True):
        assert_allclose(z, twin.rolling_zscore(row, window)[100:], rtol=1e-12, atol=1e-13)
    assert np.isfinite(got[3]).all()
    assert_array_equal(np.isnan(got[4]), np.arange(20) < 9)
    assert np.isnan(got[[5, 7]]).all()
    assert np.isnan(zscores(rows, 100, [-1] * 8)).all()


@pytest.mark.parametrize("window", [kernel.LONG_WINDOW - 1, kernel.LONG_WINDOW, 60, 189, 190, 380])
def test_an_outlier_that_has_left_the_window_leaves_nothing_behind(window):
    """Running sums, which add the new bar and drop the old one, keep the rounding of 1e9 for good."""
    spread = reverting(400, 8)
    clean = twin.rolling_zscore(spread, window)
    spread[5] = 1e9
    got = rolling_zscore(spread, window)
    assert_allclose(got[window + 5 :], clean[window + 5 :], rtol=1e-6, atol=1e-6)
    assert np.isfinite(got[window - 1 :]).all()


def test_a_row_gets_the_same_bytes_in_any_company():
    rows = np.array([reverting(90, seed, level=100.0) for seed in range(5)])
    windows = np.array([5, 12, 33, 2, 60])
    got = zscores(rows, 60, windows)
    for i in range(5):
        assert zscores(rows[i : i + 1].copy(), 60, windows[i : i + 1]).tobytes() == got[i].tobytes()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 1000),
    n=st.integers(2, 90),
    first=st.integers(0, 60),
    window=st.integers(0, 95),
    extra=st.integers(1, 40),
)
def test_cutting_the_future_changes_no_bit_of_the_past(seed, n, first, window, extra):
    first = min(first, n - 1)
    spread = reverting(n + extra, seed, level=1e3)
    spread[np.random.default_rng(seed).random(n + extra) < 0.01] = np.nan
    whole = zscores(spread[np.newaxis, :], first, [window])[0]
    part = zscores(spread[np.newaxis, :n].copy(), first, [window])[0]
    assert part.tobytes() == whole[: n - first].tobytes()
    assert_allclose(part, twin.rolling_zscore(spread[:n], window)[first:], rtol=1e-9, atol=1e-10)
    if window >= 2:
        library = rolling_zscore(spread, window)
        assert rolling_zscore(spread[:n], window).tobytes() == library[:n].tobytes()


def test_the_rounding_of_a_constant_window_is_no_deviation():
    # The jump is out of the window, and seven times 123.1 is not summed without a rounding.
    spread = np.concatenate([[0.0], np.full(12, 123.1)])
    z = rolling_zscore(spread, 7)
    assert np.isfinite(z[6])
    assert np.isnan(z[7:]).all()


def rules(**changes):
    values = {
        "n_train": 100, "entry": 1.5, "book": False, "reject_negative": True, "max_leg_share": 0.75,
        "log_space": False, "half_lives": 1.0,
    }  # fmt: skip
    return kernel.SpreadRules(**values | changes)


def test_a_window_in_which_z_just_reaches_the_entry_is_traded():
    # four bars: |z| <= 3 / 2
    assert kernel._z_window(4.0, rules(entry=1.5)) == (4, kernel.TRADED)
    assert kernel._z_window(4.0, rules(entry=np.nextafter(1.5, 2.0))) == (4, kernel.SHORT_WINDOW)
    assert kernel._z_window(4.0, rules(entry=9.0, book=True)) == (4, kernel.TRADED)
    assert kernel._z_window(np.inf, rules())[1] == kernel.NO_REVERSION
    # of a longer half-life no more than the train window
    assert kernel._z_window(500.0, rules(n_train=100)) == (100, kernel.TRADED)


def test_a_ratio_of_zero_is_refused_with_the_negative_ones():
    for ratio in (0.0, -0.5, np.nan):
        assert kernel._refused_ratio(ratio, 10.0, 10.0, rules(max_leg_share=1.0)) == kernel.NEGATIVE_RATIO
    assert kernel._refused_ratio(0.0, 10.0, 10.0, rules(max_leg_share=1.0, reject_negative=False)) == kernel.TRADED


def test_a_leg_may_have_its_largest_share_and_no_more():
    # 300 of 400 dollars
    assert kernel._refused_ratio(3.0, 100.0, 100.0, rules()) == kernel.TRADED
    assert kernel._refused_ratio(3.0 + 1e-9, 100.0, 100.0, rules()) == kernel.LEG_SHARE


@pytest.mark.parametrize(("train_end", "first_trade", "refused"), [(80.0, 5.0, True), (20.0, 80.0, False)])
def test_the_leg_share_is_that_of_the_train_end(train_end, first_trade, refused):
    """The first trade bar is not known when the pair is formed."""
    n_train, n = 40, 50
    levels = np.array([10.0 + reverting(n, 3), np.full(n, 2.0)])
    raw = np.full((2, n), 20.0)
    raw[0, n_train - 1], raw[0, n_train] = train_end, first_trade
    one = np.array([0]), np.array([1])
    made = [np.empty((1, n - n_train)) for _ in range(5)]
    life, window, refusal = np.empty(1), np.empty(1, np.int64), np.empty(1, np.int8)
    kernel.spread_signals(
        levels, raw, np.ones(2), *one, np.ones((1, 1)), rules(n_train=n_train, entry=0.1), *made, life, window, refusal
    )
    assert refusal[0] == (kernel.LEG_SHARE if refused else kernel.TRADED)
    assert np.isnan(made[3]).all() == refused
