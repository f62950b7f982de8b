"""`pairs-bt verify`: kernels against their oracles, folders against their checksums."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pairs_bt import Config, run
from pairs_bt.runner import open_study
from pairs_bt.runs import oracle_check, run_folder
from tests.cli_tools import call, is_one_paragraph
from tests.fault_tools import flip

SHORT = ("--set", "data.end=2008-06-30", "--set", "comparison.draws=100")


@pytest.fixture(scope="module")
def study():
    return open_study(Config.load(None, ["data.end=2008-06-30"]))


def test_the_kernels_agree_on_a_sample(study):
    found = oracle_check.compare_kernels(study, pairs=3)
    assert [item.quantity for item in found] == list(oracle_check.ALLOWED)
    assert all(item.holds and item.compared > 0 for item in found), found
    assert max(item.largest for item in found) < 1e-9


def test_the_sample_is_seeded_and_holds_no_pair_twice(study):
    drawn = oracle_check.sample_pairs(study, 30, seed=1)
    assert drawn == oracle_check.sample_pairs(study, 30, seed=1)
    assert drawn != oracle_check.sample_pairs(study, 30, seed=2)
    assert len(set(drawn)) == 30


def test_a_sample_larger_than_the_universe_is_the_universe(study):
    small = replace(study, pair_i=study.pair_i[:2], pair_j=study.pair_j[:2], windows=study.windows[:2])
    assert oracle_check.sample_pairs(small, 100, seed=1) == [(0, 0), (0, 1), (1, 0), (1, 1)]


@pytest.mark.parametrize(
    ("name", "change", "quantity"),
    [
        ("filter_pairs", lambda path: replace(path, beta=path.beta * (1 + 1e-8)), "hedge filter, beta"),
        ("make_signals", lambda made: replace(made, z=np.where(made.z > 0, made.z + 1e-6, made.z)), "z-score"),
        ("scan_task", lambda scan: replace(scan, eg_stat_12=scan.eg_stat_12 * (1 + 1e-8)), "Engle-Granger statistic"),
        ("scan_task", lambda scan: replace(scan, var_order=scan.var_order + 1), "VAR order"),
    ],
)
def test_a_kernel_that_deviates_is_named_and_the_exit_code_tells(name, change, quantity, monkeypatch):
    original = getattr(oracle_check, name)
    monkeypatch.setattr(oracle_check, name, lambda *args, **options: change(original(*args, **options)))
    said = call("verify", "--pairs", "2", *SHORT)
    assert said.code == 4, said
    assert quantity in said.err
    assert "<- too much" in said.out
    assert is_one_paragraph(said.err)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("verify") / "run"
    run(Config.load(None, ["data.end=2008-06-30", "comparison.draws=100"]), out=out)
    return out


def test_a_folder_verifies_and_a_report_written_again_belongs_to_it(folder):
    assert call("verify", folder).code == 0
    before = (folder / "report.html").read_bytes()
    said = call("report", folder, "--pair", "AAPL,MSFT")
    if said.code == 0:
        assert (folder / "report.html").read_bytes() != before
    assert call("verify", folder).code == 0
    assert call("report", folder).code == 0
    assert call("verify", folder).code == 0
    assert (folder / "report.html").read_bytes() == before


def test_a_damaged_file_is_named(folder):
    path = folder / "fills.parquet"
    kept = path.read_bytes()
    flip(path)
    said = call("verify", folder)
    path.write_bytes(kept)
    assert said.code == 3
    assert "fills.parquet" in said.err
    assert is_one_paragraph(said.err)


def test_an_unfinished_run_is_told_from_a_damaged_one(tmp_path, monkeypatch):
    def stops(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "write_table", stops)
        with pytest.raises(KeyboardInterrupt):
            run(Config.load(None, ["data.end=2008-06-30"]), out=tmp_path / "run", report=False)
    flip(tmp_path / "run" / "parts" / "2007-03-31.part")
    said = call("verify", tmp_path / "run")
    assert said.code == 4
    assert "5 windows are kept and verify, 1 must be made again" in said.err
