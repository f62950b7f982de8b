"""Draws from the null: the whole pipeline on universes in which no two prices have anything to do with each other.

A draw is named by its kind and number. Its prices depend on the run's seed, the kind and the number alone, so it
is the same for any number of jobs, and finished draws that were kept can be taken up again.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pairs_bt.audit.universe_statistics import UniverseStatistics, universe_statistics
from pairs_bt.backtest.study import Study, prepare
from pairs_bt.common.checkpoints import Checkpoints
from pairs_bt.config.writer import fingerprint
from pairs_bt.data.prices import PriceData, fingerprint_frame
from pairs_bt.data.synthetic.surrogates import NullKind, null_market
from pairs_bt.engine.identity import source_sha256
from pairs_bt.engine.pipeline import Progress

KINDS: tuple[NullKind, ...] = ("circular_shift", "block_bootstrap", "gaussian")
DRAWS = "null_draws"
BLOCK = 20


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
) -> dict[NullKind, list[UniverseStatistics]]:
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
    dict of str to list of Measure
        In the order of the draws' numbers.
    """
    if draws < 1:
        raise ValueError(f"draws = {draws}: at least 1 null universe of each kind is needed; 200 are usual")
    wanted = [DrawName(kind, number) for kind in kinds for number in range(draws)]
    store = None if folder is None else Checkpoints(folder, json.dumps(identity(study), sort_keys=True))
    done = {} if store is None else {name: m for name in wanted if (m := _unpacked(store.read(name.key))) is not None}
    todo = [name for name in wanted if name not in done]
    if progress is not None:
        progress(len(done), len(wanted))
    with ThreadPoolExecutor(max(1, jobs or os.cpu_count() or 1)) as pool:
        futures = {pool.submit(draw, study, name): name for name in todo}
        try:
            for future in as_completed(futures):
                name = futures[future]
                done[name] = future.result()
                if store is not None:
                    store.write(name.key, _packed(done[name]))
                if progress is not None:
                    progress(len(done), len(wanted))
        finally:
            _cancel(futures)
    out: dict[NullKind, list[UniverseStatistics]] = {}
    for name in wanted:
        out.setdefault(name.kind, []).append(done[name])
    return out


def draw(study: Study, name: DrawName) -> UniverseStatistics:
    """Make one null universe of the study's prices and measure it."""
    seed = (study.config.run.seed, KINDS.index(name.kind), name.number)
    prices = null_market(study.prices, name.kind, seed=seed, block=BLOCK)
    return universe_statistics(prepare(study.config, PriceData(prices, (), {})))


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
