"""The small tables that a config names beside its prices: pairs, members of an index, borrow rates."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pandas as pd

from pairs_bt.errors import DataError

MAX_TABLE_BYTES = 200_000_000


def read_table(path: str, columns: tuple[str, ...], key: str) -> pd.DataFrame:
    """Read a small CSV of text columns named by a config key (tickers such as NA and ON stay text)."""
    try:
        # From memory: pandas itself would fetch an address, unpack an archive and wait for a pipe.
        table = pd.read_csv(
            io.BytesIO(_small_file(Path(path))), dtype=str, keep_default_na=False, skipinitialspace=True,
            encoding="utf-8-sig",
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise DataError(
            f"{key} = {path!r} cannot be read as CSV: {error}. Give a file with columns {columns}."
        ) from None
    table.columns = table.columns.str.strip()
    lacking = [name for name in columns if name not in table.columns]
    if lacking:
        raise DataError(f"{key}: {path} has columns {list(table.columns)} and lacks {lacking}.")
    return table


def _small_file(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise ValueError("it is a folder, a device or a pipe")
    if path.stat().st_size > MAX_TABLE_BYTES:
        raise ValueError(f"it has {path.stat().st_size:,} bytes; the limit is {MAX_TABLE_BYTES:,}")
    return path.read_bytes()


def read_membership(path: str) -> pd.DataFrame:
    """Point-in-time membership: ticker, start, end; an empty end means still a member."""
    table = read_table(path, ("ticker", "start", "end"), "universe.membership")
    for column, fallback in (("start", "0001-01-01"), ("end", "9999-12-31")):
        text = table[column].where(table[column] != "", fallback)
        try:
            table[column] = text.to_numpy(dtype="U10").astype("datetime64[D]")
        except ValueError as error:
            raise DataError(f"universe.membership: {path}, column {column}: {error}. Dates are YYYY-MM-DD.") from None
    return table


def read_borrow(path: str, tickers: list[str]) -> tuple[dict[str, float], str]:
    """Annual basis points by ticker of a borrow table, and what is wrong with it in one line; '' for nothing."""
    table = read_table(path, ("ticker", "borrow_bps"), "execution.borrow_table")
    known = set(tickers)
    rates: dict[str, float] = {}
    problems = []
    for name, text in zip(table["ticker"], table["borrow_bps"], strict=True):
        try:
            rate = float(text)
        except ValueError:
            rate = math.nan
        if name not in known:
            problems.append(f"ticker {name!r} is not among the prices")
        elif not (math.isfinite(rate) and rate >= 0):
            problems.append(f"{name!r} has borrow_bps {text!r}, which is not a number of at least 0")
        else:
            rates[name] = rate
    return rates, f"execution.borrow_table = {path!r}: " + "; ".join(problems[:20]) if problems else ""
