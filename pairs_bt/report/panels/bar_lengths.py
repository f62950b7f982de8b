"""What the report says of bars that are no days: how many a year has, and how long a half-life is in time."""

from __future__ import annotations

import math

import pandas as pd

from pairs_bt.common.formatting import number
from pairs_bt.common.periods import TRADING_DAYS
from pairs_bt.report.blocks import Block, Cell, Row, Table, styles
from pairs_bt.runs.run_data import RunData
from pairs_bt.runs.summary import days_between
from pairs_bt.stats.bar_frequency import bars_in_time, kind_of_bars, unit_of


def bars_fact(run: RunData) -> list[tuple[str, str]]:
    """The line of the report's head on its bars; none where they are the 252 days of a daily calendar."""
    dates = pd.DatetimeIndex(run.net.index)
    if run.bars_per_year == TRADING_DAYS or len(dates) < 2:
        return []
    return [("bars", f"{kind_of_bars(dates)}, {run.bars_per_year:,g} a year")]


def year_of(run: RunData) -> str:
    """What annual figures count: ``252 days``, ``19,656 bars``."""
    return f"{run.bars_per_year:,g} {unit_of(run.net.index)}"


def lengths(run: RunData) -> list[Block]:
    """A table of what counts bars, in bars and in time; none where bars are days."""
    dates = pd.DatetimeIndex(run.net.index)
    if run.half_lives.empty or unit_of(dates) == "days":
        return []

    def row(head: str, values: list[float]) -> Row:
        texts = [f"{number(v, 1)} ({bars_in_time(v, dates)})" if math.isfinite(v) else number(v) for v in values]
        return Row(head, [Cell(text) for text in texts])

    lives = [_middle(run, name, "half_life") for name in run.labels]
    rows = [row("Half-life, median", lives)]
    rows.append(row("Window of the z-score, median", [_middle(run, name, "window") for name in run.labels]))
    if run.config.signal.time_stop is not None:
        rows.append(row("Time stop, at the median half-life", [run.config.signal.time_stop * v for v in lives]))
    rows.append(Row("Time held, mean, of the clock", [Cell(_held(run, name)) for name in run.labels]))
    note = "Half-lives, windows and time stops count bars. Hours are of bars: what lies between two sessions has none."
    return [
        Table(["Bars", *run.labels.values()], rows, "How long it takes, in bars and in time", note, marks=styles(run))
    ]


def _middle(run: RunData, variant: str, column: str) -> float:
    own = run.half_lives[run.half_lives["variant"] == variant]
    values = own.loc[own["reason"].astype(str) == "", column].astype(float)
    values = values[values < math.inf]
    return float(values.median()) if len(values) else math.nan


def _held(run: RunData, variant: str) -> str:
    own = run.trades[(run.trades["variant"] == variant) & run.trades["exit_date"].notna()]
    days = float(days_between(own["entry_date"], own["exit_date"]).mean()) if len(own) else math.nan
    return f"{24 * days:.1f} h" if days < 2.0 else f"{days:.1f} d" if math.isfinite(days) else number(days)
