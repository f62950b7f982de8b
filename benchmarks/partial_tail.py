"""Simulate the law of the statistic of partial cointegration under a random walk, and print what
`pairs_bt.models.scan.partial_cointegration` holds of it; and how often both of its p-values are below their level.

    python -m benchmarks.partial_tail [--draws 100000]

The tail is held as log p = (1, sqrt x, x) @ C @ (1, log(changes / 503)). The sizes are those of new draws: of walks
with normal and with fat-tailed steps (Student, four degrees of freedom), y on the left as drawn and as the better
Engle-Granger regression has it, which is what a run does and pays for with a p-value 1.5 times as large; and of an
AR(1), whose statistic depends on rho. Then what is found on planted pairs, and what it costs.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pairs_bt.backtest.selection import y_is_first
from pairs_bt.kernels.scan.partial_cointegration import AR_STAT, N_FOUND, RHO, SHARE, WALK_STAT, fit_pairs
from pairs_bt.models import cointegration
from pairs_bt.models.scan.partial_cointegration import (
    CHOSEN_Y,
    WALK_TAIL,
    ar_pvalues,
    changes_of,
    measure_pairs,
    walk_pvalues,
)

CHANGES = (125, 250, 503, 1007)
CHUNK = 1000
LEVELS = (0.10, 0.05, 0.01, 0.001)
POINTS = np.concatenate([np.linspace(0.5, 10.0, 39), np.linspace(10.5, 16.0, 12)])


def walks(chunk: int, changes: int, seed: int, *, fat: bool = False, ordered: bool = False) -> np.ndarray:
    """Statistics of independent pairs of walks against a random walk."""
    rng = np.random.default_rng([seed, changes, chunk, fat])
    shape = (2 * CHUNK, changes)
    steps = rng.standard_t(4.0, shape) if fat else rng.standard_normal(shape)
    iy, ix = np.arange(CHUNK), np.arange(CHUNK) + CHUNK
    if ordered:
        levels = np.ascontiguousarray(np.cumsum(np.pad(steps, ((0, 0), (1, 0))), axis=1))
        found = cointegration.scan_chunk(cointegration.prepare(levels), iy, ix)
        first = y_is_first(found.eg_stat_12, found.eg_stat_21)
        iy, ix = np.where(first, iy, ix), np.where(first, ix, iy)
    return fitted_pairs(steps, iy, ix)[:, WALK_STAT]


def reverting(chunk: int, changes: int, seed: int, rho: float) -> np.ndarray:
    """Statistics against an AR(1) of pairs whose residual is one: y is an AR(1), and x a walk beside it."""
    rng = np.random.default_rng([seed, changes, chunk, int(1000 * rho)])
    shocks = rng.standard_normal((changes + 1, CHUNK))
    level = np.empty_like(shocks)
    level[0] = shocks[0] / np.sqrt(1.0 - rho * rho)
    for t in range(changes):
        level[t + 1] = rho * level[t] + shocks[t + 1]
    rows = np.concatenate([np.diff(level, axis=0).T, rng.standard_normal((CHUNK, changes))])
    return fitted_pairs(np.ascontiguousarray(rows), np.arange(CHUNK), np.arange(CHUNK) + CHUNK)[:, AR_STAT]


def fitted_pairs(rows: np.ndarray, iy: np.ndarray, ix: np.ndarray) -> np.ndarray:
    """What the kernel finds of pairs of rows of changes."""
    out = np.empty((iy.size, N_FOUND))
    fit_pairs(changes_of(np.cumsum(np.pad(rows, ((0, 0), (1, 0))), axis=1)), iy, ix, out)
    return out


def drawn(function, draws: int, *args, **kwargs) -> np.ndarray:
    """So many draws, in chunks on two threads; the numbers do not depend on the threads."""
    with ThreadPoolExecutor(2) as pool:
        chunks = [pool.submit(function, chunk, *args, **kwargs) for chunk in range(-(-draws // CHUNK))]
        return np.concatenate([chunk.result() for chunk in chunks])


def fitted(stats: dict[int, np.ndarray]) -> np.ndarray:
    """C by least squares on log p, each point weighted by how well its share is known."""
    rows, logs, weights = [], [], []
    for changes, values in stats.items():
        length = np.log(changes / 503.0)
        for x in POINTS:
            p = float((values > x).mean())
            if p * values.size >= 5:
                rows.append(np.outer([1.0, np.sqrt(x), x], [1.0, length]).ravel())
                logs.append(np.log(p))
                # no point is known better than the form can follow
                weights.append(1.0 / np.hypot(np.sqrt((1.0 - p) / (p * values.size)), 0.01))
    weight = np.array(weights)
    return np.linalg.lstsq(np.array(rows) * weight[:, None], np.array(logs) * weight, rcond=None)[0].reshape(3, 2)


def show_planted(pairs: int = 400, bars: int = 504) -> None:
    """Mean and deviation of the share and rho found on planted pairs, and how often the walk is refused at 5%."""
    print(f"\nPlanted on {bars} bars, {pairs} pairs each: share and rho found (deviation), p at most 5%:")
    for rho, share in ((0.5, 0.6), (0.8, 0.3), (0.8, 0.6), (0.8, 0.9), (0.8, 1.0), (0.95, 0.6), (0.95, 1.0)):
        rng = np.random.default_rng([5, int(100 * rho), int(100 * share)])
        shocks = np.sqrt(0.5 * share * (1.0 + rho)) * rng.standard_normal((bars, pairs))
        level = np.empty_like(shocks)
        level[0] = shocks[0] / np.sqrt(1.0 - rho * rho)
        for t in range(1, bars):
            level[t] = rho * level[t - 1] + shocks[t]
        x = rng.standard_normal((pairs, bars - 1))
        y = x + np.diff(level, axis=0).T + np.sqrt(1.0 - share) * rng.standard_normal((pairs, bars - 1))
        found = fitted_pairs(np.concatenate([y, x]), np.arange(pairs), np.arange(pairs) + pairs)
        p = walk_pvalues(found[:, WALK_STAT], bars - 1)
        own, left = found[:, SHARE], found[:, RHO]
        print(
            f"rho {rho:4}, share {share:3}: {own.mean():5.2f} ({own.std():.2f}), {np.nanmean(left):5.2f} "
            f"({np.nanstd(left):.2f}), {(p <= 0.05).mean():6.1%}"
        )


def show_speed(pairs: int = 500, bars: int = 504) -> None:
    """Processor time a pair, and how many times that of Engle-Granger both ways and Johansen."""
    levels = 100.0 + np.cumsum(np.random.default_rng(1).standard_normal((2 * pairs, bars)), axis=1)
    i, inputs, changes = np.arange(0, 2 * pairs, 2), cointegration.prepare(levels), changes_of(levels)
    times = []
    for test in (
        lambda at: measure_pairs(changes, at, at + 1),
        lambda at: cointegration.scan_chunk(inputs, at, at + 1),
    ):
        test(i[:2])
        start = time.process_time()
        test(i)
        times.append(time.process_time() - start)
    print(f"\n{1e6 * times[0] / pairs:.0f} us a pair of {bars} bars, {times[0] / times[1]:.0f} times the other tests'")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=100_000)
    draws = parser.parse_args().draws
    stats = {changes: drawn(walks, draws, changes, 2018) for changes in CHANGES}
    print(f"{draws:,} draws a length. fitted:", [[round(float(v), 6) for v in row] for row in fitted(stats)])
    print("                    held:  ", [list(row) for row in WALK_TAIL])
    print("\nChanges, and the statistic's 90, 95, 99 and 99.9% points; the p-value held there:")
    for changes, values in stats.items():
        points = np.quantile(values, [1.0 - level for level in LEVELS])
        print(f"{changes:6d}", *(f"{x:7.2f} ({walk_pvalues(x, changes):.4f})" for x in points))
    few = max(draws // 5, CHUNK)
    print(f"\nShare of {few:,} new draws with p at most 10%, 5%, 1%:")
    for changes in CHANGES:
        for name, options in (("normal", {}), ("fat tails", {"fat": True}), ("y by Engle-Granger", {"ordered": True})):
            p = walk_pvalues(drawn(walks, few, changes, 7, **options), changes)
            p = p * CHOSEN_Y if "ordered" in options else p
            print(f"walk,  {changes:5d} changes, {name:18s}", *(f"{(p <= level).mean():7.2%}" for level in LEVELS[:3]))
    for rho in (0.7, 0.9, 0.95, 0.98):
        for changes in CHANGES[1:3]:
            p = ar_pvalues(drawn(reverting, few, changes, 7, rho))
            shares = (f"{(p <= level).mean():7.2%}" for level in LEVELS[:3])
            print(f"AR(1), {changes:5d} changes, rho {rho:<14g}", *shares)
    show_planted()
    show_speed()


if __name__ == "__main__":
    main()
