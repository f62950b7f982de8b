"""What a cluster runs of ours: the tasks of a window, as functions that workers import.

They wrap the tasks of :mod:`pairs_bt.tasks` and the joints of :mod:`pairs_bt.pipeline` for a study that travels.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from pairs_bt.engine import Kept
from pairs_bt.limits import Refusals
from pairs_bt.parts import Parts
from pairs_bt.pipeline import WindowResult, collect, count_refused, pick
from pairs_bt.selection import Choice, ScanColumns, choose
from pairs_bt.shared_study import SharedStudy
from pairs_bt.tasks import Candidates, TradeResult, scan_task, trade_task


@dataclass(frozen=True)
class Chosen:
    """A window's scan and its candidates, on the worker that joined them."""

    scan: ScanColumns
    choice: Choice
    candidates: Candidates


def scan_chunk(shared: SharedStudy, k: int, lo: int, hi: int) -> ScanColumns:
    """Test the pairs `lo` to `hi` of window `k`; without their positions, which every worker knows."""
    none = np.empty(0, dtype=np.int64)
    made = scan_task(shared.study, k, lo, hi)
    return ScanColumns(**{f.name: none if f.name in "ij" else getattr(made, f.name) for f in fields(ScanColumns)})


def choose_window(shared: SharedStudy, chunks: list[ScanColumns]) -> Chosen:
    """Join a window's scan and choose its candidates."""
    study = shared.study
    columns = {
        f.name: np.concatenate([getattr(c, f.name) for c in chunks]) for f in fields(ScanColumns) if f.name not in "ij"
    }
    scan = ScanColumns(i=study.pair_i, j=study.pair_j, **columns)
    choice = choose(scan, study.config.selection)
    return Chosen(scan, choice, pick(scan, choice))


def candidates_of(chosen: Chosen) -> Candidates:
    """The part of a choice that trade tasks and the client need."""
    return chosen.candidates


def trade_chunk(
    shared: SharedStudy,
    k: int,
    candidates: Candidates,
    lo: int,
    hi: int,
    refused: dict[str, np.ndarray] | None,
    delayed: bool,
) -> TradeResult:
    """Trade the candidates `lo` to `hi` of window `k`."""
    return trade_task(shared.study, k, candidates, lo, hi, refused, delayed=delayed)


def collect_window(
    shared: SharedStudy,
    k: int,
    chosen: Chosen,
    results: list[TradeResult],
    refusals: Refusals | None,
    wanted: Collection[str],
    parts: Parts | None,
) -> WindowResult | Kept:
    """Make a window's tables; with `parts`, keep them in the run's folder and return only that they are."""
    made = collect(shared.study, k, chosen.scan, chosen.choice, chosen.candidates, results, wanted)
    result = count_refused(shared.study, made, refusals)
    if parts is None:
        return result
    parts.write(result)
    return Kept(k)


def itself(value: Any) -> Any:
    """A task that only holds something, for other tasks."""
    return value


def blamed(key: str, dask_scheduler: Any) -> str | None:
    """On the scheduler: the task whose exception this one carries."""
    task = dask_scheduler.tasks.get(key)
    return None if task is None or task.exception_blame is None else task.exception_blame.key
