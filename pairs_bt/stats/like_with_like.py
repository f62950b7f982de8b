"""Variants on equal terms: the same candidates, the same risk, and what was not the same said in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pairs_bt.common.periods import TRADING_DAYS
from pairs_bt.stats.performance import annual_volatility

__all__ = ["like_with_like", "unlike_words"]

_PAIR = ["test_end", "y", "x"]
# A window or holding time is called different where the longest is so much longer than the shortest.
FACTOR = 1.5


def like_with_like(
    half_lives: pd.DataFrame,
    trades: pd.DataFrame,
    returns: pd.DataFrame,
    slots: pd.DataFrame,
    *,
    cohorts_a_year: float,
    bars_per_year: float = TRADING_DAYS,
) -> pd.DataFrame:
    """What each variant does with its own candidates, and with those that all variants may trade.

    Parameters
    ----------
    half_lives : DataFrame
        Columns test_end, y, x, variant, window (bars, 0: none), reason ('' where the pair may be traded).
    trades : DataFrame
        Columns test_end, y, x, variant, net_pnl, capital, entry_date, exit_date.
    returns : DataFrame (n, k)
        Net returns of each bar, date x variant, in the order of the variants.
    slots : DataFrame, test_end x variant
        Money committed to each cohort, also to those without trades.
    cohorts_a_year : float
        For the Sharpe ratio of the cohorts' returns.
    bars_per_year : float
        Rows of `returns` in a year.

    Returns
    -------
    DataFrame, index variant
        candidates, refused: pairs of the scan, and those that the variant does not trade. window: median bars of its
        z-score (NaN: it has none). holding_days: mean calendar days of closed trades, with their fractions.
        volatility: of the net returns, a year; risk: the first variant's over this one's, by which P&L is multiplied
        to have the first one's risk. pnl_at_risk: net P&L so multiplied. Of the candidates that all variants may
        trade: common (their number, the same for all), common_trades, common_mean_bp (mean net trade over its
        capital), common_pnl (net), common_sharpe (mean over standard deviation of the cohorts' returns, a year),
        common_deviation (that standard deviation), common_pnl_at_risk (net P&L with it at the first variant's). NaN
        where there is nothing to divide by.
    """
    names = [str(name) for name in returns.columns]
    trades = trades.astype({"y": "object", "x": "object", "variant": "object"})
    shared = _shared(half_lives, names)
    of_common = trades.merge(shared, on=_PAIR, how="inner")
    sums = of_common.groupby(["variant", "test_end"], observed=True)["net_pnl"].sum()
    rows = []
    for name in names:
        own = half_lives[half_lives["variant"] == name]
        free = own[own["reason"] == ""]
        mine, theirs = trades[trades["variant"] == name], of_common[of_common["variant"] == name]
        closed = mine["exit_date"] - mine["entry_date"]
        windows = free.loc[free["window"] > 0, "window"]
        pnl = sums[name] if name in sums.index.get_level_values(0) else pd.Series(dtype=np.float64)
        cohort = (pnl.reindex(slots.index).fillna(0.0) / slots[name]).to_numpy(dtype=np.float64)
        deviation = float(cohort.std(ddof=1)) if cohort.size > 1 else math.nan
        rows.append(
            {
                "candidates": len(own),
                "refused": len(own) - len(free),
                "window": float(windows.median()) if len(windows) else math.nan,
                "holding_days": float(closed.dt.total_seconds().mean()) / 86_400.0,
                "volatility": annual_volatility(returns[name].to_numpy(), bars_per_year=bars_per_year),
                "pnl": float(mine["net_pnl"].sum()),
                "common": len(shared),
                "common_trades": len(theirs),
                "common_mean_bp": float((theirs["net_pnl"] / theirs["capital"]).mean() * 1e4),
                "common_pnl": float(theirs["net_pnl"].sum()),
                "common_deviation": deviation,
                "common_sharpe": _ratio(float(cohort.mean()) if cohort.size else math.nan, deviation, cohorts_a_year),
            }
        )
    table = pd.DataFrame(rows, index=pd.Index(names, name="variant"))
    for risk, pnl_name in (("volatility", "pnl"), ("common_deviation", "common_pnl")):
        first = table[risk].iloc[0] if len(table) else math.nan
        table[f"{pnl_name}_at_risk"] = table[pnl_name] * (first / table[risk].where(table[risk] > 0.0))
    return table


def _ratio(mean: float, deviation: float, periods: float) -> float:
    return mean / deviation * math.sqrt(periods) if deviation > 0.0 else math.nan


def _shared(half_lives: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Candidates that every variant may trade: test_end, y, x."""
    free = half_lives[(half_lives["reason"] == "") & half_lives["variant"].isin(names)]
    keys = free.astype({"y": "object", "x": "object"})[[*_PAIR, "variant"]]
    count = keys.groupby(_PAIR, observed=True)["variant"].nunique()
    return count[count == len(names)].reset_index()[_PAIR]


def unlike_words(table: pd.DataFrame, labels: Mapping[str, str]) -> str:
    """How far the variants are from a comparison of like with like, in a sentence; empty where they are not.

    Parameters
    ----------
    table : DataFrame
        Of :func:`like_with_like`.
    labels : mapping
        What a person reads for each variant.
    """
    if len(table) < 2 or not table["candidates"].max():
        return ""
    parts = []
    refused = table["refused"]
    if refused.min() < refused.max():
        most, least = _named(refused.idxmax(), labels), _named(refused.idxmin(), labels)
        total = int(table["candidates"].max())
        parts.append(
            f"of {total:,} candidates {most} refuses {int(refused.max()):,} and {least} {int(refused.min()):,}"
        )
    for column, words in (("window", "bars of the z-score (median)"), ("holding_days", "days a trade is held")):
        values = table[column].dropna()
        if len(values) > 1 and values.max() > FACTOR * values.min():
            low, high = (_named(name, labels) for name in (values.idxmin(), values.idxmax()))
            least, most = _apart(values.min(), values.max())
            parts.append(f"{words}: {least} for {low}, {most} for {high}")
    if not parts:
        return ""
    best = table["common_sharpe"].dropna()
    tail = ""
    if len(best) > 1 and table["common_trades"].max():
        name = _named(best.idxmax(), labels)
        tail = (
            f" On the {int(table['common'].iloc[0]):,} candidates that all may trade the highest Sharpe ratio by "
            f"cohort is {best.max():.2f}, of {name}, the lowest {best.min():.2f}, of {_named(best.idxmin(), labels)}."
        )
    return f"They do not trade alike: {'; '.join(parts)}.{tail}"


def _apart(low: float, high: float) -> tuple[str, str]:
    """Both with the fewest digits that tell them apart: an intraday trade is held for parts of a day."""
    for digits in range(3):
        texts = f"{low:.{digits}f}", f"{high:.{digits}f}"
        if texts[0] != texts[1] and float(texts[0]):
            break
    return texts


def _named(name: object, labels: Mapping[str, str]) -> str:
    return labels.get(str(name), str(name))
