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
_SAMPLE = 200

# What a price cell may hold when there is no price (Excel, Bloomberg, FRED and pandas spellings).
NO_PRICE = pa.array(["", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "NaN", "nan", "NAN", "NULL", "null", "None", "-", "."])

_PLAIN = r"^[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$"
_DOT_GROUPED = r"^[-+]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?$"  # 1,234.50
_COMMA_DECIMAL = r"^[-+]?([0-9]{1,3}(\.[0-9]{3})+|[0-9]+)(,[0-9]*)?$"  # 1.234,50 or 12,5
_SAYS_DOT = r",[0-9]{3}[.,]|^[-+]?[0-9]*\.[0-9]*([eE][-+]?[0-9]+)?$"
# What may be twelve thousand or twelve: 12.042. A dot in any other place marks decimals.
_THREE_PLACES = r"^[-+]?[1-9][0-9]{0,2}\.[0-9]{3}$"
_ONE_GROUP = r"^[-+]?[1-9]\.[0-9]{3}$"
_OTHER_DOT = r",[0-9]{3}\.|^[-+]?([0-9]*\.([0-9]{0,2}|[0-9]{4,})|(0[0-9]*|[0-9]{4,})?\.[0-9]{3}|[0-9]*\.[0-9]*[eE].*)$"
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


def _comma_is_decimal(columns: list[pa.ChunkedArray], european: bool) -> bool:
    """Decide which mark is the decimal one, from all cells together."""
    with_comma = _first_match(columns, r"[0-9],|,[0-9]|\.[0-9]{3}\.")
    if with_comma is None:
        return False
    says_dot = _first_match(columns, _OTHER_DOT if european else _SAYS_DOT)
    says_comma = _first_match(columns, _SAYS_COMMA) or (_crossing(columns) if european else None)
    if says_dot and says_comma:
        raise _mixed(says_dot, f"{shown(says_comma)} a comma")
    if not says_dot and not says_comma:
        raise DataError(
            f"Price {shown(with_comma)} is ambiguous: nothing in the file tells whether its comma marks "
            "decimals or thousands. Write prices with a decimal dot and without thousands separators."
        )
    return says_comma is not None


def _mixed(says_dot: str, other: str) -> DataError:
    return DataError(
        f"Prices mix decimal marks: {shown(says_dot)} uses a dot, {other}. Write every price with a decimal dot and "
        "without thousands separators."
    )


def _crossing(columns: list[pa.ChunkedArray]) -> str | None:
    """Cell like 1.012 in a column that also has one like 985: such a price has crossed a thousand."""
    for column in columns:
        if _first_match([column], r"^[-+]?[1-9][0-9]{2}$") and (cell := _first_match([column], _ONE_GROUP)):
            return cell
    return None


def _dot_is_thousands(columns: list[pa.ChunkedArray], european: bool) -> bool:
    """Decide what the dot of 12.042 is where no cell has a comma.

    Three decimals are ordinary where columns are separated by commas and dates are not written with dots: there only
    a column that mixes 985 and 1.012 is in doubt. It is refused and not settled, as the rows before read as decimals.
    """
    if not european and _first_match([column.slice(0, _SAMPLE) for column in columns], _OTHER_DOT):
        return False  # most files: settled by their first rows
    dotted = _first_match(columns, _THREE_PLACES)
    if dotted is None:
        return False
    other = _first_match(columns, _OTHER_DOT)
    if not european:
        doubtful = None if other else _crossing(columns)
        if doubtful is None:
            return False
        dotted = doubtful
    elif crossing := _crossing(columns):
        if other:
            raise _mixed(other, f"and in {shown(crossing)} the dot marks thousands, as its column has whole hundreds")
        return True
    elif other:
        return False
    raise DataError(
        f"Price {shown(dotted)} is ambiguous: nothing in the file tells whether its dot marks decimals or thousands. "
        "Write prices without thousands separators (12042), or with another number of decimals than three (12.0420)."
    )


def parse_numbers(
    columns: list[pa.ChunkedArray], european: bool = False
) -> tuple[list[np.ndarray], list[BadCell], list[Note]]:
    """Read columns of text as prices.

    Parameters
    ----------
    columns : list of pyarrow.ChunkedArray
        String columns of equal length.
    european : bool
        Whether semicolons between columns, or dates with dots, say that a dot may mark thousands.

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
        values = [_as_float(column) for column in cells]
    except pa.ArrowInvalid:
        return _parse_with_marks(cells, european)
    if not _dot_is_thousands(cells, european):
        return values, [], []
    grouped = [pc.match_substring_regex(column, _THREE_PLACES) for column in cells]
    whole = [
        _as_float(pc.if_else(marked, pc.replace_substring(column, ".", ""), column))
        for marked, column in zip(grouped, cells, strict=True)
    ]
    return whole, [], _mark_notes(False, sum(int(pc.sum(marked).as_py() or 0) for marked in grouped))


def _parse_with_marks(
    cells: list[pa.ChunkedArray], european: bool
) -> tuple[list[np.ndarray], list[BadCell], list[Note]]:
    comma = _comma_is_decimal(cells, european)
    if not comma and _first_match(cells, r"[0-9],|,[0-9]") is None and _dot_is_thousands(cells, european):
        comma = True  # with a cell that is no number among them: dots are taken out in the same way
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
