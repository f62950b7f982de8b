"""Archives of one table, Arrow files and Excel workbooks, all under the limits of the door.

What a file claims of its unpacked size is read before anything is unpacked, and what comes out is counted too: a
small file that would fill the memory is refused.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa

from pairs_bt.data.formats.csv_reader import check_size
from pairs_bt.data.formats.number_parsing import Note, counted, shown
from pairs_bt.errors import DataError

__all__ = ["read_arrow", "read_workbook", "unpacked"]

_ZIP, _GZIP = b"PK\x03\x04", b"\x1f\x8b"
_STEP = 1 << 20
_SHEETS = 3


def unpacked(file: Path, data: bytes, max_bytes: int) -> bytes:
    """Content of a gzip or of a zip with one table in it; other bytes, Excel's among them, as they are.

    Raises
    ------
    DataError
        For a damaged archive, several tables in one, a password, or more than `max_bytes` of content.
    """
    name = shown(str(file), 200)
    try:
        if data.startswith(_GZIP):
            return _gunzip(name, data, max_bytes)
        if data.startswith(_ZIP):
            return _unzip(name, data, max_bytes)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        reason = "it has a password" if "password" in str(error) else shown(str(error), 120)
        raise DataError(
            f"Prices file {name} is an archive that cannot be unpacked ({reason}). Download it again, or unpack it "
            "yourself and give the file inside."
        ) from None
    return data


def _too_large(name: str, size: int, max_bytes: int) -> DataError:
    return DataError(
        f"Prices file {name} unpacks to {size:,} bytes or more; the limit is {max_bytes:,}. Cut the file, or raise "
        "max_bytes."
    )


def _gunzip(name: str, data: bytes, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    rest = data
    while rest.startswith(_GZIP):  # a gzip may be several, one after the other
        stream = zlib.decompressobj(wbits=31)
        while not stream.eof:
            part = stream.decompress(rest, _STEP)
            rest = stream.unconsumed_tail
            size += len(part)
            if size > max_bytes:
                raise _too_large(name, size, max_bytes)
            parts.append(part)
            if not part and not rest and not stream.eof:
                raise EOFError("it ends too early")
        rest = stream.unused_data
    return b"".join(parts)


def _unzip(name: str, data: bytes, max_bytes: int) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [
            member
            for member in archive.infolist()
            if not member.is_dir() and not re.match(r"__MACOSX/|(.*/)?\.", member.filename)
        ]
        if any(member.filename == "xl/workbook.xml" for member in members):
            size = sum(member.file_size for member in members)
            if size > max_bytes:
                raise _too_large(name, size, max_bytes)
            return data
        if len(members) != 1:
            some = ", ".join(shown(member.filename) for member in members[:3])
            raise DataError(
                f"Prices file {name} is a zip archive of {counted(len(members), 'file')} ({some}), not of one table. "
                f"Unpack it into a folder (python -m zipfile -e {name} prices/) and give that folder."
            )
        if members[0].file_size > max_bytes:
            raise _too_large(name, members[0].file_size, max_bytes)
        with archive.open(members[0]) as stream:
            content = stream.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise _too_large(name, len(content), max_bytes)
    return content


# ------------------------------------------------------------------------------------------------------- Arrow


def read_arrow(file: Path, data: bytes, max_bytes: int, max_cells: int) -> pa.Table:
    """Table of an Arrow or Feather file, once its buffers' own headers say that it fits the limits."""
    name = shown(str(file), 200)
    try:
        size = _claimed_bytes(data)
        if size > max_bytes:
            raise _too_large(name, size, max_bytes)
        with pa.ipc.open_file(pa.BufferReader(data)) as reader:
            batches, rows = [], 0
            for k in range(reader.num_record_batches):
                batch = reader.get_batch(k)
                rows += batch.num_rows
                check_size(name, rows, len(reader.schema), max_cells)
                batches.append(batch)
            table = pa.Table.from_batches(batches, reader.schema)
        table.validate(full=True)
        return table
    except DataError:
        raise
    except Exception as error:
        reason = shown(str(error).split("\n")[0], 120)
        raise DataError(
            f"Prices file {name} is a damaged or truncated Feather file ({reason}). Copy or download it again, or "
            "write it anew."
        ) from None


def _claimed_bytes(data: bytes) -> int:
    """Unpacked size of all buffers of an Arrow file: each packed buffer begins with the size of its content.

    The blocks are those that the file's footer names, as the reader takes them (Arrow's File.fbs and Message.fbs).
    """
    (length,) = struct.unpack_from("<i", data, len(data) - 10)
    footer = _Flat(data[len(data) - 10 - length : len(data) - 10])
    size = 0
    for vector in (2, 3):  # Footer.dictionaries, Footer.recordBatches
        for offset, head, _ in footer.structs(footer.member(footer.root, vector), "<qi4xq"):
            mark = 8 if data[offset : offset + 4] == b"\xff" * 4 else 4
            message = _Flat(data[offset + mark : offset + head])
            batch = message.table(message.member(message.root, 2))  # Message.header
            if vector == 2:
                batch = message.table(message.member(batch, 1))  # DictionaryBatch.data
            for start, packed in message.structs(message.member(batch, 2), "<qq"):  # RecordBatch.buffers
                claimed = struct.unpack_from("<q", data, offset + head + start)[0] if packed >= 8 else packed
                # Below the packed length, or -1: the buffer is not packed.
                size += max(claimed, packed)
    return size


class _Flat:
    """The few steps through a flatbuffer that lead to a vector of structs."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.root = self.table(0)

    def table(self, at: int) -> int:
        """Place that an offset at `at` leads to."""
        return at + int(struct.unpack_from("<I", self.data, at)[0])

    def member(self, table: int, k: int) -> int:
        """Place of member `k` of a table; 0 when it is absent."""
        vtable = table - struct.unpack_from("<i", self.data, table)[0]
        entry = 4 + 2 * k
        if entry >= struct.unpack_from("<H", self.data, vtable)[0]:
            return 0
        offset = struct.unpack_from("<H", self.data, vtable + entry)[0]
        return table + int(offset) if offset else 0

    def structs(self, place: int, form: str) -> list[tuple[int, ...]]:
        """Elements of a vector of structs; none for an absent one."""
        if not place:
            return []
        vector = self.table(place)
        (count,) = struct.unpack_from("<I", self.data, vector)
        step = struct.calcsize(form)
        if count > len(self.data) // step:
            raise ValueError("a vector is longer than its buffer")
        return [struct.unpack_from(form, self.data, vector + 4 + step * k) for k in range(count)]


# ------------------------------------------------------------------------------------------------------- Excel


def read_workbook(file: Path, data: bytes, max_cells: int) -> tuple[list[str], list[pa.ChunkedArray], list[Note]]:
    """Names and columns of text of a workbook's first sheet, read by openpyxl where it is installed."""
    name = shown(str(file), 200)
    if find_spec("openpyxl") is None:
        raise DataError(
            f"Prices file {name} is an Excel workbook, and what reads it is not installed. Install it with pip install "
            "'pairs-bt[excel]', or save the sheet as CSV."
        )
    import openpyxl

    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        sheet = book.worksheets[0]
        rows: list[list[str]] = []
        for row in sheet.iter_rows(values_only=True):
            rows.append(["" if cell is None else str(cell) for cell in row])
            check_size(name, len(rows), len(row), max_cells)
        titles = book.sheetnames
    except DataError:
        raise
    except Exception as error:
        # openpyxl tells of a damaged workbook in many types.
        reason = shown(str(error).split("\n")[0], 120)
        raise DataError(
            f"Prices file {name} is a workbook that cannot be read ({reason}). Save the sheet as CSV."
        ) from None
    rows = [row for row in rows if any(row)]
    width = max((len(row) for row in rows), default=0)
    if width < 2 or len(rows) < 2:
        raise DataError(
            f"Prices file {name}: its first sheet, {shown(titles[0])}, holds no table. Put the prices there, dates "
            "down and tickers across."
        )
    if len(rows) > 2 and sum(map(bool, rows[0])) == 1 and sum(map(bool, rows[1])) > 1 and sum(map(bool, rows[2])) > 2:
        raise DataError(
            f"Prices file {name}: its first sheet, {shown(titles[0])}, begins with a title, "
            f"{shown(next(filter(None, rows[0])))}, and the table begins below. Remove the lines above it."
        )
    rows = [row + [""] * (width - len(row)) for row in rows]
    names = _unmerged(rows)
    columns = [pa.chunked_array([pa.array([row[j] for row in rows[1:]], pa.string())]) for j in range(width)]
    notes = []
    if len(titles) > 1:
        text = f"the workbook has {len(titles)} sheets ({', '.join(titles[:_SHEETS])}); {shown(titles[0])} was read"
        notes.append(Note("taken", "sheet", "", "", len(titles), text))
    return names, columns, notes


def _unmerged(rows: list[list[str]]) -> list[str]:
    """First row, with the text of merged cells repeated, as pandas writes two levels of columns."""
    names = list(rows[0])
    if "" in names[1:] and all(rows[1][1:]):
        for j in range(2, len(names)):
            names[j] = names[j] or names[j - 1]
    return names
