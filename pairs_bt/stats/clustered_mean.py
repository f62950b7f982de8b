"""The mean of trades that overlap and share tickers, with a standard error that knows it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["ClusteredMean", "clustered_mean", "trade_t"]


class ClusteredMean(NamedTuple):
    """A mean, its clustered standard error, and their ratio; months and tickers are the numbers of clusters."""

    mean: float
    std_error: float
    t_stat: float
    months: int
    tickers: int


def clustered_mean(values: npt.ArrayLike, month: npt.ArrayLike, y: npt.ArrayLike, x: npt.ArrayLike) -> ClusteredMean:
    """Mean with a standard error clustered two ways, by month and by ticker.

    V = V_month + V_ticker of Cameron, Gelbach and Miller (2011), each the sum of the products of the residuals of every
    two trades that are alike in it. Their third part, which takes off once what both count, is left out: without it V
    is never negative, and larger. On noise, where trades overlap and a few tickers are in most of them, t is within
    2.5 in 96 universes of 100 or more (`benchmarks/noise_ladder.py --size`); with it t is too large too often.

    A trade lies in the clusters of both its tickers, so V_ticker = sum_g S_g^2 - sum_p S_p^2 over tickers g and pairs
    p, S the sum of the residuals there: trades of one pair would be counted twice. Each part is divided by 1 - f, f
    the share of all products that it takes in: with G clusters of one size that is the usual G / (G - 1), and with
    every trade in two clusters it is more.

    Parameters
    ----------
    values : (n,)
        One number a trade.
    month : (n,)
        Label of the month of entry.
    y, x : (n,)
        The two tickers.

    Returns
    -------
    ClusteredMean
        Error and t NaN for fewer than two months or three tickers (there is nothing to compare), and where no value
        differs.

    Raises
    ------
    ValueError
        Arrays of different length, or a value that is not finite.
    """
    own = np.asarray(values, dtype=np.float64)
    labels = [np.asarray(part) for part in (month, y, x)]
    if own.ndim != 1 or any(part.shape != own.shape for part in labels):
        shapes = [own.shape, *(part.shape for part in labels)]
        raise ValueError(f"values, month, y and x have shapes {shapes}: give one of each for every trade")
    if not np.isfinite(own).all():
        raise ValueError(f"value {own[~np.isfinite(own)][0]}: every trade needs a finite one; leave the others out")
    n = own.size
    if not n:
        return ClusteredMean(math.nan, math.nan, math.nan, 0, 0)
    mean = float(own.mean())
    months = pd.factorize(labels[0])[0]
    both = pd.factorize(np.concatenate(labels[1:]))[0]
    first, second = both[:n], both[n:]
    count = int(months.max()) + 1, int(both.max()) + 1
    residual = own - mean
    variance = _corrected(_same_month, residual, months) + _corrected(_shared_ticker, residual, first, second)
    if min(count[0], count[1] - 1) < 2 or not variance > 0.0:
        return ClusteredMean(mean, math.nan, math.nan, *count)
    error = math.sqrt(variance) / n
    return ClusteredMean(mean, error, mean / error, *count)


def _corrected(products: Callable[..., float], residual: np.ndarray, *groups: np.ndarray) -> float:
    """Sum of the products of residuals over 1 - f, f the share of all products of two trades that are in it."""
    share = products(np.ones(residual.size), *groups) / residual.size**2
    return products(residual, *groups) / (1.0 - share) if share < 1.0 else 0.0


def _same_month(weights: np.ndarray, months: np.ndarray) -> float:
    """Products of the weights of every two trades of one month."""
    return float((np.bincount(months, weights=weights) ** 2).sum())


def _shared_ticker(weights: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Products of the weights of every two trades that share a ticker, once where they share both."""
    width = int(max(first.max(), second.max())) + 1
    tickers = np.bincount(np.concatenate([first, second]), weights=np.concatenate([weights, weights]))
    low, high = np.minimum(first, second), np.maximum(first, second)
    pairs = np.bincount(pd.factorize(low * width + high)[0], weights=weights)
    return float((tickers**2).sum() - (pairs**2).sum())


def trade_t(trades: pd.DataFrame) -> float:
    """Clustered t of the mean net trade over its capital: by month of entry and by ticker.

    Parameters
    ----------
    trades : DataFrame
        Columns net_pnl, capital, entry_date, y, x: the trades of one variant.
    """
    ratio = trades["net_pnl"].to_numpy(dtype=np.float64) / trades["capital"].to_numpy(dtype=np.float64)
    month = trades["entry_date"].to_numpy(dtype="datetime64[M]").astype(np.int64)
    return clustered_mean(ratio, month, trades["y"].to_numpy(dtype=object), trades["x"].to_numpy(dtype=object)).t_stat
