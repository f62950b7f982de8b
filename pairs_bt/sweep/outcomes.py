"""What a setting leaves behind: its daily returns, what each cohort earned, and how it stood at each test end."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairs_bt.backtest.hedge_rules import variants
from pairs_bt.backtest.portfolio.returns import Cohort, net_dollars, portfolio_returns
from pairs_bt.backtest.windows import Window
from pairs_bt.kernels.ledger import N_DAILY
from pairs_bt.sweep.cohort_traders import Trader
from pairs_bt.sweep.shared_stages import SweepCase

Floats = NDArray[np.float64]

# Daily dollars of the settings that are traded together stay in memory until their last window is done.
BATCH_BYTES = 128_000_000


@dataclass(frozen=True)
class Outcome:
    """One setting's results; first axis: its variants.

    Attributes
    ----------
    variants : tuple of str
    dates : array (days,) of datetime64[us]
    net, gross : array (variants, days)
        Daily simple returns on committed capital, as in a run's returns table; net of the cash rate.
    ends : array (cohorts,) of datetime64[D]
        Test ends that all settings of the sweep have.
    cohort : array (variants, cohorts)
        Net P&L of each cohort over its committed capital.
    score : array (variants, cohorts)
        At each test end, the annual Sharpe ratio of the daily net returns of the cohorts that had ended by then, each
        day the mean of those live on it; 0 where nothing moved yet.
    trades : array (variants, cohorts) of int
        Trades of each cohort.
    """

    variants: tuple[str, ...]
    dates: NDArray[np.datetime64]
    net: Floats
    gross: Floats
    ends: NDArray[np.datetime64]
    cohort: Floats
    score: Floats
    trades: NDArray[np.int64]


def trade_settings(
    cases: Sequence[SweepCase],
    ends: Sequence[np.datetime64],
    *,
    trader: Trader,
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, Outcome]]:
    """Trade every setting over all of its windows, in batches that fit in memory.

    Parameters
    ----------
    cases : sequence of Case
        The settings.
    ends : sequence of datetime64
        Test ends that all settings of the sweep have.
    trader : Trader
        Where cohorts are traded.
    jobs : int, optional
        Threads that put cohorts together; no number changes a result.
    progress : callable, optional
        Called with the cohorts traded since the last call.

    Yields
    ------
    tuple of int and Outcome
        Position in `cases`.
    """
    workers = max(1, jobs or os.cpu_count() or 1)
    pool = ThreadPoolExecutor(workers)
    try:
        for batch in _batches(cases):
            part = [cases[n] for n in batch]
            dates = sorted(set().union(*(case.places for case in part)))
            cohorts: list[list[Cohort]] = [[] for _ in part]
            counts: list[list[dict[str, int]]] = [[] for _ in part]
            for found in trader.cohorts([(part, end) for end in dates]):
                for position, made in enumerate(found):
                    if made is not None:
                        cohorts[position].append(made[0])
                        counts[position].append(made[1])
                if progress is not None:
                    progress(sum(made is not None for made in found))
            yield from zip(batch, pool.map(outcome_of, part, cohorts, counts, [ends] * len(part)), strict=True)
    finally:
        # What has not begun when something fails is not waited for.
        pool.shutdown(cancel_futures=True)


def _batches(cases: Sequence[SweepCase]) -> Iterator[list[int]]:
    """Positions of cases to trade together: neighbours in the order of their stages."""
    batch: list[int] = []
    used = 0
    for position in sorted(range(len(cases)), key=lambda n: cases[n].keys.ledger):
        case = cases[position]
        bars = sum(window.n_trade for window in case.study.windows)
        size = 8 * N_DAILY * bars * len(variants(case.config.hedge))
        if batch and used + size > BATCH_BYTES:
            yield batch
            batch, used = [], 0
        batch.append(position)
        used += size
    if batch:
        yield batch


def outcome_of(
    case: SweepCase, cohorts: list[Cohort], counts: list[dict[str, int]], ends: Sequence[np.datetime64]
) -> Outcome:
    """Put a setting's cohorts together."""
    names = [variant.name for variant in variants(case.config.hedge)]
    returns = portfolio_returns(case.study, cohorts, names)
    # Interest on idle cash is no setting's skill.
    excess = returns["net"] - returns["riskless"]
    net, gross = (values.to_numpy().reshape(len(names), -1) for values in (excess, returns["gross"]))
    shared = set(ends)
    kept = [k for k, cohort in enumerate(cohorts) if case.study.windows[cohort.k].test_end in shared]
    slot = case.config.portfolio.capital / case.study.slots
    daily = [np.array([net_dollars(cohorts[k].daily[name]) for name in names]) / slot for k in kept]
    return Outcome(
        variants=tuple(names),
        dates=returns["date"].to_numpy()[: net.shape[1]].astype("datetime64[us]"),
        net=np.ascontiguousarray(net),
        gross=np.ascontiguousarray(gross),
        ends=np.array(ends, dtype="datetime64[D]"),
        cohort=np.array([part.sum(axis=1) for part in daily]).T.copy(),
        score=running_sharpe(daily, [case.study.windows[cohorts[k].k] for k in kept], case.study.bars_per_year),
        trades=np.array([[counts[k][name] for k in kept] for name in names], dtype=np.int64),
    )


def running_sharpe(daily: Sequence[Floats], windows: Sequence[Window], bars_per_year: float) -> Floats:
    """Annual Sharpe ratio at each test end of what the cohorts that had ended by then earned.

    Parameters
    ----------
    daily : sequence of array (variants, trade bars)
        Daily net returns of each cohort on its committed capital.
    windows : sequence of Window
        Theirs, in order.
    bars_per_year : float
        Bars of a year.

    Returns
    -------
    array (variants, cohorts)
        Entry k uses cohorts with ``stop <= windows[k].split``, so nothing after the test end. 0 without two days
        that differ.
    """
    first = windows[0].split
    earned = np.zeros((daily[0].shape[0], windows[-1].stop - first))
    live = np.zeros(earned.shape[1])
    out = np.zeros((earned.shape[0], len(windows)))
    added = 0
    for k, window in enumerate(windows):
        while windows[added].stop <= window.split:
            at = slice(windows[added].split - first, windows[added].stop - first)
            earned[:, at] += daily[added]
            live[at] += 1.0
            added += 1
        held = live[: window.split - first] > 0.0
        values = earned[:, : held.size][:, held] / live[: held.size][held]
        if values.shape[1] >= 2:
            moved = values.min(axis=1) < values.max(axis=1)
            deviation = np.where(moved, values.std(axis=1, ddof=1), 1.0)
            out[:, k] = np.where(moved, values.mean(axis=1) / deviation * math.sqrt(bars_per_year), 0.0)
    return out
