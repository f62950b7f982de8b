"""A finished piece is whole, its own computation's and under its own name, or it is made again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pairs_bt.common.checkpoints import Checkpoints, DamagedCheckpoint, is_blank
from tests.fault_tools import cut, flip

DATA = bytes(range(256)) * 20


def test_what_is_written_is_read(tmp_path):
    store = Checkpoints(tmp_path / "deep" / "pieces", "owner")
    assert store.keys() == []
    assert store.read("a") is None
    store.write("b", b"")
    with store.writing("a") as stream:
        assert [stream.write(DATA[:7]), stream.write(DATA[7:])] == [7, len(DATA) - 7]
        assert stream.tell() == len(DATA)
    assert store.keys() == ["a", "b"]
    assert (store.read("a"), store.read("b")) == (DATA, b"")
    with store.reading("a") as stream:
        assert stream.read(3) == DATA[:3]


def test_the_same_piece_has_the_same_bytes(tmp_path):
    for folder in ("x", "y"):
        Checkpoints(tmp_path / folder, "owner").write("a", DATA)
    assert (tmp_path / "x" / "a.part").read_bytes() == (tmp_path / "y" / "a.part").read_bytes()


@pytest.mark.parametrize("spoil", [cut, Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_damaged_piece_is_none(tmp_path, spoil):
    store = Checkpoints(tmp_path, "owner")
    store.write("a", DATA)
    spoil(store.path("a"))
    assert store.read("a") is None
    with pytest.raises(DamagedCheckpoint), store.reading("a"):
        pass


@pytest.mark.parametrize("at", [0.0, 0.005, 0.0124, 0.0127, 0.5, 1.0])
def test_no_bit_can_flip_unseen(tmp_path, at):
    store = Checkpoints(tmp_path, "owner")
    store.write("a", DATA)
    flip(store.path("a"), at)
    assert store.read("a") is None


def test_a_piece_of_another_owner_or_name_is_none(tmp_path):
    store = Checkpoints(tmp_path, "owner")
    store.write("a", DATA)
    shutil.copy(store.path("a"), store.path("b"))
    assert store.read("b") is None
    assert Checkpoints(tmp_path, "another").read("a") is None
    # Where owner ends and key begins is part of what is signed.
    Checkpoints(tmp_path, "own").write("era", DATA)
    shutil.copy(store.path("era"), store.path("a"))
    assert store.read("a") is None


def test_a_write_that_fails_keeps_the_old_piece(tmp_path):
    store = Checkpoints(tmp_path, "owner")
    store.write("a", b"old")
    with pytest.raises(TypeError), store.writing("a") as stream:
        stream.writelines([b"new, but only ha", "lf"])
    assert store.read("a") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.part"]


def write_blocks(store: Checkpoints, key: str = "a") -> None:
    with store.writing_blocks(key) as blocks:
        assert [blocks.add(DATA), blocks.add(b""), blocks.add(memoryview(DATA[:7]))] == [0, 1, 2]
        blocks.about = {"named": [2, 0]}


def read_blocks(store: Checkpoints, key: str = "a") -> list[bytes]:
    with store.reading_blocks(key) as blocks:
        assert blocks.about == {"named": [2, 0]}
        return [blocks.read(number) for number in (2, 1, 0)]


def test_blocks_are_read_in_any_order(tmp_path):
    store = Checkpoints(tmp_path / "deep", "owner")
    write_blocks(store)
    assert read_blocks(store) == [DATA[:7], b"", DATA]
    with store.reading_blocks("a") as blocks:
        blocks.verify()


def opens(store: Checkpoints) -> bool:
    try:
        with store.reading_blocks("a"):
            return True
    except DamagedCheckpoint:
        return False


def test_no_bit_of_any_block_can_flip_unseen(tmp_path):
    """Every byte of the file: those of a block when it is read, those of the index and its length at once."""
    store = Checkpoints(tmp_path, "owner")
    with store.writing_blocks("a") as blocks:
        blocks.add(DATA[:40])
        blocks.add(DATA[40:60])
        blocks.about = "kept"
    whole = store.path("a").read_bytes()
    seen_later = 0
    for at in range(len(whole)):
        spoiled = bytearray(whole)
        spoiled[at] ^= 1 << at % 8
        store.path("a").write_bytes(spoiled)
        seen_later += opens(store)
        with pytest.raises(DamagedCheckpoint), store.reading_blocks("a") as blocks:
            blocks.verify()
    assert seen_later == 60
    for size in range(len(whole)):
        store.path("a").write_bytes(whole[:size])
        with pytest.raises(DamagedCheckpoint), store.reading_blocks("a") as blocks:
            blocks.verify()
    for changed in (whole + b"x", whole + bytes(8), b""):
        store.path("a").write_bytes(changed)
        with pytest.raises(DamagedCheckpoint), store.reading_blocks("a"):
            pass


def test_a_byte_that_flips_after_the_first_look_is_seen_when_its_block_is_read(tmp_path):
    store = Checkpoints(tmp_path, "owner")
    write_blocks(store)
    with store.reading_blocks("a") as blocks:
        blocks.verify()
        flip(store.path("a"), 0.02)
        assert blocks.read(2) == DATA[:7]
        with pytest.raises(DamagedCheckpoint, match="is cut or changed"):
            blocks.read(0)


def test_blocks_of_another_owner_or_name_are_damaged(tmp_path):
    store = Checkpoints(tmp_path, "owner")
    write_blocks(store)
    shutil.copy(store.path("a"), store.path("b"))
    for other, key in ((store, "b"), (Checkpoints(tmp_path, "another"), "a"), (store, "absent")):
        with pytest.raises(DamagedCheckpoint), other.reading_blocks(key):
            pass


def test_blocks_that_fail_to_be_written_keep_the_old_ones(tmp_path):
    store = Checkpoints(tmp_path, "owner")
    write_blocks(store)
    with pytest.raises(TypeError), store.writing_blocks("a") as blocks:
        [blocks.add(data) for data in (b"new, but only ha", "lf")]
    assert read_blocks(store) == [DATA[:7], b"", DATA]
    assert [path.name for path in tmp_path.iterdir()] == ["a.part"]


def test_a_folder_is_blank_with_what_a_killed_command_leaves(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / ".lock").touch()
    (tmp_path / "parts" / ".2020.part.1f.tmp").touch()
    assert is_blank(tmp_path)
    (tmp_path / "parts" / "2020.part").touch()
    assert not is_blank(tmp_path)
