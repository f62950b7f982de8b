"""What the columns of a price table are called: dates, tickers, and the fields of a bar."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pairs_bt.data.formats.number_parsing import shown
from pairs_bt.errors import DataError

__all__ = [
    "DATE_NAMES",
    "OTHER_PRICES",
    "OTHER_TICKER_NAMES",
    "TICKER_NAMES",
    "field_of",
    "is_date",
    "is_ticker",
    "pick",
    "plain",
    "split_joined",
]

DATE_NAMES = ("date", "dates", "datetime", "timestamp", "ts event", "dtyyyymmdd", "window start")
TICKER_NAMES = ("ticker", "tickers", "symbol", "symbols", "sym")
# What names the row's ticker where no column of the names above does.
OTHER_TICKER_NAMES = ("asset", "isin", "security", "instrument", "name")
# Prices of a long table without a close. Not fields of a wide one: "US Value" is an index.
OTHER_PRICES = ("px last", "last", "settle", "settlement", "px", "prc", "value")

# Spelling (see `plain`) to field. Only the first four are prices that a study may want without being told.
_FIELDS = {
    "adj close": "adj close",
    "adjclose": "adj close",
    "adjusted close": "adj close",
    "close adj": "adj close",
    "close adjusted": "adj close",
    "close": "close",
    "price": "price",
    "px last": "px last",
    **{name: name for name in ("open", "high", "low", "volume", "dividends", "stock splits", "capital gains")},
    "vol": "volume",
    "turnover": "turnover",
    "dividend": "dividends",
    "split": "stock splits",
    "splits": "stock splits",
    "openint": "open interest",
    "open interest": "open interest",
    "adj open": "adj open",
    "adj high": "adj high",
    "adj low": "adj low",
    "adj volume": "adj volume",
    "vwap": "vwap",
}
_WANTED = ("adj close", "close", "price", *OTHER_PRICES)
_MARKS = re.compile(r"[ _.:|/-]+")


def plain(name: str) -> str:
    """Lower case, one space between words, without Stooq's angle brackets: ``<TS_EVENT>`` is ``ts event``."""
    return _MARKS.sub(" ", name.strip().strip("<>").lower()).strip()


def field_of(name: str) -> str | None:
    """Field that a column's name says, in its common spelling, or None.

    >>> field_of("Adj_Close"), field_of("<VOL>"), field_of("KO")
    ('adj close', 'volume', None)
    """
    return _FIELDS.get(plain(name))


def is_date(name: str) -> bool:
    """Whether a column's name says that it holds dates."""
    return plain(name) in DATE_NAMES


def is_ticker(name: str) -> bool:
    """Whether a column's name says that it holds tickers."""
    return plain(name) in TICKER_NAMES


def pick(found: Iterable[str], field: str | None, where: str) -> str:
    """Field to take out of those that there are: the one asked for, else adjusted close, close, price, last, ...

    Raises
    ------
    DataError
        When the table has no such field.
    """
    have = list(dict.fromkeys(found))
    wanted = [_FIELDS.get(plain(field), plain(field))] if field else list(_WANTED)
    for name in wanted:
        if name in have:
            return name
    asked = f"field {shown(field)} was asked for" if field else "none of them is a close"
    raise DataError(
        f"Prices {where} have the fields {', '.join(have)}, and {asked}. Name one of them: read_prices(source, "
        f"field={(have or ['close'])[0]!r}) in Python, --set data.field={shown((have or ['close'])[0])} on the command "
        "line."
    )


def split_joined(name: str) -> tuple[str, str] | None:
    """Field and ticker of a name that joins the two: ``High KO``, ``KO_adj_close``; None for any other name.

    >>> split_joined("High KO"), split_joined("BRK-B.Adj Close"), split_joined("BRK-B")
    (('high', 'KO'), ('adj close', 'BRK-B'), None)
    """
    marks = list(_MARKS.finditer(name.strip()))
    text = name.strip()
    for words in (2, 1):
        if len(marks) < words:
            continue
        first, last = marks[words - 1], marks[-words]
        for part, rest in ((text[: first.start()], text[first.end() :]), (text[last.end() :], text[: last.start()])):
            field = field_of(part)
            if field and rest:
                return field, rest
    return None
