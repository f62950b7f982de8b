"""Sharpe ratios with bootstrap intervals, and the resampled days behind them.

Daily strategy returns are dependent: a position is held for weeks, and two cohorts that trade at once share
half a year. So days are resampled in blocks at least as long as that overlap (126 days by default), and the
same days are taken for every variant.

References
----------
Politis, D. N. and Romano, J. P. (1994), "The stationary bootstrap", JASA 89, 1303-1313.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from pairs_bt.performance import TRADING_DAYS
from pairs_bt.track_record import FloatArray, checked_values

_YEAR = math.sqrt(TRADING_DAYS)
_CHUNK = 64


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


def check_settings(draws: int, block: int, level: float) -> None:
    if draws < 1:
        raise ValueError(f"draws is {draws}: at least 1 resample is needed, 1000 or more for a p-value")
    if block < 1:
        raise ValueError(f"block is {block}: a block has at least one day, 126 spans the six-month overlap")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level}: a confidence level lies between 0 and 1, usually 0.95")


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


def _daily_sharpe(samples: FloatArray) -> FloatArray:
    ratio = np.full(samples.shape[0], np.nan)
    varied = samples.min(axis=1) < samples.max(axis=1)
    np.divide(samples.mean(axis=1), samples.std(axis=1, ddof=1), out=ratio, where=varied)
    return ratio


def sharpe_intervals(
    returns: pd.DataFrame, *, draws: int = 1000, block: int = 126, seed: int, level: float = 0.95
) -> pd.DataFrame:
    """Annualised Sharpe ratio of each variant with a stationary-bootstrap percentile interval.

    Parameters
    ----------
    returns : DataFrame (n, k)
        Daily simple returns, date x variant, without NaN.
    draws, block, seed : int
        Resamples, mean block length in days, seed. Every variant sees the same resampled days.
    level : float
        Coverage of the interval.

    Returns
    -------
    DataFrame, index variant
        sharpe, std_error, low, high (all annualised, x sqrt(252)) and reason: why the numbers are NaN.
    """
    check_settings(draws, block, level)
    frame = checked_frame(returns)
    n = len(frame)
    columns = [frame[name].to_numpy() for name in frame.columns]
    reasons = [unusable(column, block) for column in columns]
    sampled = np.full((len(columns), draws), np.nan)
    if not all(reasons):
        rng = np.random.default_rng(seed)
        for first in range(0, draws, _CHUNK):
            last = min(first + _CHUNK, draws)
            days = stationary_bootstrap_indices(rng, n, block, last - first)
            for k, column in enumerate(columns):
                if not reasons[k]:
                    sampled[k, first:last] = _daily_sharpe(column[days])
    rows = []
    for column, values, reason in zip(columns, sampled * _YEAR, reasons, strict=True):
        defined = values[~np.isnan(values)]
        if not reason and defined.size < level * draws:
            reason = "too many resamples without a return"
        rows.append(_interval_row(column, defined, reason, level))
    names = ["sharpe", "std_error", "low", "high", "reason"]
    return pd.DataFrame(rows, index=frame.columns.rename("variant"), columns=names)


def _interval_row(
    column: FloatArray, defined: FloatArray, reason: str, level: float
) -> tuple[float, float, float, float, str]:
    if column.size < 2 or column.min() == column.max():
        return math.nan, math.nan, math.nan, math.nan, reason
    sharpe = float(column.mean() / column.std(ddof=1)) * _YEAR
    if reason:
        return sharpe, math.nan, math.nan, math.nan, reason
    low, high = np.quantile(defined, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    error = float(defined.std(ddof=1)) if defined.size > 1 else math.nan
    return sharpe, error, float(low), float(high), ""


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
