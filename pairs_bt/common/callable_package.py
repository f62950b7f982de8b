"""Packages that are called like functions: ``pairs_bt.sweep(config, grid)`` beside ``import pairs_bt.sweep.page``.

A command and the package behind it have one name, and a module object can only be called through its class.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any


def make_callable(package: str, home: str, function: str) -> None:
    """Let a call of a package call a function of one of its modules, which is imported when it is first needed.

    Parameters
    ----------
    package : str
        Full name of the package; it calls this while it is imported.
    home, function : str
        Module that holds the function, and the function's name there.
    """

    class CallablePackage(ModuleType):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return target()(*args, **kwargs)

        @property
        def __signature__(self) -> inspect.Signature:
            return inspect.signature(target())

        @property
        def __wrapped__(self) -> Callable[..., Any]:
            return target()

    def target() -> Callable[..., Any]:
        return getattr(import_module(home), function)

    sys.modules[package].__class__ = CallablePackage
