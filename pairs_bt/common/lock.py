"""One command at a time in a folder, and a lock that dies with its holder."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pairs_bt.common.files import reason, remove_temporaries
from pairs_bt.errors import ConfigError

try:
    import fcntl
except ImportError:  # a system without file locks: one user, one run
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold a folder's lock while the block runs.

    The system's own lock decides, so that a process that was killed holds nothing; the file's text only says who
    it is.

    Raises
    ------
    ConfigError
        When another process holds it, naming the process, its machine and the time it began; or when the folder
        cannot be written.
    """
    path = folder / LOCK
    handle = _acquire(path)
    try:
        _sign(handle, folder)
        yield
    finally:
        # Removed while still held: whoever opened this file meanwhile sees that its name is gone and opens anew.
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        os.close(handle)


@contextmanager
def taken(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, as `hold` does; it is made where it is missing, and what a killed writer left is cleared.

    Raises
    ------
    ConfigError
        Also when the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"The folder {folder} cannot be made: {reason(error)}. Give another with --out.") from None
    with folder_lock(folder):
        remove_temporaries(folder)
        yield


def _acquire(path: Path) -> int:
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(
                f"The folder {path.parent} cannot be written: {reason(error)}. Give another folder with --out."
            ) from None
        try:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = _holder(handle)
            os.close(handle)
            raise ConfigError(
                f"Another run is at work in {path.parent}: {who}. Wait for it, or give another folder with --out."
            ) from None
        except OSError as error:
            os.close(handle)
            raise ConfigError(
                f"The folder {path.parent} cannot be locked ({reason(error)}): its disk has no file locks. Give a "
                "folder on another disk with --out."
            ) from None
        if _is_still(path, handle):
            return handle
        os.close(handle)


def _is_still(path: Path, handle: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(handle).st_ino
    except FileNotFoundError:
        return False


def _sign(handle: int, folder: Path) -> None:
    me = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(me).encode(), 0)
    except OSError as error:
        raise ConfigError(
            f"The folder {folder} cannot be written: {reason(error)}. Make room, or give another folder with --out."
        ) from None


def _holder(handle: int) -> str:
    try:
        who = json.loads(os.pread(handle, 4096, 0))
        return f"process {int(who['pid'])} on {str(who['host'])[:80]!r}, since {str(who['since'])[:40]}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has not signed its lock yet"
