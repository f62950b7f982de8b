"""What a setting leaves behind: its daily returns, what each cohort earned, and how it stood at each test end."""

from __future__ import annotations

import math
import os
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from threading import Lock
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from pairs_bt.backtest.hedge_rules import variants
from pairs_bt.backtest.portfolio.returns import Cohort, excess_and_gross, portfolio_returns
from pairs_bt.backtest.windows import Window
from pairs_bt.kernels.ledger import N_ACCOUNT, add_cohort, ended_sharpes
from pairs_bt.sweep.cohort_traders import Trader
from pairs_bt.sweep.shared_stages import SweepCase, VariantDollars

Floats = NDArray[np.float64]

# Daily dollars of the settings that are traded together stay in memory until their last window is done.
BATCH_BYTES = 250_000_000
# Daily returns of more settings than this lie in a temporary file.
MEMORY_BYTES = 200_000_000


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What one setting's cohorts came to, without its daily returns; first axis: its variants.

    Attributes
    ----------
    variants : tuple of str
    dates : array (days,) of datetime64[us]
    ends : array (cohorts,) of datetime64[D]
        Test ends that all settings of the sweep have.
    cohort : array (variants, cohorts)
        Net P&L of each cohort over its committed capital.
    score : array (variants, cohorts)
        At each test end, the annual Sharpe ratio of the daily net returns of the cohorts that had ended by then, each
        day the mean of those live on it; 0 where nothing moved yet.
    trades : array (variants, cohorts) of int
        Trades of each cohort.
    """

    variants: tuple[str, ...]
    dates: NDArray[np.datetime64]
    ends: NDArray[np.datetime64]
    cohort: Floats
    score: Floats
    trades: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Outcome(Standing):
    """One setting's results: its :class:`Standing`, and its days.

    Attributes
    ----------
    net, gross : array (variants, days)
        Daily simple returns on committed capital, as in a run's returns table; net of the cash rate.
    """

    net: Floats
    gross: Floats


class Outcomes(Sequence[Outcome]):
    """The outcomes of all settings: standings in memory, daily returns in a temporary file once they are many.

    Parameters
    ----------
    count : int
        Settings.
    folder : Path, optional
        Where the file is; None takes the system's. It has no name there, and goes when this does.

    Attributes
    ----------
    standings : list of Standing
        One a setting.
    """

    def __init__(self, count: int, folder: Path | None = None) -> None:
        self.standings: list[Standing] = [None] * count  # type: ignore[list-item]
        self._at: list[int] = [-1] * count
        self._known: dict[bytes, NDArray[np.datetime64]] = {}
        self._file = tempfile.SpooledTemporaryFile(MEMORY_BYTES, dir=None if folder is None else str(folder))  # noqa: SIM115
        self._lock = Lock()
        self._end = 0
        weakref.finalize(self, self._file.close)

    def __reduce__(self) -> tuple[type[tuple[Outcome, ...]], tuple[list[Outcome]]]:
        return tuple, (list(self),)

    def put(self, place: int, outcome: Outcome) -> None:
        """Keep the outcome of one setting."""
        own = {field.name: getattr(outcome, field.name) for field in fields(Standing)}
        for name in ("dates", "ends"):
            # the same for many settings
            own[name] = self._known.setdefault(own[name].tobytes(), own[name])
        self.standings[place] = Standing(**own)
        with self._lock:
            self._file.seek(self._end)
            self._at[place] = self._end
            for values in (outcome.net, outcome.gross):
                self._end += self._file.write(np.ascontiguousarray(values).tobytes())

    def has(self, place: int) -> bool:
        """Whether a setting has its outcome."""
        return self._at[place] >= 0

    def net(self, place: int, variant: int, days: int) -> Floats:
        """Net returns of one variant of a setting on its last `days` days."""
        size = self.standings[place].dates.size
        return self._read(self._at[place] + 8 * ((variant + 1) * size - days), days)

    def _read(self, at: int, count: int) -> Floats:
        out = np.empty(count)
        with self._lock:
            self._file.seek(at)
            read = self._file.read(out.nbytes)
        out[:] = np.frombuffer(read)
        return out

    def __len__(self) -> int:
        return len(self.standings)

    @overload
    def __getitem__(self, place: int) -> Outcome: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Outcome, ...]: ...

    def __getitem__(self, place: int | slice) -> Outcome | tuple[Outcome, ...]:
        if isinstance(place, slice):
            return tuple(self[n] for n in range(*place.indices(len(self))))
        kept = self.standings[place]
        both = self._read(self._at[place], 2 * len(kept.variants) * kept.dates.size)
        net, gross = both.reshape(2, len(kept.variants), kept.dates.size)
        own: dict[str, Any] = {field.name: getattr(kept, field.name) for field in fields(Standing)}
        return Outcome(**own, net=net, gross=gross)


def trade_settings(
    cases: Sequence[SweepCase],
    ends: Sequence[np.datetime64],
    *,
    trader: Trader,
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, Outcome]]:
    """Trade every setting over all of its windows, in batches that fit in memory.

    Parameters
    ----------
    cases : sequence of Case
        The settings.
    ends : sequence of datetime64
        Test ends that all settings of the sweep have.
    trader : Trader
        Where cohorts are traded.
    jobs : int, optional
        Threads that put cohorts together; no number changes a result.
    progress : callable, optional
        Called with the cohorts traded since the last call.

    Yields
    ------
    tuple of int and Outcome
        Position in `cases`.
    """
    workers = max(1, jobs or os.cpu_count() or 1)
    pool = ThreadPoolExecutor(workers)
    try:
        for batch in _batches(cases):
            part = [cases[n] for n in batch]
            dates = sorted(set().union(*(case.places for case in part)))
            accounts = [Account(case, ends) for case in part]
            for found in trader.cohorts([(part, end) for end in dates]):
                for account, made in zip(accounts, found, strict=True):
                    if made is not None:
                        account.add(*made)
                if progress is not None:
                    progress(sum(made is not None for made in found))
            yield from zip(batch, pool.map(Account.close, accounts), strict=True)
    finally:
        # What has not begun when something fails is not waited for.
        pool.shutdown(cancel_futures=True)


def _batches(cases: Sequence[SweepCase]) -> Iterator[list[int]]:
    """Positions of cases to trade together: neighbours in the order of their stages."""
    batch: list[int] = []
    used = 0
    for position in sorted(range(len(cases)), key=lambda n: cases[n].keys.ledger):
        case = cases[position]
        windows = case.study.windows
        days, bars = windows[-1].stop - windows[0].split, sum(window.n_trade for window in windows)
        size = 8 * (N_ACCOUNT * days + bars) * len(variants(case.config.hedge))
        if batch and used + size > BATCH_BYTES:
            yield batch
            batch, used = [], 0
        batch.append(position)
        used += size
    if batch:
        yield batch


class Account:
    """One setting's cohorts put together, one after the other as they come.

    Parameters
    ----------
    case : SweepCase
    ends : sequence of datetime64
        Test ends that all settings of the sweep have.
    """

    def __init__(self, case: SweepCase, ends: Sequence[np.datetime64]) -> None:
        self.case = case
        self.ends = np.array(ends, dtype="datetime64[D]")
        self.names = [variant.name for variant in variants(case.config.hedge)]
        study = case.study
        self.first = study.windows[0].split
        self.slot = case.config.portfolio.capital / study.slots
        size = max(window.stop for window in study.windows) - self.first
        self.dollars = np.zeros((len(self.names), size, N_ACCOUNT))
        shared = set(ends)
        self.windows = [window for window in study.windows if window.test_end in shared]
        self.earned = np.empty((sum(window.n_trade for window in self.windows), len(self.names)))
        self.row = 0
        self.trades: list[list[int]] = []
        # Under compounding a cohort's capital depends on those before it.
        self.cohorts: list[Cohort] | None = [] if case.config.portfolio.compounding else None

    def add(self, cohort: Cohort, trades: dict[str, int]) -> None:
        """Add the next cohort, and the trades of its variants."""
        window = self.case.study.windows[cohort.k]
        counted = len(self.trades) < len(self.windows) and window is self.windows[len(self.trades)]
        daily = cohort.daily
        values = daily.whole if isinstance(daily, VariantDollars) else np.array([daily[name] for name in self.names])
        row = self.row if counted else -1
        add_cohort(values, window.split - self.first, row, self.slot, self.dollars, self.earned)
        if counted:
            self.trades.append([trades[name] for name in self.names])
            self.row += window.n_trade
        if self.cohorts is not None:
            self.cohorts.append(cohort)

    def close(self) -> Outcome:
        """What the setting came to; its arrays are let go."""
        study = self.case.study
        if self.cohorts is None:
            # Interest on idle cash is no setting's skill.
            net, gross = excess_and_gross(study, self.dollars)
        else:
            table = portfolio_returns(study, self.cohorts, self.names)
            shape = (len(self.names), -1)
            net = (table["net"] - table["riskless"]).to_numpy().reshape(shape)
            gross = table["gross"].to_numpy().reshape(shape)
        stops = np.cumsum([window.n_trade for window in self.windows])
        daily = np.split(self.earned, stops[:-1])
        score = running_sharpe([part.T for part in daily], self.windows, study.bars_per_year)
        cohort = np.array([np.ascontiguousarray(part.T).sum(axis=1) for part in daily]).T.copy()
        del self.dollars, self.earned, self.cohorts
        return Outcome(
            variants=tuple(self.names),
            dates=study.dates.to_numpy()[self.first : self.first + net.shape[1]].astype("datetime64[us]"),
            net=np.ascontiguousarray(net),
            gross=np.ascontiguousarray(gross),
            ends=self.ends,
            cohort=cohort,
            score=score,
            trades=np.array(self.trades, dtype=np.int64).T.copy(),
        )


def running_sharpe(daily: Sequence[Floats], windows: Sequence[Window], bars_per_year: float) -> Floats:
    """Annual Sharpe ratio at each test end of what the cohorts that had ended by then earned.

    Parameters
    ----------
    daily : sequence of array (variants, trade bars)
        Daily net returns of each cohort on its committed capital.
    windows : sequence of Window
        Theirs, in order.
    bars_per_year : float
        Bars of a year.

    Returns
    -------
    array (variants, cohorts)
        Entry k uses cohorts with ``stop <= windows[k].split``, so nothing after the test end. 0 without two days
        that differ.
    """
    first = windows[0].split
    split, stop = (np.array(bars) - first for bars in zip(*((w.split, w.stop) for w in windows), strict=True))
    out = np.zeros((daily[0].shape[0], len(windows)))
    days = np.ascontiguousarray(np.concatenate(daily, axis=1).T)
    ended_sharpes(days, split, stop, math.sqrt(bars_per_year), out)
    return out
