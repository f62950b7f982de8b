"""A finished run, read back from its folder."""

from __future__ import annotations

import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from pairs_bt.backtest.study import load_prices
from pairs_bt.common.periods import TRADING_DAYS
from pairs_bt.config.schema import Config
from pairs_bt.errors import DataError
from pairs_bt.runs import run_folder
from pairs_bt.runs.prices_in_folder import PRICES
from pairs_bt.runs.run_data import Made, ReturnsTable


def read_run(kind: type[Made], folder: str | Path) -> Made:
    """Read a finished run back from its folder.

    Parameters
    ----------
    kind : type
        :class:`pairs_bt.runs.run_data.RunData`, or a face over it.
    folder : path
        What `pairs-bt run` wrote.

    Returns
    -------
    RunData, or the face given
        The same as :func:`pairs_bt.run` returned. Tables, spreads and prices are read on first use, and every file
        is compared with its checksum before it is believed.

    Raises
    ------
    DataError
        When the folder holds no run or a file of it is damaged.
    """
    folder = Path(folder)
    manifest = run_folder.read_manifest(folder)
    files = manifest["files"]
    resolved = run_folder.verified_path(folder, "config.resolved.json", files).read_text(encoding="utf-8")
    summary = run_folder.verified_path(folder, run_folder.SUMMARY, files).read_bytes()
    config = Config.from_dict(_from_json(json.loads(resolved)))
    if config.data.path == PRICES and PRICES in files:
        config = config.model_copy(
            update={"data": config.data.model_copy(update={"path": str((folder / PRICES).absolute())})}
        )
    tables: dict[str, Any] = {
        name: partial(run_folder.read_table, folder, name, files) for name in run_folder.TABLES if name != "returns"
    }
    return kind(
        config=config,
        returns=ReturnsTable(run_folder.read_table(folder, "returns", files)),
        summary=pd.read_csv(io.BytesIO(summary)),
        chance=manifest["chance"],
        source=manifest["data"],
        notes=manifest["notes"],
        folder=folder,
        versions=manifest["versions"],
        counts=manifest.get("counts", {}),
        bars_per_year=float(manifest.get("bars_per_year", TRADING_DAYS)),
        _spreads=None if config.run.spreads == "none" else partial(run_folder.read_spreads, folder, files),
        _prices=lambda: _same_prices(config, manifest["data"]),
        **tables,
    )


def _from_json(tables: dict[str, Any]) -> dict[str, Any]:
    """Undo what JSON cannot say: dates are text there, and an absent value is null."""
    from datetime import date

    out = {name: {k: v for k, v in table.items() if v is not None} for name, table in tables.items()}
    for key in ("start", "end"):
        if key in out["data"]:
            out["data"][key] = date.fromisoformat(out["data"][key])
    return out


def _same_prices(config: Config, source: dict[str, Any]) -> pd.DataFrame:
    data = load_prices(config)
    if data.source["sha256"] != source["sha256"]:
        raise DataError(f"The prices at {config.data.path} are no longer those of this run (their checksum differs).")
    return data.prices
