"""Signals in every form but the usual one: other spreads, other z-scores, spreads without a half-life.

The usual form (spread y - beta x, rolling z-score, pairs refused for their half-life) has a kernel of its own in
:mod:`pairs_bt.kernels.mean_reversion`; this module takes the same arrays, makes the same numbers for it, bit for bit,
and the others besides:

    intercept = "subtract"   s_t = y_t - beta_t x_t - alpha_t
    rebuilt spreads          s_t = s_{t-1} + dy_t - beta_{t-1} dx_t    (rules that hedge changes)
    z = "innovation"         e_t / sqrt(S_t): what the filter did not expect, in its own standard deviations
    z = "model"              the filtered spread over its deviation in the train window (`dynamic` under the model that
                             has the spread in it; what ``z = "auto"`` means there)
    z = "stationary"         the spread from the mean that it reverts to, over its stationary deviation: an
                             Ornstein-Uhlenbeck process fitted to the train window
    z = "formation"          the gap between two prices indexed to 1, over the standard deviation that it had in the
                             train window (Gatev, Goetzmann and Rouwenhorst 2006, section 2.2)
    z = "s_score"            the residual of the last returns, added up, from its mean, over its stationary deviation
                             (rule `residual`, of which ``z = "auto"`` means it)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pairs_bt.backtest.entry_levels import PairLevels, optimal_levels
from pairs_bt.backtest.hedge_rules import HEDGE_RULES, FilterPath, intercept
from pairs_bt.common.periods import TRADING_DAYS
from pairs_bt.config.hedge_rule_names import INTERCEPT_RULES, MOVING_RULES, REBUILT_RULES
from pairs_bt.config.schema import Config, has_optimal_entry
from pairs_bt.kernels import ornstein_uhlenbeck
from pairs_bt.kernels.hedge_ratios import rebuilt_spreads
from pairs_bt.kernels.mean_reversion import (
    LEG_SHARE,
    NEGATIVE_RATIO,
    NO_REVERSION,
    SHORT_WINDOW,
    half_lives,
    rolling_zscores_and_means,
)
from pairs_bt.models.ornstein_uhlenbeck.residual import ResidualFit, fit_residuals

# Why no level of a pair is worth a trade; index into `pairs_bt.backtest.signals.REFUSALS`.
NO_LEVEL = 6


@dataclass(frozen=True)
class Space:
    """Prices of one window in the form in which the spread is formed.

    Attributes
    ----------
    levels : numpy.ndarray, shape (tickers, bars)
        Prices in price units, or logs under log prices.
    raw : numpy.ndarray, shape (tickers, bars)
        Prices as they are traded.
    unit : numpy.ndarray, shape (tickers,)
        A ratio of the price space times ``unit[iy] / unit[ix]`` is one of `levels`.
    scale : numpy.ndarray, shape (tickers,)
        An amount of the price space times ``scale[iy]`` is one of `levels`.
    log : bool
        Whether `levels` are logs.
    bars_per_year : float
        Turns what is fitted a bar into figures a year.
    """

    levels: np.ndarray
    raw: np.ndarray
    unit: np.ndarray
    scale: np.ndarray
    log: bool
    bars_per_year: float = TRADING_DAYS


@dataclass(frozen=True)
class Formed:
    """Arrays of a signal set; see :class:`pairs_bt.backtest.signals.SignalSet`."""

    hedge: np.ndarray
    share: np.ndarray
    spread: np.ndarray
    z: np.ndarray
    life: np.ndarray
    window: np.ndarray
    refusal: np.ndarray
    mean: np.ndarray
    levels: PairLevels | None = None


def z_form(rule: str, config: Config) -> str:
    """Which z-score a rule has: ``signal.z``, where ``"auto"`` is the model's own if the rule trades its spread.

    With one window for all rules, ``signal.window``, every rule's is the rolling one.
    """
    if config.signal.z != "auto":
        return config.signal.z
    if config.signal.window != "own":
        return "rolling"
    if rule == "residual":
        return "s_score"
    return "model" if rule == "dynamic" and config.filter.model == "reverting_spread" else "rolling"


def is_usual(rule: str, config: Config) -> bool:
    """Whether the kernel of the usual form makes this rule's signals."""
    subtracts = config.filter.intercept == "subtract" and rule in INTERCEPT_RULES
    usual = z_form(rule, config) == "rolling" and config.signal.half_life != "ignore"
    own = config.signal.window == "own" and not has_optimal_entry(config.signal)
    return usual and own and not subtracts and rule not in REBUILT_RULES


def form_signals(
    path: FilterPath,
    rule: str,
    space: Space,
    iy: np.ndarray,
    ix: np.ndarray,
    n_train: int,
    config: Config,
    innovation: np.ndarray | None = None,
    common: np.ndarray | None = None,
    centre: np.ndarray | None = None,
) -> Formed:
    """Make the signals of many pairs under one rule.

    Parameters
    ----------
    path : FilterPath
        State of the filter, and the prices that the rule reads.
    rule : str
        Name of the hedge rule.
    space : Space
        Prices of train and trade window.
    iy, ix : numpy.ndarray of int, shape (pairs,)
        Rows of y and x.
    n_train : int
        Train length.
    config : Config
        Options of the filter, the hedge and the signal.
    innovation : numpy.ndarray, shape (pairs, bars), optional
        Standardised innovations of the filter; needed for ``signal.z = "innovation"``.
    common : numpy.ndarray of int, shape (pairs,), optional
        Bars of the rolling z-score in place of the rule's own.
    centre : numpy.ndarray, shape (bars,), optional
        Taken off the means of the s-scores.
    """
    ratio = HEDGE_RULES[rule](path, n_train) * (space.unit[iy] / space.unit[ix])[:, None]
    spread = form_spread(path, rule, ratio, space, iy, ix, n_train, config)
    form, scored = z_form(rule, config), None
    if form == "s_score":
        scored = fit_residuals(space.raw[iy], space.raw[ix], config.hedge.residual_window, n_train - 1)
    life = _half_lives(form, path, spread, scored, n_train)
    share = ratio * (space.raw[iy] / space.raw[ix]) if space.log else ratio
    refusal = _refused_ratios(share[:, n_train - 1], space.raw[iy, n_train - 1], space.raw[ix, n_train - 1], config)
    levels = None
    if has_optimal_entry(config.signal):
        levels = _own_levels(path, rule, form, spread, share, space, iy, ix, n_train, config)
    entry = config.signal.entry if levels is None else levels.entry_z
    life, window, early = _windows(life, n_train, form, entry, config, common)
    refusal = np.where(early > 0, early, refusal).astype(np.int8)
    if levels is not None:
        refusal[(refusal == 0) & ~np.isfinite(levels.entry_z)] = NO_LEVEL
    mean = np.full((iy.size, spread.shape[1] - n_train), np.nan)
    if form == "rolling":
        z = np.empty_like(mean)
        rolling_zscores_and_means(spread, n_train, np.where(refusal == 0, window, 0), z, mean)
    elif form == "model":
        z, deviates = _model_z(path, refusal, n_train)
        # where the model has the spread revert to: 0, or the intercept where it was not taken out
        mean = spread[:, n_train:] - deviates * space.scale[iy][:, None]
    elif form == "stationary":
        fit = np.empty((iy.size, ornstein_uhlenbeck.N_FIT))
        ornstein_uhlenbeck.fit_rows(spread, _first_bar(path, rule), n_train, fit)
        deviation = fit[:, ornstein_uhlenbeck.SIGMA] / np.sqrt(2.0 * fit[:, ornstein_uhlenbeck.REVERSION])
        refusal[(refusal == 0) & ~np.isfinite(deviation)] = NO_REVERSION
        mean[refusal == 0] = fit[refusal == 0, ornstein_uhlenbeck.MEAN][:, None]
        z = (spread[:, n_train:] - mean) / deviation[:, None]
    elif scored is not None:
        z, mean = _scores(scored, spread, space, iy, refusal, n_train, config, centre)
    elif form == "innovation":
        if innovation is None:
            raise ValueError('signal.z = "innovation" needs the innovations of the filter')
        z = np.where((refusal == 0)[:, None], innovation[:, n_train:], np.nan)
    else:
        gap = formation_gap(spread, rule, space, iy, ix, n_train)
        z = np.where((refusal == 0)[:, None], gap, np.nan)
        mean[refusal == 0] = _equal_index(spread, rule, space, n_train)[refusal == 0]
    trade = slice(n_train, None)
    hedge = np.ascontiguousarray(ratio[:, trade])
    held = np.ascontiguousarray(share[:, trade]) if space.log else hedge
    return Formed(hedge, held, np.ascontiguousarray(spread[:, trade]), z, life, window, refusal, mean, levels)


def _half_lives(form: str, path: FilterPath, spread: np.ndarray, fit: ResidualFit | None, n_train: int) -> np.ndarray:
    """Half-lives on the train window, (pairs,), of what z measures: of the residual as it is at the train end."""
    if fit is not None:
        return np.asarray(np.nan_to_num(np.log(2.0) / fit.reversion[:, n_train - 1], nan=np.inf))
    if form == "model" and path.spreads is not None:
        return path.spreads.half_life
    life = np.empty(spread.shape[0])
    half_lives(spread, n_train, life)
    return life


def _scores(
    fit: ResidualFit,
    spread: np.ndarray,
    space: Space,
    iy: np.ndarray,
    refusal: np.ndarray,
    n_train: int,
    config: Config,
    centre: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """S-scores of the trade bars, and the spread at which they are 0; NaN where the pair is refused."""
    z = fit.scores(config.hedge.residual_window, centre)[:, n_train:]
    away = (fit.mean if centre is None else fit.mean - centre)[:, n_train:]
    # the residual is a share of y's price
    mean = spread[:, n_train:] + (away if space.log else away * space.raw[iy, n_train:])
    able = (refusal == 0)[:, None]
    return np.where(able, z, np.nan), np.where(able & np.isfinite(z), mean, np.nan)


def _first_bar(path: FilterPath, rule: str) -> int:
    """First bar of a fit to the spread: a filter's state has to settle, a held ratio has not."""
    return path.first if rule in MOVING_RULES else 0


def _own_levels(
    path: FilterPath,
    rule: str,
    form: str,
    spread: np.ndarray,
    share: np.ndarray,
    space: Space,
    iy: np.ndarray,
    ix: np.ndarray,
    n_train: int,
    config: Config,
) -> PairLevels:
    """Levels that pay best on the train window, of the spread that z measures."""
    own, deviation, last = spread, None, n_train - 1
    if form == "model" and path.spreads is not None:
        scale = space.scale[iy]
        own = np.ascontiguousarray(path.spreads.spread * scale[:, None])
        deviation = np.where(path.spreads.deviation > 0.0, path.spreads.deviation * scale, np.nan)
    return optimal_levels(
        own, _first_bar(path, rule), n_train, deviation,
        share[:, last], space.raw[iy, last], space.raw[ix, last], config, space.bars_per_year,
    )  # fmt: skip


def _model_z(path: FilterPath, refusal: np.ndarray, n_train: int) -> tuple[np.ndarray, np.ndarray]:
    """Filtered spread over its standard deviation in the train window, and itself; NaN where the pair is refused."""
    if path.spreads is None:
        raise ValueError("the model's own z-score needs the model: build the FilterPath with spreads=")
    deviation = np.where(path.spreads.deviation > 0.0, path.spreads.deviation, np.nan)
    spread = np.where((refusal == 0)[:, None], path.spreads.spread[:, n_train:], np.nan)
    return spread / deviation[:, None], spread


def form_spread(
    path: FilterPath,
    rule: str,
    ratio: np.ndarray,
    space: Space,
    iy: np.ndarray,
    ix: np.ndarray,
    n_train: int,
    config: Config,
) -> np.ndarray:
    """Spread over train and trade window, (pairs, bars)."""
    y, x = space.levels[iy], space.levels[ix]
    if rule in REBUILT_RULES:
        out = np.empty_like(y)
        rebuilt_spreads(y, x, np.ascontiguousarray(ratio), out)
        return out
    spread = y - ratio * x
    if config.filter.intercept == "subtract" and rule in INTERCEPT_RULES:
        spread -= intercept(path, rule, n_train) * space.scale[iy][:, None]
    return np.ascontiguousarray(spread)


def own_windows(
    path: FilterPath, rule: str, space: Space, iy: np.ndarray, ix: np.ndarray, n_train: int, config: Config
) -> np.ndarray:
    """Bars of the rolling z-score that the half-life of a rule's spread asks for, 0 where it does not revert."""
    ratio = HEDGE_RULES[rule](path, n_train) * (space.unit[iy] / space.unit[ix])[:, None]
    life = np.empty(iy.size)
    half_lives(form_spread(path, rule, ratio, space, iy, ix, n_train, config), n_train, life)
    return _windows(life, n_train, "rolling", 0.0, config, None)[1]


def _windows(
    life: np.ndarray, n_train: int, form: str, entry: float | np.ndarray, config: Config, common: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half-life as shown, bars of the rolling z-score (0: none), and the refusal that follows from them (0: none)."""
    mode = config.signal.half_life
    reverts = np.isfinite(life)
    if mode == "book":
        life = np.where(reverts, np.maximum(np.rint(life), 1.0), 1.0)
        reverts = np.ones_like(reverts)
    if mode == "ignore":
        # without a half-life the z-score takes the whole train window
        life = np.where(reverts, life, np.inf)
        reverts = np.ones_like(reverts)
    # an s-score asks anew at every bar whether the residual reverts
    refusal = np.where(reverts | (form == "s_score"), 0, NO_REVERSION)
    if form != "rolling":
        return life, np.zeros(life.size, dtype=np.int64), refusal
    bars = np.rint(np.minimum(config.signal.window_half_lives * np.where(reverts, life, 0.0), float(n_train)))
    if common is not None:
        bars = np.where(reverts, common, 0)
    if mode != "book":
        # |z| <= (w - 1) / sqrt(w) for any w values
        short = (bars - 1) / np.sqrt(np.maximum(bars, 1)) < entry
        refusal = np.where(reverts & short, SHORT_WINDOW, refusal)
    return life, bars.astype(np.int64), refusal


def _refused_ratios(ratio: np.ndarray, y: np.ndarray, x: np.ndarray, config: Config) -> np.ndarray:
    """Refusals for the share ratio of the train end: negative, or one leg with too much of the capital."""
    value = np.abs(ratio) * x
    heavy = np.maximum(y, value) > config.hedge.max_leg_share * (y + value)
    out = np.where(heavy, LEG_SHARE, 0)
    return np.where(~(ratio > 0.0), NEGATIVE_RATIO, out) if config.hedge.reject_negative else out


def formation_gap(
    spread: np.ndarray, rule: str, space: Space, iy: np.ndarray, ix: np.ndarray, n_train: int
) -> np.ndarray:
    """Gap between two indexed prices over the standard deviation that it had in the train window.

    Both indices are 1 at the train end under rule ``dollar`` (prices are indexed anew when trading begins) and at
    the train start under ``one_to_one`` (the train window's indices go on); there the gap is 0. The standard
    deviation is always that of the indices which start with the train window.

    Returns
    -------
    numpy.ndarray, shape (pairs, trade bars)
        NaN where the train gap does not move.
    """
    base = _index_base(rule, n_train)
    y, x = space.levels[iy, :n_train], space.levels[ix, :n_train]
    if space.log:
        train = (y - y[:, :1]) - (x - x[:, :1])
        gap = spread[:, n_train:] - _equal_index(spread, rule, space, n_train)
    else:
        train = y / y[:, :1] - x / x[:, :1]
        gap = spread[:, n_train:] / space.levels[iy, base][:, None]
    centred = train - train.mean(axis=1, keepdims=True)
    deviation = np.sqrt((centred * centred).sum(axis=1) / (n_train - 1))
    return np.asarray(gap / np.where(deviation > 0.0, deviation, np.nan)[:, None])


def _index_base(rule: str, n_train: int) -> int:
    """The bar at which both indices of :func:`formation_gap` are 1."""
    return n_train - 1 if rule == "dollar" else 0


def _equal_index(spread: np.ndarray, rule: str, space: Space, n_train: int) -> np.ndarray:
    """Spread at which both indices of :func:`formation_gap` are equal: (pairs, 1).

    In prices the ratio is the quotient at the base, so that s = y - (y_0 / x_0) x is 0 where the indices meet.
    """
    base = _index_base(rule, n_train)
    return spread[:, base : base + 1] if space.log else np.zeros((spread.shape[0], 1))
