"""What ``trans_cov="auto"`` gains: hedge effectiveness of the matrix, out of sample, against fixed variances.

    python benchmarks/matrix_variances.py      # some minutes

Planted markets have 12 pairs each, of which only y on x is measured; of the first 16 tickers of the demo every ordered
pair.
Each ratio is that of the matrix after a bar, and the error is that of the next bar. ``auto, mixed`` weights the
ratios of all filters of the grid by their likelihoods instead of taking the best one.
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
from pairs_bt.kernels.online import hedge_grid as kernel
from pairs_bt.models.hedge_effectiveness import MEASURES, measure
from pairs_bt.models.online.hedge_matrix import HedgeMatrix

PAIRS, BARS, WARM, DEMO_TICKERS = 12, 500, 200, 16
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


def mixed(matrix: HedgeMatrix) -> np.ndarray:
    """Ratios (k, k) of all filters of the grid, weighted by their likelihoods."""
    grid = matrix.state.grid
    assert grid is not None
    score = np.log(grid[:, kernel.PRODUCT]) + kernel.LOG_FOLD * grid[:, kernel.FOLDS]
    score += (matrix.state.seen - kernel.UNSCORED) * np.log(grid[:, kernel.SQUARES])
    weights = np.exp(-0.5 * (score - score.min(axis=0)))
    return (weights * grid[:, 0]).sum(axis=0) / weights.sum(axis=0)


def ratios(prices: pd.DataFrame, space: str, options: dict[str, Any]) -> dict[str, np.ndarray]:
    """Shares of x against one of y after every bar from `WARM` on, (bars, k, k), by what is done with the filters."""
    matrix = HedgeMatrix.fit(prices.iloc[:WARM], space=space, **options)
    made: dict[str, list[np.ndarray]] = {name_of(options): []}
    for t in range(WARM, len(prices)):
        matrix.update(prices.iloc[t])
        made[name_of(options)].append(matrix.state.values[0])
        if matrix.state.grid is not None:
            made.setdefault("auto, mixed", []).append(mixed(matrix))
    now = prices.to_numpy()[WARM:]
    scale = 1.0 if space == "levels" else now[:, :, None] / now[:, None, :]
    return {name: np.array(path) * scale for name, path in made.items()}


def effectiveness(prices: pd.DataFrame, path: np.ndarray, iy: np.ndarray, ix: np.ndarray) -> np.ndarray:
    """1 - var(hedged) / var(unhedged) of each pair over one bar."""
    rows = np.ascontiguousarray(prices.to_numpy()[WARM:].T)
    return measure(rows, iy, ix, path[:, iy, ix].T)[:, 0, MEASURES.index("effectiveness")]


def name_of(options: dict[str, Any]) -> str:
    """``auto``, or the variances of step and error."""
    return f"{options['trans_cov']:g}, {options.get('obs_cov', 1.0):g}" if options else "auto"


def market() -> tuple[pd.DataFrame, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """All prices side by side, for a pair does not depend on its company, and each market's y and x."""
    parts, pairs = [], {}
    for i, (name, given) in enumerate(MARKETS.items()):
        y = 2 * PAIRS * i + np.arange(0, 2 * PAIRS, 2)
        pairs[name] = (y, y + 1)
        parts.append(planted(*given).add_suffix(f"_{i}"))
    demo = read_prices(DEMO).prices.dropna(axis=1).iloc[:BARS, :DEMO_TICKERS]
    iy, ix = np.nonzero(~np.eye(DEMO_TICKERS, dtype=bool))
    pairs["demo"] = (2 * PAIRS * len(MARKETS) + iy, 2 * PAIRS * len(MARKETS) + ix)
    return pd.concat([*parts, demo.set_axis(parts[0].index)], axis=1), pairs


def table() -> pd.DataFrame:
    """Median effectiveness: one row a space and setting, one column a market."""
    prices, pairs = market()
    rows = {}
    for space, settings in SETTINGS.items():
        for options in settings:
            for setting, path in ratios(prices, space, options).items():
                rows[space, setting] = {
                    name: float(np.median(effectiveness(prices, path, iy, ix))) for name, (iy, ix) in pairs.items()
                }
    return pd.DataFrame.from_dict(rows, orient="index")


if __name__ == "__main__":
    found = table()
    print("| space | `trans_cov`, `obs_cov` |", " | ".join(found.columns), "|")
    print("|---|---|" + "---:|" * found.shape[1])
    for (space, name), row in found.iterrows():
        print(f"| {space} | {name} |", " | ".join(f"{value:.3f}" for value in row), "|")
