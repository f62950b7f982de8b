"""Fill the numbers of the README and of docs/demo.md and docs/performance.md from the program.

`python benchmarks/readme.py` rewrites what stands between its markers.

With `--check` it changes nothing and fails when something has changed. Times differ from machine to machine, so the
speed tables are those of a `make bench` that was kept: its JSON is docs/bench.json.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pairs_bt.results import Run

ROOT = Path(__file__).resolve().parents[1]
FIGURE = "docs/demo_equity.svg"


@cache
def demo_run() -> Run:
    """The built-in demo."""
    import pairs_bt

    return pairs_bt.run()


def demo() -> str:
    """The table that `pairs-bt run` prints at the end of the demo, and how to read it."""
    from pairs_bt.cli.terminal.console import headline, legend

    shown = f"{headline(demo_run().summary)}\n\n{legend()}"
    return "\n".join(f"    {line}".rstrip() for line in shown.splitlines())


def answer() -> str:
    """The figure of the demo's equity, and the sentences below its table."""
    from pairs_bt.cli.terminal.console import false_positive_line, in_ascii, thin_sample_notes

    run = demo_run()
    (ROOT / FIGURE).write_bytes(figure(run))
    lines = [*thin_sample_notes(run), false_positive_line(run), in_ascii(run.comparison.verdict)]
    return "\n".join([f"![Net equity of the variants]({FIGURE})", "", *lines])


def figure(run: Run) -> bytes:
    """The equity figure as an SVG whose bytes depend on the run alone."""
    import io

    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "pairs_bt"}):
        out = io.BytesIO()
        run.plot.equity().savefig(out, format="svg", metadata={"Date": None}, facecolor="white")
    return out.getvalue()


def quotient() -> str:
    """What the copied filter's ratio is, on the demo's candidates."""
    from benchmarks import price_quotient

    return "\n".join(f"    {line}".rstrip() for line in price_quotient.text(price_quotient.table()).splitlines())


def phantom() -> str:
    """The random-walk table of the phantom P&L."""
    command = [sys.executable, str(ROOT / "benchmarks" / "phantom_pnl.py")]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return "\n".join(f"    {line}".rstrip() for line in text.strip().splitlines())


def speed() -> str:
    """The tables of the last `make bench` that was kept, with its machine."""
    from benchmarks import bench

    kept = json.loads((Path(__file__).resolve().parents[1] / "docs" / "bench.json").read_text(encoding="utf-8"))
    return bench.text(kept, markdown=True).strip()


BLOCKS = {"answer": answer, "demo": demo, "quotient": quotient, "phantom": phantom, "speed": speed}
#: The page on which a block stands.
PAGES = {
    "answer": "README.md",
    "demo": "docs/demo.md",
    "quotient": "docs/demo.md",
    "phantom": "docs/demo.md",
    "speed": "docs/performance.md",
}


def filled(text: str, name: str, block: str) -> str:
    """The text with what stands between a block's markers replaced."""
    pattern = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
    return pattern.sub(lambda match: f"{match[1]}\n{block}\n\n{match[2]}", text)


def main() -> None:
    for name, make in BLOCKS.items():
        page = ROOT / PAGES[name]
        before = page.read_text(encoding="utf-8")
        text = filled(before, name, make())
        if "--check" in sys.argv:
            if text != before:
                sys.exit(f"{PAGES[name]} differs from what the program prints: run python benchmarks/readme.py")
        else:
            page.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
