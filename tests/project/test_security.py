"""No code from data, no file outside the folder, no formula in a spreadsheet, nothing fetched."""

from __future__ import annotations

import ast
import csv
import io
import pickle
import re
import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pairs_bt import load_run
from pairs_bt.common.csv_text import to_csv
from tests.bad_inputs import good_frame
from tests.cli_tools import SHORT, call

PACKAGE = Path(__file__).resolve().parents[2] / "pairs_bt"
SOURCES = sorted(PACKAGE.rglob("*.py"))
NASTY = [
    "../x",
    "/etc/passwd",
    "<script>alert(1)</script>",
    "=cmd()",
    "a\\b",
    "+1",
    "@SUM(A1)",
    "-2",
    "{{ 7*7 }}",
    "%n",
]


def calls(tree: ast.AST) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_module_can_run_data_or_fetch_anything(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
    }
    forbidden = {
        "pickle",
        "marshal",
        "shelve",
        "dill",
        "joblib",
        "yaml",
        "urllib",
        "requests",
        "http",
        "ftplib",
        "ctypes",
    }
    made = calls(tree)
    if path.relative_to(PACKAGE).as_posix() == "common/freed_memory.py":
        # of the C library two functions that take numbers, and nothing by a name that data could give
        forbidden -= {"ctypes"}
        assert {name for name in made if "ctypes" in name} == {
            "ctypes.CDLL", "ctypes.CDLL(None).mallopt", "ctypes.CDLL(None).malloc_trim",
        }  # fmt: skip
    assert not imported & forbidden
    assert not made & {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "pd.read_pickle", "pd.eval"}
    assert not any(name.endswith((".read_pickle", ".to_pickle", ".query", "DataFrame.eval")) for name in made)
    assert "shell=True" not in path.read_text(encoding="utf-8")


def test_arrays_are_read_without_pickles():
    found = [path for path in SOURCES if re.search(r"np\.load\(", path.read_text(encoding="utf-8"))]
    assert found
    for path in found:
        for text in re.findall(r"np\.load\(.*\)", path.read_text(encoding="utf-8")):
            assert "allow_pickle=False" in text


class Bomb:
    def __reduce__(self) -> tuple:
        return (open, ("exploded", "w"))


def test_a_pickle_is_never_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("prices.csv", "prices.parquet", "prices.pkl"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
        (tmp_path / "config.toml").write_text(f'[data]\npath = "{name}"\n')
        assert call("run", tmp_path / "config.toml", "--out", tmp_path / "out").code == 3
    assert not (tmp_path / "exploded").exists()


def test_a_part_with_a_pickle_in_it_is_never_opened(tmp_path, monkeypatch):
    from pairs_bt.engine.window_parts import Parts

    monkeypatch.chdir(tmp_path)
    array = io.BytesIO()
    np.save(array, np.array([Bomb()], dtype=object), allow_pickle=True)
    parts = Parts(tmp_path, "a run", ["2020"])
    with parts.store.writing_blocks("2020") as blocks:
        place = blocks.add(array.getvalue())
        cohort = {"k": 0, "selected": 1, "arrays": {"daily": ["dynamic"], "delayed": []}}
        blocks.about = {"cohort": cohort, "arrays": {"daily": place}}
    with pytest.raises(ValueError, match="allow_pickle"):
        parts.cohorts()
    assert not (tmp_path / "exploded").exists()


@pytest.fixture(scope="module")
def nasty_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on tickers with nasty names, of which every pair that can is a candidate."""
    folder = tmp_path_factory.mktemp("nasty")
    steps = np.random.default_rng(3).normal(0, 0.01, (200, len(NASTY)))
    index = pd.bdate_range("2020-01-01", periods=200, name="date")
    pd.DataFrame(50 * np.exp(steps.cumsum(axis=0)), index=index, columns=NASTY).to_csv(folder / "prices.csv")
    (folder / "config.toml").write_text(
        f'[data]\npath = "prices.csv"\n{SHORT}\n[selection]\nalpha = 0.9\njohansen = "book"\ncombine = "any"\n'
    )
    said = call("run", folder / "config.toml", "--out", folder / "run")
    assert said.code == 0, said.err
    return folder


def test_names_of_tickers_never_become_names_of_files(nasty_run):
    names = {path.relative_to(nasty_run).as_posix() for path in nasty_run.rglob("*")}
    known = re.compile(
        r"(prices\.csv|config\.toml|run|run/(spreads|[a-z_]+\.(parquet|csv|json|html|toml)|config\.resolved\.json)"
        r"|run/spreads/test_end=\d{4}-\d\d-\d\d(/part-0\.parquet)?)"
    )
    assert {name for name in names if not known.fullmatch(name)} == set()


def test_the_report_escapes_every_name(nasty_run):
    page = (nasty_run / "run" / "report.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    assert "alert(1)" in page


def test_the_report_fetches_nothing(nasty_run):
    page = (nasty_run / "run" / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href|action|data)\s*=\s*["']?\s*(https?:)?//""", page)
    assert not re.search(r"@import|url\(\s*['\"]?https?:", page)


def test_the_names_come_back_as_they_went_in(nasty_run):
    assert set(load_run(nasty_run / "run").tests["s1"]) | set(load_run(nasty_run / "run").tests["s2"]) == set(NASTY)


def test_an_exported_csv_holds_no_formula(nasty_run):
    out = nasty_run / "scan.csv"
    try:
        assert call("scan", nasty_run / "config.toml", "--out", out).code == 0
        with out.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
    finally:
        out.unlink(missing_ok=True)
    assert rows
    for row in rows:
        for name in ("s1", "s2", "y", "x", "reason"):
            assert not row[name].startswith(("=", "+", "-", "@"))
    assert {row["s1"].removeprefix("'") for row in rows} <= set(NASTY)
    assert any(float(row["eg_stat_12"]) < 0 for row in rows if row["eg_stat_12"])


def test_csv_text_quotes_text_and_leaves_numbers():
    table = pd.DataFrame({"=a": ["=1+1", "b", None], "n": [-1.5, 2.0, np.nan], "d": pd.to_datetime(["2020-01-01"] * 3)})
    assert to_csv(table) == "'=a,n,d\n'=1+1,-1.5,2020-01-01\nb,2.0,2020-01-01\n,,2020-01-01\n"


def test_nothing_is_fetched(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the program tried to reach the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for key in ("data.path", "universe.pairs", "universe.membership", "execution.borrow_table"):
        good_frame().to_csv(tmp_path / "prices.csv")
        (tmp_path / "config.toml").write_text(f'[data]\npath = "prices.csv"\n{SHORT}')
        said = call(
            "run", tmp_path / "config.toml", "--out", tmp_path / "out", "--set", f"{key}=https://127.0.0.1:9/x.csv"
        )
        assert said.code in (2, 3), said


def test_a_config_cannot_name_code(tmp_path):
    good_frame().to_csv(tmp_path / "prices.csv")
    for text in ('variants = ["os.system"]', "variants = [\"__import__('os')\"]", 'rehedge = ["lambda: 0"]'):
        path = tmp_path / "config.toml"
        path.write_text(f'[data]\npath = "prices.csv"\n{SHORT}\n[hedge]\n{text}\n')
        assert call("run", path, "--out", tmp_path / "out").code == 2
