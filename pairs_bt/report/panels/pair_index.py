"""The index of all pairs: every pair that was selected, window by window, with its spread and trades in small."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from jinja2.filters import do_urlencode

from pairs_bt.common.formatting import day, money
from pairs_bt.errors import DataError
from pairs_bt.report.blocks import Block, Drawer, IndexItem, PairIndex, Panel, Text
from pairs_bt.report.plots.sparkline import sparkline
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

    def keep(part: pd.DataFrame) -> pd.DataFrame:
        rows = _rows_of(part, wanted)
        good = rows >= 0
        found = {"row": rows[good], "date": part["date"].to_numpy()[good], "spread": part["spread"].to_numpy()[good]}
        return pd.DataFrame(found)

    try:
        spreads = run.select_spreads(keep, columns=[*_KEY, "variant", "date", "spread"])
    except DataError:
        return None
    marks = _marks(run, wanted)
    row, date, spread = (spreads[name].to_numpy() for name in ("row", "date", "spread"))
    order = np.argsort(row, kind="stable")
    numbers, starts = np.unique(row[order], return_index=True)
    out = {}
    for number, places in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
        dates = date[places]
        last = dates.size - 1
        bars = [
            (min(int(np.searchsorted(dates, opened)), last),
             last if np.isnat(closed) else min(int(np.searchsorted(dates, closed)), last), pnl)
            for opened, closed, pnl in marks.get(number, ())
        ]  # fmt: skip
        out[number] = sparkline(spread[places].astype(np.float64), bars)
    return out


def _keys(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    names = (table[name].astype(str) for name in ("y", "x", "variant"))
    return list(zip(table["test_end"].to_numpy().astype("datetime64[D]").tolist(), *names, strict=True))


def _rows_of(part: pd.DataFrame, wanted: dict[tuple[Any, ...], int]) -> npt.NDArray[np.int64]:
    """Row of the index that each row of the spreads belongs to; -1 for none.

    Rows of one pair and variant follow each other, so that a key is looked up once a stretch.
    """
    if part.empty:
        return np.empty(0, dtype=np.int64)
    codes = np.stack([pd.factorize(part[name])[0] for name in (*_KEY, "variant")])
    starts = np.concatenate([[0], np.flatnonzero((np.diff(codes, axis=1) != 0).any(axis=0)) + 1])
    found = [wanted.get(key, -1) for key in _keys(part.iloc[starts])]
    return np.repeat(np.array(found, dtype=np.int64), np.diff(starts, append=len(part)))


def _marks(run: RunData, wanted: dict[tuple[Any, ...], int]) -> dict[int, list[tuple[Any, Any, float]]]:
    """Entry, exit (NaT where open) and net P&L of the trades of each row."""
    trades = run.trades
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
