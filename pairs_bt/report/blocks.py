"""The pieces a report is made of: tables, figures, text. Laid out by the templates, filled by `panels_*` modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from pairs_bt.report.plots.svg import to_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pairs_bt.runs.run_data import RunData


# More variants than this and two tables of them no longer fit beside each other.
MAX_BESIDE = 5


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes
    ----------
    text : str
        What is read. Escaped by the template.
    kind : str
        CSS classes: ``'text'`` is aligned left, a number right.
    share : float
        0 to 1: length of a bar behind the number; -1 to 1 with `heat`: depth of its colour.
    heat : bool
        Colour the cell by gain or loss.
    """

    text: str
    kind: str = ""
    share: float = 0.0
    heat: bool = False


@dataclass(frozen=True)
class Row:
    """One row: its head and its cells; `kind` ``'group'`` is a heading within the table."""

    head: str
    cells: Sequence[Cell | str] = ()
    kind: str = ""
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table with its caption; `variants` says which of its columns carry a variant's mark."""

    head: Sequence[str]
    rows: Sequence[Row]
    caption: str = ""
    note: str = ""
    marks: dict[str, int] = field(default_factory=dict)
    narrow: bool = False
    kind: str = "table"

    @property
    def turned(self) -> Table:
        """The same table with its rows as columns, for a screen that is narrow: the marks stand at the rows."""
        heads = [row.head.strip() for row in self.rows]
        rows = [Row(name, [row.cells[k] for row in self.rows], note="") for k, name in enumerate(self.head[1:])]
        return Table([self.head[0], *heads], rows, self.caption, self.note, self.marks, self.narrow)

    @property
    def columns(self) -> list[tuple[str, str]]:
        """Each head with the CSS class of its column: text is aligned left, head and cells alike."""
        body = next((row for row in self.rows if row.cells), None)
        kinds = ["", *((cell.kind if isinstance(cell, Cell) else "") for cell in (body.cells if body else ()))]
        return [(head, "text" if k < len(kinds) and "text" in kinds[k] else "") for k, head in enumerate(self.head)]


@dataclass(frozen=True)
class Picture:
    """A figure as SVG, and what it shows."""

    svg: Markup
    caption: str = ""
    kind: str = "picture"


@dataclass(frozen=True)
class Text:
    """A paragraph; `tone` is '', 'warning' or 'verdict'."""

    text: str
    tone: str = ""
    kind: str = "text"


@dataclass(frozen=True)
class Code:
    """Preformatted text, folded away on screen if it is long."""

    text: str
    title: str = ""
    kind: str = "code"


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: Sequence[str]
    kind: str = "bullets"


@dataclass(frozen=True)
class IndexItem:
    """One pair of an index: its name, what its trades made, the variant shown, its picture, its link ('' for none)."""

    name: str
    text: str
    variant: str = ""
    picture: Markup | None = None
    link: str = ""


@dataclass(frozen=True)
class PairIndex:
    """Pairs in groups, each under its heading."""

    groups: Sequence[tuple[str, Sequence[IndexItem]]]
    kind: str = "index"


@dataclass(frozen=True)
class Beside:
    """Blocks beside each other where there is room."""

    blocks: Sequence[Any]
    kind: str = "beside"

    @property
    def light(self) -> bool:
        """Whether two of the blocks fit beside each other on paper."""
        return all(block.kind == "picture" or getattr(block, "narrow", False) for block in self.blocks)


Block = Table | Picture | Text | Code | Bullets | PairIndex | Beside


@dataclass(frozen=True)
class Panel:
    """One section of the report."""

    name: str
    title: str
    intro: str
    blocks: Sequence[Block]


@dataclass
class Drawer:
    """Turns figures into pictures with ids of their own."""

    run: RunData
    count: int = 0

    def __call__(self, function: Callable[..., Figure], *args: Any, caption: str = "") -> Picture:
        """Draw ``function(run, *args)``."""
        self.count += 1
        figure = function(self.run, *args)
        description = (function.__doc__ or "").strip().splitlines()[0]
        return Picture(Markup(to_svg(figure, f"f{self.count}", description)), caption)


def side_by_side(run: RunData, *blocks: Block) -> list[Block]:
    """Put blocks with a column a variant beside each other, or below each other where there are too many of them."""
    return [Beside(blocks)] if len(run.labels) <= MAX_BESIDE else list(blocks)


def styles(run: RunData) -> dict[str, int]:
    """Number of each variant by its label: its colour and dash."""
    return {label: number for number, label in enumerate(run.labels.values())}
