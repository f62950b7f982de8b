"""How a matrix moves: from a prior through bars, in threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.common.array_checks import Floats
from pairs_bt.errors import DataError
from pairs_bt.kernels.online import hedge_grid
from pairs_bt.kernels.online import hedge_matrix as kernel
from pairs_bt.models.kalman import check_state
from pairs_bt.models.online.hedge_matrix_file import AUTO, MatrixState
from pairs_bt.models.online.hedge_matrix_grid import known_error, learn_scales, new_grid, steps_of

__all__ = ["advance", "count_threads", "filter_inputs", "in_space", "in_threads", "initial_state", "whole_days"]


def whole_days(frame: pd.DataFrame) -> np.ndarray:
    """Days of the bars: datetime64[D].

    Raises
    ------
    DataError
        For bars within the day: a matrix is kept by days.
    """
    stamps = frame.index.to_numpy()
    days = stamps.astype("datetime64[D]")
    repeats = np.flatnonzero(days[1:] == days[:-1])
    if repeats.size:
        raise DataError(
            f"Prices have several bars on {days[repeats[0]]}, and a matrix takes one bar a day. Keep the last close of "
            "each day (in pandas: prices.groupby(prices.index.date).last()); a run takes bars within the day."
        )
    return days


def initial_state(frame: pd.DataFrame, space: str, parameters: dict[str, Any], window: int) -> MatrixState:
    """A matrix before its first bar."""
    k = frame.shape[1]
    auto = parameters["trans_cov"] == AUTO
    values = np.full((kernel.FIELDS, k, k), np.nan)
    if not auto:
        variance = parameters["init_cov"]
        start = check_state((parameters["init_beta"], parameters["init_alpha"]), ((variance, 0.0), (0.0, variance)))
        values[: kernel.STATE] = start[:, np.newaxis, np.newaxis]
    values[:, np.arange(k), np.arange(k)] = np.nan
    return MatrixState(
        space=space,
        parameters=parameters,
        window=window,
        tickers=tuple(str(t) for t in frame.columns),
        bars=0,
        days=np.empty(0, dtype="datetime64[D]"),
        recent=np.empty((0, k)),
        values=values,
        seen=np.zeros((k, k), dtype=np.int32),
        last=np.full((k, k), kernel.NEVER, dtype=np.int32),
        last_day=np.zeros((k, k), dtype=np.int32),
        grid=new_grid(space, parameters, k) if auto else None,
        scale=np.full(k, np.nan) if auto else None,
    )


def in_space(prices: Floats, space: str) -> Floats:
    """Prices or log prices, in a new array that is the caller's."""
    # a new array even for prices: pandas' are read-only, which would be another compilation of every kernel
    values = np.array(prices, dtype=np.float64, order="C")
    return values if space == "levels" else np.log(values)


def filter_inputs(state: MatrixState, base: Floats) -> Floats:
    """What the filters see of new rows: the rows, or their changes from the row before."""
    if state.space != "changes":
        return base
    return np.diff(np.concatenate([state.recent[-1:], base]), axis=0)


def advance(state: MatrixState, days: Any, base: Floats, threads: int) -> MatrixState:
    """The state after the rows of ``base`` (n, k); nothing of ``state`` is written into."""
    bars = np.ascontiguousarray(filter_inputs(state, base))
    n, k = bars.shape
    series = np.ascontiguousarray(bars.T)
    gaps = np.asarray(np.isnan(series).any(axis=1), dtype=np.int8)
    values, seen, last = state.values.copy(), state.seen.copy(), state.last.copy()
    grid, scale = None, None
    if state.grid is not None:
        grid = state.grid.copy()
        scale = _move_grid(state, (bars, series, gaps), grid, (values, seen, last), threads)
    else:
        q, r = state.parameters["trans_cov"], state.parameters["obs_cov"]

        def rows(lo: int, hi: int) -> None:
            kernel.move_pairs(bars, series, gaps, lo, hi, state.bars, q, r, values, seen, last)

        in_threads(rows, k, threads)
    values[:, np.arange(k), np.arange(k)] = np.nan
    here = last >= state.bars
    dates = days[len(days) - n :].astype(np.int64).astype(np.int32)
    last_day = np.where(here, dates[np.where(here, last - state.bars, 0)], state.last_day).astype(np.int32)
    return replace(
        state,
        bars=state.bars + n,
        days=np.concatenate([state.days, days])[-state.window :],
        recent=np.ascontiguousarray(np.concatenate([state.recent, base])[-state.window :]),
        values=values,
        seen=seen,
        last=last,
        last_day=last_day,
        grid=grid,
        scale=scale,
    )


def _move_grid(state: MatrixState, data: Any, grid: Floats, pairs: Any, threads: int) -> Floats:
    bars, series, gaps = data
    scale = learn_scales(state, bars, grid)
    steps, levels = steps_of(state, scale)
    error, k = known_error(state), len(scale)

    def rows(lo: int, hi: int) -> None:
        hedge_grid.move_grid(bars, series, gaps, lo, hi, state.bars, steps, levels, error, grid, *pairs)

    in_threads(rows, k, threads)
    grid[:, :, np.arange(k), np.arange(k)] = np.nan
    return scale


def in_threads(rows: Callable[[int, int], None], k: int, threads: int) -> None:
    """Call ``rows`` on bands of 0..k; bands share nothing, so their number changes no bit."""
    bands = min(k, 4 * threads) if threads > 1 else 1
    cuts = [k * i // bands for i in range(bands + 1)]
    if bands == 1:
        rows(0, k)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(rows, cuts[:-1], cuts[1:]))


def count_threads(jobs: int | None) -> int:
    if jobs is None:
        return os.cpu_count() or 1
    if isinstance(jobs, bool) or not isinstance(jobs, (int, np.integer)) or jobs < 1:
        raise ValueError(f"jobs is {jobs!r}; it must be 1 or more, or None for all processors")
    return int(jobs)
