"""The ledger: trades in shares, filled after the signal, costs and borrow paid, every cent accounted for.

This is the checked face of :mod:`pairs_bt.kernels.ledger`. Dollars in, dollars out; a share is a fraction of one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pairs_bt.backtest.entry_levels import levels_or_fixed
from pairs_bt.backtest.signals import SignalSet
from pairs_bt.config.schema import Band, Config
from pairs_bt.kernels import ledger as kernel

# Pairs whose daily P&L is summed together, in order: sums do not depend on how rows were cut into tasks.
BLOCK = 64


@dataclass(frozen=True)
class Market:
    """What the ledger needs to know of a trade window besides signals.

    Attributes
    ----------
    prices : numpy.ndarray, shape (tickers, bars)
        Raw filled prices of the trade bars, NaN once a ticker has none.
    day_gap : numpy.ndarray, shape (bars,)
        Calendar days since the bar before.
    borrow_rate : numpy.ndarray, shape (tickers,)
        Borrow of the short leg, as a fraction of its value per calendar day.
    entry_bars : int
        Signals may open trades at the first `entry_bars` bars.
    closed : bool
        Whether the last bar is the window's last, so that everything is closed on it.
    quotes : numpy.ndarray of bool, shape (tickers, bars), optional
        Where a price is a quote of that day and not one carried forward. Nothing is decided or filled on a bar on
        which a leg has no quote: an entry that is due is cancelled, an exit waits for the next bar on which both
        legs have one (or for the window's end). None: wherever there is a price.
    bars_per_year : float
        Of the annual volatility that `portfolio.sizing` may aim at.
    """

    prices: np.ndarray
    day_gap: np.ndarray
    borrow_rate: np.ndarray
    entry_bars: int
    closed: bool
    quotes: np.ndarray | None = None
    bars_per_year: float = 252.0


@dataclass(frozen=True)
class LedgerResult:
    """Trades, fills and daily results of many pairs under one variant.

    Attributes
    ----------
    trades : numpy.ndarray of `pairs_bt.kernels.ledger.TRADE`
        One record a trade, bars counted from the first trade bar.
    fills : numpy.ndarray of `pairs_bt.kernels.ledger.FILL`
        One record a change of shares.
    daily : numpy.ndarray, shape (pairs, bars, N_DAILY)
        Dollars by pair, bar and component.
    """

    trades: np.ndarray
    fills: np.ndarray
    daily: np.ndarray

    def block_sums(self) -> np.ndarray:
        """Sum `daily` over blocks of 64 pairs: (blocks, bars, N_DAILY)."""
        rows, bars, components = self.daily.shape
        out = np.zeros((-(-max(rows, 1) // BLOCK), bars, components))
        kernel.block_sums(self.daily, BLOCK, out)
        return out


def trade_pairs(
    signals: SignalSet,
    market: Market,
    iy: np.ndarray,
    ix: np.ndarray,
    *,
    config: Config,
    pair_capital: float,
    rehedge: str | Band = "never",
    moments: np.ndarray | None = None,
    refused: np.ndarray | None = None,
    lag: int | None = None,
) -> LedgerResult:
    """Trade many pairs through one window.

    Parameters
    ----------
    signals : SignalSet
        Ratios, spreads and z-scores of the trade bars.
    market : Market
        Prices and calendar of the trade bars.
    iy, ix : numpy.ndarray of int, shape (pairs,)
        Rows of `market.prices` for y and x.
    config : Config
        Signal, execution, hedge and portfolio options.
    pair_capital : float
        Dollars committed to one pair.
    rehedge : str or Band
        How the held shares follow the ratio.
    moments : numpy.ndarray, shape (pairs, 3), optional
        Train variances of daily changes of y and x and their covariance; needed for ``sizing = "volatility"``.
    refused : numpy.ndarray of int, optional
        One flag a trade, by number, for those that a portfolio limit refuses.
    lag : int, optional
        Fill lag in place of the config's, to measure what it flatters.

    Returns
    -------
    Book
    """
    pairs, bars = signals.z.shape
    rules = _rules(config, market, pair_capital, rehedge, lag)
    dollar_neutral = config.portfolio.sizing == "dollar_neutral"
    quotes = np.isfinite(market.prices) if market.quotes is None else market.quotes
    held = signals.share_ratio
    if dollar_neutral:
        # equal dollars in both legs, on the sides that the signal's ratio has them: |n_x| x = |n_y| y
        held = np.where(held < 0.0, -1.0, 1.0) * (market.prices[iy] / market.prices[ix])
    stop_bars = np.full(pairs, np.inf)
    if config.signal.time_stop is not None:
        stop_bars = config.signal.time_stop * signals.half_life
    # At most one trade opens every second bar; a re-hedged trade may fill on every bar.
    trades = np.empty(pairs * (bars // 2 + 1), dtype=kernel.TRADE)
    fills = np.empty(pairs * (2 * bars + 4) if rehedge == "never" else pairs * (3 * bars + 4), dtype=kernel.FILL)
    daily = np.zeros((pairs, bars, kernel.N_DAILY))
    levels, short = levels_or_fixed(signals.levels, pairs, config), config.signal.exit_short
    n_trades, n_fills = kernel.trade_rows(
        market.prices, quotes, iy, ix, signals.share_ratio, held, signals.spread, signals.z, levels.entry_z,
        levels.exit_z, levels.exit_z if short is None else np.full(pairs, short), stop_bars,
        np.zeros((pairs, 3)) if moments is None else moments, market.borrow_rate, market.day_gap, rules,
        np.zeros(0, np.int8) if refused is None else refused, trades, fills, daily,
    )  # fmt: skip
    return LedgerResult(trades[:n_trades].copy(), fills[:n_fills].copy(), daily)


def _rules(
    config: Config, market: Market, pair_capital: float, rehedge: str | Band, lag: int | None
) -> kernel.TradingRules:
    signal, execution = config.signal, config.execution
    mode = kernel.BAND if isinstance(rehedge, Band) else kernel.DAILY if rehedge == "daily" else kernel.NEVER
    return kernel.TradingRules(
        stop=np.inf if signal.stop is None else signal.stop,
        stop_loss=np.inf if signal.stop_loss is None else signal.stop_loss,
        lag=execution.lag if lag is None else lag,
        side=-1 if signal.side == "book" else 1,
        entry_stop=market.entry_bars,
        closed=market.closed,
        drop_unconverged=execution.unconverged == "drop",
        cost_rate=execution.cost_bps / 1e4,
        half_spread=execution.spread / 2.0,
        delisting_loss=execution.delisting_loss,
        reject_negative=config.hedge.reject_negative,
        max_leg_share=config.hedge.max_leg_share,
        volatility=config.portfolio.volatility if config.portfolio.sizing == "volatility" else 0.0,
        rehedge=mode,
        band=rehedge.band if isinstance(rehedge, Band) else 0.0,
        log_space=config.filter.price_space == "log",
        book_spread=execution.pnl == "spread",
        capital=float(pair_capital),
        bars_per_year=float(market.bars_per_year),
    )
