"""Null universes: markets like the real one, in which no two prices have anything to do with each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from pairs_bt.data.synthetic.random_walks import NULL_STREAMS, FloatArray, Seed, require, stream

__all__ = ["CommonReturns", "NullKind", "flip_signs", "null_market"]

NullKind = Literal["circular_shift", "block_bootstrap", "gaussian", "sign_flip", "factor"]


@dataclass(frozen=True)
class CommonReturns:
    """Log returns of a market in two parts (:func:`pairs_bt.models.factors.common_returns`).

    Attributes
    ----------
    common : numpy.ndarray, shape (n - 1, k)
        What the factors explain: it stays on its day.
    own : numpy.ndarray, shape (n - 1, k)
        What is the ticker's own: it gets random signs.
    """

    common: FloatArray
    own: FloatArray


def null_market(
    prices: pd.DataFrame, kind: NullKind, *, seed: Seed, block: int = 20, parts: CommonReturns | None = None
) -> pd.DataFrame:
    """Return prices with the same dates, gaps and first prices, in which no two tickers are related.

    With r_1..r_m the log returns between consecutive observed prices of a ticker (a return over a gap is one
    return), the null price at its k-th observed bar is P_0 exp(sum_{i<=k} r*_i), where

    - ``circular_shift``: r*_i = r_{1 + (i - 1 + k) mod m}, k uniform on 0..m-1. The same returns in the same
      circular order: distribution, fat tails, autocorrelation and volatility clusters stay.
    - ``block_bootstrap``: blocks of ``block`` consecutive returns, wrapped circularly, with uniform starts,
      laid end to end (Politis and Romano 1992, the circular block bootstrap), less their mean, plus mean(r). The
      tails stay, and the dependence within a block.
    - ``sign_flip``: r*_i = s_i r_i, s_i -1 or 1 with equal chance. Every return keeps its size and its day:
      volatility clusters stay where they were, also those that all tickers share; autocorrelation and drift go.
    - ``gaussian``: r*_i = mean(r) + sd(r) (u_i - mean(u)) / sd(u), u standard normal.
    - ``factor``: r*_i = c_i + s_i u_i, c what common factors explain of the return, u its own part, s_i a random
      sign as in ``sign_flip``. Names move together as they did, and no pair is cointegrated beyond the factors.

    Log returns are independent between tickers in all kinds but ``factor``. Every kind but ``sign_flip`` and
    ``factor`` keeps the ticker's last price, and so its drift.

    Parameters
    ----------
    prices : DataFrame, (n, k)
        Positive prices; NaN where there is none.
    kind : {'circular_shift', 'block_bootstrap', 'gaussian', 'sign_flip', 'factor'}
        Which null, as above.
    seed : int or sequence of int
        >= 0. A ticker's draws depend on the seed and on the ticker's position only, so that they are the
        same for any number of jobs; ``(seed, draw)`` names one draw of many.
    block : int
        Returns in a block, >= 1 (``block_bootstrap`` only); at most all of a ticker's are used.
    parts : CommonReturns, optional
        The two parts of every return; ``factor`` needs them, no other kind reads them.

    Returns
    -------
    DataFrame, (n, k)
        Same index, columns and NaN; a ticker with fewer than 3 prices is returned as it is.

    Raises
    ------
    ValueError
        An unknown kind, a block below 1, a price that is not positive and finite; ``factor`` without its parts, or with
        parts of another shape.

    Notes
    -----
    The other three keep the mean return exactly. Without drift the critical values of a cointegration test with a
    constant would be others (Hansen 1992). A mean that is drawn around the sample's mean has the sample's error
    twice, so prices of a null universe would drift apart more than real random walks do. Held ratios would lose
    more there, and the real universe would look too good (its p-values on random walks average 0.38 to 0.42
    then, not 0.5). Given mean and variance of its returns, a Gaussian walk is
    one draw of ``gaussian``.

    Two shifts that fall within L bars of each other leave a pair nearly aligned; on m returns that happens to
    a share of about 2L/m of the pairs (L = 20, m = 4,500: 0.9%). The bootstrap has no such remainder.
    """
    require(kind in get_args(NullKind), f"kind = {kind!r}: it is one of {', '.join(get_args(NullKind))}.")
    require(block >= 1, f"block = {block}: a block holds at least 1 return; 20 is about a month.")
    if kind == "factor":
        shape = (max(len(prices) - 1, 0), prices.shape[1])
        require(
            parts is not None and parts.common.shape == parts.own.shape == shape,
            f"kind = 'factor': it needs parts of shape {shape}; pairs_bt.models.factors.common_returns makes them.",
        )
    values = prices.to_numpy(dtype=np.float64)
    observed = ~np.isnan(values)
    bad = observed & ~((values > 0.0) & (values < np.inf))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"price {values[row, column]} of {prices.columns[column]} at {prices.index[row]}: a null "
            "universe is made from log returns, so prices must be positive and finite; mend it or make it NaN."
        )
    out = values.copy()
    for j in range(values.shape[1]):
        seen = observed[:, j]
        path = values[:, j] if seen.all() else values[seen, j]
        if path.size >= 3:
            rng = stream(seed, NULL_STREAMS, j)
            if kind == "factor":
                assert parts is not None
                out[seen, j] = _factor_path(path, seen, parts.common[:, j], parts.own[:, j], rng)
            else:
                out[seen, j] = _null_path(path, kind, block, rng)
    return pd.DataFrame(out, index=prices.index, columns=prices.columns)


def _null_path(path: FloatArray, kind: NullKind, block: int, rng: np.random.Generator) -> FloatArray:
    """Return one ticker's null prices from its observed ones."""
    returns = np.diff(np.log(path))
    out = np.empty_like(path)
    out[0] = path[0]
    out[1:] = path[0] * np.exp(np.cumsum(_null_returns(returns, kind, block, rng)))
    return out


def _factor_path(
    path: FloatArray, seen: np.ndarray, common: FloatArray, own: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Return one ticker's null prices: its common part where it was, its own part with random signs.

    Signs, no shift: own returns are wild on the days on which the factors are, and a shift would part the two. And no
    drift put back: spread evenly over the days it would make the calm ones drift. Either makes p-values too small on
    markets with such clusters and no pairs.
    """
    # Between two observed prices lies one return, over however many bars.
    bars = np.flatnonzero(seen)
    kept, turned = (np.diff(np.concatenate([[0.0], np.cumsum(part)])[bars]) for part in (common, own))
    out = np.empty_like(path)
    out[0] = path[0]
    out[1:] = path[0] * np.exp(np.cumsum(kept + flip_signs(turned[None], rng)[0]))
    return out


def _null_returns(returns: FloatArray, kind: NullKind, block: int, rng: np.random.Generator) -> FloatArray:
    """Return as many null log returns as there are real ones."""
    m = returns.size
    if kind == "circular_shift":
        return np.roll(returns, -int(rng.integers(m)))
    if kind == "sign_flip":
        return flip_signs(returns[None], rng)[0]
    if kind == "block_bootstrap":
        width = min(block, m)
        starts = rng.integers(m, size=-(-m // width))
        drawn = returns[(starts[:, None] + np.arange(width)).ravel()[:m] % m]
        return returns.mean() + (drawn - drawn.mean())
    shape = rng.standard_normal(m)
    return returns.mean() + returns.std() * ((shape - shape.mean()) / shape.std())


def flip_signs(returns: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Give every return of each ticker a random sign; NaN becomes 0.

    About zero, not about the mean: where volatility comes in clusters the mean is that of the wild days, and taking it
    from the calm ones would make them drift.

    Parameters
    ----------
    returns : (tickers, m)
        Log returns, NaN where a ticker has none.
    rng : numpy.random.Generator
        Where the signs come from.
    """
    signs = 2.0 * rng.integers(0, 2, size=returns.shape, dtype=np.int8) - 1.0
    return np.where(np.isfinite(returns), returns * signs, 0.0)
