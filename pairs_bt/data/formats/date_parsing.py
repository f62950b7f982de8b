"""Dates as they are written in files, by rules that never guess.

01/02/2016 is settled by the other dates of the table, and refused when they do not settle it. So a table cut
short is either read the same way as the whole one or refused.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pairs_bt.data.formats.number_parsing import Note, shown
from pairs_bt.errors import DataError

__all__ = ["looks_like_date", "parse_stamps"]

FIRST_YEAR, LAST_YEAR = 1900, 2199

_TIME = (
    r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(?: ?([AaPp][Mm]))?)?"
    r" ?(Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
)
_ISO = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})" + _TIME, re.ASCII)
_COMPACT = re.compile(r"(\d{4})()(\d{2})(\d{2})" + _TIME, re.ASCII)
_LOCAL = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})" + _TIME, re.ASCII)
_NAMED = re.compile(r"(\d{1,2})([-/ ])([A-Za-z]{3,9})\2(\d{4})" + _TIME, re.ASCII)  # 02-Jan-2008
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
# Time since 1970 by its number of digits, from 1973 on (nanoseconds, as databento writes, from 2001).
_EPOCHS = {"s": (9, 10), "ms": (12, 13), "us": (15, 16), "ns": (19,)}
_EPOCH = re.compile(r"\d{9,10}|\d{12,13}|\d{15,16}|\d{19}", re.ASCII)
_WRITE_ISO = "Write dates as YYYY-MM-DD."


def looks_like_date(text: str) -> bool:
    """Whether `parse_stamps` could take the text for a date."""
    return any(pattern.fullmatch(text.strip()) for pattern in (_ISO, _COMPACT, _LOCAL, _NAMED, _EPOCH))


def parse_stamps(column: pa.ChunkedArray) -> tuple[np.ndarray, list[Note]]:
    """Read a column of dates: a date type, or YYYY-MM-DD, YYYYMMDD, m/d/Y, d/m/Y or d-Mon-Y, with or without time.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        One date per row. Each distinct text is parsed once.

    Returns
    -------
    stamps : ndarray
        datetime64[us], wall-clock time without a zone.
    notes : list of Note
        A zone that was dropped.

    Raises
    ------
    DataError
        For what is not a date, two formats, an order of day and month that nothing settles, mixed zones, or a
        year outside 1900-2199.
    """
    if column.null_count:
        row = int(pc.index(pc.is_null(column), True).as_py())
        raise DataError(f"Data row {row + 1} has no date. Every row needs one; write it as YYYY-MM-DD.")
    kind = column.type
    if pa.types.is_dictionary(kind):
        return parse_stamps(pc.cast(column, kind.value_type))
    if pa.types.is_integer(kind):
        return parse_stamps(pc.cast(column, pa.string()))
    if pa.types.is_string_view(kind):
        return parse_stamps(pc.cast(column, pa.string()))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        if len(column) and _EPOCH.fullmatch(str(column[0].as_py()).strip()):
            return _since_1970(column)
        encoded = column.combine_chunks().dictionary_encode()
        codes = encoded.indices.to_numpy()
        moments, notes = _parse_unique(encoded.dictionary.to_pylist(), codes)
        return moments[codes], notes
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raise DataError(f"The date column holds {kind}, not dates. {_WRITE_ISO}")
    return _typed(column)


def _typed(column: pa.ChunkedArray) -> tuple[np.ndarray, list[Note]]:
    kind = column.type
    raw = column.to_numpy()
    # Checked in the unit of the file: a far year would overflow microseconds unseen.
    years = raw.astype("datetime64[Y]").astype(np.int64) + 1970
    outside = np.flatnonzero((years < FIRST_YEAR) | (years > LAST_YEAR))
    if len(outside):
        row = int(outside[0])
        raise DataError(
            f"Data row {row + 1}: a date of the year {years[row]} lies outside {FIRST_YEAR}-{LAST_YEAR}. "
            "Correct or remove the row."
        )
    stamps = raw.astype("datetime64[us]")
    if not pa.types.is_timestamp(kind) or kind.tz is None:
        return stamps, []
    try:
        stamps = pd.DatetimeIndex(stamps, tz="UTC").tz_convert(kind.tz).tz_localize(None).to_numpy()
    except (ValueError, KeyError, TypeError, OSError):
        raise DataError(
            f"The dates carry the unknown time zone {shown(kind.tz)}. Write dates without a zone."
        ) from None
    text = f"the time zone {kind.tz} of the dates was dropped; each row keeps its local date"
    return stamps, [Note("repaired", "time_zone", "", "", len(column), text)]


def _since_1970(column: pa.ChunkedArray) -> tuple[np.ndarray, list[Note]]:
    trimmed = pc.utf8_trim_whitespace(column)
    first = str(trimmed[0].as_py())
    unit, digits = next((unit, digits) for unit, digits in _EPOCHS.items() if len(first) in digits)
    pattern = f"^[0-9]{{{digits[0]},{digits[-1]}}}$"
    other = pc.index(pc.match_substring_regex(trimmed, pattern), False).as_py()
    if other >= 0:
        raise DataError(
            f"Dates are written in two ways: {shown(first)} and {shown(str(column[other].as_py()))}. "
            f"One file must use one format. {_WRITE_ISO}"
        )
    try:
        counts = pc.cast(trimmed, pa.int64())
    except pa.ArrowInvalid:
        raise DataError(f"The date column holds numbers of 19 digits that are no times. {_WRITE_ISO}") from None
    return _typed(pc.cast(counts, pa.timestamp(unit, "UTC")))


def _parse_unique(texts: list[str], codes: np.ndarray) -> tuple[np.ndarray, list[Note]]:
    stamps = [_stamp(text.strip(), code, codes) for code, text in enumerate(texts)]
    if not stamps:
        return np.empty(0, dtype="datetime64[us]"), []
    _check_one_family(texts, stamps)
    local = stamps[0].family == "local"
    day_first = _day_first(texts, stamps) if local else False
    moments = []
    for code, (text, stamp) in enumerate(zip(texts, stamps, strict=True)):
        year, month, day = stamp.first, stamp.second, stamp.third
        if local:
            year, month, day = (day, month, year) if day_first else (day, year, month)
        moments.append(_moment(year, month, day, stamp.seconds, text, code, codes))
    return np.array(moments, dtype="datetime64[us]"), _zone_note(texts, stamps, len(codes))


def _place(code: int, codes: np.ndarray) -> str:
    return f"Data row {int(np.flatnonzero(codes == code)[0]) + 1}"


@dataclass(frozen=True)
class _Stamp:
    family: str
    first: int  # year for ISO; first field for local dates
    second: int
    third: int
    separator: str
    seconds: int
    zone: int | None  # minutes east of UTC


def _stamp(text: str, code: int, codes: np.ndarray) -> _Stamp:
    for family, pattern in (("iso", _ISO), ("compact", _COMPACT), ("local", _LOCAL), ("named", _NAMED)):
        match = pattern.fullmatch(text)
        if match:
            a, separator, b, c, hour, minute, second, half, zone = match.groups()
            if family == "named":
                a, b, c = c, _month(b), a
                if b is None:
                    continue
            seconds = _seconds(hour, minute, second, half)
            if seconds is None:
                raise DataError(f"{_place(code, codes)}: {shown(text)} has a time that no clock shows. {_WRITE_ISO}")
            return _Stamp(family, int(a), int(b), int(c), separator, seconds, _zone_minutes(zone))
    hint = "The first column must hold the dates. " if code == 0 else ""
    raise DataError(f"{_place(code, codes)} has {shown(text)} where a date is expected. {hint}{_WRITE_ISO}")


def _month(name: str) -> str | None:
    """Number of an English month written out or cut to three letters (Sept, too)."""
    low = name.lower()
    found = [k for k, month in enumerate(_MONTHS, 1) if low in (month, month[:3]) or (low == "sept" and k == 9)]
    return str(found[0]) if found else None


def _seconds(hour: str | None, minute: str | None, second: str | None, half: str | None) -> int | None:
    if hour is None or minute is None:
        return 0
    h, m, s = int(hour), int(minute), int(second or 0)
    if half:
        h = h % 12 + (12 if half.lower() == "pm" else 0)
    return 3600 * h + 60 * m + s if h <= 23 and m <= 59 and s <= 59 else None


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
        if (stamp.family, stamp.separator) != (stamps[0].family, stamps[0].separator):
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
            f"month (a date with dots is read as day.month.year). {_WRITE_ISO}"
        )
    if not day_first and not month_first:
        raise DataError(
            f"Date {shown(texts[0])} is ambiguous: no date in the file has a day above 12, so day and month "
            f"cannot be told apart. {_WRITE_ISO}"
        )
    return month_first is None


def _zone_note(texts: list[str], stamps: list[_Stamp], rows: int) -> list[Note]:
    """Drop the zone, keeping the local date; offsets an hour apart are one zone's summer and winter."""
    zoned = [(s.zone, t) for t, s in zip(texts, stamps, strict=True) if s.zone is not None]
    if not zoned:
        return []
    if len(zoned) != len(stamps):
        bare = next(t for t, s in zip(texts, stamps, strict=True) if s.zone is None)
        raise DataError(f"Dates mix time zones: {shown(zoned[0][1])} has one, {shown(bare)} has none. {_WRITE_ISO}")
    low, high = min(zoned), max(zoned)
    if high[0] - low[0] > 60:
        raise DataError(
            f"Dates mix time zones: {shown(low[1])} and {shown(high[1])} are more than an hour apart, so "
            f"they are not summer and winter time of one place. {_WRITE_ISO}"
        )
    text = "the time zone of the dates was dropped; each row keeps the date as written"
    return [Note("repaired", "time_zone", "", "", rows, text)]


def _moment(year: int, month: int, day: int, seconds: int, text: str, code: int, codes: np.ndarray) -> dt.datetime:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise DataError(
            f"{_place(code, codes)}: date {shown(text)} has the year {year}, outside "
            f"{FIRST_YEAR}-{LAST_YEAR}. Correct or remove the row."
        )
    try:
        return dt.datetime(year, month, day) + dt.timedelta(seconds=seconds)
    except ValueError:
        raise DataError(
            f"{_place(code, codes)}: {shown(text)} is a date that no calendar has. Correct or remove the row."
        ) from None
