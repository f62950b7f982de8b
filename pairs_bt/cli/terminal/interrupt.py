"""SIGINT and SIGTERM end the program at once, whatever its threads and compiled kernels are doing.

Python runs a signal's handler between two steps of the main thread, which may be seconds away inside compiled
code. A thread that waits on the wakeup pipe is not: it says what was kept and ends the process. Nothing on disk
minds, because files are whole or absent (:mod:`pairs_bt.common.files`) and the folder's lock is the system's.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

EXIT_CODE = 130
_message: list[Callable[[], str]] = [lambda: "Interrupted."]


def on_interrupt(message: Callable[[], str]) -> None:
    """Set what is said when the program is interrupted from here on."""
    _message[0] = message


def resume_command() -> str:
    """The command that goes on with what this one was doing: its own, without `--fresh`."""
    return f"pairs-bt {shlex.join(part for part in sys.argv[1:] if part != '--fresh')}"


@contextmanager
def ends_at_once() -> Iterator[None]:
    """End the process with exit code 130 on SIGINT or SIGTERM while the block runs (in the main thread only)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    if sys.platform != "win32":  # there the wakeup pipe may block, and Python 3.11 cannot say otherwise
        os.set_blocking(writer, False)
    watcher = threading.Thread(target=_watch, args=(reader,), daemon=True, name="interrupt")
    before = {number: signal.signal(number, _ignore) for number in (signal.SIGINT, signal.SIGTERM)}
    old_writer = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(old_writer)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writer)
        watcher.join()
        os.close(reader)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Leave the signal to the watcher."""


def _watch(reader: int) -> None:
    if os.read(reader, 1):
        with suppress(OSError):
            os.write(2, f"\npairs-bt: {_text()}\n".encode(errors="replace"))
        os._exit(EXIT_CODE)


def _text() -> str:
    try:
        return _message[0]()
    except Exception:
        return "Interrupted."
