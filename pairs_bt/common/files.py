"""Files that are either whole or absent: written under another name, synced to the disk, renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

TEMPORARY = ".tmp"

Sync = Literal["now", "bytes", "later"]


@contextmanager
def replacing(path: Path, *, sync: Sync = "now") -> Iterator[BinaryIO]:
    """Open a stream whose bytes become `path` when the block ends, and nothing at all when it fails.

    The bytes reach the disk before the name does, and the name before this returns: after a power cut there is
    the old file or the new one, never a part of it. With ``sync = "bytes"`` the name may be lost in a power cut; with
    ``"later"`` the bytes may be too, even under the new name: for a file that something else holds the checksum of,
    and that `sync_files` brings to the disk before anybody counts on it.
    """
    # A name of its own: two processes without a lock may write the same file, and one of them comes last.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            if sync != "later":
                os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    if sync == "now":
        sync_folder(path.parent)


def write_bytes(path: Path, data: Any, *, sync: Sync = "now") -> str:
    """Write a whole file and return its sha256."""
    with replacing(path, sync=sync) as stream:
        stream.write(data)
    return hashlib.sha256(data).hexdigest()


def sync_files(folder: Path, names: Iterable[str]) -> None:
    """Bring files of a folder to the disk, then their names, and the names of the folders between."""
    folders: dict[Path, None] = {}
    for name in names:
        path = folder / name
        with path.open("r+b") as stream:  # Windows syncs only what it may write
            os.fsync(stream.fileno())
        folders |= dict.fromkeys(folder / parent for parent in Path(name).parents)
    for between in folders:
        sync_folder(between)


def write_text(path: Path, text: str) -> str:
    """Write a whole UTF-8 file, line ends as they are, and return its sha256."""
    return write_bytes(path, text.encode("utf-8"))


def json_text(value: Any) -> str:
    """A value as people and programs read it, the same for equal values."""
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # network disks that cannot
            raise
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remove_temporaries(folder: Path) -> None:
    """Remove what a killed writer has left half-written."""
    for path in folder.rglob(f".*{TEMPORARY}"):
        path.unlink(missing_ok=True)


def reason(error: OSError) -> str:
    """What the system says, in its own words, without the file's name."""
    if error.errno == errno.ENOSPC:
        return "no space is left on the disk"
    if error.errno == errno.EROFS:
        return "the disk is read-only"
    return (error.strerror or str(error)).lower()
