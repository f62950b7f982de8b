"""A module imports only from floors below its own, and kernels import nothing of ours."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "pairs_bt"


def imports_of(path: Path, *, inside_functions: bool = True) -> set[str]:
    """Modules of ours that `path` imports, but for those under TYPE_CHECKING."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.FunctionDef) and not inside_functions:
            return
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                package = ["pairs_bt", *path.relative_to(PACKAGE).parts[:-1]]
                module = ".".join([*package[: len(package) + 1 - node.level], *([module] if module else [])])
            if module == "pairs_bt":
                found.update(f"pairs_bt.{alias.name}" for alias in node.names if not alias.name.startswith("__"))
            elif module.startswith("pairs_bt."):
                found.add(module)
                found.update(
                    f"{module}.{alias.name}"
                    for alias in node.names
                    if (PACKAGE / Path(*module.split(".")[1:]) / f"{alias.name}.py").exists()
                )
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name.startswith("pairs_bt."))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return found


def modules() -> dict[str, Path]:
    return {
        ".".join(["pairs_bt", *path.relative_to(PACKAGE).with_suffix("").parts]): path
        for path in PACKAGE.rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py")
    }


def test_kernels_import_nothing_of_ours_and_no_pandas() -> None:
    for path in (PACKAGE / "kernels").glob("*.py"):
        assert not imports_of(path), path.name
        names = {n for node in ast.walk(ast.parse(path.read_text())) for n in _top(node)}
        assert names <= {"numpy", "numba", "math", "collections", "typing", "__future__"}, (path.name, names)


def _top(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [(node.module or "").split(".")[0]]
    return []


def test_no_module_imports_one_that_imports_it() -> None:
    """Floors exist: the imports have an order, so no two modules need each other."""
    graph = {name: imports_of(path, inside_functions=False) & set(modules()) for name, path in modules().items()}
    placed: set[str] = set()
    while len(placed) < len(graph):
        floor = {name for name in graph if name not in placed and graph[name] <= placed}
        assert floor, f"these import each other: {sorted(set(graph) - placed)}"
        placed |= floor


# The stages in the order of the pipeline: none imports one to its right.
ORDER = (
    "errors", "config", "prices", "windows", "selection", "hedge", "signals", "ledger", "study", "tasks", "tables",
    "portfolio", "pipeline", "store", "runner", "cli",
)  # fmt: skip


def test_stages_import_only_stages_before_them() -> None:
    for place, name in enumerate(ORDER):
        reached = {module.split(".")[1] for module in imports_of(PACKAGE / f"{name}.py")}
        above = reached & set(ORDER[place + 1 :])
        assert not above, f"{name} imports {above}"
