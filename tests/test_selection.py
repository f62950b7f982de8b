"""Which pairs are tested and chosen, by hand-made scans; and who takes part in a window."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

import pairs_bt
from pairs_bt.chance import chance_rate
from pairs_bt.config import PairGroups, Selection, Universe
from pairs_bt.errors import ConfigError, DataError
from pairs_bt.reference_tables import read_membership
from pairs_bt.selection import (
    ScanColumns,
    choose,
    pair_pvalue,
    resolve_pairs,
    standing,
    standing_reasons,
)

TICKERS = ["A", "B", "C", "D"]


def scan(p12, p21, trace0, trace1, reason=None) -> ScanColumns:
    p12, p21 = np.array(p12, float), np.array(p21, float)
    n = p12.size
    # Statistics fall with their p-values.
    return ScanColumns(
        np.arange(n), np.arange(n) + 1, -1 / (p12 + 1e-6), p12, -1 / (p21 + 1e-6), p21, np.ones(n, int),
        np.array(trace0, float), np.array(trace1, float),
        np.array([""] * n if reason is None else reason, dtype=object),
    )  # fmt: skip


FOUR = scan([0.01, 0.03, 0.20, 0.001], [0.40, 0.02, 0.30, 0.90], [16, 16, 16, 10], [2, 5, 2, 1])


def test_both_tests_bonferroni_and_rank_one() -> None:
    choice = choose(FOUR, Selection())
    assert choice.selected.tolist() == [True, False, False, False]
    assert choice.reason.tolist() == ["", "johansen", "engle_granger", "johansen"]


def test_the_books_rules() -> None:
    book = Selection(combine="any", two_way="none", johansen="book")
    choice = choose(FOUR, book)
    # min p < .05 for three, both statistics above for the second
    assert choice.selected.tolist() == [True, True, False, True]
    assert choice.reason[2] == "no test passed"


def test_best_first_and_max_pairs() -> None:
    choice = choose(FOUR, Selection(tests=("engle_granger",), max_pairs=2))
    assert choice.order.tolist() == [3, 0]
    assert choice.passed.sum() == 3
    assert choice.reason.tolist() == ["", "max_pairs", "engle_granger", ""]
    johansen = choose(FOUR, Selection(tests=("johansen",), max_pairs=1))
    assert johansen.order.tolist() == [0]
    assert johansen.passed.tolist() == [True, False, True, False]


def test_y_is_the_left_side_of_the_better_regression() -> None:
    assert FOUR.y_is_first.tolist() == [True, False, True, True]


@pytest.mark.parametrize("method", ["bh", "by"])
def test_multiplicity_is_statsmodels_over_the_tested_pairs(method: str) -> None:
    rng = np.random.default_rng(1)
    p = rng.uniform(size=40) ** 3
    reason = np.where(np.arange(40) % 7 == 0, "constant: A", "")
    some = scan(np.where(reason == "", p, np.nan), np.where(reason == "", 1.0, np.nan), p, p, reason)
    ours = pair_pvalue(some, Selection(multiplicity=method))
    expected = multipletests(np.minimum(1, 2 * p[reason == ""]), method=f"fdr_{method}")[1]
    np.testing.assert_allclose(ours[reason == ""], expected, rtol=1e-12)
    assert np.isnan(ours[reason != ""]).all()


def test_untested_pairs_are_never_chosen() -> None:
    nothing = scan([np.nan] * 2, [np.nan] * 2, [np.nan] * 2, [np.nan] * 2, ["incomplete: A", "identical"])
    for rules in (Selection(), Selection(combine="any"), Selection(tests=("johansen",), johansen="book")):
        choice = choose(nothing, rules)
        assert not choice.passed.any()
        assert choice.reason.tolist() == ["incomplete: A", "identical"]


def test_pairs_of_the_universe(tmp_path) -> None:
    i, j = resolve_pairs(Universe(), TICKERS)
    assert list(zip(i, j, strict=True)) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    groups = Universe(pairs=PairGroups(left=("C", "A"), right=("A", "B")))
    i, j = resolve_pairs(groups, TICKERS)
    assert list(zip(i, j, strict=True)) == [(2, 0), (2, 1), (0, 1)]
    path = tmp_path / "pairs.csv"
    path.write_text("y,x\nD,A\nA,D\nB,B\nC,B\n")
    i, j = resolve_pairs(Universe(pairs=str(path)), TICKERS)
    assert list(zip(i, j, strict=True)) == [(3, 0), (2, 1)]


def test_pair_files_keep_tickers_that_look_like_something_else(tmp_path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("y,x\nNA,ON\nTRUE,NO\n")
    i, j = resolve_pairs(Universe(pairs=str(path)), ["NA", "ON", "TRUE", "NO"])
    assert list(zip(i, j, strict=True)) == [(0, 1), (2, 3)]


def test_universes_that_name_unknown_tickers_or_leave_nothing(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"universe.pairs.right.*'Z'.*4 columns"):
        resolve_pairs(Universe(pairs=PairGroups(left=("A",), right=("Z",))), TICKERS)
    with pytest.raises(ConfigError, match="no pair of two different tickers"):
        resolve_pairs(Universe(pairs=PairGroups(left=("A",), right=("A",))), TICKERS)
    with pytest.raises(DataError, match="cannot be read"):
        resolve_pairs(Universe(pairs=str(tmp_path / "none.csv")), TICKERS)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\nA,B\n")
    with pytest.raises(DataError, match="lacks"):
        resolve_pairs(Universe(pairs=str(wrong)), TICKERS)


def test_standing_and_membership(tmp_path) -> None:
    path = tmp_path / "members.csv"
    path.write_text(
        "ticker,start,end\nA,2001-01-01,\nB,2001-01-01,2009-12-31\nC,2010-06-01,\nD,2001-01-01,2020-01-01\n"
    )
    members = read_membership(str(path))
    train = np.array([[1.0, 2, 3], [1, 2, 4], [1, 2, 3], [5, 5, 5]])
    assert standing(train, TICKERS, members, np.datetime64("2010-03-31")).tolist() == [0, 3, 3, 2]
    train[0, 1] = np.nan
    codes = standing(train, TICKERS, None, np.datetime64("2010-03-31"))
    assert codes.tolist() == [1, 0, 0, 2]
    i, j = np.triu_indices(4, 1)
    reasons = standing_reasons(codes, TICKERS, i, j).tolist()
    assert reasons == ["incomplete: A", "incomplete: A", "incomplete: A", "", "constant: D", "constant: D"]
    path.write_text("ticker,start,end\nA,yesterday,\n")
    with pytest.raises(DataError, match="YYYY-MM-DD"):
        read_membership(str(path))


def test_identical_and_constant_series_are_left_out_with_a_reason(short_config, demo_prices) -> None:
    prices = demo_prices.copy()
    prices["TWIN"] = prices["KO"]
    prices["FLAT"] = 10.0
    prices["NONE"] = np.nan
    run = pairs_bt.run(short_config.with_changes("data.end=2007-09-28"), prices=prices)
    tests = run.tests.set_index(["s1", "s2"])["reason"]
    assert tests.loc[("KO", "TWIN")].str.contains("identical").all()
    assert (tests.loc[("TWIN", "FLAT")] == "constant: FLAT").all()
    assert (tests.loc[("FLAT", "NONE")].isin(["constant: FLAT", "incomplete: NONE"])).all()
    assert not run.tests.loc[run.tests["reason"] != "", "selected"].any()
    assert run.notes


def test_chance_rate_is_near_the_nominal_size(short_config) -> None:
    one_way = Selection(tests=("engle_granger",), two_way="none")
    found = chance_rate(one_way, 504, seed=3)
    # The smaller of two p-values at 5% passes in about 9% of independent walks, the doubled one in about 5%.
    assert 0.075 < found.rate < 0.105
    assert 0.03 < chance_rate(Selection(tests=("engle_granger",)), 504, seed=3).rate < 0.06
    assert chance_rate(one_way, 504, seed=3) == found


@pytest.mark.parametrize("seed", [1, 2])
def test_two_jobs_and_small_chunks_change_no_byte(short_config, seed: int) -> None:
    config = short_config.with_changes(f"run.seed={seed}", "data.end=2007-12-31")
    one = pairs_bt.run(config, jobs=1)
    two = pairs_bt.run(config, jobs=3, scan_chunk=17, trade_chunk=1)
    for name in ("tests", "half_lives", "spreads", "trades", "fills", "returns", "summary"):
        pd.testing.assert_frame_equal(
            pd.DataFrame(getattr(one, name)), pd.DataFrame(getattr(two, name)), check_exact=True
        )
