"""Frame times of the explorer: how long a slider step of a run takes to trade again and draw, in Chromium.

python benchmarks/explore_frames.py DIR/explore.html
"""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

STEPS = """async () => {
  const app = document.getElementById('explorer').explorer;
  for (let i = 0; i < 120; i++) {
    app.change('entry', 1.5 + 0.01 * i);
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  }
  return app.times.slice(-100);
}"""


def main(page: str) -> None:
    """Print the time to a usable page and the frame times of a hundred steps of the entry slider."""
    with sync_playwright() as tools:
        browser = tools.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        tab = browser.new_page(viewport={"width": 1440, "height": 1000})
        start = time.perf_counter()
        tab.goto(Path(page).resolve().as_uri())
        tab.wait_for_selector("[data-ready]", timeout=120_000)
        print(f"usable after {time.perf_counter() - start:.2f} s")
        times = sorted(tab.evaluate(STEPS))
        print(f"frame: median {statistics.median(times):.1f} ms, fastest {times[0]:.1f}, 95% {times[94]:.1f}")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
