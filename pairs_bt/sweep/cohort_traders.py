"""Where the cohorts of a sweep are traded: threads here, or a cluster's workers; never a byte of them changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pairs_bt.sweep.shared_stages import CandidateStore, SweepCase, Traded, trade_cohorts

# The cohort of one test end, under some settings.
Asked = tuple[Sequence[SweepCase], np.datetime64]


class Trader(Protocol):
    """Trades cohorts."""

    def cohorts(self, asked: Sequence[Asked]) -> Iterator[list[Traded | None]]:
        """Trade what is asked and yield it in that order, each as :func:`trade_cohorts` gives it."""
        ...


@dataclass(frozen=True)
class Threads:
    """Threads of this process.

    Attributes
    ----------
    store : CandidateStore
        Shared between calls, so that pairs are searched once.
    jobs : int
        Threads over test ends; no number changes a result.
    """

    store: CandidateStore
    jobs: int

    def cohorts(self, asked: Sequence[Asked]) -> Iterator[list[Traded | None]]:
        """Trade cohorts on threads; see :meth:`Trader.cohorts`."""
        pool = ThreadPoolExecutor(self.jobs)
        try:
            yield from pool.map(lambda one: trade_cohorts(one[0], one[1], self.store), asked)
        finally:
            # What has not begun when something fails is not waited for.
            pool.shutdown(cancel_futures=True)
