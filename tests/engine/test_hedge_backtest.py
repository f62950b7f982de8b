"""`pairs-bt hedge --backtest`: every ordered pair, the numbers of a run, the same for any number of threads."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pairs_bt
from pairs_bt.backtest import table_columns
from pairs_bt.config.hedge_rule_names import rule_names
from pairs_bt.config.schema import Config
from pairs_bt.data.prices import check_prices
from pairs_bt.engine.hedge_backtest import hedge_backtest
from pairs_bt.errors import DataError
from tests.cli_tools import call, is_one_paragraph


@pytest.fixture(scope="module")
def prices(demo_prices):
    return demo_prices.loc["2005":"2008", ["AAPL", "KO", "PEP", "XOM", "CVX", "JPM"]]


@pytest.fixture(scope="module")
def table(prices):
    return hedge_backtest(check_prices(prices))


def test_every_ordered_pair_has_a_row_for_each_rule_and_horizon(table) -> None:
    assert list(table.columns) == list(table_columns.HEDGE_EFFECTIVENESS)
    windows = table["test_end"].nunique()
    assert len(table) == windows * 30 * len(rule_names()) * 3
    assert not (table["y"] == table["x"]).any()


def test_a_run_of_the_same_pairs_has_the_same_numbers(prices, table) -> None:
    config = Config.from_dict({"selection": {"alpha": 0.3}, "hedge": {"variants": ["ols", "dynamic", "beta"]}})
    made = pairs_bt.run(config, prices=prices).hedge_effectiveness
    keys = ["test_end", "y", "x", "variant", "horizon"]
    both = made.merge(table, on=keys, suffixes=("", "_other"))
    assert len(both) == len(made) > 0
    for name in table_columns.HEDGE_EFFECTIVENESS[5:]:
        np.testing.assert_array_equal(both[name], both[f"{name}_other"], err_msg=name)


def test_threads_change_nothing(prices, table) -> None:
    pd.testing.assert_frame_equal(hedge_backtest(check_prices(prices), jobs=3), table)


def test_the_command_writes_the_table_and_says_which_rule_hedges(prices, table, tmp_path) -> None:
    prices.to_csv(tmp_path / "prices.csv")
    made = call("hedge", "--backtest", tmp_path / "prices.csv", "--out", tmp_path / "out", "--jobs", "1")
    assert made.code == 0, made.err
    stored = pd.read_parquet(tmp_path / "out" / "hedge_effectiveness.parquet")
    # the prices went through a text file
    keys = ["test_end", "y", "x", "variant", "horizon", "bars"]
    pd.testing.assert_frame_equal(stored[keys], table[keys], check_dtype=False)
    np.testing.assert_allclose(stored["var_unhedged"], table["var_unhedged"], rtol=1e-9)
    for rule in rule_names():
        assert f"\n{rule} " in made.out
    assert f"{table['test_end'].nunique() * 30} ordered pairs" in made.out


def test_what_cannot_be_is_refused_before_anything_is_written(prices, tmp_path) -> None:
    prices.to_csv(tmp_path / "prices.csv")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("x")
    said = call("hedge", "--backtest", tmp_path / "prices.csv", "--out", tmp_path / "mine")
    assert said.code == 2
    assert is_one_paragraph(said.err)
    assert sorted(p.name for p in (tmp_path / "mine").iterdir()) == ["letter.txt"]
    out = tmp_path / "new"
    assert call("hedge", "--backtest", tmp_path / "prices.csv", "--out", out, "--trans-cov", "1e-4").code == 2
    prices.iloc[:100].to_csv(tmp_path / "short.csv")
    said = call("hedge", "--backtest", tmp_path / "short.csv", "--out", out)
    assert said.code == 3
    assert is_one_paragraph(said.err)
    assert not out.exists()
    with pytest.raises(DataError):
        hedge_backtest(check_prices(prices.iloc[:100]))
