"""Write a universe as Parquet from a folder of per-ticker files, chosen by dollar volume as of a date.

Usage: python data/make_universe.py FOLDER --as-of DATE [--size 500] [--days 63] [--start DATE] [--end DATE] --out FILE

FOLDER holds one file for each ticker, named after it, with a date, a close (an adjusted one, too, where the source
has it) and a volume: what Stooq gives, and Kaggle's "Huge Stock Market Dataset".
The tickers are ranked by the median of close x volume over the last DAYS dates up to and with DATE, and only those
with a price on 95% of them count. Nothing after DATE enters the choice, so that names which vanish later stay in: a
study of the file should start after DATE. Prints what was taken, what was passed over, and the sha256.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pairs_bt.data.formats.column_names import field_of, is_date, is_ticker
from pairs_bt.data.formats.date_parsing import parse_stamps
from pairs_bt.data.formats.price_folders import list_files, ticker_of
from pairs_bt.data.formats.wide_table import numbers_of
from pairs_bt.data.prices import MAX_BYTES, MAX_CELLS, check_prices
from pairs_bt.data.sources import Columns, read_columns
from pairs_bt.errors import DataError

COMPLETE = 0.95  # share of the ranking's dates on which a ticker needs a price


@dataclass(frozen=True)
class Universe:
    """Closes and dollar volumes of every ticker of a folder, dates x tickers, and why files were passed over."""

    prices: pd.DataFrame
    dollars: pd.DataFrame
    passed_over: dict[str, str]


def read_folder(folder: Path) -> Universe:
    """Read every file of a folder that has dates, closes and volumes."""
    prices, dollars, passed = {}, {}, {}
    for path in list_files(folder):
        name = path.relative_to(folder).as_posix()
        try:
            ticker, price, dollar = _bars(read_columns(path, max_bytes=MAX_BYTES, max_cells=MAX_CELLS), path)
        except DataError as error:
            passed[name] = str(error)
            continue
        if ticker in prices:
            passed[name] = f"ticker {ticker} has come before"
            continue
        prices[ticker], dollars[ticker] = price, dollar
    if not prices:
        raise SystemExit(f"{folder} has no file with dates, closes and volumes")
    return Universe(pd.DataFrame(prices).sort_index(), pd.DataFrame(dollars).sort_index(), passed)


def _bars(table: Columns, path: Path) -> tuple[str, pd.Series, pd.Series]:
    """Ticker, price and dollar volume of one file; the dollars are those of the plain close."""
    if not table.rows:
        raise DataError("no rows")
    names = [table.label(j) for j in range(table.width)]
    at = {field: j for j, name in reversed(list(enumerate(names))) if (field := field_of(name))}
    if "volume" not in at or not {"close", "adj close"} & set(at):
        raise DataError(f"no close or no volume among {', '.join(names)}")
    days, _ = parse_stamps(table.columns[next((j for j, n in enumerate(names) if is_date(n)), table.date_column)])
    wanted = [at.get("adj close", at.get("close", 0)), at.get("close", at.get("adj close", 0)), at["volume"]]
    (price, close, volume), bad, _ = numbers_of([table.columns[j] for j in wanted], [names[j] for j in wanted])
    index = pd.DatetimeIndex(days).normalize()
    if bad or not index.is_unique:
        raise DataError("text among its numbers" if bad else "a date twice")
    owner = next((str(table.columns[j][0].as_py()) for j, name in enumerate(names) if is_ticker(name)), ticker_of(path))
    # A price of zero is none: such files use it for days without a trade.
    price = np.where(price > 0, price, np.nan)
    return owner, pd.Series(price, index), pd.Series(np.where(close > 0, close * volume, np.nan), index)


def choose(universe: Universe, as_of: pd.Timestamp, *, size: int, days: int) -> list[str]:
    """Tickers with the largest median dollar volume over the last dates up to `as_of`, by name where it is equal.

    Only what was known on `as_of` counts: rows after it could be anything.
    """
    dates = _market_dates(universe.prices, as_of)[-days:]
    if len(dates) < days:
        raise SystemExit(f"only {len(dates)} dates up to {as_of:%Y-%m-%d}; the ranking needs {days}")
    known = universe.prices.loc[dates].notna().mean() >= COMPLETE
    able = universe.dollars.loc[dates, sorted(known.index[known])]
    ranked = able.median().sort_index().sort_values(ascending=False, kind="stable")
    return sorted(ranked.index[:size])


def _market_dates(prices: pd.DataFrame, as_of: pd.Timestamp) -> pd.DatetimeIndex:
    """Dates up to `as_of` on which at least a tenth of the tickers that traded within the year have a price."""
    past = prices.loc[:as_of]
    have = past.notna()
    alive = have.rolling(252, min_periods=1).max().sum(axis=1)
    return pd.DatetimeIndex(past.index[have.sum(axis=1) >= 0.1 * alive])


def parquet_bytes(prices: pd.DataFrame) -> bytes:
    """Return the frame as Parquet; the same frame and the same pyarrow give the same bytes."""
    table = pa.Table.from_pandas(prices.reset_index(names="date"), preserve_index=False).replace_schema_metadata(None)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", compression_level=19)
    return sink.getvalue()


def main(arguments: list[str]) -> None:
    """Write the file and say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--as-of", required=True, type=pd.Timestamp)
    parser.add_argument("--size", type=int, default=500)
    parser.add_argument("--days", type=int, default=63)
    parser.add_argument("--start", type=pd.Timestamp)
    parser.add_argument("--end", type=pd.Timestamp)
    parser.add_argument("--out", required=True, type=Path)
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        raise SystemExit(f"{options.folder} is no folder")
    universe = read_folder(options.folder)
    chosen = choose(universe, options.as_of, size=options.size, days=options.days)
    prices = universe.prices.loc[options.start : options.end, chosen].dropna(how="all")
    try:
        prices = check_prices(prices, source=options.out.name).prices
    except DataError as error:
        raise SystemExit(str(error)) from None
    content = parquet_bytes(prices)
    options.out.write_bytes(content)
    for name, why in list(universe.passed_over.items())[:10]:
        print(f"passed over {name}: {why}", file=sys.stderr)
    gone = int(prices.iloc[-10:].isna().all().sum())
    print(
        f"{prices.shape[1]} of {universe.prices.shape[1]} tickers, {len(prices)} dates, {prices.index[0]:%Y-%m-%d} to "
        f"{prices.index[-1]:%Y-%m-%d}; {gone} have no price on the last ten; "
        f"{len(universe.passed_over)} files passed over"
    )
    print(f"sha256 {hashlib.sha256(content).hexdigest()}  {options.out.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
