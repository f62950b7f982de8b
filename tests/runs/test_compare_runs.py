"""Runs side by side: aligned dates, named differences, the same statistics, helpful refusals."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pairs_bt import Config, load_run, run
from pairs_bt.errors import ConfigError, DataError
from pairs_bt.report.blocks import Cell, Row, Table
from pairs_bt.report.run_comparison import as_text, render_comparison, tables
from pairs_bt.results import Run
from pairs_bt.runs.run_comparison import compare_runs, config_table, named_folders
from pairs_bt.stats.comparison import compare_variants
from tests.cli_tools import call, is_one_paragraph
from tests.report.test_report import self_contained

BASE = [
    "data.end=2009-12-31",
    "comparison.draws=100",
    'hedge.variants=["dynamic", "averaged"]',
    'hedge.rehedge=["never"]',
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("runs")
    changes = {
        "plain": [],
        "eager": ["signal.entry=1.5", "data.end=2008-12-31"],
        "later": ["data.start=2012-01-01", "data.end=2015-12-31"],
    }
    for name, more in changes.items():
        run(Config.load(None, [*BASE, *more]), out=root / name, report=False)
    return {name: root / name for name in changes}


@pytest.fixture(scope="module")
def runs(folders: dict[str, Path]) -> dict[str, Run]:
    return {name: load_run(folder) for name, folder in folders.items()}


def test_dates_are_those_that_all_share(runs: dict[str, Run]) -> None:
    pair = {name: runs[name] for name in ("plain", "eager")}
    found = compare_runs(pair)
    shared = sorted(set(runs["plain"].net.index) & set(runs["eager"].net.index))
    assert list(found.net.index) == shared
    assert list(found.net.columns) == ["plain / dynamic", "plain / averaged", "eager / dynamic", "eager / averaged"]
    for name, one in pair.items():
        for variant in ("dynamic", "averaged"):
            expected = one.net.loc[shared, variant].to_numpy()
            np.testing.assert_array_equal(found.net[f"{name} / {variant}"].to_numpy(), expected)
    assert found.days["in common"].tolist() == [len(shared)] * 2
    entered = runs["plain"].trades
    entered = entered[(entered["variant"] == "dynamic") & entered["entry_date"].isin(shared)]
    assert found.series.loc["plain / dynamic", "trades"] == len(entered)


def test_the_statistics_are_the_ones_of_a_run(runs: dict[str, Run]) -> None:
    found = compare_runs({name: runs[name] for name in ("plain", "eager")})
    across = {(a, b) for a, b in combinations(found.net, 2) if a.split(" / ")[0] != b.split(" / ")[0]}
    expected = compare_variants(found.net, draws=100, block=126, seed=7, pairs=across)
    pd.testing.assert_frame_equal(found.comparison.differences, expected.differences)
    assert found.verdict == expected.verdict
    assert len(found.comparison.differences) == 4
    # Two variants of one run are that run's own comparison: neither its tests nor the verdict are about them.
    assert all(a.split(" / ")[0] != b.split(" / ")[0] for a, b in _pairs(found.comparison.differences))
    every = compare_variants(found.net, draws=100, block=126, seed=7)
    own = every.differences.set_index(["first", "second"]).loc[list(_pairs(expected.differences))]
    np.testing.assert_array_equal(own["pvalue"], expected.differences["pvalue"])
    assert (expected.differences["pvalue_holm"].to_numpy() <= own["pvalue_holm"].to_numpy()).all()
    assert found.across[["first", "second"]].to_numpy().tolist() == [
        ["plain / dynamic", "eager / dynamic"],
        ["plain / averaged", "eager / averaged"],
    ]


def _pairs(differences: pd.DataFrame) -> list[tuple[str, str]]:
    return list(differences[["first", "second"]].itertuples(index=False, name=None))


def test_equal_series_are_named_and_count_once(runs: dict[str, Run]) -> None:
    found = compare_runs({"one": runs["plain"], "two": runs["plain"], "eager": runs["eager"]})
    assert list(found.members) == [
        "one / dynamic = two / dynamic",
        "one / averaged = two / averaged",
        "eager / dynamic",
        "eager / averaged",
    ]
    assert found.identical == [("one / dynamic", "two / dynamic"), ("one / averaged", "two / averaged")]
    # one/dynamic against two/averaged is a pair of two runs, so all six pairs but the one inside eager are there
    assert len(found.comparison.differences) == 5
    assert "one / dynamic and two / dynamic are equal on every date and count once." in found.verdict
    assert len(found.across) == 2


def test_only_the_keys_that_differ_are_named(runs: dict[str, Run]) -> None:
    table = config_table({name: runs[name] for name in ("plain", "eager")})
    assert list(table.index) == ["data.end", "signal.entry"]
    assert table.loc["signal.entry"].tolist() == ["2.0", "1.5"]
    assert config_table({"a": runs["plain"], "b": runs["plain"]}).empty


def test_a_rule_is_the_same_variant_whatever_stands_beside_it(runs: dict[str, Run]) -> None:
    changes = ['hedge.rehedge=["never", "daily"]', "data.end=2008-12-31", "signal.entry=1.5"]
    both = Config.load(None, [*BASE[:-1], *changes])
    found = compare_runs({"plain": runs["plain"], "both": run(both)})
    assert [pair for pair in _pairs(found.across) if "dynamic" in pair[0]] == [
        ("plain / dynamic", "both / dynamic-frozen")
    ]
    assert list(found.by_variant()["dynamic"].columns) == ["plain", "both"]
    page = render_comparison(found)
    assert "Growth of 1, net: dynamic / dynamic-frozen<" in page
    assert "Growth of 1, net: dynamic-rehedged<" in page


def test_variants_can_be_chosen(runs: dict[str, Run]) -> None:
    pair = {name: runs[name] for name in ("plain", "eager")}
    assert list(compare_runs(pair, variants=["averaged"]).net.columns) == ["plain / averaged", "eager / averaged"]
    with pytest.raises(ConfigError, match="No run has a variant 'nonsense'; they have averaged, dynamic"):
        compare_runs(pair, variants=["nonsense"])


def test_a_run_against_itself_differs_in_nothing(runs: dict[str, Run]) -> None:
    found = compare_runs({"one": runs["plain"], "two": runs["plain"]}, variants=["dynamic"])
    assert found.comparison.differences.empty
    assert found.verdict == "one / dynamic and two / dynamic are equal on every date: there is nothing to compare."
    assert "The configs, prices and versions are the same." in self_contained(render_comparison(found)).text


def test_runs_without_common_dates_are_refused(runs: dict[str, Run]) -> None:
    with pytest.raises(DataError, match=r"share 0 trading dates.*eager trades from 2007.*later trades from 2014"):
        compare_runs({name: runs[name] for name in ("eager", "later")})
    with pytest.raises(ConfigError, match="at least two"):
        compare_runs({"plain": runs["plain"]})


def test_folders_get_the_shortest_names_that_tell_them_apart(tmp_path: Path) -> None:
    names = named_folders([tmp_path / "a" / "demo", tmp_path / "b" / "demo"])
    assert list(names) == ["a/demo", "b/demo"]
    assert list(named_folders([Path("x/one"), Path("x/two")])) == ["one", "two"]
    with pytest.raises(ConfigError, match="given twice"):
        named_folders([Path("x/one"), Path("x/../x/one")])


def test_the_command_prints_and_writes(folders: dict[str, Path], tmp_path: Path) -> None:
    said = call("compare", folders["plain"], folders["eager"], "--out", tmp_path / "page.html")
    assert said.code == 0, said.err
    for words in ("signal.entry", "plain / dynamic", "eager / averaged", "The same variant in two runs", "p (Holm)"):
        assert words in said.out, words
    assert said.out.isascii()
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = self_contained(html)
    assert "plain / dynamic over eager / dynamic" in page.text
    again = compare_runs({name: load_run(folders[name]) for name in ("plain", "eager")})
    assert render_comparison(again) == html


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("plain", "nothing"), 3, "holds no finished run"),
        (("plain",), 2, "at least two"),
        (("plain", "plain"), 2, "given twice"),
        (("eager", "later"), 3, "share 0 trading dates"),
    ],
)
def test_what_cannot_be_compared_is_one_paragraph(
    folders: dict[str, Path], tmp_path: Path, args: tuple[str, ...], code: int, words: str
) -> None:
    said = call("compare", *(folders.get(name, tmp_path / name) for name in args))
    assert said.code == code
    assert words in said.err
    assert is_one_paragraph(said.err)
    assert not said.out


def test_text_tables_line_up() -> None:
    table = Table(
        ["", "long name", "text"], [Row("a", ["1.00", Cell("x", "text")]), Row("bb", ["-10.00", Cell("yy", "text")])]
    )
    assert as_text(table).splitlines() == [
        "    long name  text",
        "-------------------",
        "a        1.00  x",
        "bb     -10.00  yy",
    ]


def test_every_table_has_a_cell_for_every_head(runs: dict[str, Run]) -> None:
    found = compare_runs({name: runs[name] for name in ("plain", "eager")})
    for table in tables(found).values():
        assert all(len(row.cells) == len(table.head) - 1 for row in table.rows)
