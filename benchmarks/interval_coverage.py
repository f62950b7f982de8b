"""How often an interval of a Sharpe ratio holds the truth, and how wide it is, on returns whose truth is known.

Run ``python benchmarks/interval_coverage.py [--quick] [SEED]`` from the project's folder: it prints method.md's table.
The true ratio is 1 a year, blocks have 126 days. A cell is coverage in per cent and mean width in Sharpe ratios a year.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter
from scipy.special import ndtr, ndtri

if __name__ == "__main__":
    # In place of this folder, where this file would hide the package `coverage` that numba looks for.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import pandas as pd

from pairs_bt.stats.bootstrap import mean_error, sharpe_contributions, sharpe_intervals, stationary_resamples
from pairs_bt.stats.sharpe_difference import _block_starts, _resample

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]

BLOCK = 126
DAYS = (504, 4500)
YEAR = math.sqrt(252)
TRUTH = 1.0 / YEAR
SERIES, QUICK, DRAWS = 2000, 300, 499
# Series that share the resampled days of one seed.
_TOGETHER = 25


def normal(rng: np.random.Generator, n: int, count: int) -> Floats:
    """Independent normal days (count, n)."""
    return rng.standard_normal((count, n))


def garch(
    rng: np.random.Generator, n: int, count: int, *, alpha: float = 0.05, beta: float = 0.93, freedom: float = 6.0
) -> Floats:
    """GARCH(1,1) of variance 1 with t innovations."""
    shocks = rng.standard_t(freedom, (n + 500, count)) * math.sqrt((freedom - 2) / freedom)
    variance, out = np.ones(count), np.empty_like(shocks)
    for t, shock in enumerate(shocks):
        out[t] = np.sqrt(variance) * shock
        variance = (1.0 - alpha - beta) + alpha * out[t] ** 2 + beta * variance
    return np.ascontiguousarray(out[500:].T)


def wild_garch(rng: np.random.Generator, n: int, count: int) -> Floats:
    """GARCH(1,1) with t5 innovations and an infinite fourth moment."""
    return garch(rng, n, count, alpha=0.08, beta=0.9, freedom=5.0)


def cohorts(rng: np.random.Generator, n: int, count: int, *, edge: float = 0.06) -> Floats:
    """Two overlapping cohorts of 126 days, each with pairs whose edge is its own for as long as it lives."""
    begun = np.arange(n) // (BLOCK // 2)
    edges = rng.standard_normal((count, begun[-1] + 2)) * edge
    drift = (edges[:, begun] + edges[:, begun + 1]) / 2.0
    return np.asarray((rng.standard_normal((count, n)) + drift) / math.sqrt(1.0 + edge**2 / 2.0))


def strong_cohorts(rng: np.random.Generator, n: int, count: int) -> Floats:
    """The same with edges twice as far apart."""
    return cohorts(rng, n, count, edge=0.12)


def autoregressive(rng: np.random.Generator, n: int, count: int) -> Floats:
    """AR(1) with coefficient 0.2 and variance 1."""
    shocks = rng.standard_normal((count, n + 100)) * math.sqrt(1.0 - 0.2**2)
    return np.asarray(lfilter([1.0], [1.0, -0.2], shocks, axis=1)[:, 100:])


PROCESSES: dict[str, Callable[[np.random.Generator, int, int], Floats]] = {
    "normal": normal,
    "GARCH-t": garch,
    "wild GARCH-t": wild_garch,
    "cohorts": cohorts,
    "strong cohorts": strong_cohorts,
    "AR(1)": autoregressive,
}


def _autocovariances(values: Floats, last: int) -> Floats:
    spectrum = np.abs(np.fft.rfft(values - values.mean(), 2 * values.size)) ** 2
    return np.asarray(np.fft.irfft(spectrum)[: last + 1] / values.size)


def _bartlett(values: Floats, lags: int) -> float:
    weights = 2.0 * (1.0 - np.arange(lags + 1) / (lags + 1))
    weights[0] = 1.0
    return float(max(weights @ _autocovariances(values, lags), 0.0))


def _slope(values: Floats) -> float:
    gamma = _autocovariances(values, 1)
    return float(np.clip(gamma[1] / gamma[0], -0.97, 0.97))


def _newey_west(values: Floats) -> float:
    # Andrews (1991), Bartlett kernel, AR(1) plug-in
    rho = _slope(values)
    lags = int(1.1447 * (4.0 * rho**2 * values.size / (1.0 - rho**2) ** 2) ** (1.0 / 3.0))
    return _bartlett(values, lags)


def _prewhitened(values: Floats) -> float:
    # Andrews and Monahan (1992): quadratic spectral kernel on what an AR(1) leaves
    rho = _slope(values)
    centred = values - values.mean()
    left = centred[1:] - rho * centred[:-1]
    again = _slope(left)
    width = max(1.3221 * (4.0 * again**2 / (1.0 - again) ** 4 * left.size) ** 0.2, 1e-3)
    x = 6.0 * math.pi * np.arange(1, left.size) / width / 5.0
    weights = np.concatenate(([1.0], 6.0 / x**2 * (np.sin(x) / x - np.cos(x))))
    return float(max(weights @ _autocovariances(left, left.size - 1), 0.0)) / (1.0 - rho) ** 2


def analytic(values: Floats) -> dict[str, Interval]:
    """Intervals from a standard error and a quantile."""
    n = values.size
    days = sharpe_contributions(values)
    ratio = float(days.mean())
    share = BLOCK / n
    # Kiefer and Vogelsang (2005), table 1, Bartlett kernel, 97.5%
    fixed = 1.9600 + 2.9694 * share + 0.4160 * share**2 - 0.5324 * share**3
    wide = int(0.4 * n ** (2.0 / 3.0))
    chosen = sharpe_intervals(pd.DataFrame({"r": values}), block=BLOCK).iloc[0]
    margins = {
        "independent days (Lo), normal": 1.96 * math.sqrt(float(days.var()) / n),
        "Newey-West (Andrews), normal": 1.96 * math.sqrt(_newey_west(days) / n),
        "prewhitened QS, normal": 1.96 * math.sqrt(_prewhitened(days) / n),
        "Newey-West, a block of lags, fixed-b": fixed * math.sqrt(_bartlett(days, BLOCK) / n),
        "cosines, 0.4 n^(2/3), t": _t(wide) * mean_error(days, wide),
    }
    out = {name: (ratio - margin, ratio + margin) for name, margin in margins.items()}
    return out | {"cosines, one a block, t (chosen)": (chosen["low"] / YEAR, chosen["high"] / YEAR)}


def _t(freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


def studentised(values: Floats, seed: int) -> Interval:
    """Equal-tailed studentised circular block bootstrap, with the block-based error of each resample."""
    found = _resample(values, _block_starts(values.size, BLOCK, DRAWS, seed), BLOCK)
    error = math.sqrt(float(np.mean(found.influence**2)) / BLOCK / values.size)
    resampled = np.sqrt(np.mean(found.influence_star**2, axis=1) / BLOCK / (found.influence_star.shape[1] * BLOCK))
    low, high = np.quantile((found.sharpe_star - found.sharpe) / resampled, [0.025, 0.975])
    return found.sharpe - high * error, found.sharpe - low * error


def resampled_sharpes(series: Floats, block: int, seed: int) -> Floats:
    """Sharpe ratios of stationary-bootstrap resamples: (draws, series)."""
    drawn = stationary_resamples(series.shape[1], block, DRAWS, seed)
    moments = drawn.means(np.concatenate([series, series * series]).T)
    mean, second = np.split(moments, 2, axis=1)
    return np.asarray(mean / np.sqrt(second - mean**2))


def bias_corrected(values: Floats, resampled: Floats) -> Interval:
    """BCa: the percentiles moved by the median's bias and by the skewness of the blocks' influence."""
    days = sharpe_contributions(values)
    parts = np.array([part.sum() for part in np.array_split(days - days.mean(), max(values.size // BLOCK, 2))])
    speed = float((parts**3).sum() / (6.0 * (parts**2).sum() ** 1.5))
    below = float(np.clip(np.mean(resampled < days.mean()), 1e-3, 1 - 1e-3))
    bias = float(ndtri(below))
    ends = bias + ndtri(np.array([0.025, 0.975]))
    low, high = np.quantile(resampled, ndtr(bias + ends / (1.0 - speed * ends)))
    return float(low), float(high)


def automatic_length(values: Floats) -> int:
    """Block length of Politis and White (2004; corrected 2009) for the stationary bootstrap."""
    from arch.bootstrap import optimal_block_length

    return max(round(float(optimal_block_length(sharpe_contributions(values))["stationary"].iloc[0])), 1)


def bootstrapped(series: Floats, seed: int) -> list[dict[str, Interval]]:
    """Bootstrap intervals of every row."""
    out: list[dict[str, Interval]] = []
    for first in range(0, len(series), _TOGETHER):
        part = series[first : first + _TOGETHER]
        blocks = resampled_sharpes(part, BLOCK, seed + first)
        # One length for all rows of a part, so that they may share their days.
        length = int(np.median([automatic_length(row) for row in part]))
        short = resampled_sharpes(part, length, seed + first)
        for k, row in enumerate(part):
            low, high = np.quantile(blocks[:, k], [0.025, 0.975])
            below, above = np.quantile(short[:, k], [0.025, 0.975])
            out.append(
                {
                    "percentile, blocks of 126 (before 0.2)": (float(low), float(high)),
                    "percentile, Politis-White blocks": (float(below), float(above)),
                    "BCa, blocks of 126": bias_corrected(row, blocks[:, k]),
                    "studentised circular blocks of 126": studentised(row, seed + first + k),
                }
            )
    return out


def measure(process: str, n: int, count: int, seed: int, *, bootstrap: bool = True) -> dict[str, tuple[float, float]]:
    """Coverage (a share) and mean width (annual) of every method on `count` series of one process."""
    rng = np.random.default_rng([seed, n, list(PROCESSES).index(process)])
    series = PROCESSES[process](rng, n, count) + TRUTH
    found = [analytic(row) for row in series]
    if bootstrap:
        found = [own | more for own, more in zip(found, bootstrapped(series, seed), strict=True)]
    out = {}
    for method in found[0]:
        bounds = np.array([row[method] for row in found])
        covered = float(np.mean((bounds[:, 0] <= TRUTH) & (bounds[:, 1] >= TRUTH)))
        out[method] = covered, float(np.mean(bounds[:, 1] - bounds[:, 0])) * YEAR
    return out


def main(arguments: list[str]) -> None:
    """Print one table a length: method x process."""
    count = QUICK if "--quick" in arguments else SERIES
    numbers = [int(word) for word in arguments if word.isdigit()]
    seed = numbers[0] if numbers else 1
    error = 196.0 * math.sqrt(0.95 * 0.05 / count)
    print(f"{count:,} series, {DRAWS} draws, seed {seed}; a coverage of 95 is known to within {error:.1f} points\n")
    for n in DAYS:
        table = {process: measure(process, n, count, seed) for process in PROCESSES}
        print(f"| {n:,} days | " + " | ".join(PROCESSES) + " |\n|---|" + "---|" * len(PROCESSES))
        for method in next(iter(table.values())):
            cells = [f"{100 * table[p][method][0]:.1f} / {table[p][method][1]:.2f}" for p in PROCESSES]
            print(f"| {method} | " + " | ".join(cells) + " |")
        print(flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
