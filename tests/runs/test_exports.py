"""Exports: positions and cash are the equity, transactions are the fills, tear-sheet libraries take them."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import pairs_bt
from pairs_bt.audit.universe_statistics import measure_of_run, universe_statistics
from pairs_bt.backtest.study import prepare
from pairs_bt.common.formatting import number
from pairs_bt.report.page import render_report
from pairs_bt.runs import tearsheets
from pairs_bt.runs.run_comparison import compare_runs
from pairs_bt.stats import performance
from pairs_bt.sweep import sweep


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
    equity = tearsheets.equity(run, variant)
    np.testing.assert_allclose(positions.sum(axis=1), equity, rtol=1e-12)
    # Cash moves by what was bought and sold, costs and borrow: an account kept from the fills alone, from which every
    # day's profit is paid out and to which a cohort's slot is paid in.
    rows = run.returns[run.returns["variant"] == variant].set_index("date")
    spent = (transactions["amount"] * transactions["price"]).groupby(level=0).sum().reindex(positions.index).fillna(0.0)
    paid = ((rows["cost"] + rows["borrow"]) * rows["capital"]).to_numpy()
    earned = (rows["net"] * rows["capital"]).to_numpy()
    paid_out = np.append(0.0, earned[:-1]).cumsum()
    cash = rows["capital"].to_numpy() - (spent.to_numpy() + paid).cumsum() - paid_out
    np.testing.assert_allclose(positions["cash"], cash, rtol=1e-9)


def test_one_equity_gives_every_face_the_same_sharpe_ratio(run, tmp_path) -> None:
    study = prepare(run.config)
    faces: dict[str, dict[str, float]] = {
        "audit": {name: numbers["sharpe"] for name, numbers in universe_statistics(study).variants.items()},
        "audit of a run": {name: numbers["sharpe"] for name, numbers in measure_of_run(run).variants.items()},
        "comparison": run.comparison.metrics.loc["sharpe"].to_dict(),
        "two runs": {},
        "sweep": {},
    }
    pair = compare_runs({"one": run, "two": replace(run)}).net
    tried = run.config.with_changes("sweep.minimum_cohorts=2", "sweep.partitions=6", "comparison.block=20")
    swept = sweep(tried, {"signal.entry": [run.config.signal.entry, 3.0]}, jobs=1)
    base = swept.outcomes[swept.grid.base]
    html = render_report(run)
    for row in run.summary.itertuples():
        name = row.variant
        faces["two runs"][name] = performance.sharpe(pair[f"one / {row.label}"])
        faces["sweep"][name] = performance.sharpe(base.net[base.variants.index(name)])
        assert run.to_pyfolio(name).returns.equals(run.returns(name))
        assert performance.sharpe(run.to_pyfolio(name).returns) == row.net_sharpe
        assert performance.sharpe(run.net[name]) == row.net_sharpe
        assert number(row.net_sharpe) in html
        account, capital = tearsheets.equity(run, name), run.returns.loc[run.returns["variant"] == name, "capital"]
        assert performance.sharpe(account.to_numpy() / capital.to_numpy() - 1.0) == pytest.approx(row.net_sharpe)
    # the first quarter has one cohort of two: half the capital is committed
    assert run.returns["capital"].iloc[0] == run.config.portfolio.capital / 2
    assert (run.returns["capital"].iloc[-1]) == run.config.portfolio.capital
    expected = run.summary.set_index("variant")["net_sharpe"].to_dict()
    for face, values in faces.items():
        assert values == pytest.approx(expected, rel=1e-9), face


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
    transactions = tearsheets.transactions(run, "averaged")
    assert list(transactions.columns) == ["amount", "price", "symbol"]
    assert transactions.index.is_monotonic_increasing
    assert len(transactions) == (run.fills["variant"] == "averaged").sum()
    assert isinstance(transactions.index, pd.DatetimeIndex)
