"""Finished pieces of a long computation in a folder, by key: what a command that was stopped goes on from.

A piece is one file, whole or absent: a line with a sha256, then the bytes. The sha256 is over the owner (everything
that the computation depends on), the key and the bytes, so a piece of another computation, or one under another's
name, is as good as damaged: it is made again. What the bytes mean is its writer's affair; none of them is code.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from pairs_bt.common.files import TEMPORARY, replacing
from pairs_bt.common.lock import LOCK

SUFFIX = ".part"
_HEAD = 64 + 1


class DamagedCheckpoint(Exception):
    """A piece is not there, was cut or changed, or belongs to another computation."""


class Checkpoints:
    """The pieces of one computation.

    Parameters
    ----------
    folder : Path
        Where they lie; made with the first of them.
    owner : str
        Identifies what they depend on.
    """

    def __init__(self, folder: Path, owner: str) -> None:
        self.folder = folder
        self.owner = owner

    def path(self, key: str) -> Path:
        """Where a piece is, or will be."""
        return self.folder / f"{key}{SUFFIX}"

    def keys(self) -> list[str]:
        """Keys of the pieces that are there, sound or not, in order."""
        return sorted(path.name.removesuffix(SUFFIX) for path in self.folder.glob(f"*{SUFFIX}"))

    @contextmanager
    def writing(self, key: str) -> Iterator[BinaryIO]:
        """Open a stream, forward only, whose bytes become the piece when the block ends."""
        with replacing(self.path(key)) as stream:
            stream.write(bytes(_HEAD))
            body = _Hashing(stream, self._digest(key))
            yield cast(BinaryIO, body)
            stream.seek(0)
            stream.write(_head(body.sha256))

    def write(self, key: str, data: bytes) -> None:
        """Keep one piece."""
        with self.writing(key) as stream:
            stream.write(data)

    @contextmanager
    def reading(self, key: str) -> Iterator[BinaryIO]:
        """Open a piece that verifies, at its first byte.

        Raises
        ------
        DamagedCheckpoint
        OSError
            When the disk cannot be read.
        """
        try:
            stream = self.path(key).open("rb")
        except FileNotFoundError:
            raise DamagedCheckpoint(f"{self.path(key)} is missing") from None
        with stream:
            head, sha256 = stream.read(_HEAD), self._digest(key)
            while block := stream.read(1 << 20):
                sha256.update(block)
            if head != _head(sha256):
                raise DamagedCheckpoint(f"{self.path(key)} is cut or changed, or of another computation")
            stream.seek(_HEAD)
            yield stream

    def read(self, key: str) -> bytes | None:
        """One piece; None where there is none that verifies."""
        try:
            with self.reading(key) as stream:
                return stream.read()
        except (DamagedCheckpoint, OSError):
            return None

    def _digest(self, key: str) -> Any:
        return hashlib.sha256(f"{len(self.owner)} {self.owner} {len(key)} {key} ".encode())


class _Hashing(io.RawIOBase):
    """A stream that only goes forward and knows the checksum of what it was given."""

    def __init__(self, stream: BinaryIO, sha256: Any) -> None:
        self.stream = stream
        self.sha256 = sha256
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        self.size += len(data)
        return self.stream.write(data)

    def tell(self) -> int:
        return self.size


def _head(sha256: Any) -> bytes:
    return sha256.hexdigest().encode() + b"\n"


def is_blank(folder: Path) -> bool:
    """Whether a folder holds nothing but what a command that was killed in its first moments leaves."""
    files = (path for path in folder.rglob("*") if not path.is_dir())
    return all(path.name == LOCK or path.name.endswith(TEMPORARY) for path in files)
