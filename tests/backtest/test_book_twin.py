"""The stages from prices to z-scores equal a slow twin written with pykalman and pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pairs_bt
from pairs_bt.backtest.study import prepare
from pairs_bt.config.reader import builtin
from pairs_bt.config.schema import Config
from tests.twins.book import book_signals

RULES = ("dynamic", "fixed_first", "averaged", "fixed_last")


@pytest.fixture(scope="module")
def book_run():
    config = Config.load(
        builtin("book.toml"),
        ["data.start=2005-01-01", "data.end=2007-12-31", "selection.max_pairs=3"],
    )
    return pairs_bt.run(config)


def test_hedge_ratio_spread_half_life_and_z_score_equal_the_twin(book_run) -> None:
    study = prepare(book_run.config)
    compared = 0
    for k in (0, 2):
        window = study.windows[k]
        bars = slice(window.first, window.stop)
        lives = book_run.half_lives[book_run.half_lives["test_end"] == pd.Timestamp(window.test_end)]
        spreads = book_run.spreads[book_run.spreads["test_end"] == pd.Timestamp(window.test_end)]
        for y, x in lives[["y", "x"]].drop_duplicates().itertuples(index=False):
            prices = book_run.prices.iloc[: window.stop]
            for rule in RULES:
                twin = book_signals(prices, y, x, bars, window.n_train, rule)
                ours = spreads[(spreads["y"] == y) & (spreads["x"] == x) & (spreads["variant"] == rule)]
                assert list(ours["date"]) == list(twin.index)
                for column in ("hedge_ratio", "spread", "z_score"):
                    # Relative to the column's size: spreads and z-scores cross zero.
                    scale = np.abs(twin[column]).max()
                    np.testing.assert_allclose(ours[column], twin[column], rtol=1e-9, atol=1e-9 * scale)
                life = lives[(lives["y"] == y) & (lives["x"] == x) & (lives["variant"] == rule)]["half_life"]
                assert life.item() == twin["half_life"].iloc[0]
                compared += 1
    assert compared >= 16
