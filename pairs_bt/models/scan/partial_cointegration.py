"""Partial cointegration: how much of a pair's residual reverts, and whether any of it does (Clegg and Krauss 2018).

    y_t = alpha + beta x_t + W_t,   W_t = M_t + R_t,   M_t = rho M_{t-1} + e_t,   R_t = R_{t-1} + f_t

Cointegration asks that all of W comes back; here a part of it, M, does, and R wanders off. The share of the variance of
the daily change of W that is M's says how much:

    share = Var dM / Var dW = 2 s_M / (2 s_M + (1 + rho) s_R),   s_M = Var e, s_R = Var f.

The model is fitted by exact maximum likelihood (:mod:`pairs_bt.kernels.scan.partial_cointegration`), and held against
each of its edges by twice the difference in log-likelihood: a random walk (share 0) and an AR(1) (share 1, which is
cointegration). Neither statistic is chi-squared: under a walk rho does not exist, and both shares lie on an edge. The
law under a walk is simulated (``python -m benchmarks.partial_tail``); it hardly depends on the number of bars.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pairs_bt.common.array_checks import check_values
from pairs_bt.errors import DataError
from pairs_bt.kernels.scan import partial_cointegration as kernel

__all__ = [
    "CHOSEN_Y",
    "COLUMNS",
    "PartialCointegration",
    "ar_pvalues",
    "measure_pairs",
    "partial_cointegration",
    "walk_pvalues",
]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Columns of :func:`measure_pairs`, in the table of tests.
COLUMNS = (
    "partial_stat", "partial_pvalue", "partial_ar_stat", "partial_ar_pvalue", "partial_rho", "partial_share",
)  # fmt: skip
#: Fewer bars are refused, as by the other tests.
MIN_BARS = 40
# log p = (1, sqrt x, x) @ WALK_TAIL @ (1, log(changes / 503)), as the benchmark prints them
WALK_TAIL = ((-0.167259, -0.035329), (-0.091521, 0.129641), (-0.490034, -0.030715))
#: How many times as often p is below a level where Engle-Granger chose which series is y, on walks: the two choices go
#: together. From the same simulation, at 10, 5 and 1% and all lengths alike.
CHOSEN_Y = 1.5
# Numbers of changes between which it was simulated
_FEWEST, _MOST = 125, 1007


class PartialCointegration(NamedTuple):
    """A fit of one pair; see :func:`partial_cointegration`.

    Attributes
    ----------
    beta : float
        Ratio of the levels: shares of x against one of y.
    rho : float
        How much of M is left after a bar, in 0..0.9975; NaN where the share is 0.
    share : float
        Of the variance of the daily change of the residual, what reverts; in 0..1.
    sigma_m, sigma_r : float
        Standard deviations of the shocks to M and to R, in units of y.
    log_likelihood : float
        Of the changes of y.
    walk_stat, walk_pvalue : float
        Against a residual that is a random walk.
    ar_stat, ar_pvalue : float
        Against a residual that reverts whole, an AR(1).
    """

    beta: float
    rho: float
    share: float
    sigma_m: float
    sigma_r: float
    log_likelihood: float
    walk_stat: float
    walk_pvalue: float
    ar_stat: float
    ar_pvalue: float


def walk_pvalues(stat: npt.ArrayLike, changes: int) -> Floats:
    """P-values of the statistic against a random walk: the share of walks whose statistic is larger.

    Parameters
    ----------
    stat : array_like
        Twice the difference in log-likelihood. NaN gives NaN.
    changes : int
        Bars of the fit less one.

    Returns
    -------
    numpy.ndarray
        Of the same shape, in 0..1, falling; 1 where the statistic is 0.
    """
    x = np.asarray(stat, dtype=np.float64)
    length = np.log(min(max(changes, _FEWEST), _MOST) / 503.0)
    level, root, slope = (own + by_length * length for own, by_length in WALK_TAIL)
    logs = level + root * np.sqrt(x) + slope * x
    return np.asarray(np.where(x == 0.0, 1.0, np.exp(np.minimum(logs, 0.0))))


def ar_pvalues(stat: npt.ArrayLike) -> Floats:
    """P-values of the statistic against an AR(1): half of chi-squared with one degree of freedom, half a point at 0.

    That is the law of one variance on its edge (Self and Liang 1987). Under an AR(1) the statistic is smaller still
    unless it reverts slowly, so the p-value is more often too large than too small.

    Parameters
    ----------
    stat : array_like
        Twice the difference in log-likelihood. NaN gives NaN.

    Returns
    -------
    numpy.ndarray
        Of the same shape, in 0..1; 1 where the statistic is 0.
    """
    from scipy.special import erfc

    x = np.asarray(stat, dtype=np.float64)
    return np.asarray(np.where(x == 0.0, 1.0, 0.5 * erfc(np.sqrt(0.5 * x))))


def changes_of(levels: Floats) -> Floats:
    """Changes of levels (tickers, bars), each row over its root mean square: (tickers, bars - 1).

    No statistic depends on the unit; a row that does not move stays 0.
    """
    changes = np.diff(levels, axis=1)
    size = np.sqrt((changes * changes).mean(axis=1, keepdims=True))
    return np.ascontiguousarray(changes / np.where(size > 0.0, size, 1.0))


def measure_pairs(changes: Floats, y: npt.NDArray[np.int64], x: npt.NDArray[np.int64]) -> Floats:
    """Fit the pairs of rows (y, x) of `changes_of`: (pairs, 6), columns `COLUMNS`, NaN where there is no fit.

    Each pair's bytes depend on it alone, and the kernel holds no lock.
    """
    found = np.empty((len(y), kernel.N_FOUND))
    rows, others = np.ascontiguousarray(y, dtype=np.int64), np.ascontiguousarray(x, dtype=np.int64)
    kernel.fit_pairs(changes, rows, others, found)
    walk, ar = found[:, kernel.WALK_STAT], found[:, kernel.AR_STAT]
    return np.column_stack(
        [walk, walk_pvalues(walk, changes.shape[1]), ar, ar_pvalues(ar), found[:, kernel.RHO], found[:, kernel.SHARE]]
    )


def partial_cointegration(y: npt.ArrayLike, x: npt.ArrayLike) -> PartialCointegration:
    """Fit the model to one pair and test it against both of its edges.

    Parameters
    ----------
    y, x : array_like, shape (bars,)
        Prices, or log prices; finite, at least 40 bars, x moving.

    Returns
    -------
    PartialCointegration
        Tradeable where `walk_pvalue` is small and `share` large; `ar_pvalue` says whether a part that does not revert
        is there at all.

    Raises
    ------
    DataError
        A value that is missing or no number (with its place), too few bars, or two series that are one.
    ValueError
        Series of different lengths.

    References
    ----------
    Clegg and Krauss (2018), "Pairs trading with partial cointegration", Quantitative Finance 18(1), 121-138.

    Examples
    --------
    >>> rng = np.random.default_rng(3)
    >>> x = np.cumsum(rng.normal(size=500))
    >>> fit = partial_cointegration(2.0 * x + rng.normal(size=500), x)
    >>> round(fit.beta, 1), round(fit.share, 1), fit.walk_pvalue < 0.001
    (2.0, 1.0, True)
    """
    series = {"y": check_values("y", y), "x": check_values("x", x)}
    for name, values in series.items():
        missing = np.flatnonzero(np.isnan(values))
        if missing.size:
            raise DataError(
                f"{name} is NaN at position {missing[0]} ({missing.size} such values). Every change needs two bars: "
                "drop the bars that either series lacks, or fill them, first."
            )
    if series["y"].size != series["x"].size:
        raise ValueError(f"y has {series['y'].size} bars and x {series['x'].size}; align the two series first.")
    if series["y"].size < MIN_BARS:
        raise DataError(f"The series have {series['y'].size} bars. Partial cointegration needs {MIN_BARS} or more.")
    levels = np.ascontiguousarray([series["y"], series["x"]])
    changes, found = changes_of(levels), np.empty(kernel.N_FOUND)
    kernel.fit(changes[0], changes[1], found)
    if np.isnan(found[kernel.LIKELIHOOD]):
        raise DataError(
            "The pair has no fit: x does not move, or y is x up to a factor and a constant. Nothing is left that could "
            "revert; leave the pair out."
        )
    unit = np.sqrt((np.diff(levels, axis=1) ** 2).mean(axis=1))
    rho, share = float(found[kernel.RHO]), float(found[kernel.SHARE])
    deviation = float(np.sqrt(found[kernel.SCALE]) * unit[0])
    walk, ar = float(found[kernel.WALK_STAT]), float(found[kernel.AR_STAT])
    return PartialCointegration(
        beta=float(found[kernel.BETA] * unit[0] / unit[1]),
        rho=rho,
        share=share,
        sigma_m=deviation * float(np.sqrt(0.5 * share * (1.0 + rho))) if share > 0.0 else 0.0,
        sigma_r=deviation * float(np.sqrt(1.0 - share)),
        log_likelihood=float(found[kernel.LIKELIHOOD] - changes.shape[1] * np.log(unit[0])),
        walk_stat=walk,
        walk_pvalue=float(walk_pvalues(walk, changes.shape[1])),
        ar_stat=ar,
        ar_pvalue=float(ar_pvalues(ar)),
    )
