"""The folder of a run: the only place that knows its files, and whose they are.

While a run is at work the folder holds `parts/`: the run's identity and one file a finished window. At the end the
tables are put together from the parts, `manifest.json` is written last, and the parts go. So a folder with a
manifest is a whole run, one with parts is a run that the same command takes up, and nothing else is a run.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pairs_bt.backtest import table_columns
from pairs_bt.common.checkpoints import Checkpoints, is_blank
from pairs_bt.common.files import (
    json_text,
    reason,
    remove_temporaries,
    replacing,
    sha256_of,
    sync_files,
    write_text,
)
from pairs_bt.config.schema import Config
from pairs_bt.config.writer import fingerprint, to_json, to_toml
from pairs_bt.engine.identity import FORMAT, config_differences, differences
from pairs_bt.engine.window_parts import PARTS, SPREADS, Parts, parquet_options, spreads_path, to_arrow
from pairs_bt.errors import ConfigError, DataError
from pairs_bt.runs.prices_in_folder import PRICES

MANIFEST = "manifest.json"
TIMING = "timing.json"
REPORT = "report.html"
EXPLORER = "explore.html"
SUMMARY = "summary.csv"
TABLES = ("tests", "half_lives", "hedge_effectiveness", "trades", "fills", "returns")
_IDENTITY = "run.json"
CONFIGS = ("config.toml", "config.resolved.json")
_TABLE_FILES = tuple(f"{name}.parquet" for name in TABLES)
_OURS = {MANIFEST, TIMING, REPORT, EXPLORER, SUMMARY, SPREADS, PARTS, PRICES, *CONFIGS, *_TABLE_FILES}

State = Literal["absent", "empty", "complete", "unfinished", "foreign"]


def state_of(folder: Path) -> State:
    """What a folder holds: nothing, a whole run, an unfinished one, or something else."""
    if not folder.exists():
        return "absent"
    if (folder / MANIFEST).exists():
        return "complete"
    if (folder / PARTS / _IDENTITY).exists():
        return "unfinished"
    return "empty" if is_blank(folder) else "foreign"


def check_folder(folder: Path, config: Config, *, fresh: bool) -> None:
    """Refuse a folder that is not this config's, before anything is read or written.

    Raises
    ------
    ConfigError
        When the folder belongs to another config, or holds files that no run has made.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--out {folder} is a file: give the path of a folder.")
    state = state_of(folder)
    if state == "foreign":
        what = f"--fresh would empty {folder}" if fresh else f"{folder} is not empty"
        raise ConfigError(f"{what}, and no run has made what is there. Give another folder with --out.")
    if fresh or state in ("absent", "empty"):
        return
    stored = _stored_identity(folder, state)
    if stored.get("config_sha256") != fingerprint(config):
        changed = config_differences(_stored_config(folder, stored), config) or ["its config cannot be read"]
        raise ConfigError(f"{folder} belongs to another config ({_some(changed)}). {_REMEDY}")


_REMEDY = "Give another folder with --out, or --fresh to replace what is there."


def check_identity(folder: Path, identity: dict[str, Any], state: State) -> None:
    """Refuse to go on with a run whose data, versions or processor were others.

    Raises
    ------
    ConfigError
        Naming what differs.
    """
    changed = differences(_stored_identity(folder, state), identity)
    if changed:
        what = "was made" if state == "complete" else "was begun"
        raise ConfigError(f"The run in {folder} {what} with something else: {_some(changed)}. {_REMEDY}")


def _some(changed: list[str], most: int = 4) -> str:
    return "; ".join(changed[:most]) + (f" and {len(changed) - most} more" if len(changed) > most else "")


def _stored_identity(folder: Path, state: State) -> dict[str, Any]:
    path = folder / (MANIFEST if state == "complete" else f"{PARTS}/{_IDENTITY}")
    try:
        return _read_signed(path)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is damaged ({error}), so that nothing says whose run this is. {_REMEDY}") from None


def _stored_config(folder: Path, stored: dict[str, Any]) -> dict[str, Any]:
    if "config" in stored:
        return stored["config"]
    try:
        return json.loads((folder / "config.resolved.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def run_key(identity: dict[str, Any]) -> str:
    """One text for an identity."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def begin(folder: Path, config: Config, identity: dict[str, Any]) -> None:
    """Make the folder a run's: its identity first, then its config."""
    remove_temporaries(folder)
    write_text(folder / PARTS / _IDENTITY, _signed(identity | {"config": json.loads(to_json(config))}))
    write_configs(folder, config)


def write_configs(folder: Path, config: Config) -> None:
    """Write the config as it was resolved, for people and for programs; prices beside it go by their name alone."""
    if config.data.path and Path(config.data.path) == (folder / PRICES).absolute():
        config = config.model_copy(update={"data": config.data.model_copy(update={"path": PRICES})})
    write_text(folder / "config.toml", to_toml(config))
    write_text(folder / "config.resolved.json", to_json(config))


def clear(folder: Path, keep: str = "") -> None:
    """Remove what runs make from a folder and nothing else, the manifest first: no half passes for a whole.

    `keep` is the path of the prices that the next run reads: they stay where they are in the folder itself.
    """
    (folder / MANIFEST).unlink(missing_ok=True)
    for name in sorted(_OURS):
        if keep and Path(keep) == (folder / name).absolute():
            continue
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def write_table(folder: Path, name: str, parts: Iterable[pa.Table]) -> None:
    """Write one table from its parts, one row group each, holding one of them at a time."""
    with replacing(folder / f"{name}.parquet", sync="later") as stream, ExitStack() as closing:

        def writer_of(schema: pa.Schema) -> pq.ParquetWriter:
            return closing.enter_context(pq.ParquetWriter(stream, schema, **parquet_options(schema)))

        writer = None
        for part in parts:
            writer = writer or writer_of(part.schema)
            writer.write_table(part)
        if writer is None:
            empty = to_arrow(table_columns.empty(getattr(table_columns, name.upper())))
            writer_of(empty.schema).write_table(empty)


def finish(
    folder: Path, manifest: dict[str, Any], labels: list[str], timing: dict[str, Any], spreads: dict[str, str]
) -> None:
    """Bring every file to the disk, then write the manifest: from here on the run is whole. The parts go last.

    `spreads` are the checksums of their partitions as they were written, by path.
    """
    write_text(folder / TIMING, json_text(timing))
    files = checksums(folder, labels, spreads)
    sync_files(folder, files)
    write_text(folder / MANIFEST, _signed(manifest | {"files": files}))
    drop_parts(folder)


def drop_parts(folder: Path) -> None:
    """Remove the parts of a run that is whole."""
    shutil.rmtree(folder / PARTS, ignore_errors=True)


def checksums(folder: Path, labels: list[str], known: dict[str, str]) -> dict[str, str]:
    """sha256 of every file of a run but the manifest and the clock, by relative path; `known` ones are not read."""
    names = [*CONFIGS, PRICES, REPORT, EXPLORER, SUMMARY, *_TABLE_FILES, *map(spreads_path, labels)]
    return {n: known.get(n) or sha256_of(folder / n) for n in sorted(names) if (folder / n).is_file()}


def damaged(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """Files of a finished run that are missing or not what the manifest says."""
    return [name for name, digest in manifest["files"].items() if not _is(folder / name, digest)]


def _is(path: Path, digest: str) -> bool:
    try:
        return sha256_of(path) == digest
    except OSError:
        return False


def parts_done(folder: Path) -> tuple[int, int]:
    """Count the windows of an unfinished run that are kept and verify, and the parts that are there at all."""
    identity = _stored_identity(folder, "unfinished")
    identity.pop("config", None)
    labels = parts_kept(folder)
    parts = Parts(folder, run_key(identity), labels)
    return sum(parts.verified(k) for k in range(len(labels))), len(labels)


def parts_kept(folder: Path) -> list[str]:
    """Labels of the windows of an unfinished run that have a part, sound or not."""
    return Checkpoints(folder / PARTS, "").keys()


def record_file(folder: Path, name: str) -> None:
    """Take a file that was written anew (a report with more pages) into the manifest."""
    manifest = read_manifest(folder)
    manifest["files"][name] = sha256_of(folder / name)
    write_text(folder / MANIFEST, _signed(manifest))


def _signed(value: dict[str, Any]) -> str:
    """JSON that holds its own checksum."""
    return json_text(value | {"self_sha256": _own_sha256(value)})


def _own_sha256(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _read_signed(path: Path) -> dict[str, Any]:
    """Read JSON that holds its own checksum; ValueError when it is not what was written."""
    text = path.read_text(encoding="utf-8")
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("it is no table of keys")
    value.pop("self_sha256", None)
    if text != _signed(value):
        raise ValueError("its checksum does not match")
    return value


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a run's manifest.

    Raises
    ------
    DataError
        When the folder holds no finished run, or the manifest is damaged.
    """
    path = folder / MANIFEST
    try:
        manifest = _read_signed(path)
    except (FileNotFoundError, NotADirectoryError):
        if state_of(folder) == "unfinished":
            raise DataError(
                f"The run in {folder} is not finished: give the command that began it again, and it goes on."
            ) from None
        raise DataError(
            f"{folder} holds no finished run: {MANIFEST} is missing. Make one with `pairs-bt run`."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read ({error}): the run is damaged, make it again with --fresh.") from None
    if manifest.get("format") != FORMAT:
        raise DataError(
            f"{path} was written by another version of pairs_bt (format {manifest.get('format')!r}, not {FORMAT})."
        )
    return manifest


def verified_path(folder: Path, name: str, files: dict[str, str]) -> Path:
    """Path of a run's file, after its bytes were compared with the manifest's checksum.

    Raises
    ------
    DataError
        When the file is missing, cannot be read or is not what was written.
    """
    path = folder / name
    try:
        if sha256_of(path) == files.get(name):
            return path
        what = "is not what the run wrote (its checksum differs)"
    except OSError as error:
        what = f"cannot be read ({reason(error)})"
    raise DataError(
        f"{path} {what}. The command that made the run (`pairs-bt run CONFIG --out {folder}`) repairs it; "
        f"`pairs-bt verify {folder}` checks the rest."
    )


def read_table(folder: Path, name: str, files: dict[str, str], *, columns: list[str] | None = None) -> pd.DataFrame:
    """Read one table of a finished run, or some columns of it, checked against `files` of its manifest."""
    return _to_frame(verified_path(folder, f"{name}.parquet", files), columns)


def read_fresh_table(folder: Path, name: str, *, columns: list[str] | None = None) -> pd.DataFrame:
    """Read one table that this process has just written, or some columns of it."""
    return _to_frame(folder / f"{name}.parquet", columns)


def _to_frame(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    try:
        return pq.ParquetFile(path, memory_map=False).read(columns=columns).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read ({error}): make the run again with --fresh.") from None


def read_spreads(
    folder: Path,
    files: dict[str, str] | None = None,
    *,
    keep: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
    test_end: pd.Timestamp | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Read the partitions of the spreads, in the order of test ends; checked where `files` are given.

    `keep` picks rows and columns of each partition as it is read, so that no more than those are held; `test_end`
    reads one partition only, `columns` (None: all) no others than those and ``test_end``.
    """
    if files is None:
        paths = sorted((folder / SPREADS).glob("test_end=*/part-0.parquet"))
    else:
        paths = [verified_path(folder, name, files) for name in sorted(files) if name.startswith(f"{SPREADS}/")]
    parts = []
    for path in paths:
        stamp = pd.Timestamp(path.parent.name.partition("=")[2]).as_unit("us")
        if test_end is not None and stamp != test_end:
            continue
        part = _to_frame(path, None if columns is None else [name for name in columns if name != "test_end"])
        part.insert(0, "test_end", np.full(len(part), stamp.to_datetime64()))
        parts.append(part if keep is None else keep(part))
    return pd.concat(parts, ignore_index=True) if parts else table_columns.empty(table_columns.SPREADS)
