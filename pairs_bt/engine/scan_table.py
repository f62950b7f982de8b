"""A window's tests table while it is on its way to disk: compact arrays, made into rows a piece at a time.

A frame of four million pairs with their tickers and reasons as text takes more memory than everything else in a run.
Until it is written it is kept as positions, codes and numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pairs_bt.backtest.selection import Choice, ScanColumns
from pairs_bt.backtest.study import Study
from pairs_bt.backtest.table_columns import TESTS
from pairs_bt.common.column_table import Coded, ColumnTable, select
from pairs_bt.models.scan.pair_distance import MEASURES
from pairs_bt.models.scan.partial_cointegration import COLUMNS as PARTIAL

# Rows made at once: a row group of the table on disk. It does not depend on how a window was cut into tasks.
ROWS = 262_144
_FLOATS = ("eg_stat_12", "eg_pvalue_12", "eg_stat_21", "eg_pvalue_21", "trace0", "trace1")


@dataclass(frozen=True)
class ScanTable:
    """One row a pair, tested or not; see :func:`scan_table`.

    Attributes
    ----------
    tickers : tuple of str
    test_end : numpy.datetime64
    i, j : numpy.ndarray of int32
        Rows of the tickers s1 and s2.
    first : numpy.ndarray of bool
        Whether s1 is y.
    floats : dict of str to numpy.ndarray
        Statistics and p-values.
    var_order : numpy.ndarray of int32
    measures : numpy.ndarray, shape (pairs, 5) or (0, 5)
    partial : numpy.ndarray, shape (pairs, 6) or (0, 6)
    selected : numpy.ndarray of bool
    reason : numpy.ndarray of int32
        Positions in `reasons`.
    reasons : tuple of str
    counts : dict of str to int
        Of all pairs, kept or not: `pairs`, and those `tested`, `passed` and `selected`.
    outcomes : dict of str to int
        Of all pairs, kept or not: how many had each reason; '' is selected.
    best : numpy.ndarray of int32, shape (selected, 2)
        Positions in `tickers` of y and x of the candidates, best evidence first.
    """

    tickers: tuple[str, ...]
    test_end: np.datetime64
    i: np.ndarray
    j: np.ndarray
    first: np.ndarray
    floats: dict[str, np.ndarray]
    var_order: np.ndarray
    measures: np.ndarray
    partial: np.ndarray
    selected: np.ndarray
    reason: np.ndarray
    reasons: tuple[str, ...]
    counts: dict[str, int]
    outcomes: dict[str, int]
    best: np.ndarray

    def __len__(self) -> int:
        return self.i.size

    def pieces(self, rows: int = ROWS) -> Iterator[ColumnTable]:
        """The table's rows in order, at most so many at a time; one empty piece for no pair."""
        for lo in range(0, max(len(self), 1), rows):
            yield self._columns(slice(lo, lo + rows))

    def frame(self) -> pd.DataFrame:
        """The whole table."""
        return self._columns(slice(None)).frame()

    def _columns(self, at: slice) -> ColumnTable:
        tickers, i, j, first = self.tickers, self.i[at], self.j[at], self.first[at]
        columns = {
            "test_end": np.broadcast_to(self.test_end.astype("datetime64[us]"), i.size),
            "s1": Coded(i, tickers),
            "s2": Coded(j, tickers),
            **{name: values[at] for name, values in self.floats.items()},
            "var_order": self.var_order[at],
            "y": Coded(np.where(first, i, j), tickers),
            "x": Coded(np.where(first, j, i), tickers),
            "selected": self.selected[at],
            "reason": Coded(self.reason[at], self.reasons),
        }
        names = list(TESTS)
        for more, values in ((PARTIAL, self.partial), (MEASURES, self.measures)):
            if values.shape[0]:
                columns |= dict(zip(more, values[at].T, strict=True))
                names += more
        return select(columns, names)


def scan_table(study: Study, k: int, scan: ScanColumns, choice: Choice, *, keep: str = "all") -> ScanTable:
    """Compact a window's scan and choice; with ``keep = "selected"`` only the candidates' rows, in the same order."""
    rows = slice(None) if keep == "all" else np.flatnonzero(choice.selected)
    codes, found = pd.factorize(choice.reason)
    reasons = tuple(str(text) for text in found)
    outcomes = dict(zip(reasons, np.bincount(codes, minlength=len(reasons)).tolist(), strict=True))
    selected = int(choice.selected.sum())
    legs = np.stack([scan.i[choice.order], scan.j[choice.order]], axis=1).astype(np.int32)
    counts = {
        "pairs": int(scan.i.size),
        "tested": int(np.isfinite(scan.eg_stat_12).sum()),
        "passed": selected + outcomes.get("max_pairs", 0),
        "selected": selected,
    }
    return ScanTable(
        tickers=tuple(study.tickers),
        test_end=study.windows[k].test_end,
        i=scan.i[rows].astype(np.int32),
        j=scan.j[rows].astype(np.int32),
        first=choice.first[rows],
        floats={name: getattr(scan, name)[rows] for name in _FLOATS},
        var_order=scan.var_order[rows].astype(np.int32),
        measures=scan.measures[rows] if scan.measures.shape[0] else scan.measures,
        partial=scan.partial[rows] if scan.partial.shape[0] else scan.partial,
        selected=choice.selected[rows],
        reason=codes[rows].astype(np.int32),
        reasons=reasons,
        counts=counts,
        outcomes=outcomes,
        best=np.where(choice.first[choice.order, None], legs, legs[:, ::-1]),
    )
