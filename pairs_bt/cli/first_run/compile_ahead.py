"""The kernels of a first run, compiled by this process and others beside it.

Numba compiles one function at a time in a process. So each free processor gets a child that compiles while this
process imports and reads prices; then this one takes part, until none is left. A child that fails is not missed: what
it had goes back, and this process compiles it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from pairs_bt.cli.first_run.kernel_table import compile_kernel

# More would wait for the two kernels that take a quarter of the time each.
MOST_CHILDREN = 3
_CHILD = (sys.executable, "-m", "pairs_bt.cli.first_run.kernel_child")


def free_processors() -> int:
    """Processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class CompileAhead:
    """Kernels to compile, shared by children and the process that calls :meth:`finish`.

    Parameters
    ----------
    keys : sequence of str
        Of :data:`~pairs_bt.cli.first_run.kernel_table.KERNELS`, those that take longest first.
    children : int
        Processes beside this one, begun at once.
    command : sequence of str
        What a child runs.

    Attributes
    ----------
    processes : list of subprocess.Popen
        The children.
    """

    def __init__(self, keys: Sequence[str], children: int, command: Sequence[str] = _CHILD) -> None:
        self._left = list(keys)
        self._total = len(self._left)
        self._done = 0
        self._changed = threading.Condition()
        self.processes: list[subprocess.Popen[str]] = []
        self._threads: list[threading.Thread] = []
        # What this process finds, a child finds too, and nothing else: not what lies in the folder it was called from.
        path = os.pathsep.join(part for part in sys.path if part)
        for _ in range(children):
            with suppress(OSError):
                child = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                    env=os.environ | {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
                )  # fmt: skip
                self.processes.append(child)
                self._threads.append(threading.Thread(target=self._serve, args=(child,), daemon=True))
        for thread in self._threads:
            thread.start()

    def left(self) -> int:
        """Kernels that are not compiled yet."""
        return self._total - self._done

    def finish(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Compile what is left, and wait for what children are at.

        Parameters
        ----------
        progress : callable, optional
            Called with (kernels compiled, kernels in all).
        """
        while True:
            with self._changed:
                while not self._left and self._done < self._total:
                    self._say(progress)
                    self._changed.wait()
                self._say(progress)
                if self._done == self._total:
                    return
                key = self._left.pop(0)
            # A kernel that cannot be compiled is met again where it is called, which is where to fail.
            with suppress(Exception):
                compile_kernel(key)
            self._end(key, made=True)

    def close(self) -> None:
        """Let the children go, whatever they are at."""
        with self._changed:
            self._left.clear()
        for child in self.processes:
            child.kill()
        for thread in self._threads:
            thread.join()

    def _say(self, progress: Callable[[int, int], None] | None) -> None:
        if progress is not None:
            progress(self._done, self._total)

    def _take(self) -> str | None:
        with self._changed:
            return self._left.pop(0) if self._left else None

    def _end(self, key: str, *, made: bool) -> None:
        with self._changed:
            if made:
                self._done += 1
            else:
                self._left.insert(0, key)
            self._changed.notify_all()

    def _serve(self, child: subprocess.Popen[str]) -> None:
        """Give a child one kernel after the other; when none is left, or it fails, see it end."""
        with child:
            while (key := self._take()) is not None:
                made = _ask(child, key)
                self._end(key, made=made)
                if not made:
                    child.kill()
                    return


def _ask(child: subprocess.Popen[str], key: str) -> bool:
    """Whether a child has compiled a kernel."""
    assert child.stdin is not None
    assert child.stdout is not None
    with suppress(OSError):
        print(key, file=child.stdin, flush=True)
        return child.stdout.readline().strip() == key
    return False


@contextmanager
def compiling_ahead(keys: Sequence[str], *, processors: int) -> Iterator[CompileAhead]:
    """Compile kernels beside what the block does, on as many processors; none where there is one processor only."""
    children = min(processors - 1, MOST_CHILDREN, len(keys) - 1) if keys else 0
    ahead = CompileAhead(keys, max(children, 0))
    try:
        yield ahead
    finally:
        ahead.close()
