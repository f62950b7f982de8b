"""What a hedge ratio is, seen from the pair: the price quotient, the relation that was tested, or something else.

A ratio r of y on x means little by itself. Two comparisons tell what it is: r x / y, which is 1 where the position is
equal dollars of both legs (the price quotient), and r over the least squares slope of the train window, which is 1
where the position is the relation that Engle and Granger's test accepted. Whether the spread that it makes is
stationary in the train window, and how much of the market the position holds, say what is traded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pairs_bt.backtest.signals import SignalSet
from pairs_bt.backtest.study import WindowContext
from pairs_bt.models import hedge_ratios as formula
from pairs_bt.models.cointegration import STATIONARY, spread_stats

#: Columns of `half_lives` that this module adds.
COLUMNS = ("ratio", "to_quotient", "to_ols", "adf_stat", "market_beta")
#: A ratio this near to the quotient of the prices is called the quotient.
NEAR = 0.05
#: Share of a variant's pairs from which on the variant is called by what its ratios are.
MOST = 0.9


@dataclass(frozen=True)
class HeldRatios:
    """What many pairs' ratios are on the first trade bar; each attribute (pairs,), NaN where there is no answer.

    Attributes
    ----------
    ratio : numpy.ndarray
        Hedge ratio as the tables show it: shares of x for one of y, or an elasticity under log prices.
    to_quotient : numpy.ndarray
        Dollars of x held against one dollar of y at the train end's prices: 1 is the price quotient.
    to_ols : numpy.ndarray
        The ratio over the least squares slope of the train window, in the space in which the spread is formed.
    adf_stat : numpy.ndarray
        Augmented Dickey-Fuller statistic of the train window's spread under this ratio.
    market_beta : numpy.ndarray
        Slope of the position's return on that of the mean of all tickers, per dollar of both legs, long y.
    """

    ratio: np.ndarray
    to_quotient: np.ndarray
    to_ols: np.ndarray
    adf_stat: np.ndarray
    market_beta: np.ndarray


@dataclass(frozen=True)
class TrainPairs:
    """What the train window says of pairs, whatever their ratios; made once for all rules by `train_pairs`.

    Attributes
    ----------
    y, x : numpy.ndarray, shape (pairs,)
        Rows among the tickers that take part.
    last_y, last_x : numpy.ndarray, shape (pairs,)
        Last prices of the train window.
    beta_y, beta_x : numpy.ndarray, shape (pairs,)
        Slopes of the legs' returns on the mean of all tickers.
    slope : numpy.ndarray, shape (pairs,)
        Least squares slope of y on x, in the space in which the spread is formed.
    """

    y: np.ndarray
    x: np.ndarray
    last_y: np.ndarray
    last_x: np.ndarray
    beta_y: np.ndarray
    beta_x: np.ndarray
    slope: np.ndarray


def train_pairs(context: WindowContext, iy: np.ndarray, ix: np.ndarray) -> TrainPairs:
    """Describe pairs by a window's train bars alone; `iy` and `ix` are rows of y and x, (pairs,)."""
    place = np.cumsum(context.codes == 0) - 1
    train, betas = context.train, context.market_betas
    levels = np.log(train) if context.log_space else train
    slope = formula.ols_ratio(levels[iy], levels[ix])
    return TrainPairs(place[iy], place[ix], train[iy, -1], train[ix, -1], betas[iy], betas[ix], slope)


def held_ratios(context: WindowContext, signals: SignalSet, pairs: TrainPairs) -> HeldRatios:
    """Describe the ratio that each pair would hold on the first trade bar, by its train window.

    Parameters
    ----------
    context : WindowContext
        Prices of the window; of its train bars alone.
    signals : SignalSet
        Ratios of the trade bars.
    pairs : TrainPairs
        The pairs' train window.
    """
    if not pairs.y.size:
        return HeldRatios(*(np.empty(0) for _ in COLUMNS))
    ratio = np.ascontiguousarray(signals.hedge_ratio[:, 0])
    # under log prices a ratio is dollars of x per dollar of y already
    dollars = ratio if context.log_space else ratio * pairs.last_x / pairs.last_y
    stat, _ = spread_stats(context.scan_inputs, pairs.y, pairs.x, ratio)
    with np.errstate(invalid="ignore"):
        exposure = (pairs.beta_y - dollars * pairs.beta_x) / (1.0 + np.abs(dollars))
    return HeldRatios(ratio, dollars, ratio / pairs.slope, stat, exposure)


def held_summary(half_lives: pd.DataFrame) -> pd.DataFrame:
    """One row a variant: what its ratios are, over all candidates and windows.

    Returns
    -------
    DataFrame
        Indexed by variant: pairs; quotient_low, quotient, quotient_high and ols_low, ols, ols_high (5%, 50% and 95% of
        `to_quotient` and `to_ols`); near_quotient (share within 5% of the price quotient); stationary (share whose
        spread rejects a unit root at 5% in its train window); market_beta (median size).
    """
    known = half_lives[np.isfinite(half_lives["ratio"])]
    rows = {}
    for variant, own in known.groupby("variant", sort=False):
        quantiles = {
            f"{name}{end}": float(own[column].quantile(share))
            for name, column in (("quotient", "to_quotient"), ("ols", "to_ols"))
            for end, share in (("_low", 0.05), ("", 0.5), ("_high", 0.95))
        }
        rows[variant] = {
            "pairs": len(own),
            **quantiles,
            "near_quotient": float(((own["to_quotient"] - 1.0).abs() <= NEAR).mean()),
            "stationary": float((own["adf_stat"] < STATIONARY).mean()),
            "market_beta": float(own["market_beta"].abs().median()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("variant")


def quotient_variants(held: pd.DataFrame) -> list[str]:
    """Variants whose ratio is the price quotient in nine of ten pairs."""
    return [str(name) for name in held.index[held["near_quotient"] >= MOST]] if len(held) else []
