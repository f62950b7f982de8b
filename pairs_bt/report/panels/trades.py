"""Panels on the money: decomposition, costs, exits, distributions, and the pages of single pairs."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from pairs_bt.common.formatting import NOTHING, day, money, number, percent
from pairs_bt.config.hedge_rule_names import MOVING_RULES
from pairs_bt.errors import DataError
from pairs_bt.report.blocks import Beside, Block, Cell, Drawer, Panel, Row, Table, Text, side_by_side, styles
from pairs_bt.report.panels.scan import REASONS
from pairs_bt.report.plots import all_pairs as pairs_plots
from pairs_bt.report.plots import one_pair as pair_plots
from pairs_bt.report.plots import pnl as money_plots
from pairs_bt.runs.exit_causes import CAUSES, endings, known_sum
from pairs_bt.runs.run_data import RunData
from pairs_bt.runs.summary import COST_CURVE_BPS

MAX_WINDOWS = 8


_CLAIMED = (
    "This run counts the change of the spread as profit. With a ratio that moves, that includes x times the change of "
    "the ratio, which no share receives: nothing here was earned."
)


def money_panel(run: RunData, draw: Drawer) -> Panel:
    """Decomposition and phantom P&L."""
    table = money_plots.decomposition(run)
    claimed = run.config.execution.pnl == "spread"
    heads = {
        "convergence": money_plots.CLAIM.capitalize() if claimed else "Convergence of the held spread",
        "hedge_drift": "Hedge drift (re-hedging)",
        "trade_cost": "Costs of entry and exit",
        "rehedge_cost": "Costs of re-hedging",
        "borrow": "Borrow",
        "interest": "Interest on idle cash",
    }
    rows = [Row(head, [money(v) for v in table[name]]) for name, head in heads.items() if table[name].abs().max() > 0]
    rows.append(Row("Net P&L ($)", [money(v) for v in table["net"]], kind="total"))
    if claimed:
        return Panel("money", "Where the P&L came from", _CLAIMED, _claimed(run, draw, rows))
    rows.append(Row("Beside it: what no one was paid", kind="group"))
    struck = ["phantom" if abs(v) >= 0.5 else "muted" for v in table["phantom"]]
    for head, column in (("Claimed by differencing the spread", "naive"), ("Phantom: claimed minus earned", "phantom")):
        rows.append(Row(head, [Cell(money(v), kind) for v, kind in zip(table[column], struck, strict=True)]))
    blocks: list[Block] = [
        Beside([draw(money_plots.plot_decomposition), draw(money_plots.plot_phantom)]),
        Table(["Dollars over the run", *(run.labels[n] for n in table.index)], rows, marks=styles(run)),
        Text(
            "The spread s = y \N{MINUS SIGN} \N{GREEK SMALL LETTER BETA}x changes by "
            "\N{GREEK CAPITAL LETTER DELTA}s = \N{GREEK CAPITAL LETTER DELTA}y \N{MINUS SIGN} "
            "\N{GREEK SMALL LETTER BETA}\N{GREEK CAPITAL LETTER DELTA}x \N{MINUS SIGN} "
            "x\N{GREEK CAPITAL LETTER DELTA}\N{GREEK SMALL LETTER BETA}. Shares earn the first two terms. The last one "
            "is the filter revising its own estimate: it moves the spread back to its mean, it looks like profit, and "
            "no position receives it. The hatched bars are that claim, not money."
        ),
    ]
    return Panel(
        "money",
        "Where the money came from",
        "Every dollar of every trade, split so that the parts add up to net P&L.",
        blocks,
    )


def _claimed(run: RunData, draw: Drawer, rows: Sequence[Row]) -> list[Block]:
    return [draw(money_plots.plot_decomposition), Table(["Dollars", *run.labels.values()], rows, marks=styles(run))]


def costs_panel(run: RunData, draw: Drawer) -> Panel:
    """Cost curve and break-even."""
    table = run.summary
    rows = [Row(f"{bps} bp", [percent(v) for v in table[f"cost_{bps}bp_annual_return"]]) for bps in COST_CURVE_BPS]
    rows.append(Row("Breaks even at (bp)", [number(v, 1) for v in table["break_even_cost_bps"]], kind="total"))
    return Panel(
        "costs",
        "What costs do",
        f"Net return a year{money_plots.over_cash(run)} if a trade cost this many basis points of traded value, per "
        "leg and side; borrow as configured, trades unchanged. It breaks even where this return is zero; a negative "
        "break-even loses before costs.",
        side_by_side(run, draw(money_plots.plot_costs), Table(["Cost", *table["label"]], rows, marks=styles(run))),
    )


_REASONS = {
    "exit_level": "exit level",
    "stop": "stop on z",
    "stop_loss": "stop on loss",
    "time_stop": "time stop",
    "delisted": "a leg's prices ended",
    "window_end": "closed at the window's end",
    "open": "still open when the data end",
}
_CAUSES = {"spread": "the spread came back", "mean": "the mean caught up", "ratio": "the ratio moved"}


def trades_panel(run: RunData, draw: Drawer) -> Panel:
    """Exits by reason, distributions, hedge-ratio paths, scatter."""
    first = next(iter(run.labels.values()))
    across = (
        f"Net P&L in dollars of every pair and window. Across: {first}; up: the variant named above. Points beyond "
        "the scale lie on its edge; points on an axis were traded by one of the two only. Of a large run an even "
        f"sample of at most {pairs_plots.SCATTER_POINTS:,} is drawn."
    )
    paths = "By bar of the trade window. Shades and bars: the middle half and 5 to 95% of the pairs."
    blocks: list[Block] = [
        Beside([_endings(run), draw(pairs_plots.plot_scatter, caption=across)]),
        _gaps(run),
        Beside([draw(pairs_plots.plot_times), draw(pairs_plots.plot_hedge_paths, caption=paths)]),
    ]
    intro = "Every trade ends for a reason and is counted."
    if any(variant.rule in MOVING_RULES for variant in run.variants):
        intro += (
            " The half-life of a filtered spread says more about the filter than about the pair: on independent "
            "random walks the moving ratio gives a short one too."
        )
    return Panel("trades", "Trades and hedge ratios", intro, blocks)


def _endings(run: RunData) -> Block:
    table = endings(run.trades, run.config)
    if table.empty:
        return Text("No trade was made.")
    rows = []
    left_open = False
    for variant, label in run.labels.items():
        own = table[table["variant"] == variant]
        rows.append(Row(label, kind="group"))
        if own.empty:
            rows.append(Row("no trade"))
        closed = int(own.loc[own["exit_reason"] != "open", "trades"].sum())
        left_open |= closed < int(own["trades"].sum())
        order = {name: place for place, name in enumerate((*_REASONS, *CAUSES))}
        rows.extend(
            Row(
                _ending(row),
                [number(row["trades"], 0), _share(row, closed),
                 number(row["mean_net_bp"], 1), money(row["net_pnl"])],
            )
            for row in own.sort_values(["exit_reason", "cause"], key=lambda s: s.map(order)).to_dict("records")
        )  # fmt: skip
    note = "Shares are of closed trades; those still open when the data end have none." if left_open else ""
    return Table(["Exit", "trades", "share", "mean net (bp)", "net P&L ($)"], rows, "How trades ended", note)


def _ending(row: Mapping[Hashable, Any]) -> str:
    reason = _REASONS.get(row["exit_reason"], row["exit_reason"])
    if row["cause"]:
        return f"{reason}: {_CAUSES[row['cause']]}"
    open_again = row["exit_reason"] == "exit_level" and not math.isnan(row["mean_pnl"])
    return f"{reason}: the gap was open again at the fill" if open_again else reason


def _gaps(run: RunData) -> Block:
    """What closed the gaps of the trades that ended at the exit level, in dollars."""
    table = endings(run.trades, run.config)
    own = table[table["exit_reason"] == "exit_level"].groupby("variant", sort=False)
    sums = own[["spread_pnl", "mean_pnl", "ratio_pnl"]].agg(known_sum)
    sums = sums.reindex(list(run.labels))
    if not sums["mean_pnl"].notna().any():
        return Text("No trade that ended at the exit level has a mean in the units of its spread.")
    heads = {
        "spread_pnl": "The spread of the shares held came back: gross P&L",
        "mean_pnl": "The mean moved to the spread: paid to nobody",
        "ratio_pnl": "The ratio moved the spread: phantom P&L, paid to nobody",
    }
    rows = [Row(head, [money(v) for v in sums[name]]) for name, head in heads.items()]
    rows.append(Row("The gap closed by", [money(v) for v in sums.sum(axis=1, skipna=False)], kind="total"))
    return Table(
        ["Dollars, trades that ended at the exit level", *run.labels.values()],
        rows,
        "What closed the gap",
        "A trade is opened on the gap between the spread and its mean, and ends when z has crossed the exit level: by "
        "a spread that comes back, a mean that catches up with it, or a ratio that is estimated anew. The three "
        "parts add up, fill to fill; only the first is money. Each trade is listed above under its largest part.",
        marks=styles(run),
    )


def _share(row: Mapping[Hashable, Any], closed: int) -> Cell:
    if row["exit_reason"] == "open":
        return Cell(NOTHING)
    share = row["trades"] / closed
    return Cell(percent(share, 0), share=share)


def pair_panels(run: RunData, draw: Drawer, asked: Sequence[tuple[str, str]]) -> Panel:
    """Pages of the best, median and worst pair, and of every pair asked for."""
    blocks: list[Block] = []
    pnl, every = ranking(run)
    if pnl.empty:
        blocks.append(Text("No pair was traded, so there is no best, median or worst one."))
    else:
        places = {"Best": len(pnl) - 1, "Median": len(pnl) // 2, "Worst": 0}
        seen = set()
        for word, place in places.items():
            if place not in seen:
                seen.add(place)
                y, x, end = pnl.index[place][1], pnl.index[place][2], pnl.index[place][0]
                blocks += _page(run, draw, f"{word}: {y} / {x}", y, x, end)
    for y, x in asked:
        blocks += asked_pages(run, draw, y, x)
    return Panel(
        "pairs",
        "Single pairs",
        f"Ranked by the mean of the variants' net P&L, among the {len(pnl)} pairs and windows that "
        f"{'every variant' if every else 'some variant'} traded. The shaded stretch is the train window.",
        blocks,
    )


def ranking(run: RunData) -> tuple[pd.Series, bool]:
    """Net P&L of the traded pairs and windows, mean of the variants, worst first.

    Of those that every variant traded, if there are at least three (then True), else of all.
    """
    table = pairs_plots.pair_pnl(run)
    if table.empty:
        return pd.Series(dtype=float), False
    complete = table.dropna()
    every = len(complete) >= 3
    mean = (complete if every else table.fillna(0.0)).mean(axis=1)
    return mean.sort_index().sort_values(kind="stable"), every


def _page(run: RunData, draw: Drawer, title: str, y: str, x: str, end: pd.Timestamp) -> list[Block]:
    view = pair_plots.pair_view(run, str(y), str(x), end)
    blocks: list[Block] = [Text(f"{title}, traded after {day(end)}", "heading")]
    if view.missing:
        blocks.append(Text(f"Prices are not shown: {view.missing}"))
    if view.spreads.empty:
        blocks.append(Text("This run kept no spread of this pair."))
    lag = run.config.execution.lag
    closes = "one close" if lag == 1 else f"{lag} closes"
    fills = f"Triangles and crosses stand at the fill, {closes} after the signal; rings, at the signals to enter."
    fills = fills if lag else "Filled at the signal's own close: rings and triangles coincide."
    signals = draw(pair_plots.plot_pair_signals, view, caption=fills)
    blocks.append(Beside([draw(pair_plots.plot_pair_levels, view), signals]))
    blocks.append(_pair_trades(run, view))
    return blocks


def _pair_trades(run: RunData, view: pair_plots.PairView) -> Block:
    if view.trades.empty:
        return Text("No variant opened a trade.")
    rows = [
        Row(
            run.labels[row["variant"]],
            [
                Cell("long" if row["side"] > 0 else "short", "text"), Cell(day(row["entry_date"]), "text"),
                Cell(day(row["exit_date"]), "text"), Cell(_REASONS.get(row["exit_reason"], row["exit_reason"]), "text"),
                number(row["hedge_ratio"], 3), money(row["gross_pnl"]), money(row["cost"] + row["borrow"]),
                money(row["net_pnl"]),
                Cell(money(row["phantom_pnl"]), "phantom" if abs(row["phantom_pnl"]) >= 0.5 else "muted"),
            ],
        )
        for row in view.trades.to_dict("records")
    ]  # fmt: skip
    head = ["spread", "entry", "exit", "reason", "ratio at entry", "gross ($)", "costs ($)", "net ($)", "phantom ($)"]
    return Table(["", *head], rows, marks=styles(run))


def asked_pages(run: RunData, draw: Drawer, y: str, x: str) -> list[Block]:
    """Pages of one pair in the last windows that selected it, or why none did."""
    try:
        y, x, _ = pair_plots.window_of(run, y, x)
    except DataError as error:
        return [Text(f"{y} / {x}", "heading"), Text(str(error)), *_why_not(run, y, x)]
    chosen = run.tests[run.tests["selected"]]
    either = ((chosen["y"] == y) & (chosen["x"] == x)) | ((chosen["y"] == x) & (chosen["x"] == y))
    found = chosen[either].sort_values("test_end")
    blocks: list[Block] = []
    for row in found.tail(MAX_WINDOWS).to_dict("records"):
        blocks += _page(run, draw, f"Asked for: {row['y']} / {row['x']}", row["y"], row["x"], row["test_end"])
    if len(found) > MAX_WINDOWS:
        blocks.append(Text(f"The last {MAX_WINDOWS} of {len(found)} windows in which it was selected."))
    return blocks


def _why_not(run: RunData, y: str, x: str) -> list[Block]:
    tests = run.tests
    either = ((tests["s1"] == y) & (tests["s2"] == x)) | ((tests["s1"] == x) & (tests["s2"] == y))
    own = tests[either]
    if own.empty:
        return [Text("It is not among the pairs of the universe.")]
    counts = own["reason"].value_counts()
    rows = [Row(REASONS.get(str(reason), str(reason)), [number(count, 0)]) for reason, count in counts.items()]
    return [Table(["Reason", "windows"], rows, "Why it was not selected", narrow=True)]
