"""How well every rule would have hedged every pair of a universe, without a trade: `pairs-bt hedge --backtest`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from pairs_bt.backtest.ledger import BLOCK
from pairs_bt.backtest.study import Study, prepare
from pairs_bt.backtest.table_columns import effectiveness_of_pairs
from pairs_bt.backtest.window_tasks import Candidates, pair_paths, rule_effectiveness, rule_signals
from pairs_bt.config.hedge_rule_names import rule_names
from pairs_bt.config.schema import Config
from pairs_bt.data.prices import PriceData
from pairs_bt.errors import DataError

#: Pairs of a task.
CHUNK = 2 * BLOCK


def hedge_backtest(
    prices: PriceData,
    *,
    rules: Sequence[str] | None = None,
    config: Config | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Measure the hedge of every ordered pair in every window, under every rule.

    Parameters
    ----------
    prices : PriceData
        Of :func:`pairs_bt.read_prices`; two years of train bars and half a year after them, by default.
    rules : sequence of str
        Hedge rules; all by default.
    config : Config, optional
        Windows, filter and options of the rules; the default config's where it is None. Nothing is selected.
    jobs : int
        Threads. No number of them changes a result.
    progress : callable, optional
        Called with (windows done, windows in all).

    Returns
    -------
    DataFrame
        The columns of `run.hedge_effectiveness`; every y on every x whose train prices are complete.

    Raises
    ------
    DataError
        Prices too short for one window, or fewer than two tickers that take part in any.
    """
    options = config or Config()
    chosen = rule_names() if rules is None else tuple(rules)
    hedge = options.hedge.model_copy(update={"variants": chosen, "rehedge": ("never",)})
    study = prepare(options.model_copy(update={"hedge": hedge}), prices)
    parts = []
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        for k in range(len(study.windows)):
            candidates = every_ordered_pair(study, k)
            cuts = [(lo, min(lo + CHUNK, candidates.y.size)) for lo in range(0, candidates.y.size, CHUNK)]
            made = list(pool.map(lambda cut, k=k, c=candidates: _measured(study, k, c, *cut), cuts))
            if made:
                parts.append(effectiveness_of_pairs(study, k, candidates, made, list(chosen)).frame())
            if progress is not None:
                progress(k + 1, len(study.windows))
    if not parts:
        raise DataError(
            "No window has two tickers with complete train prices, so there is no pair to hedge. Pass prices of more "
            "tickers, or a longer history."
        )
    return pd.concat(parts, ignore_index=True)


def every_ordered_pair(study: Study, k: int) -> Candidates:
    """Rows of y and x of every ordered pair of the tickers that take part in window `k`."""
    able = np.flatnonzero(study.context(k).codes == 0)
    y, x = np.repeat(able, able.size), np.tile(able, able.size)
    return Candidates(y[y != x], x[y != x])


def _measured(study: Study, k: int, candidates: Candidates, lo: int, hi: int) -> dict[str, np.ndarray]:
    path = pair_paths(study, k, candidates, lo, hi)
    out: dict[str, np.ndarray] = {}
    for rule in study.config.hedge.variants:
        signals = rule_signals(study, k, path, rule, candidates, lo, hi)
        out[rule] = rule_effectiveness(study, k, signals, candidates, lo, hi)
    return out
