"""A config and its prices, resolved once: everything that the tasks of a run share and never change."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.backtest.ledger import Market
from pairs_bt.backtest.selection import eligibility, resolve_pairs
from pairs_bt.backtest.signals import Levels, prefilter, to_space, window_levels
from pairs_bt.backtest.windows import Window, split_windows
from pairs_bt.common.periods import UNIT_DAYS, split_period
from pairs_bt.config.schema import Config, PairGroups, Universe, Windows, reads
from pairs_bt.data.formats.number_parsing import Note
from pairs_bt.data.prices import PriceData, fill_gaps, read_prices
from pairs_bt.data.reference_tables import read_borrow, read_membership
from pairs_bt.data.synthetic.random_walks import labels
from pairs_bt.errors import ConfigError, DataError
from pairs_bt.models.cointegration import ScanInputs
from pairs_bt.models.cointegration import prepare as prepare_scan
from pairs_bt.models.hedge_ratios import market_returns, returns_betas
from pairs_bt.models.scan.pair_distance import MeasureInputs
from pairs_bt.models.scan.pair_distance import prepare as prepare_measures
from pairs_bt.models.scan.partial_cointegration import changes_of
from pairs_bt.stats.bar_frequency import check_testable, resolve_bars_a_year

_CONTEXTS_KEPT = 4
_DAY = 86_400e6  # microseconds


@dataclass(frozen=True)
class WindowContext:
    """One window's prices in the forms that its tasks read.

    Attributes
    ----------
    window : Window
    levels : Levels
        Train and trade bars, one row a ticker.
    codes : numpy.ndarray, shape (tickers,)
        0 where the ticker takes part, else an index into `pairs_bt.backtest.selection.STANDING`.
    market : Market
        The trade bars as the ledger reads them.
    log_space : bool
        Whether relations are between log prices.
    """

    window: Window
    levels: Levels
    codes: np.ndarray
    market: Market
    log_space: bool = False

    @cached_property
    def train(self) -> np.ndarray:
        """Raw filled train prices, contiguous."""
        return np.ascontiguousarray(self.levels.raw[:, : self.window.n_train])

    @cached_property
    def scan_inputs(self) -> ScanInputs:
        """What the tests need of each ticker that takes part, in order: made once for all chunks of pairs."""
        return prepare_scan(self._test_levels())

    @cached_property
    def partial_inputs(self) -> np.ndarray:
        """Changes of the same series, as the test of partial cointegration reads them."""
        return changes_of(self._test_levels())

    def _test_levels(self) -> np.ndarray:
        able = self.train[self.codes == 0]
        # Statistics of levels do not change with units; logs are another relation, the one the spread is formed in.
        return to_space(able, "log") if self.log_space else able

    @cached_property
    def quoted(self) -> np.ndarray:
        """Trade prices where they are a day's own, NaN where an older one is carried forward: (tickers, bars)."""
        prices, quotes = self.market.prices, self.market.quotes
        return prices if quotes is None else np.where(quotes, prices, np.nan)

    @cached_property
    def measure_inputs(self) -> MeasureInputs:
        """Train prices of the tickers that take part, as the measures of likeness read them."""
        return prepare_measures(self.train[self.codes == 0])

    @cached_property
    def market_betas(self) -> np.ndarray:
        """Slope of every ticker's daily return on that of all that take part; (tickers,), NaN for others."""
        out = np.full(self.codes.size, np.nan)
        able = np.flatnonzero(self.codes == 0)
        market = market_returns(self.train, able)
        rows = self.train[able]
        out[able] = returns_betas(rows[:, 1:] / rows[:, :-1] - 1.0, market)
        return out


class ContextCache:
    """The last few contexts of a study, or of several that share their prices; empty where it is unpickled.

    Parameters
    ----------
    kept : dict, optional
        Contexts by window.
    """

    def __init__(self, kept: dict[int, WindowContext] | None = None) -> None:
        self._kept = kept or {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[ContextCache], tuple[()]]:
        return ContextCache, ()

    def get(self, k: int, make: Callable[[int], WindowContext]) -> WindowContext:
        """The context of window `k`, made if it is not kept."""
        with self._lock:
            if k not in self._kept:
                while len(self._kept) >= _CONTEXTS_KEPT:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[k] = make(k)
            return self._kept[k]


@dataclass(frozen=True)
class Study:
    """Config, prices and windows of a run; see :func:`prepare`.

    Attributes
    ----------
    config : Config
    prices : DataFrame, shape (days, tickers)
        As checked, gaps unfilled.
    tickers : list of str
    dates : DatetimeIndex
    filled : numpy.ndarray, shape (tickers, days)
        Prices after the forward fill.
    quotes : numpy.ndarray of bool, shape (tickers, days)
        Where a filled price is that day's own.
    spread_prices : numpy.ndarray, shape (tickers, days)
        What enters the spread: `filled`, or filtered since the first day.
    windows : list of Window
    pair_i, pair_j : numpy.ndarray of int
        The universe's pairs as rows of `filled`.
    borrow_rate : numpy.ndarray, shape (tickers,)
        Per calendar day.
    day_gap : numpy.ndarray, shape (days,)
        Calendar days since the bar before, a fraction within the day.
    notes : tuple of Note
    source : dict
        Fingerprint of the data.
    """

    config: Config
    prices: pd.DataFrame
    tickers: list[str]
    dates: pd.DatetimeIndex
    filled: np.ndarray
    quotes: np.ndarray
    spread_prices: np.ndarray
    windows: list[Window]
    pair_i: np.ndarray
    pair_j: np.ndarray
    membership: pd.DataFrame | None
    sample_complete: np.ndarray | None
    borrow_rate: np.ndarray
    day_gap: np.ndarray
    notes: tuple[Note, ...]
    source: dict[str, Any]
    contexts: ContextCache = field(default_factory=ContextCache, compare=False, repr=False)

    @cached_property
    def slots(self) -> int:
        """Cohorts that are live at the same time once the run is under way."""
        return cohort_slots(self.config.windows)

    @cached_property
    def bars_per_year(self) -> float:
        """Bars that annual figures count to a year: ``data.bars_per_year``, read off the calendar where it is auto."""
        return resolve_bars_a_year(self.config.data.bars_per_year, self.dates)

    def context(self, k: int) -> WindowContext:
        """Prices of window `k`; the last few are kept for the tasks that share them."""
        return self.contexts.get(k, self._make_context)

    def _make_context(self, k: int) -> WindowContext:
        window = self.windows[k]
        bars = slice(window.first, window.stop)
        raw = np.ascontiguousarray(self.filled[:, bars])
        spread = raw if self.spread_prices is self.filled else np.ascontiguousarray(self.spread_prices[:, bars])
        codes = eligibility(raw[:, : window.n_train], self.tickers, self.membership, window.test_end)
        if self.sample_complete is not None:
            codes[~self.sample_complete & (codes == 0)] = 1
        market = Market(
            prices=np.ascontiguousarray(raw[:, window.n_train :]),
            day_gap=self.day_gap[window.split : window.stop],
            borrow_rate=self.borrow_rate,
            entry_bars=window.entry_stop - window.split,
            closed=window.closed,
            quotes=np.ascontiguousarray(self.quotes[:, window.split : window.stop]),
            bars_per_year=self.bars_per_year,
        )
        levels = replace(
            window_levels(raw, spread, self.config.filter),
            n_train=window.n_train,
            market_rows=market_rows(self.config, self.tickers, codes),
            bars_per_year=self.bars_per_year,
        )
        return WindowContext(window, levels, codes, market, self.config.filter.price_space == "log")


def market_rows(config: Config, tickers: list[str], codes: np.ndarray) -> np.ndarray:
    """Rows whose mean return is the market of the hedge rule `beta`: the ticker named, or all that take part."""
    if config.hedge.market:
        return np.array([tickers.index(config.hedge.market)])
    return np.flatnonzero(codes == 0)


def cohort_slots(options: Windows) -> int:
    """Cohorts that live at once: trade length over step, rounded up."""
    trade, step = split_period(options.trade), split_period(options.step)
    if trade[1] in "YM" and step[1] in "YM":
        months = [n * (12 if unit == "Y" else 1) for n, unit in (trade, step)]
        return math.ceil(months[0] / months[1])
    days = [n * UNIT_DAYS[unit] for n, unit in (trade, step)]
    return math.ceil(days[0] / days[1] - 1e-9)


def load_prices(config: Config) -> PriceData:
    """Read the prices that `[data]` names: a file, or a seeded synthetic universe."""
    data = config.data
    if data.synthetic is not None:
        from pairs_bt.data.prices import check_prices
        from pairs_bt.data.synthetic.pair_universe import book_size_universe

        made = data.synthetic
        try:
            market = book_size_universe(
                made.left, made.right, cointegrated_share=made.cointegrated_share, seed=made.seed
            )
        except ValueError as error:
            raise ConfigError(f"data.synthetic: {error}") from None
        return check_prices(market.prices, start=data.start, end=data.end, source="synthetic universe")
    if not data.path:
        raise ConfigError("data.path is empty: name a file or folder of adjusted closes (or data.synthetic).")
    return from_source(config, data.path)


def from_source(config: Config, source: Any) -> PriceData:
    """Read any source of prices as the config's `[data]` says: its dates, field, calendar and limits."""
    data = config.data
    return read_prices(
        source,
        field=data.field or None,
        start=data.start,
        end=data.end,
        calendar=data.calendar,
        max_bytes=data.max_bytes,
        max_cells=data.max_cells,
    )


@reads(
    "data", "universe", "windows", "filter", "hedge", "execution.borrow_bps", "execution.borrow_table",
    but=("filter.hedge", "hedge.variants", "hedge.rehedge"),
)  # fmt: skip
def prepare(config: Config, data: PriceData | None = None) -> Study:
    """Resolve a config on its prices.

    Parameters
    ----------
    config : Config
        Names the prices, the universe and the windows.
    data : PriceData, optional
        Prices already checked (see :func:`pairs_bt.data.prices.check_prices`); None reads what the config names.

    Raises
    ------
    ConfigError, DataError
        When tickers, tables or dates named in the config do not fit the prices.
    """
    if data is None:
        data = load_prices(config)
    prices = data.prices
    tickers = [str(name) for name in prices.columns]
    if config.hedge.market and config.hedge.market not in tickers:
        raise ConfigError(
            f"hedge.market = {config.hedge.market!r}: the prices have no such ticker. Name one of their "
            f"{len(tickers)} columns, or leave it empty for the mean of all."
        )
    windows = split_windows(pd.DatetimeIndex(prices.index), config.windows, config.data.calendar)
    stamps = prices.index.to_numpy().astype("datetime64[us]")
    pair_i, pair_j = resolve_pairs(_universe(config, tickers), tickers)
    return Study(
        config=config,
        tickers=tickers,
        dates=pd.DatetimeIndex(prices.index),
        windows=windows,
        pair_i=pair_i,
        pair_j=pair_j,
        membership=read_membership(config.universe.membership) if config.universe.membership else None,
        borrow_rate=_borrow_rates(config, tickers),
        day_gap=np.concatenate([[0.0], np.diff(stamps).astype(np.float64) / _DAY]),
        notes=data.notes,
        source=data.source,
        **_forms(config, prices),
    )


def with_prices(study: Study, prices: pd.DataFrame) -> Study:
    """The study of other prices with the same dates and tickers, as :func:`prepare` makes it without their source."""
    if not (prices.index.equals(study.prices.index) and prices.columns.equals(study.prices.columns)):
        raise ValueError("other prices need the dates and the tickers of the study")
    return replace(study, **_forms(study.config, prices), notes=(), source={}, contexts=ContextCache())


def _forms(config: Config, prices: pd.DataFrame) -> dict[str, Any]:
    """Prices in the forms that a study holds."""
    filled = np.ascontiguousarray(fill_gaps(prices, config.data.fill_limit).to_numpy(dtype=np.float64).T)
    return {
        "prices": prices,
        "filled": filled,
        "quotes": np.ascontiguousarray(np.isfinite(prices.to_numpy(dtype=np.float64)).T),
        "spread_prices": prefilter(filled, config.filter) if config.filter.spread_on == "filtered" else filled,
        "sample_complete": np.isfinite(filled).all(axis=1) if config.universe.complete_over == "sample" else None,
    }


def _universe(config: Config, tickers: list[str]) -> Universe:
    """The universe's pairs; every pair of a synthetic universe is one of its left with one of its right group."""
    made = config.data.synthetic
    if made is None or config.universe.pairs != "all":
        return config.universe
    left, right = set(labels("S", made.left)), set(labels("E", made.right))
    groups = PairGroups(
        left=tuple(name for name in tickers if name in left), right=tuple(name for name in tickers if name in right)
    )
    return config.universe.model_copy(update={"pairs": groups})


def _borrow_rates(config: Config, tickers: list[str]) -> np.ndarray:
    """Borrow per calendar day of each ticker: the config's, overridden by the borrow table's."""
    annual = np.full(len(tickers), config.execution.borrow_bps)
    if config.execution.borrow_table:
        rates, problems = read_borrow(config.execution.borrow_table, tickers)
        if problems:
            raise ConfigError(f"{problems}.")
        for place, name in enumerate(tickers):
            annual[place] = rates.get(name, annual[place])
    return annual / 1e4 / 365.0


def check_tradeable(study: Study) -> None:
    """Refuse a study in which no window has two tickers that take part.

    Raises
    ------
    DataError
        Naming what the tickers of the last window lack, or how many bars a test needs.
    """
    check_testable(max(window.n_train for window in study.windows), study.config.windows.train, study.dates)
    for window in study.windows:
        train = study.filled[:, window.first : window.split]
        if int((eligibility(train, study.tickers, study.membership, window.test_end) == 0).sum()) >= 2:
            return
    last = study.windows[-1]
    codes = eligibility(study.filled[:, last.first : last.split], study.tickers, study.membership, last.test_end)
    lacks = ", ".join(
        f"{name} ({('', 'incomplete prices', 'constant prices', 'not a member')[code]})"
        for name, code in list(zip(study.tickers, codes, strict=True))[:8]
        if code
    )
    raise DataError(
        f"No pair can be formed: in none of the {len(study.windows)} windows do two tickers have complete, moving "
        f"prices over the train period of {study.config.windows.train}. In the last one: {lacks}. Give a longer "
        "history, raise data.fill_limit for short gaps, or shorten windows.train."
    )
