"""Engle-Granger, VAR order and Johansen for one pair: moments first, an orthogonal factor where they fail.

Every regression here has the same regressors: the level z[t-1], the lagged differences e[t-1] .. e[t-m] and the
target e[t], with e[t] = z[t] - z[t-1]. In that form a random walk is as well conditioned as it can be. The
upper factor R of such a design (R'R = its moments) answers every question at once, whichever way it was made:

* level first, target last: row by row, R's target columns give the residual sums of squares of all lag orders;
* lags first, then level, then target: R's last corner is the chosen regression (t-value, canonical correlations).

R comes from the moments by Cholesky. The moments cost little: one row of lagged products by summation, the rest by
    sum_{t=s}^{n-1} a[t-i-1] b[t-j-1] = sum_{t=s}^{n-1} a[t-i] b[t-j] + a[s-1-i] b[s-1-j] - a[n-1-i] b[n-1-j].
Where a pivot falls below `PIVOT_FLOOR` of what its column started from, R comes from Householder reflections of the
design itself. Series are centred and scaled by a power of two (exact); no statistic depends on either.

All of it is one file, longer than others, because numba does not see an edit of a callee in another file: a kernel in
the cache would go on calling the old one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.core.registry import CPUDispatcher

# Cholesky loses about eps / (pivot / column) of a pivot: 1e-4 keeps a dozen digits.
PIVOT_FLOOR = 1e-4
# statsmodels calls a regression collinear from R2 = 1 - 100 sqrt(eps) on.
COLLINEAR = 100.0 * math.sqrt(2.0**-52)
# A column of which the others leave less than this share of its norm has no coefficient of its own.
RANK_FLOOR = 1e-11
# Range of a series, as a share of its size, that is rounding and not movement.
CONSTANT = 1e-13

TESTED, CONSTANT_LEG, IDENTICAL, COLLINEAR_PAIR, TOO_FEW_BARS, SINGULAR = 0, 1, 2, 3, 4, 5

# Division by zero gives inf or nan here, which the callers' tests refuse; it does not raise.
_loop = njit(cache=True, nogil=True, error_model="numpy")
# Sums may be reordered, so that they run in vector lanes; nothing else may.
_sum = njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})


_bare: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


class _Closed(CPUDispatcher):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{self.py_func.__name__} is for kernels to call. From Python, call its .py_func.")


def _inner(function: Callable[..., Any]) -> Any:
    """As `_loop`, for kernels alone: what lets Python call a small one takes a quarter of its compilation."""
    made = njit(cache=True, nogil=True, error_model="numpy", **_bare)(function)
    # Called without what was left out it would crash. (Not compiled at all, it is a function of Python.)
    if isinstance(made, CPUDispatcher):
        made.__class__ = _Closed
    return made


class ScanInputs(NamedTuple):
    """What depends on one ticker alone, once per window (t counts bars; s = lags + 1 is the first row kept)."""

    z: np.ndarray  # (tickers, n) centred levels, scaled by a power of two to a deviation near one
    e: np.ndarray  # (tickers, n) z[t] - z[t-1]; e[0] = 0 is never read
    scale: np.ndarray  # (tickers,) z = (level - mean) * scale
    constant: np.ndarray  # (tickers,) uint8, 1 where the level never moves
    total: np.ndarray  # (tickers,) sum of z[t]^2 over all bars
    level_sum: np.ndarray  # (tickers,) sum_{t>=s} z[t-1]
    level_square: np.ndarray  # (tickers,) sum_{t>=s} z[t-1]^2
    level_diff: np.ndarray  # (tickers, lags + 1) sum_{t>=s} z[t-1] e[t-d]
    diff_diff: np.ndarray  # (tickers, lags + 1) sum_{t>=s} e[t] e[t-d]
    lags: int  # largest Engle-Granger lag
    order_max: int  # largest VAR order


class Work(NamedTuple):
    """Scratch of one pair: products, the residual's ends, a design's first rows of moments, its factor."""

    cross12: np.ndarray
    cross21: np.ndarray
    level12: np.ndarray
    level21: np.ndarray
    uz: np.ndarray
    ue: np.ndarray
    ut: np.ndarray
    u_diff: np.ndarray
    u_level: np.ndarray
    first: np.ndarray
    level: np.ndarray
    square: np.ndarray
    head: np.ndarray
    tail: np.ndarray
    sums: np.ndarray
    gross: np.ndarray
    factor: np.ndarray


# -------------------------------------------------------------------------------------------- sums of products


@_sum
def _dot(a: np.ndarray, b: np.ndarray) -> float:
    total = 0.0
    for t in range(a.size):
        total += a[t] * b[t]
    return total


@_sum
def _lag_products(a: np.ndarray, b: np.ndarray, start: int, lags: int, out: np.ndarray) -> None:
    """out[d] = sum_{t=start}^{n-1} a[t] b[t-d], d = 0 .. lags; four lags a pass share the loads of a."""
    n = a.size
    left = a[start:]
    d = 0
    while d + 3 <= lags:
        b0 = b[start - d : n - d]
        b1 = b[start - d - 1 : n - d - 1]
        b2 = b[start - d - 2 : n - d - 2]
        b3 = b[start - d - 3 : n - d - 3]
        p0 = p1 = p2 = p3 = 0.0
        for t in range(left.size):
            p0 += left[t] * b0[t]
            p1 += left[t] * b1[t]
            p2 += left[t] * b2[t]
            p3 += left[t] * b3[t]
        out[d], out[d + 1], out[d + 2], out[d + 3] = p0, p1, p2, p3
        d += 4
    while d <= lags:
        out[d] = _dot(left, b[start - d : n - d])
        d += 1


# --------------------------------------------------------------------------------------------- once per ticker


@_inner
def _standardise(level: np.ndarray, z: np.ndarray) -> tuple[float, bool]:
    """Centre `level` into z and scale it by a power of two; (scale, whether the level never moves)."""
    n = level.size
    low = high = level[0]
    total = 0.0
    for t in range(n):
        low = min(low, level[t])
        high = max(high, level[t])
        total += level[t] - level[0]
    mean = level[0] + total / n
    correction = 0.0
    for t in range(n):
        z[t] = level[t] - mean
        correction += z[t]
    correction /= n
    squares = 0.0
    for t in range(n):
        z[t] -= correction
        squares += z[t] * z[t]
    if high - low <= CONSTANT * max(abs(low), abs(high)):
        return 1.0, True
    exponent = math.frexp(math.sqrt(squares / n))[1]
    scale = math.ldexp(1.0, -exponent)
    for t in range(n):
        z[t] *= scale
    return scale, False


@_loop
def prepare(levels: np.ndarray, lags: int, order_max: int) -> ScanInputs:
    tickers, n = levels.shape
    z = np.zeros((tickers, n))
    e = np.zeros((tickers, n))
    scale = np.ones(tickers)
    constant = np.zeros(tickers, np.uint8)
    total = np.zeros(tickers)
    level_sum = np.zeros(tickers)
    level_square = np.zeros(tickers)
    level_diff = np.zeros((tickers, lags + 1))
    diff_diff = np.zeros((tickers, lags + 1))
    start = lags + 1
    for k in range(tickers):
        scale[k], flat = _standardise(levels[k], z[k])
        if flat or n <= start:
            constant[k] = np.uint8(flat)
            continue
        for t in range(1, n):
            e[k, t] = z[k, t] - z[k, t - 1]
        before = z[k, start - 1 : n - 1]
        total[k] = _dot(z[k], z[k])
        level_square[k] = _dot(before, before)
        for t in range(before.size):
            level_sum[k] += before[t]
        _lag_products(e[k], e[k], start, lags, diff_diff[k])
        for d in range(lags + 1):
            level_diff[k, d] = _dot(before, e[k, start - d : n - d])
    return ScanInputs(z, e, scale, constant, total, level_sum, level_square, level_diff, diff_diff, lags, order_max)


# --------------------------------------------------------------------------------------- moments of one design


@_inner
def _fill(w: Work, q: int, m: int, level_first: int) -> int:
    """Moments of q series, m lags, from the first rows in `w` to w.factor (upper triangle); returns the size.

    Columns: [level, lags, target] or [lags, level, target], series interleaved within each lag.
    """
    factor = w.factor
    last = q * (m + 1)
    at_lag = q if level_first else 0
    at_level = 0 if level_first else q * m
    for r in range(q, last):
        row = factor[r - q + at_lag]
        before = w.first[r - q] if r < 2 * q else factor[r - 2 * q + at_lag]
        shift = 0 if r < 2 * q else at_lag - q
        head, tail = w.head[r - q], w.tail[r - q]
        width = last - r
        into = row[r - q + at_lag : last - q + at_lag]
        source = before[r - q + shift : r - q + shift + width]
        heads = w.head[r - q : r - q + width]
        tails = w.tail[r - q : r - q + width]
        for c in range(width):
            into[c] = source[c] + head * heads[c] - tail * tails[c]
    for a in range(q):
        for c in range(q, last):
            at = c - q + at_lag
            factor[at, last + a] = w.first[a, c]
            if level_first:
                factor[a, at] = w.level[a, c]
            else:
                factor[at, at_level + a] = w.level[a, c]
        for b in range(q):
            factor[at_level + a, last + b] = w.level[a, b]
            if b >= a:
                factor[at_level + a, at_level + b] = w.square[a, b]
                factor[last + a, last + b] = w.first[a, b]
    return last + q


@_inner
def _centre(w: Work, q: int, m: int, level_first: int, rows: int) -> None:
    """Take the constant out of the moments: M -= s s' / rows. w.sums holds [level, target, lag 1, lag 2, ..]."""
    last = q * (m + 1)
    size = last + q
    order = w.gross
    at_lag = q if level_first else 0
    at_level = 0 if level_first else q * m
    for a in range(q):
        order[at_level + a] = w.sums[a]
        order[last + a] = w.sums[q + a]
    for c in range(q * m):
        order[at_lag + c] = w.sums[2 * q + c]
    for r in range(size):
        share = order[r] / rows
        row = w.factor[r]
        for c in range(r, size):
            row[c] -= share * order[c]


@_inner
def _cholesky(factor: np.ndarray, size: int, gross: np.ndarray) -> bool:
    """Upper Cholesky factor in place; False as soon as a pivot is below PIVOT_FLOOR of `gross`."""
    for r in range(size):
        into = factor[r, r:size]
        k = 0
        while k + 3 < r:
            f0, f1, f2, f3 = factor[k, r], factor[k + 1, r], factor[k + 2, r], factor[k + 3, r]
            u0 = factor[k, r:size]
            u1 = factor[k + 1, r:size]
            u2 = factor[k + 2, r:size]
            u3 = factor[k + 3, r:size]
            for c in range(into.size):
                into[c] -= (f0 * u0[c] + f1 * u1[c]) + (f2 * u2[c] + f3 * u3[c])
            k += 4
        while k < r:
            f0 = factor[k, r]
            u0 = factor[k, r:size]
            for c in range(into.size):
                into[c] -= f0 * u0[c]
            k += 1
        if not into[0] > PIVOT_FLOOR * gross[r]:
            return False
        inverse = 1.0 / math.sqrt(into[0])
        for c in range(into.size):
            into[c] *= inverse
    return True


# --------------------------------------------------------------------------- the design itself, by reflections


@_inner
def _design(series: np.ndarray, m: int, start: int, level_first: int, centred: int) -> np.ndarray:
    """(columns, rows) design of the rows t = start .. n-1, columns ordered as in `_fill`."""
    q, n = series.shape
    rows = n - start
    last = q * (m + 1)
    at_lag = q if level_first else 0
    at_level = 0 if level_first else q * m
    x = np.empty((last + q, rows))
    for a in range(q):
        for t in range(rows):
            x[at_level + a, t] = series[a, start + t - 1]
            x[last + a, t] = series[a, start + t] - series[a, start + t - 1]
        for i in range(1, m + 1):
            column = x[at_lag + q * (i - 1) + a]
            for t in range(rows):
                column[t] = series[a, start + t - i] - series[a, start + t - i - 1]
    if centred:
        for c in range(last + q):
            mean = 0.0
            for t in range(rows):
                mean += x[c, t]
            mean /= rows
            for t in range(rows):
                x[c, t] -= mean
    return x


@_sum
def _axpy(scale: float, a: np.ndarray, b: np.ndarray) -> None:
    for t in range(a.size):
        b[t] += scale * a[t]


@_inner
def _reflect(x: np.ndarray, factor: np.ndarray) -> bool:
    """Upper factor of the design x (columns, rows) by reflections; False where a column has no part of its own."""
    size = x.shape[0]
    for k in range(size):
        whole = math.sqrt(_dot(x[k], x[k]))
        own = x[k, k:]
        norm = math.sqrt(_dot(own, own))
        if not norm > RANK_FLOOR * whole:
            return False
        alpha = -norm if own[0] > 0.0 else norm
        own[0] -= alpha
        # v'v / 2 = norm (norm + |own[0]|)
        half = -alpha * own[0]
        for c in range(k + 1, size):
            rest = x[c, k:]
            _axpy(-_dot(own, rest) / half, own, rest)
        for r in range(k):
            factor[r, k] = x[k, r]
        factor[k, k] = alpha
    return True


# ------------------------------------------------------------------------------------------ what a factor says


@_loop
def _adf_lag(factor: np.ndarray, lags: int, rows: int) -> int:
    """Lag of the least AIC = rows log(ssr) + 2 (lag + 1), level first; ties go to the fewer lags, as in statsmodels."""
    last = lags + 1
    # Residual sums of squares nest: dropping lag l adds R[l, target]^2. exp(AIC / rows) is compared.
    ssr = factor[last, last] ** 2
    best, chosen = math.inf, 0
    for lag in range(lags, -1, -1):
        criterion = ssr * math.exp(2.0 * (lag - lags) / rows)
        if criterion <= best:
            best, chosen = criterion, lag
        ssr += factor[lag, last] ** 2
    return chosen


@_inner
def _adf_t(factor: np.ndarray, lag: int, rows: int) -> float:
    """t-value of the level: coefficient R[k,y] / R[k,k], standard error sqrt(R[y,y]^2 / df) / R[k,k]."""
    return (
        math.copysign(1.0, factor[lag, lag])
        * factor[lag, lag + 1]
        * math.sqrt(float(rows - lag - 1))
        / abs(factor[lag + 1, lag + 1])
    )


@_loop
def _var_order(factor: np.ndarray, m: int, rows: int, level_det: float) -> int:
    """VAR order of the least AIC = log det(Sigma) + 8 p / rows.

    The targets' Schur complement is kept as a, kappa, g: [[a, a kappa], [a kappa, a kappa^2 + g]], so its
    determinant a g loses nothing when the two residuals are nearly one. `level_det` is that of order 0.
    """
    last = 2 * (m + 1)
    a = factor[last, last] ** 2
    kappa = factor[last, last + 1] / factor[last, last]
    g = factor[last + 1, last + 1] ** 2
    best, chosen = math.inf, 0
    for order in range(m + 1, 0, -1):
        criterion = a * g * math.exp(8.0 * (order - m - 1) / rows)
        if criterion <= best:
            best, chosen = criterion, order
        for r in (2 * order - 1, 2 * order - 2):
            one = factor[r, last]
            two = factor[r, last + 1] - kappa * one
            grown = a + one * one
            g += two * two * (a / grown)
            kappa += one * two / grown
            a = grown
    if level_det * math.exp(-8.0 * (m + 1) / rows) <= best:
        chosen = 0
    return chosen


@_inner
def _canonical(factor: np.ndarray, k: int) -> tuple[float, float, float, float]:
    """Squared canonical correlations of levels and differences (larger, smaller), the first one's weights on levels.

    R's corner is [[K, C], [0, D]]: S_kk = K'K, S_k0 = K'C, S_00 = C'C + D'D; with S_00 = L L' the correlations are
    the singular values of W = C L^-T, the weights K^-1 times its left singular vector.
    """
    at, last = 2 * k, 2 * k + 2
    a = factor[last, last] ** 2
    kappa = factor[last, last + 1] / factor[last, last]
    g = factor[last + 1, last + 1] ** 2
    for r in (at, at + 1):
        one = factor[r, last]
        two = factor[r, last + 1] - kappa * one
        grown = a + one * one
        g += two * two * (a / grown)
        kappa += one * two / grown
        a = grown
    root_a, root_g = math.sqrt(a), math.sqrt(g)
    w11 = factor[at, last] / root_a
    w12 = (factor[at, last + 1] - kappa * factor[at, last]) / root_g
    w21 = factor[at + 1, last] / root_a
    w22 = (factor[at + 1, last + 1] - kappa * factor[at + 1, last]) / root_g
    square1 = w11 * w11 + w12 * w12
    square2 = w21 * w21 + w22 * w22
    mixed = w11 * w21 + w12 * w22
    # Eigenvalues of [[square1, mixed], [mixed, square2]]; the smaller from the determinant, not from a difference.
    spread = math.sqrt((square1 - square2) ** 2 + 4.0 * mixed * mixed)
    larger = 0.5 * (square1 + square2 + spread)
    determinant = w11 * w22 - w12 * w21
    smaller = determinant * determinant / larger if larger > 0.0 else 0.0
    left1, left2 = 0.5 * (square1 - square2 + spread), mixed
    if square1 < square2:
        left1, left2 = mixed, 0.5 * (square2 - square1 + spread)
    weight2 = left2 / factor[at + 1, at + 1]
    weight1 = (left1 - factor[at, at + 1] * weight2) / factor[at, at]
    return larger, smaller, weight1, weight2


@_loop
def mackinnon_pvalue(stat: float) -> float:
    """MacKinnon (1994, table 2; 2010) p-value of an Engle-Granger statistic: constant, two series."""
    if stat > 0.92:
        return 1.0
    if stat < -18.86:
        return 0.0
    if stat <= -2.62:
        x = 2.92 + stat * (1.5012 + stat * 0.039796)
    else:
        x = 2.1945 + stat * (0.64695 + stat * (-0.29198 + stat * -0.042377))
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


# -------------------------------------------------------------------------------------- one pair, from moments


@_loop
def make_work(lags: int) -> Work:
    d = lags + 1
    wide = 2 * (lags + 2)
    return Work(
        np.empty(d),
        np.empty(d),
        np.empty(d),
        np.empty(d),
        np.empty(d),
        np.empty(d),
        np.empty(d),
        np.empty(d),
        np.empty(d),
        np.empty((2, wide)),
        np.empty((2, wide)),
        np.empty((2, 2)),
        np.empty(wide),
        np.empty(wide),
        np.empty(wide),
        np.empty(wide),
        np.zeros((wide, wide)),
    )


@_inner
def _cross_moments(inputs: ScanInputs, w: Work, i: int, j: int) -> float:
    """Lagged products of the two tickers over t >= lags + 1; returns sum z1 z2 over all bars."""
    z1, z2, e1, e2 = inputs.z[i], inputs.z[j], inputs.e[i], inputs.e[j]
    n, lags = z1.size, inputs.lags
    start = lags + 1
    _lag_products(e1, e2, start, lags, w.cross12)
    _lag_products(e2, e1, start, lags, w.cross21)
    # Summation by parts gives one product of level and difference from the other, and each lag's from the last.
    w.level12[0] = _dot(z1[start - 1 : n - 1], e2[start:n])
    ends = z1[n - 1] * z2[n - 1] - z1[start - 1] * z2[start - 1]
    w.level21[0] = ends - w.level12[0] - w.cross12[0]
    for d in range(lags):
        at, end = start - 1 - d, n - 1 - d
        w.level12[d + 1] = w.level12[d] + w.cross12[d] + z1[start - 1] * e2[at] - z1[n - 1] * e2[end]
        w.level21[d + 1] = w.level21[d] + w.cross21[d] + z2[start - 1] * e1[at] - z2[n - 1] * e1[end]
    return _dot(z1, z2)


@_inner
def _engle_granger_moments(inputs: ScanInputs, w: Work, i: int, j: int, product: float) -> tuple[bool, float, int]:
    """(trusted, statistic, lag) of ticker i on ticker j; w holds cross moments of (i, j) in this order or the other."""
    return _residual_moments(inputs, w, i, j, product, product / inputs.total[j])


@_inner
def _residual_moments(
    inputs: ScanInputs, w: Work, i: int, j: int, product: float, beta: float
) -> tuple[bool, float, int]:
    """(trusted, statistic, lag) of the unit-root test of z_i - beta z_j, for any beta."""
    z1, z2 = inputs.z[i], inputs.z[j]
    n, lags = z1.size, inputs.lags
    start = lags + 1
    square = beta * beta
    both = product
    for t in range(start - 1):
        both -= z1[t] * z2[t]
    both -= z1[n - 1] * z2[n - 1]
    gross_level = inputs.level_square[i] + square * inputs.level_square[j]
    gross_diff = inputs.diff_diff[i, 0] + square * inputs.diff_diff[j, 0]
    u_square = gross_level - 2.0 * beta * both
    for d in range(lags + 1):
        w.u_diff[d] = (inputs.diff_diff[i, d] - beta * (w.cross12[d] + w.cross21[d])) + square * inputs.diff_diff[j, d]
        w.u_level[d] = (inputs.level_diff[i, d] - beta * (w.level12[d] + w.level21[d])) + square * inputs.level_diff[
            j, d
        ]
        w.uz[d] = z1[d] - beta * z2[d]
        w.ue[d] = inputs.e[i, d] - beta * inputs.e[j, d]
        w.ut[d] = inputs.e[i, n - 1 - d] - beta * inputs.e[j, n - 1 - d]
    lag = lags
    # All lags with the level first, to choose; then the chosen lag on its own rows, to test.
    for level_first in range(1, -1, -1):
        _residual_rows(w, lags, lag, u_square)
        size = _fill(w, 1, lag, level_first)
        for at in range(size):
            w.gross[at] = gross_diff
        w.gross[0 if level_first else lag] = gross_level
        if not _cholesky(w.factor, size, w.gross):
            return False, math.nan, 0
        if level_first:
            lag = _adf_lag(w.factor, lags, n - start)
    return True, _adf_t(w.factor, lag, n - 1 - lag), lag


@_inner
def _residual_rows(w: Work, lags: int, lag: int, u_square: float) -> None:
    """First rows of the residual's moments with `lag` lags: those over t > lags plus the rows t = lag+1 .. lags."""
    w.square[0, 0] = u_square
    for d in range(lag + 1):
        w.first[0, d] = w.u_diff[d]
        w.level[0, d] = w.u_level[d]
        w.head[d] = w.ue[lag - d]
        w.tail[d] = w.ut[d]
    for t in range(lag + 1, lags + 1):
        level, diff = w.uz[t - 1], w.ue[t]
        w.square[0, 0] += level * level
        for d in range(lag + 1):
            w.first[0, d] += diff * w.ue[t - d]
            w.level[0, d] += level * w.ue[t - d]


@_inner
def _pair_rows(inputs: ScanInputs, w: Work, i: int, j: int, product: float, m: int, start: int) -> None:
    """First rows of the pair's moments with m lags over t >= start, start <= lags + 1: series interleaved."""
    z1, z2, e1, e2 = inputs.z[i], inputs.z[j], inputs.e[i], inputs.e[j]
    n, base = z1.size, inputs.lags + 1
    both = product
    for t in range(start - 1):
        both -= z1[t] * z2[t]
    both -= z1[n - 1] * z2[n - 1]
    w.square[0, 0] = inputs.level_square[i]
    w.square[0, 1] = both
    w.square[1, 1] = inputs.level_square[j]
    w.sums[0] = inputs.level_sum[i]
    w.sums[1] = inputs.level_sum[j]
    for d in range(m + 1):
        w.first[0, 2 * d] = inputs.diff_diff[i, d]
        w.first[0, 2 * d + 1] = w.cross12[d]
        w.first[1, 2 * d] = w.cross21[d]
        w.first[1, 2 * d + 1] = inputs.diff_diff[j, d]
        w.level[0, 2 * d] = inputs.level_diff[i, d]
        w.level[0, 2 * d + 1] = w.level12[d]
        w.level[1, 2 * d] = w.level21[d]
        w.level[1, 2 * d + 1] = inputs.level_diff[j, d]
        w.head[2 * d] = e1[start - 1 - d]
        w.head[2 * d + 1] = e2[start - 1 - d]
        w.tail[2 * d] = e1[n - 1 - d]
        w.tail[2 * d + 1] = e2[n - 1 - d]
        # sum_{t=start}^{n-1} e[t-d] telescopes
        w.sums[2 + 2 * d] = z1[n - 1 - d] - z1[start - 1 - d]
        w.sums[3 + 2 * d] = z2[n - 1 - d] - z2[start - 1 - d]
    for t in range(start, base):
        l1, l2, d1, d2 = z1[t - 1], z2[t - 1], e1[t], e2[t]
        w.square[0, 0] += l1 * l1
        w.square[1, 1] += l2 * l2
        w.sums[0] += l1
        w.sums[1] += l2
        for d in range(m + 1):
            f1, f2 = e1[t - d], e2[t - d]
            w.first[0, 2 * d] += d1 * f1
            w.first[0, 2 * d + 1] += d1 * f2
            w.first[1, 2 * d] += d2 * f1
            w.first[1, 2 * d + 1] += d2 * f2
            w.level[0, 2 * d] += l1 * f1
            w.level[0, 2 * d + 1] += l1 * f2
            w.level[1, 2 * d] += l2 * f1
            w.level[1, 2 * d + 1] += l2 * f2


@_inner
def _pair_factor(
    inputs: ScanInputs, w: Work, i: int, j: int, product: float, m: int, start: int, level_first: int
) -> bool:
    """Centred factor of the pair's design in w.factor; False where the moments cannot be trusted."""
    _pair_rows(inputs, w, i, j, product, m, start)
    size = _fill(w, 2, m, level_first)
    _centre(w, 2, m, level_first, inputs.z.shape[1] - start)
    for r in range(size):
        w.gross[r] = w.factor[r, r]
    return _cholesky(w.factor, size, w.gross)


@_inner
def _level_det(z1: np.ndarray, z2: np.ndarray, start: int) -> float:
    """Determinant of the centred products of the levels over t >= start (the VAR of order 0)."""
    rows = z1.size - start
    mean1 = mean2 = 0.0
    for t in range(start, z1.size):
        mean1 += z1[t]
        mean2 += z2[t]
    mean1 /= rows
    mean2 /= rows
    s11 = s12 = s22 = 0.0
    for t in range(start, z1.size):
        s11 += (z1[t] - mean1) ** 2
        s12 += (z1[t] - mean1) * (z2[t] - mean2)
        s22 += (z2[t] - mean2) ** 2
    return s11 * s22 - s12 * s12


@_inner
def _k_ar_diff(order: int, book: bool) -> int:
    return max(order if book else order - 1, 1)


# ---------------------------------------------------------------------------- one pair, from the design itself


@_inner
def _engle_granger_design(z1: np.ndarray, z2: np.ndarray, beta: float, lags: int) -> tuple[bool, float, int]:
    n = z1.size
    u = np.empty((1, n))
    for t in range(n):
        u[0, t] = z1[t] - beta * z2[t]
    factor = np.zeros((lags + 2, lags + 2))
    lag = lags
    for level_first in range(1, -1, -1):
        if not _reflect(_design(u, lag, lag + 1, level_first, 0), factor):
            return False, math.nan, 0
        if level_first:
            lag = _adf_lag(factor, lags, n - lags - 1)
    return True, _adf_t(factor, lag, n - 1 - lag), lag


@_loop
def johansen_design(pair: np.ndarray, k: int) -> tuple[bool, float, float, float, float]:
    """(regular, larger, smaller squared canonical correlation, two weights) of a (2, n) pair, k lagged differences."""
    factor = np.zeros((2 * k + 4, 2 * k + 4))
    if not _reflect(_design(pair, k, k + 1, 0, 1), factor):
        return False, math.nan, math.nan, math.nan, math.nan
    larger, smaller, one, two = _canonical(factor, k)
    return larger < 1.0, larger, smaller, one, two


@_loop
def var_order_design(pair: np.ndarray, order_max: int) -> tuple[bool, int]:
    """(regular, order) of a (2, n) pair by AIC over orders 0 .. order_max."""
    size = 2 * order_max + 2
    factor = np.zeros((size, size))
    if not _reflect(_design(pair, order_max - 1, order_max, 1, 1), factor):
        return False, 0
    det = _level_det(pair[0], pair[1], order_max)
    return True, _var_order(factor, order_max - 1, pair.shape[1] - order_max, det)


# -------------------------------------------------------------------------------------------------- many pairs


@_loop
def _refusal(inputs: ScanInputs, i: int, j: int) -> int:
    """Code of a pair that must not be tested (TESTED if it may)."""
    if inputs.constant[i] or inputs.constant[j]:
        return CONSTANT_LEG
    product = _dot(inputs.z[i], inputs.z[j])
    if 1.0 - product / inputs.total[i] * (product / inputs.total[j]) > COLLINEAR:
        return TESTED
    same = inputs.scale[i] == inputs.scale[j]
    for t in range(inputs.z.shape[1]):
        same = same and inputs.z[i, t] == inputs.z[j, t]
    return IDENTICAL if same else COLLINEAR_PAIR


@_loop
def engle_granger_pair(inputs: ScanInputs, i: int, j: int) -> tuple[int, float, int]:
    """(code, statistic, lag) of ticker i on ticker j by reflections."""
    code = _refusal(inputs, i, j)
    if code != TESTED:
        return code, math.nan, 0
    beta = _dot(inputs.z[i], inputs.z[j]) / inputs.total[j]
    regular, stat, lag = _engle_granger_design(inputs.z[i], inputs.z[j], beta, inputs.lags)
    return (TESTED if regular and math.isfinite(stat) else SINGULAR), stat, lag


@_loop
def spread_stats(
    inputs: ScanInputs, first: np.ndarray, second: np.ndarray, ratio: np.ndarray, stats: np.ndarray, lags: np.ndarray
) -> None:
    """Unit-root statistic of the spreads level_i - ratio level_j about their means, with the lag that AIC chose.

    NaN and -1 where it has none: a ticker that cannot be tested, a ratio that is not finite, a spread without moves.
    """
    w = make_work(inputs.lags)
    for pair in range(first.size):
        i, j = first[pair], second[pair]
        stats[pair], lags[pair] = math.nan, -1
        if _refusal(inputs, i, j) != TESTED or not math.isfinite(ratio[pair]):
            continue
        # z = (level - mean) scale, so level_i - ratio level_j is z_i - beta z_j up to a factor and a constant
        beta = ratio[pair] * inputs.scale[i] / inputs.scale[j]
        product = _cross_moments(inputs, w, i, j)
        trusted, stat, lag = _residual_moments(inputs, w, i, j, product, beta)
        if not trusted:
            trusted, stat, lag = _engle_granger_design(inputs.z[i], inputs.z[j], beta, inputs.lags)
        if trusted and math.isfinite(stat):
            stats[pair], lags[pair] = stat, lag


@_loop
def _scan_moments(
    inputs: ScanInputs, w: Work, i: int, j: int, book: bool, stats: np.ndarray, orders: np.ndarray
) -> bool:
    """Stats: EG 12, EG 21, larger, smaller eigenvalue; orders: lag 12, lag 21, VAR order. False: not trusted."""
    product = _cross_moments(inputs, w, i, j)
    for side in range(2):
        y, x = (i, j) if side == 0 else (j, i)
        trusted, stats[side], orders[side] = _engle_granger_moments(inputs, w, y, x, product)
        if not trusted:
            return False
    n, m, begin, k = inputs.z.shape[1], inputs.order_max - 1, inputs.order_max, 0
    for level_first in range(1, -1, -1):
        if not _pair_factor(inputs, w, i, j, product, m, begin, level_first):
            return False
        if level_first:
            det = _level_det(inputs.z[i], inputs.z[j], begin)
            orders[2] = _var_order(w.factor, m, n - begin, det)
            k = _k_ar_diff(orders[2], book)
            m, begin = k, k + 1
    stats[2], stats[3], _, _ = _canonical(w.factor, k)
    return True


@_loop
def _scan_design(inputs: ScanInputs, i: int, j: int, book: bool, stats: np.ndarray, orders: np.ndarray) -> bool:
    """As `_scan_moments`, by reflections; False where a regression has no unique answer."""
    product = _dot(inputs.z[i], inputs.z[j])
    for side in range(2):
        y, x = (i, j) if side == 0 else (j, i)
        beta = product / inputs.total[x]
        regular, stats[side], orders[side] = _engle_granger_design(inputs.z[y], inputs.z[x], beta, inputs.lags)
        if not regular:
            return False
    n = inputs.z.shape[1]
    pair = np.empty((2, n))
    for t in range(n):
        pair[0, t], pair[1, t] = inputs.z[i, t], inputs.z[j, t]
    regular, orders[2] = var_order_design(pair, inputs.order_max)
    if not regular:
        return False
    regular, stats[2], stats[3], _, _ = johansen_design(pair, _k_ar_diff(orders[2], book))
    return regular


@_loop
def test_pairs(
    inputs: ScanInputs,
    first: np.ndarray,
    second: np.ndarray,
    todo: np.ndarray,
    book: bool,
    stats: np.ndarray,
    orders: np.ndarray,
    codes: np.ndarray,
    fallback: np.ndarray,
) -> None:
    """Fill stats, orders, codes and fallback of the pairs at the places `todo`; the others keep what they hold.

    Rows of stats: Engle-Granger 12 and 21, larger and smaller squared canonical correlation.
    Rows of orders: lag 12, lag 21, VAR order; untouched where a pair cannot be tested.
    """
    w = make_work(inputs.lags)
    found = np.empty(4)
    chosen = np.zeros(3, np.int64)
    for pair in todo:
        i, j = first[pair], second[pair]
        codes[pair] = _refusal(inputs, i, j)
        fallback[pair] = False
        if codes[pair] != TESTED:
            continue
        if not _scan_moments(inputs, w, i, j, book, found, chosen):
            fallback[pair] = True
            if not _scan_design(inputs, i, j, book, found, chosen):
                codes[pair] = SINGULAR
                continue
        if not (math.isfinite(found[0]) and math.isfinite(found[1]) and found[2] < 1.0 and found[3] >= 0.0):
            codes[pair] = SINGULAR
            continue
        for at in range(4):
            stats[at, pair] = found[at]
        for at in range(3):
            orders[at, pair] = chosen[at]


@_loop
def fill_values(
    stats: np.ndarray, orders: np.ndarray, codes: np.ndarray, n: int, book: bool, values: np.ndarray
) -> None:
    """Fill the values of the pairs that were tested, over n bars; the rest keeps what it holds (NaN).

    Rows of values: stat 12, p 12, stat 21, p 21, trace0, trace1, max_eig0, max_eig1.
    """
    for pair in range(codes.size):
        if codes[pair] != TESTED:
            continue
        rows = n - 1 - _k_ar_diff(orders[2, pair], book)
        # max-eigenvalue_r = -T log(1 - lambda_r); the trace sums those from r on.
        eig0, eig1 = -rows * math.log1p(-stats[2, pair]), -rows * math.log1p(-stats[3, pair])
        values[0, pair] = stats[0, pair]
        values[1, pair] = mackinnon_pvalue(stats[0, pair])
        values[2, pair] = stats[1, pair]
        values[3, pair] = mackinnon_pvalue(stats[1, pair])
        values[4, pair] = eig0 + eig1
        values[5, pair] = eig1
        values[6, pair] = eig0
        values[7, pair] = eig1
