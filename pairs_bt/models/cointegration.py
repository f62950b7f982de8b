"""Cointegration tests of pairs: Engle-Granger both ways, VAR order, Johansen; one pair or every pair of a frame.

All equal statsmodels (`coint`, `VAR.select_order`, `coint_johansen`) where that has an answer, and refuse, with a
reason, the pairs for which a statistic would be a number without a meaning.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import config as numba_config

from pairs_bt.errors import DataError
from pairs_bt.kernels.scan import cointegration as kernel
from pairs_bt.kernels.scan import lanes
from pairs_bt.models.johansen_pvalues import last_pvalues, max_eig_pvalues, trace_pvalues
from pairs_bt.models.scan.lane_inputs import lane_inputs

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MIN_BARS", "REASONS", "EngleGranger", "Johansen", "ScanInputs", "ScanResult", "engle_granger", "johansen",
    "prepare", "scan", "scan_chunk", "var_order",
]  # fmt: skip

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
VarOrder = Literal["theory", "book"]

#: Fewer bars are refused: from here on even the largest regression that AIC may choose (Johansen's with
#: round(12 (n/100)^(1/4)) lagged differences of both series) keeps eight degrees of freedom.
MIN_BARS = 40

#: Why a pair has no statistics, by `ScanResult.code`.
REASONS: dict[int, str] = {
    kernel.TESTED: "",
    kernel.CONSTANT_LEG: "one leg is constant",
    kernel.IDENTICAL: "the two series are identical up to a constant",
    kernel.COLLINEAR_PAIR: "the two series are collinear (R2 of one on the other above 1 - 1.5e-6)",
    kernel.TOO_FEW_BARS: f"fewer than {MIN_BARS} bars",
    kernel.SINGULAR: "a lag regression is singular (stale, stepwise or exactly predictable prices)",
}

_CHUNK = 2048
# Tickers whose facts and transforms (some 20 kB each at 504 bars) stay in a core's second-level cache.
_BLOCK = 16
# One kind of array, so that no kernel is compiled twice: pandas hands out read-only ones.
_PLAIN: list[Literal["C", "W"]] = ["C", "W"]


class EngleGranger(NamedTuple):
    """Statistic, MacKinnon p-value and AIC lag of an Engle-Granger test."""

    stat: float
    pvalue: float
    lags: int


class Johansen(NamedTuple):
    """Johansen statistics; `vector` is the first cointegrating vector with its first weight one: (1, -hedge ratio)."""

    trace: Floats
    max_eig: Floats
    vector: Floats

    @property
    def trace_pvalue(self) -> Floats:
        """P-values of the trace statistics, for rank 0 and rank <= 1."""
        return np.array([float(trace_pvalues(self.trace[0])), float(last_pvalues(self.trace[1]))])

    @property
    def max_eig_pvalue(self) -> Floats:
        """P-values of the maximum-eigenvalue statistics, for rank 0 and rank <= 1."""
        return np.array([float(max_eig_pvalues(self.max_eig[0])), float(last_pvalues(self.max_eig[1]))])


class ScanResult(NamedTuple):
    """Arrays over pairs; NaN (orders and lags: -1) where `code` is not 0, for the reason REASONS[code]."""

    eg_stat_12: Floats
    eg_pvalue_12: Floats
    eg_lag_12: Integers
    eg_stat_21: Floats
    eg_pvalue_21: Floats
    eg_lag_21: Integers
    var_order: Integers
    trace0: Floats
    trace1: Floats
    max_eig0: Floats
    max_eig1: Floats
    code: npt.NDArray[np.int8]
    qr_fallback: npt.NDArray[np.bool_]


def _largest_lag(bars: int) -> int:
    """Schwert's rule as statsmodels' adfuller has it: ceil(12 (n/100)^(1/4)), at most n/2 - 1."""
    return min(bars // 2 - 1, int(np.ceil(12.0 * np.power(bars / 100.0, 1 / 4.0))))


def _largest_order(bars: int) -> int:
    """The same rule as statsmodels' VAR.select_order has it: rounded, and estimable with two series and a constant."""
    return min(round(12 * (bars / 100.0) ** (1 / 4.0)), (bars - 3) // 3)


class ScanInputs(kernel.ScanInputs):
    """What depends on one ticker alone, as the kernel for one pair reads it, and in `four` as four in step read it.

    `four` is None where every pair goes through the kernel for one pair: too few bars, or no compiled code.
    """

    four: lanes.LaneInputs | None = None


def _prepare(levels: Floats) -> ScanInputs:
    bars = levels.shape[1]
    lags = max(_largest_lag(bars), 1)
    return ScanInputs(*kernel.prepare(np.require(levels, np.float64, _PLAIN), lags, max(_largest_order(bars), 1)))


def prepare(levels: Floats) -> ScanInputs:
    """Compute what depends on one ticker alone, once for a window.

    Parameters
    ----------
    levels : (n_tickers, n_bars) float64, C-contiguous, finite
        Prices or log prices, one ticker a row. Not checked.

    Returns
    -------
    ScanInputs
        For `scan_chunk`. Immutable in use: any number of threads may read it.
    """
    inputs = _prepare(levels)
    if levels.shape[1] >= MIN_BARS and not numba_config.DISABLE_JIT:  # type: ignore[attr-defined]
        inputs.four = lane_inputs(inputs)
    return inputs


def scan_chunk(
    inputs: ScanInputs, i: npt.NDArray[Any], j: npt.NDArray[Any], *, var_order: VarOrder = "theory"
) -> ScanResult:
    """Test the pairs (i[m], j[m]) of a prepared window; releases the GIL and depends on no other pair.

    Parameters
    ----------
    inputs : ScanInputs
        From `prepare`.
    i, j : (n_pairs,) integers
        Rows of the levels. "12" is i regressed on j.
    var_order : {"theory", "book"}
        Johansen's lagged differences from the VAR order p: max(p - 1, 1), or max(p, 1).

    Returns
    -------
    ScanResult
        Statistics equal to statsmodels'. `var_order` is the AIC order p itself (0 occurs: levels without memory).
    """
    pairs, book = len(i), var_order == "book"
    values = np.full((8, pairs), np.nan)
    orders = np.full((3, pairs), -1, np.int64)
    codes = np.full(pairs, kernel.TOO_FEW_BARS, np.int8)
    fallback = np.zeros(pairs, np.bool_)
    if pairs and inputs.z.shape[1] >= MIN_BARS:
        first, second = np.require(i, np.int64, _PLAIN), np.require(j, np.int64, _PLAIN)
        stats = np.empty((4, pairs))
        todo = np.arange(pairs)
        if inputs.four is not None:
            codes[:] = kernel.TESTED
            todo = _scan_in_step(inputs.four, first, second, book, stats, orders)
            orders[:, todo] = -1
        if todo.size:
            kernel.test_pairs(inputs, first, second, todo, book, stats, orders, codes, fallback)
        kernel.fill_values(stats, orders, codes, inputs.z.shape[1], book, values)
    stat12, p12, stat21, p21, trace0, trace1, eig0, eig1 = values
    return ScanResult(
        stat12, p12, orders[0], stat21, p21, orders[1], orders[2], trace0, trace1, eig0, eig1, codes, fallback
    )


def _scan_in_step(
    four: lanes.LaneInputs, first: Integers, second: Integers, book: bool, stats: Floats, orders: Integers
) -> Integers:
    """Fill stats and orders of the pairs whose decisions are clear; places of the pairs that are left."""
    # By blocks of second tickers, which stay in the cache; no pair's numbers depend on the order.
    order = np.lexsort((first, second // _BLOCK))
    clear, found, chosen = np.zeros(order.size, np.bool_), np.empty_like(stats), np.empty_like(orders)
    lanes.test_lanes(four, lanes.make_work(four), first[order], second[order], book, found, chosen, clear)
    stats[:, order], orders[:, order] = found, chosen
    return np.sort(order[~clear])


#: 5% value of the Dickey-Fuller t of a series about its mean (MacKinnon 2010, table 1, one series, constant).
STATIONARY = -2.86154


def spread_stats(
    inputs: ScanInputs, i: npt.NDArray[Any], j: npt.NDArray[Any], ratio: npt.NDArray[Any]
) -> tuple[Floats, Integers]:
    """Augmented Dickey-Fuller statistic of the spreads level_i - ratio level_j about their means.

    The test of Engle and Granger's second step, with a ratio that is given. Where the ratio was not fitted to these
    bars, a value below `STATIONARY` rejects a unit root at 5%; a fitted ratio does so more often by chance.

    Parameters
    ----------
    inputs : ScanInputs
        From `prepare`.
    i, j : (n_pairs,) integers
        Rows of the levels.
    ratio : (n_pairs,) float64
        Units of level i per unit of level j.

    Returns
    -------
    stat : (n_pairs,) float64
        Equal to ``adfuller(spread - spread.mean(), regression="n", autolag="AIC")[0]`` of statsmodels; NaN where
        there is none (a ratio that is not finite, a ticker that cannot be tested, fewer than 40 bars).
    lags : (n_pairs,) int64
        Lagged differences that AIC chose, -1 where there is no statistic.
    """
    stat, lags = np.full(len(i), np.nan), np.full(len(i), -1, np.int64)
    if inputs.z.shape[1] >= MIN_BARS:
        first, second = np.require(i, np.int64, _PLAIN), np.require(j, np.int64, _PLAIN)
        kernel.spread_stats(inputs, first, second, np.require(ratio, np.float64, _PLAIN), stat, lags)
    return stat, lags


def _two_series(y: npt.ArrayLike, x: npt.ArrayLike) -> Floats:
    """Both series as the rows of a finite (2, n) array, or an error that says which is not."""
    series = []
    for name, values in (("y", y), ("x", x)):
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 1:
            raise ValueError(
                f"{name} has shape {array.shape}; a test takes two one-dimensional series of equal length."
            )
        bad = np.flatnonzero(~np.isfinite(array))
        if bad.size:
            raise DataError(
                f"{name} is {array[bad[0]]} at position {bad[0]} ({bad.size} such values). A missing bar would spoil "
                "every lag after it: drop the bars that either series lacks, or fill them, first."
            )
        series.append(array)
    if series[0].size != series[1].size:
        raise ValueError(f"y has {series[0].size} bars and x {series[1].size}; align the two series first.")
    if series[0].size < MIN_BARS:
        raise DataError(
            f"The series have {series[0].size} bars. A test needs {MIN_BARS} or more: with fewer, the lag selection "
            "uses up the observations and any p-value is accidental."
        )
    return np.ascontiguousarray(series)


def _raise_refused(code: int) -> None:
    if code != kernel.TESTED:
        raise DataError(
            f"The pair cannot be tested: {REASONS[code]}. A p-value would be a number without a meaning; leave the "
            "pair out."
        )


def engle_granger(y: npt.ArrayLike, x: npt.ArrayLike) -> EngleGranger:
    """Engle-Granger test of no cointegration: y regressed on x and a constant, residual tested for a unit root.

    Equal to `statsmodels.tsa.stattools.coint(y, x, trend="c", autolag="aic")`.

    Parameters
    ----------
    y, x : (n,) array_like
        Levels (prices or log prices), finite, 40 bars or more.

    Returns
    -------
    EngleGranger
        `stat` (the more negative, the stronger the evidence), `pvalue` (MacKinnon 1994: two series, constant), `lags`
        (least AIC up to ceil(12 (n/100)^(1/4)), compared on one sample; the chosen one refitted on all its bars).

    Raises
    ------
    DataError
        NaN or infinity, too few bars, a constant leg, identical or collinear series, a singular lag regression.

    References
    ----------
    Engle and Granger (1987), Econometrica 55; MacKinnon (1994), Journal of Business & Economic Statistics 12.
    """
    inputs = _prepare(_two_series(y, x))
    code, stat, lag = kernel.engle_granger_pair(inputs, 0, 1)
    _raise_refused(code)
    return EngleGranger(float(stat), float(kernel.mackinnon_pvalue(stat)), int(lag))


def johansen(y: npt.ArrayLike, x: npt.ArrayLike, k_ar_diff: int = 1) -> Johansen:
    """Johansen's trace and maximum-eigenvalue statistics of two series with a constant.

    Equal to `statsmodels.tsa.vector_ar.vecm.coint_johansen(frame, 0, k_ar_diff)`.

    Parameters
    ----------
    y, x : (n,) array_like
        Levels, finite, 40 bars or more.
    k_ar_diff : int
        Lagged differences, 1 or more. Zero is refused: statsmodels' own answer for it is wrong (its issue 7459).

    Returns
    -------
    Johansen
        `trace` (2,) for rank 0 and rank <= 1, `max_eig` (2,), `vector` (2,): (1, -b), y - b x the most stationary;
        `trace_pvalue` and `max_eig_pvalue` (2,) by the limit laws of :mod:`pairs_bt.models.johansen_pvalues`.

    Raises
    ------
    ValueError
        k_ar_diff below one or too large for the bars.
    DataError
        As `engle_granger`.

    References
    ----------
    Johansen (1991), Econometrica 59.
    """
    pair = _two_series(y, x)
    bars = pair.shape[1]
    largest = (bars - 7) // 3
    if not 1 <= k_ar_diff <= largest:
        raise ValueError(
            f"k_ar_diff is {k_ar_diff}; with {bars} bars it must be from 1 to {largest}. Zero is not offered, because "
            "statsmodels, which this function equals, uses y[t] for y[t-1] there (its issue 7459)."
        )
    inputs = _prepare(pair)
    code, *_ = kernel.engle_granger_pair(inputs, 0, 1)
    if code != kernel.SINGULAR:
        _raise_refused(code)
    regular, larger, smaller, one, two = kernel.johansen_design(inputs.z, k_ar_diff)
    _raise_refused(kernel.TESTED if regular else kernel.SINGULAR)
    rows = bars - 1 - k_ar_diff
    eig = np.array([-rows * math.log1p(-larger), -rows * math.log1p(-smaller)])
    trace = np.array([eig[0] + eig[1], eig[1]])
    # z = (level - mean) * scale, so a weight on z is weight * scale on the level.
    ratio = two * inputs.scale[1] / (one * inputs.scale[0])
    return Johansen(trace, eig, np.array([1.0, ratio]))


def var_order(y: npt.ArrayLike, x: npt.ArrayLike) -> int:
    """Order of the two series' vector autoregression by AIC, with a constant.

    Equal to `statsmodels.tsa.api.VAR(levels).select_order().aic`: orders 0 to round(12 (n/100)^(1/4)), on one sample.
    Parameters and errors as `engle_granger`.
    """
    inputs = _prepare(_two_series(y, x))
    code, *_ = kernel.engle_granger_pair(inputs, 0, 1)
    if code != kernel.SINGULAR:
        _raise_refused(code)
    regular, order = kernel.var_order_design(inputs.z, inputs.order_max)
    _raise_refused(kernel.TESTED if regular else kernel.SINGULAR)
    return int(order)


def _checked_levels(prices: pd.DataFrame) -> Floats:
    """The frame's columns as contiguous rows; DataError names the first cell that is not a finite number."""
    if not prices.columns.is_unique:
        twice = prices.columns[prices.columns.duplicated()][0]
        raise DataError(
            f"Ticker {twice!r} stands in two columns; a pair of names would be ambiguous. Drop one of them."
        )
    try:
        levels = np.ascontiguousarray(prices.to_numpy(dtype=np.float64).T)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"The prices hold something that is not a number ({error}). Convert every column first."
        ) from None
    bad = np.argwhere(~np.isfinite(levels))
    if bad.size:
        ticker, bar = bad[0]
        raise DataError(
            f"Ticker {prices.columns[ticker]!r} is {levels[ticker, bar]} at {prices.index[bar]} ({len(bad)} such "
            "cells). Tests need complete series: fill short gaps, or leave the ticker out of this window."
        )
    return levels


def _pair_positions(prices: pd.DataFrame, pairs: Iterable[Any] | None) -> tuple[Integers, Integers]:
    if pairs is None:
        both = np.array(list(combinations(range(prices.shape[1]), 2)), np.int64).reshape(-1, 2)
        return both[:, 0], both[:, 1]
    names = [tuple(pair) for pair in pairs]
    wrong = next((pair for pair in names if len(pair) != 2), None)
    if wrong is not None:
        raise ValueError(f"{wrong!r} is not a pair; give (name, name) tuples.")
    position = {name: at for at, name in enumerate(prices.columns)}
    unknown = next((name for pair in names for name in pair if name not in position), None)
    if unknown is not None:
        raise DataError(
            f"Ticker {unknown!r} of a pair is no column of the prices; columns: {list(prices.columns[:5])} .."
        )
    both = np.array([(position[one], position[two]) for one, two in names], np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def scan(
    prices: pd.DataFrame,
    pairs: Iterable[Any] | None = None,
    jobs: int | None = None,
    *,
    var_order: VarOrder = "theory",
) -> pd.DataFrame:
    """Test every pair of a frame, or the pairs given: Engle-Granger both ways, VAR order, Johansen trace.

    Parameters
    ----------
    prices : DataFrame (n_bars, n_tickers)
        Levels, finite, one ticker a column.
    pairs : iterable of (name, name), optional
        Default: every two columns, the left one first.
    jobs : int, optional
        Threads; default all processors. The result is the same, bit for bit, for any number.
    var_order : {"theory", "book"}
        Johansen's lagged differences from the VAR order p: max(p - 1, 1), or max(p, 1).

    Returns
    -------
    DataFrame
        One row a pair, in the order given: s1, s2, eg_stat_12, eg_pvalue_12 (s1 regressed on s2), eg_stat_21,
        eg_pvalue_21, var_order (-1 if refused), trace0, trace1, reason ("" if tested; else the statistics are NaN),
        qr_fallback (whether moments were too near singular for a Cholesky factor, so that the pair's statistics come
        from a QR of the design itself; they are as exact, the pair takes longer).

    Raises
    ------
    DataError
        A missing or infinite price (ticker, date), a ticker twice, a pair's name that is no column.
    """
    import pandas as pd

    if var_order not in ("theory", "book"):
        raise ValueError(
            f"var_order is {var_order!r}; it must be 'theory' (k = max(p - 1, 1)) or 'book' (k = max(p, 1))."
        )
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs is {jobs}; it must be 1 or more, or None for all processors.")
    levels = _checked_levels(prices)
    first, second = _pair_positions(prices, pairs)
    inputs = prepare(levels)
    cuts = range(0, len(first), _CHUNK)

    def task(at: int) -> ScanResult:
        return scan_chunk(inputs, first[at : at + _CHUNK], second[at : at + _CHUNK], var_order=var_order)

    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as threads:
        parts = list(threads.map(task, cuts))
    if not parts:
        parts = [scan_chunk(inputs, first, second, var_order=var_order)]
    result = ScanResult(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    names = prices.columns.to_numpy()
    return pd.DataFrame(
        {
            "s1": names[first],
            "s2": names[second],
            "eg_stat_12": result.eg_stat_12,
            "eg_pvalue_12": result.eg_pvalue_12,
            "eg_stat_21": result.eg_stat_21,
            "eg_pvalue_21": result.eg_pvalue_21,
            "var_order": result.var_order,
            "trace0": result.trace0,
            "trace1": result.trace1,
            "reason": [REASONS[int(code)] for code in result.code],
            "qr_fallback": result.qr_fallback,
        }
    )
