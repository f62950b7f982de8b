"""``orders.csv`` and the orders' part of the matrix's page."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from pairs_bt.common.csv_text import to_csv
from pairs_bt.common.formatting import number
from pairs_bt.models.online.hedge_matrix_file import writing
from pairs_bt.report.blocks import Row, Table

__all__ = ["ORDERS", "OrdersSection", "drop_orders", "order_lines", "orders_section", "write_orders"]

ORDERS = "orders.csv"


@dataclass(frozen=True)
class OrdersSection:
    """What the page shows: the orders, the positions behind them, and lines on what is left out."""

    text: str = ""
    orders: Table = field(default_factory=lambda: Table([], []))
    positions: Table = field(default_factory=lambda: Table([], []))
    lines: tuple[str, ...] = ()


def write_orders(orders: pd.DataFrame, folder: Path) -> None:
    """Write ``orders.csv`` into the matrix's folder, in one step.

    Raises
    ------
    ConfigError
        A folder that cannot be written.
    """
    with writing(folder / ORDERS) as stream:
        stream.write(to_csv(orders).encode())


def drop_orders(folder: Path) -> None:
    """Remove the orders of an earlier bar: they are not of the matrix that is about to be written."""
    (folder / ORDERS).unlink(missing_ok=True)


def order_lines(orders: pd.DataFrame) -> tuple[str, ...]:
    """One line for each position that cannot be hedged, and for each order that is left out."""
    unhedged: dict[str, str] = orders.attrs["unhedged"]
    return (*(f"{ticker} is not hedged: {why}" for ticker, why in unhedged.items()), *orders.attrs["notes"])


def orders_section(orders: pd.DataFrame, last_bar: str) -> OrdersSection:
    """The page's section, numbers as a person reads them."""
    hedges = orders["ticker"].isin(orders.attrs["instruments"])
    made, behind = orders[hedges], orders[~hedges]
    count, dollars = int((made["trade"] != 0.0).sum()), float(made["dollars"].sum())
    hedged = len(behind) - len(orders.attrs["unhedged"])
    whose = "" if hedged == len(behind) else f"{hedged} of "
    text = (
        f"{count} order{'' if count == 1 else 's'} at the prices of {last_bar}, {number(dollars)} dollars in all "
        f"(bought less sold), for {whose}{len(behind)} position{'' if len(behind) == 1 else 's'}."
    )
    heads = {"held": 2, "target": 2, "trade": 2, "price": 2, "dollars": 2}
    rows = [Row(str(r["ticker"]), [number(r[n], d) for n, d in heads.items()]) for r in made.to_dict("records")]
    places: dict[str, int] = {"held": 2, "price": 2, "ratio": 4, "standard_error": 4}
    under = [Row(str(r["ticker"]), [number(r[n], d) for n, d in places.items()]) for r in behind.to_dict("records")]
    return OrdersSection(
        text,
        Table(["instrument", "held", "target", "to trade", "price", "dollars"], rows),
        Table(["position", "held", "price", "ratio", "standard error"], under),
        order_lines(orders),
    )
