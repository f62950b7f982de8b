"""How near the kernels are to what this core can do: operations and bytes, the core's measured peaks, the share.

    python benchmarks/limits.py [--markdown] [--quick]

For every kernel whose steps can be counted: floating-point operations (sums and products, one each), divisions and
square roots, and the bytes that it reads and writes once; from them the least time that the core needs, which is the
largest of three: operations over the peak of independent fused multiply-adds, divisions and roots over their own
peaks (they share one unit), bytes over the rate at which a core copies what lies in its second-level cache. The share
is least time over measured time. Peaks are measured in the same process by loops of independent operations on a row
in the first-level cache. Times are CPU time of one thread, medians of repeats.

Peers at the same stage are timed on the same rows where they are installed (bottleneck, polars); a batch in numpy
stands for the libraries that move all pairs through time together, and the scan in lanes stands beside its own kernel
for one pair.
"""

from __future__ import annotations

import argparse
import copy
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pairs_bt.kernels import hedge_effectiveness, kalman, kalman_mle, mean_reversion
from pairs_bt.kernels.scan import pair_distance
from pairs_bt.models import cointegration

PAIRS, TRAIN, BARS = 512, 504, 630
TICKERS = 64
Q, R = 1e-5, 1.0


def _peak_loop(step: str, fused: bool) -> Callable[[np.ndarray, int], None]:
    """A loop whose operations on different elements do not wait for each other: `step` sixteen times an element."""
    body = "".join(f"            v = {step}\n" for _ in range(16))
    source = (
        "def loop(row, repeats):\n    for _ in range(repeats):\n        for j in range(row.size):\n"
        f"            v = row[j]\n{body}            row[j] = v\n"
    )
    names: dict[str, object] = {"sqrt": math.sqrt}
    exec(source, names)  # the text above, with nothing from outside
    return njit(nogil=True, error_model="numpy", fastmath={"contract"} if fused else False)(names["loop"])


@njit(nogil=True)
def _copy(row: np.ndarray, into: np.ndarray, repeats: int) -> None:
    for k in range(repeats):
        for j in range(row.size):
            into[j] = row[j] * k


@dataclass
class Peaks:
    """What one core does in a second: sums and products (fused), the same apart, divisions, roots; bytes by level."""

    fused: float
    apart: float
    divisions: float
    roots: float
    near: float
    far: float


def measure_peaks() -> Peaks:
    """Best of five of every peak."""
    row = np.ones(512)
    rates = {}
    for name, step, fused, per in (
        ("fused", "v * 0.99 + 0.1", True, 2),
        ("apart", "v * 0.99 + 0.1", False, 2),
        ("divisions", "0.99 / v", False, 1),
        ("roots", "sqrt(v)", False, 1),
    ):
        loop = _peak_loop(step, fused)
        loop(row, 1)
        rates[name] = per * 16 * row.size * 500 / min(_cpu(lambda loop=loop: loop(row, 500)) for _ in range(5))
    for name, size, repeats in (("near", 12_000, 400), ("far", 4_000_000, 2)):
        values, into = np.ones(size), np.ones(size)
        _copy(values, into, 1)
        taken = min(_cpu(lambda v=values, o=into, n=repeats: _copy(v, o, n)) for _ in range(5))
        rates[name] = 16 * size * repeats / taken
    return Peaks(**rates)


def _cpu(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began


@dataclass
class Counted:
    """One kernel's work for `units` pairs (or rows), and what one unit takes."""

    name: str
    unit: str
    work: Callable[[], object]
    units: int
    flops: float
    divisions: float = 0.0
    roots: float = 0.0
    bytes: float = 0.0

    def least(self, peaks: Peaks) -> dict[str, float]:
        """Seconds a unit that each of the core's limits asks for."""
        return {
            "operations": self.flops / peaks.fused,
            "divisions": self.divisions / peaks.divisions + self.roots / peaks.roots,
            "memory": self.bytes / peaks.near,
        }


class Data:
    """Seeded prices, pairs and spreads that every kernel works on."""

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        self.prices = np.exp(rng.normal(0.0, 0.01, (TICKERS, BARS)).cumsum(axis=1) + 4.0)
        i, j = np.triu_indices(TICKERS, 1)
        self.i, self.j = i[:PAIRS].astype(np.int64), j[:PAIRS].astype(np.int64)
        self.spread = rng.normal(size=(PAIRS, BARS)).cumsum(axis=1)
        self.beta, self.alpha = np.empty((PAIRS, BARS)), np.empty((PAIRS, BARS))


def counted(data: Data) -> Iterator[Counted]:
    """Every kernel whose number of steps is known before it runs; the counts follow the formulas in its source."""
    yield from _scans(data)
    yield from _filters(data)
    yield from _spreads(data)
    yield from _measures(data)


def _scans(data: Data) -> Iterator[Counted]:
    train = np.ascontiguousarray(data.prices[:, :TRAIN])
    inputs = cointegration.prepare(train)
    found = cointegration.scan_chunk(inputs, data.i, data.j)
    rows, lags = TRAIN - inputs.lags - 1, inputs.lags
    order = inputs.order_max
    if inputs.four is None:
        # two products at every lag both ways
        flops = 2 * 2 * (lags + 1) * rows
    else:
        # one complex product, 8 operations, for every two points of a stretch, and a sum over the points at every lag
        points = inputs.four.points
        flops = 4 * points * inputs.four.stretches + 2 * points * (2 * lags + 1)
    # the products of the levels, and their determinant
    flops += 2 * 2 * rows + 10 * TRAIN
    pivots = 0.0
    sizes = [2 * order + 2, *(np.asarray(found.var_order).clip(1) * 2 + 4).tolist()]
    factors = [(size, 1.0 if at == 0 else 1.0 / PAIRS) for at, size in enumerate(sizes)]
    factors.append((lags + 2, 2.0))
    for lag in (found.eg_lag_12, found.eg_lag_21):
        factors += [(int(value) + 2, 1.0 / PAIRS) for value in lag]
    for size, times in factors:
        # moments from the first rows: 4 a place of a triangle; a triangular factor: n**3 / 3
        flops += times * (2 * size * size + size**3 / 3)
        pivots += times * size
    yield Counted("scan: VAR order, Engle-Granger both ways, Johansen", "pair",
                  lambda: cointegration.scan_chunk(inputs, data.i, data.j), PAIRS, flops,
                  pivots, pivots, 2 * 2 * 8 * TRAIN)  # fmt: skip


def _filters(data: Data) -> Iterator[Counted]:
    levels = np.empty_like(data.prices)
    yield Counted("level of a price", "ticker",
                  lambda: kalman.local_level_paths(data.prices, 1e-4, 1.0, 0.0, 1.0, levels),
                  TICKERS, 6 * BARS, BARS, 0, 16 * BARS)  # fmt: skip
    start, cov = np.zeros(2), np.eye(2)
    yield Counted("regression filter, one noise", "pair",
                  lambda: kalman.hedge_paths(data.prices, data.i, data.j, Q, R, start, cov, data.beta, data.alpha),
                  PAIRS, 26 * BARS, 3 * BARS, 0, 32 * BARS)  # fmt: skip
    lanes = kalman_mle.LANES
    work, values = np.empty(kalman_mle.WORK), np.empty(lanes)
    work[kalman_mle.G_BETA : kalman_mle.G_BETA + lanes] = np.logspace(-7, -3, lanes)
    work[kalman_mle.G_ALPHA : kalman_mle.G_ALPHA + lanes] = np.logspace(-7, -3, lanes)

    def likelihoods() -> None:
        for p in range(PAIRS):
            kalman_mle._lanes(data.prices[data.i[p], :TRAIN], data.prices[data.j[p], :TRAIN], 30, work, values)

    yield Counted("fitted filter: likelihood at one place", "place", likelihoods, lanes * PAIRS, 32 * TRAIN,
                  3 * TRAIN, 0, 2 * 8 * TRAIN / lanes)  # fmt: skip


def _spreads(data: Data) -> Iterator[Counted]:
    life = np.empty(PAIRS)
    yield Counted("half-life", "row", lambda: mean_reversion.half_lives(data.spread, TRAIN, life), PAIRS,
                  12 * TRAIN, 0, 0, 8 * TRAIN)  # fmt: skip
    z = np.empty((PAIRS, BARS))
    for window in (20, 180):
        windows = np.full(PAIRS, window)
        # a head, a tail, their join, and the score itself
        yield Counted(f"rolling z-score, {window} bars", "row",
                      lambda w=windows: mean_reversion.rolling_zscores(data.spread, 0, w, z), PAIRS,
                      (1 + 7 + 7 + 10 + 6) * BARS, BARS, BARS, 16 * BARS)  # fmt: skip


def _measures(data: Data) -> Iterator[Counted]:
    index = data.prices / data.prices[:, :1]
    scores = index - index.mean(axis=1, keepdims=True)
    out = np.empty((PAIRS, pair_distance.N_MEASURES))
    yield Counted("distance of two prices, five measures", "pair",
                  lambda: pair_distance.pair_measures(index, scores, scores, data.i, data.j, out),
                  PAIRS, 16 * BARS, 0, 0, 6 * 8 * BARS)  # fmt: skip
    horizons = np.array([1])
    result = np.empty((PAIRS, 1, hedge_effectiveness.FIELDS))
    ratio = np.ones((PAIRS, BARS))
    # without the search for the largest errors, whose comparisons are no operations here
    yield Counted("hedge effectiveness, one horizon", "pair",
                  lambda: hedge_effectiveness.measure_hedges(
                      data.prices, data.i, data.j, ratio, horizons, 0.05, result),
                  PAIRS, 20 * BARS, BARS, 0, 3 * 8 * BARS)  # fmt: skip


@dataclass
class Peer:
    """A library at one of the stages, on the same rows."""

    stage: str
    name: str
    ours: Callable[[], object]
    theirs: Callable[[], object]


def peers(data: Data) -> Iterator[Peer]:
    """Those that are installed."""
    z = np.empty((PAIRS, BARS))
    for window in (5, 20, 180):
        windows = np.full(PAIRS, window)

        def ours(windows: np.ndarray = windows) -> None:
            mean_reversion.rolling_zscores(data.spread, 0, windows, z)

        stage = f"rolling z-score, {window} bars"
        if (bottleneck := _module("bottleneck")) is not None:
            yield Peer(stage, "bottleneck", ours, lambda w=window, b=bottleneck: _bottleneck(b, data.spread, w))
            # a library has to score the whole row; a window of the backtest needs its trade bars alone
            yield Peer(f"{stage}, trade bars", "bottleneck", lambda w=windows: _trade_bars(data, w),
                       lambda w=window, b=bottleneck: _bottleneck(b, data.spread, w))  # fmt: skip
        if (polars := _module("polars")) is not None:
            yield Peer(stage, "polars", ours, lambda w=window, p=polars: _polars(p, data.spread, w))
    in_step = cointegration.prepare(np.ascontiguousarray(data.prices[:, :TRAIN]))
    alone = copy.copy(in_step)
    alone.four = None
    yield Peer("scan", "its own kernel for one pair",
               lambda: cointegration.scan_chunk(in_step, data.i, data.j),
               lambda: cointegration.scan_chunk(alone, data.i, data.j))  # fmt: skip
    start, cov = np.zeros(2), np.eye(2)
    yield Peer("regression filter, one noise", "a batch in numpy",
               lambda: kalman.hedge_paths(data.prices, data.i, data.j, Q, R, start, cov, data.beta, data.alpha),
               lambda: batched_filter(data.prices[data.i], data.prices[data.j]))  # fmt: skip


def _trade_bars(data: Data, windows: np.ndarray) -> None:
    mean_reversion.rolling_zscores(data.spread, TRAIN, windows, np.empty((PAIRS, BARS - TRAIN)))


def _module(name: str) -> object | None:
    try:
        return __import__(name)
    except ImportError:
        return None


def _bottleneck(library: object, rows: np.ndarray, window: int) -> np.ndarray:
    mean = library.move_mean(rows, window, axis=1)  # type: ignore[attr-defined]
    return (rows - mean) / library.move_std(rows, window, axis=1, ddof=1)  # type: ignore[attr-defined]


def _polars(library: object, rows: np.ndarray, window: int) -> list:
    out = []
    for row in rows:
        series = library.Series(row)  # type: ignore[attr-defined]
        out.append((series - series.rolling_mean(window)) / series.rolling_std(window))
    return out


def batched_filter(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The textbook filter, all pairs (p, n) moved through time together; slopes (p, n)."""
    pairs, n = y.shape
    mean, cov = np.zeros((pairs, 2)), np.broadcast_to(np.eye(2), (pairs, 2, 2)).copy()
    slopes = np.empty((pairs, n))
    row = np.ones((pairs, 2))
    for t in range(n):
        if t:
            cov = cov + Q / (1 - Q) * np.eye(2)
        row[:, 0] = x[:, t]
        gain = np.einsum("pij,pj->pi", cov, row)
        variance = np.einsum("pi,pi->p", row, gain) + R
        mean = mean + gain * ((y[:, t] - np.einsum("pi,pi->p", row, mean)) / variance)[:, None]
        cov = cov - gain[:, :, None] * gain[:, None, :] / variance[:, None, None]
        slopes[:, t] = mean[:, 0]
    return slopes


def measure(quick: bool) -> dict[str, list[list[str]]]:
    """Two tables, header first."""
    repeats = 5 if quick else 15
    peaks = measure_peaks()
    data = Data()
    rows = [["kernel", "flops", "divisions and roots", "bytes", "least, us", "set by", "measured, us", "share"]]
    for one in counted(data):
        one.work()
        taken = statistics.median(_cpu(one.work) for _ in range(repeats)) / one.units
        limits = one.least(peaks)
        name = max(limits, key=lambda key: limits[key])
        rows.append([
            f"{one.name}, a {one.unit}", f"{one.flops:,.0f}", f"{one.divisions + one.roots:,.0f}", f"{one.bytes:,.0f}",
            f"{1e6 * limits[name]:.2f}", name, f"{1e6 * taken:.2f}", f"{limits[name] / taken:.0%}",
        ])  # fmt: skip
    beside = [["stage", "peer", "peer, us", "ours, us", "ratio"]]
    for peer in peers(data):
        peer.ours(), peer.theirs()
        times = [(_cpu(peer.ours), _cpu(peer.theirs)) for _ in range(repeats)]
        ours, theirs = (statistics.median(column) / PAIRS for column in zip(*times, strict=True))
        beside.append([
            peer.stage, peer.name, f"{1e6 * theirs:.2f}", f"{1e6 * ours:.2f}",
            f"{statistics.median(b / a for a, b in times):.1f}",
        ])  # fmt: skip
    about = [["peak of one core", "a second"]]
    for label, value in (
        ("sums and products, fused", f"{peaks.fused / 1e9:.1f} billion"),
        ("sums and products, apart", f"{peaks.apart / 1e9:.1f} billion"),
        ("divisions", f"{peaks.divisions / 1e9:.2f} billion"),
        ("square roots", f"{peaks.roots / 1e9:.2f} billion"),
        ("bytes read and written, 192 kB", f"{peaks.near / 1e9:.0f} GB"),
        ("bytes read and written, 64 MB", f"{peaks.far / 1e9:.0f} GB"),
    ):
        about.append([label, value])
    return {"peaks": about, "kernels": rows, "peers": beside}


def main() -> None:
    """Print the tables."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from bench import render

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--markdown", action="store_true", help="tables for a page")
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    options = parser.parse_args()
    for rows in measure(options.quick).values():
        print(render(rows, markdown=options.markdown))


if __name__ == "__main__":
    main()
