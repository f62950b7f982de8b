"""Windows on a Dask cluster: the same tasks as on threads, the same bytes, the same folder.

A window is a graph of (window, chunk) tasks: chunks of its scan, the choice of candidates, chunks of its trades, and
one task that joins them into the window's result. The study travels once to each worker and stays there; what moves
with the tasks is positions and results. A worker that dies takes nothing along that is not made again, because every
task is a pure function of the study.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import Any

from pairs_bt.backtest.ledger import BLOCK
from pairs_bt.backtest.portfolio.limits import Refusals
from pairs_bt.backtest.study import Study
from pairs_bt.engine.dask_futures import WindowSubmitter, windows_at_once
from pairs_bt.engine.dask_tasks import check_identity, local_identity
from pairs_bt.engine.local import Kept
from pairs_bt.engine.pipeline import TABLES, WindowResult
from pairs_bt.engine.window_parts import Parts
from pairs_bt.errors import ConfigError, PartialError

# A task costs the scheduler about a millisecond: these sizes make it a third of a second of work.
SCAN_CHUNK = 32_768
TRADE_CHUNK = 1_024
# What the results of windows may take on the client, and a tested pair's row in them.
_CLIENT_BYTES, _ROW_BYTES = 2e9, 100
_INSTALL = 'The Dask engine needs the packages of its extra: pip install "pairs-bt[dask]".'
GO_ON = "What was finished is kept: the same command goes on from there."


class DaskEngine:
    """The workers of a Dask scheduler. Use it as a context manager: it connects on entry.

    Parameters
    ----------
    scheduler : str
        Address, such as ``tcp://127.0.0.1:8786``, or ``tls://...`` with Dask's own configuration of certificates.
    shared_folder : bool
        Workers see the run's folder under the client's path, and write finished windows there. Otherwise these travel
        over the network.
    scan_chunk, trade_chunk : int
        Pairs per task; no size changes a result.
    timeout : float
        Seconds within which the scheduler must answer.
    patience : float
        Seconds that a run waits for a worker when none is left.
    """

    def __init__(
        self,
        scheduler: str,
        *,
        shared_folder: bool = False,
        scan_chunk: int = SCAN_CHUNK,
        trade_chunk: int = TRADE_CHUNK,
        timeout: float = 10.0,
        patience: float = 60.0,
    ) -> None:
        self.scheduler = scheduler
        self.shared_folder = shared_folder
        self.scan_chunk = max(1, scan_chunk)
        self.trade_chunk = -(-max(trade_chunk, 1) // BLOCK) * BLOCK
        self.timeout = timeout
        self.patience = patience
        self.client: Any = None
        self._seen = 0.0

    def __enter__(self) -> DaskEngine:
        """Connect, and check that every worker is like this process.

        Raises
        ------
        ConfigError
            When Dask is not installed, the scheduler does not answer, no worker is there, or one is of other versions.
        """
        try:
            from distributed import Client
        except ImportError:
            raise ConfigError(_INSTALL) from None
        try:
            _knock(self.scheduler, self.timeout)
            self.client = Client(self.scheduler, timeout=self.timeout, set_as_default=False, name="pairs-bt")
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(
                f"The scheduler {self.scheduler} does not answer within {self.timeout:g} s ({type(error).__name__}). "
                "Start one with `dask scheduler`, and give the address that it prints as --scheduler tcp://HOST:PORT."
            ) from None
        try:
            self._check_workers()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the scheduler, which then forgets the tasks of this client."""
        if self.client is not None:
            self.client.close(timeout=2)
            self.client = None

    def _check_workers(self) -> None:
        try:
            self.client.wait_for_workers(1, timeout=self.timeout)
        except TimeoutError:
            raise ConfigError(
                f"The scheduler {self.scheduler} has no worker after {self.timeout:g} s. Start some with "
                f"`dask worker {self.scheduler}`."
            ) from None
        found = self.client.run(local_identity, on_error="return")
        for address, identity in sorted(found.items()):
            if isinstance(identity, BaseException):
                raise ConfigError(
                    f"The worker {address} cannot run pairs_bt ({type(identity).__name__}: {identity}). Install the "
                    "same versions on client and workers."
                )
            check_identity(identity, f"The worker {address}")

    def windows(
        self,
        study: Study,
        numbers: list[int],
        *,
        refusals: Refusals | None = None,
        wanted: Collection[str] = TABLES,
        delayed: bool = True,
        parts: Parts | None = None,
    ) -> Iterator[WindowResult | Kept]:
        """Run windows on the workers; see :meth:`pairs_bt.engine.local.Engine.windows`.

        Raises
        ------
        TaskFailed
            When a task raised, or workers ended under it time and again, naming the task.
        PartialError
            When the scheduler is lost, or no worker is left.
        """
        if not numbers:
            return
        keep = parts if self.shared_folder else None
        flight = WindowSubmitter(self, study, keep, refusals, tuple(wanted), delayed and refusals is None)
        ahead = self._windows_at_once(study)
        # A thread here only waits; it holds no window's tables until they are asked for.
        with ThreadPoolExecutor(ahead) as pool:
            waiting: deque[Future[WindowResult | Kept]] = deque()
            try:
                for k in numbers:
                    waiting.append(pool.submit(flight.window, k))
                    if len(waiting) > ahead:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                flight.stop()
                for future in waiting:
                    future.cancel()

    def _windows_at_once(self, study: Study) -> int:
        threads = sum(self.client.nthreads().values()) or 1
        pairs = study.pair_i.size
        ahead = windows_at_once(threads, -(-pairs // self.scan_chunk))
        # Windows that travel wait on the client until it is their turn.
        return ahead if self.shared_folder else min(ahead, max(2, int(_CLIENT_BYTES / (_ROW_BYTES * pairs))))

    def check_alive(self) -> None:
        """Raise if the scheduler is lost, or no worker has been there for longer than the patience.

        Raises
        ------
        PartialError
        """
        if self.client.status != "running":
            raise self.lost()
        try:
            workers = len(self.client.nthreads())
        except (OSError, TimeoutError):
            raise self.lost() from None
        now = monotonic()
        if workers or not self._seen:
            self._seen = now
        elif now - self._seen > self.patience:
            raise PartialError(
                f"The scheduler {self.scheduler} has had no worker for {self.patience:g} s: start some with "
                f"`dask worker {self.scheduler}`. {GO_ON}"
            )

    def lost(self) -> PartialError:
        """The error for a scheduler that has gone."""
        return PartialError(f"The connection to the scheduler {self.scheduler} was lost. {GO_ON}")


def _knock(address: str, timeout: float) -> None:
    """Shake hands with a scheduler: Dask's own client waits for ever for one that takes the call and says nothing."""
    from distributed.comm.core import connect
    from distributed.security import Security

    async def shake() -> None:
        comm = await connect(address, timeout=timeout, **Security().get_connection_args("client"))
        await comm.close()

    # In a thread of its own, because a notebook's already runs a loop.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, asyncio.wait_for(shake(), timeout)).result()
