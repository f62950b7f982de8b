"""Windows: the intervals of the definition, and nothing that a later bar decides."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairs_bt.backtest.windows import add_period, split_windows
from pairs_bt.config.schema import Windows
from pairs_bt.errors import DataError

CALENDAR = pd.bdate_range("2005-01-03", "2012-12-31")


def day(text: str) -> np.datetime64:
    return np.datetime64(text, "D")


def test_the_definition_on_a_calendar() -> None:
    windows = split_windows(CALENDAR, Windows())
    assert windows[0].test_end == day("2006-12-31")
    for w in windows:
        end = pd.Timestamp(w.test_end)
        after = end + pd.Timedelta(days=1)
        train, trade = CALENDAR[w.first : w.split], CALENDAR[w.split : w.stop]
        # train = dates in [e + 1 day - 2Y, e], trade = [e + 1 day, e + 1 day + 6M - 1 day]
        assert list(train) == list(CALENDAR[(CALENDAR >= after - pd.DateOffset(years=2)) & (CALENDAR <= end)])
        assert list(trade) == list(CALENDAR[(CALENDAR >= after) & (CALENDAR < after + pd.DateOffset(months=6))])
        entries = CALENDAR[w.split : w.entry_stop]
        assert list(entries) == list(CALENDAR[(CALENDAR >= after) & (CALENDAR < after + pd.DateOffset(months=3))])


def test_the_first_day_of_training_counts_where_it_is_a_trading_day() -> None:
    # two years up to Saturday 30 June 2007 begin on Friday 1 July 2005
    window = next(w for w in split_windows(CALENDAR, Windows()) if w.label == "2007-06-30")
    assert CALENDAR[window.first] == pd.Timestamp("2005-07-01")
    train = pd.Series(1, CALENDAR).loc["2005-07-01":"2007-06-30"]
    assert window.n_train == len(train)


def test_a_window_needs_no_day_before_its_first() -> None:
    exact = CALENDAR[CALENDAR >= "2005-07-01"]
    first = split_windows(exact, Windows())[0]
    assert (first.label, first.first) == ("2007-06-30", 0)


def test_quarterly_steps_overlap_two_cohorts() -> None:
    windows = split_windows(CALENDAR, Windows())
    ends = pd.PeriodIndex([str(w.test_end) for w in windows], freq="Q")
    assert list(ends) == list(pd.period_range(ends[0], ends[-1], freq="Q"))
    live = np.zeros(len(CALENDAR), int)
    for w in windows:
        live[w.split : w.stop] += 1
    assert set(live[windows[1].split :]) == {2}


@pytest.mark.parametrize(
    ("start", "period", "sign", "expected"),
    [
        ("2007-08-31", "6M", 1, "2008-02-29"),
        ("2008-02-29", "1Y", 1, "2009-02-28"),
        ("2007-03-31", "1M", -1, "2007-02-28"),
        ("2007-01-01", "2W", 1, "2007-01-15"),
        ("2007-01-01", "10D", -1, "2006-12-22"),
    ],
)
def test_add_period(start: str, period: str, sign: int, expected: str) -> None:
    assert add_period(day(start), period, sign) == day(expected)


@settings(max_examples=60, deadline=None)
@given(st.integers(600, len(CALENDAR) - 1))
def test_cutting_the_calendar_changes_no_window_that_has_ended(cut: int) -> None:
    whole = {w.test_end: w for w in split_windows(CALENDAR, Windows())}
    for w in split_windows(CALENDAR[:cut], Windows()):
        full = whole[w.test_end]
        assert (w.first, w.split) == (full.first, full.split)
        assert w.entry_stop == min(full.entry_stop, cut)
        assert w.stop == min(full.stop, cut)
        assert w.closed == (full.closed and full.stop <= cut)


def test_steps_in_days_and_years() -> None:
    weekly = split_windows(CALENDAR[:700], Windows(train="1Y", trade="2W", step="1W", entry_within="1W"))
    assert np.all(np.diff([w.test_end for w in weekly]).astype(int) == 7)
    yearly = split_windows(CALENDAR, Windows(train="1Y", trade="1Y", step="1Y", entry_within="6M"))
    assert {str(w.test_end)[5:] for w in yearly} == {"12-31"}


def test_a_history_shorter_than_one_window_is_refused() -> None:
    with pytest.raises(DataError, match="No window fits"):
        split_windows(CALENDAR[:300], Windows())


@pytest.mark.parametrize(
    ("last", "found", "train"), [("2006-05-31", 2, "1Y"), ("2005-10-31", 2, "6M"), ("2005-01-20", 0, "")]
)
def test_the_refusal_names_windows_that_fit_if_there_are_any(last: str, found: int, train: str) -> None:
    days = CALENDAR[CALENDAR <= last]
    with pytest.raises(DataError) as refused:
        split_windows(days, Windows())
    told = dict(re.findall(r"--set windows\.(\w+)=(\w+)", str(refused.value)))
    assert told.get("train", "") == train
    assert ("These dates have" in str(refused.value)) == bool(found)
    if found:
        assert f"have {found} windows with" in str(refused.value)
        assert len(split_windows(days, Windows(**told))) == found


def test_a_late_start_is_taken_for_holidays_up_to_five_weekdays() -> None:
    late = CALENDAR[CALENDAR >= "2005-01-07"]
    assert split_windows(late, Windows())[0].test_end == day("2006-12-31")
    later = CALENDAR[CALENDAR >= "2005-01-14"]
    assert split_windows(later, Windows())[0].test_end == day("2007-03-31")


def test_five_weekdays_late_are_holidays_and_six_are_not() -> None:
    # the train window of the test end 30 June 2007 begins on Friday 1 July 2005
    five, six = CALENDAR[CALENDAR >= "2005-07-08"], CALENDAR[CALENDAR >= "2005-07-11"]
    assert np.busday_count("2005-07-01", "2005-07-08") == 5
    assert split_windows(five, Windows())[0].test_end == day("2007-06-30")
    assert split_windows(six, Windows())[0].test_end == day("2007-09-30")


def test_a_trade_period_whose_last_weekday_has_its_bar_is_closed() -> None:
    # six months after 31 December 2007 end on Monday 30 June 2008
    for last, closed in (("2008-06-27", False), ("2008-06-30", True), ("2008-07-01", True)):
        windows = split_windows(CALENDAR[CALENDAR <= last], Windows())
        assert next(w for w in windows if w.label == "2007-12-31").closed == closed


def test_a_window_is_listed_from_its_first_trading_day_on() -> None:
    # Tuesday 31 March 2009 is a test end, Wednesday the first day after it
    for last, listed in (("2009-03-31", "2008-12-31"), ("2009-04-01", "2009-03-31")):
        window = split_windows(CALENDAR[CALENDAR <= last], Windows())[-1]
        assert window.label == listed
    assert window.n_trade == 1
