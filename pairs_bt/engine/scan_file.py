"""A scan's table on its way to a file, and what a person is told of it, one piece at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pandas as pd
import pyarrow.parquet as pq

from pairs_bt.common.column_table import ColumnTable, decoded
from pairs_bt.common.csv_text import to_csv
from pairs_bt.common.files import replacing
from pairs_bt.engine.scan_table import ScanTable


@dataclass
class ScanSummary:
    """What a scan has found.

    Attributes
    ----------
    lines : list of str
        One a window: its test end, the number of its candidates and the best of them by evidence.
    outcomes : Counter
        Pairs by reason; those without one are ``'selected'``.
    counts : Counter
        Over all windows, as :attr:`pairs_bt.engine.scan_table.ScanTable.counts`.
    """

    lines: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)


def write_scan(tables: Iterable[ScanTable], out: Path | None, *, top: int = 8) -> ScanSummary:
    """Write every window's table to a CSV or Parquet file, none of them as a whole.

    Parameters
    ----------
    tables : iterable of ScanTable
        One a window; each is let go before the next is asked for.
    out : Path, optional
        Where to; None only counts.
    top : int
        Candidates that a window's line names, best evidence first.
    """
    summary = ScanSummary()
    pieces = _noted(tables, summary, top)
    if out is None:
        for _ in pieces:
            pass
    else:
        with replacing(out) as stream:
            (_write_parquet if out.suffix == ".parquet" else _write_csv)(stream, pieces)
    return summary


def _noted(tables: Iterable[ScanTable], summary: ScanSummary, top: int) -> Iterator[ColumnTable]:
    for table in tables:
        yield from table.pieces()
        count = table.counts["selected"]
        names = [f"{table.tickers[y]}/{table.tickers[x]}" for y, x in table.best[:top]]
        more = f", and {count - len(names)} more" if count > len(names) else ""
        summary.lines.append(f"{pd.Timestamp(table.test_end):%Y-%m-%d}  {count:8d}  {', '.join(names)}{more}")
        summary.counts.update(table.counts)
        summary.outcomes.update({reason or "selected": number for reason, number in table.outcomes.items()})


def _write_parquet(stream: BinaryIO, pieces: Iterator[ColumnTable]) -> None:
    writer = None
    for piece in pieces:
        table = decoded(piece.arrow())
        writer = writer or pq.ParquetWriter(stream, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _write_csv(stream: BinaryIO, pieces: Iterator[ColumnTable]) -> None:
    for number, piece in enumerate(pieces):
        text = to_csv(piece.frame())
        # One head, above the first piece.
        stream.write((text if number == 0 else text.partition("\n")[2]).encode())
