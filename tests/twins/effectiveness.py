"""Hedge errors the slow way: one bar, one pair, one horizon at a time, with the statistics module.

And their logs as a table of pair-windows and rules, by looking every cell up.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import pandas as pd


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


def log_losses(table: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """What `pairs_bt.stats.hedge_effectiveness.log_losses` says, one cell at a time."""
    cells: dict[tuple, dict[str, float]] = {}
    for row in table[table["horizon"] == horizon].to_dict("records"):
        cell = cells.setdefault((row["test_end"], row["y"], row["x"]), {})
        assert row["variant"] not in cell
        cell[row["variant"]] = _log(row["var_hedged"])
        plain = _log(row["var_unhedged"])
        if not math.isnan(plain):
            cell.setdefault("no hedge", plain)
    names = list(dict.fromkeys(table.loc[table["horizon"] == horizon, "variant"]))
    kept: list[str] = []
    for name in names:
        own = [cell.get(name, math.nan) for cell in cells.values()]
        if not any(_same(own, [cell.get(other, math.nan) for cell in cells.values()]) for other in kept):
            kept.append(name)
    kept.append("no hedge")
    rows = {
        key: [cell[name] for name in kept]
        for key, cell in sorted(cells.items())
        if all(math.isfinite(cell.get(name, math.nan)) for name in kept)
    }
    index = pd.MultiIndex.from_tuples(list(rows), names=["test_end", "y", "x"])
    return pd.DataFrame(list(rows.values()), index=index, columns=pd.Index(kept, name="variant"))


def _log(value: float) -> float:
    if math.isnan(value) or value < 0.0:
        return math.nan
    return math.log(value) if value else -math.inf


def _same(first: Sequence[float], second: Sequence[float]) -> bool:
    return all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(first, second, strict=True))
