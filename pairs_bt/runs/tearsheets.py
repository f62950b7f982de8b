"""A run in the shapes that tear-sheet libraries take: daily returns, positions with cash, transactions.

The account is the committed capital of the returns table. What a day earns is paid out at its close (or made good),
because profits are not reinvested; the second cohort's slot is paid in when it is born. So the return on the account
is the column `net`, day by day, and no other equity exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from pairs_bt.data.prices import fill_gaps

if TYPE_CHECKING:
    from pairs_bt.runs.run_data import RunData


class Pyfolio(NamedTuple):
    """Arguments of pyfolio's tear sheets.

    Attributes
    ----------
    returns : Series
        Daily simple net returns on committed capital: the column `net` of the run's returns.
    positions : DataFrame
        Dollars held at each close, date x ticker, and ``cash``; rows sum to the equity (:func:`equity`).
    transactions : DataFrame
        One row a fill: ``amount`` (shares, negative sold), ``price``, ``symbol``.
    """

    returns: pd.Series
    positions: pd.DataFrame
    transactions: pd.DataFrame


def resolve(run: RunData, variant: str) -> str:
    """The table key of a variant given by name or label."""
    known = {v.name: v.name for v in run.variants} | {v.label: v.name for v in run.variants}
    if variant not in known:
        raise KeyError(f"no variant {variant!r} in this run; it has {[v.name for v in run.variants]}")
    return known[variant]


def equity(run: RunData, variant: str) -> pd.Series:
    """Dollars of the account at each close: the committed capital and what the day earned on it.

    On a day without a live cohort nothing is committed, and the account is the whole capital, idle.
    """
    rows = run.returns[run.returns["variant"] == resolve(run, variant)]
    capital = np.where(rows["capital"] > 0, rows["capital"], run.config.portfolio.capital)
    return pd.Series(capital * (1.0 + rows["net"].to_numpy()), index=_utc(rows["date"]), name="equity")


def shares(run: RunData, variant: str) -> pd.DataFrame:
    """Shares held at each close, netted over pairs and cohorts: date x ticker."""
    fills = run.fills[run.fills["variant"] == resolve(run, variant)]
    dates = pd.DatetimeIndex(run.returns["date"].unique(), name="date")
    changes = fills.pivot_table(index="date", columns="ticker", values="shares", aggfunc="sum")
    return changes.reindex(dates).fillna(0.0).cumsum()


def transactions(run: RunData, variant: str) -> pd.DataFrame:
    """Fills as pyfolio's transactions: UTC index, columns amount, price, symbol."""
    fills = run.fills[run.fills["variant"] == resolve(run, variant)].sort_values("date", kind="stable")
    return pd.DataFrame(
        {"amount": fills["shares"].to_numpy(), "price": fills["price"].to_numpy(), "symbol": list(fills["ticker"])},
        index=_utc(fills["date"]),
    )


def positions(run: RunData, variant: str) -> pd.DataFrame:
    """Dollars held at each close, and ``cash``: the rows sum to the account's equity."""
    held = shares(run, variant)
    prices = fill_gaps(run.prices, run.config.data.fill_limit).ffill()
    # Rounding leaves dust where a position was closed; dust is not a position.
    dust = held.abs() <= 1e-9 * held.abs().max().clip(lower=1e-300)
    value = held.mask(dust, 0.0) * prices.reindex(index=held.index, columns=held.columns)
    value = value.fillna(0.0)
    value.columns.name = None
    value.index = _utc(value.index)
    value["cash"] = equity(run, variant).to_numpy() - value.sum(axis=1).to_numpy()
    return value


def to_pyfolio(run: RunData, variant: str) -> Pyfolio:
    """Everything that ``pyfolio.create_full_tear_sheet`` takes, for one variant.

    The returns are those of the report: the day's dollars over the committed capital of the day.
    """
    returns = run.returns(resolve(run, variant)).rename(variant)
    return Pyfolio(returns, positions(run, variant), transactions(run, variant))


def _utc(dates: pd.Series | pd.Index) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(dates, name="date").tz_localize("UTC")
