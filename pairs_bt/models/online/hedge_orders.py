"""From an inventory and a hedge matrix to the orders that hedge it: one order a ticker.

A position of n shares of y is hedged by -ratio n shares of its instrument x. The targets of all positions with one
instrument add up to one target; the order is that target less what is held of the instrument. Where one of them
cannot be judged, what is held may be its hedge, and is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd

from pairs_bt.common.array_checks import Floats, check_number
from pairs_bt.data.formats.number_parsing import shown
from pairs_bt.data.positions import Position, read_positions
from pairs_bt.errors import DataError
from pairs_bt.kernels.online import hedge_matrix as kernel
from pairs_bt.models.online.hedge_matrix_file import MatrixState

__all__ = ["COLUMNS", "hedge_orders"]

COLUMNS = ("ticker", "held", "target", "trade", "price", "dollars", "ratio", "standard_error")
#: Changes that an instrument is chosen by must have at least this many bars.
MIN_CHANGES = 20
#: Digits of a price that went through a logarithm.
_DIGITS = 12


class Hedges(Protocol):
    """What orders read of a :class:`pairs_bt.HedgeMatrix`."""

    @property
    def tickers(self) -> tuple[str, ...]:
        """Names in the matrix's order."""

    @property
    def last_bar(self) -> str:
        """Date of the last bar that the matrix has seen."""

    @property
    def state(self) -> MatrixState:
        """Filters of every ordered pair, and the last prices."""


@dataclass(frozen=True)
class _Market:
    """The matrix as orders read it: places of tickers, last prices, and the changes that instruments are chosen by."""

    matrix: Hedges
    place: dict[str, int]
    prices: Floats
    changes: Floats


@dataclass
class _Book:
    """What one instrument has to hedge."""

    exact: float = 0.0
    hedged: list[tuple[float, float]] = field(default_factory=list)


def hedge_orders(
    matrix: Hedges,
    positions: Any,
    *,
    instrument: str | Sequence[str] | None = None,
    lot: float = 1.0,
    smallest: float = 0.0,
    best_over: int = 63,
) -> pd.DataFrame:
    """See :meth:`pairs_bt.models.online.hedge_matrix.HedgeMatrix.orders`."""
    lot, smallest = check_number("lot", lot, low=0.0), check_number("smallest", smallest, low=0.0)
    if isinstance(best_over, bool) or not isinstance(best_over, (int, np.integer)) or best_over < MIN_CHANGES:
        raise ValueError(f"best_over is {best_over!r}; it must be a whole number of bars, at least {MIN_CHANGES}")
    listed = [instrument] if isinstance(instrument, str) else list(instrument or ())
    given = read_positions(positions, matrix.tickers, matrix.last_bar)
    hedges = dict.fromkeys([*listed, *(p.instrument for p in given if p.instrument)])
    prices = _last_prices(matrix)
    changes = np.ascontiguousarray(np.diff(matrix.state.recent[-int(best_over) - 1 :], axis=0).T)
    market = _Market(matrix, {name: k for k, name in enumerate(matrix.tickers)}, prices, changes)
    _check_instruments(market, hedges, given)
    books = {name: _Book() for name in hedges}
    rows: list[tuple[Any, ...]] = []
    unhedged: dict[str, str] = {}
    waiting: dict[str, list[str]] = {}
    for position in given:
        if position.ticker in hedges:
            continue
        ratio = error = np.nan
        found = _choose(market, position, listed)
        if isinstance(found, str):
            unhedged[position.ticker] = found
            for name in [position.instrument] if position.instrument else listed:
                waiting.setdefault(name, []).append(position.ticker)
        else:
            name, ratio, error = found
            books[name].exact -= ratio * position.shares
            books[name].hedged.append((ratio, error))
        price = prices[market.place[position.ticker]]
        rows.append((position.ticker, position.shares, position.shares, 0.0, price, 0.0, ratio, error))
    held = {position.ticker: position.shares for position in given}
    notes = []
    for name, book in books.items():
        price, now = float(prices[market.place[name]]), held.get(name, 0.0)
        if now != 0.0 and name in waiting:
            # what is held may be the hedge of a position that cannot be judged today: selling it would bare that one
            trade = 0.0
            notes.append(
                f"{name}: no order. The {now:g} shares held may hedge {', '.join(waiting[name])}, which cannot be "
                "judged on this bar, so they stay as they are"
            )
        else:
            trade, note = _trade(book.exact - now, price, lot, smallest)
            notes += [f"{name}: {note}"] if note else []
        # one position has one ratio; a sum over several has none
        ratio, error = book.hedged[0] if len(book.hedged) == 1 else (np.nan, np.nan)
        rows.append((name, now, now + trade, trade, price, trade * price, ratio, error))
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"ticker": "str"})
    table.attrs = {"unhedged": unhedged, "notes": notes, "instruments": list(hedges)}
    return table


def _trade(exact: float, price: float, lot: float, smallest: float) -> tuple[float, str]:
    """Shares of an order in whole lots, and why there is none where it is too small."""
    trade = exact
    if lot > 0.0:
        trade = lot * float(np.rint(trade / lot)) + 0.0  # no minus sign before a 0
    if trade != 0.0 and abs(trade) * price < smallest:
        return 0.0, f"an order of {trade:g} shares is below the smallest order, and left out"
    return trade, ""


def _check_instruments(market: _Market, hedges: Mapping[str, None], given: Sequence[Position]) -> None:
    matrix = market.matrix
    if not hedges:
        raise DataError(
            "No hedge instrument is named. Name one for the whole book (--instrument SPY, orders(instrument='SPY')), "
            "or one a position in a column `instrument` of the positions."
        )
    for name in hedges:
        if name not in market.place:
            raise DataError(
                f"The hedge instrument {shown(name)} is not in the matrix ({shown(', '.join(matrix.tickers))}). Name "
                "one of its tickers, or make the matrix again from prices that have it."
            )
        if np.isnan(market.prices[market.place[name]]):
            raise DataError(
                f"The hedge instrument {shown(name)} has no price on {matrix.last_bar}, the matrix's last bar, so no "
                "order in it has a price. Name another instrument, or update the matrix with a bar that has it."
            )
    for position in given:
        if position.ticker in hedges and position.instrument:
            raise DataError(
                f"{shown(position.ticker)} hedges other positions, so its own {position.shares:g} shares are a hedge, "
                f"and they are to be hedged with {shown(position.instrument)}. Leave its instrument empty, or hedge "
                "the others with something else."
            )


def _last_prices(matrix: Hedges) -> Floats:
    """Prices of the last bar (k,), NaN where a ticker has none."""
    last = matrix.state.recent[-1]
    if matrix.state.space == "levels":
        return last
    return np.array([float(f"{value:.{_DIGITS}g}") for value in np.exp(last)])


def _choose(market: _Market, position: Position, listed: Sequence[str]) -> tuple[str, float, float] | str:
    """Instrument, ratio in shares and its standard error; or why the position cannot be hedged."""
    names = [position.instrument] if position.instrument else list(listed)
    if not names:
        return "no hedge instrument is named for it"
    matrix, prices, y = market.matrix, market.prices, market.place[position.ticker]
    if np.isnan(prices[y]):
        return f"no price on {matrix.last_bar}"
    able = {}
    for name in names:
        x = market.place[name]
        if matrix.state.seen[y, x] > 1:
            able[name] = x
    if not able:
        return f"no hedge ratio: fewer than two common bars with {', '.join(names)}"
    name = next(iter(able))
    if len(able) > 1:
        scores = {n: _effectiveness(market, y, x) for n, x in able.items()}
        known = {n: score for n, score in scores.items() if not np.isnan(score)}
        if not known:
            return f"too few common changes to choose among {', '.join(able)}"
        name = max(known, key=lambda n: known[n])
    x = able[name]
    unit = 1.0 if matrix.state.space == "levels" else float(prices[y] / prices[x])
    beta, variance = (float(matrix.state.values[place, y, x]) for place in (kernel.BETA, kernel.BETA_VAR))
    return name, beta * unit, float(np.sqrt(variance)) * unit


def _effectiveness(market: _Market, y: int, x: int) -> float:
    """1 - var(dy - ratio dx) / var(dy) over the last changes, at today's ratio; in logs unless the space is levels."""
    error = market.changes[y] - market.matrix.state.values[kernel.BETA, y, x] * market.changes[x]
    both = np.isfinite(error)
    plain = market.changes[y][both]
    if plain.size < MIN_CHANGES or not plain.var() > 0.0:
        return float("nan")
    return float(1.0 - error[both].var() / plain.var())
