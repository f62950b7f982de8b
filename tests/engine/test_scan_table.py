"""Tables that are made in pieces are the tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from pairs_bt import Config, load_run, run
from pairs_bt.backtest.study import Study
from pairs_bt.engine import scan_table
from pairs_bt.engine.scan_file import write_scan
from pairs_bt.report.page import write_report
from pairs_bt.runner import open_study, scan_all, scan_windows

SHORT = ["data.end=2007-12-31", "comparison.draws=100", "selection.alpha=0.2"]


@pytest.fixture(scope="module")
def config() -> Config:
    return Config.load(None, SHORT)


@pytest.fixture(scope="module")
def study(config: Config) -> Study:
    return open_study(config)


@pytest.mark.parametrize("rows", [1, 7, 190, 1000])
def test_pieces_are_the_table(study: Study, rows: int) -> None:
    table = next(scan_windows(study))
    pieces = [piece.frame() for piece in table.pieces(rows)]
    assert [len(piece) for piece in pieces] == [min(rows, 190 - lo) for lo in range(0, 190, rows)]
    pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True), table.frame())


def test_a_run_in_pieces_has_the_tables_of_one_that_is_not(config, tmp_path, monkeypatch):
    whole = run(config, out=tmp_path / "whole", report=False)
    monkeypatch.setattr(scan_table.ScanTable.pieces, "__defaults__", (50,))
    pieces = run(config, out=tmp_path / "pieces", report=False)
    assert pq.ParquetFile(tmp_path / "pieces" / "tests.parquet").num_row_groups == 4 * len(whole.windows)
    for name in ("tests", "half_lives", "trades", "fills"):
        pd.testing.assert_frame_equal(getattr(whole, name), getattr(pieces, name))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_scan_is_written_in_pieces(study, tmp_path, monkeypatch, suffix):
    expected = scan_all(study)
    monkeypatch.setattr(scan_table.ScanTable.pieces, "__defaults__", (50,))
    path = tmp_path / f"tests.{suffix}"
    found = write_scan(scan_windows(study), path)
    stored = pd.read_parquet(path) if suffix == "parquet" else pd.read_csv(path, keep_default_na=False, na_values=[""])
    if suffix == "parquet":
        pd.testing.assert_frame_equal(stored, expected)
    else:
        assert len(stored) == len(expected)
        assert stored["s2"].tolist() == expected["s2"].tolist()
        assert stored["trace0"].tolist() == expected["trace0"].tolist()
    counts = expected["reason"].where(expected["reason"] != "", "selected").value_counts()
    assert dict(found.outcomes) == counts.to_dict()
    first = expected[expected["selected"] & (expected["test_end"] == expected["test_end"].min())]
    evidence = first[["eg_pvalue_12", "eg_pvalue_21"]].min(axis=1)
    first = first.loc[evidence.sort_values().index]
    assert found.lines[0].startswith(f"2006-12-31  {len(first):8d}  {first['y'].iloc[0]}/{first['x'].iloc[0]}, ")


def test_only_candidates_are_kept_where_that_is_asked_for(config, tmp_path: Path) -> None:
    few = config.with_changes('selection.keep="selected"')
    whole, kept = run(config), run(few, out=tmp_path / "run")
    stored = load_run(tmp_path / "run")
    chosen = whole.tests[whole.tests["selected"]].reset_index(drop=True)
    for made in (kept, stored, run(few)):
        pd.testing.assert_frame_equal(made.tests, chosen)
        pd.testing.assert_frame_equal(made.windows, whole.windows)
        assert made.expected_by_chance == whole.expected_by_chance
        assert made.counts == whole.counts
    pd.testing.assert_frame_equal(stored.trades, whole.trades)
    write_report(stored, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert f"{190 * len(whole.windows):,}" in page


def test_counts_are_those_of_the_table(study: Study) -> None:
    for table in scan_windows(study):
        frame = table.frame()
        assert table.counts == {
            "pairs": len(frame),
            "tested": int(frame["eg_stat_12"].notna().sum()),
            "passed": int((frame["selected"] | (frame["reason"] == "max_pairs")).sum()),
            "selected": int(frame["selected"].sum()),
        }
