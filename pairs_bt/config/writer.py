"""A config as text: JSON with every key, TOML that reads back, and the checksum of what can change a number."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

from pairs_bt.config.reader import PATH_KEYS, is_path
from pairs_bt.config.schema import Config


def to_json(config: Config) -> str:
    """The resolved config as JSON: every key, sorted, dates as text."""
    return json.dumps(config.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"


def fingerprint(config: Config) -> str:
    """sha256 of everything in the config that can change a number (paths are covered by the data's own)."""
    tables = config.model_dump(mode="json", exclude={"sweep"})
    for table, key in PATH_KEYS:
        value = tables[table][key]
        if is_path(table, key, value):
            tables[table][key] = Path(value).name
    return hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()


def to_toml(config: Config) -> str:
    """The resolved config as TOML that :meth:`pairs_bt.Config.load` reads back to an equal config."""
    lines = []
    for name, table in config.to_dict().items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_toml_text(value)}" for key, value in table.items()]
        lines.append("")
    return "\n".join(lines)


def _toml_key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)


def _toml_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml_key(key)} = {_toml_text(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml_text(item) for item in value) + "]"
    return json.dumps(value)  # a TOML basic string takes JSON's escapes
