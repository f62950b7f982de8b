"""What differencing a moving spread pretends: the same signals on pure noise, paid in three ways.

Pairs of independent random walks, so there is nothing to earn. One dynamic hedge ratio, one set of signals, and then

- ``differenced``: P&L is the change of y - beta_t x with its moving beta, which contains -x dbeta, nobody's money;
- ``frozen``: the shares of the entry are held;
- ``re-hedged``: the shares follow beta at every close.

The phantom grows in proportion to the walks' volatility (1.2% to 1.6% a trade at 25% a year, 4% to 5% at 80%); that
it is there, its share of winners, and that the other two lines are noise around zero do not depend on it. It is
clearest on the spread of filtered prices, where beta follows the spread that it is to measure.

Run ``python benchmarks/phantom_pnl.py [PAIRS] [SEED] [VOLATILITY]`` from the project's folder.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pairs_bt.backtest.ledger import Market, trade_pairs
from pairs_bt.backtest.signals import filter_pairs, make_signals, prefilter, window_levels
from pairs_bt.config.schema import Config
from pairs_bt.data.synthetic.market import random_walks

TRAIN, TRADE, ENTRY = 504, 126, 63
CHUNK = 250
CAPITAL = 1_000.0
VOLATILITY = 0.25


@dataclass(frozen=True)
class Line:
    """Trades of one way of paying: their number, mean in percent of capital, share of winners and t of the mean."""

    name: str
    lag: int
    trades: int
    mean: float
    wins: float
    t: float

    @classmethod
    def of(cls, name: str, lag: int, returns: np.ndarray) -> Line:
        """Summarise trade returns, as fractions of the capital."""
        error = returns.std(ddof=1) / np.sqrt(returns.size)
        return cls(name, lag, returns.size, 100 * returns.mean(), (returns > 0).mean(), returns.mean() / error)


def book_config(spread_on: str = "raw") -> Config:
    """Filter of Jansen's notebook, half-life and entry rules, on the side that reversion asks for and without costs."""
    return Config.from_dict(
        {
            "filter": {
                "price_space": "raw",
                "spread_on": spread_on,
                "model": "random_walk",
                "start": "given",
                "burn_in": 1,
                "noise": "fixed",
                "intercept": "keep",
                "smooth": {},
            },
            "hedge": {"reject_negative": False},
            "signal": {"half_life": "book", "window_half_lives": 2.0, "entry": 2.0, "exit": 0.0},
            "execution": {"cost_bps": 0.0, "borrow_bps": 0.0},
        }
    )


def trade_noise(
    pairs: int, *, seed: int, lag: int, spread_on: str = "raw", volatility: float = VOLATILITY
) -> dict[str, np.ndarray]:
    """Trade independent walks of log prices from 100, each in one pair; return trade returns by way of paying.

    Chunks of pairs have seeds of their own, so that a long table begins with the trades of a short one.
    """
    config = book_config(spread_on)
    found: dict[str, list[np.ndarray]] = {"differenced": [], "frozen": [], "re-hedged": []}
    for first in range(0, pairs, CHUNK):
        n = min(CHUNK, pairs - first)
        prices = random_walks(2 * n, TRAIN + TRADE, seed=(seed, first), volatility=volatility)
        raw = np.ascontiguousarray(prices.to_numpy().T)
        spread = prefilter(raw, config.filter) if spread_on == "filtered" else raw
        levels = window_levels(raw, spread, config.filter)
        iy, ix = np.arange(0, 2 * n, 2), np.arange(1, 2 * n, 2)
        signals = make_signals(filter_pairs(levels, iy, ix, config.filter), "dynamic", levels, iy, ix, TRAIN, config)
        market = Market(np.ascontiguousarray(raw[:, TRAIN:]), np.ones(TRADE), np.zeros(2 * n), ENTRY, True)
        for way in ("never", "daily"):
            trades = trade_pairs(
                signals, market, iy, ix, config=config, pair_capital=CAPITAL, rehedge=way, lag=lag
            ).trades  # fmt: skip
            gross = (trades["convergence"] + trades["hedge_drift"]) / CAPITAL
            found["frozen" if way == "never" else "re-hedged"].append(gross)
        found["differenced"].append(trades["naive_pnl"] / CAPITAL)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def table(
    pairs: int,
    *,
    seed: int = 7,
    lags: tuple[int, ...] = (0, 1),
    spread_on: str = "raw",
    volatility: float = VOLATILITY,
) -> list[Line]:
    """Every way of paying at every fill lag."""
    return [
        Line.of(name, lag, returns)
        for lag in lags
        for name, returns in trade_noise(pairs, seed=seed, lag=lag, spread_on=spread_on, volatility=volatility).items()
    ]


def show(lines: list[Line]) -> str:
    """The table as text."""
    head = f"{'P&L':<12} {'lag':>3} {'trades':>7} {'mean trade':>11} {'wins':>6} {'t':>7}"
    rows = [f"{x.name:<12} {x.lag:>3} {x.trades:>7} {x.mean:>+10.2f}% {x.wins:>6.0%} {x.t:>7.1f}" for x in lines]
    return "\n".join([head, *rows])


def main(argv: list[str]) -> None:
    """Print the table for both spreads: of raw prices, and of filtered ones as in the notebook."""
    pairs = int(argv[0]) if argv else 1500
    seed = int(argv[1]) if len(argv) > 1 else 7
    volatility = float(argv[2]) if len(argv) > 2 else VOLATILITY
    print(f"{pairs} pairs of independent random walks at {volatility:.0%} a year, seed {seed}, no costs;")
    print("dynamic hedge ratio, half-life and z-score as in Jansen's chapter 9, entry 2, exit 0")
    for spread_on in ("raw", "filtered"):
        print(f"\nspread of {spread_on} prices")
        print(show(table(pairs, seed=seed, spread_on=spread_on, volatility=volatility)))


if __name__ == "__main__":
    main(sys.argv[1:])
