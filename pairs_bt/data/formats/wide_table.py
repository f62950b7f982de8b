"""Columns of any source to one checked table of days x tickers."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairs_bt.data.formats.date_parsing import looks_like_date, parse_stamps
from pairs_bt.data.formats.number_parsing import BadCell, Note, counted, parse_numbers, shown
from pairs_bt.data.quality_flags import suspect_names
from pairs_bt.data.sources import Columns
from pairs_bt.errors import DataError

__all__ = ["WideTable", "between", "holds_words", "numbers_of", "refuse_bad_values", "refuse_long", "to_wide"]

# A price outside is a mistake: products of two of them, squared and summed, must stay finite and normal.
MIN_PRICE, MAX_PRICE = 1e-9, 1e12
MAX_NAME = 100
_LOOKED_AT = 100  # cells of a column, to say what it holds

LONG = ("date", "ticker", "close")  # names of a long table's columns, once its layout is settled


@dataclass(frozen=True)
class WideTable:
    """A table of prices by day and ticker on its way through the checks."""

    days: np.ndarray  # datetime64[D], or of a finer unit for bars within the day; sorted, unique
    tickers: list[str]
    values: np.ndarray  # (days, tickers), float64
    bad: list[BadCell]  # positions in values


def to_wide(source: Columns, max_cells: int) -> tuple[WideTable, list[Note]]:
    """Bring a wide or long table into one form: sorted days, named tickers, float64 prices."""
    return _read_long(source, max_cells) if source.names == LONG else _read_wide(source)


def numbers_of(
    columns: list[pa.ChunkedArray], names: list[str], european: bool = False
) -> tuple[list[np.ndarray], list[BadCell], list[Note]]:
    """Price columns of any type as float64; `european` as in `parse_numbers`."""
    values: list[np.ndarray | None] = []
    texts: list[int] = []
    for j, (column, name) in enumerate(zip(columns, names, strict=True)):
        kind = column.type
        if pa.types.is_dictionary(kind):
            column = columns[j] = pc.cast(column, kind.value_type)
            kind = column.type
        if pa.types.is_string_view(kind):
            column = columns[j] = pc.cast(column, pa.string())
            kind = column.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            values.append(None)
            texts.append(j)
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            floats = pc.cast(column, pa.float64(), safe=False)
            values.append(pc.fill_null(floats, np.nan).to_numpy())
        elif pa.types.is_null(kind):
            values.append(np.full(len(column), np.nan))
        else:
            raise DataError(f"Ticker {shown(name)}: the column holds {kind}, not prices. Write prices as numbers.")
    parsed, bad, notes = parse_numbers([columns[j] for j in texts], european)
    for j, numbers in zip(texts, parsed, strict=True):
        values[j] = numbers
    bad = [replace(cell, column=texts[cell.column]) for cell in bad]
    return [v for v in values if v is not None], bad, notes


def _european(source: Columns, date: int) -> bool:
    """Whether semicolons between columns, or dates with dots, say that a dot may mark thousands."""
    if any(note.rule == "delimiter" and "';'" in note.text for note in source.notes):
        return True
    first = str(source.columns[date][0].as_py()) if source.rows else ""
    return re.match(r"\s*\d{1,2}\.\d{1,2}\.\d", first) is not None


def _read_wide(source: Columns) -> tuple[WideTable, list[Note]]:
    at = source.date_column
    names = [source.label(j) for j in range(source.width) if j != at]
    columns = [column for j, column in enumerate(source.columns) if j != at]
    if looks_like_date(source.label(at)):
        raise DataError(
            f"Prices {shown(source.name)} have no header: the first line starts with {shown(source.label(at))}. "
            "Add a first line with a name for the dates and the tickers."
        )
    tickers, notes = _tickers(names)
    stamps, more = parse_stamps(source.columns[at])
    numbers, bad, marks = numbers_of(columns, tickers, _european(source, at))
    days, times = _to_days(stamps)
    order = np.argsort(stamps, kind="stable")
    _refuse_repeats(stamps[order], days[order])
    values = np.column_stack([v[order] for v in numbers]) if numbers else np.empty((len(days), 0))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    bad = [replace(cell, row=int(rank[cell.row])) for cell in bad]
    notes = [*notes, *more, *marks, *times, *_order_notes(stamps)]
    return WideTable(days[order], tickers, np.ascontiguousarray(values), bad), notes


def _read_long(source: Columns, max_cells: int) -> tuple[WideTable, list[Note]]:
    date, ticker, price = source.columns
    labels = pc.dictionary_encode(pc.fill_null(pc.cast(ticker, pa.string()), "")).combine_chunks()
    tickers, notes = _tickers([str(name) for name in labels.dictionary.to_pylist()])
    codes = labels.indices.to_numpy().astype(np.int64)
    stamps, more = parse_stamps(date)
    (numbers,), bad, marks = numbers_of([price], ["close"], _european(source, 0))
    days, times = _to_days(stamps)
    unique, row = np.unique(days, return_inverse=True)
    if len(unique) * len(tickers) > max_cells:
        raise DataError(
            f"Prices {shown(source.name)} have {len(unique):,} days x {len(tickers):,} tickers, more than "
            f"the limit of {max_cells:,} cells. Cut the table, or raise max_cells."
        )
    cell = row * len(tickers) + codes
    order = np.argsort(cell, kind="stable")
    again = np.flatnonzero(cell[order][1:] == cell[order][:-1])
    if len(again):
        i, j = order[again[0]], order[again[0] + 1]
        _refuse_repeats(stamps[[i, j]], days[[i, j]], tickers[codes[i]], len(again))
    values = np.full((len(unique), len(tickers)), np.nan)
    values.reshape(-1)[cell] = numbers
    bad = [BadCell(int(row[b.row]), int(codes[b.row]), b.text) for b in bad]
    notes = [*notes, *more, *marks, *times]
    return WideTable(unique, tickers, values, bad), notes


def between(wide: WideTable, first: np.datetime64 | None, last: np.datetime64 | None) -> WideTable:
    lo = 0 if first is None else int(np.searchsorted(wide.days, first, side="left"))
    hi = len(wide.days) if last is None else int(np.searchsorted(wide.days.astype("datetime64[D]"), last, side="right"))
    if lo >= hi:
        raise DataError(
            f"No prices are left between start {first or 'none'} and end {last or 'none'}: the data cover "
            f"{wide.days[0]} to {wide.days[-1]}. Move start or end."
        )
    bad = [replace(cell, row=cell.row - lo) for cell in wide.bad if lo <= cell.row < hi]
    return WideTable(wide.days[lo:hi], wide.tickers, wide.values[lo:hi], bad)


# ---------------------------------------------------------------------------------------------------- rules


def _tickers(names: list[str]) -> tuple[list[str], list[Note]]:
    tickers = [name.strip() for name in names]
    seen: set[str] = set()
    for position, ticker in enumerate(tickers):
        if not ticker:
            raise DataError(f"Ticker {position + 1} of {len(tickers)} has an empty name. Every price needs a ticker.")
        if ticker in seen:
            raise DataError(f"Ticker {shown(ticker)} appears twice among the columns. Keep one column for each ticker.")
        if len(ticker) > MAX_NAME or not ticker.isprintable():
            raise DataError(
                f"Ticker {shown(ticker)} is longer than {MAX_NAME} characters or has characters that do not "
                "print. Rename it."
            )
        seen.add(ticker)
    return tickers, suspect_names(names)


def _to_days(stamps: np.ndarray) -> tuple[np.ndarray, list[Note]]:
    days = stamps.astype("datetime64[D]")
    intraday = days != stamps
    if not intraday.any():
        return days, []
    if _within_the_day(stamps):
        return _in_whole_units(stamps), []
    place = str(days[np.flatnonzero(intraday)[0]])
    text = "times of day were removed; each day has one row"
    return days, [Note("repaired", "intraday", "", place, int(intraday.sum()), text)]


def _within_the_day(stamps: np.ndarray) -> bool:
    """Whether bars are shorter than a day: most days have several. A few such days are a mistake in daily prices."""
    _, counts = np.unique(np.unique(stamps).astype("datetime64[D]"), return_counts=True)
    return bool(2 * np.count_nonzero(counts > 1) >= counts.size)


def _in_whole_units(stamps: np.ndarray) -> np.ndarray:
    """The same moments in minutes where that is exact, else in seconds or microseconds: a place reads short."""
    for unit in ("m", "s"):
        found = stamps.astype(f"datetime64[{unit}]")
        if (found == stamps).all():
            return found
    return stamps


def holds_words(column: pa.ChunkedArray) -> bool:
    """Whether a column is of text that is no numbers, by the first of its cells that are filled."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        return False
    cells = (str(cell).strip() for cell in column.slice(0, _LOOKED_AT).to_pylist() if cell is not None)
    first = next((cell for cell in cells if len(cell) > 1 or cell.isalnum()), "")
    return re.fullmatch(r"(NA|N/A|NaN|nan|null|[-+\d.,'\s$%]+([eE][-+]?\d+|[KMB%])?)?", first) is None


def refuse_long(source: Columns) -> None:
    """Refuse a long table whose columns are not called so: dates repeat, and a column of words tells the rows apart.

    Raises
    ------
    DataError
        Naming the columns to rename.
    """
    words = [j for j in range(source.width) if j != source.date_column and holds_words(source.columns[j])]
    if not words:
        return
    try:
        stamps, _ = parse_stamps(source.columns[source.date_column])
    except DataError:
        return  # said by who reads the dates
    if len(np.unique(stamps)) == len(stamps):
        return
    others = [source.label(j) for j in range(source.width) if j not in (source.date_column, *words)]
    price = f", and {shown(others[0])}, or whichever column has the prices, to 'close'" if others else ""
    raise DataError(
        f"Prices {shown(source.name)} look like a long table: dates repeat, and column {shown(source.label(words[0]))} "
        "holds words that may be the tickers. A long table has the columns date, ticker and close. Rename "
        f"{shown(source.label(words[0]))} to 'ticker'{price}: frame.rename(columns={{...}}). No row need be removed."
    )


def _refuse_repeats(stamps: np.ndarray, days: np.ndarray, ticker: str = "", count: int = 0) -> None:
    """Refuse a day that comes twice; `stamps` and `days` are sorted."""
    repeats = np.flatnonzero(days[1:] == days[:-1])
    if not len(repeats):
        return
    i = repeats[0]
    whose = f" for ticker {shown(ticker)}" if ticker else ""
    count = count or len(repeats)
    if stamps[i] == stamps[i + 1]:
        raise DataError(
            f"Duplicate dates: {days[i]} appears more than once{whose} ({counted(count, 'repeat')} in all). Keep one "
            "row for each day."
        )
    raise DataError(
        f"Intraday prices: {days[i]} has several rows{whose}, at {str(stamps[i])[11:19]} and "
        f"{str(stamps[i + 1])[11:19]}, and most days have one. Keep one close for each day, or give several bars for "
        "all of them."
    )


def _order_notes(stamps: np.ndarray) -> list[Note]:
    back = np.flatnonzero(stamps[1:] < stamps[:-1])
    if not len(back):
        return []
    place = str(stamps[back[0] + 1].astype("datetime64[D]"))
    text = f"{counted(len(back), 'row')} older than the row before, the first {place}; sorted by date"
    return [Note("repaired", "unsorted_dates", "", place, len(back), text)]


def refuse_bad_values(wide: WideTable) -> None:
    """Refuse what cannot be a price, naming the first place of every rule that is broken."""
    problems = []
    if wide.bad:
        cell = min(wide.bad, key=lambda c: (c.row, c.column))
        place = f"ticker {shown(wide.tickers[cell.column])} on {wide.days[cell.row]}"
        problems.append(f"{place} has text {shown(cell.text)} as its price (cells like this: {len(wide.bad)})")
    v = wide.values
    with np.errstate(invalid="ignore"):
        rules = (
            ("an infinite price", np.isinf(v)),
            ("a negative price", (v < 0) & ~np.isinf(v)),
            ("a zero price", v == 0),
            ("an absurd price", (np.isfinite(v) & (v > MAX_PRICE)) | ((v > 0) & (v < MIN_PRICE))),
        )
    for what, wrong in rules:
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            place = f"ticker {shown(wide.tickers[column])} on {wide.days[row]}"
            value = float(v[row, column])
            problems.append(f"{place} has {what}, {value!r} (cells like this: {int(wrong.sum())})")
    if problems:
        raise DataError(
            f"Bad prices: {'; '.join(problems)}. A price is a number between {MIN_PRICE:g} and "
            f"{MAX_PRICE:g}; correct the cells, leave them empty when there is no price, or cut the dates "
            "with start and end."
        )
