"""What closed the gap: planted spreads whose answer is known, and the parts of every trade add up to what was paid."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pairs_bt import Config, run
from pairs_bt.backtest.table_columns import TRADES, empty
from pairs_bt.results import Run
from pairs_bt.runs.exit_causes import causes, endings, gap_parts
from tests.book_filter import BOOK_FILTER

ONE_PAIR = {
    "windows": {"train": "1Y", "trade": "6M", "step": "6M", "entry_within": "6M"},
    "selection": {"method": "distance", "max_pairs": 1},
    "filter": {"price_space": "raw", "smooth": "none"},
    "hedge": {"variants": ["one_to_one"], "max_leg_share": 1.0},
    "execution": {"cost_bps": 0.0, "borrow_bps": 0.0},
    "comparison": {"draws": 100},
}  # fmt: skip
# Six months from the first test end; the spread is quiet until the step.
START, QUIET = pd.Timestamp("2016-01-01"), 30


def traded(after: list[float], **tables: object) -> Run:
    """One pair, share against share: its spread reverts in train, is quiet, and then does `after` and rests there."""
    days = pd.bdate_range("2015-01-01", "2016-06-30", name="date")
    rng = np.random.default_rng(5)
    spread = np.zeros(len(days))
    for t in range(1, len(days)):
        spread[t] = 0.93 * spread[t - 1] + 0.2 * rng.normal()
    live = int(days.searchsorted(START))
    ripple = 0.02 * (-1.0) ** np.arange(len(days) - live)
    path = np.concatenate([np.zeros(QUIET), after, np.full(len(ripple), after[-1])])[: len(ripple)]
    spread[live:] = path + ripple
    x = 100.0 * np.exp(np.cumsum(np.append(0.0, 0.01 * rng.normal(size=len(days) - 1))))
    prices = pd.DataFrame({"AAA": x + spread, "BBB": x}, index=days)
    return run(Config.from_dict(ONE_PAIR | tables).with_changes("signal.window_half_lives=2"), prices=prices)


def the_trade(made: Run) -> pd.Series:
    """The trade that the planted step opened."""
    own = made.trades[made.trades["signal_date"] >= START + pd.offsets.BDay(QUIET)]
    return own.iloc[0]


def test_a_spread_that_comes_back_pays() -> None:
    made = traded([5.0, 5.0, 5.0, 0.0])
    trade = the_trade(made)
    parts = gap_parts(made.trades, made.config).loc[trade.name]
    assert trade["exit_reason"] == "exit_level"
    assert causes(made.trades, made.config)[trade.name] == "spread"
    assert trade["side"] * np.sign(trade["units_y"]) == 1
    assert abs(trade["spread_exit"] - trade["spread_entry"]) == pytest.approx(5.0, abs=0.1)
    assert trade["gross_pnl"] > 0
    assert parts["spread"] > 5 * abs(parts["mean"])


def test_a_mean_that_catches_up_with_a_spread_that_stays_pays_nobody() -> None:
    made = traded([5.0])
    trade = the_trade(made)
    parts = gap_parts(made.trades, made.config).loc[trade.name]
    # z crossed the exit level, and that is all that is said of it
    assert trade["exit_reason"] == "exit_level"
    assert causes(made.trades, made.config)[trade.name] == "mean"
    assert abs(trade["spread_exit"] - trade["spread_entry"]) < 0.1
    assert abs(trade["mean_exit"] - trade["mean_entry"]) > 3.0
    assert parts["mean"] > 50 * abs(parts["spread"])
    row = endings(made.trades, made.config).query("cause == 'mean'").iloc[0]
    assert row["mean_pnl"] >= parts["mean"] - 1e-9
    summary = made.summary.iloc[0]
    assert summary["mean_caught_up"] > 0
    assert summary["mean_caught_up"] + summary["spread_came_back"] == pytest.approx(summary["exit_level"])
    assert summary["ratio_moved"] == 0


def test_a_spread_that_runs_away_is_caught_up_with_at_a_loss() -> None:
    made = traded([3.0, 4.0, 5.0, 6.0, 7.0])
    trade = the_trade(made)
    assert trade["exit_reason"] == "exit_level"
    assert causes(made.trades, made.config)[trade.name] == "mean"
    assert trade["gross_pnl"] < 0


def test_a_formation_mean_does_not_move_and_the_innovation_has_none() -> None:
    made = traded([5.0, 5.0, 5.0, 0.0], signal={"z": "formation", "half_life": "ignore"})
    assert (made.trades[["mean_entry", "mean_exit"]] == 0.0).all(axis=None)
    assert (causes(made.trades, made.config)[made.trades["exit_reason"] == "exit_level"] == "spread").all()
    made = traded(
        [5.0, 5.0, 5.0, 0.0], signal={"z": "innovation"}, hedge={"variants": ["dynamic"], "max_leg_share": 1.0},
        filter={"price_space": "raw", "smooth": "none", "hedge": {"delta": 1e-7, "observation_cov": 0.1}},
    )  # fmt: skip
    assert len(made.trades)
    assert made.trades[["mean_entry", "mean_exit"]].isna().all(axis=None)
    assert made.trades[["spread_entry", "spread_exit"]].notna().all(axis=None)
    assert (causes(made.trades, made.config) == "").all()
    assert made.summary["exit_level"].iloc[0] > 0
    assert made.summary["spread_came_back"].iloc[0] == 0


def test_a_ratio_that_is_estimated_anew_closes_a_gap_on_paper() -> None:
    # 100 y long at a spread of 1 under a mean of 3. Beta falls by 0.04 with x at 50: the spread rises by 2 on its own;
    # the shares earn nothing.
    trade = {
        "variant": "dynamic", "side": 1, "units_y": 100.0, "units_x": -200.0, "entry_y": 101.0, "capital": 1e4,
        "spread_entry": 1.0, "spread_exit": 3.0, "mean_entry": 3.0, "mean_exit": 2.5, "gross_pnl": 0.0,
        "naive_pnl": 200.0, "phantom_pnl": 200.0, "net_pnl": -10.0, "exit_reason": "exit_level",
    }  # fmt: skip
    table = pd.DataFrame([trade])
    config = Config.from_dict({"filter": {"price_space": "raw"}})
    assert gap_parts(table, config).iloc[0].to_dict() == {"spread": 0.0, "mean": 50.0, "ratio": 200.0}
    assert causes(table, config).tolist() == ["ratio"]
    # the book's inverted side holds the other shares on the same bet
    turned = table.assign(side=-1, units_y=-100.0, units_x=200.0)
    book = config.with_changes("signal.side=book")
    assert gap_parts(turned, book).iloc[0]["mean"] == 50.0


def test_a_gap_that_was_open_again_at_the_fill_has_no_cause() -> None:
    # the exit's signal was a close of delay before: at the fills spread and mean have both gone the wrong way
    trade = {
        "variant": "averaged", "side": 1, "units_y": 100.0, "entry_y": 101.0, "capital": 1e4, "spread_entry": 1.0,
        "spread_exit": 0.9, "mean_entry": 2.0, "mean_exit": 2.1, "gross_pnl": -10.0, "phantom_pnl": 1e-13,
        "net_pnl": -20.0, "exit_reason": "exit_level",
    }  # fmt: skip
    config = Config.from_dict({"filter": {"price_space": "raw"}})
    assert causes(pd.DataFrame([trade]), config).tolist() == [""]
    row = endings(pd.DataFrame([trade]), config).iloc[0]
    assert (row["exit_reason"], row["cause"], row["trades"]) == ("exit_level", "", 1)


@pytest.mark.parametrize("space", ["raw", "normalised", "log"])
def test_the_parts_are_the_gap_fill_to_fill(short_config: Config, space: str) -> None:
    config = short_config.with_changes(*BOOK_FILTER, f"filter.price_space={space}", "execution.lag=2")
    made = run(config)
    trades = made.trades
    parts = gap_parts(trades, config)
    # an independent look-up of the spread, and of its rolling mean in the stored spreads where the window fits
    keys = ["test_end", "y", "x", "variant", "date"]
    stored = made.spreads[[*keys, "spread"]].astype(dict.fromkeys(("y", "x", "variant"), "str"))
    stored = stored.merge(made.half_lives.drop(columns="reason"), on=keys[:4])
    stored["mean"] = np.nan
    for _, path in stored.groupby(keys[:4], sort=False):
        rolled = path["spread"].rolling(int(path["window"].iloc[0])).mean()
        stored.loc[path.index, "mean"] = rolled
    seen = 0
    for end in ("entry", "exit"):
        wanted = trades[keys[:4]].assign(date=trades[f"{end}_date"])
        found = wanted.merge(stored, on=keys, how="left")
        closed = trades[f"{end}_date"].notna().to_numpy()
        ended = (trades["exit_reason"] == "delisted").to_numpy()
        assert np.array_equal(
            found["spread"].to_numpy()[closed & ~ended], trades[f"spread_{end}"].to_numpy()[closed & ~ended]
        )
        known = closed & found["mean"].notna().to_numpy()
        scale = trades[f"spread_{end}"].abs().to_numpy()[known] + 1e-6
        error = np.abs(found["mean"].to_numpy() - trades[f"mean_{end}"].to_numpy())[known]
        assert (error <= 1e-9 * np.maximum(scale, 1.0)).all()
        seen += int(known.sum())
    assert seen > 20
    bet = trades["side"] * trades["units_y"].abs() * (trades["entry_y"] if space == "log" else 1.0)
    gap = trades["mean_entry"] - trades["spread_entry"] - (trades["mean_exit"] - trades["spread_exit"])
    assert parts.sum(axis=1).to_numpy() == pytest.approx((bet * gap).to_numpy(), rel=1e-9, abs=1e-6)
    if space != "log":
        held = trades["variant"].isin(["fixed_first", "averaged", "fixed_last"])
        assert parts.loc[held, "ratio"].to_numpy() == pytest.approx(0.0, abs=1e-6)


def test_every_trade_is_in_one_row(short_config: Config) -> None:
    made = run(short_config)
    table = endings(made.trades, short_config)
    assert table["trades"].sum() == len(made.trades)
    assert table["net_pnl"].sum() == pytest.approx(made.trades["net_pnl"].sum())
    assert table.groupby("variant")["share"].sum().to_numpy() == pytest.approx(1.0)
    level = table["exit_reason"] == "exit_level"
    assert table.loc[level & (table["cause"] != ""), "trades"].sum() > 0.9 * table.loc[level, "trades"].sum()
    # a held ratio does not move: what rounding leaves of its part is no cause
    assert set(table.loc[table["cause"] == "ratio", "variant"]) <= {"dynamic", "dynamic-rehedged"}
    assert (table.loc[~level, "cause"] == "").all()
    assert endings(empty(TRADES), short_config).empty


def test_the_model_s_own_mean_stands_still(short_config: Config) -> None:
    """Where the model has the spread in it, z is the spread about 0: no mean can catch up with it."""
    made = run(short_config.with_changes("run.spreads=none"))
    own = made.trades[made.trades["variant"] == "dynamic"]
    assert len(own) > 5
    scale = own["entry_y"].abs()
    assert (own[["mean_entry", "mean_exit"]].abs().max(axis=1) < 1e-9 * scale).all()
    assert not (causes(made.trades, made.config)[own.index] == "mean").any()
