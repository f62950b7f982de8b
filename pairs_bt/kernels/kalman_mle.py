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
# Below the least share the state stands still for any window; above the largest there is no noise but the state's.
LOW = np.log(1e-7)
HIGH = np.log(300.0)
TOLERANCE = 3e-4  # in log rho; the likelihood's error is of its square
WIDTH = 0.2  # of the simplex in log rho, and the least gain in log-likelihood, at which it stops
GAIN = 1e-6
FLATNESS = 1e-3  # in log-likelihood over the whole range
LANES = 8  # places that are tried at once, so that the latency of a division hides behind the others
ROWS = 6
ALONG = (HIGH - LOW) / (ROWS - 1)
ACROSS = (HIGH - LOW) / (LANES - 1)
# where each quantity of the lanes begins
BETA, ALPHA, SLOPE, CENTRE, LINE, SQUARES, LOGS, PRODUCT, G_BETA, G_ALPHA, WORK = (LANES * k for k in range(11))
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
def _lanes(y: Floats, x: Floats, burn: int, work: Floats, values: Floats) -> None:
    """`concentrated` at the LANES steps in ``work``, which move through time together, to ``values`` (LANES,)."""
    for i in range(LANES):
        work[BETA + i] = 0.0
        work[ALPHA + i] = 0.0
        work[SLOPE + i] = KAPPA
        work[CENTRE + i] = 0.0
        work[LINE + i] = KAPPA
        work[SQUARES + i] = 0.0
        work[LOGS + i] = 0.0
        work[PRODUCT + i] = 1.0
    counted = 0
    held = 0
    for t in range(y.shape[0]):
        step = 1.0 if t > 0 else 0.0
        if y[t] != y[t] or x[t] != x[t]:
            for i in range(LANES):
                a = work[SLOPE + i]
                total = a + step * work[G_BETA + i]
                kept = work[CENTRE + i] * (a / max(total, 1e-300))
                work[LINE + i] += step * (work[G_ALPHA + i] + work[G_BETA + i] * (work[CENTRE + i] * kept))
                work[SLOPE + i] = total
                work[CENTRE + i] = kept
            continue
        level = y[t]
        at = x[t]
        counts = 1.0 if t >= burn else 0.0
        for i in range(LANES):
            g_b = step * work[G_BETA + i]
            a = work[SLOPE + i]
            total = a + g_b
            kept = work[CENTRE + i] * (a / max(total, 1e-300))
            v = work[LINE + i] + (step * work[G_ALPHA + i] + g_b * (work[CENTRE + i] * kept))
            u = at - kept
            p0 = total * u
            p1 = v - kept * p0
            vr = v + 1.0
            s = p0 * u + vr
            e = level - at * work[BETA + i] - work[ALPHA + i]
            inverse = 1.0 / s
            w = e * inverse
            share = v / vr
            work[BETA + i] += p0 * w
            work[ALPHA + i] += p1 * w
            work[SLOPE + i] = total * (vr * inverse)
            work[CENTRE + i] = kept + share * u
            work[LINE + i] = share
            work[SQUARES + i] += counts * (e * w)
            work[PRODUCT + i] *= 1.0 + counts * (s - 1.0)
        if t >= burn:
            counted += 1
            held += 1
        # s is at most about 1e6 (1e8 + 1) 1e6 times one: sixteen of them stay below the largest number
        if held == 16:
            held = 0
            for i in range(LANES):
                work[LOGS + i] += np.log(work[PRODUCT + i])
                work[PRODUCT + i] = 1.0
    for i in range(LANES):
        logs = work[LOGS + i] + np.log(work[PRODUCT + i])
        r = work[SQUARES + i] / max(counted, 1)
        if r > 0.0 and np.isfinite(logs):
            values[i] = -0.5 * counted * (LOG_2PI + 1.0 + np.log(r)) - 0.5 * logs
        else:
            values[i] = BAD


@njit(cache=True, nogil=True, error_model="numpy")
def _steps(log_rho_beta: float, log_rho_alpha: float, power: float, two: bool) -> tuple[float, float]:
    if two:
        return np.exp(log_rho_beta) / power, np.exp(log_rho_alpha)
    g = np.exp(log_rho_beta) / (power + 1.0)
    return g, g


@njit(cache=True, nogil=True, error_model="numpy")
def _look(y: Floats, x: Floats, power: float, burn: int, two: bool, places: Floats, work: Floats) -> None:
    """Likelihood at the LANES places of ``places`` (4, LANES): rows log rho of beta, of alpha, room, values."""
    for i in range(LANES):
        g_beta, g_alpha = _steps(places[0, i], places[1, i], power, two)
        work[G_BETA + i] = g_beta
        work[G_ALPHA + i] = g_alpha
    _lanes(y, x, burn, work, places[3])


@njit(cache=True, nogil=True, error_model="numpy")
def _search_one(y: Floats, x: Floats, power: float, burn: int, point: Floats, work: Floats) -> tuple[float, float]:
    """(best, least value of the first look) for one g: a grid over the range, then ever finer ones about its best."""
    places = np.zeros((4, LANES))
    best = BAD
    least = -BAD
    width = (HIGH - LOW) / (2 * LANES - 1)
    for half in range(2):
        for i in range(LANES):
            places[0, i] = LOW + (half * LANES + i) * width
        _look(y, x, power, burn, False, places, work)
        for i in range(LANES):
            least = min(least, places[3, i])
            if places[3, i] > best:
                best = places[3, i]
                point[0] = places[0, i]
    while width > TOLERANCE:
        low = max(point[0] - width, LOW)
        high = min(point[0] + width, HIGH)
        width = (high - low) / (LANES - 1)
        for i in range(LANES):
            places[0, i] = low + i * width
        _look(y, x, power, burn, False, places, work)
        for i in range(LANES):
            if places[3, i] > best:
                best = places[3, i]
                point[0] = places[0, i]
    point[1] = point[0]
    return best, least


@njit(cache=True, nogil=True, error_model="numpy")
def _value(y: Floats, x: Floats, power: float, burn: int, at_beta: float, at_alpha: float) -> float:
    if at_beta < LOW or at_beta > HIGH or at_alpha < LOW or at_alpha > HIGH:
        return BAD
    g_beta, g_alpha = _steps(at_beta, at_alpha, power, True)
    return concentrated(y, x, g_beta, g_alpha, burn)[0]


@njit(cache=True, nogil=True, error_model="numpy")
def _order(corners: Floats) -> None:
    # three rows (log rho of beta, of alpha, value), best first
    for i in range(1, 3):
        for j in range(i, 0, -1):
            if corners[j, 2] > corners[j - 1, 2]:
                for k in range(3):
                    corners[j, k], corners[j - 1, k] = corners[j - 1, k], corners[j, k]


@njit(cache=True, nogil=True, error_model="numpy")
def _contract(y: Floats, x: Floats, power: float, burn: int, corners: Floats) -> None:
    """Move one corner of the simplex ``corners`` (3, 3), best first, as Nelder and Mead (1965) have it."""
    middle_0 = 0.5 * (corners[0, 0] + corners[1, 0])
    middle_1 = 0.5 * (corners[0, 1] + corners[1, 1])
    away_0 = middle_0 - corners[2, 0]
    away_1 = middle_1 - corners[2, 1]
    at_0 = middle_0 + away_0
    at_1 = middle_1 + away_1
    value = _value(y, x, power, burn, at_0, at_1)
    scale = 1.0
    if value > corners[0, 2]:
        scale = 2.0
    elif value <= corners[1, 2]:
        scale = 0.5 if value > corners[2, 2] else -0.5
    if scale != 1.0:
        other = _value(y, x, power, burn, middle_0 + scale * away_0, middle_1 + scale * away_1)
        if other > value:
            at_0 = middle_0 + scale * away_0
            at_1 = middle_1 + scale * away_1
            value = other
    if value > corners[2, 2]:
        corners[2, 0] = at_0
        corners[2, 1] = at_1
        corners[2, 2] = value
        return
    for i in range(1, 3):
        for k in range(2):
            corners[i, k] = corners[0, k] + 0.5 * (corners[i, k] - corners[0, k])
        corners[i, 2] = _value(y, x, power, burn, corners[i, 0], corners[i, 1])


@njit(cache=True, nogil=True, error_model="numpy")
def _climb(y: Floats, x: Floats, power: float, burn: int, at_beta: float, at_alpha: float, point: Floats) -> float:
    """Best value that a simplex finds from a place of the grid; its own place to ``point`` (2,)."""
    corners = np.empty((3, 3))
    middle = 0.5 * (LOW + HIGH)
    for i in range(3):
        corners[i, 0] = at_beta
        corners[i, 1] = at_alpha
    # towards the middle, so that no corner lies outside
    corners[1, 0] += 0.7 * ALONG if at_beta < middle else -0.7 * ALONG
    corners[2, 1] += 0.7 * ACROSS if at_alpha < middle else -0.7 * ACROSS
    for i in range(3):
        corners[i, 2] = _value(y, x, power, burn, corners[i, 0], corners[i, 1])
    for _ in range(160):
        _order(corners)
        width = 0.0
        for k in range(2):
            width = max(width, abs(corners[1, k] - corners[0, k]), abs(corners[2, k] - corners[0, k]))
        if width < WIDTH and corners[0, 2] - corners[2, 2] < GAIN:
            break
        _contract(y, x, power, burn, corners)
    _order(corners)
    point[0] = corners[0, 0]
    point[1] = corners[0, 1]
    return corners[0, 2]


@njit(cache=True, nogil=True, error_model="numpy")
def _search_two(y: Floats, x: Floats, power: float, burn: int, point: Floats, work: Floats) -> tuple[float, float]:
    """(best, least value of the first look) for two g: a grid of ROWS x LANES, then a climb from its two tops."""
    places = np.zeros((4, LANES))
    grid = np.empty((ROWS, LANES))
    for k in range(ROWS):
        for i in range(LANES):
            places[0, i] = LOW + k * ALONG
            places[1, i] = LOW + i * ACROSS
        _look(y, x, power, burn, True, places, work)
        grid[k] = places[3]
    least = grid.min()
    best = BAD
    trial = np.empty(2)
    for _ in range(2):
        top = int(np.argmax(grid))
        row = top // LANES
        lane = top % LANES
        value = _climb(y, x, power, burn, LOW + row * ALONG, LOW + lane * ACROSS, trial)
        if value > best:
            best = value
            point[0] = trial[0]
            point[1] = trial[1]
        # the second climb starts away from the first: the likelihood may have two tops
        for k in range(max(row - 1, 0), min(row + 2, ROWS)):
            for i in range(max(lane - 1, 0), min(lane + 2, LANES)):
                grid[k, i] = BAD
    return best, least


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
    work = np.empty(WORK)
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
            best, least = _search_two(y, x, power, burn, point, work)
        else:
            best, least = _search_one(y, x, power, burn, point, work)
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
