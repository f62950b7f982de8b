"""What a config is, how it is read, and how it is written back."""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    # Late, because most who come here want one of the room's modules.
    if not name.startswith("__"):
        return getattr(import_module("pairs_bt.config.schema"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
