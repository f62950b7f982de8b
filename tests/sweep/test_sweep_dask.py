"""A sweep on a cluster's workers leaves the folder of one on threads, whatever happens to them."""

from __future__ import annotations

import pickle
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("distributed")

from click.testing import CliRunner

from pairs_bt.backtest.study import load_prices
from pairs_bt.cli.commands import cli
from pairs_bt.config.schema import Config
from pairs_bt.engine import dask_engine
from pairs_bt.engine.dask_engine import DaskEngine
from pairs_bt.errors import ConfigError, PartialError
from pairs_bt.sweep import dask_workers as on_workers
from pairs_bt.sweep import outcomes, shared_stages, sweep
from pairs_bt.sweep.grid import make_grid
from tests.book_filter import BOOK_FILTER
from tests.engine.test_engine_dask import cluster, kill_a_worker, scheduler  # noqa: F401  # fixtures

pytestmark = [
    # One cluster at a time, with the tests of the engine.
    pytest.mark.xdist_group("dask"),
    # Sockets that a killed worker leaves to its nanny's and scheduler's loops, in this process, to be collected.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

SMALL = ["data.end=2008-12-31", "comparison.draws=100", "comparison.block=20"]
SMALL += ["sweep.minimum_cohorts=2", "sweep.partitions=4"]
# Deltas share levels and candidates; smoothing makes other levels, a train length other windows.
GRID = {
    "filter.hedge.delta": [1e-4, 1e-3],
    "filter.smooth.transition_cov": [0.05, 0.5],
    "windows.train": ["1Y", "2Y"],
}
FEW = {"signal.entry": [1.5, 2.0, 2.5], "signal.exit": [0.0, 0.5]}


@pytest.fixture
def engine(cluster: Any) -> Any:  # noqa: F811
    with DaskEngine(cluster.scheduler_address) as made:
        made.client.wait_for_workers(2, timeout=30)
        yield made
        made.client.run(_mend)


@pytest.fixture(scope="module")
def config() -> Config:
    return Config.load(None, SMALL)


@pytest.fixture(scope="module")
def local(config: Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of the sweep of FEW on threads."""
    folder = tmp_path_factory.mktemp("local") / "sweep"
    sweep(config, FEW, out=folder, jobs=2)
    return files(folder)


@pytest.fixture(scope="module")
def local_grid(config: Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of the sweep of GRID on threads."""
    folder = tmp_path_factory.mktemp("local") / "sweep"
    sweep(config, GRID, out=folder, jobs=2)
    return files(folder)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# What is done to a worker's process; tasks look the name up when they run.


def _slow(seconds: float) -> None:
    def slow(*arguments: Any) -> Any:
        time.sleep(seconds)
        return shared_stages.trade_cohorts(*arguments)

    on_workers.trade_cohorts = slow


def _poison(bad: str) -> None:
    def poisoned(cases: Any, end: np.datetime64, store: Any) -> Any:
        if str(end) == bad:
            raise ZeroDivisionError("a poisoned task")
        return shared_stages.trade_cohorts(cases, end, store)

    on_workers.trade_cohorts = poisoned


def _mend() -> None:
    on_workers.trade_cohorts = shared_stages.trade_cohorts


@pytest.mark.parametrize("whole", [True, False])
def test_a_sweep_on_workers_has_the_bytes_of_one_on_threads(config, engine, local_grid, tmp_path, monkeypatch, whole):
    if not whole:
        # Several batches: the later ones are told the pairs that the first one has searched.
        monkeypatch.setattr(outcomes, "BATCH_BYTES", 1_000_000)
    sweep(config, GRID, out=tmp_path / "sweep", engine=engine)
    assert len(local_grid) > 8
    assert files(tmp_path / "sweep") == local_grid


def test_the_command_on_workers_has_the_bytes_of_one_on_threads(cluster, local, tmp_path):  # noqa: F811
    folder = tmp_path / "sweep"
    grid = [f"--grid={key}={','.join(map(str, values))}" for key, values in FEW.items()]
    sets = [f"--set={change}" for change in SMALL]
    result = CliRunner().invoke(
        cli,
        ["sweep", "--out", str(folder), *grid, *sets, "--engine", "dask", "--scheduler", cluster.scheduler_address],
    )
    assert result.exit_code == 0, result.output
    assert files(folder) == local


def test_settings_made_again_from_what_travels_are_the_settings(config):
    data = load_prices(config)
    changes = {**GRID, "execution.borrow_bps": [0.0, 50.0], "signal.stop": [3.5, None]}
    cases = shared_stages.open_cases([s.config for s in make_grid(config, changes).settings], data)
    message = pickle.dumps(on_workers.cases_to_send(cases))
    again = pickle.loads(message).content
    assert len(again) == len(cases) == 33
    # Three rates of borrowing, the base's among them, are three sets of arrays; other settings share them.
    plain = [replace(case, study=None) for case in cases]  # type: ignore[arg-type]
    arrays = len(message) - len(pickle.dumps(plain))
    first = len(pickle.dumps(on_workers.cases_to_send(cases[:1]))) - len(pickle.dumps(plain[:1]))
    assert 0.9 < arrays / first < 1.3
    for ours, theirs in zip(cases, again, strict=True):
        for name in ("config", "keys", "places", "number"):
            assert getattr(ours, name) == getattr(theirs, name)
        assert ours.study.windows == theirs.study.windows
        for name in ("filled", "quotes", "spread_prices", "pair_i", "pair_j", "borrow_rate", "day_gap"):
            np.testing.assert_array_equal(getattr(ours.study, name), getattr(theirs.study, name))
    filtered = {case.keys.study: case.study.context(0).levels.filtered for case in cases}
    assert len({array.tobytes() for array in filtered.values()}) > 2
    for case in again:
        np.testing.assert_array_equal(case.study.context(0).levels.filtered, filtered[case.keys.study])


def test_workers_need_no_file_of_the_client(config, tmp_path):
    members, rates = tmp_path / "members.csv", tmp_path / "rates.csv"
    members.write_text(
        "ticker,start,end\nAAPL,2004-01-01,\nIBM,2004-01-01,\nKO,2004-01-01,\nPEP,2004-01-01,2007-01-01\n"
    )
    rates.write_text("ticker,borrow_bps\nKO,300\n")
    own = config.with_changes(
        *BOOK_FILTER,
        "selection.alpha=0.99",
        'selection.tests=["engle_granger"]',
        f"universe.membership={members}",
        f"execution.borrow_table={rates}",
    )
    grid = make_grid(own, {"signal.entry": [1.0, 2.0], "windows.train": ["1Y", "2Y"]})
    cases = shared_stages.open_cases([s.config for s in grid.settings], load_prices(own))
    ends = shared_stages.common_ends(cases)
    made = [shared_stages.trade_cohorts(cases, end, shared_stages.CandidateStore()) for end in ends]
    assert any(one is not None and sum(one[1].values()) for found in made for one in found)
    message = pickle.dumps(on_workers.cases_to_send(cases))
    members.unlink()
    rates.unlink()
    shared = pickle.loads(message)
    for end, found in zip(ends, made, strict=True):
        again = on_workers.trade_batch(shared, list(range(len(cases))), end, {})
        assert again.found
        for ours, theirs in zip(found, again.traded, strict=True):
            assert ours is not None
            assert theirs is not None
            assert ours[1] == theirs[1]
            for name, daily in ours[0].daily.items():
                np.testing.assert_array_equal(daily, theirs[0].daily[name])


def test_pairs_are_searched_once_for_all_batches_and_the_choice(config, engine, monkeypatch):
    monkeypatch.setattr(outcomes, "BATCH_BYTES", 1)
    seen: list[set[str]] = []
    real = on_workers.Workers.result

    def result(self: Any, future: Any) -> Any:
        made = real(self, future)
        seen.append(set(made.found))
        return made

    monkeypatch.setattr(on_workers.Workers, "result", result)
    made = sweep(config, FEW, engine=engine)
    ends = made.outcomes[0].ends.size
    assert len(seen) == ends * (len(made.outcomes) + 1)
    assert [len(found) for found in seen] == [1] * ends + [0] * (len(seen) - ends)


def test_a_worker_killed_in_a_task_costs_nothing_but_time(config, cluster, engine, local, tmp_path):  # noqa: F811
    engine.client.run(_slow, 0.3)
    killed = kill_a_worker(cluster, 0.5)
    sweep(config, FEW, out=tmp_path / "sweep", engine=engine)
    killed()
    assert files(tmp_path / "sweep") == local


def test_a_poisoned_task_is_named_and_finished_settings_are_kept(config, engine, local, tmp_path, monkeypatch):
    folder = tmp_path / "sweep"
    engine.client.run(_poison, "2007-09-30")
    with pytest.raises(PartialError, match=r"task 'cohort of 2007-09-30 .*' raised ZeroDivisionError") as caught:
        sweep(config, FEW, out=folder, engine=engine)
    assert caught.value.exit_code == 4
    assert "the same command goes on from there" in str(caught.value)
    engine.client.run(_mend)
    # A smaller grid over the same config, here on threads, and the whole one on workers: only the rest is traded.
    sweep(config, {"signal.entry": [1.5, 2.5]}, out=folder, jobs=1)
    said: list[str] = []
    sweep(config, FEW, out=folder, engine=engine, say=said.append)
    assert said == [f"3 of 6 settings were finished before in {folder}"]
    assert files(folder) == local


def command(out: Path, address: str) -> list[str]:
    return [
        sys.executable, "-m", "pairs_bt.cli", "sweep", "--out", str(out), "--grid", "signal.entry=1.5,2,2.5",
        *(f"--set={change}" for change in SMALL), "--engine", "dask", "--scheduler", address,
    ]  # fmt: skip


def test_the_command_ends_with_130_on_an_interrupt_and_4_when_the_scheduler_is_lost(scheduler, tmp_path):  # noqa: F811
    main, _, address = scheduler
    folder = tmp_path / "sweep"
    for what, code, text in ((signal.SIGINT, 130, "To go on: pairs-bt sweep"), (signal.SIGKILL, 4, "was lost")):
        with DaskEngine(address, timeout=30) as engine:
            engine.client.run(_slow, 0.5)
            process = subprocess.Popen(
                command(folder, address), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            while process.poll() is None and not any(engine.client.processing().values()):
                time.sleep(0.01)
        (process if what == signal.SIGINT else main).send_signal(what)
        _, said = process.communicate(timeout=60)
        assert process.returncode == code, said
        assert "Traceback" not in said
        assert re.search(text, said), said


def test_a_cluster_that_cannot_be_used_is_an_error_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(dask_engine, "DaskEngine", partial(DaskEngine, timeout=0.5))
    for options, text in (
        (["--engine", "dask", "--scheduler", "tcp://127.0.0.1:1"], "tcp://127.0.0.1:1 does not answer within 0.5 s"),
        (["--engine", "dask"], "needs the address of a scheduler"),
        (["--scheduler", "tcp://127.0.0.1:1"], "for --engine dask"),
    ):
        asked = ["sweep", "--grid", "signal.entry=1.5,2", "--out", str(tmp_path / "sweep"), *options]
        with pytest.raises(ConfigError, match=text) as caught:
            CliRunner().invoke(cli, asked, catch_exceptions=False)
        assert caught.value.exit_code == 2
        assert not (tmp_path / "sweep").exists()
