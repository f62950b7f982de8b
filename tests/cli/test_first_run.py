"""The first run on a machine: which kernels are compiled ahead, by whom, and that nobody notices but by the time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pairs_bt.cli.first_run import command
from pairs_bt.cli.first_run.compile_ahead import CompileAhead, compiling_ahead
from pairs_bt.cli.first_run.kernel_table import KERNELS, TUPLES, argument_types, dispatcher
from pairs_bt.cli.terminal import kernel_cache
from pairs_bt.config.schema import Config

# Compiled in a fraction of a second each.
SMALL = ["mean_reversion:half_lives", "ledger:block_sums", "ledger:held_sides"]
SHORT = ["data.start=2005-01-01", "data.end=2007-12-31", "comparison.draws=100"]
FAILING = (sys.executable, "-c", "import sys; sys.exit(3)")
LYING = (sys.executable, "-c", "import sys\nfor line in sys.stdin: print('something else', flush=True)")
DYING = (sys.executable, "-c", "import sys, os\nprint(sys.stdin.readline(), end='', flush=True); os._exit(9)")


def run_code(code: str, cache: Path, *, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
    """A process with a cache of its own."""
    return subprocess.run(
        [sys.executable, "-c", code], check=check, capture_output=True, text=True, timeout=600,
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache)} | env,
    )  # fmt: skip


def test_the_table_is_what_a_run_calls(tmp_path):
    code = f"""
import json
from numba import typeof
from numba.core import dispatcher
called = set()
known = dispatcher._DispatcherBase._compile_for_args
def seen(self, *args, **kws):
    called.add((self.py_func.__module__ + ":" + self.py_func.__name__, str(tuple(map(typeof, args)))))
    return known(self, *args, **kws)
dispatcher._DispatcherBase._compile_for_args = seen
from pairs_bt import runner
from pairs_bt.config.schema import Config
runner.run(Config.load(None, {SHORT}), out={str(tmp_path / "run")!r}, jobs=1, report=False)
print(json.dumps(sorted(called)))
"""
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=600)
    called = {tuple(row) for row in json.loads(said.stdout)}
    table = {(f"pairs_bt.kernels.{key}", str(argument_types(key))) for key in KERNELS}
    assert called == table


def test_the_tuples_of_the_table_are_those_of_the_kernels():
    for key, fields in TUPLES.items():
        assert len(dispatcher(key)._fields) == len(fields.split()), key


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> tuple[Path, dict]:
    """A cache that a child has filled, and what its parent saw."""
    cache = tmp_path_factory.mktemp("cache")
    code = f"""
import json, time
from pairs_bt.cli.first_run.compile_ahead import CompileAhead
from pairs_bt.cli.first_run.kernel_table import compile_kernel, dispatcher
from pairs_bt.cli.terminal.kernel_cache import cold_kernels
before = cold_kernels()
ahead = CompileAhead({SMALL}, 1)
while ahead.left():
    time.sleep(0.05)
ahead.finish()
ahead.close()
after = cold_kernels()
for key in {SMALL}:
    compile_kernel(key)
stats = [[sum(d.stats.cache_hits.values()), sum(d.stats.cache_misses.values())] for d in map(dispatcher, {SMALL})]
print(json.dumps([before, after, stats, [child.returncode for child in ahead.processes]]))
"""
    done = run_code(code, cache)
    assert done.stderr == ""
    before, after, stats, codes = json.loads(done.stdout)
    return cache, {"before": before, "after": after, "stats": stats, "codes": codes}


def test_a_child_fills_the_cache_from_which_its_parent_loads(filled):
    _, seen = filled
    assert seen["before"] == list(KERNELS)
    assert seen["after"] == [key for key in KERNELS if key not in SMALL]
    assert seen["stats"] == [[1, 0]] * len(SMALL)


def test_a_child_ends_by_itself_when_nothing_is_left(filled):
    assert filled[1]["codes"] == [0]


def test_a_child_leaves_only_whole_files(filled):
    names = [path.name for path in filled[0].rglob("*") if path.is_file()]
    assert all(name.endswith((".nbi", ".nbc")) for name in names), names


@pytest.mark.parametrize(
    "child", [FAILING, LYING, DYING, ("no-such-program",)], ids=["failing", "lying", "dying", "none"]
)
def test_what_a_child_fails_at_is_compiled_here(child, filled):
    # in a process of its own, from the cache that is filled already
    code = f"""
from pairs_bt.cli.first_run.compile_ahead import CompileAhead
from pairs_bt.cli.first_run.kernel_table import dispatcher
ahead = CompileAhead({SMALL}, 2, {child!r})
seen = []
ahead.finish(lambda done, total: seen.append((done, total)))
ahead.close()
assert ahead.left() == 0
assert seen[-1] == (3, 3) and all(total == 3 for _, total in seen), seen
assert [done for done, _ in seen] == sorted(done for done, _ in seen)
here = [len(dispatcher(key).overloads) for key in {SMALL}]
assert {child!r} == {DYING!r} or here == [1, 1, 1], here
"""
    done = run_code(code, filled[0], check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="tells from /proc whether a process has ended")
@pytest.mark.parametrize("number", [9, 2, 15])
def test_no_child_outlives_its_parent(number, tmp_path):
    code = f"""
import time
from pairs_bt.cli.commands import ends_at_once
from pairs_bt.cli.first_run.compile_ahead import CompileAhead
with ends_at_once():
    ahead = CompileAhead({list(KERNELS)[:2]}, 2)
    print(*[child.pid for child in ahead.processes], flush=True)
    time.sleep(300)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
    )  # fmt: skip
    with parent:
        children = [int(word) for word in parent.stdout.readline().split()]
        assert len(children) == 2
        assert not any(map(_has_ended, children))
        time.sleep(1.0)  # into the imports or the compiler, whichever it is
        os.kill(parent.pid, number)
    limit = time.monotonic() + 60
    while not all(map(_has_ended, children)):
        assert time.monotonic() < limit
        time.sleep(0.05)


def _has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def begun(monkeypatch, *, cold=SMALL, processors=4, switch="1", jobs=None, config=(), **options) -> list[CompileAhead]:
    """What a command would begin to compile, without any process."""
    made = []

    class Counted(CompileAhead):
        def __init__(self, keys, children):
            super().__init__(keys, 0)
            self.keys, self.children = list(keys), children
            made.append(self)

    monkeypatch.setattr("pairs_bt.cli.first_run.compile_ahead.CompileAhead", Counted)
    monkeypatch.setattr(command, "cold_kernels", lambda: list(cold))
    monkeypatch.setattr(command, "free_processors", lambda: processors)
    monkeypatch.setenv(command.SWITCH, switch)
    with command.first_run(Config.load(None, config), jobs, **options):
        pass
    (only,) = made
    return only


def test_children_are_begun_for_cold_kernels_on_free_processors_only(monkeypatch):
    assert begun(monkeypatch).children == 2  # three kernels, one of them for this process
    assert begun(monkeypatch, cold=list(KERNELS)).children == 3
    assert begun(monkeypatch, cold=list(KERNELS), processors=2).children == 1
    assert begun(monkeypatch, cold=[]).children == 0
    assert begun(monkeypatch, cold=SMALL[:1]).children == 0
    assert begun(monkeypatch, processors=1).children == 0
    assert begun(monkeypatch, jobs=1).children == 0
    for nothing in ({"switch": "0"}, {"here": False}):
        ahead = begun(monkeypatch, **nothing)
        assert (ahead.keys, ahead.children) == ([], 0)


def test_kernels_of_a_filter_that_the_config_has_not_are_left_out(monkeypatch):
    assert begun(monkeypatch, cold=list(KERNELS)).keys == list(KERNELS)
    other = begun(monkeypatch, cold=list(KERNELS), config=["filter.model=random_walk"]).keys
    assert set(KERNELS) - set(other) == {"reverting_spread:fit_pairs", "reverting_spread:filter_pairs"}


def test_the_rest_is_compiled_when_there_is_work_and_only_then(monkeypatch):
    seen: list[object] = []
    with compiling_ahead(SMALL, processors=1) as ahead:
        monkeypatch.setattr(ahead, "finish", lambda progress=None: seen.append("compiled"))
        told = command.FirstRun(ahead).before(lambda done, total: seen.append((done, total)))
        told(12, 12)  # a finished run
        assert seen == [(12, 12)]
        told(0, 12)
    assert seen == [(12, 12), (0, 12), "compiled"]


@pytest.mark.parametrize("where", ["beside", "chosen", "user"])
def test_kernels_are_cold_until_the_cache_holds_them_of_this_source(where, tmp_path, monkeypatch):
    kernels = tmp_path / "kernels"
    monkeypatch.setattr(kernel_cache, "_KERNELS", kernels)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    if where == "chosen":
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "chosen"))
    left = list(KERNELS)
    assert kernel_cache.cold_kernels() == left
    for key in KERNELS:
        module, name = key.split(":")
        source = kernels / f"{module.replace('.', '/')}.py"
        cache = {
            "beside": source.parent / "__pycache__",
            "chosen": tmp_path / "chosen" / f"{source.parent.name}_1",
            "user": tmp_path / "user" / "numba" / f"{source.parent.name}_1",
        }[where]
        cache.mkdir(parents=True, exist_ok=True)
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text("")
        os.utime(source, (1000, 1000))
        assert kernel_cache.cold_kernels() == left
        (cache / f"{source.stem}.{name}-10.py311.nbi").write_text("")
        left.remove(key)
        assert kernel_cache.cold_kernels() == left
    # A source that is newer than what was compiled of it.
    os.utime(kernels / "ledger.py", (1e10, 1e10))
    assert kernel_cache.cold_kernels() == [key for key in KERNELS if key.startswith("ledger:")]
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert kernel_cache.cold_kernels() == []


def test_a_copied_cache_is_warm_whatever_the_dates(filled, tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(filled[0]))
    expected = [key for key in KERNELS if key not in SMALL]
    for index in filled[0].rglob("*.nbi"):
        os.utime(index, (1000, 1000))
    assert kernel_cache.cold_kernels() == expected


def test_whether_kernels_are_cold_is_told_without_numba():
    code = "import sys\nfrom pairs_bt.cli.terminal.kernel_cache import cold_kernels\ncold_kernels()\n"
    code += "print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


@pytest.mark.slow
def test_a_run_is_the_same_bytes_from_an_empty_cache_and_compiles_what_the_table_holds(tmp_path):
    command = [sys.executable, "-m", "pairs_bt.cli", "run", "--no-report", *(w for s in SHORT for w in ("--set", s))]
    runs = {}
    for name, switch, cache in (("ahead", "1", "a"), ("warm", "1", "a"), ("alone", "0", "b")):
        env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / cache), command_switch(): switch}
        subprocess.run([*command, "--out", str(tmp_path / name)], env=env, check=True, capture_output=True)
        files = sorted(path for path in (tmp_path / name).rglob("*.parquet"))
        runs[name] = {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in files}
    assert runs["ahead"] == runs["warm"] == runs["alone"]
    names = {cache: {p.name for p in (tmp_path / cache).rglob("*.nbi")} for cache in "ab"}
    assert names["a"] == names["b"]


def command_switch() -> str:
    return command.SWITCH
