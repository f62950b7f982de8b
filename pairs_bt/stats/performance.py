"""Metrics of one series of daily simple returns, and of one list of trades.

A return is a fraction (0.01 is one per cent) of one bar: a day, unless the prices have other bars. A year has
`bars_per_year` of them, 252 unless given (:func:`pairs_bt.stats.bar_frequency.count_bars_a_year` reads it off a
calendar), and the risk-free rate is a constant of each bar, 0 unless given. NaN and infinities are refused: a day
without a position earned 0. A metric that the data leave undefined is NaN, without a warning. Values agree with
empyrical's where it has the metric.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pairs_bt.common.periods import TRADING_DAYS
from pairs_bt.stats.deflated_sharpe import (
    FloatArray,
    Returns,
    checked_values,
    deflated_sharpe,
    expected_maximum_sharpe,
    minimum_track_record_length,
    probabilistic_sharpe,
    sharpe_moments,
)

__all__ = [
    "TRADING_DAYS",
    "MeanTrade",
    "annual_return",
    "annual_volatility",
    "break_even_cost_bps",
    "calmar",
    "deflated_sharpe",
    "drawdown",
    "equity",
    "expected_maximum_sharpe",
    "hit_rate",
    "max_drawdown",
    "mean_trade_bp",
    "minimum_track_record_length",
    "probabilistic_sharpe",
    "profit_factor",
    "rolling_sharpe",
    "sharpe",
    "sortino",
    "summary_metrics",
    "tail_share",
    "win_rate",
]

# Newton's steps square the error: a dozen are enough, and a bound is kept.
_NEWTON_STEPS = 100


def _like(values: FloatArray, template: object) -> Returns:
    if isinstance(template, pd.Series):
        return pd.Series(values, index=template.index, name=template.name)
    return values


def equity(returns: Returns) -> Returns:
    """Wealth after each day for 1 before the first, profits reinvested.

    Parameters
    ----------
    returns : array or Series (n,)
        Daily simple returns. A return of -1 or less is ruin: wealth is 0 from that day on.

    Returns
    -------
    array or Series (n,), as the input
    """
    wealth: FloatArray = np.maximum(1.0 + checked_values(returns), 0.0).cumprod()
    return _like(wealth, returns)


def drawdown(returns: Returns) -> Returns:
    """Wealth over its highest value so far (the starting 1 included), minus 1: (n,), never positive."""
    wealth = np.asarray(equity(returns), dtype=np.float64)
    peak = np.maximum(np.maximum.accumulate(wealth), 1.0)
    return _like((wealth - peak) / peak, returns)


def annual_return(returns: Returns, *, bars_per_year: float = TRADING_DAYS) -> float:
    """Compound growth a year: (final wealth)^(bars_per_year/n) - 1; -1 after ruin, NaN for no days."""
    wealth = np.asarray(equity(returns), dtype=np.float64)
    if wealth.size == 0:
        return math.nan
    return float(wealth[-1] ** (bars_per_year / wealth.size) - 1.0)


def annual_volatility(returns: Returns, *, bars_per_year: float = TRADING_DAYS) -> float:
    """Standard deviation (ddof 1) times sqrt(bars_per_year); NaN for fewer than two days, 0 for a constant series."""
    values = checked_values(returns)
    if values.size < 2:
        return math.nan
    return _deviation(values) * math.sqrt(bars_per_year)


def _deviation(values: FloatArray) -> float:
    # The rounded mean of a constant series leaves a deviation near 1e-18 instead of 0.
    return 0.0 if values.min() == values.max() else float(values.std(ddof=1))


def sharpe(returns: Returns, *, risk_free: float = 0.0, bars_per_year: float = TRADING_DAYS) -> float:
    """Mean excess return over its standard deviation (ddof 1), times sqrt(bars_per_year).

    `risk_free` is the simple rate of one bar. NaN for fewer than two days and for a constant series.
    """
    excess = checked_values(returns) - risk_free
    deviation = _deviation(excess) if excess.size >= 2 else 0.0
    return float(excess.mean() / deviation * math.sqrt(bars_per_year)) if deviation > 0.0 else math.nan


def sortino(returns: Returns, *, risk_free: float = 0.0, bars_per_year: float = TRADING_DAYS) -> float:
    """Mean excess return over its downside deviation sqrt(mean(min(r, 0)^2)), times sqrt(bars_per_year).

    NaN for fewer than two days and when no day lost (where empyrical gives an infinity).
    """
    excess = checked_values(returns) - risk_free
    if excess.size < 2:
        return math.nan
    downside = math.sqrt(float(np.mean(np.minimum(excess, 0.0) ** 2)))
    return float(excess.mean() / downside * math.sqrt(bars_per_year)) if downside > 0.0 else math.nan


def max_drawdown(returns: Returns) -> float:
    """Deepest drawdown: a number in [-1, 0]; NaN for no days."""
    depth = np.asarray(drawdown(returns), dtype=np.float64)
    return float(depth.min()) if depth.size else math.nan


def calmar(returns: Returns, *, bars_per_year: float = TRADING_DAYS) -> float:
    """Annual return over the size of the maximum drawdown; NaN without a drawdown."""
    depth = max_drawdown(returns)
    return annual_return(returns, bars_per_year=bars_per_year) / -depth if depth < 0.0 else math.nan


def hit_rate(returns: Returns) -> float:
    """Share of bars that gained among the bars whose return is not zero; NaN if there are none."""
    values = checked_values(returns)
    active = int(np.count_nonzero(values))
    return int(np.count_nonzero(values > 0.0)) / active if active else math.nan


def rolling_sharpe(returns: Returns, window: int = 126, *, bars_per_year: float = TRADING_DAYS) -> Returns:
    """Annualised Sharpe ratio of the `window` days that end on each day.

    Parameters
    ----------
    returns : array or Series (n,)
        Daily simple returns.
    window : int
        Days, at least 2.
    bars_per_year : float
        Days of a year.

    Returns
    -------
    array or Series (n,), as the input
        NaN on the first window - 1 days and where the window is constant. Only past days are used.
    """
    if window < 2:
        raise ValueError(f"window is {window}: a Sharpe ratio needs at least 2 days, half a year is 126")
    values = checked_values(returns)
    result = np.full(values.size, np.nan)
    if values.size >= window:
        views = np.lib.stride_tricks.sliding_window_view(values, window)
        deviation = views.std(axis=1, ddof=1)
        varied = views.min(axis=1) < views.max(axis=1)
        ratio = np.full(deviation.size, np.nan)
        np.divide(views.mean(axis=1), deviation, out=ratio, where=varied)
        result[window - 1 :] = ratio * math.sqrt(bars_per_year)
    return _like(result, returns)


def summary_metrics(returns: Returns, *, bars_per_year: float = TRADING_DAYS) -> dict[str, float]:
    """Every metric of one return series, by name, in the order of the report's table.

    Keys: days, total_return, annual_return, annual_volatility, sharpe, sortino, max_drawdown, calmar,
    hit_rate, skew, kurtosis (3 for a normal), probabilistic_sharpe (against 0), minimum_track_record_days
    (at 95%; inf if the Sharpe ratio is not positive). An undefined one is NaN.
    """
    values = checked_values(returns)
    moments = sharpe_moments(values)
    wealth = np.asarray(equity(values), dtype=np.float64)
    return {
        "days": float(values.size),
        "total_return": float(wealth[-1] - 1.0) if values.size else math.nan,
        "annual_return": annual_return(values, bars_per_year=bars_per_year),
        "annual_volatility": annual_volatility(values, bars_per_year=bars_per_year),
        "sharpe": sharpe(values, bars_per_year=bars_per_year),
        "sortino": sortino(values, bars_per_year=bars_per_year),
        "max_drawdown": max_drawdown(values),
        "calmar": calmar(values, bars_per_year=bars_per_year),
        "hit_rate": hit_rate(values),
        "skew": moments.skew,
        "kurtosis": moments.kurtosis,
        "probabilistic_sharpe": probabilistic_sharpe(moments),
        "minimum_track_record_days": minimum_track_record_length(moments),
    }


def profit_factor(pnl: npt.ArrayLike) -> float:
    """Sum of the winning trades over the size of the sum of the losing ones; NaN if none lost."""
    values = checked_values(pnl, "pnl")
    lost = -float(values[values < 0.0].sum())
    return float(values[values > 0.0].sum()) / lost if lost > 0.0 else math.nan


def win_rate(pnl: npt.ArrayLike) -> float:
    """Share of trades with a profit above zero; NaN for no trades."""
    values = checked_values(pnl, "pnl")
    return int(np.count_nonzero(values > 0.0)) / values.size if values.size else math.nan


class MeanTrade(NamedTuple):
    """Mean trade in basis points of its capital, the mean's standard error, t statistic, and count.

    The t statistic takes trades for independent; trades that overlap in time are not, so it is an upper bound
    in size when they gain and lose together.
    """

    mean_bp: float
    std_error_bp: float
    t_stat: float
    trades: int


def mean_trade_bp(pnl: npt.ArrayLike, capital: npt.ArrayLike) -> MeanTrade:
    """Mean of pnl/capital over trades, in basis points, with t = mean / (sd / sqrt(n)), ddof 1.

    Parameters
    ----------
    pnl : array (n,)
        Profit per trade, money.
    capital : array (n,) or float
        Capital committed per trade, money, positive.

    Returns
    -------
    MeanTrade
        Mean NaN for no trades; error and t NaN for fewer than two trades or equal ones.
    """
    values = checked_values(pnl, "pnl")
    base = np.broadcast_to(np.asarray(capital, dtype=np.float64), values.shape)
    if not (base > 0.0).all():
        raise ValueError(f"capital has {base[~(base > 0.0)][0]}: each trade's capital must be positive money")
    ratio = values / base * 1e4
    n = ratio.size
    mean = float(ratio.mean()) if n else math.nan
    error = _deviation(ratio) / math.sqrt(n) if n >= 2 else 0.0
    if error <= 0.0:
        return MeanTrade(mean, math.nan, math.nan, n)
    return MeanTrade(mean, error, mean / error, n)


def break_even_cost_bps(before: npt.ArrayLike, traded: npt.ArrayLike) -> float:
    """Cost in basis points of traded notional, per leg and side, at which the annual return is zero.

    The c at which ``annual_return(before - c / 1e4 * traded)`` is 0: the zero of the curve of annual returns against
    costs, profits reinvested as there.

    Parameters
    ----------
    before : array (n,)
        Daily simple returns before these costs.
    traded : array (n,)
        Notional traded each day, as a fraction of the same capital, not negative.

    Returns
    -------
    float
        Negative if the days lose before costs; NaN where nothing is traded, or ruin does not come from trading. Trade
        dates are taken as given.

    Notes
    -----
    The sum of log(1 + before - c traded) falls in c and is concave, and at the c at which the plain sum is zero it is
    not positive (Jensen). So Newton's steps from there come down to the zero and never pass it.
    """
    returns, notional = checked_values(before, "before"), checked_values(traded, "traded")
    if not (notional > 0.0).any() or (returns[notional == 0.0] <= -1.0).any():
        return math.nan
    cost = float(returns.sum() / notional.sum())
    ruinous = float(((1.0 + returns[notional > 0.0]) / notional[notional > 0.0]).min())
    if cost >= ruinous:
        # just below the cost that ruins, where the logarithm is as low as it can be
        cost = ruinous - 1e-9 * max(abs(ruinous), 1.0)
    for _ in range(_NEWTON_STEPS):
        wealth = 1.0 + returns - cost * notional
        step = float(np.log(wealth).sum() / (notional / wealth).sum())
        cost += step
        if abs(step) <= 1e-15 * max(abs(cost), 1e-4):
            break
    return cost * 1e4


def tail_share(pnl: npt.ArrayLike, fraction: float = 0.01) -> float:
    """Share of the total P&L that the best `fraction` of the trades earned.

    The best ceil(fraction n) trades count, so at least one. Above 1: all others together lost. NaN if there
    are no trades or they lost in total, where a share has no meaning.
    """
    if not 0.0 < fraction <= 1.0:
        raise ValueError(f"fraction is {fraction}: it is a share of the trades, above 0 and at most 1")
    values = checked_values(pnl, "pnl")
    total = float(values.sum())
    if values.size == 0 or total <= 0.0:
        return math.nan
    # 1e-9: 0.07 * 100 is 7.000000000000001 and must count 7 trades.
    best = math.ceil(fraction * values.size - 1e-9)
    return float(np.sort(values)[values.size - best :].sum()) / total
