"""Files are whole or absent, folders are known for what they are, and locks die with their holders."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairs_bt.backtest import table_columns
from pairs_bt.common.files import reason, remove_temporaries, replacing, sha256_of, write_text
from pairs_bt.common.lock import LOCK, folder_lock
from pairs_bt.engine.window_parts import parquet_options, to_arrow
from pairs_bt.errors import ConfigError, DataError
from pairs_bt.runs import run_folder

# ------------------------------------------------------------------------------------------------- files


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table"
    write_text(path, "old")
    with pytest.raises(TypeError), replacing(path) as stream:
        stream.writelines([b"new, but only ha", "lf"])
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["table"]


def test_a_write_takes_the_old_files_place_and_tells_its_checksum(tmp_path):
    path = tmp_path / "deep" / "table"
    write_text(path, "old")
    assert write_text(path, "new\n") == sha256_of(path)
    assert path.read_bytes() == b"new\n"


def test_bytes_are_synced_before_the_name_and_the_name_before_the_return(tmp_path, monkeypatch):
    order: list[str] = []
    fsync, replace = os.fsync, os.replace

    def spy_fsync(handle: int) -> None:
        order.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("rename"), replace(a, b)))
    write_text(tmp_path / "table", "x")
    assert order == ["file", "rename", "folder"] or not Path("/proc/self/fd").exists()


def _every_kind_of_column() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "date": pd.to_datetime(["2020-01-02", None, "2020-01-03"]).as_unit("us"),
            "y": pd.array(["A", "B", "A"], dtype="str"),
            "x": pd.Categorical(["C", "A", "C"], categories=["A", "B", "C"]),
            "ratio": [0.5, float("nan"), -0.0],
            "side": [1, -1, 1],
            "selected": [True, False, True],
        }
    )


def test_a_frame_becomes_the_table_that_pyarrow_makes_of_it():
    for frame in (_every_kind_of_column(), _every_kind_of_column()[:0], table_columns.empty(table_columns.TRADES)):
        expected = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        assert to_arrow(frame).equals(expected, check_metadata=True)


def test_numbers_are_written_plain_and_names_with_their_range(tmp_path):
    table = to_arrow(_every_kind_of_column())
    pq.write_table(table, tmp_path / "t.parquet", **parquet_options(table.schema))
    file = pq.ParquetFile(tmp_path / "t.parquet")
    group = file.metadata.row_group(0)
    columns = {group.column(k).path_in_schema: group.column(k) for k in range(group.num_columns)}
    assert not columns["ratio"].has_dictionary_page
    assert columns["ratio"].statistics is None
    assert columns["y"].has_dictionary_page
    assert columns["y"].statistics.min == "A"
    pd.testing.assert_frame_equal(file.read().to_pandas(), _every_kind_of_column())


def test_temporaries_of_a_killed_writer_are_removed(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / ".2020.part.tmp").write_bytes(b"half")
    (tmp_path / "parts" / "2020.part").write_bytes(b"whole")
    remove_temporaries(tmp_path)
    assert [p.name for p in (tmp_path / "parts").iterdir()] == ["2020.part"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "no space is left on the disk"),
        (errno.EROFS, "the disk is read-only"),
        (errno.EACCES, "permission denied"),
    ],
)
def test_the_disk_is_quoted_in_plain_words(code, words):
    assert words in reason(OSError(code, os.strerror(code)))


# ------------------------------------------------------------------------------------------------- tables


def test_a_table_has_one_row_group_a_part_and_holds_no_clock_or_path(tmp_path):
    parts = [to_arrow(pd.DataFrame({"a": [k, k], "b": ["x", "y"]})) for k in range(3)]
    run_folder.write_table(tmp_path, "tests", iter(parts))
    first = (tmp_path / "tests.parquet").read_bytes()
    assert pq.ParquetFile(tmp_path / "tests.parquet").metadata.num_row_groups == 3
    run_folder.write_table(tmp_path, "tests", iter(parts))
    assert (tmp_path / "tests.parquet").read_bytes() == first
    assert str(tmp_path).encode() not in first


def test_a_table_without_rows_has_its_columns(tmp_path):
    run_folder.write_table(tmp_path, "fills", iter([]))
    read = run_folder.read_fresh_table(tmp_path, "fills")
    assert len(read) == 0
    assert list(read.columns) == list(table_columns.FILLS)


# ------------------------------------------------------------------------------------------------ folders


@pytest.mark.parametrize(
    ("names", "state"),
    [
        ((), "empty"),
        ((LOCK,), "empty"),
        (("parts/.run.json.tmp",), "empty"),
        (("parts/run.json", "config.toml"), "unfinished"),
        (("manifest.json", "parts/run.json"), "complete"),
        (("config.toml",), "foreign"),
        (("parts/2020-03-31.part",), "foreign"),
        (("notes.txt",), "foreign"),
    ],
)
def test_a_folder_is_known_by_what_it_holds(tmp_path, names, state):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert run_folder.state_of(tmp_path) == state


def test_a_folder_that_is_not_there_is_absent(tmp_path):
    assert run_folder.state_of(tmp_path / "nothing") == "absent"


def test_a_folder_without_a_run_says_so(tmp_path):
    with pytest.raises(DataError, match="holds no finished run"):
        run_folder.read_manifest(tmp_path)
    with pytest.raises(DataError, match="holds no finished run"):
        run_folder.read_manifest(tmp_path / "nothing")


def test_clearing_follows_no_link_out_of_the_folder(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("x")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "spreads").symlink_to(outside)
    run_folder.clear(folder)
    assert (outside / "keep").exists()
    assert list(folder.iterdir()) == []


# -------------------------------------------------------------------------------------------------- locks


def test_a_second_holder_is_told_who_holds(tmp_path):
    with (
        folder_lock(tmp_path),
        pytest.raises(ConfigError, match=rf"Another run is at work .*process {os.getpid()} on '.+', since \d{{4}}-"),
        folder_lock(tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_left_behind_by_a_dead_process_is_taken_over(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from pairs_bt.common.lock import folder_lock\n"
        "with folder_lock(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    assert (tmp_path / LOCK).exists()
    with folder_lock(tmp_path):
        pass
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize("text", ["", "rubbish", '{"pid": "x"}', "[]", '{"pid": 1}'])
def test_a_lock_file_with_anything_in_it_is_no_lock(tmp_path, text):
    (tmp_path / LOCK).write_text(text)
    with folder_lock(tmp_path):
        pass


def test_an_unsigned_lock_that_is_held_is_still_a_lock(tmp_path):
    with folder_lock(tmp_path):
        (tmp_path / LOCK).write_text("")
        with pytest.raises(ConfigError, match="has not signed"), folder_lock(tmp_path):
            pass


def test_the_lock_goes_when_the_block_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), folder_lock(tmp_path):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []
    with folder_lock(tmp_path):
        pass
