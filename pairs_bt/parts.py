"""What finished windows leave in the folder of an unfinished run.

A part is one file a window, whole or absent: a line with the sha256 of the rest, then a zip (stored, no
compression of its own) of Arrow tables, the cohort's arrays and an index. It is written last, after the window's
spreads, whose checksum it holds: a window is done when its part verifies and its spreads do. Nothing in it is code.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pairs_bt.atomic import replacing, sha256_of, write_bytes
from pairs_bt.pipeline import WindowResult
from pairs_bt.portfolio import Cohort

PARTS = "parts"
TABLES = ("tests", "half_lives", "trades", "fills")
_MAGIC = b"pairs_bt part 1 "
_HEAD = len(_MAGIC) + 64 + 1


class DamagedPart(Exception):
    """A part, or the spreads that belong to it, are not what was written."""


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
    stage : str
        Sets the passes of a run that trades its windows twice apart.
    """

    def __init__(self, folder: Path, run_key: str, labels: list[str], stage: str = "") -> None:
        self.folder = folder
        self.run_key = run_key
        self.labels = labels
        self.stage = stage

    def path(self, k: int) -> Path:
        """Where the part of window `k` is."""
        return self.folder / PARTS / f"{self.labels[k]}{self.stage}.part"

    def write(self, result: WindowResult) -> None:
        """Keep a finished window: its spreads first, then the part that vouches for them."""
        k = result.k
        index: dict[str, Any] = {
            "run": self.run_key,
            "window": self.labels[k],
            "spreads": self.write_spreads(k, result.spreads),
            "cohort": _plain(result.cohort),
        }
        with replacing(self.path(k)) as stream:
            stream.write(bytes(_HEAD))
            body = _Hashing(stream)
            with zipfile.ZipFile(body, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
                for name in TABLES:
                    with archive.open(f"{name}.arrow", "w", force_zip64=True) as entry:
                        _write_ipc(entry, result.pieces(name))
                for name, array in _arrays(result.cohort).items():
                    archive.writestr(f"{name}.npy", _to_npy(array))
                archive.writestr("index.json", json.dumps(index))
            stream.seek(0)
            stream.write(_head(body.sha256))

    def write_spreads(self, k: int, frame: pd.DataFrame) -> str | None:
        """Write a window's partition of the spreads and return its sha256; None for no rows."""
        if frame.empty:
            return None
        packed = pa.BufferOutputStream()
        pq.write_table(to_arrow(frame.drop(columns="test_end")), packed, compression="zstd")
        return write_bytes(self.folder / spreads_path(self.labels[k]), packed.getvalue())

    def verified(self, k: int) -> bool:
        """Whether window `k` is done: its part is whole and of this run, and its spreads are what it says."""
        try:
            digest = self._open(k).index["spreads"]
            return digest is None or sha256_of(self.folder / spreads_path(self.labels[k])) == digest
        except (DamagedPart, OSError):
            return False

    def _open(self, k: int) -> _Part:
        part = _Part(self.path(k))
        if part.index.get("run") != self.run_key or part.index.get("window") != self.labels[k]:
            raise DamagedPart(f"{self.path(k)} belongs to another run")
        return part

    def frames(self, name: str) -> Iterator[pa.Table]:
        """One table of every window, in order and in the pieces it was written in; no rows give none."""
        for k in range(len(self.labels)):
            yield from self._open(k).pieces(name)

    def cohorts(self) -> list[Cohort]:
        """Daily dollars of every window, in order."""
        return [self._open(k).cohort() for k in range(len(self.labels))]

    def spreads(self) -> dict[str, str]:
        """Checksums of the partitions of the spreads, by relative path."""
        found = {spreads_path(label): self._open(k).index["spreads"] for k, label in enumerate(self.labels)}
        return {path: digest for path, digest in found.items() if digest is not None}


class _Part:
    """One part, checked against its own checksum when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
            if head != _head(hashlib.file_digest(stream, "sha256")):
                raise DamagedPart(f"{path} is cut or changed")
        try:
            self._archive = zipfile.ZipFile(path)
            self.index = json.loads(self._archive.read("index.json"))
        except (zipfile.BadZipFile, KeyError, ValueError) as error:
            raise DamagedPart(f"{path} is no part: {error}") from None

    def pieces(self, name: str) -> Iterator[pa.Table]:
        with self._archive.open(f"{name}.arrow") as entry, pa.ipc.open_stream(entry) as reader:
            for batch in reader:
                if batch.num_rows:
                    yield pa.Table.from_batches([batch])

    def cohort(self) -> Cohort:
        plain = dict(self.index["cohort"])
        for field, names in plain.pop("arrays").items():
            arrays = _from_npy(self._archive.read(f"{field}.npy")) if names else ()
            plain[field] = dict(zip(names, arrays, strict=True))
        return Cohort(**plain)


def spreads_path(label: str) -> str:
    """Path of a window's partition of the spreads, relative to the run's folder."""
    return f"spreads/test_end={label}/part-0.parquet"


def to_arrow(frame: pd.DataFrame) -> pa.Table:
    """A frame as an Arrow table without pandas' own metadata, so that bytes depend on the values alone."""
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


class _Hashing:
    """A stream that only goes forward and knows the checksum of what it was given."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.sha256 = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        self.size += len(data)
        return self.stream.write(data)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self.stream.flush()


def _head(sha256: Any) -> bytes:
    return _MAGIC + sha256.hexdigest().encode() + b"\n"


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
