"""Finished pieces of a long computation in a folder, by key: what a command that was stopped goes on from.

A piece is one file, whole or absent: a line with a sha256, then the bytes. The sha256 is over the owner (everything
that the computation depends on), the key and the bytes, so a piece of another computation, or one under another's
name, is as good as damaged: it is made again. What the bytes mean is its writer's affair; none of them is code.

A large piece may be cut into blocks that are read one by one, each compared with its own sha256 on the way. Then the
first line's is over owner, key and an index at the end of the file, which holds the size and sha256 of every block.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, cast

from pairs_bt.common.files import TEMPORARY, replacing
from pairs_bt.common.lock import LOCK

SUFFIX = ".part"
_HEAD = 64 + 1
_LENGTH = 8


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
                raise _damaged(self.path(key))
            stream.seek(_HEAD)
            yield stream

    @contextmanager
    def writing_blocks(self, key: str) -> Iterator[BlockWriter]:
        """Open a piece to be written block by block; its bytes are synced once, its name is not.

        A power cut may cost a name, and so the piece: it is made again.
        """
        with replacing(self.path(key), sync="bytes") as stream:
            stream.write(bytes(_HEAD))
            blocks = BlockWriter(stream)
            yield blocks
            index = json.dumps({"about": blocks.about, "blocks": blocks.written}).encode()
            stream.write(index + len(index).to_bytes(_LENGTH, "little"))
            sha256 = self._digest(key)
            sha256.update(index)
            stream.seek(0)
            stream.write(_head(sha256))

    @contextmanager
    def reading_blocks(self, key: str) -> Iterator[BlockReader]:
        """Open a piece whose index verifies; its blocks are compared as they are read.

        Raises
        ------
        DamagedCheckpoint
            Here, or from a block that is not what was written.
        OSError
            When the disk cannot be read.
        """
        path = self.path(key)
        try:
            stream = path.open("rb")
        except FileNotFoundError:
            raise DamagedCheckpoint(f"{path} is missing") from None
        with stream:
            size, sha256 = os.fstat(stream.fileno()).st_size, self._digest(key)
            head = stream.read(_HEAD)
            stream.seek(max(size - _LENGTH, 0))
            end = size - _LENGTH
            start = end - int.from_bytes(stream.read(_LENGTH), "little")
            index = b""
            if _HEAD <= start < end:
                stream.seek(start)
                index = stream.read(end - start)
            sha256.update(index)
            if not index or head != _head(sha256):
                raise _damaged(path)
            yield BlockReader(path, stream, json.loads(index))

    def read(self, key: str) -> bytes | None:
        """One piece; None where there is none that verifies."""
        try:
            with self.reading(key) as stream:
                return stream.read()
        except (DamagedCheckpoint, OSError):
            return None

    def _digest(self, key: str) -> Any:
        return hashlib.sha256(f"{len(self.owner)} {self.owner} {len(key)} {key} ".encode())


class BlockWriter:
    """The blocks of a piece that is being written; `about` is kept in its index."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.about: Any = None
        self.written: list[tuple[int, str]] = []

    def add(self, data: Any) -> int:
        """Write a block (bytes, or what gives them as a buffer) and return its number."""
        view = memoryview(data)
        self.stream.write(view)
        self.written.append((view.nbytes, hashlib.sha256(view).hexdigest()))
        return len(self.written) - 1


class BlockReader:
    """The blocks of a piece whose index verifies."""

    def __init__(self, path: Path, stream: BinaryIO, index: dict[str, Any]) -> None:
        self.path = path
        self.stream = stream
        self.about = index["about"]
        self.blocks = index["blocks"]
        self.starts = list(accumulate((size for size, _ in self.blocks), initial=_HEAD))

    def read(self, number: int) -> bytes:
        """One block: the bytes that were compared with its checksum, and no others."""
        size, sha256 = self.blocks[number]
        self.stream.seek(self.starts[number])
        data = self.stream.read(size)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise _damaged(self.path)
        return data

    def verify(self) -> None:
        """Compare every block, holding one at a time."""
        for number in range(len(self.blocks)):
            self.read(number)


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


def _damaged(path: Path) -> DamagedCheckpoint:
    return DamagedCheckpoint(f"{path} is cut or changed, or of another computation")


def _head(sha256: Any) -> bytes:
    return sha256.hexdigest().encode() + b"\n"


def is_blank(folder: Path) -> bool:
    """Whether a folder holds nothing but what a command that was killed in its first moments leaves."""
    files = (path for path in folder.rglob("*") if not path.is_dir())
    return all(path.name == LOCK or path.name.endswith(TEMPORARY) for path in files)
