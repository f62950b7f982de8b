"""What finished windows leave in the folder of an unfinished run.

A part is the checkpoint of one window (:mod:`pairs_bt.common.checkpoints`): a zip (stored, no compression of its own)
of Arrow tables, the cohort's arrays and an index. It is written after the window's spreads, whose checksum it holds: a
window is done when its part verifies and its spreads do.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pairs_bt.backtest.portfolio.returns import Cohort
from pairs_bt.common.checkpoints import Checkpoints, DamagedCheckpoint
from pairs_bt.common.files import sha256_of, write_bytes
from pairs_bt.engine.pipeline import WindowResult

PARTS = "parts"
SPREADS = "spreads"
TABLES = ("tests", "half_lives", "hedge_effectiveness", "trades", "fills")


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

    def write(self, result: WindowResult) -> None:
        """Keep a finished window: its spreads first, then the part that vouches for them."""
        k = result.k
        index = {"spreads": self.write_spreads(k, result.spreads), "cohort": _plain(result.cohort)}
        with self.store.writing(self.labels[k]) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name in TABLES:
                with archive.open(f"{name}.arrow", "w", force_zip64=True) as entry:
                    _write_ipc(entry, result.pieces(name))
            for name, array in _arrays(result.cohort).items():
                archive.writestr(f"{name}.npy", _to_npy(array))
            archive.writestr("index.json", json.dumps(index))

    def write_spreads(self, k: int, frame: pd.DataFrame) -> str | None:
        """Write a window's partition of the spreads and return its sha256; None for no rows."""
        if frame.empty:
            return None
        packed = pa.BufferOutputStream()
        table = to_arrow(frame.drop(columns="test_end"))
        pq.write_table(table, packed, **parquet_options(table.schema))
        return write_bytes(self.folder / spreads_path(self.labels[k]), packed.getvalue())

    def verified(self, k: int) -> bool:
        """Whether window `k` is done: its part is whole and of this run, and its spreads are what it says."""
        try:
            with self._open(k) as (_, index):
                digest = index["spreads"]
            return digest is None or sha256_of(self.folder / spreads_path(self.labels[k])) == digest
        except (DamagedCheckpoint, OSError):
            return False

    @contextmanager
    def _open(self, k: int) -> Iterator[tuple[zipfile.ZipFile, dict[str, Any]]]:
        """The archive of window `k`, which verifies, and its index."""
        with self.store.reading(self.labels[k]) as stream, zipfile.ZipFile(stream) as archive:
            yield archive, json.loads(archive.read("index.json"))

    def frames(self, name: str) -> Iterator[pa.Table]:
        """One table of every window, in order and in the pieces it was written in; no rows give none."""
        for k in range(len(self.labels)):
            with (
                self._open(k) as (archive, _),
                archive.open(f"{name}.arrow") as entry,
                pa.ipc.open_stream(entry) as reader,
            ):
                for batch in reader:
                    if batch.num_rows:
                        yield pa.Table.from_batches([batch])

    def cohorts(self) -> list[Cohort]:
        """Daily dollars of every window, in order."""
        return [self._cohort(k) for k in range(len(self.labels))]

    def _cohort(self, k: int) -> Cohort:
        with self._open(k) as (archive, index):
            plain = dict(index["cohort"])
            for field, names in plain.pop("arrays").items():
                arrays = _from_npy(archive.read(f"{field}.npy")) if names else ()
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


def _write_ipc(stream: IO[bytes], frames: Iterator[pd.DataFrame]) -> None:
    """Write frames as one Arrow stream, a record batch each."""
    writer = None
    for frame in frames:
        table = to_arrow(frame).combine_chunks()
        writer = writer or pa.ipc.new_stream(stream, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


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
