"""How many bars a year a history has, and what that means for windows and annual figures."""

from __future__ import annotations

import math

import pandas as pd

from pairs_bt.data.formats.number_parsing import Note
from pairs_bt.errors import DataError
from pairs_bt.models.cointegration import MIN_BARS
from pairs_bt.stats.performance import TRADING_DAYS

# Histories of business days have 245 to 261 bars a year; with missing days fewer.
_DAILY = (200.0, 300.0)


def bars_a_year(dates: pd.DatetimeIndex) -> float:
    """Bars per calendar year of a history; NaN for a single date."""
    days = (dates[-1] - dates[0]).days
    return (len(dates) - 1) / days * 365.25 if days else math.nan


def annual_note(dates: pd.DatetimeIndex) -> Note | None:
    """A note where the bars are no business days: annual figures count 252 bars to a year, so they are wrong there."""
    found = bars_a_year(dates)
    if math.isnan(found) or _DAILY[0] <= found <= _DAILY[1]:
        return None
    share = found / TRADING_DAYS
    text = (
        f"the prices have about {found:.0f} bars a year, annual figures count {TRADING_DAYS}: multiply a mean return "
        f"a year by {share:.3g}, a volatility or Sharpe ratio by {math.sqrt(share):.3g}"
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
