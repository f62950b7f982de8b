"""The index of all pairs: every pair that was selected, window by window, with its spread and trades in small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from jinja2.filters import do_urlencode

from pairs_bt.common.formatting import day, money
from pairs_bt.errors import DataError
from pairs_bt.report.blocks import Block, Drawer, IndexItem, PairIndex, Panel, Text
from pairs_bt.report.plots.sparkline import sparkline
from pairs_bt.report.plots.stretches import Stretches, each_window
from pairs_bt.runs.run_data import RunData

# More would make the page of a large run too big to open: the rest is counted.
MAX_PAIRS = 1200
_KEY = ["test_end", "y", "x"]


def index_panel(run: RunData, draw: Drawer, explorer: str = "") -> Panel:
    """List every pair that was selected; `explorer` is the address of the run's explorer, '' where there is none."""
    table = shown_variants(run)
    intro = (
        "Every pair that was selected, under the test end of its window: the spread in the trade window with the "
        "trades of the first variant that traded it, and their net P&L in dollars. A bar above the spread is a trade "
        "that gained, one below it a trade that lost."
    )
    if explorer:
        intro += " A pair's name opens it in the explorer."
    if table.empty:
        return Panel("index", "All pairs", "", [Text("No pair was selected.")])
    blocks: list[Block] = []
    if len(table) > MAX_PAIRS:
        blocks.append(
            Text(
                f"Of {len(table):,} pairs, counted by window, the {MAX_PAIRS:,} whose trades made or lost most are "
                "shown; run.trades has all."
            )
        )
        table = (
            table.sort_values("size", ascending=False, kind="stable")
            .head(MAX_PAIRS)
            .sort_index()
            .reset_index(drop=True)
        )
    pictures = _pictures(run, table)
    if pictures is None:
        blocks.append(Text("This run kept no spreads, so no spread is drawn."))
    rows = table.to_dict("records")
    groups = [
        (day(end), tuple(_item(run, rows[k], (pictures or {}).get(k), explorer) for k in own))
        for end, own in pd.Series(range(len(rows))).groupby(table["test_end"].to_numpy()).groups.items()
    ]
    return Panel("index", "All pairs", intro, [*blocks, PairIndex(groups)])


def shown_variants(run: RunData) -> pd.DataFrame:
    """The variant that stands for each selected pair: the first that traded it, else the first that could.

    Returns
    -------
    DataFrame
        test_end, y, x; variant ('' where none could trade it); pnl, its net P&L (NaN without a trade); size, the
        largest P&L of any variant; why, the reason of the first variant where none could.
    """
    tests = run.tests_of(*_KEY, "selected")
    pairs = tests.loc[tests["selected"], _KEY].astype({"y": str, "x": str}).sort_values(_KEY, ignore_index=True)
    order = {name: place for place, name in enumerate(run.labels)}
    lives = _plain(run.half_lives[[*_KEY, "variant", "reason"]])
    traded = _plain(run.trades[[*_KEY, "variant", "net_pnl"]])
    sums = traded.groupby([*_KEY, "variant"])["net_pnl"].sum().reset_index()

    def first(table: pd.DataFrame) -> pd.DataFrame:
        ranked = table.assign(place=table["variant"].map(order)).sort_values("place", kind="stable")
        return ranked.drop_duplicates(_KEY).drop(columns="place")

    out = pairs.merge(first(sums).rename(columns={"net_pnl": "pnl"}), on=_KEY, how="left")
    could = first(lives[lives["reason"] == ""])[[*_KEY, "variant"]].rename(columns={"variant": "could"})
    why = first(lives)[[*_KEY, "reason"]].rename(columns={"reason": "why"})
    size = sums.assign(size=sums["net_pnl"].abs()).groupby(_KEY)["size"].max().reset_index()
    for other in (could, why, size):
        out = out.merge(other, on=_KEY, how="left")
    out["variant"] = out["variant"].fillna(out["could"]).fillna("")
    return out.drop(columns="could").fillna({"size": 0.0, "why": ""})


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    return table.astype({"y": str, "x": str, "variant": str})


def _pictures(run: RunData, table: pd.DataFrame) -> dict[int, Any] | None:
    """Pictures by the row of the table; None where the run kept no spreads."""
    wanted = {key: row for row, key in enumerate(_keys(table)) if key[-1]}

    drawn: dict[int, tuple[npt.NDArray[np.datetime64], npt.NDArray[np.float64]]] = {}

    def see(found: Stretches) -> None:
        date, spread = found.values["date"], found.values["spread"]
        for key, first, stop in zip(found.names_of_each(), found.starts[:-1], found.starts[1:], strict=True):
            row = wanted.get(key)
            if row is not None:
                drawn[row] = (date[first:stop].copy(), spread[first:stop].astype(np.float64))

    try:
        each_window(run, ["date", "spread"], see)
    except DataError:
        return None
    marks = _marks(run, wanted)
    return {row: sparkline(spread, _bars(dates, marks.get(row, ()))) for row, (dates, spread) in drawn.items()}


def _bars(dates: npt.NDArray[np.datetime64], marks: Sequence[tuple[Any, Any, float]]) -> list[tuple[int, int, float]]:
    """Trades by their bars; the last one where they end later or not at all."""
    last = dates.size - 1

    def bar(date: Any) -> int:
        return last if np.isnat(date) else min(int(np.searchsorted(dates, date)), last)

    return [(bar(opened), bar(closed), pnl) for opened, closed, pnl in marks]


def _keys(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    names = (table[name].astype(str) for name in ("y", "x", "variant"))
    return list(zip(table["test_end"].to_numpy().astype("datetime64[D]").tolist(), *names, strict=True))


def _marks(run: RunData, wanted: dict[tuple[Any, ...], int]) -> dict[int, list[tuple[Any, Any, float]]]:
    """Entry, exit (NaT where open) and net P&L of the trades of each row."""
    trades = run.trades
    # A large run has many more trades than the page has pairs: those of other pairs are left before they are read.
    pairs = pd.MultiIndex.from_tuples({(y, x) for _, y, x, _ in wanted}, names=["y", "x"])
    trades = trades[pd.MultiIndex.from_frame(trades[["y", "x"]].astype(str)).isin(pairs)]
    out: dict[int, list[tuple[Any, Any, float]]] = {}
    dates = (trades[name].to_numpy() for name in ("entry_date", "exit_date"))
    for key, opened, closed, pnl in zip(_keys(trades), *dates, trades["net_pnl"].tolist(), strict=True):
        if key in wanted:
            out.setdefault(wanted[key], []).append((opened, closed, pnl))
    return out


def _item(run: RunData, row: dict[Any, Any], picture: Any, explorer: str) -> IndexItem:
    name = f"{row['y']}/{row['x']}"
    link = ""
    if explorer:
        state = {"pair": name, "window": day(row["test_end"])} | ({"variant": row["variant"]} if row["variant"] else {})
        link = f"{explorer}#{do_urlencode(state)}"
    untraded = f"not traded: {row['why']}" if not row["variant"] else "no trade"
    text = untraded if pd.isna(row["pnl"]) else money(row["pnl"])
    return IndexItem(name, text, run.labels.get(row["variant"], ""), picture, link)
