"""Tables as CSV text that a spreadsheet shows and never runs."""

from __future__ import annotations

import pandas as pd

# A spreadsheet takes a cell that begins with one of these for a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(table: pd.DataFrame) -> str:
    """Write a table as CSV text; text cells and column names that look like formulas get an apostrophe in front.

    Numbers stay as they are: a minus sign before a digit is a number, in a column of numbers.
    """
    safe = table.copy()
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]) and not pd.api.types.is_datetime64_any_dtype(safe[name]):
            safe[name] = safe[name].astype("str").map(_quoted, na_action="ignore")
    safe.columns = [_quoted(str(name)) for name in safe.columns]
    return safe.to_csv(index=False, lineterminator="\n")


def _quoted(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
