"""Write us_large_caps.parquet, the demonstration prices, from the data set that skfolio ships.

Usage: python data/make_us_large_caps.py [skfolio-*.whl]

Without an argument the installed skfolio is read; with one, the wheel is. Nothing is installed or fetched
(``pip download --no-deps skfolio`` gives the wheel). Prints the rows, the dates and the sha256.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

MEMBER = "skfolio/datasets/data/sp500_dataset.csv.gz"
TARGET = Path(__file__).resolve().parent / "us_large_caps.parquet"
START, END, DECIMALS = "2005-01-01", "2022-12-28", 3


def compressed_csv(wheel: str | None) -> bytes:
    """Return the bytes of skfolio's price file, from a wheel or from the installed package."""
    if wheel is not None:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(MEMBER)
    spec = find_spec("skfolio")
    if spec is None or spec.origin is None:
        raise SystemExit("skfolio is not installed: give its wheel's path (pip download --no-deps skfolio)")
    return (Path(spec.origin).parents[1] / MEMBER).read_bytes()


def prices(csv_gz: bytes) -> pd.DataFrame:
    """Return the cut, rounded, sorted wide frame: a column ``date`` and one column per ticker."""
    # keep_default_na off: a ticker called NA must not become a missing name
    frame = pd.read_csv(io.BytesIO(gzip.decompress(csv_gz)), keep_default_na=False, na_values=[""])
    frame = frame.rename(columns={"Date": "date"})
    frame["date"] = pd.to_datetime(frame["date"], format="%Y-%m-%d").astype("datetime64[us]")
    frame = frame[frame["date"].between(START, END)].sort_values("date", ignore_index=True)
    tickers = sorted(set(frame.columns) - {"date"})
    frame[tickers] = frame[tickers].astype("float64").round(DECIMALS)
    return frame[["date", *tickers]]


def parquet_bytes(frame: pd.DataFrame) -> bytes:
    """Return the frame as Parquet; the same frame and the same pyarrow give the same bytes."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", compression_level=19, row_group_size=len(frame))
    return sink.getvalue()


def main(arguments: list[str]) -> None:
    """Write the file and say what is in it."""
    if len(arguments) > 1:
        raise SystemExit(__doc__)
    frame = prices(compressed_csv(arguments[0] if arguments else None))
    content = parquet_bytes(frame)
    TARGET.write_bytes(content)
    first, last = frame["date"].iloc[0].date(), frame["date"].iloc[-1].date()
    print(f"{len(frame)} rows x {frame.shape[1] - 1} tickers, {first} to {last}, {len(content):,} bytes")
    print(f"sha256 {hashlib.sha256(content).hexdigest()}  {TARGET.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
