"""Half-life and rolling z-score of a spread: checked faces over the kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.common.array_checks import check_values
from pairs_bt.errors import DataError
from pairs_bt.kernels.mean_reversion import reversion, rolling_zscores


def half_life(spread: Any) -> float:
    """Bars in which an Ornstein-Uhlenbeck spread loses half its distance from the mean.

    OLS of ``s_t - s_{t-1}`` on a constant and ``s_{t-1}``; half-life = -ln 2 / slope.

    Parameters
    ----------
    spread
        (n,) array or Series. A NaN takes the two differences that touch it out of the regression.

    Returns
    -------
    float
        Bars; inf where slope >= 0 (no reversion); NaN where the spread is constant, which has no slope.

    Raises
    ------
    DataError
        Fewer than 3 differences, infinite values or something that is not a number.

    Notes
    -----
    Chan, *Algorithmic Trading* (2013), chapter 2. Under a unit root the slope is biased below zero, so a half-life is
    no evidence of reversion: test for cointegration first.
    """
    values = check_values("spread", spread)
    lag, lead = values[:-1], values[1:]
    complete = ~np.isnan(lag) & ~np.isnan(lead)
    if complete.sum() < 3:
        raise DataError(
            f"spread has {len(values)} bars and {int(complete.sum())} differences without NaN; "
            "a half-life needs at least 3 differences"
        )
    _, bars = reversion(lag[complete], lead[complete])
    return float(bars)


def rolling_zscore(spread: Any, window: int) -> Any:
    """Distance of the spread from its rolling mean, in rolling standard deviations (ddof 1).

    Parameters
    ----------
    spread
        (n,) array or Series.
    window
        Bars in the mean and the standard deviation, at least 2; the current bar is the last of them.

    Returns
    -------
    (n,) z-score in the type of ``spread``. NaN until the window is full, where a NaN is in the window, and where
    the window has no variance.

    Raises
    ------
    DataError
        Infinite values or something that is not a number.
    ValueError
        A window that is not an integer of at least 2.

    Notes
    -----
    Two passes over each window: at a level of 1e5 with a standard deviation of 0.01 a running sum of squares keeps no
    digit. |z| cannot exceed (window - 1) / sqrt(window).
    """
    if isinstance(window, (bool, np.bool_)) or not isinstance(window, (int, np.integer)) or window < 2:
        raise ValueError(f"window is {window!r}; it must be an integer of at least 2 bars")
    values = check_values("spread", spread)
    z = np.empty((1, len(values)))
    rolling_zscores(values[np.newaxis, :], 0, np.array([min(int(window), len(values) + 1)]), z)
    return pd.Series(z[0], index=spread.index, name=spread.name) if isinstance(spread, pd.Series) else z[0]
