"""Real runs in their own processes: killed, interrupted, doubled, and on disks that fill up."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault_tools import command, fingerprint, finish, hits, seconds_of_parts, start, wait_for, wait_for_part


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """An uninterrupted run and the seconds from its first part to its manifest."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    done = finish(folder)  # compiles what is not compiled yet
    assert done.returncode == 0, done.stderr
    shutil.rmtree(folder)
    return folder, seconds_of_parts(folder)


def check_kills(whole: tuple[Path, float], tmp_path: Path, kills: int, seed: int) -> None:
    folder, seconds = whole
    expected = fingerprint(folder)
    for out, second in hits(tmp_path, kills, seconds, seed):
        assert second.returncode == 0, second.stderr
        assert fingerprint(out) == expected


def test_a_run_killed_at_a_random_moment_goes_on_to_the_same_bytes(whole, tmp_path):
    check_kills(whole, tmp_path, kills=2, seed=1)


@pytest.mark.slow
def test_a_run_killed_at_twenty_random_moments_goes_on_to_the_same_bytes(whole, tmp_path):
    check_kills(whole, tmp_path, kills=20, seed=2)


def test_a_run_killed_again_and_again_gets_there(whole, tmp_path):
    folder, _ = whole
    out = tmp_path / "run"
    for kept in (1, 4, 9):
        process = start(out, "--jobs", "1")
        wait_for_part(process, out, kept)
        process.kill()
        process.communicate()
    assert finish(out).returncode == 0
    assert fingerprint(out) == fingerprint(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_was_done_and_says_how_to_go_on(whole, tmp_path, number):
    folder, _ = whole
    out = tmp_path / "run"
    process = start(out, "--jobs", "1")
    wait_for(process, out / "parts" / "run.json")
    while process.poll() is None and not list((out / "parts").glob("*.part")):
        time.sleep(0.001)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Interrupted." in said
    assert f"kept in {out}. To go on: pairs-bt run --out {out}" in said
    assert "Traceback" not in said
    second = finish(out)
    assert second.returncode == 0, second.stderr
    assert f"going on in {out}" in second.stderr
    assert fingerprint(out) == fingerprint(folder)


@pytest.mark.parametrize("arguments", [["validate"], ["run", "--help"]])
def test_the_watcher_of_interrupts_is_not_in_the_way(arguments):
    done = subprocess.run([*command(Path("x"))[:3], *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_of_two_runs_at_once_the_second_ends_and_says_who_holds_the_folder(whole, tmp_path):
    folder, _ = whole
    out = tmp_path / "run"
    first = start(out, "--jobs", "1")
    wait_for(first, out / "parts" / "run.json")
    first.send_signal(signal.SIGSTOP)
    try:
        second = finish(out)
    finally:
        first.send_signal(signal.SIGCONT)
    _, said = first.communicate(timeout=120)
    assert second.returncode == 2
    assert f"Another run is at work in {out}: process {first.pid}" in second.stderr
    assert first.returncode == 0, said
    assert fingerprint(out) == fingerprint(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 512 KiB, where the system lets us make one."""
    where = tmp_path / "disk"
    where.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(where)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("mounting needs rights that this user lacks")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=False)


def test_a_full_disk_is_named_and_the_run_goes_on_when_there_is_room(whole, small_disk):
    folder, _ = whole
    out = small_disk / "run"
    full = finish(out)
    assert full.returncode == 4, full.stderr
    assert "no space is left on the disk" in full.stderr
    assert "Traceback" not in full.stderr
    assert not (out / "manifest.json").exists()
    kept = len(list((out / "parts").glob("*.part")))
    assert kept > 0
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    second = finish(out)
    assert second.returncode == 0, second.stderr
    assert f"{kept} of 12 windows are kept" in second.stderr
    assert fingerprint(out) == fingerprint(folder)


@pytest.mark.parametrize("size", ["4k", "1m", "2m"])
def test_a_disk_that_fills_up_at_any_stage_never_leaves_a_run_that_looks_whole(whole, small_disk, size):
    folder, _ = whole
    out = small_disk / "run"
    subprocess.run(["mount", "-o", f"remount,size={size}", str(small_disk)], check=True)
    done = finish(out)
    assert done.returncode in (0, 2, 4), done.stderr
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    if done.returncode:
        assert not (out / "manifest.json").exists()
        assert "no space is left" in done.stderr
    else:
        assert fingerprint(out) == fingerprint(folder)


def test_a_read_only_disk_is_named(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = finish(small_disk / "run")
    assert done.returncode == 2
    assert "the disk is read-only" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_whole_run_on_a_read_only_disk_can_be_read_and_verified(whole, small_disk):
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    shutil.copytree(whole[0], small_disk / "run")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = subprocess.run(
        [*command(Path())[:3], "verify", str(small_disk / "run")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_without_the_right_to_write_is_named(tmp_path):
    tmp_path.chmod(0o500)
    try:
        done = finish(tmp_path / "run")
    finally:
        tmp_path.chmod(0o700)
    assert done.returncode == 2
    assert "permission denied" in done.stderr


def test_an_out_that_is_a_file_is_named(tmp_path):
    path = tmp_path / "run"
    path.write_text("x")
    done = finish(path)
    assert done.returncode == 2
    assert "is a file" in done.stderr
    assert path.read_text() == "x"
