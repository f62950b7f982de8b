"""Ornstein-Uhlenbeck levels and fits by brute force: integrals by quadrature, the likelihood as it is written."""

from __future__ import annotations

from math import erf, exp, log, pi, sqrt

import numpy as np
from scipy.integrate import cumulative_simpson, quad, simpson
from scipy.linalg import toeplitz
from scipy.optimize import minimize
from scipy.special import erf as erf_of


def time_up(a, b):
    """Expected time of du = -u dt + dW from a up to b, by its double integral."""
    return quad(lambda v: sqrt(pi) * exp(v * v) * (1.0 + erf(v)), a, b, epsabs=1e-13, epsrel=1e-12)[0]


def time_down(b, a):
    return time_up(-b, -a)


def scale(a, b):
    return quad(lambda v: exp(v * v), a, b, epsabs=1e-13, epsrel=1e-12)[0]


def variance_up(a, b):
    """Variance of the same time: its second moment solves m'' / 2 - u m' = -2 E[time], summed on a fine grid."""
    u = np.linspace(-7.0, b, 40_001)
    rises = sqrt(pi) * np.exp(u * u) * (1.0 + erf_of(u))
    passed = cumulative_simpson(rises, x=u, initial=0.0)
    inner = cumulative_simpson(np.exp(-u * u) * (passed[-1] - passed), x=u, initial=0.0)
    own = u >= a
    second = simpson((4.0 * np.exp(u * u) * inner)[own], x=u[own])
    return second - time_up(a, b) ** 2


def time_out(x, low, high):
    """Expected time from x until either of low and high is hit."""
    reach = scale(low, x) / scale(low, high)
    return time_up(x, high) - (1.0 - reach) * time_up(low, high)


def two_sided_rate(a, b, cost):
    """Zeng and Lee: short at a, out at b, and a wait there until either of -a and a is hit again."""
    wait = time_out(b, -a, a) if -a < b < a else 0.0
    return (a - b - cost) / (time_down(a, b) + wait)


def stopped_rate(a, b, stop, cost):
    """Long at a until b or -stop; after either back to a."""
    lost = 1.0 - scale(-stop, a) / scale(-stop, b)
    gain = (1.0 - lost) * (b - a) - lost * (a + stop) - cost
    return gain / (time_out(a, -stop, b) + (1.0 - lost) * time_down(b, a) + lost * time_up(-stop, a))


def likelihood(values, reversion, mean, sigma):
    """Log density of all bars as one Gaussian vector: covariance sigma^2 exp(-reversion |s - t|) / (2 reversion)."""
    n = len(values)
    cov = sigma**2 / (2.0 * reversion) * toeplitz(np.exp(-reversion * np.arange(n)))
    _, logdet = np.linalg.slogdet(cov)
    d = np.asarray(values) - mean
    return -0.5 * (n * log(2.0 * pi) + logdet + d @ np.linalg.solve(cov, d))


def fit(values):
    """Reversion, mean and sigma a bar by a general optimiser, from the moments."""
    values = np.asarray(values)
    d = values - values.mean()
    phi = min(max((d[1:] @ d[:-1]) / (d @ d), 0.05), 0.99)
    start = [log(-log(phi)), values.mean(), log(values.std() * sqrt(-2.0 * log(phi)))]
    done = minimize(
        lambda p: -likelihood(values, exp(p[0]), p[1], exp(p[2])), start, method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 4000, "maxfev": 4000},
    )  # fmt: skip
    return exp(done.x[0]), done.x[1], exp(done.x[2])
