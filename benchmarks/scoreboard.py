"""`make scoreboard`: what was promised, how often it was tried, and how often it held.

    python benchmarks/scoreboard.py            # runs the test suite under coverage, kills 20 runs: several minutes
    python benchmarks/scoreboard.py --quick    # only the files that are counted, 5 kills
    python benchmarks/scoreboard.py --results tests.xml --coverage .coverage    # counts a suite that has just run

Exits with 1 when anything tried did not hold.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests import fault_tools  # noqa: E402


@dataclass(frozen=True)
class Case:
    """One test of the suite: where, which, and whether it passed (None: skipped)."""

    module: str
    name: str
    passed: bool | None


# What is counted: a line's label, and which tests belong to it.
COUNTED: dict[str, Callable[[Case], bool]] = {
    "bad inputs handled": lambda c: c.module == "test_bad_input_cli" and c.name.startswith("test_every_bad_"),
    "faults survived": lambda c: c.module in ("test_faults", "test_resume"),
    "planted leaks caught": lambda c: c.module == "test_causality" and "planted_leak" in c.name,
    "determinism matrix": lambda c: c.module in ("test_determinism_cli", "test_pipeline_determinism"),
    "fuzz targets without a traceback": lambda c: c.module == "test_fuzz",
    "numbers at the edge": lambda c: c.module == "test_edge_numbers",
}
MODULES = [
    "test_bad_input_cli", "test_faults", "test_resume", "test_causality", "test_determinism_cli",
    "test_pipeline_determinism", "test_fuzz", "test_edge_numbers",
]  # fmt: skip
# The kernels are compared in every space that prices can be taken to.
ORACLE_CONFIGS = [
    (),
    ("filter.price_space=log",),
    ("filter.price_space=raw", "filter.spread_on=filtered"),
    ("selection.var_order=book", "filter.hedge.delta=1e-5"),
]


def read_cases(path: Path) -> list[Case]:
    """Tests of a JUnit file."""
    cases = []
    for node in ElementTree.parse(path).iter("testcase"):
        failed = node.find("failure") is not None or node.find("error") is not None
        passed = None if node.find("skipped") is not None else not failed
        cases.append(Case(node.get("classname", "").rpartition(".")[2], node.get("name", ""), passed))
    return cases


def run_tests(folder: Path, modules: Iterable[str]) -> tuple[list[Case], Path]:
    """Run tests under coverage; the cases and the file of lines that ran."""
    results, lines = folder / "tests.xml", folder / "coverage"
    files = [str(path) for name in modules for path in (ROOT / "tests").rglob(f"{name}.py")]
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "not slow", f"--junitxml={results}", "--cov=pairs_bt",
         "--cov-report=", *files],
        cwd=ROOT, env=os.environ | {"COVERAGE_FILE": str(lines)}, stdout=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return read_cases(results), lines


def kills_survived(folder: Path, kills: int) -> int:
    """Kill -9 unfinished runs at random moments, go on, and compare every byte with an uninterrupted run."""
    whole = folder / "whole"
    fault_tools.finish(folder / "warm")
    seconds = fault_tools.seconds_of_parts(whole)
    expected = fault_tools.fingerprint(whole)
    return sum(
        second.returncode == 0 and fault_tools.fingerprint(out) == expected
        for out, second in fault_tools.hits(folder, kills, seconds, seed=7)
    )


def compare_with_oracles(pairs: int) -> tuple[int, int, str]:
    """Numbers compared, how many configs agree, and the largest deviation."""
    from pairs_bt import Config
    from pairs_bt.runner import open_study
    from pairs_bt.runs.oracle_check import compare_kernels

    compared, held, worst, where = 0, 0, 0.0, ""
    for changes in ORACLE_CONFIGS:
        found = compare_kernels(open_study(Config.load(None, changes)), pairs=pairs)
        held += all(item.holds for item in found)
        for item in found:
            compared += item.compared
            if item.compared and item.largest > worst:
                worst, where = item.largest, item.quantity
    return compared, held, f"largest deviation {worst:.1e} ({where})"


def line_coverage(folder: Path, lines: Path | None) -> str:
    """Lines that ran, of the suite (compiled) and of a small run of every command with compilation off, together."""
    alone = folder / "without_jit"
    subprocess.run(
        [sys.executable, "-m", "coverage", "run", f"--data-file={alone}", "--source=pairs_bt", "-m",
         "benchmarks.without_jit"],
        cwd=ROOT, env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, check=False,
    )  # fmt: skip
    both = folder / "both"
    files = [str(path) for path in (alone, lines) if path is not None and path.exists()]
    coverage(["combine", "--keep", f"--data-file={both}", *files])
    told = coverage(["report", f"--data-file={both}", "--format=total"])
    kernels = coverage(["report", f"--data-file={alone}", "--format=total", "--include=*/kernels/*"])
    what = "suite, and kernels with JIT off" if len(files) == 2 else "one small run of every command, JIT off"
    return f"{told}% ({what}; kernels alone {kernels}%)"


def coverage(arguments: list[str]) -> str:
    """Run a command of coverage and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "coverage", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "?"


def show(label: str, value: str) -> None:
    print(f"{label:34}{value}", flush=True)


def main() -> int:
    """Print the scoreboard."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer kills, fewer pairs, only the files counted")
    parser.add_argument("--results", type=Path, help="JUnit file of a suite that has just run")
    parser.add_argument("--coverage", type=Path, help="its coverage data")
    options = parser.parse_args()
    kills, pairs = (5, 3) if options.quick else (20, 12)
    fine = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.results:
            cases, lines = read_cases(options.results), options.coverage
        else:
            cases, lines = run_tests(folder, MODULES if options.quick else [])
        for label, belongs in COUNTED.items():
            tried = [case for case in cases if belongs(case) and case.passed is not None]
            held = sum(bool(case.passed) for case in tried)
            skipped = sum(case.passed is None for case in cases if belongs(case))
            show(label, f"{held}/{len(tried)}" + (f" ({skipped} skipped here)" if skipped else ""))
            fine &= bool(tried) and held == len(tried)
        survived = kills_survived(folder, kills)
        show("kill -9 of unfinished runs", f"{survived}/{kills}")
        compared, held, worst = compare_with_oracles(pairs)
        show("oracle comparisons", f"{compared:,} in {held}/{len(ORACLE_CONFIGS)} configs, {worst}")
        show("line coverage", line_coverage(folder, lines))
        fine &= survived == kills and held == len(ORACLE_CONFIGS)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
