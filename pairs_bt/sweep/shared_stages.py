"""Many settings through the pipeline, each stage made once for all settings that share what it depends on.

Settings are sorted by their keys, stage by stage, so that a stage keeps only its latest result: scan, candidates,
levels, filter path, signals, trades. What is made for one setting is what :func:`pairs_bt.run` makes, bit for bit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import accumulate
from typing import Any

import numpy as np

from pairs_bt.backtest.hedge_rules import variants
from pairs_bt.backtest.ledger import SettingRules
from pairs_bt.backtest.portfolio.returns import Cohort
from pairs_bt.backtest.selection import select_pairs
from pairs_bt.backtest.study import ContextCache, Study, check_tradeable, prepare
from pairs_bt.backtest.window_tasks import (
    Candidates,
    pair_capital,
    pair_paths,
    rule_signals,
    trade_book,
    trade_books,
)
from pairs_bt.backtest.windows import Window
from pairs_bt.config.schema import Config, declared, has_optimal_entry
from pairs_bt.data.prices import PriceData
from pairs_bt.engine.pipeline import TRADE_CHUNK, orient_pairs, scan_window, serial
from pairs_bt.kernels.ledger import N_DAILY


@dataclass(frozen=True)
class StageKeys:
    """What decides the result of each stage, as text; each but `study` holds those before it.

    Attributes
    ----------
    scan, choice, filter, signals, ledger : str
        Keys of the stages.
    study : str
        Of the arrays that all tasks share.
    """

    scan: str
    choice: str
    filter: str
    signals: str
    ledger: str
    study: str


# In the order of the fields of `StageKeys`.
_DECLARED = [declared(stage) for stage in (scan_window, select_pairs, pair_paths, rule_signals, trade_book, prepare)]


# Of what signals read, what decides the levels of `signal.entry = "optimal"` and nothing else.
_ONLY_OPTIMAL = ("signal.optimal", "signal.interest", "signal.stop", "execution.cost_bps", "execution.spread")


def stage_keys(config: Config) -> StageKeys:
    """Keys of every stage of one setting, from what each stage declares that it reads (`config.schema.reads`)."""
    tables = config.model_dump(mode="json")
    values = [reading.values(tables) for reading in _DECLARED]
    if not has_optimal_entry(config.signal):
        for key in _ONLY_OPTIMAL:
            values[3].pop(key)
    scan, choice, path, signals, ledger, study = (json.dumps(part, sort_keys=True) for part in values)
    # A path comes from the study's arrays; settings that share these stand together.
    held = list(accumulate((scan, choice, study + path, signals, ledger)))
    return StageKeys(held[0], held[1], held[2], held[3], held[4], study)


@dataclass(frozen=True)
class SweepCase:
    """One setting on its prices: the study that its context comes from, its stage keys, and its place in the grid."""

    config: Config
    study: Study
    keys: StageKeys
    places: dict[np.datetime64, int]
    number: int

    @cached_property
    def rules(self) -> SettingRules:
        """What the ledger reads of it."""
        return SettingRules.of(self.config)

    @cached_property
    def company(self) -> tuple[str, str, str, bool]:
        """Equal for settings that one call of the ledger may trade: same signals, same variants, same legs."""
        return self.keys.study, self.keys.signals, repr(variants(self.config.hedge)), self.rules.dollar_neutral

    def window(self, end: np.datetime64) -> Window | None:
        """The window of a test end; None where this setting has none."""
        return self.study.windows[self.places[end]] if end in self.places else None


def open_cases(configs: Sequence[Config], data: PriceData) -> list[SweepCase]:
    """Resolve every setting on the prices; settings with the same levels share their arrays."""
    made: dict[str, Study] = {}
    cases = []
    for number, config in enumerate(configs):
        keys = stage_keys(config)
        if keys.study not in made:
            made[keys.study] = prepare(config, data)
            check_tradeable(made[keys.study])
        study = replace(made[keys.study], config=config)
        cases.append(SweepCase(config, study, keys, {w.test_end: k for k, w in enumerate(study.windows)}, number))
    return cases


def common_ends(cases: Sequence[SweepCase]) -> list[np.datetime64]:
    """Test ends that every setting has."""
    shared = set.intersection(*(set(case.places) for case in cases))
    return [window.test_end for window in cases[0].study.windows if window.test_end in shared]


class VariantDollars(Mapping[str, np.ndarray]):
    """Daily dollars of a cohort by variant, in one array.

    Parameters
    ----------
    names : tuple of str
        Its variants.
    values : numpy.ndarray, shape (variants, bars, components)
        As :class:`pairs_bt.backtest.portfolio.returns.Cohort` has them.
    """

    def __init__(self, names: tuple[str, ...], values: np.ndarray) -> None:
        self.names = names
        self.whole = values

    def __getitem__(self, name: str) -> np.ndarray:
        try:
            return np.asarray(self.whole[self.names.index(name)])
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


# A setting's cohort of one test end, and its count of trades by variant.
Traded = tuple[Cohort, dict[str, int]]


@dataclass
class CandidateStore:
    """Candidates by test end and what decides them: they are few, and finding them is what costs."""

    found: dict[tuple[np.datetime64, str], Candidates] = field(default_factory=dict)


@dataclass
class _Latest:
    """The latest result of each stage, with the key that it was made for."""

    kept: dict[str, tuple[str, Any]] = field(default_factory=dict)

    def get(self, stage: str, key: str, make: Callable[[], Any]) -> Any:
        if stage not in self.kept or self.kept[stage][0] != key:
            self.kept[stage] = (key, make())
        return self.kept[stage][1]


def trade_cohorts(cases: Sequence[SweepCase], end: np.datetime64, store: CandidateStore) -> list[Traded | None]:
    """Trade the cohort of one test end under every setting.

    Returns
    -------
    list
        For each case its cohort and the count of trades by variant; None where it has no such window.
    """
    latest = _Latest()
    out: list[Traded | None] = [None] * len(cases)
    together: dict[tuple[str, str, str, bool], list[int]] = {}
    for position in sorted(range(len(cases)), key=lambda n: cases[n].keys.ledger):
        if end in cases[position].places:
            together.setdefault(cases[position].company, []).append(position)
    for positions in together.values():
        first = cases[positions[0]]
        k = first.places[end]
        # A study of this one window, whose prices in all forms stay while its settings need them.
        context = latest.get("context", first.keys.study, partial(first.study.context, k))
        study = replace(first.study, contexts=ContextCache({k: context}))
        candidates = _candidates(study, k, first.keys, store, latest)
        traded = _trade(study, k, [cases[n] for n in positions], candidates, latest)
        for position, made in zip(positions, traded, strict=True):
            out[position] = made
    return out


def _candidates(study: Study, k: int, keys: StageKeys, store: CandidateStore, latest: _Latest) -> Candidates:
    place = (study.windows[k].test_end, keys.choice)
    if place not in store.found:
        scan = latest.get("scan", keys.scan, lambda: scan_window(study, k, serial))
        store.found[place] = orient_pairs(scan, select_pairs(scan, study.config.selection))
    return store.found[place]


def _trade(study: Study, k: int, cases: Sequence[SweepCase], candidates: Candidates, latest: _Latest) -> list[Traded]:
    """Trade one window under settings of one company, on the study of the first of them."""
    keys, config = cases[0].keys, study.config
    names = variants(config.hedge)
    # The longest window is that of all rules, so there a rule's signals depend on which others there are.
    others = ",".join(config.hedge.variants) if config.signal.window == "longest" else ""
    rules = SettingRules.join([case.rules for case in cases])
    capitals = np.array([pair_capital(study, case.config.portfolio, candidates) for case in cases])
    sized = any(case.config.portfolio.sizing == "volatility" for case in cases)
    # One array a setting: what comes after takes its variants together.
    sums = np.zeros((len(cases), len(names), study.windows[k].n_trade, N_DAILY))
    counts = np.zeros((len(names), len(cases)), dtype=np.int64)
    for lo in range(0, candidates.y.size, TRADE_CHUNK):
        task = (candidates, lo, min(lo + TRADE_CHUNK, candidates.y.size))
        path = latest.get(f"filter {lo}", keys.filter, partial(pair_paths, study, k, *task))
        for n, variant in enumerate(names):
            signals = latest.get(
                f"signals {variant.rule} {lo}", keys.signals + others,
                partial(rule_signals, study, k, path, variant.rule, *task),
            )  # fmt: skip
            trade_books(study, k, signals, variant, *task, rules, capitals, sized, sums[:, n], counts[n])
    return [
        (
            Cohort(k, candidates.y.size, VariantDollars(tuple(v.name for v in names), sums[s]), {}),
            {variant.name: int(counts[n, s]) for n, variant in enumerate(names)},
        )
        for s in range(len(cases))
    ]
