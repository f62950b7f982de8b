"""The maker of universes: chosen by what was known on a date, names that vanish later kept."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pairs_bt.data.prices import read_prices

SCRIPT = Path(__file__).resolve().parents[2] / "data" / "make_universe.py"


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("make_universe", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def kaggle(folder: Path) -> None:
    """Files as in the Huge Stock Market Dataset: Stocks/aapl.us.txt, some of them empty."""
    days = pd.bdate_range("2015-01-01", periods=200)
    rng = np.random.default_rng(5)
    (folder / "Stocks").mkdir()
    for k, name in enumerate(["big", "mid", "small", "dies", "late", "grows"]):
        close = np.round(20 * np.exp(rng.normal(0, 0.01, 200).cumsum()), 2)
        volume = np.full(200, 1_000_000 // (k + 1))
        if name == "grows":
            volume[150:] *= 1000
        frame = pd.DataFrame(
            {"Date": days.strftime("%Y-%m-%d"), "Open": close, "High": close, "Low": close, "Close": close,
             "Volume": volume, "OpenInt": 0}
        )  # fmt: skip
        frame = {"dies": frame.iloc[:150], "late": frame.iloc[90:]}.get(name, frame)
        frame.to_csv(folder / "Stocks" / f"{name}.us.txt", index=False)
    (folder / "Stocks" / "empty.us.txt").write_text("")
    (folder / "Stocks" / "odd.us.txt").write_text("Date,Close\n2015-01-01,3\n")


def test_the_choice_is_that_of_the_date(script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kaggle(tmp_path)
    out = tmp_path / "u.parquet"
    script.main([str(tmp_path / "Stocks"), "--as-of", "2015-05-01", "--size", "4", "--out", str(out)])
    said = capsys.readouterr()
    prices = read_prices(out).prices
    # grows trades most in the end and dies is gone by then: neither was known
    assert list(prices.columns) == ["big.us", "dies.us", "mid.us", "small.us"]
    assert len(prices) == 200
    assert prices["dies.us"].iloc[150:].isna().all()
    assert "4 of 6 tickers" in said.out
    assert "1 have no price on the last ten; 2 files passed over" in said.out
    assert "odd.us.txt" in said.err
    first = out.read_bytes()
    script.main([str(tmp_path / "Stocks"), "--as-of", "2015-05-01", "--size", "4", "--out", str(out)])
    assert out.read_bytes() == first


def test_later_rows_do_not_change_the_choice(script: Any, tmp_path: Path) -> None:
    kaggle(tmp_path)
    whole = script.read_folder(tmp_path / "Stocks")
    as_of = pd.Timestamp("2015-05-01")
    cut = script.Universe(whole.prices.loc[:as_of], whole.dollars.loc[:as_of], {})
    for size in (1, 3, 5):
        assert script.choose(whole, as_of, size=size, days=63) == script.choose(cut, as_of, size=size, days=63)
    with pytest.raises(SystemExit, match="the ranking needs 63"):
        script.choose(whole, pd.Timestamp("2015-01-30"), size=3, days=63)
