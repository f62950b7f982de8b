"""Measure pairs_bt against the usual libraries: the same work on the same pairs, side by side in one process.

python benchmarks/bench.py [--quick] [--growth] [--markdown] [--out FILE.json] [--jobs N]

Every stage is repeated; a repeat measures the reference, ours on one thread and ours on all, one after the other, and
checks that the numbers agree. Times are medians, with the range in brackets. One-thread times are CPU time, which other
programs on the machine do not enter; all-core times and whole runs are wall time. The ratio is the claim: it
compares two measurements of the same minute on the same machine.

The figures of version 0.1.0 stand beside. A whole run has no reference of its own; its "CPU at the pace of 0.1.0" is
its CPU time over how much longer statsmodels' tests take now than they did then, fastest repeat by fastest repeat.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Before numpy is loaded: threads of a BLAS make the references' small regressions slower, not faster.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BEFORE = HERE / "bench_0_1_0.json"
BOOK_SIZE = ROOT / "configs" / "book_size.toml"
# left x right tickers and last day that give 10^3 .. 10^6 tests: in one window, then in all 11
GROWTH = ((32, 31, "2017-01-31"), (100, 99, "2017-01-31"), (95, 95, "2019-09-30"), (302, 301, "2019-09-30"))
TARGET_TESTS, TARGET_CANDIDATES = 262_988, 33_660


def measure_stages(*, quick: bool, jobs: int, pairs: int | None = None) -> list[dict]:
    """Every stage, ours and the reference's."""
    import stages

    bench = stages.Bench(pairs=pairs or (2048 if quick else 8192), jobs=jobs)
    repeats, reference_pairs = (5, 3) if quick else (9, 8)
    out = []
    for name, stage in stages.STAGES.items():
        _say(f"stage: {name}")
        out.append(stage(bench, repeats=repeats, reference_pairs=reference_pairs).summary())
    return out


def measure_runs(*, quick: bool) -> dict[str, list[dict]]:
    """Whole runs in processes of their own."""
    wanted = {
        "book_size": (str(BOOK_SIZE), []),
        "book_size_all_spreads": (str(BOOK_SIZE), ['run.spreads="all"']),
        "demo": (str(ROOT / "configs" / "demo.toml"), []),
    }
    if quick:
        wanted.pop("book_size_all_spreads")
    out: dict[str, list[dict]] = {}
    for name, (config, overrides) in wanted.items():
        _say(f"run: {name}")
        out[name] = [_child(config, "FOLDER", *overrides) for _ in range(1 if quick else 3)]
    return out


def measure_growth() -> list[dict]:
    """The scan alone and the whole run at 10^3 to 10^6 tests."""
    out = []
    for left, right, end in GROWTH:
        _say(f"growth: {left} x {right} tickers, to {end}")
        size = (
            f"data.synthetic={{left={left}, right={right}, cointegrated_share=0.005, seed=7}}",
            "selection.max_pairs=300",
            f"data.end={end}",
        )
        run = _child(str(BOOK_SIZE), "FOLDER", *size)
        out.append(
            _child("--scan", str(BOOK_SIZE), *size) | {"run_wall_s": run["wall_s"], "run_peak_mb": run["peak_mb"]}
        )
    return out


def measure_start() -> dict[str, float]:
    """`pairs-bt --help`, and the demo with every kernel to be compiled: wall seconds."""
    command = [sys.executable, "-m", "pairs_bt.cli"]
    helps = [_wall([*command, "--help"]) for _ in range(5)]
    with tempfile.TemporaryDirectory() as folder:
        cold = _wall([*command, "run", "--out", f"{folder}/run"], NUMBA_CACHE_DIR=f"{folder}/cache")
    return {"help_s": statistics.median(helps), "demo_cold_s": cold}


def measure_frames() -> dict:
    """Frame times of the demo's explorer in a browser, or why there are none."""
    from benchmarks import explore_frames

    _say("explorer: frames")
    return explore_frames.measure_demo()


def _wall(command: list[str], **environment: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=os.environ | environment, cwd=ROOT)
    return time.perf_counter() - start


def _child(*arguments: str) -> dict:
    folder = tempfile.mkdtemp()
    try:
        command = [f"{folder}/run" if text == "FOLDER" else text for text in arguments]
        done = subprocess.run(
            [sys.executable, str(HERE / "whole_run.py"), *command], capture_output=True, text=True, cwd=ROOT
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(done.args)} failed:\n{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    from importlib.metadata import version

    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    packages = ("numpy", "pandas", "numba", "statsmodels", "pykalman", "pyarrow")
    return {
        "cpu": model, "cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    } | {name: version(name) for name in packages}  # fmt: skip


def _say(text: str) -> None:
    print(f"... {text}", file=sys.stderr, flush=True)


# ------------------------------------------------------------------------------------------------------ printing


def _number(spread: dict[str, float], digits: int = 1) -> str:
    low, mid, high = (f"{spread[k]:,.{digits}f}" for k in ("low", "median", "high"))
    return f"{mid} ({low}-{high})"


def before() -> dict:
    """What `make bench` measured of version 0.1.0."""
    return json.loads(BEFORE.read_text(encoding="utf-8"))


def pace(report: dict) -> float:
    """Fastest repeat of the scan's reference now over that of 0.1.0: how much slower the machine is, at its best."""
    now, then = (made["stages"][0]["reference_us"]["low"] for made in (report, before()))
    return now / then


def table(report: dict) -> list[list[str]]:
    """The stages' table, header first."""
    jobs = f"{report['jobs']} threads"
    rows = [
        ["stage, per pair", "reference", "reference, ms", "ours, one core, us", f"ours, {jobs}, us", "ratio, one core",
         "of 0.1.0", f"ratio, {jobs}", "of 0.1.0", "largest difference"]
    ]  # fmt: skip
    for stage, old in zip(report["stages"], before()["stages"], strict=True):
        milli = {k: v / 1e3 for k, v in stage["reference_us"].items()}
        rows.append([
            stage["stage"], stage["reference"], _number(milli), _number(stage["one_core_us"]),
            _number(stage["all_cores_us"]), _number(stage["ratio_one_core"], 0),
            f"{old['ratio_one_core']['median']:,.0f}", _number(stage["ratio_all_cores"], 0),
            f"{old['ratio_all_cores']['median']:,.0f}",
            f"{stage['largest_difference']:.1e}" + ("" if stage["agrees"] else " DISAGREES"),
        ])  # fmt: skip
    return rows


def runs_table(report: dict) -> list[list[str]]:
    """The whole runs, header first."""
    rows = [
        ["whole run", "wall, s", "CPU, s", "CPU at the pace of 0.1.0, s", "of 0.1.0", "windows alone, s",
         "peak memory, MB", "of 0.1.0", "rows written", "MB on disk"]
    ]  # fmt: skip
    slower = pace(report)
    for name, runs in report.get("runs", {}).items():
        old = before()["runs"][name]
        cpu = _middle(runs, "cpu_s")
        rows.append([
            name, f"{_middle(runs, 'wall_s'):.1f}", f"{cpu:.1f}", f"{cpu / slower:.1f}", f"{_middle(old, 'cpu_s'):.1f}",
            f"{_middle(runs, 'windows_s'):.1f}", f"{max(run['peak_mb'] for run in runs):,.0f}",
            f"{max(run['peak_mb'] for run in old):,.0f}", f"{sum(runs[0]['rows'].values()):,}",
            f"{runs[0]['bytes'] / 1e6:,.0f}",
        ])  # fmt: skip
    return rows


def _middle(runs: list[dict], key: str) -> float:
    return statistics.median(run[key] for run in runs)


def growth_table(report: dict) -> list[list[str]]:
    """Time and memory by number of tests, header first."""
    rows = [["tests", "scan, us a test", "scan, peak MB", "whole run, s", "whole run, peak MB"]]
    rows += [
        [f"{g['tests']:,}", f"{g['us_per_test']:.2f}", f"{g['peak_mb']:,.0f}", f"{g['run_wall_s']:.1f}",
         f"{g['run_peak_mb']:,.0f}"] for g in report.get("growth", [])
    ]  # fmt: skip
    return rows


def render(rows: list[list[str]], *, markdown: bool) -> str:
    """A table as aligned text or as Markdown."""
    if len(rows) < 2:
        return ""
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    if markdown:
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        lines.insert(1, "|" + "|".join(["---"] + ["---:"] * (len(rows[0]) - 1)) + "|")
    else:
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def text(report: dict, *, markdown: bool) -> str:
    """Everything that was measured, for a person."""
    about = report["machine"]
    head = (
        f"{about['cpu']}, {about['cores']} cores (load {about['load']:.1f} when it began), {about['system']}, Python "
        f"{about['python']}, numpy {about['numpy']}, numba {about['numba']}, statsmodels {about['statsmodels']}, "
        f"pykalman {about['pykalman']}, pandas {about['pandas']}.\nMedians (ranges of {report['stages'][0]['repeats']} "
        "repeats). One core: CPU time. Threads and whole runs: wall time.\n"
    )
    parts = [head, *(render(make(report), markdown=markdown) for make in (table, runs_table, growth_table))]
    slower = pace(report)
    parts.append(
        f"The fastest repeat of statsmodels' tests took {slower:.2f} times as long as when 0.1.0 was measured: what is "
        "called the pace of 0.1.0 is divided by that. The demo's peak of 0.1.0 is that of the process which started "
        "it, which is not counted any more.\n"
    )
    scan, signals = (report["stages"][k]["reference_us"]["median"] / 1e6 for k in (0, 1))
    hours = (TARGET_TESTS * scan + TARGET_CANDIDATES * signals) / 3600
    if "runs" in report:
        seconds = _middle(report["runs"]["book_size"], "wall_s")
        parts.append(
            f"The references would need about {hours:.1f} hours for the tests and filters of the book-size run "
            f"(times per pair x pairs); the run itself, with ledger, tables and report, takes {seconds:.1f} s: "
            f"{3600 * hours / seconds:,.0f} times less.\n"
        )
    if "start" in report:
        cold = report["start"]["demo_cold_s"]
        parts.append(
            f"`pairs-bt --help`: {report['start']['help_s']:.2f} s. The demo with every kernel to be compiled: "
            f"{cold:.0f} s, at the pace of 0.1.0 {cold / slower:.0f} s (of 0.1.0: "
            f"{before()['start']['demo_cold_s']:.0f} s).\n"
        )
    if "frames" in report:
        from benchmarks import explore_frames

        parts.append(explore_frames.words(report["frames"]) + "\n")
    return "\n".join(part for part in parts if part)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, save; 1 if ours and a reference disagree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="under a minute: fewer pairs and repeats")
    parser.add_argument("--growth", action="store_true", help="also 10^3 to 10^6 tests")
    parser.add_argument("--stages-only", action="store_true", help="no whole runs")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    parser.add_argument("--out", type=Path, help="save everything as JSON")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--pairs", type=int, help="pairs of the stages")
    options = parser.parse_args(arguments)
    report: dict = {"machine": machine(), "jobs": options.jobs}
    report["stages"] = measure_stages(quick=options.quick, jobs=options.jobs, pairs=options.pairs)
    if not options.stages_only:
        report["runs"] = measure_runs(quick=options.quick)
        if not options.quick:
            report["start"] = measure_start()
            report["frames"] = measure_frames()
    if options.growth:
        report["growth"] = measure_growth()
    print(text(report, markdown=options.markdown))
    if options.out:
        options.out.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if all(stage["agrees"] for stage in report["stages"]) else 1


if __name__ == "__main__":
    sys.exit(main())
