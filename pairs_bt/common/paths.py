"""Paths as people write them."""

from __future__ import annotations

import os

__all__ = ["expanded"]


def expanded(path: str | os.PathLike[str]) -> str:
    """Replace ``~`` and ``$NAME`` in a path; a file that is really called so is taken as it is."""
    text = os.fspath(path)
    if "\0" in text or os.path.lexists(text):
        return text
    return os.path.expandvars(os.path.expanduser(text))
