"""A pair whose spread reverts: likelihood, fit and filter, as bare loops.

Model (Elliott, van der Hoek and Malcolm 2005; Clegg and Krauss 2018; Harvey 1989, section 3.4)::

    y_t = alpha + beta_t x_t + u_t
    u_t = phi u_{t-1} + e_t,          e_t ~ N(0, s2),   u_0 ~ N(0, s2 / (1 - phi**2))
    beta_t = beta_{t-1} + w_t,        w_t ~ N(0, s2 g)

alpha is constant; alpha and beta_0 are not known at all. The observation has no noise of its own, so the spread is
taken out by quasi-differences: with d_t = y_t - phi y_{t-1}, X_t = x_t - phi x_{t-1} and k = 1 - phi,

    d_t = X_t beta_{t-1} + k alpha + (x_t w_t + e_t),

a regression on the state *before* the step, whose noise (variance s2 r, r = 1 + g x_t**2) is correlated with the step.
The state is corrected first; then w_t is split into what that noise says of it, J times the noise with J = g x_t / r,
and a rest of variance g / r that is independent of it (Anderson and Moore, *Optimal Filtering*, 1979, section 5.5):

    beta_t = beta_{t-1} + J (d_t - X_t beta_{t-1} - k alpha) + rest.

A bar without a price is left out: over m bars phi becomes phi**m, the variance of e (1 - phi**(2 m)) / (1 - phi**2),
and g becomes m g.

The covariance is carried in factors, as in `pairs_bt.kernels.kalman`: a = P00, c = -P01 / P00, v = P11 - P01**2 / P00.
Under beta -> p beta + n alpha with a rest of variance q they become

    a' = a (p - n c)**2 + n**2 v + q,   v' = (a v p**2 + q (v + a c**2)) / a',   c' = (a c (p - n c) - n v) / a':

sums of what cannot be negative, so no variance loses its sign. All variances are multiples of s2, which is found in
closed form from the innovations after the first two. What is searched is the half-life ln 2 / -ln phi and the share
rho = g mean(x**2) of the ratio's steps in a bar's variance; rho = 0, a ratio that stands still, is searched apart. The
likelihood may have two summits (a spread that reverts fast beside a ratio that moves much, or the reverse) and long
ridges: after a grid both summits are climbed, with steps that grow along a ridge.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FITTED, NO_REVERSION, FAILED = range(3)

KAPPA = 1e8
LN2 = np.log(2.0)
LANES = 8  # parameters that are tried at once, so that the latency of a division hides behind the others
SHORTEST = 0.25  # half-life in bars
LOW = np.log(3e-5)  # of rho
HIGH = np.log(30.0)
ROWS = 6
ROUNDS = 4
POLISH = 60
MARGIN = 0.25  # in log-likelihood
CLOSE = 3e-5  # in log half-life and log rho: so near that rounding in prices does not show in a ratio
FINE = 3e-3  # steps from which the top of a quadratic is that near
NEAR = 5.0  # in log-likelihood: a second summit of the grid that comes so near the first is climbed too
NEARER = 0.15  # share of a step to which the next look shrinks where a quadratic fits
HEX_U = np.array([1.0, 0.5, -0.5, -1.0, -0.5, 0.5])
HEX_V = np.sqrt(0.75) * np.array([0.0, 1.0, 1.0, 0.0, -1.0, -1.0])
BAD = -1e300
# where each quantity of the lanes begins
BETA, ALPHA, SLOPE, CENTRE, LINE, SQUARES, PRODUCT, LOGS, PHI, STEP, JUMP, NOISE, INVERSE, LEFT, RIGHT, WORK = (
    LANES * k for k in range(16)
)
BURN = 2


@njit(cache=True, nogil=True, error_model="numpy")
def _correct(
    y: float, x: float, r: float, beta: float, alpha: float, a: float, c: float, v: float
) -> tuple[float, float, float, float, float, float, float]:
    # the step of `pairs_bt.kernels.kalman`: y = beta x + alpha + noise of variance r
    u = x - c
    p0 = a * u
    p1 = v - c * p0
    vr = v + r
    s = p0 * u + vr
    e = y - x * beta - alpha
    inverse = 1.0 / s
    w = e * inverse
    share = v / vr
    return beta + p0 * w, alpha + p1 * w, a * (vr * inverse), c + share * u, r * share, e, s


@njit(cache=True, nogil=True, error_model="numpy")
def _advance(
    y: float, x: float, y_before: float, x_before: float, phi: float, noise: float, g: float,
    beta: float, alpha: float, a: float, c: float, v: float,
) -> tuple[float, float, float, float, float, float, float]:  # fmt: skip
    """Move the state from a bar to the next; last two: innovation, and its variance over s2."""
    k = 1.0 - phi
    inverse = 1.0 / k
    d = y - phi * y_before
    gap = x - phi * x_before
    r = noise + g * (x * x)
    beta, alpha, a, c, v, e, s = _correct(d * inverse, gap * inverse, r * (inverse * inverse), beta, alpha, a, c, v)
    e *= k
    s *= k * k
    j = g * x / r
    beta += j * (d - gap * beta - k * alpha)
    p = 1.0 - j * gap
    n = -j * k
    q = g * noise / r
    reach = p - n * c
    total = a * (reach * reach) + n * n * v + q
    centre = (a * c * reach - n * v) / total
    v = (a * v * (p * p) + q * (v + a * (c * c))) / total
    return beta, alpha, total, centre, v, e, s


@njit(cache=True, nogil=True, error_model="numpy")
def path(y: Floats, x: Floats, phi: float, g: float, first_cov: Floats, count: int, out: Floats) -> tuple[float, float]:
    """(log-likelihood, s2) of the first ``count`` bars of y, x (n,), and the state after each bar to ``out`` (6, n).

    ``first_cov`` (2,): variances of beta and alpha before the first bar over s2. Rows of ``out`` (none: nothing is
    kept): beta, alpha, u_t = y_t - beta_t x_t - alpha_t, innovation, its variance over s2, that of beta; the third to
    the fifth NaN on a bar without a price.
    """
    beta = alpha = c = 0.0
    a = first_cov[0]
    v = first_cov[1]
    squares = logs = 0.0
    seen = counted = 0
    last = -1
    for t in range(y.shape[0]):
        e = s = u = np.nan
        if y[t] == y[t] and x[t] == x[t]:
            if last < 0:
                beta, alpha, a, c, v, e, s = _correct(y[t], x[t], 1.0 / (1.0 - phi * phi), beta, alpha, a, c, v)
            else:
                bars = t - last
                jump = phi if bars == 1 else phi**bars
                noise = 1.0 if bars == 1 else (1.0 - jump * jump) / (1.0 - phi * phi)
                beta, alpha, a, c, v, e, s = _advance(
                    y[t], x[t], y[last], x[last], jump, noise, bars * g, beta, alpha, a, c, v
                )
            last = t
            u = y[t] - beta * x[t] - alpha
            if seen >= BURN and t < count:
                squares += e * e / s
                logs += np.log(s)
                counted += 1
            seen += 1
        if out.shape[0] > 0:
            out[0, t] = beta
            out[1, t] = alpha
            out[2, t] = u
            out[3, t] = e
            out[4, t] = s
            out[5, t] = a
    s2 = squares / max(counted, 1)
    if not s2 > 0.0 or not np.isfinite(logs):
        return BAD, np.nan
    return -0.5 * counted * (np.log(2.0 * np.pi * s2) + 1.0) - 0.5 * logs, s2


@njit(cache=True, nogil=True, error_model="numpy")
def _jumps(bars: int, work: Floats) -> None:
    """phi, the noise of e and 1 / (1 - phi) of every lane over some bars."""
    for i in range(LANES):
        phi = work[PHI + i]
        jump = phi if bars == 1 else phi**bars
        work[JUMP + i] = jump
        work[NOISE + i] = 1.0 if bars == 1 else (1.0 - jump * jump) / (1.0 - phi * phi)
        work[INVERSE + i] = 1.0 / (1.0 - jump)


@njit(cache=True, nogil=True, error_model="numpy")
def _lanes(y: Floats, x: Floats, first_cov: Floats, still: bool | np.bool_, work: Floats, values: Floats) -> None:
    """`path`'s likelihood at the LANES pairs (phi, g) in ``work``, which move through time together.

    The steps are those of `_advance` with fewer divisions: everything is in units of k = 1 - phi, one quotient
    1 / (s v_r) serves for two, and a ratio that stands ``still`` (g = 0) needs no step of its own.
    """
    for i in range(LANES):
        work[BETA + i] = 0.0
        work[ALPHA + i] = 0.0
        work[SLOPE + i] = first_cov[0]
        work[CENTRE + i] = 0.0
        work[LINE + i] = first_cov[1]
        work[SQUARES + i] = 0.0
        work[PRODUCT + i] = 1.0
        work[LOGS + i] = 0.0
    seen = counted = held = 0
    last = -1
    step = 0
    for t in range(y.shape[0]):
        if y[t] != y[t] or x[t] != x[t]:
            continue
        counts = 1.0 if seen >= BURN else 0.0
        level = y[t]
        at = x[t]
        if last < 0:
            for i in range(LANES):
                beta, alpha, a, c, v, _, _ = _correct(
                    level, at, 1.0 / (1.0 - work[PHI + i] * work[PHI + i]), work[BETA + i], work[ALPHA + i],
                    work[SLOPE + i], work[CENTRE + i], work[LINE + i],
                )  # fmt: skip
                work[BETA + i] = beta
                work[ALPHA + i] = alpha
                work[SLOPE + i] = a
                work[CENTRE + i] = c
                work[LINE + i] = v
        else:
            if t - last != step:
                step = t - last
                _jumps(step, work)
            bars = float(step)
            before = y[last]
            x_before = x[last]
            for i in range(LANES):
                jump = work[JUMP + i]
                inverse = work[INVERSE + i]
                a = work[SLOPE + i]
                c = work[CENTRE + i]
                v = work[LINE + i]
                left = (level - jump * before) * inverse
                right = (at - jump * x_before) * inverse
                r = (work[NOISE + i] + (bars * work[STEP + i]) * (at * at)) * (inverse * inverse)
                u = right - c
                p0 = a * u
                p1 = v - c * p0
                vr = v + r
                s = p0 * u + vr
                e = left - right * work[BETA + i] - work[ALPHA + i]
                both = 1.0 / (s * vr)
                over_s = vr * both
                w = e * over_s
                share = v * (s * both)
                work[BETA + i] += p0 * w
                work[ALPHA + i] += p1 * w
                work[SLOPE + i] = a * (vr * over_s)
                work[CENTRE + i] = c + share * u
                work[LINE + i] = r * share
                work[LEFT + i] = left
                work[RIGHT + i] = right
                work[SQUARES + i] += counts * (e * w)
                # one logarithm for many bars
                k = 1.0 - jump
                work[PRODUCT + i] *= 1.0 + counts * (s * (k * k) - 1.0)
            if not still:
                for i in range(LANES):
                    k = 1.0 - work[JUMP + i]
                    g = bars * work[STEP + i]
                    over_r = 1.0 / (work[NOISE + i] + g * (at * at))
                    a = work[SLOPE + i]
                    c = work[CENTRE + i]
                    v = work[LINE + i]
                    n = -(g * at * over_r) * k
                    work[BETA + i] -= n * (work[LEFT + i] - work[RIGHT + i] * work[BETA + i] - work[ALPHA + i])
                    p = 1.0 + n * work[RIGHT + i]
                    q = g * work[NOISE + i] * over_r
                    reach = p - n * c
                    total = a * (reach * reach) + n * n * v + q
                    over = 1.0 / total
                    work[SLOPE + i] = total
                    work[CENTRE + i] = (a * c * reach - n * v) * over
                    work[LINE + i] = (a * v * (p * p) + q * (v + a * (c * c))) * over
        last = t
        seen += 1
        if counts > 0.0:
            counted += 1
            held += 1
        if held == 8:
            held = 0
            for i in range(LANES):
                work[LOGS + i] += np.log(work[PRODUCT + i])
                work[PRODUCT + i] = 1.0
    for i in range(LANES):
        s2 = work[SQUARES + i] / max(counted, 1)
        logs = work[LOGS + i] + np.log(work[PRODUCT + i])
        if s2 > 0.0 and np.isfinite(logs):
            values[i] = -0.5 * counted * (np.log(2.0 * np.pi * s2) + 1.0) - 0.5 * logs
        else:
            values[i] = BAD


@njit(cache=True, nogil=True, error_model="numpy")
def _try(
    y: Floats,
    x: Floats,
    power: float,
    first_cov: Floats,
    places: Floats,
    work: Floats,
    values: Floats,
    best: Floats,
    still: bool | np.bool_,
) -> None:
    """Likelihood at the LANES ``places`` (2, LANES) to ``values``: log half-lives, log rho (not read where ``still``).

    ``best`` (3,): value, log half-life and log rho, replaced by a better place.
    """
    for i in range(LANES):
        work[PHI + i] = np.exp(-LN2 / np.exp(places[0, i]))
        work[STEP + i] = 0.0 if still else np.exp(places[1, i]) / power
    _lanes(y, x, first_cov, still, work, values)
    for i in range(LANES):
        if values[i] > best[0]:
            best[0] = values[i]
            best[1] = places[0, i]
            best[2] = places[1, i]


@njit(cache=True, nogil=True, error_model="numpy")
def _search_still(y: Floats, x: Floats, power: float, first_cov: Floats, longest: float, work: Floats) -> Floats:
    """(value, log half-life, log rho) of the best ratio that stands still: a grid, then ever closer ones."""
    low = np.log(SHORTEST)
    places = np.full((2, LANES), LOW)
    values = np.empty(LANES)
    best = np.array([BAD, low, LOW])
    # typed: of a bare True numba makes a type of its own, and compiles the callee for each
    stands = np.bool_(True)
    wide = (longest - low) / (2 * LANES - 1)
    for half in range(2):
        for i in range(LANES):
            places[0, i] = low + (half * LANES + i) * wide
        _try(y, x, power, first_cov, places, work, values, best, stands)
    at = best[1]
    reach = wide
    while reach > CLOSE:
        first = max(at - reach, low)
        reach = (min(at + reach, longest) - first) / (LANES - 1)
        for i in range(LANES):
            places[0, i] = first + i * reach
        _try(y, x, power, first_cov, places, work, values, best, stands)
        at = best[1]
        top = np.argmax(values)
        if 0 < top < LANES - 1:
            to, height = _top_of_parabola(values[top - 1], values[top], values[top + 1])
            if height >= best[0]:
                at = places[0, top] + to * reach
                if reach < FINE:
                    best[0], best[1] = height, at
                    return best
                reach *= NEARER
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def _top_of_parabola(before: float, here: float, after: float) -> tuple[float, float]:
    """(place, height) of the top of the parabola through values at -1, 0, 1; NaN if the middle is not the largest."""
    slope = 0.5 * (after - before)
    bend = after - 2.0 * here + before
    if not (bend < 0.0 and before <= here and after <= here):
        return np.nan, np.nan
    return -slope / bend, here - 0.5 * slope * slope / bend


@njit(cache=True, nogil=True, error_model="numpy")
def _top_of_hexagon(values: Floats) -> tuple[float, float, float]:
    """(u, v, height) of the top of the quadratic through a centre, values[0], and six corners; NaN if it has none.

    The corners are (cos, sin) of 0, 60, ..., 300 degrees.
    """
    gx = gy = uu = vv = uv = 0.0
    for k in range(6):
        u = HEX_U[k]
        v = HEX_V[k]
        rise = values[1 + k] - values[0]
        gx += rise * u
        gy += rise * v
        uu += rise * u * u
        vv += rise * v * v
        uv += rise * u * v
    # least squares: over the corners u^2 and v^2 sum to 3, u^4 and v^4 to 9/4, u^2 v^2 to 3/4
    gx /= 3.0
    gy /= 3.0
    a = (3.0 * uu - vv) / 3.0
    b = (3.0 * vv - uu) / 3.0
    c = uv / 0.75
    det = a * b - c * c
    if not (a < 0.0 and det > 0.0):
        return np.nan, np.nan, np.nan
    u = (c * gy - b * gx) / det
    v = (c * gx - a * gy) / det
    return u, v, values[0] + 0.5 * (gx * u + gy * v)


@njit(cache=True, nogil=True, error_model="numpy")
def _second_summit(grid: Floats, least: float) -> tuple[int, int]:
    """Row and column of the second highest place of a grid (ROWS, LANES) that tops its neighbours and ``least``.

    (-1, -1) if there is none.
    """
    highest = np.argmax(grid)
    found = (-1, -1)
    for row in range(ROWS):
        for column in range(LANES):
            here = grid[row, column]
            if row * LANES + column == highest or not here > least:
                continue
            summit = True
            for i in range(max(row - 1, 0), min(row + 2, ROWS)):
                for j in range(max(column - 1, 0), min(column + 2, LANES)):
                    summit &= grid[i, j] <= here
            if summit:
                found = (row, column)
                least = here
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _search_moving(
    y: Floats, x: Floats, power: float, first_cov: Floats, longest: float, enough: float, work: Floats
) -> Floats:
    """(value, log half-life, log rho) of the best ratio that moves; not to the end if it stays below ``enough``.

    A grid, then a climb from its highest place, and from a second summit if one comes near it.
    """
    low = np.log(SHORTEST)
    moves = np.bool_(False)
    places = np.empty((2, LANES))
    grid = np.empty((ROWS, LANES))
    best = np.array([BAD, low, LOW])
    wide = (longest - low) / (LANES - 1)
    tall = (HIGH - LOW) / (ROWS - 1)
    for k in range(ROWS):
        for i in range(LANES):
            places[0, i] = low + i * wide
            places[1, i] = LOW + k * tall
        _try(y, x, power, first_cov, places, work, grid[k], best, moves)
    row, column = _second_summit(grid, best[0] - NEAR)
    _climb(y, x, power, first_cov, longest, 0.5 * wide, 0.5 * tall, enough, work, best)
    if row >= 0:
        other = np.array([grid[row, column], low + column * wide, LOW + row * tall])
        _climb(y, x, power, first_cov, longest, 0.5 * wide, 0.5 * tall, max(enough, best[0]), work, other)
        if other[0] > best[0]:
            return other
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def _climb(
    y: Floats, x: Floats, power: float, first_cov: Floats, longest: float, along: float, across: float,
    enough: float, work: Floats, best: Floats,
) -> None:  # fmt: skip
    """From ``best`` (value, log half-life, log rho) to the top, or as far as shows that it stays below ``enough``.

    A hexagon around a centre gives a quadratic, whose top is the next centre. On an edge of what is searched it is a
    line along the edge and a parabola, with a look inside. Where no quadratic fits, the highest place is next.
    """
    low = np.log(SHORTEST)
    moves = np.bool_(False)
    places = np.empty((2, LANES))
    values = np.empty(LANES)
    life, share = best[1], best[2]
    down = True
    for k in range(POLISH):
        if (k == ROUNDS and best[0] < enough - MARGIN) or max(along, across) < CLOSE:
            return
        before = best[0]
        side = life <= low or life >= longest
        edge = side or share <= LOW or share >= HIGH
        free = _around(life, share, along, across, longest, edge, down, places)
        _try(y, x, power, first_cov, places, work, values, best, moves)
        height = u = v = far = np.nan
        if free:
            u, v, height = _top_of_hexagon(values)
            far = np.hypot(u, v)
        elif edge:
            top = np.argmax(values)
            if 0 < top < 4:
                to, height = _top_of_parabola(values[top - 1], values[top], values[top + 1])
                to = 0.5 * (to + top - 2)
                u, v = (0.0, to) if side else (to, 0.0)
                far = 0.0
        if height >= best[0] and far < 2.0:
            life = min(max(life + u * along, low), longest)
            share = min(max(share + v * across, LOW), HIGH)
            if max(along, across) < FINE:
                best[0], best[1], best[2] = height, life, share
                return
            along *= min(max(abs(u), NEARER), 0.7)
            across *= min(max(abs(v), NEARER), 0.7)
        elif best[0] == before:
            life, share = best[1], best[2]
            along *= 0.5
            across *= 0.5
        else:
            # further in the direction that led up
            along *= 1.5 if abs(best[1] - life) > 0.7 * along else 0.7
            across *= 1.5 if abs(best[2] - share) > 0.7 * across else 0.7
            down = best[2] < share
            life, share = best[1], best[2]


@njit(cache=True, nogil=True, error_model="numpy")
def _around(
    life: float, share: float, along: float, across: float, longest: float, edge: bool | np.bool_,
    down: bool | np.bool_, places: Floats,
) -> bool:  # fmt: skip
    """A centre, six corners of a hexagon and the place below or above; on an ``edge`` five along it, three inside.

    False if a place lies on the edge, or was moved there.
    """
    low = np.log(SHORTEST)
    side = life <= low or life >= longest
    free = True
    for i in range(LANES):
        u, v = 0.0, -1.0 if down else 1.0
        if edge:
            u = 0.5 * (i - 2) if i < 5 else 0.5 * (i - 6)
            v = 0.0 if i < 5 else 1.0
            if side:
                u, v = (v if life <= low else -v), u
            elif share >= HIGH:
                v = -v
        elif i < 7:
            u = HEX_U[i - 1] if i > 0 else 0.0
            v = HEX_V[i - 1] if i > 0 else 0.0
        places[0, i] = min(max(life + u * along, low), longest)
        places[1, i] = min(max(share + v * across, LOW), HIGH)
        free &= low < places[0, i] < longest and LOW < places[1, i] < HIGH
    return free


@njit(cache=True, nogil=True, error_model="numpy")
def start_covariance(y: Floats, x: Floats, n: int, out: Floats) -> float:
    """Variances before the first bar over s2, in units of the prices, to ``out`` (2,); returns mean(x**2).

    s2 is not known yet, so that of y's changes stands for it: KAPPA is large enough for any s2 below.
    """
    power = square = change = 0.0
    seen = 0
    last = -1
    for t in range(n):
        if y[t] == y[t] and x[t] == x[t]:
            power += x[t] * x[t]
            square += y[t] * y[t]
            if last >= 0:
                change += (y[t] - y[last]) ** 2
            last = t
            seen += 1
    power /= max(seen, 1)
    square /= max(seen, 1)
    change /= max(seen - 1, 1)
    if not (power > 0.0 and change > 0.0):
        out[0] = out[1] = KAPPA
        return 1.0
    out[1] = KAPPA * max(square / change, 1.0)
    out[0] = out[1] / power
    return power


@njit(cache=True, nogil=True, error_model="numpy")
def fit_pairs(
    levels: Floats,
    iy: Integers,
    ix: Integers,
    n_train: int,
    gain: float,
    found: Floats,
    flag: NDArray[np.int8],
) -> None:
    """Fit the first ``n_train`` bars of rows ``iy[p]`` on ``ix[p]`` of ``levels`` (k, n).

    A ratio that moves is taken only where it raises the log-likelihood by more than ``gain``. To ``found`` (p, 5):
    phi, g, s2, log-likelihood, and the gain of a moving ratio; FITTED, NO_REVERSION or FAILED to ``flag`` (p,).
    """
    work = np.empty(WORK)
    first_cov = np.empty(2)
    nothing = np.empty((0, 0))
    longest = np.log(0.5 * n_train)
    for p in range(iy.shape[0]):
        y = levels[iy[p], :n_train]
        x = levels[ix[p], :n_train]
        power = start_covariance(y, x, n_train, first_cov)
        still = _search_still(y, x, power, first_cov, longest, work)
        moving = _search_moving(y, x, power, first_cov, longest, still[0] + gain, work)
        moves = moving[0] > still[0] + gain
        log_life = moving[1] if moves else still[1]
        phi = np.exp(-LN2 / np.exp(log_life))
        g = np.exp(moving[2]) / power if moves else 0.0
        value, s2 = path(y, x, phi, g, first_cov, n_train, nothing)
        found[p, 0] = phi
        found[p, 1] = g
        found[p, 2] = s2
        found[p, 3] = value
        found[p, 4] = moving[0] - still[0]
        flag[p] = FITTED
        if value <= BAD or not np.isfinite(s2):
            flag[p] = FAILED
        elif log_life > longest - 0.02:
            flag[p] = NO_REVERSION


@njit(cache=True, nogil=True, error_model="numpy")
def filter_pairs(
    levels: Floats,
    iy: Integers,
    ix: Integers,
    n_train: int,
    phi: Floats,
    g: Floats,
    beta: Floats,
    alpha: Floats,
    spread: Floats,
    innovation: Floats,
    variance: Floats,
    beta_var: Floats,
) -> None:
    """Run the filter of rows ``iy[p]`` on ``ix[p]`` of ``levels`` (k, n) with each pair's phi, g into (p, n) outputs.

    The start is in units of the first ``n_train`` bars. ``variance`` and
    ``beta_var`` are over s2.
    """
    first_cov = np.empty(2)
    out = np.empty((6, levels.shape[1]))
    for p in range(iy.shape[0]):
        y = levels[iy[p]]
        x = levels[ix[p]]
        start_covariance(y, x, n_train, first_cov)
        path(y, x, phi[p], g[p], first_cov, n_train, out)
        for t in range(levels.shape[1]):
            beta[p, t] = out[0, t]
            alpha[p, t] = out[1, t]
            spread[p, t] = out[2, t]
            innovation[p, t] = out[3, t]
            variance[p, t] = out[4, t]
            beta_var[p, t] = out[5, t]
