"""Hedge ratios of many pairs at once, row by row: the formulas behind the hedge rules.

Every function takes y and x as (pairs, bars) and returns one ratio a pair (or a bar): units of y per unit of x, so
that y - ratio * x is the spread. Each row is summed by itself, in an order that only its length decides, so a pair
gets the same bytes in any company. NaN where a row has no answer: a NaN in it, or a leg that does not move.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pairs_bt.kernels.hedge_ratios import rolling_lines
from pairs_bt.kernels.kalman import hedge_paths
from pairs_bt.kernels.scan.cointegration import TESTED, johansen_design
from pairs_bt.models import cointegration

Floats = NDArray[np.float64]

# Changes in percent: the same size of number as prices that start at 100, so that Q and R mean the same for both.
PERCENT = 100.0


def _row_sum(values: Floats) -> Floats:
    # numpy's pairwise sum along a contiguous axis depends on the row alone
    return np.asarray(np.ascontiguousarray(values).sum(axis=1))


def _moments(y: Floats, x: Floats) -> tuple[Floats, Floats, Floats]:
    """Centred sums of squares and products: (yy, xx, yx), each (pairs,)."""
    n = y.shape[1]
    # from the first bar, then from the mean: the level is gone before anything is squared
    dy, dx = y - y[:, :1], x - x[:, :1]
    dy = dy - (_row_sum(dy) / n)[:, None]
    dx = dx - (_row_sum(dx) / n)[:, None]
    return _row_sum(dy * dy), _row_sum(dx * dx), _row_sum(dy * dx)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """The quotient, NaN where the denominator is 0."""
    safe = np.where(denominator == 0.0, np.nan, denominator)
    return np.asarray(numerator / safe)


def ols_ratio(y: Floats, x: Floats, *, constant: bool = True) -> Floats:
    """Least squares slope of y on x: cov(y, x) / var(x), or sum(xy) / sum(x**2) without a constant.

    Parameters
    ----------
    y, x : numpy.ndarray, shape (pairs, bars)
        Levels of the train window.
    constant : bool
        Fit an intercept as well.

    Returns
    -------
    numpy.ndarray, shape (pairs,)
    """
    if not constant:
        return _ratio(_row_sum(y * x), _row_sum(x * x))
    _, xx, yx = _moments(y, x)
    return _ratio(yx, xx)


def tls_ratio(y: Floats, x: Floats, *, centred: bool = True) -> Floats:
    """Total least squares: the slope of the first principal component of (x, y).

    With a = sum(yy) - sum(xx) and c = sum(yx): (a + sqrt(a**2 + 4 c**2)) / (2 c), the line with the least sum of
    squared perpendicular distances (Golub and Van Loan 1980). Not free of units: it takes the noise of both legs to
    be equal in the units given.

    Parameters
    ----------
    y, x : numpy.ndarray, shape (pairs, bars)
        Levels of the train window.
    centred : bool
        Take the means out first; without it the line runs through the origin.
    """
    yy, xx, yx = _moments(y, x) if centred else (_row_sum(y * y), _row_sum(x * x), _row_sum(y * x))
    a = yy - xx
    root = np.sqrt(a * a + 4.0 * yx * yx)
    # the two forms are equal; each avoids the difference of near equals that the other has
    return np.where(a >= 0.0, _ratio(a + root, 2.0 * yx), _ratio(2.0 * yx, root - a))


def min_variance_ratio(y: Floats, x: Floats) -> Floats:
    """Ratio that minimises the variance of the hedged position's change: cov(dy, dx) / var(dx).

    Johnson (1960), Ederington (1979). `y`, `x` are levels; their bar-to-bar changes are taken here.
    """
    _, xx, yx = _moments(np.diff(y, axis=1), np.diff(x, axis=1))
    return _ratio(yx, xx)


def johansen_ratio(y: Floats, x: Floats, *, var_order: Literal["theory", "book"] = "theory") -> Floats:
    """Minus the second weight of Johansen's first cointegrating vector, normalised on y: (1, -ratio).

    Lagged differences by AIC: k = max(p - 1, 1) of the order p of the vector autoregression in levels, or
    max(p, 1) under ``"book"``. NaN where the pair cannot be tested (constant, identical, collinear, singular,
    fewer than 40 bars).
    """
    pairs, bars = y.shape
    out = np.full(pairs, np.nan)
    if bars < cointegration.MIN_BARS:
        return out
    inputs = cointegration.prepare(np.concatenate([y, x]))
    # the scan knows which pairs cannot be tested, and their orders
    scanned = cointegration.scan_chunk(inputs, np.arange(pairs), np.arange(pairs, 2 * pairs))
    lags = np.maximum(scanned.var_order - (var_order == "theory"), 1)
    for p in np.flatnonzero(scanned.code == TESTED):
        both = np.ascontiguousarray(inputs.z[[p, pairs + p]])
        regular, _, _, one, two = johansen_design(both, int(lags[p]))
        if regular:
            # z = (level - mean) * scale, so a weight on z is weight * scale on the level
            out[p] = -two * inputs.scale[pairs + p] / (one * inputs.scale[p])
    return out


def market_returns(prices: Floats, rows: NDArray[np.int64]) -> Floats:
    """Daily simple returns of the equal-weight mean of `rows` of prices (tickers, bars): (bars - 1,)."""
    held = prices[rows]
    returns = held[:, 1:] / held[:, :-1] - 1.0
    # one ticker after the other: the order of the sum is the order of the tickers
    total = np.zeros(returns.shape[1])
    for row in returns:
        total += row
    return total / max(rows.size, 1)


def beta_ratio(y: Floats, x: Floats, market: Floats) -> Floats:
    """Dollars of x per dollar of y that leave no exposure to the market: beta_y / beta_x.

    Parameters
    ----------
    y, x : numpy.ndarray, shape (pairs, bars)
        Prices.
    market : numpy.ndarray, shape (bars - 1,)
        The market's simple returns on the same bars.

    Returns
    -------
    numpy.ndarray, shape (pairs,)
        The ratio of the two slopes on the market's return, whose variance cancels.
    """
    index = np.broadcast_to(market, (y.shape[0], market.size))
    _, _, of_y = _moments(y[:, 1:] / y[:, :-1] - 1.0, index)
    _, _, of_x = _moments(x[:, 1:] / x[:, :-1] - 1.0, index)
    return _ratio(of_y, of_x)


def returns_betas(returns: Floats, market: Floats) -> Floats:
    """Slope of each row of returns (tickers, bars) on the market's (bars,); NaN where the market does not move."""
    _, xx, yx = _moments(returns, np.broadcast_to(market, returns.shape))
    return _ratio(yx, xx)


def rolling_ols_line(y: Floats, x: Floats, window: int, n_train: int) -> tuple[Floats, Floats]:
    """Least squares slope and intercept over the last `window` bars (at most the train length) at every bar.

    Bars before the first full window carry its line: they are train bars, so nothing of the trade window moves.

    Returns
    -------
    slope, intercept : numpy.ndarray, shape (pairs, bars)
    """
    bars = min(window, n_train)
    slope, intercept = np.empty(y.shape), np.empty(y.shape)
    rolling_lines(np.ascontiguousarray(y), np.ascontiguousarray(x), bars, slope, intercept)
    for line in (slope, intercept):
        line[:, : bars - 1] = line[:, bars - 1 : bars]
    return slope, intercept


def changes_ratio(
    prices: Floats, iy: NDArray[np.int64], ix: NDArray[np.int64], *, delta: float, observation_cov: float
) -> Floats:
    """Regression filter on daily log changes in percent: dollars of x per dollar of y at every bar.

    ``100 dlog y_t = beta_t 100 dlog x_t + alpha_t + e_t`` with the random-walk state of the filter on levels, started
    at 0. The first bar has no change and is a missing one.

    Parameters
    ----------
    prices : numpy.ndarray, shape (tickers, bars)
        Raw prices; a NaN masks the bars next to it.
    iy, ix : numpy.ndarray, shape (pairs,)
        Rows of `prices`.
    delta, observation_cov : float
        Noise of the state (Q = delta / (1 - delta) I) and of a day's change, in squared percent.

    Returns
    -------
    numpy.ndarray, shape (pairs, bars)
    """
    rows, place = np.unique(np.concatenate([iy, ix]), return_inverse=True)
    held = prices[rows]
    changes = np.full_like(held, np.nan)
    changes[:, 1:] = PERCENT * np.log(held[:, 1:] / held[:, :-1])
    beta, alpha = np.empty((iy.size, held.shape[1])), np.empty((iy.size, held.shape[1]))
    hedge_paths(
        changes, place[: iy.size], place[iy.size :], delta, observation_cov, np.zeros(2), np.ones((2, 2)), beta, alpha
    )
    return beta
