"""The cohorts of a sweep on the workers of a Dask scheduler.

A task is one test end under one batch of settings, as on threads. Prices and settings travel once to each worker, as
arrays and JSON; what moves with a task is positions of settings and pairs there, and daily dollars back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from pairs_bt.cluster_flight import TaskFailed, Tasks
from pairs_bt.cluster_tasks import itself
from pairs_bt.config import Config
from pairs_bt.config_text import to_json
from pairs_bt.errors import PartialError
from pairs_bt.shared_study import SharedStudy
from pairs_bt.study import Study
from pairs_bt.sweep.stages import CandidateStore, Case, Traded, make_cases, trade_cohorts
from pairs_bt.sweep.traders import Asked
from pairs_bt.tasks import Candidates
from pairs_bt.windows import split_windows

if TYPE_CHECKING:
    from pairs_bt.engine_dask import DaskEngine


class SharedCases:
    """The settings of a sweep, to be made again in each process that trades them.

    Arrays travel once, however many settings share them.

    Parameters
    ----------
    cases : sequence of Case
        All of the grid, in its order.
    """

    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases: list[Case] | None = None
        self._lock = Lock()
        by_levels: dict[str, SharedStudy] = {}
        for case in cases:
            if case.keys.study not in by_levels:
                # Under one config, so that studies that differ in nothing else are packed to the same bytes.
                by_levels[case.keys.study] = SharedStudy(replace(case.study, config=cases[0].config))
        self._studies = {shared.sha256: shared for shared in by_levels.values()}
        self._settings = [(by_levels[case.keys.study].sha256, to_json(case.config)) for case in cases]

    def __getstate__(self) -> dict[str, Any]:
        return {"studies": self._studies, "settings": self._settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._cases = None
        self._lock = Lock()
        self._studies, self._settings = state["studies"], state["settings"]

    @property
    def cases(self) -> list[Case]:
        """The cases, made on first use.

        Raises
        ------
        ConfigError
            When this process is not like the one that packed them.
        """
        with self._lock:
            if self._cases is None:
                configs = [Config.model_validate_json(text) for _, text in self._settings]
                studies = [
                    partial(self._study, key, config) for (key, _), config in zip(self._settings, configs, strict=True)
                ]
                self._cases = make_cases(configs, studies)
            return self._cases

    def _study(self, key: str, config: Config) -> Study:
        packed = self._studies[key].study
        windows = split_windows(packed.dates, config.windows)
        # Contexts of its own: they hold prices in the forms of one setting's levels.
        return replace(packed, config=config, windows=windows, _contexts={}, _lock=Lock())


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


def trade_batch(shared: SharedCases, numbers: list[int], end: np.datetime64, known: dict[str, Candidates]) -> Batch:
    """On a worker: trade the cohort of one test end under the settings `numbers`."""
    store = CandidateStore({(end, key): candidates for key, candidates in known.items()})
    cases = shared.cases
    traded = trade_cohorts([cases[n] for n in numbers], end, store)
    return Batch(traded, {key: candidates for (_, key), candidates in store.found.items() if key not in known})


class Workers(Tasks):
    """The workers of a connected engine; see :class:`pairs_bt.sweep.traders.Trader`.

    Parameters
    ----------
    engine : DaskEngine
    cases : sequence of Case
        All of the grid, in its order.
    """

    def __init__(self, engine: DaskEngine, cases: Sequence[Case]) -> None:
        super().__init__(engine)
        self.store = CandidateStore()
        self.begun = 0
        self.shared = self.submit("prices and settings", 0, itself, SharedCases(cases))

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
            from pairs_bt.engine_dask import GO_ON

            raise PartialError(f"The sweep has stopped: {error}. {GO_ON}") from None
        finally:
            tasks.clear()

    def _begin(self, priority: int, cases: Sequence[Case], end: np.datetime64) -> Any:
        keys = {case.keys.choice for case in cases}
        known = {key: self.store.found[end, key] for key in sorted(keys) if (end, key) in self.store.found}
        # The number tells tasks of several batches apart.
        self.begun += 1
        name = f"cohort of {end} under {len(cases)} settings, task {self.begun}"
        return self.submit(name, priority, trade_batch, self.shared, [case.number for case in cases], end, known)
