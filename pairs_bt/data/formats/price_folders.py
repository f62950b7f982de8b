"""A folder of price files as one table: a file for each ticker, or the pieces of one table.

Files are read in the order of their names, at any depth. The ticker is the one that a file names in a column, else in
a folder of the form ``symbol=KO``, else in the file's own name.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pairs_bt.data.formats.column_names import field_of, is_date, is_ticker, pick
from pairs_bt.data.formats.layouts import as_long, bar_fields, constant, field_note
from pairs_bt.data.formats.number_parsing import Note, counted, shown
from pairs_bt.data.formats.split_stamps import join_times
from pairs_bt.data.formats.wide_table import LONG
from pairs_bt.data.sources import Columns, read_columns
from pairs_bt.errors import DataError

__all__ = ["ENDINGS", "list_files", "one_ticker", "read_folder", "ticker_of"]

ENDINGS = (".csv", ".txt", ".tsv", ".parquet", ".pq", ".feather", ".arrow", ".csv.gz", ".txt.gz", ".csv.zip", ".xlsx")
_PACKED = re.compile(r"(\.(csv|txt|tsv|parquet|pq|feather|arrow|xlsx|gz|zip))+$", re.IGNORECASE)
_MAX_FILES = 100_000


def list_files(folder: Path) -> list[Path]:
    """Price files below a folder, sorted by their path; hidden ones and those that begin with _ are none."""
    found = []
    for place, inner, names in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith((".", "_")))
        found += [Path(place, n) for n in names if n.lower().endswith(ENDINGS) and not n.startswith((".", "_"))]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def ticker_of(file: Path) -> str:
    """Ticker that a file's name says: without its endings (``KO.csv.gz`` is KO) and Investing.com's two words."""
    name = _PACKED.sub("", file.name) or file.name
    return name.removesuffix(" Historical Data") or name


def one_ticker(source: Columns, ticker: str, field: str | None) -> Columns | None:
    """Bars of one ticker as a long table; None when the table holds something else.

    Parameters
    ----------
    source : Columns
        A file's table.
    ticker : str
        Its name.
    field : str or None
        As in :func:`pairs_bt.data.prices.read_prices`.
    """
    named = [j for j, name in enumerate(source.names) if isinstance(name, str) and is_date(name)]
    if named and named[0] != source.date_column:
        source = replace(source, date_column=named[0])
    fields = bar_fields(source)
    others = [j for j in range(source.width) if j != source.date_column]
    if not fields and len(others) == 1:
        label = source.label(others[0])
        fields = {field_of(label) or "price": others[0]}
        ticker = ticker if field_of(label) else label
    if not fields:
        return None
    where = shown(source.name)
    taken = pick(fields, field if len(fields) > 1 or field_of(source.label(others[0])) else None, where)
    at = fields[taken]
    notes = field_note(taken, [source.label(j) for j in fields.values()], source.label(at))
    columns = (source.columns[source.date_column], constant(ticker, source.rows), source.columns[at])
    notes = [*source.notes, *notes]
    return replace(source, names=LONG, columns=columns, date_column=0, notes=tuple(notes), taken=taken, alone=True)


def read_folder(folder: Path, *, field: str | None, max_bytes: int, max_cells: int) -> Columns:
    """Read every price file below a folder into one table.

    Parameters
    ----------
    folder : Path
        One CSV, Parquet, ... file for each ticker, or the pieces of one table (a Parquet folder, hive style or not).
    field : str or None
        As in :func:`pairs_bt.data.prices.read_prices`.
    max_bytes, max_cells : int
        Limits on all files together.

    Raises
    ------
    DataError
        When there are no price files, when they do not fit together, or when one of them cannot be read.
    """
    files = list_files(folder)
    where = shown(str(folder), 200)
    if not files:
        raise DataError(
            f"Prices folder {where} has no price files (their names end in {', '.join(ENDINGS[:8])}, ...). Name the "
            "folder that holds them, or the file itself."
        )
    size = sum(path.stat().st_size for path in files if path.is_file())
    if size > max_bytes or len(files) > _MAX_FILES:
        raise DataError(
            f"Prices folder {where} has {len(files):,} files of {size:,} bytes; the limits are {_MAX_FILES:,} "
            f"files and {max_bytes:,} bytes. Take some of the files, or raise max_bytes."
        )
    pieces: list[Columns] = []
    digest = hashlib.sha256()
    empty = []
    cells = 0
    for path in files:
        if path.is_file() and not path.stat().st_size:
            empty.append(path)
            continue
        table = _read_file(path, max_bytes, max_cells)
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}\0{table.sha256}\0".encode())
        if not table.rows:
            empty.append(path)
            continue
        pieces.append(_piece(replace(table, name=name), path, folder, field))
        cells += table.rows * pieces[-1].width
        if cells > max_cells:
            raise DataError(
                f"Prices folder {where} has more than the limit of {max_cells:,} cells. Take some of the files, or "
                "raise max_cells."
            )
    if not pieces:
        raise DataError(f"Prices folder {where} has {counted(len(files), 'file')}, and all are empty. {_AGAIN}")
    joined = _join(pieces, where)
    return replace(joined, name=folder.name, notes=_notes(pieces, empty, folder), sha256=digest.hexdigest())


def _read_file(path: Path, max_bytes: int, max_cells: int) -> Columns:
    try:
        return read_columns(path, max_bytes=max_bytes, max_cells=max_cells)
    except DataError as error:
        if "is not a table" not in str(error):
            raise
        raise DataError(
            f"{error} If the file holds no prices, such as a README, move it out of the folder, or begin its name with "
            "'_': such files are passed over."
        ) from None


_AGAIN = "Download them again."


def _partition(path: Path, folder: Path) -> dict[str, str]:
    """What the folders of the form name=value say of a file."""
    parts = path.relative_to(folder).parent.parts
    return dict(part.split("=", 1) for part in parts if "=" in part)


def _piece(table: Columns, path: Path, folder: Path, field: str | None) -> Columns:
    """One file as a long table, or as it is when it is wide."""
    values = _partition(path, folder)
    ticker = next((value for name, value in values.items() if is_ticker(name)), None)
    dates = [(name, value) for name, value in values.items() if is_date(name)]
    have_date = any(is_date(table.label(j)) for j in range(table.width))
    if dates and not have_date:
        name, value = dates[0]
        table = replace(
            table,
            names=(name, *table.names),
            columns=(constant(value, table.rows), *table.columns),
            date_column=0,
        )
    if ticker is not None and not any(isinstance(name, str) and is_ticker(name) for name in table.names):
        table = replace(
            table,
            names=(*table.names, "ticker"),
            columns=(*table.columns, constant(ticker, table.rows)),
        )
    table = join_times(table)
    return as_long(table, field) or one_ticker(table, ticker_of(path), field) or table


def _join(pieces: list[Columns], where: str) -> Columns:
    first = pieces[0]
    for piece in pieces[1:]:
        if piece.names != first.names or piece.date_column != first.date_column:
            raise DataError(
                f"Prices folder {where} has files that do not fit together: {shown(first.name)} has the columns "
                f"{shown(', '.join(map(str, first.names)), 80)}, {shown(piece.name)} has "
                f"{shown(', '.join(map(str, piece.names)), 80)}. Keep files of one kind in the folder."
            )
    if first.names == LONG:
        _check_fields(pieces, where)
        _check_owners(pieces, where)
    columns = [_concat([piece.columns[j] for piece in pieces]) for j in range(first.width)]
    starts = accumulate((piece.rows for piece in pieces[:-1]), initial=0)
    files = tuple((piece.name, start) for piece, start in zip(pieces, starts, strict=True))
    return replace(first, columns=tuple(columns), files=files)


def _check_fields(pieces: list[Columns], where: str) -> None:
    """Refuse adjusted closes of some tickers beside plain closes of others."""
    kinds = {piece.taken: piece.name for piece in reversed(pieces) if piece.taken}
    if {"adj close"} < set(kinds):
        other = next(kind for kind in kinds if kind != "adj close")
        raise DataError(
            f"Prices folder {where} mixes fields: {shown(kinds['adj close'])} has an adjusted close, "
            f"{shown(kinds[other])} has none. Take a field that all have: read_prices(source, field={other!r}), or "
            f"--set data.field={other} on the command line."
        )


def _check_owners(pieces: list[Columns], where: str) -> None:
    """Refuse two files that both call themselves one ticker by their names."""
    owners: dict[str, str] = {}
    for piece in pieces:
        if not piece.alone:
            continue
        ticker = str(piece.columns[1][0].as_py())
        other = owners.setdefault(ticker, piece.name)
        if other != piece.name and Path(other).parent == Path(piece.name).parent:
            raise DataError(
                f"Prices folder {where} has two files of ticker {shown(ticker)}: {shown(other)} and "
                f"{shown(piece.name)}. Keep one of them."
            )


def _concat(columns: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    """One column of all; files that disagree on the type are joined as text."""
    plain = [pc.cast(c, c.type.value_type) if pa.types.is_dictionary(c.type) else c for c in columns]
    kinds = {str(column.type) for column in plain}
    if len(kinds) > 1:
        numbers = all(pa.types.is_integer(c.type) or pa.types.is_floating(c.type) for c in plain)
        plain = [pc.cast(column, pa.float64() if numbers else pa.string()) for column in plain]
    return pa.chunked_array([chunk for column in plain for chunk in column.chunks], plain[0].type)


def _notes(pieces: list[Columns], empty: list[Path], folder: Path) -> tuple[Note, ...]:
    """Notes of all files, one a rule and text, with the number of files that gave it."""
    found = Counter((note.kind, note.rule, note.text) for piece in pieces for note in piece.notes)
    notes = []
    for (kind, rule, text), count in found.items():
        whose = "" if count == len(pieces) else f" (in {count:,} of {len(pieces):,} files)"
        notes.append(Note(kind, rule, "", "", count, text + whose))
    if empty:
        name = empty[0].relative_to(folder).as_posix()
        text = f"{counted(len(empty), 'file')} without prices, the first {shown(name)}, passed over"
        notes.append(Note("left_out", "empty_file", "", "", len(empty), text))
    return tuple(notes)
