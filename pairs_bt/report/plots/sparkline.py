"""A picture the size of a word: the spread of one pair in one trade window, and its trades."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from pairs_bt.report.plots.canvas import downsample

# Half pixels, so that whole numbers are fine enough for a screen with two dots a pixel.
_WIDTH, _HEIGHT, _EDGE = 232, 44, 8


def sparkline(values: npt.NDArray[np.float64], trades: Sequence[tuple[int, int, float]]) -> Markup:
    """Draw a spread as an SVG element without text or ids.

    Parameters
    ----------
    values : array (n,)
        The spread on the bars of the trade window; its own scale. NaN leaves a gap.
    trades : sequence of (int, int, float)
        Bars of entry and exit, and the net P&L: a bar above the spread is a gain, one below it a loss.
    """
    steps = max(values.size - 1, 1)
    parts = [f'<path d="{_line(values, steps)}"/>']
    for kind, y in (("g", 2), ("l", _HEIGHT - 2)):
        bars = "".join(
            f"M{_x(first, steps)} {y}H{max(_x(last, steps), _x(first, steps) + 3)}"
            for first, last, pnl in trades
            if (pnl >= 0.0) == (kind == "g")
        )
        if bars:
            parts.append(f'<path class="{kind}" d="{bars}"/>')
    count = f"{len(trades)} trade{'' if len(trades) == 1 else 's'}"
    return Markup(
        f'<svg class="spark" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH // 2}" height="{_HEIGHT // 2}" '
        f'role="img" aria-label="spread, {count}">{"".join(parts)}</svg>'
    )


def _x(bar: int, steps: int) -> int:
    return round(2 + (_WIDTH - 4) * bar / steps)


def _line(values: npt.NDArray[np.float64], steps: int) -> str:
    known = values[np.isfinite(values)]
    if not known.size:
        return ""
    low, size = float(known.min()), float(np.ptp(known)) or 1.0
    bars = downsample(values, 14)
    shown = values[bars]
    drawn = np.isfinite(shown)
    to_x = np.rint(2 + (_WIDTH - 4) * bars / steps)
    with np.errstate(invalid="ignore"):
        to_y = np.rint(_HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * (shown - low) / size)
    text, pen, x, y = [], False, 0, 0
    for there, next_x, next_y in zip(drawn.tolist(), to_x.tolist(), to_y.tolist(), strict=True):
        if there:
            # steps from point to point are shorter than places
            text.append(f"l{next_x - x:.0f} {next_y - y:.0f}" if pen else f"M{next_x:.0f} {next_y:.0f}")
            x, y = next_x, next_y
        pen = there
    return "".join(text)
