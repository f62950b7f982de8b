"""A run as a whole: tables that agree, noise that earns nothing, units that do not matter, a past that stays."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pairs_bt
from pairs_bt.backtest import hedge_rules, table_columns
from pairs_bt.config.schema import Config
from tests.book_filter import BOOK_FILTER

VARIANTS = ("dynamic", "fixed_first", "averaged", "fixed_last")


@pytest.fixture(scope="module")
def run(short_config):
    return pairs_bt.run(short_config)


def test_tables_have_the_columns_that_other_programs_read(run) -> None:
    assert list(run.tests.columns) == list(table_columns.TESTS)
    assert list(run.half_lives.columns) == list(table_columns.HALF_LIVES)
    assert list(run.spreads.columns) == list(table_columns.SPREADS)
    assert list(run.trades.columns) == list(table_columns.TRADES)
    assert list(run.returns.columns) == list(table_columns.RETURNS)
    assert set(run.trades["variant"]) == {*VARIANTS, "ols", "dynamic-rehedged"}


def test_trades_add_up(run) -> None:
    t = run.trades
    tiny = 1e-9 * t["capital"]
    assert ((t["net_pnl"] - (t["gross_pnl"] - t["cost"] - t["borrow"])).abs() <= tiny).all()
    assert ((t["phantom_pnl"] - (t["naive_pnl"] - t["gross_pnl"])).abs() <= tiny).all()
    assert ((t["gross_pnl"] - (t["convergence"] + t["hedge_drift"])).abs() <= tiny).all()
    np.testing.assert_allclose(t["units_x"], -t["units_y"] * t["hedge_ratio"], rtol=1e-12)
    invested = t["units_y"].abs() * (t["entry_y"] + t["hedge_ratio"].abs() * t["entry_x"])
    np.testing.assert_allclose(invested, t["capital"], rtol=1e-12)
    frozen = t[t["variant"] != "dynamic-rehedged"]
    price_pnl = frozen["units_y"] * (frozen["exit_y"] - frozen["entry_y"]) + frozen["units_x"] * (
        frozen["exit_x"] - frozen["entry_x"]
    )
    assert ((price_pnl - frozen["gross_pnl"]).abs() <= 1e-9 * frozen["capital"]).all()


def test_daily_dollars_are_the_trades_dollars(run) -> None:
    for variant, rows in run.returns.groupby("variant"):
        trades = run.trades[run.trades["variant"] == variant]
        for column, pnl in (("net", "net_pnl"), ("gross", "gross_pnl"), ("cost", "cost"), ("borrow", "borrow")):
            dollars = (rows[column] * rows["capital"]).sum()
            assert dollars == pytest.approx(trades[pnl].sum(), abs=1e-9 * run.config.portfolio.capital)


def test_fills_happen_lag_bars_after_the_signal_at_that_close(run) -> None:
    place = {date: k for k, date in enumerate(run.prices.index)}
    prices = run.prices.ffill()
    for trade in run.trades.itertuples():
        assert place[trade.entry_date] - place[trade.signal_date] == run.config.execution.lag
        assert trade.entry_y == prices.at[trade.entry_date, trade.y]
        assert trade.entry_x == prices.at[trade.entry_date, trade.x]


def test_entries_fall_in_the_first_three_months_and_ends_in_the_window(run) -> None:
    t = run.trades
    assert (t["signal_date"] > t["test_end"]).all()
    assert (t["signal_date"] < t["test_end"] + pd.Timedelta(days=1) + pd.DateOffset(months=3)).all()
    closed = t[t["exit_date"].notna()]
    assert (closed["exit_date"] < closed["test_end"] + pd.Timedelta(days=1) + pd.DateOffset(months=6)).all()


def test_held_ratios_are_constant_and_known_at_the_train_end(run) -> None:
    s = run.spreads
    for variant in ("fixed_first", "averaged", "fixed_last"):
        own = s[s["variant"] == variant]
        assert (own.groupby(["test_end", "y", "x"], observed=True)["hedge_ratio"].nunique() == 1).all()


def test_every_rejected_pair_has_a_reason_and_every_selected_none(run) -> None:
    assert ((run.tests["reason"] == "") == run.tests["selected"]).all()
    assert len(run.tests) == 190 * len(run.windows)


def test_a_run_is_the_same_from_its_folder(short_config, run, tmp_path) -> None:
    stored = pairs_bt.run(short_config, out=tmp_path / "r", report=False)
    loaded = pairs_bt.load_run(tmp_path / "r")
    for name in ("tests", "half_lives", "spreads", "trades", "fills", "returns", "summary"):
        pd.testing.assert_frame_equal(
            pd.DataFrame(getattr(run, name)), pd.DataFrame(getattr(loaded, name)), check_exact=True, check_dtype=False
        )
        pd.testing.assert_frame_equal(pd.DataFrame(getattr(stored, name)), pd.DataFrame(getattr(loaded, name)))
    assert loaded.config == short_config
    assert loaded.expected_by_chance == run.expected_by_chance
    assert loaded.prices.equals(run.prices)


# ------------------------------------------------------------------------------------------------ noise

NOISE = Config.from_dict(
    {
        "selection": {"alpha": 0.999, "tests": ["engle_granger"], "two_way": "none", "max_pairs": 500},
        "execution": {"cost_bps": 0.0, "borrow_bps": 0.0},
        "hedge": {"rehedge": ["never", "daily"]},
        "windows": {"step": "6M"},
    }
).with_changes(*BOOK_FILTER)


def test_independent_walks_earn_nothing_but_the_naive_pnl_says_otherwise() -> None:
    rng = np.random.default_rng(11)
    dates = pd.bdate_range("2010-01-01", "2012-12-31", name="date")
    values = 300.0 + np.cumsum(rng.normal(size=(len(dates), 1000)), axis=0)
    prices = pd.DataFrame(values, index=dates, columns=[f"W{k:04d}" for k in range(1000)])
    run = _run_disjoint(NOISE, prices)
    assert run.tests["selected"].sum() >= 450
    for variant in run.variants:
        trades = run.trades[run.trades["variant"] == variant.name]
        gross = trades["gross_pnl"] / trades["capital"]
        assert len(trades) > 200
        assert abs(gross.mean()) < 3 * gross.std() / len(trades) ** 0.5, variant.name
    dynamic = run.trades[run.trades["variant"] == "dynamic"]
    naive = dynamic["naive_pnl"] / dynamic["capital"]
    assert naive.mean() > 10 * naive.std() / len(naive) ** 0.5


def _run_disjoint(config: Config, prices: pd.DataFrame) -> pairs_bt.Run:
    """Run on pairs that share no ticker, so that their trades are independent."""
    names = list(prices.columns)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.csv"
        rows = [f"{y},{x}" for y, x in zip(names[::2], names[1::2], strict=True)]
        path.write_text("y,x\n" + "\n".join(rows) + "\n")
        return pairs_bt.run(config.with_changes(f"universe.pairs={path}"), prices=prices)


@pytest.mark.parametrize("space", ["normalised", "log"])
def test_units_of_a_ticker_change_no_trade_date(short_config, demo_prices, space: str) -> None:
    config = short_config.with_changes(f"filter.price_space={space}", "data.end=2008-12-31")
    other = demo_prices.copy()
    other["KO"] *= 10.0
    other["XOM"] /= 8.0
    one, two = (pairs_bt.run(config, prices=p).trades for p in (demo_prices, other))
    keys = ["test_end", "y", "x", "variant", "side", "signal_date", "entry_date", "exit_date", "exit_reason"]
    assert len(one) > 50
    pd.testing.assert_frame_equal(one[keys], two[keys])
    np.testing.assert_allclose(one["net_pnl"], two["net_pnl"], rtol=1e-6, atol=1e-4)


def test_log_space_trades_the_share_ratio_of_the_fill(short_config, demo_prices) -> None:
    run = pairs_bt.run(short_config.with_changes("filter.price_space=log", "data.end=2008-12-31"), prices=demo_prices)
    t = run.trades[run.trades["variant"] != "dynamic-rehedged"]
    s = run.spreads.astype({"y": str, "x": str, "variant": str})
    joined = t.merge(
        s, left_on=["test_end", "y", "x", "variant", "entry_date"], right_on=["test_end", "y", "x", "variant", "date"],
        suffixes=("", "_log"),
    )  # fmt: skip
    assert len(joined) == len(t) > 20
    np.testing.assert_allclose(
        joined["hedge_ratio"], joined["hedge_ratio_log"] * joined["entry_y"] / joined["entry_x"], rtol=1e-12
    )


# ------------------------------------------------------------------------------------------------ the past


def assert_past_unchanged(whole: pairs_bt.Run, cut: pairs_bt.Run, day: pd.Timestamp) -> int:
    """Every table of the cut run equals, bit for bit, the rows up to `day` of the whole one."""
    begun = pd.DatetimeIndex(cut.tests["test_end"].unique())
    rows = 0
    for name in ("tests", "half_lives"):
        one, two = getattr(whole, name), getattr(cut, name)
        one = one[one["test_end"].isin(begun)].reset_index(drop=True)
        pd.testing.assert_frame_equal(one, two.reset_index(drop=True), check_exact=True)
        rows += len(two)
    for name in ("spreads", "returns", "fills"):
        one, two = (pd.DataFrame(getattr(r, name)) for r in (whole, cut))
        one = one[one["date"] <= day].reset_index(drop=True)
        pd.testing.assert_frame_equal(one, two.reset_index(drop=True), check_exact=True)
        rows += len(two)
    closed = [r.trades[r.trades["exit_date"] <= day].reset_index(drop=True) for r in (whole, cut)]
    pd.testing.assert_frame_equal(*closed, check_exact=True)
    entered = [r.trades[r.trades["entry_date"] <= day] for r in (whole, cut)]
    known = ["test_end", "y", "x", "variant", "side", "signal_date", "entry_date", "hedge_ratio", "units_y", "entry_y"]
    pd.testing.assert_frame_equal(*(t[known].reset_index(drop=True) for t in entered), check_exact=True)
    return rows + len(closed[1])


CUTS = ("2007-03-01", "2007-09-28", "2008-02-13", "2008-10-09", "2009-06-30")


@pytest.mark.parametrize("space", ["normalised", "log"])
def test_future_prices_cannot_change_the_past(short_config, demo_prices, space: str) -> None:
    config = short_config.with_changes("data.end=2009-12-31", f"filter.price_space={space}")
    whole = pairs_bt.run(config, prices=demo_prices)
    for text in CUTS:
        day = pd.Timestamp(text)
        cut = pairs_bt.run(config, prices=demo_prices[demo_prices.index <= day])
        assert assert_past_unchanged(whole, cut, day) > 200


def test_a_planted_look_ahead_is_seen(short_config, demo_prices, monkeypatch) -> None:
    def over_the_trade_window(path: hedge_rules.FilterPath, n_train: int) -> np.ndarray:
        return np.broadcast_to(path.beta.mean(axis=1)[:, None], path.beta.shape)

    monkeypatch.setitem(hedge_rules.HEDGE_RULES, "averaged", over_the_trade_window)
    whole = pairs_bt.run(short_config, prices=demo_prices)
    day = pd.Timestamp(CUTS[2])
    cut = pairs_bt.run(short_config, prices=demo_prices[demo_prices.index <= day])
    with pytest.raises(AssertionError):
        assert_past_unchanged(whole, cut, day)


def test_a_ticker_that_only_the_future_has_changes_nothing(short_config, demo_prices) -> None:
    prices = demo_prices.copy()
    prices.loc[prices.index < "2008-06-01", "AMD"] = np.nan
    whole = pairs_bt.run(short_config, prices=prices)
    day = pd.Timestamp("2008-03-14")
    cut = pairs_bt.run(short_config, prices=prices[prices.index <= day])
    assert (whole.tests.loc[(whole.tests["s1"] == "AMD"), "reason"] == "incomplete: AMD").any()
    assert assert_past_unchanged(whole, cut, day) > 200


def test_nothing_is_filled_at_a_price_that_was_carried_forward(short_config, demo_prices) -> None:
    rng = np.random.default_rng(8)
    prices = demo_prices[demo_prices.index <= "2009-12-31"].copy()
    holes = rng.random(prices.shape) < 0.01
    holes |= np.roll(holes, 1, axis=0)
    holes[0] = False
    prices = prices.mask(pd.DataFrame(holes, index=prices.index, columns=prices.columns))
    run = pairs_bt.run(short_config, prices=prices)
    assert len(run.trades) > 100
    quoted = prices.notna().stack()
    ended = run.trades.loc[run.trades["exit_reason"].isin(["window_end", "delisted"]), "exit_date"]
    fills = run.fills[~run.fills["date"].isin(ended)]
    assert quoted.loc[list(zip(fills["date"], fills["ticker"], strict=True))].all()
    # The same with the signals: none is read off a carried price.
    for leg in ("y", "x"):
        assert quoted.loc[list(zip(run.trades["signal_date"], run.trades[leg], strict=True))].all()
