"""Half-life and rolling z-score in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import inf, isnan, log, nan, sqrt

import numpy as np


def half_life(spread):
    pairs = [
        (Fraction(float(a)), Fraction(float(b)) - Fraction(float(a)))
        for a, b in pairwise(spread)
        if not (isnan(a) or isnan(b))
    ]
    n = len(pairs)
    mean_lag = sum(a for a, _ in pairs) / n
    mean_diff = sum(d for _, d in pairs) / n
    sxx = sum((a - mean_lag) ** 2 for a, _ in pairs)
    if sxx == 0:
        return nan
    slope = sum((a - mean_lag) * (d - mean_diff) for a, d in pairs) / sxx
    return inf if slope >= 0 else -log(2) / float(slope)


def rolling_zscore(spread, window):
    out = []
    for t in range(len(spread)):
        block = [float(v) for v in spread[max(t - window + 1, 0) : t + 1]]
        if len(block) < window or window < 2 or any(isnan(v) for v in block):
            out.append(nan)
            continue
        exact = [Fraction(v) for v in block]
        mean = sum(exact) / window
        variance = sum((v - mean) ** 2 for v in exact) / (window - 1)
        out.append(float(exact[-1] - mean) / sqrt(float(variance)) if variance > 0 else nan)
    return np.array(out)
