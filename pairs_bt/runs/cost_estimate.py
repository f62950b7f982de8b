"""What `pairs-bt validate` says: whether config and prices fit, what was noticed, and what a run would cost."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass

import pandas as pd

from pairs_bt.backtest.hedge_rules import variants
from pairs_bt.backtest.selection import STANDING, eligibility
from pairs_bt.backtest.study import Study
from pairs_bt.common.periods import TRADING_DAYS, split_period
from pairs_bt.config.schema import Config
from pairs_bt.data.formats.number_parsing import Note, counted
from pairs_bt.data.prices import PriceData
from pairs_bt.stats.bar_frequency import bars_a_year, count_bars_a_year

# Seconds of one core, measured on the book-size run: a test per train bar; a candidate and variant per window bar.
# The spreads that are kept double the latter.
_TEST_S = 14e-6 / 504
_TRADE_S = 55e-6 / 630
_START_S, _REPORT_S = 2.0, 4.0
# Bytes: of the program with its libraries, of a tested pair's row, of a spread's row while it is written.
_PROGRAM, _TEST_ROW, _SPREAD_ROW = 350e6, 250, 90


@dataclass(frozen=True)
class Cost:
    """What a run would take, roughly.

    Attributes
    ----------
    seconds : float
        Warm, with the report.
    peak_bytes : float
        Largest memory.
    """

    seconds: float
    peak_bytes: float


def expected_cost(study: Study, jobs: int | None = None) -> Cost:
    """Estimate time and memory of a run from its size; candidates are taken to be as many as `max_pairs` allows."""
    jobs = jobs or os.cpu_count() or 1
    config, pairs = study.config, study.pair_i.size
    ways = len(variants(config.hedge))
    candidates = min(config.selection.max_pairs, pairs)
    work = 0.0
    for window in study.windows:
        work += pairs * window.n_train * _TEST_S
        work += candidates * ways * (window.n_train + window.n_trade) * _TRADE_S
    longest = max(window.n_train + window.n_trade for window in study.windows)
    trade_bars = max(window.n_trade for window in study.windows)
    kept = {"all": 1.0, "traded": 0.6, "none": 0.0}[config.run.spreads]
    one_window = (
        pairs * _TEST_ROW
        + candidates * 8 * (2 * longest + 4 * ways * trade_bars)
        + candidates * ways * trade_bars * _SPREAD_ROW * kept
    )
    prices = 8.0 * len(study.tickers) * (4 * len(study.dates) + 4 * 4 * longest)
    at_once = min(jobs + 1, len(study.windows))
    return Cost(_START_S + _REPORT_S + work / jobs, _PROGRAM + prices + at_once * one_window)


# Trading days of a period's unit, of a calendar with 252 a year.
_DAYS = {"Y": 252.0, "M": 21.0, "W": 5.0, "D": 252 / 365.25}


def short_blocks(
    config: Config, block: int | None = None, *, bars_per_year: float = TRADING_DAYS, unit: str = "days"
) -> Note | None:
    """A note when the bootstrap's blocks are shorter than a cohort trades, which joins the returns of those days."""
    number, period = split_period(config.windows.trade)
    days = round(number * _DAYS[period] * bars_per_year / TRADING_DAYS)
    block = config.comparison.block if block is None else block
    if block >= days:
        return None
    text = (
        f"comparison.block = {block}: blocks of {counted(block, unit[:-1])} are shorter than the {days} {unit} that a "
        f"cohort trades (windows.trade = {config.windows.trade!r}), so the intervals will be too narrow"
    )
    return Note("flagged", "block", "", "", block, text)


# A line of `pairs-bt validate`, the rules that it sums up, and what it says when there are none.
_SUMMED = (
    ("gaps", ("gap",), "none of more than 5 bars"),
    ("holidays", ("holiday", "calendar"), "no rows carried forward"),
    ("splits", ("split",), "none suspected"),
)
_NAMES = 12


def price_lines(data: PriceData) -> list[str]:
    """Say what a source of prices holds: tickers, dates, field, gaps, holidays, splits, who is dead and when."""
    prices, notes = data.prices, data.notes
    dates = pd.DatetimeIndex(prices.index)
    days = f"{dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d}"
    year = count_bars_a_year(dates)
    used = "" if year == TRADING_DAYS else f" ({year:g} in annual figures)"
    field = next((note.text for note in notes if note.rule == "field"), "one price for each ticker")
    often = f"about {bars_a_year(dates):.0f} a year{used}"
    out = [
        f"prices   {prices.shape[1]} tickers, {days}, {len(dates):,} dates, {often}",
        f"field    {field}",
    ]
    for label, rules, none in _SUMMED:
        found = [note for note in notes if note.rule in rules]
        tickers = [note.ticker for note in found if note.ticker]
        whole = [note.text for note in found if not note.ticker]
        lines = whole or ([f"in {counted(len(tickers), 'ticker')}: {_some(tickers)}"] if tickers else [none])
        out += [f"{label:<8} {line}" for line in lines]
    dead = [f"{note.ticker} {note.date}" for note in notes if note.rule == "ends_early"]
    text = f"{counted(len(dead), 'ticker')}, with the last price: {_some(dead)}" if dead else "none before the end"
    return [*out, f"dead     {text}"]


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMES]) + (f" and {len(names) - _NAMES} more" if len(names) > _NAMES else "")


def study_lines(study: Study) -> list[str]:
    """Say what a run would do, what the data door has noticed, who takes part, and what it would cost."""
    windows, pairs = study.windows, study.pair_i.size
    ends = f"{windows[0].label} to {windows[-1].label}"
    out = [
        f"windows  {len(windows)}, test ends {ends}, about {windows[-1].n_train} train bars",
        f"pairs    {pairs:,} a window, {pairs * len(windows):,} tests",
        f"variants {', '.join(v.label for v in variants(study.config.hedge))}",
        *(f"absent   {line}" for line in _absent(study)),
    ]
    if not study.notes:
        out.append("notes    none: nothing was repaired, flagged or left out")
    else:
        counts = Counter(note.kind.replace("_", " ") for note in study.notes)
        out.append(f"notes    {len(study.notes)}: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
    out += [f"note     {note.text}" for note in study.notes]
    cost = expected_cost(study)
    return [
        *out,
        f"cost     about {_seconds(cost.seconds)} and {cost.peak_bytes / 2**30:.1f} GiB of memory on "
        f"{os.cpu_count() or 1} processors, once the kernels are compiled",
        "The config and the prices fit; nothing was run.",
    ]


@dataclass(frozen=True, repr=False, eq=False)
class Validation:
    """What :func:`pairs_bt.validate` found; printed it is what ``pairs-bt validate`` says.

    Attributes
    ----------
    data : PriceData
        The prices, and notes on what was done to them.
    study : Study
        The config resolved on them: tickers, pairs, windows, notes.
    """

    data: PriceData
    study: Study

    @property
    def cost(self) -> Cost:
        """Time and memory that a run would take, roughly."""
        return expected_cost(self.study)

    @property
    def lines(self) -> list[str]:
        """The text, line by line."""
        return [*price_lines(self.data), *study_lines(self.study)]

    def __repr__(self) -> str:
        return "\n".join(self.lines)


def _absent(study: Study) -> list[str]:
    """Tickers that some windows go without, by reason, with the first such window."""
    found: dict[tuple[str, str], list[str]] = {}
    for window in study.windows:
        train = study.filled[:, window.first : window.split]
        for name, code in zip(
            study.tickers, eligibility(train, study.tickers, study.membership, window.test_end), strict=True
        ):
            if code:
                found.setdefault((name, STANDING[code]), []).append(window.label)
    lines = [
        f"{name} in {len(labels)} of {len(study.windows)} windows ({reason}), first in {labels[0]}"
        for (name, reason), labels in found.items()
    ]
    return lines[:20] + ([f"and {len(lines) - 20} more tickers"] if len(lines) > 20 else [])


def _seconds(value: float) -> str:
    return f"{value:.0f} s" if value < 120 else f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.0f} h"
