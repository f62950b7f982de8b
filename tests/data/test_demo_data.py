"""The demonstration prices are what data/README.md says they are."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

DATA = Path(__file__).resolve().parents[2] / "data"
FILE = DATA / "us_large_caps.parquet"
README = (DATA / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.read_parquet(FILE)


def test_bytes_are_those_of_the_readme():
    stated = re.search(r"^\| sha256 \| `([0-9a-f]{64})` \|$", README, flags=re.MULTILINE)
    assert stated is not None
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() == stated[1]


def test_columns_are_the_tickers_of_the_readme(frame):
    stated = re.search(r"^\| Tickers \| ([A-Z ]+) \|$", README, flags=re.MULTILINE)
    assert stated is not None
    tickers = stated[1].split()
    assert len(tickers) == 20
    assert tickers == sorted(tickers)
    assert list(frame.columns) == ["date", *tickers]
    assert (frame[tickers].dtypes == "float64").all()
    assert isinstance(frame.index, pd.RangeIndex)


def test_dates(frame):
    date = frame["date"]
    assert pd.api.types.is_datetime64_dtype(date.dtype)
    assert date.is_monotonic_increasing
    assert date.is_unique
    assert (date == date.dt.normalize()).all()
    assert (date.iloc[0], date.iloc[-1]) == (pd.Timestamp("2005-01-03"), pd.Timestamp("2022-12-28"))
    assert f"{len(date):,} trading days" in README
    assert date.diff().max() <= pd.Timedelta(days=5)


def test_prices_are_complete_positive_and_rounded(frame):
    prices = frame.drop(columns="date").to_numpy()
    assert np.isfinite(prices).all()
    assert prices.min() > 0.0
    assert np.array_equal(prices, np.round(prices, 3))


def test_no_split_is_left_in_and_nothing_is_stale(frame):
    prices = frame.drop(columns="date").to_numpy()
    ratio = prices[1:] / prices[:-1]
    # a forgotten 2:1 split, or a larger one, halves or doubles the price overnight
    assert ratio.min() > 0.55
    assert ratio.max() < 1 / 0.55
    repeats = prices[1:] == prices[:-1]
    three_running = repeats[2:] & repeats[1:-1] & repeats[:-2]
    assert not three_running.any()


def test_readme_says_what_the_data_are_not():
    assert "Twenty survivors are a demonstration, not a universe." in README
    assert "Copyright (c) 2023-2026 The skfolio developers." in README
