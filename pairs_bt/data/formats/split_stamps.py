"""Dates and times in two columns (Stooq's within the day, many brokers') to one column of stamps."""

from __future__ import annotations

import re
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from pairs_bt.data.formats.column_names import is_date, plain
from pairs_bt.data.formats.number_parsing import Note, shown
from pairs_bt.data.sources import Columns
from pairs_bt.errors import DataError

__all__ = ["join_times"]

_CLOCK = r"^[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?$"
_MIDNIGHT = r"^(00:00:00(\.0+)?|0?0:00|0|000000|0000)$"


def join_times(source: Columns) -> Columns:
    """Join a column of times to the dates beside it.

    Parameters
    ----------
    source : Columns
        As read, wide or long.

    Returns
    -------
    Columns
        The same when there are no two such columns, or the dates have their times already.

    Raises
    ------
    DataError
        For times that are neither hours and minutes nor four or six digits.
    """
    date = next((j for j in range(source.width) if is_date(source.label(j))), None)
    time = next((j for j in range(source.width) if plain(source.label(j)) == "time"), None)
    if date is None or time is None or not source.rows:
        return source
    days, clock = _text(source.columns[date], day=True), _text(source.columns[time], day=False)
    sure = source.label(time).strip() != "TIME" or re.match(_CLOCK, str(clock[0].as_py() or ""))
    # TIME is a ticker, too, and its prices are no times.
    if not sure or ":" in str(days[0].as_py()):
        return source
    joined = days
    note: tuple[Note, ...] = ()
    if not pc.all(pc.match_substring_regex(clock, _MIDNIGHT)).as_py():
        joined = pc.binary_join_element_wise(days, _written_out(clock, source, time), " ")
        text = f"times in column {shown(source.label(time))} were joined to the dates"
        note = (Note("repaired", "joined_times", "", "", source.rows, text),)
    kept = [j for j in range(source.width) if j != time]
    columns = [joined if j == date else source.columns[j] for j in kept]
    at = date if source.date_column == time else source.date_column
    return replace(
        source,
        names=tuple(source.names[j] for j in kept),
        columns=tuple(columns),
        date_column=kept.index(at),
        notes=(*source.notes, *note),
    )


def _text(column: pa.ChunkedArray, *, day: bool) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if day and pa.types.is_timestamp(column.type):
        column = pc.cast(column, pa.date32(), safe=False)
    return pc.utf8_trim_whitespace(pc.cast(column, pa.string()))


def _written_out(clock: pa.ChunkedArray, source: Columns, time: int) -> pa.ChunkedArray:
    """Times as HH:MM or HH:MM:SS; digits may have lost their first zero."""
    if pc.all(pc.match_substring_regex(clock, _CLOCK)).as_py():
        return clock
    for digits, lengths, parts in ((6, "{5,6}", r"\1:\2:\3"), (4, "{3,4}", r"\1:\2")):
        if pc.all(pc.match_substring_regex(clock, rf"^([0-9]{lengths}|0)$")).as_py():
            padded = pc.utf8_lpad(clock, digits, "0")
            return pc.replace_substring_regex(padded, "^" + "([0-9]{2})" * (digits // 2) + "$", parts)
    wrong = pc.index(pc.match_substring_regex(clock, rf"{_CLOCK}|^[0-9]{{6}}$"), False).as_py()
    cell = clock[max(wrong, 0)].as_py()
    raise DataError(
        f"Prices {shown(source.name)} have dates and, in column {shown(source.label(time))}, times; {shown(cell)} in "
        f"data row {max(wrong, 0) + 1} cannot be read with the others. Write all times as HH:MM:SS, or drop the column."
    )
