"""What trying costs: deflated Sharpe ratio, probability of overfitting, and whether anything beats the base.

References
----------
Hansen, P. R. (2005), "A test for superior predictive ability", Journal of Business & Economic Statistics 23.
White, H. (2000), "A reality check for data snooping", Econometrica 68.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pairs_bt.inference import stationary_bootstrap_indices, unusable
from pairs_bt.overfitting import deflated_best, effective_trials, probability_of_backtest_overfitting
from pairs_bt.performance import sharpe

Floats = NDArray[np.float64]

_CHUNK = 64
# Fewer days than this in a part of the history say nothing about a Sharpe ratio.
_DAYS_A_PART = 20


@dataclass(frozen=True)
class TrialCost:
    """What is left of the best of many trials; NaN, with `reason`, where the sample cannot say.

    Attributes
    ----------
    trials : int
        Return series compared.
    effective : float
        Independent trials that they amount to, from their mean correlation.
    correlation : float
        That mean correlation, 0 where it is negative.
    best : str
        Column with the highest Sharpe ratio.
    sharpe : float
        Its annual Sharpe ratio.
    expected_maximum : float
        Annual Sharpe ratio that the best of `effective` trials without skill would show.
    probabilistic, deflated, deflated_all : float
        Probability that its true Sharpe ratio is above 0: taken alone; after `effective` trials; after all.
    pbo, probability_of_loss : float
        Of the best setting of half of the history: probability that it is at or below the median in the other half;
        that it loses there.
    partitions : int
        Parts of the history behind them; 0 where it is too short.
    superior : float
        p-value of "nothing beats the base" (consistent), and its bounds `superior_lower`, `superior_upper`.
    reason : str
        Why something is NaN.
    """

    trials: int
    effective: float
    correlation: float
    best: str
    sharpe: float
    expected_maximum: float
    probabilistic: float
    deflated: float
    deflated_all: float
    pbo: float
    probability_of_loss: float
    partitions: int
    superior: float
    superior_lower: float
    superior_upper: float
    reason: str


def cost_of_trying(
    returns: pd.DataFrame, base: str | None, *, partitions: int, draws: int, block: int, seed: int
) -> TrialCost:
    """Judge the best of all columns by what it took to find it.

    Parameters
    ----------
    returns : DataFrame (days, trials)
        Daily net returns of every trial, the poor ones too; without NaN.
    base : str or None
        Column that the others are to beat; None where there is none.
    partitions, draws, block, seed : int
        Parts of the history; resamples, mean block length in days, seed of the bootstrap.
    """
    year = math.sqrt(252)
    count = returns.shape[1]
    reasons = []
    nothing = dict.fromkeys(("expected_maximum", "probabilistic", "deflated", "deflated_all"), math.nan)
    if not any(returns[name].nunique() > 1 for name in returns.columns):
        name = base if base is not None else str(returns.columns[0])
        return TrialCost(
            trials=count, effective=math.nan, correlation=math.nan, best=name, sharpe=math.nan, **nothing,
            pbo=math.nan, probability_of_loss=math.nan, partitions=0, superior=math.nan, superior_lower=math.nan,
            superior_upper=math.nan, reason="nothing was traded",
        )  # fmt: skip
    found = deflated_best(returns)
    effective = effective_trials(returns)
    moving = sum(returns[name].nunique() > 1 for name in returns.columns)
    correlation = (moving - effective) / (moving - 1) if moving > 1 else math.nan
    parts = min(partitions, len(returns) // _DAYS_A_PART // 2 * 2)
    pbo = loss = math.nan
    if count < 2:
        reasons.append("one trial: nothing was chosen")
    elif parts < 2:
        reasons.append(f"{len(returns)} days are too few for two parts of {_DAYS_A_PART}")
    else:
        split = probability_of_backtest_overfitting(returns, partitions=parts)
        pbo, loss = split.pbo, split.probability_of_loss
    lower = consistent = upper = math.nan
    if base is not None and count > 1:
        lower, consistent, upper, why = superiority(returns, base, draws=draws, block=block, seed=seed)
        reasons += [why] if why else []
    return TrialCost(
        trials=count, effective=effective, correlation=correlation, best=found.best,
        sharpe=sharpe(returns[found.best]), expected_maximum=found.expected_maximum * year,
        probabilistic=found.probabilistic, deflated=found.deflated, deflated_all=found.deflated_all,
        pbo=pbo, probability_of_loss=loss, partitions=parts if not math.isnan(pbo) else 0,
        superior=consistent, superior_lower=lower, superior_upper=upper, reason="; ".join(reasons),
    )  # fmt: skip


def superiority(
    returns: pd.DataFrame, base: str, *, draws: int, block: int, seed: int
) -> tuple[float, float, float, str]:
    """p-values of "no column earns more than the base" (Hansen 2005), as `arch.bootstrap.SPA` gives them.

    The statistic is the largest mean daily difference to the base, without studentising; the columns' means are
    recentred in the stationary bootstrap by the three rules of the paper. Blocks are summed by differences of running
    sums, so that hundreds of columns cost no more than their blocks.

    Returns
    -------
    lower, consistent, upper : float
        Shares of the resamples, so 0 means below 1/draws; NaN with a reason where there is nothing to compare.
    reason : str
    """
    own = returns[base].to_numpy(dtype=np.float64)
    gaps = returns.drop(columns=base).to_numpy(dtype=np.float64) - own[:, None]
    largest = float(np.abs(returns.to_numpy()).max())
    gaps = gaps[:, np.ptp(gaps, axis=0) > 1e-12 * largest]
    nothing = (math.nan, math.nan, math.nan)
    if not gaps.shape[1]:
        return *nothing, "no setting differs from the base"
    if why := unusable(gaps[:, 0], block):
        return *nothing, why
    days = len(gaps)
    mean = gaps.mean(axis=0)
    # Relevant in the consistent version: mean >= -sqrt(2 log log n var / n).
    bound = -np.sqrt(_long_run_variance(gaps - mean, block) / days * 2.0 * max(math.log(math.log(days)), 0.0))
    centres = np.array([np.maximum(mean, 0.0), np.where(mean >= bound, mean, 0.0), mean])
    resampled = _resampled_means(gaps - mean, draws, block, seed) + mean
    most = (resampled[:, None, :] - centres[None, :, :]).max(axis=2)
    lower, consistent, upper = (most > mean.max()).mean(axis=0)
    return float(lower), float(consistent), float(upper), ""


def _long_run_variance(centred: Floats, block: int) -> Floats:
    """N times the variance of the mean under the stationary bootstrap (Politis and Romano 1994, lemma 1)."""
    n = len(centred)
    # Autocovariances of every column at once: squared spectrum of the zero-padded series.
    spectrum = np.fft.rfft(centred, n=2 * n, axis=0)
    products = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, n=2 * n, axis=0)[:n] / n
    lag = np.arange(n)[:, None]
    stay = 1.0 - 1.0 / block
    weight = (1.0 - lag / n) * stay**lag + lag / n * stay ** (n - lag)
    weight[0] = 0.5
    return np.asarray(np.maximum(2.0 * (weight * products).sum(axis=0), 0.0))


def _resampled_means(centred: Floats, draws: int, block: int, seed: int) -> Floats:
    n = len(centred)
    running = np.zeros((2 * n + 1, centred.shape[1]))
    np.cumsum(np.concatenate([centred, centred]), axis=0, out=running[1:])
    out = np.empty((draws, centred.shape[1]))
    rng = np.random.default_rng(seed)
    for first in range(0, draws, _CHUNK):
        days = stationary_bootstrap_indices(rng, n, block, min(_CHUNK, draws - first))
        # A block begins where a day does not follow the one before it.
        begins = np.ones(days.shape, dtype=bool)
        begins[:, 1:] = days[:, 1:] != (days[:, :-1] + 1) % n
        row, column = np.nonzero(begins)
        length = np.diff(np.append(row * n + column, days.size))
        start = days[row, column]
        sums = running[start + length] - running[start]
        out[first : first + len(days)] = np.add.reduceat(sums, np.flatnonzero(column == 0), axis=0) / n
    return out
