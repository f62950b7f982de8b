"""Text files to columns of text: encoding, delimiter, and what is no table at all."""

from __future__ import annotations

import codecs
import csv
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from pairs_bt.data.formats.number_parsing import Note, counted, shown
from pairs_bt.errors import DataError

__all__ = ["REMEDY", "check_size", "read_csv", "to_utf8"]

# First bytes of what people pass for a price table, and how to make one of it.
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive in an archive", "Unpack it first."),
    (b"PK\x05\x06", "an empty zip archive", "Pack the table anew, or save it as CSV."),
    (b"\x1f\x8b", "a gzip archive in an archive", "Unpack it first."),
    (b"BZh", "a bzip2 archive", "Unpack it first."),
    (b"\xfd7zXZ", "an xz archive", "Unpack it first."),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "Unpack it first."),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it first."),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "Save it as CSV."),
    *(
        (
            bytes([0x80, n]),
            "a Python pickle, which is never opened, because a pickle can run any code",
            "If you made it yourself: pandas.read_pickle(...).to_parquet('prices.parquet').",
        )
        for n in (2, 3, 4, 5)
    ),
    (b"%PDF", "a PDF document", "Export the table as CSV."),
    (b"\x89HDF", "an HDF5 file", "Write it with DataFrame.to_parquet."),
    (b"FEA1", "a Feather file of version 1", "Write it anew with DataFrame.to_feather."),
    (b"SQLite format 3", "an SQLite database", "Export the table as CSV."),
    (b"\x89PNG", "a picture", "Pass the table of prices."),
    (b"version https://git-lfs", "a Git LFS pointer", "Fetch the real file with `git lfs pull`."),
)
_DELIMITERS = ",;\t|"
_HEAD_BYTES = 1 << 20
_TITLE_LINES = 12
_EXCEL_HINT = re.compile(rb'\s*"?sep=.?"?[ \t]*(\r\n|\n|\r)', re.IGNORECASE)  # the first line of a CSV for Excel
REMEDY = "Pass a CSV or Parquet file with a date column and one column of closes for each ticker."


def check_size(name: str, rows: int, width: int, max_cells: int) -> None:
    """Refuse a table with more than `max_cells` cells."""
    if rows * width > max_cells:
        raise DataError(
            f"Prices file {name} has {rows:,} rows x {width:,} columns, more than the limit of {max_cells:,} "
            "cells. Cut the file, or raise max_cells."
        )


def to_utf8(file: Path, data: bytes) -> tuple[bytes, list[Note]]:
    """Bytes of a text file as UTF-8 without a byte order mark; refuse what is not a table of text."""
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
            "it again as UTF-8; otherwise export the table as CSV or Parquet."
        ) from None
    if encoding != "utf-8":
        notes.append(Note("repaired", "utf_16", "", "", 1, "the file is UTF-16 and was read as such"))
        data = text.encode()
    if "\x00" in text:
        raise DataError(f"Prices file {name} is not a table but binary data (it has NUL bytes). {REMEDY}")
    start = text[:200].lstrip()
    # Stooq's header begins with <TICKER>,<PER>.
    if start.startswith("<") and not re.match(r"<\w+>[,;\t|]<", start):
        raise DataError(
            f"Prices file {name} is not a table but HTML or XML (it starts with {shown(start[:20])}), "
            "perhaps the error page of a download. Download the table itself."
        )
    if start.startswith(("{", "[")):
        raise DataError(
            f"Prices file {name} is not a table but JSON. {REMEDY} Of JSON that pandas wrote "
            f"pandas.read_json({name}).to_parquet('prices.parquet') makes one."
        )
    return data, notes


def _header(file: Path, data: bytes) -> tuple[str, int]:
    """Delimiter and number of columns, from the first line that is not blank."""
    line = re.search(rb"[^\r\n]+", data)
    text = line.group().decode(errors="replace") if line else ""
    try:
        widths = {d: len(next(csv.reader([text], delimiter=d), [])) for d in _DELIMITERS}
    except csv.Error as error:
        raise DataError(
            f"Prices file {shown(str(file), 200)} is not a table: its header cannot be read ({error}). {REMEDY}"
        ) from None
    delimiter = max(_DELIMITERS, key=lambda d: widths[d])
    if widths[delimiter] < 2 and (table := _table_below(data)):
        raise DataError(
            f"Prices file {shown(str(file), 200)} begins with a title: its first line is {shown(text)}, and the table "
            f"begins in line {table}. Remove the lines above it."
        )
    if widths[delimiter] < 2:
        raise DataError(
            f"Prices file {shown(str(file), 200)} is not a table: its first line {shown(text)} has one "
            f"column only (tried comma, semicolon, tab and bar). {REMEDY}"
        )
    return delimiter, widths[delimiter]


def _table_below(data: bytes) -> int:
    """Line in which a table begins below a title; 0 when none does: two lines of the same two or more columns."""
    lines = [line.decode(errors="replace") for line in re.split(rb"\r\n|\n|\r", data[:_HEAD_BYTES])[:_TITLE_LINES]]
    for k in range(1, len(lines) - 1):
        for delimiter in _DELIMITERS:
            if lines[k].count(delimiter) and lines[k].count(delimiter) == lines[k + 1].count(delimiter):
                return k + 1
    return 0


def read_csv(file: Path, data: bytes, max_cells: int) -> tuple[list[str], list[pa.ChunkedArray], list[Note]]:
    """Names and columns of text from UTF-8 bytes; every cell stays as it was written."""
    name = shown(str(file), 200)
    hint = _EXCEL_HINT.match(data)
    data = data[hint.end() :] if hint else data
    delimiter, width = _header(file, data)
    check_size(name, data.count(b"\n") or data.count(b"\r"), width, max_cells)
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
                f"Prices file {name}: line {row} has {counted(found, 'column')}, the header has {width}. Every line "
                "must have a cell, empty or not, for every column."
            ) from None
        reason = shown(str(error).split("\n")[0], 120)
        raise DataError(f"Prices file {name} is not a table: {reason}. {REMEDY}") from None
    table, notes = _without_blanks(table)
    if hint:
        text = f"the first line, {shown(hint.group().decode(errors='replace').strip())}, names the separator for Excel"
        notes.append(Note("repaired", "separator_line", "", "", 1, f"{text}; it was passed over"))
    names = [str(column[0].as_py()) for column in table.columns]
    if delimiter != ",":
        text = f"columns are separated by {shown(delimiter)}, not by commas"
        notes.append(Note("repaired", "delimiter", "", "", 1, text))
    return names, [column.slice(1) for column in table.columns], notes


def _without_blanks(table: pa.Table) -> tuple[pa.Table, list[Note]]:
    """Drop rows without any cell, and a last column that only a trailing delimiter made."""
    notes = []
    no_date = pc.equal(pc.utf8_trim_whitespace(table.column(0).slice(1)), "")
    if pc.any(no_date).as_py():
        keep = pa.chunked_array([pa.array([True]), *pc.invert(no_date).chunks])
        blank = table.filter(pc.invert(keep))
        if all(_blank(column) for column in blank.columns):
            table = table.filter(keep)
            text = f"{counted(blank.num_rows, 'row')} without any cell removed"
            notes.append(Note("repaired", "blank_rows", "", "", blank.num_rows, text))
    if table.num_columns > 2 and _blank(table.column(table.num_columns - 1)):
        table = table.remove_column(table.num_columns - 1)
        text = "a last column without name and cells was removed"
        notes.append(Note("repaired", "blank_column", "", "", 1, text))
    return table, notes


def _blank(column: pa.ChunkedArray) -> bool:
    return bool(pc.all(pc.equal(pc.utf8_trim_whitespace(column), "")).as_py())
