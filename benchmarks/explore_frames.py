"""Frame times of the explorer: how long a slider step of a run takes to trade again, draw and lay out, in Chromium.

python benchmarks/explore_frames.py [DIR/explore.html]

Without a page: the demo's, made for it.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STEPS = """async () => {
  const app = document.getElementById('explorer').explorer, times = [];
  for (let i = 0; i < 120; i++) {
    const start = performance.now();
    app.set.entry = 1.5 + 0.01 * i;
    app.update(true);
    document.body.getBoundingClientRect();
    times.push(performance.now() - start);
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  }
  return times.slice(-100);
}"""


def measure(page: Path) -> dict[str, Any]:
    """Milliseconds until a page is usable, and of a hundred steps of its entry slider; or why there are none."""
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser_path is None:
        return {"skipped": "there is no Chromium on the path"}
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return {"skipped": "the package playwright is not installed"}
    opened: list[float] = []
    times: list[float] = []
    with sync_playwright() as tools:
        browser = tools.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        for _ in range(3):
            tab = browser.new_page(viewport={"width": 1440, "height": 1000})
            tab.goto(page.resolve().as_uri(), wait_until="commit")
            tab.wait_for_selector("[data-ready]", timeout=120_000)
            opened.append(tab.evaluate("performance.now()"))
            times += tab.evaluate(STEPS)
            tab.close()
        browser.close()
    times.sort()
    return {
        "usable_ms": statistics.median(opened),
        "frame_ms": {
            "fastest": times[0], "median": statistics.median(times), "slowest_of_95%": times[int(0.95 * len(times))],
        },
    }  # fmt: skip


def measure_demo() -> dict[str, Any]:
    """Measure the demo's page."""
    import pairs_bt

    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "explore.html"
        pairs_bt.explore(pairs_bt.run(ROOT / "configs" / "demo.toml"), out=page)
        return measure(page)


def words(found: dict[str, Any]) -> str:
    """One line: what was measured, or why nothing was."""
    if "skipped" in found:
        return f"The explorer's frames were not timed: {found['skipped']}."
    frame = found["frame_ms"]
    return (
        f"The explorer is usable after {found['usable_ms'] / 1e3:.2f} s; a step of a slider takes "
        f"{frame['median']:.1f} ms (fastest {frame['fastest']:.1f}, 95% within {frame['slowest_of_95%']:.1f})."
    )


if __name__ == "__main__":
    print(words(measure(Path(sys.argv[1])) if len(sys.argv) > 1 else measure_demo()))
