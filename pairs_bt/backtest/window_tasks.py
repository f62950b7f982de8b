"""The tasks of a run: pure functions of a study, a window and a range of pairs.

A task returns the same bytes wherever and in whatever company it runs; what is summed over pairs is summed over
fixed blocks of pairs, so that it does not depend on how a window is cut into tasks either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pairs_bt.backtest.hedge_rules import FilterPath, Variant, variants
from pairs_bt.backtest.held_ratios import HeldRatios, TrainPairs, held_ratios, train_pairs
from pairs_bt.backtest.ledger import BLOCK, LedgerResult, SettingRules, trade_pairs, trade_settings
from pairs_bt.backtest.selection import ScanColumns, eligibility_reasons, y_is_first
from pairs_bt.backtest.signals import SignalSet, filter_pairs, make_signals, score_centre
from pairs_bt.backtest.study import Study, WindowContext
from pairs_bt.common.freed_memory import keep_freed_arrays
from pairs_bt.config.schema import Portfolio, Selection, reads, slot_parts
from pairs_bt.kernels import ledger as kernel
from pairs_bt.models import cointegration
from pairs_bt.models.hedge_effectiveness import measure
from pairs_bt.models.scan import pair_distance, partial_cointegration


@dataclass(frozen=True)
class Candidates:
    """The pairs selected in one window, best first: rows of the prices for y and x."""

    y: np.ndarray
    x: np.ndarray


@dataclass(frozen=True)
class VariantResult:
    """What one variant gives for a range of candidates.

    Attributes
    ----------
    trades, fills : numpy.ndarray
        Records with `row` counted from the window's first candidate.
    blocks : numpy.ndarray, shape (blocks, bars, components)
        Daily dollars, summed over blocks of 64 candidates.
    delayed : numpy.ndarray, shape (blocks, bars, components)
        The same at the other fill lag (0 where the config's is 1 or more, 1 where it is 0); no block where it was not
        asked for.
    """

    trades: np.ndarray
    fills: np.ndarray
    blocks: np.ndarray
    delayed: np.ndarray

    def position(self, first: int, candidates: int) -> np.ndarray:
        """Side held after each close: (candidates, bars) of int8, for the candidates from `first` on."""
        own = self.trades.copy()
        own["row"] -= first
        out = np.zeros((candidates, self.blocks.shape[1]), dtype=np.int8)
        kernel.held_sides(own, out)
        return out


@dataclass(frozen=True)
class TradeResult:
    """Everything that a trade task makes."""

    first: int
    rules: dict[str, SignalSet]
    held: dict[str, HeldRatios]
    hedged: dict[str, np.ndarray]
    variants: dict[str, VariantResult]


def scan_task(study: Study, k: int, lo: int, hi: int) -> ScanColumns:
    """Test the universe's pairs `lo` to `hi` in window `k`, on train prices only."""
    context = study.context(k)
    i, j = study.pair_i[lo:hi], study.pair_j[lo:hi]
    reason = eligibility_reasons(context.codes, study.tickers, i, j).astype(object)
    able = np.flatnonzero(context.codes == 0)
    todo = np.flatnonzero(reason == "")
    place = np.full(len(study.tickers), -1, dtype=np.int64)
    place[able] = np.arange(able.size)
    columns = {name: np.full(i.size, np.nan) for name in _SCAN_FLOATS}
    order = np.full(i.size, -1, dtype=np.int64)
    if todo.size:
        found = cointegration.scan_chunk(
            context.scan_inputs, place[i[todo]], place[j[todo]], var_order=study.config.selection.var_order
        )
        for name, column in columns.items():
            column[todo] = getattr(found, name)
        order[todo] = np.where(found.code == 0, found.var_order, -1)
        for code, text in cointegration.REASONS.items():
            if code:
                reason[todo[found.code == code]] = text
    options, tested = study.config.selection, np.flatnonzero(reason == "")
    first, second = place[i[tested]], place[j[tested]]
    measures = np.full((i.size if wants_measures(options) else 0, len(pair_distance.MEASURES)), np.nan)
    if measures.size:
        measures[tested] = pair_distance.measure_pairs(context.measure_inputs, first, second)
    partial = np.full((i.size if "partial" in options.tests else 0, len(partial_cointegration.COLUMNS)), np.nan)
    if partial.size:
        own = y_is_first(columns["eg_stat_12"][tested], columns["eg_stat_21"][tested])
        y, x = np.where(own, first, second), np.where(own, second, first)
        partial[tested] = partial_cointegration.measure_pairs(context.partial_inputs, y, x)
    return ScanColumns(i=i, j=j, var_order=order, reason=reason, measures=measures, partial=partial, **columns)


def wants_measures(options: Selection) -> bool:
    """Whether the scan measures how alike the prices of each pair are."""
    return options.heuristics or options.method != "cointegration"


_SCAN_FLOATS = ("eg_stat_12", "eg_pvalue_12", "eg_stat_21", "eg_pvalue_21", "trace0", "trace1")


def trade_task(
    study: Study,
    k: int,
    candidates: Candidates,
    lo: int,
    hi: int,
    refused: dict[str, np.ndarray] | None = None,
    *,
    delayed: bool = True,
    measured: bool = True,
) -> TradeResult:
    """Filter, signal and trade the candidates `lo` to `hi` of window `k` under every variant.

    `refused` holds, per variant, one flag a trade of this range, for trades that a portfolio limit refuses;
    without `delayed` the second ledger, at the other fill lag, is left out, and without `measured` what only tables
    show: how the held ratios stand, and the errors of the hedge.
    `lo` must be a multiple of the block size.
    """
    keep_freed_arrays()
    if lo % BLOCK:
        raise ValueError(f"lo = {lo}; a trade task starts at a multiple of {BLOCK}, the block of the daily sums")
    path = pair_paths(study, k, candidates, lo, hi)
    train: TrainPairs | None = None
    rules: dict[str, SignalSet] = {}
    held: dict[str, HeldRatios] = {}
    hedged: dict[str, np.ndarray] = {}
    results: dict[str, VariantResult] = {}
    for variant in variants(study.config.hedge):
        if variant.rule not in rules:
            rules[variant.rule] = rule_signals(study, k, path, variant.rule, candidates, lo, hi)
            if measured:
                train = train or train_pairs(study.context(k), candidates.y[lo:hi], candidates.x[lo:hi])
                held[variant.rule] = held_ratios(study.context(k), rules[variant.rule], train)
                hedged[variant.rule] = rule_effectiveness(study, k, rules[variant.rule], candidates, lo, hi)
        signals = rules[variant.rule]
        flags = refused.get(variant.name) if refused else None
        book = trade_book(study, k, signals, variant, candidates, lo, hi, refused=flags)
        blocks = book.block_sums()
        other = np.zeros_like(blocks[:0])
        if delayed:
            lag = 1 if study.config.execution.lag == 0 else 0
            other = trade_book(study, k, signals, variant, candidates, lo, hi, lag=lag).block_sums()
        trades, fills = _without(book, flags)
        trades["row"] += lo
        fills["row"] += lo
        results[variant.name] = VariantResult(trades, fills, blocks, other)
    return TradeResult(lo, rules, held, hedged, results)


@reads("filter")
def pair_paths(study: Study, k: int, candidates: Candidates, lo: int, hi: int) -> FilterPath:
    """Filter the candidates `lo` to `hi` of window `k`: what every hedge rule starts from."""
    return filter_pairs(study.context(k).levels, candidates.y[lo:hi], candidates.x[lo:hi], study.config.filter)


@reads(
    "hedge",
    "signal.half_life",
    "signal.window_half_lives",
    "signal.window",
    "signal.entry",
    "signal.optimal",
    "signal.interest",
    "signal.stop",
    "signal.z",
    "signal.s_score",
    "execution.cost_bps",
    "execution.spread",
    but=("hedge.variants", "hedge.rehedge"),
)
def rule_signals(
    study: Study, k: int, path: FilterPath, rule: str, candidates: Candidates, lo: int, hi: int
) -> SignalSet:
    """Signals of the candidates `lo` to `hi` of window `k` under one hedge rule."""
    context, config = study.context(k), study.config
    y, x, n_train = candidates.y[lo:hi], candidates.x[lo:hi], context.window.n_train
    centre = score_centre(rule, context.levels, candidates.y, candidates.x, n_train, config)
    return make_signals(path, rule, context.levels, y, x, n_train, config, centre)


def rule_effectiveness(
    study: Study, k: int, signals: SignalSet, candidates: Candidates, lo: int, hi: int
) -> np.ndarray:
    """Out-of-sample hedge errors of the candidates `lo` to `hi`: (pairs, horizons, measures), traded or refused.

    A price that is carried forward has not moved, and an error over it would be none.
    """
    return measure(study.context(k).quoted, candidates.y[lo:hi], candidates.x[lo:hi], signals.share_ratio)


@reads("signal", "execution", "portfolio")
def trade_book(
    study: Study,
    k: int,
    signals: SignalSet,
    variant: Variant,
    candidates: Candidates,
    lo: int,
    hi: int,
    *,
    refused: np.ndarray | None = None,
    lag: int | None = None,
) -> LedgerResult:
    """Trade the candidates `lo` to `hi` of window `k` on one variant's signals, at the config's lag or another."""
    context = study.context(k)
    options = study.config.portfolio
    y, x = candidates.y[lo:hi], candidates.x[lo:hi]
    return trade_pairs(
        signals, context.market, y, x, config=study.config, rehedge=variant.rehedge, refused=refused, lag=lag,
        pair_capital=pair_capital(study, options, candidates),
        moments=change_moments(context, y, x) if options.sizing == "volatility" else None,
    )  # fmt: skip


def trade_books(
    study: Study,
    k: int,
    signals: SignalSet,
    variant: Variant,
    candidates: Candidates,
    lo: int,
    hi: int,
    settings: SettingRules,
    capitals: np.ndarray,
    sized: bool,
    sums: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Add to `sums` and `counts` what :func:`trade_book` gives under each of some settings of the same signals.

    `capitals` (settings,) are dollars a pair, `sized` says whether any of them sizes by volatility, and `lo` is a
    multiple of the block; see :func:`pairs_bt.backtest.ledger.trade_settings`.
    """
    keep_freed_arrays()
    context = study.context(k)
    y, x = candidates.y[lo:hi], candidates.x[lo:hi]
    trade_settings(
        signals, context.market, y, x, settings=settings, pair_capital=capitals, rehedge=variant.rehedge,
        moments=change_moments(context, y, x) if sized else None, sums=sums, counts=counts,
    )  # fmt: skip


def pair_capital(study: Study, options: Portfolio, candidates: Candidates) -> float:
    """Dollars that one candidate of a window is given."""
    return float(options.capital / study.slots / slot_parts(candidates.y.size, options))


def _without(book: LedgerResult, refused: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Trades and fills less those that a portfolio limit refused, renumbered."""
    if refused is None or not refused.any():
        return book.trades, book.fills
    kept = refused == 0
    fills = book.fills[kept[book.fills["trade"]]]
    fills["trade"] = (np.cumsum(kept) - 1)[fills["trade"]]
    return book.trades[kept], fills


def change_moments(context: WindowContext, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Variances of the daily price changes of y and x over the train window, and their covariance."""
    change = np.diff(context.train, axis=1)
    change = change - change.mean(axis=1, keepdims=True)
    degrees = change.shape[1] - 1
    out = np.empty((y.size, 3))
    out[:, 0] = (change[y] ** 2).sum(axis=1) / degrees
    out[:, 1] = (change[x] ** 2).sum(axis=1) / degrees
    out[:, 2] = (change[y] * change[x]).sum(axis=1) / degrees
    return out
