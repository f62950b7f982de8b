"""The one door: prices from any source are read and checked here once, and nothing inside checks again.

What is refused, repaired, flagged or kept, and by which rule, is the table in ``docs/data.md``. Nothing is
removed or repaired in the past because of what comes later: a table cut at any date gives the same prices up
to that date as the whole one (or is refused). Only flags may differ.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.common.paths import expanded
from pairs_bt.data.formats.layouts import settle
from pairs_bt.data.formats.memory_tables import from_frame, from_stream
from pairs_bt.data.formats.number_parsing import Note, counted, shown
from pairs_bt.data.formats.price_folders import read_folder
from pairs_bt.data.formats.wide_table import WideTable, between, refuse_bad_values, to_wide
from pairs_bt.data.quality_flags import carried_forward, suspect_prices
from pairs_bt.data.sources import Columns, read_columns
from pairs_bt.data.trading_calendar import keep_sessions
from pairs_bt.errors import DataError

__all__ = ["Note", "PriceData", "check_prices", "fill_gaps", "fingerprint_frame", "read_prices"]

Day = str | dt.date | pd.Timestamp | np.datetime64
MAX_BYTES, MAX_CELLS = 2 * 2**30, 200_000_000


@dataclass(frozen=True)
class PriceData:
    """Checked prices, what was noticed on the way, and where they come from.

    Attributes
    ----------
    prices : DataFrame, shape (days, tickers)
        float64; sorted unique ``DatetimeIndex`` without a zone, named ``date``; columns are str, named
        ``ticker``. NaN means no price on that day.
    notes : tuple of Note
        What was repaired or flagged.
    source : dict
        For the manifest: ``name``, ``sha256``, ``rows``, ``tickers``, ``first_date``, ``last_date`` of the
        whole source, before ``start`` and ``end`` cut it.
    """

    prices: pd.DataFrame
    notes: tuple[Note, ...]
    source: dict[str, Any]


def read_prices(
    source: Any,
    *,
    field: str | None = None,
    start: Day | None = None,
    end: Day | None = None,
    today: Day | None = None,
    calendar: str = "",
    max_bytes: int = MAX_BYTES,
    max_cells: int = MAX_CELLS,
) -> PriceData:
    """Read prices from a file, a folder or a table in memory, and check them.

    Parameters
    ----------
    source : path, DataFrame, Series, any table with ``__arrow_c_stream__``, or PriceData
        A CSV, Parquet, Feather or Excel file (the content decides), packed as gzip or zip or not; a folder with one
        file for each ticker, or of Parquet pieces; a frame of pandas, a table of polars or pyarrow, a relation of
        DuckDB. Wide (dates x tickers), long (date, ticker, close), or with several fields for each ticker, as yfinance
        gives them. ``~`` and ``$HOME`` in a path are replaced. Prices that were checked before pass as they are.
    field : str, optional
        Which field to take where there are several: ``"close"``, ``"open"``, ... None takes adjusted closes, else
        closes, and a note says so.
    start, end : date or str, optional
        First and last day to keep, both included. Prices outside are neither checked nor used.
    today : date or str, optional
        When given, days after it are flagged. Never taken from the clock, so that the same call always gives
        the same notes.
    calendar : str
        Name of an exchange in the package ``exchange_calendars``, such as ``"XNYS"``: rows of other days are dropped.
    max_bytes, max_cells : int
        Limits on the size of the source, packed or unpacked, and of the table.

    Returns
    -------
    PriceData
        ``.prices`` is the frame, ``.notes`` what was done.

    Raises
    ------
    DataError
        When the source is not a table of prices that can be used; the message says where and how to mend it.

    See Also
    --------
    run : takes the same sources as ``prices=``.

    Examples
    --------
    >>> import pandas as pd
    >>> closes = pd.DataFrame({"KO": [50.0, 51.0], "PEP": [90.0, 91.0]}, index=["2020-01-02", "2020-01-03"])
    >>> read_prices(closes).prices.shape
    (2, 2)
    """
    if isinstance(source, PriceData):
        if field or calendar or start is not None or end is not None:
            again = read_prices(source.prices, field=field, start=start, end=end, today=today, calendar=calendar)
            return replace(again, notes=tuple(dict.fromkeys([*source.notes, *again.notes])))
        return source
    if isinstance(source, (str, os.PathLike)):
        path = Path(expanded(source))
        if path.is_dir():
            columns = read_folder(path, field=field, max_bytes=max_bytes, max_cells=max_cells)
            try:
                return _check(settle(columns, None), start, end, today, calendar, max_cells)  # taken file by file
            except DataError as error:
                dates = _day(start, "start"), _day(end, "end")
                raise DataError(f"{_file_of(columns, error, dates, max_cells)}{error}") from None
        else:
            columns = read_columns(path, max_bytes=max_bytes, max_cells=max_cells)
    else:
        columns = _in_memory(source, "memory", max_cells)
    return _check(settle(columns, field), start, end, today, calendar, max_cells)


def check_prices(
    frame: Any,
    *,
    start: Day | None = None,
    end: Day | None = None,
    today: Day | None = None,
    source: str = "memory",
    max_cells: int = MAX_CELLS,
) -> PriceData:
    """Check a table in memory by the same rules as a file, under a name for the manifest.

    Parameters
    ----------
    frame : DataFrame, Series or any table with ``__arrow_c_stream__``
        As for :func:`read_prices`.
    start, end, today
        As for :func:`read_prices`.
    source : str
        Name for the manifest.
    max_cells : int
        Limit on days x tickers.

    Raises
    ------
    DataError
        As :func:`read_prices`.
    """
    return _check(settle(_in_memory(frame, source, max_cells), None), start, end, today, "", max_cells)


def fill_gaps(prices: pd.DataFrame, limit: int) -> pd.DataFrame:
    """Carry the last price forward over at most `limit` bars without one.

    Parameters
    ----------
    prices : DataFrame
        As in `PriceData`. Not changed.
    limit : int
        0 fills nothing. Of a longer gap the first `limit` bars are filled. Bars before a ticker's first price
        stay NaN: nothing is ever filled backward.

    Raises
    ------
    ValueError
        When `limit` is not a whole number of at least 0.
    """
    if isinstance(limit, bool) or not isinstance(limit, (int, np.integer)) or limit < 0:
        raise ValueError(f"limit is {limit!r}; it must be a whole number of bars, at least 0")
    return prices.ffill(limit=int(limit)) if limit else prices.copy()


def fingerprint_frame(prices: pd.DataFrame) -> str:
    """SHA-256 of dates, tickers and values, the same for equal frames whatever their memory layout.

    Parameters
    ----------
    prices : DataFrame
        As in `PriceData`. All NaN count as equal.
    """
    stamps = prices.index.to_numpy().astype("datetime64[us]").astype("<i8")
    values = np.ascontiguousarray(prices.to_numpy(dtype="<f8"))
    values = np.where(np.isnan(values), np.nan, values)
    digest = hashlib.sha256(json.dumps([str(c) for c in prices.columns]).encode())
    digest.update(np.ascontiguousarray(stamps).tobytes())
    digest.update(values.tobytes())
    return digest.hexdigest()


def _file_of(
    folder: Columns, error: DataError, dates: tuple[np.datetime64 | None, np.datetime64 | None], max_cells: int
) -> str:
    """Name the file of a folder whose rows bring the error about: the last of the fewest first files that give it."""
    if len(folder.files) < 2 or str(error).startswith(_NOT_OF_ONE_FILE):
        return ""

    def gives(count: int) -> bool:
        end = folder.files[count][1] if count < len(folder.files) else folder.rows
        part = replace(folder, columns=tuple(column.slice(0, end) for column in folder.columns))
        try:
            wide, _ = to_wide(settle(part, None), max_cells)
            refuse_bad_values(between(wide, *dates))
        except DataError as other:
            return _kind(other) == _kind(error)
        return False

    low, high = 1, len(folder.files)
    if not gives(high):
        return ""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if gives(middle) else (middle + 1, high)
    name, first = folder.files[low - 1]
    return f"File {shown(name, 200)} of the folder {shown(folder.name)} (its rows are {first + 1:,} and on): "


_NOT_OF_ONE_FILE = ("No prices are left", "start ")


def _kind(error: DataError) -> str:
    """First words of a message without what it quotes and counts."""
    return re.sub(r"'[^']*'|[\d,.-]+", "", str(error))[:30]


# ----------------------------------------------------------------------------------------- memory to columns


def _in_memory(source: Any, name: str, max_cells: int) -> Columns:
    if isinstance(source, (pd.DataFrame, pd.Series)):
        return from_frame(source, name)
    if hasattr(source, "__arrow_c_stream__"):
        return from_stream(source, name, max_cells)
    kind = type(source).__name__
    hint = "call .collect() on it first" if kind == "LazyFrame" else "pandas.DataFrame(...) makes one"
    raise DataError(
        f"Prices are a {kind}, which is no table. Pass a path, a frame of pandas or polars, or a table of pyarrow or "
        f"DuckDB ({hint})."
    )


# ------------------------------------------------------------------------------------------ columns to wide


def _check(
    source: Columns, start: Day | None, end: Day | None, today: Day | None, calendar: str, max_cells: int
) -> PriceData:
    first, last, now = _day(start, "start"), _day(end, "end"), _day(today, "today")
    if first is not None and last is not None and first > last:
        raise DataError(f"start {first} is after end {last}. Give a start on or before the end.")
    if source.rows == 0:
        raise DataError(
            f"Prices {shown(source.name)} have a header only and no rows. Pass a table with one row for each day."
        )
    wide, notes = to_wide(source, max_cells)
    if len(wide.tickers) < 2:
        raise DataError(
            f"Prices {shown(source.name)} have {len(wide.tickers)} ticker "
            f"({shown(', '.join(wide.tickers))}); a pair "
            "needs two. Add the closes of at least one more ticker, or put the files of several into one folder and "
            "give the folder."
        )
    notes = [*source.notes, *notes]
    whole = {
        "name": source.name,
        "sha256": source.sha256 or fingerprint_frame(_frame(wide)),
        "rows": len(wide.days),
        "tickers": len(wide.tickers),
        "first_date": str(wide.days[0]),
        "last_date": str(wide.days[-1]),
    }
    kept = between(wide, first, last)
    notes += _cut_notes(wide.days, first, last)
    if calendar:
        kept, more = keep_sessions(kept, calendar)
        notes += more
    refuse_bad_values(kept)
    notes += carried_forward(kept.values, kept.days, calendar)
    notes += _day_notes(kept.days, now) + suspect_prices(kept.values, kept.days, kept.tickers)
    return PriceData(_frame(kept), tuple(notes), whole)


def _day(value: Day | None, name: str) -> np.datetime64 | None:
    if value is None:
        return None
    day: object = value
    try:
        if isinstance(value, str):
            day = dt.date.fromisoformat(value.strip())
        elif isinstance(value, np.datetime64):
            day = value.astype("datetime64[D]").item()
        elif isinstance(value, dt.datetime):
            day = value.date()
    except ValueError:
        day = None
    if not isinstance(day, dt.date) or pd.isna(day):
        raise DataError(f"{name} is {shown(value)}, which is not a date. Write it as YYYY-MM-DD.")
    return np.datetime64(day, "D")


def _frame(wide: WideTable) -> pd.DataFrame:
    index = pd.DatetimeIndex(wide.days.astype("datetime64[us]"), name="date")
    return pd.DataFrame(wide.values, index=index, columns=pd.Index(wide.tickers, name="ticker", dtype="str"))


def _cut_notes(days: np.ndarray, first: np.datetime64 | None, last: np.datetime64 | None) -> list[Note]:
    """What ``start`` and ``end`` leave out of the prices."""
    notes = []
    days = days.astype("datetime64[D]")
    for rule, where, limit in (("start", "before", first), ("end", "after", last)):
        if limit is not None:
            out = days[days < limit] if rule == "start" else days[days > limit]
            if len(out):
                have = "is" if len(out) == 1 else "are"
                text = f"{counted(len(out), 'date')} {where} data.{rule} = {limit} {have} left out"
                notes.append(Note("flagged", rule, "", str(out[0]), len(out), text))
    return notes


def _day_notes(days: np.ndarray, today: np.datetime64 | None) -> list[Note]:
    notes = []
    days = np.unique(days.astype("datetime64[D]"))
    weekend = days[~np.is_busday(days)]
    if len(weekend):
        text = f"{counted(len(weekend), 'row')} on a Saturday or Sunday, the first {weekend[0]}"
        notes.append(Note("flagged", "weekend", "", str(weekend[0]), len(weekend), text))
    future = days[days > today] if today is not None else days[:0]
    if len(future):
        text = f"{counted(len(future), 'row')} after {today}, the first {future[0]}"
        notes.append(Note("flagged", "future", "", str(future[0]), len(future), text))
    return notes
