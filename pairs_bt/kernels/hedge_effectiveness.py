"""Errors of a hedge over what follows each bar, measured for many pairs: bare loops."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

MIN_BARS = 20  # errors that a variance needs
FIELDS = 9
BARS, VAR_HEDGED, VAR_UNHEDGED, EFFECTIVENESS, MAE_HEDGED, TAIL_HEDGED, TURNOVER, MAE_UNHEDGED, TAIL_UNHEDGED = range(
    FIELDS
)


@njit(cache=True, nogil=True, error_model="numpy")
def _describe(errors: Floats, n: int | np.int64, tail: float, sizes: Floats) -> tuple[float, float, float]:
    """Variance, mean size and mean of the largest sizes of the first ``n`` errors; ``sizes`` (n,) is overwritten."""
    mean = total = size = 0.0
    for t in range(n):
        mean += errors[t]
    mean /= n
    worst = int(np.ceil(tail * n - 1e-9))
    held = 0
    for t in range(n):
        total += (errors[t] - mean) ** 2
        value = abs(errors[t])
        size += value
        # the largest so far, in order, in ``sizes``: numba compiles a sort of all for longer than this runs
        if held < worst:
            place = held
            held += 1
            while place > 0 and sizes[place - 1] > value:
                sizes[place] = sizes[place - 1]
                place -= 1
            sizes[place] = value
        elif value > sizes[0]:
            place = 1
            while place < worst and sizes[place] < value:
                sizes[place - 1] = sizes[place]
                place += 1
            sizes[place - 1] = value
    far = 0.0
    for k in range(worst):
        far += sizes[k]
    return total / (n - 1), size / n, far / worst


@njit(cache=True, nogil=True, error_model="numpy")
def measure_hedges(
    prices: Floats, iy: Whole, ix: Whole, ratio: Floats, horizons: Whole, tail: float, out: Floats
) -> None:
    """Measure ``y[t+h] - y[t] - ratio[t] (x[t+h] - x[t])`` for each pair and horizon.

    ``prices`` (k, n), ``ratio`` (p, n) in shares of x for a share of y, ``out`` (p, horizons, 9). Only bars with both
    prices at both ends and a ratio count; NaN, but for their number, where they are fewer than 20.
    """
    pairs, n = ratio.shape
    hedged, unhedged, sizes = np.empty(n), np.empty(n), np.empty(n)
    for p in range(pairs):
        y, x = iy[p], ix[p]
        for j in range(horizons.size):
            h = horizons[j]
            # typed: of a bare 0 numba makes a type of its own, and compiles the callee for it as well
            count = kept = np.int64(0)
            traded = 0.0
            for t in range(n - h):
                dy = prices[y, t + h] - prices[y, t]
                dx = prices[x, t + h] - prices[x, t]
                error = dy - ratio[p, t] * dx
                if not np.isfinite(error):
                    continue
                hedged[count] = error
                unhedged[count] = dy
                count += 1
                move = abs(ratio[p, t + h] - ratio[p, t]) * prices[x, t + h] / prices[y, t + h]
                if np.isfinite(move):
                    traded += move
                    kept += 1
            for field in range(FIELDS):
                out[p, j, field] = np.nan
            out[p, j, BARS] = count
            if count < MIN_BARS:
                continue
            variance, mae, far = _describe(hedged, count, tail, sizes)
            plain, plain_mae, plain_far = _describe(unhedged, count, tail, sizes)
            out[p, j, VAR_HEDGED] = variance
            out[p, j, VAR_UNHEDGED] = plain
            out[p, j, EFFECTIVENESS] = 1.0 - variance / plain if plain > 0.0 else np.nan
            out[p, j, MAE_HEDGED] = mae
            out[p, j, TAIL_HEDGED] = far
            out[p, j, TURNOVER] = traded / (kept * h) if kept else np.nan
            out[p, j, MAE_UNHEDGED] = plain_mae
            out[p, j, TAIL_UNHEDGED] = plain_far
