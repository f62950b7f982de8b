"""An interrupted, damaged or repeated run gives the bytes of an uninterrupted one, or says why it cannot."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from pairs_bt import Config, load_run, run
from pairs_bt.engine import local
from pairs_bt.engine.window_parts import Parts
from pairs_bt.errors import ConfigError, DataError, PairsError, PartialError
from pairs_bt.runs import resume as module
from pairs_bt.runs import run_folder
from tests.fault_tools import cut, fingerprint, flip


@pytest.fixture(scope="module")
def config() -> Config:
    return Config.load(None, ["data.end=2008-12-31", "comparison.draws=100", "selection.alpha=0.2"])


@pytest.fixture(scope="module")
def whole(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(config, out=folder, report=False)
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def go_on(config: Config, folder: Path, **more: object) -> list[str]:
    said: list[str] = []
    run(config, out=folder, report=False, say=said.append, **more)  # type: ignore[arg-type]
    return said


def interrupt(config: Config, folder: Path, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a folder as a kill leaves it once `after` windows are kept."""
    write, written = Parts.write, []

    def stops(self: Parts, result: object) -> None:
        if len(written) == after:
            raise KeyboardInterrupt
        write(self, result)  # type: ignore[arg-type]
        written.append(result)

    with monkeypatch.context() as patch:
        patch.setattr(Parts, "write", stops)
        with pytest.raises(KeyboardInterrupt):
            run(config, out=folder, report=False)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Numbers of the windows that were computed."""
    numbers: list[int] = []
    original = local.run_windows

    def spy(*args: object, **options: object) -> Iterator[object]:
        for result in original(*args, **options):  # type: ignore[arg-type]
            numbers.append(result.k)
            yield result

    monkeypatch.setattr(local, "run_windows", spy)
    return numbers


@pytest.mark.parametrize("after", [0, 1, 5, 7])
def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(config, whole, tmp_path, after, made, monkeypatch):
    folder = tmp_path / "run"
    interrupt(config, folder, after, monkeypatch)
    assert not (folder / run_folder.MANIFEST).exists()
    made.clear()
    said = go_on(config, folder, jobs=1, trade_chunk=64, scan_chunk=11)
    assert made == list(range(after, 8))
    assert said == [f"going on in {folder}: {after} of 8 windows are kept"]
    assert fingerprint(folder) == fingerprint(whole)


def test_a_window_is_synced_once_and_every_file_before_the_manifest(config, tmp_path, monkeypatch):
    if not Path("/proc/self/fd").exists():
        pytest.skip("the system does not tell a handle's path")
    folder, order = tmp_path / "run", []
    fsync, replace = os.fsync, os.replace

    def spy_fsync(handle: int) -> None:
        order.append(("sync", Path(os.readlink(f"/proc/self/fd/{handle}")).relative_to(folder).as_posix()))
        fsync(handle)

    def spy_replace(source: Path, target: Path) -> None:
        order.append(("rename", Path(target).relative_to(folder).as_posix()))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    go_on(config, folder)
    ends = [place for place, (what, name) in enumerate(order) if what == "rename" and name.endswith(".part")]
    assert len(ends) == 8
    for first, last in itertools.pairwise(ends):
        between = order[first + 1 : last + 1]
        assert [what for what, _ in between] == ["rename", "sync", "rename"]
        assert between[0][1].startswith("spreads/test_end=")
        assert between[1][1].startswith("parts/.")
    last = order.index(("rename", run_folder.MANIFEST))
    files = json.loads((folder / run_folder.MANIFEST).read_text())["files"]
    for name in files:
        synced = order.index(("sync", name)) if ("sync", name) in order else -1
        renamed = max(place for place, step in enumerate(order) if step == ("rename", name))
        assert renamed < synced < last, name
        assert synced < max(place for place, step in enumerate(order) if step == ("sync", _folder(name))) < len(order)
    assert ("sync", "spreads") in order[:last]
    # the folders' names, the manifest's own bytes, then its name
    assert order[last + 1] == ("sync", ".")
    assert ("sync", ".") in order[:last]


def _folder(name: str) -> str:
    return Path(name).parent.as_posix()


def test_after_a_power_cut_that_took_spreads_their_windows_are_made_again(config, whole, tmp_path, made, monkeypatch):
    """Spreads are not synced at once: a cut may leave none of their bytes under their name, zeros, or no name."""
    folder = tmp_path / "run"
    interrupt(config, folder, 6, monkeypatch)
    paths = sorted((folder / "spreads").glob("*/part-0.parquet"))
    paths[1].write_bytes(b"")
    paths[3].write_bytes(bytes(paths[3].stat().st_size))
    paths[4].unlink()
    (folder / "parts" / "2008-03-31.part").unlink()
    made.clear()
    go_on(config, folder)
    assert made == [1, 3, 4, 5, 6, 7]
    assert fingerprint(folder) == fingerprint(whole)


@pytest.mark.parametrize("name", ["trades", "cohort"])
def test_a_part_that_changes_while_tables_are_made_of_it_is_not_read(config, whole, tmp_path, name, monkeypatch):
    """A byte that flips after its part was looked at: the block it is in is compared when it is read."""
    folder = tmp_path / "run"
    write = run_folder.write_table

    def flips(where: Path, table: str, parts: object) -> None:
        write(where, table, parts)  # type: ignore[arg-type]
        if table == "tests":
            for path in (folder / "parts").glob("*.part"):
                flip(path, 0.5)

    with monkeypatch.context() as patch:
        if name == "trades":
            patch.setattr(run_folder, "write_table", flips)
        else:
            patch.setattr(Parts, "spreads_sha256", lambda self: flip(self.store.path(self.labels[2]), 0.001) or {})
        with pytest.raises(PartialError, match=r"is cut or changed.*give the same command again"):
            go_on(config, folder)
    assert not (folder / run_folder.MANIFEST).exists()
    go_on(config, folder)
    assert fingerprint(folder) == fingerprint(whole)


@pytest.mark.parametrize("spoil", [cut, flip, Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("what", ["parts/2007-09-30.part", "spreads/test_end=2007-09-30/part-0.parquet"])
def test_only_a_damaged_part_is_made_again(config, whole, tmp_path, what, spoil, made, monkeypatch):
    folder = tmp_path / "run"
    interrupt(config, folder, 6, monkeypatch)
    spoil(folder / what)
    made.clear()
    go_on(config, folder)
    assert made == [3, 6, 7]
    assert fingerprint(folder) == fingerprint(whole)


@pytest.mark.parametrize("at", [0.0, 0.0005, 0.01, 0.3, 0.7, 1.0])
def test_no_bit_of_a_part_can_flip_unseen(config, tmp_path, at, made, monkeypatch):
    folder = tmp_path / "run"
    interrupt(config, folder, 2, monkeypatch)
    flip(folder / "parts" / "2007-03-31.part", at)
    made.clear()
    go_on(config, folder)
    assert made[0] == 1


def test_a_part_of_another_run_or_window_is_not_taken(config, whole, tmp_path, made, monkeypatch):
    folder, other = tmp_path / "run", tmp_path / "other"
    interrupt(config, folder, 3, monkeypatch)
    interrupt(config.with_changes("signal.entry=1.5"), other, 3, monkeypatch)
    parts = folder / "parts"
    shutil.copy(other / "parts" / "2006-12-31.part", parts)
    shutil.copy(parts / "2007-06-30.part", parts / "2007-03-31.part")
    made.clear()
    go_on(config, folder)
    assert made == [0, 1, 3, 4, 5, 6, 7]
    assert fingerprint(folder) == fingerprint(whole)


@pytest.mark.parametrize("table", ["tests", "fills", "returns"])
def test_a_run_killed_while_its_tables_are_put_together_goes_on(config, whole, tmp_path, table, made, monkeypatch):
    folder = tmp_path / "run"
    write = run_folder.write_table

    def stops(where: Path, name: str, parts: object) -> None:
        if name == table:
            raise KeyboardInterrupt
        write(where, name, parts)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "write_table", stops)
        with pytest.raises(KeyboardInterrupt):
            run(config, out=folder, report=False)
    made.clear()
    go_on(config, folder)
    assert made == []
    assert fingerprint(folder) == fingerprint(whole)


def test_a_run_killed_before_its_parts_were_removed_is_whole(config, whole, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "drop_parts", lambda folder: None)
        run(config, out=folder, report=False)
    assert (folder / "parts").exists()
    go_on(config, folder)
    assert fingerprint(folder) == fingerprint(whole)


def test_a_whole_run_is_checked_and_shown_again(config, copy, made):
    before = fingerprint(copy)
    said = go_on(config, copy)
    assert made == []
    assert said == [f"{copy} is complete: {len(before) - 1} checksums verified, nothing to do"]
    assert fingerprint(copy) == before


@pytest.mark.parametrize("spoil", [cut, flip, Path.unlink])
@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("tests.parquet", 8),
        ("trades.parquet", 8),
        ("returns.parquet", 8),
        ("summary.csv", 8),
        ("spreads/test_end=2008-03-31/part-0.parquet", 1),
        ("config.toml", 0),
        ("config.resolved.json", 0),
    ],
)
def test_a_damaged_file_of_a_whole_run_is_repaired(config, whole, copy, name, again, spoil, made):
    spoil(copy / name)
    said = go_on(config, copy)
    assert said == [f"{copy} was damaged and is repaired: {name}"]
    assert len(made) == again
    assert fingerprint(copy) == fingerprint(whole)


@pytest.mark.parametrize("name", ["tests", "half_lives", "trades", "fills"])
def test_a_damaged_table_is_never_read(copy, name):
    flip(copy / f"{name}.parquet", 0.4)
    loaded = load_run(copy)
    with pytest.raises(DataError, match=rf"{name}\.parquet is not what the run wrote .* repairs it"):
        getattr(loaded, name)


@pytest.mark.parametrize("name", ["returns.parquet", "summary.csv", "config.resolved.json"])
def test_a_damaged_file_that_is_read_at_once_stops_the_loading(copy, name):
    flip(copy / name, 0.4)
    with pytest.raises(DataError, match="is not what the run wrote"):
        load_run(copy)


def test_damaged_spreads_are_never_read(copy):
    flip(copy / "spreads" / "test_end=2008-03-31" / "part-0.parquet")
    with pytest.raises(DataError, match=r"test_end=2008-03-31.* is not what the run wrote"):
        _ = load_run(copy).spreads


@pytest.mark.parametrize("spoil", [cut, flip])
def test_a_damaged_manifest_is_never_believed(config, copy, spoil):
    spoil(copy / run_folder.MANIFEST)
    with pytest.raises(DataError, match=r"manifest\.json cannot be read"):
        load_run(copy)
    with pytest.raises(ConfigError, match=r"manifest\.json is damaged .* --fresh"):
        go_on(config, copy)


def test_a_number_changed_in_the_manifest_is_seen(copy):
    path = copy / run_folder.MANIFEST
    manifest = json.loads(path.read_text())
    manifest["chance"]["rate"] = 0.5
    path.write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="its checksum does not match"):
        load_run(copy)


@pytest.mark.parametrize("finished", [True, False])
def test_another_config_is_refused_and_nothing_is_touched(config, whole, tmp_path, finished, monkeypatch):
    folder = tmp_path / "run"
    if finished:
        shutil.copytree(whole, folder)
    else:
        interrupt(config, folder, 3, monkeypatch)
    before = fingerprint(folder)
    with pytest.raises(ConfigError, match=r"signal.entry: 2.0 there, 1.5 here.*--fresh"):
        go_on(config.with_changes("signal.entry=1.5"), folder)
    assert fingerprint(folder) == before


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("part", "key", "words"),
    [
        ("data", "sha256", "data sha256"),
        ("versions", "pairs_bt", "versions pairs_bt"),
        ("versions", "numpy", "versions numpy"),
        ("machine", "cpu", "machine cpu"),
    ],
)
def test_other_data_versions_and_processors_are_refused(
    config, whole, tmp_path, part, key, words, finished, monkeypatch
):
    folder = tmp_path / "run"
    if finished:
        shutil.copytree(whole, folder)
    else:
        interrupt(config, folder, 3, monkeypatch)
    before = fingerprint(folder)
    original = module.identify

    def other(study: object) -> dict:
        identity = original(study)  # type: ignore[arg-type]
        return identity | {part: identity[part] | {key: "another"}}

    monkeypatch.setattr(module, "identify", other)
    with pytest.raises(ConfigError, match=rf'{words}: ".*" there, "another" here.*--fresh'):
        go_on(config, folder)
    assert fingerprint(folder) == before


def test_changed_prices_are_refused(tmp_path, demo_prices):
    table = demo_prices.loc["2006":"2008", ["AAPL", "MSFT", "JPM"]]
    path = tmp_path / "prices.csv"
    table.to_csv(path)
    config = Config.from_dict({"data": {"path": str(path)}, "windows": {"train": "1Y"}})
    run(config, out=tmp_path / "run", report=False)
    table.iloc[-1, 0] += 0.01
    table.to_csv(path)
    with pytest.raises(ConfigError, match="data sha256"):
        run(config, out=tmp_path / "run", report=False)


def test_a_changed_table_beside_the_prices_is_refused(tmp_path):
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("y,x\nAAPL,MSFT\nJPM,BAC\n")
    config = Config.load(None, ["data.end=2007-12-31", f"universe.pairs={pairs}"])
    run(config, out=tmp_path / "run", report=False)
    pairs.write_text("y,x\nAAPL,MSFT\nJPM,WMT\n")
    with pytest.raises(ConfigError, match=r"inputs universe\.pairs"):
        run(config, out=tmp_path / "run", report=False)


def test_fresh_begins_anew_and_touches_nothing_else(config, whole, copy, made):
    (copy / "my notes.txt").write_text("mine")
    other = config.with_changes("signal.entry=1.5")
    go_on(other, copy, fresh=True)
    assert len(made) == 8
    assert load_run(copy).config.signal.entry == 1.5
    go_on(config, copy, fresh=True)
    assert (copy / "my notes.txt").read_text() == "mine"
    (copy / "my notes.txt").unlink()
    assert fingerprint(copy) == fingerprint(whole)


@pytest.mark.parametrize("fresh", [True, False])
def test_a_folder_that_no_run_has_made_is_left_alone(config, tmp_path, fresh):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="no run has made what is there"):
        go_on(config, tmp_path, fresh=fresh)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_bad_data_leaves_a_finished_run_alone_even_with_fresh(config, copy, tmp_path):
    before = fingerprint(copy)
    with pytest.raises(PairsError):
        run(config.with_changes(f"data.path={tmp_path / 'nothing.csv'}"), out=copy, fresh=True)
    assert fingerprint(copy) == before


def test_a_window_that_fails_is_named_and_the_others_are_kept(config, whole, tmp_path, made, monkeypatch):
    folder = tmp_path / "run"
    import pairs_bt.engine.pipeline as pipeline

    original = pipeline.run_window

    def fails(study: object, k: int, *args: object, **options: object) -> object:
        if k in (2, 5):
            raise FloatingPointError("a kernel met its match")
        return original(study, k, *args, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "run_window", fails)
        with pytest.raises(PartialError) as caught:
            go_on(config, folder)
    assert "2 of 8 windows failed: 2007-06-30 (FloatingPointError: a kernel met its match); 2008-03-31" in str(
        caught.value
    )
    assert caught.value.exit_code == 4
    with pytest.raises(DataError, match="is not finished"):
        load_run(folder)
    made.clear()
    go_on(config, folder)
    assert made == [2, 5]
    assert fingerprint(folder) == fingerprint(whole)


def test_limits_are_decided_over_all_windows_whichever_are_kept(config, tmp_path, monkeypatch):
    limited = config.with_changes("portfolio.max_pairs_held=2", "portfolio.compounding=true")
    folder, other = tmp_path / "run", tmp_path / "other"
    run(limited, out=folder, report=False)
    interrupt(limited, other, 5, monkeypatch)
    go_on(limited, other, trade_chunk=64)
    assert fingerprint(folder) == fingerprint(other)


def test_a_folder_and_memory_give_the_same_run(config, whole):
    here, there = run(config), load_run(whole)
    for name in ("tests", "half_lives", "trades", "fills", "returns", "summary", "spreads"):
        left, right = getattr(here, name), getattr(there, name)
        pd.testing.assert_frame_equal(
            pd.DataFrame(left), pd.DataFrame(right), check_exact=True, check_categorical=False
        )
    assert here.chance == there.chance


def test_a_loaded_run_reads_a_table_when_it_is_looked_at(whole, monkeypatch):
    from pairs_bt.runs import load

    read: list[str] = []
    original = run_folder.read_table

    def spy(folder: Path, name: str, files: dict[str, str]) -> pd.DataFrame:
        read.append(name)
        return original(folder, name, files)

    monkeypatch.setattr(load.run_folder, "read_table", spy)
    loaded = load_run(whole)
    assert read == ["returns"]
    assert loaded.trades is loaded.trades
    assert read == ["returns", "trades"]
    with pytest.raises(AttributeError, match="no attribute 'tardes'"):
        _ = loaded.tardes


def test_the_manifest_has_what_identifies_a_run_and_no_clock(whole, config):
    manifest = json.loads((whole / run_folder.MANIFEST).read_text())
    assert manifest["status"] == "complete"
    assert set(manifest["files"]) == {*fingerprint(whole)} - {run_folder.MANIFEST}
    assert {"sha256", "rows", "first_date", "last_date"} <= set(manifest["data"])
    assert {"pairs_bt", "numpy", "numba", "python"} <= set(manifest["versions"])
    assert manifest["machine"]["cpu"]
    assert manifest["seed"] == config.run.seed
    assert not any(word in key for key in manifest for word in ("time", "seconds", "clock", "_s_"))
    assert "total_s" in json.loads((whole / "timing.json").read_text())


def test_the_folder_replays_from_its_own_config(whole, tmp_path):
    run(whole / "config.toml", out=tmp_path / "again", report=False)
    assert fingerprint(tmp_path / "again") == fingerprint(whole)
