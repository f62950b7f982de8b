"""Does the hedge hedge? The error of a ratio over the bars that follow it, out of sample.

A holder of one share of y who is short `ratio` shares of x has, h bars later, gained
``y[t+h] - y[t] - ratio[t] (x[t+h] - x[t])``. A hedge is good when that varies little against the change of y alone.
The ratio is that of bar t and the changes come after it.

References
----------
Ederington, L. H. (1979), "The hedging performance of the new futures markets", Journal of Finance 34, 157-170.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.common.array_checks import check_values
from pairs_bt.errors import DataError
from pairs_bt.kernels import hedge_effectiveness as kernel

__all__ = ["HORIZONS", "MEASURES", "TAIL", "effectiveness_summary", "hedge_effectiveness", "measure"]

#: Bars over which a ratio is held: a day, a week, a month.
HORIZONS = (1, 5, 21)
#: Share of the errors, by size, that makes the tail.
TAIL = 0.05
#: What is measured, in the order of the kernel's fields.
MEASURES = (
    "bars", "var_hedged", "var_unhedged", "effectiveness", "mae_hedged", "tail_hedged", "turnover", "mae_unhedged",
    "tail_unhedged",
)  # fmt: skip


def measure(prices: np.ndarray, iy: np.ndarray, ix: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Measure the hedges of many pairs at the three horizons.

    Parameters
    ----------
    prices : numpy.ndarray, shape (tickers, bars)
        Contiguous; NaN where there is no price.
    iy, ix : numpy.ndarray of int64, shape (pairs,)
        Rows of y and x.
    ratio : numpy.ndarray, shape (pairs, bars)
        Shares of x against one share of y, as known at each bar.

    Returns
    -------
    numpy.ndarray, shape (pairs, horizons, measures)
        In the order of `HORIZONS` and `MEASURES`; see :func:`hedge_effectiveness`.
    """
    out = np.empty((iy.size, len(HORIZONS), len(MEASURES)))
    horizons = np.array(HORIZONS, dtype=np.int64)
    kernel.measure_hedges(prices, iy, ix, np.ascontiguousarray(ratio), horizons, TAIL, out)
    return out


def hedge_effectiveness(y: Any, x: Any, ratio: Any) -> pd.DataFrame:
    """How much of y's risk a hedge ratio has taken away, over 1, 5 and 21 bars.

    Parameters
    ----------
    y, x : (n,) array_like
        Prices. A NaN is a missing bar.
    ratio : (n,) array_like
        Shares of x against one share of y. The value of a bar may use that bar and those before it.

    Returns
    -------
    DataFrame, index horizon
        bars : errors that were counted. var_hedged, var_unhedged : variance of the error and of y's change alone, in
        squared dollars for a share of y. effectiveness : 1 - var_hedged / var_unhedged, 1 for a perfect hedge and
        below 0 for one that adds risk. mae_hedged, mae_unhedged : mean size of the error, in dollars. tail_hedged,
        tail_unhedged : mean of the largest 5% of the sizes. turnover : dollars of x traded a bar to keep the ratio,
        for a dollar of y, where the ratio is renewed every `horizon` bars. NaN with fewer than 20 errors;
        effectiveness is NaN where y does not move.

    Raises
    ------
    DataError
        Values that are not numbers or infinite, or different lengths.

    Notes
    -----
    Errors over h > 1 bars overlap. That does not move the estimates, but they are known from fewer independent bars
    than `bars` says.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = 50 + rng.normal(size=400).cumsum()
    >>> y = 20 + 2.0 * x + rng.normal(size=400).cumsum()
    >>> found = hedge_effectiveness(y, x, np.full(400, 2.0))
    >>> bool(0.7 < found.loc[1, "effectiveness"] < 0.9)
    True
    """
    rows = [check_values(name, values) for name, values in (("y", y), ("x", x), ("ratio", ratio))]
    if len({row.size for row in rows}) > 1:
        sizes = ", ".join(f"{name} {row.size}" for name, row in zip(("y", "x", "ratio"), rows, strict=True))
        raise DataError(f"The series have different lengths ({sizes} bars); align them first.")
    first = np.zeros(1, dtype=np.int64)
    made = measure(np.ascontiguousarray(rows[:2]), first, first + 1, rows[2][None, :])
    table = pd.DataFrame(made[0], index=pd.Index(HORIZONS, name="horizon"), columns=list(MEASURES))
    return table.astype({"bars": "int64"})


def effectiveness_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Each rule at each horizon: medians beside means, because a few ratios are wild.

    Parameters
    ----------
    table : DataFrame
        `run.hedge_effectiveness`.

    Returns
    -------
    DataFrame, index (horizon, variant)
        pairs : pair-windows with a number. effectiveness : median of 1 - var_hedged / var_unhedged.
        effectiveness_mean : its mean, every pair-window with the same weight. pooled : 1 less the sum of the hedged
        variances over the sum of the unhedged ones, for a share of each y, so that dear and restless shares count
        most. helped : share of pair-windows with less risk than no hedge. mae, tail : medians of the same fraction of
        the mean size and of the tail. turnover : median.
    """
    known = table[np.isfinite(table["effectiveness"])]
    known = known.assign(
        mae=1.0 - known["mae_hedged"] / known["mae_unhedged"], tail=1.0 - known["tail_hedged"] / known["tail_unhedged"]
    )
    groups = known.groupby(["horizon", "variant"], sort=False)
    return pd.DataFrame(
        {
            "pairs": groups.size(),
            "effectiveness": groups["effectiveness"].median(),
            "effectiveness_mean": groups["effectiveness"].mean(),
            "pooled": 1.0 - groups["var_hedged"].sum() / groups["var_unhedged"].sum(),
            "helped": groups["effectiveness"].agg(lambda values: float((values > 0.0).mean())),
            "mae": groups["mae"].median(),
            "tail": groups["tail"].median(),
            "turnover": groups["turnover"].median(),
        }
    ).sort_index(level="horizon", sort_remaining=False, kind="stable")


def rows_of(parts: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Columns of the table of measurements of several blocks of pairs, a row a pair and horizon."""
    made = np.concatenate(parts)
    flat = made.reshape(-1, len(MEASURES))
    columns: dict[str, np.ndarray] = {"horizon": np.tile(np.array(HORIZONS, dtype=np.int64), len(made))}
    columns |= {name: flat[:, place] for place, name in enumerate(MEASURES)}
    return columns | {"bars": columns["bars"].astype(np.int64)}
