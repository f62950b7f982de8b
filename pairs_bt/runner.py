"""`run`, `load_run` and what goes with them: scan or validate a config, compare finished runs, explore one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pairs_bt.backtest import table_columns as tables
from pairs_bt.backtest.portfolio.returns import compound
from pairs_bt.backtest.selection import select_pairs
from pairs_bt.backtest.study import Study, check_tradeable, from_source, load_prices, prepare
from pairs_bt.config.schema import Config
from pairs_bt.data.prices import PriceData
from pairs_bt.engine.local import Engine, LocalEngine, find_refusals
from pairs_bt.engine.pipeline import SCAN_CHUNK, TABLES, TRADE_CHUNK, Progress, WindowResult, scan_window, threaded
from pairs_bt.engine.scan_table import ScanTable, scan_table
from pairs_bt.errors import ConfigError
from pairs_bt.results import Run
from pairs_bt.runs.build import assemble, expected_chance
from pairs_bt.runs.cost_estimate import Validation, short_blocks
from pairs_bt.runs.load import read_run
from pairs_bt.runs.prices_in_folder import own_prices
from pairs_bt.runs.resume import Work, run_in_folder
from pairs_bt.runs.run_data import RunData
from pairs_bt.stats.bar_frequency import annual_note, unit_of

if TYPE_CHECKING:
    from pairs_bt.runs.run_comparison import RunComparison

__all__ = [
    "SCAN_CHUNK", "TRADE_CHUNK", "compare", "expected_chance", "explore", "load_run", "open_study", "run", "scan",
    "scan_all", "scan_windows", "validate",
]  # fmt: skip


def _silent(text: str) -> None:
    """Say nothing."""


def run(
    config: Config | str | Path | Any | None = None,
    *,
    prices: Any = None,
    out: str | Path | None = None,
    jobs: int | None = None,
    scan_chunk: int = SCAN_CHUNK,
    trade_chunk: int = TRADE_CHUNK,
    engine: Engine | None = None,
    fresh: bool = False,
    report: bool = True,
    progress: Progress | None = None,
    say: Callable[[str], None] = _silent,
) -> Run:
    """Run a config: select pairs, filter, trade, compare.

    Parameters
    ----------
    config : Config, path, mapping, prices or None
        A config, the path of one, a mapping of its tables, or None for the built-in demo. Anything else is taken for
        prices: ``run(frame)`` is ``run(prices=frame)``.
    prices : DataFrame, path or any other source of :func:`pairs_bt.read_prices`, optional
        Prices in place of those that the config names. The config's ``data.start`` and ``data.end`` cut them, and a
        note says what that leaves out; those of the demo (None) do not. Prices in memory are kept in `out` as
        ``prices.parquet``, and the config that is written there names them, so that it replays the run.
    out : path, optional
        Folder to write. None keeps everything in memory. A run that was interrupted there is gone on with, a
        finished one is checked, and made again where it is damaged; the bytes are those of an uninterrupted run.
    jobs : int, optional
        Threads; None takes one per CPU. Results do not depend on it, nor on the chunk sizes.
    scan_chunk, trade_chunk : int
        Pairs per task.
    engine : Engine, optional
        Runs the windows, in place of threads of this process: a connected
        :class:`pairs_bt.engine.dask_engine.DaskEngine`, with chunk sizes of its own. The bytes are the same.
    fresh : bool
        Replace what another config has left in `out`.
    report : bool
        Write `report.html` into `out`.
    progress : callable, optional
        Called with (windows done, windows in all).
    say : callable, optional
        Called with one line when a run in `out` is gone on with, found complete or repaired.

    Returns
    -------
    Run

    Raises
    ------
    ConfigError, DataError
        Before anything is written.
    PartialError
        When a window failed or the disk is full; the finished windows are kept in `out`.

    See Also
    --------
    load_run : read it back from its folder.
    study_pair : one pair, whether a test would select it or not.

    Examples
    --------
    >>> import numpy as np, pandas as pd, pairs_bt
    >>> rng, days = np.random.default_rng(1), pd.bdate_range("2014-01-01", periods=700)
    >>> x = 100 + rng.normal(size=700).cumsum()
    >>> gap = 3 * pd.Series(rng.normal(size=700)).ewm(alpha=0.1, adjust=False).mean().to_numpy()
    >>> prices = pd.DataFrame({"AAA": 20 + 0.8 * x + gap, "BBB": x}, index=days)
    >>> done = pairs_bt.run(prices)
    >>> done.trades["variant"].unique().tolist()[:2]
    ['dynamic', 'dynamic-rehedged']
    >>> first = done.half_lives.query("variant == 'ols'").iloc[0]
    >>> print(first["y"], "on", first["x"], round(first["ratio"], 1))
    BBB on AAA 1.3
    """
    config, prices = config_and_prices(config, prices)
    config, data = own_prices(config, prices, None if out is None else Path(out))
    engine = engine or LocalEngine(jobs, scan_chunk, trade_chunk)
    if out is not None:
        work = Work(engine, Run, report, _write_report, progress, say)
        return run_in_folder(config, lambda: open_study(config, data), Path(out), fresh=fresh, work=work)
    study = open_study(config, data)
    windows = engine.windows(study, list(range(len(study.windows))), refusals=find_refusals(engine, study))
    return _in_memory(study, list(_with_progress(study, windows, progress)))


def load_run(folder: str | Path) -> Run:
    """Read a finished run back from its folder.

    Parameters
    ----------
    folder : path
        What `pairs-bt run` wrote.

    Returns
    -------
    Run
        The same as :func:`pairs_bt.run` returned. Tables, spreads and prices are read on first use, and every file
        is compared with its checksum before it is believed.

    Raises
    ------
    DataError
        When the folder holds no run or a file of it is damaged.

    See Also
    --------
    run : what writes the folder.

    Examples
    --------
    >>> import pairs_bt
    >>> pairs_bt.load_run("no/such/folder")
    Traceback (most recent call last):
    pairs_bt.errors.DataError: no/such/folder holds no finished run...
    """
    return read_run(Run, folder)


def scan(
    config: Config | str | Path | Any | None = None,
    *,
    prices: Any = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Test the pairs of every window, without trading.

    Parameters
    ----------
    config, prices
        As for :func:`pairs_bt.run`.
    jobs : int, optional
        Threads; None takes one per CPU. Results do not depend on it.
    progress : callable, optional
        Called with (windows done, windows in all).

    Returns
    -------
    DataFrame
        :attr:`pairs_bt.Run.tests` of a run with this config: a row for every pair and window, with the statistics,
        ``selected``, and the reason why not. The candidates are ``table[table["selected"]]``.

    Raises
    ------
    ConfigError, DataError
        A config or prices that cannot be used.

    See Also
    --------
    run : trades what a scan finds.

    Examples
    --------
    >>> import numpy as np, pandas as pd, pairs_bt
    >>> rng, days = np.random.default_rng(1), pd.bdate_range("2014-01-01", periods=700)
    >>> x = 100 + rng.normal(size=700).cumsum()
    >>> gap = 3 * pd.Series(rng.normal(size=700)).ewm(alpha=0.1, adjust=False).mean().to_numpy()
    >>> prices = pd.DataFrame({"AAA": 20 + 0.8 * x + gap, "BBB": x}, index=days)
    >>> pairs_bt.scan(prices)[["test_end", "y", "x", "selected"]].shape
    (3, 4)
    """
    return scan_all(open_study(*config_and_prices(config, prices)), jobs=jobs, progress=progress)


def validate(config: Config | str | Path | Any | None = None, *, prices: Any = None) -> Validation:
    """Check a config and its prices, and say what a run would do; nothing is run.

    Parameters
    ----------
    config, prices
        As for :func:`pairs_bt.run`.

    Returns
    -------
    Validation
        What the prices hold and what a run would do; printed it is the text of ``pairs-bt validate``.

    Raises
    ------
    ConfigError, DataError
        What a run would be refused for.

    See Also
    --------
    read_prices : reads and checks prices alone.

    Examples
    --------
    >>> import numpy as np, pandas as pd, pairs_bt
    >>> rng, days = np.random.default_rng(1), pd.bdate_range("2014-01-01", periods=700)
    >>> x = 100 + rng.normal(size=700).cumsum()
    >>> gap = 3 * pd.Series(rng.normal(size=700)).ewm(alpha=0.1, adjust=False).mean().to_numpy()
    >>> prices = pd.DataFrame({"AAA": 20 + 0.8 * x + gap, "BBB": x}, index=days)
    >>> print(str(pairs_bt.validate(prices)).splitlines()[0][:21])
    prices   2 tickers, 2
    """
    config, prices = config_and_prices(config, prices)
    data = load_prices(config) if prices is None else from_source(config, prices)
    return Validation(data, open_study(config, data))


def compare(*runs: RunData | str | Path, variants: Sequence[str] = ()) -> RunComparison:
    """Compare finished runs on the dates that they share.

    Parameters
    ----------
    *runs : Run or path
        Two or more: runs, or the folders of stored ones. A stored run is called after its folder, a run in memory
        ``run 1``, ``run 2``, ... by its place.
    variants : sequence of str
        Variants to compare, by the names that the tables print; empty compares all.

    Returns
    -------
    RunComparison

    Raises
    ------
    ConfigError
        Fewer than two runs, one of them twice, or a variant that no run has.
    DataError
        A folder without a run, or runs that share fewer than two dates.

    See Also
    --------
    run : compares the variants of one run.

    Examples
    --------
    >>> import pairs_bt
    >>> print(pairs_bt.compare("runs/a", "runs/b").verdict)  # doctest: +SKIP
    """
    from pairs_bt.runs.run_comparison import compare_runs, named_folders

    loaded = [found if isinstance(found, RunData) else load_run(found) for found in runs]
    folders = [(place, Path(found.folder)) for place, found in enumerate(loaded) if found.folder is not None]
    short = dict(zip((place for place, _ in folders), named_folders([folder for _, folder in folders]), strict=True))
    named = {short.get(place, f"run {place + 1}"): found for place, found in enumerate(loaded)}
    return compare_runs(named, variants=[variants] if isinstance(variants, str) else variants)


def explore(run: RunData | str | Path, *, out: str | Path | None = None) -> Path:
    """Write the page that trades a finished run again as its thresholds move.

    In a notebook ``run.explore()`` shows the same without a file.

    Parameters
    ----------
    run : Run or path
        A run, or the folder of a stored one.
    out : path, optional
        File to write; None writes ``explore.html`` into the run's folder.

    Returns
    -------
    Path
        The page: one file that needs neither a server nor a network.

    Raises
    ------
    ConfigError
        A run in memory without `out`.
    DataError
        A folder without a run, or prices that are gone or are not those of the run.

    See Also
    --------
    Run : its ``explore`` is the same page in a notebook.

    Examples
    --------
    >>> import pairs_bt
    >>> pairs_bt.explore("runs/demo")  # doctest: +SKIP
    """
    from pairs_bt.report.explorer.page import write_explorer
    from pairs_bt.runs.run_folder import EXPLORER, record_file

    loaded = run if isinstance(run, RunData) else load_run(run)
    if out is None and loaded.folder is None:
        raise ConfigError(
            "This run is in memory and has no folder for explore.html: give the page's path, such as "
            "out='explore.html', or show it in a notebook with run.explore()."
        )
    target = Path(out) if out is not None else Path(str(loaded.folder)) / EXPLORER
    write_explorer(loaded, target)
    if out is None:
        record_file(target.parent, target.name)
    return target


def config_and_prices(config: Config | str | Path | Any | None, prices: Any) -> tuple[Config, Any]:
    """Load a config, and take what is none for prices: a frame may stand where a config stands.

    A mapping is a config where its keys are tables of one, or where the prices are given beside it.
    """
    if isinstance(config, Mapping) and (prices is not None or Config.model_fields.keys() >= config.keys() > set()):
        return Config.from_dict(dict(config)), prices
    if config is not None and not isinstance(config, (Config, str, Path)):
        if prices is not None or isinstance(config, (bool, int, float)):
            raise ConfigError(
                f"config is {config!r:.60}; it must be a Config, the path of a config file, a mapping of its tables "
                'such as {"signal": {"entry": 1.5}}, or None for the demo. Prices are given as prices=.'
            )
        config, prices = None, config
    return config if isinstance(config, Config) else Config.load(config, own_prices=prices is not None), prices


def _write_report(made: RunData, path: Path) -> None:
    # Late: the figures and templates are loaded only when there is a report to write.
    from pairs_bt.report.page import write_report

    write_report(made, path)


def open_study(config: Config, prices: Any = None) -> Study:
    """Read the prices (the config's, unless others are given), resolve the config, refuse what cannot be traded."""
    data = prices if prices is None or isinstance(prices, PriceData) else from_source(config, prices)
    study = prepare(config, data)
    check_tradeable(study)
    blocks = short_blocks(config, bars_per_year=study.bars_per_year, unit=unit_of(study.dates))
    found = tuple(note for note in (annual_note(config.data.bars_per_year, study.dates), blocks) if note is not None)
    return replace(study, notes=(*study.notes, *found)) if found else study


def scan_all(study: Study, *, jobs: int | None = None, progress: Progress | None = None) -> pd.DataFrame:
    """Scan every window of a study, without trading: the tests table."""
    tables = scan_windows(study, jobs=jobs, progress=progress)
    return pd.concat([table.frame() for table in tables], ignore_index=True)


def scan_windows(study: Study, *, jobs: int | None = None, progress: Progress | None = None) -> Iterator[ScanTable]:
    """Scan the windows of a study one by one, without trading; a window's table is made into rows when asked."""
    options = study.config.selection
    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        for k in range(len(study.windows)):
            scan = scan_window(study, k, threaded(pool))
            table = scan_table(study, k, scan, select_pairs(scan, options), keep=options.keep)
            del scan
            yield table
            if progress is not None:
                progress(k + 1, len(study.windows))


def _with_progress(study: Study, windows: Any, progress: Progress | None) -> Any:
    for done, result in enumerate(windows, start=1):
        yield result
        if progress is not None:
            progress(done, len(study.windows))


def _in_memory(study: Study, windows: list[WindowResult]) -> Run:
    made = {name: [getattr(w, name) for w in windows] for name in TABLES}
    spreads = made.pop("spreads")
    cohorts = [window.cohort for window in windows]
    frames = {name: compound(_concat(parts, name), name, study, cohorts) for name, parts in made.items()}
    kept = study.config.run.spreads != "none"
    return assemble(
        Run,
        study,
        cohorts,
        frames,
        spreads=partial(_join_spreads, spreads) if kept and spreads else None,
    )


def _join_spreads(
    parts: list[pd.DataFrame],
    *,
    keep: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
    test_end: pd.Timestamp | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    # `columns` saves a reader from reading: what is in memory is there already
    if test_end is not None:
        parts = [part[part["test_end"] == test_end] for part in parts]
    return pd.concat(parts if keep is None else [keep(part) for part in parts], ignore_index=True)


def _concat(parts: list[pd.DataFrame], name: str) -> pd.DataFrame:
    full = [part for part in parts if len(part)]
    return pd.concat(full, ignore_index=True) if full else tables.empty(getattr(tables, name.upper()))
