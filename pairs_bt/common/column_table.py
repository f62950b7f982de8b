"""A table while it is made: arrays and coded names, turned into a frame or into an Arrow table when asked.

Names repeat: a table of trades has a dozen tickers and variants in many rows. Until somebody wants to read them they
are positions in a list, and on the way to a file they never become text of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Coded:
    """A column of names.

    Attributes
    ----------
    codes : numpy.ndarray of int
        Positions in `names`.
    names : tuple of str
    category : bool
        Whether a reader gets categories; else text.
    """

    codes: np.ndarray
    names: tuple[str, ...]
    category: bool = False

    def __len__(self) -> int:
        return self.codes.size

    def pandas(self) -> Any:
        """As pandas has it: a string array or a Categorical."""
        if self.category:
            return pd.Categorical.from_codes(self.codes, categories=pd.Index(list(self.names)))
        return _strings(self.names).take(self.codes)

    def arrow(self) -> pa.DictionaryArray:
        """As an Arrow dictionary, whatever a reader gets in the end."""
        kind = _index_type(len(self.names)) if self.category else np.dtype(np.int32)
        return pa.DictionaryArray.from_arrays(np.ascontiguousarray(self.codes, dtype=kind), _dictionary(self.names))


@lru_cache(maxsize=16)
def _strings(names: tuple[str, ...]) -> Any:
    return pd.array(names, dtype="str")


@lru_cache(maxsize=16)
def _dictionary(names: tuple[str, ...]) -> pa.Array:
    return pa.array(names, type=pa.large_string())


def _index_type(size: int) -> np.dtype[Any]:
    """The type of pandas' codes for so many categories."""
    return next(np.dtype(kind) for kind in (np.int8, np.int16, np.int32) if size < np.iinfo(kind).max)


@dataclass(frozen=True)
class ColumnTable:
    """Columns of one length, in order."""

    columns: dict[str, np.ndarray | Coded]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def without(self, name: str) -> ColumnTable:
        """All columns but one."""
        return ColumnTable({other: column for other, column in self.columns.items() if other != name})

    def frame(self) -> pd.DataFrame:
        """As a frame: one contiguous array a column, neither copied into blocks nor kept as a view of records."""
        plain = {
            name: column.pandas() if isinstance(column, Coded) else np.ascontiguousarray(column)
            for name, column in self.columns.items()
        }
        return pd.DataFrame(plain, copy=False)

    def arrow(self) -> pa.Table:
        """As an Arrow table, names as dictionaries (`decoded` makes text of them); NaN and NaT are nulls."""
        arrays = [
            column.arrow() if isinstance(column, Coded) else pa.array(np.ascontiguousarray(column), from_pandas=True)
            for column in self.columns.values()
        ]
        return pa.Table.from_arrays(arrays, names=list(self.columns))


def repeated(codes: np.ndarray, names: tuple[str, ...], times: int) -> Coded:
    """A column of categories, each so many times, in the smallest codes."""
    return Coded(np.repeat(codes.astype(_index_type(len(names))), times), names, category=True)


def select(columns: dict[str, Any], order: Sequence[str]) -> ColumnTable:
    """A table of some columns, in that order."""
    return ColumnTable({name: columns[name] for name in order})


def decoded(table: pa.Table) -> pa.Table:
    """A table with text in place of its dictionaries."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            text = pc.cast(table.column(place), field.type.value_type)
            table = table.set_column(place, pa.field(field.name, field.type.value_type), text)
    return table
