"""The command line in this process: exit code and what was printed."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from pairs_bt.cli import commands

# Windows that fit sixty days of prices.
SHORT = '[windows]\ntrain = "60D"\ntrade = "14D"\nstep = "14D"\nentry_within = "7D"\n[comparison]\ndraws = 100\n'


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


def call(*args: str | Path) -> Said:
    """What the program prints and returns; an exception that it does not catch passes through."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["pairs-bt", *map(str, args)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = commands._exit_code()
    return Said(code, out.getvalue(), err.getvalue())


def is_one_paragraph(text: str) -> bool:
    """One line that names the program, says something and ends as a sentence does."""
    lines = [line for line in text.splitlines() if not line.startswith("note: ")]
    return len(lines) == 1 and lines[0].startswith("pairs-bt: ") and 20 < len(lines[0]) < 3000
