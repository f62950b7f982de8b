"""Do the tests notice a mistake? Break the core in small ways, one at a time, and run the tests that must fail.

    python benchmarks/mutants.py                  every mutant of `mutant_table.py`, an hour or more
    python benchmarks/mutants.py ledger windows   those whose name begins so

The package and its tests are copied to a temporary folder, so nothing here is touched. Before the first mutant all the
tests have to pass there on the code as it is. Tests of small arrays run without Numba's compiler; the others compile
into a cache of the copy. The exit code is 1 below `LEAST` killed, and where a mutant could not be judged.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.mutant_table import MUTANTS, Mutant  # noqa: E402

LEAST = 0.95
#: Seconds for one mutant's tests: one that goes round in a circle has been noticed too.
PATIENCE = 600
COPIED = ("pairs_bt", "tests", "benchmarks")
LINKED = ("data", "configs", "docs")
PASSED, FAILED = 0, 1


def copy_to(folder: Path) -> None:
    """Copy what is broken and what tests it; data and texts are only linked."""
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name, target_is_directory=True)
    shutil.copy2(ROOT / "pyproject.toml", folder)


def run_tests(folder: Path, tests: Sequence[str], jit: bool) -> tuple[int, str]:
    """Exit code of pytest and its output; a run that takes too long has failed."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    environment["NUMBA_CACHE_DIR"] = str(folder / "numba")
    environment["NUMBA_DISABLE_JIT"] = "0" if jit else "1"
    # Plugins take longer to start than most of these tests take; options of the run around this one may need them.
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    environment.pop("PYTEST_ADDOPTS", None)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-o",
        "addopts=",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "--tb=line",
        *tests,
    ]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return FAILED, f"no end after {PATIENCE} seconds"
    return done.returncode, done.stdout + done.stderr


def try_mutant(folder: Path, mutant: Mutant) -> tuple[int, str]:
    """Run a mutant's tests on the code with its one edit, and take the edit back."""
    path = folder / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        raise SystemExit(
            f"{mutant.id}: {mutant.old!r} stands {text.count(mutant.old)} times in {mutant.file}, not once"
        )
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        return run_tests(folder, mutant.tests, mutant.jit)
    finally:
        # with its old time stamp, by which Numba knows the kernels that it has compiled
        shutil.copy2(ROOT / mutant.file, path)


def check_unbroken(folder: Path, mutants: Sequence[Mutant]) -> None:
    """A test that fails on the code as it is notices nothing."""
    for jit in (False, True):
        tests = list(dict.fromkeys(test for mutant in mutants if mutant.jit == jit for test in mutant.tests))
        if tests:
            code, output = run_tests(folder, tests, jit)
            if code != PASSED:
                raise SystemExit(f"The tests do not pass on the code as it is (compiled: {jit}).\n{output}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="beginnings of names; all without one")
    names = tuple(parser.parse_args(arguments).names)
    chosen = [mutant for mutant in MUTANTS if not names or mutant.id.startswith(names)]
    judged = [mutant for mutant in chosen if not mutant.same]
    killed, survived, unclear = 0, [], []
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name)
        copy_to(folder)
        check_unbroken(folder, judged)
        for mutant in judged:
            begun = time.perf_counter()
            code, output = try_mutant(folder, mutant)
            word = {PASSED: "SURVIVED", FAILED: "killed"}.get(code, "UNCLEAR")
            killed += code == FAILED
            if code == PASSED:
                survived.append(mutant)
            elif code != FAILED:
                unclear.append(mutant)
                print(output)
            print(
                f"{word:9s}{mutant.id:20s}{time.perf_counter() - begun:5.0f} s  {mutant.new.strip()[:90]!r}", flush=True
            )
    for mutant in chosen:
        if mutant.same:
            print(f"the same {mutant.id:20s}{mutant.same}")
    share = killed / len(judged) if judged else 1.0
    print(f"{killed} of {len(judged)} killed ({share:.1%}); survived: {', '.join(m.id for m in survived) or 'none'}")
    return 1 if share < LEAST or unclear else 0


if __name__ == "__main__":
    raise SystemExit(main())
