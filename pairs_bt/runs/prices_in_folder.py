"""Prices given in memory: what a config must say of them, and the file in a run's folder that keeps them."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pairs_bt.backtest.study import Study, from_source
from pairs_bt.common.files import write_bytes
from pairs_bt.common.paths import expanded
from pairs_bt.config.schema import Config
from pairs_bt.data.prices import PriceData

__all__ = ["PRICES", "keep_prices", "own_prices", "price_bytes"]

PRICES = "prices.parquet"  # in a run's folder


def own_prices(config: Config, prices: Any, out: Path | None) -> tuple[Config, PriceData | None]:
    """Put prices of the caller's own in the place of those that a config names.

    Parameters
    ----------
    config : Config
        What is run.
    prices : any source of :func:`pairs_bt.read_prices`, or None
        A path takes the place of ``data.path``; what is in memory is read and checked here.
    out : Path or None
        Folder of the run, which will keep prices in memory.

    Returns
    -------
    config : Config
        Names the prices that are used: their path, or the file in `out`; no path when they are in memory alone.
    data : PriceData or None
        The checked prices, when they are in memory.
    """
    if prices is None:
        return config, None
    if isinstance(prices, (str, os.PathLike)):
        return _with_data(config, path=os.path.abspath(expanded(prices))), None
    data = from_source(config, prices)
    if out is None:
        return _with_data(config, path=""), data
    content = price_bytes(data.prices)
    source = data.source | {
        "name": PRICES,
        "sha256": hashlib.sha256(content).hexdigest(),
        "rows": len(data.prices),
        "first_date": f"{data.prices.index[0]:%Y-%m-%d}",
        "last_date": f"{data.prices.index[-1]:%Y-%m-%d}",
    }
    # What was taken and cut is done: the file has one price for each ticker and only the dates that are used.
    kept = _with_data(config, path=os.path.abspath(out / PRICES), field="")
    return kept, replace(data, source=source)


def keep_prices(study: Study, folder: Path) -> None:
    """Write the prices of a run into its folder, when its config says that they are there and they are not."""
    path = folder / PRICES
    if not study.config.data.path or Path(study.config.data.path) != path.absolute():
        return
    content = price_bytes(study.prices)
    # Prices that were read from the folder and cut since are not what the file holds: it stays.
    if hashlib.sha256(content).hexdigest() == study.source["sha256"]:
        write_bytes(path, content)


def _with_data(config: Config, **values: Any) -> Config:
    data = config.data.model_copy(update={"synthetic": None, **values})
    return config.model_copy(update={"data": data})


def price_bytes(prices: pd.DataFrame) -> bytes:
    """Checked prices as a Parquet file, the same bytes for the same prices."""
    table = pa.Table.from_pandas(prices.reset_index(), preserve_index=False).replace_schema_metadata(None)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
