"""What the documents say of the program is what the program says."""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from pairs_bt import load_run, run
from pairs_bt.backtest import table_columns as tables
from pairs_bt.backtest.selection import STANDING
from pairs_bt.backtest.signals import REFUSALS
from pairs_bt.cli.commands import cli
from pairs_bt.config.schema import Config
from pairs_bt.config.writer import _toml_text
from pairs_bt.kernels.ledger import FILL_KINDS
from pairs_bt.kernels.ledger import REASONS as EXITS
from pairs_bt.models import cointegration
from pairs_bt.models.scan.pair_distance import MEASURES
from pairs_bt.models.scan.partial_cointegration import COLUMNS as PARTIAL
from pairs_bt.runs.summary import summarise

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def documented() -> dict[str, dict[str, str]]:
    tables: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in (DOCS / "config.md").read_text().splitlines():
        if heading := re.match(r"## \[(\w+)\]", line):
            current = tables.setdefault(heading[1], {})
        elif (row := re.match(r"\| (`.+?`) \| (.+?) \|", line)) and row[1] != "`key`":
            for key in re.findall(r"`(\w+)`", row[1]):
                current[key] = row[2].strip("`")
    return tables


def test_the_config_page_lists_every_key_with_its_default() -> None:
    tables = documented()
    assert set(tables) == set(Config.model_fields)
    for name, field in Config.model_fields.items():
        section = field.default
        assert isinstance(section, BaseModel)
        values = section.model_dump()
        assert set(tables[name]) == set(values), name
        for key, value in values.items():
            text = tables[name][key]
            if value is None:
                assert text == "none", f"{name}.{key}"
            else:
                assert tomllib.loads(f"v = {text}")["v"] == tomllib.loads(f"v = {_toml_text(value)}")["v"], (
                    f"{name}.{key}"
                )


# ------------------------------------------------------------------------------------------------------- docstrings

SECTIONS = "Attributes|Examples|Notes|Parameters|Raises|References|Returns|See Also|Warns|Yields"


def broken_sections(text: str) -> list[str]:
    """Numpydoc headings that share their line, or stand without an underline of their own length."""
    folded = re.findall(rf"(?:{SECTIONS}) -{{3,}}.*", text)
    bare = re.findall(rf"^ *({SECTIONS})$(?!\n *-+$)", text, re.MULTILINE)
    uneven = [m[1] for m in re.finditer(rf"^ *({SECTIONS})\n *(-+)$", text, re.MULTILINE) if len(m[1]) != len(m[2])]
    return [*folded, *bare, *uneven]


def test_a_broken_section_is_found() -> None:
    assert broken_sections("Notes ----- Chan") == ["Notes ----- Chan"]
    assert broken_sections("    Notes\n    Chan") == broken_sections("    Notes\n    ----\n    Chan") == ["Notes"]
    assert broken_sections("    Notes\n    -----\n    Chan notes that Returns are daily") == []


def test_sections_of_docstrings_are_underlined() -> None:
    found = {}
    for path in sorted((ROOT / "pairs_bt").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                broken = broken_sections(ast.get_docstring(node, clean=False) or "")
                if broken:
                    found[f"{path.name}:{getattr(node, 'name', 'module')}"] = broken
    assert not found


# -------------------------------------------------------------------------------------- the page of a run's folder


def sections(page: str) -> dict[str, str]:
    """Text under each second-level heading."""
    parts = re.split(r"^## (.+)$", (DOCS / page).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def first_cells(text: str) -> list[list[str]]:
    """For each table, the names in code marks of its rows' first cells."""
    tables = []
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        rows = [line.split("|")[1] for line in block.splitlines()[2:]]
        tables.append([name for row in rows for name in re.findall(r"`(.+?)`", row)])
    return tables


@pytest.mark.parametrize(
    ("heading", "columns"),
    [
        ("half_lives", tables.HALF_LIVES),
        ("hedge_effectiveness", tables.HEDGE_EFFECTIVENESS),
        ("spreads", tables.SPREADS),
        ("trades", tables.TRADES),
        ("fills", tables.FILLS),
        ("returns", tables.RETURNS),
    ],
)
def test_the_folder_page_lists_every_column(heading: str, columns: tuple[str, ...]) -> None:
    listed = first_cells(sections("run_folder.md")[heading])[0]
    assert sorted(listed) == sorted(columns)


def test_the_folder_page_lists_the_columns_of_tests_and_of_the_summary() -> None:
    text = sections("run_folder.md")
    plain, partial, measures, _ = first_cells(text["tests"])
    assert plain == list(tables.TESTS)
    assert partial == list(PARTIAL)
    assert measures == list(MEASURES)
    made = summarise(
        Config(), tables.empty(tables.RETURNS), tables.empty(tables.TRADES), tables.empty(tables.RETURNS)
    )  # fmt: skip
    assert sorted(first_cells(text["summary.csv"])[0]) == sorted(made.columns)


def test_the_folder_page_lists_every_value_of_the_reasons() -> None:
    text = sections("run_folder.md")
    refused = {reason for reason in cointegration.REASONS.values() if reason}
    standing = {f"{name}: TICKER" for name in STANDING if name}
    chosen = {"engle_granger", "johansen", "partial", "no test passed", "multiplicity", "max_pairs"}
    assert set(first_cells(text["tests"])[3]) == refused | standing | chosen
    assert set(first_cells(text["half_lives"])[1]) == {name for name in REFUSALS if name}
    assert set(first_cells(text["trades"])[1]) == set(EXITS)
    kinds = next(line for line in text["fills"].splitlines() if line.startswith("| `kind`"))
    assert set(re.findall(r"`(\w+)`", kinds)) == {"kind", *FILL_KINDS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run's folder."""
    out = tmp_path_factory.mktemp("docs") / "run"
    run(Config.load(None, ("data.end=2008-12-31", "comparison.draws=100")), out=out, report=True)
    return out


def test_the_folder_page_lists_every_file_and_key_of_a_run(folder: Path) -> None:
    head = (DOCS / "run_folder.md").read_text().partition("## ")[0]
    made = {re.sub(r"\d{4}-\d\d-\d\d", "YYYY-MM-DD", p.relative_to(folder).as_posix()) for p in folder.rglob("*.*")}
    files = {name for name in made if not (folder / name).is_dir() and not name.endswith("YYYY-MM-DD")}
    assert set(first_cells(head)[0]) == files
    text = sections("run_folder.md")
    for name in ("manifest.json", "timing.json"):
        assert set(first_cells(text[name])[0]) == set(json.loads((folder / name).read_text())), name
    counts = json.loads((folder / "manifest.json").read_text())["counts"]
    row = next(line for line in text["manifest.json"].splitlines() if line.startswith("| `counts`"))
    assert set(re.findall(r"`(\w+)`", row)) == {"counts", *next(iter(counts.values()))}


def test_the_spreads_are_of_the_candidates_that_the_folder_page_says(folder: Path) -> None:
    run = load_run(folder)
    keys = ["test_end", "y", "x", "variant"]
    lives = run.half_lives.set_index(keys)["reason"]
    refused, accepted = lives.index[lives != ""], lives.index[lives == ""]
    kept = run.spreads[keys].astype(dict.fromkeys(("y", "x", "variant"), "str")).drop_duplicates()
    assert len(refused) > 0
    assert set(kept.itertuples(index=False, name=None)) == set(accepted)
    head = (DOCS / "run_folder.md").read_text().partition("## ")[0]
    row = next(line for line in head.splitlines() if line.startswith("| `spreads/"))
    assert "candidates that a variant does not refuse" in row
    assert "with an empty `reason` in `half_lives`" in sections("run_folder.md")["spreads"]


def test_the_changelog_s_settings_of_the_last_version_are_a_config() -> None:
    shown = re.search(r"```toml\n(.*?)```", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    config, default = Config.from_dict(tomllib.loads(shown[1])).to_dict(), Config().to_dict()
    changed = {f"{t}.{k}" for t, keys in tomllib.loads(shown[1]).items() for k in keys if config[t][k] != default[t][k]}
    assert changed == {f"{t}.{k}" for t, keys in tomllib.loads(shown[1]).items() for k in keys}


# ------------------------------------------------------------------------------------------------- every document

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text(), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}, target


def glossary() -> list[str]:
    """The words that the glossary explains."""
    named = re.findall(r"^\*\*(.+?)\.\*\*", (DOCS / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    return [word.lower() for entry in named for word in entry.split(", ")]


def test_the_glossary_has_each_word_once() -> None:
    words = glossary()
    assert len(words) == len(set(words))
    assert set(words) >= {
        "test end", "cohort", "slot", "committed", "employed", "phantom", "rung", "null", "prefix", "hedge ratio",
        "spread", "half-life", "z-score", "frozen", "rehedged",
    }  # fmt: skip


@pytest.mark.parametrize("page", ["../README.md", *(p.name for p in PAGES if p.parent == DOCS)])
def test_every_page_leads_to_the_glossary(page: str) -> None:
    if page != "glossary.md":
        assert re.search(r"\]\((docs/)?glossary\.md\)", (DOCS / page).read_text(encoding="utf-8"))


def test_the_copied_notebook_is_named_where_it_is_spoken_of() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"copied\s+notebook", text), page.name
        if re.search(r"\b[Tt]he notebook's\b|\bJansen's\b", text) and page.name != "CHANGELOG.md":
            assert re.search(r"Jansen,(?: S\. \(2020\)\.)?\s\*Machine\sLearning\sfor\sAlgorithmic\sTrading\*", text), (
                page.name
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_shows_a_path_of_one_machine(page: Path) -> None:
    assert not re.search(r"(?<![\w.])/(work|tmp|home|root|Users)/", page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(
        r"(?<![\w/])((?:tests|benchmarks|configs|notebooks)/[\w/]+\.(?:py|toml|ipynb))", page.read_text()
    )
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing


# --------------------------------------------------------------------------------------------------------- guides


GUIDES = sorted((DOCS / "guides").glob("*.md"))


def guide_commands() -> list[tuple[str, str]]:
    lines = [(path.stem, line.strip()) for path in GUIDES for line in path.read_text(encoding="utf-8").splitlines()]
    # indented commands, and those within a sentence or a table
    out = [(name, line) for name, line in lines if line.startswith("pairs-bt ")]
    for path in GUIDES:
        text = path.read_text(encoding="utf-8")
        out += [(path.stem, f"pairs-bt run {part}") for part in re.findall(r"`(--set [^`]+)`", text)]
        out += [(path.stem, part) for part in re.findall(r"`(pairs-bt [^`]+)`", text)]
    return out


def test_the_guides_have_commands_for_most_of_the_program() -> None:
    assert {line.split()[1] for _, line in guide_commands()} >= {
        "scan", "run", "pair", "audit", "hedge", "explore", "compare", "sweep", "validate",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "line"), guide_commands())
def test_the_commands_of_the_guides_are_understood(name: str, line: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("prices.csv", "today.csv", "inventory.csv", "wanted.csv"):
        (tmp_path / file).write_text("y,x\n", encoding="utf-8")
    for folder in ("prices", "cheap", "dear"):
        (tmp_path / "runs" / folder).mkdir(parents=True)
    first, *words = shlex.split(line)[1:]
    command = cli.commands[first]
    # an unknown option, or an argument too few or too many, is an error here
    context = command.make_context(first, list(words))
    changes = context.params.get("overrides", ())
    assert bool(changes) == ("--set" in words), name
    Config.load(None, list(changes))
