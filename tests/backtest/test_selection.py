"""Which pairs are tested and chosen, by hand-made scans; and who takes part in a window."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

import pairs_bt
from benchmarks.chance_band import FAMILIES, RULES, coverage, study_of, trial, walks
from pairs_bt.backtest import selection_null
from pairs_bt.backtest.selection import (
    ScanColumns,
    accepts,
    eligibility,
    eligibility_reasons,
    johansen_pvalue,
    pair_pvalue,
    resolve_pairs,
    select_pairs,
)
from pairs_bt.config.schema import PairGroups, Selection, Universe
from pairs_bt.data.reference_tables import read_membership
from pairs_bt.errors import ConfigError, DataError
from pairs_bt.models.johansen_pvalues import last_pvalues

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
    choice = select_pairs(FOUR, Selection())
    assert choice.selected.tolist() == [True, False, False, False]
    assert choice.reason.tolist() == ["", "johansen", "engle_granger", "johansen"]


def test_the_smaller_of_two_pvalues_is_doubled() -> None:
    """0.02 and 0.03 pass by the smaller one alone; doubled, 0.03 does not."""
    made = scan([0.02, 0.03, 0.60], [0.90, 0.40, 0.70], [16] * 3, [2] * 3)
    options = Selection(tests=("engle_granger",))
    assert select_pairs(made, options).selected.tolist() == [True, False, False]
    assert pair_pvalue(made, options) == pytest.approx([0.04, 0.06, 1.0])
    single = Selection(tests=("engle_granger",), two_way="none")
    assert select_pairs(made, single).selected.tolist() == [True, True, False]


def test_the_books_rules() -> None:
    book = Selection(combine="any", two_way="none", johansen="book")
    choice = select_pairs(FOUR, book)
    # min p < .05 for three, both statistics above for the second
    assert choice.selected.tolist() == [True, True, False, True]
    assert choice.reason[2] == "no test passed"


def test_best_first_and_max_pairs() -> None:
    choice = select_pairs(FOUR, Selection(tests=("engle_granger",), max_pairs=2))
    assert choice.order.tolist() == [3, 0]
    assert choice.passed.sum() == 3
    assert choice.reason.tolist() == ["", "max_pairs", "engle_granger", ""]
    johansen = select_pairs(FOUR, Selection(tests=("johansen",), max_pairs=1))
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
    ours = pair_pvalue(some, Selection(multiplicity=method, tests=("engle_granger",)))
    expected = multipletests(np.minimum(1, 2 * p[reason == ""]), method=f"fdr_{method}")[1]
    np.testing.assert_allclose(ours[reason == ""], expected, rtol=1e-12)
    assert np.isnan(ours[reason != ""]).all()


def test_untested_pairs_are_never_chosen() -> None:
    nothing = scan([np.nan] * 2, [np.nan] * 2, [np.nan] * 2, [np.nan] * 2, ["incomplete: A", "identical"])
    for rules in (Selection(), Selection(combine="any"), Selection(tests=("johansen",), johansen="book")):
        choice = select_pairs(nothing, rules)
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
    assert eligibility(train, TICKERS, members, np.datetime64("2010-03-31")).tolist() == [0, 3, 3, 2]
    train[0, 1] = np.nan
    codes = eligibility(train, TICKERS, None, np.datetime64("2010-03-31"))
    assert codes.tolist() == [1, 0, 0, 2]
    i, j = np.triu_indices(4, 1)
    reasons = eligibility_reasons(codes, TICKERS, i, j).tolist()
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


def test_at_five_percent_the_trace_test_is_that_of_the_critical_values() -> None:
    rng = np.random.default_rng(3)
    trace1 = np.concatenate([rng.uniform(0, 12, 20_000), [3.8414589, 3.84147, 3.8415, 3.8416]])
    trace0 = trace1 + np.concatenate([rng.uniform(0, 25, 20_000), [13.0, 13.0, 13.0, 13.0]])
    n = trace0.size
    some = scan(np.ones(n), np.ones(n), trace0, trace1)
    for rule, expected in (
        ("rank_one", (trace0 > 15.4943) & ~(trace1 > 3.8415)),
        ("book", (trace0 > 15.4943) & (trace1 > 3.8415)),
    ):
        found = accepts(some, Selection(tests=("johansen",), johansen=rule))
        np.testing.assert_array_equal(found, expected)


def test_alpha_applies_to_the_trace_test() -> None:
    # between the 99%, 95% and 90% values of rank 0
    three = scan([1, 1, 1], [1, 1, 1], [20.0, 17.0, 14.0], [0.1, 0.1, 0.1])
    for alpha, expected in ((0.01, [1, 0, 0]), (0.05, [1, 1, 0]), (0.10, [1, 1, 1])):
        assert accepts(three, Selection(tests=("johansen",), alpha=alpha)).tolist() == [bool(x) for x in expected]


@pytest.mark.parametrize("method", ["bh", "by"])
def test_multiplicity_adjusts_both_tests_under_any(method: str) -> None:
    rng = np.random.default_rng(5)
    p, trace0 = rng.uniform(size=200), rng.uniform(0, 14, 200)
    trace0[0], trace0[1] = 17.0, 60.0
    options = Selection(combine="any", multiplicity=method, two_way="none")
    some = scan(p, np.ones(200), trace0, np.full(200, 0.1))
    johansen = johansen_pvalue(some, options)
    expected = multipletests(np.minimum(1, 2 * np.minimum(p, johansen)), method=f"fdr_{method}")[1]
    np.testing.assert_allclose(pair_pvalue(some, options), expected, rtol=1e-12)
    choice = select_pairs(some, options)
    # 17 is above the 95% value and passed unadjusted before; one in 200 such is what chance gives
    assert not choice.passed[0]
    assert choice.passed[1]
    assert choice.reason[0] == "multiplicity"
    alone = np.minimum(p, johansen) <= 0.05
    assert set(choice.reason[alone & ~choice.passed]) == {"multiplicity"}
    assert set(choice.reason[~alone]) == {"no test passed"}


def test_reasons_under_multiplicity_name_the_test_that_failed() -> None:
    some = scan([0.04, 0.5, 0.04, 0.9], [1, 1, 1, 1], [16, 16, 2, 2], [1, 1, 1, 1])
    choice = select_pairs(some, Selection(two_way="none", multiplicity="by"))
    assert choice.reason.tolist() == ["multiplicity", "engle_granger", "johansen", "engle_granger"]


def chance_of(prices: pd.DataFrame, seed: int = 3, **rules: object) -> selection_null.Chance:
    return selection_null.simulate_chance(study_of(prices, rules, seed))


def test_the_expected_rate_is_near_the_nominal_size() -> None:
    prices = walks("gaussian", 20, 800, 1)
    # The smaller of two p-values at 5% passes in about 9% of independent walks, the doubled one in about 5%.
    found = chance_of(prices, tests=["engle_granger"], two_way="none")
    assert 0.075 < found.rate < 0.105
    assert 0.035 < chance_of(prices, tests=["engle_granger"]).rate < 0.06
    windows = len(study_of(prices, {}, 3).windows)
    assert found.expected == pytest.approx(found.rate * 190 * windows)
    assert found.low < found.expected < found.high


def test_the_band_is_the_same_twice_and_knows_its_seed() -> None:
    prices = walks("gaussian", 6, 700, 1)
    found = chance_of(prices)
    vars(selection_null)["_MEMORY"].clear()
    assert chance_of(prices) == found
    assert chance_of(prices, seed=4) != found


def test_multiplicity_is_simulated_on_the_runs_own_family() -> None:
    """With two tickers there is one test to adjust for, and as many pass as without; not a 780th of them."""
    prices = walks("gaussian", 2, 2_000, 1)
    rules = {"tests": ["engle_granger"], "alpha": 0.2}
    alone, adjusted = chance_of(prices, **rules), chance_of(prices, multiplicity="bh", **rules)
    assert adjusted.expected == pytest.approx(alone.expected, rel=1e-9)
    assert alone.rate > 0.1


def test_the_band_of_a_count_is_its_quantiles() -> None:
    from scipy.stats import nbinom, poisson

    assert selection_null.band(356.0, 80.0**2) == tuple(
        nbinom.ppf([0.025, 0.975], 356.0**2 / (80.0**2 - 356.0), 356.0 / 80.0**2).astype(int)
    )
    assert selection_null.band(7.0, 6.0) == tuple(poisson.ppf([0.025, 0.975], 7.0).astype(int))
    assert selection_null.band(0.0, 0.0) == (0, 0)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_band_holds_the_count_of_universes_without_a_relation(family: str, monkeypatch) -> None:
    """A quick form of `benchmarks/chance_band.py`: of 12 counts with 95% each, fewer than 9 is a 1 in 5,000 event."""
    monkeypatch.setattr(selection_null, "BUDGET", 4_000)
    trials = [trial(family, RULES["default"], 8, 1100, seed) for seed in range(12)]
    assert coverage(trials)[1] * 12 >= 9
    # and it is not so wide that it says nothing
    assert np.mean([(band.high - band.low) / max(band.expected, 1.0) for _, band in trials]) < 3.0


@pytest.mark.parametrize("seed", [1, 2])
def test_two_jobs_and_small_chunks_change_no_byte(short_config, seed: int) -> None:
    config = short_config.with_changes(f"run.seed={seed}", "data.end=2007-12-31")
    one = pairs_bt.run(config, jobs=1)
    two = pairs_bt.run(config, jobs=3, scan_chunk=17, trade_chunk=1)
    for name in ("tests", "half_lives", "spreads", "trades", "fills", "returns", "summary"):
        pd.testing.assert_frame_equal(
            pd.DataFrame(getattr(one, name)), pd.DataFrame(getattr(two, name)), check_exact=True
        )


# ------------------------------------------------------------------------------------------- where a rule turns


def test_a_pvalue_of_alpha_itself_passes() -> None:
    some = scan([0.05, np.nextafter(0.05, 1.0)], [1, 1], [0, 0], [0, 0])
    rules = Selection(tests=("engle_granger",), two_way="none")
    assert accepts(some, rules).tolist() == [True, False]
    choice = select_pairs(some, rules)
    assert choice.passed.tolist() == [True, False]
    assert choice.reason.tolist() == ["", "engle_granger"]


def test_the_reason_at_alpha_itself() -> None:
    """Of two tests the one at alpha has accepted the pair, so the other one has refused it."""
    one = scan([0.05], [1], [2], [1])
    assert select_pairs(one, Selection(two_way="none")).reason.tolist() == ["johansen"]


def test_a_second_relation_at_alpha_itself_is_one_too_many() -> None:
    one = scan([1], [1], [60.0], [5.0])
    alpha = float(last_pvalues(5.0))
    assert johansen_pvalue(one, Selection(alpha=alpha))[0] == 1.0
    assert johansen_pvalue(one, Selection(alpha=np.nextafter(alpha, 0.0)))[0] < 1e-4
    assert accepts(one, Selection(tests=("johansen",), johansen="book", alpha=alpha)).all()


def test_the_trace_at_its_critical_value_is_not_above_it() -> None:
    beside = [np.nextafter(15.4943, 0.0), 15.4943, 15.4943 + 1e-9]
    some = scan([1, 1, 1], [1, 1, 1], beside, [0.1] * 3)
    rules = Selection(tests=("johansen",))
    pvalue = johansen_pvalue(some, rules)
    assert pvalue == pytest.approx(0.05, abs=1e-9)
    assert accepts(some, rules).tolist() == [p <= 0.05 for p in pvalue]
    assert accepts(some, rules)[2]


def test_a_pair_that_fails_both_tests_is_refused_by_the_first() -> None:
    neither = scan([0.9], [0.9], [2], [1])
    assert select_pairs(neither, Selection()).reason.tolist() == ["engle_granger"]
    assert select_pairs(neither, Selection(tests=("johansen",))).reason.tolist() == ["johansen"]


def test_ties_of_the_pvalue_go_to_the_larger_trace_and_then_to_the_universe() -> None:
    some = scan([0.01, 0.01, 0.01, 0.001], [1, 1, 1, 1], [20, 30, 20, 16], [1, 1, 1, 1])
    assert select_pairs(some, Selection()).order.tolist() == [3, 1, 0, 2]


@pytest.mark.parametrize("rule", ["rank_one", "book"])
def test_without_engle_granger_the_trace_alone_ranks(rule: str) -> None:
    # the p-values of the other test fall against the trace, and so, of the book's rule, does that of trace1
    trace1 = [0.3, 0.2, 0.1] if rule == "rank_one" else [9.0, 8.0, 7.0]
    some = scan([0.001, 0.01, 0.02], [1, 1, 1], [20, 25, 30], trace1)
    choice = select_pairs(some, Selection(tests=("johansen",), johansen=rule))
    assert choice.order.tolist() == [2, 1, 0]


def test_equal_evidence_both_ways_leaves_y_as_the_universe_names_it() -> None:
    some = scan([0.01, 0.01], [0.01, 0.009], [16, 16], [1, 1])
    assert some.y_is_first.tolist() == [True, False]


@pytest.mark.parametrize(("method", "column"), [("distance", 0), ("correlation", 4)])
def test_ties_of_a_measure_keep_the_order_of_the_universe(method: str, column: int) -> None:
    # more than sixteen, or a sort that is not stable would keep it too
    n = 60
    measures = np.zeros((n, 5))
    measures[:, column] = np.arange(n) % 3
    tied = replace(scan([1] * n, [1] * n, [0] * n, [0] * n), measures=measures)
    order = select_pairs(tied, Selection(method=method, max_pairs=n)).order
    key = measures[:, column] if method == "distance" else -measures[:, column]
    assert order.tolist() == sorted(range(n), key=lambda k: (key[k], k))


def test_the_first_and_the_last_day_of_a_membership_belong_to_it() -> None:
    start, end = pd.to_datetime(["2010-03-31", "2001-01-01"]), pd.to_datetime(["2020-01-01", "2010-03-31"])
    members = pd.DataFrame({"ticker": ["A", "B"], "start": start, "end": end})
    train = np.array([[1.0, 2, 3], [1, 2, 4]])
    for day, expected in (("2010-03-30", [3, 0]), ("2010-03-31", [0, 0]), ("2010-04-01", [0, 3])):
        assert eligibility(train, ["A", "B"], members, np.datetime64(day)).tolist() == expected


def test_a_ticker_that_stood_still_for_two_days_is_not_constant() -> None:
    train = np.array([[5.0, 5, 6, 5], [5, 5, 5, 5]])
    assert eligibility(train, ["A", "B"], None, np.datetime64("2010-03-31")).tolist() == [0, 2]


@pytest.mark.parametrize("kind", ["all", "groups", "few", "none"])
@pytest.mark.parametrize("multiplicity", ["none", "bh"])
def test_a_small_universe_holds_the_runs_pairs_among_its_tickers(kind: str, multiplicity: str) -> None:
    """Against a look at every pair of the run; the same draws of the generator."""
    every = np.array([(i, j) for i in range(80) for j in range(i + 1, 80)])
    pairs = {
        "all": np.random.default_rng(1).permutation(every),
        "groups": every[(every[:, 0] < 30) & (every[:, 1] >= 30)],
        "few": every[[700, 3, 41, 40]],
        "none": every[:0],
    }[kind]
    study = SimpleNamespace(pair_i=pairs[:, 0], pair_j=pairs[:, 1], tickers=["T"] * 80)
    known = selection_null._Pairs.of(study)
    assert known.used == np.unique(pairs).size
    for seed in range(20):
        found = selection_null._members(known, Selection(multiplicity=multiplicity), np.random.default_rng(seed))
        members, i, j = found
        chosen = np.isin(np.arange(80), members)
        inside = pairs[chosen[pairs[:, 0]] & chosen[pairs[:, 1]]]
        np.testing.assert_array_equal(members[np.column_stack([i, j])], inside)
        assert kind != "few" or len(inside) == 4
