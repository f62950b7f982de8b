"""From the outcomes of all settings to what they say together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pairs_bt.backtest.hedge_rules import variants
from pairs_bt.backtest.study import Study
from pairs_bt.common.formatting import in_ascii
from pairs_bt.config.schema import Config
from pairs_bt.stats.bootstrap import stationary_resamples
from pairs_bt.stats.deflated_sharpe import probabilistic_sharpe
from pairs_bt.stats.performance import annual_return, annual_volatility, max_drawdown, sharpe
from pairs_bt.sweep.evidence.plateau import Plateau, find_plateau
from pairs_bt.sweep.evidence.trial_cost import TrialCost, cost_of_trying
from pairs_bt.sweep.evidence.trials import Trial, Trials
from pairs_bt.sweep.evidence.verdict import VerdictInputs, sweep_verdict
from pairs_bt.sweep.grid import Grid
from pairs_bt.sweep.outcomes import Outcomes, Standing
from pairs_bt.sweep.walk_forward import Choice


@dataclass(frozen=True)
class Walk:
    """The honest curve of one variant beside the two that nobody could have had.

    Attributes
    ----------
    walk_forward, base, hindsight : array (days,)
        Daily net returns: chosen as time went by; the config itself (zeros where it lacks the variant); the setting
        with the highest Sharpe ratio over all days.
    since : int
        First day on which a free choice was traded; the number of days where there was none.
    sharpes : dict
        Annual net Sharpe ratios since that day, by the names above; NaN where there was none.
    switches : int
        Times that the choice differed from the one before.
    """

    walk_forward: NDArray[np.float64]
    base: NDArray[np.float64]
    hindsight: NDArray[np.float64]
    since: int
    sharpes: dict[str, float]
    switches: int


@dataclass(frozen=True, repr=False)
class SweepResult:
    """A finished sweep.

    Attributes
    ----------
    config : Config
        The base.
    grid : Grid
        Parameters and settings.
    variants : tuple of str
        Of all settings, in the order of their first appearance.
    outcomes : sequence of Outcome
        One a setting; of many settings, read from a file when it is asked for.
    dates : array (days,) of datetime64[us]
        The days that all settings cover; statistics are over these.
    table : DataFrame
        One row a setting and variant: the keys of the grid, and metrics.
    costs : dict of str to TrialCost
        By variant, and over everything tried under ``"all"``.
    plateaus : dict of str to Plateau or None
        By variant.
    choices : DataFrame
        One row a test end and variant: what was chosen, and how it went.
    walks : dict of str to Walk
        By variant.
    best : tuple of str and int
        Variant and position of the setting with the highest net Sharpe ratio of all.
    verdict : str
        One sentence.
    source : dict
        Fingerprint of the prices.
    notes : tuple of str
        About the data.
    """

    config: Config
    grid: Grid
    variants: tuple[str, ...]
    outcomes: Outcomes
    dates: NDArray[np.datetime64]
    table: pd.DataFrame
    costs: dict[str, TrialCost]
    plateaus: dict[str, Plateau | None]
    choices: pd.DataFrame
    walks: dict[str, Walk]
    best: tuple[str, int]
    verdict: str
    source: dict[str, Any]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        variant, place = self.best
        keys = ", ".join(parameter.key for parameter in self.grid.parameters)
        return (
            f"<SweepResult: {len(self.grid.settings):,} settings of {keys}, {len(self.variants)} variants, "
            f"{self.dates.size:,} days; best in hindsight {self.labels[variant]} at {self.grid.settings[place].name}. "
            f"{in_ascii(self.verdict)}>"
        )

    @property
    def labels(self) -> dict[str, str]:
        """What a person reads for each variant."""
        return _labels(self.grid, self.variants)

    def sharpes(self, variant: str) -> NDArray[np.float64]:
        """Net Sharpe ratios of one variant over the grid, one axis a parameter; NaN where there is none."""
        return _on_grid(self.table, self.grid, variant)

    def overfitting(self) -> dict[str, Any]:
        """What trying costs, as plain values; NaN as None."""
        sweep = self.config.sweep
        by_variant = {}
        for name in self.variants:
            plateau, walk = self.plateaus[name], self.walks[name]
            by_variant[name] = {
                **asdict(self.costs[name]),
                "plateau": None if plateau is None else asdict(plateau),
                "walk_forward": {
                    "since": str(self.dates[walk.since])[:10] if walk.since < self.dates.size else None,
                    "sharpe": walk.sharpes,
                    "switches": walk.switches,
                },
            }
        return plain(
            {
                "settings": len(self.grid.settings),
                "variants": list(self.variants),
                "first_day": str(self.dates[0])[:10],
                "last_day": str(self.dates[-1])[:10],
                "criterion": sweep.criterion,
                "minimum_cohorts": sweep.minimum_cohorts,
                "all": asdict(self.costs["all"]),
                "by_variant": by_variant,
                "verdict": self.verdict,
            }
        )


def plain(value: Any) -> Any:
    """The same value in what JSON has; NaN and infinities as None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def analyse(
    config: Config,
    grid: Grid,
    outcomes: Outcomes,
    choices: dict[str, list[Choice]],
    walked: pd.DataFrame,
    base: Study,
) -> SweepResult:
    """Judge a sweep.

    Parameters
    ----------
    config : Config
        The base.
    grid : Grid
        Its settings.
    outcomes : Outcomes
        One a setting.
    choices : dict
        Walk-forward choices by variant.
    walked : DataFrame
        The returns table of those choices.
    base : Study
        The base on its prices.
    """
    names = tuple(choices)
    days = min(standing.dates.size for standing in outcomes.standings)
    dates = outcomes.standings[grid.base].dates[-days:]
    year = base.bars_per_year
    table, found = _table(grid, outcomes, names, days, year)
    own = {name: _Own.of(grid, outcomes, name, days, found[name]) for name in names}
    base_name = grid.settings[grid.base].name
    options: dict[str, Any] = {
        "partitions": config.sweep.partitions,
        "draws": config.comparison.draws,
        "block": config.comparison.block,
        "seed": config.comparison.seed,
        "bars_per_year": year,
        "drawn": stationary_resamples(days, config.comparison.block, config.comparison.draws, config.comparison.seed),
    }
    costs = {
        name: cost_of_trying(part.trials, base_name if part.has(grid.base) else None, **options)
        for name, part in own.items()
    }
    # Over everything, the base is its own best variant: what would have been traded without a sweep.
    able = [name for name in names if own[name].has(grid.base)]
    first = max(able, key=lambda name: _or_low(sharpe(own[name].net(grid.base), bars_per_year=year)), default=None)
    every, tried = _everything(list(own.values()))
    found_all = cost_of_trying(every, None if first is None else str(tried.index((first, grid.base))), **options)
    variant, position = tried[int(found_all.best)]
    setting = grid.settings[position].name
    costs["all"] = replace(found_all, best=f"{variant} | {setting}")
    # Over the cash rate, like the settings that it is compared with.
    over = walked.assign(net=walked["net"] - walked["riskless"])
    honest = {name: rows.set_index("date")["net"] for name, rows in over.groupby("variant")}
    walks = {n: _walk(own[n], honest[n], costs[n].best, grid.base, choices[n], dates, year) for n in names}
    plateaus = {name: find_plateau(_on_grid(table, grid, name), grid.parameters, own[name].same()) for name in names}
    best = plateaus[variant]
    # A base off the grid has no neighbours, so that the grid's own best says nothing about it.
    on_grid = next((n for n, s in enumerate(grid.settings) if best is not None and s.place == best.best), None)
    shape = best.shape if best is not None and on_grid is not None and own[variant].alike(position, on_grid) else ""
    verdict = sweep_verdict(
        VerdictInputs(
            settings=len(grid.settings), variants=len(names), variant=_labels(grid, names)[variant], setting=setting,
            is_base=position == grid.base, cost=costs["all"], shape=shape,
            walk_forward=walks[variant].sharpes["walk_forward"], base=walks[variant].sharpes["base"],
        )
    )  # fmt: skip
    return SweepResult(
        config=config, grid=grid, variants=names, outcomes=outcomes, dates=dates, table=table, costs=costs,
        plateaus=plateaus, choices=_choices_table(grid, outcomes.standings, choices), walks=walks,
        best=(variant, position), verdict=verdict, source=base.source, notes=tuple(note.text for note in base.notes),
    )  # fmt: skip


def _labels(grid: Grid, names: Sequence[str]) -> dict[str, str]:
    """Labels of the variants of any setting, the base's word first."""
    out: dict[str, str] = {}
    for setting in (grid.settings[grid.base], *grid.settings):
        for variant in variants(setting.config.hedge):
            out.setdefault(variant.name, variant.label)
    return {name: out[name] for name in names}


def _or_low(value: float) -> float:
    return -math.inf if math.isnan(value) else value


@dataclass(frozen=True)
class _Own:
    """The settings that have one variant.

    Attributes
    ----------
    grid : Grid
    outcomes : Outcomes
    variant : str
    days : int
        The last days of each that are looked at.
    settings : dict of int to int
        Number of each setting's trial, by its position in the grid.
    trials : Trials
        Their returns.
    firsts : list of int
        For each trial the number of the first one with the same returns.
    """

    grid: Grid
    outcomes: Outcomes
    variant: str
    days: int
    settings: dict[int, int]
    trials: Trials
    firsts: list[int]

    @classmethod
    def of(cls, grid: Grid, outcomes: Outcomes, variant: str, days: int, found: dict[int, Trial]) -> _Own:
        """The settings in `found`, by their positions."""
        at = [(place, outcomes.standings[place].variants.index(variant)) for place in found]

        def read(numbers: Sequence[int]) -> NDArray[np.float64]:
            return np.array([outcomes.net(*at[n], days) for n in numbers])

        trials = Trials(list(found.values()), days, read)
        return cls(grid, outcomes, variant, days, {p: n for n, p in enumerate(found)}, trials, trials.firsts())

    def has(self, place: int) -> bool:
        """Whether a setting of the grid has the variant."""
        return place in self.settings

    def net(self, place: int) -> NDArray[np.float64]:
        """Daily net returns (days,) of a setting of the grid."""
        return self.trials.read([self.settings[place]])[0]

    def alike(self, place: int, other: int) -> bool:
        """Whether two settings of the grid have the same returns."""
        return self.firsts[self.settings[place]] == self.firsts[self.settings[other]]

    def same(self) -> NDArray[np.int64]:
        """One number for all settings that have the same returns, by the places of the grid; -1: no returns."""
        out = np.full([len(parameter.values) for parameter in self.grid.parameters], -1, dtype=np.int64)
        for place, number in self.settings.items():
            if where := self.grid.settings[place].place:
                out[where] = self.firsts[number]
        return out


def _everything(parts: Sequence[_Own]) -> tuple[Trials, list[tuple[str, int]]]:
    """The trials of all variants under their numbers, and of each its variant and its setting's position."""
    tried = [(part.variant, place) for part in parts for place in part.settings]
    kept = [trial for part in parts for trial in part.trials.kept]
    at = [(part.trials, number) for part in parts for number in part.settings.values()]

    def read(numbers: Sequence[int]) -> NDArray[np.float64]:
        return np.concatenate([trials.read([number]) for trials, number in (at[n] for n in numbers)])

    named = [replace(trial, name=str(n)) for n, trial in enumerate(kept)]
    return Trials(named, parts[0].days, read), tried


def _table(
    grid: Grid, outcomes: Outcomes, names: Sequence[str], days: int, year: float
) -> tuple[pd.DataFrame, dict[str, dict[int, Trial]]]:
    """One row a setting and variant; and what is kept of each one's returns, by variant and position."""
    rows = []
    found: dict[str, dict[int, Trial]] = {name: {} for name in names}
    for position, (setting, outcome) in enumerate(zip(grid.settings, outcomes, strict=True)):
        for variant in names:
            if variant not in outcome.variants:
                continue
            k = outcome.variants.index(variant)
            net, gross = outcome.net[k, -days:], outcome.gross[k, -days:]
            found[variant][position] = trial = Trial.of(setting.name, net)
            growth = annual_return(net, bars_per_year=year)
            rows.append(
                {
                    "setting": setting.number,
                    "base": position == grid.base,
                    **{p.key: _value(grid, position, n) for n, p in enumerate(grid.parameters)},
                    "variant": variant,
                    "trades": int(outcome.trades[k].sum()),
                    "net_annual_return": growth,
                    "net_volatility": annual_volatility(net, bars_per_year=year),
                    "net_sharpe": sharpe(net, bars_per_year=year),
                    "gross_sharpe": sharpe(gross, bars_per_year=year),
                    "net_max_drawdown": max_drawdown(net),
                    "cost_drag": annual_return(gross, bars_per_year=year) - growth,
                    "mean_cohort_return": float(outcome.cohort[k].mean()),
                    "positive_cohorts": float((outcome.cohort[k] > 0.0).mean()),
                    "probabilistic_sharpe": probabilistic_sharpe(trial.moments),
                }
            )
    return pd.DataFrame(rows), found


def _value(grid: Grid, position: int, axis: int) -> str:
    """Text of a parameter's value in a setting; of a base off the grid, ``base``."""
    place = grid.settings[position].place
    return grid.parameters[axis].texts[place[axis]] if place else "base"


def _on_grid(table: pd.DataFrame, grid: Grid, variant: str) -> NDArray[np.float64]:
    out = np.full([len(parameter.values) for parameter in grid.parameters], np.nan)
    own = table[table["variant"] == variant]
    sharpes = dict(zip(own["setting"].tolist(), own["net_sharpe"].tolist(), strict=True))
    for setting in grid.settings:
        if setting.place and setting.number in sharpes:
            out[setting.place] = sharpes[setting.number]
    return out


def _walk(
    own: _Own,
    walked: pd.Series,
    best: str,
    base: int,
    choices: list[Choice],
    dates: NDArray[np.datetime64],
    year: float,
) -> Walk:
    curves = {
        "walk_forward": walked.reindex(dates).to_numpy(),
        "base": own.net(base) if own.has(base) else np.zeros(own.days),
        "hindsight": own.trials.read([own.trials.number(best)])[0],
    }
    free = [choice.end for choice in choices if choice.free]
    since = int(np.searchsorted(dates, free[0], side="right")) if free else dates.size
    sharpes = {name: sharpe(values[since:], bars_per_year=year) for name, values in curves.items()}
    made = [choice.chosen for choice in choices if choice.free]
    switches = sum(now != before for before, now in pairwise(made))
    return Walk(**curves, since=since, sharpes=sharpes, switches=switches)


def _choices_table(grid: Grid, outcomes: Sequence[Standing], choices: dict[str, list[Choice]]) -> pd.DataFrame:
    rows = []
    for variant, made in choices.items():
        for k, choice in enumerate(made):
            setting, base = grid.settings[choice.chosen], outcomes[grid.base]
            chosen = outcomes[choice.chosen]
            rows.append(
                {
                    "test_end": str(choice.end),
                    "variant": variant,
                    "ended_cohorts": choice.ended,
                    "free": choice.free,
                    "setting": setting.number,
                    **{p.key: _value(grid, choice.chosen, n) for n, p in enumerate(grid.parameters)},
                    "criterion": choice.standing,
                    "base_criterion": choice.base_standing,
                    "cohort_return": chosen.cohort[chosen.variants.index(variant), k],
                    "base_cohort_return": base.cohort[base.variants.index(variant), k]
                    if variant in base.variants
                    else math.nan,
                }
            )
    return pd.DataFrame(rows)
