"""Mutated files and configs for a bounded time: whatever comes in, the program answers in a sentence.

Seeded, so that a failure comes back; `PAIRS_BT_FUZZ_SECONDS` makes it look longer.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pairs_bt.config.reader import builtin
from tests.bad_inputs import good_frame
from tests.cli_tools import SHORT, call

SECONDS = float(os.environ.get("PAIRS_BT_FUZZ_SECONDS", "1"))
# Whatever the clock allows, not more: a fast machine should not test other inputs than a slow one for ever.
MOST = int(200 * max(1.0, SECONDS))

TOKENS = [
    b"nan", b"inf", b"-1", b"0", b"1e308", b"1e-320", b"99999999999999999999", b"''", b'""', b"[]", b"{}", b"true",
    b"2020-02-30", b"0001-01-01", b"9999-12-31", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n\n", b",,,", b";",
    b'"', b"'", b"=", b"[[", b"]]", b"#", b"\xf0\x9f\x92\xa3", b"1Y", b"0D", b"9999Y", b"1D", b"../", b"NA",
]  # fmt: skip


def mutate(data: bytes, chosen: random.Random) -> bytes:
    """Flip, cut, double, swap or insert, one to four times."""
    out = bytearray(data)
    for _ in range(chosen.randint(1, 4)):
        at, end = sorted(chosen.randrange(len(out) + 1) for _ in range(2))
        kind = chosen.randrange(6)
        if kind == 0 and out:
            out[chosen.randrange(len(out))] ^= 1 << chosen.randrange(8)
        elif kind == 1:
            del out[at : min(end, at + 40)]
        elif kind == 2:
            out[at:at] = out[at : min(end, at + 200)]
        elif kind == 3:
            out[at:at] = chosen.choice(TOKENS)
        elif kind == 4:
            out[at : at + chosen.randint(1, 12)] = chosen.choice(TOKENS)
        else:
            del out[at + (end - at) // 2 :]
        if not out:
            out = bytearray(b" ")
    return bytes(out)


def look_for_a_traceback(seed: int, one: Callable[[random.Random], tuple[str, ...]]) -> None:
    chosen = random.Random(seed)
    stop = time.monotonic() + SECONDS
    tried = 0
    while tried < MOST and (time.monotonic() < stop or tried < 5):
        tried += 1
        said = call(*one(chosen))
        assert said.code in (0, 2, 3), (seed, tried, said)
        assert "Traceback" not in said.err
        assert (said.code == 0) == ("pairs-bt: " not in said.err), said


def settings(folder: Path, more: str = "") -> bytes:
    good_frame().to_csv(folder / "prices.csv")
    demo = builtin("demo.toml").read_bytes().split(b"[windows]")[0]
    demo = demo.replace(b"../data/us_large_caps.parquet", b"prices.csv").replace(b"2005", b"2019")
    return demo + SHORT.encode() + more.encode()


@pytest.mark.parametrize("command", ["validate", "run"])
def test_no_mutated_config_gives_a_traceback(tmp_path, command):
    good = settings(
        tmp_path, '[signal]\nentry = 2.0\n[selection]\nalpha = 0.5\nmax_pairs = 5\n[hedge]\nvariants = ["dynamic"]\n'
    )
    path = tmp_path / "config.toml"
    out = () if command == "validate" else ("--out", str(tmp_path / "out"), "--no-report", "--fresh", "--jobs", "1")

    def one(chosen: random.Random) -> tuple[str, ...]:
        path.write_bytes(mutate(good, chosen))
        return (command, str(path), *out)

    look_for_a_traceback(11, one)


@pytest.mark.parametrize("form", ["csv", "long", "parquet"])
def test_no_mutated_prices_give_a_traceback(tmp_path, form):
    config = tmp_path / "config.toml"
    config.write_bytes(settings(tmp_path))
    frame, path = good_frame(), tmp_path / "prices.csv"
    if form == "parquet":
        frame.to_parquet(path)
    elif form == "long":
        frame.rename_axis(columns="ticker").stack().rename("close").reset_index().to_csv(path, index=False)
    good = path.read_bytes()

    def one(chosen: random.Random) -> tuple[str, ...]:
        path.write_bytes(mutate(good, chosen))
        return ("validate", str(config))

    look_for_a_traceback(12, one)


@pytest.mark.parametrize(
    ("key", "good"),
    [
        ("universe.pairs", b"y,x\nA,B\nB,C\n"),
        ("universe.membership", b"ticker,start,end\nA,2019-01-01,\nB,2019-01-01,2021-01-01\nC,,\n"),
        ("execution.borrow_table", b"ticker,borrow_bps\nA,50\nB,100.5\n"),
    ],
)
def test_no_mutated_table_gives_a_traceback(tmp_path, key, good):
    config, path = tmp_path / "config.toml", tmp_path / "table.csv"
    config.write_bytes(settings(tmp_path))

    def one(chosen: random.Random) -> tuple[str, ...]:
        path.write_bytes(mutate(good, chosen))
        return ("validate", str(config), "--set", f"{key}={path}")

    look_for_a_traceback(13, one)


def test_no_mutated_override_gives_a_traceback(tmp_path):
    config = tmp_path / "config.toml"
    config.write_bytes(settings(tmp_path))
    good = [
        b"signal.entry=1.5",
        b"windows.train=42D",
        b"hedge.rehedge=['daily']",
        b"data.end=2020-03-01",
        b"run.seed=3",
    ]

    def one(chosen: random.Random) -> tuple[str, ...]:
        text = mutate(chosen.choice(good), chosen).decode("utf-8", "surrogateescape").replace("\0", "")
        return ("validate", str(config), "--set", text)

    look_for_a_traceback(14, one)


def test_no_mutated_file_of_a_run_gives_a_traceback_or_another_number(tmp_path):
    config = tmp_path / "config.toml"
    config.write_bytes(settings(tmp_path))
    folder = tmp_path / "run"
    assert call("run", str(config), "--out", str(folder), "--no-report").code == 0
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in ("timing.json", ".lock"))
    kept = {path: path.read_bytes() for path in files}
    chosen = random.Random(15)
    stop = time.monotonic() + SECONDS
    tried = 0
    while tried < MOST and time.monotonic() < stop:
        tried += 1
        path = chosen.choice(files)
        path.write_bytes(changed := mutate(kept[path], chosen))
        said = call("verify", str(folder))
        assert said.code == (0 if changed == kept[path] else 3), (path, said)
        path.write_bytes(kept[path])
    assert call("verify", str(folder)).code == 0
