"""What finished windows leave in the folder of an unfinished run.

A part is the checkpoint of one window (:mod:`pairs_bt.common.checkpoints`), in blocks: an Arrow stream a table (that of
tests in several), and the cohort's arrays. It is written after the window's spreads, whose checksum it holds: a window
is done when its part verifies and its spreads do. Only the part is synced at once; a power cut before the run's end may
cost the spreads, which their checksum tells.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pairs_bt.backtest.portfolio.returns import Cohort
from pairs_bt.common.checkpoints import BlockReader, Checkpoints, DamagedCheckpoint
from pairs_bt.common.column_table import ColumnTable, decoded
from pairs_bt.common.files import Sync, sha256_of, write_bytes
from pairs_bt.engine.pipeline import WindowResult

PARTS = "parts"
SPREADS = "spreads"
TABLES = ("tests", "half_lives", "hedge_effectiveness", "trades", "fills")


@dataclass(frozen=True)
class PackedWindow:
    """A window as its files will have it: the bytes of its tables in place of its arrays.

    Attributes
    ----------
    k : int
        Number of the window.
    tables : dict
        The Arrow streams of each table. Those of tests are made as they are asked for, once: of all pairs they are
        many, and what they are made of is compact.
    spreads : pyarrow.Buffer or None
        The window's partition; None for no rows.
    cohort : Cohort
    """

    k: int
    tables: dict[str, Iterable[pa.Buffer]]
    spreads: pa.Buffer | None
    cohort: Cohort


def pack(result: WindowResult) -> PackedWindow:
    """Turn a window's tables into what is kept of them."""
    tables: dict[str, Iterable[pa.Buffer]] = {name: [*map(_stream, result.pieces(name))] for name in TABLES[1:]}
    tests = map(_stream, result.pieces("tests"))
    return PackedWindow(result.k, {"tests": tests} | tables, _partition(result.tables["spreads"]), result.cohort)


class Parts:
    """The parts of one run.

    Parameters
    ----------
    folder : Path
        The run's folder.
    run_key : str
        Identifies config, data and versions: a part of another run is no part of this one.
    labels : list of str
        Test ends of the windows, which name the files.
    """

    def __init__(self, folder: Path, run_key: str, labels: list[str]) -> None:
        self.folder = folder
        self.labels = labels
        self.store = Checkpoints(folder / PARTS, run_key)

    def write(self, result: WindowResult | PackedWindow) -> None:
        """Keep a finished window: its spreads first, then the part that vouches for them."""
        packed = pack(result) if isinstance(result, WindowResult) else result
        k, cohort = packed.k, packed.cohort
        spreads = self._write_spreads(k, packed.spreads, "later")
        with self.store.writing_blocks(self.labels[k]) as blocks:
            tables = {name: [blocks.add(stream) for stream in packed.tables[name]] for name in TABLES}
            arrays = {name: blocks.add(_to_npy(array)) for name, array in _arrays(cohort).items()}
            blocks.about = {"spreads": spreads, "cohort": _plain(cohort), "tables": tables, "arrays": arrays}

    def rewrite_spreads(self, result: WindowResult) -> None:
        """Write a window's partition of the spreads again, where a finished run has lost it."""
        self._write_spreads(result.k, _partition(result.tables["spreads"]), "now")

    def _write_spreads(self, k: int, packed: pa.Buffer | None, sync: Sync) -> str | None:
        """Write a window's partition of the spreads and return its sha256; None for no rows."""
        return None if packed is None else write_bytes(self.folder / spreads_path(self.labels[k]), packed, sync=sync)

    def verified(self, k: int) -> bool:
        """Whether window `k` is done: its part is whole and of this run, and its spreads are what it says."""
        try:
            with self._open(k) as blocks:
                blocks.verify()
                digest = blocks.about["spreads"]
            return digest is None or sha256_of(self.folder / spreads_path(self.labels[k])) == digest
        except (DamagedCheckpoint, OSError):
            return False

    def spreads_sha256(self) -> dict[str, str]:
        """The checksum of every window's partition of the spreads, by its path: of what was written, not of a file."""
        found = {}
        for k, label in enumerate(self.labels):
            with self._open(k) as blocks:
                if (digest := blocks.about["spreads"]) is not None:
                    found[spreads_path(label)] = digest
        return found

    def _open(self, k: int) -> AbstractContextManager[BlockReader]:
        return self.store.reading_blocks(self.labels[k])

    def frames(self, name: str) -> Iterator[pa.Table]:
        """One table of every window, in order and in the pieces it was written in; no rows give none."""
        for k in range(len(self.labels)):
            with self._open(k) as blocks:
                for number in blocks.about["tables"][name]:
                    with pa.ipc.open_stream(pa.py_buffer(blocks.read(number))) as reader:
                        table = reader.read_all()
                    if table.num_rows:
                        yield decoded(table)

    def cohorts(self) -> list[Cohort]:
        """Daily dollars of every window, in order."""
        return [self._cohort(k) for k in range(len(self.labels))]

    def _cohort(self, k: int) -> Cohort:
        with self._open(k) as blocks:
            plain, places = dict(blocks.about["cohort"]), blocks.about["arrays"]
            for field, names in plain.pop("arrays").items():
                arrays = _from_npy(blocks.read(places[field])) if names else ()
                plain[field] = dict(zip(names, arrays, strict=True))
        return Cohort(**plain)


def spreads_path(label: str) -> str:
    """Path of a window's partition of the spreads, relative to the run's folder."""
    return f"{SPREADS}/test_end={label}/part-0.parquet"


def to_arrow(frame: pd.DataFrame) -> pa.Table:
    """A frame as an Arrow table without pandas' own metadata, so that bytes depend on the values alone."""
    # what Table.from_pandas does to each column, without the metadata that takes most of its time
    arrays = [pa.array(column, from_pandas=True) for _, column in frame.items()]
    return pa.Table.from_arrays(arrays, names=list(frame.columns))


def parquet_options(schema: pa.Schema) -> dict[str, Any]:
    """How tables are written: numbers plain, since few of them repeat; names in a dictionary, with their range."""
    others = [column.name for column in schema if not pa.types.is_floating(column.type)]
    return {"compression": "zstd", "use_dictionary": others, "write_statistics": others}


def _partition(table: ColumnTable) -> pa.Buffer | None:
    """A window's spreads as a Parquet file, without the column that its path says; None for no rows."""
    if not len(table):
        return None
    packed, made = pa.BufferOutputStream(), table.without("test_end").arrow()
    pq.write_table(made, packed, **parquet_options(made.schema))
    return packed.getvalue()


def _stream(piece: ColumnTable) -> pa.Buffer:
    """A table as one Arrow stream."""
    packed, table = pa.BufferOutputStream(), piece.arrow()
    with pa.ipc.new_stream(packed, table.schema) as writer:
        writer.write_table(table)
    return packed.getvalue()


def _to_npy(array: np.ndarray) -> bytes:
    packed = io.BytesIO()
    np.save(packed, array, allow_pickle=False)
    return packed.getvalue()


def _from_npy(data: bytes) -> np.ndarray:
    return np.load(io.BytesIO(data), allow_pickle=False)


def _plain(cohort: Cohort) -> dict[str, Any]:
    """The cohort's numbers, and of its arrays the names, in order."""
    out: dict[str, Any] = {"arrays": {}}
    for field in fields(cohort):
        value = getattr(cohort, field.name)
        if isinstance(value, dict):
            out["arrays"][field.name] = list(value)
        else:
            out[field.name] = value
    return out


def _arrays(cohort: Cohort) -> dict[str, np.ndarray]:
    values = {field.name: getattr(cohort, field.name) for field in fields(cohort)}
    return {name: np.stack(list(value.values())) for name, value in values.items() if isinstance(value, dict) and value}
