"""A synthetic universe of the size of the book's scan, with clusters of cointegrated tickers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import hypot

import numpy as np
import pandas as pd

from pairs_bt.data.synthetic.cointegrated_pairs import SyntheticMarket, truth_row, truth_table
from pairs_bt.data.synthetic.random_walks import (
    MARKET_STREAMS,
    FloatArray,
    LogWalks,
    Seed,
    ar1,
    labels,
    require,
    require_finite,
    shift_positive,
    stream,
)

__all__ = ["book_size_universe"]


def book_size_universe(
    n_left: int = 172,
    n_right: int = 139,
    *,
    seed: Seed,
    start: str | pd.Timestamp = "2015-01-01",
    end: str | pd.Timestamp = "2019-12-31",
    cointegrated_share: float = 0.02,
    half_life: tuple[float, float] = (10.0, 40.0),
    spread_vol: float = 0.02,
    factor_share: float = 0.3,
    tail_df: float | None = None,
    cluster: tuple[int, int] = (6, 4),
) -> SyntheticMarket:
    """Return a universe of the size of the book's scan: left group S001.. against right group E001...

    A share of the left x right pairs is cointegrated. With one partner for each ticker that share could not
    exceed 1 / n_left, so pairs come in clusters around a common trend X: every member is
    p_i = a_i + b_i X + s_i, s_i an AR(1) of the cluster's half-life, and each of the cluster's left x right pairs
    has beta = b_y / b_x, alpha = a_y - beta a_x, and the spread s_y - beta s_x, an AR(1) of that half-life.

    With the default dates, a train of 2 years, a trade window of 6 months and quarterly steps there are exactly
    11 test ends, 2016-12-31 to 2019-06-30: the first train window begins with the data (2015-01-01), and the last
    trade window ends with them (2019-12-31). 172 x 139 pairs x 11 windows = 262,988 tests.

    Parameters
    ----------
    n_left, n_right : int
        Tickers in each group, >= 1.
    seed : int or sequence of int
        >= 0; the same seed gives the same bytes.
    start, end : str or Timestamp
        The dates are the weekdays from ``start`` to ``end``, both included.
    cointegrated_share : float
        Share of the n_left * n_right pairs, 0 to 1; exactly round(share * pairs) pairs are planted.
    half_life : (low, high)
        Bars; drawn uniformly for each cluster.
    spread_vol : float
        Standard deviation of s_i as a share of b_i times the trend's first price.
    factor_share : float
        Share of a walk's return variance that the common factor explains, 0 to 1.
    tail_df : float or None
        Degrees of freedom of Student's t for the walks' returns, > 2; None for Gaussian.
    cluster : (left, right)
        Members of a full cluster in each group, >= 1; at most all of the group.

    Returns
    -------
    SyntheticMarket
        With ``groups["left"]`` and ``groups["right"]``; every pair of ``truth`` is left / right and ``constant``.

    Raises
    ------
    ValueError
        A parameter outside its range, or a share for which the clusters need more tickers than there are.
    """
    require_finite(half_life=sum(half_life), spread_vol=spread_vol)
    require(min(n_left, n_right) >= 1, f"n_left, n_right = {n_left}, {n_right}: both groups need a ticker.")
    require(0 <= cointegrated_share <= 1, f"cointegrated_share = {cointegrated_share}: a share lies in 0 to 1.")
    require(0 < half_life[0] <= half_life[1], f"half_life = {half_life}: write (low, high), 0 < low <= high.")
    require(spread_vol > 0, f"spread_vol = {spread_vol}: above 0; 0.02 is 2% of the price.")
    require(min(cluster) >= 1, f"cluster = {cluster}: (left, right), at least one of each.")
    index = pd.bdate_range(pd.Timestamp(start), pd.Timestamp(end), name="date")
    require(len(index) >= 2, f"start = {start}, end = {end}: fewer than 2 weekdays; end must lie after start.")
    walks = LogWalks(
        seed=seed, n_bars=len(index), first_price=(20.0, 200.0), volatility=(0.15, 0.40), drift=0.05,
        factor_share=factor_share, tail_df=tail_df,
    )  # fmt: skip
    left, right = labels("S", n_left), labels("E", n_right)
    columns = {name: walks.walk(0, i) for i, name in enumerate(left)}
    columns |= {name: walks.walk(1, i) for i, name in enumerate(right)}
    most = min(cluster[0], n_left), min(cluster[1], n_right)
    shapes = list(_cluster_shapes(round(cointegrated_share * n_left * n_right), most))
    free_left, free_right = _shuffled(left, right, shapes, seed)
    rows: list[dict[str, object]] = []
    spreads: dict[str, FloatArray] = {}
    for c, (height, width) in enumerate(shapes):
        rng = stream(seed, MARKET_STREAMS, 5, c)
        life, trend = float(rng.uniform(*half_life)), walks.walk(2, c)
        members = [
            _member(next(names), trend, columns, life, spread_vol, rng)
            for names, count in ((free_left, height), (free_right, width))
            for _ in range(count)
        ]
        for member in members:
            columns[member.name] = member.a + member.b * trend + member.spread
        for y, x in product(members[:height], members[height:]):
            rows.append(_truth(y, x, life))
            spreads[f"{y.name}/{x.name}"] = y.spread - y.b / x.b * x.spread
    truth = truth_table(rows)
    return SyntheticMarket(
        prices=pd.DataFrame(columns, index=index),
        truth=truth,
        hedge_ratios=_held(truth, "beta", index),
        intercepts=_held(truth, "alpha", index),
        spreads=pd.DataFrame(spreads, index=index),
        groups={"left": tuple(left), "right": tuple(right)},
        notes=(f"{len(rows)} of {n_left * n_right} pairs are cointegrated, in {len(shapes)} clusters",),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Member:
    """A ticker of a cluster: price = a + b * trend + spread."""

    name: str
    a: float
    b: float
    sd: float
    spread: FloatArray


def _member(
    name: str,
    trend: FloatArray,
    columns: dict[str, FloatArray],
    life: float,
    spread_vol: float,
    rng: np.random.Generator,
) -> _Member:
    """Draw one member; it keeps the first price of the walk that it replaces, up to the spread."""
    first = float(columns[name][0])
    b = first / float(trend[0])
    spread = ar1(rng.standard_normal(trend.size), life, spread_vol * first)
    return _Member(name=name, a=shift_positive(b * trend + spread, first), b=b, sd=spread_vol * first, spread=spread)


def _truth(y: _Member, x: _Member, life: float) -> dict[str, object]:
    """Return the truth of one pair of a cluster."""
    beta = y.b / x.b
    sd = hypot(y.sd, beta * x.sd)
    return truth_row(y.name, x.name, "constant", life, sd, y.a - beta * x.a, (beta, beta))


def _cluster_shapes(wanted: int, cluster: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield (left, right) sizes whose products sum to ``wanted``: full clusters, then what is left over."""
    height, width = cluster
    for _ in range(wanted // (height * width)):
        yield height, width
    rows, rest = divmod(wanted % (height * width), width)
    if rows:
        yield rows, width
    if rest:
        yield 1, rest


def _shuffled(
    left: list[str], right: list[str], shapes: list[tuple[int, int]], seed: Seed
) -> tuple[Iterator[str], Iterator[str]]:
    """Return both groups in random order, from which the clusters take their members."""
    need = sum(height for height, _ in shapes), sum(width for _, width in shapes)
    require(
        need[0] <= len(left) and need[1] <= len(right),
        f"so many cointegrated pairs need {need[0]} left and {need[1]} right tickers in clusters, and there are "
        f"{len(left)} and {len(right)}: lower cointegrated_share or enlarge cluster.",
    )
    rng = stream(seed, MARKET_STREAMS, 4)
    return iter(rng.permutation(left).tolist()), iter(rng.permutation(right).tolist())


def _held(truth: pd.DataFrame, column: str, index: pd.DatetimeIndex) -> pd.DataFrame:
    """Return the constant of each pair at every date."""
    values = np.broadcast_to(truth[column].to_numpy(), (len(index), len(truth))).copy()
    return pd.DataFrame(values, index=index, columns=truth["pair"].to_list())
