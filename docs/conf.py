"""The site: `make docs` builds it into site/ from these pages, the notebooks and the docstrings of the public names."""

from __future__ import annotations

import inspect
import re
import shutil
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import pairs_bt

HERE = Path(__file__).resolve().parent

project = "pairs_bt"
author = "The pairs_bt developers"
project_copyright = author
version = release = installed("pairs-bt")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "numpydoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"pairs_bt {version}"
html_copy_source = False
html_show_sourcelink = False

myst_heading_anchors = 4
# The notebooks keep their outputs; tests run them.
nb_execution_mode = "off"
# Figures of a notebook come in several forms, the last of which a page of paper would take.
suppress_warnings = ["mystnb.mime_priority", "mystnb.unknown_mime_type"]
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"


def write_api(folder: Path) -> None:
    """One page for each public name, and the list of them."""
    folder.mkdir(exist_ok=True)
    names = sorted(pairs_bt.__all__, key=str.lower)
    for name in names:
        kind = "autoclass" if inspect.isclass(getattr(pairs_bt, name)) else "autofunction"
        body = f".. {kind}:: pairs_bt.{name}\n" + ("   :members:\n" if kind == "autoclass" else "")
        (folder / f"{name}.md").write_text(f"# {name}\n\n```{{eval-rst}}\n{body}```\n", encoding="utf-8")
    listed = "\n".join(names)
    text = (
        "# API\n\nEverything that `import pairs_bt` gives. Words are explained in the [glossary](../glossary.md).\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n"
    )
    (folder / "index.md").write_text(text, encoding="utf-8")


def copy_notebooks(folder: Path) -> None:
    """Bring the notebooks beside the pages, where Sphinx finds them."""
    folder.mkdir(exist_ok=True)
    for path in sorted((HERE.parent / "notebooks").glob("*.ipynb")):
        shutil.copyfile(path, folder / path.name)


# What a figure is called with, where it needs to know what to draw.
ARGUMENTS = {"pair": '"CVX/XOM"'}


def write_gallery(folder: Path) -> None:
    """Every figure of `run.plot` with the line that makes it, drawn now from the first years of the demo."""
    folder.mkdir(exist_ok=True)
    before = (
        "import pairs_bt\n\n"
        'config = pairs_bt.Config.load().with_changes("data.end=2010-12-31", "comparison.draws=500")\n'
        "run = pairs_bt.run(config)"
    )
    known: dict[str, Any] = {}
    exec(before, known)
    parts = [
        "# Gallery",
        "Every figure of `run.plot` with the line that makes it. In a notebook the line shows the figure; "
        '`.savefig("name.svg")` writes it. Most take the names of the variants to draw, as in '
        '`run.plot.equity(variants=["dynamic", "ols"])`. Words are explained in the [glossary](../glossary.md).',
        f"```python\n{before}\n```",
    ]
    for name, method in vars(type(known["run"].plot)).items():
        if name.startswith("_"):
            continue
        line = f"run.plot.{name}({ARGUMENTS.get(name, '')})"
        eval(line, known).savefig(folder / f"{name}.svg", metadata={"Date": None})
        said = (inspect.getdoc(method) or "").partition("\n")[0].partition(": see")[0].rstrip(".")
        parts += [f"## {said}", f"```python\n{line}\n```", f"![{said}]({name}.svg)"]
    (folder / "index.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


SOURCE = "https://github.com/pairs-bt/pairs-bt/blob/main"


def lead_inside(app: object, docname: str, source: list[str]) -> None:
    """Links of a page to files that the site has elsewhere, or not at all, lead there."""
    text = re.sub(r"\]\(\.\./notebooks/([\w.]+)\)", r"](notebooks/\1)", source[0])
    text = re.sub(r"\]\(\.\./\.\./notebooks/([\w.]+)\)", r"](../notebooks/\1)", text)
    text = re.sub(r"\]\(\.\./docs/([\w.]+)\)", r"](../\1)", text)
    source[0] = re.sub(r"\]\(\.\./((?:data/)?[A-Z][\w.]+)\)", rf"]({SOURCE}/\1)", text)


def setup(app: object) -> None:
    """Make the pages that are not written by hand, before Sphinx looks for pages."""
    write_api(HERE / "api")
    copy_notebooks(HERE / "notebooks")
    write_gallery(HERE / "gallery")
    app.connect("source-read", lead_inside)  # type: ignore[attr-defined]
