"""What trying costs: deflated Sharpe ratio, probability of overfitting, and whether anything beats the base.

References
----------
Hansen, P. R. (2005), "A test for superior predictive ability", Journal of Business & Economic Statistics 23.
White, H. (2000), "A reality check for data snooping", Econometrica 68.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pairs_bt.common.periods import TRADING_DAYS
from pairs_bt.stats.backtest_overfitting import deflated_best, effective_trials, probability_of_backtest_overfitting
from pairs_bt.stats.multiple_comparison import superiority
from pairs_bt.stats.performance import sharpe

Floats = NDArray[np.float64]

# Fewer days than this in a part of the history say nothing about a Sharpe ratio.
_DAYS_A_PART = 20


@dataclass(frozen=True)
class TrialCost:
    """What is left of the best of many trials; NaN, with `reason`, where the sample cannot say.

    Attributes
    ----------
    trials : int
        Different return series compared: settings with the same returns are one trial.
    effective : float
        Independent trials that they amount to, from their mean correlation.
    correlation : float
        That mean correlation, 0 where it is negative.
    best : str
        Column with the highest Sharpe ratio.
    sharpe : float
        Its annual Sharpe ratio.
    expected_maximum : float
        Annual Sharpe ratio that the best of `effective` trials without skill would show.
    probabilistic, deflated, deflated_all : float
        Probability that its true Sharpe ratio is above 0: taken alone; after `effective` trials; after all.
    pbo, probability_of_loss : float
        Of the best setting of half of the history: probability that it is at or below the median in the other half;
        that it loses there.
    partitions : int
        Parts of the history behind them; 0 where it is too short.
    superior : float
        p-value of "nothing beats the base" (consistent), and its bounds `superior_lower`, `superior_upper`.
    reason : str
        Why something is NaN.
    equal : int
        Settings left out because another has the same returns.
    """

    trials: int
    effective: float
    correlation: float
    best: str
    sharpe: float
    expected_maximum: float
    probabilistic: float
    deflated: float
    deflated_all: float
    pbo: float
    probability_of_loss: float
    partitions: int
    superior: float
    superior_lower: float
    superior_upper: float
    reason: str
    equal: int = 0


def distinct_trials(returns: pd.DataFrame, base: str | None = None) -> pd.Series:
    """For each column the name of the first one with the same returns, or of the base where that is one of them."""
    order = sorted(returns.columns, key=lambda name: name != base)
    seen: dict[bytes, str] = {}
    # + 0.0: no sign on a zero
    own = {name: seen.setdefault((returns[name].to_numpy(dtype=np.float64) + 0.0).tobytes(), name) for name in order}
    return pd.Series({name: own[name] for name in returns.columns}, dtype=object)


def cost_of_trying(
    returns: pd.DataFrame,
    base: str | None,
    *,
    partitions: int,
    draws: int,
    block: int,
    seed: int,
    bars_per_year: float = TRADING_DAYS,
) -> TrialCost:
    """Judge the best of all columns by what it took to find it.

    Parameters
    ----------
    returns : DataFrame (days, trials)
        Daily net returns of every trial, the poor ones too; without NaN. Equal ones are one trial.
    base : str or None
        Column that the others are to beat; None where there is none.
    partitions, draws, block, seed : int
        Parts of the history; resamples, mean block length in days, seed of the bootstrap.
    bars_per_year : float
        Days of a year.
    """
    year = math.sqrt(bars_per_year)
    tried = returns.shape[1]
    returns = returns[list(dict.fromkeys(distinct_trials(returns, base)))]
    count = returns.shape[1]
    equal = tried - count
    reasons = []
    nothing = dict.fromkeys(("expected_maximum", "probabilistic", "deflated", "deflated_all"), math.nan)
    if not any(returns[name].nunique() > 1 for name in returns.columns):
        name = base if base is not None else str(returns.columns[0])
        return TrialCost(
            trials=count, equal=equal, effective=math.nan, correlation=math.nan, best=name, sharpe=math.nan, **nothing,
            pbo=math.nan, probability_of_loss=math.nan, partitions=0, superior=math.nan, superior_lower=math.nan,
            superior_upper=math.nan, reason="nothing was traded",
        )  # fmt: skip
    found = deflated_best(returns)
    effective = effective_trials(returns)
    moving = sum(returns[name].nunique() > 1 for name in returns.columns)
    correlation = (moving - effective) / (moving - 1) if moving > 1 else math.nan
    parts = min(partitions, len(returns) // _DAYS_A_PART // 2 * 2)
    pbo = loss = math.nan
    if count < 2:
        reasons.append(
            f"all {tried} trials are equal: nothing was chosen" if equal else "one trial: nothing was chosen"
        )
    elif parts < 2:
        reasons.append(f"{len(returns)} days are too few for two parts of {_DAYS_A_PART}")
    else:
        split = probability_of_backtest_overfitting(returns, partitions=parts)
        pbo, loss = split.pbo, split.probability_of_loss
    lower = consistent = upper = math.nan
    if base is not None and count > 1:
        lower, consistent, upper, why = superiority(returns, base, draws=draws, block=block, seed=seed)
        reasons += [why] if why else []
    return TrialCost(
        trials=count, equal=equal, effective=effective, correlation=correlation, best=found.best,
        sharpe=sharpe(returns[found.best], bars_per_year=bars_per_year), expected_maximum=found.expected_maximum * year,
        probabilistic=found.probabilistic, deflated=found.deflated, deflated_all=found.deflated_all,
        pbo=pbo, probability_of_loss=loss, partitions=parts if not math.isnan(pbo) else 0,
        superior=consistent, superior_lower=lower, superior_upper=upper, reason="; ".join(reasons),
    )  # fmt: skip
