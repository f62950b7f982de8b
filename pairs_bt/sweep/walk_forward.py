"""The choice that could have been made: at each test end, on the cohorts that had ended by then and no others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pairs_bt.backtest.portfolio.returns import Cohort, portfolio_returns
from pairs_bt.backtest.windows import Window
from pairs_bt.config.schema import Sweep
from pairs_bt.sweep.cohort_traders import Trader
from pairs_bt.sweep.outcomes import Standing
from pairs_bt.sweep.shared_stages import SweepCase


@dataclass(frozen=True)
class Choice:
    """What was chosen for one cohort of one variant.

    Attributes
    ----------
    end : datetime64
        Test end: the evening on which it is chosen.
    ended : int
        Cohorts that had ended by then.
    chosen : int
        Position of the setting.
    standing, base_standing : float
        Value of the criterion for the chosen setting and for the base; NaN before anything is chosen.
    free : bool
        Whether there were enough ended cohorts to choose; if not, the base is traded.
    """

    end: np.datetime64
    ended: int
    chosen: int
    standing: float
    base_standing: float
    free: bool


def choose_settings(
    outcomes: Sequence[Standing], windows: Sequence[Window], variant: str, base: int, options: Sweep
) -> list[Choice]:
    """Choose a setting for every cohort of one variant.

    Parameters
    ----------
    outcomes : sequence of Standing
        Of every setting.
    windows : sequence of Window
        The cohorts that all settings have.
    variant : str
        Settings without it are not chosen.
    base : int
        Position of the setting that is traded until `options.minimum_cohorts` have ended, and that wins ties; other
        ties go to the first setting.
    options : Sweep
        ``criterion = "sharpe"`` takes the highest Sharpe ratio of the daily net returns of the ended cohorts,
        ``"mean"`` their highest mean net return.

    Returns
    -------
    list of Choice
        One a window.
    """
    able = [n for n, outcome in enumerate(outcomes) if variant in outcome.variants]
    # The base first: the first of equals is taken.
    able.sort(key=lambda n: n != base)
    ended = [sum(other.stop <= window.split for other in windows) for window in windows]
    standing = np.array([_standings(outcomes[n], variant, ended, options.criterion) for n in able])
    fallback = base if able[0] == base else able[0]
    choices = []
    for k, window in enumerate(windows):
        if ended[k] < options.minimum_cohorts:
            choices.append(Choice(window.test_end, ended[k], fallback, np.nan, np.nan, False))
            continue
        best = int(np.argmax(standing[:, k]))
        own = float(standing[0, k]) if able[0] == base else np.nan
        choices.append(Choice(window.test_end, ended[k], able[best], float(standing[best, k]), own, True))
    return choices


def _standings(outcome: Standing, variant: str, ended: Sequence[int], criterion: str) -> np.ndarray:
    place = outcome.variants.index(variant)
    if criterion == "sharpe":
        return outcome.score[place]
    values = outcome.cohort[place]
    # Cohorts end in their order, so the ended ones come first.
    return np.array([values[:count].mean() if count else 0.0 for count in ended])


def walk_forward_returns(
    cases: Sequence[SweepCase], choices: dict[str, list[Choice]], base: int, *, trader: Trader
) -> pd.DataFrame:
    """Daily returns of each variant when every cohort is traded under the setting chosen for it.

    The chosen cohorts are traded again and put together by the rules of a run, on the base's account; choices that
    never leave the base give the base's returns, bit for bit.

    Returns
    -------
    DataFrame
        The returns table of a run.
    """
    ends = [choice.end for choice in next(iter(choices.values()))]
    needed = [sorted({made[k].chosen for made in choices.values()}) for k in range(len(ends))]
    asked = [([cases[n] for n in numbers], end) for numbers, end in zip(needed, ends, strict=True)]
    traded = []
    for k, found in enumerate(trader.cohorts(asked)):
        cohorts = {n: part[0] for n, part in zip(needed[k], found, strict=True) if part is not None}
        own = {name: _numbered(cohorts[made[k].chosen], cases[base], ends[k]) for name, made in choices.items()}
        traded.append(own)
    parts = [portfolio_returns(cases[base].study, [cohorts[name] for cohorts in traded], [name]) for name in choices]
    return pd.concat(parts, ignore_index=True)


def _numbered(cohort: Cohort, base: SweepCase, end: np.datetime64) -> Cohort:
    """The cohort under the base's number of its window: settings with another train length count otherwise."""
    return Cohort(base.places[end], cohort.selected, cohort.daily, cohort.delayed)
