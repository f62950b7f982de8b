"""What tests of faults share: a small real run in its own process, and the fingerprint of a folder."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
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


def killed_and_resumed(out: Path, delay: float) -> tuple[int, int, subprocess.CompletedProcess[str]]:
    """Kill -9 a run after `delay` seconds and give the command again: first exit code, windows kept, the second run."""
    process = start(out)
    time.sleep(delay)
    process.kill()
    process.communicate()
    kept = len(list((out / "parts").glob("*.part")))
    return process.returncode, kept, finish(out)


def flip(path: Path, at: float = 0.5) -> None:
    """Flip one bit."""
    data = bytearray(path.read_bytes())
    data[int(at * (len(data) - 1))] ^= 0x10
    path.write_bytes(data)


def cut(path: Path) -> None:
    """Cut a file in half, as a disk that filled up would."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
