"""Cells of text to dates and prices, by rules that never guess.

A cell that could be read in two ways (01/02/2016, ``1,234`` where a comma may be either mark) is settled by
the other cells of the table, and refused when they do not settle it. So a table cut short is either read the
same way as the whole one or refused: later rows never change how earlier ones are read.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairs_bt.errors import DataError

__all__ = ["BadCell", "Note", "Stamps", "parse_numbers", "parse_stamps", "shown"]

FIRST_YEAR, LAST_YEAR = 1900, 2199
MAX_BAD_CELLS = 10_000

# What a price cell may hold when there is no price (Excel, Bloomberg, FRED and pandas spellings).
NO_PRICE = pa.array(
    ["", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "NaN", "nan", "NAN", "NULL", "null", "None", "-", "."]
)

_TIME = (
    r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(?: ?([AaPp][Mm]))?)? ?(Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
)
_ISO = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})" + _TIME, re.ASCII)
_COMPACT = re.compile(r"(\d{4})()(\d{2})(\d{2})" + _TIME, re.ASCII)
_LOCAL = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})" + _TIME, re.ASCII)
_WRITE_ISO = "Write dates as YYYY-MM-DD."

_PLAIN = r"^[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$"
_DOT_GROUPED = r"^[-+]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?$"  # 1,234.50
_COMMA_DECIMAL = r"^[-+]?([0-9]{1,3}(\.[0-9]{3})+|[0-9]+)(,[0-9]*)?$"  # 1.234,50 or 12,5
_SAYS_DOT = r",[0-9]{3}[.,]|^[-+]?[0-9]*\.[0-9]*([eE][-+]?[0-9]+)?$"
_INFINITE = r"^-?inf(inity)?$"
_SAYS_COMMA = r"\.[0-9]{3}[.,]|^[-+]?[0-9]*,([0-9]{0,2}|[0-9]{4,})$"


@dataclass(frozen=True)
class Note:
    """One thing that was repaired, flagged or will be left out; never fatal by itself.

    Attributes
    ----------
    kind : str
        ``repaired`` (the data were mended), ``flagged`` (kept as they are, look at them) or ``left_out``
        (kept in the frame, but cannot be traded).
    rule : str
        Short name of the rule, as in ``docs/data.md``.
    ticker : str
        Empty when the note is about the whole table.
    date : str
        ISO date of the first place, empty when there is none.
    count : int
        How many cells, rows or columns.
    text : str
        One line for a person.
    """

    kind: str
    rule: str
    ticker: str
    date: str
    count: int
    text: str


@dataclass(frozen=True)
class Stamps:
    """Wall-clock time of every row, without a zone, and what was done to get it."""

    values: np.ndarray  # datetime64[us]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class BadCell:
    """A cell that is neither a number nor a known word for no price."""

    row: int
    column: int
    text: str


def shown(value: object, limit: int = 40) -> str:
    """Quote a value of the user's for a message: escaped, and cut when long."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


# --------------------------------------------------------------------------------------------------- dates


@dataclass(frozen=True)
class _Stamp:
    family: str
    first: int  # year for ISO; first field for local dates
    second: int
    third: int
    separator: str
    seconds: int
    zone: int | None  # minutes east of UTC


def _stamp(text: str, row: int) -> _Stamp:
    for family, pattern in (("iso", _ISO), ("compact", _COMPACT), ("local", _LOCAL)):
        match = pattern.fullmatch(text)
        if match:
            a, separator, b, c, hour, minute, second, half, zone = match.groups()
            seconds = _seconds(hour, minute, second, half, text, row)
            return _Stamp(family, int(a), int(b), int(c), separator, seconds, _zone_minutes(zone))
    hint = "The first column must hold the dates. " if row == 0 else ""
    raise DataError(f"Data row {row + 1} has {shown(text)} where a date is expected. {hint}{_WRITE_ISO}")


def _seconds(
    hour: str | None, minute: str | None, second: str | None, half: str | None, text: str, row: int
) -> int:
    if hour is None or minute is None:
        return 0
    h, m, s = int(hour), int(minute), int(second or 0)
    if half:
        h = h % 12 + (12 if half.lower() == "pm" else 0)
    if h > 23 or m > 59 or s > 59:
        raise DataError(f"Data row {row + 1}: {shown(text)} has a time that no clock shows. {_WRITE_ISO}")
    return 3600 * h + 60 * m + s


def _zone_minutes(zone: str | None) -> int | None:
    if zone is None:
        return None
    if zone in ("Z", "UTC", "GMT"):
        return 0
    digits = zone[1:].replace(":", "")
    minutes = 60 * int(digits[:2]) + int(digits[2:])
    return -minutes if zone[0] == "-" else minutes


def _check_one_family(texts: list[str], stamps: list[_Stamp]) -> None:
    for text, stamp in zip(texts, stamps, strict=True):
        if stamp.family != stamps[0].family:
            raise DataError(
                f"Dates are written in two ways: {shown(texts[0])} and {shown(text)}. One file must use one "
                f"format, or day and month could be swapped unseen. {_WRITE_ISO}"
            )


def _day_first(texts: list[str], stamps: list[_Stamp]) -> bool:
    """Tell d/m/Y from m/d/Y by a field above 12; a dot means d.m.Y."""
    day_first = next((t for t, s in zip(texts, stamps, strict=True) if s.first > 12), None)
    month_first = next((t for t, s in zip(texts, stamps, strict=True) if s.second > 12), None)
    dotted = next((t for t, s in zip(texts, stamps, strict=True) if s.separator == "."), None)
    day_first = day_first or dotted
    if day_first and month_first:
        raise DataError(
            f"Dates mix day/month order: {shown(day_first)} puts the day first, {shown(month_first)} the "
            "month "
            f"(a date with dots is read as day.month.year). {_WRITE_ISO}"
        )
    if not day_first and not month_first:
        raise DataError(
            f"Date {shown(texts[0])} is ambiguous: no date in the file has a day above 12, so day and month "
            f"cannot be told apart. {_WRITE_ISO}"
        )
    return month_first is None


def _zone_note(texts: list[str], stamps: list[_Stamp]) -> list[Note]:
    """Drop the zone, keeping the local date; offsets an hour apart are one zone's summer and winter."""
    zoned = [(s.zone, t) for t, s in zip(texts, stamps, strict=True) if s.zone is not None]
    if not zoned:
        return []
    if len(zoned) != len(stamps):
        bare = next(t for t, s in zip(texts, stamps, strict=True) if s.zone is None)
        raise DataError(
            f"Dates mix time zones: {shown(zoned[0][1])} has one, {shown(bare)} has none. {_WRITE_ISO}"
        )
    low, high = min(zoned), max(zoned)
    if high[0] - low[0] > 60:
        raise DataError(
            f"Dates mix time zones: {shown(low[1])} and {shown(high[1])} are more than an hour apart, so "
            "they "
            f"are not summer and winter time of one place. {_WRITE_ISO}"
        )
    text = "the time zone of the dates was dropped; each row keeps the date as written"
    return [Note("repaired", "time_zone", "", "", len(stamps), text)]


def parse_stamps(texts: list[str]) -> Stamps:
    """Read dates written as YYYY-MM-DD, YYYYMMDD, m/d/Y or d/m/Y, with or without time and zone.

    Parameters
    ----------
    texts : list of str
        One per row. Each distinct text is parsed once.

    Returns
    -------
    Stamps
        Local wall-clock times; a uniform zone is dropped with a note.

    Raises
    ------
    DataError
        For what is not a date, two formats, an order of day and month that nothing settles, mixed zones, or a
        year outside 1900-2199.
    """
    first_row: dict[str, int] = {}
    codes = np.empty(len(texts), dtype=np.int64)
    code_of: dict[str, int] = {}
    for row, text in enumerate(texts):
        code = code_of.setdefault(text, len(code_of))
        if code == len(first_row):
            first_row[text] = row
        codes[row] = code
    unique = list(first_row)
    stamps = [_stamp(text.strip(), first_row[text]) for text in unique]
    if not stamps:
        return Stamps(np.empty(0, dtype="datetime64[us]"), ())
    _check_one_family(unique, stamps)
    local = stamps[0].family == "local"
    day_first = _day_first(unique, stamps) if local else False
    moments = []
    for text, stamp in zip(unique, stamps, strict=True):
        if local:
            month, day = (stamp.second, stamp.first) if day_first else (stamp.first, stamp.second)
            year = stamp.third
        else:
            year, month, day = stamp.first, stamp.second, stamp.third
        moments.append(_moment(year, month, day, stamp.seconds, text, first_row[text]))
    notes = _zone_note(unique, stamps)
    return Stamps(np.array(moments, dtype="datetime64[us]")[codes], tuple(notes))


def _moment(year: int, month: int, day: int, seconds: int, text: str, row: int) -> dt.datetime:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise DataError(
            f"Data row {row + 1}: date {shown(text)} has the year {year}, outside "
            f"{FIRST_YEAR}-{LAST_YEAR}. Correct or remove the row."
        )
    try:
        return dt.datetime(year, month, day) + dt.timedelta(seconds=seconds)
    except ValueError:
        raise DataError(
            f"Data row {row + 1}: {shown(text)} is a date that no calendar has. Correct or remove the row."
        ) from None


# ------------------------------------------------------------------------------------------------- numbers


def _stripped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    trimmed = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.is_in(trimmed, value_set=NO_PRICE), pa.scalar(None, trimmed.type), trimmed)


def _as_float(column: pa.ChunkedArray) -> np.ndarray:
    return pc.fill_null(pc.cast(column, pa.float64()), np.nan).to_numpy()


def _first_match(columns: list[pa.ChunkedArray], pattern: str) -> str | None:
    for column in columns:
        index = pc.index(pc.match_substring_regex(column, pattern), True).as_py()
        if index >= 0:
            return str(column[index].as_py())
    return None


def _comma_is_decimal(columns: list[pa.ChunkedArray]) -> bool:
    """Decide which mark is the decimal one, from all cells together."""
    with_comma = _first_match(columns, r"[0-9],|,[0-9]")
    if with_comma is None:
        return False
    says_dot, says_comma = _first_match(columns, _SAYS_DOT), _first_match(columns, _SAYS_COMMA)
    if says_dot and says_comma:
        raise DataError(
            f"Prices mix decimal marks: {shown(says_dot)} uses a dot, {shown(says_comma)} a comma. Write "
            "every "
            "price with a decimal dot and without thousands separators."
        )
    if not says_dot and not says_comma:
        raise DataError(
            f"Price {shown(with_comma)} is ambiguous: nothing in the file tells whether its comma marks "
            "decimals or thousands. Write prices with a decimal dot and without thousands separators."
        )
    return says_comma is not None


def parse_numbers(columns: list[pa.ChunkedArray]) -> tuple[list[np.ndarray], list[BadCell], list[Note]]:
    """Read columns of text as prices.

    Parameters
    ----------
    columns : list of pyarrow.ChunkedArray
        String columns of equal length.

    Returns
    -------
    values : list of ndarray
        float64, NaN where there is no price or no number.
    bad : list of BadCell
        Cells that are neither a number nor empty.
    notes : list of Note
        Thousands separators and decimal commas that were repaired.
    """
    cells = [_stripped(column) for column in columns]
    try:
        return [_as_float(column) for column in cells], [], []
    except pa.ArrowInvalid:
        return _parse_with_marks(cells)


def _parse_with_marks(cells: list[pa.ChunkedArray]) -> tuple[list[np.ndarray], list[BadCell], list[Note]]:
    comma = _comma_is_decimal(cells)
    changed = 0
    values: list[np.ndarray] = []
    bad: list[BadCell] = []
    for j, column in enumerate(cells):
        lower = pc.utf8_ltrim(pc.utf8_lower(column), characters="+")
        if comma:
            marked = pc.match_substring_regex(lower, _COMMA_DECIMAL)
            swapped = pc.replace_substring(pc.replace_substring(lower, ".", ""), ",", ".")
        else:
            marked = pc.match_substring_regex(lower, _DOT_GROUPED)
            swapped = pc.replace_substring(lower, ",", "")
        text = pc.if_else(marked, swapped, lower)
        number = marked if comma else pc.match_substring_regex(text, _PLAIN)
        readable = pc.fill_null(pc.or_(number, pc.match_substring_regex(text, _INFINITE)), True)
        rows = np.flatnonzero(~readable.to_numpy()).tolist()
        bad += [BadCell(row, j, str(column[row].as_py())) for row in rows]
        if len(bad) > MAX_BAD_CELLS:
            raise DataError(
                f"More than {MAX_BAD_CELLS:,} cells are not prices, the first {shown(bad[0].text)} in data "
                "row "
                f"{bad[0].row + 1}. Prices must be plain numbers, one column for each ticker."
            )
        changed += int(pc.sum(pc.and_(readable, pc.not_equal(text, lower))).as_py() or 0)
        values.append(_as_float(pc.if_else(readable, text, pa.scalar(None, text.type))))
    return values, bad, _mark_notes(comma, changed)


def _mark_notes(comma: bool, changed: int) -> list[Note]:
    if not changed:
        return []
    if comma:
        text = f"{changed} prices with a decimal comma were read as decimals"
        return [Note("repaired", "decimal_comma", "", "", changed, text)]
    text = f"thousands separators were removed from {changed} prices"
    return [Note("repaired", "thousands_separator", "", "", changed, text)]
