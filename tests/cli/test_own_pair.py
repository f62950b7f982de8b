"""A pair of one's own: named in a config, studied from Python and from the command line, whatever the tests say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pairs_bt
from pairs_bt.config.hedge_rule_names import rule_names
from pairs_bt.config.schema import Config
from pairs_bt.config.writer import to_toml
from pairs_bt.errors import ConfigError
from tests.cli_tools import call, is_one_paragraph

QUICK = (
    "windows.train=6M", "windows.trade=2M", "windows.step=2M", "windows.entry_within=2M", "comparison.draws=100",
    "comparison.block=20",
)  # fmt: skip


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    """A and B share a walk (B the smoother), C and D walk alone."""
    rng = np.random.default_rng(11)
    walk = 100 + np.cumsum(rng.normal(0, 0.6, 420))
    alone = 80 * np.exp(np.cumsum(rng.normal(0, 0.01, (420, 2)), axis=0))
    gap = np.zeros(420)
    for t in range(1, 420):
        gap[t] = 0.8 * gap[t - 1] + rng.normal(0, 0.5)
    columns = {"A": walk + gap, "B": 0.5 * walk + 10, "C": alone[:, 0], "D": alone[:, 1]}
    return pd.DataFrame(columns, index=pd.bdate_range("2019-01-01", periods=420, name="date"))


def config(*changes: str) -> Config:
    return Config().with_changes(*QUICK, *changes)


def test_a_list_names_pairs_and_survives_toml(tmp_path) -> None:
    named = config('universe.pairs=[["D", "C"], ["A", "B"]]', "selection.tests=[]")
    assert named.universe.pairs == (("D", "C"), ("A", "B"))
    assert named.selection.tests == ()
    path = tmp_path / "c.toml"
    path.write_text(to_toml(named))
    assert Config.load(path) == named


@pytest.mark.parametrize("pairs", ['[["A"]]', '[["A", "B", "C"]]', "[]", '["A", "B"]', '[["A", 3]]', "7"])
def test_what_is_no_list_of_pairs_is_refused(pairs: str) -> None:
    with pytest.raises(ConfigError, match=r"universe\.pairs"):
        config(f"universe.pairs={pairs}")


def test_no_test_needs_named_pairs() -> None:
    with pytest.raises(ConfigError, match=r"selection\.tests = \[\].*Name pairs"):
        config("selection.tests=[]")
    config("selection.tests=[]", "selection.method=distance")


def test_a_ticker_that_is_not_there_is_named(prices) -> None:
    with pytest.raises(ConfigError, match=r"universe\.pairs names tickers.*'ZZ'"):
        pairs_bt.run(config('universe.pairs=[["A", "ZZ"]]'), prices=prices)


def test_named_pairs_are_tested_like_any_other(prices) -> None:
    """With tests, a list is a universe: the same rows as of all pairs, the left leg by the better regression."""
    columns = ["test_end", "y", "x", "trace0", "selected", "reason"]
    every = pairs_bt.run(config(), prices=prices).tests
    own = pairs_bt.run(config('universe.pairs=[["B", "A"], ["C", "D"]]'), prices=prices).tests
    for one, two in (("A", "B"), ("C", "D")):
        left = every[(every["s1"] == one) & (every["s2"] == two)][columns].reset_index(drop=True)
        right = own[own["s1"].isin([one, two])][columns].reset_index(drop=True)
        pd.testing.assert_frame_equal(left.drop(columns="trace0"), right.drop(columns="trace0"))
        np.testing.assert_allclose(left["trace0"], right["trace0"], rtol=1e-8)
    assert (every["reason"] == "").any()
    assert (own["reason"] != "").any()


def test_without_tests_every_pair_is_traded_as_it_is_named(prices) -> None:
    for y, x in (("C", "D"), ("D", "C")):
        run = pairs_bt.run(config(f'universe.pairs=[["{y}", "{x}"], ["B", "A"]]', "selection.tests=[]"), prices=prices)
        assert run.tests["selected"].all()
        assert len(run.tests) == 2 * len(run.windows)
        assert set(zip(run.tests["y"], run.tests["x"], strict=True)) == {(y, x), ("B", "A")}
        assert run.tests["eg_pvalue_12"].notna().all()
        assert set(zip(run.half_lives["y"], run.half_lives["x"], strict=True)) == {(y, x), ("B", "A")}


def test_a_pair_in_the_middle_of_the_scan_earns_what_it_earns_alone(prices) -> None:
    """`study_pair` changes no number: a pair that a run chose alone has the same trades."""
    run = pairs_bt.run(config('universe.pairs=[["A", "B"]]', "portfolio.min_pairs=1"), prices=prices)
    y, x = run.trades[["y", "x"]].iloc[0]
    found = pairs_bt.study_pair(prices, y, x, config=config(), variants=run.config.hedge.variants)
    chosen = run.tests[run.tests["selected"] & (run.tests["y"] == y)]["test_end"]
    assert len(chosen)
    ours = found.trades[found.trades["test_end"].isin(chosen)].reset_index(drop=True)
    theirs = run.trades[run.trades["y"] == y].reset_index(drop=True)
    pd.testing.assert_frame_equal(ours, theirs)


def test_a_study_holds_every_rule_and_makes_a_page(prices, tmp_path) -> None:
    found = pairs_bt.study_pair(prices, "D", "C", config=config())
    rules = {name.partition("+")[0].partition("-")[0] for name in found.hedge_ratios["variant"]}
    assert rules == set(rule_names())
    assert len(found.tests) == len(found.run.windows) == found.hedge_ratios["test_end"].nunique()
    assert set(found.tests["y"]) == {"D"}
    ols = found.hedge_ratios[found.hedge_ratios["variant"] == "ols"].iloc[0]
    train = prices.loc[: ols["test_end"]].iloc[-1000:]
    train = train[train.index > ols["test_end"] - pd.DateOffset(months=6)]
    slope = np.polyfit(train["C"], train["D"], 1)[0]
    assert ols["ratio"] == pytest.approx(slope, rel=1e-6)
    assert len(found.spreads)
    assert {"spread", "z_score"} <= set(found.spreads)
    assert "D on C" in found._repr_html_()
    assert len(found.plot().axes) >= 10
    found.write(tmp_path / "a.html")
    found.write(tmp_path / "b.html")
    page = (tmp_path / "a.html").read_text()
    assert page == (tmp_path / "b.html").read_text()
    assert "<title>pairs_bt: D on C" in page
    assert page.count("<svg") >= 2
    assert "http://" not in page.split("<body")[0]


def test_the_command_prints_and_writes_the_page(prices, tmp_path) -> None:
    prices.to_csv(tmp_path / "p.csv")
    sets = [part for item in QUICK for part in ("--set", item)]
    said = call("pair", tmp_path / "p.csv", "D", "C", "--out", tmp_path / "d.html", *sets)
    assert said.code == 0, said.err
    assert "p, D on C" in said.out
    assert "min_variance" in said.out
    assert (tmp_path / "d.html").read_text().startswith("<!doctype html>")
    for legs in (("D", "ZZ"), ("D", "D")):
        refused = call("pair", tmp_path / "p.csv", *legs, *sets)
        assert refused.code == 2
        assert is_one_paragraph(refused.err)
