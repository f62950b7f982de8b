"""Maximum likelihood of the regression filter's noise, as bare loops.

Model: y_t = beta_t x_t + alpha_t + e_t, e_t ~ N(0, R), the state (beta, alpha) a random walk with steps
N(0, R diag(g_beta, g_alpha)), started at 0 with covariance R kappa I (large kappa: nothing is known). Every variance
is a multiple of R, so R leaves the filter and is found in closed form (Harvey, *Forecasting, Structural Time Series
Models and the Kalman Filter*, 1989, section 3.4.2): with innovations e_t of variance R s_t over the m bars after the
first `burn`,

    R = (1/m) sum e_t**2 / s_t,    log L = -(m/2) (log 2 pi + 1 + log R) - (1/2) sum log s_t.

What is searched is the share of the state's step in a bar's variance: rho = g_beta mean(x**2), and rho = g_alpha, or
one g for both with rho = g (mean(x**2) + 1): free of units, so one grid fits every price.

The filter's step is that of `pairs_bt.kernels.kalman` (covariance in factors), written out here because a kernel that
is called from another file goes stale in its cache.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FITTED, FLAT, LOWER, UPPER, FAILED = range(5)

KAPPA = 1e6
LOW = np.log(1e-9)
HIGH = np.log(1e4)
GRID = 14  # points of the first look along one axis
GRID_TWO = 6
GOLDEN = 0.5 * (np.sqrt(5.0) - 1.0)
TOLERANCE = 1e-4  # in log rho; the likelihood's error is of its square
WIDTH = 0.2  # of the simplex in log rho, and the least gain in log-likelihood, at which it stops
GAIN = 1e-6
FLATNESS = 1e-3  # in log-likelihood over the whole range
LOG_2PI = np.log(2.0 * np.pi)
BAD = -1e300
EDGE = 0.05  # so near to an end of the range, in log rho, the best place is the end


@njit(cache=True, nogil=True, error_model="numpy")
def concentrated(y: Floats, x: Floats, g_beta: float, g_alpha: float, burn: int) -> tuple[float, float]:
    """(log-likelihood, R) of one pair's bars y, x (n,) under steps R g_beta, R g_alpha; BAD where it has no value.

    A bar with NaN in y or x is predicted only.
    """
    beta = alpha = 0.0
    a = v = KAPPA
    c = 0.0
    squares = 0.0
    logs = 0.0
    product = 1.0
    counted = 0
    for t in range(y.shape[0]):
        if t > 0:
            total = a + g_beta
            kept = c * (a / max(total, 1e-300))
            a = total
            v = v + (g_alpha + g_beta * (c * kept))
            c = kept
        if y[t] != y[t] or x[t] != x[t]:
            continue
        u = x[t] - c
        p0 = a * u
        p1 = v - c * p0
        vr = v + 1.0
        s = p0 * u + vr
        e = y[t] - x[t] * beta - alpha
        inverse = 1.0 / s
        w = e * inverse
        beta += p0 * w
        alpha += p1 * w
        a *= vr * inverse
        share = v / vr
        c += share * u
        v = share
        if t >= burn:
            squares += e * w
            # one logarithm for many bars
            product *= s
            counted += 1
            if product > 1e200:
                logs += np.log(product)
                product = 1.0
    logs += np.log(product)
    r = squares / max(counted, 1)
    if not r > 0.0 or not np.isfinite(logs):
        return BAD, np.nan
    return -0.5 * counted * (LOG_2PI + 1.0 + np.log(r)) - 0.5 * logs, r


@njit(cache=True, nogil=True, error_model="numpy")
def _steps(log_rho_beta: float, log_rho_alpha: float, power: float, two: bool) -> tuple[float, float]:
    if two:
        return np.exp(log_rho_beta) / power, np.exp(log_rho_alpha)
    g = np.exp(log_rho_beta) / (power + 1.0)
    return g, g


@njit(cache=True, nogil=True, error_model="numpy")
def _value(y: Floats, x: Floats, power: float, burn: int, two: bool, at_beta: float, at_alpha: float) -> float:
    if at_beta < LOW or at_beta > HIGH or at_alpha < LOW or at_alpha > HIGH:
        return BAD
    g_beta, g_alpha = _steps(at_beta, at_alpha, power, two)
    return concentrated(y, x, g_beta, g_alpha, burn)[0]


@njit(cache=True, nogil=True, error_model="numpy")
def _golden(y: Floats, x: Floats, power: float, burn: int) -> tuple[float, float, float]:
    """(log rho, best value, least value on the grid) for one g: a grid, then golden section about its best point."""
    step = (HIGH - LOW) / (GRID - 1)
    best = BAD
    least = -BAD
    at = 0
    for i in range(GRID):
        value = _value(y, x, power, burn, False, LOW + i * step, 0.0)
        if value > best:
            best = value
            at = i
        least = min(least, value)
    low = LOW + max(at - 1, 0) * step
    high = LOW + min(at + 1, GRID - 1) * step
    left = high - GOLDEN * (high - low)
    right = low + GOLDEN * (high - low)
    f_left = _value(y, x, power, burn, False, left, 0.0)
    f_right = _value(y, x, power, burn, False, right, 0.0)
    while high - low > TOLERANCE:
        if f_left >= f_right:
            high = right
            right = left
            f_right = f_left
            left = high - GOLDEN * (high - low)
            f_left = _value(y, x, power, burn, False, left, 0.0)
        else:
            low = left
            left = right
            f_left = f_right
            right = low + GOLDEN * (high - low)
            f_right = _value(y, x, power, burn, False, right, 0.0)
    middle = 0.5 * (low + high)
    return middle, max(best, max(f_left, f_right)), least


@njit(cache=True, nogil=True, error_model="numpy")
def _order(points: Floats, values: Floats) -> None:
    # three corners, best first
    for i in range(1, 3):
        for j in range(i, 0, -1):
            if values[j] > values[j - 1]:
                values[j], values[j - 1] = values[j - 1], values[j]
                for k in range(2):
                    points[j, k], points[j - 1, k] = points[j - 1, k], points[j, k]


@njit(cache=True, nogil=True, error_model="numpy")
def _nelder_mead(y: Floats, x: Floats, power: float, burn: int, point: Floats) -> tuple[float, float]:
    """(best, least value on the grid) for two g: a grid, then Nelder and Mead's simplex from its best point.

    The best place goes to ``point`` (2,): log rho of beta and of alpha.
    """
    step = (HIGH - LOW) / (GRID_TWO - 1)
    best = BAD
    least = -BAD
    for i in range(GRID_TWO):
        for j in range(GRID_TWO):
            value = _value(y, x, power, burn, True, LOW + i * step, LOW + j * step)
            least = min(least, value)
            if value > best:
                best = value
                point[0] = LOW + i * step
                point[1] = LOW + j * step
    points = np.empty((3, 2))
    values = np.empty(3)
    for i in range(3):
        for k in range(2):
            points[i, k] = point[k]
    middle = 0.5 * (LOW + HIGH)
    for k in range(2):
        # a corner on the boundary takes its neighbour inside
        points[k + 1, k] += 0.7 * step if point[k] < middle else -0.7 * step
    for i in range(3):
        values[i] = _value(y, x, power, burn, True, points[i, 0], points[i, 1])
    trial = np.empty(2)
    for _ in range(160):
        _order(points, values)
        width = 0.0
        for k in range(2):
            width = max(width, abs(points[1, k] - points[0, k]), abs(points[2, k] - points[0, k]))
        if width < WIDTH and values[0] - values[2] < GAIN:
            break
        centre_0 = 0.5 * (points[0, 0] + points[1, 0])
        centre_1 = 0.5 * (points[0, 1] + points[1, 1])
        trial[0] = 2.0 * centre_0 - points[2, 0]
        trial[1] = 2.0 * centre_1 - points[2, 1]
        f_trial = _value(y, x, power, burn, True, trial[0], trial[1])
        scale = 1.0
        if f_trial > values[0]:
            scale = 2.0
        elif f_trial <= values[1]:
            scale = 0.5 if f_trial > values[2] else -0.5
        if scale != 1.0:
            other_0 = centre_0 + scale * (centre_0 - points[2, 0])
            other_1 = centre_1 + scale * (centre_1 - points[2, 1])
            f_other = _value(y, x, power, burn, True, other_0, other_1)
            if f_other > f_trial:
                trial[0] = other_0
                trial[1] = other_1
                f_trial = f_other
        if f_trial > values[2]:
            values[2] = f_trial
            points[2, 0] = trial[0]
            points[2, 1] = trial[1]
        else:
            for i in range(1, 3):
                for k in range(2):
                    points[i, k] = points[0, k] + 0.5 * (points[i, k] - points[0, k])
                values[i] = _value(y, x, power, burn, True, points[i, 0], points[i, 1])
    _order(points, values)
    point[0] = points[0, 0]
    point[1] = points[0, 1]
    return values[0], least


@njit(cache=True, nogil=True, error_model="numpy")
def fit_noise(
    levels: Floats,
    iy: Integers,
    ix: Integers,
    n_train: int,
    burn: int,
    two: bool,
    q: Floats,
    r: Floats,
    value: Floats,
    flag: NDArray[np.int8],
) -> None:
    """Fit the first ``n_train`` bars of rows ``iy[p]`` on ``ix[p]`` of ``levels`` (k, n).

    Variances of the steps to ``q`` (p, 2), of the observation to ``r`` (p,), log-likelihood to ``value`` (p,), and
    FITTED, FLAT, LOWER, UPPER or FAILED to ``flag`` (p,).
    """
    point = np.empty(2)
    for p in range(iy.shape[0]):
        y = levels[iy[p], :n_train]
        x = levels[ix[p], :n_train]
        power = 0.0
        seen = 0
        for t in range(n_train):
            if x[t] == x[t]:
                power += x[t] * x[t]
                seen += 1
        power /= max(seen, 1)
        if not power > 0.0:
            power = 1.0
        if two:
            best, least = _nelder_mead(y, x, power, burn, point)
        else:
            point[0], best, least = _golden(y, x, power, burn)
            point[1] = point[0]
        g_beta, g_alpha = _steps(point[0], point[1], power, two)
        value[p], r[p] = concentrated(y, x, g_beta, g_alpha, burn)
        q[p, 0] = r[p] * g_beta
        q[p, 1] = r[p] * g_alpha
        flag[p] = FITTED
        if value[p] <= BAD or not np.isfinite(r[p]):
            flag[p] = FAILED
        elif best - least < FLATNESS:
            flag[p] = FLAT
        elif max(point[0], point[1]) > HIGH - EDGE:
            flag[p] = UPPER
        elif max(point[0], point[1]) < LOW + EDGE:
            flag[p] = LOWER
