"""The look of every figure: matplotlib's settings for fonts, colours and lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from pairs_bt.report.palette import GRID, INK, MUTED

FONT = 12.0

RC: dict[str, Any] = {
    # A ticker such as A$B is text, never a formula.
    "text.parse_math": False,
    "font.size": FONT,
    "font.family": ["DejaVu Sans"],
    "axes.titlesize": FONT,
    "axes.labelsize": FONT - 1,
    "xtick.labelsize": FONT - 1,
    "ytick.labelsize": FONT - 1,
    "legend.fontsize": FONT - 0.5,
    "axes.edgecolor": GRID,
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.xmargin": 0.01,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "xtick.major.pad": 3,
    "lines.linewidth": 1.4,
    "lines.solid_capstyle": "butt",
    "lines.dash_capstyle": "butt",
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "pairs_bt",
}


@contextmanager
def rc_context() -> Iterator[None]:
    """Draw in the project's look, and leave matplotlib's settings as they were."""
    import matplotlib as mpl

    with mpl.rc_context(cast(Any, RC)):
        yield
