"""What beats what in mean return: model confidence set and superior predictive ability, without resampling day by day.

References
----------
Hansen, P. R. (2005), "A test for superior predictive ability", Journal of Business & Economic Statistics 23.
Hansen, P. R., Lunde, A. and Nason, J. M. (2011), "The model confidence set", Econometrica 79, 453-497.
Politis, D. N. and Romano, J. P. (1994), "The stationary bootstrap", JASA 89, 1303-1313.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pairs_bt.stats.bootstrap import (
    Resamples,
    check_draws,
    check_settings,
    checked_frame,
    representatives,
    stationary_resamples,
    unusable,
)

Floats = NDArray[np.float64]


def model_confidence_set(
    returns: pd.DataFrame, *, draws: int = 1000, block: int = 126, seed: int, size: float = 0.05
) -> pd.DataFrame:
    """Variants that are not shown to earn less than the best (Hansen, Lunde and Nason 2011, range statistic).

    The p-values are those of `arch.bootstrap.MCS` (method "R"), without its second of imports.

    The loss is the negative daily return, so this compares mean returns, not Sharpe ratios: variants that
    take different risk are better compared by `pairs_bt.stats.sharpe_difference.sharpe_confidence_set`.

    Parameters
    ----------
    returns : DataFrame (n, k)
        Daily simple returns, date x variant, without NaN.
    draws, block, seed : int
        Resamples, mean block length of the stationary bootstrap, seed.
    size : float
        A variant is in the set if its p-value is above this.

    Returns
    -------
    DataFrame, index variant
        pvalue, included (bool; False without a p-value), reason: why there is no number. A variant that
        repeats another's returns has its p-value.
    """
    check_draws(draws)
    check_settings(block, size)
    frame = checked_frame(returns)
    kept, repeats, reasons = representatives(frame, block)
    pvalues: dict[str, float] = {}
    if kept:
        losses = -frame[kept].to_numpy(dtype=np.float64)
        pvalues = dict(zip(kept, _range_pvalues(losses, draws, block, seed), strict=True))
    rows = []
    for name in frame.columns:
        pvalue = pvalues.get(repeats.get(name, name), math.nan)
        rows.append((pvalue, bool(pvalue > size), reasons.get(name, "")))
    return pd.DataFrame(rows, index=frame.columns.rename("variant"), columns=["pvalue", "included", "reason"])


def _range_pvalues(losses: Floats, draws: int, block: int, seed: int) -> list[float]:
    """p-value of each model: the largest at or before its elimination (section 2.3 and 3.1.2 of the paper)."""
    models = losses.shape[1]
    mean = losses.mean(axis=0)
    # d_ij = L_i - L_j over the sample, and its deviation in each resample
    gap = mean[:, None] - mean[None, :]
    resampled = stationary_resamples(len(losses), block, draws, seed).means(losses - mean)
    gaps = resampled[:, :, None] - resampled[:, None, :]
    spread = np.sqrt((gaps**2).mean(axis=0) + np.eye(models))
    gap, gaps = gap / spread, gaps / spread
    left = list(range(models))
    pvalues = [1.0] * models
    highest = 0.0
    while len(left) > 1:
        inside = np.ix_(left, left)
        statistic = gap[inside].max()
        most = gaps[:, inside[0], inside[1]].max(axis=(1, 2))
        highest = max(highest, float((statistic < most).mean()))
        worst = left[int(np.argmax(gap[inside].max(axis=1)))]
        pvalues[worst] = highest
        left.remove(worst)
    return pvalues


def superior_predictive_ability(
    returns: pd.DataFrame, *, draws: int = 1000, block: int = 126, seed: int
) -> pd.DataFrame:
    """For each variant as the benchmark: is some other variant better in mean return (Hansen 2005)?

    Parameters
    ----------
    returns : DataFrame (n, k)
        Daily simple returns, date x variant, without NaN. The loss is the negative return.
    draws, block, seed : int
        Resamples, mean block length of the stationary bootstrap, seed.

    Returns
    -------
    DataFrame, index variant
        lower, consistent, upper: p-values of "no other variant is better than this one"; a small one says
        that another is. reason: why there is no number.
        A p-value is a share of the resamples, so 0 means below 1/draws.
    """
    check_draws(draws)
    check_settings(block, 0.5)
    frame = checked_frame(returns)
    kept, repeats, reasons = representatives(frame, block)
    found: dict[str, tuple[float, float, float]] = {}
    drawn = stationary_resamples(len(frame), block, draws, seed) if kept else None
    for name in kept:
        *pvalues, _ = superiority(frame[kept], name, draws=draws, block=block, seed=seed, drawn=drawn)
        found[name] = (pvalues[0], pvalues[1], pvalues[2])
    nothing = (math.nan, math.nan, math.nan)
    rows = [(*found.get(repeats.get(name, name), nothing), reasons.get(name, "")) for name in frame.columns]
    return pd.DataFrame(rows, index=frame.columns.rename("variant"), columns=["lower", "consistent", "upper", "reason"])


def superiority(
    returns: pd.DataFrame, base: str, *, draws: int, block: int, seed: int, drawn: Resamples | None = None
) -> tuple[float, float, float, str]:
    """p-values of "no column earns more than the base" (Hansen 2005), as `arch.bootstrap.SPA` gives them.

    The statistic is the largest mean daily difference to the base, without studentising; the columns' means are
    recentred in the stationary bootstrap by the three rules of the paper. Blocks are summed by differences of running
    sums, so that hundreds of columns cost no more than their blocks. `drawn` are the resamples of these days, block,
    draws and seed where a caller has them already.

    Returns
    -------
    lower, consistent, upper : float
        Shares of the resamples, so 0 means below 1/draws; NaN with a reason where there is nothing to compare.
    reason : str
    """
    others = np.ascontiguousarray(returns.drop(columns=base).to_numpy(dtype=np.float64).T)
    own = returns[base].to_numpy(dtype=np.float64)
    largest = float(np.abs(returns.to_numpy()).max())
    return superiority_of([others], own, largest, draws=draws, block=block, seed=seed, drawn=drawn)


def superiority_of(
    others: Iterable[Floats],
    own: Floats,
    largest: float,
    *,
    draws: int,
    block: int,
    seed: int,
    drawn: Resamples | None = None,
) -> tuple[float, float, float, str]:
    """`superiority` over some series at a time: each block of `others` is (series, days), `own` (days,) is the base.

    `largest` is the largest return of all in size. Every block meets the same resamples, and of each the largest
    recentred mean is kept, so the values do not depend on the blocks.
    """
    days = own.size
    best, most = -math.inf, np.empty(0)
    for values in others:
        gaps = values - own
        gaps = gaps[np.ptp(gaps, axis=1) > 1e-12 * largest]
        if not len(gaps):
            continue
        if not most.size:
            if why := unusable(gaps[0], block):
                return math.nan, math.nan, math.nan, why
            drawn = drawn or stationary_resamples(days, block, draws, seed)
            most = np.full((draws, 3), -math.inf)
        mean = gaps.mean(axis=1)
        gaps -= mean[:, None]
        # Relevant in the consistent version: mean >= -sqrt(2 log log n var / n).
        bound = -np.sqrt(_long_run_variance(gaps, block) / days * 2.0 * max(math.log(math.log(days)), 0.0))
        centres = (np.maximum(mean, 0.0), np.where(mean >= bound, mean, 0.0), mean)
        assert drawn is not None
        resampled = drawn.means(np.ascontiguousarray(gaps.T)) + mean
        for k, centre in enumerate(centres):
            np.maximum(most[:, k], (resampled - centre).max(axis=1), out=most[:, k])
        best = max(best, float(mean.max()))
    if not most.size:
        return math.nan, math.nan, math.nan, "no setting differs from the base"
    lower, consistent, upper = (most > best).mean(axis=0)
    return float(lower), float(consistent), float(upper), ""


def _long_run_variance(centred: Floats, block: int) -> Floats:
    """N times the variance of each row's mean under the stationary bootstrap (Politis and Romano 1994, lemma 1)."""
    n = centred.shape[1]
    # Autocovariances of every series at once: squared spectrum of the zero-padded series.
    spectrum = np.fft.rfft(centred, n=2 * n, axis=1)
    products = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, n=2 * n, axis=1)[:, :n] / n
    lag = np.arange(n)
    stay = 1.0 - 1.0 / block
    weight = (1.0 - lag / n) * stay**lag + lag / n * stay ** (n - lag)
    weight[0] = 0.5
    return np.asarray(np.maximum(2.0 * (weight * products).sum(axis=1), 0.0))
