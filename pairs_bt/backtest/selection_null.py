"""What chance alone would select: the rules of a run on walks that share no more than their volatility.

The null is `sign_flip` (:func:`pairs_bt.data.synthetic.surrogates.null_market`): every return keeps its size and day
and gets a random sign. Nothing relates two tickers then, while calm and wild times stay where they were. The count of a
run adds up pairs that share tickers and windows that share bars, so it scatters far more than a binomial count. To
simulate whole universes until their scatter is known would take longer than the run. So small universes are drawn, each
tested in windows far enough apart to be nearly independent, and put together by what is known of the sum:

    Var(count) = sum over windows w, v of  corr_pair(w, v) sqrt(a_w a_v) + corr_shared(w, v) sqrt(b_w b_v),

a_w = P_w r_w (1 - r_w) of the pairs alone, b_w the covariance of pairs that share one ticker, of which w has Q_w; pairs
that share none are independent. `benchmarks/chance_band.py` prints how often the band holds the count.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, fields, replace
from threading import Lock

import numpy as np

from pairs_bt.backtest.selection import ScanColumns, accepts, eligibility, taken_by
from pairs_bt.backtest.study import Study
from pairs_bt.config.schema import Selection
from pairs_bt.data.synthetic.random_walks import CHANCE_STREAMS, FloatArray, stream
from pairs_bt.data.synthetic.surrogates import flip_signs
from pairs_bt.models import cointegration
from pairs_bt.models.scan import partial_cointegration

NULL = "sign_flip"
# Tests simulated, and the least and most universes that they are made in.
BUDGET, FEWEST, MOST = 15_000, 24, 400
# Pairs of one small universe: few share a ticker, so that each test tells nearly as much as one on its own.
PAIRS = 28
# Under `multiplicity` a window's pairs are judged together: the run's own family, up to this many.
FAMILY = 1000
# Where the windows of a universe may begin.
TURNS = 4
# Correlation of acceptance in two windows by the share of bars that they have in common (`chance_band --overlap`): of
# the same pair, and of two pairs that share a ticker. It hardly depends on the rules.
OVERLAP = (0.0, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875)
SAME_PAIR = (0.0, 0.0, 0.01, 0.03, 0.06, 0.12, 0.26)
SHARED_TICKER = (0.0, 0.01, 0.04, 0.08, 0.13, 0.22, 0.38)

_MEMORY: dict[str, Chance] = {}
_LOCK = Lock()


@dataclass(frozen=True)
class Chance:
    """Pairs that would pass the tests if no two tickers had anything to do with each other.

    Attributes
    ----------
    expected : float
        Mean over universes, summed over the windows.
    low, high : int
        Between them lies the count of one universe in 95 of 100.
    rate : float
        `expected` over the tests of the run.
    std_error : float
        Monte-Carlo standard error of `rate`; the band includes it.
    pairs, universes : int
        Tests simulated, and universes that they were made in.
    null : str
        Kind of the null universes.
    """

    expected: float
    low: int
    high: int
    rate: float
    std_error: float
    pairs: int
    universes: int
    null: str = NULL


@dataclass(frozen=True)
class _Windows:
    """The windows of a run as the simulation needs them: bars, who takes part, pairs, and pairs that share a ticker."""

    first: np.ndarray
    split: np.ndarray
    codes: np.ndarray
    pairs: np.ndarray
    shared: np.ndarray

    def common(self, volatility: FloatArray) -> FloatArray:
        """Share of the train bars that each two windows have in common, a bar counted by its squared return.

        A wild month weighs in a walk's path as much as calm years do, and so in whether two windows agree.
        """
        clock = np.concatenate([[0.0], np.cumsum(volatility)])
        start, end = clock[self.first], clock[self.split - 1]
        both = np.minimum.outer(end, end) - np.maximum.outer(start, start)
        length = np.sqrt(np.maximum(end - start, 1e-300))
        return np.clip(both / np.outer(length, length), 0.0, 1.0)

    def turns(self) -> list[np.ndarray]:
        """Windows that one universe is tested in, by turns: every n-th, with at most half of their bars in common."""
        common = self.common(np.ones(int(self.split.max())))
        step = 1
        while step < len(self.first) - 1 and np.diagonal(common, step).max() > 0.55:
            step += 1
        starts = np.unique(np.arange(min(step, TURNS)) * step // min(step, TURNS))
        return [np.arange(start, len(self.first), step) for start in starts]


@dataclass(frozen=True)
class _Draws:
    """Accepted pairs and tests by window and universe, and the moments of pairs that share a ticker."""

    accepted: FloatArray
    tests: FloatArray
    covariance: float


def simulate_chance(study: Study) -> Chance:
    """What chance would give in the windows of a study; kept within a process under all that it depends on."""
    windows = _windows_of(study)
    key = _key(study, windows)
    with _LOCK:
        if key not in _MEMORY:
            if len(_MEMORY) >= 64:
                _MEMORY.pop(next(iter(_MEMORY)))
            _MEMORY[key] = _simulate(study, windows)
        return _MEMORY[key]


def _windows_of(study: Study) -> _Windows:
    rows, pairs, shared = [], [], []
    for window in study.windows:
        train = study.filled[:, window.first : window.split]
        codes = eligibility(train, study.tickers, study.membership, window.test_end)
        if study.sample_complete is not None:
            codes[~study.sample_complete & (codes == 0)] = 1
        able = (codes[study.pair_i] == 0) & (codes[study.pair_j] == 0)
        degree = np.bincount(np.concatenate([study.pair_i[able], study.pair_j[able]]), minlength=codes.size)
        rows.append(codes)
        pairs.append(int(able.sum()))
        shared.append(int((degree * (degree - 1)).sum()))
    bars = np.array([(window.first, window.split) for window in study.windows])
    return _Windows(bars[:, 0], bars[:, 1], np.array(rows), np.array(pairs, float), np.array(shared, float))


def _key(study: Study, windows: _Windows) -> str:
    rules = study.config.selection.model_dump(exclude={"max_pairs", "keep", "heuristics"})
    digest = hashlib.blake2b(repr((rules, _log_space(study), study.config.run.seed)).encode())
    for array in (study.filled, study.pair_i, study.pair_j, windows.first, windows.split, windows.codes):
        digest.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _log_space(study: Study) -> bool:
    return study.config.filter.price_space == "log"


def _simulate(study: Study, windows: _Windows) -> Chance:
    options = study.config.selection
    tests = float(windows.pairs.sum())
    if taken_by(options) != "cointegration" or not tests:
        # Where no test decides every pair that can be tested passes.
        passed = tests if taken_by(options) != "cointegration" else 0.0
        return Chance(passed, int(passed), int(passed), float(passed > 0.0), 0.0, 0, 0)
    turns = windows.turns()
    draws = _draw(study, windows, turns)
    family = options.multiplicity != "none"
    mean, scatter = _by_window(draws, family)
    # Windows between those that were simulated lie between them in rate, too.
    grid, places = np.flatnonzero(np.isfinite(mean)), np.arange(windows.pairs.size)
    weights = np.array([np.interp(places, grid, row) for row in np.eye(grid.size)])
    weights = (weights * (windows.pairs > 0 if family else windows.pairs)).sum(axis=1)
    expected = float(weights @ mean[grid])
    error = _error(draws, dict(zip(grid.tolist(), weights.tolist(), strict=True)), mean, turns, family)
    if family:
        own, shared = np.zeros(places.size), np.where(windows.pairs > 0, scatter, 0.0)
    else:
        rate = np.interp(places, grid, mean[grid])
        unit = (rate * (1.0 - rate)).astype(np.float64)
        own = windows.pairs * unit
        shared = unit * windows.shared * max(draws.covariance, 0.0) / max(float(unit.mean()), 1e-12)
    variance = _variance(windows.common(_volatility(study)), own, shared) + error**2
    low, high = band(expected, variance)
    made = int(draws.tests.sum())
    return Chance(expected, low, min(high, int(tests)), expected / tests, error / tests, made, draws.tests.shape[1])


def _volatility(study: Study) -> FloatArray:
    """Squared return of each bar after the first, each ticker's scaled to one, averaged over the tickers."""
    total, count = np.zeros(study.filled.shape[1] - 1), np.zeros(study.filled.shape[1] - 1)
    for row in study.filled:
        with np.errstate(invalid="ignore", divide="ignore"):
            square = np.diff(np.log(row)) ** 2
        there = np.isfinite(square)
        if there.any() and square[there].any():
            total[there] += square[there] / square[there].mean()
            count += there
    return total / np.maximum(count, 1.0)


def _by_window(draws: _Draws, family: bool) -> tuple[FloatArray, float]:
    """Mean over universes by window (NaN where none was tested there), and the mean variance of its counts."""
    there = draws.tests > 0
    values = np.where(there, draws.accepted if family else draws.accepted / np.maximum(draws.tests, 1.0), 0.0)
    count = there.sum(axis=1)
    mean = np.where(count > 0, values.sum(axis=1) / np.maximum(count, 1), np.nan)
    off = np.where(there, values - np.nan_to_num(mean)[:, None], 0.0)
    freedom = int(np.maximum(count - 1, 0).sum())
    return mean, float((off**2).sum() / max(freedom, 1))


def _error(draws: _Draws, weights: dict[int, float], mean: FloatArray, turns: list[np.ndarray], family: bool) -> float:
    """Standard error of the weighted sum of the windows' means; universes of one turn are draws of one sum."""
    variance = 0.0
    for turn, windows in enumerate(turns):
        own = slice(turn, None, len(turns))
        accepted, tests = draws.accepted[windows, own], draws.tests[windows, own]
        values = accepted if family else accepted / np.maximum(tests, 1.0)
        off = np.where(tests > 0, values - np.nan_to_num(mean[windows])[:, None], 0.0)
        sums = np.array([weights.get(int(k), 0.0) for k in windows]) @ off
        variance += float((sums**2).sum()) / max(sums.size - 1, 1) / max(sums.size, 1)
    return math.sqrt(variance)


def _variance(common: FloatArray, own: FloatArray, shared: FloatArray) -> float:
    """Variance of the sum over windows of what the same pairs, and pairs that share a ticker, contribute to each."""
    parts = ((SAME_PAIR, own), (SHARED_TICKER, shared))
    return sum(float((overlap_correlation(common, table) * np.sqrt(np.outer(v, v))).sum()) for table, v in parts)


def overlap_correlation(common: FloatArray, table: tuple[float, ...]) -> FloatArray:
    """Correlation of acceptance in two windows that have this share of their bars in common."""
    # Acceptance is lost fast as the windows part: like the root of the bars that they do not share.
    near = 1.0 - (1.0 - table[-1]) * np.sqrt(np.maximum(1.0 - common, 0.0) / (1.0 - OVERLAP[-1]))
    return np.where(common > OVERLAP[-1], near, np.interp(common, OVERLAP, table))


def band(mean: float, variance: float, level: float = 0.95) -> tuple[int, int]:
    """Quantiles of a negative binomial count of this mean and variance; Poisson where the variance is no larger."""
    from scipy.special import betainc, gammaincc

    def below(count: int) -> float:
        if variance <= mean * (1.0 + 1e-9):
            return float(gammaincc(count + 1.0, mean))
        return float(betainc(mean * mean / (variance - mean), count + 1.0, mean / variance))

    def quantile(share: float) -> int:
        low, high = -1, int(mean + 1)
        while below(high) < share:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if below(middle) >= share else (middle, high)
        return high

    if mean <= 0.0:
        return 0, 0
    return quantile(0.5 - level / 2), quantile(0.5 + level / 2)


def _draw(study: Study, windows: _Windows, turns: list[np.ndarray]) -> _Draws:
    """Draw universes until the budget is spent."""
    sums = _Sums(len(study.tickers), windows.pairs.size)
    pairs = _Pairs.of(study)
    done, number = 0, 0
    while number < FEWEST or (done < BUDGET and number < MOST):
        rng = stream(study.config.run.seed, CHANCE_STREAMS, number)
        done += _universe(study, pairs, windows, turns[number % len(turns)], rng, sums)
        number += 1
    return sums.draws()


class _Sums:
    """What is kept of the universes: counts, and by window and ticker the sums that the covariance needs."""

    def __init__(self, tickers: int, windows: int) -> None:
        self.accepted: list[list[float]] = []
        self.tests: list[list[float]] = []
        # By ticker: accepted pairs and tests, summed over universes; and the sums of their squares.
        self.totals = np.zeros((2, windows, tickers))
        self.squares = np.zeros((2, windows))
        self.within = np.zeros(2)

    def add(self, place: int, members: np.ndarray, i: np.ndarray, j: np.ndarray, accepted: np.ndarray) -> None:
        """Take in one window of the last universe; i and j are places among its members."""
        self.accepted[-1][place] = float(accepted.sum())
        self.tests[-1][place] = float(accepted.size)
        both = np.concatenate([i, j])
        for what, weight in enumerate((np.concatenate([accepted, accepted]).astype(float), None)):
            count = np.bincount(both, weights=weight, minlength=members.size)
            square = (count**2).sum()
            self.totals[what, place, members] += count
            self.squares[what, place] += square
            self.within[what] += square - count.sum()

    def draws(self) -> _Draws:
        """Covariance of two pairs that share a ticker: within a universe, less what the ticker has in every one."""
        accepted, tests = np.array(self.accepted).T, np.array(self.tests).T
        covariance = 0.0
        if self.within[1] > 0:
            # Two universes of the same ticker; where tickers seldom meet again, two universes at large.
            cross = (self.totals**2).sum(axis=(1, 2)) - self.squares.sum(axis=1)
            if cross[1] < self.within[1]:
                cross = np.array([(a.sum(axis=1) ** 2 - (a**2).sum(axis=1)).sum() for a in (accepted, tests)])
            covariance = float(self.within[0] / self.within[1] - cross[0] / max(cross[1], 1.0))
        return _Draws(accepted, tests, covariance)


def _universe(
    study: Study, pairs: _Pairs, windows: _Windows, turn: np.ndarray, rng: np.random.Generator, sums: _Sums
) -> int:
    """Draw one universe, test it in the windows of its turn; return the number of tests."""
    options = study.config.selection
    members, i, j = _members(pairs, options, rng)
    with np.errstate(invalid="ignore"):
        returns = np.diff(np.log(study.filled[members]), axis=1)
    path = np.zeros((members.size, study.filled.shape[1]))
    np.cumsum(flip_signs(returns, rng), axis=1, out=path[:, 1:])
    sums.accepted.append([0.0] * windows.pairs.size)
    sums.tests.append([0.0] * windows.pairs.size)
    made = []
    for k in turn:
        able = windows.codes[k, members] == 0
        use = able[i] & able[j]
        if use.any():
            levels = path[:, windows.first[k] : windows.split[k]]
            made.append((int(k), _scan(levels, i[use], j[use], _log_space(study), options)))
    for (place, scan), own in zip(made, _accepted([scan for _, scan in made], options), strict=True):
        sums.add(place, members, scan.i, scan.j, own)
    return sum(scan.i.size for _, scan in made)


@dataclass(frozen=True)
class _Pairs:
    """The run's pairs, and where those of one first ticker stand: a universe looks at its own and not at millions."""

    i: np.ndarray
    j: np.ndarray
    tickers: int
    used: int  # tickers that are in a pair
    order: np.ndarray  # the pairs by first ticker, in the run's order
    start: np.ndarray  # where those of a first ticker begin in it

    @classmethod
    def of(cls, study: Study) -> _Pairs:
        i, j, tickers = study.pair_i, study.pair_j, len(study.tickers)
        used = np.zeros(tickers, dtype=bool)
        used[i] = used[j] = True
        counts = np.bincount(i, minlength=tickers)
        start = np.concatenate([[0], np.cumsum(counts)])
        return cls(i, j, tickers, int(used.sum()), np.argsort(i, kind="stable"), start)

    def among(self, chosen: np.ndarray) -> np.ndarray:
        """Places of the pairs whose tickers are both chosen."""
        first = np.flatnonzero(chosen)
        own = [self.order[self.start[ticker] : self.start[ticker + 1]] for ticker in first]
        places = np.concatenate([self.order[:0], *own])
        return np.sort(places[chosen[self.j[places]]])


def _members(pairs: _Pairs, options: Selection, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tickers of one universe, and the pairs of the run among them as places in it."""
    i, j = pairs.i, pairs.j
    wanted = PAIRS if options.multiplicity == "none" else FAMILY
    chosen = np.zeros(pairs.tickers, dtype=bool)
    if i.size <= wanted * 1.5:
        chosen[i] = chosen[j] = True
    else:
        # Pairs grow with the square of the tickers.
        size = max(4, math.ceil(pairs.used * math.sqrt(wanted / i.size)))
        while chosen.sum() < size:
            pair = rng.integers(i.size)
            chosen[i[pair]] = chosen[j[pair]] = True
    place = np.cumsum(chosen) - 1
    inside = pairs.among(chosen)
    return np.flatnonzero(chosen), place[i[inside]], place[j[inside]]


def _scan(levels: FloatArray, i: np.ndarray, j: np.ndarray, log_space: bool, options: Selection) -> ScanColumns:
    # No statistic depends on a price's unit.
    own = levels - levels[:, :1]
    prices = np.ascontiguousarray(own if log_space else np.exp(own))
    found = cointegration.scan_chunk(cointegration.prepare(prices), i, j, var_order=options.var_order)
    made = ScanColumns(
        i, j, found.eg_stat_12, found.eg_pvalue_12, found.eg_stat_21, found.eg_pvalue_21, found.var_order,
        found.trace0, found.trace1, np.where(found.code == 0, "", "refused").astype(object),
    )  # fmt: skip
    if "partial" not in options.tests:
        return made
    y, x = np.where(made.y_is_first, i, j), np.where(made.y_is_first, j, i)
    return replace(made, partial=partial_cointegration.measure_pairs(partial_cointegration.changes_of(prices), y, x))


def _accepted(scans: list[ScanColumns], options: Selection) -> list[np.ndarray]:
    """Which pairs of each window's scan pass."""
    if options.multiplicity != "none" or not scans:
        return [accepts(scan, options) for scan in scans]
    # Without it a pair is judged alone, and all windows are judged at once.
    whole = ScanColumns(
        **{f.name: np.concatenate([getattr(scan, f.name) for scan in scans]) for f in fields(ScanColumns)}
    )
    return np.split(accepts(whole, options), np.cumsum([scan.i.size for scan in scans])[:-1])
