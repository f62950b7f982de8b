"""What compiling the kernels of a run costs: CPU seconds and the number of compilations, kernel by kernel.

NUMBA_CACHE_DIR=$(mktemp -d) python benchmarks/compile_time.py [CONFIG] [TABLE.KEY=VALUE ...]

A kernel that is compiled more than once has its argument types printed: a literal among them, or an array that is read
only, made a type of its own. Functions of Numba's own that a kernel calls are listed like kernels.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from numba.core import event

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "demo.toml"


class Compilations(event.Listener):
    """Collects the CPU time of every compilation, without that of the callees compiled on its way."""

    def __init__(self) -> None:
        self.stack: list[list[float]] = []
        self.found: dict[str, list[tuple[float, str]]] = defaultdict(list)

    def on_start(self, event: Any) -> None:
        """Open a compilation: when it began, and the seconds of its callees."""
        self.stack.append([time.thread_time(), 0.0])

    def on_end(self, event: Any) -> None:
        """Close it, and count it among the callees of the one around it."""
        began, callees = self.stack.pop()
        seconds = time.thread_time() - began
        if self.stack:
            self.stack[-1][1] += seconds
        function = event.data["dispatcher"].py_func
        self.found[f"{function.__module__}.{function.__name__}"].append((seconds - callees, str(event.data["args"])))


def main(arguments: list[str]) -> None:
    """Run once on one thread without a report."""
    from pairs_bt import runner
    from pairs_bt.config.schema import Config

    listener = Compilations()
    event.register("numba:compile", listener)
    config = Config.load(arguments[0] if arguments else CONFIG, arguments[1:])
    with tempfile.TemporaryDirectory() as folder:
        runner.run(config, out=f"{folder}/run", jobs=1, report=False)
    every = [seconds for found in listener.found.values() for seconds, _ in found]
    print(f"{sum(every):8.2f} s {len(every):4d}  in all")
    for name, found in sorted(listener.found.items(), key=lambda item: -sum(s for s, _ in item[1])):
        print(f"{sum(s for s, _ in found):8.2f} s {len(found):4d}  {name}")
        if len(found) > 1 and name.startswith("pairs_bt."):
            for seconds, types in found:
                print(f"{'':15}  {seconds:.2f} s {types[:400]}")


if __name__ == "__main__":
    main(sys.argv[1:])
