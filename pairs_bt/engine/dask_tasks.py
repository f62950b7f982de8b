"""What a cluster runs of ours: the tasks of a window, as functions that workers import.

They wrap the tasks of :mod:`pairs_bt.backtest.window_tasks` and the joints of :mod:`pairs_bt.engine.pipeline` for a
study that travels. Dask packs tasks and their arguments; what workers give back goes the same way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd

from pairs_bt.backtest.portfolio.limits import Refusals
from pairs_bt.backtest.selection import Choice, ScanColumns, select_pairs
from pairs_bt.backtest.study import ContextCache, Study
from pairs_bt.backtest.window_tasks import Candidates, TradeResult, scan_task, trade_task
from pairs_bt.engine.identity import machine, versions
from pairs_bt.engine.local import Kept
from pairs_bt.engine.pipeline import WindowResult, collect, count_refused, orient_pairs
from pairs_bt.engine.window_parts import Parts
from pairs_bt.errors import ConfigError

T = TypeVar("T")


def local_identity() -> dict[str, str]:
    """Everything about this process that can change a byte of a task's result."""
    return versions() | {f"machine {key}": str(value) for key, value in machine().items()}


def check_identity(theirs: dict[str, str], who: str) -> None:
    """Refuse a process that could give other bytes than this one.

    Raises
    ------
    ConfigError
        Naming `who` it is and what differs.
    """
    ours = local_identity()
    wrong = [
        f"{key} {theirs.get(key, 'absent')[:24]} there, {ours.get(key, 'absent')[:24]} here"
        for key in {**ours, **theirs}
        if ours.get(key) != theirs.get(key)
    ]
    if wrong:
        raise ConfigError(
            f"{who} is not like this process: {'; '.join(wrong[:4])}"
            f"{f' and {len(wrong) - 4} more' if len(wrong) > 4 else ''}. Results would depend on who made them: "
            "install the same versions on client and workers (for processors of several kinds, set "
            "NUMBA_CPU_NAME=generic on all)."
        )


class Sent(Generic[T]):
    """Something that travels to workers, with the identity of who sent it; a worker that is not like it refuses.

    Workers join after the client has looked at them, so each process looks again, once.
    """

    def __init__(self, content: T) -> None:
        self._content = content
        self._identity = local_identity()
        self._checked = True

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_checked": False}

    @property
    def content(self) -> T:
        """What was sent.

        Raises
        ------
        ConfigError
            When this process is not like the one that sent it.
        """
        if not self._checked:
            check_identity(self._identity, "The client")
            self._checked = True
        return self._content


def to_send(study: Study, seen: dict[str, np.ndarray] | None = None) -> Study:
    """A study without what no task reads: the unfilled prices and the notes.

    With `seen`, arrays that are equal to one of an earlier study become that one, so that they travel once.
    """
    seen = {} if seen is None else seen
    values = {f.name: getattr(study, f.name) for f in fields(Study)}
    shared: dict[str, Any] = {
        name: seen.setdefault(_digest(value), value) for name, value in values.items() if isinstance(value, np.ndarray)
    }
    return replace(study, prices=pd.DataFrame(index=study.dates), notes=(), contexts=ContextCache(), **shared)


def _digest(array: np.ndarray) -> str:
    return f"{array.dtype} {array.shape} {hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()}"


@dataclass(frozen=True)
class Chosen:
    """A window's scan and its candidates, on the worker that joined them."""

    scan: ScanColumns
    choice: Choice
    candidates: Candidates


def scan_chunk(shared: Sent[Study], k: int, lo: int, hi: int) -> ScanColumns:
    """Test the pairs `lo` to `hi` of window `k`; without their positions, which every worker knows."""
    none = np.empty(0, dtype=np.int64)
    made = scan_task(shared.content, k, lo, hi)
    return ScanColumns(**{f.name: none if f.name in "ij" else getattr(made, f.name) for f in fields(ScanColumns)})


def choose_window(shared: Sent[Study], chunks: list[ScanColumns]) -> Chosen:
    """Join a window's scan and choose its candidates."""
    study = shared.content
    columns = {
        f.name: np.concatenate([getattr(c, f.name) for c in chunks]) for f in fields(ScanColumns) if f.name not in "ij"
    }
    scan = ScanColumns(i=study.pair_i, j=study.pair_j, **columns)
    choice = select_pairs(scan, study.config.selection)
    return Chosen(scan, choice, orient_pairs(scan, choice))


def candidates_of(chosen: Chosen) -> Candidates:
    """The part of a choice that trade tasks and the client need."""
    return chosen.candidates


def trade_chunk(
    shared: Sent[Study],
    k: int,
    candidates: Candidates,
    lo: int,
    hi: int,
    refused: dict[str, np.ndarray] | None,
    delayed: bool,
) -> TradeResult:
    """Trade the candidates `lo` to `hi` of window `k`."""
    return trade_task(shared.content, k, candidates, lo, hi, refused, delayed=delayed)


def collect_window(
    shared: Sent[Study],
    k: int,
    chosen: Chosen,
    results: list[TradeResult],
    refusals: Refusals | None,
    wanted: Collection[str],
    parts: Parts | None,
) -> WindowResult | Kept:
    """Make a window's tables; with `parts`, keep them in the run's folder and return only that they are."""
    made = collect(shared.content, k, chosen.scan, chosen.choice, chosen.candidates, results, wanted)
    result = count_refused(shared.content, made, refusals)
    if parts is None:
        return result
    parts.write(result)
    return Kept(k)


def identity(value: Any) -> Any:
    """A task that only holds something, for other tasks."""
    return value


def root_cause(key: str, dask_scheduler: Any) -> str | None:
    """On the scheduler: the task whose exception this one carries."""
    task = dask_scheduler.tasks.get(key)
    return None if task is None or task.exception_blame is None else task.exception_blame.key
