"""The README's commands exist, its example runs, and the numbers on it and in docs are what the program prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import readme
from pairs_bt.cli.commands import cli
from pairs_bt.config.schema import Config

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(readme.BLOCKS))
def test_numbers_are_what_the_program_prints(name: str, monkeypatch, tmp_path) -> None:
    # The figure is drawn elsewhere: the one in docs/ stays what it is.
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(readme, "ROOT", tmp_path if name == "answer" else ROOT)
    page = (ROOT / readme.PAGES[name]).read_text(encoding="utf-8")
    shown = re.search(rf"<!-- begin {name} -->\n(.*?)<!-- end {name} -->", page, re.DOTALL)
    assert shown is not None
    assert shown[1].strip() == readme.BLOCKS[name]().strip()


def test_every_marked_block_is_one_that_is_compared() -> None:
    pages = ["README.md", *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]
    found = {
        (page, name)
        for page in pages
        for name in re.findall(r"<!-- begin (\w+) -->", (ROOT / page).read_text(encoding="utf-8"))
    }
    # That one takes many minutes: benchmarks/planted_truth.py --markdown prints it.
    assert found - {("docs/method.md", "planted")} == {(page, name) for name, page in readme.PAGES.items()}


def test_the_first_screen_shows_the_figure_the_answer_the_commands_and_own_prices() -> None:
    lines = TEXT.splitlines()
    assert len(lines) <= 150
    order = [
        TEXT.index(part) for part in ("![Net equity", "cannot tell them apart", "make demo", "make test", "prices.csv")
    ]
    assert order == sorted(order)
    assert next(k for k, line in enumerate(lines) if line == "## Your own prices") <= 32


def test_the_figure_is_there() -> None:
    for name in re.findall(r"!\[.*?\]\((.*?)\)", TEXT):
        assert (ROOT / name).stat().st_size > 1000, name


def test_the_python_example_runs(capsys) -> None:
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert code is not None
    scope: dict[str, object] = {}
    exec(compile(code[1], "README.md", "exec"), scope)
    assert len(scope["path"]) > 0  # type: ignore[arg-type]
    assert "net_sharpe" in capsys.readouterr().out


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target
    for name in re.findall(r"`((?:configs|benchmarks|notebooks)/[\w./]*)`", TEXT):
        assert (ROOT / name).exists(), name


def test_commands_exist_and_take_the_options_shown() -> None:
    assert set(re.findall(r"^\| `pairs-bt (\w+)", TEXT, re.MULTILINE)) == set(cli.commands)
    for line in re.findall(r"pairs-bt ([^`\n]*)", TEXT):
        words = shlex.split(line.split("&&")[0].replace("[", "").replace("]", ""))
        command = cli.commands.get(words[0]) if words else None
        if command is None:
            continue
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line
        assert CliRunner().invoke(cli, [words[0], "--help"]).exit_code == 0


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`?make (\w+)", TEXT)) <= targets


def test_every_config_table_is_named() -> None:
    head = (ROOT / "docs" / "config.md").read_text(encoding="utf-8").partition("## [")[0]
    assert set(re.findall(r"`\[(\w+)\]`", head)) == set(Config.model_fields)
