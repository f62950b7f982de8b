"""A ratio that reverts to its own mean: likelihood, fit and filter of one pair after another.

    y_t = alpha + beta_t x_t + e_t,    beta_t - b = phi (beta_{t-1} - b) + w_t

with Var e = r and Var w = q. Under a known phi and q / r the model is a regression of y on 1 and x whose errors
x_t (beta_t - b) + e_t one scalar filter makes white, so alpha, b (generalised least squares) and r have closed
forms (Harvey 1989, sections 3.4.2 and 3.4.3). What is searched is u = -log(1 - phi) and v = log rho, where
rho = Var(beta) mean(x**2) / r compares what beta and the noise do to y, whatever the units.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LOG_2PI = np.log(2.0 * np.pi)
BAD = -1e300
# phi from 0 to 0.9975, a half-life of 280 bars; beyond, a train window cannot tell it from a walk
U_STEPS, U_STEP = 7, 1.0
V_LOW, V_STEPS, V_STEP = np.log(1e-5), 11, np.log(10.0)
NARROW = 0.015  # the search ends when its step in u is below this: within 0.01 of the greatest log-likelihood
# columns of what is found
PHI, MEAN, ALPHA, STEP_VAR, SHOCK_VAR, LIKELIHOOD = range(6)
FITTED, CONSTANT, NO_ANSWER = range(3)


@njit(cache=True, nogil=True, error_model="numpy")
def concentrated(y: Floats, x: Floats, phi: float, var: float) -> tuple[float, float, float, float]:
    """(log-likelihood, b, alpha, r) of one pair's bars (n,), `var` = Var(beta) / r; BAD where there is no value.

    The first beta is drawn from its stationary distribution. A bar with NaN in y or x is predicted only.
    """
    y0 = x0 = np.nan
    dy = d1 = dx = 0.0
    p = var
    g = var * (1.0 - phi * phi)
    yy = y1 = yx = ones = cross = xx = 0.0
    logs = 0.0
    product = 1.0
    counted = 0
    for t in range(y.shape[0]):
        if t > 0:
            dy *= phi
            d1 *= phi
            dx *= phi
            p = phi * phi * p + g
        if y[t] != y[t] or x[t] != x[t]:
            continue
        if counted == 0:
            y0, x0 = y[t], x[t]
        level = x[t]
        inverse = 1.0 / (p * level * level + 1.0)
        gain = p * level * inverse
        # y, 1 and x, from the first bar, go through the same filter
        ey = (y[t] - y0) - level * dy
        e1 = 1.0 - level * d1
        ex = (level - x0) - level * dx
        dy += gain * ey
        d1 += gain * e1
        dx += gain * ex
        p *= inverse
        wy = ey * inverse
        w1 = e1 * inverse
        yy += ey * wy
        y1 += e1 * wy
        yx += ex * wy
        ones += e1 * w1
        cross += ex * w1
        xx += ex * ex * inverse
        # one logarithm for many bars
        product *= inverse
        counted += 1
        if product < 1e-200:
            logs -= np.log(product)
            product = 1.0
    logs -= np.log(product)
    determinant = ones * xx - cross * cross
    if counted < 4 or not determinant > 1e-13 * ones * xx:
        return BAD, np.nan, np.nan, np.nan
    b = (ones * yx - cross * y1) / determinant
    a = (xx * y1 - cross * yx) / determinant
    r = (yy - a * y1 - b * yx) / counted
    alpha = y0 + a - b * x0
    # what is left of y is no more than rounding
    if not r > 1e-15 * yy / counted or not np.isfinite(logs):
        return BAD, b, alpha, 0.0
    return -0.5 * (counted * (LOG_2PI + 1.0 + np.log(r)) + logs), b, alpha, r


@njit(cache=True, nogil=True, error_model="numpy")
def fit(y: Floats, x: Floats, gain: float, found: Floats) -> int:
    """Fit one pair's bars y, x (n,) into ``found`` (6,) and return FITTED, CONSTANT or NO_ANSWER.

    A ratio that does not move is taken unless one that does has a log-likelihood higher by more than `gain`.
    """
    found[:] = np.nan
    base, b, alpha, r = concentrated(y, x, 0.0, 0.0)
    if b != b:
        return NO_ANSWER
    found[PHI], found[MEAN], found[ALPHA], found[STEP_VAR], found[SHOCK_VAR] = 0.0, b, alpha, 0.0, r
    found[LIKELIHOOD] = base if base > BAD else np.nan
    if base == BAD:
        return CONSTANT
    power = 0.0
    counted = 0
    for t in range(y.shape[0]):
        if y[t] == y[t] and x[t] == x[t]:
            power += x[t] * x[t]
            counted += 1
    power /= counted
    best, u, v = BAD, 0.0, V_LOW
    for i in range(U_STEPS):
        for j in range(V_STEPS):
            at = V_LOW + V_STEP * j
            value = concentrated(y, x, 1.0 - np.exp(-U_STEP * i), np.exp(at) / power)[0]
            if value > best:
                best, u, v = value, U_STEP * i, at
    du, dv = 0.5 * U_STEP, 0.5 * V_STEP
    while du > NARROW:
        moved = False
        mu, mv = u, v
        for i in range(-1, 2):
            for j in range(-1, 2):
                if i == 0 and j == 0:
                    continue
                cu = min(max(mu + i * du, 0.0), U_STEP * (U_STEPS - 1))
                cv = min(max(mv + j * dv, V_LOW), V_LOW + V_STEP * (V_STEPS - 1))
                value = concentrated(y, x, 1.0 - np.exp(-cu), np.exp(cv) / power)[0]
                if value > best:
                    best, u, v = value, cu, cv
                    moved = True
        if not moved:
            du *= 0.5
            dv *= 0.5
    if not best > base + gain:
        return CONSTANT
    phi, var = 1.0 - np.exp(-u), np.exp(v) / power
    best, b, alpha, r = concentrated(y, x, phi, var)
    found[PHI], found[MEAN], found[ALPHA], found[LIKELIHOOD] = phi, b, alpha, best
    found[STEP_VAR], found[SHOCK_VAR] = r * var * (1.0 - phi * phi), r
    return FITTED


@njit(cache=True, nogil=True, error_model="numpy")
def filter_beta(y: Floats, x: Floats, found: Floats, out: Floats) -> None:
    """Filter one pair's bars (n,) under ``found``: ``out`` (n,) is E[beta_t] by the bars up to t."""
    phi, b, alpha, q, r = found[PHI], found[MEAN], found[ALPHA], found[STEP_VAR], found[SHOCK_VAR]
    d = 0.0
    p = q / (1.0 - phi * phi)
    for t in range(y.shape[0]):
        if t > 0:
            d *= phi
            p = phi * phi * p + q
        if y[t] == y[t] and x[t] == x[t] and p > 0.0:
            s = p * x[t] * x[t] + r
            d += p * x[t] / s * (y[t] - alpha - (b + d) * x[t])
            p *= r / s
        out[t] = b + d


@njit(cache=True, nogil=True, error_model="numpy")
def fit_pairs(y: Floats, x: Floats, n_train: int, gain: float, found: Floats, flag: NDArray[np.int8]) -> None:
    """`fit` on the first `n_train` bars of every row of y, x (pairs, n): ``found`` (pairs, 6), ``flag`` (pairs,)."""
    for k in range(y.shape[0]):
        flag[k] = fit(y[k, :n_train], x[k, :n_train], gain, found[k])


@njit(cache=True, nogil=True, error_model="numpy")
def filter_pairs(y: Floats, x: Floats, found: Floats, out: Floats) -> None:
    """`filter_beta` of every row of y, x (pairs, n) to ``out`` (pairs, n)."""
    for k in range(y.shape[0]):
        filter_beta(y[k], x[k], found[k], out[k])
