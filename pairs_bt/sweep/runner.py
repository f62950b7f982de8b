"""`sweep`: a grid of settings, traded, judged and written."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pairs_bt.backtest.study import from_source, load_prices
from pairs_bt.common.lock import taken
from pairs_bt.config.schema import Config
from pairs_bt.data.prices import PriceData
from pairs_bt.engine.dask_engine import DaskEngine
from pairs_bt.engine.local import Engine, LocalEngine
from pairs_bt.engine.pipeline import Progress
from pairs_bt.errors import ConfigError
from pairs_bt.runner import config_and_prices
from pairs_bt.sweep import folder as files
from pairs_bt.sweep.analysis import SweepResult, analyse
from pairs_bt.sweep.cohort_traders import Threads, Trader
from pairs_bt.sweep.grid import Grid, make_grid
from pairs_bt.sweep.outcomes import Outcome, Outcomes, trade_settings
from pairs_bt.sweep.page import render
from pairs_bt.sweep.shared_stages import CandidateStore, SweepCase, common_ends, open_cases
from pairs_bt.sweep.walk_forward import choose_settings, walk_forward_returns

# Finished settings that may wait for the disk; each holds its daily returns.
_WAITING = 64


def _silent(text: str) -> None:
    """Say nothing."""


def sweep(
    config: Config | str | Path | Any | None = None,
    grid: Mapping[str, Sequence[Any]] | None = None,
    *,
    prices: Any = None,
    out: str | Path | None = None,
    jobs: int | None = None,
    engine: Engine | None = None,
    yes: bool = False,
    fresh: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] = _silent,
) -> SweepResult:
    """Run every combination of a grid, and say what trying them all costs.

    Parameters
    ----------
    config : Config, path, prices or None
        The base; None takes the built-in demo. Anything else is taken for prices.
    grid : mapping, optional
        Config key to values, such as ``{"signal.entry": [1.5, 2.0]}``; None takes ``[sweep] grid`` of the config.
    prices : DataFrame, path or any other source of :func:`pairs_bt.read_prices`, optional
        Prices in place of those that the config names.
    out : path, optional
        Folder to write; finished settings found there are not traded again. None keeps everything in memory.
    jobs : int, optional
        Threads; None takes one per CPU. Results do not depend on it.
    engine : Engine, optional
        Where cohorts are traded: a connected :class:`pairs_bt.engine.dask_engine.DaskEngine`, or None for threads.
        Results do not depend on it either.
    yes : bool
        Allow more than ``sweep.limit`` settings.
    fresh : bool
        Replace what the sweep of another config has left in `out`.
    progress : callable, optional
        Called with (cohorts traded, cohorts in all).
    say : callable, optional
        Called with one line when settings are found in `out`.

    Returns
    -------
    SweepResult

    Raises
    ------
    ConfigError, DataError
        Before anything is computed.
    PartialError
        When `out` cannot be written any more, a task fails, or the scheduler is lost; finished settings are kept.

    See Also
    --------
    run : one setting.

    Examples
    --------
    >>> import pairs_bt
    >>> found = pairs_bt.sweep(None, {"signal.entry": [1.5, 2.0]})  # doctest: +SKIP
    >>> print(found.verdict)  # doctest: +SKIP
    """
    config, prices = config_and_prices(config, prices)
    made = make_grid(config, grid, yes=yes)
    for setting in made.settings:
        _check_limits(setting.config, setting.name)
    target = None if out is None else Path(out)
    if target is not None:
        files.check_folder(target, config, fresh=fresh)
    if prices is None:
        data = load_prices(config)
    else:
        data = from_source(config, prices)
    if target is None:
        return _sweep(config, made, data, None, jobs, engine, progress, say)
    with taken(target):
        files.begin(target, config, fresh=fresh)
        result = _sweep(config, made, data, target, jobs, engine, progress, say)
        files.write_tables(target, result, render(result))
    return result


def _check_limits(config: Config, name: str) -> None:
    options = config.portfolio
    limits = ("max_pairs_held", "max_ticker_share", "max_gross")
    found = [f"portfolio.{key}" for key in limits if getattr(options, key) is not None]
    found += ["portfolio.netting"] if options.netting else []
    if found:
        raise ConfigError(
            f"{found[0]} is set in the setting {name}: it joins trades of different cohorts, and walk-forward choice "
            "trades each cohort under its own setting. Leave it out of a sweep; `pairs-bt run` takes it."
        )


def _sweep(
    config: Config,
    grid: Grid,
    data: PriceData,
    target: Path | None,
    jobs: int | None,
    engine: Engine | None,
    progress: Progress | None,
    say: Callable[[str], None],
) -> SweepResult:
    cases = open_cases([setting.config for setting in grid.settings], data)
    ends = common_ends(cases)
    if not ends:
        raise ConfigError("No window is common to all settings: the longest windows.train leaves none. Shorten it.")
    trader = _trader(engine, cases, jobs)
    outcomes = _outcomes(cases, ends, trader, target, jobs, progress, say)
    standings = outcomes.standings
    base = cases[grid.base]
    windows = [base.study.windows[base.places[end]] for end in ends]
    names = dict.fromkeys(name for one in standings for name in one.variants)
    choices = {name: choose_settings(standings, windows, name, grid.base, config.sweep) for name in names}
    walked = walk_forward_returns(cases, choices, grid.base, trader=trader)
    return analyse(config, grid, outcomes, choices, walked, base.study)


def _trader(engine: Engine | None, cases: Sequence[SweepCase], jobs: int | None) -> Trader:
    if isinstance(engine, DaskEngine):
        from pairs_bt.sweep.dask_workers import Workers

        return Workers(engine, cases)
    own = engine.jobs if isinstance(engine, LocalEngine) else None
    return Threads(CandidateStore(), max(1, jobs or own or os.cpu_count() or 1))


def _outcomes(
    cases: Sequence[SweepCase],
    ends: Sequence[np.datetime64],
    trader: Trader,
    target: Path | None,
    jobs: int | None,
    progress: Progress | None,
    say: Callable[[str], None],
) -> Outcomes:
    """Every setting's outcome: read where it was kept, traded and kept where not."""
    found = Outcomes(len(cases), target)
    keys = files.part_keys(cases, ends) if target is not None else []
    if target is not None:
        store = files.settings_store(target)
        for n, key in enumerate(keys):
            if (known := files.unpack(store.read(key))) is not None:
                found.put(n, known)
    todo = [n for n in range(len(cases)) if not found.has(n)]
    if len(todo) < len(cases):
        say(f"{len(cases) - len(todo)} of {len(cases)} settings were finished before in {target}")
    total = sum(len(cases[n].places) for n in todo)
    done = 0

    def advance(cohorts: int) -> None:
        nonlocal done
        done += cohorts
        if progress is not None:
            progress(done, total)

    with _keeping(found, keys, target) as keep:
        for position, outcome in trade_settings(
            [cases[n] for n in todo], ends, trader=trader, jobs=jobs, progress=advance
        ):
            keep(todo[position], outcome)
    return found


@contextmanager
def _keeping(found: Outcomes, keys: Sequence[str], target: Path | None) -> Iterator[Callable[[int, Outcome], None]]:
    """Write finished settings beside the trading, one after the other: a disk takes its time over each.

    Raises
    ------
    PartialError
        When the folder cannot be written any more.
    """
    writer = ThreadPoolExecutor(1)
    waiting: deque[Future[None]] = deque()

    def write(folder: Path, place: int, outcome: Outcome) -> None:
        files.settings_store(folder).write(keys[place], files.pack(outcome))

    def keep(place: int, outcome: Outcome) -> None:
        found.put(place, outcome)
        if target is not None:
            waiting.append(writer.submit(write, target, place, outcome))
            settle(_WAITING)

    def settle(most: int) -> None:
        while len(waiting) > most:
            try:
                waiting.popleft().result()
            except OSError as error:
                writer.shutdown(cancel_futures=True)
                assert target is not None
                raise files.no_room(target, error) from None

    try:
        yield keep
        settle(0)
    finally:
        # What is finished is kept, whatever has stopped the rest.
        writer.shutdown()
