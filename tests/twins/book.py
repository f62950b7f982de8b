"""Slow twin of the stages from prices to z-scores: pykalman and pandas, one pair at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pykalman import KalmanFilter


def local_level(prices: pd.Series) -> pd.Series:
    model = KalmanFilter(
        transition_matrices=[1],
        observation_matrices=[1],
        initial_state_mean=0,
        initial_state_covariance=1,
        observation_covariance=1,
        transition_covariance=0.05,
    )
    means, _ = model.filter(prices.to_numpy())
    return pd.Series(np.asarray(means).ravel(), index=prices.index)


def regression(y: pd.Series, x: pd.Series) -> pd.Series:
    delta = 1e-3
    model = KalmanFilter(
        n_dim_obs=1,
        n_dim_state=2,
        initial_state_mean=[0, 0],
        initial_state_covariance=np.ones((2, 2)),
        transition_matrices=np.eye(2),
        observation_matrices=np.column_stack([x, np.ones(len(x))])[:, None, :],
        observation_covariance=2,
        transition_covariance=delta / (1 - delta) * np.eye(2),
    )
    means, _ = model.filter(y.to_numpy())
    return pd.Series(np.asarray(means)[:, 0], index=y.index)


def half_life(spread: pd.Series) -> float:
    lag = spread.shift().iloc[1:]
    change = spread.diff().iloc[1:]
    design = np.column_stack([lag, np.ones(len(lag))])
    slope = np.linalg.lstsq(design, change.to_numpy(), rcond=None)[0][0]
    return max(round(-np.log(2) / slope), 1)


def book_signals(prices: pd.DataFrame, y: str, x: str, window: slice, n_train: int, rule: str) -> pd.DataFrame:
    """hedge_ratio, spread, z_score on the trade bars of one window, and half_life, under the book's choices."""
    once = {name: local_level(prices[name]).iloc[window] for name in (y, x)}
    twice = {name: local_level(series) for name, series in once.items()}
    beta = regression(twice[y], twice[x])
    if rule == "fixed_first":
        beta = pd.Series(beta.iloc[0], index=beta.index)
    elif rule == "averaged":
        beta = pd.Series(beta.iloc[:n_train].mean(), index=beta.index)
    elif rule == "fixed_last":
        beta = pd.Series(beta.iloc[n_train - 1], index=beta.index)
    spread = once[y] - beta * once[x]
    life = half_life(spread.iloc[:n_train])
    bars = min(round(2 * life), n_train)
    rolling = spread.rolling(bars)
    z = (spread - rolling.mean()) / rolling.std(ddof=1)
    out = pd.DataFrame({"hedge_ratio": beta, "spread": spread, "z_score": z, "half_life": float(life)})
    return out.iloc[n_train:]
