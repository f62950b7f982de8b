"""Files to columns: size limits, what kind of file it really is, its encoding and its delimiter.

Nothing here knows what a price is. The content decides how a file is read, not its name, and no format that
can carry code (pickle) is ever opened.
"""

from __future__ import annotations

import codecs
import csv
import errno
import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from pairs_bt.cells import Note, shown
from pairs_bt.errors import DataError

__all__ = ["Columns", "read_columns"]

# First bytes of what people pass for a price table, and how to make one of it.
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive (an Excel .xlsx file is one too)", "Unpack it, or save it as CSV."),
    (b"PK\x05\x06", "an empty zip archive", "Unpack the right one, or save it as CSV."),
    (b"\x1f\x8b", "a gzip archive", "Unpack it first."),
    (b"BZh", "a bzip2 archive", "Unpack it first."),
    (b"\xfd7zXZ", "an xz archive", "Unpack it first."),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "Unpack it first."),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it first."),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "Save it as CSV."),
    (b"%PDF", "a PDF document", "Export the table as CSV."),
    (b"\x89HDF", "an HDF5 file", "Write it with DataFrame.to_parquet."),
    (b"ARROW1", "an Arrow or Feather file", "Write it with DataFrame.to_parquet."),
    (b"SQLite format 3", "an SQLite database", "Export the table as CSV."),
    (b"\x89PNG", "a picture", "Pass the table of prices."),
    (b"version https://git-lfs", "a Git LFS pointer", "Fetch the real file with `git lfs pull`."),
)
_DELIMITERS = ",;\t|"
_REMEDY = "Pass a CSV or Parquet file with a date column and one column of closes for each ticker."


@dataclass(frozen=True)
class Columns:
    """A table as it stood in the source: names and columns in order, nothing converted."""

    names: tuple[str, ...]
    columns: tuple[pa.ChunkedArray, ...]
    date_column: int  # where the dates are, unless the table turns out to be long
    notes: tuple[Note, ...]
    name: str
    sha256: str

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns[0]) if self.columns else 0


def read_columns(path: str | os.PathLike[str], *, max_bytes: int, max_cells: int) -> Columns:
    """Read a CSV or Parquet file, whichever its bytes say it is.

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
    if data[:4] == b"PAR1":
        names, columns, date_column = _read_parquet(file, data, max_bytes, max_cells)
        notes: list[Note] = []
    else:
        text, notes = _to_utf8(file, data)
        names, columns, more = _read_csv(file, text, max_cells)
        notes += more
        date_column = 0
    return Columns(tuple(names), tuple(columns), date_column, tuple(notes), file.name, sha256)


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
                f"{max_bytes:,}. "
                "Cut the file, or raise max_bytes."
            )
        with file.open("rb") as stream:
            data = stream.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        raise DataError(_why_unreadable(file, error)) from None
    if len(data) > max_bytes:
        raise DataError(
            f"Prices file {shown(str(file), 200)} grew past the limit of {max_bytes:,} bytes while it was "
            "read. "
            "Pass a file that nothing is writing to, or raise max_bytes."
        )
    if not data:
        raise DataError(f"Prices file {shown(str(file), 200)} is empty (0 bytes). {_REMEDY}")
    return data


def _why_unreadable(file: Path, error: OSError | ValueError) -> str:
    name = shown(str(file), 200)
    code = error.errno if isinstance(error, OSError) else None
    if code in (errno.ENOENT, errno.ENOTDIR):
        return f"Prices file {name} does not exist. Check the path: it is relative to the config file."
    if code == errno.ELOOP:
        return f"Prices file {name} is a symbolic link that loops back to itself. Point it at the real file."
    if code in (errno.EACCES, errno.EPERM):
        return f"Prices file {name} cannot be read: permission denied. Give your user the right to read it."
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f"Prices file {name} cannot be read: {reason}. Check the path and the disk."


# ------------------------------------------------------------------------------------------------- parquet


def _read_parquet(
    file: Path, data: bytes, max_bytes: int, max_cells: int
) -> tuple[list[str], list[pa.ChunkedArray], int]:
    name = shown(str(file), 200)
    try:
        parquet = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        meta = parquet.metadata
        rows, width = meta.num_rows, meta.num_columns
        unpacked = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
        _check_size(name, rows, width, max_cells)
        if unpacked > max_bytes:
            raise DataError(
                f"Prices file {name} unpacks to {unpacked:,} bytes; the limit is {max_bytes:,}. "
                "Cut the file, or raise max_bytes."
            )
        table = parquet.read(use_threads=False, use_pandas_metadata=False)
    except DataError:
        raise
    except Exception as error:
        # Damaged files surface as many exception types (ArrowInvalid, OSError, OverflowError, MemoryError).
        reason = shown(str(error).split("\n")[0], 120)
        raise DataError(
            f"Prices file {name} is a damaged or truncated Parquet file ({reason}). "
            "Copy or download it again, or write it anew."
        ) from None
    names = [str(n) for n in table.schema.names]
    return names, list(table.columns), _date_position(table.schema, names)


def _date_position(schema: pa.Schema, names: list[str]) -> int:
    """Where the dates are: the column that pandas wrote as the index, else the first one of a date type."""
    index = _pandas_index(schema.metadata or {})
    if index in names:
        return names.index(index)
    for position, field in enumerate(schema):
        if pa.types.is_temporal(field.type):
            return position
    return 0


def _pandas_index(metadata: dict[bytes, bytes]) -> str | None:
    """Name of the index in pandas' JSON metadata, the only thing taken from there."""
    try:
        index = json.loads(metadata.get(b"pandas", b"{}"))["index_columns"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return index[0] if isinstance(index, list) and len(index) == 1 and isinstance(index[0], str) else None


def _check_size(name: str, rows: int, width: int, max_cells: int) -> None:
    if rows * width > max_cells:
        raise DataError(
            f"Prices file {name} has {rows:,} rows x {width:,} columns, more than the limit of {max_cells:,} "
            "cells. Cut the file, or raise max_cells."
        )


# --------------------------------------------------------------------------------------------------- text


def _to_utf8(file: Path, data: bytes) -> tuple[bytes, list[Note]]:
    """Bytes of a text file as UTF-8 without a byte order mark."""
    name = shown(str(file), 200)
    for magic, what, remedy in _MAGIC:
        if data.startswith(magic):
            raise DataError(f"Prices file {name} is not a table but {what}, whatever its name says. {remedy}")
    notes = []
    encoding = "utf-8"
    if data.startswith(codecs.BOM_UTF8):
        notes.append(Note("repaired", "byte_order_mark", "", "", 1, "a byte order mark was removed"))
        data = data[len(codecs.BOM_UTF8) :]
    elif data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif len(data) >= 8 and not any(data[1:64:2]) and all(data[0:64:2]):
        encoding = "utf-16-le"
    elif len(data) >= 8 and not any(data[0:64:2]) and all(data[1:64:2]):
        encoding = "utf-16-be"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(
            f"Prices file {name} is not a table of text in {encoding.upper()}: byte "
            f"0x{data[error.start]:02x} at position {error.start} cannot be read. If it is a CSV file, save "
            "it "
            "again as UTF-8; otherwise export the table as CSV or Parquet."
        ) from None
    if encoding != "utf-8":
        notes.append(Note("repaired", "utf_16", "", "", 1, "the file is UTF-16 and was read as such"))
        data = text.encode()
    if "\x00" in text:
        raise DataError(f"Prices file {name} is not a table but binary data (it has NUL bytes). {_REMEDY}")
    start = text[:200].lstrip()
    if start.startswith("<"):
        raise DataError(
            f"Prices file {name} is not a table but HTML or XML (it starts with {shown(start[:20])}), "
            "perhaps "
            "the error page of a download. Download the table itself."
        )
    if start.startswith(("{", "[")):
        raise DataError(f"Prices file {name} is not a table but JSON. {_REMEDY}")
    return data, notes


def _header(file: Path, data: bytes) -> tuple[str, int]:
    """Delimiter and number of columns, from the first line that is not blank."""
    end = 0
    line = b""
    while not line.strip() and end < len(data):
        start = end
        breaks = [i for i in (data.find(b"\n", start), data.find(b"\r", start)) if i >= 0]
        end = min(breaks, default=len(data)) + 1
        line = data[start : end - 1] if breaks else data[start:]
    text = line.decode(errors="replace")
    try:
        widths = {d: len(next(csv.reader([text], delimiter=d), [])) for d in _DELIMITERS}
    except csv.Error as error:
        raise DataError(
            f"Prices file {shown(str(file), 200)} is not a table: its header cannot be read ({error}). "
            f"{_REMEDY}"
        ) from None
    delimiter = max(_DELIMITERS, key=lambda d: widths[d])
    if widths[delimiter] < 2:
        raise DataError(
            f"Prices file {shown(str(file), 200)} is not a table: its first line {shown(text)} has one "
            "column "
            f"only (tried comma, semicolon, tab and bar). {_REMEDY}"
        )
    return delimiter, widths[delimiter]


def _read_csv(file: Path, data: bytes, max_cells: int) -> tuple[list[str], list[pa.ChunkedArray], list[Note]]:
    name = shown(str(file), 200)
    delimiter, width = _header(file, data)
    _check_size(name, data.count(b"\n") or data.count(b"\r"), width, max_cells)
    labels = [f"c{i}" for i in range(width)]
    ragged: list[tuple[int, int]] = []

    def remember(row: pa_csv.InvalidRow) -> str:
        ragged.append((row.number or 0, row.actual_columns))
        return "error"

    try:
        table = pa_csv.read_csv(
            pa.BufferReader(data),
            read_options=pa_csv.ReadOptions(
                use_threads=False, block_size=min(max(len(data) + 1, 1 << 20), 1 << 28), column_names=labels
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=remember
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types={label: pa.string() for label in labels}, strings_can_be_null=False
            ),
        )
    except pa.ArrowException as error:
        if ragged:
            row, found = ragged[0]
            raise DataError(
                f"Prices file {name}: line {row} has {found} columns, the header has {width}. Every line "
                "must "
                "have a cell, empty or not, for every column."
            ) from None
        reason = shown(str(error).split("\n")[0], 120)
        raise DataError(f"Prices file {name} is not a table: {reason}. {_REMEDY}") from None
    names = [str(column[0].as_py()) for column in table.columns]
    notes = []
    if delimiter != ",":
        text = f"columns are separated by {shown(delimiter)}, not by commas"
        notes.append(Note("repaired", "delimiter", "", "", 1, text))
    return names, [column.slice(1) for column in table.columns], notes
