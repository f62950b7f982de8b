"""Draw the rooms of the package and their imports: python benchmarks/draw_house.py writes docs/house.svg."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "house.svg"

# Lowest first: a room imports only rooms before it.
ORDER = (
    "errors", "common", "data", "config", "kernels", "models", "stats", "backtest", "engine", "runs", "report",
    "results", "runner", "pair_study", "audit", "sweep", "cli",
)  # fmt: skip
# Files of a package that are no modules of a room, and doors at old paths.
_NO_MODULES = ("__init__", "__main__")
_DOOR = '"""An old door'

_WIDTH, _ROW, _BOX, _LEFT, _TOP = 760, 46, 300, 30, 24
_FONT = 'font-family="system-ui, sans-serif"'


def room_of(module: str) -> str:
    """The room of a module named from the package on."""
    return module.split(".")[0]


def modules_of(package: Path) -> dict[str, Path]:
    """Every module by its name from the package on; doors at old paths are none."""
    out = {}
    for path in sorted(package.rglob("*.py")):
        if path.stem not in _NO_MODULES and not path.read_text(encoding="utf-8").startswith(_DOOR):
            out[".".join(path.relative_to(package).with_suffix("").parts)] = path
    return out


def imports_of(text: str, module: str, known: set[str]) -> set[str]:
    """Modules of ours that a text imports: at the top, inside functions, for types alone, or by name."""
    out: set[str] = set()
    package = ["pairs_bt", *module.split(".")[:-1]]

    def add(name: str) -> None:
        name = name.removeprefix("pairs_bt").lstrip(".")
        while name and name not in known:
            name = name.rpartition(".")[0]
        if name:
            out.add(name)

    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package[: len(package) + 1 - node.level], *([base] if base else [])])
            if base.split(".")[0] == "pairs_bt":
                for alias in node.names:
                    add(f"{base}.{alias.name}")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "pairs_bt":
                    add(alias.name)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module":
            for value in node.args[:1]:
                if isinstance(value, ast.Constant) and str(value.value).startswith("pairs_bt."):
                    add(value.value)
    return out


def graph_of(package: Path) -> dict[str, set[str]]:
    """What every module imports of ours."""
    files = modules_of(package)
    known = set(files)
    return {name: imports_of(path.read_text(encoding="utf-8"), name, known) for name, path in files.items()}


def draw(graph: dict[str, set[str]]) -> str:
    """The picture as SVG: rooms from the lowest up, with their modules counted, and who imports whom."""
    rooms = [room for room in ORDER if any(room_of(name) == room for name in graph)]
    count = {room: sum(room_of(name) == room for name in graph) for room in rooms}
    edges: dict[tuple[str, str], int] = {}
    for name, reached in graph.items():
        for other in reached:
            if room_of(other) != room_of(name):
                pair = (room_of(name), room_of(other))
                edges[pair] = edges.get(pair, 0) + 1
    height = _TOP * 2 + _ROW * len(rooms)
    y = {room: height - _TOP - _ROW * (k + 1) for k, room in enumerate(rooms)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'{_FONT} font-size="13">',
        "<title>The rooms of pairs_bt: each imports only rooms below it</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    right = _LEFT + _BOX
    for (above, below), number in sorted(edges.items(), key=lambda item: -abs(y[item[0][0]] - y[item[0][1]])):
        start, stop = y[above] + 18, y[below] + 18
        reach = right + 24 + 0.52 * abs(stop - start)
        strength = min(3.0, 0.7 + 0.12 * number)
        parts.append(
            f'<path d="M{right} {start} C{reach:.0f} {start} {reach:.0f} {stop} {right} {stop}" fill="none" '
            f'stroke="#7a8a99" stroke-width="{strength:.1f}" stroke-opacity="0.55">'
            f"<title>{above} imports {below}: {number}</title></path>"
        )
    for room in rooms:
        what = "1 module" if count[room] == 1 else f"{count[room]} modules"
        parts += [
            f'<rect x="{_LEFT}" y="{y[room]}" width="{_BOX}" height="36" rx="4" fill="#eef3f7" stroke="#8aa0b3"/>',
            f'<text x="{_LEFT + 12}" y="{y[room] + 23}" font-weight="600" fill="#1d2b36">{room}</text>',
            f'<text x="{right - 12}" y="{y[room] + 23}" text-anchor="end" fill="#54636f">{what}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    PICTURE.write_text(draw(graph_of(ROOT / "pairs_bt")), encoding="utf-8")


if __name__ == "__main__":
    main()
