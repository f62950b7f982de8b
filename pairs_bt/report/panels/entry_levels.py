"""Panel on the levels that pairs chose for themselves, by window and by pair."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pairs_bt.common.formatting import number, percent
from pairs_bt.config.schema import has_optimal_entry
from pairs_bt.report.blocks import Block, Cell, Drawer, Panel, Row, Table, Text
from pairs_bt.runs.run_data import RunData

#: Pairs that the page lists; all are in half_lives.parquet.
MOST = 200

_INTRO = (
    "Every pair's spread was fitted on its train window as a process that reverts to its mean, and entered and left "
    "where that process would earn most for its time, after costs. Levels are in standard deviations of z; an exit "
    "below 0 lies beyond the mean. The expected return is the model's own: it knows no lag, no close, no error of the "
    "fit, and no pair that stops reverting."
)
_COLUMNS = ("pairs", "entry", "exit", "bars a trade", "expected return a year", "half-life of the fit")


def thresholds_panels(run: RunData, draw: Drawer) -> list[Panel]:
    """The panel, in a list; none under a fixed entry."""
    if not has_optimal_entry(run.config.signal):
        return []
    table = run.half_lives[np.isfinite(run.half_lives["entry_z"])]
    if table.empty:
        return [Panel("thresholds", "Levels", _INTRO, [Text("No candidate has a level that pays.")])]
    return [Panel("thresholds", "Levels", _INTRO, [_by_window(run, table), _by_pair(run, table)])]


def _by_window(run: RunData, table: pd.DataFrame) -> Block:
    rows = []
    for name, label in run.labels.items():
        own = table[table["variant"] == name]
        if own.empty:
            continue
        rows.append(Row(label, kind="group"))
        rows += [
            Row(f"{end:%Y-%m-%d}", [number(len(part), 0), *_cells(part[list(_SHOWN)].median(), run.bars_per_year)])
            for end, part in own.groupby("test_end")
        ]
    return Table(["Train window to", *_COLUMNS], rows, "Median levels by window")


def _by_pair(run: RunData, table: pd.DataFrame) -> Block:
    rows = []
    first = table.sort_values("test_end", ascending=False, kind="stable").head(MOST)
    for row in first.to_dict("records"):
        name = f"{row['y']} / {row['x']}"
        label = run.labels[str(row["variant"])]
        rows.append(
            Row(
                name,
                [
                    Cell(f"{row['test_end']:%Y-%m-%d}", "text"),
                    Cell(label, "text"),
                    *_cells(pd.Series(row), run.bars_per_year),
                ],
            )
        )
    note = "" if len(table) <= MOST else f"The latest {MOST} of {len(table):,}; half_lives.parquet has all of them."
    return Table(["Pair", "train window to", "variant", *_COLUMNS[1:]], rows, "Levels by pair and window", note)


_SHOWN = ("entry_z", "exit_z", "trade_length", "expected_return", "reversion")


def _cells(row: pd.Series, bars_per_year: float) -> list[str]:
    return [
        number(float(row["entry_z"])),
        number(float(row["exit_z"])),
        number(float(row["trade_length"]), 0),
        percent(float(row["expected_return"])),
        number(float(np.log(2.0) / row["reversion"] * bars_per_year), 0),
    ]
