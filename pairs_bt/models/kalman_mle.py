"""The regression filter's noise by maximum likelihood, pair by pair: checked face over the kernel.

The likelihood is that of the innovations over the train window, so nothing after it can move the noise. It starts
at (0, 0) with covariance kappa R I (kappa 1e6), which says that nothing is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pairs_bt.common.array_checks import check_values
from pairs_bt.errors import DataError
from pairs_bt.kernels import kalman_mle as kernel

NoiseModel = Literal["mle", "mle_two"]

#: What became of a fit, by flag.
FLAGS = ("", "flat likelihood", "at the lower bound", "at the upper bound", "no likelihood")
#: Fits that are used. At the lower bound the state stands still: the filter is recursive least squares, the answer for
#: a ratio that does not move. The other flags fall back to the fixed noise.
USED = (kernel.FITTED, kernel.LOWER)

#: Innovations left out of the likelihood because the state is not known before them: one for each of its parts.
BURN = 2
MIN_BARS = 30


@dataclass(frozen=True)
class PairNoise:
    """Noise of many pairs' filters and how each was found.

    Attributes
    ----------
    q : numpy.ndarray, shape (pairs, 2)
        Variances of the steps of beta and alpha.
    r : numpy.ndarray, shape (pairs,)
        Variance of the observation.
    log_likelihood : numpy.ndarray, shape (pairs,)
        At the maximum; NaN where there is none.
    flag : numpy.ndarray of int8, shape (pairs,)
        Index into `FLAGS`; where it is not in `USED`, `q` and `r` are the fixed ones.
    """

    q: np.ndarray
    r: np.ndarray
    log_likelihood: np.ndarray
    flag: np.ndarray


@dataclass(frozen=True)
class NoiseFit:
    """Noise of one pair.

    Attributes
    ----------
    q_beta, q_alpha : float
        Variances of the steps of beta and alpha.
    delta : float
        q_beta / (1 + q_beta): the delta of :func:`pairs_bt.models.kalman.hedge_ratio_filter` under the model of one.
    observation_cov : float
        Variance of the observation.
    log_likelihood : float
        Of the innovations after the first two.
    flag : str
        One of `FLAGS`; '' where the maximum is inside the range that was searched.
    """

    q_beta: float
    q_alpha: float
    delta: float
    observation_cov: float
    log_likelihood: float
    flag: str


def burn_in_bars(transition_cov: float, observation_cov: float, *, start: float = 100.0, within: float = 1e-3) -> int:
    """Bars after which the local level filter has forgotten that it began at 0.

    The weight of the start is the product of (1 - gain); counted until `start` times it is below `within`.
    """
    weight, p, bars = 1.0, 1.0, 0
    while start * weight > within and bars < 10_000:
        if bars:
            p += transition_cov
        weight *= observation_cov / (p + observation_cov)
        p = p * observation_cov / (p + observation_cov)
        bars += 1
    return bars


def fit_noise(y: Any, x: Any, *, model: NoiseModel = "mle", burn: int = BURN) -> NoiseFit:
    """Fit the noise of the hedge-ratio filter to one pair.

    Model: ``y_t = beta_t x_t + alpha_t + e_t``, (beta, alpha) a random walk, started at (0, 0) with covariance
    1e6 R I; R is concentrated out of the likelihood.

    Parameters
    ----------
    y, x : (n,) array_like
        Levels, 30 bars or more. A NaN in either is a missing bar.
    model : {'mle', 'mle_two'}
        One variance for the steps of both parts of the state (the delta of the filter), or one for each.
    burn : int
        Bars whose innovations do not count, at least 2.

    Returns
    -------
    NoiseFit
        The maximum, even where it is flagged; what to do then is the caller's choice.

    Raises
    ------
    DataError
        Values that are not numbers or infinite, different lengths, too few bars.
    ValueError
        An unknown model, or a burn below 2 or beyond half of the bars.
    """
    if model not in ("mle", "mle_two"):
        raise ValueError(f"model is {model!r}; it must be 'mle' (one variance) or 'mle_two' (one for each state)")
    rows = [check_values("y", y), check_values("x", x)]
    n = rows[0].size
    if rows[1].size != n:
        raise DataError(f"y has {n} bars and x {rows[1].size}; align the two series first.")
    if n < MIN_BARS:
        raise DataError(f"The series have {n} bars; a likelihood of two or three variances needs {MIN_BARS} or more.")
    if not BURN <= burn <= n // 2:
        raise ValueError(f"burn is {burn}; with {n} bars it must be from {BURN} to {n // 2}")
    first = np.zeros(1, np.int64)
    q, r, value, flag = _fit(np.ascontiguousarray(rows), first, first + 1, n, burn, model)
    q_beta, q_alpha = (float(part) for part in q[0])
    delta = q_beta / (1.0 + q_beta)
    level = float(value[0]) if flag[0] != kernel.FAILED else math.nan
    return NoiseFit(q_beta, q_alpha, delta, float(r[0]), level, FLAGS[int(flag[0])])


def pair_noise(
    levels: np.ndarray,
    iy: np.ndarray,
    ix: np.ndarray,
    n_train: int,
    *,
    model: Literal["fixed", "mle", "mle_two"],
    delta: float,
    observation_cov: float,
    burn: int = BURN,
) -> PairNoise:
    """Noise of many pairs' filters: the fixed one, or each pair's own, fitted to the train window.

    Parameters
    ----------
    levels : numpy.ndarray, shape (tickers, bars)
        What the regression filter sees, contiguous. Bars from `n_train` on are not read.
    iy, ix : numpy.ndarray of int64, shape (pairs,)
        Rows of y and x.
    n_train : int
        Train length.
    model : {'fixed', 'mle', 'mle_two'}
        See :func:`fit_noise`.
    delta, observation_cov : float
        The fixed noise, and what a pair falls back to whose fit is not in `USED`.
    burn : int
        Bars whose innovations do not count.
    """
    pairs = iy.size
    q = np.full((pairs, 2), delta / (1.0 - delta))
    r = np.full(pairs, observation_cov)
    value = np.full(pairs, np.nan)
    flag = np.zeros(pairs, np.int8)
    if model == "fixed":
        return PairNoise(q, r, value, flag)
    fitted_q, fitted_r, value, flag = _fit(levels, iy, ix, n_train, burn, model)
    good = np.isin(flag, USED)
    q[good], r[good] = fitted_q[good], fitted_r[good]
    return PairNoise(q, r, np.where(flag == kernel.FAILED, np.nan, value), flag)


def _fit(
    levels: np.ndarray, iy: np.ndarray, ix: np.ndarray, n_train: int, burn: int, model: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    pairs = iy.size
    q, r, value, flag = np.empty((pairs, 2)), np.empty(pairs), np.empty(pairs), np.empty(pairs, np.int8)
    if n_train - burn < MIN_BARS - BURN:
        flag[:] = kernel.FAILED
        return q, r, value, flag
    kernel.fit_noise(levels, iy, ix, n_train, burn, model == "mle_two", q, r, value, flag)
    return q, r, value, flag
