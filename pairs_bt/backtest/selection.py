"""Which pairs are tested, and which of the tested become candidates. Every refused pair keeps its reason."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from pairs_bt.config.schema import PairGroups, Selection, Universe, reads
from pairs_bt.data.reference_tables import read_table
from pairs_bt.errors import ConfigError
from pairs_bt.models.johansen_pvalues import last_pvalues, trace_pvalues
from pairs_bt.models.scan.pair_distance import MEASURES, ranking
from pairs_bt.models.scan.partial_cointegration import CHOSEN_Y
from pairs_bt.models.scan.partial_cointegration import COLUMNS as PARTIAL

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
        How alike the two prices are (`pairs_bt.models.scan.pair_distance.MEASURES`); NaN where the pair was not tested.
    partial : numpy.ndarray, shape (pairs, 6), or (0, 6) where the test was not asked for
        Partial cointegration (`pairs_bt.models.scan.partial_cointegration.COLUMNS`) of the pair with y on the left.
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
    partial: np.ndarray = field(default_factory=lambda: np.empty((0, len(PARTIAL))))

    @property
    def tested(self) -> np.ndarray:
        """Where both tests were made."""
        return np.asarray(self.reason == "")

    @property
    def y_is_first(self) -> np.ndarray:
        """Where s1 is y: the series on the left of the better Engle-Granger regression."""
        return y_is_first(self.eg_stat_12, self.eg_stat_21)


def y_is_first(eg_stat_12: np.ndarray, eg_stat_21: np.ndarray) -> np.ndarray:
    """Where s1 is y: the regression with it on the left has the better Engle-Granger statistic, or the same."""
    # Compared by statistic, which is exact where both p-values are 0 or 1.
    return np.asarray(~(eg_stat_21 < eg_stat_12))


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
    first : numpy.ndarray of bool
        Where s1 is y: as the better regression has it, or as the universe names the pair where no test decides.
    """

    selected: np.ndarray
    passed: np.ndarray
    reason: np.ndarray
    order: np.ndarray
    first: np.ndarray


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
    elif isinstance(options.pairs, tuple):
        first, second = (_positions(names, tickers, "universe.pairs") for names in zip(*options.pairs, strict=True))
        pairs = list(zip(first, second, strict=True))
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
        # a name in another case is the usual slip, and the nearest to nothing else
        folded = {name.casefold(): name for name in tickers}
        near = [folded[name.casefold()] for name in missing if name.casefold() in folded] or difflib.get_close_matches(
            missing[0], tickers, n=3
        )
        hint = f" Near it: {', '.join(near[:5])}." if near else ""
        raise ConfigError(
            f"{where} names tickers that the prices do not have: {shown}.{hint} The prices have {len(tickers)} "
            f"columns, from {tickers[0]!r} to {tickers[-1]!r}; names must match to the letter."
        )
    return [place[name] for name in names]


def eligibility(
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


def eligibility_reasons(codes: np.ndarray, tickers: list[str], i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Reason of each pair whose legs do not both take part, such as 'incomplete: XYZ'; '' otherwise."""
    texts = np.array([f"{STANDING[c]}: {name}" if c else "" for c, name in zip(codes, tickers, strict=True)], object)
    return np.where(codes[i] > 0, texts[i], texts[j])


@reads("selection")
def select_pairs(scan: ScanColumns, options: Selection) -> Choice:
    """Apply the rules of `[selection]` to one window's scan.

    Each test gives a pair one p-value (:func:`engle_granger_pvalue`, :func:`johansen_pvalue`,
    :func:`partial_pvalue`), the tests together give one (:func:`pair_pvalue`), and a pair passes where that is at
    most `alpha`. Best first: by the Engle-Granger p-value (where it is not among the tests by that of partial
    cointegration, or else by trace0), ties by trace0, then by the order of the universe.

    Without tests every pair that can be tested passes, in the order of the universe and with y as it is named there.

    Under ``method = "distance"`` or ``"correlation"`` no test decides: every tested pair passes, and the nearest, or
    the most correlated, are taken.
    """
    if options.method != "cointegration":
        return _nearest(scan, options)
    tested = scan.tested
    if not options.tests:
        return _best(np.flatnonzero(tested), tested, scan, options)
    single = _single(scan, options)
    passed = tested & (_joint(single, tested, options) <= options.alpha)
    accepted = {name: pvalue <= options.alpha for name, pvalue in single.items()}
    key = single.get("engle_granger", single.get("partial", np.zeros(passed.size)))
    candidates = np.flatnonzero(passed)
    ranked = candidates[np.lexsort((-scan.trace0[candidates], key[candidates]))]
    # of millions of pairs: no p-values beside the texts
    del single, key

    reason = scan.reason.astype(object)
    failed = tested & ~passed
    # What is left after the tests' own reasons passed them, and failed for the number of pairs that were looked at.
    reason[failed] = "multiplicity"
    if options.combine == "any" and len(accepted) > 1:
        reason[failed & ~np.logical_or.reduce(list(accepted.values()))] = "no test passed"
    else:
        for name in reversed(accepted):
            reason[failed & ~accepted[name]] = name
    return _best(ranked, passed, scan, options, reason)


def _nearest(scan: ScanColumns, options: Selection) -> Choice:
    passed = scan.tested
    candidates = np.flatnonzero(passed)
    if scan.measures.shape[0]:
        key = ranking(scan.measures, options.method)[candidates]
        # stable: ties keep the order of the universe; a pair without the measure comes last
        candidates = candidates[np.argsort(key, kind="stable")]
    return _best(candidates, passed, scan, options)


def _best(
    ranked: np.ndarray, passed: np.ndarray, scan: ScanColumns, options: Selection, reason: np.ndarray | None = None
) -> Choice:
    """Take the first of the ranked pairs; the others keep the reason that they came too late."""
    reason, most = scan.reason.astype(object) if reason is None else reason, options.max_pairs
    selected = np.zeros(passed.size, dtype=bool)
    selected[ranked[:most]] = True
    reason[passed & ~selected] = "max_pairs"
    first = scan.y_is_first if options.tests else np.ones(passed.size, dtype=bool)
    return Choice(selected, passed, reason, ranked[:most], first)


def taken_by(options: Selection) -> str:
    """What decides which pairs are taken: ``'cointegration'`` for the tests, else the method, or ``'name'``."""
    return options.method if options.tests or options.method != "cointegration" else "name"


def accepts(scan: ScanColumns, options: Selection) -> np.ndarray:
    """Whether the tests accept each pair, before `max_pairs`."""
    return np.asarray(scan.tested & (pair_pvalue(scan, options) <= options.alpha))


def engle_granger_pvalue(scan: ScanColumns, options: Selection) -> np.ndarray:
    """The smaller of the two p-values of each pair, doubled under ``two_way = "bonferroni"``: both were looked at.

    NaN where the pair was not tested.
    """
    pvalue = np.fmin(scan.eg_pvalue_12, scan.eg_pvalue_21)
    return np.minimum(1.0, 2.0 * pvalue) if options.two_way == "bonferroni" else pvalue


def johansen_pvalue(scan: ScanColumns, options: Selection) -> np.ndarray:
    """The p-value of the trace test's rule, under the null that the pair has no relation.

    ``johansen = "rank_one"`` asks for one relation: the p-value of rank 0, and 1 where rank <= 1 is rejected at
    `alpha` too. ``"book"`` asks that both ranks be rejected, which is two stationary series: the larger of both.
    Setting a p-value to 1 or taking the larger of two never makes it too small under the null. NaN where the pair
    was not tested.
    """
    none, one = trace_pvalues(scan.trace0), last_pvalues(scan.trace1)
    if options.johansen == "book":
        return np.maximum(none, one)
    return np.where(one <= options.alpha, 1.0, none)


def partial_pvalue(scan: ScanColumns, options: Selection) -> np.ndarray:
    """The p-value of partial cointegration, under the null that the residual is a random walk.

    Of one regression, that with y on the left; but Engle-Granger chose y, so under ``two_way = "bonferroni"`` it is
    larger by what that costs (`CHOSEN_Y`, simulated; twice would be a bound). NaN where the pair was not tested.
    """
    pvalue = scan.partial[:, PARTIAL.index("partial_pvalue")]
    return np.minimum(1.0, CHOSEN_Y * pvalue) if options.two_way == "bonferroni" else pvalue


_PVALUES = {"engle_granger": engle_granger_pvalue, "johansen": johansen_pvalue, "partial": partial_pvalue}


def pair_pvalue(scan: ScanColumns, options: Selection) -> np.ndarray:
    """The p-value that a pair is judged by; NaN where it was not tested.

    With p of each of the tests that are asked for:

    - ``combine = "all"``: the larger. Both must reject, so it is a p-value of the null whatever they have in common.
    - ``combine = "any"``: the smaller. That is a p-value only after Bonferroni, so `multiplicity` adjusts twice the
      smaller. Without `multiplicity` it is compared as it is: each test at its own level, as the rule says.

    `multiplicity` then adjusts it over the window's tested pairs (Benjamini-Hochberg or -Yekutieli).
    """
    return _joint(_single(scan, options), scan.tested, options)


def _single(scan: ScanColumns, options: Selection) -> dict[str, np.ndarray]:
    return {name: pvalue(scan, options) for name, pvalue in _PVALUES.items() if name in options.tests}


def _joint(single: dict[str, np.ndarray], tested: np.ndarray, options: Selection) -> np.ndarray:
    columns = list(single.values())
    adjusts = options.multiplicity != "none"
    if options.combine == "all":
        pvalue = np.maximum.reduce(columns)
    else:
        pvalue = np.minimum.reduce(columns)
        if adjusts:
            pvalue = np.minimum(1.0, len(columns) * pvalue)
    if adjusts and tested.any():
        from statsmodels.stats.multitest import multipletests

        pvalue = pvalue.copy()
        pvalue[tested] = multipletests(pvalue[tested], method=f"fdr_{options.multiplicity}")[1]
    return pvalue
