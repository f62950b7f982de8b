"""What closed the gap between spread and mean during a trade: the spread, its mean, or the ratio.

With b = 1 for a bet on a rise of the spread and -1 on a fall, u shares of y, and spread s and mean m at the two fills,
the gap that a trade was opened for has closed by

    b u ((m_0 - s_0) - (m_1 - s_1))  =  b u (s_1 - s_0)  +  b u (m_0 - m_1)
                                         the spread         the mean

dollars. The mean's part is paid to nobody. Of the spread's part the shares held earn the gross P&L; what is left is
the spread's change by its moving ratio, the phantom P&L, which is 0 where a held ratio is traded as it is. So

    gap closed = gross P&L + phantom P&L + the mean's move,

exactly, trade by trade. Under log prices u is times the entry's y, and the phantom part also has what the linear form
of a log leaves.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pairs_bt.config.schema import Config

# What can have done most of the closing.
CAUSES = ("spread", "mean", "ratio")
_DUST = 1e-9


def gap_parts(trades: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Split the closing of each trade's gap into its three parts.

    Parameters
    ----------
    trades : DataFrame
        The trades table.
    config : Config
        Says which way the bet goes and what the spread's units are.

    Returns
    -------
    DataFrame
        Columns `spread` (gross P&L), `mean` and `ratio` (phantom P&L), dollars, positive where they closed the gap,
        in the order of the trades. `mean` is NaN where the z-score has no mean.
    """
    # Under side = "book" the shares are bought the other way round; the spread and its mean are not.
    bet = trades["side"].to_numpy() * (-1 if config.signal.side == "book" else 1)
    units = np.abs(trades["units_y"].to_numpy())
    if config.filter.price_space == "log":
        units = units * trades["entry_y"].to_numpy()
    moved = trades["mean_exit"].to_numpy() - trades["mean_entry"].to_numpy()
    return pd.DataFrame(
        {
            "spread": trades["gross_pnl"].to_numpy(),
            "mean": -bet * units * moved,
            "ratio": trades["phantom_pnl"].to_numpy(),
        },
        index=trades.index,
    )


def causes(trades: pd.DataFrame, config: Config) -> pd.Series:
    """Name what did most of the closing of trades that ended at the exit level: one of `CAUSES`, or ''.

    '' for a trade that ended otherwise, for one whose gap no part had closed from fill to fill (it closed at the signal
    and was open again when the exit was filled), and where the z-score has no mean in the spread's units.
    """
    parts = gap_parts(trades, config)[list(CAUSES)].to_numpy()
    # what rounding leaves of a part is no cause
    closed = parts > _DUST * trades["capital"].to_numpy()[:, None]
    known = (trades["exit_reason"] == "exit_level").to_numpy() & np.isfinite(parts).all(axis=1) & closed.any(axis=1)
    names = np.array(CAUSES, dtype=object)
    largest = np.argmax(np.where(known[:, None], parts, 0.0), axis=1) if len(trades) else np.zeros(0, dtype=int)
    return pd.Series(np.where(known, names[largest], ""), index=trades.index, dtype="str")


def known_sum(values: pd.Series) -> float:
    """The sum, NaN where any is: a sum over some of the trades would stand for all of them."""
    return float(values.sum(skipna=False))


def endings(trades: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Count trades by variant, exit reason and cause: nothing vanishes silently.

    Parameters
    ----------
    trades : DataFrame
        The trades table.
    config : Config
        Of the run.

    Returns
    -------
    DataFrame
        Columns variant, exit_reason, cause (see :func:`causes`), trades, share (of the variant's trades), mean_net_bp
        (of capital), net_pnl, and the parts of :func:`gap_parts` as spread_pnl, mean_pnl and ratio_pnl, all in dollars.
    """
    parts = gap_parts(trades, config).rename(columns=lambda name: f"{name}_pnl")
    table = trades[["variant", "exit_reason", "net_pnl"]].assign(
        cause=causes(trades, config), bp=trades["net_pnl"] / trades["capital"] * 1e4
    )
    table = table.join(parts)
    out = (
        table.groupby(["variant", "exit_reason", "cause"], sort=False)
        .agg(
            trades=("bp", "size"), mean_net_bp=("bp", "mean"), net_pnl=("net_pnl", "sum"),
            spread_pnl=("spread_pnl", "sum"), mean_pnl=("mean_pnl", known_sum),
            ratio_pnl=("ratio_pnl", "sum"),
        )
        .reset_index()
    )  # fmt: skip
    out.insert(4, "share", out["trades"] / out.groupby("variant")["trades"].transform("sum"))
    return out
