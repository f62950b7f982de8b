"""Every filter of the grid on one pair, with matrices and sums of logarithms as the textbook has them."""

from __future__ import annotations

from math import isnan, log, nan

import numpy as np


def grid_filter(y, x, steps, scale, prior, r=None):
    """Rows beta, alpha, P00, P01, P11, chosen, innovation, innovation variance, one for each bar with both legs.

    ``steps`` are the intercept's variances in units of the error's, ``scale`` the square by which the ratio's are less,
    ``prior`` (2,) the start's variances, ``r`` the error's variance or None.
    """
    filters = [{"m": np.zeros(2), "p": np.diag(prior).astype(float), "logs": 0.0, "squares": 0.0} for _ in steps]
    scored, bars, last, rows = 0, 0, 0, []

    def best():
        if not scored:
            return 0, (nan if r is None else r)
        scores = [f["logs"] + (scored * log(f["squares"]) if r is None else f["squares"] / r) for f in filters]
        g = int(np.argmin(scores))
        return g, (filters[g]["squares"] / scored if r is None else r)

    for t, (yt, xt) in enumerate(zip(y, x, strict=True)):
        if isnan(yt) or isnan(xt):
            continue
        h = np.array([xt, 1.0])
        chosen, variance = best()
        for g, f in enumerate(filters):
            if bars:
                f["p"] = f["p"] + (t - last) * steps[g] * np.diag([1.0 / scale, 1.0])
            s = h @ f["p"] @ h + 1.0
            e = yt - h @ f["m"]
            if g == chosen:
                told = (e, s * variance)
            gain = f["p"] @ h / s
            f["m"] = f["m"] + gain * e
            left = np.eye(2) - np.outer(gain, h)
            f["p"] = left @ f["p"] @ left.T + np.outer(gain, gain)
            if bars >= 2:
                f["logs"] += log(s)
                f["squares"] += e * e / s
        bars, last = bars + 1, t
        scored = max(bars - 2, 0)
        g, variance = best()
        p = filters[g]["p"] * variance
        rows.append((*filters[g]["m"], p[0, 0], p[0, 1], p[1, 1], g, *told))
    return np.array(rows)
