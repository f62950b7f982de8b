"""How much of the P&L hangs on few trades, one pair, one cohort: near the headline and in tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from pairs_bt.backtest.study import cohort_slots
from pairs_bt.common.formatting import NOTHING, day, dollars, money, number, percent
from pairs_bt.report.blocks import Block, Bullets, Cell, Row, Table, Text, styles

if TYPE_CHECKING:
    from pairs_bt.runs.run_data import RunData

# A trade that is more than this part of the net P&L, in size, decides it.
DECISIVE = 0.5
MAX_NAMED = 6


def _table(run: RunData) -> pd.DataFrame | None:
    table = run.comparison.concentration
    return None if table is None or not table["trades"].sum() else table


def headline_rows(run: RunData) -> list[Row]:
    """Rows of the headline: dollars in all, the largest single win and loss, and all without the larger of them."""
    table = _table(run)
    if table is None:
        return []
    return [
        Row("Net P&L of the trades ($)", [money(v) for v in table["total_pnl"]]),
        Row("  largest single win", [money(v) for v in table["win_pnl"]]),
        Row("  largest single loss", [money(v) for v in table["loss_pnl"]]),
        Row("  without the most extreme trade", [money(v) for v in table["without_extreme"]]),
    ]


def single_trades(run: RunData) -> list[Block]:
    """Say which variants are decided by one trade, and that a lone candidate gets a whole slot; [] if neither is so."""
    blocks: list[Block] = []
    decided = decisive(run)
    if decided:
        every = "every variant" if len(decided) == len(run.labels) else f"{len(decided)} of {len(run.labels)} variants"
        blocks.append(
            Text(
                f"In {every} one trade alone made more than half of the net P&L, gain or loss: read the totals with it "
                "and without it."
            )
        )
        more = [f"And {len(decided) - MAX_NAMED} more; see Cohort by cohort."] if len(decided) > MAX_NAMED else []
        blocks.append(Bullets([*decided[:MAX_NAMED], *more]))
    alone = run.windows["selected"].eq(1)
    if alone.any():
        when = f"{int(alone.sum())} of {len(alone)} windows" if len(alone) > 1 else "the only window"
        slots = cohort_slots(run.config.windows)
        least = run.config.portfolio.min_pairs
        part = f"1/{slots * least} of the capital" if slots * least > 1 else "all capital"
        start = dollars(run.config.portfolio.capital / slots / least)
        divided = f"at least {least} pairs, and the rest is idle" if least > 1 else "its pairs"
        blocks.append(
            Text(
                f"In {when} a single pair was selected. A cohort's slot is divided by {divided}: a lone candidate gets "
                f"{part}, {start} at the start."
            )
        )
    return blocks


def decisive(run: RunData) -> list[str]:
    """One sentence a variant of which one trade is more than half of the net P&L, in size."""
    table = _table(run)
    if table is None:
        return []
    alone = set(run.windows.index[run.windows["selected"].eq(1)])
    out = []
    for name, row in table.iterrows():
        total, extreme = float(row["total_pnl"]), float(row["extreme_pnl"])
        if abs(extreme) <= DECISIVE * abs(total) or extreme == 0.0:
            continue
        which = "win" if extreme > 0.0 else "loss"
        did = "won" if extreme > 0.0 else "lost"
        lone = ", alone in its cohort," if row[f"{which}_cohort"] in alone else ""
        out.append(
            f"{run.labels.get(str(name), str(name))}, {dollars(total)} in all: {row[f'{which}_pair']}{lone} entered "
            f"{day(row[f'{which}_date'])}, {did} {dollars(abs(extreme))} "
            f"({percent(abs(extreme) / run.config.portfolio.capital, 1)} of the capital). Without it: "
            f"{dollars(row['without_extreme'])}."
        )
    return out


def concentration_tables(run: RunData) -> list[Block]:
    """Concentration of the gain or loss of each variant, and its largest single trades."""
    table = _table(run)
    if table is None:
        return [Text("No trade: nothing to be concentrated.")]
    return [_shares(run, table), _singles(run, table)]


def _shares(run: RunData, table: pd.DataFrame) -> Table:
    rows = []
    for name, row in table.iterrows():
        end = "worst" if row["total_pnl"] < 0.0 else "best"
        cells: list[Cell | str] = [
            number(row["total_pnl"], 0), Cell(end if row["trades"] else NOTHING, "text"),
            percent(row[f"{end}_trades_share"], 0),
            Cell(_text(row[f"{end}_pair"]), "text"), percent(row[f"{end}_pair_share"], 0),
            Cell(day(row[f"{end}_cohort"]), "text"), percent(row[f"{end}_cohort_share"], 0),
        ]  # fmt: skip
        rows.append(Row(run.labels.get(str(name), str(name)), cells))
    return Table(
        ["", "net P&L ($)", "from the", "1% of trades", "pair", "its share", "cohort", "its share"],
        rows,
        "How much came from how little",
        "Shares of a variant's net P&L: of a gain the best trades, pair and cohort, of a loss the worst ones. Above "
        "100%, all the rest together went the other way.",
        marks=styles(run),
    )


def _singles(run: RunData, table: pd.DataFrame) -> Table:
    capital = run.config.portfolio.capital
    rows = []
    for name, row in table.iterrows():
        cells: list[Cell | str] = []
        for which in ("win", "loss"):
            pnl = float(row[f"{which}_pnl"])
            cells += [
                Cell(_text(row[f"{which}_pair"]), "text"), Cell(day(row[f"{which}_date"]), "text"),
                money(pnl), percent(pnl / capital, 1),
            ]  # fmt: skip
        rows.append(Row(run.labels.get(str(name), str(name)), [*cells, money(row["without_extreme"])]))
    side = ("entered", "$", "of capital")
    return Table(
        ["", "largest win", *side, "largest loss", *side, "net P&L without the more extreme ($)"],
        rows,
        "Largest single trades",
        marks=styles(run),
    )


def _text(value: Any) -> str:
    return NOTHING if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)
