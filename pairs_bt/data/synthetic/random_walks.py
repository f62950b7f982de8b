"""Random walks and AR(1) paths: what the synthetic markets are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["BARS_PER_YEAR", "Seed", "ar1", "business_days", "random_walks", "stream", "unit_draws"]

FloatArray = npt.NDArray[np.float64]
Seed = int | Sequence[int]
Bar = int | str | pd.Timestamp

BARS_PER_YEAR = 252
_LOWEST_SHARE = 0.1
# no two generators may share draws under one seed: each puts its own number first in its streams' keys
WALK_STREAMS, MARKET_STREAMS, NULL_STREAMS, CHANCE_STREAMS = 0, 1, 2, 3


def require(condition: bool, message: str) -> None:
    """Raise ValueError with the message unless the condition holds."""
    if not condition:
        raise ValueError(message)


def require_finite(**values: float | None) -> None:
    """Raise ValueError unless every value is None or a finite number."""
    for name, value in values.items():
        require(value is None or isfinite(value), f"{name} = {value}: it must be a finite number.")


def stream(seed: Seed, *key: int) -> np.random.Generator:
    """Return the generator of one ticker: it depends on the seed and the key, on nothing drawn before.

    Parameters
    ----------
    seed : int or sequence of int
        Non-negative. A sequence such as ``(seed, draw)`` names one draw of many.
    key : int
        The place of the stream under that seed (``numpy.random.SeedSequence``'s spawn key).
    """
    parts = list(seed) if isinstance(seed, Sequence) else [seed]
    require(
        bool(parts) and all(isinstance(part, int | np.integer) and part >= 0 for part in parts),
        f"seed = {seed!r}: a seed is a whole number >= 0, or a sequence of them; write seed=7, say.",
    )
    # the length goes first: numpy pads entropy with zeros, so (7,) and (7, 0) would else be one seed
    entropy = [len(parts), *(int(part) for part in parts)]
    return np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=key))


def business_days(start: str | pd.Timestamp, n_bars: int) -> pd.DatetimeIndex:
    """Return ``n_bars`` weekdays from ``start`` on, named ``date`` (holidays are not left out)."""
    require(n_bars >= 2, f"n_bars = {n_bars}: a path of prices has at least 2 bars.")
    return pd.bdate_range(pd.Timestamp(start), periods=n_bars, name="date")


def position(index: pd.DatetimeIndex, where: Bar, what: str) -> int:
    """Return a bar's number: ``where`` itself if it is an int, else the first bar on or after that date."""
    if isinstance(where, int | np.integer):
        bar = int(where)
    else:
        bar = int(index.searchsorted(pd.Timestamp(where)))
    require(
        0 <= bar < len(index),
        f"{what}: {where!r} lies outside the {len(index)} bars from {index[0]:%Y-%m-%d} to {index[-1]:%Y-%m-%d}; "
        "give a bar number from 0 on, or a date of the sample.",
    )
    return bar


def unit_draws(rng: np.random.Generator, n: int, tail_df: float | None) -> FloatArray:
    """Return n independent draws with mean 0 and variance 1.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where the draws come from; it moves on.
    n : int
        How many.
    tail_df : float or None
        None: Gaussian. Otherwise Student's t with that many degrees of freedom (> 2, or there is no variance)
        over its standard deviation, sqrt(df / (df - 2)).
    """
    if tail_df is None:
        return rng.standard_normal(n)
    require(
        tail_df > 2,
        f"tail_df = {tail_df}: Student's t has a variance only above 2 degrees of freedom; take 4, or None.",
    )
    return rng.standard_t(tail_df, n) * np.sqrt((tail_df - 2) / tail_df)


def ar1(draws: FloatArray, half_life: float, sd: float) -> FloatArray:
    """Return a stationary AR(1) path with a given half-life and standard deviation.

    s_0 = sd u_0,  s_t = phi s_{t-1} + sd sqrt(1 - phi^2) u_t,  phi = 2^(-1 / half_life).

    Parameters
    ----------
    draws : (n,) array
        The u_t: independent, mean 0, variance 1.
    half_life : float
        Bars, > 0: the expected deviation after so many bars is half of today's.
    sd : float
        Standard deviation of s_t, the same at every t.
    """
    phi = 2.0 ** (-1.0 / half_life)
    shocks = sd * np.sqrt(1.0 - phi * phi) * draws
    shocks[0] = sd * draws[0]
    path = np.empty_like(shocks)
    level = 0.0
    for t, shock in enumerate(shocks.tolist()):
        level = phi * level + shock
        path[t] = level
    return path


def shift_positive(path: FloatArray, scale: float) -> float:
    """Return the constant that brings the path's minimum to a tenth of ``scale`` (0 where it lies above)."""
    return max(0.0, _LOWEST_SHARE * scale - float(path.min()))


def labels(prefix: str, n: int) -> list[str]:
    """Return ``prefix001 .. prefix<n>``, with as many digits as n needs and at least 3."""
    width = max(3, len(str(n)))
    return [f"{prefix}{i:0{width}d}" for i in range(1, n + 1)]


def random_walks(
    n_tickers: int,
    n_bars: int,
    *,
    seed: Seed,
    start: str | pd.Timestamp = "2015-01-01",
    space: Literal["log", "level"] = "log",
    first_price: float = 100.0,
    volatility: float = 0.25,
    drift: float = 0.0,
    step: float = 0.5,
    tail_df: float | None = None,
) -> pd.DataFrame:
    """Return independent random walks: a market in which every pair is spurious.

    ``log``:   P_t = P_0 exp(sum_{i<=t} r_i),  r_i = drift / 252 + volatility / sqrt(252) u_i.
    ``level``: P_t = P_0 + c + step sum_{i<=t} u_i.

    Parameters
    ----------
    n_tickers, n_bars : int
        At least 1 and 2. Columns are W001, W002, ...; ticker i's path does not depend on ``n_tickers``.
    seed : int or sequence of int
        >= 0; the same seed gives the same bytes.
    start : str or Timestamp
        The first weekday on or after it is bar 0.
    space : {'log', 'level'}
        ``log`` is positive by nature. In ``level`` c is 0 unless a path would fall below a tenth of
        ``first_price``; then c lifts the whole path to there. The steps, so the walk, are untouched.
    first_price : float
        P_0 > 0.
    volatility, drift : float
        Annual, of log returns (``log`` only). Volatility >= 0.
    step : float
        Standard deviation of one bar's price change (``level`` only), > 0.
    tail_df : float or None
        Degrees of freedom of Student's t for u, > 2; None for Gaussian.

    Returns
    -------
    DataFrame, (n_bars, n_tickers)
        Strictly positive prices, indexed by ``date``.
    """
    require_finite(first_price=first_price, volatility=volatility, drift=drift, step=step, tail_df=tail_df)
    require(n_tickers >= 1, f"n_tickers = {n_tickers}: ask for at least one ticker.")
    require(space in ("log", "level"), f"space = {space!r}: it is 'log' or 'level'.")
    require(first_price > 0, f"first_price = {first_price}: prices are positive; take 100, say.")
    require(volatility >= 0, f"volatility = {volatility}: an annual standard deviation is >= 0.")
    require(step > 0, f"step = {step}: the standard deviation of a price change is > 0.")
    index = business_days(start, n_bars)
    prices = np.empty((n_bars, n_tickers))
    for i in range(n_tickers):
        sums = np.zeros(n_bars)
        np.cumsum(unit_draws(stream(seed, WALK_STREAMS, i), n_bars - 1, tail_df), out=sums[1:])
        if space == "log":
            trend = drift / BARS_PER_YEAR * np.arange(n_bars)
            prices[:, i] = first_price * np.exp(trend + volatility / np.sqrt(BARS_PER_YEAR) * sums)
        else:
            path = first_price + step * sums
            prices[:, i] = path + shift_positive(path, first_price)
    return pd.DataFrame(prices, index=index, columns=labels("W", n_tickers))


@dataclass(frozen=True, kw_only=True)
class LogWalks:
    """Draws the log-price walks of one market; each has its own stream under the seed."""

    seed: Seed
    n_bars: int
    first_price: tuple[float, float]
    volatility: tuple[float, float]
    drift: float
    factor_share: float
    tail_df: float | None
    clustering: float = 0.0
    factor: FloatArray = field(init=False)
    clusters: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        require_finite(first_price=sum(self.first_price), volatility=sum(self.volatility))
        require_finite(drift=self.drift, tail_df=self.tail_df)
        low, high = self.first_price
        require(0 < low <= high, f"first_price = {self.first_price}: write (low, high), 0 < low <= high.")
        low, high = self.volatility
        require(0 < low <= high, f"volatility = {self.volatility}: write (low, high), 0 < low <= high.")
        require(0 <= self.factor_share <= 1, f"factor_share = {self.factor_share}: a share lies in 0 to 1; 0.3, say.")
        require(self.clustering >= 0, f"clustering = {self.clustering}: a standard deviation is >= 0.")
        rng = stream(self.seed, MARKET_STREAMS, 0)
        object.__setattr__(self, "factor", unit_draws(rng, self.n_bars - 1, self.tail_df))
        object.__setattr__(self, "clusters", volatility_clusters(self.seed, self.n_bars, self.clustering))

    def walk(self, group: int, i: int) -> FloatArray:
        """Return the i-th walk of a group: (n_bars,) positive prices."""
        rng = stream(self.seed, MARKET_STREAMS, 1, group, i)
        first = np.exp(rng.uniform(*np.log(self.first_price)))
        sd = rng.uniform(*self.volatility) / np.sqrt(BARS_PER_YEAR)
        own = unit_draws(rng, self.n_bars - 1, self.tail_df)
        shocks = np.sqrt(self.factor_share) * self.factor + np.sqrt(1.0 - self.factor_share) * own
        prices = np.full(self.n_bars, first)
        prices[1:] *= np.exp(np.cumsum(self.drift / BARS_PER_YEAR + sd * self.clusters[1:] * shocks))
        return prices


def volatility_clusters(seed: Seed, n_bars: int, clustering: float, half_life: float = 40.0) -> FloatArray:
    """Return what every shock of a market is multiplied by, (n_bars,): calm and rough times that all tickers share.

    exp(h_t - clustering^2), h an AR(1) of that standard deviation and half-life in bars, so that the mean square is 1.
    """
    if clustering == 0.0:
        return np.ones(n_bars)
    h = ar1(unit_draws(stream(seed, MARKET_STREAMS, 4), n_bars, None), half_life, clustering)
    return np.exp(h - clustering * clustering)
