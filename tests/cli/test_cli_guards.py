"""What a command refuses to destroy, and what it says beside its numbers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pairs_bt import load_run
from pairs_bt.cli.terminal.console import FEW_TRADES, number, percent, thin_sample_notes
from pairs_bt.common.formatting import in_ascii
from tests.cli_tools import SHORT, call, is_one_paragraph


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with prices, a config and a finished run of it."""
    folder = tmp_path_factory.mktemp("guards")
    steps = np.random.default_rng(5).normal(0, 0.01, (200, 4)).cumsum(axis=0)
    index = pd.bdate_range("2020-01-01", periods=200, name="date")
    frame = pd.DataFrame(50 * np.exp(steps), index=index, columns=["AAA", "BBB", "CCC", "DDD"])
    frame.to_csv(folder / "prices.csv")
    config = folder / "c.toml"
    config.write_text(f'[data]\npath = "prices.csv"\n[selection]\nalpha = 0.5\ntests = ["engle_granger"]\n{SHORT}')
    assert call("run", config, "--out", folder / "run").code == 0
    shutil.copytree(folder / "run", folder / "twin")
    return folder


def command(name: str, place: Path) -> list[str | Path]:
    return {
        "scan": ["scan", place / "c.toml"],
        "report": ["report", place / "run"],
        "compare": ["compare", place / "run", place / "twin"],
    }[name]


@pytest.mark.parametrize(
    ("name", "file"),
    [("scan", "a.csv"), ("scan", "a.parquet"), ("report", "a.html"), ("compare", "a.html")],
)
def test_a_foreign_file_is_kept_unless_forced_and_ours_is_replaced(name, file, place, tmp_path):
    out = tmp_path / file
    if file.endswith("parquet"):
        pd.DataFrame({"date": [1], "A": [2.0]}).to_parquet(out)
    else:
        out.write_text("date,A\n2020-01-01,5\n")
    foreign = out.read_bytes()
    said = call(*command(name, place), "--out", out)
    assert said.code == 2
    assert is_one_paragraph(said.err)
    assert "--force" in said.err
    assert out.read_bytes() == foreign
    assert call(*command(name, place), "--out", out, "--force").code == 0
    ours = out.read_bytes()
    assert ours != foreign
    # What pairs-bt has made, it makes again.
    assert call(*command(name, place), "--out", out).code == 0
    assert out.read_bytes() == ours


@pytest.mark.parametrize("name", ["scan", "report", "compare"])
@pytest.mark.parametrize("file", ["a.txt", "a", "a.xlsx", "a.csv.gz"])
def test_a_name_must_say_what_is_written(name, file, place, tmp_path):
    said = call(*command(name, place), "--out", tmp_path / file)
    assert said.code == 2
    assert "must end in" in said.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["scan", "report", "compare"])
def test_a_folder_that_cannot_be_written_is_told_before_the_work(name, place, tmp_path, monkeypatch):
    def worked(*_, **__):
        raise AssertionError("the work has begun")

    for target in ("pairs_bt.report.page.write_report", "pairs_bt.runner.open_study"):
        monkeypatch.setattr(target, worked)
    ending = "csv" if name == "scan" else "html"
    (tmp_path / "file").write_text("")
    said = call(*command(name, place), "--out", tmp_path / "file" / "deep" / f"a.{ending}")
    assert said.code == 2
    assert is_one_paragraph(said.err)
    assert f"{tmp_path / 'file'} is a file" in said.err
    monkeypatch.setattr(os, "access", lambda *args, real=os.access, **_: not args[1] & os.W_OK and real(*args))
    said = call(*command(name, place), "--out", tmp_path / "new" / f"a.{ending}")
    assert said.code == 2
    assert f"you may not write in the folder {tmp_path}" in said.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_no_command_writes_over_its_own_prices(force, place, tmp_path):
    for file in ("c.toml", "prices.csv"):
        shutil.copy(place / file, tmp_path / file)
    os.link(tmp_path / "prices.csv", tmp_path / "link.csv")
    before = (tmp_path / "prices.csv").read_bytes()
    for out in ("prices.csv", "link.csv"):
        said = call("scan", tmp_path / "c.toml", "--out", tmp_path / out, *force)
        assert said.code == 2
        assert "reads" in said.err
    assert (tmp_path / "prices.csv").read_bytes() == before


def test_a_pair_that_the_run_does_not_know_is_refused(place):
    page = (place / "run" / "report.html").read_bytes()
    said = call("report", place / "run", "--pair", "AAA,BBC")
    assert said.code == 2
    assert "'BBC'" in said.err
    assert "BBB" in said.err
    assert (place / "run" / "report.html").read_bytes() == page


def test_a_scan_has_heads_and_the_chance_line(place):
    said = call("scan", place / "c.toml")
    lines = said.out.splitlines()
    assert lines[0].split() == ["test", "end", "selected", "pairs", "(y/x),", "best", "evidence", "first"]
    assert any(line.endswith("  selected") for line in lines)
    assert "  rejected  reason" in lines
    ran = call("run", place / "c.toml", "--out", place / "run")
    assert lines[-1] in ran.out.splitlines()
    assert " in 95 of 100 such universes: " in lines[-1]


def test_the_table_has_a_legend_and_says_what_it_cannot_say(place, tmp_path):
    said = call("run", place / "c.toml", "--out", place / "run")
    for term in ("closed at the exit level:", "on employed capital:", "filled at the signal's close:", "break-even:"):
        assert term in said.out
    run = load_run(place / "run")
    few = run.summary[run.summary["trades"].between(1, FEW_TRADES - 1)]
    assert len(few) > 0
    for label, count in zip(few["label"], few["trades"], strict=True):
        assert f"{label}, {count} trade" in said.out
    assert "too few for a Sharpe ratio to mean much" in said.out
    said = call("run", place / "c.toml", "--set", "signal.entry=60", "--out", tmp_path / "none", "--no-report")
    run = load_run(tmp_path / "none")
    reason = run.half_lives.loc[run.half_lives["variant"] == "dynamic", "reason"].value_counts().index[0]
    line = next(line for line in said.out.splitlines() if "no trades" in line)
    assert line.startswith("dynamic")
    assert reason in line
    said = call("run", place / "c.toml", "--set", "selection.alpha=1e-9", "--out", tmp_path / "nothing", "--no-report")
    assert "no trades; no pair was selected" in said.out


def test_enough_trades_raise_no_doubt(place):
    run = load_run(place / "run")
    run.summary["trades"] = FEW_TRADES
    assert thin_sample_notes(run) == []


@pytest.mark.parametrize(
    ("value", "text"), [(-0.00001, "0.00%"), (-0.0, "0.00%"), (-0.0001, "-0.01%"), (0.1, "10.00%"), (float("nan"), "-")]
)
def test_no_minus_before_a_zero(value, text):
    assert percent(value) == text
    assert number(-0.0001) == "0.00"
    assert in_ascii("\N{MINUS SIGN}0.5 \N{EN DASH}") == "-0.5 -"


def test_short_blocks_are_noted_in_a_comparison(place, tmp_path):
    said = call("compare", place / "run", place / "twin")
    assert said.code == 0, said.err
    assert "note: " not in said.err
    call("run", place / "c.toml", "--set", "comparison.block=2", "--out", tmp_path / "r", "--no-report")
    said = call("compare", tmp_path / "r", place / "run")
    assert "blocks of 2 days are shorter" in said.err


def test_work_that_failed_ends_at_once_with_everything_said():
    # a thread that is still at work would be waited for, or abort the process from inside a library
    code = (
        "import sys, threading, time\n"
        "from pairs_bt.cli import commands\n"
        "threading.Thread(target=time.sleep, args=(120,)).start()\n"
        "commands._exit_code = lambda: print('said') or int(sys.argv[1])\n"
        "commands.main()"
    )
    done = subprocess.run([sys.executable, "-c", code, "4"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (4, "said\n")
