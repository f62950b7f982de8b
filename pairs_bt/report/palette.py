"""Colours and dashes: one look for the report, the notebooks and the comparison of runs.

Variants are told apart by colour and by dash. The colours follow Okabe and Ito (2008), darkened where the original
is too pale for a thin line on white; all pairs stay distinct under the common colour deficiencies. A figure is drawn
in the light colours; inside the report every colour below becomes a CSS variable with a light and a dark value.
"""

from __future__ import annotations

from typing import Final

# Role: (light, dark).
INK: Final = "#1b1f24"
MUTED: Final = "#5f6875"
GRID: Final = "#dfe3e8"
GAIN: Final = "#0a6ebd"
LOSS: Final = "#c8501e"
PHANTOM: Final = "#8a8f98"
BAND: Final = "#eef1f4"

THEME: Final[dict[str, tuple[str, str, str]]] = {
    # light value: (CSS variable, light, dark)
    INK: ("--ink", INK, "#e6e9ed"),
    MUTED: ("--muted", MUTED, "#9aa4b1"),
    GRID: ("--grid", GRID, "#343b45"),
    GAIN: ("--gain", GAIN, "#5db3f2"),
    LOSS: ("--loss", LOSS, "#ff9361"),
    PHANTOM: ("--phantom", PHANTOM, "#7e8792"),
    BAND: ("--band", BAND, "#262c34"),
}

_VARIANTS: Final[tuple[tuple[str, str], ...]] = (
    ("#0072b2", "#56b4e9"),
    ("#d55e00", "#ff8f4a"),
    ("#00875f", "#33cc9e"),
    ("#b0558b", "#e49ac6"),
    ("#a67c00", "#f0c24b"),
    ("#4b4f56", "#c3c9d1"),
    ("#7a3fa0", "#bb92dd"),
    ("#8c2d19", "#e2856f"),
)

DASHES: Final[tuple[tuple[float, ...], ...]] = (
    (),
    (5, 3),
    (1.6, 1.6),
    (7, 2, 1.6, 2),
    (11, 3),
    (3.2, 2),
    (7, 2, 1.6, 2, 1.6, 2),
    (11, 2, 3, 2),
)

for _number, (_light, _dark) in enumerate(_VARIANTS):
    THEME[_light] = (f"--v{_number}", _light, _dark)


def variant_color(number: int) -> str:
    """Light colour of the variant with this number; they repeat after eight."""
    return _VARIANTS[number % len(_VARIANTS)][0]


def variant_dash(number: int) -> tuple[float, ...]:
    """Dash of the variant with this number, in points of line width 1; () is a solid line.

    Where the colours begin again the dashes are one further on, so that sixty-four variants differ.
    """
    return DASHES[(number + number // len(_VARIANTS)) % len(DASHES)]


def css_variables(side: int) -> str:
    """CSS declarations of every colour: `side` 0 is light, 1 is dark."""
    return "".join(f"{entry[0]}:{entry[1 + side]};" for entry in THEME.values())
