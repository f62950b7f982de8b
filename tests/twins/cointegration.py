"""Slow, obvious cointegration tests in extended precision: every regression from its own design, by Gram-Schmidt.

statsmodels is the oracle. This twin arbitrates where statsmodels itself loses digits (nearly collinear legs, legs of
very different scale), and shows the method without any of the kernel's recursions.
"""

from __future__ import annotations

import math

import numpy as np

Wide = np.longdouble


def orthonormal(columns):
    basis = []
    for column in columns:
        v = np.asarray(column, Wide)
        for _ in range(3):
            for b in basis:
                v = v - (b @ v) * b
        basis.append(v / np.sqrt(v @ v))
    return basis


def residual(target, columns):
    r = np.asarray(target, Wide)
    basis = orthonormal(columns)
    for _ in range(3):
        for b in basis:
            r = r - (b @ r) * b
    return r


def adf_design(u, lag, start):
    """Target and regressors (level, lag differences) of the rows t = start .. n-1."""
    t = np.arange(start, len(u))
    du = np.diff(u, prepend=u[:1])
    return du[t], [u[t - 1]] + [du[t - i] for i in range(1, lag + 1)]


def engle_granger(y, x):
    """(statistic, lag)."""
    n = len(y)
    y, x = np.asarray(y, Wide), np.asarray(x, Wide)
    u = residual(y, [np.ones(n, Wide), x])
    largest = min(n // 2 - 1, math.ceil(12 * (n / 100) ** 0.25))
    rows = n - 1 - largest
    aic = []
    for lag in range(largest + 1):
        r = residual(*adf_design(u, lag, largest + 1))
        aic.append(rows * np.log(r @ r) + 2 * (lag + 1))
    lag = int(np.argmin(aic))
    target, (level, *lags) = adf_design(u, lag, lag + 1)
    r = residual(target, [level, *lags])
    own = residual(level, lags) if lags else level
    df = len(target) - lag - 1
    return float((own @ target) / np.sqrt(own @ own) / np.sqrt((r @ r) / df)), lag


def var_order(y, x):
    n = len(y)
    z = np.asarray([y, x], Wide)
    z = z / np.abs(z).max(axis=1, keepdims=True)
    largest = min(round(12 * (n / 100) ** 0.25), (n - 3) // 3)
    t = np.arange(largest, n)
    aic = []
    for p in range(largest + 1):
        columns = [np.ones(len(t), Wide)] + [s[t - i] for i in range(1, p + 1) for s in z]
        r1 = residual(z[0][t], columns)
        r2 = residual(z[1][t], [*columns, z[0][t]])
        aic.append(np.log((r1 @ r1) * (r2 @ r2)) + 2 * (4 * p + 2) / Wide(len(t)))
    return int(np.argmin(aic))


def johansen(y, x, k):
    """Trace statistics for rank 0 and rank <= 1."""
    n = len(y)
    z = np.asarray([y, x], Wide)
    d = np.diff(z, axis=1, prepend=z[:, :1])
    t = np.arange(k + 1, n)
    short = [np.ones(len(t), Wide)] + [s[t - i] for i in range(1, k + 1) for s in d]
    levels = orthonormal([residual(s[t - 1], short) for s in z])
    changes = orthonormal([residual(s[t], short) for s in d])
    w = np.array([[a @ b for b in changes] for a in levels])
    total = (w * w).sum()
    det = (w[0, 0] * w[1, 1] - w[0, 1] * w[1, 0]) ** 2
    larger = (total + np.sqrt(total * total - 4 * det)) / 2
    logs = -len(t) * np.log1p(-np.array([larger, det / larger]))
    return float(logs.sum()), float(logs[1])
