"""Cells of text to prices, by rules that never guess; and the note that every repair leaves.

A cell that could be read in two ways (``1,234``, where a comma may be either mark) is settled by the other
cells of the table, and refused when they do not settle it. So a table cut short is either read the same way
as the whole one or refused: later rows never change how earlier ones are read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairs_bt.errors import DataError

__all__ = ["BadCell", "Note", "counted", "parse_numbers", "shown"]

MAX_BAD_CELLS = 10_000

# What a price cell may hold when there is no price (Excel, Bloomberg, FRED and pandas spellings).
NO_PRICE = pa.array(["", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "NaN", "nan", "NAN", "NULL", "null", "None", "-", "."])

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
class BadCell:
    """A cell that is neither a number nor a known word for no price."""

    row: int
    column: int
    text: str


def counted(count: int, noun: str) -> str:
    """Number and noun for a message: 1 row, 2 rows."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def shown(value: object, limit: int = 40) -> str:
    """Quote a value of the user's for a message: escaped, and cut when long."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


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
            "every price with a decimal dot and without thousands separators."
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
                f"row {bad[0].row + 1}. Prices must be plain numbers, one column for each ticker."
            )
        changed += int(pc.sum(pc.and_(readable, pc.not_equal(text, lower))).as_py() or 0)
        values.append(_as_float(pc.if_else(readable, text, pa.scalar(None, text.type))))
    return values, bad, _mark_notes(comma, changed)


def _mark_notes(comma: bool, changed: int) -> list[Note]:
    if not changed:
        return []
    if comma:
        text = f"{counted(changed, 'price')} with a decimal comma read as such"
        return [Note("repaired", "decimal_comma", "", "", changed, text)]
    text = f"thousands separators were removed from {counted(changed, 'price')}"
    return [Note("repaired", "thousands_separator", "", "", changed, text)]
