"""The ledger on paper: six bars, worked to the cent, and one small case for each rule."""

import numpy as np
import pytest

from benchmarks.optimal_thresholds import decide
from pairs_bt.backtest.ledger import LedgerResult, Market, trade_pairs
from pairs_bt.config.schema import Band, Config
from pairs_bt.kernels.ledger import (
    BORROW,
    CONVERGENCE,
    DRIFT,
    FILL_KINDS,
    GROSS_VALUE,
    HELD,
    NAIVE,
    NET_VALUE,
    OPENED,
    REASONS,
    REHEDGE_COST,
    TRADE_COST,
    TURNOVER,
)
from tests.twins.ledger_cases import signal_set

# Wed, Thu, Fri, Mon, Tue, Wed: the Monday is three days after the Friday.
Y = (100.0, 100.0, 102.0, 104.0, 103.0, 105.0)
X = (50.0, 50.0, 50.5, 51.0, 52.0, 51.0)
GAPS = (1.0, 1.0, 1.0, 3.0, 1.0, 1.0)
BETA = (2.0, 2.0, 2.0, 1.9, 1.8, 1.8)
COSTS = {"cost_bps": 10.0, "spread": 0.02}  # 0.1% of the price and one cent a share
NAN = float("nan")


def run(z, *, y=Y, x=X, beta=BETA, gaps=GAPS, borrow=1e-4, closed=True, entry_bars=None, half_life=2.0,
        capital=20_300.0, rehedge="never", moments=None, refused=None, lag=None, unquoted=(),
        **tables) -> LedgerResult:  # fmt: skip
    """Trade one pair; everything that a case does not name is the six bars above."""
    bars = len(z)
    prices = np.array([y[:bars], x[:bars]], dtype=float)
    iy, ix = np.array([0]), np.array([1])
    config = Config.from_dict({"filter": {"price_space": "raw"}, **tables})
    signals = signal_set(
        prices, iy, ix, np.array([beta[:bars]], float), np.array([z], float), np.array([float(half_life)]),
        config.filter.price_space == "log",
    )  # fmt: skip
    quotes = np.isfinite(prices)
    quotes[1, list(unquoted)] = False
    market = Market(
        prices, np.array(gaps[:bars]), np.full(2, borrow), bars if entry_bars is None else entry_bars, closed, quotes
    )
    return trade_pairs(
        signals, market, iy, ix, config=config, pair_capital=capital, rehedge=rehedge, lag=lag,
        moments=None if moments is None else np.array([moments]), refused=refused,
    )  # fmt: skip


def flat(bars, **kwargs):
    """Prices that stand still at 100 and a ratio of 1: only the rules of entry and exit are at work."""
    still = (100.0,) * bars
    return {"y": still, "x": still, "beta": (1.0,) * bars, "gaps": (1.0,) * bars, **kwargs}


def story(book):
    """What happened: (signal, entry, exit, reason) of every trade."""
    return [(int(r["signal_bar"]), int(r["entry_bar"]), int(r["exit_bar"]), REASONS[r["reason"]]) for r in book.trades]


def net(daily):
    return daily[..., [CONVERGENCE, DRIFT]].sum(-1) - daily[..., [TRADE_COST, REHEDGE_COST, BORROW]].sum(-1)


def trade_net(t):
    return t["convergence"] + t["hedge_drift"] - t["trade_cost"] - t["rehedge_cost"] - t["borrow"]


def test_long_spread_filled_at_the_next_close_to_the_cent():
    # Signal Thu, filled Fri: 102 + 2 * 50.5 = 203, so 20,300 buys 100 y and sells 200 x.
    # Entry: 100 * (0.102 + 0.01) + 200 * (0.0505 + 0.01) = 11.20 + 12.10 = 23.30
    # Mon:   100 * 2 - 200 * 0.5 = 100;   borrow 200 * 50.5 * 0.0001 * 3 days = 3.03
    # Tue:   100 * -1 - 200 * 1 = -300;   borrow 200 * 51.0 * 0.0001 * 1 day  = 1.02
    # Exit:  100 * (0.103 + 0.01) + 200 * (0.052 + 0.01) = 11.30 + 12.40 = 23.70
    # Naive: spread 1.0, 7.1, 9.4 with its moving beta: 100 * (6.1 + 2.3) = 840
    book = run([0, -2.5, -1, 0.5, 1, 1], execution=COSTS)
    daily = book.daily[0]
    assert story(book) == [(1, 2, 4, "exit_level")]
    trade = book.trades[0]
    assert (trade["side"], trade["units_y"], trade["units_x"], trade["hedge_ratio"]) == (1, 100.0, -200.0, 2.0)
    assert (trade["entry_y"], trade["entry_x"], trade["exit_y"], trade["exit_x"]) == (102.0, 50.5, 103.0, 52.0)
    assert daily[:, CONVERGENCE] == pytest.approx([0, 0, 0, 100.0, -300.0, 0])
    assert daily[:, TRADE_COST] == pytest.approx([0, 0, 23.30, 0, 23.70, 0])
    assert daily[:, BORROW] == pytest.approx([0, 0, 0, 3.03, 1.02, 0])
    assert daily[:, NAIVE] == pytest.approx([0, 0, 0, 610.0, 230.0, 0])
    assert daily[:, TURNOVER] == pytest.approx([0, 0, 20_300.0, 0, 20_700.0, 0])
    assert daily[:, GROSS_VALUE] == pytest.approx([0, 0, 20_300.0, 20_600.0, 0, 0])
    assert daily[:, NET_VALUE] == pytest.approx([0, 0, 100.0, 200.0, 0, 0])
    assert daily[:, HELD].tolist() == [0, 0, 1, 1, 0, 0]
    assert daily[:, OPENED].tolist() == [0, 0, 1, 0, 0, 0]
    assert not daily[:, DRIFT].any()
    assert not daily[:, REHEDGE_COST].any()
    # -200.00 - 47.00 - 4.05
    assert net(daily).sum() == pytest.approx(-251.05)
    assert trade_net(trade) == pytest.approx(-251.05)
    assert trade["naive_pnl"] == pytest.approx(840.0)
    fills = [(f["bar"], f["leg"], FILL_KINDS[f["kind"]], f["shares"], f["price"]) for f in book.fills]
    assert fills == [
        (2, 0, "entry", 100.0, 102.0), (2, 1, "entry", -200.0, 50.5),
        (4, 0, "exit", -100.0, 103.0), (4, 1, "exit", 200.0, 52.0),
    ]  # fmt: skip


def test_short_spread_filled_at_its_own_close_to_the_cent():
    # Fri: sell 100 y, buy 200 x for 23.30. Mon: -100 * 2 + 200 * 0.5 = -100, borrow of y 100 * 102 * 0.0001 * 3 = 3.06,
    # exit 100 * (0.104 + 0.01) + 200 * (0.051 + 0.01) = 11.40 + 12.20 = 23.60.  Net -149.96.
    book = run([0, 0, 2.5, -0.1, 0, 0], execution={**COSTS, "lag": 0})
    assert story(book) == [(2, 2, 3, "exit_level")]
    assert book.trades[0]["side"] == -1
    assert book.daily[0, :, BORROW] == pytest.approx([0, 0, 0, 3.06, 0, 0])
    assert net(book.daily[0]) == pytest.approx([0, 0, -23.30, -126.66, 0, 0])
    assert trade_net(book.trades[0]) == pytest.approx(-149.96)


def test_rehedging_moves_x_to_the_ratio_of_the_close_before_to_the_cent():
    # Held from Fri with ratio 2. Tue: the ratio of Mon is 1.9, so 10 x are bought back at 52 for
    # 10 * (0.052 + 0.01) = 0.62.
    # Wed: 100 * 2 - 200 * -1 = 400 for the entry's shares, (-190 + 200) * -1 = -10 for the drift;
    #      borrow 190 * 52 * 0.0001 = 0.988; exit 100 * 0.115 + 190 * (0.051 + 0.01) = 11.50 + 11.59 = 23.09.
    book = run([0, -2.5, -1, -1, 0.5, 1], rehedge="daily", execution=COSTS)
    daily = book.daily[0]
    assert story(book) == [(1, 2, 5, "exit_level")]
    assert daily[:, CONVERGENCE] == pytest.approx([0, 0, 0, 100.0, -300.0, 400.0])
    assert daily[:, DRIFT] == pytest.approx([0, 0, 0, 0, 0, -10.0])
    assert daily[:, REHEDGE_COST] == pytest.approx([0, 0, 0, 0, 0.62, 0])
    assert daily[:, TRADE_COST] == pytest.approx([0, 0, 23.30, 0, 0, 23.09])
    assert daily[:, BORROW] == pytest.approx([0, 0, 0, 3.03, 1.02, 0.988])
    assert daily[:, GROSS_VALUE] == pytest.approx([0, 0, 20_300.0, 20_600.0, 10_300.0 + 190 * 52, 0])
    assert net(daily).sum() == pytest.approx(190 - 46.39 - 0.62 - 5.038)
    assert trade_net(book.trades[0]) == pytest.approx(137.952)
    shares = [f["shares"] for f in book.fills if f["leg"] == 1]
    assert shares == pytest.approx([-200.0, 10.0, 190.0])
    assert book.trades[0]["units_x"] == -200.0


@pytest.mark.parametrize(("band", "moves"), [(0.04, 1), (0.06, 0)])
def test_a_band_rehedges_only_what_has_moved_further(band, moves):
    # 2.0 -> 1.9 is 5% of the ratio held
    book = run([0, -2.5, -1, -1, -1, 0.5], rehedge=Band(band=band))
    assert sum(book.fills["kind"] == FILL_KINDS.index("rehedge")) == moves


def test_rehedging_skips_ratios_that_cannot_be_held():
    z = [-2.5, -1, -1, -1, -1, -1, 0.5, 0.5]
    beta = (1.0, 1.0, NAN, -0.5, 1.2, 1.2, 1.2, 1.2)
    refused = run(z, **flat(8, beta=beta), rehedge="daily", hedge={"reject_negative": True})
    allowed = run(z, **flat(8, beta=beta), rehedge="daily", hedge={"reject_negative": False})
    kind = FILL_KINDS.index("rehedge")
    assert [int(f["bar"]) for f in refused.fills if f["kind"] == kind] == [5]
    assert [int(f["bar"]) for f in allowed.fills if f["kind"] == kind] == [4, 5]


def test_the_window_end_closes_and_the_end_of_data_does_not():
    z = [-2.5, -1, -1, -1, -1, -1]
    closed, cut = run(z), run(z, closed=False)
    assert story(closed) == [(0, 1, 5, "window_end")]
    assert story(cut) == [(0, 1, -1, "open")]
    assert (cut.trades[0]["exit_y"], cut.trades[0]["exit_x"]) == (105.0, 51.0)
    # one half of the costs, the same P&L, and the shares still there
    assert cut.daily[0, 5, TRADE_COST] == 0.0
    assert closed.daily[0, 5, TRADE_COST] > 0.0
    assert np.array_equal(cut.daily[0, :, CONVERGENCE], closed.daily[0, :, CONVERGENCE])
    assert (cut.daily[0, 5, HELD], closed.daily[0, 5, HELD]) == (1.0, 0.0)
    assert cut.daily[0, 5, GROSS_VALUE] > 0.0


def test_a_missing_short_leg_is_bought_back_at_its_last_price():
    # x is not quoted on Tue: y -1 on 100 shares, x unchanged at 51; exit 100 * 0.113 + 200 * 0.061 = 11.30 + 12.20
    x = (50.0, 50.0, 50.5, 51.0, NAN, NAN)
    book = run([0, -2.5, -1, -1, -1, -3], x=x, execution={**COSTS, "delisting_loss": 1.0})
    assert story(book) == [(1, 2, 4, "delisted")]
    assert book.trades[0]["exit_x"] == 51.0
    assert book.daily[0, 4, CONVERGENCE] == pytest.approx(-100.0)
    assert book.daily[0, 4, TRADE_COST] == pytest.approx(23.50)
    assert book.daily[0, 4, BORROW] == pytest.approx(1.02)
    assert not book.daily[0, 5].any()


def test_a_missing_long_leg_loses_what_the_stress_option_says():
    # short the spread: long 200 x, last at 51; at a loss of half they are sold at 25.5
    x = (50.0, 50.0, 50.5, 51.0, NAN, NAN)
    book = run([0, 2.5, 1, 1, 1, 3], x=x, execution={**COSTS, "delisting_loss": 0.5})
    assert story(book) == [(1, 2, 4, "delisted")]
    assert book.trades[0]["exit_x"] == 25.5
    # -100 * -1 + 200 * -25.5
    assert book.daily[0, 4, CONVERGENCE] == pytest.approx(-5000.0)
    assert book.daily[0, 4, TRADE_COST] == pytest.approx(100 * 0.113 + 200 * (0.0255 + 0.01))


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_quotes_that_come_back_open_nothing_in_the_same_window(lag):
    # y is not quoted at bar 5; what had been decided before must not be filled after it
    y = (100.0,) * 5 + (NAN,) + (100.0,) * 6
    z = [0, 0, -2.5, -2.5, -2.5, -2.5, -2.5, -2.5, -2.5, -2.5, -2.5, -2.5]
    book = run(z, **flat(12, y=y), execution={"lag": lag})
    assert story(book) == ([(2, 2 + lag, 5, "delisted")] if lag < 3 else [])


def test_reasons_of_leaving():
    lose = (100.0, 100.0, 95.0, 95.0, 95.0, 95.0)
    still = flat(6)
    moved = {**still, "y": lose}
    assert story(run([-2.5, -1, -1, 0, 0, 0], **still)) == [(0, 1, 4, "exit_level")]
    assert story(run([-2.5, -1, -1, -0.4, 0, 0], **still, signal={"exit": 0.5})) == [(0, 1, 4, "exit_level")]
    assert story(run([-2.5, -1, -4, 0, 0, 0], **still, signal={"stop": 4.0})) == [(0, 1, 3, "stop")]
    # half of the capital is in y, which loses 5%
    assert story(run([-2.5, -1, -1, -1, -1, 0], **moved, signal={"stop_loss": 0.02})) == [(0, 1, 3, "stop_loss")]
    assert story(run([-2.5, -1, -1, -1, 0, 0], **moved, signal={"stop_loss": 0.03})) == [(0, 1, 5, "exit_level")]
    # a half-life is 2 bars: decided 2 or 3 bars after the fill at bar 1, filled one bar later
    assert story(run([-2.5, -1, -1, -1, -1, -1], **still, signal={"time_stop": 1.0})) == [(0, 1, 4, "time_stop")]
    assert story(run([-2.5, -1, -1, -1, -1, -1], **still, signal={"time_stop": 1.5})) == [(0, 1, 5, "time_stop")]


def test_costs_and_borrow_count_towards_the_loss_that_stops_a_trade():
    # 200 shares of 100 in all: entry costs 1% of each leg, 200 of 20,000 dollars
    case = {**flat(6), "capital": 20_000.0, "signal": {"stop_loss": 0.01}}
    assert story(run([-2.5, -1, -1, -1, -1, 0], **case, execution={"cost_bps": 101.0})) == [(0, 1, 3, "stop_loss")]
    assert story(run([-2.5, -1, -1, -1, -1, 0], **case, execution={"cost_bps": 50.0})) == [(0, 1, 5, "window_end")]


def test_after_a_stop_z_has_to_come_back_inside_the_band():
    z = [-2.5, -4, -3, -3, -1.9, -2.5, -1, -1, -1, -1]
    stopped = run(z, **flat(10), execution={"lag": 0}, signal={"stop": 3.5})
    assert story(stopped) == [(0, 0, 1, "stop"), (5, 5, 9, "window_end")]
    # after convergence nothing of the kind: one decision a close, then in again
    z = [-2.5, 0.1, -3, -3, -1.9, -2.5, -1, -1, -1, -1]
    assert story(run(z, **flat(10), execution={"lag": 0}))[1] == (2, 2, 9, "window_end")


def test_one_decision_a_close():
    # z jumps from one side to the other: out first, in at the next close
    z = [-2.5, 2.5, 2.5, 2.5, 2.5, 2.5]
    assert story(run(z, **flat(6), execution={"lag": 0})) == [(0, 0, 1, "exit_level"), (2, 2, 5, "window_end")]


def test_entries_stop_with_the_entry_period_and_before_the_last_bar():
    z = [0, 0, 0, -2.5, -2.5, -2.5]
    assert story(run(z, **flat(6), entry_bars=4)) == [(3, 4, 5, "window_end")]
    assert story(run(z, **flat(6), entry_bars=3)) == []
    # the fill would be on the last bar, where everything is closed
    late = [0, 0, 0, 0, -2.5, -2.5]
    assert story(run(late, **flat(6))) == []
    assert story(run(late, **flat(6), closed=False)) == [(4, 5, -1, "open")]


@pytest.mark.parametrize("beta", [(1, -1, 1, 1, 1, 1, 1), (1, NAN, 1, 1, 1, 1, 1)])
def test_an_entry_with_a_ratio_that_cannot_be_held_is_cancelled_and_may_be_signalled_again(beta):
    # bar 0 signals, bar 1 cannot be filled; the next signal is at bar 2
    z = [-2.5, -2.5, -2.5, -1, -1, -1, -1]
    assert story(run(z, **flat(7, beta=beta))) == [(2, 3, 6, "window_end")]


def test_negative_ratios_are_held_when_allowed_and_both_shorts_pay_borrow():
    z = [2.5, 1, 1, 1, 1, 1]
    case = {**flat(6, beta=(-1.0,) * 6), "capital": 20_000.0}
    assert story(run(z, **case)) == []
    book = run(z, **case, hedge={"reject_negative": False})
    assert (book.trades[0]["units_y"], book.trades[0]["units_x"]) == (-100.0, -100.0)
    assert book.daily[0, 2, BORROW] == pytest.approx(2 * 100 * 100 * 1e-4)
    assert book.daily[0, 2, NET_VALUE] == pytest.approx(-20_000.0)


def test_one_leg_with_too_much_of_the_capital_cancels_the_entry():
    z = [-2.5, -2.5, -2.5, -1, -1, -1, -1]
    beta = (1, 4, 1, 1, 1, 1, 1)
    assert story(run(z, **flat(7, beta=beta), hedge={"max_leg_share": 0.79})) == [(2, 3, 6, "window_end")]
    assert story(run(z, **flat(7, beta=beta), hedge={"max_leg_share": 0.81}))[0] == (0, 1, 6, "window_end")


def test_cancelling_an_entry_leaves_a_later_one_alone():
    # lag 3: bar 0 enters, bar 1 leaves, bar 2 enters again; the first fill, at bar 3, finds no ratio, the second does
    beta = (1, 1, 1, NAN, 1, 1, 1, 1)
    z = [-2.5, 0.1, -2.5, -1, -1, -1, -1, -1]
    assert story(run(z, **flat(8, beta=beta), execution={"lag": 3})) == [(2, 5, 7, "window_end")]


def test_the_stops_of_one_trade_do_not_end_the_next_that_waits_for_its_fill():
    # lag 2: the first trade (bars 2 to 4) has lost 2.5% when the second (signal at 3) is pending
    y = (100.0, 100.0, 100.0, 95.0, 95.0, 95.0, 95.0, 95.0, 95.0)
    z = [-2.5, -1, 0.1, -2.5, -1, -1, -1, -1, -1]
    for stops in ({"stop_loss": 0.02}, {"time_stop": 1.0}):
        book = run(z, **flat(9, y=y), execution={"lag": 2, "cost_bps": 0.0}, signal=stops, half_life=3.0)
        assert story(book)[0] == (0, 2, 4, "exit_level")
        assert story(book)[1][:2] == (3, 5)
        assert story(book)[1][2] >= 8


def test_no_z_no_decision():
    z = [-2.5, NAN, NAN, NAN, NAN, 0.1, -1, -1]
    book = run(z, **flat(8), signal={"time_stop": 0.5})
    assert story(book) == [(0, 1, 6, "exit_level")]


def test_dollar_neutral_holds_equal_dollars():
    book = run([-2.5, -1, -1, 0.1, 0, 0], portfolio={"sizing": "dollar_neutral"})
    trade = book.trades[0]
    assert trade["units_y"] * trade["entry_y"] == pytest.approx(20_300.0 / 2)
    assert trade["units_x"] * trade["entry_x"] == pytest.approx(-20_300.0 / 2)
    assert trade["hedge_ratio"] == pytest.approx(100.0 / 50.0)


def test_volatility_sizing_scales_down_and_never_up():
    # variance of dy - 2 dx: 4 - 2*2*0.5 + 4*1 = 6; u = 0.1 * 20,000 / sqrt(252 * 6)
    z = [-2.5, -1, -1, 0.1, 0, 0]
    options = {"portfolio": {"sizing": "volatility", "volatility": 0.1}, "capital": 20_000.0}
    book = run(z, **options, moments=(4.0, 1.0, 0.5))
    assert book.trades[0]["units_y"] == pytest.approx(2000.0 / np.sqrt(1512.0))
    calm = run(z, **options, moments=(1e-6, 1e-6, 0.0))
    assert calm.trades[0]["units_y"] == pytest.approx(20_000.0 / 200.0)


def test_the_inverted_side_loses_what_the_field_earns_but_claims_the_same_naive_pnl():
    z = [0, -2.5, -1, 0.5, 1, 1]
    right = run(z, execution={"cost_bps": 0.0})
    inverted = run(z, execution={"cost_bps": 0.0}, signal={"side": "book"})
    assert inverted.trades[0]["side"] == -right.trades[0]["side"] == -1
    assert inverted.trades[0]["convergence"] == -right.trades[0]["convergence"] == 200.0
    assert inverted.trades[0]["naive_pnl"] == right.trades[0]["naive_pnl"]


def test_spread_pnl_is_the_naive_one_and_leaves_no_drift():
    book = run([0, -2.5, -1, -1, 0.5, 1], rehedge="daily", execution={"pnl": "spread"})
    assert np.array_equal(book.daily[..., CONVERGENCE], book.daily[..., NAIVE])
    assert book.trades[0]["convergence"] == book.trades[0]["naive_pnl"] != 0.0
    assert not book.daily[..., DRIFT].any()


def test_in_logs_the_naive_pnl_is_in_dollars_of_y():
    # elasticity-weighted log spread: its change times the dollars of y at entry
    book = run([0, -2.5, -1, 0.5, 1, 1], filter={"price_space": "log"})
    ly, lx = np.log(Y), np.log(X)
    spread = ly - np.array(BETA) * np.array(X) / np.array(Y) * lx
    assert book.trades[0]["naive_pnl"] == pytest.approx(100.0 * 102.0 * (spread[4] - spread[2]))


def test_dropping_a_pair_takes_away_its_good_trades_too():
    z = [-2.5, 0.1, -2.5, -1, -1, -1]
    kept = run(z, **flat(6), execution={"lag": 0, "unconverged": "close"})
    dropped = run(z, **flat(6), execution={"lag": 0, "unconverged": "drop"})
    assert [s[-1] for s in story(kept)] == ["exit_level", "window_end"]
    assert len(dropped.trades) == len(dropped.fills) == 0
    assert not dropped.daily.any()


def test_a_refused_trade_leaves_no_dollars_and_is_still_counted():
    z = [-2.5, 0.1, -2.5, 0.1, 0, 0]
    case = {**flat(6), "execution": {**COSTS, "lag": 0}}
    both = run(z, **case)
    second = run(z, **case, refused=np.array([1, 0], np.int8))
    assert story(second) == story(both)
    assert not second.daily[0, :2].any()
    assert second.daily[0, 2, OPENED] == 1.0
    assert (
        np.delete(second.daily[0, 2:], OPENED, axis=1).tolist() == np.delete(both.daily[0, 2:], OPENED, axis=1).tolist()
    )


def test_a_pair_is_opened_once_however_often_it_trades():
    book = run([-2.5, 0.1, -2.5, 0.1, 0, 0], **flat(6), execution={"lag": 0})
    assert book.daily[0, :, OPENED].tolist() == [1, 0, 0, 0, 0, 0]


def test_the_lag_argument_takes_the_place_of_the_config():
    z = [-2.5, -1, 0.1, 0, 0, 0]
    assert story(run(z, lag=0)) == [(0, 0, 2, "exit_level")]
    assert story(run(z, lag=2)) == [(0, 2, 4, "exit_level")]


# ------------------------------------------------------------------------------------ bars without a quote


def test_an_entry_due_where_a_leg_has_no_quote_is_cancelled_and_the_pair_may_signal_again() -> None:
    z = [2.5, 2.4, 2.3, 0.5, -0.1, 0, 0, 0]
    assert story(run(z, **flat(8))) == [(0, 1, 5, "exit_level")]
    # Bar 1 has no quote of x: no fill there, no decision either; the signal of bar 2 is filled at bar 3.
    assert story(run(z, **flat(8, unquoted=[1]))) == [(2, 3, 5, "exit_level")]
    # No signal is read off a price that was carried forward.
    assert story(run(z, **flat(8, unquoted=[0, 1, 2]))) == []


def test_an_exit_waits_for_a_quote_but_not_past_the_window() -> None:
    z = [2.5, 1.0, -0.1, 0, 0, 0, 0, 0]
    assert story(run(z, **flat(8))) == [(0, 1, 3, "exit_level")]
    assert story(run(z, **flat(8, unquoted=[3, 4]))) == [(0, 1, 5, "exit_level")]
    assert story(run(z, **flat(8, unquoted=[2, 3, 4, 5, 6, 7]))) == [(0, 1, 7, "window_end")]
    assert story(run(z, **flat(8, unquoted=[3, 4, 5, 6, 7]))) == [(0, 1, 7, "exit_level")]


def test_an_entry_that_comes_due_while_an_exit_waits_is_cancelled() -> None:
    # Lag 2: out at 3 (due 5, no quotes at 5 and 6, filled at 7); the entry decided at 4 is due at 6.
    z = [2.5, 1.0, 1.0, -0.1, -2.5, -2.4, -2.3, -2.2, -2.1, 0.1, 0.1, 0.1]
    assert story(run(z, **flat(12, unquoted=[5, 6]), execution={"lag": 2})) == [
        (0, 2, 7, "exit_level"),
        (7, 9, 11, "exit_level"),
    ]


def test_nothing_is_rehedged_on_a_carried_price() -> None:
    beta = (1.0, 1.0, 1.0, 1.2, 1.2, 1.3, 1.3, 1.3)
    options = flat(8, unquoted=[4]) | {"beta": beta}
    book = run([2.5, 1, 1, 1, 1, 1, 1, 1], rehedge="daily", **options)
    changes = [int(f["bar"]) for f in book.fills if FILL_KINDS[f["kind"]] == "rehedge"]
    assert changes == [5, 6]


def test_dollar_neutral_keeps_the_side_of_a_negative_ratio() -> None:
    options = flat(6) | {"beta": (-0.5,) * 6}
    book = run(
        [2.5, 1, 1, -1, 0, 0], portfolio={"sizing": "dollar_neutral"}, hedge={"reject_negative": False}, **options
    )
    trade = book.trades[0]
    # Short the spread y + 0.5 x: both legs short, the same dollars in each.
    assert trade["units_y"] == pytest.approx(trade["units_x"])
    assert trade["units_y"] < 0
    assert trade["units_x"] == pytest.approx(-trade["units_y"] * trade["hedge_ratio"])


# ------------------------------------------------------------------------------------------- where a rule turns


def test_a_z_score_of_the_entry_itself_opens() -> None:
    for z, opened in ((2.0, True), (np.nextafter(2.0, 0.0), False)):
        for sign in (1, -1):
            book = run([sign * z, sign, sign, sign, sign, sign], **flat(6), signal={"entry": 2.0})
            assert story(book) == ([(0, 1, 5, "window_end")] if opened else [])


def test_a_z_score_of_the_exit_or_the_stop_itself_leaves() -> None:
    leaving = run([-2.5, -1, -0.5, -1, -1, -1], **flat(6), signal={"exit": 0.5})
    assert story(leaving) == [(0, 1, 3, "exit_level")]
    stopped = run([-2.5, -1, -3.5, -1, -1, -1], **flat(6), signal={"stop": 3.5})
    assert story(stopped) == [(0, 1, 3, "stop")]


def test_a_loss_of_the_stop_loss_itself_leaves() -> None:
    # 100 shares of y lose 4 of 100 dollars each: 400 of 20,000
    lose = {**flat(6), "y": (100.0, 100.0, 96.0, 96.0, 96.0, 96.0)}
    case = {"capital": 20_000.0, "execution": {"cost_bps": 0.0}, "borrow": 0.0}
    for loss, reason in ((0.02, "stop_loss"), (0.0200001, "window_end")):
        assert story(run([-2.5, -1, -1, -1, -1, -1], **lose, **case, signal={"stop_loss": loss}))[0][3] == reason


def test_after_a_stop_the_entry_itself_is_not_inside_the_band() -> None:
    options = {"execution": {"lag": 0}, "signal": {"entry": 2.0, "stop": 3.5}}
    at = run([-2.5, -4, -2.0, -2.5, -2.5, -2.5, -1, -1], **flat(8), **options)
    assert story(at) == [(0, 0, 1, "stop")]
    inside = run([-2.5, -4, np.nextafter(-2.0, 0.0), -2.5, -2.5, -2.5, -1, -1], **flat(8), **options)
    assert story(inside) == [(0, 0, 1, "stop"), (3, 3, 7, "window_end")]


def test_a_ratio_of_zero_at_the_fill_is_refused_with_the_negative_ones() -> None:
    z = [-2.5, -1, -1, -1, -1, -1]
    beta = (1.0, 0.0, 1.0, 1.0, 1.0, 1.0)
    assert story(run(z, **flat(6, beta=beta))) == []
    allowed = run(z, **flat(6, beta=beta), hedge={"reject_negative": False})
    assert story(allowed) == [(0, 1, 5, "window_end")]
    assert allowed.trades[0]["units_x"] == 0.0


def test_a_ratio_of_zero_is_neither_signalled_nor_rehedged_to() -> None:
    z = [-2.5, -1, -1, -1, -1, -1]
    assert story(run(z, **flat(6, beta=(0.0, 1, 1, 1, 1, 1)))) == []
    book = run(z, **flat(6, beta=(1, 1, 0.0, 1, 1, 1)), rehedge="daily")
    assert not (book.fills["kind"] == FILL_KINDS.index("rehedge")).any()


def test_at_the_fill_a_leg_may_have_its_largest_share_and_no_more() -> None:
    # 300 of 400 dollars are in x
    z = [-2.5, -1, -1, -1, -1, -1]
    for ratio, opened in ((3.0, True), (3.0 + 1e-9, False)):
        book = run(z, **flat(6, beta=(1.0, ratio, 1, 1, 1, 1)), hedge={"max_leg_share": 0.75})
        assert story(book) == ([(0, 1, 5, "window_end")] if opened else [])


@pytest.mark.parametrize("lag", [0, 1, 2])
def test_shares_follow_the_ratio_of_the_close_before_the_lag(lag: int) -> None:
    # opened at bar `lag`; the ratio of bar 4 is reached at bar 4 + lag, to the share
    beta = (1.0, 1.0, 1.0, 1.0, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5)
    book = run([-2.5] + [-1] * 9, **flat(10, beta=beta), rehedge="daily", lag=lag, capital=20_000.0)
    moves = [(int(f["bar"]), f["shares"]) for f in book.fills if FILL_KINDS[f["kind"]] == "rehedge"]
    assert moves == [(4 + lag, -50.0)]


def test_a_move_of_the_band_itself_is_not_rehedged() -> None:
    # 2.0 -> 2.5 is a quarter of the ratio held
    for ratio, moves in ((2.5, 0), (np.nextafter(2.5, 3.0), 1)):
        beta = (2.0, 2.0, 2.0, ratio, ratio, ratio)
        book = run([-2.5, -1, -1, -1, -1, -1], **flat(6, beta=beta), rehedge=Band(band=0.25))
        assert sum(book.fills["kind"] == FILL_KINDS.index("rehedge")) == moves


def test_a_signal_whose_fill_would_be_the_closing_one_is_not_taken() -> None:
    # the last signal that may be filled is two bars before the end at lag 1, one at lag 0
    for lag, last in ((0, 4), (1, 3), (2, 2)):
        for at in range(6):
            z = [0.0] * at + [-2.5] + [-1.0] * (5 - at)
            assert (story(run(z, **flat(6), lag=lag)) != []) == (at <= last)


@pytest.mark.parametrize("lag", [0, 1])
def test_the_documented_cost_of_closes_follows_the_ledgers_decisions(lag):
    """What docs/thresholds.md says that closes and a lag cost is simulated by the rule that the ledger trades."""
    rng = np.random.default_rng(8)
    x = np.empty(400)
    x[0] = 0.0
    for t in range(1, x.size):
        x[t] = 0.6 * x[t - 1] + rng.normal()
    entry, sides = 1.0, [np.zeros(1)]
    for value in x:
        sides.append(decide(sides[-1], np.array([value]), -entry, entry))
    wanted = np.array(sides[1:]).ravel()
    held = np.zeros(x.size)
    held[lag:] = wanted[: x.size - lag]
    book = run(x, signal={"entry": entry, "exit": -entry, "stop": None}, execution={"lag": lag}, **flat(x.size))
    found = np.zeros(x.size)
    for trade in book.trades:
        found[trade["entry_bar"] : trade["exit_bar"]] = trade["side"]
    # the last bars: nothing is opened that could not be filled, and what is open is closed
    np.testing.assert_array_equal(found[:-3], held[:-3])
    assert (np.diff(held) != 0).sum() > 50
