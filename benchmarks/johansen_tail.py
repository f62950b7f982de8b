"""Simulate the limit laws of Johansen's statistics of two series, and print what `pairs_bt.models.johansen_pvalues` is
made of.

    python -m benchmarks.johansen_tail [--draws 2000000]

With a constant that is not restricted (det_order 0), one of two series' random walks gives way to the trend that it
makes, so the statistics of rank 0 are those of the 2 x 2 matrix M = (integral of FF')^(-1/2) integral of F dB', with
F = (B1, t), both less their means (Johansen 1995, theorem 11.1; MacKinnon, Haug and Michelis 1999, case III). Given B1
the second column of M is standard normal, which is integrated out: the far tail is as exact as the middle.

Each integral is that of a Brownian path between the simulated points: the path drawn straight, plus the mean of
what a bridge adds, so that 250 points are enough.
"""

from __future__ import annotations

import argparse

import numpy as np
from numba import njit
from scipy.special import ndtri

from pairs_bt.models.johansen_pvalues import MAX_EIG_TAIL, TRACE_TAIL, max_eig_pvalues, trace_pvalues

POINTS = 250
# MacKinnon, Haug and Michelis (1999): 90%, 95%, 99%.
TABLE = {"trace": (13.4294, 15.4943, 19.9349), "max_eig": (12.2971, 14.2639, 18.52)}


@njit(nogil=True)
def first_column(draws: int, points: int, rng: np.random.Generator) -> np.ndarray:
    """Squared length of M's first column: the share of dB1 that (B1, t) explains."""
    out = np.empty(draws)
    step = 1.0 / points
    deviation = np.sqrt(step)
    for draw in range(draws):
        level = mean = square = moment = 0.0
        for at in range(points):
            after = level + deviation * rng.normal()
            mean += 0.5 * step * (level + after)
            square += step * ((level * level + level * after + after * after) / 3.0 + step / 6.0)
            moment += step * (at * step * 0.5 * (level + after) + step * (level + 2.0 * after) / 6.0)
            level = after
        # B1 and t less their means: their products, and their integrals against dB1.
        bb, bt, tt = square - mean * mean, moment - 0.5 * mean, 1.0 / 12.0
        own, trend = 0.5 * (level * level - 1.0) - mean * level, level - mean - 0.5 * level
        left = own - bt / tt * trend
        out[draw] = trend * trend / tt + left * left / (bb - bt * bt / tt)
    return out


def grouped(first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draws as values and weights: means of twenty neighbours, and the largest hundredth one by one."""
    ranked = np.sort(first)
    low = ranked.size * 99 // 2000 * 20
    values = np.concatenate([ranked[:low].reshape(-1, 20).mean(axis=1), ranked[low:]])
    weights = np.concatenate([np.full(low // 20, 20.0), np.ones(ranked.size - low)])
    return values, weights / ranked.size


def tails(first: np.ndarray, points: np.ndarray) -> dict[str, np.ndarray]:
    """Share of draws above each point, with M's normal second column (p, q) = r (cos a, sin a) integrated out.

    The trace is first + r^2. The largest eigenvalue is above x > first where r^2 (sin^2 a + cos^2 a x / (x - first)) is
    above x; the mean over a of a smooth periodic function needs few angles.
    """
    values, weights = grouped(first)
    angles = (np.arange(64) + 0.5) * np.pi / 64
    out: dict[str, list[float]] = {"trace": [], "max_eig": []}
    for x in points:
        below = values < x
        above, own, weight = weights[~below].sum(), values[below], weights[below]
        out["trace"].append(above + weight @ np.exp(-0.5 * (x - own)))
        stretch = x / (x - own)
        mean = sum(np.exp(-0.5 * x / (np.sin(a) ** 2 + np.cos(a) ** 2 * stretch)) for a in angles) / angles.size
        out["max_eig"].append(above + weight @ mean)
    return {name: np.array(tail) for name, tail in out.items()}


def fitted(points: np.ndarray, tail: np.ndarray, anchor: float, degree: int) -> np.ndarray:
    """Coefficients of z(x) - z(anchor) over c - c(anchor), c the cube root: p is 5% at the anchor whatever they are."""
    z95 = -ndtri(0.05)
    off = np.cbrt(points) - np.cbrt(anchor)
    powers = off[:, None] ** np.arange(1, degree + 1)
    # What counts is the error of p: that of z times the normal density, and in the tail p's relative error, too.
    z = -ndtri(tail)
    weight = np.maximum(np.exp(-0.5 * z * z), 0.02)
    found = np.linalg.lstsq(powers * weight[:, None], (z - z95) * weight, rcond=None)[0]
    return np.asarray(found)


def shown(coefficients: np.ndarray) -> str:
    """Coefficients on one line."""
    return ", ".join(f"{value:.6f}" for value in coefficients)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=2_000_000)
    draws = parser.parse_args().draws
    first = first_column(draws, POINTS, np.random.default_rng(1999))
    points = np.linspace(1.2, 3.2, 41) ** 3
    found = tails(first, points)
    ours = {"trace": trace_pvalues(points), "max_eig": max_eig_pvalues(points)}
    for name, held in (("trace", TRACE_TAIL), ("max_eig", MAX_EIG_TAIL)):
        anchor = TABLE[name][1]
        print(f"{name}: fitted {shown(fitted(points, found[name], anchor, len(held)))}")
        print(f"{name}: held   {shown(np.array(held))}")
        print("        x   simulated        held")
        for x, p, q in list(zip(points, found[name], ours[name], strict=True))[::4]:
            print(f"{x:9.3f}  {p:10.3e}  {q:10.3e}")
        off = np.abs(ours[name] - found[name])
        print(f"largest error {off.max():.5f}, relative {(off / found[name]).max():.3f}; at 90, 95 and 99%:", end=" ")
        known = tails(first, np.array(TABLE[name]))[name]
        print(", ".join(f"{p:.4f}" for p in known), "simulated at the table's values")


if __name__ == "__main__":
    main()
