"""What an interrupted command says: how to go on, or that it had finished."""

from __future__ import annotations

import sys

import pytest

from pairs_bt.cli.terminal import interrupt
from tests.cli_tools import call

SWEEP = ["--set", "data.end=2008-06-30", "--set", "hedge.variants=['averaged']", "--set", "comparison.draws=100"]


def test_the_command_that_goes_on_has_no_fresh(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pairs-bt", "audit", "my config.toml", "--fresh", "--out", "a"])
    assert interrupt.resume_command() == "pairs-bt audit 'my config.toml' --out a"


@pytest.mark.parametrize(
    ("where", "arguments"),
    [
        ("pairs_bt.audit.runner.run_audit", ["audit"]),
        ("pairs_bt.sweep.runner.sweep", ["sweep", "--grid", "signal.entry=1.5,2"]),
    ],
)
def test_an_interrupt_says_how_to_go_on(where, arguments, tmp_path, monkeypatch):
    said = []

    def stop(*_, **__):
        said.append(interrupt._text())
        raise KeyboardInterrupt

    monkeypatch.setattr(interrupt, "_message", [lambda: ""])
    monkeypatch.setattr(where, stop)
    assert call(*arguments, "--out", tmp_path / "x", "--fresh").code == 130
    assert said[0].startswith("Interrupted.")
    assert f"To go on: pairs-bt {arguments[0]} " in said[0]
    assert "--fresh" not in said[0]


def test_a_sweep_that_is_finished_says_so_when_it_is_interrupted_while_it_prints(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(interrupt, "_message", [lambda: ""])
    monkeypatch.setattr("pairs_bt.cli.sweep.show_sweep", lambda result: said.append(interrupt._text()))
    done = call("sweep", "--grid", "signal.entry=1.5,2", "--out", tmp_path / "s", *SWEEP)
    assert done.code == 0, done.err
    assert said == [f"Interrupted; the sweep in {tmp_path / 's'} is finished."]
