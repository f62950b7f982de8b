import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from numpy.testing import assert_allclose, assert_array_equal

from pairs_bt.cli.hedge import hedge
from pairs_bt.errors import DataError
from pairs_bt.kernels.online import hedge_grid as kernel
from pairs_bt.models.online.hedge_matrix import HedgeMatrix
from pairs_bt.models.online.hedge_matrix_file import COLUMNS
from pairs_bt.models.online.hedge_matrix_grid import GRIDS, WIDE
from pairs_bt.models.online.kalman_ols import KalmanOLS
from tests.models.test_matrix import OLD, in_space, make_prices, same, with_gaps
from tests.twins.hedge_grid import grid_filter

SPACES = ("levels", "log", "changes")


def scale_of(space, first):
    return {"levels": first**2, "log": max(first**2, 1.0), "changes": 1e-4}[space]


def same_grid(one, other):
    same(one, other)
    assert_array_equal(one.state.grid, other.state.grid)
    assert_array_equal(one.state.scale, other.state.scale)


# ------------------------------------------------------------------------------------------------ the filters


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("obs_cov", [None, 2.5e-4])
def test_every_pair_is_the_twin(space, gaps, obs_cov):
    prices = make_prices(n=90, k=34)  # more tickers than lanes
    if gaps:
        prices = with_gaps(prices)
    matrix = HedgeMatrix.fit(prices, space=space, obs_cov=obs_cov, jobs=2)
    data = in_space(prices, space)
    steps = matrix.trans_cov
    for y, x in (("T0", "T1"), ("T1", "T0"), ("T3", "T33"), ("T33", "T31"), ("T32", "T4")):
        scale = scale_of(space, data[x].dropna().iloc[0])
        rows = grid_filter(data[y], data[x], GRIDS[space], scale, (WIDE / scale, WIDE), obs_cov)
        beta, alpha, *cov, chosen, innovation, innovation_var = rows[-1]
        i, j = matrix.tickers.index(y), matrix.tickers.index(x)
        found = dict(zip(COLUMNS, matrix.state.values[:, i, j], strict=True))
        assert_allclose(matrix.loc[y, x]["mean"], [beta, alpha], rtol=1e-6)
        assert_allclose(np.ravel(matrix.loc[y, x]["cov"])[[0, 1, 3]], cov, rtol=1e-5)
        assert_allclose(found["innovation"], innovation, rtol=1e-5)
        assert_allclose(found["innovation_var"], innovation_var, rtol=1e-6)
        assert_allclose([found["beta_before"], found["beta_var_before"]], rows[-2][[0, 2]], rtol=1e-6)
        assert matrix.state.seen[i, j] == len(rows)
        error = obs_cov if obs_cov else matrix.state.grid[int(chosen), kernel.SQUARES, i, j] / (len(rows) - 2)
        assert_allclose(steps.loc[y, x], GRIDS[space][int(chosen)] / scale * error, rtol=1e-12)


def test_without_steps_it_is_kalman_ols(monkeypatch):
    # a grid of one filter whose coefficients stand still is the article's class, which knows one step for both
    monkeypatch.setitem(GRIDS, "levels", (0.0,))
    prices = make_prices(k=3)
    matrix = HedgeMatrix.fit(prices, obs_cov=0.5, init_cov=10.0)
    one = KalmanOLS(prices[["T2", "T0"]], trans_cov=0, obs_cov=0.5, init_cov=10.0).get_state()
    assert_allclose(matrix.loc["T2", "T0"]["mean"], one["mean"], rtol=1e-9)
    assert_allclose(matrix.loc["T2", "T0"]["cov"], one["cov"], rtol=1e-9)


def test_the_product_of_many_variances_is_their_sum_of_logs():
    prices = make_prices(n=1500, k=2)
    matrix = HedgeMatrix.fit(prices)
    grid = matrix.state.grid[:, :, 1, 0]
    assert grid[-1, kernel.FOLDS] > 1  # at the widest step the product left the range of a fold
    data, logs = prices.to_numpy(), []
    scale = data[0, 0] ** 2
    for step in GRIDS["levels"]:
        p, total = np.diag([WIDE / scale, WIDE]), 0.0
        for t in range(len(data)):
            h = np.array([data[t, 0], 1.0])
            p = p + (t > 0) * step * np.diag([1 / scale, 1.0])
            s = h @ p @ h + 1.0
            gain = p @ h / s
            left = np.eye(2) - np.outer(gain, h)
            p = left @ p @ left.T + np.outer(gain, gain)
            total += np.log(s) * (t >= kernel.UNSCORED)
        logs.append(total)
    assert_allclose(np.log(grid[:, kernel.PRODUCT]) + kernel.LOG_FOLD * grid[:, kernel.FOLDS], logs, rtol=1e-6)


@pytest.mark.parametrize("unit", [1e-3, 1e4])
@pytest.mark.parametrize("space", ["levels", "changes"])
def test_the_unit_of_a_price_changes_no_choice(space, unit):
    prices = make_prices(n=200, k=4)
    other = prices * np.array([1.0, unit, 1.0, 1.0])
    one, two = HedgeMatrix.fit(prices, space=space), HedgeMatrix.fit(other, space=space)
    factor = unit if space == "levels" else 1.0
    assert_allclose(two.beta.loc["T1", "T0"], factor * one.beta.loc["T1", "T0"], rtol=1e-6)
    assert_allclose(two.beta.loc["T0", "T1"], one.beta.loc["T0", "T1"] / factor, rtol=1e-6)
    assert_allclose(two.standard_error.loc["T1", "T0"], factor * one.standard_error.loc["T1", "T0"], rtol=1e-6)
    assert_allclose(two.trans_cov.loc["T1", "T0"], factor**2 * one.trans_cov.loc["T1", "T0"], rtol=1e-6)


# ------------------------------------------------------------------------------------------------------ update


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("gaps", [False, True])
def test_bar_by_bar_and_from_the_file_is_a_fit_on_the_whole(tmp_path, space, gaps):
    prices = with_gaps(make_prices(k=35)) if gaps else make_prices(k=35)
    whole = HedgeMatrix.fit(prices, space=space, window=25)
    matrix = HedgeMatrix.fit(prices.iloc[:2], space=space, window=25, jobs=1)
    for t in range(2, 30):
        matrix.update(prices.iloc[t])
    matrix.save(tmp_path)
    matrix = HedgeMatrix.load(tmp_path)
    matrix.update(prices.iloc[30:41])
    matrix.update(prices.iloc[41:])
    same_grid(matrix, whole)
    left, right = matrix.save(tmp_path / "a").read_bytes(), whole.save(tmp_path / "b").read_bytes()
    assert left == right
    same_grid(HedgeMatrix.load(tmp_path / "a"), whole)
    same_grid(HedgeMatrix.fit(prices, space=space, window=25, jobs=1), whole)


def test_the_future_changes_nothing_before():
    prices = make_prices(n=80, k=4)
    bent = prices.copy()
    bent.iloc[50:] *= np.linspace(1, 3, 30)[:, None] ** np.arange(4)
    matrix = HedgeMatrix.fit(prices.iloc[:50])
    same_grid(matrix, HedgeMatrix.fit(bent.iloc[:50]))
    data = prices[["T2", "T0"]]
    scale = data.iloc[0, 1] ** 2
    path = grid_filter(data["T2"], data["T0"], GRIDS["levels"], scale, (WIDE / scale, WIDE))
    for n in (1, 2, 3, 17, 50, 80):
        assert_allclose(HedgeMatrix.fit(prices.iloc[:n]).beta.loc["T2", "T0"], path[n - 1, 0], rtol=1e-6)


def test_a_pair_does_not_depend_on_its_company():
    prices = make_prices(k=40)
    late = prices.copy()
    late.iloc[:20, 6] = np.nan  # in the lanes of T7
    alone = HedgeMatrix.fit(prices[["T7", "T33"]]).loc["T7", "T33"]
    assert alone == HedgeMatrix.fit(prices).loc["T7", "T33"] == HedgeMatrix.fit(late).loc["T7", "T33"]


def test_two_bars_have_a_ratio_and_no_error_of_it():
    matrix = HedgeMatrix.fit(make_prices(n=2, k=3))
    assert np.isfinite(matrix.beta.loc["T0", "T1"])
    assert np.isnan(matrix.standard_error.loc["T0", "T1"])
    assert np.isnan(matrix.trans_cov.loc["T0", "T1"])
    assert np.isfinite(HedgeMatrix.fit(make_prices(n=3, k=3)).standard_error.loc["T0", "T1"])


# ---------------------------------------------------------------------------------------------- planted truth


def planted(step, level_step, noise, n=1500, seed=0):
    """Prices of 12 pairs in columns y0, x0, ...: beta and intercept walk with these deviations (of y's price)."""
    rng = np.random.default_rng(seed)
    columns = {}
    for i in range(12):
        x = 50.0 * np.exp(0.01 * rng.normal(size=n).cumsum())
        beta = 1.0 + step * rng.normal(size=n).cumsum()
        level = 100.0 + 50.0 * level_step * rng.normal(size=n).cumsum()
        columns[f"y{i}"], columns[f"x{i}"] = beta * x + level + 50.0 * noise * rng.normal(size=n), x
    return pd.DataFrame(columns, index=pd.date_range("2015-01-01", periods=n, freq="B"))


def chosen_steps(prices):
    matrix = HedgeMatrix.fit(prices)
    best, variance = np.zeros((24, 24), np.int32), np.zeros((24, 24))
    kernel.best_filters(0.0, matrix.state.grid, matrix.state.seen, best, variance)
    pairs = np.arange(0, 24, 2)
    return np.array(GRIDS["levels"])[best[pairs, pairs + 1]], np.sqrt(variance[pairs, pairs + 1]), matrix


def test_a_line_that_stands_still_is_found_still_and_its_noise_is_found():
    steps, error, matrix = chosen_steps(planted(0.0, 0.0, 0.01))
    assert np.median(steps) == 0.0
    assert steps.max() <= 1e-3
    assert_allclose(error, 0.5, rtol=0.06)
    pairs = [(f"y{i}", f"x{i}") for i in range(12)]
    misses = [(matrix.beta.loc[p] - 1.0) / matrix.standard_error.loc[p] for p in pairs]
    assert np.abs(misses).max() < 4.0
    assert 0.4 < np.sqrt(np.mean(np.square(misses))) < 1.8


def test_a_line_that_walks_is_found_walking():
    # steps of ratio and intercept of the same size as the noise: a quotient of variances of about 1
    steps, _, _ = chosen_steps(planted(0.01, 0.01, 0.01))
    assert set(steps) <= {0.1, 1.0, 10.0}
    assert np.median(steps) == 1.0


def test_where_the_spread_walks_auto_hedges_better_than_the_article():
    prices = planted(0.0, 0.005, 0.0005, n=700)
    errors = {"auto": [], "old": []}
    matrices = {"auto": HedgeMatrix.fit(prices.iloc[:400]), "old": HedgeMatrix.fit(prices.iloc[:400], **OLD)}
    changes = prices.diff().to_numpy()
    for t in range(400, 700):
        for name, matrix in matrices.items():
            ratio = matrix.beta.to_numpy()[np.arange(0, 24, 2), np.arange(1, 24, 2)]
            errors[name].append(changes[t, ::2] - ratio * changes[t, 1::2])
            matrix.update(prices.iloc[t])
    variance = {name: np.var(values, axis=0) for name, values in errors.items()}
    true = np.var(changes[400:, ::2] - changes[400:, 1::2], axis=0)
    assert np.median(variance["auto"] / true) < 1.03
    assert (variance["auto"] < variance["old"]).all()


# ------------------------------------------------------------------------------------- options and the command


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trans_cov": "best"}, "trans_cov is 'best'; it must be a number or \"auto\""),
        ({"trans_cov": 1, "obs_cov": "auto"}, 'obs_cov is "auto", which needs trans_cov'),
        ({"trans_cov": 1, "init_cov": "auto"}, 'init_cov is "auto"'),
        ({"obs_cov": 0}, "obs_cov is 0"),
        ({"init_cov": -1}, "init_cov is -1"),
        ({"trans_cov": None}, "trans_cov is None"),
    ],
)
def test_variances_that_cannot_be_used_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        HedgeMatrix.fit(make_prices(), **options)


def test_beside_a_number_the_others_are_the_articles():
    same(HedgeMatrix.fit(make_prices(), trans_cov=1e-5), HedgeMatrix.fit(make_prices(), **OLD | {"trans_cov": 1e-5}))
    assert (HedgeMatrix.fit(make_prices(), trans_cov=1e-5).trans_cov.stack().dropna() == 1e-5).all()


def run(*arguments):
    return CliRunner().invoke(hedge, [str(a) for a in arguments])


def test_the_command_takes_auto_and_the_old_numbers(tmp_path):
    prices = make_prices()
    prices.to_csv(tmp_path / "prices.csv")
    prices.iloc[:-1].to_csv(tmp_path / "past.csv")
    prices.iloc[-1:].to_csv(tmp_path / "today.csv")
    assert run(tmp_path / "past.csv", "--out", tmp_path / "a").exit_code == 0
    assert run("--update", tmp_path / "today.csv", "--out", tmp_path / "a").exit_code == 0
    assert run(tmp_path / "prices.csv", "--out", tmp_path / "b", "--trans-cov", "auto").exit_code == 0
    assert (tmp_path / "a/states.parquet").read_bytes() == (tmp_path / "b/states.parquet").read_bytes()
    page = (tmp_path / "a/matrix.html").read_text()
    assert "the variance that has predicted the pair best" in page
    old = [f"--{name.replace('_', '-')}" for name in OLD]
    made = run(tmp_path / "prices.csv", "--out", tmp_path / "old", *[word for name in old for word in (name, 1)])
    assert made.exit_code == 0, made.output
    matrix = HedgeMatrix.load(tmp_path / "old")
    for pair in (("T0", "T1"), ("T4", "T2")):
        assert matrix.loc[pair] == KalmanOLS(prices[list(pair)]).get_state()
    header = json.loads(pq.read_metadata(tmp_path / "old/states.parquet").metadata[b"pairs_bt"])
    assert header["version"] == 1  # the file of 0.1.0
    assert list(pq.read_schema(tmp_path / "old/states.parquet").names) == [
        "y", "x", *COLUMNS, "bars", "last_bar", "last_date",
    ]  # fmt: skip
    refused = run(tmp_path / "prices.csv", "--out", tmp_path / "c", "--trans-cov", "wide")
    assert refused.exit_code == 2
    assert "neither a number nor auto" in refused.output
    assert not (tmp_path / "c").exists()


def test_a_file_without_its_filters_is_refused(tmp_path):
    path = HedgeMatrix.fit(make_prices()).save(tmp_path)
    table = pq.read_table(path)
    table = table.drop_columns(["filter2_squares"]).replace_schema_metadata(None)
    metadata = {k: v for k, v in pq.read_metadata(path).metadata.items() if k.startswith(b"pairs_bt")}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    with pytest.raises(DataError, match="make it again"):
        HedgeMatrix.load(tmp_path)
