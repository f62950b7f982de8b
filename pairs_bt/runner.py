"""`run` and `load_run`: from a config to a finished run, and from its folder back to it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from pairs_bt import store, tables
from pairs_bt.chance import chance_rate
from pairs_bt.config import Config
from pairs_bt.errors import DataError
from pairs_bt.hedge import variants
from pairs_bt.pipeline import SCAN_CHUNK, TRADE_CHUNK, WindowResult, run_windows, scan_window, threaded
from pairs_bt.portfolio import portfolio_returns
from pairs_bt.prices import check_prices
from pairs_bt.results import ReturnsTable, Run
from pairs_bt.selection import choose
from pairs_bt.study import Study, check_tradeable, load_prices, prepare
from pairs_bt.summary import summarise

Progress = Callable[[int, int], None]


def run(
    config: Config | str | Path | None = None,
    *,
    prices: pd.DataFrame | None = None,
    out: str | Path | None = None,
    jobs: int | None = None,
    scan_chunk: int = SCAN_CHUNK,
    trade_chunk: int = TRADE_CHUNK,
    fresh: bool = False,
    report: bool = True,
    progress: Progress | None = None,
) -> Run:
    """Run a config: select pairs, filter, trade, compare.

    Parameters
    ----------
    config : Config, path or None
        A config, the path of one, or None for the built-in demo.
    prices : DataFrame, optional
        Adjusted closes, dates x tickers, in place of the file that the config names.
    out : path, optional
        Folder to write. None keeps everything in memory.
    jobs : int, optional
        Threads; None takes one per CPU. Results do not depend on it, nor on the chunk sizes.
    scan_chunk, trade_chunk : int
        Pairs per task.
    fresh : bool
        Replace what another config has left in `out`.
    report : bool
        Write `report.html` into `out`.
    progress : callable, optional
        Called with (windows done, windows in all).

    Returns
    -------
    Run

    Raises
    ------
    ConfigError, DataError
        Before anything is written.
    """
    config = config if isinstance(config, Config) else Config.load(config)
    target = None if out is None else Path(out)
    if target is not None:
        store.check_folder(target, config, fresh=fresh)
    started = time.perf_counter()
    study = open_study(config, prices)
    timing = {"prepare_s": time.perf_counter() - started}
    windows = _with_progress(
        study, run_windows(study, jobs=jobs, scan_chunk=scan_chunk, trade_chunk=trade_chunk), progress
    )
    if target is None:
        return _in_memory(study, list(windows))
    return _to_folder(study, windows, target, report, timing, started)


def open_study(config: Config, prices: pd.DataFrame | None = None) -> Study:
    """Read or check the prices, resolve the config on them, and refuse what cannot be traded."""
    data = None
    if prices is not None:
        data = check_prices(prices, start=config.data.start, end=config.data.end)
    study = prepare(config, data)
    check_tradeable(study)
    return study


def scan_all(study: Study, *, jobs: int | None = None, progress: Progress | None = None) -> pd.DataFrame:
    """Scan every window of a study, without trading: the tests table."""
    parts = []
    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        for k in range(len(study.windows)):
            scan = scan_window(study, k, threaded(pool))
            parts.append(tables.tests_frame(study, k, scan, choose(scan, study.config.selection)))
            if progress is not None:
                progress(k + 1, len(study.windows))
    return pd.concat(parts, ignore_index=True)


def _with_progress(study: Study, windows: Any, progress: Progress | None) -> Any:
    for done, result in enumerate(windows, start=1):
        yield result
        if progress is not None:
            progress(done, len(study.windows))


def _in_memory(study: Study, windows: list[WindowResult]) -> Run:
    made = {name: [getattr(w, name) for w in windows] for name in ("tests", "half_lives", "spreads", "trades", "fills")}
    spreads = made.pop("spreads")
    frames = {name: _concat(parts, name) for name, parts in made.items()}
    kept = study.config.run.spreads != "none"
    return _assemble(
        study, frames, windows, None, (lambda: pd.concat(spreads, ignore_index=True)) if kept and spreads else None
    )


def _concat(parts: list[pd.DataFrame], name: str) -> pd.DataFrame:
    full = [part for part in parts if len(part)]
    return pd.concat(full, ignore_index=True) if full else tables.empty(getattr(tables, name.upper()))


def _assemble(
    study: Study,
    frames: dict[str, pd.DataFrame],
    windows: list[WindowResult],
    folder: Path | None,
    spreads: Callable[[], pd.DataFrame] | None,
) -> Run:
    config = study.config
    names = [variant.name for variant in variants(config.hedge)]
    cohorts = [window.cohort for window in windows]
    returns = portfolio_returns(study, cohorts, names)
    delayed = portfolio_returns(study, cohorts, names, delayed=True)
    return Run(
        config=config,
        returns=ReturnsTable(returns),
        summary=summarise(config, returns, frames["trades"], delayed),
        chance=expected_chance(study),
        source=study.source,
        notes=[note.text for note in study.notes],
        folder=folder,
        _spreads=spreads,
        _prices=lambda: study.prices,
        **frames,
    )


def expected_chance(study: Study) -> dict[str, float]:
    """Chance rate of the selection at the median train length of the study's windows."""
    lengths = sorted(window.n_train for window in study.windows)
    found = chance_rate(study.config.selection, lengths[len(lengths) // 2], seed=study.config.run.seed)
    return {"rate": found.rate, "std_error": found.std_error, "pairs": found.pairs}


def _to_folder(study: Study, windows: Any, target: Path, report: bool, timing: dict[str, float], started: float) -> Run:
    config = study.config
    kept: list[WindowResult] = []
    frames: dict[str, list[pd.DataFrame]] = {name: [] for name in ("tests", "half_lives", "trades", "fills")}
    with store.FolderWriter(target) as writer:
        for name, text in store.config_files(config).items():
            writer.write_text(name, text)
        for window in windows:
            for name, parts in frames.items():
                writer.append(name, getattr(window, name))
                parts.append(getattr(window, name))
            writer.write_spreads(study.windows[window.k].label, window.spreads)
            kept.append(_without_spreads(window))
        timing["windows_s"] = time.perf_counter() - started
        partial = writer.partial
        spreads = None if config.run.spreads == "none" else (lambda: store.read_spreads(target))
        made = _assemble(study, {name: _concat(parts, name) for name, parts in frames.items()}, kept, target, spreads)
        writer.append("returns", pd.DataFrame(made.returns))
        made.summary.to_csv(partial / "summary.csv", index=False, lineterminator="\n")
        if report:
            from pairs_bt.report import write_report

            write_report(made, partial / "report.html", spreads=lambda: store.read_spreads(partial))
        timing["total_s"] = time.perf_counter() - started
        manifest = store.base_manifest(config, study.source) | {
            "status": "complete",
            "chance": made.chance,
            "notes": made.notes,
            "windows": len(study.windows),
        }
        writer.finish(manifest, timing)
    return made


def _without_spreads(window: WindowResult) -> WindowResult:
    from dataclasses import replace

    return replace(window, spreads=tables.empty(tables.SPREADS))


def load_run(folder: str | Path) -> Run:
    """Read a finished run back from its folder.

    Parameters
    ----------
    folder : path

    Returns
    -------
    Run
        The same as :func:`run` returned; spreads and prices are read on first use.

    Raises
    ------
    DataError
        When the folder holds no run or a table cannot be read.
    """
    folder = Path(folder)
    manifest = store.read_manifest(folder)
    try:
        config = Config.from_dict(_from_json(json.loads((folder / "config.resolved.json").read_text(encoding="utf-8"))))
        summary = pd.read_csv(folder / "summary.csv")
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} is damaged ({error}): make the run again.") from None
    frames = {name: store.read_table(folder, name) for name in store.TABLES}
    returns = frames.pop("returns")
    return Run(
        config=config,
        returns=ReturnsTable(returns),
        summary=summary,
        chance=manifest["chance"],
        source=manifest["data"],
        notes=manifest["notes"],
        folder=folder,
        _spreads=None if config.run.spreads == "none" else lambda: store.read_spreads(folder),
        _prices=lambda: _same_prices(config, manifest["data"]),
        **frames,
    )


def _from_json(tables_: dict[str, Any]) -> dict[str, Any]:
    """Undo what JSON cannot say: dates are text there, and an absent value is null."""
    from datetime import date

    out = {name: {k: v for k, v in table.items() if v is not None} for name, table in tables_.items()}
    for key in ("start", "end"):
        if key in out["data"]:
            out["data"][key] = date.fromisoformat(out["data"][key])
    return out


def _same_prices(config: Config, source: dict[str, Any]) -> pd.DataFrame:
    data = load_prices(config)
    if data.source["sha256"] != source["sha256"]:
        raise DataError(f"The prices at {config.data.path} are no longer those of this run (their checksum differs).")
    return data.prices
