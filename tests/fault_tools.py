"""What tests of faults share: a small real run in its own process, and the fingerprint of a folder."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

# Five years of the demo: twelve windows, well under a second once the kernels are compiled.
SMALL = ("--set", "data.end=2009-12-31", "--set", "comparison.draws=100", "--no-report")


def command(out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "pairs_bt.cli", "run", "--out", str(out), *SMALL, *more]


def finish(out: Path, *more: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run to the end, whatever the end is."""
    return subprocess.run(
        command(out, *more), capture_output=True, text=True, timeout=300, check=False, env=os.environ | (env or {})
    )


def start(out: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command(out, *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], path: Path) -> None:
    """Wait until a running process has made `path`, or has ended."""
    while process.poll() is None and not path.exists():
        time.sleep(0.002)


def fingerprint(folder: Path) -> dict[str, str]:
    """sha256 of every file but the clock, by relative path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "timing.json"
    }


def seconds_of_parts(out: Path) -> float:
    """Make a whole run and return the seconds between its first part and its manifest."""
    process = start(out)
    wait_for_part(process, out)
    began = time.perf_counter()
    wait_for(process, out / "manifest.json")
    seconds = time.perf_counter() - began
    process.communicate()
    return seconds


def wait_for_part(process: subprocess.Popen[str], out: Path, kept: int = 1) -> None:
    """Wait until a running process has kept so many windows, or has ended."""
    while process.poll() is None and len(list((out / "parts").glob("*.part"))) < kept:
        time.sleep(0.001)


def killed_and_resumed(out: Path, delay: float) -> tuple[bool, subprocess.CompletedProcess[str]]:
    """Kill -9 a run `delay` seconds after its first part and give the command again.

    Whether the kill hit an unfinished run, and the second run. A kill that came after the manifest tests nothing.
    """
    process = start(out)
    wait_for_part(process, out)
    time.sleep(delay)
    process.kill()
    process.communicate()
    hit = process.returncode == -signal.SIGKILL and not (out / "manifest.json").exists()
    return hit, finish(out)


def hits(
    folder: Path, kills: int, seconds: float, seed: int
) -> Iterator[tuple[Path, subprocess.CompletedProcess[str]]]:
    """Kill runs at random moments between first part and manifest until `kills` of them were unfinished.

    Yields each of those and the run that went on with it. RuntimeError when most kills come too late: a machine whose
    speed changes that much tells nothing.
    """
    chosen, hit = random.Random(seed), 0
    for number in range(4 * kills):
        out = folder / f"killed{number}"
        unfinished, second = killed_and_resumed(out, chosen.uniform(0.0, 0.9) * seconds)
        if unfinished:
            hit += 1
            yield out, second
        if hit == kills:
            return
    raise RuntimeError(f"only {hit} of {4 * kills} kills came before the run had ended")


def flip(path: Path, at: float = 0.5) -> None:
    """Flip one bit."""
    data = bytearray(path.read_bytes())
    data[int(at * (len(data) - 1))] ^= 0x10
    path.write_bytes(data)


def cut(path: Path) -> None:
    """Cut a file in half, as a disk that filled up would."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
