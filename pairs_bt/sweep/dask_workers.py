"""The cohorts of a sweep on the workers of a Dask scheduler.

A task is one test end under one batch of settings, as on threads. Prices and settings travel once to each worker; what
moves with a task is positions of settings and pairs there, and daily dollars back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pairs_bt.backtest.study import Study
from pairs_bt.backtest.window_tasks import Candidates
from pairs_bt.engine.dask_futures import TaskFailed, Tasks
from pairs_bt.engine.dask_tasks import Sent, identity, to_send
from pairs_bt.errors import PartialError
from pairs_bt.sweep.cohort_traders import Asked
from pairs_bt.sweep.shared_stages import CandidateStore, SweepCase, Traded, trade_cohorts

if TYPE_CHECKING:
    from pairs_bt.engine.dask_engine import DaskEngine


def cases_to_send(cases: Sequence[SweepCase]) -> Sent[list[SweepCase]]:
    """The settings of a sweep, whose arrays travel once, however many settings share them."""
    studies: dict[str, Study] = {}
    seen: dict[str, np.ndarray] = {}
    out = []
    for case in cases:
        if case.keys.study not in studies:
            studies[case.keys.study] = to_send(case.study, seen)
        out.append(replace(case, study=replace(studies[case.keys.study], config=case.config)))
    return Sent(out)


@dataclass(frozen=True)
class Batch:
    """What a task sends back.

    Attributes
    ----------
    traded : list
        As :func:`trade_cohorts` gives it.
    found : dict of str to Candidates
        Pairs that the task has searched, by what decides them.
    """

    traded: list[Traded | None]
    found: dict[str, Candidates]


def trade_batch(
    shared: Sent[list[SweepCase]], numbers: list[int], end: np.datetime64, known: dict[str, Candidates]
) -> Batch:
    """On a worker: trade the cohort of one test end under the settings `numbers`."""
    store = CandidateStore({(end, key): candidates for key, candidates in known.items()})
    cases = shared.content
    traded = trade_cohorts([cases[n] for n in numbers], end, store)
    return Batch(traded, {key: candidates for (_, key), candidates in store.found.items() if key not in known})


class Workers(Tasks):
    """The workers of a connected engine; see :class:`pairs_bt.sweep.cohort_traders.Trader`.

    Parameters
    ----------
    engine : DaskEngine
    cases : sequence of Case
        All of the grid, in its order.
    """

    def __init__(self, engine: DaskEngine, cases: Sequence[SweepCase]) -> None:
        super().__init__(engine)
        self.store = CandidateStore()
        self.begun = 0
        self.shared = self.submit("prices and settings", 0, identity, cases_to_send(cases))

    def cohorts(self, asked: Sequence[Asked]) -> Iterator[list[Traded | None]]:
        """Trade cohorts on the workers.

        Raises
        ------
        PartialError
            When a task raised, or workers ended under it time and again, naming it; when the scheduler is lost, or
            no worker is left.
        """
        # Earlier test ends first: they are waited for in that order. What is no longer held here is dropped there.
        tasks = deque(self._begin(-rank, *one) for rank, one in enumerate(asked))
        try:
            for _, end in asked:
                made: Batch = self.result(tasks.popleft())
                self.store.found.update({(end, key): candidates for key, candidates in made.found.items()})
                yield made.traded
        except TaskFailed as error:
            from pairs_bt.engine.dask_engine import GO_ON

            raise PartialError(f"The sweep has stopped: {error}. {GO_ON}") from None
        finally:
            tasks.clear()

    def _begin(self, priority: int, cases: Sequence[SweepCase], end: np.datetime64) -> Any:
        keys = {case.keys.choice for case in cases}
        known = {key: self.store.found[end, key] for key in sorted(keys) if (end, key) in self.store.found}
        # The number tells tasks of several batches apart.
        self.begun += 1
        name = f"cohort of {end} under {len(cases)} settings, task {self.begun}"
        return self.submit(name, priority, trade_batch, self.shared, [case.number for case in cases], end, known)
