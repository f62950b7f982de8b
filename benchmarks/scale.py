"""How far it scales: a Russell-3000-size scan here, what a task costs on a cluster, and a simulation from these.

Run ``python benchmarks/scale.py [--quick] [--out FILE]``: it prints the tables of docs/scale.md
and saves their numbers as JSON. `--quick` takes a tenth of the pairs. Needs the extra `dask`. With ``--real`` it prints
only the scan of configs/with_the_dead.toml: every pair of 1,000 real listings, window by window.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

BARS = 585  # two years to train on and one cohort's first quarter
SEED = 7


def universe(tickers: int, path: Path) -> None:
    """Correlated seeded random walks in logs: a market and each ticker's own noise."""
    rng = np.random.default_rng(SEED)
    market = np.cumsum(rng.normal(0.0, 0.01, BARS))
    own = np.cumsum(rng.normal(0.0, 0.015, (BARS, tickers)), axis=0)
    values = np.exp(np.log(50.0) + rng.uniform(0.5, 1.5, tickers) * market[:, None] + own)
    dates = pd.bdate_range("2010-01-01", periods=BARS, name="date")
    pd.DataFrame(values, index=dates, columns=[f"R{k:04d}" for k in range(tickers)]).to_parquet(path)


def write_config(folder: Path, tickers: int) -> Path:
    universe(tickers, folder / "prices.parquet")
    path = folder / "config.toml"
    path.write_text('[data]\npath = "prices.parquet"\n[selection]\nmax_pairs = 3000\n[run]\nspreads = "traded"\n')
    return path


@dataclass
class Child:
    """What a command took."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def command(*arguments: str) -> Child:
    """Run `pairs-bt` in a process of its own and measure it."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "pairs_bt.cli", *arguments],
        stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"pairs-bt {' '.join(arguments)} ended with {process.returncode}")
    return Child(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def real() -> str:
    """Every pair of the listings that come with the program: what it takes, and what is accepted beside chance."""
    from pairs_bt import Config
    from pairs_bt.runner import expected_chance, open_study, scan_windows

    path = ROOT / "configs" / "with_the_dead.toml"
    command("scan", str(ROOT / "configs" / "demo.toml"))  # compiles what is not compiled yet
    with tempfile.TemporaryDirectory() as name:
        used = command("scan", str(path), "--out", str(Path(name) / "few.parquet"))
    study = open_study(Config.load(path))
    counts = [scan.counts for scan in scan_windows(study)]
    tested, passed = (sum(count[key] for count in counts) for key in ("tested", "passed"))
    chance = expected_chance(study)
    expected, low, high = (chance[key] / tested for key in ("expected", "low", "high"))
    head = ["windows", "pairs tested", "wall (s)", "processor (s)", "peak (MB)", "accepted", "by chance (95%)"]
    row = [
        f"{len(counts)}", f"{tested:,}", f"{used.wall_s:.0f}", f"{used.cpu_s:.0f}", f"{used.peak_mb:,.0f}",
        f"{passed / tested:.3%}", f"{expected:.3%} ({low:.3%} to {high:.3%})",
    ]  # fmt: skip
    return table(head, [row])


def here(config: Path, folder: Path) -> dict[str, Child]:
    """The scan and the whole run on this machine."""
    keep = ("--set", 'selection.keep="selected"')
    quiet = ("--no-report", "--set", "comparison.draws=100", "--fresh")
    command("scan", str(ROOT / "configs" / "demo.toml"))  # compiles what is not compiled yet
    return {
        "scan, every pair's tests to Parquet": command("scan", str(config), "--out", str(folder / "tests.parquet")),
        "scan, candidates only": command("scan", str(config), *keep, "--out", str(folder / "few.parquet")),
        "run, every pair's tests": command("run", str(config), "--out", str(folder / "all"), *quiet),
        "run, candidates' tests": command("run", str(config), "--out", str(folder / "few"), *keep, *quiet),
    }


@dataclass
class Costs:
    """Seconds, measured; what the simulation is made of."""

    pair: float  # one pair of the scan on one thread
    context: float  # what a worker prepares for a window before its first task of it
    unpack: float  # the study on a worker, once
    study_mb: float
    task: float  # the scheduler's time for a task
    chunk_mb: float  # what a scan task of the default size sends
    join_pair: float  # joining a window's scan and choosing, per pair
    write_pair: float  # making and writing a window's table, per pair
    candidate: float  # trading one candidate under all variants
    round_trip: float  # one small task there and back


def timed(function: Any, *arguments: Any) -> tuple[float, Any]:
    """Seconds of this thread's processor, whoever else uses the machine."""
    began = time.thread_time()
    out = function(*arguments)
    return time.thread_time() - began, out


def measure(config: Path, folder: Path) -> tuple[Costs, list[tuple[int, float]]]:
    """Cost of each part of a window on one thread, of a task on a cluster, and of a scan task by its pairs."""
    from pairs_bt import Config
    from pairs_bt.backtest.study import ContextCache
    from pairs_bt.engine.dask_engine import SCAN_CHUNK, TRADE_CHUNK
    from pairs_bt.engine.dask_tasks import Sent, choose_window, scan_chunk, to_send, trade_chunk
    from pairs_bt.engine.pipeline import collect
    from pairs_bt.engine.window_parts import Parts
    from pairs_bt.runner import open_study

    packed = pickle.dumps(Sent(to_send(open_study(Config.load(config)))), protocol=5)
    unpack_s, shared = timed(pickle.loads, packed)
    study = shared.content
    size = study.pair_i.size
    scan_chunk(shared, 0, 0, 64)
    study = replace(study, contexts=ContextCache())
    shared = Sent(study)
    context_s, _ = timed(lambda: study.context(0).scan_inputs)
    growth = [
        (n, timed(scan_chunk, shared, 0, 0, n)[0]) for n in (64, 512, 4_096, SCAN_CHUNK, 4 * SCAN_CHUNK) if n <= size
    ]
    piece = scan_chunk(shared, 0, 0, min(SCAN_CHUNK, size))
    # The same numbers over and over: what joining costs does not depend on them.
    pieces = [piece] * (size // SCAN_CHUNK)
    if rest := size % SCAN_CHUNK:
        pieces.append(scan_chunk(shared, 0, 0, rest))
    join_s, chosen = timed(choose_window, shared, pieces)
    count = min(chosen.candidates.y.size, TRADE_CHUNK)
    trade_chunk(shared, 0, chosen.candidates, 0, min(64, count), None, True)
    trade_s, result = timed(trade_chunk, shared, 0, chosen.candidates, 0, count, None, True)
    made = collect(study, 0, chosen.scan, chosen.choice, chosen.candidates, [result], ("tests",))
    write_s, _ = timed(Parts(folder, "cost", [w.label for w in study.windows]).write, made)
    task_s, trip_s = cluster_costs()
    return Costs(
        pair=growth[-1][1] / growth[-1][0], context=context_s, unpack=unpack_s, study_mb=len(packed) / 1e6, task=task_s,
        chunk_mb=len(pickle.dumps(piece, protocol=5)) / 1e6, join_pair=join_s / size, write_pair=write_s / size,
        candidate=trade_s / count, round_trip=trip_s,
    ), growth  # fmt: skip


def cluster_costs(tasks: int = 3000) -> tuple[float, float]:
    """Processor time that a scheduler spends on a task of ours, and the time of one task there and back."""
    import psutil
    from distributed import Client

    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "scheduler.json"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        host = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
        kind = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", folder]
        run = [sys.executable, "-m"]
        processes = [
            subprocess.Popen([*run, "distributed.cli.dask_scheduler", *host, "--scheduler-file", str(note)], **quiet)
        ]
        for _ in range(2):
            more = [*run, "distributed.cli.dask_worker", "--scheduler-file", str(note), *kind]
            processes.append(subprocess.Popen(more, **quiet))
        try:
            while not (note.exists() and note.stat().st_size):
                time.sleep(0.05)
            with Client(scheduler_file=str(note), set_as_default=False) as client:
                client.wait_for_workers(2, timeout=60)
                seed = client.submit(len, b"seed", key="seed")
                client.gather(client.map(_small, [seed] * 200, range(200), pure=False))
                main = psutil.Process(processes[0].pid)
                before = sum(main.cpu_times()[:2])
                client.gather(client.map(_small, [seed] * tasks, range(tasks), pure=False))
                used = sum(main.cpu_times()[:2]) - before
                trips = []
                for number in range(50):
                    began = time.perf_counter()
                    client.submit(_small, seed, number, pure=False).result()
                    trips.append(time.perf_counter() - began)
        finally:
            for process in processes:
                process.kill()
                process.wait()
    return used / tasks, float(np.median(trips))


def _small(seed: int, number: int) -> int:
    return seed + number


NETWORK_MB = 1000.0  # a second, between two machines (10 Gbit/s)
STAGES = ("scan", "choice", "trades", "tables")


def simulate(costs: Costs, workers: int, *, windows: int, pairs: int, chunk: int, candidates: int = 3000) -> float:
    """Seconds of a run on so many one-thread workers; the scheduler takes one task at a time, first windows first."""
    from pairs_bt.engine.dask_futures import windows_at_once

    scans = -(-pairs // chunk)
    trades = -(-candidates // 1024)
    moved = costs.chunk_mb * pairs / 32_768 / NETWORK_MB
    work = {
        "scan": pairs / scans * costs.pair,
        "choice": moved + pairs * costs.join_pair,
        "trades": candidates / trades * costs.candidate,
        "tables": pairs * costs.write_pair,
    }
    tasks = {"scan": scans, "choice": 1, "trades": trades, "tables": 1}
    ahead = windows_at_once(workers, scans)
    # The study goes from worker to worker: the number that has it doubles each time.
    arrival = costs.unpack + costs.study_mb / NETWORK_MB * (1 + np.log2(workers))
    ready: list[tuple[int, int]] = []
    left: dict[tuple[int, int], int] = {}
    begun = 0

    def begin() -> None:
        nonlocal begun
        if begun < windows:
            _queue(begun, 0)
            begun += 1

    def _queue(k: int, stage: int) -> None:
        left[k, stage] = tasks[STAGES[stage]]
        for _ in range(left[k, stage]):
            heapq.heappush(ready, (k, stage))

    for _ in range(ahead):
        begin()
    free = list(range(workers))
    known: list[set[int]] = [set() for _ in range(workers)]
    events: list[tuple[float, int, int, int]] = []
    now = scheduler = 0.0
    while ready or events:
        while ready and free:
            k, stage = heapq.heappop(ready)
            worker = free.pop()
            scheduler = max(scheduler, now) + costs.task
            seconds = work[STAGES[stage]]
            if not known[worker]:
                seconds += arrival
            if stage in (0, 2) and k not in known[worker]:
                seconds += costs.context
            known[worker].add(k)
            heapq.heappush(events, (scheduler + seconds, worker, k, stage))
        now, worker, k, stage = heapq.heappop(events)
        free.append(worker)
        left[k, stage] -= 1
        if not left[k, stage]:
            if stage + 1 < len(STAGES):
                now += costs.round_trip if stage == 1 else 0.0
                _queue(k, stage + 1)
            else:
                begin()
    return now


WORKERS = (1, 2, 10, 30, 100, 300, 1000)


def simulated(costs: Costs, pairs: int) -> list[dict[str, Any]]:
    rows = []
    for windows, chunk in ((1, 32_768), (40, 4_096), (40, 32_768), (40, 131_072)):
        alone = simulate(costs, 1, windows=windows, pairs=pairs, chunk=chunk)
        for workers in WORKERS:
            seconds = simulate(costs, workers, windows=windows, pairs=pairs, chunk=chunk)
            rows.append(
                {"windows": windows, "chunk": chunk, "workers": workers, "seconds": seconds, "speedup": alone / seconds}
            )
    return rows


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the pairs")
    parser.add_argument("--real", action="store_true", help="only the scan of 1,000 real listings")
    parser.add_argument("--out", type=Path, help="save the numbers here, as JSON")
    options = parser.parse_args()
    if options.real:
        print(real())
        return
    tickers = 950 if options.quick else 3000
    pairs = tickers * (tickers - 1) // 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = write_config(folder, tickers)
        runs = here(config, folder)
        costs, growth = measure(config, folder)
    rows = simulated(costs, pairs)
    load = os.getloadavg()[0]
    print(f"{tickers:,} tickers, {pairs:,} pairs, one window, {os.cpu_count()} processors; load {load:.1f}\n")
    print(table(["command", "wall (s)", "processor (s)", "peak (MB)"], [
        [name, f"{c.wall_s:.0f}", f"{c.cpu_s:.0f}", f"{c.peak_mb:,.0f}"] for name, c in runs.items()
    ]))  # fmt: skip
    print("\n" + table(["pairs in a scan task", "time (ms)", "per pair (us)"], [
        [f"{n:,}", f"{1e3 * s:.1f}", f"{1e6 * s / n:.1f}"] for n, s in growth
    ]))  # fmt: skip
    print("\n" + table(["cost", "value"], [
        ["one pair of the scan", f"{1e6 * costs.pair:.1f} us"],
        ["a window's context, once a worker", f"{costs.context:.2f} s"],
        ["the study", f"{costs.study_mb:.0f} MB, unpacked in {costs.unpack:.2f} s"],
        ["a task, of the scheduler's processor", f"{1e3 * costs.task:.2f} ms"],
        ["one small task there and back", f"{1e3 * costs.round_trip:.1f} ms"],
        ["a scan task's result (32,768 pairs)", f"{costs.chunk_mb:.2f} MB"],
        ["joining and choosing", f"{1e6 * costs.join_pair:.2f} us a pair"],
        ["a window's table, made and written", f"{1e6 * costs.write_pair:.2f} us a pair"],
        ["one candidate, all variants", f"{1e3 * costs.candidate:.2f} ms"],
    ]))  # fmt: skip
    print("\n" + table(["windows", "pairs a task", *map(str, WORKERS)], [
        [str(w), f"{c:,}", *(
            f"{r['seconds']:,.0f} s (x{r['speedup']:.0f})" for r in rows if (r["windows"], r["chunk"]) == (w, c)
        )]
        for w, c in dict.fromkeys((r["windows"], r["chunk"]) for r in rows)
    ]))  # fmt: skip
    if options.out is None:
        return
    saved = {
        "runs": {k: asdict(v) for k, v in runs.items()},
        "costs": asdict(costs),
        "growth": growth,
        "simulated": rows,
    }
    options.out.write_text(json.dumps(saved, indent=1) + "\n")


if __name__ == "__main__":
    main()
