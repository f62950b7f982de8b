"""The file of a `HedgeMatrix`: one Parquet file of states, replaced in one step.

``states.parquet`` has a row for every ordered pair, y before x in the order of the tickers. What belongs to the whole
matrix (tickers, parameters, the last bars) stands in the file's key-value metadata, so that one rename commits all
of it: whoever is killed leaves the old matrix or the new one.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pairs_bt.common.array_checks import Floats
from pairs_bt.common.files import reason, replacing
from pairs_bt.errors import ConfigError, DataError
from pairs_bt.kernels.online.hedge_grid import GRID_FIELDS
from pairs_bt.kernels.online.hedge_matrix import FIELDS, Counts

__all__ = [
    "AUTO",
    "COLUMNS",
    "STATES",
    "MatrixState",
    "off_diagonal",
    "pair_codes",
    "read_state",
    "write_state",
    "writing",
]

STATES = "states.parquet"
FORMAT = "pairs_bt.HedgeMatrix"
VERSION = 1
GRID_VERSION = 2  # of files that hold the filters of a grid beside the best ones
AUTO = "auto"
COLUMNS = (
    "beta",
    "alpha",
    "beta_var",
    "centre",
    "line_var",
    "beta_before",
    "beta_var_before",
    "innovation",
    "innovation_var",
)
_GRID_COLUMNS = ("beta", "alpha", "a", "c", "v", "product", "folds", "squares")
_WHOLE = ("bars", "last_bar", "last_date")
_KEYS = ("space", "parameters", "window", "tickers", "bars", "days", "recent")


@dataclass(frozen=True)
class MatrixState:
    """Everything that the next bar needs, and nothing that it does not.

    Attributes
    ----------
    space : str
        ``levels``, ``log`` or ``changes``.
    parameters : dict
        Those of `KalmanOLS`; variances may be ``"auto"``.
    window : int
        Bars over which the spread's z-score and half-life are taken.
    tickers : tuple of str
        (k,), the rows and columns of every matrix.
    bars : int
        Bars filtered so far (in ``changes`` the first price makes none).
    days : ndarray of datetime64[D], shape (w,)
        Dates of ``recent``; the last one is the last bar.
    recent : ndarray, shape (w, k)
        The last prices, in logs unless the space is ``levels``; w <= window.
    values : ndarray, shape (9, k, k)
        Fields of every pair, y x x, in the order of `COLUMNS`; NaN on the diagonal.
    seen, last, last_day : ndarray of int32, shape (k, k)
        Bars that had both legs, the number of the last of them (-1: none) and its day since 1970-01-01.
    grid : ndarray, shape (g, 8, k, k), or None
        With ``trans_cov`` ``"auto"`` the filters of the grid, of which ``values`` are the best; see
        `pairs_bt.kernels.online.hedge_grid`.
    scale : ndarray, shape (k,), or None
        Squared size of each ticker as x, in which the grid's steps are measured; NaN before its first bar.
    """

    space: str
    parameters: dict[str, Any]
    window: int
    tickers: tuple[str, ...]
    bars: int
    days: NDArray[np.datetime64]
    recent: Floats
    values: Floats
    seen: Counts
    last: Counts
    last_day: Counts
    grid: Floats | None = None
    scale: Floats | None = None

    def known(self, field: int, bars: int = 1) -> Floats:
        """One field (k, k), NaN where the pair has had fewer than ``bars`` bars (a copy)."""
        return np.where(self.seen >= bars, self.values[field], np.nan)

    def header(self) -> str:
        """What belongs to the whole matrix, as JSON; the same for equal matrices."""
        document = {
            "format": FORMAT,
            "version": VERSION if self.grid is None else GRID_VERSION,
            "space": self.space,
            "parameters": self.parameters,
            "window": self.window,
            "tickers": list(self.tickers),
            "bars": self.bars,
            "days": [str(day) for day in self.days],
            "recent": _to_text(self.recent),
            "betas": hashlib.sha256(np.ascontiguousarray(self.values[0], dtype="<f8").tobytes()).hexdigest(),
        }
        if self.grid is not None:
            document |= {"filters": len(self.grid), "scale": _to_text(self.scale)}
        return json.dumps(document, allow_nan=False)

    @property
    def identity(self) -> str:
        """Fingerprint that derived tables carry, so that one can tell whether they belong to this state."""
        return _digest(self.header())


def _to_text(values: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f8").tobytes()).decode()


def _from_text(text: str) -> Floats:
    return np.frombuffer(base64.b64decode(text), dtype="<f8").astype(np.float64)


def _grid_column(g: int, field: str) -> str:
    return f"filter{g}_{field}"


def off_diagonal(square: NDArray[Any]) -> NDArray[Any]:
    """The k (k - 1) elements of a (k, k) array that are not on its diagonal, row by row (a copy)."""
    k = len(square)
    return np.ascontiguousarray(square.reshape(-1)[1:].reshape(k - 1, k + 1)[:, :-1]).reshape(-1)


def _to_square(column: NDArray[Any], square: NDArray[Any]) -> None:
    k = len(square)
    square.reshape(-1)[1:].reshape(k - 1, k + 1)[:, :-1] = column.reshape(k - 1, k)


def pair_codes(k: int) -> tuple[Counts, Counts]:
    """Positions of y and x of every ordered pair, in the order of the file."""
    codes = np.broadcast_to(np.arange(k, dtype=np.int32), (k, k))
    return off_diagonal(codes.T.copy()), off_diagonal(codes.copy())


def write_state(state: MatrixState, folder: Path) -> Path:
    """Replace ``states.parquet`` in ``folder``, which is made where it is missing.

    Raises
    ------
    ConfigError
        A folder or file that cannot be written.
    """
    y, x = pair_codes(len(state.tickers))
    names = pa.array(state.tickers, pa.string())
    columns: dict[str, Any] = {
        "y": pa.DictionaryArray.from_arrays(y, names),
        "x": pa.DictionaryArray.from_arrays(x, names),
    }
    for field, name in enumerate(COLUMNS):
        columns[name] = pa.array(off_diagonal(state.values[field]))
    columns["bars"] = pa.array(off_diagonal(state.seen))
    columns["last_bar"] = pa.array(off_diagonal(state.last))
    days = off_diagonal(state.last_day)
    columns["last_date"] = pa.array(days, mask=off_diagonal(state.last) < 0).cast(pa.date32())
    for g, filters in enumerate(() if state.grid is None else state.grid):
        for field, name in enumerate(_GRID_COLUMNS):
            columns[_grid_column(g, name)] = pa.array(off_diagonal(filters[field]))
    header = state.header()
    table = pa.table(columns)

    with (
        writing(folder / STATES) as stream,
        pq.ParquetWriter(
            stream,
            table.schema,
            compression="none",
            use_dictionary=["y", "x", *_WHOLE],
            write_statistics=False,
            write_page_checksum=True,
            store_schema=False,
        ) as file,
    ):
        file.write_table(table)
        file.add_key_value_metadata({"pairs_bt": header, "pairs_bt.sha256": _digest(header)})
    return folder / STATES


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Open a stream that replaces a file of the matrix in one step; see `pairs_bt.common.files.replacing`.

    Raises
    ------
    ConfigError
        A folder or file that cannot be written.
    """
    try:
        with replacing(path) as stream:
            yield stream
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {reason(error)}. Give a folder in which you may write as --out; what was "
            "there before is as it was."
        ) from None


def read_state(folder: Path) -> MatrixState:
    """Read what `write_state` wrote.

    Raises
    ------
    DataError
        No such file, or one that is damaged, was changed by another program, or has another version.
    """
    path = folder / STATES
    if not path.is_file():
        raise DataError(
            f"{path} does not exist: there is no matrix in {folder} yet. Make one from a price history first: "
            f"pairs-bt hedge PRICES --out {folder}"
        )
    try:
        with pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=["y", "x"]) as file:
            table, metadata = file.read(), file.metadata.metadata or {}
        header = metadata.get(b"pairs_bt", b"").decode()
        if not header or metadata.get(b"pairs_bt.sha256") != _digest(header).encode():
            raise ValueError("its header is missing or was changed")
        return _from_table(json.loads(header), table)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).split("\n")[0][:200]
        raise DataError(
            f"{path} is not a matrix that can be read: {reason}. Restore it from a copy, or make it again from the "
            f"price history: pairs-bt hedge PRICES --out {folder} --fresh"
        ) from None


def _from_table(document: dict[str, Any], table: pa.Table) -> MatrixState:
    if document.get("format") != FORMAT or document.get("version") not in (VERSION, GRID_VERSION):
        raise ValueError(
            f"it has version {document.get('version')!r}, this pairs_bt reads versions {VERSION} and {GRID_VERSION}"
        )
    missing = [key for key in _KEYS if key not in document]
    missing += [name for name in ("y", "x", *COLUMNS, *_WHOLE) if name not in table.column_names]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")
    tickers = tuple(document["tickers"])
    k = len(tickers)
    if table.num_rows != k * (k - 1) or not _pairs_in_order(table, tickers):
        raise ValueError(f"its rows are not the ordered pairs of its {k} tickers")
    values = np.full((FIELDS, k, k), np.nan)
    for field, name in enumerate(COLUMNS):
        _to_square(table[name].to_numpy(), values[field])
    bars = int(document["bars"])
    seen, last = np.zeros((k, k), np.int32), np.full((k, k), bars - 1, np.int32)
    last_day = np.zeros((k, k), np.int32)
    _to_square(table["bars"].to_numpy(), seen)
    _to_square(table["last_bar"].to_numpy(), last)
    _to_square(table["last_date"].cast(pa.int32()).fill_null(0).to_numpy(), last_day)
    days = np.array(document["days"], dtype="datetime64[D]")
    recent = _from_text(document["recent"]).reshape(len(days), k)
    parameters = {name: value if value == AUTO else float(value) for name, value in document["parameters"].items()}
    window = int(document["window"])
    grid, scale = _grid_from_table(document, table, k) if document["version"] == GRID_VERSION else (None, None)
    return MatrixState(
        document["space"], parameters, window, tickers, bars, days, recent, values, seen, last, last_day, grid, scale
    )


def _grid_from_table(document: dict[str, Any], table: pa.Table, k: int) -> tuple[Floats, Floats]:
    grid = np.full((int(document["filters"]), GRID_FIELDS, k, k), np.nan)
    for g, filters in enumerate(grid):
        for field, name in enumerate(_GRID_COLUMNS):
            _to_square(table[_grid_column(g, name)].to_numpy(), filters[field])
    return grid, _from_text(document["scale"]).reshape(k)


def _pairs_in_order(table: pa.Table, tickers: tuple[str, ...]) -> bool:
    for name, wanted in zip(("y", "x"), pair_codes(len(tickers)), strict=True):
        column = table[name].unify_dictionaries().combine_chunks()
        column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        place = {ticker: i for i, ticker in enumerate(tickers)}
        codes = np.array([place.get(ticker, -1) for ticker in column.dictionary.to_pylist()], dtype=np.int32)
        if not np.array_equal(codes[column.indices.to_numpy()], wanted):
            return False
    return True


def _digest(header: str) -> str:
    return hashlib.sha256(header.encode()).hexdigest()
