"""A hedge ratio that reverts to its own mean, fitted to the train window of each pair and filtered over all bars.

The model is written out in :mod:`pairs_bt.kernels.kalman_reverting`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairs_bt.errors import DataError
from pairs_bt.kernels import kalman_reverting as kernel

Floats = NDArray[np.float64]

#: What a ratio that moves must add to the log-likelihood: the likelihood ratio test of two parameters at 5%.
GAIN = 3.0
#: What the fit of a pair came to, by its number.
FLAGS = ("", "constant ratio", "no answer")


@dataclass(frozen=True)
class RevertingRatios:
    """Ratios of many pairs that revert to their means, and the fit behind each.

    Attributes
    ----------
    beta : numpy.ndarray, shape (pairs, bars)
        E[beta_t] by the bars up to t; NaN in a row without an answer.
    forecast : numpy.ndarray, shape (pairs, bars)
        E[beta_{t+1}] by the bars up to t: mean + phi (beta_t - mean), the ratio that hedges the bar after t.
    phi, mean, alpha, step_var, shock_var, log_likelihood : numpy.ndarray, shape (pairs,)
        The fit: 0 <= phi < 1, the mean b, the intercept, Var w and Var e, and the log-likelihood of the train window.
    flag : numpy.ndarray of int8, shape (pairs,)
        Place in `FLAGS`. A constant ratio has phi = step_var = 0 and the least squares line.
    """

    beta: Floats
    forecast: Floats
    phi: Floats
    mean: Floats
    alpha: Floats
    step_var: Floats
    shock_var: Floats
    log_likelihood: Floats
    flag: NDArray[np.int8]


def reverting_ratios(y: Floats, x: Floats, n_train: int, *, gain: float = GAIN) -> RevertingRatios:
    """Fit beta_t - b = phi (beta_{t-1} - b) + w_t, y_t = alpha + beta_t x_t + e_t, and filter it.

    All five parameters are of the greatest exact likelihood of the first `n_train` bars, each pair by itself; later
    bars are filtered with them.

    Parameters
    ----------
    y, x : numpy.ndarray, shape (pairs, bars)
        Levels; a bar with NaN is predicted only.
    n_train : int
        Bars of the fit.
    gain : float
        Log-likelihood that a moving ratio must add; else the ratio is constant, the least squares slope.

    Returns
    -------
    RevertingRatios
        NaN in a row of fewer than four known train bars, or whose x does not move in them.

    Raises
    ------
    DataError
        Shapes that differ, a train length outside the bars, or a `gain` below 0.

    References
    ----------
    Harvey (1989), *Forecasting, structural time series models and the Kalman filter*, sections 3.4.2 and 3.4.3.
    """
    levels_y, levels_x = (np.ascontiguousarray(values, dtype=np.float64) for values in (y, x))
    if levels_y.ndim != 2 or levels_y.shape != levels_x.shape:
        raise DataError(f"y and x are {levels_y.shape} and {levels_x.shape}: give both as (pairs, bars)")
    if not 0 < n_train <= levels_y.shape[1]:
        raise DataError(f"n_train is {n_train}: give 1 to {levels_y.shape[1]}, the bars there are")
    if not gain >= 0.0:
        raise DataError(f"gain is {gain}: a log-likelihood to add is 0 or more")
    found = np.empty((levels_y.shape[0], 6))
    flag = np.empty(levels_y.shape[0], np.int8)
    beta = np.empty(levels_y.shape)
    kernel.fit_pairs(levels_y, levels_x, n_train, gain, found, flag)
    kernel.filter_pairs(levels_y, levels_x, found, beta)
    phi, mean = found[:, kernel.PHI, None], found[:, kernel.MEAN, None]
    phis, means, alpha, step_var, shock_var, likelihood = found.T
    return RevertingRatios(beta, mean + phi * (beta - mean), phis, means, alpha, step_var, shock_var, likelihood, flag)
