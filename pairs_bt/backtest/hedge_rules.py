"""Hedge rules: from the filter's path and the prices to the hedge ratio of every bar.

A rule takes the filter's path over train and trade window and the train length, and returns the ratio of every
bar. Nothing after a bar may decide the ratio of that bar in the trade window; over the train window a held ratio
is shown as the constant it is, because the half-life and the first z-scores are measured with it.

A ratio belongs to the price space of the levels it is applied to: y - ratio * x is the spread. A rule that finds
dollars of x per dollar of y (from returns, from log changes, from values) turns them into that ratio with
:func:`from_dollars` before it returns.

Adding a rule is one function and one name: :func:`hedge_rule` registers it, from any module that is imported before
the config is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pairs_bt.config.hedge_rule_names import MOVING_RULES, RuleTraits, declare_rule, forget_rule, is_declared
from pairs_bt.config.schema import Band, Hedge
from pairs_bt.models import hedge_ratios as formula
from pairs_bt.models.kalman_mle import PairNoise
from pairs_bt.models.kalman_reverting import reverting_ratios
from pairs_bt.models.ornstein_uhlenbeck.residual import fit_residuals
from pairs_bt.models.reverting_spread import PairSpreads


@dataclass(frozen=True)
class PairPrices:
    """What rules need besides the filter: raw prices, units and the market.

    Attributes
    ----------
    prices : numpy.ndarray, shape (tickers, bars)
        Raw prices of train and trade window, as they are traded.
    unit : numpy.ndarray, shape (tickers,)
        A ratio in the price space times ``unit[iy] / unit[ix]`` is one in shares (ones under raw and log).
    iy, ix : numpy.ndarray of int, shape (pairs,)
        Rows of y and x.
    log_space : bool
        Whether the levels are logs, so that a ratio is dollars of x per dollar of y.
    market : numpy.ndarray, shape (train bars - 1,), optional
        Daily simple returns of the market over the train window; rule `beta` only.
    rolling_window : int
        Bars of `rolling_ols`.
    residual_window : int
        Returns of `residual`.
    var_order : {'theory', 'book'}
        Lagged differences of `johansen`.
    delta, observation_cov : float
        Noise of the filter of `kalman_changes`.
    """

    prices: np.ndarray
    unit: np.ndarray
    iy: np.ndarray
    ix: np.ndarray
    log_space: bool = False
    market: np.ndarray | None = None
    rolling_window: int = 126
    residual_window: int = 60
    var_order: Literal["theory", "book"] = "theory"
    delta: float = 1e-3
    observation_cov: float = 2.0


@dataclass(frozen=True)
class FilterPath:
    """The regression filter of many pairs over one window, and the levels it was given.

    Attributes
    ----------
    beta, alpha : numpy.ndarray, shape (pairs, bars)
        Filtered state after each bar.
    y, x : numpy.ndarray, shape (pairs, bars)
        Levels in the space in which beta was fitted (as they enter the spread).
    source : PairPrices, optional
        Prices behind the levels; rules that hedge dollars or read other prices need it.
    noise : PairNoise, optional
        Noise of each pair's filter where it was fitted; None where all pairs share the config's.
    innovation, innovation_var : numpy.ndarray, shape (pairs, bars), optional
        What the filter did not expect at each bar, and its variance, where they were kept.
    first : int
        The first bar at which the state counts; before it the filter is still finding its start.
    spreads : PairSpreads, optional
        The whole model, where the spread is part of it (`filter.model = "reverting_spread"`).
    """

    beta: np.ndarray
    alpha: np.ndarray
    y: np.ndarray
    x: np.ndarray
    source: PairPrices | None = None
    noise: PairNoise | None = None
    innovation: np.ndarray | None = None
    innovation_var: np.ndarray | None = None
    first: int = 0
    spreads: PairSpreads | None = None

    @property
    def priced(self) -> PairPrices:
        """The prices behind the levels, or an error that says who needs them."""
        if self.source is None:
            raise ValueError("this hedge rule reads prices: build the FilterPath with source=PairPrices(...)")
        return self.source


HedgeRule = Callable[[FilterPath, int], np.ndarray]


HEDGE_RULES: dict[str, HedgeRule] = {}
# Intercepts of rules that fit one themselves; of a rule on the filter it is what the rule makes of the filter's alpha.
_INTERCEPTS: dict[str, HedgeRule] = {}


def hedge_rule(
    name: str,
    *,
    moves: bool = False,
    reads_filter: bool = False,
    rebuilt: bool = False,
    reads_market: bool = False,
    intercept: HedgeRule | None = None,
) -> Callable[[HedgeRule], HedgeRule]:
    """Register a function as the hedge rule `name`, which ``hedge.variants`` of a config may then list.

    Parameters
    ----------
    name : str
        Letters, digits and underscores. A built-in rule is registered by its name alone: what is true of it stands in
        :mod:`pairs_bt.config.hedge_rule_names`.
    moves : bool
        The ratio changes over the trade window (``hedge.rehedge`` then applies); False for a ratio that is held.
    reads_filter : bool
        The function reads ``path.beta``, the regression filter on levels, so that the filter's intercept and
        innovations go with it; called with ``beta`` replaced by ``alpha`` it must give its intercept.
    rebuilt : bool
        The spread is the value of a position rebuilt from changes, not a level.
    reads_market : bool
        ``path.priced.market`` is needed.
    intercept : callable, optional
        The intercept (pairs, bars) of a rule that fits one at every bar, for ``filter.intercept = "subtract"``.

    Returns
    -------
    callable
        A decorator that gives the function back. It takes a :class:`FilterPath` and the train length and returns
        ratios (pairs, bars); NaN refuses the pair. A worker of a cluster must import the module that registers.

    Raises
    ------
    ValueError
        When the name is taken or no identifier.

    See Also
    --------
    remove_hedge_rule, from_dollars

    Examples
    --------
    >>> import numpy as np
    >>> @hedge_rule("half")
    ... def half(path, n_train):
    ...     return np.full(path.beta.shape, 0.5)
    >>> "half" in HEDGE_RULES
    True
    >>> remove_hedge_rule("half")
    """

    def register(function: HedgeRule) -> HedgeRule:
        if name in HEDGE_RULES or not is_declared(name):
            has_intercept = reads_filter or intercept is not None
            declare_rule(name, RuleTraits(moves, reads_filter, has_intercept, rebuilt, reads_market))
        HEDGE_RULES[name] = function
        if intercept is not None:
            _INTERCEPTS[name] = intercept
        return function

    return register


def remove_hedge_rule(name: str) -> None:
    """Undo :func:`hedge_rule`; nothing happens when there is no such rule.

    Raises
    ------
    ValueError
        When the rule is built in.
    """
    forget_rule(name)
    HEDGE_RULES.pop(name, None)
    _INTERCEPTS.pop(name, None)


@hedge_rule("dynamic")
def dynamic(path: FilterPath, n_train: int) -> np.ndarray:
    """Take the filter's current value: a new ratio every bar."""
    return path.beta


@hedge_rule("fixed_first")
def fixed_first(path: FilterPath, n_train: int) -> np.ndarray:
    """Hold the first value of the path at which the state counts.

    With the filter started at m0 = 0, P0 = ones and counted from the first bar this is close to y_1 / x_1 whatever
    the data are: equal dollars at the train start.
    """
    return _held(path.beta[:, path.first], path)


@hedge_rule("averaged")
def averaged(path: FilterPath, n_train: int) -> np.ndarray:
    """Hold the mean over the train window, and never over the trade window: that would look ahead.

    Bars before the state counts are left out: one value of a filter that knows nothing yet would be the mean. Under
    `hedge.average_window` only the last bars of the train window count.
    """
    # numpy's pairwise sum depends on the row alone, so a pair gets the same mean in any chunk.
    return _held(path.beta[:, path.first : n_train].mean(axis=1), path)


@hedge_rule("fixed_last")
def fixed_last(path: FilterPath, n_train: int) -> np.ndarray:
    """Hold the value at the train end: what a trader could freeze on the first trading morning."""
    return _held(path.beta[:, n_train - 1], path)


@hedge_rule("ols")
def ols(path: FilterPath, n_train: int) -> np.ndarray:
    """Hold the least squares slope of y on x and a constant over the train window."""
    return _held(formula.ols_ratio(path.y[:, :n_train], path.x[:, :n_train]), path)


def _rolling_intercept(path: FilterPath, n_train: int) -> np.ndarray:
    return formula.rolling_ols_line(path.y, path.x, path.priced.rolling_window, n_train)[1]


@hedge_rule("rolling_ols", intercept=_rolling_intercept)
def rolling_ols(path: FilterPath, n_train: int) -> np.ndarray:
    """Take the least squares slope over the last `rolling_window` bars: a new ratio every bar."""
    return formula.rolling_ols_line(path.y, path.x, path.priced.rolling_window, n_train)[0]


@hedge_rule("tls")
def tls(path: FilterPath, n_train: int) -> np.ndarray:
    """Hold the total least squares slope over the train window: the first principal component, means taken out."""
    return _held(formula.tls_ratio(path.y[:, :n_train], path.x[:, :n_train]), path)


@hedge_rule("min_variance")
def min_variance(path: FilterPath, n_train: int) -> np.ndarray:
    """Hold the ratio that would have made the daily changes of the train window vary least."""
    return _held(formula.min_variance_ratio(path.y[:, :n_train], path.x[:, :n_train]), path)


@hedge_rule("johansen")
def johansen(path: FilterPath, n_train: int) -> np.ndarray:
    """Hold the first cointegrating vector of the train window, normalised on y."""
    order = path.priced.var_order
    return _held(formula.johansen_ratio(path.y[:, :n_train], path.x[:, :n_train], var_order=order), path)


@hedge_rule("dollar")
def dollar(path: FilterPath, n_train: int) -> np.ndarray:
    """Hold equal dollars of both legs, at the prices of the train end."""
    return _held(from_dollars(np.ones(path.beta.shape[0]), path, n_train - 1), path)


@hedge_rule("one_to_one")
def one_to_one(path: FilterPath, n_train: int) -> np.ndarray:
    """Hold one unit of normalised y against one of normalised x: equal dollars at the train start.

    The spread of Gatev, Goetzmann and Rouwenhorst (2006), the difference of two price indices that start together.
    """
    return _held(from_dollars(np.ones(path.beta.shape[0]), path, 0), path)


@hedge_rule("beta")
def beta(path: FilterPath, n_train: int) -> np.ndarray:
    """Hold the dollars that leave no market exposure at the train end: beta_y / beta_x, betas of the train window."""
    source = path.priced
    if source.market is None:
        raise ValueError("hedge rule 'beta' needs the market's returns: PairPrices(market=...)")
    prices = source.prices[:, :n_train]
    return _held(
        from_dollars(formula.beta_ratio(prices[source.iy], prices[source.ix], source.market), path, n_train - 1), path
    )


@hedge_rule("kalman_changes")
def kalman_changes(path: FilterPath, n_train: int) -> np.ndarray:
    """Filter log changes instead of levels: dollars of x per dollar of y, turned into a ratio at each bar's prices.

    The level of y - ratio * x says nothing here, because the ratio moves with the prices; its spread is the value of
    the position rebuilt from the changes (see `REBUILT_RULES`).
    """
    source = path.priced
    dollars = formula.changes_ratio(
        source.prices, source.iy, source.ix, delta=source.delta, observation_cov=source.observation_cov
    )
    return from_dollars(dollars, path, None)


def _reverting_intercept(path: FilterPath, n_train: int) -> np.ndarray:
    return _held(reverting_ratios(path.y, path.x, n_train).alpha, path)


@hedge_rule("kalman_reverting", intercept=_reverting_intercept)
def kalman_reverting(path: FilterPath, n_train: int) -> np.ndarray:
    """Take what a filter whose ratio reverts to a mean expects of the next bar's ratio: a new one every bar.

    Phi, the mean, the intercept and both variances are fitted to the train window. Where a ratio that moves explains
    it no better than a constant one, the ratio is that of `ols`.
    """
    return reverting_ratios(path.y, path.x, n_train).forecast


@hedge_rule("residual")
def residual(path: FilterPath, n_train: int) -> np.ndarray:
    """Take the slope of the last `residual_window` returns of y on those of x, in dollars: a new ratio every bar.

    Bars of the train window with fewer returns before them have the first slope there is.
    """
    source, window = path.priced, path.priced.residual_window
    slope = fit_residuals(source.prices[source.iy], source.prices[source.ix], window).slope
    if window < n_train:
        slope[:, :window] = slope[:, window : window + 1]
    return from_dollars(slope, path, None)


def intercept(path: FilterPath, rule: str, n_train: int) -> np.ndarray:
    """Intercept that goes with a rule's ratio, (pairs, bars): what the rule makes of alpha is what it makes of beta."""
    if rule in _INTERCEPTS:
        return _INTERCEPTS[rule](path, n_train)
    return HEDGE_RULES[rule](replace(path, beta=path.alpha), n_train)


def from_dollars(dollars: np.ndarray, path: FilterPath, bar: int | None) -> np.ndarray:
    """Turn dollars of x per dollar of y into a ratio of the price space.

    Parameters
    ----------
    dollars : numpy.ndarray, shape (pairs,), or (pairs, bars) where `bar` is None
        Value of x held against one dollar of y.
    path : FilterPath
        Its `source` gives prices and units.
    bar : int or None
        The bar at whose prices shares are counted; None: each at its own.

    Returns
    -------
    numpy.ndarray
        Under log prices the dollars themselves; else ``dollars * price_y / price_x`` shares, in units of the space.
    """
    source = path.priced
    if source.log_space:
        return dollars
    if bar is not None:
        shares = dollars * (source.prices[source.iy, bar] / source.prices[source.ix, bar])
        return np.asarray(shares / (source.unit[source.iy] / source.unit[source.ix]))
    shares = dollars * (source.prices[source.iy] / source.prices[source.ix])
    return np.asarray(shares / (source.unit[source.iy] / source.unit[source.ix])[:, None])


def _held(ratio: np.ndarray, path: FilterPath) -> np.ndarray:
    return np.broadcast_to(ratio[:, None], path.beta.shape)


@dataclass(frozen=True)
class Variant:
    """One strategy that is compared: a hedge rule and how its shares are re-hedged.

    Attributes
    ----------
    name : str
        The key in every table: the rule's name, with ``-rehedged`` or ``-band-0.1`` where shares follow it.
    label : str
        What a person reads; ``dynamic-frozen`` where a re-hedged form of the same rule stands beside it.
    rule : str
        Name of the hedge rule.
    rehedge : str or Band
        ``'never'``, ``'daily'`` or a band.
    """

    name: str
    label: str
    rule: str
    rehedge: str | Band


def variants(options: Hedge) -> list[Variant]:
    """Every rule with every way of re-hedging that changes anything for it (a held ratio is never re-hedged)."""
    out = []
    for rule in options.variants:
        ways = options.rehedge if rule in MOVING_RULES else ("never",)
        for way in ways:
            if isinstance(way, Band):
                name = f"{rule}-band-{way.band:g}"
            else:
                name = rule if way == "never" else f"{rule}-rehedged"
            label = f"{rule}-frozen" if way == "never" and len(ways) > 1 else name
            out.append(Variant(name, label, rule, way))
    return out
