"""The look of a hedge matrix's page: how a ratio is coloured, and the picture of a matrix of many tickers."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairs_bt.report.page import environment
from pairs_bt.report.palette import BAND, GAIN, LOSS, THEME, css_variables

__all__ = ["DEPTH", "MISSING", "STEPS", "picture", "render", "shade"]

#: Steps from the low end of the colours to the high one; neutral is half way.
STEPS = 20
MISSING = STEPS + 1
#: How much of the page's own colour the end colours cover, so that text on them is read.
DEPTH = 0.65


def shade(values: NDArray[np.float64], low: float, middle: float, high: float) -> NDArray[np.uint8]:
    """Step of every value: neutral at ``middle``, the end colours from ``low`` down and ``high`` up.

    NaN as `MISSING`.
    """
    away = values - middle
    place = np.clip(np.where(away < 0.0, away / (middle - low), away / (high - middle)), -1.0, 1.0)
    known = ~np.isnan(place)
    steps = np.rint((np.where(known, place, 0.0) + 1.0) * STEPS / 2.0)
    return np.where(known, steps, MISSING).astype(np.uint8)


def picture(shades: NDArray[np.uint8], side: int) -> str:
    """A data URI with one pixel for each cell, to lie on the page; `side` 0 is for light, 1 for dark.

    Like the cells of the table, a pixel is an end colour that lets the page through.
    """
    from matplotlib.image import imsave

    away = np.linspace(-1.0, 1.0, STEPS + 1)
    ends = np.where(away[:, np.newaxis] < 0.0, _rgb(GAIN, side), _rgb(LOSS, side))
    opaque = np.rint(255.0 * DEPTH * np.abs(away))
    colours = np.vstack([np.column_stack([ends, opaque]), [*_rgb(BAND, side), 255]]).astype(np.uint8)
    packed = io.BytesIO()
    # Without matplotlib's version, so that the page depends on the matrix alone.
    imsave(packed, colours[shades], format="png", metadata={"Software": None})  # type: ignore[dict-item]
    return "data:image/png;base64," + base64.b64encode(packed.getvalue()).decode()


def _rgb(colour: str, side: int) -> list[int]:
    return list(bytes.fromhex(THEME[colour][1 + side].removeprefix("#")))


def render(**content: Any) -> str:
    """The page; see ``matrix.html.jinja`` for what it needs. A name that is missing is an error."""
    template = environment().get_template("matrix.html.jinja")
    return template.render(light=css_variables(0), dark=css_variables(1), steps=STEPS, depth=DEPTH, **content)
