"""From candidates to signals: filtered levels, hedge ratios, spreads, half-lives and z-scores of one window."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pairs_bt.backtest.entry_levels import PairLevels
from pairs_bt.backtest.hedge_rules import HEDGE_RULES, FilterPath, PairPrices, variants
from pairs_bt.backtest.special_signals import (
    Formed,
    Space,
    form_signals,
    form_spread,
    is_usual,
    own_windows,
    z_form,
)
from pairs_bt.common.periods import TRADING_DAYS
from pairs_bt.config.hedge_rule_names import FILTER_RULES, MARKET_RULES
from pairs_bt.config.schema import Config, Filter, Smooth
from pairs_bt.kernels.kalman import (
    PATH,
    STATE,
    factor_state,
    hedge_path,
    hedge_paths,
    hedge_paths_each,
    local_level_paths,
)
from pairs_bt.kernels.kalman_mle import KAPPA
from pairs_bt.kernels.mean_reversion import SpreadRules, spread_signals
from pairs_bt.models.hedge_ratios import market_returns
from pairs_bt.models.kalman_mle import BURN, PairNoise, burn_in_bars, pair_noise
from pairs_bt.models.ornstein_uhlenbeck.residual import fit_residuals, mean_of_means
from pairs_bt.models.reverting_spread import pair_spreads

# Prices at the train start in the scale-free spaces; a level away from 0 keeps ratios of log levels defined.
BASE = 100.0

# Why a candidate is not traded under a variant; index into REFUSALS.
REFUSALS = (
    "", "no reversion", "window below entry level", "negative hedge ratio", "leg share", "no hedge ratio",
    "no level pays",
)  # fmt: skip
NO_RATIO = 5


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
    n_train : int
        Train bars; noise is fitted to them alone.
    market_rows : numpy.ndarray of int, optional
        Tickers whose mean return is the market of the hedge rule `beta`.
    bars_per_year : float
        Turns what is fitted a bar into figures a year.
    """

    raw: np.ndarray
    spread: np.ndarray
    space: np.ndarray
    filtered: np.ndarray
    n_train: int = 0
    market_rows: np.ndarray | None = None
    bars_per_year: float = TRADING_DAYS


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
    mean : numpy.ndarray, shape (pairs, trade bars)
        What z measures the spread from, in the spread's units: the rolling mean, or under ``signal.z = "formation"``
        the level at which both indices are equal, which does not move. NaN where z is NaN for want of a window, and
        under ``"innovation"``, which measures no distance of the spread.
    levels : PairLevels, optional
        Entry and exit of every pair under ``signal.entry = "optimal"``; None: those of the config.
    """

    hedge_ratio: np.ndarray
    share_ratio: np.ndarray
    spread: np.ndarray
    z: np.ndarray
    half_life: np.ndarray
    window: np.ndarray
    refusal: np.ndarray
    mean: np.ndarray
    levels: PairLevels | None = None


def prefilter(filled: np.ndarray, options: Filter) -> np.ndarray:
    """Filter each ticker's whole history from its first price (what ``spread_on = "filtered"`` asks for).

    Causal: row values up to a bar depend on prices up to that bar only. NaN where there is no price. Where the
    regression filter sees unsmoothed prices (``smooth = "none"``), the noise is the default of the local level filter.
    """
    smooth = options.smooth if isinstance(options.smooth, Smooth) else Smooth()
    out = np.full_like(filled, np.nan)
    for k in range(filled.shape[0]):
        priced = np.flatnonzero(np.isfinite(filled[k]))
        if priced.size:
            row = np.ascontiguousarray(filled[k : k + 1, priced[0] :])
            level = np.empty_like(row)
            local_level_paths(row, smooth.transition_cov, smooth.observation_cov, 0.0, 1.0, level)
            out[k, priced[0] :] = np.where(np.isfinite(row[0]), level[0], np.nan)
    return out


def window_levels(raw: np.ndarray, spread: np.ndarray, options: Filter) -> Levels:
    """Bring one window's prices into the price space and filter them, once per ticker.

    `raw` and `spread` are (tickers, bars) from the train start to the trade end, contiguous.
    """
    space = to_space(spread, options.price_space)
    if not isinstance(options.smooth, Smooth):
        return Levels(raw, spread, space, space)
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
    """Run the regression filter of every pair over train and trade window, with the config's noise or fitted noise."""
    shape = (iy.size, levels.filtered.shape[1])
    y, x = levels.space[iy], levels.space[ix]
    first = min(options.burn_in, max(levels.n_train, 1)) - 1
    if options.model == "reverting_spread":
        made = pair_spreads(levels.filtered, iy, ix, levels.n_train, first)
        return FilterPath(
            made.beta, made.alpha, y, x, innovation=made.innovation, innovation_var=made.innovation_var,
            first=first, spreads=made,
        )  # fmt: skip
    if options.noise != "fixed" or options.start == "diffuse":
        noise = filter_noise(levels, iy, ix, options)
        beta, alpha, innovation, variance = _own_paths(levels, iy, ix, noise, options)
        return FilterPath(beta, alpha, y, x, noise=noise, innovation=innovation, innovation_var=variance, first=first)
    beta, alpha = np.empty(shape), np.empty(shape)
    hedge_paths(
        levels.filtered, iy, ix, options.hedge.delta, options.hedge.observation_cov,
        np.array(options.hedge.initial_mean), np.array(options.hedge.initial_cov), beta, alpha,
    )  # fmt: skip
    return FilterPath(beta, alpha, y, x, first=first)


def ratio_with_error(levels: Levels, options: Filter) -> tuple[np.ndarray, np.ndarray]:
    """Filtered ratio of the first row on the second, and its standard deviation: the path that the rules read."""
    iy, ix = np.zeros(1, np.int64), np.ones(1, np.int64)
    if options.model == "reverting_spread":
        made = filter_pairs(levels, iy, ix, options).spreads
        assert made is not None
        return made.beta[0], np.sqrt(made.beta_var[0])
    noise = filter_noise(levels, iy, ix, options)
    mean, cov = filter_start(levels, iy, ix, options)
    state, path = np.empty(STATE), np.empty((PATH, levels.filtered.shape[1]))
    factor_state(mean[0], cov[0], state)
    q_beta, q_alpha = noise.q[0]
    hedge_path(levels.filtered[0], levels.filtered[1], q_beta, q_alpha, noise.r[0], False, state, path)
    return path[0], np.sqrt(path[2])


def filter_start(levels: Levels, iy: np.ndarray, ix: np.ndarray, options: Filter) -> tuple[np.ndarray, np.ndarray]:
    """Mean (pairs, 2) and covariance (pairs, 2, 2) of every pair's state before the first bar.

    ``diffuse``: nothing is known of beta or alpha. Their standard deviations are a thousand times the quotient of the
    mean prices of the train window, and a thousand times the mean price of y, so the start has the units of the prices
    (Durbin and Koopman, *Time Series Analysis by State Space Methods*, 2012, section 5.1: a large kappa for the exact
    diffuse start). ``given``: the config's `initial_mean` and `initial_cov`.
    """
    if options.start == "given":
        mean = np.broadcast_to(np.array(options.hedge.initial_mean), (iy.size, 2))
        return np.ascontiguousarray(mean), np.ascontiguousarray(
            np.broadcast_to(np.array(options.hedge.initial_cov), (iy.size, 2, 2))
        )
    train = levels.filtered[:, : levels.n_train or None]
    size = np.abs(np.ascontiguousarray(train))
    seen = np.isfinite(size)
    # NaN for a ticker that has no price in the window, without numpy's warning of an empty mean
    scale = np.where(seen, size, 0.0).sum(axis=1) / np.where(seen.any(axis=1), seen.sum(axis=1), np.nan)
    cov = np.zeros((iy.size, 2, 2))
    cov[:, 0, 0] = KAPPA * (scale[iy] / scale[ix]) ** 2
    cov[:, 1, 1] = KAPPA * scale[iy] ** 2
    return np.zeros((iy.size, 2)), cov


def filter_noise(levels: Levels, iy: np.ndarray, ix: np.ndarray, options: Filter) -> PairNoise:
    """Noise of every pair's regression filter: the config's, or each pair's own by maximum likelihood.

    The likelihood leaves out the bars in which the local level filter climbs from 0 to the price.
    """
    burn = BURN
    if isinstance(options.smooth, Smooth):
        burn += burn_in_bars(options.smooth.transition_cov, options.smooth.observation_cov)
    return pair_noise(
        levels.filtered, iy, ix, levels.n_train, model=options.noise, burn=burn,
        delta=options.hedge.delta, observation_cov=options.hedge.observation_cov,
    )  # fmt: skip


def _own_paths(
    levels: Levels, iy: np.ndarray, ix: np.ndarray, noise: PairNoise, options: Filter
) -> tuple[np.ndarray, ...]:
    """Beta, alpha, innovation and its variance of every pair under its own noise and start."""
    out = tuple(np.empty((iy.size, levels.filtered.shape[1])) for _ in range(4))
    hedge_paths_each(levels.filtered, iy, ix, noise.q, noise.r, *filter_start(levels, iy, ix, options), *out)
    return out


def standard_innovations(
    path: FilterPath, levels: Levels, iy: np.ndarray, ix: np.ndarray, options: Filter
) -> np.ndarray:
    """Innovations over their standard deviations, e_t / sqrt(S_t): (pairs, bars)."""
    innovation, variance = path.innovation, path.innovation_var
    if innovation is None or variance is None:
        # the fast filter keeps the state alone
        _, _, innovation, variance = _own_paths(levels, iy, ix, filter_noise(levels, iy, ix, options), options)
    return np.asarray(innovation / np.sqrt(variance))


def make_signals(
    path: FilterPath,
    rule: str,
    levels: Levels,
    iy: np.ndarray,
    ix: np.ndarray,
    n_train: int,
    config: Config,
    centre: np.ndarray | None = None,
) -> SignalSet:
    """Turn the filter's path into hedge ratios, spreads, half-lives and z-scores under one rule.

    `centre`, (bars,), is taken off the means of the s-scores (:func:`score_centre`).
    """
    space = _space(levels, config)
    common = _common_windows(path, levels, space, iy, ix, n_train, config)
    path = _rule_path(path, rule, levels, space, iy, ix, n_train, config)
    if is_usual(rule, config):
        formed = _usual_signals(HEDGE_RULES[rule](path, n_train), space, iy, ix, n_train, config)
    else:
        wanted = z_form(rule, config) == "innovation"
        innovation = standard_innovations(path, levels, iy, ix, config.filter) if wanted else None
        formed = form_signals(path, rule, space, iy, ix, n_train, config, innovation, common, centre)
    if rule not in FILTER_RULES:
        # a regression without an answer is not a pair without reversion
        formed.refusal[~np.isfinite(formed.hedge[:, 0])] = NO_RATIO
    return SignalSet(
        formed.hedge,
        formed.share,
        formed.spread,
        formed.z,
        formed.life,
        formed.window,
        formed.refusal,
        formed.mean,
        formed.levels,
    )


def score_centre(
    rule: str, levels: Levels, iy: np.ndarray, ix: np.ndarray, n_train: int, config: Config
) -> np.ndarray | None:
    """Mean over all candidates (iy, ix) of what their residuals revert to, (bars,), under ``s_score = "centred"``."""
    if config.signal.s_score != "centred" or z_form(rule, config) != "s_score":
        return None
    return mean_of_means(fit_residuals(levels.raw[iy], levels.raw[ix], config.hedge.residual_window, n_train - 1))


def _rule_path(
    path: FilterPath,
    rule: str,
    levels: Levels,
    space: Space,
    iy: np.ndarray,
    ix: np.ndarray,
    n_train: int,
    config: Config,
) -> FilterPath:
    """The path with what one rule reads besides."""
    if rule == "averaged" and config.hedge.average_window is not None:
        path = replace(path, first=max(path.first, n_train - config.hedge.average_window))
    if rule not in FILTER_RULES:
        path = replace(path, source=_pair_prices(levels, space, rule, iy, ix, n_train, config))
    return path


def _common_windows(
    path: FilterPath, levels: Levels, space: Space, iy: np.ndarray, ix: np.ndarray, n_train: int, config: Config
) -> np.ndarray | None:
    """Bars of every rule's z-score under ``signal.window``, by pair; None where each rule has its own."""
    if config.signal.window == "own":
        return None
    if config.signal.window != "longest":
        return np.full(iy.size, min(config.signal.window, n_train), dtype=np.int64)
    longest = np.zeros(iy.size, dtype=np.int64)
    for rule in dict.fromkeys(variant.rule for variant in variants(config.hedge)):
        own = _rule_path(path, rule, levels, space, iy, ix, n_train, config)
        longest = np.maximum(longest, own_windows(own, rule, space, iy, ix, n_train, config))
    return longest


def whole_spreads(
    path: FilterPath, rule: str, levels: Levels, iy: np.ndarray, ix: np.ndarray, n_train: int, config: Config
) -> np.ndarray:
    """Spread over train and trade window, (pairs, bars): its trade bars are those of :func:`make_signals`."""
    space = _space(levels, config)
    if rule not in FILTER_RULES:
        path = replace(path, source=_pair_prices(levels, space, rule, iy, ix, n_train, config))
    ratio = HEDGE_RULES[rule](path, n_train) * (space.unit[iy] / space.unit[ix])[:, None]
    return form_spread(path, rule, ratio, space, iy, ix, n_train, config)


def _space(levels: Levels, config: Config) -> Space:
    kind = config.filter.price_space
    tickers = levels.spread.shape[0]
    # y/y0 - b x/x0 = (y - (b y0/x0) x) / y0: the same ratio in shares
    unit = levels.spread[:, 0].copy() if kind == "normalised" else np.ones(tickers)
    scale = unit / BASE if kind == "normalised" else unit
    prices = levels.space if kind == "log" else levels.spread
    return Space(prices, levels.raw, unit, scale, kind == "log", levels.bars_per_year)


def _pair_prices(
    levels: Levels, space: Space, rule: str, iy: np.ndarray, ix: np.ndarray, n_train: int, config: Config
) -> PairPrices:
    market = None
    if rule in MARKET_RULES:
        rows = np.arange(levels.raw.shape[0]) if levels.market_rows is None else levels.market_rows
        market = market_returns(levels.raw[:, :n_train], rows)
    return PairPrices(
        levels.raw, space.unit, iy, ix, log_space=space.log, market=market,
        rolling_window=config.hedge.rolling_window, residual_window=config.hedge.residual_window,
        var_order=config.selection.var_order,
        delta=config.filter.hedge.delta, observation_cov=config.filter.hedge.observation_cov,
    )  # fmt: skip


def _usual_signals(
    beta: np.ndarray, space: Space, iy: np.ndarray, ix: np.ndarray, n_train: int, config: Config
) -> Formed:
    """Signals of the usual form, all stages of a pair in one kernel."""
    pairs, bars = beta.shape
    hedge, spread, z, mean = (np.empty((pairs, bars - n_train)) for _ in range(4))
    share = np.empty_like(hedge) if space.log else hedge
    life, window, refusal = np.empty(pairs), np.empty(pairs, dtype=np.int64), np.empty(pairs, dtype=np.int8)
    spread_signals(
        space.levels, space.raw, space.unit, iy, ix,
        np.ascontiguousarray(beta[:, :1] if beta.strides[1] == 0 else beta),
        _rules(n_train, config), hedge, share, spread, z, mean, life, window, refusal,
    )  # fmt: skip
    return Formed(hedge, share, spread, z, life, window, refusal, mean)


def _rules(n_train: int, config: Config) -> SpreadRules:
    return SpreadRules(
        n_train=n_train,
        entry=config.signal.entry,
        book=config.signal.half_life == "book",
        reject_negative=config.hedge.reject_negative,
        max_leg_share=config.hedge.max_leg_share,
        log_space=config.filter.price_space == "log",
        half_lives=config.signal.window_half_lives,
    )
