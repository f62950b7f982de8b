"""Which pairs are tested, and which of the tested become candidates. Every refused pair keeps its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from pairs_bt.config import PairGroups, Selection, Universe
from pairs_bt.distance import MEASURES, ranking
from pairs_bt.errors import ConfigError
from pairs_bt.reference_tables import read_table

# MacKinnon, Haug and Michelis (1999), 95%, two series, constant outside the relation (det_order 0).
TRACE_95 = (15.4943, 3.8415)

# What a ticker's train window lacks; index into STANDING.
STANDING = ("", "incomplete", "constant", "not a member")


@dataclass(frozen=True)
class ScanColumns:
    """The scan of one window, one entry a pair, in the order of the universe.

    Attributes
    ----------
    i, j : numpy.ndarray
        Columns of the two tickers (s1, s2).
    eg_stat_12, eg_pvalue_12, eg_stat_21, eg_pvalue_21 : numpy.ndarray
        Engle-Granger with s1, respectively s2, on the left. NaN where the pair was not tested.
    var_order : numpy.ndarray
        AIC order of the VAR in levels, -1 where the pair was not tested.
    trace0, trace1 : numpy.ndarray
        Johansen trace statistics for rank 0 and rank <= 1.
    reason : numpy.ndarray
        Text: why the pair was not tested, '' where it was.
    measures : numpy.ndarray, shape (pairs, 5), or (0, 5) where they were not asked for
        How alike the two prices are (`pairs_bt.distance.MEASURES`); NaN where the pair was not tested.
    """

    i: np.ndarray
    j: np.ndarray
    eg_stat_12: np.ndarray
    eg_pvalue_12: np.ndarray
    eg_stat_21: np.ndarray
    eg_pvalue_21: np.ndarray
    var_order: np.ndarray
    trace0: np.ndarray
    trace1: np.ndarray
    reason: np.ndarray
    measures: np.ndarray = field(default_factory=lambda: np.empty((0, len(MEASURES))))

    @property
    def tested(self) -> np.ndarray:
        """Where both tests were made."""
        return np.asarray(self.reason == "")

    @property
    def y_is_first(self) -> np.ndarray:
        """Where s1 is y: the series on the left of the better Engle-Granger regression."""
        # Compared by statistic, which is exact where both p-values are 0 or 1.
        return ~(self.eg_stat_21 < self.eg_stat_12)


@dataclass(frozen=True)
class Choice:
    """Candidates of one window.

    Attributes
    ----------
    selected : numpy.ndarray
        Whether the pair became a candidate.
    passed : numpy.ndarray
        Whether it passed the tests, before `max_pairs`.
    reason : numpy.ndarray
        Text, '' where selected.
    order : numpy.ndarray
        Positions of the selected pairs, best first.
    """

    selected: np.ndarray
    passed: np.ndarray
    reason: np.ndarray
    order: np.ndarray


def resolve_pairs(options: Universe, tickers: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Positions (i, j) of every pair that the universe names, without doubles and without self-pairs.

    Raises
    ------
    ConfigError
        When the groups or the pair file name a ticker that the prices lack, or leave no pair.
    """
    if options.pairs == "all":
        i, j = np.triu_indices(len(tickers), k=1)
        return i.astype(np.int64), j.astype(np.int64)
    if isinstance(options.pairs, PairGroups):
        left = _positions(options.pairs.left, tickers, "universe.pairs.left")
        right = _positions(options.pairs.right, tickers, "universe.pairs.right")
        pairs = [(a, b) for a in left for b in right]
    else:
        table = read_table(options.pairs, ("y", "x"), "universe.pairs")
        first = _positions(tuple(table["y"]), tickers, f"column y of {Path(options.pairs).name}")
        second = _positions(tuple(table["x"]), tickers, f"column x of {Path(options.pairs).name}")
        pairs = list(zip(first, second, strict=True))
    seen: set[frozenset[int]] = set()
    kept = []
    for pair in pairs:
        key = frozenset(pair)
        if len(key) == 2 and key not in seen:
            seen.add(key)
            kept.append(pair)
    if not kept:
        raise ConfigError("universe.pairs leaves no pair of two different tickers: name at least one.")
    array = np.array(kept, dtype=np.int64)
    return np.ascontiguousarray(array[:, 0]), np.ascontiguousarray(array[:, 1])


def _positions(names: tuple[str, ...], tickers: list[str], where: str) -> list[int]:
    place = {name: k for k, name in enumerate(tickers)}
    missing = sorted({name for name in names if name not in place})
    if missing:
        shown = ", ".join(map(repr, missing[:5])) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise ConfigError(
            f"{where} names tickers that the prices do not have: {shown}. The prices have {len(tickers)} columns, "
            f"from {tickers[0]!r} to {tickers[-1]!r}; names must match to the letter."
        )
    return [place[name] for name in names]


def standing(
    train: np.ndarray, tickers: list[str], membership: pd.DataFrame | None, test_end: np.datetime64
) -> np.ndarray:
    """Whether each ticker takes part in a window: 0, or an index into `STANDING`.

    Parameters
    ----------
    train : numpy.ndarray, shape (tickers, bars)
        Filled train prices; a NaN left means the ticker is not complete.
    tickers : list of str
        Names of the rows.
    membership : DataFrame or None
        Point-in-time membership.
    test_end : numpy.datetime64
        The day on which membership is looked up.
    """
    out = np.zeros(len(tickers), dtype=np.int8)
    complete = np.isfinite(train).all(axis=1)
    out[~complete] = 1
    out[complete & (train == train[:, :1]).all(axis=1)] = 2
    if membership is not None:
        live = membership[(membership["start"] <= test_end) & (membership["end"] >= test_end)]
        out[~np.isin(np.array(tickers, dtype=object), live["ticker"].to_numpy(dtype=object))] = 3
    return out


def standing_reasons(codes: np.ndarray, tickers: list[str], i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Reason of each pair whose legs do not both take part, such as 'incomplete: XYZ'; '' otherwise."""
    texts = np.array([f"{STANDING[c]}: {name}" if c else "" for c, name in zip(codes, tickers, strict=True)], object)
    return np.where(codes[i] > 0, texts[i], texts[j])


def choose(scan: ScanColumns, options: Selection) -> Choice:
    """Apply the rules of `[selection]` to one window's scan.

    The p-value of a pair is the smaller of its two Engle-Granger p-values, doubled under ``two_way =
    "bonferroni"`` because both were looked at; `multiplicity` then adjusts it over the window's tested pairs
    (Benjamini-Hochberg or -Yekutieli). ``johansen = "rank_one"`` asks trace0 above and trace1 below its 95%
    value; ``"book"`` asks both above, which is rank two: two stationary series. Best first: by p-value (by trace0
    when Engle-Granger is not among the tests), ties by trace0, then by the order of the universe.

    Under ``method = "distance"`` or ``"correlation"`` no test decides: every tested pair passes, and the nearest, or
    the most correlated, are taken.
    """
    if options.method != "cointegration":
        return _nearest(scan, options)
    tested = scan.tested
    pvalue = pair_pvalue(scan, options)
    passes, failures = [], []
    if "engle_granger" in options.tests:
        passes.append(pvalue <= options.alpha)
        failures.append("engle_granger")
    if "johansen" in options.tests:
        passes.append(johansen_accepts(scan, options.johansen))
        failures.append("johansen")
    ok = np.logical_and.reduce(passes) if options.combine == "all" else np.logical_or.reduce(passes)
    passed = tested & ok

    reason = scan.reason.astype(object)
    for name, accepted in zip(reversed(failures), reversed(passes), strict=True):
        reason[tested & ~passed & ~accepted] = name
    if options.combine == "any" and len(passes) > 1:
        reason[tested & ~passed] = "no test passed"

    key = pvalue if "engle_granger" in options.tests else np.zeros_like(pvalue)
    candidates = np.flatnonzero(passed)
    ranked = candidates[np.lexsort((-scan.trace0[candidates], key[candidates]))]
    return _best(ranked, passed, reason, options.max_pairs)


def _nearest(scan: ScanColumns, options: Selection) -> Choice:
    passed = scan.tested
    candidates = np.flatnonzero(passed)
    if scan.measures.shape[0]:
        key = ranking(scan.measures, options.method)[candidates]
        # stable: ties keep the order of the universe; a pair without the measure comes last
        candidates = candidates[np.argsort(key, kind="stable")]
    return _best(candidates, passed, scan.reason.astype(object), options.max_pairs)


def _best(ranked: np.ndarray, passed: np.ndarray, reason: np.ndarray, most: int) -> Choice:
    """Take the first of the ranked pairs; the others keep the reason that they came too late."""
    selected = np.zeros(passed.size, dtype=bool)
    selected[ranked[:most]] = True
    reason[passed & ~selected] = "max_pairs"
    return Choice(selected, passed, reason, ranked[:most])


def pair_pvalue(scan: ScanColumns, options: Selection) -> np.ndarray:
    """The p-value that a pair is judged by; NaN where it was not tested."""
    pvalue = np.fmin(scan.eg_pvalue_12, scan.eg_pvalue_21)
    if options.two_way == "bonferroni":
        pvalue = np.minimum(1.0, 2.0 * pvalue)
    tested = scan.tested
    if options.multiplicity != "none" and tested.any():
        from statsmodels.stats.multitest import multipletests

        pvalue = pvalue.copy()
        pvalue[tested] = multipletests(pvalue[tested], method=f"fdr_{options.multiplicity}")[1]
    return pvalue


def johansen_accepts(scan: ScanColumns, rule: str) -> np.ndarray:
    """Whether the trace statistics accept a pair under 'rank_one' or 'book'."""
    above0 = scan.trace0 > TRACE_95[0]
    above1 = scan.trace1 > TRACE_95[1]
    return np.asarray(above0 & above1 if rule == "book" else above0 & ~above1 & np.isfinite(scan.trace1))
