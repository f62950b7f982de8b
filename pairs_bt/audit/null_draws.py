"""Draws from the null: the whole pipeline on universes in which no two prices have anything to do with each other.

A draw is named by its kind and number. Its prices depend on the run's seed, the kind and the number alone, so it
is the same for any number of jobs, and finished draws that were kept can be taken up again.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pairs_bt.audit.universe_statistics import UniverseStatistics, universe_statistics
from pairs_bt.backtest.study import Study, with_prices
from pairs_bt.common.checkpoints import Checkpoints
from pairs_bt.config.writer import fingerprint
from pairs_bt.data.prices import fingerprint_frame
from pairs_bt.data.synthetic.surrogates import CommonReturns, NullKind, null_market
from pairs_bt.engine.identity import source_sha256
from pairs_bt.engine.pipeline import Progress
from pairs_bt.models.factors import FactorFit, common_returns

KINDS: tuple[NullKind, ...] = ("circular_shift", "block_bootstrap", "gaussian", "factor")
DRAWS = "null_draws"
BLOCK = 20
# Universes of a kind between two looks at their p-values, and the most of a kind where nobody says how many.
BATCH, MOST = 20, 999

Found = dict[NullKind, list[UniverseStatistics]]


@dataclass(frozen=True, order=True)
class DrawName:
    """Which draw: its kind and its number from 0."""

    kind: NullKind
    number: int

    @property
    def key(self) -> str:
        """Its name in the folder of draws."""
        return f"{self.kind}-{self.number}"


def null_draws(
    study: Study,
    draws: int,
    *,
    jobs: int | None = None,
    folder: Path | None = None,
    kinds: Iterable[NullKind] = KINDS,
    progress: Progress | None = None,
) -> Found:
    """Measure `draws` null universes of each kind.

    Parameters
    ----------
    study : Study
        The real prices and the config whose rules are applied.
    draws : int
        Universes of each kind, at least 1.
    jobs : int, optional
        Threads; None takes one per CPU. No number of them changes a draw.
    folder : path, optional
        Where every finished draw is kept, and from which the draws of an earlier, perhaps interrupted audit are taken
        if config, prices, seed and program are the same; if they are not, they are made again.
    kinds : iterable of str
        Which of `pairs_bt.data.synthetic.surrogates.NullKind`.
    progress : callable, optional
        Called with (draws done, draws in all).

    Returns
    -------
    dict of str to list of UniverseStatistics
        In the order of the draws' numbers.
    """
    if draws < 1:
        raise ValueError(f"draws = {draws}: at least 1 null universe of each kind is needed; 200 are usual")
    maker = _Maker(study, jobs, folder)
    maker.make(dict.fromkeys(kinds, draws), progress)
    return maker.found(kinds)


def draw_until(
    study: Study,
    settled: Callable[[NullKind, list[UniverseStatistics]], bool],
    *,
    minutes: float,
    jobs: int | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Measure null universes of each kind until its p-values are known, `MOST` are made, or the time is over.

    Looked at every `BATCH` universes of a kind. As long as the time does not end it, the result is the same for any
    number of jobs; a later call with the same folder goes on from the universes that were made.

    Parameters
    ----------
    study, jobs, folder, progress
        As in :func:`null_draws`.
    settled : callable
        Whether the universes of a kind are enough.
    minutes : float
        Above 0. One universe of each kind is made however long it takes.
    clock : callable
        Seconds, from any start.
    """
    if not minutes > 0:
        raise ValueError(f"minutes = {minutes}: give a time above 0; 10 is usual")
    maker = _Maker(study, jobs, folder)
    deadline = clock() + 60.0 * minutes
    active: dict[NullKind, int] = dict.fromkeys(KINDS, 0)
    while active:
        wanted = {kind: min(n + BATCH, MOST) for kind, n in active.items()}
        if not maker.make(wanted, progress, lambda: clock() >= deadline):
            break
        found = maker.found(wanted)
        active = {kind: n for kind, n in wanted.items() if n < MOST and not settled(kind, found[kind][:n])}
    return maker.found(KINDS)


class _Maker:
    """Makes universes on threads, and keeps them in a folder."""

    def __init__(self, study: Study, jobs: int | None, folder: Path | None) -> None:
        self.study = study
        self.jobs = max(1, jobs or os.cpu_count() or 1)
        self.store = None if folder is None else Checkpoints(folder, json.dumps(identity(study), sort_keys=True))
        self.done: dict[DrawName, UniverseStatistics] = {}
        self.asked: dict[NullKind, int] = {}
        self.parts: CommonReturns | None = None

    def make(self, wanted: Mapping[NullKind, int], progress: Progress | None, late: Callable[[], bool] = bool) -> bool:
        """Make so many of each kind; return whether all were, before it was late."""
        self.asked |= wanted
        # Kinds by turns: when the time ends, there are as many of each.
        names = [DrawName(kind, number) for number in range(max(wanted.values())) for kind in wanted]
        names = [name for name in names if name.number < wanted[name.kind] and name not in self.done]
        if self.store is not None:
            kept = {name: _unpacked(self.store.read(name.key)) for name in names}
            self.done |= {name: found for name, found in kept.items() if found is not None}
            names = [name for name in names if name not in self.done]
        if self.parts is None and any(name.kind == "factor" for name in names):
            self.parts = factor_parts(self.study)[0]
        self._tell(progress)
        with ThreadPoolExecutor(self.jobs) as pool:
            futures = {pool.submit(draw, self.study, name, self.parts): name for name in names}
            try:
                for future in as_completed(futures):
                    if future.cancelled():
                        continue
                    self._keep(futures[future], future.result())
                    self._tell(progress)
                    if late():
                        _cancel(f for f, name in futures.items() if name.number)
            finally:
                _cancel(futures)
        return not late()

    def _keep(self, name: DrawName, found: UniverseStatistics) -> None:
        self.done[name] = found
        if self.store is not None:
            self.store.write(name.key, _packed(found))

    def _tell(self, progress: Progress | None) -> None:
        if progress is not None:
            progress(len(self.done), sum(self.asked.values()))

    def found(self, kinds: Iterable[NullKind]) -> Found:
        """By kind, in order, up to the first that is missing."""
        out: Found = {}
        for kind in kinds:
            row = out.setdefault(kind, [])
            while len(row) < self.asked[kind] and DrawName(kind, len(row)) in self.done:
                row.append(self.done[DrawName(kind, len(row))])
        return out


def factor_parts(study: Study) -> tuple[CommonReturns, list[FactorFit]]:
    """Common and own returns of a study's tickers, and the factors of each of its train windows."""
    return common_returns(study.prices, [(window.first, window.split) for window in study.windows])


def draw(study: Study, name: DrawName, parts: CommonReturns | None = None) -> UniverseStatistics:
    """Make one null universe of the study's prices and measure it; `parts` are those of :func:`factor_parts`."""
    seed = (study.config.run.seed, KINDS.index(name.kind), name.number)
    if name.kind == "factor" and parts is None:
        parts = factor_parts(study)[0]
    prices = null_market(study.prices, name.kind, seed=seed, block=BLOCK, parts=parts)
    return universe_statistics(with_prices(study, prices))


def _cancel(futures: Iterable[Future[UniverseStatistics]]) -> None:
    for future in futures:
        future.cancel()


def identity(study: Study) -> dict[str, Any]:
    """What a draw depends on besides its name: config, prices, and the program itself."""
    return {
        "config": fingerprint(study.config),
        "prices": fingerprint_frame(study.prices),
        "program": source_sha256(),
        "block": BLOCK,
    }


def _packed(found: UniverseStatistics) -> bytes:
    """JSON has no NaN: absent numbers are null there."""
    numbers = {
        name: {key: None if math.isnan(number) else number for key, number in row.items()}
        for name, row in found.variants.items()
    }
    return json.dumps(found.to_dict() | {"variants": numbers}).encode()


def _unpacked(data: bytes | None) -> UniverseStatistics | None:
    if data is None:
        return None
    value = json.loads(data)
    numbers = {
        name: {key: math.nan if number is None else number for key, number in row.items()}
        for name, row in value["variants"].items()
    }
    return UniverseStatistics(**value | {"variants": numbers})
