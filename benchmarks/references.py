"""What the same work costs with the usual libraries: statsmodels, pykalman with pandas, a pandas day loop.

Written the way a careful notebook would write it: no detour that would make it slow, no trick that would make it
fast. Each function does for one pair what a stage of pairs_bt does for many, and returns numbers to compare.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pykalman import KalmanFilter
from statsmodels.api import OLS, add_constant
from statsmodels.tsa.api import VAR
from statsmodels.tsa.stattools import coint
from statsmodels.tsa.vector_ar.vecm import coint_johansen

RULES = ("dynamic", "fixed_first", "averaged", "fixed_last")


def scan_pair(y: np.ndarray, x: np.ndarray) -> dict[str, float]:
    """Engle-Granger both ways, the VAR's AIC order, Johansen's trace statistics."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stat_12, p_12, _ = coint(y, x, trend="c", autolag="aic")
        stat_21, p_21, _ = coint(x, y, trend="c", autolag="aic")
        levels = np.column_stack([y, x])
        order = int(VAR(levels).select_order().aic)
        trace = coint_johansen(levels, 0, max(order - 1, 1)).trace_stat
    return {
        "eg_stat_12": stat_12, "eg_pvalue_12": p_12, "eg_stat_21": stat_21, "eg_pvalue_21": p_21,
        "var_order": order, "trace0": trace[0], "trace1": trace[1],
    }  # fmt: skip


@dataclass
class PairSignals:
    """One pair under one rule: arrays over the trade bars, and the half-life."""

    hedge_ratio: np.ndarray
    spread: np.ndarray
    z: np.ndarray
    half_life: float


def signals_pair(y: pd.Series, x: pd.Series, n_train: int) -> dict[str, PairSignals]:
    """Both local levels, the regression filter, and for every rule spread, half-life and z-score.

    Prices are brought to 100 at the train start; the ratio is one of shares.
    """
    path = _regression_path(_local_level(100.0 * (y / y.iloc[0])), _local_level(100.0 * (x / x.iloc[0])))
    shares = pd.Series(path, index=y.index) * (y.iloc[0] / x.iloc[0])
    train = shares.iloc[:n_train]
    held = {"fixed_first": train.iloc[0], "averaged": train.mean(), "fixed_last": train.iloc[-1]}
    return {
        rule: _signals(y, x, pd.Series(held[rule], index=y.index) if rule in held else shares, n_train)
        for rule in RULES
    }


def _local_level(prices: pd.Series) -> np.ndarray:
    model = KalmanFilter(
        transition_matrices=[1], observation_matrices=[1], initial_state_mean=0, initial_state_covariance=1,
        observation_covariance=1, transition_covariance=0.05,
    )  # fmt: skip
    return model.filter(prices.to_numpy())[0].ravel()


def _regression_path(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    delta = 1e-3
    model = KalmanFilter(
        n_dim_obs=1, n_dim_state=2, initial_state_mean=[0, 0], initial_state_covariance=np.ones((2, 2)),
        transition_matrices=np.eye(2), observation_matrices=np.vstack([x, np.ones(x.size)]).T[:, None, :],
        observation_covariance=2, transition_covariance=delta / (1 - delta) * np.eye(2),
    )  # fmt: skip
    return model.filter(y)[0][:, 0]


def _signals(y: pd.Series, x: pd.Series, ratio: pd.Series, n_train: int) -> PairSignals:
    spread = y - ratio * x
    train = spread.iloc[:n_train]
    lag = train.shift(1).iloc[1:]
    slope = OLS((train.diff().iloc[1:]).to_numpy(), add_constant(lag.to_numpy())).fit().params[1]
    life = -np.log(2.0) / slope if slope < 0 else np.inf
    trade = slice(n_train, None)
    if np.isinf(life):
        z = pd.Series(np.nan, index=spread.index)
    else:
        window = spread.rolling(int(min(round(2 * life), n_train)))
        z = (spread - window.mean()) / window.std()
    return PairSignals(
        ratio.iloc[trade].to_numpy(), spread.iloc[trade].to_numpy(), z.iloc[trade].to_numpy(), float(life)
    )


@dataclass
class Trade:
    """One closed trade of the day loop: bars, and dollars after costs and borrow."""

    side: int
    entry_bar: int
    exit_bar: int
    net_pnl: float


def day_loop(frame: pd.DataFrame, *, capital: float, entry: float, entry_bars: int, cost: float, borrow: float) -> list:
    """Trade one pair day by day over a frame with the columns y, x, beta, z and gap (calendar days).

    A signal at one close is filled at the next; shares are frozen at entry; the short leg pays borrow by calendar
    day, every fill its cost; what is open on the last day is closed.
    """
    trades: list[Trade] = []
    wanted = [0] * len(frame)
    want = bet = 0
    units_y = units_x = pnl = 0.0
    entered = -1
    last_row = None
    for t, (_, row) in enumerate(frame.iterrows()):
        last = t == len(frame) - 1
        if bet:
            short = max(-units_y, 0.0) * last_row["y"] + max(-units_x, 0.0) * last_row["x"]
            pnl += units_y * (row["y"] - last_row["y"]) + units_x * (row["x"] - last_row["x"])
            pnl -= short * borrow * row["gap"]
        z = row["z"]
        if want == 0:
            if abs(z) >= entry and t < entry_bars and t + 1 < len(frame) - 1 and row["beta"] > 0:
                want = -1 if z > 0 else 1
        elif want * z >= 0:
            want = 0
        wanted[t] = want
        due = wanted[t - 1] if t else 0
        if bet and (due == 0 or last):
            pnl -= cost * (abs(units_y) * row["y"] + abs(units_x) * row["x"])
            trades.append(Trade(bet, entered, t, pnl))
            bet = 0
        elif not bet and due and not last:
            if row["beta"] > 0:
                size = capital / (row["y"] + row["beta"] * row["x"])
                bet, entered = due, t
                units_y, units_x = bet * size, -bet * size * row["beta"]
                pnl = -cost * (abs(units_y) * row["y"] + abs(units_x) * row["x"])
            elif want == due:
                want = wanted[t] = 0
        last_row = row
    return trades
