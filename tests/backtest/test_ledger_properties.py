"""The ledger against its twin, and what has to hold whatever the prices, ratios, signals and options."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairs_bt.backtest.ledger import BLOCK, trade_pairs
from pairs_bt.kernels import ledger as kernel
from pairs_bt.kernels.ledger import (
    BORROW,
    CONVERGENCE,
    DRIFT,
    FILL_KINDS,
    GROSS_VALUE,
    HELD,
    N_DAILY,
    NAIVE,
    NET_VALUE,
    OPENED,
    REASONS,
    REHEDGE_COST,
    TRADE_COST,
    TURNOVER,
)
from tests.twins import ledger as twin
from tests.twins.ledger_cases import random_case

SEEDS = st.integers(0, 2**32 - 1)
PROPERTY = settings(max_examples=200, deadline=None, derandomize=True)
SHARES = {"execution": {"pnl": "shares"}}
COSTLESS = {"cost_bps": 0.0, "spread": 0.0}
TWIN_COLUMNS = (
    CONVERGENCE, DRIFT, TRADE_COST, REHEDGE_COST, BORROW, TURNOVER, NAIVE, GROSS_VALUE, NET_VALUE, HELD, OPENED,
)  # fmt: skip
PARTS = ("convergence", "hedge_drift", "trade_cost", "rehedge_cost", "borrow", "naive_pnl", "turnover")


def net(daily):
    return daily[..., CONVERGENCE] + daily[..., DRIFT] - daily[..., [TRADE_COST, REHEDGE_COST, BORROW]].sum(-1)


def compare(case, reasons, **changes):
    """Kernel and twin on one case, everything to 1e-12 relative; returns the kernel's book."""
    book = case.run(trade_pairs, **changes)
    trades, fills, daily = case.run(twin.trade_pairs, **changes)
    reasons.update(t["reason"] for t in trades)
    assert [REASONS[r] for r in book.trades["reason"]] == [t["reason"] for t in trades]
    tiny = 1e-12 * case.capital
    for name in kernel.TRADE.names:
        if name != "reason":
            want = np.array([t[name] for t in trades], dtype=float)
            got = book.trades[name].astype(float)
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=tiny if name in PARTS else 0.0, err_msg=name)
    kept = book.fills[book.fills["shares"] != 0.0]
    heads = [(f["trade"], f["row"], f["bar"], f["leg"], FILL_KINDS[f["kind"]]) for f in kept]
    assert heads == [f[:5] for f in fills]
    # a change of shares is the difference of two positions
    held = max((abs(f[5]) for f in fills), default=0.0)
    np.testing.assert_allclose(kept["shares"], [f[5] for f in fills], rtol=1e-12, atol=1e-14 * held)
    np.testing.assert_allclose(kept["price"], [f[6] for f in fills], rtol=1e-12)
    np.testing.assert_allclose(book.daily[..., TWIN_COLUMNS], daily, rtol=1e-12, atol=tiny)
    return book


@pytest.mark.parametrize("block", range(4))
def test_the_kernel_equals_the_twin(block):
    reasons, kinds, sides, signs = Counter(), Counter(), Counter(), Counter()
    for seed in range(300 * block, 300 * block + 300):
        case = random_case(seed)
        book = compare(case, reasons)
        kinds.update(FILL_KINDS[k] for k in book.fills["kind"])
        sides.update(book.trades["side"].tolist())
        signs.update(np.sign(book.trades["hedge_ratio"]).tolist())
    # the comparison means nothing where nothing happened
    assert min(reasons[name] for name in REASONS) >= 5, reasons
    assert min(kinds[name] for name in FILL_KINDS) >= 100, kinds
    assert min(sides[1], sides[-1]) >= 100
    assert signs[-1.0] >= 50


def test_the_kernel_equals_the_twin_when_trades_are_refused():
    refused_any = 0
    for seed in range(300):
        case = random_case(seed, execution={"unconverged": ("close", "drop")[seed % 2]})
        flags = np.random.default_rng(seed).integers(0, 2, len(case.run(trade_pairs).trades)).astype(np.int8)
        refused_any += int(flags.sum())
        compare(case, Counter(), refused=flags)
    assert refused_any > 300


def test_random_cases_reach_every_option():
    seen = Counter()
    for seed in range(300):
        case = random_case(seed)
        tables = case.config.to_dict()
        seen.update(f"{t}.{k}={tables[t][k]}" for t, k in (
            ("execution", "lag"), ("execution", "pnl"), ("execution", "unconverged"), ("portfolio", "sizing"),
            ("signal", "side"), ("filter", "price_space"), ("hedge", "reject_negative"), ("hedge", "max_leg_share"),
        ))  # fmt: skip
        seen.update([f"rehedge={type(case.rehedge).__name__}:{case.rehedge}", f"closed={case.market.closed}"])
        seen["NaN prices"] += int(np.isnan(case.market.prices).any())
    assert len(seen) == 4 + 2 + 2 + 3 + 2 + 3 + 2 + 2 + 3 + 2 + 1
    assert min(seen.values()) >= 20, seen


def equity_from_fills(case, book, row):
    """Cash and positions of one pair, from its fills and the prices alone."""
    execution, market = case.config.execution, case.market
    prices = market.prices[[case.iy[row], case.ix[row]]]
    rates = market.borrow_rate[[case.iy[row], case.ix[row]]]
    cash, held, last, equity = 0.0, np.zeros(2), np.zeros(2), []
    for t in range(prices.shape[1]):
        cash -= (np.maximum(-held, 0.0) * last * rates).sum() * market.day_gap[t]
        for fill in book.fills[(book.fills["row"] == row) & (book.fills["bar"] == t)]:
            leg, shares, price = fill["leg"], fill["shares"], fill["price"]
            cash -= shares * price + abs(shares) * (execution.cost_bps / 1e4 * price + execution.spread / 2)
            held[leg] += shares
            if abs(held[leg]) < 1e-9 * abs(shares):
                held[leg] = 0.0
        last = np.where(held != 0.0, prices[:, t], 0.0)
        equity.append(cash + (held * last).sum())
    return np.array(equity)


@PROPERTY
@given(SEEDS)
def test_cash_and_positions_are_the_equity_every_day(seed):
    case = random_case(seed, **SHARES)
    book = case.run(trade_pairs)
    for row in range(len(case.iy)):
        booked = np.cumsum(net(book.daily[row]))
        assert np.abs(equity_from_fills(case, book, row) - booked).max() <= 1e-9 * case.capital


@PROPERTY
@given(SEEDS)
def test_the_parts_sum_to_the_whole(seed):
    case = random_case(seed)
    book = case.run(trade_pairs)
    columns = (CONVERGENCE, DRIFT, TRADE_COST, REHEDGE_COST, BORROW, NAIVE, TURNOVER)
    for row in range(len(case.iy)):
        trades = book.trades[book.trades["row"] == row]
        for name, column in zip(PARTS, columns, strict=True):
            assert abs(trades[name].sum() - book.daily[row, :, column].sum()) <= 1e-9 * case.capital
    if case.config.execution.pnl == "shares":
        # gross = what the fills and the last prices say: money out of the door, and what is still in the house
        for number, trade in enumerate(book.trades):
            fills = book.fills[book.fills["trade"] == number]
            gross = -(fills["shares"] * fills["price"]).sum()
            for leg, price in enumerate((trade["exit_y"], trade["exit_x"])):
                gross += fills["shares"][fills["leg"] == leg].sum() * price
            assert abs(trade["convergence"] + trade["hedge_drift"] - gross) <= 1e-9 * case.capital


@PROPERTY
@given(SEEDS)
def test_costs_and_turnover_are_those_of_the_fills(seed):
    case = random_case(seed)
    book, execution = case.run(trade_pairs), case.config.execution
    shares, price = np.abs(book.fills["shares"]), book.fills["price"]
    cost = shares * (execution.cost_bps / 1e4 * price + execution.spread / 2)
    moved = book.fills["kind"] == FILL_KINDS.index("rehedge")
    assert book.daily[..., TURNOVER].sum() == pytest.approx((shares * price).sum(), rel=1e-12)
    assert book.daily[..., REHEDGE_COST].sum() == pytest.approx(cost[moved].sum(), rel=1e-12, abs=1e-9)
    assert book.daily[..., TRADE_COST].sum() == pytest.approx(cost[~moved].sum(), rel=1e-12, abs=1e-9)


@PROPERTY
@given(SEEDS)
def test_what_is_bought_is_sold(seed):
    case = random_case(seed)
    book = case.run(trade_pairs)
    for number, trade in enumerate(book.trades):
        fills = book.fills[book.fills["trade"] == number]
        for leg in (0, 1):
            shares = fills["shares"][fills["leg"] == leg]
            if trade["exit_bar"] >= 0:
                assert abs(shares.sum()) <= 1e-12 * np.abs(shares).sum()
        assert trade["units_x"] == -trade["units_y"] * trade["hedge_ratio"]


@PROPERTY
@given(SEEDS)
def test_a_ratio_of_zero_without_costs_is_holding_y(seed):
    case = random_case(
        seed, execution={**COSTLESS, "lag": 0, "pnl": "shares", "delisting_loss": 0.0},
        hedge={"reject_negative": False, "max_leg_share": 1.0}, portfolio={"sizing": "hedge_ratio"},
    )  # fmt: skip
    case.lag = None
    case.signals = replace(case.signals, share_ratio=np.zeros_like(case.signals.share_ratio))
    case.market = replace(case.market, borrow_rate=np.zeros_like(case.market.borrow_rate))
    book = case.run(trade_pairs)
    for trade in book.trades:
        y = case.market.prices[case.iy[trade["row"]]]
        last = trade["exit_bar"] if trade["exit_bar"] >= 0 else y.size - 1
        path = y[trade["entry_bar"] : last + 1]
        path = np.where(np.isnan(path), path[np.isfinite(path)][-1], path)
        held = trade["side"] * case.capital * np.diff(path / path[0])
        got = net(book.daily[trade["row"], trade["entry_bar"] + 1 : last + 1])
        np.testing.assert_allclose(got, held, rtol=1e-9, atol=1e-12 * case.capital)


@PROPERTY
@given(SEEDS)
def test_doubling_the_capital_doubles_every_dollar(seed):
    case = random_case(seed)
    one, two = case.run(trade_pairs), case.run(trade_pairs, pair_capital=2.0 * case.capital)
    dollars = [c for c in range(N_DAILY) if c not in (HELD, OPENED)]
    assert np.array_equal(two.daily[..., dollars], 2.0 * one.daily[..., dollars])
    assert np.array_equal(two.daily[..., [HELD, OPENED]], one.daily[..., [HELD, OPENED]])
    assert np.array_equal(two.fills["shares"], 2.0 * one.fills["shares"])
    assert np.array_equal(two.trades["exit_bar"], one.trades["exit_bar"])


@PROPERTY
@given(SEEDS)
def test_the_opposite_signals_earn_the_opposite(seed):
    # a loss of the long leg, one that stops a trade, or an exit of short trades is not the same on both sides
    case = random_case(seed, execution={"delisting_loss": 0.0}, signal={"stop_loss": None, "exit_short": None})
    opposite = replace(case, signals=replace(case.signals, z=-case.signals.z))
    one, other = case.run(trade_pairs), opposite.run(trade_pairs)
    assert np.array_equal(one.trades["exit_bar"], other.trades["exit_bar"])
    assert np.array_equal(one.daily[..., [CONVERGENCE, DRIFT, NAIVE]], -other.daily[..., [CONVERGENCE, DRIFT, NAIVE]])
    assert np.array_equal(one.daily[..., [TRADE_COST, TURNOVER, HELD]], other.daily[..., [TRADE_COST, TURNOVER, HELD]])


def cut_case(case, bars):
    signals, market = case.signals, case.market
    first = {k: getattr(signals, k)[:, :bars].copy() for k in ("hedge_ratio", "share_ratio", "spread", "z")}
    return replace(
        case,
        signals=replace(signals, **first),
        market=replace(market, prices=market.prices[:, :bars].copy(), day_gap=market.day_gap[:bars], closed=False),
    )


@PROPERTY
@given(SEEDS, st.floats(0, 1))
def test_the_future_changes_nothing_before_it(seed, where):
    case = random_case(seed, execution={"unconverged": "close"})
    bars = case.signals.z.shape[1]
    kept = 1 + int(where * (bars - 2))
    whole, part = case.run(trade_pairs), cut_case(case, kept).run(trade_pairs)
    assert np.array_equal(whole.daily[:, :kept], part.daily)
    assert np.array_equal(whole.fills[whole.fills["bar"] < kept][["row", "bar", "leg", "kind", "shares", "price"]],
                          part.fills[["row", "bar", "leg", "kind", "shares", "price"]])  # fmt: skip
    begun = whole.trades[whole.trades["entry_bar"] < kept]
    ended = (begun["exit_bar"] >= 0) & (begun["exit_bar"] < kept)
    assert np.array_equal(begun[ended], part.trades[part.trades["exit_bar"] >= 0])
    known = ["row", "side", "signal_bar", "entry_bar", "hedge_ratio", "units_y", "units_x", "entry_y", "entry_x"]
    assert np.array_equal(begun[known], part.trades[known])


@PROPERTY
@given(SEEDS)
def test_a_pair_does_not_know_its_neighbours(seed):
    case = random_case(seed)
    book = case.run(trade_pairs)
    for row in range(len(case.iy)):
        pick = slice(row, row + 1)
        alone = replace(
            case, iy=case.iy[pick], ix=case.ix[pick], moments=case.moments[pick],
            signals=replace(case.signals, **{k: v[pick] for k, v in vars(case.signals).items() if v is not None}),
        ).run(trade_pairs)  # fmt: skip
        assert np.array_equal(alone.daily[0], book.daily[row])
        assert np.array_equal(alone.trades["exit_bar"], book.trades["exit_bar"][book.trades["row"] == row])


def test_block_sums_are_the_sum_over_pairs():
    case = random_case(3)
    book = case.run(trade_pairs)
    many = replace(book, daily=np.concatenate([book.daily] * (2 * BLOCK // len(book.daily) + 1)))
    blocks = many.block_sums()
    assert len(blocks) == -(-len(many.daily) // BLOCK)
    np.testing.assert_allclose(blocks.sum(axis=0), many.daily.sum(axis=0), rtol=1e-12, atol=1e-9)
    # whatever comes in one block's place changes no other block
    assert np.array_equal(replace(many, daily=many.daily[BLOCK:]).block_sums(), blocks[1:])
