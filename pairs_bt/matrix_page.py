"""The page of a hedge matrix: colours, the picture for many tickers, and the template.

One self-contained file without scripts. Everything that comes from the user's data is escaped by the template.
"""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MISSING", "SHADES", "contrast_css", "picture", "render", "shade"]

SHADES = 21
MISSING = SHADES  # palette entry of a cell without a value

Colour = tuple[int, int, int]

# blue to orange through a neutral grey: readable with the common colour-vision deficiencies
_ENDS: dict[str, tuple[Colour, Colour, Colour, Colour]] = {
    "light": ((33, 102, 172), (245, 245, 242), (190, 95, 10), (225, 225, 225)),
    "dark": ((80, 150, 225), (38, 42, 48), (230, 140, 40), (22, 24, 28)),
}


def _palette(scheme: str) -> list[Colour]:
    low, middle, high, missing = _ENDS[scheme]
    colours = []
    for i in range(SHADES):
        place = 2.0 * i / (SHADES - 1) - 1.0
        end = high if place > 0 else low
        red, green, blue = (round(m + abs(place) * (e - m)) for m, e in zip(middle, end, strict=True))
        colours.append((red, green, blue))
    return [*colours, missing]


def shade(values: NDArray[np.float64], low: float, middle: float, high: float) -> NDArray[np.uint8]:
    """Palette entry of every value: neutral at ``middle``, the end colours from ``low`` down and ``high`` up.

    NaN as `MISSING`.
    """
    away = values - middle
    place = np.clip(np.where(away < 0.0, away / (middle - low), away / (high - middle)), -1.0, 1.0)
    known = ~np.isnan(place)
    steps = np.rint((np.where(known, place, 0.0) + 1.0) * (SHADES - 1) / 2.0)
    return np.where(known, steps, MISSING).astype(np.uint8)


def contrast_css(scheme: str) -> str:
    """Rules for the cells of every shade, each with the text colour that has more contrast on it."""
    rules = []
    for i, (red, green, blue) in enumerate(_palette(scheme)):
        # relative luminance (WCAG 2); black text wins above 0.179
        parts = [c / 255.0 for c in (red, green, blue)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        text = "#111" if luminance > 0.179 else "#f4f4f4"
        rules.append(f".c{i}{{background:rgb({red},{green},{blue});color:{text}}}")
    return "".join(rules)


def picture(shades: NDArray[np.uint8], scheme: str) -> str:
    """A data URI with one pixel for each cell (PNG, 8-bit palette)."""
    height, width = shades.shape
    rows = np.zeros((height, width + 1), dtype=np.uint8)  # each row starts with its filter type, none
    rows[:, 1:] = shades
    palette = b"".join(bytes(colour) for colour in _palette(scheme))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", palette),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)),
            _chunk(b"IEND", b""),
        )
    )
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def render(**content: Any) -> str:
    """The page; see `_TEMPLATE` for what it needs. A name that is missing is an error."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    light, dark = contrast_css("light"), contrast_css("dark")
    return environment.from_string(_TEMPLATE).render(light=light, dark=dark, shades=SHADES, **content)


_TEMPLATE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="pairs-bt-state" content="{{ identity }}">
<title>Hedge ratios, {{ last_bar }}</title>
<style>
:root{color-scheme:light dark;--page:#fff;--text:#1b1d20;--soft:#5a6068;--line:#d8dade;--head:#f3f4f6;--edge:#0004}
{{ light | safe }}
@media (prefers-color-scheme:dark){
:root{--page:#14161a;--text:#e6e8eb;--soft:#a2a8b0;--line:#33373d;--head:#1e2126;--edge:#fff5}
{{ dark | safe }}
}
body{margin:1.5rem auto;padding:0 1rem;max-width:1800px;background:var(--page);color:var(--text);\
font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .4rem}
p,li{max-width:75ch}.soft{color:var(--soft)}
.wide{overflow:auto;max-height:90vh;width:fit-content;max-width:100%;border:1px solid var(--line);\
scrollbar-width:thin;scrollbar-color:var(--soft) transparent;\
background:linear-gradient(270deg,var(--page) 40%,transparent) 100% 0/44px 100% no-repeat local,\
linear-gradient(270deg,var(--edge),transparent) 100% 0/16px 100% no-repeat scroll}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
.list td,.list th{padding:.15rem .6rem;border-bottom:1px solid var(--line);text-align:right}
.list th{background:var(--head)}
.list td:nth-child(-n+2),.list th:nth-child(-n+2){text-align:left}
.heat{font-size:11px}.heat td{padding:1px 3px;text-align:right;min-width:2em}
.heat th{background:var(--head);padding:1px 4px;font-weight:600;text-align:left;position:sticky;left:0;z-index:1}
.heat thead th{top:0;z-index:2;vertical-align:bottom}.heat thead th span{writing-mode:vertical-rl}
.heat thead th:first-child{z-index:3}
.legend{display:flex;align-items:center;gap:.5rem;margin:.5rem 0}.legend i{display:inline-block;width:14px;height:14px}
img{width:100%;max-width:1000px;image-rendering:pixelated;border:1px solid var(--line)}
</style>
</head>
<body>
<h1>Hedge ratios after {{ last_bar }}</h1>
<p class="soft">{{ summary }}</p>
{% if notes %}
<ul>
{% for note in notes %}
<li>{{ note }}</li>
{% endfor %}
</ul>
{% endif %}
<h2>The matrix</h2>
<p>Row y, column x: the ratio is the number of units of x to sell against one unit of y{{ unit }}.
Tickers that move together stand together. Colour: {{ colour }}.</p>
<p class="legend"><span>{{ ends[0] }}</span>
<span aria-hidden="true">{% for i in range(shades) %}<i class="c{{ i }}"></i>\
{% endfor %}</span><span>{{ ends[2] }}</span>
<span class="soft">(neutral: {{ ends[1] }})</span></p>
{% if images %}
<picture><source media="(prefers-color-scheme: dark)" srcset="{{ images.dark }}">
<img src="{{ images.light }}" alt="Heatmap of {{ tickers | length }} tickers, y down, x across, ordered as below">\
</picture>
<details><summary>Order of the {{ tickers | length }} tickers, top to bottom and left to right</summary>
<p>{{ tickers | join(" ") }}</p></details>
<p>The {{ heat | length }} tickers whose ratios moved most, with names:</p>
{% endif %}
<div class="wide"><table class="heat">
<thead><tr><th>y \\ x</th>{% for name in heat_names %}<th scope="col"><span>{{ name }}</span></th>{% endfor %}</tr>
</thead>
<tbody>
{% for row in heat %}
<tr><th scope="row">{{ row.name }}</th>{% for cell in row.cells %}\
<td class="c{{ cell.shade }}" title="{{ cell.title }}">{{ cell.text }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
<h2>Ratios that moved most since {{ since }}</h2>
{% if moved %}
<p>Moved by: in standard errors of the ratio before. A ratio that moves by many of them tells either of news or of
variances (trans_cov, obs_cov) that are too small for these prices.</p>
<div class="wide"><table class="list">
<thead><tr>{% for name in moved_names %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in moved %}
<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
{% else %}
<p>No pair has a ratio before the last bar.</p>
{% endif %}
<h2>What yesterday's ratios would have made today</h2>
<p>{{ static_text }}</p>
{% if static %}
<div class="wide"><table class="list">
<thead><tr>{% for name in static_names %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in static %}
<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
{% endif %}
</body>
</html>
"""
