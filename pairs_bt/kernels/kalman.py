"""The two Kalman filters, as bare loops.

Model of the regression filter (y, x scalars, state ``(beta, alpha)`` a random walk)::

    y_t = beta_t x_t + alpha_t + e_t,   e_t ~ N(0, R)
    (beta, alpha)_t = (beta, alpha)_{t-1} + w_t,   w_t ~ N(0, diag(q_beta, q_alpha))

The textbook update ``P - p p' / S`` (p = P H', H = (x, 1)) subtracts nearly equal numbers and can leave a
covariance that is negative. The kernels carry the determinant ``d = P00 P11 - P01**2`` beside the
covariance. With it the same update is a sum of terms of one sign::

    P00 <- (d + R P00) / S,   P11 <- (x**2 d + R P11) / S,   P01 <- (R P01 - x d) / S,   d <- R d / S

(expand ``P00 S - p0**2`` to see it) and the prediction is ``d <- d + q_alpha P00 + q_beta P11 + q_beta
q_alpha``. The diagonal and the determinant stay non-negative by construction, and an error of ``d`` shrinks
by ``(R / S)**2`` a bar.

A state is six numbers: beta, alpha, P00, P01, P11, d. A bar with NaN in y or x is predicted, never corrected.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LANES = 8  # pairs that move through time together, so that the latency of one division hides behind the others
STATE = 6  # beta, alpha, P00, P01, P11, determinant
UNKNOWN = -1
PATH = 7  # beta, alpha, P00, P01, P11, innovation, innovation variance


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
def _predict(q_beta: float, q_alpha: float, p00: float, p11: float, d: float) -> tuple[float, float, float]:
    return p00 + q_beta, p11 + q_alpha, d + (q_alpha * p00 + q_beta * p11 + q_beta * q_alpha)


@njit(cache=True, nogil=True, error_model="numpy")
def _correct(
    y: float, x: float, r: float, beta: float, alpha: float, p00: float, p01: float, p11: float, d: float
) -> tuple[float, float, float, float, float, float, float, float]:
    p0 = x * p00 + p01
    p1 = x * p01 + p11
    # H P H' cannot be negative, its rounded sum can: a floor keeps S >= R whatever the condition of P
    s = max(x * p0 + p1, 0.0) + r
    e = y - x * beta - alpha
    inverse = 1.0 / s
    w = e * inverse
    g = r * inverse
    h = d * inverse
    xh = x * h
    return (beta + p0 * w, alpha + p1 * w, h + g * p00, g * p01 - xh, x * xh + g * p11, g * d, e, s)


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
    """Move one pair's ``state`` (6,) through y, x (n,); every bar's result into ``path`` (7, n).

    ``predict_first`` is False where ``state`` is the prior of the first bar, True where it is the posterior
    of the bar before. Rows of ``path``: beta, alpha, P00, P01, P11, innovation, its variance (NaN, NaN on a
    masked bar).
    """
    beta, alpha, p00, p01, p11, d = state[0], state[1], state[2], state[3], state[4], state[5]
    for t in range(y.shape[0]):
        if t > 0 or predict_first:
            p00, p11, d = _predict(q_beta, q_alpha, p00, p11, d)
        e = np.nan
        s = np.nan
        if y[t] == y[t] and x[t] == x[t]:
            beta, alpha, p00, p01, p11, d, e, s = _correct(y[t], x[t], r, beta, alpha, p00, p01, p11, d)
        path[0, t] = beta
        path[1, t] = alpha
        path[2, t] = p00
        path[3, t] = p01
        path[4, t] = p11
        path[5, t] = e
        path[6, t] = s
    state[0] = beta
    state[1] = alpha
    state[2] = p00
    state[3] = p01
    state[4] = p11
    state[5] = d


@njit(cache=True, nogil=True, error_model="numpy")
def _masked_pair(y: Floats, x: Floats, q: float, r: float, start: Floats, beta_out: Floats, alpha_out: Floats) -> None:
    beta, alpha, p00, p01, p11, d = start[0], start[1], start[2], start[3], start[4], start[5]
    for t in range(y.shape[0]):
        if t > 0:
            p00, p11, d = _predict(q, q, p00, p11, d)
        if y[t] == y[t] and x[t] == x[t]:
            beta, alpha, p00, p01, p11, d, _, _ = _correct(y[t], x[t], r, beta, alpha, p00, p01, p11, d)
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
    # ``work`` holds eight arrays of LANES numbers: constant distances between them let the compiler
    # vectorise the lanes
    for lane in range(lanes):
        for i in range(STATE):
            work[i * LANES + lane] = start[i]
    for t in range(levels.shape[1]):
        for lane in range(lanes):
            work[6 * LANES + lane] = levels[rows[0, lane], t]
            work[7 * LANES + lane] = levels[rows[1, lane], t]
        step_q = q if t > 0 else 0.0
        for lane in range(lanes):
            p00, p11, d = _predict(
                step_q, step_q, work[2 * LANES + lane], work[4 * LANES + lane], work[5 * LANES + lane]
            )
            beta, alpha, p00, p01, p11, d, _, _ = _correct(
                work[6 * LANES + lane],
                work[7 * LANES + lane],
                r,
                work[lane],
                work[LANES + lane],
                p00,
                work[3 * LANES + lane],
                p11,
                d,
            )
            work[lane] = beta
            work[LANES + lane] = alpha
            work[2 * LANES + lane] = p00
            work[3 * LANES + lane] = p01
            work[4 * LANES + lane] = p11
            work[5 * LANES + lane] = d
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
    start[0] = m0[0]
    start[1] = m0[1]
    start[2] = cov0[0, 0]
    start[3] = cov0[0, 1]
    start[4] = cov0[1, 1]
    start[5] = max(cov0[0, 0] * cov0[1, 1] - cov0[0, 1] * cov0[1, 0], 0.0)
    gaps = np.full(levels.shape[0], UNKNOWN, dtype=np.int8)
    work = np.empty(8 * LANES)
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
