"""Look-aheads and false fills, planted into the pipeline one at a time: the certificate must catch and place each.

A leak is data: its name, the stage that it breaks, how to plant it, and the overrides of the config that it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pairs_bt.backtest import signals, special_signals, study, window_tasks
from pairs_bt.backtest.entry_levels import PairLevels
from pairs_bt.backtest.hedge_rules import FilterPath
from pairs_bt.backtest.ledger import LedgerResult
from pairs_bt.backtest.selection import Choice
from pairs_bt.backtest.signals import Levels, SignalSet
from pairs_bt.backtest.window_tasks import VariantResult
from pairs_bt.backtest.windows import Window
from pairs_bt.config.schema import Config, Filter, Windows
from pairs_bt.engine import pipeline
from pairs_bt.models.mean_reversion import half_life
from pairs_bt.models.ornstein_uhlenbeck.residual import ResidualFit
from pairs_bt.models.scan.partial_cointegration import changes_of
from pairs_bt.runs import build

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Leak:
    """One planted leak."""

    name: str
    stage: str
    plant: Callable[[Patch], None]
    overrides: tuple[str, ...] = ()


def nothing(patch: Patch) -> None:
    """The leak is in the config."""


def wrap_signals(patch: Patch, change: Callable[[SignalSet, str], SignalSet]) -> None:
    original = window_tasks.make_signals

    def leaky(path: FilterPath, rule: str, *args: Any, **kwargs: Any) -> SignalSet:
        return change(original(path, rule, *args, **kwargs), rule)

    patch.setattr(window_tasks, "make_signals", leaky)


def mean_over_the_trade_window(patch: Patch) -> None:
    def leaky(path: FilterPath, n_train: int) -> np.ndarray:
        return np.broadcast_to(path.beta[:, n_train:].mean(axis=1)[:, None], path.beta.shape)

    patch.setitem(signals.HEDGE_RULES, "averaged", leaky)


def zscore_on_the_full_sample(patch: Patch) -> None:
    def change(made: SignalSet, rule: str) -> SignalSet:
        s = made.spread
        z = (s - s.mean(axis=1, keepdims=True)) / s.std(axis=1, ddof=1, keepdims=True)
        return replace(made, z=np.where(np.isnan(made.z), np.nan, z))

    wrap_signals(patch, change)


def half_life_from_the_trade_window(patch: Patch) -> None:
    def change(made: SignalSet, rule: str) -> SignalSet:
        return replace(made, half_life=np.array([half_life(row) for row in made.spread]))

    wrap_signals(patch, change)


def levels_fitted_over_the_trade_window(patch: Patch) -> None:
    original = special_signals.optimal_levels

    def leaky(spread: np.ndarray, first: int, n_train: int, *args: Any) -> PairLevels:
        return original(spread, first, spread.shape[1], *args)

    patch.setattr(special_signals, "optimal_levels", leaky)


def universe_chosen_with_the_future(patch: Patch) -> None:
    original = study.prepare

    def leaky(config: Config, *args: Any) -> study.Study:
        made = original(config, *args)
        return replace(made, sample_complete=np.isfinite(made.filled).all(axis=1))

    patch.setattr("pairs_bt.runner.prepare", leaky)


def back_filled_gap(patch: Patch) -> None:
    patch.setattr(study, "fill_gaps", lambda prices, limit: prices.bfill(limit=limit).ffill(limit=limit))


def common_window_from_all_bars(patch: Patch) -> None:
    original = signals.own_windows

    def leaky(path: FilterPath, rule: str, space: Any, iy: Any, ix: Any, n_train: int, config: Config) -> np.ndarray:
        return original(path, rule, space, iy, ix, space.levels.shape[1], config)

    patch.setattr(signals, "own_windows", leaky)


def normalised_by_a_future_price(patch: Patch) -> None:
    patch.setattr(signals, "to_space", lambda prices, space: np.ascontiguousarray(100.0 * prices / prices[:, -1:]))


def smoothed_prices(patch: Patch) -> None:
    """Rauch-Tung-Striebel on the local level in place of its filter."""
    original = study.window_levels

    def leaky(raw: np.ndarray, spread: np.ndarray, options: Filter) -> Levels:
        made = original(raw, spread, options)
        q, r = options.smooth.transition_cov, options.smooth.observation_cov
        variance = np.empty(made.filtered.shape[1])
        p = 1.0
        for t in range(variance.size):
            p = p if t == 0 else p + q
            p = p * r / (p + r)
            variance[t] = p
        smooth = made.filtered.copy()
        for t in range(variance.size - 2, -1, -1):
            gain = variance[t] / (variance[t] + q)
            smooth[:, t] += gain * (smooth[:, t + 1] - made.filtered[:, t])
        return replace(made, filtered=smooth)

    patch.setattr(study, "window_levels", leaky)


def smoothed_hedge_ratio(patch: Patch) -> None:
    """Rauch-Tung-Striebel on the regression filter in place of it."""
    original = window_tasks.filter_pairs

    def leaky(levels: Levels, iy: np.ndarray, ix: np.ndarray, options: Filter, *args: Any) -> FilterPath:
        made = original(levels, iy, ix, options, *args)
        q = options.hedge.delta / (1.0 - options.hedge.delta) * np.eye(2)
        state = np.stack([made.beta, made.alpha], axis=-1)
        h = np.stack([levels.filtered[ix], np.ones_like(made.beta)], axis=-1)
        pairs, bars, _ = state.shape
        covs = np.empty((bars, pairs, 2, 2))
        p = np.ones((pairs, 2, 2))
        for t in range(bars):
            p = p if t == 0 else p + q
            ph = np.einsum("pij,pj->pi", p, h[:, t])
            s = np.einsum("pi,pi->p", h[:, t], ph) + options.hedge.observation_cov
            p = p - np.einsum("pi,pj->pij", ph, ph) / s[:, None, None]
            covs[t] = p
        smooth = state.copy()
        for t in range(bars - 2, -1, -1):
            gain = covs[t] @ np.linalg.inv(covs[t] + q)
            smooth[:, t] += np.einsum("pij,pj->pi", gain, smooth[:, t + 1] - state[:, t])
        return replace(made, beta=np.ascontiguousarray(smooth[..., 0]), alpha=np.ascontiguousarray(smooth[..., 1]))

    patch.setattr(window_tasks, "filter_pairs", leaky)


def selected_on_the_trade_windows_profit(patch: Patch) -> None:
    choose, scan_window = pipeline.select_pairs, pipeline.scan_window
    now: dict[str, Any] = {}

    def remember(made: study.Study, k: int, *args: Any) -> Any:
        now["study"], now["k"] = made, k
        return scan_window(made, k, *args)

    def leaky(scan: Any, options: Any) -> Choice:
        choice = choose(scan, options)
        candidates = pipeline.orient_pairs(scan, choice)
        results = pipeline.trade_window(now["study"], now["k"], candidates, pipeline.serial, 512, None)
        profit = np.zeros(choice.order.size)
        for result in results:
            for done in result.variants.values():
                np.add.at(profit, done.trades["row"], done.trades["convergence"])
        order = choice.order[profit >= 0.0]
        selected = np.zeros_like(choice.selected)
        selected[order] = True
        return replace(choice, selected=selected, order=order)

    patch.setattr(pipeline, "scan_window", remember)
    patch.setattr(pipeline, "select_pairs", leaky)


def scanned_over_the_trade_window(patch: Patch) -> None:
    patch.setattr(study.WindowContext, "train", property(lambda self: self.levels.raw))


def partial_cointegration_over_the_trade_window(patch: Patch) -> None:
    def leaky(self: study.WindowContext) -> np.ndarray:
        return changes_of(self.levels.raw[self.codes == 0])

    patch.setattr(study.WindowContext, "partial_inputs", property(leaky))


def residuals_of_tomorrow(patch: Patch) -> None:
    original = special_signals.fit_residuals

    def leaky(y: np.ndarray, x: np.ndarray, window: int, first: int = 0) -> ResidualFit:
        made = original(y, x, window, first)
        return replace(made, mean=np.concatenate([made.mean[:, 1:], made.mean[:, -1:]], axis=1))

    patch.setattr(special_signals, "fit_residuals", leaky)


def slopes_of_tomorrow(patch: Patch) -> None:
    original = signals.HEDGE_RULES["residual"]

    def leaky(path: FilterPath, n_train: int) -> np.ndarray:
        ratio = original(path, n_train)
        return np.concatenate([ratio[:, 1:], ratio[:, -1:]], axis=1)

    patch.setitem(signals.HEDGE_RULES, "residual", leaky)


def scores_centred_by_all_bars(patch: Patch) -> None:
    original = signals.mean_of_means

    def leaky(fit: ResidualFit) -> np.ndarray:
        return np.full_like(original(fit), original(fit).mean())

    patch.setattr(signals, "mean_of_means", leaky)


def filled_at_the_signals_close(patch: Patch) -> None:
    original = window_tasks.trade_pairs

    def leaky(*args: Any, lag: int | None = None, **kwargs: Any) -> LedgerResult:
        return original(*args, lag=0 if lag is None else lag, **kwargs)

    patch.setattr(window_tasks, "trade_pairs", leaky)


def filled_at_the_signals_close_and_stamped_a_bar_earlier(patch: Patch) -> None:
    filled_at_the_signals_close(patch)
    hasty = window_tasks.trade_pairs

    def leaky(*args: Any, **kwargs: Any) -> LedgerResult:
        book = hasty(*args, **kwargs)
        book.trades["signal_bar"] -= 1
        return book

    patch.setattr(window_tasks, "trade_pairs", leaky)


def filled_at_yesterdays_price(patch: Patch) -> None:
    original = window_tasks.trade_pairs

    def leaky(made: SignalSet, market: Any, *args: Any, **kwargs: Any) -> LedgerResult:
        stale = np.concatenate([market.prices[:, :1], market.prices[:, :-1]], axis=1)
        return original(made, replace(market, prices=stale), *args, **kwargs)

    patch.setattr(window_tasks, "trade_pairs", leaky)


def windows_counted_back_from_the_last_day(patch: Patch) -> None:
    """Train windows of five-day weeks, whose last week is the sample's last."""
    original = study.split_windows

    def leaky(index: pd.DatetimeIndex, options: Windows, calendar: str) -> list[Window]:
        return [replace(window, first=window.first + index.size % 5) for window in original(index, options, calendar)]

    patch.setattr(study, "split_windows", leaky)


def spread_less_its_mean_over_all_bars(patch: Patch) -> None:
    def change(made: SignalSet, rule: str) -> SignalSet:
        return replace(made, spread=made.spread - made.spread.mean(axis=1, keepdims=True))

    wrap_signals(patch, change)


def positions_of_trades_that_gain(patch: Patch) -> None:
    """The ledger is right; what is shown as held leaves out what will lose."""
    original = VariantResult.position

    def leaky(self: VariantResult, *args: Any) -> np.ndarray:
        return original(replace(self, trades=self.trades[self.trades["convergence"] >= 0.0]), *args)

    patch.setattr(VariantResult, "position", leaky)


def only_trades_that_gain(patch: Patch) -> None:
    original = window_tasks.trade_pairs

    def leaky(*args: Any, **kwargs: Any) -> LedgerResult:
        book = original(*args, **kwargs)
        gains = book.trades["convergence"] >= 0.0
        fills = book.fills[gains[book.fills["trade"]]]
        fills["trade"] = (np.cumsum(gains) - 1)[fills["trade"]]
        return replace(book, trades=book.trades[gains], fills=fills)

    patch.setattr(window_tasks, "trade_pairs", leaky)


def returns_scaled_by_their_own_volatility(patch: Patch) -> None:
    original = build.portfolio_returns

    def leaky(*args: Any, **kwargs: Any) -> pd.DataFrame:
        made = original(*args, **kwargs)
        return made.assign(net=made["net"] / made["net"].std()) if len(made) else made

    patch.setattr(build, "portfolio_returns", leaky)


LEAKS = (
    Leak("windows counted back from the last day", "windows", windows_counted_back_from_the_last_day),
    Leak("spread less its mean over all bars", "spread", spread_less_its_mean_over_all_bars),
    Leak("positions of trades that gain only", "positions", positions_of_trades_that_gain),
    Leak("mean over the trade window", "hedge ratio", mean_over_the_trade_window),
    Leak("z-score on the full sample", "z-score", zscore_on_the_full_sample),
    Leak("universe chosen with the future", "universe", universe_chosen_with_the_future),
    Leak("universe chosen with the future, by config", "universe", nothing, ("universe.complete_over=sample",)),
    Leak("back-filled gap", "gap filling", back_filled_gap),
    Leak(
        "RTS smoother for the price filter",
        "price filter",
        smoothed_prices,
        ("filter.smooth={transition_cov=0.05,observation_cov=1.0}",),
    ),
    Leak("RTS smoother for the hedge filter", "hedge ratio", smoothed_hedge_ratio),
    Leak(
        "partial cointegration fitted over the trade window",
        "scan",
        partial_cointegration_over_the_trade_window,
        ("selection.tests=['engle_granger','partial']", "selection.combine=any"),
    ),
    Leak("residuals of tomorrow", "z-score", residuals_of_tomorrow, ("hedge.variants=['residual']",)),
    Leak("slopes of tomorrow", "hedge ratio", slopes_of_tomorrow, ("hedge.variants=['residual']",)),
    Leak(
        "s-scores centred by all bars",
        "z-score",
        scores_centred_by_all_bars,
        ("hedge.variants=['residual']", "signal.s_score=centred"),
    ),
    Leak("fill at the signal's own close", "fills", filled_at_the_signals_close),
    Leak("the same, stamped a bar earlier", "fills", filled_at_the_signals_close_and_stamped_a_bar_earlier),
    Leak("fill at yesterday's price", "fills", filled_at_yesterdays_price),
    Leak("half-life from the trade window", "half-life", half_life_from_the_trade_window),
    Leak(
        "optimal levels fitted over the trade window",
        "thresholds",
        levels_fitted_over_the_trade_window,
        ("signal.entry=optimal", "signal.z=rolling"),
    ),
    Leak("common window from all bars", "half-life", common_window_from_all_bars, ("signal.window=longest",)),
    Leak("normalising by a future price", "price space", normalised_by_a_future_price),
    Leak("selecting on the trade window's P&L", "candidates", selected_on_the_trade_windows_profit),
    Leak("scanning the trade window", "scan", scanned_over_the_trade_window),
    Leak("unconverged pairs dropped, by config", "trades", nothing, ("execution.unconverged=drop",)),
    Leak("only trades that gain", "trades", only_trades_that_gain),
    Leak("returns scaled by their own volatility", "returns", returns_scaled_by_their_own_volatility),
    Leak("P&L of the differenced spread, by config", "ledger", nothing, ("execution.pnl=spread",)),
)
