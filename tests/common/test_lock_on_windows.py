"""The folder's lock on a system without `fcntl`: Windows' own lock of a byte, played by the one of this system."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from pairs_bt.common import lock
from pairs_bt.errors import ConfigError

fcntl = pytest.importorskip("fcntl")


def locking(handle: int, mode: int, count: int) -> None:
    """What `msvcrt.locking` does without waiting: PermissionError where another holds the byte."""
    assert (mode, count) == (2, 1)
    assert os.lseek(handle, 0, os.SEEK_CUR) > 4096, "the text must stay readable for others"
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, "Permission denied") from None


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "fcntl", None)
    monkeypatch.setattr(lock, "msvcrt", SimpleNamespace(LK_NBLCK=2, locking=locking))


def test_a_second_run_is_refused_with_the_name_of_the_first(windows: None, tmp_path: Path) -> None:
    said = f"Another run is at work .* process {os.getpid()} on"
    with lock.folder_lock(tmp_path), pytest.raises(ConfigError, match=said), lock.folder_lock(tmp_path):
        pass


def test_the_lock_is_free_again_and_its_file_gone(windows: None, tmp_path: Path) -> None:
    for _ in range(2):
        with lock.folder_lock(tmp_path):
            assert (tmp_path / lock.LOCK).stat().st_size < 4096
        assert not (tmp_path / lock.LOCK).exists()


def test_the_file_is_closed_before_it_is_removed(
    windows: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    close, unlink = os.close, Path.unlink
    with lock.folder_lock(tmp_path):
        monkeypatch.setattr(os, "close", lambda handle: (done.append("close"), close(handle))[1])
        monkeypatch.setattr(Path, "unlink", lambda path, **how: (done.append("unlink"), unlink(path, **how))[1])
    assert done[:2] == ["close", "unlink"]


def test_a_disk_or_a_system_without_locks_is_named(
    windows: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    for made in (SimpleNamespace(LK_NBLCK=2, locking=refuse), None):
        monkeypatch.setattr(lock, "msvcrt", made)
        with pytest.raises(ConfigError, match="cannot be locked"), lock.folder_lock(tmp_path):
            pass
