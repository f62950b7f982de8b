"""Prices and names that look wrong but may be right: flagged, never changed."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import numpy as np

from pairs_bt.data.formats.number_parsing import Note, counted, shown

__all__ = ["carried_forward", "suspect_names", "suspect_prices"]

_RULES = ("gap", "starts_late", "ends_early", "spike", "split", "jump", "stale", "whole_numbers", "coarse_tick")
BLOCK = 64  # tickers looked at together: bounds the memory, and stays in the cache
GAP_BARS = 5  # longer runs without a price are not filled by default
STALE_BARS = 30
MIN_CHANGES = 20  # fewer say nothing about the tick
COARSE_TICK = 0.005  # smallest change ever seen, as a share of the mean price
SPLIT_RATIOS = (2, 3, 4, 5, 10)
SPLIT_TOLERANCE = 0.05  # in logs: the day's own return
SPIKE, JUMP = np.log(1.8), np.log(3.0)
HOLIDAY_SHARE, HOLIDAY_TICKERS = 0.95, 3  # a row that repeats the one before in so many tickers
REVERSAL = 0.3  # a spike comes back to within this share of its own height (in logs)

# Cyrillic and Greek letters that are drawn like Latin ones.
_LOOKALIKES = str.maketrans("АВСЕНІЈКМОРЅТХУасеіјорѕхуΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABCEHIJKMOPSTXYaceijopsxyABEZHIKMNOPTYXo")


def suspect_names(names: list[str]) -> list[Note]:
    """Flag tickers that a person could take for another one.

    Parameters
    ----------
    names : list of str
        As written in the source; edges of white space are reported as trimmed.
    """
    notes = []
    by_case: dict[str, str] = {}
    for name in names:
        ticker = name.strip()
        if ticker != name:
            text = f"ticker {shown(name)}: white space around the name was removed"
            notes.append(Note("repaired", "trimmed_name", ticker, "", 1, text))
        drawn = unicodedata.normalize("NFKC", ticker).translate(_LOOKALIKES)
        if drawn != ticker and drawn.isascii():
            text = f"ticker {ticker!a} looks like {shown(drawn)} but is written with other letters"
            notes.append(Note("flagged", "lookalike", ticker, "", 1, text))
        other = by_case.setdefault(ticker.casefold(), ticker)
        if other != ticker:
            text = f"tickers {shown(other)} and {shown(ticker)} differ only in case; they are kept as two"
            notes.append(Note("flagged", "case_collision", ticker, "", 1, text))
    return notes


def carried_forward(values: np.ndarray, days: np.ndarray, calendar: str) -> list[Note]:
    """Flag rows that equal the row before in nearly all tickers: holidays on which a price was carried forward.

    Parameters
    ----------
    values : ndarray, shape (days, tickers)
        NaN where there is no price.
    days : ndarray
        datetime64[D], sorted.
    calendar : str
        Calendar that was used already; empty when there is none.
    """
    with np.errstate(invalid="ignore"):
        same = (values[1:] == values[:-1]).sum(axis=1)
    both = (~np.isnan(values[1:]) & ~np.isnan(values[:-1])).sum(axis=1)
    found = days[1:][(both >= HOLIDAY_TICKERS) & (same >= HOLIDAY_SHARE * both)]
    if not len(found):
        return []
    meaning = (
        f"prices carried forward on days on which {calendar} was open"
        if calendar
        else "holidays carried forward; data.calendar, such as 'XNYS', drops the days on which the exchange was closed"
    )
    rows = f"{counted(len(found), 'row')} equal to the row before in nearly all tickers"
    text = f"{rows}, the first {found[0]}: {meaning}"
    return [Note("flagged", "holiday", "", str(found[0]), len(found), text)]


def suspect_prices(values: np.ndarray, days: np.ndarray, tickers: list[str]) -> list[Note]:
    """Flag what a person should look at before trusting the prices.

    Parameters
    ----------
    values : ndarray, shape (days, tickers)
        Positive prices, NaN where there is none.
    days : ndarray
        datetime64[D], sorted.
    tickers : list of str
        Names of the columns.

    Returns
    -------
    list of Note
        At most one per rule and ticker, with the count and the first place.
    """
    have = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        low = np.where(have, values, np.inf).min(axis=0)
        high = np.where(have, values, -np.inf).max(axis=0)
    empty, constant = ~have.any(axis=0), low == high
    live = np.flatnonzero(~empty & ~constant)
    notes = _dead_notes(values, have, days, tickers, empty, constant)
    notes += _twin_notes(values, days, tickers, empty)
    flags: list[Note] = []
    for block in np.split(live, range(BLOCK, len(live), BLOCK)):
        some = _Some(values[:, block], have[:, block], days, [tickers[j] for j in block])
        flags += some.gaps() + some.moves() + some.stale() + some.ticks()
    return notes + sorted(flags, key=lambda note: _RULES.index(note.rule))


def _dead_notes(
    values: np.ndarray,
    have: np.ndarray,
    days: np.ndarray,
    tickers: list[str],
    empty: np.ndarray,
    constant: np.ndarray,
) -> list[Note]:
    """Columns that no pair can use; they stay in the frame, so that later prices never change earlier ones."""
    notes = []
    for j in np.flatnonzero(empty):
        text = f"ticker {shown(tickers[j])} has no price at all; no pair can use it"
        notes.append(Note("left_out", "empty", tickers[j], "", len(days), text))
    for j in np.flatnonzero(constant):
        first = int(have[:, j].argmax())
        text = f"ticker {shown(tickers[j])} never changes from {values[first, j]:g}; no pair can use it"
        notes.append(Note("left_out", "constant", tickers[j], str(days[first]), int(have[:, j].sum()), text))
    return notes


def _twin_notes(values: np.ndarray, days: np.ndarray, tickers: list[str], empty: np.ndarray) -> list[Note]:
    notes = []
    seen: dict[bytes, int] = {}
    columns = np.ascontiguousarray(np.where(np.isnan(values), np.nan, values).T)
    for j in np.flatnonzero(~empty):
        other = seen.setdefault(columns[j].tobytes(), int(j))
        if other != j:
            text = f"tickers {shown(tickers[other])} and {shown(tickers[j])} have identical prices"
            notes.append(Note("flagged", "identical", tickers[j], str(days[0]), len(days), text))
    return notes


def _run_lengths(flags: np.ndarray) -> np.ndarray:
    """Length, down each column, of the run of True that ends at each row; 0 where False."""
    rows = np.arange(1, len(flags) + 1)[:, None]
    return rows - np.maximum.accumulate(np.where(flags, 0, rows), axis=0)


class _Some:
    """The columns that have changing prices, and what is asked of them."""

    def __init__(self, values: np.ndarray, have: np.ndarray, days: np.ndarray, tickers: list[str]) -> None:
        self.values, self.have, self.days, self.tickers = values, have, days, tickers
        n = len(values)
        rows = np.arange(n)[:, None]
        seen = np.maximum.accumulate(np.where(have, rows, 0), axis=0)
        coming = np.minimum.accumulate(np.where(have, rows, n - 1)[::-1], axis=0)[::-1]
        self.before = np.vstack([np.zeros_like(seen[:1]), seen[:-1]])  # row of the last price before
        self.after = np.vstack([coming[1:], np.full_like(coming[:1], n - 1)])
        self.previous = np.take_along_axis(values, self.before, axis=0)
        self.previous[0] = np.nan

    def _notes(self, rule: str, where: np.ndarray, text: Callable[[int, int, int], str]) -> list[Note]:
        """One note per column that has a True; `text` gets row and column of the first, and the count."""
        notes = []
        for j in np.flatnonzero(where.any(axis=0)):
            row, count = int(where[:, j].argmax()), int(where[:, j].sum())
            line = f"ticker {shown(self.tickers[j])}: {text(row, int(j), count)}"
            notes.append(Note("flagged", rule, self.tickers[j], str(self.days[row]), count, line))
        return notes

    def gaps(self) -> list[Note]:
        """Runs without a price that are too long to be filled."""
        n, have, days = len(self.values), self.have, self.days
        first, last = have.argmax(axis=0), n - 1 - have[::-1].argmax(axis=0)
        rows = np.arange(n)[:, None]
        begins = np.vstack([have[:1], have[:-1]]) & ~have  # first bar without a price after one with
        long = begins & (self.after - rows >= GAP_BARS + 1) & (rows < last)
        late = (rows == first) & (first > GAP_BARS)
        early = (rows == last) & (n - 1 - last > GAP_BARS)
        return [
            *self._notes(
                "gap",
                long,
                lambda i, j, c: f"{counted(c, 'gap')} of more than {GAP_BARS} bars, the first from {days[i]}",
            ),
            *self._notes("starts_late", late, lambda i, j, c: f"its first price is on {days[i]}"),
            *self._notes("ends_early", early, lambda i, j, c: f"its last price is on {days[i]}"),
        ]

    def moves(self) -> list[Note]:
        """Spikes that come back, ratios of a split, and other moves by more than a factor of three."""
        change = np.log(self.values) - np.log(self.previous)
        size = np.abs(change)
        following = np.take_along_axis(change, self.after, axis=0)
        following[-1] = np.nan
        returns = (size >= SPIKE) & (np.abs(change + following) <= REVERSAL * size)
        spike = np.zeros_like(returns)
        for j, row in np.argwhere(returns.T):
            # The way back from a spike is no second finding.
            spike[row, j] = not spike[self.before[row, j], j]
        from_spike = np.take_along_axis(spike, self.before, axis=0)
        plain = ~spike & ~from_spike
        split = np.zeros_like(plain)
        for ratio in SPLIT_RATIOS:
            split |= plain & (np.abs(size - np.log(ratio)) <= SPLIT_TOLERANCE)
        jump = plain & ~split & (size >= JUMP)

        def factor(i: int, j: int) -> str:
            return f"x {self.values[i, j] / self.previous[i, j]:.4g} on {self.days[i]}"

        return [
            *self._notes(
                "spike", spike, lambda i, j, c: f"{counted(c, 'spike')} that came back, the first {factor(i, j)}"
            ),
            *self._notes(
                "split", split, lambda i, j, c: f"{counted(c, 'likely unadjusted split')}, the first {factor(i, j)}"
            ),
            *self._notes(
                "jump", jump, lambda i, j, c: f"{counted(c, 'move')} beyond a factor of 3, the first {factor(i, j)}"
            ),
        ]

    def stale(self) -> list[Note]:
        """Runs of `STALE_BARS` or more equal prices."""
        if len(self.values) < STALE_BARS:
            return []
        same = np.zeros_like(self.have)
        same[1:] = self.values[1:] == self.values[:-1]
        # A run is found at its last needed bar and reported at its first.
        found = _run_lengths(same) == STALE_BARS - 1
        where = np.zeros_like(found)
        where[: len(found) - STALE_BARS + 1] = found[STALE_BARS - 1 :]
        return self._notes(
            "stale",
            where,
            lambda i, j, c: f"{counted(c, 'run')} of {STALE_BARS} or more equal prices, the first from {self.days[i]}",
        )

    def ticks(self) -> list[Note]:
        """Prices that are whole numbers only, or that move in steps too large for a spread."""
        step = np.abs(self.values - self.previous)
        moved = step > 0
        enough = moved.sum(axis=0) >= MIN_CHANGES
        smallest = np.where(moved, step, np.inf).min(axis=0)
        mean = np.where(self.have, self.values, 0.0).sum(axis=0) / self.have.sum(axis=0)
        whole = enough & (~self.have | (self.values == np.rint(self.values))).all(axis=0)
        coarse = enough & (smallest > COARSE_TICK * mean)
        first = np.arange(len(self.values))[:, None] == self.have.argmax(axis=0)
        return [
            *self._notes(
                "whole_numbers", first & whole, lambda i, j, c: "every price is a whole number, perhaps cents"
            ),
            *self._notes(
                "coarse_tick",
                first & coarse,
                lambda i, j, c: f"its smallest change is {smallest[j]:.4g}, {smallest[j] / mean[j]:.2%} of its price",
            ),
        ]
