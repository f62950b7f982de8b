"""Markets with known truth: what a scan should find comes with the prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pairs_bt.data.synthetic.cointegrated_pairs import PairPath, PlantedPair, SyntheticMarket, plant, truth_table
from pairs_bt.data.synthetic.pair_universe import book_size_universe
from pairs_bt.data.synthetic.random_walks import (
    Bar,
    FloatArray,
    LogWalks,
    Seed,
    business_days,
    labels,
    position,
    random_walks,
    require,
)

__all__ = ["PlantedPair", "SyntheticMarket", "book_size_universe", "make_market", "random_walks"]


_DEFAULT_PAIRS = (
    PlantedPair(),
    PlantedPair(kind="drifting", beta_walk=0.002),
    PlantedPair(kind="breaking"),
)


def make_market(
    *,
    seed: Seed,
    pairs: Sequence[PlantedPair] = _DEFAULT_PAIRS,
    n_independent: int = 4,
    n_bars: int = 1260,
    start: str | pd.Timestamp = "2015-01-01",
    first_price: tuple[float, float] = (20.0, 200.0),
    volatility: tuple[float, float] = (0.15, 0.40),
    drift: float = 0.05,
    factor_share: float = 0.3,
    tail_df: float | None = None,
    clustering: float = 0.0,
    gaps: Mapping[str, Sequence[tuple[Bar, int]]] | None = None,
    delistings: Mapping[str, Bar] | None = None,
) -> SyntheticMarket:
    """Return a market of planted pairs among independent random walks.

    The x legs and the independent tickers are walks of log prices,
    r_it = drift / 252 + volatility_i / sqrt(252) (sqrt(factor_share) f_t + sqrt(1 - factor_share) u_it),
    so they are correlated through the factor f and not cointegrated. The y legs are made from the x legs.

    Parameters
    ----------
    seed : int or sequence of int
        >= 0. Every ticker has a stream of its own: one more pair or walk changes no other price.
    pairs : sequence of PlantedPair
        May be empty.
    n_independent : int
        Tickers W001, W002, ... beside the pairs; >= 0.
    n_bars : int
        At least 2.
    start : str or Timestamp
        The first weekday on or after it is bar 0.
    first_price, volatility : (low, high)
        Each ticker's first price is drawn log-uniformly, its annual volatility of log returns uniformly.
    drift : float
        Annual mean of log returns.
    factor_share : float
        Share of a return's variance that the common factor explains, 0 to 1.
    tail_df : float or None
        Degrees of freedom of Student's t for f and u, > 2; None for Gaussian. Spreads stay Gaussian.
    clustering : float
        Standard deviation of the log volatility that all tickers and spreads share; 0 for none, 0.5 for a market
        with calm and rough times.
    gaps : mapping of ticker to (bar, length) pairs
        Runs of NaN: first bar (number or date) and number of bars.
    delistings : mapping of ticker to bar
        The first bar (number or date) without a price; all later ones are NaN.

    Returns
    -------
    SyntheticMarket

    Raises
    ------
    ValueError
        A parameter outside its range, an unknown ticker or a bar outside the sample, two tickers of one name.
    """
    require(n_independent >= 0, f"n_independent = {n_independent}: a number of tickers is >= 0.")
    require(len(pairs) + n_independent > 0, "no pairs and no independent tickers: ask for at least one.")
    index = business_days(start, n_bars)
    walks = LogWalks(
        seed=seed, n_bars=n_bars, first_price=first_price, volatility=volatility, drift=drift,
        factor_share=factor_share, tail_df=tail_df, clustering=clustering,
    )  # fmt: skip
    columns: dict[str, FloatArray] = {}
    paths: list[PairPath] = []
    for i, pair in enumerate(pairs):
        path = plant(pair, i, walks.walk(0, i), index, seed, walks.clusters if clustering else None)
        _add(columns, path.y, path.y_prices)
        _add(columns, path.x, path.x_prices)
        paths.append(path)
    planted = tuple(columns)
    for i, name in enumerate(labels("W", n_independent)):
        _add(columns, name, walks.walk(1, i))
    prices = pd.DataFrame(columns, index=index)
    notes = _cut(prices, gaps or {}, delistings or {})
    by_label = {f"{path.y}/{path.x}": path for path in paths}
    return SyntheticMarket(
        prices=prices,
        truth=truth_table([path.truth for path in paths]),
        hedge_ratios=pd.DataFrame({k: p.beta for k, p in by_label.items()}, index=index),
        intercepts=pd.DataFrame({k: p.alpha for k, p in by_label.items()}, index=index),
        spreads=pd.DataFrame({k: p.spread for k, p in by_label.items()}, index=index),
        groups={"planted": planted, "independent": tuple(columns)[len(planted) :]},
        notes=tuple(notes),
    )


def _add(columns: dict[str, FloatArray], name: str, prices: FloatArray) -> None:
    """Put one ticker into the market."""
    require(name not in columns, f"two tickers called {name!r}: give every leg of every pair its own name.")
    columns[name] = prices


def _cut(
    prices: pd.DataFrame,
    gaps: Mapping[str, Sequence[tuple[Bar, int]]],
    delistings: Mapping[str, Bar],
) -> list[str]:
    """Make the gaps and the delistings NaN, in place; return what was done, in words."""
    for name in [*gaps, *delistings]:
        require(name in prices.columns, f"no ticker {name!r} in the market: it has {', '.join(prices.columns)}.")
    dates = pd.DatetimeIndex(prices.index)
    notes = []
    for name, runs in gaps.items():
        for first, length in runs:
            bar = position(dates, first, f"gap of {name}")
            require(length >= 1, f"gap of {name}: length {length}; a gap has at least 1 bar.")
            prices.loc[dates[bar : bar + length], name] = np.nan
            notes.append(f"{name}: no price on {length} bars from {dates[bar]:%Y-%m-%d}")
    for name, first in delistings.items():
        bar = position(dates, first, f"delisting of {name}")
        prices.loc[dates[bar:], name] = np.nan
        notes.append(f"{name}: delisted, no price from {dates[bar]:%Y-%m-%d} on")
    return notes
