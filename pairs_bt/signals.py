"""From candidates to signals: filtered levels, hedge ratios, spreads, half-lives and z-scores of one window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pairs_bt.config import Config, Filter
from pairs_bt.hedge import HEDGE_RULES, FilterPath
from pairs_bt.kernels.kalman import hedge_paths, local_level_paths
from pairs_bt.kernels.rolling import SpreadRules, spread_signals

# Prices at the train start in the scale-free spaces; a level away from 0 keeps ratios of log levels defined.
BASE = 100.0

# Why a candidate is not traded under a variant; index into REFUSALS.
REFUSALS = ("", "no reversion", "window below entry level", "negative hedge ratio", "leg share")


@dataclass(frozen=True)
class Levels:
    """Prices of one window, one row a ticker, in every form that the stages need.

    Attributes
    ----------
    raw : numpy.ndarray, shape (tickers, bars)
        Filled raw prices: what the ledger trades.
    spread : numpy.ndarray, shape (tickers, bars)
        Prices that enter the spread, in price units: raw, or filtered since the data's first day.
    space : numpy.ndarray, shape (tickers, bars)
        The same in the price space of the config.
    filtered : numpy.ndarray, shape (tickers, bars)
        `space` after the local level filter: what the regression filter sees.
    """

    raw: np.ndarray
    spread: np.ndarray
    space: np.ndarray
    filtered: np.ndarray


@dataclass(frozen=True)
class SignalSet:
    """Signals of many pairs under one hedge rule over one window's trade bars.

    Attributes
    ----------
    hedge_ratio : numpy.ndarray, shape (pairs, trade bars)
        Share ratio (price_space raw, normalised) or elasticity (log), as the tables show it.
    share_ratio : numpy.ndarray, shape (pairs, trade bars)
        Shares of x against one share of y.
    spread, z : numpy.ndarray, shape (pairs, trade bars)
        Spread (price units, or logs) and its rolling z-score; z is NaN where the pair is refused.
    half_life : numpy.ndarray, shape (pairs,)
        In bars; inf where the spread does not revert.
    window : numpy.ndarray, shape (pairs,)
        Bars of the rolling z-score; 0 where there is none.
    refusal : numpy.ndarray, shape (pairs,)
        Index into `REFUSALS`.
    """

    hedge_ratio: np.ndarray
    share_ratio: np.ndarray
    spread: np.ndarray
    z: np.ndarray
    half_life: np.ndarray
    window: np.ndarray
    refusal: np.ndarray


def prefilter(filled: np.ndarray, options: Filter) -> np.ndarray:
    """Filter each ticker's whole history from its first price (what ``spread_on = "filtered"`` asks for).

    Causal: row values up to a bar depend on prices up to that bar only. NaN where there is no price.
    """
    out = np.full_like(filled, np.nan)
    for k in range(filled.shape[0]):
        priced = np.flatnonzero(np.isfinite(filled[k]))
        if priced.size:
            row = np.ascontiguousarray(filled[k : k + 1, priced[0] :])
            level = np.empty_like(row)
            local_level_paths(row, options.smooth.transition_cov, options.smooth.observation_cov, 0.0, 1.0, level)
            out[k, priced[0] :] = np.where(np.isfinite(row[0]), level[0], np.nan)
    return out


def window_levels(raw: np.ndarray, spread: np.ndarray, options: Filter) -> Levels:
    """Bring one window's prices into the price space and filter them, once per ticker.

    `raw` and `spread` are (tickers, bars) from the train start to the trade end, contiguous.
    """
    space = to_space(spread, options.price_space)
    filtered = np.empty_like(space)
    local_level_paths(space, options.smooth.transition_cov, options.smooth.observation_cov, 0.0, 1.0, filtered)
    return Levels(raw, spread, space, filtered)


def to_space(prices: np.ndarray, space: str) -> np.ndarray:
    """Bring prices (tickers, bars) into a price space; the scale-free ones start every row at 100 or log 100.

    Logs are of the normalised price, so that quoting a ticker in other units changes nothing.
    """
    if space == "raw":
        return np.ascontiguousarray(prices)
    scaled = np.ascontiguousarray(BASE * (prices / prices[:, :1]))
    return np.log(scaled) if space == "log" else scaled


def filter_pairs(levels: Levels, iy: np.ndarray, ix: np.ndarray, options: Filter) -> FilterPath:
    """Run the regression filter of every pair over train and trade window."""
    shape = (iy.size, levels.filtered.shape[1])
    beta, alpha = np.empty(shape), np.empty(shape)
    hedge_paths(
        levels.filtered, iy, ix, options.hedge.delta, options.hedge.observation_cov,
        np.zeros(2), np.ones((2, 2)), beta, alpha,
    )  # fmt: skip
    return FilterPath(beta, alpha, levels.space[iy], levels.space[ix])


def make_signals(
    path: FilterPath, rule: str, levels: Levels, iy: np.ndarray, ix: np.ndarray, n_train: int, config: Config
) -> SignalSet:
    """Turn the filter's path into hedge ratios, spreads, half-lives and z-scores under one rule."""
    beta = HEDGE_RULES[rule](path, n_train)
    space = config.filter.price_space
    # y/y0 - b x/x0 = (y - (b y0/x0) x) / y0: the same ratio in shares
    unit = levels.spread[:, 0].copy() if space == "normalised" else np.ones(levels.spread.shape[0])
    pairs, bars = beta.shape
    hedge, spread, z = (np.empty((pairs, bars - n_train)) for _ in range(3))
    share = np.empty_like(hedge) if space == "log" else hedge
    life, window, refusal = np.empty(pairs), np.empty(pairs, dtype=np.int64), np.empty(pairs, dtype=np.int8)
    spread_signals(
        levels.space if space == "log" else levels.spread, levels.raw, unit, iy, ix,
        np.ascontiguousarray(beta[:, :1] if beta.strides[1] == 0 else beta),
        _rules(n_train, config), hedge, share, spread, z, life, window, refusal,
    )  # fmt: skip
    return SignalSet(hedge, share, spread, z, life, window, refusal)


def _rules(n_train: int, config: Config) -> SpreadRules:
    return SpreadRules(
        n_train=n_train,
        entry=config.signal.entry,
        book=config.signal.half_life == "book",
        reject_negative=config.hedge.reject_negative,
        max_leg_share=config.hedge.max_leg_share,
        log_space=config.filter.price_space == "log",
    )
