"""Other ways to choose pairs: the measures against pandas, and the choice against a sort by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from pairs_bt.errors import DataError
from pairs_bt.models.scan.pair_distance import MEASURES, measure_pairs, pair_measures, prepare, ranking


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    rng = np.random.default_rng(12)
    common = np.cumsum(rng.normal(size=300) * 0.01)
    loads = rng.uniform(0.3, 1.4, size=7)
    values = np.exp(np.outer(common, loads) + np.cumsum(rng.normal(size=(300, 7)) * 0.006, axis=0))
    return pd.DataFrame(values * rng.uniform(3, 900, size=7), columns=list("ABCDEFG"))


def test_measures_are_pandas(prices: pd.DataFrame) -> None:
    table = pair_measures(prices).set_index(["s1", "s2"])
    index = prices / prices.iloc[0]
    time = np.stack([np.ones(300), np.arange(300)], axis=1)
    assert list(table.columns) == list(MEASURES)
    for one, other in combinations(prices.columns, 2):
        gap = index[one] - index[other]
        expected = {
            "distance": (gap**2).sum(),
            "drift": np.linalg.lstsq(time, gap, rcond=None)[0][1],
            "spread_volatility": gap.std(),
            "price_correlation": prices[one].corr(prices[other]),
            "return_correlation": prices[one].pct_change().corr(prices[other].pct_change()),
        }
        for name, value in expected.items():
            assert table.loc[(one, other), name] == pytest.approx(value, rel=1e-10, abs=1e-14), (one, other, name)


def test_turning_a_pair_round_turns_the_drift_alone(prices: pd.DataFrame) -> None:
    there = pair_measures(prices, [("A", "D")]).iloc[0]
    back = pair_measures(prices, [("D", "A")]).iloc[0]
    assert back["drift"] == -there["drift"]
    for name in set(MEASURES) - {"drift"}:
        assert back[name] == pytest.approx(there[name], rel=1e-14)


def test_a_pair_alone_gets_the_same_bytes(prices: pd.DataFrame) -> None:
    inputs = prepare(np.ascontiguousarray(prices.to_numpy().T))
    i, j = np.triu_indices(7, k=1)
    whole = measure_pairs(inputs, i, j)
    for p in (0, 5, 20):
        assert np.array_equal(measure_pairs(inputs, i[p : p + 1], j[p : p + 1])[0], whole[p])


def test_units_change_no_measure(prices: pd.DataFrame) -> None:
    other = prices * 2.0 ** np.arange(-3, 4)
    pd.testing.assert_frame_equal(pair_measures(prices), pair_measures(other), check_exact=True)


def test_a_constant_ticker_has_no_correlation(prices: pd.DataFrame) -> None:
    flat = prices.assign(C=5.0)
    row = pair_measures(flat, [("A", "C")]).iloc[0]
    assert np.isnan(row["price_correlation"])
    assert np.isnan(row["return_correlation"])
    assert row["distance"] > 0


def test_the_ranking_puts_the_nearest_first(prices: pd.DataFrame) -> None:
    inputs = prepare(np.ascontiguousarray(prices.to_numpy().T))
    i, j = np.triu_indices(7, k=1)
    found = measure_pairs(inputs, i, j)
    assert np.argmin(ranking(found, "distance")) == np.argmin(found[:, 0])
    assert np.argmin(ranking(found, "correlation")) == np.argmax(found[:, 4])


def test_bad_prices_are_named(prices: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="Ticker 'B' is nan at 3"):
        pair_measures(prices.where(~((prices.index.to_numpy()[:, None] == 3) & (prices.columns == "B"))))
    with pytest.raises(DataError, match="'Z' of a pair"):
        pair_measures(prices, [("A", "Z")])
    with pytest.raises(DataError, match="2 bars"):
        pair_measures(prices.iloc[:2])


def test_the_rules_of_gatev_goetzmann_and_rouwenhorst_earn_what_another_program_found() -> None:
    import importlib.util
    from pathlib import Path

    place = Path(__file__).resolve().parents[2] / "benchmarks" / "published" / "ggr.py"
    spec = importlib.util.spec_from_file_location("ggr", place)
    assert spec is not None
    assert spec.loader is not None
    ggr = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ggr)
    source = ggr.find_source()
    if source is None:
        pytest.skip("the price relatives of universal-portfolios are not here (set UNIVERSAL_PORTFOLIOS to its wheel)")
    for name, wanted in ggr.REFERENCE.items():
        months = ggr.monthly(ggr.read_set(source, name))["dollar"].to_numpy()
        assert months.mean() == pytest.approx(wanted, abs=0.03)
        assert ggr.t_statistic(months) == pytest.approx({"nyse_o": 5.1, "nyse_n": 2.8}[name], abs=0.5)
