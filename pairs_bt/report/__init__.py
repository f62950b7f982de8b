"""Pages: a run's report and what it is made of; ``pairs_bt.report(run, path)`` writes a report."""

from importlib import import_module
from typing import Any

from pairs_bt.common.callable_package import make_callable

make_callable(__name__, "pairs_bt.report.page", "write_report")


def __getattr__(name: str) -> Any:
    # Late, because most who come here want one of the room's modules.
    if not name.startswith("__"):
        return getattr(import_module("pairs_bt.report.page"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
