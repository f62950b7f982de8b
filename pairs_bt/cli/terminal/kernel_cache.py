"""Which kernels of a run must be compiled first, told from Numba's cache without importing Numba."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from pathlib import Path

from pairs_bt.cli.first_run.kernel_table import KERNELS

_KERNELS = Path(__file__).parents[2] / "kernels"


def cold_kernels() -> list[str]:
    """Kernels of a run that the cache lacks, or holds of an older source (a hint, not a promise).

    Returns
    -------
    list of str
        Keys of :data:`~pairs_bt.cli.first_run.kernel_table.KERNELS`, in their order. None where nothing is compiled.
    """
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return []
    files = _index_files()
    return [key for key in KERNELS if not _is_cached(key, files)]


def _is_cached(key: str, files: dict[str, list[Path]]) -> bool:
    module, name = key.split(":")
    source = _KERNELS / f"{module.replace('.', '/')}.py"
    try:
        changed = source.stat().st_mtime
        found = files.get(f"{source.stem}.{name}", [])
        if any(index.stat().st_mtime >= changed for index in found):
            return True
        # Copied, perhaps in another order: Numba marks what it keeps with the checksum of the source.
        mark = hashlib.sha256(source.read_bytes()).digest() if found else b""
        return any(mark in index.read_bytes() for index in found)
    except OSError:
        return False


def _index_files() -> dict[str, list[Path]]:
    """Numba's index files by module and function: beside the sources, in NUMBA_CACHE_DIR, or in the user's cache."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        folders = list(Path(chosen).glob("*"))
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        sources = {(_KERNELS / key.split(":")[0].replace(".", "/")).parent for key in KERNELS}
        folders = [*(source / "__pycache__" for source in sources), *(cache / "numba").glob("*")]
    files = defaultdict(list)
    for folder in folders:
        for index in folder.glob("*.nbi"):
            files[index.name.split("-")[0]].append(index)
    return files
