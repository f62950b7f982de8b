"""Partial cointegration as one normal vector: the covariance of all changes is written down and inverted."""

from __future__ import annotations

import numpy as np


def covariance(size: int, rho: float, share: float) -> np.ndarray:
    """Covariance of the changes of M + R, their variance the unit: M's autocovariances, and R's steps."""
    apart = np.abs(np.arange(size)[:, None] - np.arange(size)[None, :])
    # Cov(M_t, M_{t-k}) = v rho^k, so that of its changes is v (2 rho^k - rho^|k-1| - rho^(k+1)); 2 v (1 - rho) = share
    v = share / (2.0 * (1.0 - rho))

    def power(k: np.ndarray) -> np.ndarray:
        return np.power(float(rho), np.abs(k))

    return v * (2.0 * power(apart) - power(apart - 1) - power(apart + 1)) + (1.0 - share) * np.eye(size)


def dense(y: np.ndarray, x: np.ndarray, rho: float, share: float) -> tuple[float, float, float]:
    """(log-likelihood, beta, Var dW) of levels y, x."""
    dy, dx = np.diff(y), np.diff(x)
    cov = covariance(dy.size, rho, share)
    inverse = np.linalg.inv(cov)
    beta = float(dx @ inverse @ dy / (dx @ inverse @ dx))
    left = dy - beta * dx
    scale = float(left @ inverse @ left / dy.size)
    value = -0.5 * (dy.size * (np.log(2 * np.pi) + 1 + np.log(scale)) + np.linalg.slogdet(cov)[1])
    return float(value), beta, scale


def planted(
    rng: np.random.Generator, bars: int, rho: float, share: float, beta: float = 1.0, deviation: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """y = beta x + M + R, x a walk of unit steps; changes of M + R have that deviation, M a share of their variance."""
    shocks = np.sqrt(0.5 * share * (1.0 + rho)) * rng.normal(size=bars)
    m = np.empty(bars)
    m[0] = shocks[0] / np.sqrt(1.0 - rho * rho)
    for t in range(1, bars):
        m[t] = rho * m[t - 1] + shocks[t]
    r = np.cumsum(np.sqrt(1.0 - share) * rng.normal(size=bars))
    x = 50.0 + np.cumsum(rng.normal(size=bars))
    return beta * x + deviation * (m + r), x
