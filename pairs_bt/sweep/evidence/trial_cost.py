"""What trying costs: deflated Sharpe ratio, probability of overfitting, and whether anything beats the base.

References
----------
Hansen, P. R. (2005), "A test for superior predictive ability", Journal of Business & Economic Statistics 23.
White, H. (2000), "A reality check for data snooping", Econometrica 68.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from pairs_bt.common.periods import TRADING_DAYS
from pairs_bt.stats.backtest_overfitting import deflated_best_of, effective_trials_of, overfitting_of
from pairs_bt.stats.bootstrap import Resamples
from pairs_bt.stats.multiple_comparison import superiority, superiority_of
from pairs_bt.stats.performance import sharpe
from pairs_bt.sweep.evidence.trials import Trials

__all__ = ["TrialCost", "cost_of_trying", "superiority"]

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


def cost_of_trying(
    returns: pd.DataFrame | Trials,
    base: str | None,
    *,
    partitions: int,
    draws: int,
    block: int,
    seed: int,
    bars_per_year: float = TRADING_DAYS,
    drawn: Resamples | None = None,
) -> TrialCost:
    """Judge the best of all series by what it took to find it.

    Parameters
    ----------
    returns : DataFrame (days, trials), or Trials
        Daily net returns of every trial, the poor ones too; without NaN. Equal ones are one trial.
    base : str or None
        Name of the series that the others are to beat; None where there is none.
    partitions, draws, block, seed : int
        Parts of the history; resamples, mean block length in days, seed of the bootstrap.
    bars_per_year : float
        Days of a year.
    drawn : Resamples, optional
        Those of these days, block, draws and seed, where a caller has them already.
    """
    year = math.sqrt(bars_per_year)
    trials = returns if isinstance(returns, Trials) else Trials.of_frame(returns)
    own = None if base is None else trials.number(base)
    tried, days = len(trials.kept), trials.days
    distinct = list(dict.fromkeys(trials.firsts(own)))
    moving = [n for n in distinct if trials.kept[n].moved]
    count = len(distinct)
    equal = tried - count
    reasons = []
    nothing = dict.fromkeys(("expected_maximum", "probabilistic", "deflated", "deflated_all"), math.nan)
    if not moving:
        name = trials.kept[0 if own is None else own].name
        return TrialCost(
            trials=count, equal=equal, effective=math.nan, correlation=math.nan, best=name, sharpe=math.nan, **nothing,
            pbo=math.nan, probability_of_loss=math.nan, partitions=0, superior=math.nan, superior_lower=math.nan,
            superior_upper=math.nan, reason="nothing was traded",
        )  # fmt: skip
    effective = effective_trials_of(trials.blocks(moving))
    found = deflated_best_of({trials.kept[n].name: trials.kept[n].moments for n in distinct}, lambda: effective)
    best = trials.read([trials.number(found.best)])[0]
    correlation = (len(moving) - effective) / (len(moving) - 1) if len(moving) > 1 else math.nan
    parts = min(partitions, days // _DAYS_A_PART // 2 * 2)
    pbo = loss = math.nan
    if count < 2:
        reasons.append(
            f"all {tried} trials are equal: nothing was chosen" if equal else "one trial: nothing was chosen"
        )
    elif parts < 2:
        reasons.append(f"{days} days are too few for two parts of {_DAYS_A_PART}")
    else:
        split = overfitting_of(trials.blocks(distinct), days, partitions=parts)
        pbo, loss = split.pbo, split.probability_of_loss
    lower = consistent = upper = math.nan
    if own is not None and count > 1:
        largest = max(max(-trials.kept[n].low, trials.kept[n].high) for n in distinct)
        lower, consistent, upper, why = superiority_of(
            trials.blocks([n for n in distinct if n != own]), trials.read([own])[0], largest,
            draws=draws, block=block, seed=seed, drawn=drawn,
        )  # fmt: skip
        reasons += [why] if why else []
    return TrialCost(
        trials=count, equal=equal, effective=effective, correlation=correlation, best=found.best,
        sharpe=sharpe(best, bars_per_year=bars_per_year), expected_maximum=found.expected_maximum * year,
        probabilistic=found.probabilistic, deflated=found.deflated, deflated_all=found.deflated_all,
        pbo=pbo, probability_of_loss=loss, partitions=parts if not math.isnan(pbo) else 0,
        superior=consistent, superior_lower=lower, superior_upper=upper, reason="; ".join(reasons),
    )  # fmt: skip
