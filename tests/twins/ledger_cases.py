"""Random windows for the ledger: prices that end, ratios that turn, z-scores with holes, every option."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pairs_bt.backtest.ledger import Market
from pairs_bt.backtest.signals import SignalSet
from pairs_bt.config.schema import Band, Config

TICKERS = 4


@dataclass
class Case:
    """Everything that `trade_pairs` takes."""

    signals: SignalSet
    market: Market
    iy: np.ndarray
    ix: np.ndarray
    config: Config
    capital: float
    rehedge: object
    moments: np.ndarray
    lag: int | None = None

    def run(self, trade, **changes):
        options = {
            "config": self.config, "pair_capital": self.capital, "rehedge": self.rehedge, "moments": self.moments,
            "lag": self.lag, **changes,
        }  # fmt: skip
        return trade(self.signals, self.market, self.iy, self.ix, **options)


def signal_set(prices, iy, ix, beta, z, half_life, log_space=False):
    """Signals with the spread that goes with the prices and the share ratio."""
    y, x = prices[iy], prices[ix]
    spread = np.log(y) - beta * x / y * np.log(x) if log_space else y - beta * x
    return SignalSet(
        hedge_ratio=beta, share_ratio=beta, spread=spread, z=z, half_life=half_life,
        window=np.full(len(iy), 20), refusal=np.zeros(len(iy), np.int8), mean=np.zeros_like(spread),
    )  # fmt: skip


def random_prices(rng, bars, delist):
    prices = rng.uniform(5.0, 400.0, (TICKERS, 1)) * np.exp(np.cumsum(rng.normal(0, 0.03, (TICKERS, bars)), axis=1))
    if delist:
        ticker, bar = rng.integers(TICKERS), rng.integers(bars)
        # mostly for good, now and then a hole that is too long to be filled
        prices[ticker, bar : None if rng.random() < 0.7 else bar + rng.integers(1, 4)] = np.nan
    return prices


def carry_forward(rng, prices):
    """Take quotes away here and there: the price of the day before stands in, as the forward fill has it."""
    quotes = np.isfinite(prices)
    hole = quotes & (rng.random(prices.shape) < rng.choice([0.03, 0.3]))
    for ticker, t in np.argwhere(hole):
        if t > 0 and np.isfinite(prices[ticker, t - 1]):
            prices[ticker, t] = prices[ticker, t - 1]
            quotes[ticker, t] = False
    return quotes


def random_beta(rng, prices, iy, ix, bars):
    middle = rng.uniform(-0.3, 1.5, len(iy))[:, None] * (prices[iy, :1] / prices[ix, :1])
    middle = np.where(np.isfinite(middle), middle, 1.0)
    beta = middle * (1.0 + np.cumsum(rng.normal(0, rng.choice([0.0, 0.02, 0.2]), (len(iy), bars)), axis=1))
    beta[rng.random(beta.shape) < 0.01] = np.nan
    return beta


def random_z(rng, pairs, bars):
    z = np.empty((pairs, bars))
    z[:, 0] = rng.normal(0, 1.5, pairs)
    phi = rng.uniform(0.3, 0.97)
    for t in range(1, bars):
        z[:, t] = phi * z[:, t - 1] + np.sqrt(1 - phi**2) * rng.normal(0, 2.0, pairs)
    z[rng.random(z.shape) < rng.choice([0.0, 0.05])] = np.nan
    return z


def random_tables(rng):
    """A config at random; a stop lies outside the entry level."""
    entry = float(rng.uniform(0.5, 2.0))

    def maybe(value, share=0.5):
        return float(value) if rng.random() < share else None

    signal = {
        "entry": entry, "exit": float(rng.choice([0.0, 0.0, 0.4, -0.3])),
        "side": str(rng.choice(["reversion", "book"])),
        "stop": maybe(entry + rng.uniform(0.3, 2.0)), "stop_loss": maybe(rng.uniform(0.01, 0.1)),
        "time_stop": maybe(rng.uniform(0.3, 2.0)),
    }  # fmt: skip
    if int(1e6 * entry) % 3 == 0:
        signal["exit_short"] = min(signal["exit"] + 0.3, entry - 0.05)
    costs = rng.random() < 0.7
    execution = {
        "lag": int(rng.integers(4)), "cost_bps": 20.0 * costs, "spread": 0.05 * costs,
        "delisting_loss": float(rng.choice([0.0, 0.3, 1.0])),
        "unconverged": str(rng.choice(["close", "close", "drop"])),
        "pnl": str(rng.choice(["shares", "shares", "spread"])),
    }  # fmt: skip
    hedge = {
        "reject_negative": bool(rng.random() < 0.5), "max_leg_share": float(rng.choice([1.0, 0.7])),
    }  # fmt: skip
    portfolio = {"sizing": str(rng.choice(["hedge_ratio", "hedge_ratio", "dollar_neutral", "volatility"]))}
    space = str(rng.choice(["raw", "normalised", "log"]))
    return {
        "signal": {k: v for k, v in signal.items() if v is not None}, "execution": execution, "hedge": hedge,
        "portfolio": portfolio, "filter": {"price_space": space},
    }  # fmt: skip


def random_case(seed, **changes):
    """A case that depends on its seed alone; `changes` are tables laid over the random ones (None: no such key)."""
    rng = np.random.default_rng(seed)
    bars, pairs = int(rng.integers(2, 70)), int(rng.integers(1, 5))
    prices = random_prices(rng, bars, delist=rng.random() < 0.4)
    quotes = carry_forward(rng, prices) if rng.random() < 0.4 else None
    picks = np.array([rng.permutation(TICKERS)[:2] for _ in range(pairs)])
    iy, ix = picks[:, 0].copy(), picks[:, 1].copy()
    beta, z = random_beta(rng, prices, iy, ix, bars), random_z(rng, pairs, bars)
    tables = random_tables(rng)
    for table, keys in changes.items():
        laid = {**tables.get(table, {}), **keys}
        tables[table] = {key: value for key, value in laid.items() if value is not None}
    config = Config.from_dict(tables)
    signals = signal_set(prices, iy, ix, beta, z, rng.uniform(3.0, 20.0, pairs), config.filter.price_space == "log")
    market = Market(
        prices=prices, day_gap=rng.choice([1.0, 1.0, 1.0, 3.0, 4.0], bars), borrow_rate=rng.uniform(0, 1e-3, TICKERS),
        entry_bars=int(rng.integers(bars // 2, bars + 1)), closed=bool(rng.random() < 0.7),
        quotes=quotes, bars_per_year=(52.0, 252.0, 19_656.0)[bars % 3],
    )  # fmt: skip
    root = rng.normal(0, 1.0, (pairs, 2, 2))
    moments = np.stack(
        [root[:, 0, 0] ** 2 + root[:, 0, 1] ** 2, root[:, 1, 0] ** 2 + root[:, 1, 1] ** 2,
         root[:, 0, 0] * root[:, 1, 0] + root[:, 0, 1] * root[:, 1, 1]], axis=1,
    )  # fmt: skip
    rehedge = ("never", "daily", Band(band=0.1))[rng.integers(3)]
    lag = None if rng.random() < 0.8 else int(rng.integers(4))
    return Case(signals, market, iy, ix, config, float(rng.uniform(1e3, 1e6)), rehedge, moments, lag)
