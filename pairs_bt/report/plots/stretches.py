"""The spreads table by stretches: the rows of one pair under one variant in one window, which follow each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    from pairs_bt.runs.run_data import RunData

_NAMES = ("y", "x", "variant")


@dataclass(frozen=True)
class Stretches:
    """Stretches of rows, each of one window, pair and variant.

    Attributes
    ----------
    starts : array (stretches + 1,)
        First row of each, and the number of rows.
    test_end : array (stretches,)
        Days.
    names : dict of str to array (stretches,)
        ``y``, ``x`` and ``variant``, as text.
    pair : array (stretches,)
        A number for each window and pair.
    values : dict of str to array (rows,)
        The columns that were asked for.
    """

    starts: npt.NDArray[np.int64]
    test_end: npt.NDArray[np.datetime64]
    names: dict[str, npt.NDArray[np.object_]]
    pair: npt.NDArray[np.int64]
    values: dict[str, npt.NDArray[Any]]

    def names_of_each(self) -> Iterator[tuple[Any, str, str, str]]:
        """(test end as a date, y, x, variant) of each stretch."""
        return zip(self.test_end.tolist(), *(self.names[name].tolist() for name in _NAMES), strict=True)


def stretches_of(part: pd.DataFrame, columns: Sequence[str]) -> Stretches:
    """Find the stretches of rows of the spreads table.

    Parameters
    ----------
    part : DataFrame
        Rows of ``run.spreads``, with its names as categories, in its order.
    columns : sequence of str
        Columns to carry along.
    """
    named = {name: cast(pd.Categorical, part[name].array) for name in _NAMES}
    codes = [np.asarray(column.codes) for column in named.values()]
    ends = part["test_end"].to_numpy()
    changed = ends[1:] != ends[:-1]
    for code in codes:
        changed |= code[1:] != code[:-1]
    starts = np.concatenate([[0], np.flatnonzero(changed) + 1])[: len(part)].astype(np.int64)
    y, x, _ = (code[starts].astype(np.int64) for code in codes)
    days, window = np.unique(ends[starts], return_inverse=True)
    size = max(len(named[name].categories) for name in ("y", "x"))
    return Stretches(
        np.append(starts, len(part)),
        days[window].astype("datetime64[D]"),
        {
            name: column.categories.to_numpy(dtype=object)[code[starts]]
            for (name, column), code in zip(named.items(), codes, strict=True)
        },
        (window * size + y) * size + x,
        {name: part[name].to_numpy() for name in columns},
    )


def each_window(run: RunData, columns: Sequence[str], see: Callable[[Stretches], None]) -> None:
    """Show the stretches of every window to `see`, one or more windows at a time and no more than that in memory.

    Raises
    ------
    DataError
        A run that kept no spreads.
    """

    def keep(part: pd.DataFrame) -> pd.DataFrame:
        if len(part):
            see(stretches_of(part, columns))
        return pd.DataFrame()

    run.select_spreads(keep, columns=["test_end", *_NAMES, *columns])
