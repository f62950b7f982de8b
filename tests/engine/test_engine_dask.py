"""A cluster's workers give the bytes of one process, whatever happens to them."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("distributed")

from pairs_bt import Config, run
from pairs_bt.backtest.study import Study
from pairs_bt.engine import dask_tasks
from pairs_bt.engine.dask_engine import DaskEngine
from pairs_bt.engine.dask_tasks import Sent, check_identity, local_identity, to_send
from pairs_bt.engine.local import Engine, Kept, LocalEngine, find_refusals
from pairs_bt.errors import ConfigError, PartialError
from pairs_bt.runner import open_study
from tests.fault_tools import SMALL, fingerprint

pytestmark = [
    # One cluster, for one of the suite's processes.
    pytest.mark.xdist_group("dask"),
    # Sockets that a killed worker leaves to its nanny's and scheduler's loops, in this process, to be collected.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

TABLES = ("tests", "half_lives", "spreads", "trades", "fills")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two spawned workers of one thread, on the loopback, without a dashboard."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0",
        memory_limit=0, silence_logs=50,
    ) as made:  # fmt: skip
        yield made


@pytest.fixture
def engine(cluster: Any) -> Iterator[DaskEngine]:
    with DaskEngine(cluster.scheduler_address, scan_chunk=70, trade_chunk=64) as made:
        yield made
        for undo in (_mend, _unmask):
            made.client.run(undo)


@pytest.fixture(scope="module")
def config() -> Config:
    return Config.load(None, ["data.end=2008-12-31", "comparison.draws=100", "selection.alpha=0.2"])


@pytest.fixture(scope="module")
def study(config: Config) -> Study:
    return open_study(config)


@pytest.fixture(scope="module")
def local(config: Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of the run on threads."""
    folder = tmp_path_factory.mktemp("local") / "run"
    run(config, out=folder, report=False)
    return fingerprint(folder)


def frames(engine: Engine, study: Study, **options: Any) -> list[dict[str, pd.DataFrame]]:
    refusals = find_refusals(engine, study)
    made = engine.windows(study, list(range(len(study.windows))), refusals=refusals, **options)
    return [{name: getattr(window, name) for name in TABLES} | {"cohort": window.cohort} for window in made]  # type: ignore[union-attr]


# What is done to a worker's process; tasks look these names up when they run.


def _poison(lo: int, how: str = "raise") -> None:
    from pairs_bt.backtest import window_tasks
    from pairs_bt.engine import dask_tasks

    def bad(study: Study, k: int, at: int, hi: int) -> Any:
        if k == 3 and at == lo:
            if how == "raise":
                raise ZeroDivisionError("a poisoned task")
            os._exit(9)
        return window_tasks.scan_task(study, k, at, hi)

    dask_tasks.scan_task = bad


def _slow(seconds: float) -> None:
    from pairs_bt.backtest import window_tasks
    from pairs_bt.engine import dask_tasks

    def slow(*arguments: Any) -> Any:
        time.sleep(seconds)
        return window_tasks.scan_task(*arguments)

    dask_tasks.scan_task = slow


def _mend() -> None:
    from pairs_bt.backtest import window_tasks
    from pairs_bt.engine import dask_tasks

    dask_tasks.scan_task = window_tasks.scan_task


def _mask(version: str) -> None:
    from pairs_bt.engine import identity

    dask_tasks.versions = lambda: identity.versions() | {"numpy": version}


def _unmask() -> None:
    from pairs_bt.engine import identity

    dask_tasks.versions = identity.versions


def test_a_run_on_workers_has_the_bytes_of_one_on_threads(config, engine, local, tmp_path):
    for shared_folder in (False, True):
        engine.shared_folder = shared_folder
        folder = tmp_path / f"run-{shared_folder}"
        run(config, out=folder, report=False, engine=engine)
        assert fingerprint(folder) == local


@pytest.mark.parametrize("chunks", [(37, 1), (10_000, 10_000)])
def test_no_chunk_size_changes_a_table(cluster, study, chunks):
    ours = frames(LocalEngine(1), study)
    with DaskEngine(cluster.scheduler_address, scan_chunk=chunks[0], trade_chunk=chunks[1]) as engine:
        theirs = frames(engine, study)
    for here, there in zip(ours, theirs, strict=True):
        for name in TABLES:
            pd.testing.assert_frame_equal(here[name], there[name], check_exact=True)
        for side in ("daily", "delayed"):
            for variant, daily in getattr(here["cohort"], side).items():
                np.testing.assert_array_equal(daily, getattr(there["cohort"], side)[variant])


def test_portfolio_limits_hold_on_workers_too(config, engine):
    limited = config.model_copy(update={"portfolio": config.portfolio.model_copy(update={"max_pairs_held": 3})})
    ours, theirs = run(limited), run(limited, engine=engine)
    assert len(ours.trades) < len(run(config).trades)
    pd.testing.assert_frame_equal(ours.trades, theirs.trades, check_exact=True)
    pd.testing.assert_frame_equal(ours.returns, theirs.returns, check_exact=True)
    pd.testing.assert_frame_equal(ours.summary, theirs.summary, check_exact=True)


def test_workers_write_into_a_shared_folder_and_return_only_that_they_have(study, engine, tmp_path):
    from pairs_bt.engine.window_parts import Parts

    engine.shared_folder = True
    parts = Parts(tmp_path, "a run", [window.label for window in study.windows])
    made = list(engine.windows(study, [1, 0], parts=parts))
    assert made == [Kept(1), Kept(0)]
    assert parts.verified(0)
    assert parts.verified(1)


def test_a_folder_that_is_not_shared_is_an_error(config, engine, tmp_path, monkeypatch):
    from pairs_bt.engine.window_parts import Parts

    engine.shared_folder = True
    monkeypatch.setattr(Parts, "verified", lambda self, k: False)
    with pytest.raises(PartialError, match="not shared under the same path"):
        run(config, out=tmp_path / "run", report=False, engine=engine)


def kill_a_worker(cluster: Any, after: float) -> Callable[[], None]:
    """Kill -9 one worker in a while; returns what waits until that is done."""
    victim = next(iter(cluster.workers.values())).pid

    def kill() -> None:
        time.sleep(after)
        os.kill(victim, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread.join


def test_a_worker_killed_in_a_task_costs_nothing_but_time(config, cluster, engine, local, tmp_path):
    engine.client.run(_slow, 0.05)
    killed = kill_a_worker(cluster, 0.3)
    run(config, out=tmp_path / "run", report=False, engine=engine)
    killed()
    assert fingerprint(tmp_path / "run") == local


def test_a_poisoned_task_is_named_and_the_rest_is_kept(config, engine, local, tmp_path):
    folder = tmp_path / "run"
    engine.client.wait_for_workers(2, timeout=20)
    engine.client.run(_poison, 70)
    with pytest.raises(PartialError, match="1 of 8 windows failed") as caught:
        run(config, out=folder, report=False, engine=engine)
    assert caught.value.exit_code == 4
    assert "the task 'scan of pairs 70 to 140 in window 2007-09-30' raised ZeroDivisionError" in str(caught.value)
    assert len(list((folder / "parts").glob("*.part"))) == 7
    engine.client.run(_mend)
    said: list[str] = []
    run(config, out=folder, report=False, engine=engine, say=said.append)
    assert said == [f"going on in {folder}: 7 of 8 windows are kept"]
    assert fingerprint(folder) == local


@pytest.mark.slow
def test_a_task_that_ends_its_workers_is_given_up_and_named(config, engine, local, tmp_path):
    from distributed import WorkerPlugin

    class Deadly(WorkerPlugin):
        """Poisons restarted workers as well."""

        def setup(self, worker: Any) -> None:
            _poison(70, "exit")

    folder = tmp_path / "run"
    engine.client.wait_for_workers(2, timeout=20)
    engine.client.register_plugin(Deadly(), name="deadly")
    with pytest.raises(PartialError, match=r"the task '.*' was on 4 workers that ended, the last tcp://") as caught:
        run(config, out=folder, report=False, engine=engine)
    # Tasks that waited on the same workers may be given up with it.
    assert "2007-09-30" in str(caught.value)
    assert any(folder.glob("parts/*.part"))
    engine.client.unregister_worker_plugin("deadly")
    engine.client.wait_for_workers(2, timeout=30)
    engine.client.run(_mend)
    run(config, out=folder, report=False, engine=engine)
    assert fingerprint(folder) == local


def test_a_worker_of_another_version_is_refused(cluster, engine, study):
    engine.client.run(_mask, "1.26.4")
    with pytest.raises(
        ConfigError, match=r"The worker tcp://127.0.0.1:\d+ is not like this process: .*numpy 1.26.4 there"
    ):
        DaskEngine(cluster.scheduler_address).__enter__()
    # One that came after the check meets it when it opens the study.
    with pytest.raises(ConfigError, match=r"The client is not like this process: .*numpy .* here"):
        list(engine.windows(study, [0]))


def test_a_scheduler_that_does_not_answer_is_an_error_in_time(config):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        for address in (f"tcp://127.0.0.1:{silent.getsockname()[1]}", "tcp://127.0.0.1:1", "nowhere"):
            with pytest.raises(ConfigError, match=f"The scheduler {address} does not answer within 0.5 s"):
                DaskEngine(address, timeout=0.5).__enter__()


def test_a_scheduler_without_workers_is_an_error_in_time():
    from distributed import LocalCluster

    with (
        LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50) as empty,
        pytest.raises(ConfigError, match=r"has no worker after 0.3 s. Start some with `dask worker tcp://"),
    ):
        DaskEngine(empty.scheduler_address, timeout=0.3).__enter__()


# The command, against a scheduler in a process of its own.


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], subprocess.Popen[bytes], str]]:
    """A scheduler process, with one worker process."""
    note = tmp_path / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    begun: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        begun.append(subprocess.Popen([sys.executable, "-m", *arguments], **quiet))  # type: ignore[call-overload]
        return begun[-1]

    main = start(
        "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
        "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(note),
    )  # fmt: skip
    worker = start(
        "distributed.cli.dask_worker", "--scheduler-file", str(note), "--nthreads", "1", "--no-nanny",
        "--no-dashboard", "--memory-limit", "0", "--local-directory", str(tmp_path),
    )  # fmt: skip
    try:
        for _ in range(400):
            if note.exists() and note.stat().st_size:
                break
            time.sleep(0.05)
        import json

        yield main, worker, json.loads(note.read_text())["address"]
    finally:
        for process in begun:
            process.kill()
        for process in begun:
            process.wait()


def command(out: Path, address: str) -> list[str]:
    return [
        sys.executable, "-m", "pairs_bt.cli", "run", "--out", str(out), *SMALL,
        "--engine", "dask", "--scheduler", address,
    ]  # fmt: skip


def test_the_command_on_a_scheduler_that_is_lost_ends_with_4_and_on_an_interrupt_with_130(scheduler, tmp_path):
    main, _, address = scheduler
    folder = tmp_path / "run"
    for what, code, text in ((signal.SIGINT, 130, "To go on"), (signal.SIGKILL, 4, "was lost")):
        with DaskEngine(address, timeout=30) as engine:
            engine.client.run(_slow, 0.05)
        process = subprocess.Popen(command(folder, address), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        before = len(list((folder / "parts").glob("*.part")))
        while process.poll() is None and len(list((folder / "parts").glob("*.part"))) <= before:
            time.sleep(0.01)
        asked = time.monotonic()
        (process if what == signal.SIGINT else main).send_signal(what)
        _, said = process.communicate(timeout=60)
        assert (process.returncode, text in said, "Traceback" in said) == (code, True, False), said
        assert len(list((folder / "parts").glob("*.part"))) > before
        assert time.monotonic() - asked < 30
    said_last: list[str] = []
    small = Config.load(None, ["data.end=2009-12-31", "comparison.draws=100"])
    run(small, out=folder, report=False, say=said_last.append)
    assert "windows are kept" in said_last[0]


def test_the_last_worker_gone_ends_the_run_in_time(scheduler, study):
    _, worker, address = scheduler
    with DaskEngine(address, scan_chunk=20, timeout=30, patience=0.5) as engine:
        engine.client.run(_slow, 0.02)
        windows = engine.windows(study, list(range(8)))
        next(windows)
        worker.kill()
        with pytest.raises(PartialError, match=r"has had no worker for 0.5 s"):
            list(windows)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--engine", "dask"], "needs the address of a scheduler"),
        (["--scheduler", "tcp://127.0.0.1:1"], "are for --engine dask"),
        (["--shared-folder"], "are for --engine dask"),
    ],
)
def test_options_that_contradict_each_other_are_config_errors(options, text, tmp_path):
    from click.testing import CliRunner

    from pairs_bt.cli.commands import cli

    result = CliRunner().invoke(cli, ["run", "--out", str(tmp_path / "run"), *options])
    assert isinstance(result.exception, ConfigError)
    assert text in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_without_dask_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r'pip install "pairs-bt\[dask\]"'):
        DaskEngine("tcp://127.0.0.1:1").__enter__()


# The study that travels.


def travelled(study: Study) -> Study:
    return pickle.loads(pickle.dumps(Sent(to_send(study)))).content


def test_a_study_that_travelled_is_the_study(config):
    odd = config.model_copy(
        update={
            "universe": config.universe.model_copy(update={"complete_over": "sample"}),
            "filter": config.filter.model_copy(update={"spread_on": "filtered"}),
        }
    )
    for settings in (config, odd):
        study = open_study(settings)
        study.context(0)
        other = travelled(study)
        for field in fields(Study):
            ours, theirs = getattr(study, field.name), getattr(other, field.name)
            if field.name in ("prices", "notes", "contexts"):
                continue
            if isinstance(ours, np.ndarray):
                np.testing.assert_array_equal(ours, theirs, err_msg=field.name)
            elif isinstance(ours, pd.Index):
                pd.testing.assert_index_equal(ours, theirs, check_names=False)
            else:
                assert ours == theirs, field.name


def test_members_travel(config, tmp_path):
    table = tmp_path / "members.csv"
    table.write_text("ticker,start,end\nAAPL,2006-01-01,\nAMD,2007-01-01,2008-01-01\n")
    settings = config.model_copy(update={"universe": config.universe.model_copy(update={"membership": str(table)})})
    study = open_study(settings)
    for k in range(len(study.windows)):
        np.testing.assert_array_equal(study.context(k).codes, travelled(study).context(k).codes)


def test_contexts_stay_behind_and_stay_shared(study):
    from dataclasses import replace

    study.context(0)
    small = len(pickle.dumps(to_send(study)))
    assert len(pickle.dumps(to_send(replace(study)))) == small
    one, other = pickle.loads(pickle.dumps([study, replace(study)]))
    assert one.contexts is other.contexts
    assert one.context(0) is other.context(0)


def test_a_process_looks_once_at_who_sent_a_study(study, monkeypatch):
    sent = pickle.loads(pickle.dumps(Sent(study)))
    monkeypatch.setattr(dask_tasks, "versions", lambda: {"numpy": "1.26.4"})
    with pytest.raises(ConfigError, match=r"The client is not like this process: .*numpy"):
        _ = sent.content
    monkeypatch.undo()
    assert sent.content is sent.content
    monkeypatch.setattr(dask_tasks, "versions", lambda: {"numpy": "1.26.4"})
    assert sent.content.tickers == study.tickers


def test_an_identity_names_what_differs():
    check_identity(local_identity(), "The worker")
    with pytest.raises(ConfigError, match=r"The worker is not like this process: numba 0.1 there"):
        check_identity(local_identity() | {"numba": "0.1"}, "The worker")
