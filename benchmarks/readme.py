"""Fill the README's numbers from the program: `python benchmarks/readme.py` rewrites what stands between its markers.

With `--check` it changes nothing and fails when something has changed. Times differ from machine to machine, so the
speed tables are those of a `make bench` that was kept: its JSON is docs/bench.json.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
FIGURE = "docs/demo_equity.svg"


def demo() -> str:
    """The end of `pairs-bt run` on the built-in demo, as a person sees it."""
    import pairs_bt
    from pairs_bt.cli.terminal.console import false_positive_line, headline, in_ascii, legend, thin_sample_notes

    run = pairs_bt.run()
    (ROOT / FIGURE).write_bytes(figure(run))
    shown = f"{headline(run.summary)}\n\n{legend()}"
    end = "\n".join(f"    {line}".rstrip() for line in shown.splitlines())
    end += "".join(f"\n{line}" for line in ["", *thin_sample_notes(run)] if thin_sample_notes(run))
    image = f"![Net equity of the variants]({FIGURE})"
    return f"{end}\n\n{false_positive_line(run)}\n{in_ascii(run.comparison.verdict)}\n\n{image}"


def figure(run: object) -> bytes:
    """The equity figure as an SVG whose bytes depend on the run alone."""
    import io

    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "pairs_bt"}):
        out = io.BytesIO()
        run.plot.equity().savefig(out, format="svg", metadata={"Date": None}, facecolor="white")  # type: ignore[attr-defined]
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


BLOCKS = {"demo": demo, "quotient": quotient, "phantom": phantom, "speed": speed}


def filled(text: str, name: str, block: str) -> str:
    """The text with what stands between a block's markers replaced."""
    pattern = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
    return pattern.sub(lambda match: f"{match[1]}\n{block}\n\n{match[2]}", text)


def main() -> None:
    before = text = README.read_text(encoding="utf-8")
    for name, make in BLOCKS.items():
        text = filled(text, name, make())
    if "--check" in sys.argv and text != before:
        sys.exit("README.md differs from what the program prints: run python benchmarks/readme.py")
    README.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
