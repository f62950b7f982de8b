"""The tasks of a run on their way: submitted, waited for, and named when they fail."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError
from threading import Event
from typing import Any, Protocol

from pairs_bt.backtest.ledger import BLOCK
from pairs_bt.backtest.portfolio.limits import Refusals
from pairs_bt.backtest.study import Study
from pairs_bt.engine.dask_tasks import (
    Sent,
    candidates_of,
    choose_window,
    collect_window,
    identity,
    root_cause,
    scan_chunk,
    to_send,
    trade_chunk,
)
from pairs_bt.engine.local import Kept
from pairs_bt.engine.pipeline import WindowResult, cut
from pairs_bt.engine.window_parts import Parts
from pairs_bt.errors import PairsError, PartialError


class Cluster(Protocol):
    """What the tasks on their way need of a :class:`pairs_bt.engine.dask_engine.DaskEngine`."""

    client: Any
    scan_chunk: int
    trade_chunk: int

    def check_alive(self) -> None:
        """Raise if the scheduler is lost, or no worker is left."""

    def lost(self) -> PartialError:
        """The error for a scheduler that has gone."""


class TaskFailed(Exception):
    """A task raised, or the workers that it was on ended time and again."""


def windows_at_once(threads: int, tasks: int) -> int:
    """Windows under way at once on so many threads, with so many scan tasks a window.

    Enough to give every thread eight scan tasks: while the last tasks of a window are made, which run one after the
    other, those of the next ones keep the cluster busy.
    """
    return min(64, 2 + -(-8 * threads // tasks))


class Tasks:
    """Tasks of one piece of work on a connected engine: submitted, waited for, and named when they fail."""

    def __init__(self, engine: Cluster) -> None:
        self.engine = engine
        self.client = engine.client
        # Keys of their own, so that no other client's task and no earlier one of this client is taken for one of these.
        self.token = uuid.uuid4().hex[:8]
        self.stopped = Event()

    def submit(self, name: str, priority: int, function: Callable[..., Any], *arguments: Any) -> Any:
        """Send one task; `name` is what messages call it, and higher priorities go first."""
        import dask

        # Tasks are pure, so a failure is tried once more: a loaded worker of distributed now and then loses a result.
        # The study is the one large thing in a graph, and meant to be there: it is made again from the graph when the
        # workers that hold it die.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            return self.client.submit(
                function, *arguments, key=f"{name}-{self.token}", priority=priority, pure=False, retries=1
            )

    def result(self, future: Any) -> Any:
        """Wait for a task, and say which one it was that failed.

        Raises
        ------
        TaskFailed
            When it raised, or workers ended under it time and again.
        PartialError
            When the scheduler is lost, or no worker is left.
        """
        from distributed.scheduler import KilledWorker

        try:
            while not future.done():
                if self.stopped.is_set():
                    raise CancelledError
                try:
                    return future.result(timeout=1.0)
                except TimeoutError:
                    # Of a task that is done, the time was the transfer's: it is waited for below, however long.
                    self.engine.check_alive()
            return future.result()
        except PairsError:
            raise
        except CancelledError:
            # Nobody here cancels a task that is waited for: the connection broke.
            raise self.engine.lost() from None
        except KilledWorker as error:
            raise TaskFailed(
                f"the task {_named(str(error.task))} was on {error.allowed_failures + 1} workers that ended, the last "
                f"{error.last_worker.address}: out of memory?"
            ) from None
        except Exception as error:
            if self.client.status != "running":
                raise self.engine.lost() from None
            raise TaskFailed(
                f"the task {_named(self._culprit(future))} raised {type(error).__name__}: {error}"
            ) from None

    def _culprit(self, future: Any) -> str:
        """Name of the task that a failure began in; `future` may only depend on it."""
        try:
            story = self.client.run_on_scheduler(root_cause, key=future.key)
        except Exception:
            story = None
        return story or future.key


class WindowSubmitter(Tasks):
    """The tasks of one call of :meth:`pairs_bt.engine.dask_engine.DaskEngine.windows`."""

    def __init__(
        self,
        engine: Cluster,
        study: Study,
        parts: Parts | None,
        refusals: Refusals | None,
        wanted: tuple[str, ...],
        delayed: bool,
    ) -> None:
        super().__init__(engine)
        self.study = study
        self.parts = parts
        self.refusals = refusals
        self.wanted = wanted
        self.delayed = delayed
        self.shared = self.submit("study", 0, identity, Sent(to_send(study)))

    def stop(self) -> None:
        """Let waiting threads end and the scheduler forget the tasks."""
        self.stopped.set()
        self.shared = None

    def window(self, k: int) -> WindowResult | Kept:
        """Run one window; waits for it."""
        label, engine = self.study.windows[k].label, self.engine
        # Earlier windows first, so that few are half done.
        rank = -k
        scans = [
            self.submit(f"scan of pairs {lo} to {hi} in window {label}", rank, scan_chunk, self.shared, k, lo, hi)
            for lo, hi in cut(self.study.pair_i.size, engine.scan_chunk)
        ]
        chosen = self.submit(f"choice in window {label}", rank, choose_window, self.shared, scans)
        light = self.submit(f"candidates of window {label}", rank, candidates_of, chosen)
        size = self.result(light).y.size
        own, refused, chunk = None, None, engine.trade_chunk
        if self.refusals is not None:
            # Flags are numbered by trade over the window: one task, so that the numbers are the task's own.
            chunk = -(-max(size, 1) // BLOCK) * BLOCK
            own = {key: flags for key, flags in self.refusals.items() if key[0] == k}
            refused = {name: flags for (_, name), flags in own.items()}
        trades = [
            self.submit(
                f"trades of candidates {lo} to {hi} in window {label}",
                rank, trade_chunk, self.shared, k, light, lo, hi, refused, self.delayed,
            )
            for lo, hi in cut(size, chunk)
        ]  # fmt: skip
        whole = self.submit(
            f"tables of window {label}",
            rank,
            collect_window,
            self.shared,
            k,
            chosen,
            trades,
            own,
            self.wanted,
            self.parts,
        )
        return self.result(whole)


def _named(key: str) -> str:
    return f"'{str(key).rpartition('-')[0]}'"
