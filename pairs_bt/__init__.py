"""Pairs-trading research backtester: fast, paid for in shares, and honest about what it finds."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pairs_bt.common.old_paths import find_old_paths

if TYPE_CHECKING:
    from pairs_bt.config.schema import Config
    from pairs_bt.data.prices import read_prices
    from pairs_bt.models.online.hedge_matrix import HedgeMatrix
    from pairs_bt.models.online.kalman_ols import KalmanOLS
    from pairs_bt.models.optimal_thresholds import optimal_thresholds
    from pairs_bt.pair_study import PairStudy, study_pair
    from pairs_bt.results import Run
    from pairs_bt.runner import load_run, run

find_old_paths()

__version__ = "0.1.0"
__all__ = [
    "Config", "HedgeMatrix", "KalmanOLS", "PairStudy", "Run", "load_run", "optimal_thresholds", "read_prices", "run",
    "study_pair",
]  # fmt: skip

# Resolved on first use, so that `pairs-bt --help` pays for neither pandas nor numba.
_HOMES = {
    "Config": "pairs_bt.config.schema",
    "HedgeMatrix": "pairs_bt.models.online.hedge_matrix",
    "KalmanOLS": "pairs_bt.models.online.kalman_ols",
    "PairStudy": "pairs_bt.pair_study",
    "Run": "pairs_bt.results",
    "load_run": "pairs_bt.runner",
    "optimal_thresholds": "pairs_bt.models.optimal_thresholds",
    "read_prices": "pairs_bt.data.prices",
    "run": "pairs_bt.runner",
    "study_pair": "pairs_bt.pair_study",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'pairs_bt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
