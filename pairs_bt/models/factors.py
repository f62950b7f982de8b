"""What the returns of many tickers have in common: principal components, and how many of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pairs_bt.data.synthetic.surrogates import CommonReturns
from pairs_bt.kernels.symmetric import jacobi, row_products

__all__ = ["FactorFit", "common_returns", "factor_count", "fit_factors"]

Floats = NDArray[np.float64]

# Most factors that are looked for, and the least number of tickers a factor.
MOST, TICKERS_A_FACTOR = 8, 3
# Fewest bars on which components, or a ticker's loadings on them, are fitted.
FEWEST_BARS = 30


@dataclass(frozen=True)
class FactorFit:
    """Principal components of the returns of one window.

    Attributes
    ----------
    count : int
        Number of factors, k.
    scale : numpy.ndarray, shape (tickers,)
        Standard deviation of each ticker's returns.
    vectors : numpy.ndarray, shape (k, tickers)
        Eigenvectors of the correlation matrix, largest eigenvalue first, of length one.
    kept : numpy.ndarray, shape (k,)
        Part of each component's standard deviation that is common: sqrt((l - s) / l), l its eigenvalue, s the mean of
        the eigenvalues left over. The rest is the tickers' own noise, of which each component holds some
        (Tipping and Bishop 1999, eq. 7).
    share : float
        Share of the variance of all tickers that the common part explains.
    """

    count: int
    scale: Floats
    vectors: Floats
    kept: Floats
    share: float


def factor_count(eigenvalues: Floats, bars: int, most: int | None = None) -> int:
    """Number of factors by the criterion IC_p2 of Bai and Ng (2002).

    The k from 0 to `most` that makes ln V(k) + k (N + T) / (N T) ln(min(N, T)) least; V(k) is the variance that k
    components leave, per ticker.

    Parameters
    ----------
    eigenvalues : (N,)
        Of the correlation matrix, largest first.
    bars : int
        T.
    most : int, optional
        Largest k that is looked at; by default 8, and at most a third of the tickers: with more the components of a
        few tickers leave so little that the criterion always takes the most.
    """
    n = eigenvalues.size
    limit = min(MOST, n // TICKERS_A_FACTOR) if most is None else most
    penalty = (n + bars) / (n * bars) * math.log(min(n, bars)) if n else 0.0
    total = float(eigenvalues.sum())
    left = total - np.concatenate([[0.0], np.cumsum(eigenvalues[:limit])])
    floor = 1e-12 * max(total, 1e-300)
    criterion = np.log(np.maximum(left, floor) / max(n, 1)) + penalty * np.arange(left.size)
    return int(np.argmin(criterion))


def fit_factors(returns: Floats, count: int | None = None) -> FactorFit:
    """Principal components of standardised returns.

    Parameters
    ----------
    returns : (tickers, bars)
        Without NaN; no row is constant.
    count : int, optional
        Number of factors; by default that of :func:`factor_count`.
    """
    n, bars = returns.shape
    mean, scale = returns.mean(axis=1), returns.std(axis=1)
    standard = np.ascontiguousarray((returns - mean[:, None]) / scale[:, None])
    values, vectors = jacobi(row_products(standard))
    order = np.argsort(-values, kind="stable")
    values, vectors = values[order], vectors[order]
    k = factor_count(values, bars) if count is None else count
    rest = float(values[k:].mean()) if k < n else 0.0
    kept = np.sqrt(np.maximum(values[:k] - rest, 0.0) / values[:k]) if k else np.empty(0)
    share = float((values[:k] * kept**2).sum() / values.sum()) if n else 0.0
    return FactorFit(k, scale, vectors[:k], kept, share)


def common_returns(prices: pd.DataFrame, windows: Sequence[tuple[int, int]]) -> tuple[CommonReturns, list[FactorFit]]:
    """Split log returns into what the tickers have in common and what is each one's own, window by window.

    With b_k the loading of a ticker on component k, f_kt its score and d_k its `kept` part,

        common_t = sum_k d_k b_k f_kt,    own_t = r_t - sum_k (1 - sqrt(1 - d_k^2)) b_k f_kt.

    They do not add up to the return, but torn apart they have together its variance: d_k^2 of a component's goes to
    the common part, 1 - d_k^2 to the own one.

    Components and loadings are fitted on a window's train bars and hold for the bars since the window before ended
    (the first window's for all earlier bars too, the last one's for all later ones). A ticker that is not listed over
    the whole train window has no part in the components; its loadings are slopes on their scores.

    Parameters
    ----------
    prices : DataFrame (days, tickers)
        Positive, NaN where there is none.
    windows : sequence of (first, split)
        Train bars first:split of each window, in order of split.

    Returns
    -------
    CommonReturns
        (days - 1, tickers) each; 0 where a ticker is not listed.
    list of FactorFit
        One a window.
    """
    filled, listed = _returns(prices)
    common, own = np.zeros_like(filled), filled.copy()
    fits: list[FactorFit] = []
    begin = 0
    for place, (first, split) in enumerate(windows):
        # The return of bar t is in column t - 1.
        end = filled.shape[1] if place == len(windows) - 1 else max(split - 1, begin)
        members, fit, loadings = _window(filled[:, first : split - 1], listed[:, first : split - 1])
        fits.append(fit)
        if fit.count and end > begin:
            there = listed[:, begin:end]
            scores = _scores(fit, filled[members, begin:end], there[members])
            torn = 1.0 - np.sqrt(1.0 - fit.kept**2)
            common[:, begin:end] = np.where(there, _products(loadings * fit.kept, scores), 0.0)
            own[:, begin:end] -= np.where(there, _products(loadings * torn, scores), 0.0)
        begin = end
    return CommonReturns(common.T, own.T), fits


def _returns(prices: pd.DataFrame) -> tuple[Floats, NDArray[np.bool_]]:
    """Log returns over gaps filled forward (tickers, days - 1), 0 where there is none, and where there is one."""
    log = np.log(prices.ffill().to_numpy(dtype=np.float64)).T
    returns = np.diff(log, axis=1)
    later = np.cumsum(prices.notna().to_numpy()[::-1], axis=0)[::-1].T[:, 1:]
    listed = np.isfinite(returns) & (later > 0)
    return np.where(listed, returns, 0.0), listed


def _window(returns: Floats, listed: NDArray[np.bool_]) -> tuple[NDArray[np.intp], FactorFit, Floats]:
    """Tickers of one window's components, the components, and the loadings of all tickers, in units of returns."""
    moves = returns.std(axis=1) > 0.0 if returns.shape[1] else np.zeros(returns.shape[0], dtype=bool)
    whole = listed.all(axis=1)
    members = np.flatnonzero(whole & moves)
    if members.size < 2 or returns.shape[1] < FEWEST_BARS:
        size = members.size
        none = FactorFit(0, np.ones(size), np.empty((0, size)), np.empty(0), 0.0)
        return members, none, np.zeros((returns.shape[0], 0))
    fit = fit_factors(returns[members])
    scores = _scores(fit, returns[members], listed[members])
    loadings = np.zeros((returns.shape[0], fit.count))
    loadings[members] = fit.scale[:, None] * fit.vectors.T
    for row in np.flatnonzero(~whole & moves & (listed.sum(axis=1) >= FEWEST_BARS)):
        use = listed[row]
        for k in range(fit.count):
            # Components are uncorrelated, so each slope stands alone.
            loadings[row, k] = (scores[k, use] * returns[row, use]).sum() / (scores[k, use] ** 2).sum()
    return members, fit, loadings


def _scores(fit: FactorFit, returns: Floats, listed: NDArray[np.bool_]) -> Floats:
    # Not about the mean: how far a factor went over the window is part of its path, and no ticker's own.
    return _products(fit.vectors, np.where(listed, returns / fit.scale[:, None], 0.0))


def _products(left: Floats, right: Floats) -> Floats:
    """(a, k) times (k, b), summed over k in order: no BLAS, whose sums depend on shape and threads."""
    out = np.zeros((left.shape[0], right.shape[1]))
    for k in range(left.shape[1]):
        out += left[:, k, None] * right[k]
    return out
