"""The door: prices are read and checked here once, and nothing inside checks again.

What is refused, repaired, flagged or kept, and by which rule, is the table in ``docs/data.md``. Nothing is
removed or repaired in the past because of what comes later: a table cut at any date gives the same prices up
to that date as the whole one (or is refused). Only flags may differ.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pairs_bt.cells import Note, counted, shown
from pairs_bt.errors import DataError
from pairs_bt.price_table import DATE_NAMES, WideTable, between, refuse_bad_values, to_wide
from pairs_bt.readers import Columns, read_columns
from pairs_bt.suspects import suspect_prices

__all__ = ["Note", "PriceData", "check_prices", "fill_gaps", "fingerprint_frame", "read_prices"]

Day = str | dt.date | pd.Timestamp | np.datetime64


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
    path: str | os.PathLike[str],
    *,
    start: Day | None = None,
    end: Day | None = None,
    today: Day | None = None,
    max_bytes: int = 2 * 2**30,
    max_cells: int = 200_000_000,
) -> PriceData:
    """Read a table of adjusted closes and check it.

    Parameters
    ----------
    path : str or path-like
        CSV or Parquet (the content decides), wide (dates x tickers) or long (date, ticker, close).
    start, end : date or str, optional
        First and last day to keep, both included. Prices outside are neither checked nor used.
    today : date or str, optional
        When given, days after it are flagged. Never taken from the clock, so that the same call always gives
        the same notes.
    max_bytes, max_cells : int
        Limits on the size of the file and of the table.

    Returns
    -------
    PriceData

    Raises
    ------
    DataError
        When the file is not a table of prices that can be used; the message says where and how to mend it.
    """
    source = read_columns(path, max_bytes=max_bytes, max_cells=max_cells)
    return _check(source, start, end, today, max_cells)


def check_prices(
    frame: pd.DataFrame,
    *,
    start: Day | None = None,
    end: Day | None = None,
    today: Day | None = None,
    source: str = "memory",
    max_cells: int = 200_000_000,
) -> PriceData:
    """Check a frame in memory by the same rules as a file.

    Parameters
    ----------
    frame : DataFrame
        Wide, with the dates as index or as first column, or long with columns date, ticker, close.
    start, end, today
        As for `read_prices`.
    source : str
        Name for the manifest.
    max_cells : int
        Limit on days x tickers.

    Raises
    ------
    DataError
        As `read_prices`.
    """
    return _check(_from_frame(frame, source), start, end, today, max_cells)


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


# ----------------------------------------------------------------------------------------- frame to columns


def _from_frame(frame: pd.DataFrame, source: str) -> Columns:
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"Prices are a {type(frame).__name__}, not a DataFrame. Pass a frame, dates x tickers.")
    if isinstance(frame.columns, pd.MultiIndex) or isinstance(frame.index, pd.MultiIndex):
        raise DataError(
            "Prices have several levels of columns or index; one level of tickers and one of dates is "
            "needed. Select one field first, for example frame['Close'], and reset_index() a long table."
        )
    names = ["" if _missing(name) else str(name) for name in frame.columns]
    columns = [_arrow(frame.iloc[:, j]) for j in range(frame.shape[1])]
    has_dates = any(name.strip().lower() in DATE_NAMES for name in names)
    numbered = isinstance(frame.index, pd.RangeIndex) or (
        has_dates and pd.api.types.is_integer_dtype(frame.index.dtype)
    )
    if not numbered:
        names.insert(0, "date" if frame.index.name is None else str(frame.index.name))
        columns.insert(0, _arrow(frame.index.to_series()))
    return Columns(tuple(names), tuple(columns), 0, (), source, "")


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _arrow(column: pd.Series) -> pa.ChunkedArray:
    """Numbers and times as they are, everything else as text."""
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        array = pa.array(column.to_numpy(dtype=np.float64))
    elif isinstance(dtype, np.dtype) and dtype.kind in "iub":
        array = pa.array(column.to_numpy())
    elif isinstance(dtype, pd.DatetimeTZDtype) or (isinstance(dtype, np.dtype) and dtype.kind == "M"):
        array = pa.Array.from_pandas(column)
    else:
        array = pa.array([None if _missing(v) or v is pd.NaT or v is pd.NA else str(v) for v in column], pa.string())
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


# ------------------------------------------------------------------------------------------ columns to wide


def _check(source: Columns, start: Day | None, end: Day | None, today: Day | None, max_cells: int) -> PriceData:
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
            "needs two. Add the closes of at least one more ticker."
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
    refuse_bad_values(kept)
    notes += _cut_notes(wide.days, first, last)
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
    if not isinstance(day, dt.date) or day is pd.NaT:
        raise DataError(f"{name} is {shown(value)}, which is not a date. Write it as YYYY-MM-DD.")
    return np.datetime64(day, "D")


def _frame(wide: WideTable) -> pd.DataFrame:
    index = pd.DatetimeIndex(wide.days.astype("datetime64[us]"), name="date")
    return pd.DataFrame(wide.values, index=index, columns=pd.Index(wide.tickers, name="ticker", dtype="str"))


def _cut_notes(days: np.ndarray, first: np.datetime64 | None, last: np.datetime64 | None) -> list[Note]:
    """What ``start`` and ``end`` leave out of the prices."""
    notes = []
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
    weekend = days[~np.is_busday(days)]
    if len(weekend):
        text = f"{counted(len(weekend), 'row')} on a Saturday or Sunday, the first {weekend[0]}"
        notes.append(Note("flagged", "weekend", "", str(weekend[0]), len(weekend), text))
    future = days[days > today] if today is not None else days[:0]
    if len(future):
        text = f"{counted(len(future), 'row')} after {today}, the first {future[0]}"
        notes.append(Note("flagged", "future", "", str(future[0]), len(future), text))
    return notes
