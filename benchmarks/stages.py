"""The three stages that take the time, ours and the reference's, on the same pairs of the same seeded prices."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import references

from benchmarks.planted_truth import BOOK
from pairs_bt.backtest.ledger import Market, trade_pairs
from pairs_bt.backtest.signals import filter_pairs, make_signals, window_levels
from pairs_bt.config.schema import Config
from pairs_bt.data.synthetic.pair_universe import book_size_universe
from pairs_bt.engine.pipeline import TRADE_CHUNK
from pairs_bt.kernels.ledger import OPEN
from pairs_bt.models import cointegration

TRAIN, TRADE = 504, 126
CAPITAL = 10_000.0
TOLERANCE = 1e-9


@dataclass
class Timing:
    """Seconds per pair of repeated measurements, ours beside the reference's, and how far the two differ.

    Attributes
    ----------
    one_core : list of float
        CPU time of one thread: what other programs on the machine do does not enter.
    all_cores : list of float
        Wall time with `jobs` threads.
    reference : list of float
        CPU time of one thread.
    difference : float
        Largest difference between the two, relative to max(1, |reference|).
    """

    name: str
    library: str
    pairs: int
    reference_pairs: int
    one_core: list[float] = field(default_factory=list)
    all_cores: list[float] = field(default_factory=list)
    reference: list[float] = field(default_factory=list)
    difference: float = 0.0

    def ratios(self, which: str) -> list[float]:
        """Reference over ours, repeat by repeat: both sides of a ratio were measured side by side."""
        return [theirs / ours for theirs, ours in zip(self.reference, getattr(self, which), strict=True)]

    def note(self, theirs: object, ours: object) -> None:
        """Remember the largest difference; NaN agrees with NaN only."""
        a, b = np.atleast_1d(np.asarray(theirs, dtype=float)), np.atleast_1d(np.asarray(ours, dtype=float))
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        with np.errstate(invalid="ignore"):
            apart = np.where(same, 0.0, np.abs(a - b) / np.maximum(1.0, np.abs(a)))
        self.difference = max(self.difference, float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0)))

    @property
    def agrees(self) -> bool:
        """Whether every number of the reference came out within the tolerance."""
        return self.difference <= TOLERANCE

    def summary(self) -> dict[str, object]:
        """Medians and ranges, for print and JSON."""
        out: dict[str, object] = {
            "stage": self.name, "reference": self.library, "pairs": self.pairs,
            "reference_pairs": self.reference_pairs, "repeats": len(self.reference),
            "largest_difference": self.difference, "agrees": self.agrees,
        }  # fmt: skip
        for which in ("reference", "one_core", "all_cores"):
            out[f"{which}_us"] = _spread([1e6 * value for value in getattr(self, which)])
        for which in ("one_core", "all_cores"):
            out[f"ratio_{which}"] = _spread(self.ratios(which))
        return out


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


class Bench:
    """Seeded prices of `tickers` tickers over one train and trade window, and the pairs to work on."""

    def __init__(self, *, pairs: int, jobs: int, seed: int = 7) -> None:
        side = max(4, int(np.ceil(np.sqrt(pairs))))
        made = book_size_universe(side, side, seed=seed)
        prices = made.prices.iloc[: TRAIN + TRADE]
        self.raw = np.ascontiguousarray(prices.to_numpy().T)
        self.dates = prices.index
        left, right = np.meshgrid(np.arange(side), np.arange(side, 2 * side), indexing="ij")
        self.i, self.j = left.ravel()[:pairs].astype(np.int64), right.ravel()[:pairs].astype(np.int64)
        self.jobs = jobs
        # the oracles know the copied filter, one noise for all pairs; the default model is timed by `features.py model`
        self.config = Config.from_dict({"run": {"spreads": "none"}}).with_changes(*BOOK)
        self.draw = np.random.default_rng(seed)

    def some(self, count: int) -> np.ndarray:
        """Positions of pairs for the reference to work on."""
        return np.sort(self.draw.choice(self.i.size, size=min(count, self.i.size), replace=False))

    def timed(self, timing: Timing, work: Callable[[int, int], object], before: Callable[[], object]) -> None:
        """Measure `before` (once a window) and `work` (chunks of pairs) on one thread, then on all."""
        cuts = [(lo, min(lo + TRADE_CHUNK, self.i.size)) for lo in range(0, self.i.size, TRADE_CHUNK)]
        start = time.thread_time()
        before()
        for lo, hi in cuts:
            work(lo, hi)
        timing.one_core.append((time.thread_time() - start) / self.i.size)
        with ThreadPoolExecutor(self.jobs) as pool:
            list(pool.map(lambda _: None, range(self.jobs)))
            clock = time.perf_counter()
            before()
            list(pool.map(lambda cut: work(*cut), cuts))
            timing.all_cores.append((time.perf_counter() - clock) / self.i.size)


def _reference(timing: Timing, function: Callable[[], object]) -> object:
    start = time.thread_time()
    result = function()
    timing.reference.append((time.thread_time() - start) / timing.reference_pairs)
    return result


def bench_scan(bench: Bench, *, repeats: int, reference_pairs: int) -> Timing:
    """VAR order, Engle-Granger both ways and Johansen, against statsmodels."""
    timing = Timing("scan: VAR order, Engle-Granger both ways, Johansen", "statsmodels", bench.i.size, reference_pairs)
    train = np.ascontiguousarray(bench.raw[:, :TRAIN])
    inputs = cointegration.prepare(train)
    cointegration.scan_chunk(inputs, bench.i[:4], bench.j[:4])
    for _ in range(repeats):
        chosen = bench.some(reference_pairs)
        theirs = _reference(timing, lambda chosen=chosen: [
            references.scan_pair(train[bench.i[p]], train[bench.j[p]]) for p in chosen
        ])  # fmt: skip
        bench.timed(
            timing,
            lambda lo, hi: cointegration.scan_chunk(inputs, bench.i[lo:hi], bench.j[lo:hi]),
            lambda: cointegration.prepare(train),
        )
        ours = cointegration.scan_chunk(inputs, bench.i[chosen], bench.j[chosen])
        for at, row in enumerate(theirs):
            for name, value in row.items():
                timing.note(value, getattr(ours, name)[at])
    return timing


def bench_signals(bench: Bench, *, repeats: int, reference_pairs: int) -> Timing:
    """Local levels, regression filter, and spread, half-life and z-score of all four rules, against pykalman."""
    timing = Timing(
        "filters, spread, half-life, z-score, 4 variants", "pykalman + pandas", bench.i.size, reference_pairs
    )
    levels = window_levels(bench.raw, bench.raw, bench.config.filter)

    def work(lo: int, hi: int) -> dict:
        return _our_signals(bench, levels, bench.i[lo:hi], bench.j[lo:hi])

    work(0, 8)
    frame = pd.DataFrame(bench.raw.T, index=bench.dates)
    for _ in range(repeats):
        chosen = bench.some(reference_pairs)
        theirs = _reference(timing, lambda chosen=chosen: [
            references.signals_pair(frame[bench.i[p]], frame[bench.j[p]], TRAIN) for p in chosen
        ])  # fmt: skip
        bench.timed(timing, work, lambda: window_levels(bench.raw, bench.raw, bench.config.filter))
        ours = _our_signals(bench, levels, bench.i[chosen], bench.j[chosen])
        for at, rules in enumerate(theirs):
            for rule, expected in rules.items():
                timing.note(expected.hedge_ratio, ours[rule].hedge_ratio[at])
                timing.note(expected.spread, ours[rule].spread[at])
                timing.note(expected.half_life, ours[rule].half_life[at])
                if ours[rule].refusal[at] == 0:
                    timing.note(expected.z, ours[rule].z[at])
    return timing


def _our_signals(bench: Bench, levels: object, iy: np.ndarray, ix: np.ndarray) -> dict:
    path = filter_pairs(levels, iy, ix, bench.config.filter)
    return {rule: make_signals(path, rule, levels, iy, ix, TRAIN, bench.config) for rule in references.RULES}


def bench_ledger(bench: Bench, *, repeats: int, reference_pairs: int) -> Timing:
    """Signals to trades and daily dollars of one variant, against a day loop over a pandas frame."""
    timing = Timing("ledger, one variant", "pandas day loop", bench.i.size, reference_pairs)
    levels = window_levels(bench.raw, bench.raw, bench.config.filter)
    path = filter_pairs(levels, bench.i, bench.j, bench.config.filter)
    signals = make_signals(path, "dynamic", levels, bench.i, bench.j, TRAIN, bench.config)
    days = bench.dates[TRAIN:]
    gap = np.concatenate([[0.0], np.diff(days.to_numpy()) / np.timedelta64(1, "D")])
    execution = bench.config.execution
    borrow = execution.borrow_bps / 1e4 / 365.0
    market = Market(
        np.ascontiguousarray(bench.raw[:, TRAIN:]), gap, np.full(bench.raw.shape[0], borrow), TRADE // 2, True
    )

    def work(lo: int, hi: int) -> object:
        part = type(signals)(**{name: value[lo:hi] for name, value in vars(signals).items() if value is not None})
        return trade_pairs(part, market, bench.i[lo:hi], bench.j[lo:hi], config=bench.config, pair_capital=CAPITAL)

    def loop(p: int) -> list:
        return references.day_loop(
            pd.DataFrame(
                {"y": market.prices[bench.i[p]], "x": market.prices[bench.j[p]], "beta": signals.share_ratio[p],
                 "z": signals.z[p], "gap": gap}, index=days,
            ),
            capital=CAPITAL, entry=bench.config.signal.entry, entry_bars=TRADE // 2,
            cost=execution.cost_bps / 1e4, borrow=borrow,
        )  # fmt: skip

    book = trade_pairs(signals, market, bench.i, bench.j, config=bench.config, pair_capital=CAPITAL)
    work(0, 8)
    for _ in range(repeats):
        chosen = bench.some(reference_pairs)
        theirs = _reference(timing, lambda chosen=chosen: [loop(p) for p in chosen])
        bench.timed(timing, work, lambda: None)
        for p, trades in zip(chosen, theirs, strict=True):
            own = book.trades[(book.trades["row"] == p) & (book.trades["reason"] != OPEN)]
            net = own["convergence"] + own["hedge_drift"] - own["trade_cost"] - own["rehedge_cost"] - own["borrow"]
            ours = np.column_stack([own["side"], own["entry_bar"], own["exit_bar"], net / CAPITAL])
            expected = np.array([[t.side, t.entry_bar, t.exit_bar, t.net_pnl / CAPITAL] for t in trades])
            if expected.size == ours.size:
                timing.note(expected.reshape(-1, 4), ours)
            else:
                timing.difference = np.inf
    return timing


STAGES = {"scan": bench_scan, "signals": bench_signals, "ledger": bench_ledger}
