"""From candidates to signals: filtered levels, hedge ratios, spreads, half-lives and z-scores of one window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pairs_bt.config import Config, Filter, Signal
from pairs_bt.hedge import HEDGE_RULES, FilterPath
from pairs_bt.kernels.kalman import hedge_paths, local_level_paths
from pairs_bt.kernels.rolling import half_lives, rolling_zscores

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
    log_space = config.filter.price_space == "log"
    if config.filter.price_space == "normalised":
        # y/y0 - b x/x0 = (y - (b y0/x0) x) / y0: the same ratio in shares
        beta = beta * (levels.spread[iy, :1] / levels.spread[ix, :1])
    y, x = (path.y, path.x) if log_space else (levels.spread[iy], levels.spread[ix])
    # s_t = y_t - beta_t x_t
    spread = y - beta * x
    life = np.empty(iy.size)
    half_lives(spread, n_train, life)
    share = beta * (levels.raw[iy] / levels.raw[ix]) if log_space else beta
    window, refusal = _z_windows(life, n_train, config.signal)
    _refuse_ratios(refusal, share[:, n_train - 1], levels.raw[iy, n_train - 1], levels.raw[ix, n_train - 1], config)
    if config.signal.half_life == "book":
        # max(round(.), 1) turns no reversion into the fastest pair
        life = np.where(np.isfinite(life), np.maximum(np.round(life), 1.0), 1.0)
    z = np.empty((iy.size, spread.shape[1] - n_train))
    rolling_zscores(spread, n_train, np.where(refusal > 0, 0, window), z)
    cut = np.s_[:, n_train:]
    return SignalSet(
        np.ascontiguousarray(beta[cut]), np.ascontiguousarray(share[cut]), np.ascontiguousarray(spread[cut]),
        z, life, window, refusal,
    )  # fmt: skip


def _z_windows(life: np.ndarray, n_train: int, options: Signal) -> tuple[np.ndarray, np.ndarray]:
    """Bars of the rolling z-score of each pair, and the pairs refused for want of one."""
    refusal = np.zeros(life.size, dtype=np.int8)
    if options.half_life == "book":
        life = np.where(np.isfinite(life), np.maximum(np.round(life), 1.0), 1.0)
    reverts = np.isfinite(life)
    window = np.zeros(life.size, dtype=np.int64)
    window[reverts] = np.minimum(np.round(2.0 * life[reverts]), n_train).astype(np.int64)
    refusal[~reverts] = 1
    if options.half_life != "book":
        # |z| <= (w - 1) / sqrt(w) for any w values
        reach = (window - 1) / np.sqrt(np.maximum(window, 1))
        refusal[reverts & (reach < options.entry)] = 2
    return window, refusal


def _refuse_ratios(refusal: np.ndarray, ratio: np.ndarray, y: np.ndarray, x: np.ndarray, config: Config) -> None:
    """Refuse what the train end already shows: a negative ratio, or one leg with too much of the capital."""
    if config.hedge.reject_negative:
        refusal[(refusal == 0) & ~(ratio > 0.0)] = 3
    larger = np.maximum(y, np.abs(ratio) * x)
    refusal[(refusal == 0) & (larger > config.hedge.max_leg_share * (y + np.abs(ratio) * x))] = 4
