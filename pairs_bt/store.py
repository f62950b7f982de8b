"""The folder of a run: the only place that knows its files."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pairs_bt import __version__, tables
from pairs_bt.config import Config
from pairs_bt.config_io import fingerprint, to_json, to_toml
from pairs_bt.errors import ConfigError, DataError

MANIFEST = "manifest.json"
TABLES = ("tests", "half_lives", "trades", "fills", "returns")
_SCHEMAS = {
    "tests": tables.TESTS,
    "half_lives": tables.HALF_LIVES,
    "trades": tables.TRADES,
    "fills": tables.FILLS,
    "returns": tables.RETURNS,
}
_PACKAGES = ("numpy", "pandas", "numba", "scipy", "statsmodels", "pykalman", "pyarrow", "matplotlib", "arch")


def versions() -> dict[str, str]:
    """Versions of this package and of those whose numbers or bytes enter a run."""
    out = {"pairs_bt": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            out[name] = "absent"
    return out


def check_folder(folder: Path, config: Config, *, fresh: bool) -> None:
    """Refuse a folder that is not this config's, before anything is written.

    Raises
    ------
    ConfigError
        When the folder belongs to another config, or holds files that no run has made.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigError(f"--out {folder} is a file: give the path of a folder.")
    manifest = folder / MANIFEST
    if fresh or not any(folder.iterdir()):
        if any(folder.iterdir()) and not manifest.exists() and not (folder / "config.resolved.json").exists():
            raise ConfigError(f"--fresh would empty {folder}, which no run has made. Give another folder with --out.")
        return
    if not manifest.exists():
        raise ConfigError(
            f"{folder} is not empty and holds no finished run ({MANIFEST} is missing). Give another folder with --out, "
            "or --fresh if it is what an interrupted run has left."
        )
    stored = read_manifest(folder)
    if stored.get("config_sha256") != fingerprint(config):
        raise ConfigError(
            f"{folder} belongs to another config ({_difference(folder, config)}). Give another folder with --out, or "
            "--fresh to replace what is there."
        )


def _difference(folder: Path, config: Config) -> str:
    try:
        stored = json.loads((folder / "config.resolved.json").read_text())
    except (OSError, ValueError):
        return "its config cannot be read"
    here = json.loads(to_json(config))
    changed = [
        f"{table}.{key}: {stored.get(table, {}).get(key)!r} there, {value!r} here"
        for table, section in here.items()
        for key, value in section.items()
        if stored.get(table, {}).get(key) != value
    ]
    return "; ".join(changed[:4]) + (f" and {len(changed) - 4} more" if len(changed) > 4 else "")


class FolderWriter:
    """Writes a run's folder: tables are streamed window by window, and the manifest comes last.

    Everything is written into a hidden folder beside the target and takes its place in one rename, so that a
    folder either holds a whole run or is left as it was.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.partial = folder.parent / f".{folder.name}.partial"
        self._writers: dict[str, pq.ParquetWriter] = {}

    def __enter__(self) -> FolderWriter:
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        return self

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        for writer in self._writers.values():
            writer.close()
        if kind is not None:
            shutil.rmtree(self.partial, ignore_errors=True)

    def append(self, name: str, frame: pd.DataFrame) -> None:
        """Append rows to a table."""
        if frame.empty:
            return
        table = to_arrow(frame)
        if name not in self._writers:
            path = self.partial / f"{name}.parquet"
            self._writers[name] = pq.ParquetWriter(path, table.schema, compression="zstd")
        self._writers[name].write_table(table)

    def write_spreads(self, label: str, frame: pd.DataFrame) -> None:
        """Write one window's partition of the spreads."""
        if frame.empty:
            return
        folder = self.partial / "spreads" / f"test_end={label}"
        folder.mkdir(parents=True)
        pq.write_table(to_arrow(frame.drop(columns="test_end")), folder / "part-0.parquet", compression="zstd")

    def write_text(self, name: str, text: str) -> None:
        """Write a text file."""
        (self.partial / name).write_text(text, encoding="utf-8", newline="\n")

    def finish(self, manifest: dict[str, Any], timing: dict[str, Any]) -> None:
        """Close the tables, write the manifest and put the folder in its place."""
        for name in TABLES:
            if name in self._writers:
                self._writers.pop(name).close()
            else:
                pq.write_table(to_arrow(tables.empty(_SCHEMAS[name])), self.partial / f"{name}.parquet")
        self.write_text(MANIFEST, _json(manifest | {"files": checksums(self.partial)}))
        self.write_text("timing.json", _json(timing))
        with _out_of_the_way(self.folder):
            os.replace(self.partial, self.folder)


@contextmanager
def _out_of_the_way(folder: Path) -> Iterator[None]:
    """Move an old folder aside, and remove it once the new one is in place."""
    aside = folder.parent / f".{folder.name}.old"
    shutil.rmtree(aside, ignore_errors=True)
    if folder.exists():
        os.replace(folder, aside)
    yield
    shutil.rmtree(aside, ignore_errors=True)


def to_arrow(frame: pd.DataFrame) -> pa.Table:
    """A frame as an Arrow table without pandas' own metadata, so that bytes depend on the values alone."""
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


def checksums(folder: Path) -> dict[str, str]:
    """sha256 of every file of the folder but the manifest and the clock, by relative path."""
    skip = {MANIFEST, "timing.json"}
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in skip)
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def base_manifest(config: Config, source: dict[str, Any]) -> dict[str, Any]:
    """What identifies a run: config, data and versions; no clock."""
    return {
        "format": 1,
        "config_sha256": fingerprint(config),
        "data": source,
        "versions": versions(),
        "machine": {"architecture": platform.machine(), "system": platform.system()},
        "seed": config.run.seed,
    }


def config_files(config: Config) -> dict[str, str]:
    """The two config files of the folder."""
    return {"config.toml": to_toml(config), "config.resolved.json": to_json(config)}


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a run's manifest.

    Raises
    ------
    DataError
        When the folder holds no run, or the manifest is damaged.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{folder} holds no finished run: {MANIFEST} is missing. Make one with `pairs-bt run`."
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}): the run is damaged, make it again.") from None
    if not isinstance(manifest, dict) or manifest.get("format") != 1:
        raise DataError(
            f"{path} was written by another version of pairs_bt (format {manifest.get('format')!r}, not 1)."
        )
    return manifest


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """Read one table of a run."""
    path = folder / f"{name}.parquet"
    try:
        return pq.read_table(path).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read ({error}): the run is damaged, make it again.") from None


def read_spreads(folder: Path) -> pd.DataFrame:
    """Read every partition of the spreads, in the order of test ends."""
    parts = []
    for path in sorted((folder / "spreads").glob("test_end=*/part-*.parquet")):
        part = pq.ParquetFile(path).read().to_pandas()
        stamp = pd.Timestamp(path.parent.name.partition("=")[2]).as_unit("us")
        part.insert(0, "test_end", pd.Series([stamp] * len(part), dtype="datetime64[us]"))
        parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else tables.empty(tables.SPREADS)
