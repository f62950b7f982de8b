"""Small markets of known truth that several tests trade."""

from __future__ import annotations

import numpy as np
import pandas as pd


def one_reverting_pair() -> pd.DataFrame:
    """AAA = 20 + 0.8 BBB + an AR(1) of 0.9, and CCC, a walk of its own: (700 business days, 3)."""
    rng = np.random.default_rng(4)
    days = pd.bdate_range("2014-01-01", periods=700, name="date")
    x = 100.0 + np.cumsum(rng.normal(size=700))
    spread = np.zeros(700)
    for t in range(1, 700):
        spread[t] = 0.9 * spread[t - 1] + rng.normal()
    return pd.DataFrame({"AAA": 20.0 + 0.8 * x + spread, "BBB": x, "CCC": 90.0 + np.cumsum(rng.normal(size=700))}, days)
