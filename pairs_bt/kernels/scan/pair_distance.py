"""How alike two prices are: the heuristics of pair selection, as bare loops."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DISTANCE, DRIFT, VOLATILITY, PRICE_CORRELATION, RETURN_CORRELATION = range(5)
N_MEASURES = 5


@njit(cache=True, nogil=True, error_model="numpy")
def pair_measures(
    index: Floats, price_scores: Floats, return_scores: Floats, i: Integers, j: Integers, out: Floats
) -> None:
    """Five measures of the pairs (i, j) into ``out`` (pairs, 5).

    ``index`` (tickers, bars): prices that start at 1; ``price_scores``, ``return_scores``: rows less their mean,
    with length 1, so that their product is the correlation.
    """
    bars = index.shape[1]
    middle = 0.5 * (bars - 1)
    # sum of (t - middle)**2
    times = bars * (bars * bars - 1.0) / 12.0
    for p in range(i.shape[0]):
        a = index[i[p]]
        b = index[j[p]]
        total = square = trend = 0.0
        for t in range(bars):
            gap = a[t] - b[t]
            total += gap
            square += gap * gap
            trend += gap * (t - middle)
        mean = total / bars
        spread = 0.0
        for t in range(bars):
            gap = (a[t] - b[t]) - mean
            spread += gap * gap
        price = 0.0
        a = price_scores[i[p]]
        b = price_scores[j[p]]
        for t in range(bars):
            price += a[t] * b[t]
        change = 0.0
        a = return_scores[i[p]]
        b = return_scores[j[p]]
        for t in range(bars - 1):
            change += a[t] * b[t]
        out[p, DISTANCE] = square
        out[p, DRIFT] = trend / times
        out[p, VOLATILITY] = np.sqrt(spread / (bars - 1))
        out[p, PRICE_CORRELATION] = price
        out[p, RETURN_CORRELATION] = change
