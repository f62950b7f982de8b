"""How many bars a year a history has, how long one is, and what that means for windows and annual figures."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from pairs_bt.common.periods import TRADING_DAYS
from pairs_bt.data.formats.number_parsing import Note
from pairs_bt.errors import DataError
from pairs_bt.models.cointegration import MIN_BARS

_YEAR_DAYS = 365.25
# A day of the week belongs to the calendar where it has half of an equal share of the dates: a few special Saturdays
# make no market of six days.
_REGULAR = 1.0 / 14.0
# Days of half length and days cut short move the mean of the bars a day, and leave the usual day as it is.
_UNEVEN = 0.1


def bars_a_year(dates: pd.DatetimeIndex) -> float:
    """Bars per calendar year that a history has, as counted; NaN for a single date."""
    days = (dates[-1] - dates[0]).days
    return (len(dates) - 1) / days * _YEAR_DAYS if days else math.nan


def count_bars_a_year(dates: pd.DatetimeIndex) -> float:
    """Bars that annual figures count to a year, by the kind of calendar.

    Daily bars on at most five days of the week are 252 a year, on seven 365, weekly ones 52, monthly ones 12; any other
    spacing is counted, to a whole number. Bars within the day are those of a usual day times the days of a year by
    the same rule. Kinds and not counts, so that a year with a holiday more, or prices cut short, give the same number.

    Parameters
    ----------
    dates : DatetimeIndex
        Of the bars, sorted and unique.

    Returns
    -------
    float
        252 where fewer than two days say nothing.

    Examples
    --------
    >>> count_bars_a_year(pd.date_range("2015-01-02", periods=200, freq="W-FRI"))
    52.0
    """
    days, counts = np.unique(dates.to_numpy().astype("datetime64[D]"), return_counts=True)
    sessions = _sessions_a_year(days)
    usual, mean = float(np.median(counts)) if counts.size else 1.0, len(dates) / max(days.size, 1)
    if usual == 1.0 and mean < 1.5:
        return sessions
    return float(round(sessions * (usual if abs(usual - mean) <= _UNEVEN * mean else mean)))


def _sessions_a_year(days: np.ndarray) -> float:
    gaps = np.sort(np.diff(days).astype(np.int64))
    if not gaps.size:
        return float(TRADING_DAYS)
    # the lower median: Thursday, Friday and Monday are days of a daily calendar
    gap = int(gaps[(gaps.size - 1) // 2])
    if gap == 1:
        regular = regular_weekdays(days)
        if regular <= 5:
            return float(TRADING_DAYS)
        if regular == 7:
            return 365.0
    if 6 <= gap <= 8:
        return 52.0
    if 28 <= gap <= 31:
        return 12.0
    return float(max(round(gaps.size / int(gaps.sum()) * _YEAR_DAYS), 1))


def regular_weekdays(days: np.ndarray) -> int:
    """Days of the week on which a calendar has bars as a rule: 5 for most exchanges, 7 for markets that never close."""
    unique = np.unique(days.astype("datetime64[D]"))
    # day 0 is a Thursday; which number a weekday has does not matter here
    share = np.bincount(unique.astype(np.int64) % 7, minlength=7) / max(unique.size, 1)
    return int((share >= _REGULAR).sum())


def bar_seconds(dates: pd.DatetimeIndex) -> float:
    """Seconds between bars of one day, the middle one; NaN where every day has one bar."""
    stamps = dates.to_numpy().astype("datetime64[us]")
    steps = np.diff(stamps).astype(np.int64)
    inside = steps[np.diff(stamps.astype("datetime64[D]")).astype(np.int64) == 0]
    return float(np.sort(inside)[(inside.size - 1) // 2]) / 1e6 if inside.size else math.nan


def kind_of_bars(dates: pd.DatetimeIndex) -> str:
    """What a person calls the bars: ``daily``, ``weekly``, ``5-minute``, ..."""
    seconds = bar_seconds(dates)
    if not math.isnan(seconds):
        for name, size in (("hour", 3600.0), ("minute", 60.0)):
            if seconds >= size and seconds % size == 0.0:
                return f"{seconds / size:g}-{name}"
        return f"{seconds:g}-second"
    names = {float(TRADING_DAYS): "daily", 365.0: "seven-day", 52.0: "weekly", 12.0: "monthly"}
    return names.get(count_bars_a_year(dates), "irregular")


def unit_of(dates: pd.Index) -> str:
    """What a text calls the bars: ``days`` where each is one, else ``bars``."""
    if not isinstance(dates, pd.DatetimeIndex) or len(dates) < 2:
        return "days"
    return "days" if kind_of_bars(dates) in ("daily", "seven-day") else "bars"


def bars_in_time(bars: float, dates: pd.DatetimeIndex) -> str:
    """How long a number of bars is: ``'2.5 h'`` of trading within the day, else ``'42 d'``, calendar days.

    Hours are of bars and not of the clock: the night between two sessions has none. From one usual session on, days
    are sessions. '' for daily bars, where bars are days already, and for what is not finite.
    """
    if not math.isfinite(bars) or len(dates) < 2:
        return ""
    seconds = bar_seconds(dates)
    if not math.isnan(seconds):
        a_day = len(dates) / np.unique(dates.to_numpy().astype("datetime64[D]")).size
        hours = bars * seconds / 3600.0
        return f"{bars / a_day:.1f} sessions" if bars >= a_day else f"{hours:.1f} h"
    year = count_bars_a_year(dates)
    return "" if year in (TRADING_DAYS, 365.0) else f"{bars * _YEAR_DAYS / year:.0f} d"


def resolve_bars_a_year(setting: str | float, dates: pd.DatetimeIndex) -> float:
    """Bars of a year by ``data.bars_per_year``: a number as it is, ``"auto"`` by :func:`count_bars_a_year`."""
    return count_bars_a_year(dates) if isinstance(setting, str) else float(setting)


def annual_note(setting: str | float, dates: pd.DatetimeIndex) -> Note | None:
    """A note on the bars of a year, unless they are the 252 of a daily calendar."""
    found, used = count_bars_a_year(dates), resolve_bars_a_year(setting, dates)
    if found == used == TRADING_DAYS:
        return None
    kind = kind_of_bars(dates)
    if isinstance(setting, str):
        text = (
            f"annual figures count {used:g} bars a year: the prices have {kind} bars (data.bars_per_year sets another)"
        )
    else:
        text = (
            f"annual figures count {used:g} bars a year, as data.bars_per_year says; by the calendar of the prices "
            f"({kind} bars) it would be {found:g}"
        )
    return Note("flagged", "bars", "", "", len(dates), text)


def check_testable(longest: int, train: str, dates: pd.DatetimeIndex) -> None:
    """Refuse windows too short for the tests.

    Parameters
    ----------
    longest : int
        Bars of the longest train window.
    train : str
        The config's ``windows.train``, for the message.
    dates : DatetimeIndex
        Of the prices.

    Raises
    ------
    DataError
        When no train window has the bars that a test needs.
    """
    if longest >= MIN_BARS:
        return
    years = bars_a_year(dates)
    needed = "" if math.isnan(years) else f" At about {years:.0f} bars a year that is {_span(MIN_BARS / years)}."
    raise DataError(
        f"No pair can be tested: a test needs {MIN_BARS} bars, and the longest train window (windows.train = {train!r})"
        f" has {longest}.{needed} Make windows.train longer, or give bars that are closer together."
    )


def _span(years: float) -> str:
    return f"{years:.1f} years" if years >= 1 else f"{years * 365.25:.0f} days"
