"""Runs side by side: what differs between their configs, and the same statistics on the dates they share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.config.reader import PATH_KEYS
from pairs_bt.config.writer import to_json
from pairs_bt.errors import ConfigError, DataError
from pairs_bt.runs.run_data import RunData
from pairs_bt.stats.comparison import Comparison, compare_variants

_PATHS = tuple(".".join(key) for key in PATH_KEYS)


@dataclass(frozen=True, repr=False)
class RunComparison:
    """Several runs on their common dates.

    Attributes
    ----------
    names : tuple of str
        One a run, in the order given.
    configs : DataFrame
        Config key x run, only the keys whose values differ, as text; keys of the data and of versions come last.
    net : DataFrame
        Daily net returns on the common dates; columns ``run / label of the variant``.
    series : DataFrame
        One row a column of `net`: run, variant (its name), label, trades that were entered on the common dates.
    days : DataFrame
        One row a run: first and last date, days, days in common.
    comparison : Comparison
        The statistics of :func:`pairs_bt.stats.comparison.compare_variants`. Columns of `net` that are equal on every
        date are one series there, named ``first = second``; paired tests and verdict are about series of two runs.
    members : dict of str to tuple of str
        The columns of `net` in each column of the comparison: more than one where they are equal.
    """

    names: tuple[str, ...]
    configs: pd.DataFrame
    net: pd.DataFrame
    series: pd.DataFrame
    days: pd.DataFrame
    comparison: Comparison
    members: dict[str, tuple[str, ...]]

    @property
    def across(self) -> pd.DataFrame:
        """Paired differences of one variant between two runs; p-values stay adjusted for all pairs."""
        table = self.comparison.differences
        same = [self._one_variant(*names) for names in zip(table["first"], table["second"], strict=True)]
        return table[np.array(same, dtype=bool)].reset_index(drop=True)

    @property
    def identical(self) -> list[tuple[str, ...]]:
        """Series that are equal on every date, and so counted once."""
        return [names for names in self.members.values() if len(names) > 1]

    @property
    def verdict(self) -> str:
        """Which of the runs did better, or that the data cannot tell, or that there is no difference."""
        if len(self.members) == 1:
            return f"{' and '.join(self.identical[0])} are equal on every date: there is nothing to compare."
        equal = [f"{' and '.join(names)} are equal on every date and count once." for names in self.identical]
        return " ".join([self.comparison.verdict, *equal])

    def _one_variant(self, first: str, second: str) -> bool:
        """Whether two columns of the comparison hold one variant in two runs."""
        rows = (self.series.loc[list(self.members[name]), ["variant", "run"]].to_numpy() for name in (first, second))
        return any(a[0] == b[0] and a[1] != b[1] for a, b in product(*rows))

    def by_variant(self) -> dict[str, pd.DataFrame]:
        """Net returns by variant: date x run."""
        out = {}
        for variant, rows in self.series.groupby("variant", sort=False):
            table = self.net[list(rows.index)]
            out[str(variant)] = table.set_axis(list(rows["run"]), axis=1)
        return out

    def __repr__(self) -> str:
        return f"{' and '.join(self.names)} on the {len(self.net):,} dates that they share\n{self.comparison!r}"

    def _repr_html_(self) -> str:
        """What Jupyter shows: the statistics of every run and variant, and the verdict."""
        return self.comparison._repr_html_()


def compare_runs(runs: Mapping[str, RunData], *, variants: Sequence[str] = ()) -> RunComparison:
    """Compare finished runs.

    Parameters
    ----------
    runs : mapping of str to Run
        By the name that the result shows; at least two.
    variants : sequence of str
        Names or labels of the variants to compare; empty compares all that any run has.

    Returns
    -------
    RunComparison
        Draws, block and seed are those of the first run's config.

    Raises
    ------
    ConfigError
        Fewer than two runs, or a variant that no run has.
    DataError
        Runs that share fewer than two dates.
    """
    if len(runs) < 2:
        raise ConfigError(f"{len(runs)} run given: a comparison needs at least two, such as runs/a runs/b.")
    common = _common_dates(runs)
    columns: dict[str, Any] = {}
    rows = []
    for name, run in runs.items():
        for variant, label in _chosen(run, variants).items():
            key = f"{name} / {label}"
            columns[key] = run.excess.loc[common, variant].to_numpy()
            own = run.trades[(run.trades["variant"] == variant) & run.trades["entry_date"].isin(common)]
            rows.append({"series": key, "run": name, "variant": variant, "label": label, "trades": len(own)})
    if not rows:
        known = sorted({label for run in runs.values() for label in run.labels.values()})
        raise ConfigError(f"No run has a variant {', '.join(map(repr, variants))}; they have {', '.join(known)}.")
    net = pd.DataFrame(columns, index=common)
    series = pd.DataFrame(rows).set_index("series")
    members = _equal_columns(net)
    distinct = pd.DataFrame({name: net[equal[0]] for name, equal in members.items()})
    pairs = _across_runs(members, series)
    year = _bars_of_a_year(runs)
    options = next(iter(runs.values())).config.comparison
    return RunComparison(
        names=tuple(runs),
        configs=config_table(runs),
        net=net,
        series=series,
        days=_days(runs, common),
        comparison=compare_variants(
            distinct, draws=options.draws, block=options.block, seed=options.seed, pairs=pairs, bars_per_year=year
        ),
        members=members,
    )


def _equal_columns(net: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Columns that are equal on every date, by a name made of theirs."""
    groups: dict[bytes, list[str]] = {}
    for name in net:
        groups.setdefault(net[name].to_numpy().tobytes(), []).append(str(name))
    return {" = ".join(names): tuple(names) for names in groups.values()}


def _across_runs(members: Mapping[str, tuple[str, ...]], series: pd.DataFrame) -> set[tuple[str, str]]:
    """Pairs of columns that hold series of two runs: two variants of one run are that run's own comparison."""
    runs = {name: set(series.loc[list(equal), "run"]) for name, equal in members.items()}
    return {(a, b) for a, b in combinations(members, 2) if len(runs[a] | runs[b]) > 1}


def _bars_of_a_year(runs: Mapping[str, RunData]) -> float:
    """The bars of a year that all runs count; refused where they differ, because their figures are not of one kind."""
    found = {name: run.bars_per_year for name, run in runs.items()}
    if len(set(found.values())) > 1:
        counts = "; ".join(f"{name} {count:g}" for name, count in found.items())
        raise DataError(
            f"The runs count different numbers of bars to a year: {counts}. Compare runs of bars of one kind, or make "
            "them again with one data.bars_per_year."
        )
    return next(iter(found.values()))


def named_folders(folders: Sequence[Path]) -> dict[str, Path]:
    """Short names of run folders: the last part of each path, with as many parents as tell them apart.

    Raises
    ------
    ConfigError
        The same folder twice.
    """
    paths = [folder.resolve() for folder in folders]
    for k, path in enumerate(paths):
        if path in paths[:k]:
            raise ConfigError(f"{folders[k]} is given twice: name each run's folder once.")
    depth = 1
    while len({path.parts[-depth:] for path in paths}) < len(paths):
        depth += 1
    return {"/".join(path.parts[-depth:]): folder for path, folder in zip(paths, folders, strict=True)}


def config_table(runs: Mapping[str, RunData]) -> pd.DataFrame:
    """Keys whose values differ between the runs, as text; of paths only the file name counts."""
    flat = {name: _flat(run) for name, run in runs.items()}
    keys = list(dict.fromkeys(key for values in flat.values() for key in values))
    rows = {}
    for key in keys:
        values = [flat[name].get(key, "") for name in runs]
        if len(set(values)) > 1:
            rows[key] = values
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(runs), dtype="str").rename_axis("key")


def _flat(run: RunData) -> dict[str, str]:
    out = {}
    for table, section in json.loads(to_json(run.config)).items():
        for key, value in section.items():
            path = f"{table}.{key}"
            if path in _PATHS and isinstance(value, str):
                value = Path(value).name
            out[path] = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    out |= {f"prices: {key}": str(value) for key, value in sorted(run.source.items())}
    return out | {f"version: {key}": value for key, value in sorted(run.versions.items())}


def _chosen(run: RunData, variants: Sequence[str]) -> dict[str, str]:
    if not variants:
        return run.labels
    return {name: label for name, label in run.labels.items() if name in variants or label in variants}


def _common_dates(runs: Mapping[str, RunData]) -> pd.DatetimeIndex:
    common = None
    for run in runs.values():
        index = pd.DatetimeIndex(run.net.index)
        common = index if common is None else common.intersection(index)
    assert common is not None
    if len(common) < 2:
        spans = "; ".join(f"{name} {_span(pd.DatetimeIndex(run.net.index))}" for name, run in runs.items())
        raise DataError(
            f"The runs share {len(common)} trading dates, and a comparison needs at least two: {spans}. Compare runs "
            "over the same period."
        )
    return common.sort_values()


def _span(index: pd.DatetimeIndex) -> str:
    return f"trades from {index[0]:%Y-%m-%d} to {index[-1]:%Y-%m-%d}" if len(index) else "has no trading date"


def _days(runs: Mapping[str, RunData], common: pd.DatetimeIndex) -> pd.DataFrame:
    rows = []
    for run in runs.values():
        index = run.net.index
        rows.append({"first": index[0], "last": index[-1], "days": len(index), "in common": len(common)})
    return pd.DataFrame(rows, index=pd.Index(list(runs), name="run")).astype({"days": np.int64, "in common": np.int64})
