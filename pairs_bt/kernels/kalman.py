"""The two Kalman filters, as bare loops.

Model of the regression filter (y, x scalars, state ``(beta, alpha)`` a random walk)::

    y_t = beta_t x_t + alpha_t + e_t,   e_t ~ N(0, R)
    (beta, alpha)_t = (beta, alpha)_{t-1} + w_t,   w_t ~ N(0, diag(q_beta, q_alpha))

The textbook update ``P - p p' / S`` (p = P H', H = (x, 1)) subtracts nearly equal numbers: beta and alpha
are almost collinear where prices move little for their level, and P loses digits, then its sign. The kernels
carry P in factors (Bierman, *Factorization Methods for Discrete Sequential Estimation*, 1977, chapter 5),
which for a line have a meaning::

    a = P00             variance of the slope
    c = -P01 / P00      the x at which the line is known best
    v = P11 - P01**2 / P00    variance of the line at c

so that ``P = [[a, -c a], [-c a, v + c**2 a]]`` and the variance of the line at x is ``a (x - c)**2 + v``. No step
subtracts variances, hence a and v cannot turn negative.

A state is five numbers: beta, alpha, a, c, v. A bar with NaN in y or x is predicted, never corrected.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LANES = 8  # pairs that move through time together, so that the latency of a division hides behind the others
STATE = 5  # beta, alpha, a, c, v
PATH = 7  # beta, alpha, P00, P01, P11, innovation, innovation variance
UNKNOWN = -1
TINY = 1e-300


@njit(cache=True, nogil=True, error_model="numpy")
def local_level_paths(prices: Floats, q: float, r: float, m0: float, p0: float, out: Floats) -> None:
    """Filtered level of each row of ``prices`` (k, n) into ``out`` (k, n)."""
    for i in range(prices.shape[0]):
        m = m0
        p = p0
        for t in range(prices.shape[1]):
            if t > 0:
                p += q
            z = prices[i, t]
            if z == z:
                gain = p / (p + r)
                m += gain * (z - m)
                p = r * gain
            out[i, t] = m


@njit(cache=True, nogil=True, error_model="numpy")
def factor_state(m0: Floats, cov0: Floats, state: Floats) -> None:
    """Kernel state (5,) of a mean (2,) and a covariance (2, 2)."""
    state[0] = m0[0]
    state[1] = m0[1]
    state[2] = cov0[0, 0]
    if cov0[0, 0] > 0.0:
        state[3] = -cov0[0, 1] / cov0[0, 0]
        state[4] = max(cov0[1, 1] - cov0[0, 1] / cov0[0, 0] * cov0[0, 1], 0.0)
    else:
        state[3] = 0.0
        state[4] = cov0[1, 1]


@njit(cache=True, nogil=True, error_model="numpy")
def _predict(q_beta: float, q_alpha: float, a: float, c: float, v: float) -> tuple[float, float, float]:
    # P00 + q_beta, P11 + q_alpha and the same P01: c a / (a + q), v + q_alpha + c**2 q a / (a + q)
    total = a + q_beta
    kept = c * (a / max(total, TINY))
    return total, kept, v + (q_alpha + q_beta * (c * kept))


@njit(cache=True, nogil=True, error_model="numpy")
def _correct(
    y: float, x: float, r: float, beta: float, alpha: float, a: float, c: float, v: float
) -> tuple[float, float, float, float, float, float, float]:
    u = x - c
    p0 = a * u
    p1 = v - c * p0
    vr = v + r
    s = p0 * u + vr
    e = y - x * beta - alpha
    inverse = 1.0 / s
    w = e * inverse
    # the line is known best at the mean of the x so far, each weighted by what its bar told
    share = v / vr
    return beta + p0 * w, alpha + p1 * w, a * (vr * inverse), c + share * u, r * share, e, s


@njit(cache=True, nogil=True, error_model="numpy")
def _record(path: Floats, t: int, beta: float, alpha: float, a: float, c: float, v: float, e: float, s: float) -> None:
    path[0, t] = beta
    path[1, t] = alpha
    path[2, t] = a
    path[3, t] = -c * a
    path[4, t] = v + c * c * a
    path[5, t] = e
    path[6, t] = s


@njit(cache=True, nogil=True, error_model="numpy")
def hedge_path(
    y: Floats,
    x: Floats,
    q_beta: float,
    q_alpha: float,
    r: float,
    predict_first: bool,
    state: Floats,
    path: Floats,
) -> None:
    """Move one pair's ``state`` (5,) through y, x (n,); every bar's result into ``path`` (7, n).

    ``predict_first`` is False where ``state`` is the prior of the first bar, True where it is the posterior of
    the bar before. Rows of ``path``: beta, alpha, P00, P01, P11, innovation, its variance (NaN, NaN on a masked
    bar).
    """
    beta, alpha, a, c, v = state[0], state[1], state[2], state[3], state[4]
    for t in range(y.shape[0]):
        if t > 0 or predict_first:
            a, c, v = _predict(q_beta, q_alpha, a, c, v)
        e = np.nan
        s = np.nan
        if y[t] == y[t] and x[t] == x[t]:
            beta, alpha, a, c, v, e, s = _correct(y[t], x[t], r, beta, alpha, a, c, v)
        _record(path, t, beta, alpha, a, c, v, e, s)
    state[0] = beta
    state[1] = alpha
    state[2] = a
    state[3] = c
    state[4] = v


@njit(cache=True, nogil=True, error_model="numpy")
def _predict_by(f: Floats, q: float, a: float, c: float, v: float) -> tuple[float, float, float]:
    # The covariance F P F' + q I is a u u' + v w w' + q I with u = F (1, -c)', w = F (0, 1)'; the determinant of
    # such a sum is a sum of squares (Cauchy-Binet), so no step subtracts variances.
    u0 = f[0, 0] - c * f[0, 1]
    u1 = f[1, 0] - c * f[1, 1]
    w0 = f[0, 1]
    w1 = f[1, 1]
    p00 = a * u0 * u0 + v * w0 * w0 + q
    if p00 <= 0.0:
        return 0.0, 0.0, a * u1 * u1 + v * w1 * w1 + q
    p01 = a * u0 * u1 + v * w0 * w1
    det = f[0, 0] * f[1, 1] - f[0, 1] * f[1, 0]
    left = (a / p00) * (v * det * det + q * (u0 * u0 + u1 * u1))
    return p00, -p01 / p00, left + (v / p00) * q * (w0 * w0 + w1 * w1) + (q / p00) * q


@njit(cache=True, nogil=True, error_model="numpy")
def transition_path(
    y: Floats, x: Floats, f: Floats, q: float, r: float, predict_first: bool, state: Floats, path: Floats
) -> None:
    """Move ``state`` (5,) through y, x (n,) with the transition ``f`` (2, 2); ``path`` (7, n) as in `hedge_path`."""
    beta, alpha, a, c, v = state[0], state[1], state[2], state[3], state[4]
    for t in range(y.shape[0]):
        if t > 0 or predict_first:
            a, c, v = _predict_by(f, q, a, c, v)
            beta, alpha = f[0, 0] * beta + f[0, 1] * alpha, f[1, 0] * beta + f[1, 1] * alpha
        e = np.nan
        s = np.nan
        if y[t] == y[t] and x[t] == x[t]:
            beta, alpha, a, c, v, e, s = _correct(y[t], x[t], r, beta, alpha, a, c, v)
        _record(path, t, beta, alpha, a, c, v, e, s)
    state[0] = beta
    state[1] = alpha
    state[2] = a
    state[3] = c
    state[4] = v


@njit(cache=True, nogil=True, error_model="numpy")
def _masked_pair(y: Floats, x: Floats, q: float, r: float, start: Floats, beta_out: Floats, alpha_out: Floats) -> None:
    beta, alpha, a, c, v = start[0], start[1], start[2], start[3], start[4]
    for t in range(y.shape[0]):
        if t > 0:
            a, c, v = _predict(q, q, a, c, v)
        if y[t] == y[t] and x[t] == x[t]:
            beta, alpha, a, c, v, _, _ = _correct(y[t], x[t], r, beta, alpha, a, c, v)
        beta_out[t] = beta
        alpha_out[t] = alpha


@njit(cache=True, nogil=True, error_model="numpy")
def _lanes(
    levels: Floats,
    rows: Integers,
    lanes: int,
    q: float,
    r: float,
    start: Floats,
    work: Floats,
    beta_out: Floats,
    alpha_out: Floats,
) -> None:
    # `work` holds seven arrays of LANES numbers: beta, alpha, a, c, v, y, x. Constant distances between them let
    # the compiler see that the lanes are independent, and vectorise them.
    for lane in range(lanes):
        for i in range(STATE):
            work[i * LANES + lane] = start[i]
    for t in range(levels.shape[1]):
        for lane in range(lanes):
            work[5 * LANES + lane] = levels[rows[0, lane], t]
            work[6 * LANES + lane] = levels[rows[1, lane], t]
        step = q if t > 0 else 0.0  # with a step of 0 the prediction changes no bit
        for lane in range(lanes):
            a, c, v = _predict(step, step, work[2 * LANES + lane], work[3 * LANES + lane], work[4 * LANES + lane])
            beta, alpha, a, c, v, _, _ = _correct(
                work[5 * LANES + lane], work[6 * LANES + lane], r, work[lane], work[LANES + lane], a, c, v
            )
            work[lane] = beta
            work[LANES + lane] = alpha
            work[2 * LANES + lane] = a
            work[3 * LANES + lane] = c
            work[4 * LANES + lane] = v
        for lane in range(lanes):
            beta_out[rows[2, lane], t] = work[lane]
            alpha_out[rows[2, lane], t] = work[LANES + lane]


@njit(cache=True, nogil=True, error_model="numpy")
def _has_gap(row: Floats) -> int:
    for value in row:
        if value != value:
            return 1
    return 0


@njit(cache=True, nogil=True, error_model="numpy")
def hedge_paths(
    levels: Floats,
    iy: Integers,
    ix: Integers,
    delta: float,
    obs_cov: float,
    m0: Floats,
    cov0: Floats,
    beta_out: Floats,
    alpha_out: Floats,
) -> None:
    """Regression filter of many pairs: rows ``iy[p]`` on ``ix[p]`` of ``levels`` (k, n) into (p, n) outputs.

    A pair gets the same bytes alone, in any lane and in any chunk. Pairs with a NaN take the masked path,
    whose operations are the same ones.
    """
    q = delta / (1.0 - delta)
    start = np.empty(STATE)
    factor_state(m0, cov0, start)
    gaps = np.full(levels.shape[0], UNKNOWN, dtype=np.int8)
    work = np.empty((STATE + 2) * LANES)
    rows = np.empty((3, LANES), dtype=np.int64)
    lanes = 0
    for p in range(iy.shape[0]):
        for i in (iy[p], ix[p]):
            if gaps[i] == UNKNOWN:
                gaps[i] = _has_gap(levels[i])
        if gaps[iy[p]] or gaps[ix[p]]:
            _masked_pair(levels[iy[p]], levels[ix[p]], q, obs_cov, start, beta_out[p], alpha_out[p])
            continue
        rows[0, lanes] = iy[p]
        rows[1, lanes] = ix[p]
        rows[2, lanes] = p
        lanes += 1
        if lanes == LANES:
            _lanes(levels, rows, lanes, q, obs_cov, start, work, beta_out, alpha_out)
            lanes = 0
    if lanes > 0:
        _lanes(levels, rows, lanes, q, obs_cov, start, work, beta_out, alpha_out)


@njit(cache=True, nogil=True, error_model="numpy")
def hedge_paths_each(
    levels: Floats,
    iy: Integers,
    ix: Integers,
    q: Floats,
    r: Floats,
    m0: Floats,
    cov0: Floats,
    beta_out: Floats,
    alpha_out: Floats,
    e_out: Floats,
    s_out: Floats,
) -> None:
    """Regression filter of many pairs, each with its own noise and start.

    Noise ``q`` (p, 2), ``r`` (p,), start ``m0`` (p, 2), ``cov0`` (p, 2, 2). Rows ``iy[p]`` on ``ix[p]`` of ``levels``
    (k, n) into (p, n) outputs: beta, alpha, innovation and its variance (NaN on a masked bar). The operations are
    those of `hedge_paths`.
    """
    state = np.empty(STATE)
    path = np.empty((PATH, levels.shape[1]))
    for p in range(iy.shape[0]):
        factor_state(m0[p], cov0[p], state)
        hedge_path(levels[iy[p]], levels[ix[p]], q[p, 0], q[p, 1], r[p], False, state, path)
        # bar by bar: a slice set to an array makes numba compile the text of an error about their shapes
        for t in range(path.shape[1]):
            beta_out[p, t] = path[0, t]
            alpha_out[p, t] = path[1, t]
            e_out[p, t] = path[5, t]
            s_out[p, t] = path[6, t]
