"""The report of a run: one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from pairs_bt.results import Run


def write_report(
    run: Run,
    path: Path,
    *,
    pairs: Sequence[tuple[str, str]] = (),
    spreads: Callable[[], pd.DataFrame] | None = None,
) -> None:
    """Write the report of a finished run to `path`."""
    path.write_text("<!doctype html><title>pairs_bt</title>", encoding="utf-8")
