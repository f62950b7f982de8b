"""Prices of one's own, without a config: none of the demo's dates cut them, and what a config cuts is said."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

import pairs_bt
from pairs_bt.config.schema import Config
from pairs_bt.errors import ConfigError
from pairs_bt.sweep import sweep
from tests.cli_tools import SHORT, call

# Before the demo's first date and after its last one.
EARLY, LATE = "2004-06-01", "2024-06-28"
QUICK = ["windows.train=60D", "windows.trade=14D", "windows.step=14D", "windows.entry_within=7D"]
SETS = [part for item in QUICK for part in ("--set", item)]


def frame(start: str, days: int = 160) -> pd.DataFrame:
    steps = np.random.default_rng(3).normal(0, 0.01, (days, 3)).cumsum(axis=0)
    return pd.DataFrame(
        50 * np.exp(steps), index=pd.bdate_range(start, periods=days, name="date"), columns=["A", "B", "C"]
    )


@pytest.mark.parametrize("key", ["data.path=p.csv", "data.synthetic.left=3", "data.synthetic={ left = 3 }"])
def test_the_demos_dates_go_with_its_prices(key: str) -> None:
    config = Config.load(None, [key])
    assert (config.data.start, config.data.end) == (None, None)
    assert bool(config.data.path) == key.startswith("data.path")


def test_dates_that_are_given_stay_and_so_do_those_of_a_file(tmp_path) -> None:
    config = Config.load(None, ["data.path=p.csv", "data.end=2020-12-31"])
    assert (config.data.start, config.data.end) == (None, date(2020, 12, 31))
    assert Config.load(None, ["signal.entry=1.5"]).data.start == date(2005, 1, 1)
    path = tmp_path / "c.toml"
    path.write_text("[data]\npath = 'p.csv'\nend = 2020-12-31\n")
    assert Config.load(path, ["data.path=q.csv"]).data.end == date(2020, 12, 31)


@pytest.mark.parametrize("start", [EARLY, "2022-09-01", LATE])
def test_validate_uses_every_date_of_a_file(start: str, tmp_path) -> None:
    prices = frame(start)
    prices.to_csv(tmp_path / "mine.csv")
    said = call("validate", "--set", f"data.path={tmp_path / 'mine.csv'}", *SETS)
    assert said.code == 0, said.err
    assert f"{prices.index[0]:%Y-%m-%d} to {prices.index[-1]:%Y-%m-%d}, 160 dates" in said.out
    assert "are left out" not in said.out


def test_a_frame_without_a_config_is_used_whole(monkeypatch) -> None:
    # The demo's windows need years.
    prices = frame("2019-06-03", 1200)
    run = pairs_bt.run(prices=prices)
    assert run.config.data.end is None
    assert run.prices.index[-1] == prices.index[-1]
    assert not any("left out" in note for note in run.notes)
    swept = sweep(None, {"signal.entry": [1.5]}, prices=prices)
    assert swept.config.data.end is None
    cut = pairs_bt.run(Config.load(), prices=prices)
    late = int((prices.index > "2022-12-28").sum())
    assert cut.notes[0] == f"{late} dates after data.end = 2022-12-28 are left out"


def test_what_a_config_cuts_is_one_line(tmp_path) -> None:
    frame("2020-01-01").to_csv(tmp_path / "p.csv")
    path = tmp_path / "c.toml"
    path.write_text(f'[data]\npath = "p.csv"\nstart = 2020-01-02\nend = 2020-06-30\n{SHORT}')
    said = call("validate", path)
    assert "1 date before data.start = 2020-01-02 is left out" in said.out
    assert "30 dates after data.end = 2020-06-30 are left out" in said.out
    said = call("run", path, "--out", tmp_path / "run", "--no-report")
    assert "note: 30 dates after data.end = 2020-06-30 are left out" in said.err


@pytest.mark.parametrize("name", ["prices.csv", "prices.PARQUET"])
def test_prices_in_place_of_a_config_take_the_demos_method(name: str, tmp_path) -> None:
    config = Config.load(tmp_path / name, ["signal.entry=1.5"])
    demo = Config.load(None, ["signal.entry=1.5"])
    assert config.data.path == str(tmp_path / name)
    assert (config.data.start, config.data.end) == (None, None)
    assert config.model_copy(update={"data": demo.data}) == demo


@pytest.mark.parametrize(("block", "noted"), [(13, False), (9, True)])
def test_blocks_shorter_than_a_cohort_are_noted(block: int, noted: bool, tmp_path) -> None:
    frame("2020-01-01").to_csv(tmp_path / "p.csv")
    changes = [*QUICK, f"comparison.block={block}", f"data.path={tmp_path / 'p.csv'}", "windows.trade=18D"]
    said = call("validate", *(part for item in changes for part in ("--set", item)))
    assert said.code == 0, said.err
    assert ("are shorter than the 12 days that a cohort trades" in said.out) is noted
    assert "comparison.block" not in "".join(note.text for note in pairs_bt.runner.open_study(Config.load()).notes)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("hedge.variants='dynamic'", """hedge.variants = 'dynamic': a list is expected here, such as ["dynamic"]."""),
        ("data.end=2020", "data.end = 2020: a date is expected here, written YYYY-MM-DD without quotes."),
        ("data.end=1.1.2020", "data.end = '1.1.2020': a date is expected here, written YYYY-MM-DD without quotes."),
        ("hedge.rehedge=[{band=0}]", "hedge.rehedge.0.band = 0: input should be greater than 0."),
        ("hedge.rehedge=['nevr']", "hedge.rehedge.0 = 'nevr': input should be 'never' or 'daily', or a table."),
        ("filter.smooth=3", "filter.smooth = 3: input should be 'none', or a table."),
    ],
)
def test_an_error_is_told_once_in_words_of_the_config(change: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.load(None, [change])
    assert str(caught.value) == f"The config has 1 error: {text}"
