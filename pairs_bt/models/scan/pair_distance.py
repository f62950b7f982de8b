"""Other ways to choose pairs: the distance and the correlation of two prices, and the heuristics beside the tests.

All on the train window alone. Prices are indexed to 1 at the train start, as in Gatev, Goetzmann and Rouwenhorst
(2006), section 2.1; drift and volatility are those of the difference of the two indices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.errors import DataError
from pairs_bt.kernels.scan import pair_distance as kernel

#: Columns of the measures, in the order of the kernel.
MEASURES = ("distance", "drift", "spread_volatility", "price_correlation", "return_correlation")


@dataclass(frozen=True)
class MeasureInputs:
    """What depends on one ticker alone, made once a window: see :func:`prepare`."""

    index: np.ndarray
    price_scores: np.ndarray
    return_scores: np.ndarray


def prepare(train: np.ndarray) -> MeasureInputs:
    """Index and standardise the train prices (tickers, bars), finite, of at least 3 bars."""
    index = np.ascontiguousarray(train / train[:, :1])
    returns = index[:, 1:] / index[:, :-1] - 1.0
    return MeasureInputs(index, _scores(index), _scores(returns))


def _scores(rows: np.ndarray) -> np.ndarray:
    """Rows less their mean, of length 1 (NaN where a row is constant)."""
    centred = np.ascontiguousarray(rows - rows.mean(axis=1, keepdims=True))
    length = np.sqrt((centred * centred).sum(axis=1, keepdims=True))
    return np.asarray(centred / np.where(length > 0.0, length, np.nan))


def measure_pairs(inputs: MeasureInputs, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Measures of the pairs (i, j): (pairs, 5), columns `MEASURES`. Each pair's bytes depend on it alone."""
    out = np.empty((len(i), kernel.N_MEASURES))
    first, second = np.ascontiguousarray(i, dtype=np.int64), np.ascontiguousarray(j, dtype=np.int64)
    kernel.pair_measures(inputs.index, inputs.price_scores, inputs.return_scores, first, second, out)
    return out


def pair_measures(prices: pd.DataFrame, pairs: Any = None) -> pd.DataFrame:
    """Distance, drift, volatility and correlations of every pair of a frame, or of the pairs given.

    Parameters
    ----------
    prices : DataFrame, shape (bars, tickers)
        Complete, positive, one ticker a column, at least 3 bars.
    pairs : iterable of (name, name), optional
        Default: every two columns, the left one first.

    Returns
    -------
    DataFrame
        s1, s2; ``distance``: sum of squared differences of the two indices (prices over their first); ``drift``: slope
        of index 1 - index 2 on time, a bar; ``spread_volatility``: its standard deviation (ddof 1);
        ``price_correlation``; ``return_correlation``: of daily simple returns.

    Raises
    ------
    DataError
        A price that is missing, infinite or not positive (ticker, date), too few bars, a name that is no column.
    """
    values = np.ascontiguousarray(prices.to_numpy(dtype=np.float64).T)
    bad = np.argwhere(~(np.isfinite(values) & (values > 0.0)))
    if bad.size:
        row, bar = bad[0]
        raise DataError(
            f"Ticker {prices.columns[row]!r} is {values[row, bar]} at {prices.index[bar]} ({len(bad)} such cells). "
            "Measures of likeness need complete, positive prices: fill short gaps or leave the ticker out."
        )
    if values.shape[1] < 3:
        raise DataError(f"The prices have {values.shape[1]} bars; a standard deviation of returns needs 3 or more.")
    place = {name: k for k, name in enumerate(prices.columns)}
    names = list(pairs) if pairs is not None else None
    if names is None:
        i, j = np.triu_indices(len(place), k=1)
    else:
        missing = [name for pair in names for name in pair if name not in place]
        if missing:
            raise DataError(f"Ticker {missing[0]!r} of a pair is no column of the prices.")
        i = np.array([place[one] for one, _ in names], dtype=np.int64)
        j = np.array([place[other] for _, other in names], dtype=np.int64)
    found = measure_pairs(prepare(values), i, j)
    columns = prices.columns.to_numpy()
    return pd.DataFrame({"s1": columns[i], "s2": columns[j], **dict(zip(MEASURES, found.T, strict=True))})


def ranking(measures: np.ndarray, method: str) -> np.ndarray:
    """Sort key of each pair, the least first: its distance, or minus the correlation of its returns."""
    return measures[:, kernel.DISTANCE] if method == "distance" else -measures[:, kernel.RETURN_CORRELATION]
