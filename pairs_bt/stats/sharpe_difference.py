"""Whether two variants have the same Sharpe ratio: the test of Ledoit and Wolf (2008).

References
----------
Ledoit, O. and Wolf, M. (2008), "Robust performance hypothesis testing with the Sharpe ratio", Journal of
Empirical Finance 15, 850-859: section 3 (delta method, HAC, bootstrap).
Gotze, F. and Kunsch, H. R. (1996), "Second-order correctness of the blockwise bootstrap for stationary
observations", Annals of Statistics 24, 1914-1933: the block-based variance that section 3.2 takes.
Holm, S. (1979), "A simple sequentially rejective multiple test procedure", Scandinavian J. of Statistics 6.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd

from pairs_bt.common.periods import TRADING_DAYS
from pairs_bt.stats.bootstrap import check_draws, check_settings, checked_frame, unusable
from pairs_bt.stats.deflated_sharpe import FloatArray, Returns, checked_values

# Variants whose Sharpe difference has a standard error this far below that of one Sharpe ratio (about
# 1/sqrt(n)) are one strategy up to scale and rounding.
_SAME = 1e-8
SIGNIFICANCE = 0.05
# Normal quantile of 80%, the power that `detectable` asks for.
_POWER = NormalDist().inv_cdf(0.8)


@dataclass(frozen=True)
class SharpeDifference:
    """Difference of two Sharpe ratios after Ledoit and Wolf (2008); see `sharpe_difference`.

    Attributes
    ----------
    difference, std_error : float
        Annualised Sharpe of the first minus that of the second, and its standard error.
    statistic : float
        difference / std_error, signed.
    pvalue : float
        Two-sided, of the hypothesis that the two Sharpe ratios are equal.
    ci : tuple of float
        Symmetric interval of the difference.
    blocks : int
        Whole blocks in the sample. Few of them (below about 8) leave little to resample.
    detectable : float
        The true difference that a sample like this finds in 80% of cases at the 5% level (in a family of m
        tests: at 5% / m, Holm's first step); inf where no difference would do.
    reason : str
        Why numbers are NaN; empty if they are not.
    """

    difference: float
    std_error: float
    statistic: float
    pvalue: float
    ci: tuple[float, float]
    blocks: int
    detectable: float = math.nan
    reason: str = ""


@dataclass(frozen=True)
class _Resampled:
    """One variant: its Sharpe ratio and influence sums over blocks, in the sample and in every resample."""

    sharpe: float
    influence: FloatArray  # (n,) sums over the circular block that starts on each day
    sharpe_star: FloatArray  # (draws,)
    influence_star: FloatArray  # (draws, blocks)


def _circular_block_sums(values: FloatArray, block: int) -> FloatArray:
    total = np.concatenate(([0.0], np.cumsum(np.concatenate((values, values[: block - 1])))))
    return total[block:] - total[:-block]


def _sharpe_and_gradient(mean: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    # SR = m / sqrt(g - m^2);  dSR/dm = g / (g - m^2)^1.5;  dSR/dg = -m / (2 (g - m^2)^1.5)
    variance = second - mean * mean
    # g - m^2 of a resample without a return is rounding, not variance: such a resample is NaN.
    scale = np.sqrt(np.where(variance > 1e-14 * second, variance, np.nan))
    return mean / scale, second / scale**3, -0.5 * mean / scale**3


def _resample(values: FloatArray, starts: npt.NDArray[np.int64], block: int) -> _Resampled:
    sums = _circular_block_sums(values, block)
    squares = _circular_block_sums(values * values, block)
    mean, second = values.mean(), (values * values).mean()
    sharpe, by_mean, by_second = _sharpe_and_gradient(mean, second)
    influence = by_mean * (sums - block * mean) + by_second * (squares - block * second)

    length = starts.shape[1] * block
    sums_star, squares_star = sums[starts], squares[starts]
    mean_star = sums_star.sum(axis=1, keepdims=True) / length
    second_star = squares_star.sum(axis=1, keepdims=True) / length
    sharpe_star, by_mean, by_second = _sharpe_and_gradient(mean_star, second_star)
    influence_star = by_mean * (sums_star - block * mean_star) + by_second * (squares_star - block * second_star)
    return _Resampled(float(sharpe), influence, sharpe_star[:, 0], influence_star)


def _difference(
    a: _Resampled, b: _Resampled, block: int, level: float, family: int = 1, *, year: float
) -> SharpeDifference:
    n, blocks = a.influence.size, a.influence_star.shape[1]
    difference = a.sharpe - b.sharpe
    # Psi = mean over blocks of (block sum of influences)^2 / block, over all n circular blocks in the sample
    # and over the drawn ones in a resample; std_error = sqrt(Psi / n).                      (2008, section 3)
    error = math.sqrt(float(np.mean((a.influence - b.influence) ** 2)) / block / n)
    if not error * math.sqrt(n) > _SAME:
        return SharpeDifference(
            0.0, math.nan, math.nan, math.nan, (math.nan, math.nan), blocks, reason="the same returns up to a factor"
        )
    psi_star = np.mean((a.influence_star - b.influence_star) ** 2, axis=1) / block
    error_star = np.sqrt(psi_star / (blocks * block))
    distance = np.abs(a.sharpe_star - b.sharpe_star - difference)
    statistic_star = np.full(distance.size, np.inf)
    # A resample without a statistic counts as one beyond any bound, which errs towards "no difference".
    np.divide(distance, error_star, out=statistic_star, where=error_star * math.sqrt(n) > _SAME)
    statistic = difference / error
    exceed = int(np.count_nonzero(statistic_star >= abs(statistic)))
    # 'higher' keeps the bound a drawn value: interpolating between a number and inf would give NaN.
    bound = float(np.quantile(statistic_star, level, method="higher"))
    margin = bound * error * year
    centre = difference * year
    # Power: P(|D| > c se) is about Phi(delta / se - c), so that delta = (c + z_0.8) se is found in 80%.
    threshold = float(np.quantile(statistic_star, 1.0 - SIGNIFICANCE / family, method="higher"))
    return SharpeDifference(
        difference=centre,
        std_error=error * year,
        statistic=statistic,
        pvalue=(exceed + 1) / (distance.size + 1),
        ci=(centre - margin, centre + margin),
        blocks=blocks,
        detectable=(threshold + _POWER) * error * year,
    )


def _block_starts(n: int, block: int, draws: int, seed: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(seed).integers(n, size=(draws, n // block), dtype=np.int64)


def sharpe_difference(
    a: Returns,
    b: Returns,
    *,
    draws: int = 1000,
    block: int = 126,
    seed: int,
    level: float = 0.95,
    bars_per_year: float = TRADING_DAYS,
) -> SharpeDifference:
    """Test that two variants have one Sharpe ratio: studentised circular block bootstrap.

    With v = (mean a, mean b, mean a^2, mean b^2), D(v) is the difference of Sharpe ratios and its standard
    error is sqrt(D'(v)' Psi D'(v) / n). Psi is the block-based estimate (the variance of block sums), over
    every circular block of the sample and, in a resample, over its own blocks, with everything (means, second
    moments, gradient) of that resample. The paper's own estimate for the sample, a Parzen or prewhitened
    quadratic-spectral kernel, is left aside: with blocks that span the overlap of the cohorts a resample has
    few of them, and a sample error much steadier than the resampled ones makes the interval too wide
    (3,000 simulated AR(1) pairs, blocks of 126: a 95% interval covers 99.0% of 1,000 days and 97.2% of 2,000
    with Parzen, 97.2% and 96.0% as it is here). Few blocks still err towards "no difference".

    Parameters
    ----------
    a, b : array or Series (n,)
        Daily simple returns of the same days, without NaN.
    draws, block, seed : int
        Resamples, days in a block, seed. A resample has n // block blocks.
    level : float
        Coverage of the interval D +- c* std_error, c* the level quantile of |D* - D| / std_error*.
    bars_per_year : float
        Days of a year.

    Returns
    -------
    SharpeDifference
        p-value (#{d* >= d} + 1) / (draws + 1) (2008, section 3), d = |D| / std_error.
    """
    if isinstance(a, pd.Series) and isinstance(b, pd.Series) and not a.index.equals(b.index):
        raise ValueError("a and b have different dates: align them first, the test pairs them day by day")
    first, second = checked_values(a, "a"), checked_values(b, "b")
    if first.size != second.size:
        raise ValueError(f"a has {first.size} days and b {second.size}: both must cover the same days")
    check_draws(draws)
    check_settings(block, level)
    reasons = {"a": unusable(first, block), "b": unusable(second, block)}
    if any(reasons.values()):
        return _refused(reasons, first.size // block)
    starts = _block_starts(first.size, block, draws, seed)
    return _difference(
        _resample(first, starts, block), _resample(second, starts, block), block, level, year=math.sqrt(bars_per_year)
    )


def _refused(reasons: Mapping[str, str], blocks: int) -> SharpeDifference:
    if len(set(reasons.values())) == 1:
        reason = next(iter(reasons.values()))
    else:
        reason = "; ".join(f"{name}: {text}" for name, text in reasons.items() if text)
    return SharpeDifference(math.nan, math.nan, math.nan, math.nan, (math.nan, math.nan), blocks, reason=reason)


def holm(pvalues: Sequence[float] | FloatArray) -> FloatArray:
    """Holm-adjusted p-values; NaN stays NaN and is no member of the family."""
    p = np.asarray(pvalues, dtype=np.float64)
    adjusted = np.full(p.size, np.nan)
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]
    factors = np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return adjusted


def paired_differences(
    returns: pd.DataFrame,
    *,
    draws: int = 1000,
    block: int = 126,
    seed: int,
    level: float = 0.95,
    pairs: Collection[tuple[str, str]] | None = None,
    bars_per_year: float = TRADING_DAYS,
) -> pd.DataFrame:
    """`sharpe_difference` for every two variants, on the same resampled days.

    Parameters
    ----------
    returns : DataFrame (n, k)
        Daily simple returns, date x variant, without NaN.
    draws, block, seed, level, bars_per_year
        As in `sharpe_difference`.
    pairs : collection of (str, str), optional
        The pairs to compare, named in the order of the columns; only these are paid for in Holm's adjustment.
        Every two by default.

    Returns
    -------
    DataFrame, one row for every pair, in the order of the columns
        first, second, difference (annualised, first minus second), std_error, statistic, pvalue,
        pvalue_holm (over the rows that have a p-value), low, high, blocks, detectable (after Holm's first step
        over all rows), reason.
    """
    check_draws(draws)
    check_settings(block, level)
    frame = checked_frame(returns)
    reasons = {name: unusable(frame[name].to_numpy(), block) for name in frame.columns}
    resampled = {}
    if not all(reasons.values()):
        starts = _block_starts(len(frame), block, draws, seed)
        usable = [name for name in frame.columns if not reasons[name]]
        resampled = {name: _resample(frame[name].to_numpy(), starts, block) for name in usable}
    rows = []
    year = math.sqrt(bars_per_year)
    asked = [pair for pair in combinations(frame.columns, 2) if pairs is None or pair in pairs]
    family = max(sum(first in resampled and second in resampled for first, second in asked), 1)
    for first, second in asked:
        if reasons[first] or reasons[second]:
            pair = {first: reasons[first], second: reasons[second]}
            result = _refused(pair, len(frame) // block)
        else:
            result = _difference(resampled[first], resampled[second], block, level, family, year=year)
        rows.append(_difference_row(first, second, result))
    names = ["first", "second", "difference", "std_error", "statistic", "pvalue", "low", "high"]
    table = pd.DataFrame(rows, columns=[*names, "blocks", "detectable", "reason"])
    table.insert(6, "pvalue_holm", holm(table["pvalue"].to_numpy(dtype=np.float64)))
    return table


def _difference_row(first: str, second: str, result: SharpeDifference) -> tuple[object, ...]:
    numbers = (result.difference, result.std_error, result.statistic, result.pvalue, *result.ci)
    return (first, second, *numbers, result.blocks, result.detectable, result.reason)


def sharpe_confidence_set(differences: pd.DataFrame, variants: Sequence[str]) -> pd.DataFrame:
    """Variants that no other one is shown to beat: the set in which the highest true Sharpe ratio is found.

    A variant leaves the set when another has a higher Sharpe ratio with a Holm-adjusted p-value below 5%. Holm's
    procedure makes one false finding or more in at most 5% of samples, and the best variant leaves by a false finding
    only, so it is in the set in at least 95%. The set is read from the tests themselves: it never disagrees with them.

    Parameters
    ----------
    differences : DataFrame
        Of `paired_differences`.
    variants : sequence of str
        Rows of the result.

    Returns
    -------
    DataFrame, index variant
        pvalue: the smallest adjusted p-value of a variant with a higher ratio, 1 if none is higher; included (bool;
        False without a p-value); reason: why there is no number.
    """
    tested = differences[differences["pvalue_holm"].notna()]
    rows = []
    for name in variants:
        mine = tested[(tested["first"] == name) | (tested["second"] == name)]
        beaten = ((mine["first"] == name) & (mine["difference"] < 0.0)) | (
            (mine["second"] == name) & (mine["difference"] > 0.0)
        )
        if len(mine):
            pvalue = float(mine.loc[beaten, "pvalue_holm"].min()) if beaten.any() else 1.0
            rows.append((pvalue, pvalue >= SIGNIFICANCE, ""))
        else:
            other = differences[(differences["first"] == name) | (differences["second"] == name)]["reason"]
            rows.append((math.nan, False, next(iter(other), "no other variant to compare with")))
    return pd.DataFrame(rows, index=pd.Index(variants, name="variant"), columns=["pvalue", "included", "reason"])


def robustness(
    returns: pd.DataFrame,
    *,
    draws: int = 1000,
    block: int = 126,
    seed: int,
    level: float = 0.95,
    pairs: Collection[tuple[str, str]] | None = None,
    bars_per_year: float = TRADING_DAYS,
) -> pd.DataFrame:
    """`paired_differences` with half the block length, with it, and with double: first column block."""
    tables = []
    for length in sorted({max(block // 2, 1), block, 2 * block}):
        table = paired_differences(
            returns, draws=draws, block=length, seed=seed, level=level, pairs=pairs, bars_per_year=bars_per_year
        )
        table.insert(0, "block", length)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
