"""The table of mutants fits the code: each edit has its one place, and each test that must notice is there."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

import pytest

from benchmarks import mutants
from benchmarks.mutant_table import MUTANTS

ROOT = Path(__file__).resolve().parents[2]


@lru_cache
def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.id)
def test_each_edit_has_its_one_place_and_still_compiles(mutant) -> None:
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1
    assert mutant.old != mutant.new
    ast.parse(text.replace(mutant.old, mutant.new))


def test_each_mutant_has_tests_or_a_reason_and_a_name_of_its_own() -> None:
    assert len({mutant.id for mutant in MUTANTS}) == len(MUTANTS)
    for mutant in MUTANTS:
        assert bool(mutant.tests) != bool(mutant.same), mutant.id
        for test in mutant.tests:
            file, name = test.split("::")
            assert name in functions_of(file), test


def test_there_are_eighty_that_have_to_be_noticed() -> None:
    assert sum(not mutant.same for mutant in MUTANTS) >= 80


def test_a_mutant_is_judged_by_its_tests(tmp_path, monkeypatch, capsys) -> None:
    """One that is noticed and one that is not, on a package of one line."""
    for name in (*mutants.COPIED, *mutants.LINKED):
        (tmp_path / "root" / name).mkdir(parents=True)
    root = tmp_path / "root"
    (root / "pyproject.toml").write_text("")
    (root / "pairs_bt" / "__init__.py").write_text("")
    (root / "pairs_bt" / "double.py").write_text("def double(x):\n    return 2 * x  # twice\n")
    (root / "tests" / "test_double.py").write_text(
        "from pairs_bt.double import double\n\n\ndef test_double():\n    assert double(2) == 4\n"
    )
    made = mutants.Mutant("a-1", "pairs_bt/double.py", "2 * x", "3 * x", ("tests/test_double.py::test_double",))
    monkeypatch.setattr(mutants, "ROOT", root)
    monkeypatch.setattr(mutants, "MUTANTS", [made])
    assert mutants.main([]) == 0
    monkeypatch.setattr(mutants, "MUTANTS", [made, made._replace(id="a-2", new="x * x")])
    assert mutants.main([]) == 1
    assert "1 of 2 killed (50.0%); survived: a-2" in capsys.readouterr().out
    monkeypatch.setattr(mutants, "MUTANTS", [made._replace(tests=("tests/test_double.py::test_none",))])
    with pytest.raises(SystemExit, match="do not pass on the code as it is"):
        mutants.main([])
