"""Files that are replaced in one step, and a folder that one process writes at a time."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from pairs_bt.errors import ConfigError

__all__ = ["locked", "replace_file"]


def replace_file(path: Path, write: Callable[[Path], object]) -> Path:
    """Let ``write`` make a file beside ``path``, flush it to the disk, and rename it: the old one or the new one.

    Raises
    ------
    ConfigError
        A folder or file that cannot be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror or error}. Give a folder in which you may write as --out; what "
            "was there before is as it was."
        ) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush_folder(folder: Path) -> None:
    # the rename itself must survive a power cut; systems that cannot open a folder do not need it
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from moving the matrix in ``folder``; a kill releases it.

    Raises
    ------
    ConfigError
        Another process holds it, or the folder cannot be written.
    """
    try:
        import fcntl
    except ImportError:  # no advisory locks here: as without the lock, the last rename wins
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a")
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written: {error.strerror}. Give a folder in which you may write as --out."
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(
                f"Another process is writing the matrix in {folder}. Wait until it has finished, then try again."
            ) from None
        for leftover in folder.glob(".*.tmp"):  # of a process that was killed: nobody else can be writing now
            leftover.unlink(missing_ok=True)
        yield
