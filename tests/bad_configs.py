"""The catalogue of bad universes and configs as data: how to make each, and what must become of it.

``python -m tests.bad_configs`` prints the table of ``docs/reliability.md``.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tests.bad_inputs import good_frame
from tests.cli_tools import SHORT, call


@dataclass(frozen=True)
class BadConfig:
    """`make` writes what it needs into an empty folder that holds prices.csv and returns arguments after `run`."""

    name: str
    make: Callable[[Path], list[str]]
    code: int
    words: tuple[str, ...]


CASES: list[BadConfig] = []


def _write(folder: Path, text: str | bytes, name: str = "config.toml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def _text(name: str, code: int, *words: str, toml: str | bytes) -> None:
    """A whole config."""
    CASES.append(BadConfig(name, lambda folder: [str(_write(folder, toml))], code, words))


def _sets(name: str, code: int, *words: str, sets: tuple[str, ...]) -> None:
    """A good config with overrides."""
    _files(name, code, *words, sets=sets)


def _files(name: str, code: int, *words: str, sets: tuple[str, ...], **files: str | bytes) -> None:
    """A good config with overrides and files beside it; {} in an override is the folder."""

    def make(folder: Path) -> list[str]:
        for file, content in files.items():
            _write(folder, content, file.replace("_csv", ".csv"))
        path = _write(folder, f'[data]\npath = "prices.csv"\n{SHORT}')
        return [str(path), *(part for item in sets for part in ("--set", item.replace("{}", str(folder))))]

    CASES.append(BadConfig(name, make, code, words))


def _made(name: str, code: int, *words: str) -> Callable[[Callable[[Path], list[str]]], None]:
    def keep(make: Callable[[Path], list[str]]) -> None:
        CASES.append(BadConfig(name, make, code, words))

    return keep


# ------------------------------------------------------------------------------------------- the config file

_text("empty config", 2, "data.path is empty", toml="")
_text("not TOML", 2, "not valid TOML", "quotes", toml="[data]\npath = prices.csv\n")
_text("YAML", 2, "not valid TOML", toml="data:\n  path: prices.csv\n")
_text("binary config", 2, "not UTF-8", "byte 0", toml=b"\xff\xfe\x00\x00")
_text("config of a megabyte and more", 2, "more than 1,000,000 bytes", toml="#" * 1_000_001)
_text("endless nesting", 2, "not valid TOML", toml="a = " + "[" * 5000)
_text("unknown table", 2, "signals: unknown key", "did you mean 'signal'?", toml="[signals]\nentry = 2.0\n")
_text("a value where a table is expected", 2, "data = 3", "a table is expected", toml="data = 3\n")
_text("same key twice", 2, "not valid TOML", toml="[signal]\nentry = 2.0\nentry = 3.0\n")
_text("YAML's Norway", 2, "universe.pairs.left.0 = False", toml="[universe]\npairs = {left=[false], right=['A']}\n")
_text(
    "every error at once",
    2,
    "3 errors",
    "signal.entri",
    "cost_bps",
    "windows.train",
    toml='[signal]\nentri = 2\n[execution]\ncost_bps = -1.0\n[windows]\ntrain = "2 years"\n',
)
_sets("unknown key", 2, "signal.entrry", "did you mean 'entry'?", sets=("signal.entrry=2.0",))
_sets("wrong type", 2, "signal.entry = 'two'", "number", sets=("signal.entry=two",))
_sets("a number in quotes", 2, "execution.lag = '1'", "integer", sets=('execution.lag="1"',))
_sets("NaN parameter", 2, "signal.entry = nan", "finite", sets=("signal.entry=nan",))
_sets("infinite parameter", 2, "execution.cost_bps = inf", "finite", sets=("execution.cost_bps=inf",))
_sets("entry below exit", 2, "must be above signal.exit", sets=("signal.exit=3.0",))
_sets("stop inside entry", 2, "must be beyond signal.entry", sets=("signal.stop=1.0",))
_sets("end before start", 2, "must be after data.start", sets=("data.start=2020-03-01", "data.end=2020-02-01"))
_sets("a date as text", 2, "data.start = 'soon'", "date", sets=("data.start=soon",))
_sets("negative cost", 2, "execution.cost_bps = -1.0", "greater than or equal to 0", sets=("execution.cost_bps=-1.0",))
_sets("alpha of two", 2, "selection.alpha", "less than 1", sets=("selection.alpha=2.0",))
_sets("no variant", 2, "hedge.variants", "at least 1", sets=("hedge.variants=[]",))
_sets("unknown variant", 2, "hedge.variants", "'psychic'", sets=("hedge.variants=['psychic']",))
_sets("a variant twice", 2, "the same entry twice", sets=("hedge.variants=['dynamic', 'dynamic']",))
_sets("period without a unit", 2, "windows.train = '500'", "a period is", sets=("windows.train='500'",))
_sets("period of nothing", 2, "windows.step = '0M'", "a period is", sets=("windows.step='0M'",))
_sets("entries longer than the trade window", 2, "cannot be longer", sets=("windows.entry_within='30D'",))
_sets(
    "p-values that no test gives",
    2,
    "selection.multiplicity",
    sets=("selection.multiplicity='bh'", "selection.tests=['johansen']"),
)
_sets("prices and synthetic prices", 2, "give one of the two", sets=("data.synthetic.seed=1",))
_sets("an override without a value", 2, "not of the form", sets=("signal.entry",))
_sets("an override without a table", 2, "entry: unknown key", sets=("entry=2.0",))
_sets("more pairs than a number holds", 2, "selection.max_pairs", sets=("selection.max_pairs=0",))
_sets("a seed below zero", 2, "run.seed = -1", sets=("run.seed=-1",))
_sets("over the byte limit", 3, "limit is 100", "raise", sets=("data.max_bytes=100",))
_sets("over the cell limit", 3, "limit of 100 cells", "raise", sets=("data.max_cells=100",))


@_made("no config file", 2, "There is no config file", "nothing.toml")
def _no_config(folder: Path) -> list[str]:
    return [str(folder / "nothing.toml")]


@_made("config is a folder", 2, "is a folder, not a config")
def _folder_config(folder: Path) -> list[str]:
    (folder / "configs").mkdir()
    return [str(folder / "configs")]


@_made("config is a symbolic link loop", 2, "cannot be read")
def _loop_config(folder: Path) -> list[str]:
    (folder / "a.toml").symlink_to(folder / "b.toml")
    (folder / "b.toml").symlink_to(folder / "a.toml")
    return [str(folder / "a.toml")]


# ----------------------------------------------------------------------------------------------- the windows

_sets("window longer than the data", 3, "No window fits", "one window needs 10Y", sets=("windows.train='10Y'",))
_sets("no window fits", 3, "No window fits", "shorten windows.train", sets=("data.start=2020-02-20",))
_sets("eight bars of training", 3, "a test needs 40 bars", "has 8", "56 days", sets=("windows.train='12D'",))
_sets("nothing between the dates", 3, "No prices are left", sets=("data.start=2030-01-01", "data.end=2031-01-01"))

# ---------------------------------------------------------------------------------------------- the universe

_sets("a ticker that is not there", 2, "'Z'", "match to the letter", sets=("universe.pairs={left=['Z'], right=['A']}",))
_sets("groups without a pair", 2, "leaves no pair", sets=("universe.pairs={left=['A'], right=['A']}",))
_sets("an empty group", 2, "universe.pairs.left", "at least 1", sets=("universe.pairs={left=[], right=['A']}",))
_sets("pair file missing", 3, "universe.pairs", "cannot be read", sets=("universe.pairs={}/nothing.csv",))
_sets("pair file is a folder", 3, "universe.pairs", "a folder", sets=("universe.pairs={}",))
_sets("pair file is an address", 3, "cannot be read as CSV", sets=("universe.pairs=http://localhost:1/pairs.csv",))
_files("pair file without its columns", 3, "lacks ['x']", sets=("universe.pairs={}/p.csv",), p_csv="y,z\nA,B\n")
_files("pair file without pairs", 2, "leaves no pair", sets=("universe.pairs={}/p.csv",), p_csv="y,x\n")
_files("empty pair file", 3, "cannot be read as CSV", sets=("universe.pairs={}/p.csv",), p_csv="")
_files("binary pair file", 3, "cannot be read as CSV", sets=("universe.pairs={}/p.csv",), p_csv=b"\x00\xff\xfe")
_files("pairs of a stranger", 2, "'QQ'", sets=("universe.pairs={}/p.csv",), p_csv="y,x\nA,QQ\n")
_files("members without dates", 3, "lacks", sets=("universe.membership={}/m.csv",), m_csv="ticker\nA\n")
_files(
    "a member since never", 3, "YYYY-MM-DD", sets=("universe.membership={}/m.csv",), m_csv="ticker,start,end\nA,soon,\n"
)
_files(
    "members of another universe",
    3,
    "No pair can be formed",
    "not a member",
    sets=("universe.membership={}/m.csv",),
    m_csv="ticker,start,end\nZ,,\n",
)
_files(
    "a borrow rate that is no number",
    2,
    "'lots'",
    sets=("execution.borrow_table={}/b.csv",),
    b_csv="ticker,borrow_bps\nA,lots\n",
)
_files(
    "a borrow rate of a stranger",
    2,
    "'Z' is not among",
    sets=("execution.borrow_table={}/b.csv",),
    b_csv="ticker,borrow_bps\nZ,5\n",
)


@_made("pair file is a pipe", 3, "universe.pairs", "a pipe")
def _pipe(folder: Path) -> list[str]:
    os.mkfifo(folder / "pairs.csv")
    path = _write(folder, f'[data]\npath = "prices.csv"\n{SHORT}')
    return [str(path), "--set", f"universe.pairs={folder}/pairs.csv"]


@_made("path outside the folder, to something that is no table", 3, "Prices")
def _outside(folder: Path) -> list[str]:
    (folder / "inner").mkdir()
    _write(folder, "These are notes.\n", "notes.txt")
    return [str(_write(folder, '[data]\npath = "../notes.txt"\n', "inner/config.toml"))]


# ------------------------------------------------------- worked with, and said so: the run is made all the same


@_made("zero candidates", 0)
def _none(folder: Path) -> list[str]:
    path = _write(folder, f'[data]\npath = "prices.csv"\n{SHORT}')
    return [str(path), "--set", "selection.alpha=1e-12"]


def _prices(edit: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        edit(good_frame(200)).to_csv(folder / "prices.csv")
        return [str(_write(folder, f'[data]\npath = "prices.csv"\n{SHORT}')), "--set", "selection.alpha=0.5"]

    return make


_made("identical series", 0, "'A' and 'C'")(_prices(lambda f: f.assign(C=f["A"])))
_made("a leg that never moves", 0, "never changes")(_prices(lambda f: f.assign(C=7.0)))
_made("a leg that stops moving", 0)(_prices(lambda f: f.assign(C=f["C"].where(np.arange(len(f)) < 60, 7.0))))
_made("one leg is a multiple of the other", 0)(_prices(lambda f: f.assign(C=2.0 * f["A"])))
_made("a leg is delisted while it is held", 0, "last price")(
    _prices(lambda f: f.assign(C=f["C"].where(np.arange(len(f)) < 75)))
)
_made("prices of a billion beside prices of a millionth", 0)(
    _prices(lambda f: f.assign(B=f["B"] * 1e7, C=f["C"] / 1e8))
)


# ------------------------------------------------------------------------------------------- the command line


@_made("no processor", 2, "--jobs")
def _jobs(folder: Path) -> list[str]:
    return [str(_write(folder, '[data]\npath = "prices.csv"\n')), "--jobs", "0"]


@_made("unknown option", 2, "--job", "No such option")
def _option(folder: Path) -> list[str]:
    return [str(_write(folder, '[data]\npath = "prices.csv"\n')), "--joobs", "1"]


def docs_row(case: BadConfig, folder: Path) -> str:
    """The case's line in the docs, with the message that it really gives."""
    good_frame().to_csv(folder / "prices.csv")
    return row(case, call("run", *case.make(folder), "--out", folder / "out", "--no-report").err, folder)


def row(case: BadConfig, said: str, folder: Path) -> str:
    """The case's line in the docs for what the program has said; it names no folder of this machine."""
    lines = [line for line in said.splitlines() if any(word in line for word in case.words)] or [""]
    text = (
        lines[0]
        .removeprefix("pairs-bt: ")
        .removeprefix("note: ")
        .replace(f"{folder}/", "")
        .replace(str(folder), "here")
        .replace(f"{Path.cwd()}/", "")
    )
    text = re.sub(r"([|*])", r"\\\1", text).replace("<", "&lt;")
    return f"| {case.name} | {case.code} | {text if len(text) < 400 else text[:400] + ' ...'} |"


def main() -> None:
    print("| Case | Exit code | Message |\n|---|---|---|")
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            print(docs_row(case, Path(folder)))


if __name__ == "__main__":
    main()
