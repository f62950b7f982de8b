"""Ornstein-Uhlenbeck spreads: exact maximum likelihood, and the levels at which trading them earns most per time.

dX = reversion (mean - X) dt + sigma dW. Levels are found in the units u = (X - mean) sqrt(reversion) / sigma, in which
the process is du = -u dt + dW and its stationary variance is 1/2; times there are in 1 / reversion.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

RETURN, SHARPE, TWO_SIDED = range(3)

# Columns of `fit_rows`: per bar, and the standard errors of the first three.
REVERSION, MEAN, SIGMA, REVERSION_SE, MEAN_SE, SIGMA_SE = range(6)
N_FIT = 6

# Columns of `level_rows`: levels of u, time in 1 / reversion, earnings a unit of that time.
ENTRY, EXIT, LENGTH, RATE = range(4)
N_LEVELS = 4

# erfi(u) is above 1e308 beyond it
_FAR = 26.0
_STEPS = 200
# costs below it move no level by more than 1e-4 of a stationary deviation
_FREE = 1e-12


@njit(cache=True, nogil=True)
def erfi(u):
    """Imaginary error function 2 / sqrt(pi) int_0^u exp(v^2) dv, by its series; inf where it overflows."""
    x = abs(u)
    if x > _FAR:
        return math.copysign(np.inf, u)
    if x > 7.0:
        # exp(x^2) / (x sqrt(pi)) (1 + 1/(2 x^2) + 3/(4 x^4) + ...), to rounding from 7 on
        term = total = 1.0
        for k in range(1, 25):
            term *= (2 * k - 1) / (2.0 * x * x)
            total += term
        return math.copysign(math.exp(x * x) / (x * math.sqrt(math.pi)) * total, u)
    power = total = x
    k = 0
    while power > 1e-17 * total:
        k += 1
        power *= x * x / k
        total += power / (2 * k + 1)
    return math.copysign(2.0 / math.sqrt(math.pi) * total, u)


@njit(cache=True, nogil=True)
def _less_dawson(x):
    """Give x - D(x) and D(x), with Dawson's function D(x) = exp(-x^2) int_0^x exp(v^2) dv, for x >= 0."""
    if x < 0.5:
        # D(x) = sum (-2)^n x^(2n+1) / (2n+1)!!, whose first term is x itself
        term = x
        rest = 0.0
        for n in range(1, 20):
            term *= -2.0 * x * x / (2 * n + 1)
            rest -= term
        return rest, x - rest
    if x > 7.0:
        term = total = 1.0
        for k in range(1, 25):
            term *= (2 * k - 1) / (2.0 * x * x)
            total += term
        dawson = total / (2.0 * x)
    else:
        dawson = 0.5 * math.sqrt(math.pi) * math.exp(-x * x) * erfi(x)
    return x - dawson, dawson


@njit(cache=True, nogil=True)
def _return_level(cost):
    """Level e of the trade from -e to e that earns most per time: D(e) = e - cost / 2.

    With m = -a = e the rate is (2 e - cost) / (2 pi erfi(e)) (Bertram 2010, eq. 13); its derivative is 0 where
    erfi(e) = (e - cost / 2) 2 / sqrt(pi) exp(e^2).
    """
    half = 0.5 * cost
    if half == 0.0:
        return 0.0
    # x - D(x) <= 2 x^3 / 3, and D(x) < 0.5411
    low = max(half, (1.5 * half) ** (1.0 / 3.0) * (1.0 - 1e-12))
    high = half + 0.5411
    x = low
    for _ in range(_STEPS):
        gap, dawson = _less_dawson(x)
        gap -= half
        if gap < 0.0:
            low = max(low, x)
        else:
            high = min(high, x)
        new = x - gap / (2.0 * x * dawson)
        if not low <= new <= high:
            new = 0.5 * (low + high)
        if abs(new - x) <= 1e-15 * x:
            return new
        x = new
    return x


@njit(cache=True, nogil=True)
def cycle_moments(e):
    """Mean and variance of the time from -e up to e and back, and their derivatives by e (Bertram 2010, section 3).

    With t_k = Gamma(k/2) (2 e)^k / k!, S_odd and S_even half the sums of t_k over odd and even k, and
    Psi(z) = psi(z) - psi(1): mean 2 sum t_k over odd k, variance 2 (4 S_odd S_even - sum of Psi(k/2) t_k over odd k).
    """
    y = 2.0 * e
    odd, even = math.sqrt(math.pi) * y, 0.5 * y * y
    psi = -2.0 * math.log(2.0)
    s_odd = s_even = d_odd = d_even = w = d_w = 0.0
    k = 1
    while k < 4000:
        s_odd += odd
        d_odd += k * odd
        w += psi * odd
        d_w += k * psi * odd
        s_even += even
        d_even += (k + 1) * even
        if k > 4 and k * k * odd * (1.0 + abs(psi)) <= 1e-17 * s_odd:
            break
        psi += 2.0 / k
        odd *= 0.5 * k * y * y / ((k + 1.0) * (k + 2.0))
        even *= 0.5 * (k + 1.0) * y * y / ((k + 2.0) * (k + 3.0))
        k += 2
    # the sums of k t_k are y times the derivatives by y, and dy = 2 de
    mean, variance = 2.0 * s_odd, 2.0 * (s_odd * s_even - w)
    per = 2.0 / y
    return mean, variance, 2.0 * d_odd * per, 2.0 * (d_odd * s_even + s_odd * d_even - d_w) * per


@njit(cache=True, nogil=True)
def _sharpe_slope(e, cost, interest):
    """Derivative by e of log((G - interest E) sqrt(E) / (G sqrt(V))), with G = 2 e - cost."""
    mean, variance, d_mean, d_variance = cycle_moments(e)
    gain = 2.0 * e - cost
    left = gain - interest * mean
    return (2.0 - interest * d_mean) / left - 2.0 / gain + 0.5 * d_mean / mean - 0.5 * d_variance / variance


@njit(cache=True, nogil=True)
def _sharpe_level(cost, interest):
    """Level e of the trade from -e to e with the greatest Sharpe ratio; NaN where none earns the interest.

    At interest 0 the ratio is sqrt(E / V), which falls with e: it has no greatest value above the cost. At cost 0 it
    falls as well: the shorter the trade, the better.
    """
    best = _return_level(cost)
    if not interest > 0.0 or not math.exp(-best * best) / (2.0 * math.sqrt(math.pi)) > interest:
        return np.nan
    if cost == 0.0:
        return 0.0
    # The ratio is 0 where G = interest E, which happens once between cost / 2 and the level of the greatest return.
    low, high = 0.5 * cost, best
    for _ in range(_STEPS):
        x = 0.5 * (low + high)
        if 2.0 * x - cost > interest * 2.0 * math.pi * erfi(x):
            high = x
        else:
            low = x
        # near enough where the ratio still rises, which it does from its root on
        if high - low <= 0.01 * (best - high) and _sharpe_slope(high, cost, interest) > 0.0:
            break
    floor = high
    # With less time than the greatest return takes, the variance a unit of time is less: the level is no higher.
    low, high = floor, best
    left, right = np.inf, _sharpe_slope(best, cost, interest)
    for _ in range(_STEPS):
        x = (low * right - high * left) / (right - left) if left < np.inf else 0.5 * (low + high)
        slope = _sharpe_slope(x, cost, interest)
        if abs(slope) <= 1e-13 / x or high - low <= 4e-15 * high:
            return x
        # Illinois: the end that stays counts for half, or it would stay for ever
        if slope > 0.0:
            low, left = x, slope
            right *= 0.5
        else:
            high, right = x, slope
            left *= 0.5
    return x


@njit(cache=True, nogil=True)
def _exit_level(a, cost, start):
    """Exit b that maximises (b - a - cost) / (erfi(b) - erfi(a)), the best end of a trade that begins at a."""
    at = erfi(a)
    low = a + cost
    high = np.inf
    x = max(start, low)
    for _ in range(_STEPS):
        # f = b - a - cost - (erfi(b) - erfi(a)) / erfi'(b), which rises where it is 0
        away = math.exp(-x * x) * 0.5 * math.sqrt(math.pi) * (erfi(x) - at) if x < _FAR else 0.5 / x
        f = x - a - cost - away
        slope = 2.0 * x * away
        if f < 0.0:
            low = max(low, x)
        else:
            high = min(high, x)
        new = x - f / slope if slope > 0.0 else np.inf
        if not low < new < high:
            new = 0.5 * (low + high) if high < np.inf else max(x, 0.0) + 0.5
        if abs(new - x) <= 1e-10 * max(abs(x), 1e-3):
            return new
        x = new
    return x


@njit(cache=True, nogil=True)
def _stopped_rate(a, b, stop, cost):
    """Earnings per time of the trade from a to b that is given up at -stop, and begun again at the next a.

    With p the chance of the stop, by the scale function erfi, the gain is (1 - p)(b - a) - p (a + stop) - cost and the
    time (1 - p) pi (erfi(b) - erfi(a)): from the stop the way back to a is waited for, from b that down to a.
    """
    at, top, bottom = erfi(a), erfi(b), -erfi(stop)
    return ((b - a - cost) / (top - at) - (a + stop + cost) / (at - bottom)) / math.pi


@njit(cache=True, nogil=True)
def _stopped_slope(a, b, stop, cost):
    """Derivative of the stopped rate by a, times pi; b is the best exit, so that it adds nothing."""
    at, top, bottom = erfi(a), erfi(b), -erfi(stop)
    rises = 2.0 / math.sqrt(math.pi) * math.exp(a * a)
    over, under = top - at, at - bottom
    return ((b - a - cost) * rises - over) / (over * over) - (under - (a + stop + cost) * rises) / (under * under)


@njit(cache=True, nogil=True)
def _stopped_levels(cost, stop):
    """Entry a and exit b of the long trade with a stop at -stop that earn most per time; NaN where none earns.

    A stop makes a trade begin lower and end no higher: a lies between -stop, where every trade is stopped at once, and
    the entry without a stop. What is found is the root of the slope there.
    """
    e = _return_level(cost)
    if not stop > e:
        return np.nan, np.nan
    last = -1.0
    step = 0.05 * stop
    if cost < _FREE:
        # Without a cost the trade without a stop has no length. Next to 0 the rate is that at 0 less what
        # sqrt(pi) / 2 (a^2 + a b + b^2) / 3 and (a + stop) / erfi(stop) take, which is least at these.
        if erfi(stop) > 1e5:
            a = -4.0 / (math.sqrt(math.pi) * erfi(stop))
            return a, -0.5 * a
        e = cost = 0.0
    else:
        last = _stopped_slope(-e, e, stop, cost)
        # One of its terms: next to it the stop's part is lost in rounding where the stop is far, and the levels are
        # those without a stop. Above 0 the stop is so near that no trade earns anything, and the rate says so.
        term = (2.0 * e - cost) * math.exp(e * e) / (2.0 * math.sqrt(math.pi) * erfi(e) ** 2)
        if last > -1e-13 * term:
            return -e, e
        step = 0.05 * min(e, stop - e)
    # secant steps, and halves of the bracket where one leaves it
    low, high = -stop, -e
    before, x, b = -e, -e - step, e
    for _ in range(_STEPS):
        b = _exit_level(x, cost, b)
        slope = _stopped_slope(x, b, stop, cost)
        if slope > 0.0:
            low = max(low, x)
        else:
            high = min(high, x)
        new = x - slope * (x - before) / (slope - last) if slope != last else high
        if not low < new < high:
            new = 0.5 * (low + high)
        before, last = x, slope
        if abs(new - x) <= 1e-9 * abs(x) or slope == 0.0:
            break
        x = new
    return x, b


@njit(cache=True, nogil=True)
def best_levels(cost, interest, stop, rule, out):
    """Fill `out` (N_LEVELS,) with entry, exit, length and rate of the long trade; NaN where no level pays.

    `cost` of a round trip and `interest` a unit of time in units of u, `stop` its distance below the mean or inf.
    The short trade is the mirror image. Under TWO_SIDED both are traded (Zeng and Lee 2014): exits lie inside the
    entries or at them, so the two never meet, and earn twice as much as one in cycles half as long.
    """
    out[:] = np.nan
    if not (cost >= 0.0 and cost < np.inf and stop > 0.0):
        return
    # a stop beyond any number of the scale function is none
    if rule != SHARPE and erfi(stop) < np.inf:
        a, b = _stopped_levels(cost, stop)
        rate = _stopped_rate(a, b, stop, cost)
        if not rate > 0.0:
            return
        at, bottom = erfi(a), -erfi(stop)
        reached = (at - bottom) / (erfi(b) - bottom) if bottom > -np.inf else 1.0
        length = reached * math.pi * (erfi(b) - at)
    else:
        e = _return_level(cost) if rule != SHARPE else _sharpe_level(cost, interest)
        if np.isnan(e):
            return
        a, b = -e, e
        length = 2.0 * math.pi * erfi(e)
        if rule == SHARPE and e > 0.0:
            rate = (2.0 * e - cost) / length
        else:
            # (2 e - cost) / (2 pi erfi(e)) where D(e) = e - cost / 2, and its limit at e = 0
            rate = math.exp(-e * e) / (2.0 * math.sqrt(math.pi))
    both = 2.0 if rule == TWO_SIDED else 1.0
    out[ENTRY], out[EXIT], out[LENGTH], out[RATE] = a, b, length / both, rate * both


@njit(cache=True, nogil=True)
def level_rows(reversion, sigma, cost, interest, stop, rule, out):
    """Levels of many processes, into `out` (rows, N_LEVELS): X - mean at entry and exit, length and rate in time.

    `cost` in the units of X, `interest` in those a unit of time, `stop` in stationary standard deviations.
    """
    for row in range(reversion.size):
        speed, scale = reversion[row], sigma[row] / math.sqrt(reversion[row]) if reversion[row] > 0.0 else np.nan
        if not (scale > 0.0 and scale < np.inf):
            out[row] = np.nan
            continue
        best_levels(
            cost[row] / scale, interest[row] / (scale * speed), stop[row] * math.sqrt(0.5), rule, out[row]
        )  # fmt: skip
        out[row, ENTRY] *= scale
        out[row, EXIT] *= scale
        out[row, LENGTH] /= speed
        out[row, RATE] *= scale * speed


@njit(cache=True, nogil=True)
def fit_rows(values, first, stop, out):
    """Fit every row of `values` from bar `first` up to `stop` by exact maximum likelihood, into `out` (rows, N_FIT).

    X at the bars is s_t = m + phi (s_{t-1} - m) + e_t with phi = exp(-reversion), and s_1 has the stationary
    distribution; the likelihood of all bars is maximised (Beach and MacKinnon 1978 for this AR(1)). With d = s - m,
    A = sum d_t^2, B = the same without the first and the last bar, C = sum d_t d_{t-1}:

        Q(phi) = A - 2 phi C + phi^2 B,    -2 log L = n log(Q / n) - log(1 - phi^2) + const,

    m(phi) = (s_1 + s_n + (1 - phi) sum of the others) / (2 + (n - 2)(1 - phi)), and phi is where the derivative is 0.
    Leading NaN are left out. NaN where another is found, where there are fewer than 4 bars or no variance, and where
    neighbouring bars are not positively correlated, which no Ornstein-Uhlenbeck process is.
    """
    for row in range(values.shape[0]):
        out[row] = np.nan
        begin = first
        while begin < stop and np.isnan(values[row, begin]):
            begin += 1
        n = stop - begin
        if n < 4:
            continue
        s = values[row, begin:stop]
        centre = 0.0
        for t in range(n):
            centre += s[t]
        centre /= n
        inner = squares = cross = 0.0
        head, tail = s[0] - centre, s[n - 1] - centre
        before = head
        for t in range(1, n):
            d = s[t] - centre
            cross += d * before
            if t < n - 1:
                inner += d
                squares += d * d
            before = d
        if not head * head + squares + tail * tail > 1e-24 * n * centre * centre:
            continue
        _fit(n, centre, head, tail, inner, squares, cross, out[row])


@njit(cache=True, nogil=True)
def _fit(n, centre, head, tail, inner, squares, cross, out):
    """Solve for phi by bisection on the derivative of the likelihood, and write the parameters a bar."""
    low, high = 0.0, 1.0
    phi = m = q = 0.0
    for step in range(100):
        phi = 0.5 * (low + high) if step else 0.0
        m = (head + tail + (1.0 - phi) * inner) / (2.0 + (n - 2) * (1.0 - phi))
        b = squares - 2.0 * m * inner + (n - 2) * m * m
        a = b + (head - m) ** 2 + (tail - m) ** 2
        c = cross - m * (2.0 * inner + head + tail) + (n - 1) * m * m
        q = a - 2.0 * phi * c + phi * phi * b
        slope = n * (phi * b - c) / q + phi / (1.0 - phi * phi) if q > 0.0 else np.nan
        if step == 0:
            if not slope < 0.0:
                return
        elif slope < 0.0:
            low = phi
        else:
            high = phi
        if high - low <= 1e-16 or (step and phi in (low, high) and 0.5 * (low + high) in (low, high)):
            break
    if not (q > 0.0 and phi > 0.0):
        return
    noise = q / n
    speed = -math.log(phi)
    # sigma^2 (1 - phi^2) / (2 reversion) is the variance of e
    ratio = 2.0 * speed / (1.0 - phi * phi)
    sigma = math.sqrt(noise * ratio)
    out[REVERSION], out[MEAN], out[SIGMA] = speed, centre + m, sigma
    # var(phi) = (1 - phi^2) / n and var(noise) = 2 noise^2 / n, independent; the mean's is that of least squares
    var_phi = (1.0 - phi * phi) / n
    out[REVERSION_SE] = math.sqrt(var_phi) / phi
    out[MEAN_SE] = math.sqrt(noise / ((1.0 - phi) * (2.0 + (n - 2) * (1.0 - phi))))
    slope = -1.0 / (phi * speed) + 2.0 * phi / (1.0 - phi * phi)
    out[SIGMA_SE] = 0.5 * sigma * math.sqrt(slope * slope * var_phi + 2.0 / n)
