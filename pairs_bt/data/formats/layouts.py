"""Which column is what: any layout of prices to a plain wide table, or to a long one of three columns.

A table of several fields (open, high, low, close, volume) is reduced to one of them, and a note says which. What a
name does not say is not guessed: a table that mixes fields is refused with the way out. Names decide alone, so later
rows never change how earlier ones are read; the one look at values (high >= close >= low) can only refuse.
"""

from __future__ import annotations

import ast
from dataclasses import replace

import numpy as np
import pyarrow as pa

from pairs_bt.data.formats.column_names import (
    OTHER_PRICES,
    OTHER_TICKER_NAMES,
    field_of,
    is_date,
    is_ticker,
    pick,
    plain,
    split_joined,
)
from pairs_bt.data.formats.number_parsing import Note, shown
from pairs_bt.data.formats.split_stamps import join_times
from pairs_bt.data.formats.stray_columns import refuse_fields_beside_prices
from pairs_bt.data.formats.wide_table import LONG, holds_words, numbers_of, refuse_long
from pairs_bt.data.sources import Columns
from pairs_bt.errors import DataError

__all__ = ["as_long", "bar_fields", "constant", "field_note", "settle"]

# High >= close >= low in this share of the rows, or the names do not mean what they say.
ORDERED = 0.95
_ROUNDING = 1e-4  # adjusted closes are rounded on their own
_LONGEST_TUPLE = 300


def settle(source: Columns, field: str | None) -> Columns:
    """Reduce a table of any layout to one price for each date and ticker.

    Parameters
    ----------
    source : Columns
        As read.
    field : str or None
        The field to take; None takes adjusted closes, else closes.

    Returns
    -------
    Columns
        Wide (dates and one column a ticker), or long with the names date, ticker, close; with a note on the field.
    """
    source = join_times(_with_levels(source))
    if any(isinstance(name, tuple) for name in source.names):
        return _one_level(source, field)
    long = as_long(source, field)
    if long is not None:
        return long
    if source.names != LONG:
        refuse_long(source)
    fields = bar_fields(source)
    if fields and ({"high", "low"} <= set(fields) or source.width - 1 < len(fields) + 2):
        _refuse_one_ticker(source, list(fields))
    joined = _joined(source, field)
    if joined is not None:
        return joined
    refuse_fields_beside_prices(source)
    if field:
        text = (
            f"field {shown(field)} was asked for, and the table has no fields: its one price for each ticker was taken"
        )
        return replace(source, notes=(*source.notes, Note("flagged", "no_fields", "", "", 1, text)))
    return source


def as_long(source: Columns, field: str | None) -> Columns | None:
    """Columns date, ticker, close of a long table; None when a date, a ticker or a field has no column."""
    names = [name if isinstance(name, str) else "" for name in source.names]
    date = next((j for j, name in enumerate(names) if is_date(name)), None)
    if date is None:
        date = next((j for j, name in enumerate(names) if plain(name) == "time"), None)
    ticker = next((j for j, name in enumerate(names) if is_ticker(name)), None)
    if ticker is None:
        ticker = next((j for j, name in enumerate(names) if _names_tickers(source, j, plain(name))), None)
    fields: dict[str, int] = {}
    for j, name in enumerate(names):
        if found := field_of(name):
            fields.setdefault(found, j)
        elif plain(name) in OTHER_PRICES:
            fields.setdefault(plain(name), j)
    if date is None or ticker is None or not fields:
        return None
    taken = pick(fields, field, shown(source.name))
    at = (date, ticker, fields[taken])
    notes = field_note(taken, [names[j] for j in fields.values()], names[fields[taken]])
    columns = tuple(source.columns[j] for j in at)
    return replace(source, names=LONG, columns=columns, date_column=0, notes=(*source.notes, *notes), taken=taken)


def _names_tickers(source: Columns, j: int, name: str) -> bool:
    """Whether a column with a name such as asset or isin holds text that is no number: a ticker may be called so."""
    return name in OTHER_TICKER_NAMES and holds_words(source.columns[j])


def bar_fields(source: Columns) -> dict[str, int]:
    """Positions of the fields when the table holds the bars of one ticker; empty when it does not."""
    found: dict[str, int] = {}
    for j, name in enumerate(source.names):
        if j != source.date_column and isinstance(name, str) and (field := field_of(name)):
            found.setdefault(field, j)
    closes = {"close", "adj close"} & set(found)
    if {"price", "high", "low"} <= set(found):
        closes.add("price")  # Investing.com calls the close so
    # No ticker is called CLOSE; LOW and OPEN are tickers, and alone they say nothing.
    return found if closes and len(found) > 1 else {}


def field_note(taken: str, found: list[str], label: str) -> list[Note]:
    """Say which of several fields was taken."""
    if len(found) < 2:
        return []
    text = f"field {shown(label)} was taken out of {', '.join(found)}"
    if taken in ("close", "price"):
        text += "; there is no adjusted close, so make sure that this one is adjusted"
    return [Note("taken", "field", "", "", len(found), text)]


def _refuse_one_ticker(source: Columns, fields: list[str]) -> None:
    raise DataError(
        f"Prices {shown(source.name)} hold the bars of one ticker ({', '.join(fields)}), and a pair needs two. Put one "
        "such file for each ticker in a folder and give the folder (the file's name is the ticker), or add a column "
        "`ticker` and join the tables: pd.concat([ko.assign(ticker='KO'), pep.assign(ticker='PEP')])."
    )


# ------------------------------------------------------------------------------------------- levels of columns


def _with_levels(source: Columns) -> Columns:
    """Undo what `DataFrame.to_parquet` makes of levels: the text ``('Close', 'KO')``."""
    names = [_as_tuple(name) if isinstance(name, str) else name for name in source.names]
    if not any(isinstance(name, tuple) for name in names):
        return source
    date = source.date_column
    named = next((j for j, n in enumerate(names) if is_date(n if isinstance(n, str) else n[0])), date)
    return replace(source, names=tuple(names), date_column=named)


def _as_tuple(name: str) -> str | tuple[str, ...]:
    if not (name.startswith(("('", '("')) and name.endswith(")") and len(name) <= _LONGEST_TUPLE):
        return name
    try:
        parts = ast.literal_eval(name)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return name
    return parts if isinstance(parts, tuple) and all(isinstance(part, str) for part in parts) else name


def _one_level(source: Columns, field: str | None) -> Columns:
    at = source.date_column
    others = [j for j in range(source.width) if j != at]
    paths = [name if isinstance(name := source.names[j], tuple) else (name,) for j in others]
    depth = max(len(path) for path in paths)
    if depth != 2 or any(len(path) != depth for path in paths):
        raise DataError(
            f"Prices {shown(source.name)} have columns of {depth} levels, such as {shown(max(paths, key=len))}; a "
            "field and a ticker are needed. Select one field first: frame['Close']."
        )
    level = _field_level(paths, source.name)
    groups: dict[str, dict[str, int]] = {}
    labels: dict[str, str] = {}
    for j, path in zip(others, paths, strict=True):
        name = field_of(path[level]) or path[level].strip()
        labels.setdefault(name, path[level])
        if name in groups.setdefault(path[1 - level], {}):
            raise DataError(
                f"Prices {shown(source.name)} have {shown(path)} twice among the columns. Keep one column for each "
                "field of a ticker."
            )
        groups[path[1 - level]][name] = j
    return _take(source, groups, labels, field)


def _field_level(paths: list[tuple[str, ...]], name: str) -> int:
    """Level that holds fields: every label of it is one, a close among them unless only one level is left."""
    able = [k for k in (0, 1) if all(field_of(path[k]) for path in paths)]
    # yfinance leaves other columns beside the bars ("Repaired?"): a close and another field say enough.
    able = able or [k for k in (0, 1) if {"close", "adj close"} & {field_of(path[k]) for path in paths}]
    if len(able) == 2:
        able = [k for k in able if {"close", "adj close"} & {field_of(path[k]) for path in paths}]
    if len(able) != 1:
        raise DataError(
            f"Prices {shown(name)} have two levels of columns, such as {shown(paths[0])}, and neither is one of fields "
            "like Open, High, Low, Close. Select one level first: frame['Close'], or frame.droplevel(0, axis=1)."
        )
    return able[0]


def _take(source: Columns, groups: dict[str, dict[str, int]], labels: dict[str, str], field: str | None) -> Columns:
    """One column for each ticker, the same field of all."""
    taken = pick(labels, field, shown(source.name))
    lacking = [ticker for ticker, fields in groups.items() if taken not in fields]
    if lacking:
        raise DataError(
            f"Prices {shown(source.name)} mix fields: {shown(lacking[0])} has no {shown(labels[taken])}, as others do "
            f"({len(lacking)} tickers without it). Name one that all have: field='close'."
        )
    positions = [fields[taken] for fields in groups.values()]
    at = source.date_column
    notes = field_note(taken, list(labels.values()), labels[taken])
    return replace(
        source,
        names=(source.label(at), *groups),
        columns=(source.columns[at], *(source.columns[j] for j in positions)),
        date_column=0,
        notes=(*source.notes, *notes),
    )


# --------------------------------------------------------------------------- field and ticker joined in a name


def _joined(source: Columns, field: str | None) -> Columns | None:
    """A wide table whose names join field and ticker (``High KO``); None when they do not."""
    groups: dict[str, dict[str, int]] = {}
    labels: dict[str, str] = {}
    rest = []
    for j, name in enumerate(source.names):
        if j == source.date_column or not isinstance(name, str):
            continue
        parts = split_joined(name)
        if parts is None:
            rest.append(j)
            continue
        groups.setdefault(parts[1], {})[parts[0]] = j
        labels.setdefault(parts[0], parts[0])
    for j in rest:
        # A column SPY beside SPY High and SPY Low is the close of the three.
        group = groups.get(source.label(j), {})
        if {"high", "low"} <= set(group) and "close" not in group:
            group["close"] = j
    bars = {name: fields for name, fields in groups.items() if {"close", "adj close"} & set(fields) and len(fields) > 1}
    if not bars:
        return None
    _check_order(source, bars)
    members = {j for fields in bars.values() for j in fields.values()}
    strangers = [source.label(j) for j in range(source.width) if j not in members and j != source.date_column]
    based = sorted({source.label(j) for j in rest} & set(bars))
    if strangers or based:
        some = next(iter(bars))
        extra = [source.label(j) for name, j in bars[some].items() if name not in ("close", "adj close")]
        raise DataError(
            f"Prices {shown(source.name)} mix fields with prices: {shown(', '.join(extra))} belong to {shown(some)}, "
            f"and {shown((strangers or based)[0])} has no field. Keep one price for each ticker: "
            f"frame.drop(columns={extra!r})."
        )
    return _take(source, bars, labels, field)


def _check_order(source: Columns, bars: dict[str, dict[str, int]]) -> None:
    """Refuse names that say high, close and low over values that are not in that order."""
    for ticker, fields in bars.items():
        if not {"high", "low", "close"} <= set(fields):
            continue
        at = [fields[name] for name in ("high", "close", "low")]
        high, close, low = numbers_of([source.columns[j] for j in at], [source.label(j) for j in at])[0]
        with np.errstate(invalid="ignore"):
            known = np.isfinite(high) & np.isfinite(close) & np.isfinite(low)
            ordered = (low <= close * (1 + _ROUNDING)) & (close <= high * (1 + _ROUNDING)) & known
        if known.any() and ordered.sum() < ORDERED * known.sum():
            names = [source.label(j) for j in at]
            raise DataError(
                f"Prices {shown(source.name)} have columns {shown(names, 120)} that read as high, close and low of "
                f"{shown(ticker)}, but high >= close >= low holds in only {ordered.sum():,} of {known.sum():,} rows. "
                "If they are tickers, rename them; if they are fields, keep one price for each ticker."
            )


def constant(value: str, rows: int) -> pa.ChunkedArray:
    """A column that says the same in every row."""
    return pa.chunked_array([pa.DictionaryArray.from_arrays(np.zeros(rows, dtype=np.int32), [value]).cast(pa.string())])
