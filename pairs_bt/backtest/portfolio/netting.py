"""Shared legs: what netting orders over pairs and cohorts before they are sent would save in costs."""

from __future__ import annotations

import pandas as pd

from pairs_bt.config.schema import Config


def savings(fills: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Dollars that netting saves on each date, per variant.

    Fills of one ticker at one close are one order: bought and sold shares of different pairs meet in the house, and
    the cost is charged on what is left, cost = |sum of shares| (rate * price + half the quoted spread) instead of the
    sum of |shares| (...).

    Parameters
    ----------
    fills : DataFrame
        The fills of all windows.
    config : Config
        `execution.cost_bps` and `execution.spread`.

    Returns
    -------
    DataFrame
        Columns date, variant, saving; dates on which something was filled.
    """
    unit = config.execution.cost_bps / 1e4 * fills["price"] + config.execution.spread / 2.0
    orders = pd.DataFrame(
        {
            "variant": fills["variant"],
            "date": fills["date"],
            "ticker": fills["ticker"],
            "shares": fills["shares"],
            "charged": fills["shares"].abs() * unit,
            "unit": unit,
        }
    )
    by_order = orders.groupby(["variant", "date", "ticker"], sort=True, observed=True).agg(
        shares=("shares", "sum"), charged=("charged", "sum"), unit=("unit", "first")
    )
    saving = by_order["charged"] - by_order["shares"].abs() * by_order["unit"]
    # Where nothing was netted, rounding leaves dust.
    by_order["saving"] = saving.where(saving > 1e-12 * by_order["charged"], 0.0)
    return by_order.groupby(level=["variant", "date"], sort=True)["saving"].sum().reset_index()
