"""What trying many settings costs: effective trials, the deflated best, probability of backtest overfitting.

References
----------
Bailey, D. H. and Lopez de Prado, M. (2014), "The Deflated Sharpe Ratio: Correcting for Selection Bias,
Backtest Overfitting and Non-Normality", Journal of Portfolio Management 40(5).
Bailey, D. H., Borwein, J. M., Lopez de Prado, M. and Zhu, Q. J. (2017), "The Probability of Backtest
Overfitting", Journal of Computational Finance 20(4): combinatorially symmetric cross-validation (CSCV).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from pairs_bt.stats.bootstrap import checked_frame
from pairs_bt.stats.deflated_sharpe import (
    FloatArray,
    SharpeMoments,
    deflated_sharpe,
    expected_maximum_sharpe,
    probabilistic_sharpe,
    sharpe_moments,
)

_CHUNK, _CELLS = 512, 1 << 15
# A variance this small against the mean square is rounding: the setting did nothing on those days.
_NO_VARIANCE = 1e-14


def effective_trials(returns: pd.DataFrame) -> float:
    """Number of independent trials that `returns` amounts to: N = r + (1 - r) M (2014, appendix 3).

    Parameters
    ----------
    returns : DataFrame (n, M)
        Daily simple returns, date x setting, without NaN.

    Returns
    -------
    float
        Between 1 and the number of settings that ever moved; r is their mean pairwise correlation, taken as 0
        where it is negative. Equal settings count once, unrelated ones in full. NaN if none moved.
    """
    values = np.ascontiguousarray(checked_frame(returns).to_numpy().T)
    return effective_trials_of([values[values.min(axis=1) < values.max(axis=1)]])


def effective_trials_of(blocks: Iterable[FloatArray]) -> float:
    """`effective_trials` of series that moved, some rows at a time: each block is (series, days)."""
    count, total = 0, np.zeros(0)
    for block in blocks:
        if not count:
            total = np.zeros(block.shape[1])
        for values in block:
            # The mean over pairs of z_i z_j follows from the sum over settings: (sum_i z_i)^2 = sum_i z_i^2 + pairs.
            total += (values - values.mean()) / values.std()
        count += len(block)
    if count <= 1:
        return float(count) if count else math.nan
    correlation = (float(np.mean(total * total)) - count) / (count * (count - 1))
    correlation = min(max(correlation, 0.0), 1.0)
    return correlation + (1.0 - correlation) * count


@dataclass(frozen=True)
class DeflatedBest:
    """The setting with the best Sharpe ratio, and what is left of it after counting the search.

    Attributes
    ----------
    best : str
        Name of the setting.
    sharpe, expected_maximum : float
        Its daily Sharpe ratio; the best that `effective` trials without any skill would show.
    trials, effective : float
        Settings tried; `effective_trials` of them.
    trial_variance : float
        Variance (ddof 1) of the daily Sharpe ratios of all settings that moved.
    probabilistic, deflated, deflated_all : float
        Probability of a true Sharpe above 0: as if it were the only one tried; after the effective number of
        trials; after all trials as if they were independent (the harshest).
    """

    best: str
    sharpe: float
    expected_maximum: float
    trials: float
    effective: float
    trial_variance: float
    probabilistic: float
    deflated: float
    deflated_all: float


def deflated_best(returns: pd.DataFrame) -> DeflatedBest:
    """Deflated Sharpe ratio of the best of all settings tried (Bailey and Lopez de Prado 2014).

    Parameters
    ----------
    returns : DataFrame (n, M)
        Daily simple returns of every setting tried, not only of the good ones; without NaN.

    Raises
    ------
    ValueError
        If no setting has a Sharpe ratio.
    """
    frame = checked_frame(returns)
    moments = {str(name): sharpe_moments(frame[name]) for name in frame.columns}
    return deflated_best_of(moments, lambda: effective_trials(frame))


def deflated_best_of(moments: Mapping[str, SharpeMoments], effective: Callable[[], float]) -> DeflatedBest:
    """`deflated_best` of settings by the moments of their returns; `effective` gives their `effective_trials`."""
    ratios = {name: item.sharpe for name, item in moments.items() if not math.isnan(item.sharpe)}
    if not ratios:
        raise ValueError("no column of returns has a Sharpe ratio: none of the settings ever moved")
    best = max(ratios, key=lambda name: ratios[name])
    trials = float(len(ratios))
    variance = float(np.var(list(ratios.values()), ddof=1)) if trials > 1 else 0.0
    count = effective()
    return DeflatedBest(
        best=best,
        sharpe=ratios[best],
        expected_maximum=expected_maximum_sharpe(count, variance),
        trials=trials,
        effective=count,
        trial_variance=variance,
        probabilistic=probabilistic_sharpe(moments[best]),
        deflated=deflated_sharpe(moments[best], trials=count, trial_variance=variance),
        deflated_all=deflated_sharpe(moments[best], trials=trials, trial_variance=variance),
    )


@dataclass(frozen=True)
class Overfitting:
    """Result of `probability_of_backtest_overfitting`.

    Attributes
    ----------
    pbo : float
        Share of the splits in which the setting that was best in sample was at or below the median out of it.
    probability_of_loss : float
        Share of the splits in which it had a negative Sharpe ratio out of sample.
    slope : float
        Least-squares slope of its out-of-sample on its in-sample Sharpe ratio; NaN if the latter never varies.
    logits : array (splits,)
        ln(w / (1 - w)) of its relative out-of-sample rank w, in the order of `itertools.combinations`.
    in_sample, out_of_sample : array (splits,)
        Its daily Sharpe ratios.
    chosen : array (splits,)
        Its column number.
    """

    pbo: float
    probability_of_loss: float
    slope: float
    logits: FloatArray
    in_sample: FloatArray
    out_of_sample: FloatArray
    chosen: npt.NDArray[np.int64]


def probability_of_backtest_overfitting(returns: pd.DataFrame, *, partitions: int = 16) -> Overfitting:
    """Does the best setting in one half of the history stay good in the other? (CSCV, 2017, section 2)

    The days are cut into `partitions` consecutive parts. For every choice of half of them, the setting with
    the highest Sharpe ratio there is ranked by its Sharpe ratio on the other half.

    Parameters
    ----------
    returns : DataFrame (n, M)
        Daily simple returns of every setting tried, without NaN; at least 2 settings.
    partitions : int
        Even, at least 2; 16 gives 12,870 splits. Parts differ by at most one day, so no day is dropped.

    Returns
    -------
    Overfitting
        A setting that did not move on a half has a Sharpe ratio of 0 there. Of equals in sample the first
        column is chosen; equals out of sample share their mean rank. The rank is taken over M + 1, so w = 1/2
        is the median.
    """
    if partitions < 2 or partitions % 2:
        raise ValueError(f"partitions is {partitions}: it must be even, as half of the parts is in sample")
    frame = checked_frame(returns)
    n, settings = frame.shape
    if settings < 2:
        raise ValueError(f"returns has {settings} column(s): overfitting is about a choice, so give at least 2")
    if n < 2 * partitions:
        raise ValueError(f"{n} days are too few for {partitions} partitions: give each at least 2 days")
    return overfitting_of([np.ascontiguousarray(frame.to_numpy().T)], n, partitions=partitions)


def overfitting_of(blocks: Iterable[FloatArray], days: int, *, partitions: int) -> Overfitting:
    """`probability_of_backtest_overfitting` of two settings or more, in blocks of rows (settings, days)."""
    parts = [_part_sums(block, partitions) for block in blocks]
    sums, squares = (np.concatenate([part[k] for part in parts], axis=1) for k in (0, 1))
    centre = np.concatenate([part[2] for part in parts])
    length = np.array([len(part) for part in np.array_split(np.empty(days), partitions)], dtype=np.float64)
    settings = centre.size
    splits = np.array(list(combinations(range(partitions), partitions // 2)), dtype=np.int64)
    chosen = np.empty(len(splits), dtype=np.int64)
    rank, inside, outside = np.empty(len(splits)), np.empty(len(splits)), np.empty(len(splits))
    # Some splits at a time, so that what is worked on stays in the cache.
    chunk = max(1, min(_CHUNK, _CELLS // settings))
    for first in range(0, len(splits), chunk):
        rows = slice(first, first + chunk)
        here = _add_parts(splits[rows], length, sums, squares)
        in_sample = _sharpe(*here, centre)
        rest = (length.sum() - here[0], sums.sum(axis=0) - here[1], squares.sum(axis=0) - here[2])
        out_of_sample = _sharpe(*rest, centre)
        best = in_sample.argmax(axis=1)
        pick = best[:, None]
        own = np.take_along_axis(out_of_sample, pick, axis=1)
        below, equal = (out_of_sample < own).sum(axis=1), (out_of_sample == own).sum(axis=1)
        chosen[rows] = best
        rank[rows] = below + (equal + 1) / 2.0
        inside[rows] = np.take_along_axis(in_sample, pick, axis=1)[:, 0]
        outside[rows] = own[:, 0]
    relative = rank / (settings + 1)
    logits = np.log(relative / (1.0 - relative))
    return Overfitting(
        pbo=float(np.mean(logits <= 0.0)),
        probability_of_loss=float(np.mean(outside < 0.0)),
        slope=_slope(inside, outside),
        logits=logits,
        in_sample=inside,
        out_of_sample=outside,
        chosen=chosen,
    )


def _part_sums(rows: FloatArray, partitions: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Sums and sums of squares (partitions, settings) about the mean of all days, and that mean (settings,)."""
    # Of centred returns: squares of the raw ones would lose digits to the mean.
    centre = rows.mean(axis=1)
    parts = np.array_split(rows - centre[:, None], partitions, axis=1)
    sums = np.array([part.sum(axis=1) for part in parts])
    squares = np.array([(part * part).sum(axis=1) for part in parts])
    return sums, squares, centre


def _add_parts(
    members: npt.NDArray[np.int64], days: FloatArray, sums: FloatArray, squares: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    count = np.zeros((len(members), 1))
    total = np.zeros((len(members), sums.shape[1]))
    square = np.zeros_like(total)
    for part in members.T:
        count += days[part, None]
        total += sums[part]
        square += squares[part]
    return count, total, square


def _sharpe(count: FloatArray, total: FloatArray, square: FloatArray, centre: FloatArray) -> FloatArray:
    mean = total / count
    # Sum of squares about the half's own mean: sum d^2 - n m^2, with d and m about the centre of all days.
    variance = (square - total * mean) / (count - 1.0)
    moved = variance > _NO_VARIANCE * (square / count + centre * centre)
    ratio = np.zeros_like(variance)
    np.divide(mean + centre, np.sqrt(np.where(moved, variance, 1.0)), out=ratio, where=moved)
    return ratio


def _slope(x: FloatArray, y: FloatArray) -> float:
    if x.min() == x.max():
        return math.nan
    centred = x - x.mean()
    return float((centred * (y - y.mean())).sum() / (centred * centred).sum())
