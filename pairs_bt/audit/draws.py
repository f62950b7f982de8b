"""Draws from the null: the whole pipeline on universes in which no two prices have anything to do with each other.

A draw is named by its kind and number. Its prices depend on the run's seed, the kind and the number alone, so it
is the same for any number of jobs, and a journal of finished draws can be taken up again.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from pairs_bt.atomic import write_text
from pairs_bt.audit.measure import Measure, measure
from pairs_bt.config import Config
from pairs_bt.config_text import fingerprint
from pairs_bt.null import NullKind, null_market
from pairs_bt.prices import PriceData, fingerprint_frame
from pairs_bt.study import Study, prepare

KINDS: tuple[NullKind, ...] = get_args(NullKind)
JOURNAL = "null_draws.jsonl"
BLOCK = 20

Progress = Callable[[int, int], None]


@dataclass(frozen=True, order=True)
class DrawName:
    """Which draw: its kind and its number from 0."""

    kind: NullKind
    number: int


def null_draws(
    study: Study,
    draws: int,
    *,
    jobs: int | None = None,
    journal: Path | None = None,
    kinds: Iterable[NullKind] = KINDS,
    progress: Progress | None = None,
) -> dict[NullKind, list[Measure]]:
    """Measure `draws` null universes of each kind.

    Parameters
    ----------
    study : Study
        The real prices and the config whose rules are applied.
    draws : int
        Universes of each kind, at least 1.
    jobs : int, optional
        Threads; None takes one per CPU. No number of them changes a draw.
    journal : path, optional
        A file to which every finished draw is appended, and from which the draws of an earlier, perhaps interrupted
        audit are taken if config, prices, seed and program are the same; if they are not, it is begun anew.
    kinds : iterable of str
        Which of `pairs_bt.null.NullKind`.
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
    book = Journal(journal, study)
    done = {name: book.finished[name] for name in wanted if name in book.finished}
    todo = [name for name in wanted if name not in done]
    if progress is not None:
        progress(len(done), len(wanted))
    with book, ThreadPoolExecutor(max(1, jobs or os.cpu_count() or 1)) as pool:
        futures = {pool.submit(draw, study, name): name for name in todo}
        try:
            for future in as_completed(futures):
                name = futures[future]
                done[name] = future.result()
                book.append(name, done[name])
                if progress is not None:
                    progress(len(done), len(wanted))
        finally:
            _cancel(futures)
    out: dict[NullKind, list[Measure]] = {}
    for name in wanted:
        out.setdefault(name.kind, []).append(done[name])
    return out


def draw(study: Study, name: DrawName) -> Measure:
    """Make one null universe of the study's prices and measure it."""
    seed = (study.config.run.seed, KINDS.index(name.kind), name.number)
    prices = null_market(study.prices, name.kind, seed=seed, block=BLOCK)
    return measure(prepare(study.config, PriceData(prices, (), {})))


def _cancel(futures: Iterable[Future[Measure]]) -> None:
    for future in futures:
        future.cancel()


class Journal:
    """Finished draws on disk: a line that says what they belong to, then a line a draw.

    A line that an interruption has torn is left out and made again.
    """

    def __init__(self, path: Path | None, study: Study) -> None:
        self.path = path
        self.header = {} if path is None else identity(study.config, study)
        self.finished: dict[DrawName, Measure] = {}
        self._file: Any = None
        if path is not None and path.exists():
            self.finished = self._read(path)

    def __enter__(self) -> Journal:
        if self.path is not None:
            # Written anew from what was read, so that a torn line never stands in the middle.
            lines = [json.dumps(self.header, sort_keys=True)]
            lines += [_line(name, found) for name, found in self.finished.items()]
            write_text(self.path, "\n".join(lines) + "\n")
            self._file = self.path.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def append(self, name: DrawName, found: Measure) -> None:
        """Keep one finished draw, whatever happens next."""
        if self._file is not None:
            self._file.write(_line(name, found) + "\n")
            self._file.flush()

    def _read(self, path: Path) -> dict[DrawName, Measure]:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        entries = [entry for entry in map(_parsed, lines) if entry is not None]
        if not entries or entries[0] != self.header:
            return {}
        found = {}
        for entry in entries[1:]:
            if entry.keys() == {"kind", "draw", "measure"}:
                found[DrawName(entry["kind"], entry["draw"])] = Measure(**_with_nan(entry["measure"]))
        return found


def identity(config: Config, study: Study) -> dict[str, Any]:
    """What a draw depends on besides its name: config, prices, and the program itself."""
    return {
        "config": fingerprint(config),
        "prices": fingerprint_frame(study.prices),
        "program": program_fingerprint(),
        "block": BLOCK,
    }


def program_fingerprint() -> str:
    """sha256 of the package's Python sources."""
    digest = hashlib.sha256()
    root = Path(str(files("pairs_bt")))
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _line(name: DrawName, found: Measure) -> str:
    return json.dumps({"kind": name.kind, "draw": name.number, "measure": _without_nan(found.to_dict())})


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _without_nan(value: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: absent numbers are null there."""
    numbers = {
        name: {key: None if math.isnan(number) else number for key, number in row.items()}
        for name, row in value["variants"].items()
    }
    return value | {"variants": numbers}


def _with_nan(value: dict[str, Any]) -> dict[str, Any]:
    numbers = {
        name: {key: math.nan if number is None else number for key, number in row.items()}
        for name, row in value["variants"].items()
    }
    return value | {"variants": numbers}
