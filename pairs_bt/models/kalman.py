"""Kalman filters of a price level and of a hedge ratio: checked faces over the kernels.

Both are filters: the value at bar t uses bars up to t. Both equal ``pykalman.KalmanFilter(...).filter`` of
the same model, started without a prediction before the first bar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pairs_bt.common.array_checks import LARGEST, SMALLEST_VARIANCE, Floats, check_number, check_values
from pairs_bt.errors import DataError
from pairs_bt.kernels.kalman import PATH, STATE, factor_state, hedge_path, local_level_paths


@dataclass(frozen=True)
class HedgeRatioFilter:
    """Path of the regression filter; every path is (n,), a Series where y or x was one.

    Attributes
    ----------
    beta, alpha
        Filtered hedge ratio (units of y per unit of x) and intercept (units of y) after each bar.
    beta_var, alpha_var, beta_alpha_cov
        Their variances and covariance after each bar.
    innovation, innovation_var
        ``e_t = y_t - x_t beta_{t|t-1} - alpha_{t|t-1}`` and its variance ``S_t``; NaN on a masked bar.
    mean, cov
        Last state, (2,) and (2, 2), in the order (beta, alpha).
    """

    beta: Any
    alpha: Any
    beta_var: Any
    alpha_var: Any
    beta_alpha_cov: Any
    innovation: Any
    innovation_var: Any
    mean: Floats
    cov: Floats


def local_level_filter(
    prices: Any,
    *,
    transition_cov: float = 0.05,
    observation_cov: float = 1.0,
    initial_mean: float = 0.0,
    initial_cov: float = 1.0,
) -> Any:
    """Filtered level of a price: a random walk seen through noise.

    Parameters
    ----------
    prices
        (n,) series, or (n, k) with one series in each column; array, Series or frame. A NaN is a missing
        bar: the level stands and its variance grows.
    transition_cov, observation_cov
        Variance of the level's step (>= 0) and of the observation (> 0), in squared units of the price.
    initial_mean, initial_cov
        The level before the first bar, and its variance (>= 0).

    Returns
    -------
    Filtered level after each bar, in the shape and type of ``prices``.

    Raises
    ------
    DataError
        Prices that are empty, not numbers, infinite or not 1-D or 2-D.
    ValueError
        A variance outside its range.

    Notes
    -----
    Harvey, *Forecasting, Structural Time Series Models and the Kalman Filter* (1989), section 4.1.2. The level
    starts at ``initial_mean``, so with the defaults the first bars climb from 0: leave them out of any statistic.
    """
    q = check_number("transition_cov", transition_cov, low=0.0)
    r = check_number("observation_cov", observation_cov, low=SMALLEST_VARIANCE)
    m0 = check_number("initial_mean", initial_mean)
    p0 = check_number("initial_cov", initial_cov, low=0.0)
    values = check_values("prices", prices, ndim=(1, 2))
    rows = np.ascontiguousarray(np.atleast_2d(values.T))
    out = np.empty_like(rows)
    local_level_paths(rows, q, r, m0, p0, out)
    level = out[0] if values.ndim == 1 else np.ascontiguousarray(out.T)
    if isinstance(prices, pd.Series):
        return pd.Series(level, index=prices.index, name=prices.name)
    if isinstance(prices, pd.DataFrame):
        return pd.DataFrame(level, index=prices.index, columns=prices.columns)
    return level


def hedge_ratio_filter(
    y: Any,
    x: Any,
    *,
    delta: float = 1e-3,
    observation_cov: float = 2.0,
    initial_mean: ArrayLike = (0.0, 0.0),
    initial_cov: ArrayLike = ((1.0, 1.0), (1.0, 1.0)),
) -> HedgeRatioFilter:
    """Hedge ratio of y on x as the state of a regression filter.

    ``y_t = beta_t x_t + alpha_t + e_t`` with (beta, alpha) a random walk of covariance ``delta / (1 -
    delta) I``.

    Parameters
    ----------
    y, x
        (n,) prices, y the dependent leg. Two Series must have the same index. A NaN in either is a missing
        bar: the state stands and its variance grows.
    delta
        Speed of the state, in [0, 1). 0 is recursive least squares with a prior.
    observation_cov
        Variance of e, in squared units of y (> 0).
    initial_mean
        (beta, alpha) before the first bar.
    initial_cov
        Its covariance, (2, 2), symmetric, positive semi-definite.

    Returns
    -------
    HedgeRatioFilter
        Paths of beta, alpha, their variances, the innovations, and the last state.

    Raises
    ------
    DataError
        Prices that are empty, not numbers, infinite, of different length or index.
    ValueError
        A parameter outside its range.

    Notes
    -----
    Model and defaults: Chan, *Algorithmic Trading* (2013), chapter 3. The covariance is
    carried in factors (see `pairs_bt.kernels.kalman`): equal to ``(I - K H) P``, without its cancellation.
    """
    delta = check_number("delta", delta, low=0.0)
    if delta >= 1.0:
        raise ValueError(f"delta is {delta:g}; it must be at least 0 and below 1: try 1e-3")
    q = delta / (1.0 - delta)
    r = check_number("observation_cov", observation_cov, low=SMALLEST_VARIANCE)
    state = check_state(initial_mean, initial_cov)
    index = _common_index(y, x)
    ys, xs = check_values("y", y), check_values("x", x)
    if len(ys) != len(xs):
        raise DataError(f"y has {len(ys)} bars and x has {len(xs)}; both legs need the same bars: align them first")
    path = np.empty((PATH, len(ys)))
    hedge_path(ys, xs, q, q, r, False, state, path)
    rows = [row if index is None else pd.Series(row, index=index) for row in path]
    beta, alpha, p00, p01, p11, innovation, variance = rows
    mean, cov = unpack_state(state)
    return HedgeRatioFilter(beta, alpha, p00, p11, p01, innovation, variance, mean, cov)


def unpack_state(state: Floats) -> tuple[Floats, Floats]:
    """Mean (2,) and covariance (2, 2) of a kernel state (5,)."""
    beta, alpha, a, c, v = state
    return np.array([beta, alpha]), np.array([[a, -c * a], [-c * a, v + c * c * a]])


def check_state(mean: ArrayLike, cov: ArrayLike) -> Floats:
    """Kernel state (5,) of a mean (beta, alpha) and a covariance (2, 2), or ValueError."""
    m = _parameter_array("initial_mean", mean, (2,))
    p = _parameter_array("initial_cov", cov, (2, 2))
    trace = p[0, 0] + p[1, 1]
    det = p[0, 0] * p[1, 1] - p[0, 1] * p[1, 0]
    rounding = 1e-12 * p[0, 0] * p[1, 1]
    if any(0.0 < variance < SMALLEST_VARIANCE for variance in (p[0, 0], p[1, 1])):
        raise ValueError(f"initial_cov is {p.tolist()}; a variance is 0 or at least {SMALLEST_VARIANCE:g}")
    if abs(p[0, 1] - p[1, 0]) > 1e-12 * abs(trace) or min(p[0, 0], p[1, 1]) < 0.0 or det < -rounding:
        raise ValueError(
            f"initial_cov is {p.tolist()}; a covariance is symmetric and has no negative eigenvalue: "
            "try [[1, 0], [0, 1]]"
        )
    state = np.empty(STATE)
    factor_state(m, p, state)
    return state


def _parameter_array(name: str, value: ArrayLike, shape: tuple[int, ...]) -> Floats:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.shape != shape:
        raise ValueError(f"{name} is {value!r}; it must hold real numbers in shape {shape}")
    array = array.astype(np.float64)
    if not (np.abs(array) <= LARGEST).all():
        raise ValueError(f"{name} is {array.tolist()}; every element must be finite and below {LARGEST:g}")
    return array


def _common_index(y: Any, x: Any) -> pd.Index | None:
    series = [s for s in (y, x) if isinstance(s, pd.Series)]
    if len(series) == 2 and not series[0].index.equals(series[1].index):
        raise DataError(
            f"y has {len(series[0])} bars and x has {len(series[1])}, and their indexes differ; "
            "both legs need the same bars: align them first, "
            "for example with pd.concat([y, x], axis=1, join='inner')"
        )
    return series[0].index if series else None
