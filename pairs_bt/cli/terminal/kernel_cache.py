"""Whether the kernels of a run must be compiled first, told from Numba's cache without importing Numba."""

from __future__ import annotations

import os
from pathlib import Path

_KERNELS = Path(__file__).parents[2] / "kernels"
# Modules that every run compiles something of.
_NEEDED = ("kalman", "mean_reversion", "ledger")


def kernels_are_cold() -> bool:
    """Whether the cache lacks a kernel that a run needs, or holds it of an older source (a hint, not a promise)."""
    return not all(_is_cached(_KERNELS / f"{name}.py") for name in _NEEDED)


def _is_cached(source: Path) -> bool:
    try:
        changed = source.stat().st_mtime
        return any(index.stat().st_mtime >= changed for index in _indexes(source))
    except OSError:
        return False


def _indexes(source: Path) -> list[Path]:
    """Numba's index files of a module: beside it, in NUMBA_CACHE_DIR, or in the user's cache."""
    pattern = f"{source.stem}.*.nbi"
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return list(Path(chosen).glob(f"*/{pattern}"))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return [*(source.parent / "__pycache__").glob(pattern), *(cache / "numba").glob(f"*/{pattern}")]
