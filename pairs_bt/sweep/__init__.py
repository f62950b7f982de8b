"""A grid of settings: each one traded, what trying them all costs, and the choice that could have been made.

``pairs_bt.sweep(config, grid)`` does all of it, as :func:`pairs_bt.sweep.runner.sweep` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pairs_bt.common.callable_package import make_callable

if TYPE_CHECKING:
    from pairs_bt.sweep.analysis import SweepResult
    from pairs_bt.sweep.runner import sweep

__all__ = ["SweepResult", "sweep"]

make_callable(__name__, "pairs_bt.sweep.runner", "sweep")


def __getattr__(name: str) -> Any:
    # Late, because a grid is checked before pandas and the kernels are imported.
    if name == "sweep":
        from pairs_bt.sweep.runner import sweep

        return sweep
    if name == "SweepResult":
        from pairs_bt.sweep.analysis import SweepResult

        return SweepResult
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
