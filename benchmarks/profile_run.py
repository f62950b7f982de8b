"""Where the time of the book-size run goes: CPU seconds by stage, on one thread.

python benchmarks/profile_run.py [CONFIG] [TABLE.KEY=VALUE ...]
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import tempfile
import time
from pathlib import Path

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "book_size.toml"

# (stage, file, function): cumulative time of the function, callees included
STAGES = (
    ("universe and its checks", "runner.py", "open_study"),
    ("levels of a window (local level filter; first call loads numba)", "signals.py", "window_levels"),
    ("scan: kernels", "cointegration.py", "scan_chunk"),
    ("regression filter: kernel", "kalman.py", "hedge_paths"),
    ("spread, half-life, z-score: kernel", "mean_reversion.py", "spread_signals"),
    ("trades, twice (both fill lags): kernel", "ledger.py", "trade_rows"),
    ("daily sums: kernel", "ledger.py", "block_sums"),
    ("arrays of a window to columns", "pipeline.py", "collect"),
    ("columns to Arrow and Parquet", "window_parts.py", "pack"),
    ("parts and spreads to disk", "window_parts.py", "write"),
    ("parts to tables on disk", "run_folder.py", "write_table"),
    ("chance rate of the selection", "selection_null.py", "simulate_chance"),
    ("comparison of the variants (bootstrap)", "comparison.py", "compare_variants"),
    ("losses of the hedges", "hedge_effectiveness.py", "log_losses"),
    ("report, comparison included", "page.py", "write_report"),
    ("the whole run", "runner.py", "run"),
)


def main(arguments: list[str]) -> None:
    """Run once on one thread under the profiler."""
    from pairs_bt import runner
    from pairs_bt.config.schema import Config

    config = Config.load(arguments[0] if arguments else CONFIG, arguments[1:])
    with tempfile.TemporaryDirectory() as folder:
        profile = cProfile.Profile(time.thread_time)
        profile.runcall(runner.run, config, out=f"{folder}/run", jobs=1)
    found = {
        (Path(file).name, name): values[3]
        for (file, _, name), values in pstats.Stats(profile).stats.items()
        if "pairs_bt" in file
    }
    for stage, file, name in STAGES:
        print(f"{found.get((file, name), 0.0):8.2f} s  {stage}")


if __name__ == "__main__":
    main(sys.argv[1:])
