"""Same config, data and versions: the same bytes, however the work is cut and whatever the machine is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.fault_tools import command, fingerprint, finish

# Threads, pairs per task, environment.
MATRIX = [
    (1, 3, {}),
    (1, 64, {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}),
    (2, 7, {"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4", "NUMBA_NUM_THREADS": "1"}),
    (3, 100_000, {"NUMBA_NUM_THREADS": "2", "PYTHONHASHSEED": "1"}),
    (8, 33, {"OPENBLAS_CORETYPE": "Haswell", "PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo"}),
    (2, 512, {"LC_ALL": "C", "PYTHONUTF8": "0", "COLUMNS": "40", "NO_COLOR": "1"}),
]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("reference") / "run"
    done = finish(folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.mark.parametrize(("jobs", "chunk", "env"), MATRIX)
def test_no_cut_of_the_work_and_no_variable_changes_a_byte(reference, tmp_path, jobs, chunk, env):
    folder, printed = reference
    out = tmp_path / "elsewhere"
    done = finish(out, "--jobs", str(jobs), "--chunk", str(chunk), env=env)
    assert done.returncode == 0, done.stderr
    assert fingerprint(out) == fingerprint(folder)
    assert done.stdout.replace(str(out), "DIR") == printed.replace(str(folder), "DIR")


def test_the_report_has_the_same_bytes_in_every_folder_and_order_of_work(tmp_path):
    arguments = [part for part in command(Path("OUT"))[3:] if part != "--no-report"]
    made = []
    for name, more in (("a", ["--jobs", "1"]), ("b/c", ["--jobs", "2", "--chunk", "9"])):
        out = tmp_path / name
        done = finish_with_report(out, arguments, more)
        assert done.returncode == 0, done.stderr
        made.append(fingerprint(out))
    assert "report.html" in made[0]
    assert made[0] == made[1]


def finish_with_report(out: Path, arguments: list[str], more: list[str]):
    import subprocess
    import sys

    given = [str(out) if part == "OUT" else part for part in arguments]
    return subprocess.run(
        [sys.executable, "-m", "pairs_bt.cli", *given, *more], capture_output=True, text=True, timeout=300, check=False
    )


def test_a_copy_of_the_data_elsewhere_gives_the_same_tables(reference, tmp_path):
    folder, _ = reference
    from pairs_bt.config.reader import builtin

    copy = tmp_path / "copy"
    shutil.copytree(builtin("demo.toml").parent, copy / "configs")
    prices = builtin("demo.toml").parent.parent / "data" / "us_large_caps.parquet"
    (copy / "data").mkdir()
    shutil.copy(prices, copy / "data")
    out = tmp_path / "run"
    done = finish(out, str(copy / "configs" / "demo.toml"))
    assert done.returncode == 0, done.stderr
    ours, theirs = fingerprint(out), fingerprint(folder)
    # Only the configs name the place of the prices; the manifest holds the configs' checksums.
    different = {name for name in ours if ours[name] != theirs.get(name)}
    assert different == {"config.toml", "config.resolved.json", "manifest.json"}
