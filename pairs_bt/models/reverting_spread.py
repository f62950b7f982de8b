"""A hedge ratio that moves beside a spread that reverts: fit and filter of one pair or of many.

The regression filter calls everything it does not know white noise. A spread that reverts is no white noise: it stays
away for days, and a filter that must explain it moves the ratio instead. Here the spread is part of the state, so that
what reverts is told from what stays (the model is written out in :mod:`pairs_bt.kernels.reverting_spread`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pairs_bt.common.array_checks import check_number, check_values
from pairs_bt.errors import DataError
from pairs_bt.kernels import reverting_spread as kernel

#: What became of a fit, by flag.
FLAGS = ("", "no reversion", "no likelihood")
#: Log-likelihood that a moving ratio has to gain over one that stands still. Chosen on planted pairs
#: (`benchmarks/planted_truth.py`): 0 lets the ratio chase the spread where it is constant, 1 (Akaike's price of a
#: parameter) finds it too late where it breaks or walks.
GAIN = 0.5
MIN_BARS = 60


@dataclass(frozen=True)
class SpreadFit:
    """Fit of one pair.

    Attributes
    ----------
    phi : float
        Autocorrelation of the spread from bar to bar, in (0, 1).
    half_life : float
        ln 2 / -ln phi, in bars.
    deviation : float
        Stationary standard deviation of the spread, in units of y.
    step_var : float
        Variance of a bar's step of the hedge ratio; 0 where a moving ratio does not pay.
    shock_var : float
        Variance of a bar's shock to the spread, in squared units of y.
    log_likelihood : float
        At the maximum, of the innovations after the first two.
    gain : float
        What a moving ratio adds to the log-likelihood of one that stands still.
    flag : str
        One of `FLAGS`. "no reversion": the half-life is at the longest that is searched, half of the bars.
    """

    phi: float
    half_life: float
    deviation: float
    step_var: float
    shock_var: float
    log_likelihood: float
    gain: float
    flag: str


@dataclass(frozen=True)
class SpreadPath:
    """Filtered state of one pair after each bar; every array (n,).

    Attributes
    ----------
    beta, alpha : numpy.ndarray
        Hedge ratio (units of y per unit of x) and intercept (units of y).
    spread : numpy.ndarray
        y - beta x - alpha; NaN on a bar without both prices.
    innovation, innovation_var : numpy.ndarray
        What the bar brought that was not expected, and its variance; NaN on a bar without both prices.
    beta_var : numpy.ndarray
        Variance of beta given all bars so far.
    """

    beta: np.ndarray
    alpha: np.ndarray
    spread: np.ndarray
    innovation: np.ndarray
    innovation_var: np.ndarray
    beta_var: np.ndarray


@dataclass(frozen=True)
class PairSpreads:
    """The model of many pairs over train and trade window.

    Attributes
    ----------
    beta, alpha, spread, innovation, innovation_var, beta_var : numpy.ndarray, shape (pairs, bars)
        As in :class:`SpreadPath`.
    deviation : numpy.ndarray, shape (pairs,)
        Standard deviation of the filtered spread over the train bars that count. It is below the stationary one where
        the ratio moves, because part of every deviation is taken for a step of the ratio.
    half_life : numpy.ndarray, shape (pairs,)
        In bars; inf where the spread does not revert.
    flag : numpy.ndarray of int8, shape (pairs,)
        Index into `FLAGS`.
    step_var, shock_var, log_likelihood : numpy.ndarray, shape (pairs,)
        As in :class:`SpreadFit`.
    """

    beta: np.ndarray
    alpha: np.ndarray
    spread: np.ndarray
    innovation: np.ndarray
    innovation_var: np.ndarray
    beta_var: np.ndarray
    deviation: np.ndarray
    half_life: np.ndarray
    flag: np.ndarray
    step_var: np.ndarray
    shock_var: np.ndarray
    log_likelihood: np.ndarray


def _two_rows(y: Any, x: Any) -> np.ndarray:
    rows = [check_values("y", y), check_values("x", x)]
    if rows[0].size != rows[1].size:
        raise DataError(f"y has {rows[0].size} bars and x {rows[1].size}; align the two series first.")
    return np.ascontiguousarray(rows)


def fit_reverting_spread(y: Any, x: Any, *, gain: float = GAIN) -> SpreadFit:
    """Fit ``y_t = alpha + beta_t x_t + u_t`` with a spread u that reverts and a ratio that may walk.

    ``u_t = phi u_{t-1} + e_t``, ``beta_t = beta_{t-1} + w_t``; alpha and the first beta are not known at all.

    Parameters
    ----------
    y, x : (n,) array_like
        Levels (prices or log prices), 60 bars or more. A NaN in either is a missing bar.
    gain : float
        A moving ratio is taken only where it raises the log-likelihood by more than this (>= 0).

    Returns
    -------
    SpreadFit

    Raises
    ------
    DataError
        Values that are not numbers or infinite, different lengths, too few bars.
    ValueError
        A negative gain.

    See Also
    --------
    reverting_spread_filter : the path of the ratio and the spread.

    Notes
    -----
    Elliott, van der Hoek and Malcolm (2005), Quantitative Finance 5; Clegg and Krauss (2018), Quantitative Finance 18
    (a spread that reverts beside a part that does not). Fitted on n bars, phi is too small by about (1 + 3 phi) / n,
    as every autoregression (Kendall 1954), so that half-lives come out short.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(3)
    >>> x, u = 100 + rng.normal(size=500).cumsum(), np.zeros(500)
    >>> for t in range(1, 500):
    ...     u[t] = 0.9 * u[t - 1] + rng.normal()
    >>> fit = fit_reverting_spread(20 + 0.7 * x + u, x)
    >>> 0.85 < fit.phi < 0.95, fit.step_var
    (True, 0.0)
    """
    rows = _two_rows(y, x)
    gain = check_number("gain", gain, low=0.0)
    if rows.shape[1] < MIN_BARS:
        raise DataError(f"The series have {rows.shape[1]} bars; a fit of this model needs {MIN_BARS} or more.")
    first = np.zeros(1, np.int64)
    found, flag = _fit(rows, first, first + 1, rows.shape[1], gain)
    phi, g, shock, value, more = (float(part) for part in found[0])
    bad = flag[0] == kernel.FAILED
    life = math.nan if bad else -math.log(2.0) / math.log(phi)
    deviation = math.sqrt(shock / (1.0 - phi * phi)) if not bad else math.nan
    return SpreadFit(phi, life, deviation, shock * g, shock, math.nan if bad else value, more, FLAGS[int(flag[0])])


def reverting_spread_filter(y: Any, x: Any, *, phi: float, step_var: float, shock_var: float) -> SpreadPath:
    """Filter the ratio and the spread with given parameters; the value at a bar uses bars up to it.

    Parameters
    ----------
    y, x : (n,) array_like
        Levels. A NaN in either is a missing bar: ratio and intercept stand, the spread is NaN. The start, which knows
        nothing, takes its units from the whole series, and no value depends on it after two bars.
    phi : float
        In (0, 1).
    step_var : float
        Variance of a bar's step of the ratio, >= 0.
    shock_var : float
        Variance of a bar's shock to the spread, > 0, in squared units of y.

    Returns
    -------
    SpreadPath

    Raises
    ------
    DataError
        Values that are not numbers or infinite, different lengths.
    ValueError
        A parameter outside its range.
    """
    rows = _two_rows(y, x)
    phi = check_number("phi", phi, low=0.0)
    step_var = check_number("step_var", step_var, low=0.0)
    shock_var = check_number("shock_var", shock_var, low=0.0)
    if not 0.0 < phi < 1.0:
        raise ValueError(f"phi is {phi:g}; a spread that reverts has 0 < phi < 1: try 0.95")
    if shock_var == 0.0:
        raise ValueError("shock_var is 0; without shocks there is no spread: it must be above 0")
    first = np.zeros(1, np.int64)
    out = _filter(rows, first, first + 1, rows.shape[1], np.array([phi]), np.array([step_var / shock_var]))
    beta, alpha, spread, innovation, variance, beta_var = (part[0] for part in out)
    return SpreadPath(beta, alpha, spread, innovation, variance * shock_var, beta_var * shock_var)


def pair_spreads(levels: np.ndarray, iy: np.ndarray, ix: np.ndarray, n_train: int, first: int) -> PairSpreads:
    """Fit many pairs on their train bars and filter them over all bars.

    Parameters
    ----------
    levels : numpy.ndarray, shape (tickers, bars)
        Contiguous. Fits read the first `n_train` bars alone.
    iy, ix : numpy.ndarray of int64, shape (pairs,)
        Rows of y and x.
    n_train : int
        Train length.
    first : int
        The first train bar that counts for the deviation of the filtered spread.
    """
    found, flag = _fit(levels, iy, ix, n_train, GAIN)
    good = flag != kernel.FAILED
    phi, g = np.where(good, found[:, 0], 0.5), np.where(good, found[:, 1], 0.0)
    beta, alpha, spread, innovation, variance, beta_var = _filter(levels, iy, ix, n_train, phi, g)
    shock = np.where(good, found[:, 2], np.nan)
    train = np.ascontiguousarray(spread[:, first:n_train])
    centred = train - train.mean(axis=1, keepdims=True)
    deviation = np.sqrt((centred * centred).mean(axis=1)) if train.shape[1] > 1 else np.full(iy.size, np.nan)
    life = np.where(flag == kernel.FITTED, -math.log(2.0) / np.log(phi), np.inf)
    return PairSpreads(
        beta, alpha, spread, innovation, variance * shock[:, None], beta_var * shock[:, None], deviation, life, flag,
        step_var=g * shock, shock_var=shock, log_likelihood=np.where(good, found[:, 3], np.nan),
    )  # fmt: skip


def _fit(
    levels: np.ndarray, iy: np.ndarray, ix: np.ndarray, n_train: int, gain: float
) -> tuple[np.ndarray, np.ndarray]:
    found, flag = np.full((iy.size, 5), np.nan), np.full(iy.size, kernel.FAILED, np.int8)
    if n_train >= MIN_BARS:
        kernel.fit_pairs(levels, iy, ix, n_train, gain, found, flag)
    return found, flag


def _filter(
    levels: np.ndarray, iy: np.ndarray, ix: np.ndarray, n_train: int, phi: np.ndarray, g: np.ndarray
) -> tuple[np.ndarray, ...]:
    out = tuple(np.empty((iy.size, levels.shape[1])) for _ in range(6))
    kernel.filter_pairs(levels, iy, ix, n_train, phi, g, *out)
    return out
