"""The order of the stages: the only place that knows it.

A window is scanned in chunks of pairs, its candidates are chosen, and the candidates are traded in chunks. Chunks
are pure tasks; threads run them, because the kernels release the lock. Windows come out in order.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.backtest import table_columns
from pairs_bt.backtest.hedge_rules import variants
from pairs_bt.backtest.ledger import BLOCK
from pairs_bt.backtest.portfolio.limits import Refusals, limited, refuse
from pairs_bt.backtest.portfolio.returns import Cohort, add_blocks
from pairs_bt.backtest.selection import Choice, ScanColumns, select_pairs
from pairs_bt.backtest.study import Study
from pairs_bt.backtest.window_tasks import Candidates, TradeResult, scan_task, trade_task
from pairs_bt.common.column_table import ColumnTable
from pairs_bt.common.freed_memory import keep_freed_arrays
from pairs_bt.config.schema import reads
from pairs_bt.engine.scan_table import ScanTable, scan_table
from pairs_bt.kernels.ledger import N_DAILY

SCAN_CHUNK = 4096
# Small enough that a chunk's arrays stay in the cache and in memory already held: half the time of 512.
TRADE_CHUNK = 128
TABLES = ("tests", "half_lives", "hedge_effectiveness", "spreads", "trades", "fills")


@dataclass(frozen=True)
class WindowResult:
    """Everything one window leaves behind.

    Attributes
    ----------
    k : int
        Number of the window.
    tests_table : ScanTable or None
        The rows of the table of tests, not made yet; None where they were not asked for.
    tables : dict of str to ColumnTable
        The window's rows of the other tables; `half_lives`, `trades` and so on make frames of them.
    cohort : Cohort
        Its daily dollars.
    tested, passed, selected : int
        Pairs tested, passing the tests, and selected.
    """

    k: int
    tests_table: ScanTable | None
    tables: dict[str, ColumnTable]
    cohort: Cohort
    tested: int
    passed: int
    selected: int

    def frame(self, name: str) -> pd.DataFrame:
        """The window's rows of one table, made anew each time."""
        if name != "tests":
            return self.tables[name].frame()
        return table_columns.empty(table_columns.TESTS) if self.tests_table is None else self.tests_table.frame()

    @property
    def tests(self) -> pd.DataFrame:
        """Rows of the table of tests."""
        return self.frame("tests")

    @property
    def half_lives(self) -> pd.DataFrame:
        """Rows of the table of half-lives."""
        return self.frame("half_lives")

    @property
    def hedge_effectiveness(self) -> pd.DataFrame:
        """Rows of the table of hedge errors."""
        return self.frame("hedge_effectiveness")

    @property
    def spreads(self) -> pd.DataFrame:
        """Rows of the spreads."""
        return self.frame("spreads")

    @property
    def trades(self) -> pd.DataFrame:
        """Rows of the table of trades."""
        return self.frame("trades")

    @property
    def fills(self) -> pd.DataFrame:
        """Rows of the table of fills."""
        return self.frame("fills")

    def pieces(self, name: str) -> Iterator[ColumnTable]:
        """One table, in pieces of a bounded number of rows for that of tests, else as one."""
        if name != "tests":
            return iter([self.tables[name]])
        if self.tests_table is None:
            return iter([table_columns.without_rows(table_columns.TESTS)])
        return self.tests_table.pieces()


# Called with (what is done, what there is in all).
Progress = Callable[[int, int], None]
Mapper = Callable[[Callable[..., object], list[tuple[int, int]]], list[Any]]


def _as_it_is(result: WindowResult) -> WindowResult:
    return result


def run_windows(
    study: Study,
    *,
    jobs: int | None = None,
    scan_chunk: int = SCAN_CHUNK,
    trade_chunk: int = TRADE_CHUNK,
    refusals: Refusals | None = None,
    only: list[int] | None = None,
    wanted: Collection[str] = TABLES,
    delayed: bool = True,
    then: Callable[[WindowResult], Any] = _as_it_is,
) -> Iterator[Any]:
    """Run every window and yield the results in order, at most a few of them in memory at a time.

    Parameters
    ----------
    study : Study
        Config and prices.
    jobs : int, optional
        Threads; None takes one per CPU. No number of them changes a result.
    scan_chunk, trade_chunk : int
        Pairs per task; `trade_chunk` is rounded up to whole blocks of 64. Neither changes a result.
    refusals : dict, optional
        Per window and variant, one flag a trade of the window, for trades refused by a portfolio limit. None, with
        a limit set, finds them in a first pass over all windows.
    only : list of int, optional
        Numbers of the windows to run; None runs all.
    wanted : collection of str
        Tables to make, of `TABLES`; the others are left empty. Cohorts are always made.
    delayed : bool
        Keep the second ledger, at the other fill lag; without it `Cohort.delayed` is zero.
    then : callable
        Called with each window's :class:`WindowResult`, in the thread that made it; what it returns is yielded.
    """
    keep_freed_arrays()
    jobs = max(1, jobs or os.cpu_count() or 1)
    if refusals is None and limited(study.config):
        refusals = find_refusals(study, jobs=jobs, scan_chunk=scan_chunk, trade_chunk=trade_chunk)
    trade_chunk = -(-max(trade_chunk, 1) // BLOCK) * BLOCK
    numbers = list(range(len(study.windows))) if only is None else only

    def one(k: int, pool: Executor | None) -> Any:
        mapper = serial if pool is None else threaded(pool)
        # Flags are counted on the trades of one fill lag, and mean nothing at the other.
        other = delayed and refusals is None
        return then(run_window(study, k, mapper, scan_chunk, trade_chunk, refusals, wanted=wanted, delayed=other))

    if jobs == 1:
        for k in numbers:
            yield one(k, None)
        return
    # Two pools, so that a window that waits for its chunks never holds the thread a chunk needs.
    with ThreadPoolExecutor(jobs) as chunks, ThreadPoolExecutor(jobs) as windows:
        waiting: deque[Future[Any]] = deque()
        try:
            for k in numbers:
                waiting.append(windows.submit(one, k, chunks))
                if len(waiting) > jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def find_refusals(study: Study, *, jobs: int, scan_chunk: int, trade_chunk: int) -> Refusals:
    """Trade every window without limits, and decide which trades the portfolio's limits refuse."""
    windows = run_windows(
        study, jobs=jobs, scan_chunk=scan_chunk, trade_chunk=trade_chunk, refusals={}, wanted=("trades",), delayed=False
    )
    return refuse([window.trades for window in windows], study.config)


def serial(function: Callable[..., object], ranges: list[tuple[int, int]]) -> list[Any]:
    """Run the ranges of one window one after another and return their results."""
    return [function(lo, hi) for lo, hi in ranges]


def threaded(pool: Executor) -> Mapper:
    """Run the ranges of one window on a pool and return their results in order."""

    def mapper(function: Callable[..., object], ranges: list[tuple[int, int]]) -> list[Any]:
        if len(ranges) <= 1:
            return serial(function, ranges)
        return [future.result() for future in [pool.submit(function, lo, hi) for lo, hi in ranges]]

    return mapper


def run_window(
    study: Study,
    k: int,
    mapper: Mapper,
    scan_chunk: int,
    trade_chunk: int,
    refusals: Refusals | None = None,
    *,
    wanted: Collection[str] = TABLES,
    delayed: bool = True,
) -> WindowResult:
    """Scan, choose and trade one window."""
    scan = scan_window(study, k, mapper, scan_chunk)
    choice = select_pairs(scan, study.config.selection)
    candidates = orient_pairs(scan, choice)
    measured = not {"half_lives", "hedge_effectiveness"}.isdisjoint(wanted)
    results = trade_window(study, k, candidates, mapper, trade_chunk, refusals, delayed=delayed, measured=measured)
    return count_refused(study, collect(study, k, scan, choice, candidates, results, wanted), refusals)


def count_refused(study: Study, result: WindowResult, refusals: Refusals | None) -> WindowResult:
    """Put the number of trades that a portfolio limit refused into a window's cohort."""
    if not refusals:
        return result
    k = result.k
    counts = {
        v.name: np.array(refusals[k, v.name].sum()) for v in variants(study.config.hedge) if (k, v.name) in refusals
    }
    return replace(result, cohort=replace(result.cohort, refused=counts))


@reads(
    "data", "universe", "windows", "filter.price_space", "selection.tests", "selection.var_order", "selection.method",
    "selection.heuristics",
)  # fmt: skip
def scan_window(study: Study, k: int, mapper: Mapper, chunk: int = SCAN_CHUNK) -> ScanColumns:
    """Test every pair of the universe in window `k`."""
    size = study.pair_i.size
    columns: dict[str, np.ndarray] = {"i": study.pair_i, "j": study.pair_j}
    lock = Lock()

    def task(lo: int, hi: int) -> None:
        # straight into its place: the scan of millions of pairs is held once, not in pieces and joined
        for name, values in _scan_arrays(scan_task(study, k, lo, hi)).items():
            with lock:
                if name not in columns:
                    asked = values.shape[0] == hi - lo
                    columns[name] = np.empty((size if asked else 0, *values.shape[1:]), dtype=values.dtype)
            if columns[name].shape[0]:
                columns[name][lo:hi] = values

    mapper(task, cut(size, chunk))
    return ScanColumns(**columns)


def _scan_arrays(scan: ScanColumns) -> dict[str, np.ndarray]:
    """The columns of a scan but the pairs themselves, which are the universe's."""
    return {f.name: getattr(scan, f.name) for f in fields(ScanColumns) if f.name not in ("i", "j")}


def orient_pairs(scan: ScanColumns, choice: Choice) -> Candidates:
    """The selected pairs, best first, y on the left."""
    first = choice.first[choice.order]
    i, j = scan.i[choice.order], scan.j[choice.order]
    return Candidates(np.where(first, i, j), np.where(first, j, i))


def trade_window(
    study: Study,
    k: int,
    candidates: Candidates,
    mapper: Mapper,
    chunk: int,
    refusals: Refusals | None,
    *,
    delayed: bool = True,
    measured: bool = True,
) -> list[TradeResult]:
    """Trade one window's candidates under every variant."""
    flags = _refused_in(refusals, k, study)

    def task(lo: int, hi: int) -> TradeResult:
        return trade_task(study, k, candidates, lo, hi, flags, delayed=delayed, measured=measured)

    if refusals is not None:
        # Flags are numbered by trade over the window: one task, so that the numbers are the task's own.
        chunk = -(-max(candidates.y.size, 1) // BLOCK) * BLOCK
    return mapper(task, cut(candidates.y.size, chunk))


def _refused_in(refusals: Refusals | None, k: int, study: Study) -> dict[str, np.ndarray] | None:
    if refusals is None:
        return None
    return {v.name: refusals[k, v.name] for v in variants(study.config.hedge) if (k, v.name) in refusals}


def collect(
    study: Study,
    k: int,
    scan: ScanColumns,
    choice: Choice,
    candidates: Candidates,
    results: list[TradeResult],
    wanted: Collection[str] = TABLES,
) -> WindowResult:
    """Turn a window's arrays into its rows of the tables and its cohort."""
    bars = study.windows[k].n_trade
    names = [variant.name for variant in variants(study.config.hedge)]
    makers: dict[str, Callable[..., ColumnTable]] = {
        "half_lives": table_columns.half_lives_table,
        "hedge_effectiveness": table_columns.hedge_effectiveness_table,
        "spreads": table_columns.spreads_table,
        "trades": table_columns.trades_table,
        "fills": table_columns.fills_table,
    }
    made = {name for name in wanted if name != "spreads" or study.config.run.spreads != "none"}
    table = scan_table(study, k, scan, choice, keep=study.config.selection.keep)
    return WindowResult(
        k=k,
        tests_table=table if "tests" in made else None,
        tables={
            name: make(study, k, candidates, results) if name in made else table_columns.without_rows(_columns(name))
            for name, make in makers.items()
        },
        cohort=Cohort(
            k,
            candidates.y.size,
            {name: _sum(results, name, "blocks", bars) for name in names},
            {name: _sum(results, name, "delayed", bars) for name in names},
            pairs=table.counts["pairs"],
            tested=table.counts["tested"],
            passed=table.counts["passed"],
        ),
        tested=int(scan.tested.sum()),
        passed=int(choice.passed.sum()),
        selected=int(choice.selected.sum()),
    )


def _columns(name: str) -> tuple[str, ...]:
    return getattr(table_columns, name.upper())


def _sum(results: list[TradeResult], name: str, part: str, bars: int) -> np.ndarray:
    if not results:
        return np.zeros((bars, N_DAILY))
    return add_blocks([getattr(result.variants[name], part) for result in results])


def cut(size: int, chunk: int) -> list[tuple[int, int]]:
    """Ranges of at most `chunk` that cover 0 to `size`."""
    return [(lo, min(lo + chunk, size)) for lo in range(0, size, chunk)]
