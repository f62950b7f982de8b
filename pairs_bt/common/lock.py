"""One command at a time in a folder, and a lock that dies with its holder."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from pairs_bt.common.files import reason, remove_temporaries
from pairs_bt.errors import ConfigError


def _module(name: str) -> Any:
    """A module that only some systems have; None on the others."""
    try:
        return import_module(name)
    except ImportError:
        return None


fcntl = _module("fcntl")  # all systems but Windows
msvcrt = _module("msvcrt")  # Windows

LOCK = ".lock"
# Windows locks bytes and lets nobody read them: one far behind the text that says who holds the lock.
_LOCKED_BYTE = 1 << 30


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
        if fcntl is None:
            # Windows removes no open file; and none that another has opened, so that its lock keeps its name.
            os.close(handle)
            _remove(path)
        else:
            # Removed while still held: whoever opened this file meanwhile sees that its name is gone and opens anew.
            _remove(path)
            os.close(handle)


@contextmanager
def taken(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, made where it is missing, as `folder_lock` does; what a killed writer left is cleared.

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


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _lock(handle: int) -> None:
    """Take the system's lock or raise BlockingIOError; other errors say that the disk has no locks."""
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    elif msvcrt is not None:
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EDEADLK):
                raise BlockingIOError(error.errno, error.strerror) from None
            raise
    else:
        raise OSError(errno.ENOTSUP, "this system has no file locks")


def _acquire(path: Path) -> int:
    # Programs that this one starts do not inherit the handle. Windows has to be told that the file is bytes.
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
    while True:
        try:
            handle = os.open(path, flags, 0o644)
        except OSError as error:
            raise ConfigError(
                f"The folder {path.parent} cannot be written: {reason(error)}. Give another folder with --out."
            ) from None
        try:
            _lock(handle)
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
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, json.dumps(me).encode())
    except OSError as error:
        raise ConfigError(
            f"The folder {folder} cannot be written: {reason(error)}. Make room, or give another folder with --out."
        ) from None


def _holder(handle: int) -> str:
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        who = json.loads(os.read(handle, 4096))
        return f"process {int(who['pid'])} on {str(who['host'])[:80]!r}, since {str(who['since'])[:40]}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has not signed its lock yet"
