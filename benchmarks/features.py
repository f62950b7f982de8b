"""CPU seconds of what `bench.py` does not measure: the morning's matrix, fitted noise, a sweep of a hundred settings.

    python benchmarks/features.py [matrix] [noise] [model] [sweep]      # without a name: all of them, about a minute
    python benchmarks/features.py large                                 # a sweep of ten thousand settings: minutes

Every part is done once before it is measured, so that kernels are compiled and modules imported. CPU time is of the
whole process, all threads together; other programs on the machine do not enter it. The peak of `large` is that of the
process too, so name no other part beside it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pairs_bt import Config
from pairs_bt.data.prices import read_prices
from pairs_bt.data.synthetic.market import random_walks
from pairs_bt.models.kalman_mle import pair_noise
from pairs_bt.models.kalman_reverting import reverting_ratios
from pairs_bt.models.online.hedge_matrix import HedgeMatrix
from pairs_bt.report.hedge_matrix import write_tables
from pairs_bt.sweep import sweep

TICKERS, BARS, PAIRS, TRAIN = 500, 500, 2000, 504
GRID = {
    "signal.entry": [1.5, 1.75, 2.0, 2.25, 2.5],
    "signal.stop": [3.0, 3.5, 4.0, 5.0],
    "signal.window_half_lives": [4.0, 6.0, 8.0, 12.0, 16.0],
}
# Every key changes what is traded, and one the pairs themselves.
LARGE = {
    "signal.entry": [1.25, 1.5, 1.6, 1.75, 1.9, 2.0, 2.1, 2.25, 2.5, 2.75],
    "signal.exit": [-0.25, 0.0, 0.25, 0.5, 0.75],
    "signal.stop": [3.0, 3.5, 4.0, 5.0, "none"],
    "signal.time_stop": [1.0, 2.0, 3.0, "none"],
    "signal.window_half_lives": [4.0, 6.0, 8.0, 12.0, 16.0],
    "selection.alpha": [0.05, 0.1],
}

Line = tuple[str, float, str]


def cpu(work: Callable[[], object], repeats: int = 3) -> float:
    """CPU seconds of the process, the least of some repeats."""
    best = np.inf
    for _ in range(repeats):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def walks(bars: int, tickers: int) -> pd.DataFrame:
    """Independent random walks."""
    return random_walks(tickers, bars, seed=7)


def measure_matrix() -> Iterator[Line]:
    """`pairs-bt hedge`, overnight and in the morning, without the imports."""
    for name, options in (("auto", {}), ("fixed variances", {"trans_cov": 1e-6})):
        yield from _matrix_lines(name, options)


def _matrix_lines(title: str, options: dict[str, float]) -> Iterator[Line]:
    prices = walks(BARS + 1, TICKERS)
    with tempfile.TemporaryDirectory() as name:
        folder, past, today = Path(name) / "matrix", Path(name) / "past.parquet", Path(name) / "today.parquet"
        prices.iloc[:-1].to_parquet(past)
        prices.iloc[-1:].to_parquet(today)
        book = dict.fromkeys(prices.columns[1:], 100.0)

        def overnight() -> None:
            matrix = HedgeMatrix.fit(read_prices(past), **options)
            matrix.save(folder)
            write_tables(matrix, folder)

        def morning() -> HedgeMatrix:
            matrix = HedgeMatrix.load(folder)
            matrix.update(read_prices(today))
            return matrix

        def states() -> None:
            # into another folder: a second update by the same bar is refused
            morning().save(Path(name) / "moved")

        def whole() -> None:
            matrix = morning()
            matrix.orders(book, instrument=prices.columns[0])
            matrix.save(Path(name) / "moved")
            write_tables(matrix, Path(name) / "moved")

        overnight()
        whole()
        size = f"{TICKERS} tickers, {TICKERS * (TICKERS - 1):,} pairs, {BARS} bars"
        yield f"matrix, {title}, overnight: prices to all four files", cpu(overnight), size
        yield f"matrix, {title}, morning: one bar, {TICKERS - 1} orders, all four files", cpu(whole), size
        yield f"matrix, {title}, morning: load, move and save the states alone", cpu(states), size


def measure_noise() -> Iterator[Line]:
    """The maximum-likelihood fits of `filter.noise`, a pair."""
    levels = np.ascontiguousarray(walks(TRAIN, 2 * PAIRS).to_numpy().T)
    levels = 100.0 * levels / levels[:, :1]
    iy, ix = np.arange(PAIRS), np.arange(PAIRS, 2 * PAIRS)
    for model in ("mle", "mle_two"):

        def fit(count: int, model: str = model) -> None:
            pair_noise(levels, iy[:count], ix[:count], TRAIN, model=model, delta=1e-3, observation_cov=2.0)  # type: ignore[arg-type]

        fit(2)
        yield f"noise {model}, a pair", cpu(lambda: fit(PAIRS)) / PAIRS, f"{TRAIN} bars, mean of {PAIRS} pairs of walks"


def measure_model() -> Iterator[Line]:
    """The default model of ratio and spread, a pair: the fit on the train window, and the filter over both windows."""
    from pairs_bt.kernels import reverting_spread as kernel
    from pairs_bt.models.reverting_spread import GAIN

    bars = TRAIN + 126
    levels = np.ascontiguousarray(walks(bars, 2 * PAIRS).to_numpy().T)
    levels = 100.0 * levels / levels[:, :1]
    iy, ix = np.arange(PAIRS), np.arange(PAIRS, 2 * PAIRS)
    found, flag = np.empty((PAIRS, 5)), np.empty(PAIRS, np.int8)
    out = [np.empty((PAIRS, bars)) for _ in range(6)]

    def fit(count: int) -> None:
        kernel.fit_pairs(levels, iy[:count], ix[:count], TRAIN, GAIN, found[:count], flag[:count])

    def run(count: int) -> None:
        phi, g = found[:count, 0].copy(), found[:count, 1].copy()
        kernel.filter_pairs(levels, iy[:count], ix[:count], TRAIN, phi, g, *(part[:count] for part in out))

    fit(2)
    run(2)
    yield "reverting spread, fit, a pair", cpu(lambda: fit(PAIRS)) / PAIRS, f"{TRAIN} bars, {PAIRS} pairs of walks"
    yield "reverting spread, filter, a pair", cpu(lambda: run(PAIRS)) / PAIRS, f"{bars} bars, {PAIRS} pairs of walks"
    y, x = levels[iy], levels[ix]
    reverting_ratios(y[:2], x[:2], TRAIN)
    ratios = cpu(lambda: reverting_ratios(y, x, TRAIN)) / PAIRS
    yield "reverting ratio, fit and filter, a pair", ratios, f"{TRAIN} and {bars} bars, {PAIRS} pairs of walks"


def measure_sweep() -> Iterator[Line]:
    """A hundred settings over the demo, with page and tables."""
    seconds, _ = _sweep_seconds(GRID)
    yield f"sweep of {_size(GRID)} settings of the demo", seconds, ", ".join(GRID)


def measure_large_sweep() -> Iterator[Line]:
    """Ten thousand settings over the demo, with page and tables: CPU and wall seconds, and the peak of memory."""
    import resource  # not on Windows

    seconds, wall = _sweep_seconds(LARGE)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    where = f"{wall:.0f} s of wall, peak {peak:.2f} GB; {', '.join(LARGE)}"
    yield f"sweep of {_size(LARGE):,} settings of the demo", seconds, where


def _size(grid: dict[str, list[Any]]) -> int:
    return int(np.prod([len(values) for values in grid.values()]))


def _sweep_seconds(grid: dict[str, list[Any]]) -> tuple[float, float]:
    """CPU and wall seconds of one sweep."""
    with tempfile.TemporaryDirectory() as name:
        sweep(Config.load(None), {"signal.entry": [1.5, 2.0]}, out=Path(name) / "warm")
        began = time.perf_counter()
        seconds = cpu(lambda: sweep(Config.load(None), grid, out=Path(name) / "sweep", yes=True), repeats=1)
        return seconds, time.perf_counter() - began


PARTS: dict[str, Callable[[], Iterator[Line]]] = {
    "matrix": measure_matrix, "noise": measure_noise,
    "model": measure_model, "sweep": measure_sweep, "large": measure_large_sweep,
}  # fmt: skip


def main(names: list[str]) -> None:
    unknown = set(names) - set(PARTS)
    if unknown:
        sys.exit(f"unknown part {sorted(unknown)[0]!r}; there are {', '.join(PARTS)}")
    for name in names or [part for part in PARTS if part != "large"]:
        for what, seconds, where in PARTS[name]():
            shown = f"{1e3 * seconds:.2f} ms" if seconds < 0.05 else f"{seconds:.2f} s"
            print(f"{what:56}{shown:>12}   {where}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
