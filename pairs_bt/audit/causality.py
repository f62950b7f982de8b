"""The causality certificate: other futures, the same past.

For random dates the prices after the date are taken away, or replaced by others; the run is made again; and every
table up to the date must come out bit for bit the same. The first stage that does not is named.

A window's last bar is known from the calendar (no weekday of the trade period is left), except where a market
holiday ends the period, as Good Friday does at the end of some quarters: whether that bar is the last is not knowable
on the day, so no date is drawn there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from pairs_bt.audit.fill_check import check_fills
from pairs_bt.audit.run_differences import Break, Comparison, StudyRun, compare
from pairs_bt.backtest.study import Study, prepare
from pairs_bt.backtest.windows import add_period, ends_by_calendar
from pairs_bt.config.schema import Config
from pairs_bt.data.prices import check_prices
from pairs_bt.engine.pipeline import Progress
from pairs_bt.runner import open_study, run

Change = Literal["remove", "perturb"]
# Above this many rows of daily spreads (selected pairs x variants x bars), only those of traded pairs are compared.
_ROWS_KEPT = 5_000_000


@dataclass(frozen=True)
class Probe:
    """One date, one other future, and what came of it."""

    date: str
    change: Change
    tables: int
    rows: int
    first_break: Break | None


@dataclass(frozen=True)
class Certificate:
    """What was compared, and whether anything differed.

    Attributes
    ----------
    probes : tuple of Probe
        Two a date.
    trades_checked : int
        Trades whose fills were held against prices and z-scores.
    fills_break : Break or None
        The first fill that is not what the config says.
    """

    probes: tuple[Probe, ...]
    trades_checked: int
    fills_break: Break | None

    @property
    def holds(self) -> bool:
        """Whether no check found anything."""
        return self.first_break is None

    @property
    def first_break(self) -> Break | None:
        """The earliest stage that broke over all dates; the fills' own check last."""
        from pairs_bt.audit.run_differences import STAGES

        found = [probe.first_break for probe in self.probes if probe.first_break is not None]
        return min(found, key=lambda item: STAGES.index(item.stage)) if found else self.fills_break

    @property
    def dates(self) -> list[str]:
        """The dates, in order."""
        return sorted({probe.date for probe in self.probes})

    def to_dict(self) -> dict[str, Any]:
        """Everything, for causality.json."""
        return {
            "holds": self.holds,
            "dates": self.dates,
            "runs_compared": len(self.probes),
            "tables_compared": sum(probe.tables for probe in self.probes),
            "rows_compared": sum(probe.rows for probe in self.probes),
            "trades_checked": self.trades_checked,
            "first_break": None if self.first_break is None else asdict(self.first_break),
            "fills_break": None if self.fills_break is None else asdict(self.fills_break),
            "probes": [asdict(probe) for probe in self.probes],
        }


def certify(
    config: Config,
    prices: pd.DataFrame,
    *,
    dates: int = 10,
    seed: int | None = None,
    at: Sequence[pd.Timestamp] | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Certificate:
    """Make the certificate of a config on its prices.

    Parameters
    ----------
    config : Config
        The study's config.
    prices : DataFrame
        Adjusted closes, dates x tickers.
    dates : int
        How many random dates; up to a third of them lie in gaps of the prices, where there are any.
    seed : int, optional
        Of the dates and the other futures; None takes the config's.
    at : sequence of Timestamp, optional
        These dates (bars of the prices) in place of random ones.
    jobs : int, optional
        Threads of each run.
    progress : callable, optional
        Called with (runs done, runs in all).
    """
    seed = config.run.seed if seed is None else seed
    full = _make(_keeping_spreads(config, open_study(config, prices)), prices, jobs)
    config = full.study.config
    base = full.study.prices
    bars = _bars_at(full.study, at) if at is not None else pick_bars(full.study, dates, seed)
    probes: list[Probe] = []
    for number, bar in enumerate(bars):
        gap = _gap_probe(full.study, bar, np.random.default_rng([seed, number, 0]))
        for change in ("remove", "perturb"):
            rng = np.random.default_rng([seed, number, 1])
            future = base.iloc[: bar + 1] if change == "remove" else perturbed(base, bar, config.data.fill_limit, rng)
            found = compare(full, _make(config, future, jobs), bar)
            probes.append(_probe(full.study, bar, change, found, gap))
            if progress is not None:
                progress(len(probes), 2 * len(bars))
    checked, fills_break = check_fills(full)
    return Certificate(tuple(probes), checked, fills_break)


def _probe(study: Study, bar: int, change: str, found: Comparison, gap: Break | None) -> Probe:
    first = found.first_break
    if gap is not None and (first is None or first.stage != "windows"):
        first = gap
    kind: Change = "remove" if change == "remove" else "perturb"
    return Probe(f"{study.dates[bar]:%Y-%m-%d}", kind, found.tables, found.rows, first)


def _keeping_spreads(config: Config, study: Study) -> Config:
    bars = max(window.n_trade for window in study.windows) * len(study.windows)
    pairs = min(config.selection.max_pairs, study.pair_i.size)
    kept = "all" if bars * pairs * len(config.hedge.variants) <= _ROWS_KEPT else "traded"
    return config.with_changes(f'run.spreads="{kept}"')


def _make(config: Config, prices: pd.DataFrame, jobs: int | None) -> StudyRun:
    return StudyRun(open_study(config, prices), run(config, prices=prices, jobs=jobs))


def pick_bars(study: Study, count: int, seed: int) -> list[int]:
    """Draw bars at which the future is cut, without repetition: within the trade windows, where the cut is knowable."""
    if count < 1:
        raise ValueError(f"dates = {count}: a certificate needs at least 1 date; 10 are usual")
    usable = np.array(_usable_bars(study), dtype=np.int64)
    rng = np.random.default_rng([seed, len(study.dates)])
    values = study.prices.to_numpy()
    seen = np.isfinite(values)
    # a gap: no price now, one before, one later
    inside = ~seen & np.logical_or.accumulate(seen) & np.logical_or.accumulate(seen[::-1])[::-1]
    gaps = usable[inside[usable].any(axis=1)]
    chosen = rng.permutation(gaps)[: count // 3].tolist()
    rest = rng.permutation(np.setdiff1d(usable, chosen))[: count - len(chosen)].tolist()
    return sorted(chosen + rest)


def _usable_bars(study: Study) -> list[int]:
    able = [k for k in range(len(study.windows)) if int((study.context(k).codes == 0).sum()) >= 2]
    first = study.windows[able[0]].split if able else 0
    unknowable = {w.stop - 1 for w in study.windows if w.closed and not _ends_by_calendar(study, w)}
    return [bar for bar in range(first, len(study.dates) - 1) if bar not in unknowable]


def _ends_by_calendar(study: Study, window: Any) -> bool:
    """Whether a window's last bar is known for the last one of its trade period without the bars after it."""
    end = add_period(window.test_end + 1, study.config.windows.trade) - 1
    return ends_by_calendar(study.dates[: window.stop], end, calendar=study.config.data.calendar)


def _bars_at(study: Study, at: Sequence[pd.Timestamp]) -> list[int]:
    bars = study.dates.get_indexer(pd.DatetimeIndex(list(at)))
    if (bars < 0).any():
        missing = ", ".join(f"{pd.Timestamp(day):%Y-%m-%d}" for day, bar in zip(at, bars, strict=True) if bar < 0)
        raise ValueError(f"the prices have no bar on {missing}: give dates of the prices")
    return sorted(int(bar) for bar in bars)


def perturbed(prices: pd.DataFrame, bar: int, fill_limit: int, rng: np.random.Generator) -> pd.DataFrame:
    """Replace everything after a bar: other prices, and gaps longer than any that is filled.

    Every ticker's later prices are multiplied by a random walk in logs (5% a bar, after a jump of up to a factor of
    2). All but the first ticker lose, by a coin toss each, a run of bars after it.
    """
    values = prices.to_numpy(dtype=np.float64, copy=True)
    later = values[bar + 1 :]
    size, tickers = later.shape
    noise = 0.05 * rng.standard_normal((size, tickers))
    noise[0] += rng.uniform(-np.log(2.0), np.log(2.0), tickers)
    later *= np.exp(np.clip(np.cumsum(noise, axis=0), -3.0, 3.0))
    for j in range(1, tickers):
        if rng.random() < 0.5:
            start = int(rng.integers(max(1, min(size, 60))))
            later[start : start + fill_limit + 3, j] = np.nan
    return pd.DataFrame(values, index=prices.index, columns=prices.columns)


def _gap_probe(study: Study, bar: int, rng: np.random.Generator) -> Break | None:
    """Punch a gap around the bar into one ticker: what fills it may not depend on the price after it.

    Prices without gaps of their own would hide a leak here.
    """
    punched = study.prices.copy()
    j = int(rng.integers(punched.shape[1]))
    punched.iloc[max(bar - 1, 1) : bar + 1, j] = np.nan
    whole, cut = (
        prepare(study.config, check_prices(part)).filled[:, : bar + 1] for part in (punched, punched.iloc[: bar + 1])
    )
    if whole.shape != cut.shape:
        where = f"tickers left with a gap at {study.dates[bar]:%Y-%m-%d}"
        return Break("gap filling", where, str(whole.shape[0]), str(cut.shape[0]))
    same = (whole == cut) | (np.isnan(whole) & np.isnan(cut))
    if same.all():
        return None
    row, column = (int(v[0]) for v in np.nonzero(~same))
    where = f"prices.{study.tickers[row]} at {study.dates[column]:%Y-%m-%d} (a gap put there)"
    return Break("gap filling", where, repr(float(whole[row, column])), repr(float(cut[row, column])))
