"""The explorer of a run: one page that trades again as its thresholds move, for the folder and for notebooks.

The page is one file without a server or a network: its data are one compressed block, its program is
``templates/explore.js``, and its content security policy forbids everything else.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cached_property
from html import escape
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pairs_bt.common.files import write_text
from pairs_bt.report.explorer.data import Block, explore_block
from pairs_bt.report.page import environment
from pairs_bt.report.palette import css_variables

if TYPE_CHECKING:
    from pairs_bt.runs.run_data import RunData

# A page that would pass this many bytes keeps fewer pairs.
MAX_BYTES = 25_000_000
_BOOT = 'await mount(document.getElementById("explorer"), document.getElementById("block").textContent);\n'


def write_explorer(run: RunData, path: Path) -> None:
    """Write the explorer of a finished run; the same bytes whenever it is made from the same run.

    Parameters
    ----------
    run : RunData
        A finished run; its prices are read.
    path : Path
        The file to write.

    Raises
    ------
    DataError
        When the prices are gone or are not those of the run.
    """
    write_text(Path(path), render_explorer(run))


def render_explorer(run: RunData, *, max_bytes: int = MAX_BYTES) -> str:
    """Make the page's HTML, of at most about `max_bytes` bytes."""
    block, notice = fitting_block(run, max_bytes - len(_script()) - len(_style()) - 4000)
    style, script = f"\n{_style()}", f"\n{_script()}{_BOOT}"
    return (
        environment()
        .get_template("explore.html.jinja")
        .render(
            title=run.source.get("name") or "prices",
            notice=notice,
            block=block.text,
            style=style,
            script=script,
            policy=f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
            "base-uri 'none'; form-action 'none'",
        )
    )


def fitting_block(run: RunData, max_bytes: int) -> tuple[Block, str]:
    """Make a block of at most `max_bytes`, and say what it leaves out: '' for nothing."""
    block = explore_block(run)
    # Pairs share prices, so a share of them takes more than its share of bytes: a few steps find what fits.
    while len(block.text) > max_bytes and block.pairs > 1:
        block = explore_block(run, most=max(1, int(0.95 * block.pairs * max_bytes / len(block.text))))
    if block.pairs == block.candidates:
        return block, ""
    return block, (
        f"The page holds {block.pairs:,} of the {block.candidates:,} pairs that were selected "
        "(counted by window): "
        "those that traded in the run, then those with the best evidence. Pairs that are not here "
        "do not trade, whatever the "
        "settings."
    )


def _script() -> str:
    return (files("pairs_bt.report") / "templates" / "explore.js").read_text(encoding="utf-8")


def _style() -> str:
    return environment().get_template("explore.css.jinja").render(light=css_variables(0), dark=css_variables(1))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


class ExplorerPage:
    """The explorer in a notebook without anywidget: the whole page in a frame."""

    def __init__(self, run: RunData) -> None:
        self._run = run

    @cached_property
    def html(self) -> str:
        """The page."""
        return render_explorer(self._run)

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{escape(self.html)}" sandbox="allow-scripts allow-downloads" '
            'title="Explorer of a run" style="width:100%;height:900px;border:0"></iframe>'
        )

    def __repr__(self) -> str:
        return (
            "<ExplorerPage: shown by a notebook; `pip install 'pairs-bt[notebook]'` gives a widget in its place, and "
            "`pairs-bt explore DIR` writes the page of a stored run>"
        )


def explorer_widget(run: RunData) -> Any:
    """Make the explorer for a notebook: a widget where anywidget is installed, else :class:`ExplorerPage`."""
    if find_spec("anywidget") is None:
        return ExplorerPage(run)
    import anywidget
    import traitlets

    block, notice = fitting_block(run, MAX_BYTES)

    class Explorer(anywidget.AnyWidget):
        """One run's explorer."""

        _esm = _script()
        _css = _style()
        block = traitlets.Unicode().tag(sync=True)
        notice = traitlets.Unicode().tag(sync=True)

    return Explorer(block=block.text, notice=notice)
