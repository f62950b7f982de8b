"""How far a Sharpe ratio can be trusted: probabilistic, minimum track record, deflated.

Everything here is in daily units: a daily Sharpe ratio is the annual one divided by sqrt(252).

References
----------
Bailey, D. H. and Lopez de Prado, M. (2012), "The Sharpe Ratio Efficient Frontier", Journal of Risk 15(2).
Bailey, D. H. and Lopez de Prado, M. (2014), "The Deflated Sharpe Ratio: Correcting for Selection Bias,
Backtest Overfitting and Non-Normality", Journal of Portfolio Management 40(5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]
Returns = FloatArray | pd.Series

_NORMAL = NormalDist()
_EULER_GAMMA = 0.5772156649015329


def checked_values(values: object, name: str = "returns") -> FloatArray:
    """Values as a one-dimensional float64 array; ValueError on any other shape, on NaN and on infinities."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, got shape {array.shape}: pass one column at a time")
    finite = np.isfinite(array)
    if not finite.all():
        position = int(np.argmin(finite))
        place = f"position {position}"
        if isinstance(values, pd.Series):
            place += f" ({values.index[position]})"
        raise ValueError(
            f"{name} has {array[position]} at {place}: every value must be finite; "
            "drop the day, or put 0.0 where nothing was held"
        )
    return array


@dataclass(frozen=True)
class SharpeMoments:
    """The four numbers that the formulas of this module need, all of daily returns.

    Attributes
    ----------
    sharpe : float
        Mean over standard deviation (ddof 1), daily, not annualised. NaN if undefined.
    n : int
        Number of days.
    skew, kurtosis : float
        Population moments m3/m2^1.5 and m4/m2^2; kurtosis is not in excess (3 for a normal).
    """

    sharpe: float
    n: int
    skew: float
    kurtosis: float


def sharpe_moments(returns: Returns, *, risk_free: float = 0.0) -> SharpeMoments:
    """Daily Sharpe, length, skew and kurtosis of `returns` (n,); NaN if constant or shorter than two."""
    excess = checked_values(returns) - risk_free
    n = excess.size
    if n < 2 or excess.min() == excess.max():
        return SharpeMoments(math.nan, n, math.nan, math.nan)
    centred = excess - excess.mean()
    # Scaled by the largest deviation, so that cubes and fourth powers of tiny returns do not underflow.
    scaled = centred / np.abs(centred).max()
    squares = scaled * scaled
    m2 = float(squares.mean())
    skew = float((squares * scaled).mean()) / m2**1.5
    kurtosis = float((squares * squares).mean()) / m2**2
    return SharpeMoments(float(excess.mean() / excess.std(ddof=1)), n, skew, kurtosis)


def _sharpe_variance(moments: SharpeMoments) -> float:
    # (n - 1) Var(SR) = 1 - g3 SR + (g4 - 1)/4 SR^2 (2012)
    sharpe = moments.sharpe
    variance = 1.0 - moments.skew * sharpe + (moments.kurtosis - 1.0) / 4.0 * sharpe**2
    return variance if variance > 0.0 else math.nan


def probabilistic_sharpe(returns: Returns | SharpeMoments, benchmark: float = 0.0) -> float:
    """Probability that the true daily Sharpe exceeds `benchmark` (Bailey and Lopez de Prado 2012).

    PSR = Phi[(SR - SR*) sqrt(n - 1) / sqrt(1 - g3 SR + (g4 - 1)/4 SR^2)], for independent returns: it
    knows of skew and fat tails, not of autocorrelation.

    Parameters
    ----------
    returns : array or Series (n,), or SharpeMoments
        Daily simple returns, without NaN, or their moments.
    benchmark : float
        SR*, a daily Sharpe ratio.

    Returns
    -------
    float
        In [0, 1]; NaN if the Sharpe ratio is undefined.
    """
    moments = returns if isinstance(returns, SharpeMoments) else sharpe_moments(returns)
    variance = _sharpe_variance(moments)
    if math.isnan(variance):
        return math.nan
    z = (moments.sharpe - benchmark) * math.sqrt(moments.n - 1) / math.sqrt(variance)
    # erfc keeps the relative precision of the lower tail that 1 + erf loses.
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def minimum_track_record_length(
    returns: Returns | SharpeMoments, benchmark: float = 0.0, *, level: float = 0.95
) -> float:
    """Days needed before the observed Sharpe beats `benchmark` at `level` (2012).

    MinTRL = 1 + [1 - g3 SR + (g4 - 1)/4 SR^2] (z_level / (SR - SR*))^2.

    Parameters
    ----------
    returns : array or Series (n,), or SharpeMoments
        Daily simple returns, without NaN, or their moments.
    benchmark : float
        SR*, a daily Sharpe ratio.
    level : float
        One-sided confidence, in (0.5, 1).

    Returns
    -------
    float
        Days; inf if the observed Sharpe does not exceed the benchmark; NaN if it is undefined.
    """
    if not 0.5 < level < 1.0:
        raise ValueError(f"level is {level}: a one-sided confidence lies between 0.5 and 1, usually 0.95")
    moments = returns if isinstance(returns, SharpeMoments) else sharpe_moments(returns)
    variance = _sharpe_variance(moments)
    if math.isnan(variance):
        return math.nan
    if moments.sharpe <= benchmark:
        return math.inf
    return 1.0 + variance * (_NORMAL.inv_cdf(level) / (moments.sharpe - benchmark)) ** 2


def expected_maximum_sharpe(trials: float, trial_variance: float) -> float:
    """Expected best daily Sharpe of `trials` independent strategies that have none (2014).

    SR0 = sqrt(V) [(1 - gamma) Phi^-1(1 - 1/N) + gamma Phi^-1(1 - 1/(N e))], gamma Euler's constant.

    Parameters
    ----------
    trials : float
        N, the number of independent trials, at least 1 (an effective number need not be whole).
    trial_variance : float
        V, the variance of the trials' daily Sharpe ratios.

    Returns
    -------
    float
        A daily Sharpe ratio; 0 for one trial, where nothing was chosen.
    """
    if not trials >= 1.0 or not math.isfinite(trials):
        raise ValueError(f"trials is {trials}: it counts the strategies tried, so it is finite and at least 1")
    if not trial_variance >= 0.0 or not math.isfinite(trial_variance):
        raise ValueError(f"trial_variance is {trial_variance}: a variance is finite and not negative")
    if trials == 1.0:
        return 0.0
    best = (1.0 - _EULER_GAMMA) * _NORMAL.inv_cdf(1.0 - 1.0 / trials)
    best += _EULER_GAMMA * _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    # The asymptotic formula dips below zero for fewer than about 1.3 trials; a best of N cannot.
    return math.sqrt(trial_variance) * max(best, 0.0)


def deflated_sharpe(returns: Returns | SharpeMoments, *, trials: float, trial_variance: float) -> float:
    """Probability that the best of `trials` strategies has a true Sharpe above zero (2014).

    DSR = PSR(SR0), with SR0 from `expected_maximum_sharpe`.

    Parameters
    ----------
    returns : array or Series (n,), or SharpeMoments
        Daily simple returns of the chosen strategy, without NaN, or their moments.
    trials, trial_variance : float
        Number of independent trials and variance of the daily Sharpe ratios over all trials.

    Returns
    -------
    float
        In [0, 1]; NaN if the Sharpe ratio is undefined.
    """
    return probabilistic_sharpe(returns, expected_maximum_sharpe(trials, trial_variance))
