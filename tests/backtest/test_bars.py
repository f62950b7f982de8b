"""Bars that are no business days are said, and windows without enough of them refused with the number."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pairs_bt
from pairs_bt.backtest.bar_frequency import annual_note, bars_a_year
from pairs_bt.config.schema import Config
from pairs_bt.errors import DataError
from pairs_bt.stats.performance import annual_volatility, sharpe


def walks(index: pd.DatetimeIndex) -> pd.DataFrame:
    steps = np.random.default_rng(5).normal(0, 0.02, (len(index), 3)).cumsum(axis=0)
    return pd.DataFrame(50 * np.exp(steps), index=index.rename("date"), columns=["A", "B", "C"])


@pytest.mark.parametrize(
    ("frequency", "periods", "truth"), [("B", 600, 261), ("D", 800, 365), ("W-FRI", 400, 52), ("MS", 120, 12)]
)
def test_bars_a_year_are_those_of_the_calendar(frequency: str, periods: int, truth: int) -> None:
    dates = pd.date_range("2012-01-02", periods=periods, freq=frequency)
    assert bars_a_year(dates) == pytest.approx(truth, rel=0.01)
    assert (annual_note(dates) is None) == (frequency == "B")


def test_monthly_prices_are_refused_with_the_bars_that_a_test_needs() -> None:
    prices = walks(pd.date_range("2008-01-01", periods=120, freq="MS"))
    with pytest.raises(DataError, match=r"needs 40 bars.*'2Y'\) has 24.*about 12 bars a year that is 3\.3 years"):
        pairs_bt.run(Config(), prices=prices)
    assert len(pairs_bt.run(Config().with_changes("windows.train=4Y"), prices=prices).windows)


def test_weekly_prices_run_and_say_what_their_annual_figures_are_worth() -> None:
    """The factor of the note turns a figure of 252 bars a year into one of 52, and daily runs have no such note."""
    weekly = pairs_bt.run(Config(), prices=walks(pd.date_range("2012-01-06", periods=300, freq="W-FRI")))
    note = next(text for text in weekly.notes if "bars a year" in text)
    factor = float(note.rpartition("by ")[2])
    returns = np.random.default_rng(1).normal(0.001, 0.02, 520)
    assert annual_volatility(returns) * factor == pytest.approx(returns.std(ddof=1) * np.sqrt(52.18), rel=2e-3)
    by_hand = returns.mean() / returns.std(ddof=1) * np.sqrt(52.18)
    assert sharpe(returns) * factor == pytest.approx(by_hand, rel=2e-3)
    daily = pairs_bt.run(Config(), prices=walks(pd.bdate_range("2012-01-02", periods=800)))
    assert not any("bars a year" in text for text in daily.notes)
