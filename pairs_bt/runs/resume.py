"""A run in a folder: begun, gone on with, finished or repaired by the same call.

Windows are made one by one and kept as they are made (:mod:`pairs_bt.engine.window_parts`); the tables are put together
from what was kept, so that a run that was killed and taken up gives the bytes of one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, Generic

import pandas as pd
import pyarrow as pa

from pairs_bt.backtest.portfolio.limits import Refusals
from pairs_bt.backtest.portfolio.returns import Cohort, compound
from pairs_bt.backtest.study import Study
from pairs_bt.common.checkpoints import DamagedCheckpoint
from pairs_bt.common.files import reason, replacing
from pairs_bt.common.freed_memory import give_back_freed_arrays
from pairs_bt.common.lock import folder_lock
from pairs_bt.config.schema import Config
from pairs_bt.engine.identity import identify
from pairs_bt.engine.local import Engine, Kept, find_refusals
from pairs_bt.engine.pipeline import Progress, WindowResult
from pairs_bt.engine.window_parts import PARTS, SPREADS, PackedWindow, Parts, spreads_path, to_arrow
from pairs_bt.engine.window_parts import TABLES as _FROM_PARTS
from pairs_bt.errors import ConfigError, PairsError, PartialError
from pairs_bt.runs import run_folder
from pairs_bt.runs.build import assemble, expected_chance
from pairs_bt.runs.load import read_run
from pairs_bt.runs.prices_in_folder import keep_prices
from pairs_bt.runs.run_data import Made, RunData


@dataclass(frozen=True)
class Work(Generic[Made]):
    """How a run is made; nothing here changes a byte of it.

    Attributes
    ----------
    engine : Engine
        Runs the windows.
    kind : type
        What the finished run is made as: :class:`pairs_bt.runs.run_data.RunData`, or a face over it.
    report : bool
        Write the report.
    write_report : callable
        Writes the report of a run to a path.
    progress : callable or None
        Called with (windows done, windows in all).
    say : callable
        Called with one line about what is gone on with, kept or repaired.
    """

    engine: Engine
    kind: type[Made]
    report: bool
    write_report: Callable[[RunData, Path], None]
    progress: Progress | None
    say: Callable[[str], None]


def run_in_folder(
    config: Config, open_study: Callable[[], Study], folder: Path, *, fresh: bool, work: Work[Made]
) -> Made:
    """Make, go on with, or check a run in its folder.

    Raises
    ------
    ConfigError, DataError
        Before anything is written.
    PartialError
        When windows failed or the disk refused them; what was finished is kept.
    """
    started = time.perf_counter()
    with ExitStack() as stack:
        if folder.is_dir():
            stack.enter_context(folder_lock(folder))
        run_folder.check_folder(folder, config, fresh=fresh)
        study = open_study()
        identity = identify(study)
        if not folder.exists():
            _make(stack, folder)
            run_folder.check_folder(folder, config, fresh=fresh)
        try:
            return _Session(study, identity, folder, work, started).run(fresh=fresh)
        except OSError as error:
            raise _disk_error(folder, error) from None


def _make(stack: ExitStack, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"The folder {folder} cannot be made: {reason(error)}. Give another folder with --out."
        ) from None
    # Called last, after the lock has gone: a folder in which nothing was kept does not stay.
    stack.callback(_remove_if_empty, folder)
    stack.enter_context(folder_lock(folder))


def _remove_if_empty(folder: Path) -> None:
    for path in (folder / PARTS, folder / SPREADS, folder):
        with suppress(OSError):
            path.rmdir()


def _disk_error(folder: Path, error: OSError) -> PartialError:
    return PartialError(
        f"{folder} could not be written: {reason(error)}. What was finished before is kept: mend that, give the same "
        "command again, and it goes on from there."
    )


@contextmanager
def _no_part_damaged() -> Iterator[None]:
    try:
        yield
    except DamagedCheckpoint as error:
        raise PartialError(f"{error}: give the same command again, and that window is made again.") from None


class _Session(Generic[Made]):
    """One call's work on one folder."""

    def __init__(self, study: Study, identity: dict[str, Any], folder: Path, work: Work[Made], started: float) -> None:
        self.study = study
        self.identity = identity
        self.folder = folder
        self.work = work
        self.started = started
        self.timing: dict[str, float] = {"prepare_s": time.perf_counter() - started}
        self.labels = [window.label for window in study.windows]
        self.refusals: Refusals | None = None
        self.cohorts: list[Cohort] = []
        self.parts = Parts(folder, run_folder.run_key(identity), self.labels)

    def run(self, *, fresh: bool) -> Made:
        """Begin, go on or check, as the folder's state has it."""
        state = run_folder.state_of(self.folder)
        if fresh:
            run_folder.clear(self.folder, keep=self.study.config.data.path)
        elif state in ("complete", "unfinished"):
            run_folder.check_identity(self.folder, self.identity, state)
            if state == "complete":
                return self._complete()
        return self._make(unfinished=state == "unfinished" and not fresh)

    def _make(self, *, unfinished: bool) -> Made:
        run_folder.begin(self.folder, self.study.config, self.identity)
        keep_prices(self.study, self.folder)
        missing = [k for k in range(len(self.labels)) if not self.parts.verified(k)]
        kept = len(self.labels) - len(missing)
        if unfinished:
            self.work.say(f"going on in {self.folder}: {kept} of {len(self.labels)} windows are kept")
        # Said before anything is computed: who waits for the first window knows how many there are.
        self._advance(kept)
        # The simulation behind the chance line is one kernel with a memory: it runs beside the windows.
        chance = Thread(target=expected_chance, args=(self.study,), daemon=True)
        chance.start()
        self._windows(missing, kept)
        chance.join()
        give_back_freed_arrays()
        self.timing |= {"windows_s": time.perf_counter() - self.started, "windows_made": len(missing)}
        return self._assemble()

    def _windows(self, missing: list[int], kept: int) -> None:
        """Make the missing windows and keep each as it is done; a window that fails does not stop the others."""
        failed: dict[int, Exception] = {}
        todo = list(missing)
        if todo:
            self._find_refusals()
        self._advance(kept)
        while todo:
            try:
                for result in self._results(todo, self.parts):
                    self._keep(result)
                    todo.remove(result.k)
                    self._advance(len(self.labels) - len(todo) - len(failed))
            except PairsError:
                raise
            except Exception as error:
                # Results come in order: the one that failed is the first that is still to do.
                failed[todo.pop(0)] = error
        if failed:
            raise self._partial(failed)

    def _results(self, numbers: list[int], parts: Parts | None = None) -> Any:
        return self.work.engine.windows(self.study, list(numbers), refusals=self.refusals, parts=parts)

    def _find_refusals(self) -> None:
        """Decide on the portfolio's limits once, over all windows, whichever of them are kept."""
        if self.refusals is None:
            self.refusals = find_refusals(self.work.engine, self.study)

    def _keep(self, result: WindowResult | PackedWindow | Kept) -> None:
        if isinstance(result, Kept):
            # Read back here, on the client: a folder of the same name on the worker's own disk is no shared one.
            if not self.parts.verified(result.k):
                raise PartialError(
                    f"A worker has written window {self.labels[result.k]} to {self.folder}, and this machine does not "
                    "find it there: the folder is not shared under the same path. Mount it on the workers, or give "
                    "--return-parts."
                )
            return
        try:
            self.parts.write(result)
        except OSError as error:
            raise _disk_error(self.folder, error) from None

    def _advance(self, done: int) -> None:
        if self.work.progress is not None:
            self.work.progress(done, len(self.labels))

    def _partial(self, failed: dict[int, Exception]) -> PartialError:
        named = "; ".join(f"{self.labels[k]} ({type(e).__name__}: {e})" for k, e in list(failed.items())[:5])
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        return PartialError(
            f"{len(failed)} of {len(self.labels)} windows failed: {named}{more}. What was finished is kept in "
            f"{self.folder}; the same command makes only the failed ones again."
        )

    def _assemble(self) -> Made:
        """Put the tables together from the parts, and close the run with its manifest."""
        with _no_part_damaged():
            spreads, self.cohorts = self.parts.spreads_sha256(), self.parts.cohorts()
        for name in _FROM_PARTS:
            run_folder.write_table(self.folder, name, self._frames(name))
        made = self._made_run()
        run_folder.write_table(self.folder, "returns", [to_arrow(pd.DataFrame(made.returns))])
        with replacing(self.folder / run_folder.SUMMARY, sync="later") as stream:
            stream.write(made.summary.to_csv(index=False, lineterminator="\n").encode())
        if self.work.report:
            self.work.write_report(made, self.folder / run_folder.REPORT)
        self.timing["total_s"] = time.perf_counter() - self.started
        manifest = self.identity | {
            "status": "complete", "chance": made.chance, "notes": made.notes, "windows": len(self.labels),
            "counts": made.counts, "bars_per_year": made.bars_per_year,
        }  # fmt: skip
        run_folder.finish(self.folder, manifest, self.labels, self.timing, spreads)
        return made

    def _frames(self, name: str) -> Iterator[pa.Table]:
        with _no_part_damaged():
            for table in self.parts.frames(name):
                if name in ("trades", "fills") and self.study.config.portfolio.compounding:
                    yield to_arrow(compound(table.to_pandas(), name, self.study, self.cohorts))
                else:
                    yield table

    def _made_run(self) -> Made:
        folder = self.folder
        tables = {name: partial(run_folder.read_fresh_table, folder, name) for name in _FROM_PARTS}
        kept = self.study.config.run.spreads != "none"
        return assemble(
            self.work.kind,
            self.study,
            self.cohorts,
            tables,
            folder=folder,
            spreads=partial(run_folder.read_spreads, folder) if kept else None,
        )

    def _complete(self) -> Made:
        """Check a finished run, and make again what is damaged."""
        manifest = run_folder.read_manifest(self.folder)
        run_folder.drop_parts(self.folder)
        broken = run_folder.damaged(self.folder, manifest)
        if self.work.report and run_folder.REPORT not in manifest["files"]:
            broken.append(run_folder.REPORT)
        if not broken:
            self.work.say(f"{self.folder} is complete: {len(manifest['files'])} checksums verified, nothing to do")
        else:
            self._repair(manifest, broken)
        self._advance(len(self.labels))
        return read_run(self.work.kind, self.folder)

    def _repair(self, manifest: dict[str, Any], broken: list[str]) -> None:
        partitions = {spreads_path(label): k for k, label in enumerate(self.labels)}
        if {*broken} & {*run_folder.CONFIGS}:
            run_folder.write_configs(self.folder, self.study.config)
        keep_prices(self.study, self.folder)
        if any((name.endswith(".parquet") and name not in partitions) or name == run_folder.SUMMARY for name in broken):
            # The tables' parts are gone: all windows are made again. The manifest stands until the new one is there.
            self._remake()
        elif lost := [partitions[name] for name in broken if name in partitions]:
            self._find_refusals()
            for result in self._results(lost):
                self.parts.rewrite_spreads(result)
        if run_folder.REPORT in broken:
            self.work.write_report(read_run(self.work.kind, self.folder), self.folder / run_folder.REPORT)
            run_folder.record_file(self.folder, run_folder.REPORT)
        still = run_folder.damaged(self.folder, run_folder.read_manifest(self.folder))
        # A report that is made again beside an explorer links to it, which the first one could not.
        may_change = {run_folder.REPORT} if run_folder.EXPLORER in manifest["files"] else set()
        changed = [
            n
            for n, d in run_folder.read_manifest(self.folder)["files"].items()
            if manifest["files"].get(n, d) != d and n not in may_change
        ]
        if still or changed:
            raise PartialError(
                f"{self.folder} was damaged ({', '.join(broken[:5])}), and what was made again is not what was there "
                f"before ({', '.join([*still, *changed][:5])}). Make the run anew with --fresh."
            )
        self.work.say(f"{self.folder} was damaged and is repaired: {', '.join(broken[:5])}{' ...' * (len(broken) > 5)}")

    def _remake(self) -> None:
        run_folder.begin(self.folder, self.study.config, self.identity)
        self._windows(list(range(len(self.labels))), 0)
        self._assemble()
