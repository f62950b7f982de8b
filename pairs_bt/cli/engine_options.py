"""Where a command's windows run: the options, and the engine they name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from pairs_bt.errors import ConfigError

if TYPE_CHECKING:
    from pairs_bt.engine.local import Engine

_OPTIONS = (
    click.option(
        "--engine", type=click.Choice(["local", "dask"]), default="local", show_default=True,
        help="Threads of this process, or the workers of a Dask scheduler. The results are the same bytes.",
    ),
    click.option("--scheduler", metavar="ADDRESS", help="The Dask scheduler's address, such as tcp://127.0.0.1:8786."),
    click.option(
        "--shared-folder/--return-parts", default=False,
        help="Dask workers write into the run's folder under the same path, or send their results (default).",
    ),
)  # fmt: skip


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --engine, --scheduler and --shared-folder/--return-parts to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --engine and --scheduler to a command whose results always return to it."""
    for option in reversed(_OPTIONS[:2]):
        command = option(command)
    return command


@contextmanager
def open_engine(
    *, engine: str, scheduler: str | None, jobs: int | None, shared_folder: bool = False, chunk: int | None = None
) -> Iterator[Engine]:
    """Make the engine that the options name, connected.

    Raises
    ------
    ConfigError
        When options contradict each other, or the cluster cannot be used.
    """
    if engine == "local":
        if scheduler or shared_folder:
            raise ConfigError(
                "--scheduler and --shared-folder are for --engine dask: give that too, or leave them out."
            )
        from pairs_bt.engine.local import LocalEngine
        from pairs_bt.engine.pipeline import SCAN_CHUNK, TRADE_CHUNK

        yield LocalEngine(jobs, chunk or SCAN_CHUNK, chunk or TRADE_CHUNK)
        return
    if not scheduler:
        raise ConfigError(
            "--engine dask needs the address of a scheduler: start one with `dask scheduler --host 127.0.0.1`, and "
            "give --scheduler tcp://127.0.0.1:8786."
        )
    from pairs_bt.engine import dask_engine

    quiet_dask()
    scan, trade = chunk or dask_engine.SCAN_CHUNK, chunk or dask_engine.TRADE_CHUNK
    with dask_engine.DaskEngine(scheduler, shared_folder=shared_folder, scan_chunk=scan, trade_chunk=trade) as cluster:
        yield cluster


def quiet_dask() -> None:
    """Keep Dask's own log off the command's error stream: what matters in it is said in one paragraph."""
    import logging

    try:
        import distributed  # noqa: F401  # sets its loggers up
    except ImportError:
        return
    for name in ("distributed", "distributed.client", "distributed.core", "distributed.comm", "distributed.batched"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
