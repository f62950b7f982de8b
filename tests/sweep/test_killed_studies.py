"""Sweeps, audits and matrices killed with -9 or ended with SIGTERM at random moments: the same command gets there."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from tests.fault_tools import fingerprint

ROOT = Path(__file__).resolve().parents[2]
PRICES = ROOT / "data" / "us_large_caps.parquet"
SHORT = ("--set", "data.end=2008-12-31", "--set", "comparison.draws=100", "--set", "hedge.variants=['averaged']")
COMMANDS = {
    "sweep": ("sweep", "--grid", "signal.entry=1.5,2,2.5", *SHORT),
    "audit": ("audit", "--draws", "3", "--dates", "2", *SHORT),
}


def call(arguments: tuple[str, ...], out: Path) -> list[str]:
    return [sys.executable, "-m", "pairs_bt.cli", *arguments, "--out", str(out)]


def finish(arguments: tuple[str, ...], out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(call(arguments, out), capture_output=True, text=True, timeout=600, check=False)


@dataclass
class Whole:
    """An uninterrupted command: its folder's checksums, and how long it takes once the kernels are compiled."""

    files: dict[str, str]
    seconds: float


def uninterrupted(arguments: tuple[str, ...], out: Path) -> Whole:
    for _ in range(2):  # the first compiles what is not compiled yet
        shutil.rmtree(out, ignore_errors=True)
        began = time.perf_counter()
        done = finish(arguments, out)
        assert done.returncode == 0, done.stderr
    return Whole(fingerprint(out), time.perf_counter() - began)


def ended_and_given_again(
    arguments: tuple[str, ...], out: Path, after: float, number: signal.Signals
) -> tuple[bool, subprocess.CompletedProcess[str]]:
    """End a command some seconds after its start, and give it again; whether it was still at work."""
    process = subprocess.Popen(call(arguments, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        process.wait()
    return process.returncode != 0, finish(arguments, out)


def check(name: str, folder: Path, endings: int) -> None:
    arguments, chosen = COMMANDS[name], random.Random(5)
    whole = uninterrupted(arguments, folder / "whole")
    hit = 0
    for turn in range(4 * endings):
        number = signal.SIGKILL if turn % 4 else signal.SIGTERM
        out = folder / f"ended{turn}"
        at_work, second = ended_and_given_again(arguments, out, chosen.uniform(0.3, 0.95) * whole.seconds, number)
        assert second.returncode == 0, second.stderr
        assert fingerprint(out) == whole.files, (turn, number)
        shutil.rmtree(out)
        hit += at_work
        if hit == endings:
            return
    pytest.fail(f"only {hit} of {4 * endings} endings came before the command had ended")


def test_a_sweep_that_is_killed_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    check("sweep", tmp_path, endings=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_hundred_endings(name: str, tmp_path: Path) -> None:
    check(name, tmp_path, endings=100)


def make_matrix(folder: Path) -> tuple[Path, Path]:
    """A matrix of all bars but the last ten, and a file with those."""
    frame = pd.read_parquet(PRICES).iloc[-400:]
    frame.iloc[:-10].to_parquet(folder / "before.parquet")
    frame.iloc[-10:].to_parquet(folder / "today.parquet")
    out = folder / "matrix"
    assert finish(("hedge", str(folder / "before.parquet")), out).returncode == 0
    return out, folder / "today.parquet"


def check_updates(folder: Path, endings: int) -> None:
    """After a kill the matrix is that of before or that of after; one more update makes it that of after."""
    matrix, today = make_matrix(folder)
    update = ("hedge", "--update", str(today))
    after = folder / "after"
    shutil.copytree(matrix, after)
    began = time.perf_counter()
    assert finish(update, after).returncode == 0
    seconds = time.perf_counter() - began
    expected = tables(after)
    chosen, hit = random.Random(6), 0
    for turn in range(4 * endings):
        out = folder / f"ended{turn}"
        shutil.copytree(matrix, out)
        at_work, _ = ended_and_given_again(update, out, chosen.uniform(0.3, 0.95) * seconds, signal.SIGKILL)
        # after a kill that came when the states were kept, the second update finds bars that are known and does nothing
        assert tables(out) == expected, turn
        shutil.rmtree(out)
        hit += at_work
        if hit == endings:
            return
    pytest.fail(f"only {hit} of {4 * endings} kills came before the update had ended")


def tables(folder: Path) -> dict[str, str]:
    """Checksums of the states and tables; the page says what came since the last update, which a second one changes."""
    found = fingerprint(folder)
    return {name: found[name] for name in ("states.parquet", "hedge_ratios.csv", "pairs.parquet")}


def test_a_matrix_whose_update_is_killed_is_moved_by_the_next(tmp_path: Path) -> None:
    check_updates(tmp_path, endings=3)


@pytest.mark.slow
def test_a_hundred_killed_updates(tmp_path: Path) -> None:
    check_updates(tmp_path, endings=100)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_one_paragraph(name: str, tmp_path: Path) -> None:
    # a limit on the size of a file fails a write in its middle, as a full disk does
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); "
    ignore = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    run = "import sys; from pairs_bt.cli import main; sys.argv = sys.argv[1:]; main()"
    arguments = ["pairs-bt", *COMMANDS[name], "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", limit + ignore + run, *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "out").rglob("*.html"))
    second = finish(COMMANDS[name], tmp_path / "out")
    assert second.returncode == 0, second.stderr
