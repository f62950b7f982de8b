"""Exports: positions and cash are the equity, transactions are the fills, tear-sheet libraries take them."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import pairs_bt
from pairs_bt import exports, performance


@pytest.fixture(scope="module")
def run(short_config):
    return pairs_bt.run(short_config.with_changes("hedge.rehedge=['never', 'daily']"))


def test_returns_by_name_and_label(run) -> None:
    assert run.returns("dynamic").equals(run.returns("dynamic-frozen").rename("dynamic"))
    assert str(run.returns("averaged").index.tz) == "UTC"
    with pytest.raises(KeyError, match="it has"):
        run.returns("dynamics")


@pytest.mark.parametrize("variant", ["dynamic", "dynamic-rehedged", "averaged"])
def test_positions_and_cash_are_the_equity(run, variant: str) -> None:
    _, positions, transactions = run.to_pyfolio(variant)
    equity = exports.equity(run, variant)
    np.testing.assert_allclose(positions.sum(axis=1), equity, rtol=1e-12)
    # Cash moves by what was bought and sold, costs and borrow: an account kept from the fills alone.
    rows = run.returns[run.returns["variant"] == variant].set_index("date")
    spent = (transactions["amount"] * transactions["price"]).groupby(level=0).sum().reindex(positions.index).fillna(0.0)
    paid = ((rows["cost"] + rows["borrow"]) * rows["capital"]).to_numpy()
    cash = run.config.portfolio.capital - (spent.to_numpy() + paid).cumsum()
    np.testing.assert_allclose(positions["cash"], cash, rtol=1e-9)


def test_closed_trades_leave_no_shares(run) -> None:
    closed = run.trades[(run.trades["variant"] == "dynamic-rehedged") & run.trades["exit_date"].notna()]
    fills = run.fills[run.fills["variant"] == "dynamic-rehedged"]
    keys = ["test_end", "y", "x", "entry_date"]
    left = fills.groupby([*keys, "ticker"])["shares"].sum().reset_index()
    joined = left.merge(closed[[*keys, "units_y"]], on=keys)
    assert len(joined) == 2 * len(closed)
    assert (joined["shares"].abs() <= 1e-9 * joined["units_y"].abs()).all()


def test_metrics_equal_empyrical(run) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        empyrical = pytest.importorskip("empyrical")
        returns = run.returns("fixed_last")
        expected = {
            "annual_return": empyrical.annual_return(returns),
            "annual_volatility": empyrical.annual_volatility(returns),
            "sharpe": empyrical.sharpe_ratio(returns),
            "max_drawdown": empyrical.max_drawdown(returns),
            "calmar": empyrical.calmar_ratio(returns),
            "sortino": empyrical.sortino_ratio(returns),
        }
    for name, value in expected.items():
        assert getattr(performance, name)(returns) == pytest.approx(value, rel=1e-10)
    row = run.summary.set_index("variant").loc["fixed_last"]
    assert row["net_sharpe"] == pytest.approx(expected["sharpe"], rel=1e-10)


def test_tear_sheet_libraries_take_the_exports(run) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pyfolio = pytest.importorskip("pyfolio")
        returns, positions, transactions = run.to_pyfolio("dynamic")
        stats = pyfolio.timeseries.perf_stats(returns, positions=positions, transactions=transactions)
        assert np.isfinite(stats["Sharpe ratio"])
        assert pyfolio.round_trips.extract_round_trips(transactions).shape[0] > 0


def test_quantstats_takes_the_returns(run) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantstats = pytest.importorskip("quantstats")
        returns = run.returns("dynamic").tz_localize(None)
        assert quantstats.stats.sharpe(returns) == pytest.approx(performance.sharpe(returns), rel=1e-6)


def test_transactions_are_sorted_fills(run) -> None:
    transactions = exports.transactions(run, "averaged")
    assert list(transactions.columns) == ["amount", "price", "symbol"]
    assert transactions.index.is_monotonic_increasing
    assert len(transactions) == (run.fills["variant"] == "averaged").sum()
    assert isinstance(transactions.index, pd.DatetimeIndex)
