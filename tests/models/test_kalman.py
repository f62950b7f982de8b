from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from pairs_bt.errors import DataError
from pairs_bt.kernels.kalman import LANES, PATH, hedge_path, hedge_paths, local_level_paths
from pairs_bt.models.kalman import check_state, hedge_ratio_filter, local_level_filter
from tests.twins import kalman as twin

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
ONES = np.ones((2, 2))
FIELDS = ("beta", "alpha", "beta_var", "beta_alpha_cov", "alpha_var", "innovation", "innovation_var")


def walk(n, seed, level=100.0, step=1.0):
    return level + np.cumsum(np.random.default_rng(seed).normal(0.0, step, n))


def pair(n=300, seed=0):
    x = walk(n, seed)
    return 0.7 * x + 5.0 + np.random.default_rng(seed + 1000).normal(size=n), x


def with_gaps(values, seed, share=0.1):
    out = values.copy()
    out[np.random.default_rng(seed).random(len(out)) < share] = np.nan
    return out


def real_pairs():
    pairs = []
    near = DATA / "aapl_spy_close_2016-01_2017-03.csv"
    if near.exists():
        frame = pd.read_csv(near)
        pairs.append((frame["AAPL"].to_numpy(), frame["SPY"].to_numpy()))
    wide = DATA / "country_etfs_2016-2021.csv"
    if wide.exists():
        frame = pd.read_csv(wide, index_col=0)
        pairs.extend((frame.iloc[:, j].to_numpy(), frame.iloc[:, j + 1].to_numpy()) for j in (0, 7, 14))
    return pairs


def pykalman_hedge(y, x, delta, r, m0, cov0):
    from pykalman import KalmanFilter

    gaps = np.isnan(y) | np.isnan(x)
    model = KalmanFilter(
        n_dim_obs=1,
        n_dim_state=2,
        initial_state_mean=m0,
        initial_state_covariance=cov0,
        transition_matrices=np.eye(2),
        observation_matrices=np.stack([np.where(gaps, 1.0, x), np.ones(len(x))], axis=1)[:, np.newaxis, :],
        observation_covariance=r,
        transition_covariance=delta / (1.0 - delta) * np.eye(2),
    )
    return model.filter(np.ma.array(np.where(gaps, 0.0, y), mask=gaps))


def pykalman_level(prices, q, r, m0, p0):
    from pykalman import KalmanFilter

    model = KalmanFilter(
        transition_matrices=[1],
        observation_matrices=[1],
        initial_state_mean=m0,
        initial_state_covariance=p0,
        observation_covariance=r,
        transition_covariance=q,
    )
    gaps = np.isnan(prices)
    return model.filter(np.ma.array(np.where(gaps, 0.0, prices), mask=gaps))[0][:, 0]


def assert_same_to(got, wanted, rtol):
    assert_allclose(got, wanted, rtol=rtol, atol=rtol * np.nanmax(np.abs(wanted)))


HEDGE_SETTINGS = [
    (1e-3, 2.0, (0.0, 0.0), ONES),
    (1e-5, 1e-3, (0.0, 0.0), ONES),
    (1e-4, 1e-1, (1.0, -2.0), np.eye(2)),
    (0.5, 1.0, (0.0, 0.0), np.zeros((2, 2))),
    (1e-2, 50.0, (0.5, 0.0), np.array([[2.0, -0.9], [-0.9, 1.0]])),
]


@pytest.mark.parametrize(("delta", "r", "m0", "cov0"), HEDGE_SETTINGS)
@pytest.mark.parametrize("gaps", [False, True])
def test_hedge_ratio_filter_equals_pykalman(delta, r, m0, cov0, gaps):
    for i, (y, x) in enumerate([pair(), *real_pairs()]):
        if gaps:
            y, x = with_gaps(y, i), with_gaps(x, i + 50)
        got = hedge_ratio_filter(y, x, delta=delta, observation_cov=r, initial_mean=m0, initial_cov=cov0)
        mean, cov = pykalman_hedge(y, x, delta, r, m0, cov0)
        assert_same_to(got.beta, mean[:, 0], 1e-12)
        assert_same_to(got.alpha, mean[:, 1], 1e-12)
        assert_same_to(got.beta_var, cov[:, 0, 0], 1e-8)  # pykalman's cancels; the next test is the strict one
        assert_same_to(got.mean, mean[-1], 1e-12)


@pytest.mark.parametrize(("delta", "r", "m0", "cov0"), HEDGE_SETTINGS)
def test_every_path_equals_the_sixty_digit_twin(delta, r, m0, cov0):
    y, x = with_gaps(pair(200)[0], 3), with_gaps(pair(200)[1], 4)
    got = hedge_ratio_filter(y, x, delta=delta, observation_cov=r, initial_mean=m0, initial_cov=cov0)
    wanted = twin.hedge_filter(y, x, delta / (1.0 - delta), r, m0, cov0)
    for field, row in zip(FIELDS, wanted, strict=True):
        assert_same_to(getattr(got, field), row, 2e-13)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    scale_x=st.floats(-6, 7),
    scale_y=st.floats(-6, 7),
    step=st.floats(-6, 0),
    delta=st.one_of(st.just(0.0), st.floats(-8, -0.01).map(lambda e: 10.0**e)),
    r=st.floats(-6, 4).map(lambda e: 10.0**e),
    spread=st.floats(-4, 4).map(lambda e: 10.0**e),
    rho=st.floats(-1, 1),
)
def test_filter_is_exact_far_outside_usual_parameters(seed, scale_x, scale_y, step, delta, r, spread, rho):
    """Prices from 1e-6 to 1e9 and near-collinear legs: beta x + alpha, which the data pin down, keeps its digits."""
    x = walk(40, seed, step=10.0**step) * 10.0**scale_x
    y = walk(40, seed + 1) * 10.0**scale_y
    cov0 = spread * np.array([[1.0, rho], [rho, 1.0]])
    got = hedge_ratio_filter(y, x, delta=delta, observation_cov=r, initial_cov=cov0)
    wanted = twin.hedge_filter(y, x, delta / (1.0 - delta), r, cov0=cov0)
    assert_same_to(got.beta * x + got.alpha, wanted[0] * x + wanted[1], 1e-11)
    assert_allclose(got.beta_var, wanted[2], rtol=1e-9)
    assert np.isfinite(got.innovation).all()
    assert (got.innovation_var >= r).all()


LEVEL_SETTINGS = [(0.05, 1.0, 0.0, 1.0), (1e-6, 10.0, 100.0, 0.0), (0.0, 1.0, 0.0, 1.0), (5.0, 1e-4, 1.0, 2.0)]


@pytest.mark.parametrize(("q", "r", "m0", "p0"), LEVEL_SETTINGS)
@pytest.mark.parametrize("gaps", [False, True])
def test_local_level_filter_equals_pykalman_and_twin(q, r, m0, p0, gaps):
    for i, prices in enumerate([walk(300, 1), *(y for y, _ in real_pairs())]):
        prices = with_gaps(prices, i) if gaps else prices
        got = local_level_filter(prices, transition_cov=q, observation_cov=r, initial_mean=m0, initial_cov=p0)
        assert_allclose(got, pykalman_level(prices, q, r, m0, p0), rtol=1e-12)
        assert_allclose(got, twin.level_filter(prices, q, r, m0, p0), rtol=1e-13)


def test_first_bar_is_corrected_without_a_prediction():
    # P = 3, R = 1: gain 3/4 of the innovation 8
    assert local_level_filter([10.0], transition_cov=100.0, initial_mean=2.0, initial_cov=3.0)[0] == 8.0
    # P = I, x = 1, R = 2: S = 4, gain 1/4 each
    got = hedge_ratio_filter([8.0], [1.0], delta=0.9, initial_cov=np.eye(2))
    assert (got.beta[0], got.alpha[0], got.innovation[0], got.innovation_var[0]) == (2.0, 2.0, 8.0, 4.0)


def test_a_leading_gap_keeps_the_prior_and_a_later_one_keeps_the_state():
    y, x = pair(20)
    y[0], x[7] = np.nan, np.nan
    got = hedge_ratio_filter(y, x, initial_mean=(0.25, 4.0))
    assert (got.beta[0], got.alpha[0], got.beta_var[0]) == (0.25, 4.0, 1.0)
    assert got.beta[7] == got.beta[6]
    assert got.beta_var[7] > got.beta_var[6]
    assert_array_equal(np.flatnonzero(np.isnan(got.innovation)), [0, 7])
    assert np.isfinite(got.beta).all()


def lanes(levels, iy, ix, delta=1e-3, r=2.0, m0=(0.0, 0.0), cov0=ONES):
    beta = np.full((len(iy), levels.shape[1]), -7.0)
    alpha = np.full_like(beta, -7.0)
    hedge_paths(levels, np.asarray(iy), np.asarray(ix), delta, r, np.array(m0), np.asarray(cov0), beta, alpha)
    return beta, alpha


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize(("delta", "r", "m0", "cov0"), HEDGE_SETTINGS)
def test_a_pair_gets_the_same_bytes_in_every_lane_and_chunk(gaps, delta, r, m0, cov0):
    levels = np.array([walk(130, seed) for seed in range(9)])
    if gaps:
        levels[2], levels[5] = with_gaps(levels[2], 0), with_gaps(levels[5], 1)
    iy, ix = (index.ravel() for index in np.meshgrid(np.arange(9), np.arange(9)))
    beta, alpha = lanes(levels, iy, ix, delta, r, m0, cov0)
    q = delta / (1.0 - delta)
    for p in range(len(iy)):
        state, path = check_state(m0, cov0), np.empty((PATH, levels.shape[1]))
        hedge_path(levels[iy[p]], levels[ix[p]], q, q, r, False, state, path)
        assert path[0].tobytes() == beta[p].tobytes()
        assert path[1].tobytes() == alpha[p].tobytes()
    order = np.random.default_rng(0).permutation(len(iy))
    for size in (1, 3, LANES, LANES + 1, 50):
        for start in range(0, len(order), size):
            chunk = order[start : start + size]
            b, a = lanes(levels, iy[chunk], ix[chunk], delta, r, m0, cov0)
            assert b.tobytes() == beta[chunk].tobytes()
            assert a.tobytes() == alpha[chunk].tobytes()


@pytest.mark.parametrize("cut", [1, 2, 57, 129])
def test_cutting_the_future_changes_no_bit_of_the_past(cut):
    y, x = pair(130)
    y = with_gaps(y, 9)
    whole, part = hedge_ratio_filter(y, x), hedge_ratio_filter(y[:cut], x[:cut])
    for field in FIELDS:
        assert getattr(part, field).tobytes() == getattr(whole, field)[:cut].tobytes()
    assert local_level_filter(y[:cut]).tobytes() == local_level_filter(y)[:cut].tobytes()
    levels = np.array([walk(130, seed) for seed in range(3)])
    beta, _ = lanes(levels, [0, 1], [1, 2])
    assert lanes(levels[:, :cut].copy(), [0, 1], [1, 2])[0].tobytes() == beta[:, :cut].tobytes()


def test_stopping_and_going_on_changes_no_bit():
    y, x = pair(100)
    whole, path = np.empty((PATH, 100)), np.empty((PATH, 100))
    hedge_path(y, x, 0.1, 0.2, 2.0, False, check_state((0, 0), ONES), whole)
    state = check_state((0, 0), ONES)
    for start, stop in ((0, 1), (1, 40), (40, 100)):
        part = np.empty((PATH, stop - start))
        hedge_path(y[start:stop], x[start:stop], 0.1, 0.2, 2.0, start > 0, state, part)
        path[:, start:stop] = part
    assert path.tobytes() == whole.tobytes()


def test_the_covariance_stays_positive_semi_definite_for_a_million_bars():
    n, rng = 1_000_000, np.random.default_rng(5)
    prices = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 3e-4, n)))
    for x in (prices, prices * 1e7, prices * 1e-8, np.full(n, 123.456), 100.0 + 1e-9 * rng.normal(size=n)):
        for delta, r, cov0 in ((1e-3, 2.0, ONES), (0.0, 1e-8, 1e6 * np.eye(2)), (0.5, 1e-8, ONES)):
            got = hedge_ratio_filter(0.8 * x + rng.normal(size=n), x, delta=delta, observation_cov=r, initial_cov=cov0)
            assert np.isfinite(got.beta).all()
            assert np.isfinite(got.alpha).all()
            assert got.beta_var.min() >= 0.0
            assert got.alpha_var.min() >= 0.0
            product = got.beta_var * got.alpha_var
            assert (got.beta_alpha_cov**2 <= product * (1.0 + 1e-14)).all()
            assert np.linalg.eigvalsh(got.cov).min() >= -1e-15 * np.trace(got.cov)


def test_series_and_frames_come_back_as_they_went_in():
    y, x = pair(30)
    index = pd.date_range("2020-01-01", periods=30, freq="B")
    got = hedge_ratio_filter(pd.Series(y, index), pd.Series(x, index))
    plain = hedge_ratio_filter(y, x)
    for field in FIELDS:
        assert getattr(got, field).index.equals(index)
        assert_array_equal(getattr(got, field), getattr(plain, field))
    frame = pd.DataFrame({"A": y, "B": x}, index=index)
    level = local_level_filter(frame)
    assert list(level.columns) == ["A", "B"]
    assert level.index.equals(index)
    assert_array_equal(level["B"], local_level_filter(x))
    assert_array_equal(local_level_filter(frame["B"]), level["B"])
    assert_array_equal(local_level_filter(frame.to_numpy()), level)
    assert local_level_filter(frame["B"]).name == "B"


def test_masked_arrays_and_integers_are_prices_too():
    y, x = pair(20)
    mask = np.arange(20) == 4
    got = hedge_ratio_filter(np.ma.array(y, mask=mask), x)
    assert_array_equal(got.beta, hedge_ratio_filter(np.where(mask, np.nan, y), x).beta)
    assert_array_equal(local_level_filter([1, 2, 3]), local_level_filter([1.0, 2.0, 3.0]))
    whole = np.ma.array([1, 2, 3], mask=[False, True, False])
    assert_array_equal(local_level_filter(whole), local_level_filter([1.0, np.nan, 3.0]))
    nullable = pd.Series([1, None, 3], dtype="Int64")
    assert_array_equal(local_level_filter(nullable), local_level_filter([1.0, np.nan, 3.0]))


def test_inputs_are_left_as_they_were():
    y, x = pair(20)
    before = y.copy(), x.copy()
    hedge_ratio_filter(y, x)
    local_level_filter(y)
    assert_array_equal(y, before[0])
    assert_array_equal(x, before[1])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("delta", 1.0),
        ("delta", -0.1),
        ("delta", np.nan),
        ("delta", "0.1"),
        ("delta", True),
        ("observation_cov", 10**400),
        ("observation_cov", 0.0),
        ("observation_cov", -1.0),
        ("observation_cov", np.inf),
        ("initial_mean", (0.0, np.nan)),
        ("initial_mean", 0.0),
        ("initial_cov", [[1.0, 2.0], [2.0, 1.0]]),
        ("initial_cov", [[1.0, 0.5], [0.4, 1.0]]),
        ("initial_cov", [[-1.0, 0.0], [0.0, 1.0]]),
        ("initial_cov", [[0.0, 0.1], [0.1, 1.0]]),
        ("initial_cov", [[1e-200, 0.0], [0.0, 1.0]]),
        ("initial_cov", np.eye(3)),
        ("initial_cov", [["a", "b"], ["c", "d"]]),
    ],
)
def test_a_hedge_parameter_outside_its_range_is_named(name, value):
    with pytest.raises(ValueError, match=name):
        hedge_ratio_filter(*pair(10), **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("transition_cov", -1e-9),
        ("transition_cov", None),
        ("observation_cov", 0.0),
        ("initial_mean", np.inf),
        ("initial_cov", -1.0),
    ],
)
def test_a_level_parameter_outside_its_range_is_named(name, value):
    with pytest.raises(ValueError, match=name):
        local_level_filter([1.0, 2.0], **{name: value})


@pytest.mark.parametrize(
    ("y", "x", "message"),
    [
        ([1.0, 2.0], [1.0], "y has 2 bars and x has 1"),
        ([], [], "y has shape"),
        ([1.0, np.inf], [1.0, 2.0], "y is inf at bar 1"),
        ([1.0, 2.0], [1e308, 2.0], r"x is 1e\+308 at bar 0"),
        (["a", "b"], [1.0, 2.0], "y holds something"),
        ([True, False], [1.0, 2.0], "y holds something"),
        ([[1.0, 2.0]], [1.0, 2.0], "y has shape"),
        ([[1.0, 2.0], [1.0]], [1.0, 2.0], "y holds something"),
        (pd.Series(["a", "b"]), [1.0, 2.0], "y holds something"),
        (pd.Series([1.0, 2.0]), pd.Series([1.0, 2.0], index=[1, 2]), "indexes differ"),
    ],
)
def test_bad_prices_are_refused_with_their_place(y, x, message):
    with pytest.raises(DataError, match=message):
        hedge_ratio_filter(y, x)


def test_bad_levels_are_refused_with_their_place():
    with pytest.raises(DataError, match="prices is inf at bar 1"):
        local_level_filter([[1.0, 2.0], [3.0, np.inf]])
    with pytest.raises(DataError, match="1-D or 2-D"):
        local_level_filter(np.ones((2, 2, 2)))


def test_the_level_kernel_filters_every_row_alone():
    rows = np.array([walk(50, 1), with_gaps(walk(50, 2), 3), walk(50, 4)])
    out = np.empty_like(rows)
    local_level_paths(rows, 0.05, 1.0, 0.0, 1.0, out)
    for row, level in zip(rows, out, strict=True):
        assert_array_equal(level, local_level_filter(row))
