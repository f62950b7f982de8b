"""What a run's bytes depend on: config, input files, versions, kind of processor."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pairs_bt.backtest.study import Study
from pairs_bt.common.files import sha256_of
from pairs_bt.config.reader import PATH_KEYS
from pairs_bt.config.schema import Config
from pairs_bt.config.writer import fingerprint, to_json

FORMAT = 2
_PACKAGES = ("numpy", "pandas", "numba", "scipy", "statsmodels", "pykalman", "pyarrow", "matplotlib", "jinja2")


def versions() -> dict[str, str]:
    """Versions of this package and of those whose numbers or bytes enter a run."""
    own = {"pairs_bt": _installed("pairs-bt"), "pairs_bt source": source_sha256(), "python": platform.python_version()}
    return own | {name: _installed(name) for name in _PACKAGES}


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _calendar_version(config: Config) -> dict[str, str]:
    """Version of the exchange calendars where one is used: another may have other holidays."""
    name = "exchange_calendars"
    return {name: version(name)} if config.data.calendar else {}


@lru_cache
def source_sha256() -> str:
    """Checksum of the package's own source: an edit makes another version, whatever number it carries."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py"), key=lambda p: p.relative_to(root).as_posix()):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def machine() -> dict[str, Any]:
    """Return the class of processor that kernels are compiled for: another may round a sum differently."""
    from llvmlite.binding import get_host_cpu_name  # type: ignore[import-untyped]
    from numba.core import config as numba_config

    return {
        "architecture": platform.machine(),
        "system": platform.system(),
        "cpu": numba_config.CPU_NAME or get_host_cpu_name(),  # type: ignore[attr-defined]
        "compiled": not numba_config.DISABLE_JIT,  # type: ignore[attr-defined]
    }


def identify(study: Study) -> dict[str, Any]:
    """Everything that can change a byte of the run's tables, and nothing else: no clock, no path, no thread count."""
    return {
        "format": FORMAT,
        "config_sha256": fingerprint(study.config),
        "data": study.source,
        "inputs": input_files(study.config),
        "versions": versions() | _calendar_version(study.config),
        "machine": machine(),
        "seed": study.config.run.seed,
    }


def input_files(config: Config) -> dict[str, dict[str, Any]]:
    """Name, size and sha256 of the tables beside the prices that the config names."""
    tables = config.model_dump(mode="json")
    found: dict[str, dict[str, Any]] = {}
    for table, key in PATH_KEYS:
        if table == "data":
            continue  # the prices have a fingerprint of their own
        value = tables[table][key]
        if isinstance(value, str) and value not in ("", "all"):
            path = Path(value)
            found[f"{table}.{key}"] = {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}
    return found


def config_differences(stored: dict[str, Any], config: Config) -> list[str]:
    """Keys whose value differs between a stored resolved config and this one; of paths, only the name counts."""
    here = json.loads(to_json(config))

    def plain(table: str, key: str, value: Any) -> Any:
        return Path(value).name if (table, key) in PATH_KEYS and isinstance(value, str) else value

    out = []
    for table, section in here.items():
        there = stored.get(table)
        there = there if isinstance(there, dict) else {}
        for key, value in section.items():
            if plain(table, key, there.get(key)) != plain(table, key, value):
                out.append(f"{table}.{key}: {_short(there.get(key))} there, {_short(value)} here")
    return out


def differences(stored: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Name what differs between two identities, configs apart."""
    out = []
    for part in ("data", "inputs", "versions", "machine"):
        ours, theirs = here.get(part), stored.get(part)
        theirs = theirs if isinstance(theirs, dict) else {}
        assert isinstance(ours, dict)
        out += [
            f"{part} {key}: {_short(theirs.get(key))} there, {_short(ours.get(key))} here"
            for key in sorted({*ours, *theirs})
            if ours.get(key) != theirs.get(key)
        ]
    if stored.get("format") != here["format"]:
        out.append(f"format: {stored.get('format')!r} there, {here['format']} here")
    return out


def _short(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value):
        value = value[:12]
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
