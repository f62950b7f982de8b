"""One whole run in a process of its own, so that its peak memory is its own: prints one line of JSON.

python benchmarks/whole_run.py CONFIG FOLDER [TABLE.KEY=VALUE ...]     a run, tables and report written to FOLDER
python benchmarks/whole_run.py --scan CONFIG [TABLE.KEY=VALUE ...]     the scan alone, every window, on one thread
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path


def peak_mb() -> float:
    """Largest resident size of this process so far, in MB.

    The system's own count of a process begins with what its parent held when it was started; Linux keeps another.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(text for text in status.read_text().splitlines() if text.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def whole(config: str, folder: str, overrides: list[str]) -> dict[str, object]:
    """Run a config into a folder."""
    start, cpu = time.perf_counter(), time.process_time()
    import pyarrow.parquet as pq

    from pairs_bt import runner
    from pairs_bt.config.schema import Config

    imported = time.perf_counter() - start
    settings = Config.load(config, overrides)
    runner.run(settings, out=folder, fresh=True)
    wall = time.perf_counter() - start
    root = Path(folder)
    rows = {path.stem: pq.ParquetFile(path).metadata.num_rows for path in sorted(root.glob("*.parquet"))}
    rows["spreads"] = sum(pq.ParquetFile(p).metadata.num_rows for p in root.glob("spreads/*/*.parquet"))
    timing = json.loads((root / "timing.json").read_text())
    return {
        "wall_s": wall,
        "cpu_s": time.process_time() - cpu,
        "import_s": imported,
        "windows_s": timing.get("windows_s"),
        "peak_mb": peak_mb(),
        "rows": rows,
        "bytes": sum(path.stat().st_size for path in root.rglob("*") if path.is_file()),
    }


def scan(config: str, overrides: list[str]) -> dict[str, object]:
    """Scan every window on one thread; seconds are CPU time, the first window's (loading of kernels) apart."""
    from pairs_bt.backtest.study import prepare
    from pairs_bt.config.schema import Config
    from pairs_bt.engine.pipeline import SCAN_CHUNK, scan_window

    study = prepare(Config.load(config, overrides))

    def serial(task: object, ranges: list[tuple[int, int]]) -> list:
        return [task(lo, hi) for lo, hi in ranges]

    scan_window(study, 0, serial, SCAN_CHUNK)
    base = peak_mb()
    repeats = max(1, 100_000 // (study.pair_i.size * len(study.windows)))
    start = time.thread_time()
    for _ in range(repeats):
        for k in range(len(study.windows)):
            scan_window(study, k, serial, SCAN_CHUNK)
    tests = study.pair_i.size * len(study.windows)
    seconds = (time.thread_time() - start) / repeats
    return {"tests": tests, "us_per_test": 1e6 * seconds / tests, "base_mb": base, "peak_mb": peak_mb()}


if __name__ == "__main__":
    if sys.argv[1] == "--scan":
        found = scan(sys.argv[2], sys.argv[3:])
    else:
        found = whole(sys.argv[1], sys.argv[2], sys.argv[3:])
    print(json.dumps(found))
