"""A cointegrated pair with known truth: its parameters and the paths drawn from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import pandas as pd

from pairs_bt.data.synthetic.random_walks import (
    MARKET_STREAMS,
    Bar,
    FloatArray,
    Seed,
    ar1,
    position,
    require,
    require_finite,
    shift_positive,
    stream,
    unit_draws,
)

__all__ = ["PairKind", "PairPath", "PlantedPair", "SyntheticMarket", "plant", "truth_row", "truth_table"]

PairKind = Literal["constant", "drifting", "breaking"]


@dataclass(frozen=True, eq=False)
class SyntheticMarket:
    """Prices and the truth behind them.

    At every bar, before gaps and delistings are cut out, y = intercept + hedge ratio * x + spread.

    Attributes
    ----------
    prices : DataFrame, (n_bars, n_tickers)
        Strictly positive closes; NaN in gaps and after a delisting.
    truth : DataFrame
        One row per planted pair: y, x, pair (the label ``y/x``), kind, half_life (bars), phi (the AR(1)
        coefficient of the spread), spread_sd (stationary, price units), alpha and beta at the first bar, beta_last,
        break_date (NaT unless ``breaking``). Every pair
        that is not in it is spurious; where there are groups left and right, every left/right pair.
    hedge_ratios, intercepts, spreads : DataFrame, (n_bars, n_pairs)
        The true paths, one column per pair label.
    groups : dict
        Tickers by role (``planted`` and ``independent``, or ``left`` and ``right``).
    notes : tuple of str
        What was done to the prices, in words.
    """

    prices: pd.DataFrame
    truth: pd.DataFrame
    hedge_ratios: pd.DataFrame
    intercepts: pd.DataFrame
    spreads: pd.DataFrame
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PlantedPair:
    """A cointegrated pair to plant: y_t = alpha_t + beta_t x_t + s_t, x_t a random walk, s_t an AR(1).

    The AR(1) coefficient of s is 2^(-1 / half_life). An estimate -ln 2 / slope from diff(s)_t on s_{t-1} tends
    to ln 2 / (1 - 2^(-1 / half_life)), which is half_life + 0.35 or so.

    Parameters
    ----------
    kind : {'constant', 'drifting', 'breaking'}
        ``constant``: beta_t = beta.
        ``drifting``: beta_t = beta (1 + beta_trend t / (n - 1) + beta_walk sum_{i<=t} v_i), v standard normal.
        ``breaking``: beta until the bar before ``break_at``, then ``beta_after``; the intercept moves so that the price
        does not jump: y's changes are beta_t dx_t + ds_t throughout.
    half_life : float
        Bars, > 0.
    beta : float
        Hedge ratio at the first bar, price units of y per unit of x; not 0.
    spread_vol : float
        Standard deviation of s as a share of |beta| times x's first price; > 0.
    intercept : float
        alpha at the first bar, as a share of |beta| times x's first price; >= 0.
    beta_trend, beta_walk : float
        Relative change over the whole sample, and standard deviation of the relative change per bar.
    break_at : int, date or None
        Bar number or date (the first bar on or after it); None for the middle.
    beta_after : float or None
        Hedge ratio after the break; None for 1.5 beta.
    y, x : str
        Names; empty for P01Y, P01X and so on by place.

    Raises
    ------
    ValueError
        A parameter outside its range, or one that this kind of pair does not use.
    """

    kind: PairKind = "constant"
    half_life: float = 15.0
    beta: float = 1.0
    spread_vol: float = 0.02
    intercept: float = 0.0
    beta_trend: float = 0.0
    beta_walk: float = 0.0
    break_at: Bar | None = None
    beta_after: float | None = None
    y: str = ""
    x: str = ""

    def __post_init__(self) -> None:
        require_finite(half_life=self.half_life, beta=self.beta, spread_vol=self.spread_vol, intercept=self.intercept)
        require(self.intercept >= 0, f"intercept = {self.intercept}: a share of the price, at least 0; 0.4, say.")
        require_finite(beta_trend=self.beta_trend, beta_walk=self.beta_walk, beta_after=self.beta_after)
        require(self.kind in get_args(PairKind), f"kind = {self.kind!r}: one of {', '.join(get_args(PairKind))}.")
        require(self.half_life > 0, f"half_life = {self.half_life}: bars, above 0; 15, say.")
        require(self.beta != 0, "beta = 0: without a hedge ratio there is no pair; take 1, say.")
        require(self.spread_vol > 0, f"spread_vol = {self.spread_vol}: above 0; 0.02 is 2% of the price.")
        require(self.beta_walk >= 0, f"beta_walk = {self.beta_walk}: a standard deviation is >= 0.")
        moves = self.beta_trend != 0 or self.beta_walk > 0
        require(
            moves == (self.kind == "drifting"),
            f"kind = {self.kind!r} with beta_trend = {self.beta_trend}, beta_walk = {self.beta_walk}: a drifting "
            "pair needs one of them (beta_walk=0.002, say), the other kinds neither.",
        )
        require(
            self.kind == "breaking" or (self.break_at is None and self.beta_after is None),
            f"break_at and beta_after belong to kind='breaking', not to {self.kind!r}; leave them out.",
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class PairPath:
    """What was planted: names, prices (n,), the true paths (n,) and the row of the truth table."""

    y: str
    x: str
    y_prices: FloatArray
    x_prices: FloatArray
    alpha: FloatArray
    beta: FloatArray
    spread: FloatArray
    truth: dict[str, object]


def plant(
    pair: PlantedPair,
    i: int,
    x: FloatArray,
    index: pd.DatetimeIndex,
    seed: Seed,
    clusters: FloatArray | None = None,
) -> PairPath:
    """Return the i-th pair of a market, made on the walk ``x`` (n,); `clusters` (n,) scales the spread's shocks."""
    n = x.size
    y_name, x_name = pair.y or f"P{i + 1:02d}Y", pair.x or f"P{i + 1:02d}X"
    break_bar = _break_bar(pair, index) if pair.kind == "breaking" else None
    beta = _beta_path(pair, n, break_bar, stream(seed, MARKET_STREAMS, 2, i))
    scale = abs(pair.beta) * x[0]
    alpha = np.full(n, pair.intercept * scale)
    if break_bar is not None:
        # alpha after the break such that y moves by beta_t dx_t + ds_t on that bar too
        alpha[break_bar:] += (beta[0] - beta[-1]) * x[break_bar - 1]
    sd = pair.spread_vol * scale
    draws = unit_draws(stream(seed, MARKET_STREAMS, 3, i), n, None)
    spread = ar1(draws if clusters is None else draws * clusters, pair.half_life, sd)
    y = alpha + beta * x + spread
    raised = shift_positive(y, scale)
    truth = truth_row(
        y_name, x_name, pair.kind, pair.half_life, sd, float(alpha[0]) + raised, (beta[0], beta[-1]),
        None if break_bar is None else index[break_bar],
    )  # fmt: skip
    return PairPath(
        y=y_name, x=x_name, y_prices=y + raised, x_prices=x, alpha=alpha + raised, beta=beta, spread=spread,
        truth=truth,
    )  # fmt: skip


def truth_row(
    y: str,
    x: str,
    kind: str,
    half_life: float,
    spread_sd: float,
    alpha: float,
    beta: tuple[float, float],
    break_date: pd.Timestamp | None = None,
) -> dict[str, object]:
    """Return one row of ``SyntheticMarket.truth``; ``beta`` is (first, last)."""
    return {
        "y": y,
        "x": x,
        "pair": f"{y}/{x}",
        "kind": kind,
        "half_life": float(half_life),
        "phi": 2.0 ** (-1.0 / half_life),
        "spread_sd": float(spread_sd),
        "alpha": float(alpha),
        "beta": float(beta[0]),
        "beta_last": float(beta[1]),
        "break_date": pd.NaT if break_date is None else break_date,
    }


def truth_table(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Return the rows as a frame with the same columns and types when there are none."""
    columns = list(truth_row("", "", "", 1.0, 1.0, 0.0, (1.0, 1.0)))
    frame = pd.DataFrame(rows, columns=columns)
    numbers = ["half_life", "phi", "spread_sd", "alpha", "beta", "beta_last"]
    return frame.astype({**dict.fromkeys(numbers, "float64"), "break_date": "datetime64[us]"})


def _break_bar(pair: PlantedPair, index: pd.DatetimeIndex) -> int:
    """Return the first bar of the new hedge ratio."""
    bar = len(index) // 2 if pair.break_at is None else position(index, pair.break_at, "break_at")
    require(bar >= 1, f"break_at = {pair.break_at!r} is bar 0: nothing lies before the break; take a later bar.")
    return bar


def _beta_path(pair: PlantedPair, n: int, break_bar: int | None, rng: np.random.Generator) -> FloatArray:
    """Return the true hedge ratio at every bar, (n,)."""
    beta = np.full(n, float(pair.beta))
    if break_bar is not None:
        beta[break_bar:] = 1.5 * pair.beta if pair.beta_after is None else pair.beta_after
    if pair.kind == "drifting":
        steps = np.zeros(n)
        np.cumsum(rng.standard_normal(n - 1), out=steps[1:])
        beta *= 1.0 + pair.beta_trend * np.arange(n) / (n - 1) + pair.beta_walk * steps
    return beta
