"""A study that travels: packed once, unpacked once in each process that runs its tasks.

What is packed is arrays and JSON, so that a packed study may also lie in a file that workers read: no code is taken
from it. The reader checks that it is of the writer's versions and kind of processor, because others may round a sum
differently.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.atomic import write_bytes
from pairs_bt.config import Config
from pairs_bt.config_text import to_json
from pairs_bt.errors import ConfigError, DataError
from pairs_bt.identity import machine, versions
from pairs_bt.study import Study
from pairs_bt.windows import split_windows

_ARRAYS = ("filled", "quotes", "spread_prices", "pair_i", "pair_j", "borrow_rate", "day_gap", "sample_complete")


def local_identity() -> dict[str, str]:
    """Everything about this process that can change a byte of a task's result."""
    return versions() | {f"machine {key}": str(value) for key, value in machine().items()}


def check_identity(theirs: dict[str, str], who: str) -> None:
    """Refuse a process that could give other bytes than this one.

    Raises
    ------
    ConfigError
        Naming `who` it is and what differs.
    """
    ours = local_identity()
    wrong = [
        f"{key} {theirs.get(key, 'absent')[:24]} there, {ours.get(key, 'absent')[:24]} here"
        for key in {**ours, **theirs}
        if ours.get(key) != theirs.get(key)
    ]
    if wrong:
        raise ConfigError(
            f"{who} is not like this process: {'; '.join(wrong[:4])}"
            f"{f' and {len(wrong) - 4} more' if len(wrong) > 4 else ''}. Results would depend on who made them: "
            "install the same versions on client and workers (for processors of several kinds, set "
            "NUMBA_CPU_NAME=generic on all)."
        )


class SharedStudy:
    """A study, packed or not; pickled as its packed bytes, or as the path of a file that holds them.

    Parameters
    ----------
    study : Study
    file : Path, optional
        Write the packed study there, and let other processes read it from there.
    """

    def __init__(self, study: Study, file: Path | None = None) -> None:
        self._study: Study | None = study
        self._lock = Lock()
        packed = pack(study)
        self._sha256 = hashlib.sha256(packed).hexdigest()
        self._file = None if file is None else str(file.absolute())
        self._packed: bytes | None = packed if file is None else None
        if file is not None:
            write_bytes(file, packed)

    @property
    def sha256(self) -> str:
        """Checksum of the packed study: equal where everything that tasks read is."""
        return self._sha256

    def __getstate__(self) -> dict[str, Any]:
        return {"sha256": self._sha256, "file": self._file, "packed": self._packed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._study = None
        self._lock = Lock()
        self._sha256, self._file, self._packed = state["sha256"], state["file"], state["packed"]

    @property
    def study(self) -> Study:
        """The study, unpacked on first use.

        Raises
        ------
        ConfigError
            When this process is not like the one that packed it.
        DataError
            When the file that holds it cannot be read, or is another.
        """
        with self._lock:
            if self._study is None:
                self._study = unpack(self._packed if self._packed is not None else self._read())
            return self._study

    def _read(self) -> bytes:
        assert self._file is not None
        try:
            packed = Path(self._file).read_bytes()
        except OSError as error:
            raise DataError(
                f"A worker cannot read {self._file} ({error.strerror}): the run's folder is not shared with it "
                "under the same path. Mount it there, or give --return-parts."
            ) from None
        if hashlib.sha256(packed).hexdigest() != self._sha256:
            raise DataError(f"A worker finds another {self._file} than the client wrote: is that folder the same disk?")
        return packed


def pack(study: Study) -> bytes:
    """Everything that tasks read of a study, as one zip of arrays and JSON."""
    arrays = {name: getattr(study, name) for name in _ARRAYS if getattr(study, name) is not None}
    arrays["dates"] = study.dates.to_numpy()
    if study.spread_prices is study.filled:
        del arrays["spread_prices"]
    for name in ("pair_i", "pair_j"):
        arrays[name] = arrays[name].astype(np.int32)
    index: dict[str, Any] = {
        "identity": local_identity(),
        "config": json.loads(to_json(study.config)),
        "tickers": study.tickers,
        "source": study.source,
    }
    if study.membership is not None:
        index["members"] = study.membership["ticker"].tolist()
        arrays["member_start"] = study.membership["start"].to_numpy()
        arrays["member_end"] = study.membership["end"].to_numpy()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        # Entries without the hour, so that the same study is packed to the same bytes.
        archive.writestr(zipfile.ZipInfo("index.json"), json.dumps(index))
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
    return packed.getvalue()


def unpack(packed: bytes) -> Study:
    """The study that was packed, without the unfilled prices and the notes, which no task reads.

    Raises
    ------
    ConfigError
        When this process is not like the one that packed it.
    """
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        index = json.loads(archive.read("index.json"))
        check_identity(index["identity"], "The client")
        arrays = {
            name.removesuffix(".npy"): np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
            for name in archive.namelist()
            if name.endswith(".npy")
        }
    config = Config.model_validate_json(json.dumps(index["config"]))
    dates = pd.DatetimeIndex(arrays["dates"])
    members = None
    if "members" in index:
        members = pd.DataFrame(
            {"ticker": index["members"], "start": arrays["member_start"], "end": arrays["member_end"]}
        )
    return Study(
        config=config,
        prices=pd.DataFrame(index=dates),
        tickers=index["tickers"],
        dates=dates,
        filled=arrays["filled"],
        quotes=arrays["quotes"],
        spread_prices=arrays.get("spread_prices", arrays["filled"]),
        windows=split_windows(dates, config.windows),
        pair_i=arrays["pair_i"].astype(np.int64),
        pair_j=arrays["pair_j"].astype(np.int64),
        membership=members,
        sample_complete=arrays.get("sample_complete"),
        borrow_rate=arrays["borrow_rate"],
        day_gap=arrays["day_gap"],
        notes=(),
        source=index["source"],
    )
