"""Sharpe ratios with intervals, and the resampled days behind the tests between variants.

Daily strategy returns are dependent: a position is held for weeks, and two cohorts that trade at once share
half a year. A block (126 days by default) is the time over which days belong together. The interval of a
Sharpe ratio gets its error from movements that are slower than a block, and it knows how few blocks there are.
`benchmarks/interval_coverage.py` measures how often this and other intervals hold the truth.

References
----------
Lo, A. W. (2002), "The statistics of Sharpe ratios", Financial Analysts Journal 58: the delta method.
Muller, U. K. (2007), "A theory of robust long-run variance estimation", Journal of Econometrics 141.
Lazarus, E., Lewis, D. J., Stock, J. H. and Watson, M. W. (2018), "HAR inference: recommendations for practice",
Journal of Business & Economic Statistics 36: the equal-weighted cosine estimate with a t distribution.
Politis, D. N. and Romano, J. P. (1994), "The stationary bootstrap", JASA 89, 1303-1313.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pairs_bt.common.periods import TRADING_DAYS
from pairs_bt.stats.deflated_sharpe import FloatArray, checked_values


def checked_frame(returns: pd.DataFrame) -> pd.DataFrame:
    """`returns` (date x variant) as float64; ValueError for duplicate names or dates, NaN, infinities."""
    if not returns.columns.is_unique:
        name = returns.columns[returns.columns.duplicated()][0]
        raise ValueError(f"returns has two columns named {name!r}: each variant needs its own name")
    if not returns.index.is_unique:
        date = returns.index[returns.index.duplicated()][0]
        raise ValueError(f"returns has the date {date} twice: each day may appear once")
    for name in returns.columns:
        checked_values(returns[name], f"returns[{name!r}]")
    return returns.astype(np.float64)


def unusable(values: FloatArray, block: int) -> str:
    """Why one return series cannot be resampled in blocks; empty if it can."""
    if values.size < 2 * block:
        return f"{values.size} days are fewer than two blocks of {block}"
    if values.min() == values.max():
        return "constant returns" if values[0] != 0.0 else "no day with a return (no trades)"
    return ""


def check_draws(draws: int) -> None:
    if draws < 1:
        raise ValueError(f"draws is {draws}: at least 1 resample is needed, 1000 or more for a p-value")


def check_settings(block: int, level: float) -> None:
    if block < 1:
        raise ValueError(f"block is {block}: a block has at least one day, 126 spans the six-month overlap")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level}: a confidence level lies between 0 and 1, usually 0.95")


@dataclass(frozen=True)
class Resamples:
    """Resampled days as blocks that follow each other, drawn once for all that is measured on the same days.

    Attributes
    ----------
    days : int
        Days of the sample.
    start, length : numpy.ndarray of int64
        First day and days of each block; a block may run past the last day and goes on with the first.
    first : numpy.ndarray of int64
        Number of each resample's first block.
    """

    days: int
    start: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]

    def means(self, values: FloatArray) -> FloatArray:
        """Mean of each column of `values` (days, k) in each resample: (draws, k), by differences of running sums."""
        running = np.zeros((2 * self.days + 1, values.shape[1]))
        np.cumsum(np.concatenate([values, values]), axis=0, out=running[1:])
        out = np.empty((self.first.size, values.shape[1]))
        ends = np.append(self.first[1:], self.start.size)
        # Some resamples at a time: a table of all blocks by all columns would be large.
        for low in range(0, self.first.size, _CHUNK):
            first = self.first[low : low + _CHUNK]
            at = slice(first[0], ends[low + first.size - 1])
            start = self.start[at]
            sums = running[start + self.length[at]] - running[start]
            out[low : low + first.size] = np.add.reduceat(sums, first - first[0], axis=0) / self.days
        return out


_CHUNK = 64


def stationary_resamples(n: int, block: int, draws: int, seed: int) -> Resamples:
    """Draw resamples of `n` days in blocks of mean length `block`: those of `stationary_bootstrap_indices`."""
    rng = np.random.default_rng(seed)
    starts, lengths, counts = [], [], []
    for first in range(0, draws, _CHUNK):
        days = stationary_bootstrap_indices(rng, n, block, min(_CHUNK, draws - first))
        # A block begins where a day does not follow the one before it.
        follows = days[:, :-1] + 1
        follows[follows == n] = 0
        begins = np.ones(days.shape, dtype=np.bool_)
        begins[:, 1:] = days[:, 1:] != follows
        at = np.flatnonzero(begins)
        starts.append(days.ravel()[at])
        lengths.append(np.diff(at, append=days.size))
        counts.append(np.count_nonzero(begins, axis=1))
    first_of = np.cumsum(np.concatenate(counts)) - np.concatenate(counts)
    return Resamples(n, np.concatenate(starts), np.concatenate(lengths), first_of)


def stationary_bootstrap_indices(rng: np.random.Generator, n: int, block: int, draws: int) -> npt.NDArray[np.int64]:
    """Resampled day numbers (draws, n): blocks of geometric length with mean `block`, wrapped at the end.

    The numbers are consumed as in `arch.bootstrap.StationaryBootstrap`: the same seed, the same days.
    """
    starts = np.empty((draws, n), dtype=np.int64)
    restart = np.empty((draws, n), dtype=np.bool_)
    for draw in range(draws):
        starts[draw] = rng.integers(n, size=n, dtype=np.int64)
        restart[draw] = rng.random(n) <= 1.0 / block
    restart[:, 0] = True
    days = np.arange(n)
    # Position of the latest restart at or before each day, then: start drawn there + days since.
    origin = np.maximum.accumulate(np.where(restart, days, 0), axis=1)
    return (np.take_along_axis(starts, origin, axis=1) + days - origin) % n


def sharpe_contributions(values: FloatArray) -> FloatArray:
    """What each day adds to the daily Sharpe ratio: (n,), with the ratio (ddof 0) as their mean.

    SR + z_t - SR (z_t^2 - 1) / 2, z the standardised returns: the influence function of mean over standard
    deviation, so that the error of the mean of these is the error of the Sharpe ratio (delta method).
    """
    deviation = values.std()
    z = (values - values.mean()) / deviation
    ratio = values.mean() / deviation
    return np.asarray(ratio + z - 0.5 * ratio * (z * z - 1.0))


def mean_error(values: FloatArray, terms: int) -> float:
    """Standard error of the mean of a dependent series, from `terms` cosines.

    sqrt(Omega / n), Omega the mean over j = 1..terms of (sqrt(2/n) sum_t v_t cos(pi j (t - 1/2) / n))^2: what the
    series does at frequencies up to terms / 2n. With few terms (mean - truth) / error is a t with `terms` degrees of
    freedom for any dependence that is short against 2n / terms.
    """
    n = values.size
    half = math.pi * (np.arange(n) + 0.5) / n
    # One cosine at a time: a table of all would be n x terms.
    total = sum(float((values * np.cos(j * half)).sum()) ** 2 for j in range(1, terms + 1))
    return math.sqrt(2.0 * total / (n * terms) / n)


def sharpe_intervals(
    returns: pd.DataFrame, *, block: int = 126, level: float = 0.95, bars_per_year: float = TRADING_DAYS
) -> pd.DataFrame:
    """Annualised Sharpe ratio of each variant with an interval that allows for dependence and for few blocks.

    The error is `mean_error` of `sharpe_contributions` with a cosine a block, and the interval is
    SR +- t error, with as many degrees of freedom as there are whole blocks.

    Parameters
    ----------
    returns : DataFrame (n, k)
        Daily simple returns, date x variant, without NaN.
    block : int
        Days that belong together, at least as many as a cohort trades.
    level : float
        Coverage of the interval.
    bars_per_year : float
        Days of a year.

    Returns
    -------
    DataFrame, index variant
        sharpe, std_error, low, high (all annualised, x sqrt(bars_per_year)), blocks (whole ones in the sample) and
        reason: why the numbers are NaN.
    """
    check_settings(block, level)
    frame = checked_frame(returns)
    rows = [_interval_row(frame[name].to_numpy(), block, level, math.sqrt(bars_per_year)) for name in frame.columns]
    names = ["sharpe", "std_error", "low", "high", "blocks", "reason"]
    return pd.DataFrame(rows, index=frame.columns.rename("variant"), columns=names)


def _interval_row(
    column: FloatArray, block: int, level: float, year: float
) -> tuple[float, float, float, float, int, str]:
    blocks, reason = column.size // block, unusable(column, block)
    if column.size < 2 or column.min() == column.max():
        return math.nan, math.nan, math.nan, math.nan, blocks, reason
    sharpe = float(column.mean() / column.std(ddof=1)) * year
    if reason:
        return sharpe, math.nan, math.nan, math.nan, blocks, reason
    from scipy.special import stdtrit

    error = mean_error(sharpe_contributions(column), blocks) * year
    margin = float(stdtrit(blocks, (1.0 + level) / 2.0)) * error
    return sharpe, error, sharpe - margin, sharpe + margin, blocks, ""


def representatives(frame: pd.DataFrame, block: int) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """Columns to compare, the earlier column each repeated one equals, and a reason for each one left out."""
    kept: list[str] = []
    repeats: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for name in frame.columns:
        values = frame[name].to_numpy()
        reason = unusable(values, block)
        if reason:
            reasons[name] = reason
            continue
        for other in kept:
            gap = values - frame[other].to_numpy()
            # A constant gap has no variance to judge its mean by; an exact or rounded copy has none either.
            if float(np.ptp(gap)) <= 1e-12 * float(np.abs(values).max()):
                same = float(np.abs(gap).max()) <= 1e-12 * float(np.abs(values).max())
                (repeats if same else reasons)[name] = other if same else f"differs from {other} by a constant"
                break
        else:
            kept.append(name)
    if len(kept) < 2:
        for name in kept:
            reasons[name] = "no other variant to compare with"
        for name, other in repeats.items():
            reasons[name] = f"the same returns as {other}"
        return [], {}, reasons
    return kept, repeats, reasons
