"""The data of a finished run: its tables as frames, just made or read back from the run's folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from pairs_bt.backtest.hedge_rules import Variant, variants
from pairs_bt.backtest.held_ratios import held_summary
from pairs_bt.common.periods import TRADING_DAYS, UNIT_DAYS, split_period
from pairs_bt.config.schema import Config, slot_parts
from pairs_bt.engine.identity import versions
from pairs_bt.errors import DataError

if TYPE_CHECKING:
    from pairs_bt.stats.comparison import Comparison


# A RunData, or the face over it that a caller hands in as a class.
Made = TypeVar("Made", bound="RunData")

DAYS_A_YEAR = 365.25
_LAZY = ("tests", "half_lives", "hedge_effectiveness", "trades", "fills")


class ReturnsTable(pd.DataFrame):
    """The returns table; called with a variant it gives that variant's daily returns as a Series."""

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def __call__(self, variant: str, column: str = "net") -> pd.Series:
        """Daily simple returns of one variant.

        Parameters
        ----------
        variant : str
            A name or label from the summary: ``'dynamic'`` and ``'dynamic-frozen'`` are the same.
        column : str
            ``'net'``, ``'gross'``, ``'net_employed'`` or another column of the table.

        Returns
        -------
        Series
            UTC DatetimeIndex, as pyfolio and quantstats take it.
        """
        known = list(dict.fromkeys(self["variant"]))
        name = variant if variant in known else variant.removesuffix("-frozen")
        if name not in known:
            raise KeyError(f"no variant {variant!r} in this run; it has {known}")
        rows = self[self["variant"] == name]
        index = pd.DatetimeIndex(rows["date"]).tz_localize("UTC")
        return pd.Series(rows[column].to_numpy(), index=index.rename("date"), name=variant)


@dataclass(frozen=True)
class RunData:
    """The data of a finished run.

    The attributes are described at :class:`pairs_bt.results.Run`, which adds figures and the report.
    """

    config: Config
    tests: pd.DataFrame = field(repr=False)
    half_lives: pd.DataFrame = field(repr=False)
    hedge_effectiveness: pd.DataFrame = field(repr=False)
    trades: pd.DataFrame = field(repr=False)
    fills: pd.DataFrame = field(repr=False)
    returns: ReturnsTable = field(repr=False)
    summary: pd.DataFrame
    chance: dict[str, Any]
    source: dict[str, Any]
    notes: list[str]
    folder: Path | None = None
    versions: dict[str, str] = field(default_factory=versions, repr=False, compare=False)
    counts: dict[str, dict[str, int]] = field(default_factory=dict, repr=False)
    bars_per_year: float = TRADING_DAYS
    _spreads: Callable[..., pd.DataFrame] | None = field(default=None, repr=False, compare=False)
    _prices: Callable[[], pd.DataFrame] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        # A table given as a function is read on first use: a stored run can be larger than what is looked at.
        loaders = {name: self.__dict__.pop(name) for name in _LAZY if callable(self.__dict__[name])}
        self.__dict__["_loaders"] = loaders

    def __getattr__(self, name: str) -> Any:
        # Only called for what is not there (yet).
        load = self.__dict__.get("_loaders", {}).get(name)
        if load is None:
            raise AttributeError(f"a Run has no attribute {name!r}")
        self.__dict__[name] = load()
        return self.__dict__[name]

    def tests_of(self, *columns: str) -> pd.DataFrame:
        """Columns of `tests`; of a stored run no other column is read (the table has a row for every test made)."""
        if "tests" in self.__dict__:
            return self.tests[list(columns)]
        return self.__dict__["_loaders"]["tests"](columns=list(columns))

    @cached_property
    def spreads(self) -> pd.DataFrame:
        """Hedge ratio, spread, z-score and position by test end, date, pair and variant (read on first use)."""
        if self._spreads is None:
            raise DataError("This run kept no spreads: set run.spreads to 'all' or 'traded' and run it again.")
        return self._with_categories(self._spreads())

    def select_spreads(
        self,
        keep: Callable[[pd.DataFrame], pd.DataFrame],
        *,
        test_end: pd.Timestamp | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """What `keep` returns of each window's spreads, joined; a stored run is read one window at a time.

        Parameters
        ----------
        keep : callable
            Takes a frame with the columns of `spreads` and returns rows and columns of it; it must treat every
            window on its own.
        test_end : Timestamp, optional
            Only this window.
        columns : sequence of str, optional
            The columns that `keep` looks at: of a stored run no others are read.
        """
        if self._spreads is not None and "spreads" not in self.__dict__:
            return self._with_categories(self._spreads(keep=keep, test_end=test_end, columns=columns))
        table = self.spreads
        return keep(table if test_end is None else table[table["test_end"] == test_end])

    def _with_categories(self, spreads: pd.DataFrame) -> pd.DataFrame:
        """Names as categories of the whole run, however its parts were stored."""
        if not {"y", "x", "variant"} & {*spreads.columns}:
            return spreads
        names = self.tests_of("s1", "s2")
        tickers = sorted({*names["s1"].unique(), *names["s2"].unique()})
        labels = [variant.name for variant in self.variants]
        for column, categories in (("y", tickers), ("x", tickers), ("variant", labels)):
            if column not in spreads:
                continue
            values = spreads[column]
            if isinstance(values.dtype, pd.CategoricalDtype) and not set(values.cat.categories) <= set(categories):
                # Parts name every ticker of the prices, and the table of tests may know fewer.
                values = values.cat.remove_unused_categories()
            spreads[column] = pd.Categorical(values, categories=categories)
        return spreads

    @cached_property
    def prices(self) -> pd.DataFrame:
        """The prices the run was made from (read again on first use, and checked to be the same)."""
        if self._prices is None:
            raise DataError("The prices of this run are not at hand.")
        return self._prices()

    @cached_property
    def held(self) -> pd.DataFrame:
        """What each variant's ratios are: the price quotient or the relation tested.

        See :func:`pairs_bt.backtest.held_ratios.held_summary`.
        """
        return held_summary(self.half_lives)

    @cached_property
    def _hedge_losses(self) -> pd.DataFrame:
        from pairs_bt.stats.hedge_effectiveness import log_losses

        return log_losses(self.hedge_effectiveness)

    @cached_property
    def hedge_differences(self) -> pd.DataFrame:
        """Which ratio hedges the next bar better (`pairs_bt.stats.hedge_effectiveness`), on first use."""
        from pairs_bt.backtest.study import cohort_slots
        from pairs_bt.stats.hedge_effectiveness import loss_differences

        return loss_differences(self._hedge_losses, lags=cohort_slots(self.config.windows) - 1)

    @cached_property
    def hedge_set(self) -> pd.DataFrame:
        """Ratios that are not shown to hedge the next bar worse than the best, on first use."""
        from pairs_bt.backtest.study import cohort_slots
        from pairs_bt.stats.hedge_effectiveness import loss_confidence_set

        options = self.config.comparison
        return loss_confidence_set(
            self._hedge_losses, block=cohort_slots(self.config.windows), draws=options.draws, seed=options.seed
        )

    @property
    def variants(self) -> list[Variant]:
        """The variants that were compared."""
        return variants(self.config.hedge)

    @property
    def labels(self) -> dict[str, str]:
        """What a person reads for each variant."""
        return {variant.name: variant.label for variant in self.variants}

    @cached_property
    def windows(self) -> pd.DataFrame:
        """Pairs tested, passing the tests and selected, by test end."""
        if self.config.selection.keep == "selected":
            ends = pd.DatetimeIndex(list(self.counts), name="test_end").as_unit("us")
            return pd.DataFrame(list(self.counts.values()), index=ends, columns=["tested", "passed", "selected"])
        tests = self.tests_of("test_end", "eg_stat_12", "selected", "reason")
        made = tests["eg_stat_12"].notna()
        passed = tests["selected"] | (tests["reason"] == "max_pairs")
        table = pd.DataFrame({"tested": made, "passed": passed, "selected": tests["selected"]})
        return table.groupby(tests["test_end"]).sum().astype("int64")

    @property
    def expected_by_chance(self) -> float:
        """Pairs that would pass the tests if no two tickers had anything to do with each other."""
        return float(self.chance["expected"])

    @cached_property
    def cohort_returns(self) -> pd.DataFrame:
        """Net P&L of each cohort over its committed capital: test_end x variant."""
        pnl = self.trades.groupby(["test_end", "variant"])["net_pnl"].sum().unstack("variant")
        slots = self.cohort_capital
        return pnl.reindex(index=slots.index, columns=slots.columns).fillna(0.0) / slots

    @cached_property
    def cohort_capital(self) -> pd.DataFrame:
        """Money committed to each cohort, test_end x variant; the first slot where the cohort did not trade."""
        from pairs_bt.backtest.study import cohort_slots

        names = [variant.name for variant in self.variants]
        pair = self.trades.groupby(["test_end", "variant"])["capital"].first().unstack("variant")
        # Every pair of a cohort has the same part of its slot, which under compounding is not the first slot.
        parts = slot_parts(self.windows["selected"], self.config.portfolio)
        first = self.config.portfolio.capital / cohort_slots(self.config.windows)
        return pair.reindex(index=self.windows.index, columns=names).mul(parts, axis=0).fillna(first)

    @cached_property
    def net(self) -> pd.DataFrame:
        """Daily net returns on committed capital: date x variant."""
        return self.wide("net")

    @cached_property
    def excess(self) -> pd.DataFrame:
        """Daily net returns less what the capital would have earned as cash: date x variant."""
        return self.net - self.wide("riskless")

    def wide(self, column: str) -> pd.DataFrame:
        """One column of the returns table as date x variant."""
        names = [variant.name for variant in self.variants]
        return self.returns.pivot(index="date", columns="variant", values=column)[names]

    def __repr__(self) -> str:
        dates = self.net.index
        span = f"; {dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d}" if len(dates) else ""
        return f"<Run: {', '.join(self.labels.values())}{span}>"

    @cached_property
    def like_with_like(self) -> pd.DataFrame:
        """What each variant does with its own candidates and with those that all may trade; index variant."""
        from pairs_bt.stats.like_with_like import like_with_like

        step, unit = split_period(self.config.windows.step)
        return like_with_like(
            self.half_lives, self.trades, self.net, self.cohort_capital,
            cohorts_a_year=DAYS_A_YEAR / (step * UNIT_DAYS[unit]), bars_per_year=self.bars_per_year,
        )  # fmt: skip

    @cached_property
    def comparison(self) -> Comparison:
        """The statistics of the variants against each other, on net returns over the cash rate (on first use)."""
        from pairs_bt.stats.comparison import compare_variants
        from pairs_bt.stats.like_with_like import unlike_words

        options = self.config.comparison
        return compare_variants(
            self.excess, draws=options.draws, block=options.block, seed=options.seed,
            cohort_returns=self.cohort_returns, trades=self.trades, labels=self.labels,
            bars_per_year=self.bars_per_year,
            unlike="" if self.trades.empty else unlike_words(self.like_with_like, self.labels),
        )  # fmt: skip
