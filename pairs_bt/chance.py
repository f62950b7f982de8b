"""What chance alone would select: the rules of a run on independent random walks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pairs_bt import cointegration
from pairs_bt.config import Selection
from pairs_bt.selection import ScanColumns, choose

WALKS = 160


@dataclass(frozen=True)
class ChanceRate:
    """Share of independent random-walk pairs that pass the tests.

    Attributes
    ----------
    rate : float
    std_error : float
        Monte-Carlo standard error over independent batches of pairs.
    pairs : int
        Pairs simulated.
    """

    rate: float
    std_error: float
    pairs: int


@lru_cache(maxsize=64)
def chance_rate(options: Selection, bars: int, *, seed: int, batches: int = 8) -> ChanceRate:
    """Simulate the share of pairs of independent Gaussian random walks that the selection's tests accept.

    Remembered within a process: an audit makes many runs of the same rules.

    Parameters
    ----------
    options : Selection
        The rules; `max_pairs` does not matter here.
    bars : int
        Train length.
    seed : int
        Of the walks; the same seed gives the same rate.
    batches : int
        Each is four markets of 40 walks, whose 780 pairs share walks; the standard error comes from the spread of
        the rates over all markets.
    """
    i, j = np.triu_indices(WALKS // 4, k=1)
    rates = []
    for child in np.random.SeedSequence(seed).spawn(4 * batches):
        walks = 1000.0 + np.cumsum(np.random.default_rng(child).normal(size=(WALKS // 4, bars)), axis=1)
        found = cointegration.scan_chunk(cointegration.prepare(walks), i, j, var_order=options.var_order)
        scan = ScanColumns(
            i, j, found.eg_stat_12, found.eg_pvalue_12, found.eg_stat_21, found.eg_pvalue_21, found.var_order,
            found.trace0, found.trace1, np.where(found.code == 0, "", "refused").astype(object),
        )  # fmt: skip
        rates.append(float(choose(scan, options).passed.mean()))
    spread = float(np.std(rates, ddof=1)) / len(rates) ** 0.5
    return ChanceRate(float(np.mean(rates)), spread, i.size * len(rates))
