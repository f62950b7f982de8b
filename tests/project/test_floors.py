"""The house: every module has a room, a room imports only rooms before it, nothing goes round in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.draw_house import ORDER, graph_of, imports_of, modules_of, room_of

PACKAGE = Path(__file__).resolve().parents[2] / "pairs_bt"

MODULES_A_ROOM = 13
LINES_A_MODULE = 500
LINES_A_FUNCTION = 60
# Functions that are longer, with their lines: none may grow, none may be added.
LONG_FUNCTIONS: dict[str, int] = {}
KERNELS_MAY_IMPORT = {"numpy", "numba", "llvmlite", "math", "operator", "collections", "typing", "__future__"}
# Files of a package that say what is in it.
NO_MODULES = ("__init__", "__main__")


def wrong_order(graph: dict[str, set[str]]) -> list[str]:
    """Imports of a room that comes later; the package's own face is above all."""
    return [
        f"{name} imports {other}"
        for name, reached in sorted(graph.items())
        for other in sorted(reached)
        if ORDER.index(room_of(other)) > ORDER.index(room_of(name))
    ]


def homeless(graph: dict[str, set[str]]) -> list[str]:
    """Modules that are in no room."""
    return [name for name in sorted(graph) if room_of(name) not in ORDER]


def circles(graph: dict[str, set[str]]) -> list[str]:
    """Modules that, one by one, import each other."""
    left = {name: {other for other in reached if other != name} for name, reached in graph.items()}
    while free := [name for name, reached in left.items() if not reached & left.keys()]:
        for name in free:
            del left[name]
    return sorted(left)


def crowded(names: set[str]) -> list[str]:
    """Rooms, and inner rooms, of more modules than a person can overlook; an inner room counts as one."""
    inside: dict[str, set[str]] = {}
    for name in names:
        parts = name.split(".")
        for depth in range(1, len(parts)):
            inside.setdefault(".".join(parts[:depth]), set()).add(parts[depth])
    return [f"{room}: {len(held)}" for room, held in sorted(inside.items()) if len(held) > MODULES_A_ROOM]


def long_modules(files: dict[str, Path]) -> list[str]:
    """Modules of too many lines; a kernel file may be longer, because Numba's cache does not see another file."""
    counts = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in files.items()}
    return [f"{name}: {n}" for name, n in counts.items() if n > LINES_A_MODULE and room_of(name) != "kernels"]


def long_functions(files: dict[str, Path]) -> dict[str, int]:
    """Functions of too many lines outside kernels, their docstring not counted."""
    out = {}
    for name, path in files.items():
        if room_of(name) != "kernels":
            for node in _functions(ast.parse(path.read_text(encoding="utf-8"))):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1 - _doc_lines(node)
                if lines > LINES_A_FUNCTION:
                    out[f"{name}.{node.name}"] = lines
    return out


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def _doc_lines(node: ast.FunctionDef) -> int:
    first = node.body[0]
    said = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return (first.end_lineno or first.lineno) - first.lineno + 1 if said else 0


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    return graph_of(PACKAGE)


@pytest.fixture(scope="module")
def files() -> dict[str, Path]:
    return modules_of(PACKAGE)


def test_every_module_has_a_room(graph) -> None:
    assert homeless(graph) == []
    assert homeless(graph | {"attic": set()}) == ["attic"]


def test_rooms_import_only_rooms_before_them(graph) -> None:
    assert wrong_order(graph) == []
    planted = graph | {"data.prices": graph["data.prices"] | {"backtest.study"}}
    assert wrong_order(planted) == ["data.prices imports backtest.study"]


def test_audit_and_sweep_do_not_import_each_other(graph) -> None:
    def between(edges: dict[str, set[str]]) -> list[str]:
        rooms = {"audit", "sweep"}
        return [
            f"{name} imports {other}"
            for name, reached in edges.items()
            for other in reached
            if {room_of(name), room_of(other)} == rooms
        ]

    assert between(graph) == []
    assert between({"sweep.grid": {"audit.page"}}) == ["sweep.grid imports audit.page"]


def test_nothing_imports_in_a_circle(graph) -> None:
    assert circles(graph) == []
    planted = graph | {"report.blocks": graph["report.blocks"] | {"report.page"}}
    assert {"report.blocks", "report.page"} <= set(circles(planted))


@pytest.mark.parametrize(
    "text",
    [
        "from pairs_bt.report.page import write_report",
        "import pairs_bt.report.page",
        "from pairs_bt.report import page",
        "def f():\n    from pairs_bt.report.page import write_report",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pairs_bt.report.page import write_report",
        "from ..report.page import write_report",
        "from ..report import page",
        "from importlib import import_module\nimport_module('pairs_bt.report.page')",
    ],
)
def test_an_import_is_seen_wherever_it_stands(text: str, files, tmp_path) -> None:
    assert imports_of(text, "data.prices", set(files)) == {"report.page"}


def test_rooms_modules_and_functions_are_of_a_size_that_can_be_read(files, tmp_path) -> None:
    assert crowded(set(files)) == []
    assert crowded({f"stats.m{k}" for k in range(14)}) == ["stats: 14"]
    assert crowded({f"stats.inner.m{k}" for k in range(13)}) == []
    assert long_modules(files) == []
    assert long_functions(files) == LONG_FUNCTIONS
    long = tmp_path / "long.py"
    long.write_text("def f():\n" + "    x = 1\n" * 600)
    assert long_modules({"stats.long": long}) == ["stats.long: 601"]
    assert long_functions({"stats.long": long}) == {"stats.long.f": 601}
    assert long_functions({"kernels.long": long}) == {}


def test_the_package_has_few_entries() -> None:
    entries = [path.name for path in PACKAGE.iterdir() if path.name not in ("__pycache__", "assets")]
    assert len(entries) <= 24, sorted(entries)


def test_kernels_import_nothing_of_ours_and_no_pandas(graph, files) -> None:
    for name, path in files.items():
        if room_of(name) == "kernels":
            assert not graph[name], name
            assert outside_imports(path.read_text(encoding="utf-8")) <= KERNELS_MAY_IMPORT, name
    assert outside_imports("import pandas as pd\nfrom numba import njit") == {"pandas", "numba"}


def outside_imports(text: str) -> set[str]:
    out: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            out |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            out.add((node.module or "").split(".")[0])
    return out


def test_old_doors_open() -> None:
    from importlib import import_module

    from pairs_bt.common.old_paths import MOVED

    for old, new in MOVED.items():
        assert import_module(old) is import_module(new), old
        assert import_module(new).__spec__.name == new


def test_the_picture_of_the_house_is_current() -> None:
    from benchmarks.draw_house import PICTURE, draw

    assert PICTURE.read_text(encoding="utf-8") == draw(graph_of(PACKAGE)), "run python benchmarks/draw_house.py"
    more = graph_of(PACKAGE) | {"stats.new_module": {"errors"}}
    assert draw(more) != PICTURE.read_text(encoding="utf-8")
