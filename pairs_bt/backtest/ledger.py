"""The ledger: trades in shares, filled after the signal, costs and borrow paid, every cent accounted for.

This is the checked face of :mod:`pairs_bt.kernels.ledger`. Dollars in, dollars out; a share is a fraction of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pairs_bt.backtest.entry_levels import levels_or_fixed
from pairs_bt.backtest.signals import SignalSet
from pairs_bt.config.schema import Band, Config, has_optimal_entry
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
    stop_bars = np.full(pairs, np.inf)
    if config.signal.time_stop is not None:
        stop_bars = config.signal.time_stop * signals.half_life
    trades, fills = _room(pairs, bars, rehedge)
    daily = np.zeros((pairs, bars, kernel.N_DAILY))
    levels, short = levels_or_fixed(signals.levels, pairs, config), config.signal.exit_short
    n_trades, n_fills = kernel.trade_rows(
        market.prices, _quotes(market), iy, ix, signals.share_ratio,
        _held(signals, market, iy, ix, dollar_neutral=_dollar_neutral(config)), signals.spread, signals.z,
        levels.entry_z, levels.exit_z,
        levels.exit_z if short is None else np.full(pairs, short), stop_bars,
        np.zeros((pairs, 3)) if moments is None else moments, market.borrow_rate, market.day_gap, rules,
        np.zeros(0, np.int8) if refused is None else refused, trades, fills, daily,
    )  # fmt: skip
    return LedgerResult(trades[:n_trades].copy(), fills[:n_fills].copy(), daily)


@dataclass(frozen=True)
class SettingRules:
    """What the ledger reads of some settings, worked out once for all windows.

    Attributes
    ----------
    dollar_neutral : bool
        How all of them size the legs.
    rules : numpy.ndarray of `pairs_bt.kernels.ledger.RULES`, shape (settings,)
        Less what a window, its candidates and a variant decide.
    levels : numpy.ndarray, shape (4, settings)
        ``signal.entry`` (NaN: each pair's own), ``exit``, ``exit_short`` (NaN: as `exit`) and ``time_stop`` in
        half-lives (inf: none).
    """

    dollar_neutral: bool
    rules: np.ndarray
    levels: np.ndarray

    @classmethod
    def of(cls, config: Config) -> SettingRules:
        """Read one setting."""
        # Bars, capital and re-hedging belong to a window, its candidates and a variant.
        market = Market(np.empty((0, 0)), np.empty(0), np.empty(0), entry_bars=0, closed=True)
        signal = config.signal
        entry = np.nan if has_optimal_entry(signal) else signal.entry
        short = np.nan if signal.exit_short is None else signal.exit_short
        stop = np.inf if signal.time_stop is None else signal.time_stop
        return cls(
            _dollar_neutral(config),
            np.array([tuple(_rules(config, market, 0.0, "never", None))], dtype=kernel.RULES),
            np.array([[entry], [signal.exit], [short], [stop]], dtype=np.float64),
        )

    @classmethod
    def join(cls, parts: Sequence[SettingRules]) -> SettingRules:
        """Settings that size the legs in the same way, in order."""
        return cls(
            parts[0].dollar_neutral,
            # numpy joins records field by field, which is slow
            np.frombuffer(b"".join([part.rules.tobytes() for part in parts]), dtype=kernel.RULES),
            np.concatenate([part.levels for part in parts], axis=1),
        )


def trade_settings(
    signals: SignalSet,
    market: Market,
    iy: np.ndarray,
    ix: np.ndarray,
    *,
    settings: SettingRules,
    pair_capital: np.ndarray,
    rehedge: str | Band = "never",
    moments: np.ndarray | None = None,
    sums: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Trade many pairs through one window under many settings that share their signals.

    What is added for a setting is, bit for bit, what :func:`trade_pairs` gives: its trades, and its daily dollars
    summed over blocks of 64 pairs, the blocks in order.

    Parameters
    ----------
    signals, market, iy, ix, rehedge, moments
        As in :func:`trade_pairs`; the number of pairs added before these must be a multiple of the block.
    settings : SettingRules
        Theirs.
    pair_capital : numpy.ndarray, shape (settings,)
        Dollars committed to one pair.
    sums : numpy.ndarray, shape (settings, bars, N_DAILY)
        Daily dollars are added here.
    counts : numpy.ndarray of int, shape (settings,)
        Trades are added here.
    """
    pairs, bars = signals.z.shape
    rules = settings.rules.copy()
    rules["entry_stop"], rules["closed"] = market.entry_bars, market.closed
    rules["bars_per_year"], rules["capital"] = market.bars_per_year, pair_capital
    rules["rehedge"], rules["band"] = _rehedging(rehedge)
    levels = np.repeat(settings.levels[:, :, None], pairs, axis=2)
    if signals.levels is not None:
        levels[0], levels[1] = signals.levels.entry_z, signals.levels.exit_z
    np.copyto(levels[2], levels[1], where=np.isnan(levels[2]))
    np.multiply(levels[3], signals.half_life, out=levels[3], where=np.isfinite(levels[3]))
    size = min(pairs, BLOCK)
    trades, fills = _room(size, bars, rehedge)
    kernel.trade_settings(
        market.prices, _quotes(market), iy, ix, signals.share_ratio,
        _held(signals, market, iy, ix, dollar_neutral=settings.dollar_neutral), signals.spread, signals.z,
        levels, np.zeros((pairs, 3)) if moments is None else moments, market.borrow_rate, market.day_gap, rules,
        BLOCK, np.zeros(0, np.int8), trades, fills, np.zeros((size, bars, kernel.N_DAILY)), sums, counts,
    )  # fmt: skip


def _dollar_neutral(config: Config) -> bool:
    return config.portfolio.sizing == "dollar_neutral"


def _held(signals: SignalSet, market: Market, iy: np.ndarray, ix: np.ndarray, *, dollar_neutral: bool) -> np.ndarray:
    """Shares of x to hold against one of y: the signal's ratio, or equal dollars on its sides: |n_x| x = |n_y| y."""
    ratio = signals.share_ratio
    if not dollar_neutral:
        return ratio
    return np.asarray(np.where(ratio < 0.0, -1.0, 1.0) * (market.prices[iy] / market.prices[ix]))


def _quotes(market: Market) -> np.ndarray:
    return np.isfinite(market.prices) if market.quotes is None else market.quotes


def _room(pairs: int, bars: int, rehedge: str | Band) -> tuple[np.ndarray, np.ndarray]:
    """Empty trades and fills, as many as there can be."""
    # At most one trade opens every second bar; a re-hedged trade may fill on every bar.
    trades = np.empty(pairs * (bars // 2 + 1), dtype=kernel.TRADE)
    return trades, np.empty(pairs * ((2 if rehedge == "never" else 3) * bars + 4), dtype=kernel.FILL)


def _rehedging(rehedge: str | Band) -> tuple[int, float]:
    if isinstance(rehedge, Band):
        return kernel.BAND, rehedge.band
    return kernel.DAILY if rehedge == "daily" else kernel.NEVER, 0.0


def _rules(
    config: Config, market: Market, pair_capital: float, rehedge: str | Band, lag: int | None
) -> kernel.TradingRules:
    signal, execution = config.signal, config.execution
    mode, band = _rehedging(rehedge)
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
        band=band,
        log_space=config.filter.price_space == "log",
        book_spread=execution.pnl == "spread",
        capital=float(pair_capital),
        bars_per_year=float(market.bars_per_year),
    )
