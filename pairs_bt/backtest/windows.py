"""Rolling train and trade windows: one type, one splitter, positions resolved once.

For a test end ``e`` the train window is ``[e + 1 day - train, e]``, exactly `train` long with both ends included, and
the trade window is ``[e + 1 day, e + 1 day + trade - 1 day]``. Nothing after ``e`` decides anything about the train
window, and a window is listed as soon as its trade period has begun, so cutting the data's end never changes an
earlier one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from pairs_bt.common.periods import split_period
from pairs_bt.config.schema import Windows
from pairs_bt.data.trading_calendar import sessions
from pairs_bt.errors import DataError
from pairs_bt.stats.bar_frequency import regular_weekdays

# A data set that starts on the first trading day of a period starts a few holidays late.
_LATE_START_WEEKDAYS = 5


@dataclass(frozen=True)
class Window:
    """One train and trade window as positions in the calendar of the prices.

    Attributes
    ----------
    test_end : numpy.datetime64
        Last calendar day of the train window.
    first, split, stop : int
        Train bars are ``first:split``, trade bars ``split:stop``.
    entry_stop : int
        A signal may open a trade at bars ``split:entry_stop``.
    closed : bool
        Whether the trade period has ended; if not, the data end inside it and open trades stay open.
    """

    test_end: np.datetime64
    first: int
    split: int
    stop: int
    entry_stop: int
    closed: bool

    @property
    def n_train(self) -> int:
        """Bars in the train window."""
        return self.split - self.first

    @property
    def n_trade(self) -> int:
        """Bars in the trade window."""
        return self.stop - self.split

    @property
    def label(self) -> str:
        """The test end as ISO text: the name of the cohort."""
        return str(self.test_end)


def add_period(day: np.datetime64, period: str, sign: int = 1) -> np.datetime64:
    """Move a calendar day by a period; a day past the month's end becomes the month's last day.

    >>> str(add_period(np.datetime64("2007-08-31"), "6M"))
    '2008-02-29'
    """
    number, unit = split_period(period)
    if unit in "WD":
        return day + sign * number * (7 if unit == "W" else 1)
    month = day.astype("datetime64[M]")
    offset = (day - month.astype("datetime64[D]")).astype(int)
    moved = month + sign * number * (12 if unit == "Y" else 1)
    last = (moved + 1).astype("datetime64[D]") - 1
    return np.datetime64(min(moved.astype("datetime64[D]") + offset, last))


def test_ends(first: np.datetime64, last: np.datetime64, options: Windows) -> list[np.datetime64]:
    """Test ends from `first` to `last`.

    A step in months or years falls on calendar month ends (3M: March, June, ...; 12M: December); a step in
    days or weeks is counted from `first`.
    """
    number, unit = split_period(options.step)
    if unit in "WD":
        days = number * (7 if unit == "W" else 1)
        return list(np.arange(first, last + 1, days))
    months = number * (12 if unit == "Y" else 1)
    start = first.astype("datetime64[M]").astype(int)
    stop = last.astype("datetime64[M]").astype(int)
    # Months are counted from January of year 0, so that a step of 3 ends on quarters in any data set.
    ends = [
        np.datetime64(m + 1, "M").astype("datetime64[D]") - 1 for m in range(start, stop + 1) if (m + 1) % months == 0
    ]
    return [end for end in ends if first <= end <= last]


test_ends.__test__ = False  # type: ignore[attr-defined]  # a name of the field, not a test


def split_windows(index: pd.DatetimeIndex, options: Windows, calendar: str = "") -> list[Window]:
    """Resolve the rolling windows on a calendar of bars.

    Parameters
    ----------
    index : DatetimeIndex
        Dates of the bars, sorted and unique.
    options : Windows
        Lengths of train and trade window, the step, and how long entries are allowed.
    calendar : str
        Exchange whose sessions say whether a trade period has ended; empty counts weekdays.

    Returns
    -------
    list of Window
        In order of their test ends; every window whose train period the data cover (a start up to five weekdays
        and seven calendar days late is taken for holidays) and whose trade period has begun.

    Raises
    ------
    DataError
        When no window fits.
    """
    windows = _windows(index, options, calendar)
    if not windows:
        days = index.to_numpy().astype("datetime64[D]")
        raise DataError(
            f"No window fits: the prices run from {days[0]} to {days[-1]} ({len(days):,} dates), and one window needs "
            f"{options.train} of training before a test end (every {options.step}) and a first trading day after it. "
            f"Give a longer history, or shorten windows.train.{_shorter(index, options, calendar)}"
        )
    return windows


def _shorter(index: pd.DatetimeIndex, options: Windows, calendar: str) -> str:
    """The longest of a few usual windows that the dates have, as options of the command line; empty if none fits."""
    for train, trade in (("1Y", "3M"), ("6M", "3M"), ("6M", "1M"), ("3M", "1M")):
        shorter = {"train": train, "trade": trade, "step": trade, "entry_within": trade}
        found = len(_windows(index, options.model_copy(update=shorter), calendar))
        if found:
            words = " ".join(f"--set windows.{key}={value}" for key, value in shorter.items())
            return f" These dates have {found} {'window' if found == 1 else 'windows'} with: {words}"
    return ""


def _windows(index: pd.DatetimeIndex, options: Windows, calendar: str) -> list[Window]:
    days = index.to_numpy().astype("datetime64[D]")
    over = partial(ends_by_calendar, index, calendar=calendar)
    earliest = add_period(days[0], options.train) - 8
    windows = []
    for end in test_ends(earliest, days[-1] - 1, options):
        train_from = add_period(end + 1, options.train, -1)
        late = int(np.busday_count(train_from, days[0])) if days[0] > train_from else 0
        if late > _LATE_START_WEEKDAYS:
            continue
        window = _resolve(days, end, train_from, options, over)
        if window.n_trade > 0 and window.n_train > 0:
            windows.append(window)
    return windows


def _resolve(
    days: np.ndarray,
    end: np.datetime64,
    train_from: np.datetime64,
    options: Windows,
    over: Callable[[np.datetime64], bool],
) -> Window:
    trade_end = add_period(end + 1, options.trade) - 1
    entry_end = min(add_period(end + 1, options.entry_within) - 1, trade_end)
    first = int(np.searchsorted(days, train_from, side="left"))
    split, stop, entry_stop = (int(np.searchsorted(days, day, side="right")) for day in (end, trade_end, entry_end))
    closed = stop < len(days) or over(trade_end)
    return Window(end, first, split, stop, entry_stop, closed)


def ends_by_calendar(index: pd.DatetimeIndex, trade_end: np.datetime64, *, calendar: str = "") -> bool:
    """Whether the calendar of the bars so far has no bar to come up to the end of a trade period.

    Days with bars are the exchange's sessions where a calendar is given; else weekdays, or all days where weekends
    have bars as a rule. Nothing is read from later data.
    """
    days = index.to_numpy().astype("datetime64[D]")
    first = days[-1] + (1 if _last_day_is_whole(index) else 0)
    if trade_end < first:
        return True
    if calendar:
        return not len(sessions(calendar, first, trade_end))
    return regular_weekdays(days) < 7 and not int(np.busday_count(first, trade_end + 1))


def _last_day_is_whole(index: pd.DatetimeIndex) -> bool:
    """Whether the last day has its last bar: always for a bar a day, else where no day before went on for longer."""
    stamps = index.to_numpy().astype("datetime64[us]")
    days = stamps.astype("datetime64[D]")
    before = (stamps - days)[days < days[-1]]
    return bool(before.size == 0 or stamps[-1] - days[-1] >= before.max())
