"""The textbook filters in 60-digit decimals: no cancellation to argue about, and no trick shared with the kernels."""

from __future__ import annotations

from decimal import Decimal, localcontext
from math import isnan

import numpy as np

DIGITS = 60


def level_filter(prices, q, r, m0=0.0, p0=1.0):
    with localcontext() as context:
        context.prec = DIGITS
        q, r, m, p = Decimal(q), Decimal(r), Decimal(m0), Decimal(p0)
        levels = []
        for t, price in enumerate(prices):
            if t > 0:
                p = p + q
            if not isnan(price):
                gain = p / (p + r)
                m = m + gain * (Decimal(float(price)) - m)
                p = (1 - gain) * p
            levels.append(float(m))
    return np.array(levels)


def hedge_filter(y, x, q, r, m0=(0.0, 0.0), cov0=((1.0, 1.0), (1.0, 1.0)), predict_first=False):
    """Rows beta, alpha, P00, P01, P11, innovation, innovation variance: (7, n)."""
    rows = []
    with localcontext() as context:
        context.prec = DIGITS
        q, r = Decimal(q), Decimal(r)
        m = [Decimal(float(v)) for v in m0]
        p = [[Decimal(float(v)) for v in row] for row in cov0]
        for t, (yt, xt) in enumerate(zip(y, x, strict=True)):
            if t > 0 or predict_first:
                p[0][0] += q
                p[1][1] += q
            innovation = variance = float("nan")
            if not (isnan(yt) or isnan(xt)):
                h = [Decimal(float(xt)), Decimal(1)]
                ph = [p[i][0] * h[0] + p[i][1] * h[1] for i in range(2)]
                s = h[0] * ph[0] + h[1] * ph[1] + r
                e = Decimal(float(yt)) - h[0] * m[0] - h[1] * m[1]
                gain = [ph[0] / s, ph[1] / s]
                m = [m[i] + gain[i] * e for i in range(2)]
                p = [[p[i][j] - gain[i] * ph[j] for j in range(2)] for i in range(2)]
                innovation, variance = float(e), float(s)
            rows.append([float(v) for v in (m[0], m[1], p[0][0], p[0][1], p[1][1])] + [innovation, variance])
    return np.array(rows).T


def transition_filter(y, x, f, q, r, m0=(0.0, 0.0), cov0=((1.0, 0.0), (0.0, 1.0))):
    """Rows as in `hedge_filter`; the state is multiplied by ``f`` before every bar but the first."""
    rows = []
    with localcontext() as context:
        context.prec = DIGITS
        q, r = Decimal(q), Decimal(r)
        f = [[Decimal(float(v)) for v in row] for row in f]
        m = [Decimal(float(v)) for v in m0]
        p = [[Decimal(float(v)) for v in row] for row in cov0]
        for t, (yt, xt) in enumerate(zip(y, x, strict=True)):
            if t > 0:
                m = [f[i][0] * m[0] + f[i][1] * m[1] for i in range(2)]
                fp = [[f[i][0] * p[0][j] + f[i][1] * p[1][j] for j in range(2)] for i in range(2)]
                p = [[fp[i][0] * f[j][0] + fp[i][1] * f[j][1] for j in range(2)] for i in range(2)]
                p[0][0] += q
                p[1][1] += q
            innovation = variance = float("nan")
            if not (isnan(yt) or isnan(xt)):
                h = [Decimal(float(xt)), Decimal(1)]
                ph = [p[i][0] * h[0] + p[i][1] * h[1] for i in range(2)]
                s = h[0] * ph[0] + h[1] * ph[1] + r
                e = Decimal(float(yt)) - h[0] * m[0] - h[1] * m[1]
                m = [m[i] + ph[i] / s * e for i in range(2)]
                p = [[p[i][j] - ph[i] / s * ph[j] for j in range(2)] for i in range(2)]
                innovation, variance = float(e), float(s)
            rows.append([float(v) for v in (m[0], m[1], p[0][0], p[0][1], p[1][1])] + [innovation, variance])
    return np.array(rows).T
