"""A matplotlib figure as SVG that lives inside a page: themed, small, the same bytes every time."""

from __future__ import annotations

import re
from functools import lru_cache
from io import StringIO
from typing import TYPE_CHECKING, Any

from pairs_bt.report.palette import THEME
from pairs_bt.report.plots.look import rc_context

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ATTRIBUTE = re.compile(r'(style|fill|stroke)="([^"]*)"')
_COLOR = re.compile(r"#[0-9a-f]{6}")
_PATH = re.compile(r' d="([^"]*)"', re.DOTALL)
_NUMBER = re.compile(r"-?\d+\.\d+")
_WHOLE = re.compile(r"\.0(?![0-9])")
_FONT = re.compile(r"font: (?:[a-z]+ )*?([0-9.]+)px [^;\"]*")
_ID = re.compile(r'(id="|url\(#|href="#)([^")]*)')
_HEAD = re.compile(r"^.*?<svg[^>]*?>", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_BLANKS = re.compile(r">\s*\n\s*<")


def to_svg(figure: Figure, name: str, description: str) -> str:
    """Render a figure as an ``<svg>`` element for an HTML page.

    Parameters
    ----------
    figure : Figure
        Drawn in the colours of :mod:`pairs_bt.report.palette`; they become CSS variables.
    name : str
        Unique on the page; ids inside the figure start with it.
    description : str
        What the figure shows, for those who do not see it.

    Returns
    -------
    str
        Text stays text in the page's own font; no date, no external address.
    """
    width, height = (round(side * 72) for side in figure.get_size_inches())
    body = _body(figure, transparent=True)
    body = _ATTRIBUTE.sub(lambda m: _themed(m[0]), body)
    body = _ID.sub(rf"\g<1>{name}-\g<2>", body)
    body = _BLANKS.sub("><", body).strip()
    head = (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{_escape(description)}">'
    )
    return head + body


def standalone_svg(figure: Figure) -> str:
    """Render a figure as an SVG document of its own, in the light colours on white (what Jupyter shows)."""
    width, height = (round(side * 72) for side in figure.get_size_inches())
    head = (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="sans-serif" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    body = _ATTRIBUTE.sub(lambda m: f'{m[1]}="{_plain(m[2])}"', _body(figure, facecolor="white"))
    return head + _BLANKS.sub("><", body).strip()


def _body(figure: Figure, **options: Any) -> str:
    buffer = StringIO()
    with rc_context():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, **options)
    return _PATH.sub(_shorter, _METADATA.sub("", _HEAD.sub("", buffer.getvalue(), count=1)))


def _shorter(match: re.Match[str]) -> str:
    # A tenth of a pixel is below what any screen shows. All numbers of a path are formatted at once.
    text = " ".join(match[1].split())
    short = _NUMBER.sub("%.1f", text) % tuple(map(float, _NUMBER.findall(text)))
    return f' d="{_WHOLE.sub("", short)}"'


@lru_cache(maxsize=512)
def _themed(attribute: str) -> str:
    """An attribute with variables for the page's colours; figures have few of them, many times."""
    return _plain(_COLOR.sub(lambda m: f"var({THEME[m[0]][0]})" if m[0] in THEME else m[0], attribute))


def _plain(style: str) -> str:
    """A style without the name of the font: the page's own is used."""
    return _FONT.sub(r"font-size: \1px", style)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
