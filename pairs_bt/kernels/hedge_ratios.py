"""Hedge ratios that need a loop over bars, and spreads rebuilt from changes, as bare loops."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy")
def rolling_lines(y: Floats, x: Floats, window: int, slope: Floats, intercept: Floats) -> None:
    """Least squares line of y on x over the last ``window`` bars, for each row of y, x (p, n) into two (p, n).

    NaN before the window is full, where it holds a NaN, and where x does not move in it.
    """
    pairs, n = y.shape
    for p in range(pairs):
        for t in range(min(window - 1, n)):
            slope[p, t] = np.nan
            intercept[p, t] = np.nan
        for t in range(window - 1, n):
            # sums of deviations from the window's first bar, then from its mean: two passes keep the digits
            first = t - window + 1
            y0, x0 = y[p, first], x[p, first]
            sum_y = sum_x = 0.0
            for s in range(first, t + 1):
                sum_y += y[p, s] - y0
                sum_x += x[p, s] - x0
            mean_y = sum_y / window
            mean_x = sum_x / window
            sxx = sxy = 0.0
            for s in range(first, t + 1):
                u = (x[p, s] - x0) - mean_x
                sxx += u * u
                sxy += u * ((y[p, s] - y0) - mean_y)
            ratio = sxy / sxx if sxx > 0.0 else np.nan
            slope[p, t] = ratio
            intercept[p, t] = (y0 + mean_y) - ratio * (x0 + mean_x)


@njit(cache=True, nogil=True, error_model="numpy")
def rebuilt_spreads(y: Floats, x: Floats, ratio: Floats, out: Floats) -> None:
    """Value of a position re-hedged at every close: s_t = s_{t-1} + dy_t - ratio_{t-1} dx_t, s_0 = y_0 - ratio_0 x_0.

    Rows of y, x, ratio (p, n) into ``out`` (p, n). From a NaN on, a row stays NaN.
    """
    pairs, n = y.shape
    for p in range(pairs):
        total = y[p, 0] - ratio[p, 0] * x[p, 0]
        out[p, 0] = total
        for t in range(1, n):
            total += (y[p, t] - y[p, t - 1]) - ratio[p, t - 1] * (x[p, t] - x[p, t - 1])
            out[p, t] = total
