"""What `--out` of `scan`, `compare` and `report` may write: a new file, or one that the same kind of command made.

Checked before anything is computed. `--force` replaces any other file, but never one that the command reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from pairs_bt.config.schema import Config
from pairs_bt.errors import ConfigError

PAGE = (".html",)
TABLE = (".csv", ".parquet")
# Every page's title begins with the program's name; it stands before any style or data.
_TITLE = b"<title>pairs_bt"


def check_out(out: Path | None, endings: Sequence[str], *, reads: Iterable[Path | str] = (), force: bool) -> None:
    """Refuse an `--out` that would destroy something.

    Parameters
    ----------
    out : Path or None
        None is the default place, which needs no check.
    endings : sequence of str
        What the file may end in, such as ``PAGE`` or ``TABLE``.
    reads : iterable of paths
        Files that the command reads; empty ones are skipped.
    force : bool
        Replace a file that pairs-bt has not made.

    Raises
    ------
    ConfigError
        When the ending is not one of `endings`, when the file is one of `reads`, or exists and is not ours, or when its
        folder cannot be written.
    """
    if out is None:
        return
    if out.suffix.lower() not in endings:
        raise ConfigError(f"--out {out}: the name must end in {' or '.join(endings)}, which says what is written.")
    if out.is_dir():
        raise ConfigError(f"--out {out} is a folder: give the path of a file in it.")
    _check_folder(out)
    if not out.exists():
        return
    for path in reads:
        if path and Path(path).exists() and out.samefile(path):
            raise ConfigError(f"--out {out} is a file that this command reads ({path}). Give another name.")
    if not force and not _is_ours(out):
        raise ConfigError(
            f"--out {out} exists, and pairs-bt has not made it. Give another name, or --force to replace it."
        )


def _check_folder(out: Path) -> None:
    there = next(folder for folder in out.absolute().parents if folder.exists())
    if not there.is_dir():
        raise ConfigError(f"--out {out}: {there} is a file, so nothing can be written below it. Give another path.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"--out {out}: you may not write in the folder {there}. Give a path in a folder of your own.")


def inputs(config: Config, path: Path | None = None) -> list[Path | str]:
    """The files that a config names, and its own."""
    pairs = config.universe.pairs if isinstance(config.universe.pairs, str) else ""
    named = [config.data.path, config.universe.membership, config.execution.borrow_table]
    return [*named, "" if pairs == "all" else pairs, *([path] if path is not None else [])]


def _is_ours(path: Path) -> bool:
    """Whether the file's head (a Parquet file's columns) is that of a page or table that pairs-bt writes."""
    with path.open("rb") as stream:
        head = stream.read(4000)
    ending = path.suffix.lower()
    if ending in PAGE:
        return _TITLE in head
    from pairs_bt.backtest.table_columns import TESTS

    if ending == ".csv":
        return not head or head.startswith(",".join(TESTS[:8]).encode())
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return tuple(pq.read_schema(path).names[:8]) == TESTS[:8]
    except (pa.ArrowException, OSError):
        return not head
