"""What runs windows: threads here, or a cluster's workers. An engine changes where a task runs, never a byte of it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

from pairs_bt.backtest.portfolio.limits import Refusals, limited, refuse
from pairs_bt.backtest.study import Study
from pairs_bt.engine.pipeline import SCAN_CHUNK, TABLES, TRADE_CHUNK, WindowResult, run_windows
from pairs_bt.engine.window_parts import PackedWindow, Parts, pack


@dataclass(frozen=True)
class Kept:
    """A window whose part is in the run's folder already, written by the worker that made it.

    Attributes
    ----------
    k : int
        Number of the window.
    """

    k: int


class Engine(Protocol):
    """Runs windows of a study."""

    def windows(
        self,
        study: Study,
        numbers: list[int],
        *,
        refusals: Refusals | None = None,
        wanted: Collection[str] = TABLES,
        delayed: bool = True,
        parts: Parts | None = None,
    ) -> Iterator[WindowResult | PackedWindow | Kept]:
        """Run the windows `numbers` and yield their results in that order.

        Parameters
        ----------
        study : Study
            Config and prices.
        numbers : list of int
            Of windows, in order.
        refusals : dict, optional
            Trades that portfolio limits refuse; see :func:`find_refusals`.
        wanted : collection of str
            Tables to make; the others are left empty.
        delayed : bool
            Keep the second ledger, at the other fill lag.
        parts : Parts, optional
            Where the run keeps finished windows. An engine whose workers share that folder may write there itself
            and yield :class:`Kept`, or pack each window for it where it is made; any other ignores it.
        """
        ...


@dataclass(frozen=True)
class LocalEngine:
    """Threads of this process: :func:`pairs_bt.engine.pipeline.run_windows`.

    Attributes
    ----------
    jobs : int or None
        Threads; None takes one per CPU.
    scan_chunk, trade_chunk : int
        Pairs per task.
    """

    jobs: int | None = None
    scan_chunk: int = SCAN_CHUNK
    trade_chunk: int = TRADE_CHUNK

    def windows(
        self,
        study: Study,
        numbers: list[int],
        *,
        refusals: Refusals | None = None,
        wanted: Collection[str] = TABLES,
        delayed: bool = True,
        parts: Parts | None = None,
    ) -> Iterator[WindowResult | PackedWindow]:
        """Run windows on threads; see :meth:`Engine.windows`."""
        return run_windows(
            study, jobs=self.jobs or os.cpu_count() or 1, scan_chunk=self.scan_chunk, trade_chunk=self.trade_chunk,
            refusals=refusals, only=list(numbers), wanted=wanted, delayed=delayed,
            **({} if parts is None else {"then": pack}),
        )  # fmt: skip


def find_refusals(engine: Engine, study: Study) -> Refusals | None:
    """Trade all windows without limits and decide which trades the portfolio's limits refuse; None without limits."""
    if not limited(study.config):
        return None
    free = engine.windows(study, list(range(len(study.windows))), refusals={}, wanted=("trades",), delayed=False)
    return refuse([window.trades for window in free if isinstance(window, WindowResult)], study.config)
