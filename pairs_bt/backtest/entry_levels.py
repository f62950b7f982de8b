"""Entry and exit levels of many pairs in one window: the config's, or those that pay best on the train window.

Under ``signal.entry = "optimal"`` each pair's spread is fitted as an Ornstein-Uhlenbeck process on the train bars, and
:mod:`pairs_bt.models.ornstein_uhlenbeck.thresholds` finds its levels. The spread is in money per share of y (under log
prices: per dollar of y), so that is what a trade costs, too, in and out, with y, x and the ratio b in shares at the
train end:

    c = 2 (bps (y + |b| x) + half spread (1 + |b|))         and under log prices that over y.

The borrow of the short leg grows with the time held, which at mirrored levels is half of every cycle whatever they
are: it lowers every rate alike and moves no level.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pairs_bt.common.periods import TRADING_DAYS
from pairs_bt.config.schema import Config, has_optimal_entry
from pairs_bt.kernels import ornstein_uhlenbeck
from pairs_bt.models.ornstein_uhlenbeck.thresholds import RULES


@dataclass(frozen=True)
class PairLevels:
    """Levels of many pairs, each attribute (pairs,). All but the first two are NaN under a fixed ``signal.entry``.

    Attributes
    ----------
    entry_z, exit_z : numpy.ndarray
        What abs(z) has to reach, and what z has to come back to: ``signal.entry`` and ``signal.exit`` of the pair. An
        exit below 0 lies on the other side of the mean. NaN where no level pays.
    entry_level, exit_level : numpy.ndarray
        Levels of the spread, in its units, at which a long trade begins and ends.
    trade_length : numpy.ndarray
        Expected bars from one entry to the next, long and short.
    expected_return : numpy.ndarray
        Expected return a year of both, after costs and before borrow, on the capital that the two legs take.
    trade_cost : numpy.ndarray
        Cost of a trade, in and out, in the units of the spread.
    reversion, ou_mean, ou_sigma, reversion_se, ou_mean_se, ou_sigma_se : numpy.ndarray
        The fit, in years, and its standard errors.
    """

    entry_z: np.ndarray
    exit_z: np.ndarray
    entry_level: np.ndarray
    exit_level: np.ndarray
    trade_length: np.ndarray
    expected_return: np.ndarray
    trade_cost: np.ndarray
    reversion: np.ndarray
    ou_mean: np.ndarray
    ou_sigma: np.ndarray
    reversion_se: np.ndarray
    ou_mean_se: np.ndarray
    ou_sigma_se: np.ndarray


#: Columns of `half_lives` that this module adds.
COLUMNS = tuple(field.name for field in fields(PairLevels))


def fixed_levels(pairs: int, config: Config) -> PairLevels:
    """The config's own levels, for every pair."""
    none = np.full(pairs, np.nan)
    entry, leave = np.full(pairs, config.signal.entry), np.full(pairs, config.signal.exit)
    return PairLevels(entry, leave, *(none for _ in COLUMNS[2:]))


def round_trip_cost(share: np.ndarray, y: np.ndarray, x: np.ndarray, config: Config) -> np.ndarray:
    """Cost of a trade in and out, in the units of the spread: (pairs,).

    Parameters
    ----------
    share : numpy.ndarray, shape (pairs,)
        Shares of x against one share of y.
    y, x : numpy.ndarray, shape (pairs,)
        Prices at the train end.
    config : Config
        Costs, and the price space.
    """
    b = np.abs(share)
    execution = config.execution
    money = 2.0 * (execution.cost_bps / 1e4 * (y + b * x) + 0.5 * execution.spread * (1.0 + b))
    return np.asarray(money / y if config.filter.price_space == "log" else money)


def optimal_levels(
    spread: np.ndarray,
    first: int,
    n_train: int,
    deviation: np.ndarray | None,
    share: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    config: Config,
    bars_per_year: float = TRADING_DAYS,
) -> PairLevels:
    """Fit every pair's spread on its train bars and find its levels.

    Parameters
    ----------
    spread : numpy.ndarray, shape (pairs, bars)
        Spread over train and trade window; bars from `first` up to `n_train` alone are read.
    first, n_train : int
        First bar of the fit, and the train length.
    deviation : numpy.ndarray, shape (pairs,), optional
        What a z-score of 1 is worth in the units of the spread; None takes the fit's stationary deviation.
    share, y, x : numpy.ndarray, shape (pairs,)
        Share ratio and prices at the train end.
    config : Config
        Which levels are wanted, and what they cost.
    bars_per_year : float
        Bars that rates and returns a year count.
    """
    pairs = spread.shape[0]
    fit = np.empty((pairs, ornstein_uhlenbeck.N_FIT))
    ornstein_uhlenbeck.fit_rows(spread, first, n_train, fit)
    year, root = float(bars_per_year), float(np.sqrt(bars_per_year))
    fit *= np.array([year, 1.0, root, year, 1.0, root])
    reversion, sigma = (
        np.ascontiguousarray(fit[:, ornstein_uhlenbeck.REVERSION]),
        np.ascontiguousarray(fit[:, ornstein_uhlenbeck.SIGMA]),
    )
    stationary = sigma / np.sqrt(2.0 * reversion)
    unit = stationary if deviation is None else deviation
    # money in one unit of the spread's holding: both legs, for one share or one dollar of y
    capital = y + np.abs(share) * x
    if config.filter.price_space == "log":
        capital = capital / y
    cost = round_trip_cost(share, y, x, config)
    stop = np.full(pairs, np.inf)
    if config.signal.stop is not None:
        stop = config.signal.stop * unit / stationary
    found = np.empty((pairs, ornstein_uhlenbeck.N_LEVELS))
    ornstein_uhlenbeck.level_rows(
        reversion, sigma, cost, config.signal.interest * capital, stop, RULES[config.signal.optimal], found
    )  # fmt: skip
    # The ledger trades both sides, whatever the levels were chosen for.
    sides = 1.0 if config.signal.optimal == "two_sided" else 2.0
    mean = fit[:, ornstein_uhlenbeck.MEAN]
    return PairLevels(
        entry_z=-found[:, ornstein_uhlenbeck.ENTRY] / unit,
        exit_z=-found[:, ornstein_uhlenbeck.EXIT] / unit,
        entry_level=mean + found[:, ornstein_uhlenbeck.ENTRY],
        exit_level=mean + found[:, ornstein_uhlenbeck.EXIT],
        trade_length=found[:, ornstein_uhlenbeck.LENGTH] / sides * year,
        expected_return=found[:, ornstein_uhlenbeck.RATE] * sides / capital,
        trade_cost=cost,
        reversion=reversion,
        ou_mean=mean.copy(),
        ou_sigma=sigma,
        reversion_se=fit[:, ornstein_uhlenbeck.REVERSION_SE].copy(),
        ou_mean_se=fit[:, ornstein_uhlenbeck.MEAN_SE].copy(),
        ou_sigma_se=fit[:, ornstein_uhlenbeck.SIGMA_SE].copy(),
    )


def levels_or_fixed(levels: PairLevels | None, pairs: int, config: Config) -> PairLevels:
    """The pairs' own levels, or those of the config where they have none."""
    if levels is None:
        if has_optimal_entry(config.signal):
            raise ValueError('signal.entry = "optimal" needs the levels of the pairs: take signals of make_signals')
        return fixed_levels(pairs, config)
    return levels
