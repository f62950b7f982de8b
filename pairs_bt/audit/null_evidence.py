"""The real universe's place among the null ones: Monte-Carlo p-values and the false discovery rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.audit.universe_statistics import STATISTICS, UniverseStatistics
from pairs_bt.data.synthetic.surrogates import NullKind
from pairs_bt.stats.sharpe_difference import holm

Draws = Mapping[NullKind, Sequence[UniverseStatistics]]

# What a universe that gives no trade or no reversion counts as, so that every universe has a place.
_ABSENT = {"half_life": math.inf, "trades": 0.0, "mean_trade_bp": 0.0, "annual_return": 0.0, "sharpe": 0.0}
_ALL = "all"


@dataclass(frozen=True)
class Discovery:
    """Candidates found and expected by chance, over all windows, under one kind of null.

    Attributes
    ----------
    kind : str
    found : int
        Pairs that passed the tests on the real prices.
    expected, std_error : float
        Mean count over the null universes, and its Monte-Carlo standard error.
    low, high : float
        2.5% and 97.5% quantiles of the null counts: what chance gives in one universe.
    rate, rate_low, rate_high : float
        Estimated false discovery rate, expected / found, at most 1, and with the quantiles in place of the mean.
        It takes every pair for unrelated (pi0 = 1), so it is on the high side where many pairs are real. NaN where
        nothing was found.
    p_value : float
        Monte-Carlo p-value of `found`, upper tail.
    """

    kind: str
    found: int
    expected: float
    std_error: float
    low: float
    high: float
    rate: float
    rate_low: float
    rate_high: float
    p_value: float


# After so many null universes at least as extreme as the real one its p-value is known: to 22% of itself, or better.
HITS = 20
LEVEL = 0.05


def p_value(real: float, null: Sequence[float] | np.ndarray, tail: str, hits: int | None = None) -> float:
    """Monte-Carlo p-value (r + 1) / (n + 1), r null values at least as extreme as the real one.

    Davison and Hinkley (1997), section 4.2. Ties count against the real value, so the p-value is never too small. With
    `hits` it is sequential (Besag and Clifford 1991): `hits` / l where the l-th value is the hits-th that is at least
    as extreme, whatever comes after; (r + 1) / (n + 1) where there are fewer.

    Parameters
    ----------
    real : float
        The value on the real prices.
    null : array (n,)
        Its values on null universes.
    tail : {'high', 'low'}
        Which values are extreme.
    hits : int, optional
        At least 1.
    """
    extreme = _extreme(real, null, tail)
    if hits is not None and extreme.sum() >= hits:
        return hits / (int(np.searchsorted(np.cumsum(extreme), hits)) + 1)
    return (int(extreme.sum()) + 1) / (extreme.size + 1)


def _extreme(real: float, null: Sequence[float] | np.ndarray, tail: str) -> np.ndarray:
    values = np.asarray(null, dtype=np.float64)
    return np.asarray(values >= real if tail == "high" else values <= real)


def needed_draws(statements: int, level: float = LEVEL) -> int:
    """Null universes of each kind without which nothing can be called real.

    The least p-value of n universes is 1 / (n + 1), times the number of statements after Holm's correction.

    >>> needed_draws(1), needed_draws(6)
    (19, 119)
    """
    return math.ceil(round(statements / level, 9)) - 1


def settled(real: UniverseStatistics, found: Sequence[UniverseStatistics], hits: int = HITS) -> bool:
    """Whether the p-values that a verdict rests on are known: candidates, and every variant's net Sharpe ratio."""
    rows = [(float(sum(real.passed)), [float(sum(m.passed)) for m in found])]
    rows += [(value(real, name, "sharpe"), [value(m, name, "sharpe") for m in found]) for name in real.variants]
    return all(_extreme(own, null, "high").sum() >= hits for own, null in rows)


def null_percentile(real: float, null: Sequence[float] | np.ndarray) -> float:
    """Share of the null values below the real one, ties by half."""
    values = np.asarray(null, dtype=np.float64)
    return float(((values < real).sum() + 0.5 * (values == real).sum()) / values.size)


def value(found: UniverseStatistics, variant: str, statistic: str) -> float:
    """One statistic of one variant, with a stand-in where the universe gave none."""
    number = found.variants[variant][statistic]
    return _ABSENT[statistic] if math.isnan(number) else number


def discoveries(real: UniverseStatistics, draws: Draws, hits: int | None = None) -> list[Discovery]:
    """Candidates found against candidates expected, one entry a kind of null; `hits` as in :func:`p_value`."""
    return [_discovery(kind, sum(real.passed), [sum(m.passed) for m in found], hits) for kind, found in draws.items()]


def _discovery(kind: str, found: int, null: Sequence[int], hits: int | None) -> Discovery:
    counts = np.asarray(null, dtype=np.float64)
    low, high = np.quantile(counts, [0.025, 0.975])
    error = float(counts.std(ddof=1) / math.sqrt(counts.size)) if counts.size > 1 else math.nan

    def share(expected: float) -> float:
        return min(1.0, expected / found) if found else math.nan

    mean = float(counts.mean())
    return Discovery(
        kind, found, mean, error, float(low), float(high),
        share(mean), share(float(low)), share(float(high)), p_value(found, counts, "high", hits),
    )  # fmt: skip


def null_frame(real: UniverseStatistics, draws: Draws, hits: int | None = None) -> pd.DataFrame:
    """One row a kind of null, variant and statistic (null.csv).

    Columns: kind, variant, statistic, tail (in which the p-value is taken), real, null_mean, null_sd, null_q025,
    null_median, null_q975, place (share of the null below the real value), p_value (:func:`p_value` with `hits`),
    draws, and extreme: how many of them are at least as extreme as the real one. Candidates have the variant 'all'.
    """
    rows = []
    for kind, found in draws.items():
        rows.append(
            _row(kind, _ALL, "candidates", "high", sum(real.passed), [float(sum(m.passed)) for m in found], hits)
        )
        for variant in real.variants:
            for statistic, tail in STATISTICS.items():
                null = [value(m, variant, statistic) for m in found]
                rows.append(_row(kind, variant, statistic, tail, value(real, variant, statistic), null, hits))
    return pd.DataFrame(rows)


def _row(
    kind: str, variant: str, statistic: str, tail: str, real: float, null: list[float], hits: int | None
) -> dict[str, object]:
    values = np.asarray(null, dtype=np.float64)
    finite = values[np.isfinite(values)]
    q = np.quantile(finite, [0.025, 0.5, 0.975]) if finite.size else [math.nan] * 3
    return {
        "kind": kind,
        "variant": variant,
        "statistic": statistic,
        "tail": tail,
        "real": real,
        "null_mean": float(finite.mean()) if finite.size else math.nan,
        "null_sd": float(finite.std(ddof=1)) if finite.size > 1 else math.nan,
        "null_q025": float(q[0]),
        "null_median": float(q[1]),
        "null_q975": float(q[2]),
        "place": null_percentile(real, values),
        "p_value": p_value(real, values, tail, hits),
        "draws": values.size,
        "extreme": int(_extreme(real, values, tail).sum()),
    }


def lookup(table: pd.DataFrame) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Rows of the null table by (variant, statistic, kind)."""
    return {(row["variant"], row["statistic"], row["kind"]): row for row in _records(table)}


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): item for key, item in row.items()} for row in table.to_dict("records")]


def windows_frame(real: UniverseStatistics, draws: Draws, labels: Sequence[str]) -> pd.DataFrame:
    """One row a window: found, expected with the interval of one universe, and the procedures on p-values.

    Columns: test_end, tested, found, selected, per kind `expected_KIND`, `low_KIND`, `high_KIND` and `fdr_KIND`,
    then bh and by, the pairs that Benjamini-Hochberg and -Yekutieli reject within the window.
    """
    columns: dict[str, object] = {
        "test_end": list(labels),
        "tested": real.tested,
        "found": real.passed,
        "selected": real.selected,
    }
    found = np.asarray(real.passed, dtype=np.float64)
    for kind, universes in draws.items():
        counts = np.asarray([m.passed for m in universes], dtype=np.float64)
        expected = counts.mean(axis=0)
        low, high = np.quantile(counts, [0.025, 0.975], axis=0)
        rate = np.minimum(1.0, expected / np.where(found > 0, found, 1.0))
        columns |= {f"expected_{kind}": expected, f"low_{kind}": low, f"high_{kind}": high}
        columns[f"fdr_{kind}"] = np.where(found > 0, rate, math.nan)
    return pd.DataFrame(columns | {"bh": real.bh, "by": real.by})


@dataclass(frozen=True)
class NullVerdict:
    """Whether something stands out of all kinds of null, and by how much.

    Attributes
    ----------
    what : str
        'candidates' or the name of a variant (judged by its net Sharpe ratio).
    real : float
        Its value on the real prices.
    p_value : float
        The largest p-value over the kinds of null: a result that any of them explains is not called real.
    adjusted : float
        Holm-adjusted over the variants (candidates are judged alone).
    stands_out : bool
        Whether `adjusted` is at most 5%.
    known : bool
        Whether there are universes enough to say so, or that it does not: `needed` of every kind; or the p-value
        under one kind is known and above 5%.
    needed : int
        :func:`needed_draws`.
    """

    what: str
    real: float
    p_value: float
    adjusted: float
    stands_out: bool
    known: bool
    needed: int


def judge_against_null(table: pd.DataFrame, level: float = LEVEL, hits: int | None = None) -> list[NullVerdict]:
    """Judge the candidates and every variant's Sharpe ratio from the null table."""
    candidates = table[table["statistic"] == "candidates"]
    sharpe = table[table["statistic"] == "sharpe"]
    groups = [part for _, part in sharpe.groupby("variant", sort=False)]
    adjusted = holm([float(part["p_value"].max()) for part in groups])
    judged = [_verdict("candidates", candidates, float(candidates["p_value"].max()), 1, level, hits)]
    judged += [
        _verdict(str(part["variant"].iloc[0]), part, float(p), len(groups), level, hits)
        for part, p in zip(groups, adjusted, strict=True)
    ]
    return judged


def _verdict(
    what: str, rows: pd.DataFrame, adjusted: float, statements: int, level: float, hits: int | None
) -> NullVerdict:
    needed = needed_draws(statements, level)
    known = bool((rows["draws"] >= needed).all())
    if hits is not None:
        known |= bool(((rows["extreme"] >= hits) & (rows["p_value"] > level)).any())
    real = float(rows["real"].iloc[0])
    return NullVerdict(what, real, float(rows["p_value"].max()), adjusted, bool(adjusted <= level), known, needed)
