"""Which rule hedges better, and is it more than chance: Diebold-Mariano over windows.

The loss of a rule on a pair-window is the log of the variance of its hedge error: a difference of logs is a ratio of
variances, free of the price of a share, and one wild pair is one wild number and not the whole mean. Pairs of one
window share its market, so a window is one observation: the mean over its pairs. Trade windows overlap, so windows
next to each other are dependent, and the error of the mean over windows allows for that.

References
----------
Diebold, F. X. and Mariano, R. S. (1995), "Comparing predictive accuracy", Journal of Business & Economic Statistics 13.
Harvey, D., Leybourne, S. and Newbold, P. (1997), "Testing the equality of prediction mean squared errors",
International Journal of Forecasting 13: the factor for small samples and the t distribution.
Newey, W. K. and West, K. D. (1987), Econometrica 55: weights that keep the variance positive.
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pandas as pd

from pairs_bt.stats.multiple_comparison import model_confidence_set, superior_predictive_ability
from pairs_bt.stats.sharpe_difference import holm

__all__ = [
    "NO_HEDGE",
    "diebold_mariano",
    "effectiveness_differences",
    "hedge_confidence_set",
    "log_losses",
    "loss_confidence_set",
    "loss_differences",
    "window_losses",
]

#: The name of the position without a hedge among the rules.
NO_HEDGE = "no hedge"
MIN_WINDOWS = 8
KEYS = ("test_end", "y", "x")


def log_losses(table: pd.DataFrame, horizon: int = 1) -> pd.DataFrame:
    """Log variance of the hedge error: a row a pair-window, a column a rule, and `NO_HEDGE` last.

    Only pair-windows for which every rule has a number are kept, so that all are judged on the same ones. A variant
    that has the ratios of one before it (the same rule, its shares re-hedged) is left out. Index test_end, y, x.
    """
    rows = np.flatnonzero(table["horizon"].to_numpy() == horizon)
    which, names = pd.factorize(table["variant"].take(rows))
    pair, pairs = _pair_windows([table[name].take(rows) for name in KEYS])
    with np.errstate(divide="ignore", invalid="ignore"):
        loss, plain = (np.log(table[name].to_numpy(dtype=np.float64)[rows]) for name in ("var_hedged", "var_unhedged"))
    wide = np.full((len(names) + 1, len(pairs)), np.nan)
    if np.bincount(pair * len(names) + which, minlength=1).max() > 1:
        raise ValueError("the table has two rows of one window, pair, variant and horizon")
    wide[which, pair] = loss
    # the same number in the row of every rule: the first that is one
    known = np.flatnonzero(~np.isnan(plain))[::-1]
    wide[-1, pair[known]] = plain[known]
    kept = _distinct(wide[:-1])
    wide = wide[[*kept, -1]]
    made = pd.DataFrame(wide.T, index=pairs, columns=pd.Index([*(names[k] for k in kept), NO_HEDGE], name="variant"))
    return made[np.isfinite(wide).all(axis=0)]


def _pair_windows(keys: list[pd.Series]) -> tuple[np.ndarray, pd.MultiIndex]:
    """For each row the number of its pair-window, and the pair-windows in order."""
    codes, values = zip(*(pd.factorize(key, sort=True) for key in keys), strict=True)
    sizes = [max(len(own), 1) for own in values]
    found, number = np.unique(np.ravel_multi_index(codes, sizes), return_inverse=True)
    order = np.unravel_index(found, sizes)
    return number, pd.MultiIndex.from_arrays(
        [pd.Index(own).take(code) for own, code in zip(values, order, strict=True)], names=KEYS
    )


def _distinct(rows: np.ndarray) -> list[int]:
    """Numbers of the rows that no row before them equals, NaN for NaN."""
    kept: list[int] = []
    for k, row in enumerate(rows):
        if not any(np.array_equal(row, rows[other], equal_nan=True) for other in kept):
            kept.append(k)
    return kept


def window_losses(losses: pd.DataFrame) -> pd.DataFrame:
    """Mean loss of every window: test_end x rule."""
    return losses.groupby(level="test_end").mean()


def diebold_mariano(gaps: np.ndarray, lags: int) -> tuple[float, float]:
    """Statistic and two-sided p-value of "the mean of these differences of losses is 0".

    Parameters
    ----------
    gaps : numpy.ndarray, shape (n,)
        Differences of two losses, in the order of time.
    lags : int
        Differences this far apart, and nearer, are dependent (Newey-West weights).

    Returns
    -------
    (float, float)
        The statistic with the small-sample factor of Harvey, Leybourne and Newbold for a horizon of ``lags + 1``, and
        its p-value under a t with n - 1 degrees of freedom. NaN for fewer than 8 differences, or without variance.
    """
    n = gaps.size
    if n < max(MIN_WINDOWS, 2 * (lags + 1)):
        return math.nan, math.nan
    from scipy.special import stdtr

    centred = gaps - gaps.mean()
    variance = float((centred * centred).sum()) / n
    for lag in range(1, lags + 1):
        weight = 1.0 - lag / (lags + 1.0)
        variance += 2.0 * weight * float((centred[lag:] * centred[:-lag]).sum()) / n
    if not variance > 1e-24 * max(1.0, float(np.abs(gaps).max()) ** 2):
        return math.nan, math.nan
    steps = lags + 1
    factor = (n + 1.0 - 2.0 * steps + steps * (steps - 1.0) / n) / n
    statistic = float(gaps.mean()) / math.sqrt(variance / n) * math.sqrt(factor)
    return statistic, float(2.0 * stdtr(n - 1, -abs(statistic)))


def effectiveness_differences(table: pd.DataFrame, *, horizon: int = 1, lags: int = 1) -> pd.DataFrame:
    """Every two rules, and every rule against no hedge, by the log variance of their hedge errors.

    Parameters
    ----------
    table : DataFrame
        `run.hedge_effectiveness`.
    horizon : int
        1, 5 or 21 bars.
    lags : int
        Windows on either side that share trade bars with one: the cohorts that trade at once, less one.

    Returns
    -------
    DataFrame
        first, second, pairs (pair-windows), windows, mean (mean over windows of the difference of logs, first less
        second: below 0 the first hedges better), median (over pair-windows), statistic, pvalue, pvalue_holm (over the
        rows that have a p-value).
    """
    return loss_differences(log_losses(table, horizon), lags=lags)


def loss_differences(losses: pd.DataFrame, *, lags: int) -> pd.DataFrame:
    """`effectiveness_differences` of losses that are at hand (`log_losses`)."""
    by_window = window_losses(losses)
    rows = []
    for first, second in combinations(losses.columns, 2):
        gaps = by_window[first].to_numpy() - by_window[second].to_numpy()
        statistic, pvalue = diebold_mariano(gaps, lags)
        middle = float((losses[first] - losses[second]).median()) if len(losses) else math.nan
        mean = float(gaps.mean()) if gaps.size else math.nan
        rows.append((first, second, len(losses), gaps.size, mean, middle, statistic, pvalue))
    names = ["first", "second", "pairs", "windows", "mean", "median", "statistic", "pvalue"]
    made = pd.DataFrame(rows, columns=names)
    return made.assign(pvalue_holm=holm(made["pvalue"].to_numpy(dtype=np.float64)))


def hedge_confidence_set(
    table: pd.DataFrame, *, horizon: int = 1, block: int = 2, draws: int = 1000, seed: int = 7
) -> pd.DataFrame:
    """Rules that are not shown to hedge worse than the best, and whether another rule is better than each.

    Parameters
    ----------
    table : DataFrame
        `run.hedge_effectiveness`.
    horizon : int
        1, 5 or 21 bars.
    block : int
        Mean block of resampled windows: the cohorts that trade at once.
    draws, seed : int
        Resamples and seed.

    Returns
    -------
    DataFrame, index rule (`NO_HEDGE` among them)
        pvalue, included, reason of the model confidence set (Hansen, Lunde and Nason 2011) and better: the consistent
        p-value of "no other rule is better" (Hansen 2005). The loss is that of `log_losses`, its mean over a window.
    """
    return loss_confidence_set(log_losses(table, horizon), block=block, draws=draws, seed=seed)


def loss_confidence_set(losses: pd.DataFrame, *, block: int, draws: int, seed: int) -> pd.DataFrame:
    """`hedge_confidence_set` of losses that are at hand (`log_losses`)."""
    gains = -window_losses(losses)
    made = model_confidence_set(gains, draws=draws, block=block, seed=seed)
    return made.assign(better=superior_predictive_ability(gains, draws=draws, block=block, seed=seed)["consistent"])
