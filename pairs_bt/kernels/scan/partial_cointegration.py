"""Partial cointegration: likelihood and fit of one pair after another (Clegg and Krauss 2018).

    y_t = alpha + beta x_t + W_t,    W_t = M_t + R_t,
    M_t = rho M_{t-1} + e_t,         R_t = R_{t-1} + f_t

with Var e = s_M and Var f = s_R. Nothing is known of where R begins, so what is left is a regression of the change
of y on that of x with the errors dW = dM + dR; alpha falls out. M begins in its stationary distribution. With the
variance of dW as the unit, the errors have two parameters,

    rho   and   share = Var dM / Var dW = 2 s_M / (2 s_M + (1 + rho) s_R),

and s_M = share (1 + rho) / 2, s_R = 1 - share. W is seen without noise, so one scalar filter, of M given W, makes the
errors white; beta (generalised least squares) and the variance have closed forms. share = 0 is a random walk, share =
1 an AR(1) about a mean that is not known.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LOG_2PI = np.log(2.0 * np.pi)
BAD = -1e300
# rho from 0 to 0.9975, a half-life of 280 bars; beyond, a train window cannot tell M from a walk
U_STEPS, U_STEP = 7, 1.0
SHARE_STEPS, SHARE_STEP = 7, 1.0 / 7.0
# the search ends when its step in u = -log(1 - rho) is below this
NARROW = 0.02
# columns of what is found
LIKELIHOOD, WALK_STAT, AR_STAT, BETA, RHO, SHARE, SCALE = range(7)
N_FOUND = 7
STEADY = 1e-12


@njit(cache=True, nogil=True, error_model="numpy")
def concentrated(dy: Floats, dx: Floats, rho: float, share: float) -> tuple[float, float, float]:
    """(log-likelihood, beta, Var dW) of the changes dy, dx (n,) at `rho` in [0, 1) and `share` in [0, 1].

    BAD in place of the likelihood where dx does not move or nothing of dy is left.
    """
    n = dy.shape[0]
    miss = 1.0 - rho
    own = 0.5 * share * (1.0 + rho)
    shocks = own + (1.0 - share)
    # what W does not tell of M: its variance
    c = 0.5 * share / miss
    my = mx = yy = yx = xx = logs = 0.0
    product = 1.0
    steady = n
    gain = inverse = 0.0
    for t in range(n):
        f = c * miss * miss + shocks
        inverse = 1.0 / f
        gain = (own - rho * miss * c) * inverse
        ey = dy[t] + miss * my
        ex = dx[t] + miss * mx
        my = rho * my + gain * ey
        mx = rho * mx + gain * ex
        yy += ey * ey * inverse
        yx += ex * ey * inverse
        xx += ex * ex * inverse
        # one logarithm for many bars
        product *= f
        if product < 1e-200:
            logs += np.log(product)
            product = 1.0
        after = rho * rho * c + own - gain * gain * f
        still = abs(after - c) <= STEADY * c
        c = after
        if still:
            steady = t + 1
            break
    logs += np.log(product)
    if steady < n:
        f = c * miss * miss + shocks
        inverse = 1.0 / f
        gain = (own - rho * miss * c) * inverse
        # the same step, with fewer operations that wait for the one before
        keep = rho + gain * miss
        a = b = d = 0.0
        for t in range(steady, n):
            ey = dy[t] + miss * my
            ex = dx[t] + miss * mx
            my = keep * my + gain * dy[t]
            mx = keep * mx + gain * dx[t]
            a += ey * ey
            b += ex * ey
            d += ex * ex
        yy += a * inverse
        yx += b * inverse
        xx += d * inverse
        logs += (n - steady) * np.log(f)
    beta = yx / xx
    scale = (yy - beta * yx) / n
    # what is left of y is no more than rounding
    if not (xx > 0.0 and scale > 1e-15 * yy / n):
        return BAD, beta, scale
    return -0.5 * (n * (LOG_2PI + 1.0 + np.log(scale)) + logs), beta, scale


@njit(cache=True, nogil=True, error_model="numpy")
def fit(dy: Floats, dx: Floats, found: Floats) -> None:
    """Fit the changes dy, dx (n,) into `found` (N_FOUND,); all NaN where there is no answer.

    Twice the log-likelihood above that of a random walk and of an AR(1), and what is fitted. rho is NaN where the
    share is 0: nothing is there to revert.
    """
    found[:] = np.nan
    base, beta, scale = concentrated(dy, dx, 0.0, 0.0)
    if base == BAD:
        return
    best, u, share = base, 0.0, 0.0
    ar, ar_u = BAD, 0.0
    for i in range(U_STEPS):
        at = U_STEP * i
        for j in range(1, SHARE_STEPS + 1):
            value = concentrated(dy, dx, 1.0 - np.exp(-at), min(SHARE_STEP * j, 1.0))[0]
            if value > best:
                best, u, share = value, at, min(SHARE_STEP * j, 1.0)
            if j == SHARE_STEPS and value > ar:
                ar, ar_u = value, at
    step = 0.5 * U_STEP
    while step > NARROW:
        middle = ar_u
        for side in range(-1, 2, 2):
            at = min(max(middle + side * step, 0.0), U_STEP * (U_STEPS - 1))
            value = concentrated(dy, dx, 1.0 - np.exp(-at), 1.0)[0]
            if value > ar:
                ar, ar_u = value, at
        step *= 0.5
    # the AR(1) lies on the model's edge, so the model is never the worse of the two
    if ar > best:
        best, u, share = ar, ar_u, 1.0
    du, ds = 0.5 * U_STEP, 0.5 * SHARE_STEP
    while du > NARROW:
        moved = False
        mu, ms = u, share
        for i in range(-1, 2):
            for j in range(-1, 2):
                if i == 0 and j == 0:
                    continue
                cu = min(max(mu + i * du, 0.0), U_STEP * (U_STEPS - 1))
                cs = min(max(ms + j * ds, 0.0), 1.0)
                value = concentrated(dy, dx, 1.0 - np.exp(-cu), cs)[0]
                if value > best:
                    best, u, share = value, cu, cs
                    moved = True
        if not moved:
            du *= 0.5
            ds *= 0.5
    rho = 1.0 - np.exp(-u)
    best, beta, scale = concentrated(dy, dx, rho, share)
    found[LIKELIHOOD] = best
    found[WALK_STAT] = max(2.0 * (best - base), 0.0)
    found[AR_STAT] = max(2.0 * (best - ar), 0.0)
    found[BETA] = beta
    found[RHO] = rho if share > 0.0 else np.nan
    found[SHARE] = share
    found[SCALE] = scale


@njit(cache=True, nogil=True, error_model="numpy")
def fit_pairs(changes: Floats, iy: Integers, ix: Integers, out: Floats) -> None:
    """Fit the pairs of rows (iy, ix) of `changes` (tickers, n) into `out` (pairs, N_FOUND)."""
    for p in range(iy.shape[0]):
        fit(changes[iy[p]], changes[ix[p]], out[p])
