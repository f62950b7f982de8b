"""A process that compiles the kernels that it is told to on its standard input, and names each when it is done.

Numba keeps what it makes in a cache on disk, from which the process that asked loads it. The child ends when its input
does, so at once when that process ends, however it ends.
"""

from __future__ import annotations

import os
import queue
import sys
import threading

from pairs_bt.cli.commands import collect_rarely
from pairs_bt.cli.first_run.kernel_table import compile_kernel


def main() -> None:
    """Compile until the input ends."""
    collect_rarely()
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    while True:
        key = asked.get()
        compile_kernel(key)
        print(key, flush=True)


def _listen(asked: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        asked.put(line.strip())
    os._exit(0)


if __name__ == "__main__":
    main()
