"""The reverting spread by plain matrices: the state is (beta, alpha, u), the observation has no noise."""

from __future__ import annotations

import numpy as np


def filter_spread(y, x, phi, g, start=1e10):
    """(log-likelihood without the two bars that fix the line, R, filtered states (n, 3)), with R concentrated out.

    `start` is the variance, over R, of beta times mean(x**2) and of alpha about the first bar's line.
    """
    power = np.nanmean(np.square(x))
    # in deviations from the first bar alpha is small, so that a wide start costs few digits
    y0, x0 = y[0], x[0]
    state = np.zeros(3)
    cov = np.diag([start / power, start, 1.0 / (1.0 - phi * phi)])
    move, noise = np.diag([1.0, 1.0, phi]), np.diag([g, 0.0, 1.0])
    terms, states, seen = [], [], 0
    for t in range(len(y)):
        if t:
            # beta's step moves the line about x = 0, which is x0 away from where alpha is counted
            state, cov = move @ state, move @ cov @ move.T + noise
            cov[1, 1] += g * x0 * x0
            cov[0, 1] += g * x0
            cov[1, 0] += g * x0
        if np.isfinite(y[t]) and np.isfinite(x[t]):
            h = np.array([x[t] - x0, 1.0, 1.0])
            s = h @ cov @ h
            e = y[t] - y0 - h @ state
            gain = cov @ h / s
            state = state + gain * e
            keep = np.eye(3) - np.outer(gain, h)
            cov = keep @ cov @ keep.T
            seen += 1
            if seen > 2:
                terms.append((e, s))
        states.append([state[0], y0 + state[1] - state[0] * x0, state[2]])
    e, s = np.array(terms).T
    r = np.mean(e * e / s)
    value = -0.5 * (e.size * (np.log(2 * np.pi) + 1 + np.log(r)) + np.log(s).sum())
    return value, r, np.array(states)
