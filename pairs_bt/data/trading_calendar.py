"""Sessions of an exchange, from the optional package ``exchange_calendars``."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import numpy as np

from pairs_bt.data.formats.number_parsing import Note, counted, shown
from pairs_bt.data.formats.wide_table import WideTable
from pairs_bt.errors import DataError

__all__ = ["keep_sessions", "sessions"]


def sessions(calendar: str, first: np.datetime64, last: np.datetime64) -> np.ndarray:
    """Days from `first` to `last` on which an exchange is open.

    Parameters
    ----------
    calendar : str
        Its name in ``exchange_calendars``: XNYS, XLON, 24/7, ...
    first, last : datetime64[D]
        Both included. The range is asked for explicitly, so that no clock enters.

    Returns
    -------
    ndarray of datetime64[D]

    Raises
    ------
    DataError
        When the package is not installed, the name is unknown, or the calendar does not reach so far.
    """
    if find_spec("exchange_calendars") is None:
        raise DataError(
            f"data.calendar = {shown(calendar)} needs the package exchange_calendars, which is not installed. Install "
            "it with pip install 'pairs-bt[calendar]', or leave the calendar out."
        )
    import exchange_calendars

    known = exchange_calendars.get_calendar_names()
    if calendar not in known:
        import difflib

        near = difflib.get_close_matches(calendar.upper(), known, n=3, cutoff=0.4) or ["XNYS", "XLON", "24/7"]
        raise DataError(f"data.calendar = {shown(calendar)} is no calendar. Near it: {', '.join(near)}.")
    if last < first:
        return np.empty(0, dtype="datetime64[D]")
    try:
        # A calendar needs more than a day; the ends are cut afterwards.
        with warnings.catch_warnings():
            # The package's own quarrel with newer versions of pandas says nothing about the sessions.
            warnings.simplefilter("ignore")
            found = exchange_calendars.get_calendar(calendar, start=str(first - 10), end=str(last + 10)).sessions
    except (ValueError, KeyError) as error:
        raise DataError(
            f"data.calendar = {shown(calendar)} does not cover {first} to {last} ({shown(str(error), 160)}). Cut the "
            "dates with data.start and data.end, or leave the calendar out."
        ) from None
    days = found.to_numpy().astype("datetime64[D]")
    return days[(days >= first) & (days <= last)]


def keep_sessions(wide: WideTable, calendar: str) -> tuple[WideTable, list[Note]]:
    """Drop the rows of days on which the exchange was closed, and say which sessions have no row."""
    days = wide.days.astype("datetime64[D]")
    open_days = sessions(calendar, days[0], days[-1])
    keep = np.isin(days, open_days)
    notes = []
    if not keep.all():
        closed = days[~keep]
        text = f"{counted(len(closed), 'row')} on days on which {calendar} was closed dropped, the first {closed[0]}"
        notes.append(Note("repaired", "calendar", "", str(closed[0]), len(closed), text))
    missing = np.setdiff1d(open_days, days)
    if len(missing):
        text = f"{counted(len(missing), 'session')} of {calendar} without a row, the first {missing[0]}"
        notes.append(Note("flagged", "missing_sessions", "", str(missing[0]), len(missing), text))
    if not keep.any():
        raise DataError(
            f"No row of the prices is a session of {calendar}: they run from {wide.days[0]} to {wide.days[-1]}. Name "
            "the exchange of these prices in data.calendar, or leave it out."
        )
    place = np.cumsum(keep) - 1
    bad = [type(cell)(int(place[cell.row]), cell.column, cell.text) for cell in wide.bad if keep[cell.row]]
    return WideTable(wide.days[keep], wide.tickers, wide.values[keep], bad), notes
