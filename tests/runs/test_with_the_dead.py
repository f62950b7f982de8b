"""The file of 1,000 listings is what its README says, and its config runs with the dead among them."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pairs_bt
from benchmarks.survivorship import main, survivors
from pairs_bt.config.reader import builtin
from pairs_bt.config.schema import Config

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "data" / "us_1000_2015_2017.parquet"
README = (ROOT / "data" / "README_us_1000.md").read_text(encoding="utf-8")
# Bought or bankrupt on days that anyone can look up, and four that live.
DEAD = ("BRCM", "SNDK", "SUNE", "EMC", "LNKD", "PCP")
ALIVE = ("AAPL", "KO", "PEP", "XOM", "CVX", "JPM")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.read_parquet(FILE)


def test_bytes_and_licence_are_those_of_the_readme() -> None:
    stated = re.search(r"^\| sha256 \| `([0-9a-f]{64})` \|$", README, flags=re.MULTILINE)
    assert stated is not None
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() == stated[1]
    assert "CC BY-SA 4.0" in README
    assert "eliangcs/pystock-data" in README


def test_shape_dates_and_type(frame) -> None:
    assert frame.shape == (513, 1000)
    assert (frame.dtypes == "float32").all()
    assert list(frame.columns) == sorted(set(frame.columns))
    assert frame.index.is_monotonic_increasing
    assert frame.index.is_unique
    assert (frame.index[0], frame.index[-1]) == (pd.Timestamp("2015-03-20"), pd.Timestamp("2017-03-31"))
    assert (frame.index.day_of_week < 5).all()
    values = frame.to_numpy()
    assert (values[np.isfinite(values)] > 0).all()
    assert (frame.iloc[:63].notna().mean() >= 0.95).all()


def test_seventy_seven_are_dead_and_none_comes_back(frame) -> None:
    alive = survivors(frame)
    dead = set(frame.columns) - set(alive)
    assert (len(alive), len(dead)) == (923, 77)
    assert set(DEAD) <= dead
    assert set(ALIVE) <= set(alive)
    last = frame[list(DEAD)].apply(pd.Series.last_valid_index)
    months = {name: f"{day:%Y-%m}" for name, day in last.items()}
    assert months["SUNE"] == "2016-04"
    assert months["EMC"] == "2016-09"
    assert months["LNKD"] == "2016-12"
    inside = sum(int(s.loc[s.first_valid_index() : s.last_valid_index()].isna().sum()) for _, s in frame.items())
    assert inside / frame.notna().sum().sum() < 0.0011


def test_both_files_travel_in_the_wheel() -> None:
    included = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for name in ("data/us_1000_2015_2017.parquet", "data/README_us_1000.md"):
        assert included["force-include"][name] == f"pairs_bt/assets/{name}"


@pytest.fixture(scope="module")
def config() -> Config:
    return Config.load(builtin("with_the_dead.toml"))


def test_the_config_begins_after_the_choice_and_trades_a_leg_that_dies(config, frame) -> None:
    assert str(config.data.start) > "2015-06-19"
    assert (config.windows.train, config.windows.trade, config.windows.step) == ("1Y", "3M", "1M")
    # Every pair with a leg that dies is traded, so that a death is sure to fall into a trade.
    legs = ", ".join(f'["{a}", "{b}"]' for a in DEAD for b in ALIVE)
    named = config.with_changes(
        f"universe.pairs=[{legs}]", "selection.tests=[]", "signal.entry=0.5", "signal.half_life=ignore"
    )
    prices = frame[[*DEAD, *ALIVE]]
    run = pairs_bt.run(named, prices=prices)
    assert len(run.windows) == 9
    ended = run.trades[run.trades["exit_reason"] == "delisted"]
    assert len(ended)
    last = prices.apply(pd.Series.last_valid_index)
    first = np.minimum(ended["y"].map(last), ended["x"].map(last))
    assert (ended["exit_date"] > first).all()
    assert (ended["entry_date"] <= first).all()
    # A loss at death is taken by long legs alone, and by no trade that did not see one.
    harsh = pairs_bt.run(named.with_changes("execution.delisting_loss=0.5"), prices=prices).trades
    key = ["test_end", "y", "x", "variant", "entry_date"]
    both = run.trades.merge(harsh, on=key, suffixes=("", "_harsh"))
    assert len(both) == len(run.trades)
    moved = both["net_pnl_harsh"] < both["net_pnl"] - 1e-6
    assert moved.any()
    assert set(both.loc[moved, "exit_reason"]) == {"delisted"}
    gone = pd.Series({name: day < frame.index[-10] for name, day in last.items()})
    long_y = (both["units_y"] > 0) & both["y"].map(gone)
    long_x = (both["units_x"] > 0) & both["x"].map(gone)
    assert (long_y | long_x)[moved].all()


def test_the_command_prints_its_tables(config, tmp_path, capsys, frame) -> None:
    frame[[*DEAD, *ALIVE]].to_parquet(tmp_path / "cut.parquet")
    main(config.with_changes(f'data.path="{tmp_path}/cut.parquet"', "comparison.draws=100", "hedge.variants=['ols']"))
    said = capsys.readouterr().out
    assert "12 tickers, 6 dead, 4 of them by the first test end; 9 windows" in said
    assert "| survivors | 135 |" in said
    assert said.count("a dead long leg loses 30%") == 1
