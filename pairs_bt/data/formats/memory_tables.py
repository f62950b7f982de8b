"""Tables in memory to columns: pandas, and whatever hands over an Arrow stream (polars, pyarrow, DuckDB)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pairs_bt.data.formats.column_names import is_date
from pairs_bt.data.formats.csv_reader import check_size
from pairs_bt.data.formats.number_parsing import shown
from pairs_bt.data.sources import Columns, date_position, name_levels
from pairs_bt.errors import DataError

__all__ = ["from_frame", "from_stream"]


def from_frame(frame: pd.DataFrame | pd.Series, source: str) -> Columns:
    """Columns of a frame or Series of pandas; the levels of an index come first, those of columns stay tuples."""
    if isinstance(frame, pd.Series):
        frame = frame.to_frame("close" if frame.name is None else frame.name)
    if isinstance(frame.index, pd.MultiIndex):
        if isinstance(frame.columns, pd.MultiIndex):
            raise DataError(
                f"Prices {shown(source)} have several levels of index and of columns. Keep one of the two: "
                "frame['Close'].unstack() makes dates x tickers."
            )
        return _stacked(frame, source)
    names: list[str | tuple[str, ...]] = [_name(name) for name in frame.columns]
    columns = [_arrow(frame.iloc[:, j]) for j in range(frame.shape[1])]
    has_dates = any(is_date(name if isinstance(name, str) else name[0]) for name in names)
    numbered = isinstance(frame.index, pd.RangeIndex) or (
        has_dates and pd.api.types.is_integer_dtype(frame.index.dtype)
    )
    date = 0
    if numbered:
        date = next((j for j, n in enumerate(names) if not isinstance(n, str) and is_date(n[0])), 0)
    else:
        names.insert(0, "date" if frame.index.name is None else str(frame.index.name))
        columns.insert(0, _arrow(frame.index.to_series()))
    return Columns(tuple(names), tuple(columns), date, (), source, "")


def _stacked(frame: pd.DataFrame, source: str) -> Columns:
    """A frame indexed by date and ticker, in either order, as a long table."""
    if frame.index.nlevels != 2:
        raise DataError(
            f"Prices {shown(source)} have an index of {frame.index.nlevels} levels; a date and a ticker are needed. "
            "Drop the others with frame.droplevel([...])."
        )
    levels = [_arrow(frame.index.get_level_values(k).to_series()) for k in (0, 1)]
    labels = name_levels([str(name or "") for name in frame.index.names], levels)
    names = [*labels, *(_name(name) for name in frame.columns)]
    columns = [*levels, *(_arrow(frame.iloc[:, j]) for j in range(frame.shape[1]))]
    if frame.shape[1] == 1:
        names[2] = "close" if not isinstance(names[2], str) or not is_date(names[2]) else names[2]
    return Columns(tuple(names), tuple(columns), labels.index("date"), (), source, "")


def from_stream(source: Any, name: str, max_cells: int) -> Columns:
    """Columns of any object with ``__arrow_c_stream__``, read batch by batch up to the limit of cells."""
    kind = type(source).__name__
    try:
        reader = pa.RecordBatchReader.from_stream(source)
        batches, rows = [], 0
        for batch in reader:
            rows += batch.num_rows
            check_size(f"in memory ({kind})", rows, len(reader.schema), max_cells)
            batches.append(batch)
        table = pa.Table.from_batches(batches, reader.schema)
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"Prices are a {kind} that cannot be read as a table ({shown(str(error).split(chr(10))[0], 120)}). Pass a "
            "table of dates x tickers, for example source.to_pandas()."
        ) from None
    names = [str(n) for n in table.schema.names]
    return Columns(tuple(names), tuple(table.columns), date_position(table.schema, names), (), name, "")


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _name(name: object) -> str | tuple[str, ...]:
    if isinstance(name, tuple):
        return tuple("" if _missing(part) else str(part) for part in name)
    return "" if _missing(name) else str(name)


def _arrow(column: pd.Series) -> pa.ChunkedArray:
    """Numbers and times as they are, everything else as text."""
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        array = pa.array(column.to_numpy(dtype=np.float64))
    elif isinstance(dtype, np.dtype) and dtype.kind in "iub":
        array = pa.array(column.to_numpy())
    elif isinstance(dtype, pd.DatetimeTZDtype) or (isinstance(dtype, np.dtype) and dtype.kind == "M"):
        array = pa.Array.from_pandas(column)
    elif isinstance(dtype, pd.ArrowDtype) and not pa.types.is_string(dtype.pyarrow_dtype):
        array = pc.cast(pa.chunked_array(column.array.__arrow_array__()), dtype.pyarrow_dtype)
    else:
        array = pa.array([None if _missing(v) or v is pd.NaT or v is pd.NA else str(v) for v in column], pa.string())
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
