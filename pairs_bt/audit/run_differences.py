"""Two runs held against each other, stage by stage, up to a date: nothing before it may differ in a single bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pairs_bt.backtest.entry_levels import COLUMNS as LEVELS
from pairs_bt.backtest.study import Study
from pairs_bt.models.scan.pair_distance import MEASURES
from pairs_bt.models.scan.partial_cointegration import COLUMNS as PARTIAL
from pairs_bt.results import Run

# In the order in which they are made, which is the order in which they are compared: the first that differs is
# where the leak is, those after it differ because of it.
STAGES = (
    "windows", "gap filling", "universe", "price space", "price filter", "scan", "candidates", "hedge ratio",
    "spread", "thresholds", "half-life", "z-score", "trades", "positions", "returns",
)  # fmt: skip

_PAIR = ["test_end", "y", "x", "variant"]
_SCAN = ["s1", "s2", "eg_stat_12", "eg_pvalue_12", "eg_stat_21", "eg_pvalue_21", "var_order", "trace0", "trace1"]
# Of the scans that were asked for more.
_MORE = (*PARTIAL, *MEASURES)
_CHOICE = ["y", "x", "selected", "reason"]
_ENTRY = [
    *_PAIR, "side", "signal_date", "entry_date", "hedge_ratio", "units_y", "units_x", "entry_y", "entry_x", "capital",
    "spread_entry", "mean_entry",
]  # fmt: skip


@dataclass(frozen=True)
class StudyRun:
    """What is compared: a study (for the stages before the tables) and its run."""

    study: Study
    run: Run


@dataclass(frozen=True)
class Break:
    """The first difference found.

    Attributes
    ----------
    stage : str
        One of `STAGES`, or a check of `pairs_bt.audit.fill_check`.
    where : str
        Table and column, and the row.
    before, after : str
        The value with the whole future, and with another one (or none).
    """

    stage: str
    where: str
    before: str
    after: str


@dataclass(frozen=True)
class Comparison:
    """How much was compared up to one date, and the first difference."""

    tables: int
    rows: int
    first_break: Break | None


@dataclass(frozen=True)
class _Part:
    """One table's rows that are known at the date, from both runs."""

    stage: str
    table: str
    full: pd.DataFrame
    other: pd.DataFrame
    keys: Sequence[str]


def _part(stage: str, table: str, frames: Sequence[pd.DataFrame], keys: Sequence[str]) -> _Part:
    full, other = frames
    return _Part(stage, table, full, other, keys)


def compare(full: StudyRun, other: StudyRun, bar: int) -> Comparison:
    """Compare everything that two runs say about the time up to bar `bar`.

    `other` was made from prices that are the same up to that bar. Compared are: which windows have begun; filled
    prices; who takes part; prices in the config's space and filtered; the scan and the candidates of windows that have
    begun; hedge ratio, spread, z-score and position of every date up to the bar; thresholds and half-lives; trades
    and fills (a trade that is still open is compared in what was known when it was opened); daily returns.
    """
    tables, rows = 0, 0
    for part in _parts(full, other, bar):
        tables += 1
        rows += len(part.full)
        found = _difference(part)
        if found is not None:
            return Comparison(tables, rows, found)
    return Comparison(tables, rows, None)


def _parts(full: StudyRun, other: StudyRun, bar: int) -> Iterator[_Part]:
    date = full.study.dates[bar]
    begun = [k for k, window in enumerate(full.study.windows) if window.split <= bar]
    yield _windows(full, other, begun, bar)
    yield _matrix("gap filling", "prices", full, other, slice(0, bar + 1), "filled")
    yield from _contexts(full, other, begun, bar)
    ends = [pd.Timestamp(full.study.windows[k].test_end) for k in begun]
    tests = [_rows(made.run.tests, made.run.tests["test_end"].isin(ends)) for made in (full, other)]
    scans = [t[["test_end", *_SCAN, *(name for name in _MORE if name in t)]] for t in tests]
    yield _part("scan", "tests", scans, ["test_end"])
    keys = ["test_end", "s1", "s2"]
    yield _part("candidates", "tests", [t[[*keys, *_CHOICE]] for t in tests], keys)
    spreads = [_known_spreads(made.run, date) for made in (full, other)]
    shared = _shared(*spreads)
    yield _column("hedge ratio", shared, "hedge_ratio")
    yield _column("spread", shared, "spread")
    lives = [_rows(made.run.half_lives, made.run.half_lives["test_end"].isin(ends)) for made in (full, other)]
    yield _part("thresholds", "half_lives", [t[[*_PAIR, *LEVELS]] for t in lives], _PAIR)
    yield _part("half-life", "half_lives", [t.drop(columns=list(LEVELS)) for t in lives], _PAIR)
    yield _column("z-score", shared, "z_score")
    yield from _ledger(full.run, other.run, date)
    yield _part("positions", "spreads", [s[[*_PAIR, "date", "position"]] for s in spreads], [*_PAIR, "date"])
    returns = [_rows(made.run.returns, made.run.returns["date"] <= date) for made in (full, other)]
    yield _part("returns", "returns", returns, ["date", "variant"])


def _rows(table: pd.DataFrame, mask: pd.Series) -> pd.DataFrame:
    return pd.DataFrame(table[mask]).reset_index(drop=True)


def _windows(full: StudyRun, other: StudyRun, begun: list[int], bar: int) -> _Part:
    def frame(study: Study, numbers: Sequence[int]) -> pd.DataFrame:
        windows = [study.windows[k] for k in numbers]
        return pd.DataFrame(
            {
                "test_end": [window.label for window in windows],
                "first": [window.first for window in windows],
                "split": [window.split for window in windows],
                "over": [window.closed and window.stop <= bar + 1 for window in windows],
            }
        )

    known = [k for k, window in enumerate(other.study.windows) if window.split <= bar]
    return _part("windows", "windows", [frame(full.study, begun), frame(other.study, known)], ["test_end"])


def _matrix(stage: str, table: str, full: StudyRun, other: StudyRun, bars: slice, name: str) -> _Part:
    frames = [
        pd.DataFrame(getattr(made.study, name)[:, bars].T, index=made.study.dates[bars], columns=made.study.tickers)
        .rename_axis("date")
        .reset_index()
        for made in (full, other)
    ]
    return _part(stage, table, frames, ["date"])


def _contexts(full: StudyRun, other: StudyRun, begun: list[int], bar: int) -> Iterator[_Part]:
    """Standing and levels of every window that has begun; one stage over all windows before the next."""
    numbers = begun[: len(other.study.windows)]
    for stage in ("universe", "price space", "price filter"):
        for k in numbers:
            window = full.study.windows[k]
            bars = min(window.stop, bar + 1) - window.first
            dates = full.study.dates[window.first : window.first + bars]
            frames = []
            for made in (full, other):
                context = made.study.context(k)
                if stage == "universe":
                    frames.append(pd.DataFrame({"ticker": made.study.tickers, "standing": context.codes}))
                    continue
                levels = context.levels
                values = levels.space if stage == "price space" else levels.filtered
                frames.append(_level_frame(values[:, :bars], dates, made.study.tickers))
            key = "ticker" if stage == "universe" else "date"
            yield _part(stage, f"{stage} of window {window.label}", frames, [key])


def _level_frame(values: np.ndarray, dates: pd.DatetimeIndex, tickers: list[str]) -> pd.DataFrame:
    return pd.DataFrame(values.T, index=dates[: values.shape[1]], columns=tickers).rename_axis("date").reset_index()


def _known_spreads(run: Run, date: pd.Timestamp) -> pd.DataFrame:
    spreads = run.spreads
    return _rows(spreads, spreads["date"] <= date)


def _shared(full: pd.DataFrame, other: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of pairs that both runs list: whether they list the same pairs is another stage's question."""
    keys = [*_PAIR, "date"]
    if len(full) == len(other) and all(_same(full[key], other[key]).all() for key in keys):
        return full, other
    text = [frame.astype(dict.fromkeys(("y", "x", "variant"), "str")) for frame in (full, other)]
    both = text[0][keys].merge(text[1][keys], on=keys)
    return both.merge(text[0], on=keys), both.merge(text[1], on=keys)


def _column(stage: str, shared: tuple[pd.DataFrame, pd.DataFrame], name: str) -> _Part:
    keys = [*_PAIR, "date"]
    return _part(stage, "spreads", [frame[[*keys, name]] for frame in shared], keys)


def _ledger(full: Run, other: Run, date: pd.Timestamp) -> Iterator[_Part]:
    opened = [_rows(run.trades, run.trades["entry_date"] <= date) for run in (full, other)]
    yield _part("trades", "trades (entries)", [trades[_ENTRY] for trades in opened], [*_PAIR, "entry_date"])
    closed = [_rows(trades, trades["exit_date"] <= date) for trades in opened]
    yield _part("trades", "trades", closed, [*_PAIR, "entry_date"])
    fills = [_rows(run.fills, run.fills["date"] <= date) for run in (full, other)]
    yield _part("trades", "fills", fills, [*_PAIR, "date", "ticker"])


def _difference(part: _Part) -> Break | None:
    full, other = part.full, part.other
    if list(full.columns) != list(other.columns):
        return Break(part.stage, f"{part.table}: columns", _text(list(full.columns)), _text(list(other.columns)))
    size = min(len(full), len(other))
    worst: tuple[int, str] | None = None
    for name in full.columns:
        same = _same(full[name].iloc[:size], other[name].iloc[:size])
        if not same.all():
            row = int(np.argmin(same))
            if worst is None or row < worst[0]:
                worst = (row, name)
    if worst is not None:
        row, name = worst
        key = ", ".join(_text(full[k].iloc[row]) for k in part.keys)
        return Break(
            part.stage, f"{part.table}.{name} at {key}", _text(full[name].iloc[row]), _text(other[name].iloc[row])
        )
    if len(full) != len(other):
        return Break(part.stage, f"{part.table}: rows", f"{len(full):,} rows", f"{len(other):,} rows")
    return None


def _same(a: pd.Series, b: pd.Series) -> np.ndarray:
    """Where two columns hold the same bits; NaN equals NaN and NaT equals NaT."""
    if pd.api.types.is_float_dtype(a.dtype) and pd.api.types.is_float_dtype(b.dtype):
        u, v = (np.ascontiguousarray(c.to_numpy(dtype=np.float64)) for c in (a, b))
        return np.asarray((u.view(np.int64) == v.view(np.int64)) | (np.isnan(u) & np.isnan(v)))
    if isinstance(a.dtype, pd.CategoricalDtype) and isinstance(b.dtype, pd.CategoricalDtype) and a.dtype == b.dtype:
        return np.asarray(a.cat.codes.to_numpy() == b.cat.codes.to_numpy())
    if a.dtype == b.dtype and a.equals(b):
        return np.ones(len(a), dtype=bool)
    u, v = a.to_numpy(dtype=object), b.to_numpy(dtype=object)
    missing = pd.isna(u) & pd.isna(v)
    return np.asarray((u == v) | missing)


def _text(value: object) -> str:
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    return repr(float(value)) if isinstance(value, (float, np.floating)) else str(value)
