"""Files to columns: limits, what kind of file it really is, Parquet.

Nothing here knows what a price is. The content decides how a file is read, not its name, and no format that
can carry code (pickle) is ever opened. Archives of one table are unpacked under the same limits
(:mod:`pairs_bt.data.formats.archives`).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pairs_bt.data.formats.archives import read_arrow, read_workbook, unpacked
from pairs_bt.data.formats.column_names import field_of, is_date
from pairs_bt.data.formats.csv_reader import REMEDY, check_size, read_csv, to_utf8
from pairs_bt.data.formats.date_parsing import looks_like_date
from pairs_bt.data.formats.number_parsing import Note, shown
from pairs_bt.errors import DataError

__all__ = ["Columns", "date_position", "read_columns"]


@dataclass(frozen=True)
class Columns:
    """A table as it stood in the source: names and columns in order, nothing converted."""

    names: tuple[str | tuple[str, ...], ...]  # a tuple where columns have several levels
    columns: tuple[pa.ChunkedArray, ...]
    date_column: int  # where the dates are, unless the table turns out to be long
    notes: tuple[Note, ...]
    name: str
    sha256: str
    taken: str = ""  # the field that a long table's prices are, once one was taken
    alone: bool = False  # whether it is one ticker's file, named by the file
    files: tuple[tuple[str, int], ...] = ()  # of a folder: names of its files and the first row of each

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns[0]) if self.columns else 0

    @property
    def width(self) -> int:
        """Number of columns, the dates among them."""
        return len(self.names)

    def label(self, j: int) -> str:
        """Name of a column as one text."""
        name = self.names[j]
        return name if isinstance(name, str) else " ".join(part for part in name if part)


def read_columns(path: str | os.PathLike[str], *, max_bytes: int, max_cells: int) -> Columns:
    """Read a CSV, Parquet, Feather or Excel file, packed or not, whichever its bytes say it is.

    Parameters
    ----------
    path : str or path-like
        The file.
    max_bytes, max_cells : int
        Limits; a larger file is refused before it is decoded.

    Raises
    ------
    DataError
        For anything that is not a readable table within the limits.
    """
    file = Path(path)
    data = _read_bytes(file, max_bytes)
    sha256 = hashlib.sha256(data).hexdigest()
    # Unpacked once: an archive in an archive is named as what it is by the reader of text.
    data = unpacked(file, data, max_bytes)
    names: list[str | tuple[str, ...]]
    notes: list[Note] = []
    date_column = 0
    ending = file.suffix.lower()
    wrong_name = False
    if data[:4] == b"PAR1":
        plain, columns, date_column = _read_parquet(file, data, max_bytes, max_cells)
        names = list(plain)
        wrong_name = ending in (".csv", ".txt", ".tsv", ".feather", ".xlsx")
    elif data[:6] == b"ARROW1":
        table = read_arrow(file, data, max_bytes, max_cells)
        plain, columns = [str(name) for name in table.schema.names], list(table.columns)
        plain, date_column = _named_index(table.schema, plain, columns)
        names = list(plain)
        wrong_name = ending in (".csv", ".txt", ".tsv", ".parquet", ".pq", ".xlsx")
    else:
        if data[:4] == b"PK\x03\x04":
            plain, columns, notes = read_workbook(file, data, max_cells)
        else:
            utf8, notes = to_utf8(file, data)
            plain, columns, more = read_csv(file, utf8, max_cells)
            notes += more
            wrong_name = ending in (".parquet", ".pq", ".feather")
        names, columns = header_levels(plain, columns)
    if wrong_name:
        text = f"the file was read by its content, which is not what the ending {shown(file.suffix)} says"
        notes.append(Note("flagged", "name_and_content", "", "", 1, text))
    return Columns(tuple(names), tuple(columns), date_column, tuple(notes), file.name, sha256)


def header_levels(
    names: list[str], columns: list[pa.ChunkedArray]
) -> tuple[list[str | tuple[str, ...]], list[pa.ChunkedArray]]:
    """Join the two header rows (and a row with the index's name) that pandas writes of two levels of columns."""
    if not columns or not len(columns[0]) or len(columns) < 2:
        return list(names), columns
    second = [str(column[0].as_py()) for column in columns]
    one_of_fields = any(all(field_of(name) for name in row[1:]) for row in (names, second))
    # Prices or dates in the second row make it a row of data.
    if not one_of_fields or looks_like_date(second[0]) or any(re.fullmatch(r"[-+.\d\s,]*", s) for s in second[1:]):
        return list(names), columns
    skip = 1
    if len(columns[0]) > 1:
        third = [str(column[1].as_py()).strip() for column in columns]
        skip += not any(third[1:]) and not looks_like_date(third[0])
    date = "date" if not is_date(names[0]) else names[0]
    joined: list[str | tuple[str, ...]] = [date, *zip(names[1:], second[1:], strict=True)]
    return joined, [column.slice(skip) for column in columns]


def _read_bytes(file: Path, max_bytes: int) -> bytes:
    try:
        found = file.stat()
        if stat.S_ISDIR(found.st_mode):
            raise DataError(f"Prices file {shown(str(file), 200)} is a directory. Name the file inside it.")
        if not stat.S_ISREG(found.st_mode):
            raise DataError(
                f"Prices file {shown(str(file), 200)} is a device or a pipe, not a regular file. "
                "Save the prices in a file first."
            )
        if found.st_size > max_bytes:
            raise DataError(
                f"Prices file {shown(str(file), 200)} has {found.st_size:,} bytes; the limit is "
                f"{max_bytes:,}. Cut the file, or raise max_bytes."
            )
        with file.open("rb") as stream:
            data = stream.read(found.st_size + 1)
    except (OSError, ValueError) as error:
        raise DataError(_why_unreadable(file, error)) from None
    if len(data) != found.st_size:
        raise DataError(
            f"Prices file {shown(str(file), 200)} changed while it was read. Pass a file that nothing is writing to."
        )
    if not data:
        raise DataError(f"Prices file {shown(str(file), 200)} is empty (0 bytes). {REMEDY}")
    return data


def _why_unreadable(file: Path, error: OSError | ValueError) -> str:
    name = shown(str(file), 200)
    code = error.errno if isinstance(error, OSError) else None
    if code in (errno.ENOENT, errno.ENOTDIR):
        return (
            f"Prices file {name} does not exist. Check the path: in a config file it is taken from that file's folder, "
            "on the command line and in Python from the current one."
        )
    if code == errno.ELOOP:
        return f"Prices file {name} is a symbolic link that loops back to itself. Point it at the real file."
    if code in (errno.EACCES, errno.EPERM):
        return f"Prices file {name} cannot be read: permission denied. Give your user the right to read it."
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f"Prices file {name} cannot be read: {reason}. Check the path and the disk."


def _read_parquet(
    file: Path, data: bytes, max_bytes: int, max_cells: int
) -> tuple[list[str], list[pa.ChunkedArray], int]:
    name = shown(str(file), 200)
    try:
        parquet = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        meta = parquet.metadata
        rows, width = meta.num_rows, meta.num_columns
        unpacked = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
        check_size(name, rows, width, max_cells)
        if unpacked > max_bytes:
            raise DataError(
                f"Prices file {name} unpacks to {unpacked:,} bytes; the limit is {max_bytes:,}. "
                "Cut the file, or raise max_bytes."
            )
        table = parquet.read(use_threads=False, use_pandas_metadata=False)
        table.validate(full=True)
        # Names and time zones of a damaged file need not be text: spell them out where that is caught.
        names = [str(n) for n in table.schema.names]
        _ = [getattr(field.type, "tz", None) for field in table.schema]
        columns = list(table.columns)
        names, date_column = _named_index(table.schema, names, columns)
        return names, columns, date_column
    except DataError:
        raise
    except Exception as error:
        # Damaged files surface as many exception types (ArrowInvalid, OSError, OverflowError, MemoryError).
        reason = shown(str(error).split("\n")[0], 120)
        raise DataError(
            f"Prices file {name} is a damaged or truncated Parquet file ({reason}). "
            "Copy or download it again, or write it anew."
        ) from None


def _named_index(schema: pa.Schema, names: list[str], columns: list[pa.ChunkedArray]) -> tuple[list[str], int]:
    """Name the two levels of an index that pandas wrote without names, and say where the dates are."""
    index = _pandas_index(schema.metadata or {})
    at = [names.index(name) for name in index if name in names]
    if len(at) == 2:
        try:
            labels = name_levels([names[j] for j in at], [columns[j] for j in at])
        except DataError:
            return names, date_position(schema, names)
        for j, label in zip(at, labels, strict=True):
            names[j] = label
        return names, names.index("date")
    return names, date_position(schema, names)


def date_position(schema: pa.Schema, names: list[str]) -> int:
    """Where the dates are: the column that pandas wrote as the index, else the first one of a date type."""
    index = _pandas_index(schema.metadata or {})
    if len(index) == 1 and index[0] in names:
        return names.index(index[0])
    for position, field in enumerate(schema):
        if pa.types.is_temporal(field.type):
            return position
    return next((j for j, name in enumerate(names) if is_date(name)), 0)


def name_levels(names: list[str], levels: list[pa.ChunkedArray]) -> list[str]:
    """Say which of two index levels holds the dates: by name, else by type, else by what the first cell looks like.

    Raises
    ------
    DataError
        When nothing tells.
    """
    tells: tuple[Callable[[int], bool], ...] = (
        lambda k: is_date(names[k]),
        lambda k: pa.types.is_temporal(levels[k].type),
        lambda k: len(levels[k]) > 0 and looks_like_date(str(levels[k][0].as_py())),
    )
    for tell in tells:
        dates = [k for k in (0, 1) if tell(k)]
        if len(dates) == 1:
            return ["date", "ticker"] if dates[0] == 0 else ["ticker", "date"]
    raise DataError(
        f"The two levels of the index ({names[0] or 'unnamed'}, {names[1] or 'unnamed'}) do not tell dates from "
        "tickers. Name them: frame.rename_axis(['date', 'ticker'])."
    )


def _pandas_index(metadata: dict[bytes, bytes]) -> list[str]:
    """Names of the index in pandas' JSON metadata, the only thing taken from there."""
    try:
        index = json.loads(metadata.get(b"pandas", b"{}"))["index_columns"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return index if isinstance(index, list) and all(isinstance(name, str) for name in index) else []
