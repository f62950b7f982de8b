"""Hedge errors the slow way: one bar, one pair, one horizon at a time, with the statistics module."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def describe(y: Sequence[float], x: Sequence[float], ratio: Sequence[float], horizon: int) -> dict[str, float]:
    """What `pairs_bt.models.hedge_effectiveness.hedge_effectiveness` says of one horizon."""
    errors, alone, traded = [], [], []
    for t in range(len(y) - horizon):
        hedge_gain = -ratio[t] * (x[t + horizon] - x[t])
        own_gain = y[t + horizon] - y[t]
        if math.isnan(hedge_gain) or math.isnan(own_gain):
            continue
        errors.append(own_gain + hedge_gain)
        alone.append(own_gain)
        if not math.isnan(ratio[t + horizon]):
            dollars = abs(ratio[t + horizon] - ratio[t]) * x[t + horizon]
            traded.append(dollars / y[t + horizon] / horizon)
    out = {"bars": float(len(errors))}
    for name, values in (("hedged", errors), ("unhedged", alone)):
        sizes = sorted((abs(value) for value in values), reverse=True)
        worst = sizes[: math.ceil(round(0.05 * len(sizes), 9))]
        out[f"var_{name}"] = statistics.variance(values)
        out[f"mae_{name}"] = statistics.fmean(sizes)
        out[f"tail_{name}"] = statistics.fmean(worst)
    out["effectiveness"] = 1.0 - out["var_hedged"] / out["var_unhedged"]
    out["turnover"] = statistics.fmean(traded)
    return out
