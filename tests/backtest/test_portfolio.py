"""From cohorts to an account: committed, employed and fully invested returns, limits, netting, cash, compounding."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import pairs_bt
from pairs_bt.backtest.portfolio import limits, netting
from pairs_bt.backtest.portfolio.returns import Cohort, cohort_scales, portfolio_returns
from pairs_bt.backtest.study import cohort_slots, prepare
from pairs_bt.kernels import ledger as kernel
from pairs_bt.report.plots.pnl import plot_costs
from pairs_bt.runs.summary import COST_CURVE_BPS, _employed_metrics
from pairs_bt.stats.performance import annual_return
from tests.backtest.test_ledger import run as six_bars
from tests.book_filter import BOOK_FILTER


@pytest.fixture(scope="module")
def config(short_config):
    return short_config.with_changes("hedge.rehedge=['never', 'daily']", "data.end=2008-12-31")


@pytest.fixture(scope="module")
def run(config):
    return pairs_bt.run(config)


def held_days(run: pairs_bt.Run, trades: pd.DataFrame) -> pd.DataFrame:
    """Trades held at each close, one row a trade and day, from the trades table alone."""
    dates = pd.DatetimeIndex(run.returns["date"].unique())
    rows = []
    for trade in trades.itertuples():
        last = dates[-1] if pd.isna(trade.exit_date) else trade.exit_date
        days = dates[(dates >= trade.entry_date) & (dates <= last)]
        held = days if pd.isna(trade.exit_date) else days[:-1]
        rows += [(day, trade.test_end, trade.y, trade.x, trade.units_y, trade.units_x) for day in held]
    return pd.DataFrame(rows, columns=["date", "test_end", "y", "x", "units_y", "units_x"])


def test_returns_are_recomputed_from_trades_and_prices(run) -> None:
    """The mean over live cohorts of (P&L / pairs selected, or five): from the tables, without the program's sums."""
    own = run.returns[run.returns["variant"] == "averaged"].set_index("date")
    trades = run.trades[run.trades["variant"] == "averaged"]
    prices = run.prices
    selected = run.tests.groupby("test_end")["selected"].sum()
    per_cohort = {}
    for test_end, count in selected.items():
        start = test_end + pd.Timedelta(days=1)
        days = own.index[(own.index >= start) & (own.index < start + pd.DateOffset(months=6))]
        pnl = pd.Series(0.0, index=days)
        for t in trades[trades["test_end"] == test_end].itertuples():
            last = days[-1] if pd.isna(t.exit_date) else t.exit_date
            span = prices.loc[t.entry_date : last]
            pnl.loc[span.index[1:]] += (
                t.units_y * span[t.y].diff().iloc[1:] + t.units_x * span[t.x].diff().iloc[1:]
            ) / t.capital
        per_cohort[test_end] = pnl / max(count, 5)
    mean = pd.DataFrame(per_cohort).reindex(own.index).mean(axis=1)
    np.testing.assert_allclose(own["gross"], mean, rtol=1e-9, atol=1e-12)


def test_fully_invested_divides_by_the_pairs_that_have_opened_so_far(run) -> None:
    own = run.returns[run.returns["variant"] == "fixed_last"].set_index("date")
    trades = run.trades[run.trades["variant"] == "fixed_last"]
    first = run.tests["test_end"].min()
    start, stop = first + pd.Timedelta(days=1), first + pd.Timedelta(days=1) + pd.DateOffset(months=3)
    alone = own[(own.index >= start) & (own.index < stop)]
    cohort = trades[trades["test_end"] == first]
    selected = run.tests.loc[run.tests["test_end"] == first, "selected"].sum()
    opened = [cohort.loc[cohort["entry_date"] <= day, ["y", "x"]].drop_duplicates().shape[0] for day in alone.index]
    expected = alone["net"] * selected / np.maximum(opened, 1)
    np.testing.assert_allclose(alone["net_employed"], expected, rtol=1e-9, atol=1e-15)


def test_the_return_on_employed_capital_is_money_over_capital_years(run) -> None:
    for row in run.summary.itertuples():
        trades = run.trades[run.trades["variant"] == row.variant]
        years = dollars = gross = 0.0
        for t in trades.itertuples():
            end = run.returns["date"].max() if pd.isna(t.exit_date) else t.exit_date
            years += t.capital * (end - t.entry_date).days / 365.25
            dollars += t.net_pnl
            gross += t.gross_pnl
        assert row.net_return_on_employed == pytest.approx(dollars / years, rel=1e-9)
        assert row.gross_return_on_employed == pytest.approx(gross / years, rel=1e-9)
        assert np.sign(row.net_return_on_employed) == np.sign(dollars)


def test_one_pair_s_bad_day_does_not_turn_a_profit_into_a_loss_on_employed_capital() -> None:
    # one pair of $10,000 loses $320 alone in the market; later ten pairs of $10,000 each earn $100
    days = pd.bdate_range("2020-01-01", periods=8)
    lone = (days[0], days[1], -320.0)
    trades = pd.DataFrame([lone, *[(days[3], days[5], 100.0)] * 10], columns=["entry_date", "exit_date", "net_pnl"])
    trades = trades.assign(gross_pnl=trades["net_pnl"], capital=10_000.0)
    own = pd.DataFrame({"date": days, "netting": 0.0, "capital": 110_000.0})
    found = _employed_metrics(own, trades)["net_return_on_employed"]
    # 1 day of 10,000 and 2 days of 10 x 10,000
    assert found == pytest.approx(680.0 / (210_000.0 / 365.25))


def test_exposure_and_pairs_open(run) -> None:
    own = run.returns[run.returns["variant"] == "averaged"].set_index("date")
    held = held_days(run, run.trades[run.trades["variant"] == "averaged"])
    count = held.groupby("date").size().reindex(own.index).fillna(0)
    assert (count == own["pairs_open"]).all()
    prices = run.prices.stack().rename("price")
    y = held.join(prices, on=["date", "y"])["price"] * held["units_y"]
    x = held.join(prices, on=["date", "x"])["price"] * held["units_x"]
    gross = (y.abs() + x.abs()).groupby(held["date"]).sum().reindex(own.index).fillna(0.0)
    np.testing.assert_allclose(own["gross_exposure"] * own["capital"], gross, rtol=1e-9, atol=1e-6)
    net = (y + x).groupby(held["date"]).sum().reindex(own.index).fillna(0.0)
    np.testing.assert_allclose(own["net_exposure"] * own["capital"], net, rtol=1e-9, atol=1e-4)


def test_doubling_the_capital_doubles_every_dollar_and_no_return(config, run) -> None:
    twice = pairs_bt.run(config.with_changes("portfolio.capital=2_000_000"))
    dollars = ["units_y", "units_x", "capital", "gross_pnl", "cost", "borrow", "net_pnl", "naive_pnl", "turnover"]
    np.testing.assert_array_equal(twice.trades[dollars], 2.0 * run.trades[dollars])
    for column in ("gross", "cost", "borrow", "net", "net_employed", "gross_exposure"):
        np.testing.assert_array_equal(twice.returns[column], run.returns[column])


def test_slots() -> None:
    windows = pairs_bt.Config().windows
    assert cohort_slots(windows) == 2
    assert cohort_slots(windows.model_copy(update={"step": "6M"})) == 1
    assert cohort_slots(windows.model_copy(update={"step": "4M"})) == 2
    assert cohort_slots(windows.model_copy(update={"trade": "1Y"})) == 4
    assert cohort_slots(windows.model_copy(update={"trade": "20D", "step": "10D"})) == 2


# ------------------------------------------------------------------------------------------------ limits


def test_at_most_so_many_pairs_are_held(config, run) -> None:
    limited = pairs_bt.run(config.with_changes("portfolio.max_pairs_held=2"))
    most = run.returns.groupby("variant")["pairs_open"].max()
    assert (most > 2).any()
    assert limited.returns["pairs_open"].max() == 2
    assert 0 < len(limited.trades) < len(run.trades)
    # What is left is some of the same trades, to the cent.
    keys = ["test_end", "y", "x", "variant", "entry_date"]
    joined = limited.trades.merge(run.trades, on=keys, suffixes=("", "_free"))
    assert len(joined) == len(limited.trades)
    np.testing.assert_array_equal(joined["net_pnl"], joined["net_pnl_free"])
    for variant, rows in limited.returns.groupby("variant"):
        trades = limited.trades[limited.trades["variant"] == variant]
        assert (rows["net"] * rows["capital"]).sum() == pytest.approx(trades["net_pnl"].sum(), abs=1e-3)
    assert limited.summary["delay_0_sharpe"].isna().all()
    # Nothing vanishes silently: what was refused is counted.
    free = run.trades.groupby("variant").size()
    kept = limited.trades.groupby("variant").size()
    assert limited.summary.set_index("variant")["refused"].to_dict() == (free - kept).to_dict()
    assert (run.summary["refused"] == 0).all()
    fills = limited.fills.merge(limited.trades[keys], on=keys)
    assert len(fills) == len(limited.fills)


def test_gross_and_ticker_limits_hold_at_every_entry(config) -> None:
    bounds = ("portfolio.max_gross=0.5", "portfolio.max_ticker_share=0.2")
    limited = pairs_bt.run(config.with_changes(*bounds))
    assert len(limited.trades) > 20
    trades = limited.trades[limited.trades["variant"] == "fixed_last"]
    for entry in trades["entry_date"].unique():
        held = trades[(trades["entry_date"] <= entry) & ~(trades["exit_date"] <= entry)]
        y, x = held["units_y"].abs() * held["entry_y"], held["units_x"].abs() * held["entry_x"]
        assert y.sum() + x.sum() <= 0.5e6 * (1 + 1e-9)
        by_ticker = y.groupby(held["y"]).sum().add(x.groupby(held["x"]).sum(), fill_value=0.0)
        assert by_ticker.max() <= 0.2e6 * (1 + 1e-9)


def test_limits_look_at_nothing_later(config, run) -> None:
    bound = config.with_changes("portfolio.max_pairs_held=1")
    windows = [part for _, part in run.trades.groupby("test_end")]
    whole = limits.refuse(windows, bound)
    day = pd.Timestamp("2008-02-13")
    cut = []
    for part in windows:
        part = part[part["entry_date"] <= day].copy()
        part.loc[part["exit_date"] > day, "exit_date"] = pd.NaT
        cut.append(part)
    for (k, variant), flags in limits.refuse(cut, bound).items():
        known = windows[k][windows[k]["variant"] == variant]["entry_date"] <= day
        assert (flags == whole[k, variant][known.to_numpy()]).all()
    assert sum(int(flags.sum()) for flags in whole.values()) > 10


# ------------------------------------------------------------------------------------ netting, cash, capital


def test_netting_two_fills_by_hand() -> None:
    config = pairs_bt.Config.from_dict({"execution": {"cost_bps": 10.0, "spread": 0.02}})
    day = pd.Timestamp("2020-01-02")
    fills = pd.DataFrame(
        {
            "variant": ["a"] * 4, "date": [day, day, day, day + pd.Timedelta(days=1)], "ticker": ["X", "X", "Y", "X"],
            "shares": [100.0, -60.0, 5.0, -40.0], "price": [50.0, 50.0, 20.0, 51.0],
        }
    )  # fmt: skip
    saved = netting.savings(fills, config)
    # 160 shares charged, 40 traded: 120 shares x (10 bp x 50 + 0.01)
    assert saved["saving"].to_list() == pytest.approx([120 * (0.05 + 0.01), 0.0], abs=1e-12)


def test_netting_lowers_costs_by_what_it_reports(config, run) -> None:
    netted = pairs_bt.run(config.with_changes("portfolio.netting=true"))
    pd.testing.assert_frame_equal(netted.trades, run.trades)
    np.testing.assert_allclose(netted.returns["cost"] + netted.returns["netting"], run.returns["cost"], atol=1e-15)
    np.testing.assert_allclose(netted.returns["net"] - netted.returns["netting"], run.returns["net"], atol=1e-15)
    saving = netted.summary.set_index("variant")["netting_saving"]
    assert saving.max() > 1e-6
    assert (saving >= 0).all()
    assert (run.returns["netting"] == 0).all()


def test_idle_cash_earns_its_rate_by_calendar_day(config) -> None:
    run = pairs_bt.run(config.with_changes("portfolio.cash_rate=0.0365"))
    own = run.returns[run.returns["variant"] == "dynamic"].reset_index(drop=True)
    gap = own["date"].diff().dt.days.fillna(4)  # the year 2006 ended on a Friday, trading began on a Wednesday
    gap[0] = (own["date"][0] - run.prices.index[run.prices.index < own["date"][0]][-1]).days
    longs = ((own["gross_exposure"] + own["net_exposure"]) / 2 * own["capital"]).shift(fill_value=0.0)
    expected = (own["capital"] - longs) / own["capital"] * 0.0001 * gap
    np.testing.assert_allclose(own["interest"], expected, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(own["riskless"], 0.0001 * gap, rtol=1e-12)
    assert (own["net"] - (own["gross"] - own["cost"] - own["borrow"] + own["interest"])).abs().max() < 1e-15


@pytest.mark.parametrize(
    ("rebate", "interest"),
    [(0.0, [2.03, 2.03, 2.03, 3.03, 0.99, 2.03]), (0.5, [2.03, 2.03, 2.03, 4.545, 1.50, 2.03])],
)
def test_interest_on_six_bars_by_hand(rebate: float, interest: list[float]) -> None:
    # 1 bp a calendar day on 20,300. Friday's close buys 100 y at 102 and sells 200 x at 50.5; Monday's closes are 104
    # and 51; Tuesday's close ends it.
    # Mon: 3 bp on 20,300 - 10,200 = 10,100, and on half of the short's 10,100;  Tue: 1 bp on 20,300 - 10,400 = 9,900,
    # and on half of 10,200.
    rates = {"cash_rate": 0.0365, "short_rebate": rebate, "capital": 20_300.0}
    book = six_bars([0, -2.5, -1, 0.5, 1, 1], portfolio=rates)
    study = SimpleNamespace(
        config=pairs_bt.Config.from_dict({"portfolio": rates}), slots=1, windows=[SimpleNamespace(split=0, stop=6)],
        day_gap=np.array([1.0, 1.0, 1.0, 3.0, 1.0, 1.0]), dates=pd.bdate_range("2020-01-01", periods=6),
    )  # fmt: skip
    cohort = Cohort(0, 1, {"a": book.block_sums()[0]}, {})
    table = portfolio_returns(study, [cohort], ["a"])
    assert (table["interest"] * 20_300.0).to_list() == pytest.approx(interest)


def test_a_full_rebate_on_equal_dollars_ties_up_no_cash(config) -> None:
    neutral = config.with_changes("portfolio.sizing=dollar_neutral", 'hedge.rehedge=["never"]')
    free = pairs_bt.run(neutral)
    rich = neutral.with_changes("portfolio.cash_rate=0.05")
    full, none = pairs_bt.run(rich.with_changes("portfolio.short_rebate=1")), pairs_bt.run(rich)
    # what is left are the days on which one leg has outgrown the other
    assert full.summary["net_sharpe"].to_numpy() == pytest.approx(free.summary["net_sharpe"].to_numpy(), abs=0.03)
    for name in free.labels:
        charged = (free.net - none.excess)[name].sum()
        own = free.returns[free.returns["variant"] == name].set_index("date")
        longs = ((own["gross_exposure"] + own["net_exposure"]) / 2 * own["capital"]).shift(fill_value=0.0)
        days = own.index.to_series().diff().dt.days.fillna(0)
        assert charged == pytest.approx((longs * days / own["capital"]).sum() * 0.05 / 365, rel=1e-9)
        assert charged > 0.001


@pytest.mark.parametrize("step", ["4M", "12M"])
def test_interest_is_on_the_day_s_own_capital_also_between_cohorts(short_config, step: str) -> None:
    run = pairs_bt.run(short_config.with_changes("portfolio.cash_rate=0.0365", f"windows.step={step}"))
    for _, own in run.returns.groupby("variant"):
        nothing = (own["gross_exposure"].shift(fill_value=0.0) == 0) & (own["capital"] > 0)
        assert nothing.sum() > 20
        np.testing.assert_allclose(own["interest"][nothing], own["riskless"][nothing], rtol=1e-9)
        idle = own["capital"] == 0
        assert idle.any() == (step == "12M")
        assert (own.loc[idle, ["net", "interest", "riskless"]] == 0).all(axis=None)


def test_interest_is_nobodys_skill(config, run) -> None:
    paid = pairs_bt.run(config.with_changes("portfolio.cash_rate=0.03"))
    one, two = run.summary.set_index("variant"), paid.summary.set_index("variant")
    assert (two["net_annual_return"] > one["net_annual_return"] + 0.01).all()
    # Longs earn no interest, so over the cash rate a variant is a little worse, never better.
    assert (two["net_sharpe"] <= one["net_sharpe"] + 1e-12).all()
    # nor does interest pay for a trade: longs cost cash, so less is left for costs
    assert (two["break_even_cost_bps"] < one["break_even_cost_bps"]).all()
    assert (two["cost_0bp_annual_return"] < one["cost_0bp_annual_return"]).all()
    np.testing.assert_allclose(two["cost_drag"], one["cost_drag"], atol=1e-3)
    assert (two["cost_5bp_sharpe"] - two["net_sharpe"]).abs().max() < 1e-9
    assert paid.comparison.intervals["sharpe"].to_list() == pytest.approx(two["net_sharpe"].to_list(), rel=1e-9)


def test_the_cost_curve_passes_through_the_run_itself(config) -> None:
    dear = pairs_bt.run(config.with_changes("execution.spread=0.10", "execution.cost_bps=10"))
    netted = pairs_bt.run(config.with_changes("portfolio.netting=true", "execution.cost_bps=10"))
    for made in (dear, netted):
        summary = made.summary
        np.testing.assert_allclose(summary["cost_10bp_annual_return"], summary["net_annual_return"], rtol=1e-9)


def test_break_even_is_where_the_curve_of_returns_is_zero(config) -> None:
    """The number, the curve and a run at that cost say the same, with a quoted spread and a cash rate too."""
    gentle = (*BOOK_FILTER, "signal.entry=1.5", "execution.borrow_bps=0", "hedge.variants=['dynamic','fixed_first']")
    for changes in ((), ("execution.spread=0.01", "portfolio.cash_rate=0.01")):
        made = pairs_bt.run(config.with_changes(*gentle, *changes))
        curve = {bps: made.summary[f"cost_{bps}bp_annual_return"].to_numpy() for bps in COST_CURVE_BPS}
        for place, row in enumerate(made.summary.itertuples()):
            level = row.break_even_cost_bps
            assert all((curve[bps][place] > 0) == (bps < level) for bps in COST_CURVE_BPS)
            if level > 0:
                again = pairs_bt.run(made.config.with_changes(f"execution.cost_bps={level!r}"))
                assert abs(annual_return(again.excess[row.variant])) < 1e-10
    assert (made.summary["break_even_cost_bps"] > 0).any()


def test_the_dot_lies_on_the_curve_at_the_number(config) -> None:
    made = pairs_bt.run(config.with_changes("signal.entry=1.5", "execution.borrow_bps=0"))
    axis = plot_costs(made).axes[0]
    dots = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axis.lines if line.get_marker() == "o"]
    levels = made.summary["break_even_cost_bps"]
    shown = levels[levels.between(0, max(COST_CURVE_BPS))]
    assert [x for x, _ in dots] == shown.to_list() != []
    curves = [line for line in axis.lines if len(line.get_xdata()) >= len(COST_CURVE_BPS)]
    for x, y in dots:
        assert y == 0.0
        assert any(np.interp(x, line.get_xdata(), line.get_ydata()) == 0.0 for line in curves)


def test_compounding_gives_a_cohort_its_slot_of_the_equity(config, run) -> None:
    compounded = pairs_bt.run(config.with_changes("portfolio.compounding=true"))
    own = compounded.returns[compounded.returns["variant"] == "averaged"]
    dollars = own.set_index("date")["net"] * own.set_index("date")["capital"]
    trades = compounded.trades[compounded.trades["variant"] == "averaged"]
    assert dollars.sum() == pytest.approx(trades["net_pnl"].sum(), abs=1e-3)
    plain = run.trades[run.trades["variant"] == "averaged"]
    np.testing.assert_allclose(trades["net_pnl"] / trades["capital"], plain["net_pnl"] / plain["capital"], rtol=1e-12)
    returns = compounded.cohort_returns["averaged"]
    for test_end, part in trades.groupby("test_end"):
        equity = 1e6 + dollars[dollars.index <= test_end].sum()
        assert returns[test_end] == pytest.approx(part["net_pnl"].sum() / (equity / 2), rel=1e-9)
        selected = run.tests.loc[run.tests["test_end"] == test_end, "selected"].sum()
        np.testing.assert_allclose(part["capital"], equity / 2 / max(selected, 5), rtol=1e-9)


def test_interest_is_reinvested_too(config) -> None:
    made = pairs_bt.run(config.with_changes("portfolio.compounding=true", "portfolio.cash_rate=0.05"))
    own = made.returns[made.returns["variant"] == "dynamic"].set_index("date")
    equity = 1e6 + (own["net"] * own["capital"]).cumsum()
    last = made.windows.index[-1]
    # Two cohorts are live at the end: born with half of the equity of their own day each.
    born = [equity[equity.index <= test_end].iloc[-1] / 2 for test_end in made.windows.index[-2:]]
    assert own["capital"].iloc[-1] == pytest.approx(sum(born), rel=1e-12)
    assert equity[equity.index <= last].iloc[-1] > 1.02e6


def test_a_compounded_run_is_the_same_from_its_folder(config, tmp_path) -> None:
    changed = config.with_changes("portfolio.compounding=true", "portfolio.netting=true", "portfolio.max_pairs_held=3")
    memory = pairs_bt.run(changed)
    pairs_bt.run(changed, out=tmp_path / "r", report=False)
    loaded = pairs_bt.load_run(tmp_path / "r")
    assert (memory.summary["refused"] > 0).any()
    for name in ("trades", "fills", "returns", "summary"):
        one, two = (pd.DataFrame(getattr(r, name)) for r in (memory, loaded))
        pd.testing.assert_frame_equal(one, two, check_exact=True, check_dtype=False)


# ------------------------------------------------------------------------------------------------ sizing and options


def test_dollar_neutral_puts_the_same_dollars_in_both_legs(config) -> None:
    t = pairs_bt.run(config.with_changes("portfolio.sizing=dollar_neutral")).trades
    t = t[t["variant"] != "dynamic-rehedged"]
    np.testing.assert_allclose(t["units_y"] * t["entry_y"], -t["units_x"] * t["entry_x"], rtol=1e-12)
    np.testing.assert_allclose(t["units_x"], -t["units_y"] * t["hedge_ratio"], rtol=1e-12)


def test_volatility_sizing_reaches_its_target_on_train_prices(config) -> None:
    run = pairs_bt.run(config.with_changes("portfolio.sizing=volatility", "portfolio.volatility=0.05"))
    study = prepare(run.config)
    windows = {pd.Timestamp(w.test_end): w for w in study.windows}
    checked = 0
    for t in run.trades[run.trades["variant"] == "averaged"].itertuples():
        w = windows[t.test_end]
        train = run.prices.iloc[w.first : w.split]
        change = (t.units_y * train[t.y] + t.units_x * train[t.x]).diff()
        target = change.std(ddof=1) * 252**0.5 / t.capital
        invested = abs(t.units_y) * t.entry_y + abs(t.units_x) * t.entry_x
        full = invested == pytest.approx(t.capital, rel=1e-9)
        assert target == pytest.approx(0.05, rel=1e-9) or (full and target < 0.05)
        checked += 1
    assert checked > 10


def test_a_leg_share_limit_refuses_pairs_with_a_reason(config) -> None:
    run = pairs_bt.run(config.with_changes("hedge.max_leg_share=0.6"))
    assert (run.half_lives["reason"] == "leg share").any()
    t = run.trades
    share = (t["units_y"].abs() * t["entry_y"] / t["capital"]).clip(lower=0)
    assert share.between(0.4 - 1e-12, 0.6 + 1e-12).all()


def test_borrow_table_overrides_and_unknown_tickers_are_refused(config, run, tmp_path) -> None:
    path = tmp_path / "borrow.csv"
    tickers = sorted({*run.trades["y"], *run.trades["x"]})
    path.write_text("ticker,borrow_bps\n" + "".join(f"{t},0\n" for t in tickers))
    free = pairs_bt.run(config.with_changes(f"execution.borrow_table={path}"))
    assert (free.trades["borrow"] == 0).all()
    assert (run.trades["borrow"] > 0).all()
    path.write_text("ticker,borrow_bps\nNOPE,5\nKO,-1\n")
    with pytest.raises(pairs_bt.errors.ConfigError, match=r"NOPE.*KO"):
        pairs_bt.run(config.with_changes(f"execution.borrow_table={path}"))


def test_a_lone_pair_gets_one_part_in_five_of_its_slot(config) -> None:
    """The slot is divided by at least `min_pairs`: the same trades, smaller, and what is left is idle."""
    alone = (*BOOK_FILTER, "selection.max_pairs=1")
    whole = pairs_bt.run(config.with_changes(*alone, "portfolio.min_pairs=1"))
    part = pairs_bt.run(config.with_changes(*alone))
    few = pairs_bt.run(config.with_changes(*alone, "portfolio.min_pairs=2"))
    assert len(whole.trades) == len(part.trades) > 5
    slot = whole.config.portfolio.capital / 2
    assert (whole.trades["capital"] == slot).all()
    assert (part.trades["capital"] == slot / 5).all()
    assert (few.trades["capital"] == slot / 2).all()
    np.testing.assert_allclose(part.trades["net_pnl"], whole.trades["net_pnl"] / 5, rtol=1e-12)
    np.testing.assert_allclose(part.returns["net"], whole.returns["net"] / 5, rtol=1e-9, atol=1e-18)
    np.testing.assert_allclose(part.cohort_returns, whole.cohort_returns / 5, rtol=1e-9, atol=1e-18)
    # of the money in trades nothing changes, and neither does the series of the fully invested
    column = "net_return_on_employed"
    np.testing.assert_allclose(part.summary[column], whole.summary[column], rtol=1e-9)
    np.testing.assert_allclose(part.returns["net_employed"], whole.returns["net_employed"], rtol=1e-9, atol=1e-18)


# ------------------------------------------------------------------------------------------------ small sums by hand


def small_study(stops: list[tuple[int, int]], slots: int = 1, **portfolio: object) -> SimpleNamespace:
    """A calendar of weekdays with trade windows (first, stop) and what a portfolio needs of a study."""
    bars = max(stop for _, stop in stops)
    return SimpleNamespace(
        config=pairs_bt.Config.from_dict({"portfolio": {"capital": 1_000.0, "min_pairs": 1, **portfolio}}),
        windows=[SimpleNamespace(split=split, stop=stop) for split, stop in stops],
        slots=slots, day_gap=np.ones(bars), dates=pd.bdate_range("2020-01-01", periods=bars),
    )  # fmt: skip


def dollars(bars: int, **columns: list[float]) -> np.ndarray:
    daily = np.zeros((bars, kernel.N_DAILY))
    for name, values in columns.items():
        daily[:, getattr(kernel, name)] = values
    return daily


def test_employed_returns_divide_by_the_pairs_so_far_and_only_net_ones_pay() -> None:
    # Two parts of 500: one pair opened on the first day, the other on the third.
    daily = dollars(
        4, CONVERGENCE=[0.0, 30.0, 0.0, 30.0], DRIFT=[0.0, 0.0, 0.0, 10.0], OPENED=[1, 0, 1, 0],
        TRADE_COST=[5.0, 0.0, 5.0, 10.0], REHEDGE_COST=[0.0, 1.0, 0.0, 0.0], BORROW=[0.0, 2.0, 0.0, 3.0],
    )  # fmt: skip
    table = portfolio_returns(small_study([(0, 4)]), [Cohort(0, 2, {"a": daily}, {})], ["a"])
    assert table["gross_employed"].to_list() == pytest.approx([0.0, 30 / 500, 0.0, 40 / 1000])
    assert table["net_employed"].to_list() == pytest.approx([-5 / 500, 27 / 500, -5 / 1000, 27 / 1000])
    assert table["gross"].to_list() == pytest.approx([0.0, 0.03, 0.0, 0.04])
    assert table["net"].to_list() == pytest.approx([-0.005, 0.027, -0.005, 0.027])


def test_employed_returns_are_the_mean_over_the_live_cohorts() -> None:
    one, two = (dollars(4, CONVERGENCE=[0.0, 10.0, 10.0, 10.0], OPENED=[1, 0, 0, 0]) for _ in range(2))
    study = small_study([(0, 4), (2, 6)], slots=2)
    table = portfolio_returns(study, [Cohort(0, 1, {"a": one}, {}), Cohort(1, 1, {"a": two}, {})], ["a"])
    assert table["gross_employed"].to_list() == pytest.approx([0.0, 0.02, 0.01, 0.02, 0.02, 0.02])
    assert table["capital"].to_list() == [500.0, 500.0, 1000.0, 1000.0, 500.0, 500.0]


def test_under_compounding_pairs_are_counted_and_not_scaled() -> None:
    first = dollars(2, CONVERGENCE=[0.0, 500.0], HELD=[2, 2], GROSS_VALUE=[800.0, 800.0])
    second = dollars(2, HELD=[2, 3], GROSS_VALUE=[800.0, 900.0])
    study = small_study([(0, 2), (2, 4)], compounding=True)
    cohorts = [Cohort(k, 2, {"a": daily}, {}) for k, daily in enumerate((first, second))]
    assert cohort_scales(study, cohorts, "a") == [1.0, 1.5]
    table = portfolio_returns(study, cohorts, ["a"])
    assert table["pairs_open"].to_list() == [2, 2, 2, 3]
    assert table["capital"].to_list() == [1000.0, 1000.0, 1500.0, 1500.0]
    assert table["gross_exposure"].to_list() == pytest.approx([0.8, 0.8, 0.8, 0.9])


def test_a_cohort_of_a_ruined_account_gets_nothing_and_not_less() -> None:
    ruin, gain = dollars(2, CONVERGENCE=[0.0, -1_500.0]), dollars(2, CONVERGENCE=[0.0, 100.0])
    study = small_study([(0, 2), (2, 4)], compounding=True)
    cohorts = [Cohort(0, 1, {"a": ruin}, {}), Cohort(1, 1, {"a": gain}, {})]
    assert cohort_scales(study, cohorts, "a") == [1.0, 0.0]
    table = portfolio_returns(study, cohorts, ["a"])
    assert table["net"].to_list() == pytest.approx([0.0, -1.5, 0.0, 0.0])


def test_the_equity_at_a_birth_knows_no_interest_after_it() -> None:
    # 0.2% a day on the 500 dollars of the first cohort, for the two days before the second is born
    study = small_study([(0, 6), (2, 8)], slots=2, compounding=True, cash_rate=0.73)
    cohorts = [Cohort(k, 1, {"a": dollars(6)}, {}) for k in range(2)]
    assert cohort_scales(study, cohorts, "a") == pytest.approx([1.0, 1.002])


def entered(rows: list[tuple[int, int, float]]) -> pd.DataFrame:
    """Trades of one dollar a share: (entry day, exit day or -1, dollars of y); x is free, tickers are their own."""
    days = pd.bdate_range("2020-01-01", periods=10)
    return pd.DataFrame(
        {
            "variant": "a", "entry_date": [days[entry] for entry, _, _ in rows],
            "exit_date": [pd.NaT if leave < 0 else days[leave] for _, leave, _ in rows],
            "y": [f"Y{k}" for k in range(len(rows))], "x": [f"X{k}" for k in range(len(rows))],
            "units_y": [-size for _, _, size in rows], "units_x": 0.0, "entry_y": 1.0, "entry_x": 1.0,
        }
    )  # fmt: skip


@pytest.mark.parametrize("limit", ["max_gross", "max_ticker_share"])
def test_a_trade_at_the_limit_is_taken_and_one_above_it_refused(limit: str) -> None:
    config = pairs_bt.Config.from_dict({"portfolio": {"capital": 1_000.0, limit: 0.5}})
    # the limit leaves room for the rounding of a sum, and no more
    bound = 0.5 * 1_000.0 * (1 + 1e-12)
    for size, refused in ((500.0, 0), (bound, 0), (np.nextafter(bound, 1e9), 1), (500.01, 1)):
        assert limits.refuse([entered([(0, 1, size)])], config)[0, "a"].tolist() == [refused]


def test_an_exit_at_the_close_makes_room_for_an_entry_at_it() -> None:
    config = pairs_bt.Config.from_dict({"portfolio": {"max_pairs_held": 1}})
    trades = entered([(0, 3, 1.0), (2, 4, 1.0), (3, -1, 1.0), (9, -1, 1.0)])
    assert limits.refuse([trades], config)[0, "a"].tolist() == [0, 1, 0, 1]
