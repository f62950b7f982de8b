"""Pairs-trading research backtester: fast, paid for in shares, and honest about what it finds."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pairs_bt.common.old_paths import find_old_paths

if TYPE_CHECKING:
    from pairs_bt.audit.runner import run_audit as audit
    from pairs_bt.config.schema import Config
    from pairs_bt.data.prices import read_prices
    from pairs_bt.models.online.hedge_matrix import HedgeMatrix
    from pairs_bt.models.online.kalman_ols import KalmanOLS
    from pairs_bt.models.ornstein_uhlenbeck.thresholds import optimal_thresholds
    from pairs_bt.pair_study import PairStudy, study_pair
    from pairs_bt.results import Run
    from pairs_bt.runner import compare, explore, load_run, run, scan, validate
    from pairs_bt.sweep.runner import sweep

find_old_paths()

__version__ = "0.2.0"
__all__ = [
    "Config", "HedgeMatrix", "KalmanOLS", "PairStudy", "Run", "audit", "compare", "explore", "load_run",
    "optimal_thresholds", "read_prices", "run", "scan", "study_pair", "sweep", "validate",
]  # fmt: skip

# Resolved on first use, so that `pairs-bt --help` pays for neither pandas nor numba.
_HOMES = {
    "Config": "pairs_bt.config.schema",
    "HedgeMatrix": "pairs_bt.models.online.hedge_matrix",
    "KalmanOLS": "pairs_bt.models.online.kalman_ols",
    "PairStudy": "pairs_bt.pair_study",
    "Run": "pairs_bt.results",
    "compare": "pairs_bt.runner",
    "explore": "pairs_bt.runner",
    "load_run": "pairs_bt.runner",
    "optimal_thresholds": "pairs_bt.models.ornstein_uhlenbeck.thresholds",
    "read_prices": "pairs_bt.data.prices",
    "run": "pairs_bt.runner",
    "scan": "pairs_bt.runner",
    "study_pair": "pairs_bt.pair_study",
    "validate": "pairs_bt.runner",
}
# Packages that are called (`pairs_bt.common.callable_package`): the import of one puts it into this namespace.
_CALLED = ("audit", "report", "sweep")


class _Face(ModuleType):
    """The package's own class: a function's name stays the function's when a module of that name is imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        # `pairs_bt.compare` was a module in version 0.1, and is importable still.
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _CALLED:
        return import_module(f"pairs_bt.{name}")
    raise AttributeError(f"module 'pairs_bt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
