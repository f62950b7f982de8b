"""The benchmark measures things that agree, and would say so if they did not. No time is asserted."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).resolve().parents[2] / "benchmarks"


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BENCH / "bench.py"), *arguments], capture_output=True, text=True, env=dict(os.environ)
    )


def test_stages_agree_with_their_references_and_are_saved(tmp_path) -> None:
    out = tmp_path / "bench.json"
    done = bench("--quick", "--stages-only", "--pairs", "160", "--markdown", "--jobs", "2", "--out", str(out))
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    assert [stage["reference"] for stage in report["stages"]] == [
        "statsmodels", "pykalman + pandas", "pandas day loop",
    ]  # fmt: skip
    for stage in report["stages"]:
        assert stage["agrees"]
        assert 0.0 < stage["largest_difference"] < 1e-9
        for key in ("ratio_one_core", "ratio_all_cores"):
            assert 0 < stage[key]["low"] <= stage[key]["median"] <= stage[key]["high"]
    assert done.stdout.count("|---|") == 1
    assert report["machine"]["cpu"] in done.stdout


@pytest.fixture
def stages(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import stages

    return stages


def test_a_difference_is_seen(stages) -> None:
    timing = stages.Timing("a", "b", 1, 1)
    timing.note([1.0, np.nan, np.inf, 2e6], [1.0, np.nan, np.inf, 2e6 * (1 + 1e-12)])
    assert timing.agrees
    assert timing.difference == pytest.approx(1e-12, rel=1e-3)
    timing.note(5.0, np.nan)
    assert not timing.agrees


def test_a_wrong_stage_disagrees(stages, monkeypatch) -> None:
    made = stages.Bench(pairs=40, jobs=1)
    right = stages.bench_ledger(made, repeats=2, reference_pairs=10)
    assert right.agrees
    loop = stages.references.day_loop
    monkeypatch.setattr(stages.references, "day_loop", lambda frame, **options: loop(frame, **options | {"cost": 0.0}))
    assert not stages.bench_ledger(made, repeats=2, reference_pairs=10).agrees


def test_frames_are_measured_or_skipped_in_words(monkeypatch, tmp_path) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    import explore_frames

    monkeypatch.setattr(explore_frames.shutil, "which", lambda name: None)
    said = explore_frames.words(explore_frames.measure(tmp_path / "none.html"))
    assert said == "The explorer's frames were not timed: there is no Chromium on the path."
    frames = {"fastest": 9.0, "median": 12.0, "slowest_of_95%": 15.0}
    assert "takes 12.0 ms" in explore_frames.words({"usable_ms": 800.0, "frame_ms": frames})
