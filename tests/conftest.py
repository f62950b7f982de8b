"""What several test modules share."""

from __future__ import annotations

import os
from pathlib import Path

# Before numpy is imported: the oracles' BLAS threads would fight the test workers for two cores.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
# Workers share one cache, and compile in it what they meet: no process beside them unless a test asks.
os.environ.setdefault("PAIRS_BT_COMPILE_AHEAD", "0")

import numpy as np
import pandas as pd
import pytest

from pairs_bt.config.schema import Config

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def demo_prices() -> pd.DataFrame:
    return pd.read_parquet(ROOT / "data" / "us_large_caps.parquet").set_index("date")


@pytest.fixture(scope="session")
def short_config() -> Config:
    """Five years of the demo: twelve windows, a second to run."""
    return Config.load(None, ["data.start=2005-01-01", "data.end=2009-12-31", "comparison.draws=100"])


@pytest.fixture(scope="session")
def walks() -> pd.DataFrame:
    """Independent random walks, no pair cointegrated."""
    rng = np.random.default_rng(20)
    dates = pd.bdate_range("2010-01-01", periods=900, name="date")
    values = 200.0 + np.cumsum(rng.normal(size=(900, 16)), axis=0)
    return pd.DataFrame(values, index=dates, columns=[f"W{k:02d}" for k in range(16)])
