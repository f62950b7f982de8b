"""Portfolio limits: which trades are refused because too much is held already.

A limit joins trades of different pairs and cohorts, so it is decided on the trades of the whole run, in the order
of their entries; refused trades are then left out when the windows are traded again. A decision at a close uses
what is held at that close, and nothing later. A refused signal is gone: the pair waits for its next one.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pairs_bt.config.schema import Config

Refusals = dict[tuple[int, str], np.ndarray]


def limited(config: Config) -> bool:
    """Whether any portfolio limit is set."""
    options = config.portfolio
    return any(v is not None for v in (options.max_pairs_held, options.max_ticker_share, options.max_gross))


def refuse(trades: Sequence[pd.DataFrame], config: Config) -> Refusals:
    """Decide which trades the limits refuse.

    Parameters
    ----------
    trades : sequence of DataFrame
        The trades table of each window, in the order of windows, traded without limits.
    config : Config
        `portfolio.max_pairs_held` (trades held at once), `portfolio.max_gross` (gross exposure at entry prices, as a
        multiple of the capital), `portfolio.max_ticker_share` (one ticker's gross exposure, as a share of the capital,
        both sides and all cohorts added).

    Returns
    -------
    dict
        Per window number and variant, one flag a trade in the table's order: 1 refused, 0 taken.
    """
    flags: Refusals = {}
    variants = list(dict.fromkeys(name for table in trades for name in table["variant"].unique()))
    for name in variants:
        own = [table[table["variant"] == name] for table in trades]
        for k, taken in enumerate(_decide(own, config)):
            flags[k, name] = taken
    return flags


def _decide(windows: list[pd.DataFrame], config: Config) -> list[np.ndarray]:
    options = config.portfolio
    flags = [np.zeros(len(table), dtype=np.int8) for table in windows]
    entries = []
    for k, table in enumerate(windows):
        legs = zip(
            table["entry_date"], table["exit_date"], table["y"], table["x"],
            (table["units_y"].abs() * table["entry_y"]), (table["units_x"].abs() * table["entry_x"]), strict=True,
        )  # fmt: skip
        entries += [(entry, k, number, leave, y, x, dy, dx) for number, (entry, leave, y, x, dy, dx) in enumerate(legs)]
    # At the same close: older cohorts first, then the order of the table, best candidates first.
    entries.sort(key=lambda e: e[:3])
    held: list[tuple[pd.Timestamp, int, str, str, float, float]] = []
    by_ticker: dict[str, float] = defaultdict(float)
    for count, (entry, k, number, leave, y, x, dy, dx) in enumerate(entries):
        # An exit at this close frees its place for an entry at this close.
        while held and held[0][0] <= entry:
            _, _, old_y, old_x, old_dy, old_dx = heapq.heappop(held)
            by_ticker[old_y] -= old_dy
            by_ticker[old_x] -= old_dx
        gross = sum(h[4] + h[5] for h in held) + dy + dx
        ticker = max(by_ticker[y] + dy, by_ticker[x] + dx)
        if (
            (options.max_pairs_held is not None and len(held) >= options.max_pairs_held)
            or (options.max_gross is not None and gross > options.max_gross * options.capital * (1 + 1e-12))
            or (
                options.max_ticker_share is not None
                and ticker > options.max_ticker_share * options.capital * (1 + 1e-12)
            )
        ):
            flags[k][number] = 1
            continue
        by_ticker[y] += dy
        by_ticker[x] += dx
        # A trade that is still open leaves at no known date.
        heapq.heappush(held, (pd.Timestamp.max if pd.isna(leave) else leave, count, y, x, dy, dx))
    return flags
