"""The folder of a sweep: finished settings as they come, then the tables, the page and a manifest.

A setting is kept under everything that its returns depend on (its config, the data, the versions), so the same
command goes on where it was stopped, and a grown grid trades only what is new.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pairs_bt.common.checkpoints import Checkpoints, is_blank
from pairs_bt.common.files import json_text, reason, replacing, sha256_of, write_text
from pairs_bt.config.schema import Comparison, Config, RunOptions
from pairs_bt.config.writer import fingerprint, to_toml
from pairs_bt.engine.identity import identify, input_files, machine, versions
from pairs_bt.errors import ConfigError, PartialError
from pairs_bt.sweep.analysis import SweepResult
from pairs_bt.sweep.outcomes import Outcome
from pairs_bt.sweep.shared_stages import SweepCase

BEGUN = "base.json"
SETTINGS = "settings"
MANIFEST = "manifest.json"
PAGE = "sweep.html"
FILES = ("config.toml", "sweep.csv", "choices.csv", "overfitting.json", "returns.parquet", PAGE)
_ARRAYS = ("dates", "net", "gross", "ends", "cohort", "score", "trades")


def check_folder(folder: Path, config: Config, *, fresh: bool) -> None:
    """Refuse a folder that is not this config's sweep, before anything is computed.

    Raises
    ------
    ConfigError
        When it is a file, holds what no sweep has made, or belongs to another config.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--out {folder} is a file: give the path of a folder.")
    if not folder.exists() or is_blank(folder):
        return
    try:
        stored = json.loads((folder / BEGUN).read_text(encoding="utf-8"))["config_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        what = f"--fresh would empty {folder}" if fresh else f"{folder} is not empty"
        raise ConfigError(f"{what}, and no sweep has made what is there. Give another folder with --out.") from None
    if stored != fingerprint(config) and not fresh:
        raise ConfigError(
            f"{folder} belongs to the sweep of another config. Give another folder with --out, or --fresh to "
            "replace what is there. (Another grid over the same config may use the same folder.)"
        )


def begin(folder: Path, config: Config, *, fresh: bool) -> None:
    """Make the folder this config's; what was finished in it stays, unless `fresh`."""
    if fresh:
        shutil.rmtree(folder / SETTINGS, ignore_errors=True)
    # Without a manifest, tables of an earlier grid do not pass for this one's.
    for name in (MANIFEST, *FILES) if fresh else (MANIFEST,):
        (folder / name).unlink(missing_ok=True)
    write_text(folder / BEGUN, json.dumps({"config_sha256": fingerprint(config)}) + "\n")


def part_keys(cases: Sequence[SweepCase], ends: Sequence[np.datetime64]) -> list[str]:
    """For every setting, one name for all that its outcome depends on."""
    common = identify(cases[0].study)
    shared = [str(end) for end in ends]
    out = []
    for case in cases:
        # How variants are compared and what a run keeps changes no return.
        config = case.config.model_copy(update={"comparison": Comparison(), "run": RunOptions()})
        own = {"config_sha256": fingerprint(config), "inputs": input_files(config), "seed": 0, "ends": shared}
        text = json.dumps(common | own, sort_keys=True, default=str)
        out.append(hashlib.sha256(text.encode()).hexdigest()[:32])
    return out


def settings_store(folder: Path) -> Checkpoints:
    """The finished settings; each key holds all that its setting's outcome depends on."""
    return Checkpoints(folder / SETTINGS, "sweep")


def pack(outcome: Outcome) -> bytes:
    """One finished setting as bytes: an archive of arrays."""
    buffer = io.BytesIO()
    arrays = {name: getattr(outcome, name) for name in _ARRAYS}
    np.savez(buffer, variants=np.array(outcome.variants), **arrays)
    return buffer.getvalue()


def unpack(data: bytes | None) -> Outcome | None:
    """What `pack` has packed; None of None."""
    if data is None:
        return None
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in _ARRAYS}
        return Outcome(variants=tuple(str(name) for name in stored["variants"]), **arrays)


def write_tables(folder: Path, result: SweepResult, page: str) -> None:
    """Write everything that people and programs read; the manifest last.

    Raises
    ------
    PartialError
        When the disk is full or the folder cannot be written.
    """
    grid = {parameter.key: list(parameter.texts) for parameter in result.grid.parameters}
    try:
        write_text(folder / "config.toml", to_toml(result.config))
        write_text(folder / "sweep.csv", result.table.to_csv(index=False, lineterminator="\n"))
        write_text(folder / "choices.csv", result.choices.to_csv(index=False, lineterminator="\n"))
        write_text(folder / "overfitting.json", json_text(result.overfitting()))
        _write_returns(folder / "returns.parquet", result)
        write_text(folder / PAGE, page)
        files = {name: sha256_of(folder / name) for name in FILES}
        manifest = {
            "config_sha256": fingerprint(result.config),
            "grid": grid,
            "data": result.source,
            "versions": versions(),
            "machine": machine(),
            "notes": list(result.notes),
            "files": files,
        }
        write_text(folder / MANIFEST, json_text(manifest))
    except OSError as error:
        raise no_room(folder, error) from None


def no_room(folder: Path, error: OSError) -> PartialError:
    """The error for a folder that cannot be written any more."""
    return PartialError(
        f"The sweep could not write to {folder}: {reason(error)}. Finished settings are kept there; make room and give "
        "the same command again."
    )


def _write_returns(path: Path, result: SweepResult) -> None:
    """Write net returns of every setting, as a run gives them, and of the walk-forward choice: one row group each."""
    schema = pa.schema(
        [
            ("setting", pa.dictionary(pa.int32(), pa.string())),
            ("variant", pa.dictionary(pa.int32(), pa.string())),
            ("date", pa.timestamp("us")),
            ("net", pa.float64()),
        ]
    )
    with replacing(path) as stream, pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for setting, outcome in zip(result.grid.settings, result.outcomes, strict=True):
            dates = pa.array(outcome.dates)
            for variant, net in zip(outcome.variants, outcome.net, strict=True):
                writer.write_table(_rows(schema, str(setting.number), variant, dates, net))
        dates = pa.array(result.dates)
        for variant, walk in result.walks.items():
            writer.write_table(_rows(schema, "walk-forward", variant, dates, walk.walk_forward))


def _rows(schema: pa.Schema, setting: str, variant: str, dates: pa.Array, net: np.ndarray) -> pa.Table:
    first = pa.array(np.zeros(net.size, dtype=np.int32))
    names = [pa.DictionaryArray.from_arrays(first, [name]) for name in (setting, variant)]
    return pa.Table.from_arrays([*names, dates, pa.array(net)], schema=schema)
