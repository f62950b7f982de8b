"""What a command says and does while its kernels are compiled, on the first run on a machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pairs_bt.cli.first_run.compile_ahead import CompileAhead, compiling_ahead, free_processors
from pairs_bt.cli.terminal.kernel_cache import cold_kernels

if TYPE_CHECKING:
    from pairs_bt.config.schema import Config

# "0": every kernel is compiled where it is called first, in this process.
SWITCH = "PAIRS_BT_COMPILE_AHEAD"


class FirstRun:
    """The kernels that a command has begun to compile; without any, nothing happens."""

    def __init__(self, ahead: CompileAhead) -> None:
        self._ahead = ahead

    def finish(self) -> None:
        """Compile what is left, with a bar for a person."""
        if self._ahead.left():
            from pairs_bt.cli.terminal.console import progress_bar

            with progress_bar("kernels compiled, once on this machine") as advance:
                self._ahead.finish(advance)

    def before(self, progress: Callable[[int, int], None]) -> Callable[[int, int], None]:
        """`progress`, with the rest of the kernels compiled when it is first told that there is work."""

        def advance(done: int, total: int) -> None:
            progress(done, total)
            if done < total:
                self.finish()

        return advance


@contextmanager
def first_run(config: Config, jobs: int | None, *, here: bool = True) -> Iterator[FirstRun]:
    """Begin to compile what a config's run needs and the cache lacks, beside what the block does.

    Parameters
    ----------
    config : Config
        Of the run.
    jobs : int or None
        Threads that the command may use: so many processes compile.
    here : bool
        Whether the windows run on this machine.
    """
    keys = _needed(config) if here and os.environ.get(SWITCH) != "0" else []
    processors = free_processors()
    with compiling_ahead(keys, processors=min(processors, jobs or processors)) as ahead:
        yield FirstRun(ahead)


def _needed(config: Config) -> list[str]:
    """Cold kernels of the table, without those of a filter that the config does not have."""
    other = "" if config.filter.model == "reverting_spread" else "reverting_spread:"
    return [key for key in cold_kernels() if not other or not key.startswith(other)]
