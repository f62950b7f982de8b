"""The part of a stock's return that its sector does not explain, added up and fitted as an AR(1) at every bar."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

# Columns of `residual_rows`, a bar each.
SLOPE, LEVEL, DEVIATION, KEPT = range(4)
N_RESIDUAL = 4


@njit(cache=True, nogil=True)
def residual_rows(y, x, window, first, out):
    """Fit the cumulated residual of the last `window` returns at every bar from `first` on, into `out`.

    `y`, `x` (pairs, bars): prices; `out` (pairs, bars, N_RESIDUAL). The returns of y are regressed on those of x and a
    constant; the residuals add up to X, which ends at 0; X is an AR(1). Kept are the slope, the mean of X, its
    stationary deviation and its coefficient: NaN at bars without `window` returns before them, the last three also
    where the coefficient is not between 0 and 1.
    """
    left = np.empty(window)
    for p in range(y.shape[0]):
        for t in range(first, y.shape[1]):
            row = out[p, t]
            row[:] = np.nan
            if t < window:
                continue
            sy = sx = 0.0
            for k in range(window):
                at = t - window + 1 + k
                sy += y[p, at] / y[p, at - 1] - 1.0
                sx += x[p, at] / x[p, at - 1] - 1.0
            my = sy / window
            mx = sx / window
            xx = xy = 0.0
            for k in range(window):
                at = t - window + 1 + k
                ry = y[p, at] / y[p, at - 1] - 1.0 - my
                rx = x[p, at] / x[p, at - 1] - 1.0 - mx
                left[k] = ry
                xx += rx * rx
                xy += rx * ry
            if not xx > 0.0:
                continue
            slope = xy / xx
            row[SLOPE] = slope
            level = 0.0
            for k in range(window):
                at = t - window + 1 + k
                level += left[k] - slope * (x[p, at] / x[p, at - 1] - 1.0 - mx)
                left[k] = level
            # X[k + 1] on X[k] and a constant
            before = after = 0.0
            for k in range(window - 1):
                before += left[k]
                after += left[k + 1]
            before /= window - 1
            after /= window - 1
            square = product = total = 0.0
            for k in range(window - 1):
                u = left[k] - before
                v = left[k + 1] - after
                square += u * u
                product += u * v
                total += v * v
            if not square > 0.0:
                continue
            kept = product / square
            shocks = (total - kept * product) / (window - 1)
            if not (0.0 < kept < 1.0 and shocks > 0.0):
                continue
            row[LEVEL] = (after - kept * before) / (1.0 - kept)
            row[DEVIATION] = math.sqrt(shocks / (1.0 - kept * kept))
            row[KEPT] = kept
