"""The notebooks run from their own folder, and are saved with outputs that show no machine and no warning."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
# Of one notebook from its first cell to its last; nbmake's own limit is a cell's.
SECONDS = 300
WITHOUT_FIGURES = {"morning_matrix"}


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_from_the_first_cell_to_the_last(name: str, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "pytest", "--nbmake", "--nbmake-timeout=110", "-o", "addopts=", "-p", "no:cacheprovider",
        "-q", str(NOTEBOOKS / f"{name}.ipynb"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=NOTEBOOKS.parent, check=False, timeout=SECONDS)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_saved_with_its_outputs(name: str) -> None:
    book = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "execute_result", "display_data"}
    assert not [output for output in outputs if output.get("name") == "stderr"]
    text = json.dumps(outputs)
    assert ("image/svg+xml" in text) == (name not in WITHOUT_FIGURES)
    for place in (str(NOTEBOOKS.parent), "/home/", "/root/", "/tmp/", "\\\\Users\\\\"):
        assert place not in text, place
