"""What ``trans_cov="auto"`` gains: hedge effectiveness of the matrix, out of sample, against fixed variances.

    python benchmarks/matrix_variances.py      # about two minutes

Planted markets have 12 pairs each, of which only y on x is measured; of the demo's first 16 tickers every ordered pair.
Each bar's ratio is that of the matrix after that bar, and the error is that of the next bar.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd

from pairs_bt.data.prices import read_prices
from pairs_bt.models.hedge_effectiveness import MEASURES, measure
from pairs_bt.models.online.hedge_matrix import HedgeMatrix

PAIRS, BARS, WARM = 12, 700, 200
DEMO = Path(__file__).resolve().parents[1] / "data" / "us_large_caps.parquet"
OLD = {"trans_cov": 1.0, "obs_cov": 1.0, "init_cov": 1.0}
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "levels": [{}, OLD, {"trans_cov": 1e-4}, {"trans_cov": 1e-6}],
    "log": [{}, OLD, {"trans_cov": 1e-4, "obs_cov": 1e-3}, {"trans_cov": 1e-6, "obs_cov": 1e-3}],
    "changes": [{}, OLD, {"trans_cov": 1e-4, "obs_cov": 1e-4}, {"trans_cov": 1e-6, "obs_cov": 1e-4}],
}
#: Deviations of a bar's step of the ratio and of the intercept, and of the noise; the last two of y's first price.
MARKETS = {
    "line stands still": (0.0, 0.0, 0.01),
    "ratio walks": (0.01, 0.0, 0.005),
    "spread walks": (0.0, 0.008, 0.0),
    "both walk": (0.005, 0.008, 0.001),
}


def planted(step: float, level_step: float, noise: float, seed: int = 3) -> pd.DataFrame:
    """Prices of `PAIRS` pairs, y and x side by side; a walking ratio acts on the changes of x."""
    rng = np.random.default_rng(seed)
    columns = {}
    for i in range(PAIRS):
        first = 40.0 * np.exp(0.7 * rng.normal())
        x = first * np.exp(0.01 * rng.normal(size=BARS).cumsum())
        beta = np.exp(0.5 * rng.normal()) * (1.0 + step * rng.normal(size=BARS).cumsum())
        size = beta[0] * first
        y = 3.0 * size + (beta[:-1] * np.diff(x)).cumsum() if step else 3.0 * size + beta[1:] * (x[1:] - first)
        y = np.concatenate([[3.0 * size], y]) + size * level_step * rng.normal(size=BARS).cumsum()
        columns[f"y{i}"], columns[f"x{i}"] = y + size * noise * rng.normal(size=BARS), x
    return pd.DataFrame(columns, index=pd.date_range("2015-01-01", periods=BARS, freq="B"))


def ratios(prices: pd.DataFrame, space: str, options: dict[str, Any]) -> np.ndarray:
    """Shares of x against one of y after every bar from `WARM` on: (bars, k, k)."""
    matrix = HedgeMatrix.fit(prices.iloc[:WARM], space=space, jobs=1, **options)
    made = []
    for t in range(WARM, len(prices)):
        matrix.update(prices.iloc[t], jobs=1)
        made.append(matrix.state.values[0])
    path = np.array(made)
    if space != "levels":
        now = prices.to_numpy()[WARM:]
        path *= now[:, :, None] / now[:, None, :]
    return path


def effectiveness(prices: pd.DataFrame, path: np.ndarray, iy: np.ndarray, ix: np.ndarray) -> np.ndarray:
    """1 - var(hedged) / var(unhedged) of each pair over one bar."""
    rows = np.ascontiguousarray(prices.to_numpy()[WARM:].T)
    return measure(rows, iy, ix, path[:, iy, ix].T)[:, 0, MEASURES.index("effectiveness")]


def name_of(options: dict[str, Any]) -> str:
    """``auto``, or the variances of step and error."""
    return f"{options['trans_cov']:g}, {options.get('obs_cov', 1.0):g}" if options else "auto"


def table() -> pd.DataFrame:
    """Median effectiveness: one row a space and setting, one column a market."""
    own = np.arange(0, 2 * PAIRS, 2)
    markets = {name: (planted(*given), own, own + 1) for name, given in MARKETS.items()}
    demo = read_prices(DEMO).prices.dropna(axis=1).iloc[:BARS, :16]
    iy, ix = np.nonzero(~np.eye(demo.shape[1], dtype=bool))
    markets["demo"] = (demo, iy, ix)
    rows = {}
    for space, settings in SETTINGS.items():
        for options in settings:
            rows[space, name_of(options)] = {
                market: float(np.median(effectiveness(prices, ratios(prices, space, options), iy, ix)))
                for market, (prices, iy, ix) in markets.items()
            }
    return pd.DataFrame.from_dict(rows, orient="index")


if __name__ == "__main__":
    found = table()
    print("| space | `trans_cov`, `obs_cov` |", " | ".join(found.columns), "|")
    print("|---|---|" + "---:|" * found.shape[1])
    for (space, name), row in found.iterrows():
        print(f"| {space} | {name} |", " | ".join(f"{value:.3f}" for value in row), "|")
