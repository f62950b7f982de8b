"""The s-score of Avellaneda and Lee (2010) by hand: two regressions of statsmodels for every bar."""

from __future__ import annotations

import numpy as np
from statsmodels.api import OLS, add_constant


def score(y: np.ndarray, x: np.ndarray, window: int) -> tuple[float, float, float, float, float]:
    """(slope, mean, deviation, reversion a bar, s) of the last `window` returns of prices y, x; NaN as in the paper."""
    ry, rx = y[1:] / y[:-1] - 1.0, x[1:] / x[:-1] - 1.0
    first = OLS(ry[-window:], add_constant(rx[-window:])).fit()
    cumulated = np.cumsum(first.resid)
    second = OLS(cumulated[1:], add_constant(cumulated[:-1])).fit()
    a, b = second.params
    slope = float(first.params[1])
    if not 0.0 < b < 1.0:
        return slope, np.nan, np.nan, np.nan, np.nan
    mean, deviation = a / (1.0 - b), np.sqrt(np.mean(second.resid**2) / (1.0 - b * b))
    kappa = -np.log(b) * 252.0
    # 252 / 30 a year for 60 days: reverting within half of the window
    s = (cumulated[-1] - mean) / deviation if kappa > 252.0 / (window / 2.0) else np.nan
    return slope, float(mean), float(deviation), float(kappa / 252.0), float(s)


def market(rng: np.random.Generator, bars: int, stocks: int, half_life: float = 6.0, deviation: float = 0.03):
    """Prices of stocks whose residual against a sector reverts, and of the sector: (stocks + 1, bars), sector last."""
    sector = 0.01 * rng.normal(size=bars)
    beta = rng.uniform(0.6, 1.4, size=(stocks, 1))
    keep = 0.5 ** (1.0 / half_life)
    away = np.empty((stocks, bars))
    away[:, 0] = deviation * rng.normal(size=stocks)
    for t in range(1, bars):
        away[:, t] = keep * away[:, t - 1] + deviation * np.sqrt(1.0 - keep * keep) * rng.normal(size=stocks)
    own = np.diff(away, axis=1, prepend=away[:, :1])
    returns = np.concatenate([beta * sector + own, sector[None, :]])
    return rng.uniform(10, 200, size=(stocks + 1, 1)) * np.cumprod(1.0 + returns, axis=1)
