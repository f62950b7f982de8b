"""Columns of a wide table that are no tickers: fields beside prices, row numbers, counts.

Read as a ticker, the volume of one would be scanned and traded as a price. Only names decide: a name that is a field in
common writing is refused, and a real ticker of that name (LOW, OPEN) is told by its capitals.
"""

from __future__ import annotations

import re

from pairs_bt.data.formats.column_names import field_of, is_date, plain, split_joined
from pairs_bt.data.formats.number_parsing import shown
from pairs_bt.data.sources import Columns
from pairs_bt.errors import DataError

__all__ = ["refuse_fields_beside_prices"]

# In capitals these are tickers (Lowe's, Opendoor, Highstreet), unless three of them stand together.
_TICKERS_TOO = {"open", "high", "low"}
# What stands in tables of prices and is no field of a bar; in capitals each may be a ticker (DAY is one).
_OTHER_WORDS = {
    *("return", "returns", "ret", "change", "change %", "chg", "chg %", "change pct", "pct change", "trades", "count"),
    *("trade count", "transactions", "year", "month", "day", "weekday", "market cap", "marketcap"),
}
_ROW_NUMBER = re.compile(r"Unnamed: \d+(_level_\d+)?|index|Index|level_\d+|__index_level_\d+__|row|#")
# Joined to another word these say a field; "High Yield" and "Low Vol" are names of indices.
_SAYS_LITTLE = {"open", "high", "low", "price"}
_NO_PRICE = {"volume", "dividends", "stock splits", "capital gains", "open interest", "turnover", "adj volume"}


def refuse_fields_beside_prices(source: Columns) -> None:
    """Refuse a wide table with a column that its name calls a field, a row number or a count.

    Parameters
    ----------
    source : Columns
        A table that is neither long, nor the bars of one ticker, nor one of joined names.

    Raises
    ------
    DataError
        Naming the column, why it is no ticker, and what to do.
    """
    at = source.date_column
    named = [source.label(j).strip() for j in range(source.width) if j != at]
    if len(named) < 2:
        return
    first = source.label(at).strip()
    if (not first or _ROW_NUMBER.fullmatch(first)) and any(is_date(name) for name in named):
        raise DataError(
            f"Prices {shown(source.name)} begin with the column {shown(first)}, which is a row number, and have dates "
            f"in another. Drop it: frame.drop(columns=[{first!r}]), or write the file with to_csv(..., index=False)."
        )
    strays = _bare(named) or _joined_names(named)
    if not strays:
        return
    names = list(strays)
    reason = strays[names[0]]
    others = [name for name in named if name not in strays]
    beside = f", beside {shown(others[0])}" if others else ""
    raise DataError(
        f"Prices {shown(source.name)} mix fields with prices: column {shown(names[0])}{beside}, {reason}, not a "
        f"ticker's prices. Drop what is no price: frame.drop(columns={shown(names, 200)}); a ticker of that name must "
        "be named otherwise (LOW and OPEN in capitals are tickers). Several fields of each ticker go into a folder "
        "with one file for each, or into a long table (date, ticker, close, volume)."
    )


def _bare(named: list[str]) -> dict[str, str]:
    """Columns whose whole name is a field, a row number or a count, with the reason."""
    capitals = {field_of(name) for name in named if name.isupper()}
    together = len(capitals & {*_TICKERS_TOO, "close"}) >= 3
    found = {}
    for name in named:
        field = field_of(name)
        if _ROW_NUMBER.fullmatch(name):
            found[name] = "is a row number that was left in the table"
        elif field and not (name.isupper() and field in _TICKERS_TOO and not together):
            found[name] = f"is called as a field ({field})"
        elif plain(name) in _OTHER_WORDS and not name.isupper():
            found[name] = "is called as a quantity of the day"
    return found


def _joined_names(named: list[str]) -> dict[str, str]:
    """Columns that join a field to a ticker (``KO Volume``), unless all are the same kind of price."""
    parts = {name: split for name in named if (split := split_joined(name))}
    fields = {field for field, _ in parts.values()}
    if len(parts) == len(named) and len(fields) == 1 and not fields & _NO_PRICE:
        return {}
    bases: dict[str, set[str]] = {}
    for field, base in parts.values():
        bases.setdefault(base, set()).add(field)
    found = {}
    for name, (field, base) in parts.items():
        little = field in _SAYS_LITTLE or (field == "volume" and "volume" not in plain(name).split())
        if not little or base in named or len(bases[base]) > 1:
            found[name] = f"is called as the field {field} of {shown(base)}"
    return found
