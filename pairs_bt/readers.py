"""Files to columns: limits, what kind of file it really is, Parquet.

Nothing here knows what a price is. The content decides how a file is read, not its name, and no format that
can carry code (pickle) is ever opened.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pairs_bt.cells import Note, shown
from pairs_bt.errors import DataError
from pairs_bt.text_tables import REMEDY, check_size, read_csv, to_utf8

__all__ = ["Columns", "read_columns"]


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
        wrong_name = file.suffix.lower() in (".csv", ".txt", ".tsv")
    else:
        utf8, notes = to_utf8(file, data)
        names, columns, more = read_csv(file, utf8, max_cells)
        notes += more
        date_column = 0
        wrong_name = file.suffix.lower() in (".parquet", ".pq")
    if wrong_name:
        text = f"the file was read by its content, which is not what the ending {shown(file.suffix)} says"
        notes.append(Note("flagged", "name_and_content", "", "", 1, text))
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
        return names, list(table.columns), _date_position(table.schema, names)
    except DataError:
        raise
    except Exception as error:
        # Damaged files surface as many exception types (ArrowInvalid, OSError, OverflowError, MemoryError).
        reason = shown(str(error).split("\n")[0], 120)
        raise DataError(
            f"Prices file {name} is a damaged or truncated Parquet file ({reason}). "
            "Copy or download it again, or write it anew."
        ) from None


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
