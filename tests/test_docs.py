"""What the documents say of the program is what the program says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from pydantic import BaseModel

from pairs_bt.config import Config
from pairs_bt.config_io import _toml_text

DOCS = Path(__file__).resolve().parents[1] / "docs"


def documented() -> dict[str, dict[str, str]]:
    tables: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in (DOCS / "config.md").read_text().splitlines():
        if heading := re.match(r"## \[(\w+)\]", line):
            current = tables.setdefault(heading[1], {})
        elif (row := re.match(r"\| (`.+?`) \| (.+?) \|", line)) and row[1] != "`key`":
            for key in re.findall(r"`(\w+)`", row[1]):
                current[key] = row[2].strip("`")
    return tables


def test_the_config_page_lists_every_key_with_its_default() -> None:
    tables = documented()
    assert set(tables) == set(Config.model_fields)
    for name, field in Config.model_fields.items():
        section = field.default
        assert isinstance(section, BaseModel)
        values = section.model_dump()
        assert set(tables[name]) == set(values), name
        for key, value in values.items():
            text = tables[name][key]
            if value is None:
                assert text == "none", f"{name}.{key}"
            else:
                assert tomllib.loads(f"v = {text}")["v"] == tomllib.loads(f"v = {_toml_text(value)}")["v"], (
                    f"{name}.{key}"
                )
