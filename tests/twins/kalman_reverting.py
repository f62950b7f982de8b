"""A ratio that reverts to its mean, as one normal vector: the covariance of all bars is written down and inverted."""

from __future__ import annotations

import numpy as np


def dense(y, x, phi, var):
    """(log-likelihood, b, alpha, r) with `var` = Var(beta) / r; bars with NaN have no row."""
    known = np.isfinite(y) & np.isfinite(x)
    bars, y, x = np.flatnonzero(known), y[known], x[known]
    apart = np.abs(bars[:, None] - bars[None, :])
    cov = var * np.outer(x, x) * np.power(float(phi), apart) + np.eye(x.size)
    design = np.stack([np.ones_like(x), x], axis=1)
    inverse = np.linalg.inv(cov)
    alpha, b = np.linalg.solve(design.T @ inverse @ design, design.T @ inverse @ y)
    left = y - alpha - b * x
    r = left @ inverse @ left / x.size
    value = -0.5 * (x.size * (np.log(2 * np.pi) + 1 + np.log(r)) + np.linalg.slogdet(cov)[1])
    return value, b, alpha, r


def expected(y, x, phi, b, alpha, q, r, t, ahead=0):
    """E[beta_{t + ahead}] given the bars up to t, by the normal distribution of all of them."""
    known = np.flatnonzero(np.isfinite(y[: t + 1]) & np.isfinite(x[: t + 1]))
    if known.size == 0:
        return b
    var = q / (1 - phi * phi)
    apart = np.abs(known[:, None] - known[None, :])
    cov = var * np.outer(x[known], x[known]) * np.power(float(phi), apart) + r * np.eye(known.size)
    with_beta = var * np.power(float(phi), t + ahead - known) * x[known]
    return b + with_beta @ np.linalg.solve(cov, y[known] - alpha - b * x[known])
