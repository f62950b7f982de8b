"""An inventory: shares by ticker, read and checked before anything is done with it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.common.array_checks import LARGEST
from pairs_bt.data.formats.number_parsing import shown
from pairs_bt.errors import DataError

__all__ = ["Position", "positions_from_csv", "read_positions"]

_COLUMNS = ("ticker", "shares", "instrument", "date")
# What brokers call the two that must be there.
_ALSO = {"ticker": ("symbol",), "shares": ("quantity", "qty", "position")}
_MAX_BYTES = 50_000_000


@dataclass(frozen=True)
class Position:
    """Shares of one ticker.

    Attributes
    ----------
    ticker : str
    shares : float
        Below 0 for a short position.
    instrument : str
        What it is to be hedged with; empty where the instrument of the whole book is.
    """

    ticker: str
    shares: float
    instrument: str = ""


def positions_from_csv(path: Path) -> pd.DataFrame:
    """Read ``inventory.csv`` as text: every cell is judged by `read_positions`.

    Raises
    ------
    DataError
        A file that is missing or no CSV.
    """
    try:
        if not path.is_file():
            raise ValueError("there is no such file")
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"it has {path.stat().st_size:,} bytes; the limit is {_MAX_BYTES:,}")
        table = pd.read_csv(
            io.BytesIO(data := path.read_bytes()), dtype=str, keep_default_na=False, skipinitialspace=True,
            encoding="utf-8-sig", sep=_separator(data),
        )  # fmt: skip
    except (OSError, ValueError) as error:
        text = str(error).split("\n")[0]
        raise DataError(
            f"The positions {shown(str(path), 200)} cannot be read as CSV: {text}. Give a file with the columns "
            "ticker and shares, and where wanted instrument and date."
        ) from None
    table.columns = [str(name).strip() for name in table.columns]
    return table


def _separator(data: bytes) -> str:
    """Comma, semicolon, tab or bar, whichever the first line has most of; the comma where it has none."""
    head = data.split(b"\n", 1)[0].decode(errors="replace")
    return max(",;\t|", key=head.count)


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """The same with the names that are known for ticker and shares, where the table has not those themselves."""
    have = {str(name).strip().lower() for name in frame.columns}
    wanted = {}
    for name in frame.columns:
        low = str(name).strip().lower()
        for target, others in _ALSO.items():
            if low in (target, *others) and (low == target or target not in have):
                wanted[name] = target
    return frame.rename(columns=wanted)


def read_positions(positions: Any, tickers: Sequence[str], last_bar: str) -> list[Position]:
    """Check an inventory against the tickers and the last bar of a matrix.

    Parameters
    ----------
    positions : DataFrame, Series or mapping
        Columns ticker and shares, and where wanted instrument and date; or shares by ticker.
    tickers : sequence of str
        Those that there are.
    last_bar : str
        Date of the last prices; a position dated after it is not of these prices.

    Raises
    ------
    DataError
        Naming the row, the value, the rule and what to do.
    """
    table = _as_table(positions)
    known = set(tickers)
    out: list[Position] = []
    seen: dict[str, int] = {}
    for row, cells in enumerate(table.to_dict("records"), start=1):
        where = f"Row {row} of the positions"
        ticker = _text(cells.get("ticker"))
        if not ticker:
            raise DataError(f"{where} has no ticker. Fill it in, or leave the row out.")
        if ticker not in known:
            raise DataError(
                f"{where} has the ticker {shown(ticker)}, which is not in the matrix ({shown(', '.join(tickers))}). "
                "Names must match to the letter; make the matrix again from prices that have it, or leave the row out."
            )
        if ticker in seen:
            raise DataError(
                f"{where} has the ticker {shown(ticker)} again, after row {seen[ticker]}. A book holds a ticker once: "
                "add the shares up."
            )
        seen[ticker] = row
        _check_date(where, cells.get("date"), last_bar)
        out.append(Position(ticker, _shares(where, ticker, cells.get("shares")), _text(cells.get("instrument"))))
    if not out:
        raise DataError("The positions have no row. Give at least one ticker with its shares.")
    return out


def _as_table(positions: Any) -> pd.DataFrame:
    if isinstance(positions, (Mapping, pd.Series)):
        items = list(positions.items())
        return pd.DataFrame(
            {"ticker": [name for name, _ in items], "shares": pd.Series([n for _, n in items], dtype=object)}
        )
    if not isinstance(positions, pd.DataFrame):
        raise DataError(
            f"The positions are a {type(positions).__name__}. Pass a frame with the columns ticker and shares, or a "
            "mapping of shares by ticker."
        )
    positions = _named(positions)
    names = [str(name) for name in positions.columns]
    lacking = [name for name in _COLUMNS[:2] if name not in names]
    if lacking or len(set(names)) < len(names):
        what = f"lack {' and '.join(lacking)}" if lacking else "have a column twice"
        raise DataError(
            f"The positions have the columns {shown(', '.join(names))} and {what}. They need ticker and shares (or "
            "symbol and quantity), and take instrument and date: rename them."
        )
    return positions


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NA or value is pd.NaT:
        return ""
    return str(value).strip()


def _shares(where: str, ticker: str, value: Any) -> float:
    text = _text(value)
    try:
        if isinstance(value, (bool, np.bool_)):
            raise ValueError
        number = float(text.replace("\N{MINUS SIGN}", "-")) if "_" not in text else float("nan")
    except ValueError:
        number = float("nan")
    if not np.isfinite(number) or abs(number) > LARGEST:
        raise DataError(
            f"{where} has {shown(text) if text else 'nothing'} as the shares of {shown(ticker)}, which is no number. "
            "Write a plain number without separators, below 0 for a short position: -250."
        )
    return number


def _check_date(where: str, value: Any, last_bar: str) -> None:
    text = _text(value)
    if not text:
        return
    try:
        day = np.datetime64(date.fromisoformat(text[:10]), "D")
    except ValueError:
        raise DataError(f"{where} has the date {shown(text)}. Write it as YYYY-MM-DD, or leave it empty.") from None
    if day > np.datetime64(last_bar, "D"):
        raise DataError(
            f"{where} is dated {day}, after the last prices, {last_bar}: no ratio or price here is of that day. Update "
            "the matrix first (--update), or give the positions of that day's eve."
        )
