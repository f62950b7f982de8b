"""What comes in with new rows of a matrix, and what is said about it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.data.formats.number_parsing import counted, shown
from pairs_bt.errors import DataError

__all__ = ["UpdateReport", "as_frame", "name_gaps"]


@dataclass(frozen=True)
class UpdateReport:
    """What an update did.

    Attributes
    ----------
    dates : tuple of str
        The bars that were added.
    missing : dict
        Tickers without a value by date; their pairs stand as they stood, and keep their last date.
    unknown : tuple of str
        Tickers of the rows that the matrix does not hold; they were left out.
    gaps : tuple of str
        Weekdays for which there is no bar, one line for each gap.
    """

    dates: tuple[str, ...]
    missing: dict[str, tuple[str, ...]]
    unknown: tuple[str, ...]
    gaps: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """One line for each thing that a person should know."""
        lines = list(self.gaps)
        for date, tickers in self.missing.items():
            lines.append(f"no value on {date}, their pairs are skipped: {', '.join(tickers)}")
        if self.unknown:
            lines.append(f"not in the matrix, left out (a new fit adds them): {', '.join(self.unknown)}")
        return tuple(lines)


def as_frame(rows: pd.Series | pd.DataFrame) -> pd.DataFrame:
    """A Series by ticker, whose name is its date, as a frame of one row; a frame as it is."""
    if not isinstance(rows, pd.Series):
        return rows
    if not isinstance(rows.name, (str, pd.Timestamp, np.datetime64)) and not hasattr(rows.name, "isoformat"):
        raise DataError(
            f"The new bar is a Series named {shown(rows.name)}; its name must be its date. Pass prices.loc[date], or "
            "set name='2024-01-31'."
        )
    return rows.to_frame().T.infer_objects()


def name_gaps(days: Any) -> tuple[str, ...]:
    """One line for each place where weekdays lie between consecutive days."""
    lines = []
    for before, after in pairwise(days):
        absent = int(np.busday_count(before + 1, after))
        if absent:
            lines.append(
                f"no bar on {counted(absent, 'weekday')} between {before} and {after} (a holiday, or a gap in the "
                "data); the two are treated as consecutive"
            )
    return tuple(lines)
