"""The null: draws that nothing but their name decides, p-values, false discovery rates, and what they call real."""

from __future__ import annotations

import errno
import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.stats import kstest

from pairs_bt.audit import null_draws as null
from pairs_bt.audit import null_evidence
from pairs_bt.audit.null_draws import KINDS, DrawName, null_draws
from pairs_bt.audit.runner import check_folder, run_audit
from pairs_bt.audit.sentences import _variant_sentences
from pairs_bt.audit.universe_statistics import UniverseStatistics, measure_of_run, rejections, universe_statistics
from pairs_bt.backtest.selection_null import Chance, simulate_chance
from pairs_bt.backtest.study import Study, prepare, with_prices
from pairs_bt.cli.commands import cli
from pairs_bt.common.lock import folder_lock
from pairs_bt.config.reader import builtin
from pairs_bt.config.schema import Config, Selection
from pairs_bt.data.prices import PriceData, check_prices
from pairs_bt.data.synthetic.cointegrated_pairs import PlantedPair
from pairs_bt.data.synthetic.market import make_market, random_walks
from pairs_bt.data.synthetic.surrogates import CommonReturns
from pairs_bt.errors import ConfigError, PartialError
from pairs_bt.runner import run
from pairs_bt.runs import build
from pairs_bt.stats.sharpe_difference import holm


def small(**selection: object) -> Config:
    return Config.from_dict(
        {
            "windows": {"train": "1Y", "trade": "6M", "step": "6M", "entry_within": "6M"},
            "selection": {"alpha": 0.2, "combine": "any", **selection},
            "hedge": {"variants": ["dynamic", "averaged"]},
        }
    )


@pytest.fixture(scope="module")
def study() -> Study:
    return prepare(small(), check_prices(random_walks(8, 700, seed=2)))


@pytest.fixture(autouse=True)
def no_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chance band plays no part in what is tested here; leaving it out halves a run."""
    monkeypatch.setattr(build, "expected_chance", lambda study: {"rate": 0.0, "std_error": 0.0, "pairs": 0})


# ------------------------------------------------------------------------------------------------ one universe


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("selection.multiplicity=bh", "selection.tests=['engle_granger']"),
        ("portfolio.max_pairs_held=2",),
        ("portfolio.sizing=volatility", "execution.lag=0"),
        ("portfolio.compounding=true",),
        ("hedge.rehedge=['never', 'daily']", "execution.unconverged=drop"),
        ("selection.alpha=1e-9",),
    ],
    ids=lambda overrides: overrides[0] if overrides else "default",
)
def test_a_measure_is_what_a_run_of_the_same_prices_says(study: Study, overrides: tuple[str, ...]) -> None:
    config = study.config.with_changes(*overrides) if overrides else study.config
    found = universe_statistics(replace(study, config=config))
    made = run(config, prices=study.prices, jobs=1)
    expected = measure_of_run(made)
    assert _plain(found) == _plain(expected)
    assert sum(found.tested) == int(made.windows["tested"].sum())
    assert sum(found.passed) == int(made.windows["passed"].sum())
    for row in made.summary.to_dict("records"):
        own = found.variants[row["variant"]]
        assert own["trades"] == row["trades"]
        np.testing.assert_array_equal(own["sharpe"], row["net_sharpe"])
        np.testing.assert_array_equal(own["mean_trade_bp"], row["mean_trade_net_bp"])
        np.testing.assert_array_equal(own["annual_return"], row["net_annual_return"])


def _plain(found: UniverseStatistics) -> str:
    """Every number to its last digit; NaN equals NaN."""
    return json.dumps(found.to_dict())


def test_the_books_config_is_measured_like_its_run(demo_prices: pd.DataFrame) -> None:
    config = Config.load(builtin("book.toml"), ["data.end=2008-12-31"])
    prices = check_prices(demo_prices, start=config.data.start, end=config.data.end)
    assert _plain(universe_statistics(prepare(config, prices))) == _plain(
        measure_of_run(run(config, prices=demo_prices, jobs=1))
    )


@pytest.mark.parametrize(("method", "harmonic"), [("fdr_bh", False), ("fdr_by", True)])
def test_rejections_are_those_of_the_textbook(method: str, harmonic: bool) -> None:
    """Reject the k smallest, k the largest with p_(k) <= k q / (m c), c = 1 or the harmonic sum."""
    rng = np.random.default_rng(4)
    for _ in range(20):
        p = np.sort(rng.uniform(size=60) ** rng.uniform(1, 6))
        m = p.size
        c = sum(1 / k for k in range(1, m + 1)) if harmonic else 1.0
        below = [k for k in range(1, m + 1) if p[k - 1] <= k * 0.1 / (m * c)]
        assert rejections(rng.permutation(p), 0.1, method) == (max(below) if below else 0)
    assert rejections(np.empty(0), 0.1, method) == 0


# ------------------------------------------------------------------------------------------------------- draws


def test_draws_are_the_same_for_any_number_of_jobs_and_of_draws(study: Study) -> None:
    one = null_draws(study, 4, jobs=1)
    three = null_draws(study, 6, jobs=3)
    assert list(one) == list(KINDS)
    for kind in KINDS:
        assert [_plain(m) for m in three[kind][:4]] == [_plain(m) for m in one[kind]]
        assert len({_plain(m) for m in three[kind]}) == 6
    for kind in ("gaussian", "factor"):
        assert _plain(null.draw(study, DrawName(kind, 3))) == _plain(one[kind][3])


@pytest.mark.parametrize("over", ["train", "sample"])
def test_a_study_of_other_prices_is_what_they_prepare_to(study: Study, over: str) -> None:
    config = study.config.with_changes(f'universe.complete_over="{over}"', 'filter.spread_on="filtered"')
    first = prepare(config, PriceData(study.prices, (), {}))
    first.context(0)
    others = study.prices * np.linspace(1.0, 3.0, len(study.prices))[:, None]
    others.iloc[400:420, 1] = np.nan
    made, anew = with_prices(first, others), prepare(config, PriceData(others, (), {}))
    for name in ("filled", "quotes", "spread_prices", "pair_i", "pair_j", "borrow_rate", "day_gap"):
        np.testing.assert_array_equal(getattr(made, name), getattr(anew, name), err_msg=name)
    assert (made.sample_complete is None) == (anew.sample_complete is None)
    if over == "sample":
        np.testing.assert_array_equal(made.sample_complete, anew.sample_complete)
    assert made.windows == anew.windows
    assert made.prices.equals(others)
    assert _plain(universe_statistics(made)) == _plain(universe_statistics(anew))
    with pytest.raises(ValueError, match="dates and the tickers"):
        with_prices(first, others.iloc[:-1])


def test_draws_depend_on_the_runs_seed(study: Study) -> None:
    other = replace(study, config=study.config.with_changes("run.seed=8"))
    a, b = (null.draw(s, DrawName("block_bootstrap", 0)) for s in (study, other))
    assert _plain(a) != _plain(b)


def test_an_interrupted_audit_goes_on_where_it_stopped(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = null_draws(study, 3, jobs=1)
    folder = tmp_path / "a" / "draws"
    made: list[DrawName] = []
    original = null.draw

    def counted(s: Study, name: DrawName, parts: CommonReturns | None) -> UniverseStatistics:
        if len(made) == 5:
            raise KeyboardInterrupt
        made.append(name)
        return original(s, name, parts)

    monkeypatch.setattr(null, "draw", counted)
    with pytest.raises(KeyboardInterrupt):
        null_draws(study, 3, jobs=1, folder=folder)
    parts = sorted(folder.iterdir())
    assert len(parts) == 5
    # a disk that lied: a draw that was cut is made again
    parts[-1].write_bytes(parts[-1].read_bytes()[:-40])
    made.clear()
    monkeypatch.setattr(null, "draw", lambda s, name, parts: made.append(name) or original(s, name, parts))
    again = null_draws(study, 3, jobs=2, folder=folder)
    assert len(made) == 12 - 4
    for kind in KINDS:
        assert [_plain(m) for m in again[kind]] == [_plain(m) for m in whole[kind]]
    made.clear()
    null_draws(study, 2, folder=folder)
    assert not made


@pytest.mark.parametrize("change", ["config", "prices", "program"])
def test_draws_of_something_else_are_not_used(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    null_draws(study, 1, jobs=1, folder=tmp_path, kinds=["gaussian"])
    other = study
    if change == "config":
        other = replace(study, config=study.config.with_changes("signal.entry=2.1"))
    elif change == "prices":
        other = prepare(study.config, PriceData(study.prices * 1.0000001, (), {}))
    else:
        monkeypatch.setattr(null, "source_sha256", lambda: "another")
    made: list[DrawName] = []
    original = null.draw
    monkeypatch.setattr(null, "draw", lambda s, name, parts: made.append(name) or original(s, name, parts))
    if change != "program":
        null_draws(study, 1, jobs=1, folder=tmp_path, kinds=["gaussian"])
        assert not made
    null_draws(other, 1, jobs=1, folder=tmp_path, kinds=["gaussian"])
    assert made == [DrawName("gaussian", 0)]


def test_nan_survives_the_folder(study: Study, tmp_path: Path) -> None:
    never = replace(study, config=study.config.with_changes("selection.alpha=1e-12", "selection.combine=all"))
    first = null_draws(never, 1, jobs=1, folder=tmp_path, kinds=["gaussian"])["gaussian"][0]
    assert math.isnan(first.variants["dynamic"]["sharpe"])
    second = null_draws(never, 1, jobs=1, folder=tmp_path, kinds=["gaussian"])["gaussian"][0]
    assert _plain(first) == _plain(second)


def test_at_least_one_draw_is_needed(study: Study) -> None:
    with pytest.raises(ValueError, match="at least 1 null universe"):
        null_draws(study, 0)


# ---------------------------------------------------------------------------------------------------- evidence


def of(passed: list[int], sharpe: float = 0.0, half_life: float = 10.0) -> UniverseStatistics:
    numbers = {"half_life": half_life, "trades": 5.0, "mean_trade_bp": sharpe, "annual_return": 0.0, "sharpe": sharpe}
    return UniverseStatistics(
        [10] * len(passed), passed, passed, [0] * len(passed), [0] * len(passed), 0, 0, {"dynamic": numbers}
    )


def test_p_values_and_places_by_hand() -> None:
    assert null_evidence.p_value(3.0, [1.0, 2.0, 4.0], "high") == 2 / 4
    assert null_evidence.p_value(3.0, [1.0, 3.0, 4.0], "high") == 3 / 4
    assert null_evidence.p_value(3.0, [1.0, 3.0, 4.0], "low") == 3 / 4
    assert null_evidence.p_value(9.0, [1.0, 3.0, 4.0], "high") == 1 / 4
    assert null_evidence.null_percentile(3.0, [1.0, 3.0, 4.0]) == 0.5


def test_the_false_discovery_rate_by_hand() -> None:
    real = of([6, 4])
    drawn = {"gaussian": [of([1, 1]), of([2, 2]), of([3, 3])], "circular_shift": [of([9, 9])] * 3}
    few, many = null_evidence.discoveries(real, drawn)
    assert (few.found, few.expected, few.rate) == (10, 4.0, 0.4)
    assert few.std_error == pytest.approx(2.0 / math.sqrt(3))
    assert few.low == pytest.approx(2.1)
    assert few.rate_low == pytest.approx(0.21)
    assert few.p_value == 1 / 4
    # more expected than found: all of it may be false, and no more than all
    assert (many.rate, many.rate_high, many.p_value) == (1.0, 1.0, 1.0)
    nothing = null_evidence.discoveries(of([0, 0]), drawn)[0]
    assert math.isnan(nothing.rate)
    table = null_evidence.windows_frame(real, drawn, ["2010-03-31", "2010-06-30"])
    assert table["expected_gaussian"].tolist() == [2.0, 2.0]
    assert table["fdr_gaussian"].tolist() == [2 / 6, 2 / 4]
    assert table["fdr_circular_shift"].tolist() == [1.0, 1.0]
    assert table["found"].tolist() == [6, 4]


def test_a_universe_without_trades_has_a_place() -> None:
    real = of([1], sharpe=0.5)
    drawn = {"gaussian": [of([1], sharpe=math.nan, half_life=math.nan), of([1], sharpe=-1.0, half_life=20.0)]}
    table = null_evidence.lookup(null_evidence.null_frame(real, drawn))
    assert table["dynamic", "sharpe", "gaussian"]["p_value"] == 1 / 3
    assert table["dynamic", "sharpe", "gaussian"]["null_mean"] == -0.5
    assert table["dynamic", "half_life", "gaussian"]["p_value"] == 1 / 3
    assert table["dynamic", "half_life", "gaussian"]["null_mean"] == 20.0
    assert table["all", "candidates", "gaussian"]["p_value"] == 1.0


def test_holm_is_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(1)
    for m in (1, 2, 7):
        p = rng.uniform(size=m) ** 3
        np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-14)


def test_a_result_that_one_kind_of_null_explains_is_not_called() -> None:
    real = of([30], sharpe=2.0)
    weak = [of([5], sharpe=0.0)] * 99
    assert all(
        call.stands_out for call in null_evidence.judge_against_null(null_evidence.null_frame(real, {"gaussian": weak}))
    )
    strong = {"gaussian": weak, "circular_shift": [of([40], sharpe=3.0)] * 99}
    assert not any(call.stands_out for call in null_evidence.judge_against_null(null_evidence.null_frame(real, strong)))


def test_the_sequential_p_value_by_hand() -> None:
    """h / l at the h-th hit, whatever comes after; (r + 1) / (n + 1) before (Besag and Clifford 1991)."""
    null_values = [5.0, 1.0, 3.0, 1.0, 9.0, 1.0]
    assert null_evidence.p_value(3.0, null_values, "high", hits=2) == 2 / 3
    assert null_evidence.p_value(3.0, null_values, "high", hits=3) == 3 / 5
    assert null_evidence.p_value(3.0, null_values, "high", hits=4) == 4 / 7
    assert null_evidence.p_value(3.0, null_values, "low", hits=1) == 1 / 2
    assert null_evidence.p_value(3.0, null_values, "high") == 4 / 7


def test_the_sequential_p_value_is_never_too_small_under_the_null() -> None:
    """P(p <= a) <= a for every a, with drawing stopped at 5 hits or 99 draws."""
    rng = np.random.default_rng(3)
    drawn = rng.normal(size=(4000, 100))
    p = np.array([null_evidence.p_value(row[0], row[1:], "high", hits=5) for row in drawn])
    for level in (0.01, 0.05, 0.1, 0.5, 0.9):
        assert (p <= level).mean() < level + 3 * math.sqrt(level * (1 - level) / p.size)
    assert (p <= 0.5).mean() > 0.45


@pytest.mark.parametrize(("draws", "known"), [(10, False), (18, False), (19, True)])
def test_without_enough_draws_nothing_is_said(draws: int, known: bool) -> None:
    real = of([30], sharpe=2.0)
    drawn = dict.fromkeys(KINDS, [of([5], sharpe=0.0)] * draws)
    candidates, variant = null_evidence.judge_against_null(null_evidence.null_frame(real, drawn))
    assert (candidates.known, variant.known) == (known, known)
    assert candidates.needed == 19
    assert candidates.stands_out is known


def test_more_variants_need_more_draws() -> None:
    numbers = of([30], sharpe=2.0).variants["dynamic"]
    real, null_one = (replace(of([n]), variants={f"v{k}": numbers | {"sharpe": s} for k in range(6)})
                      for n, s in ((30, 2.0), (5, 0.0)))  # fmt: skip
    for draws, known in ((118, False), (119, True)):
        table = null_evidence.null_frame(real, dict.fromkeys(KINDS, [null_one] * draws))
        candidates, *judged = null_evidence.judge_against_null(table)
        assert candidates.known
        assert {call.needed for call in judged} == {119}
        assert {call.known for call in judged} == {known}
        assert {call.stands_out for call in judged} == {known}


def test_what_one_kind_explains_is_known_not_to_be_real_with_few_draws() -> None:
    real = of([30], sharpe=2.0)
    drawn = dict.fromkeys(KINDS, [of([5], sharpe=0.0)] * 10) | {"factor": [of([40], sharpe=3.0)] * 10}
    table = null_evidence.null_frame(real, drawn, 10)
    assert [(c.known, c.stands_out) for c in null_evidence.judge_against_null(table, hits=10)] == [(True, False)] * 2
    table = null_evidence.null_frame(real, drawn)
    assert not any(c.known for c in null_evidence.judge_against_null(table))


def test_drawing_stops_when_the_p_values_are_known(study: Study, tmp_path: Path) -> None:
    real = universe_statistics(study)

    def enough(_: str, found: list[UniverseStatistics]) -> bool:
        return null_evidence.settled(real, found, hits=3)

    one = null.draw_until(study, enough, minutes=60, jobs=1)
    two = null.draw_until(study, enough, minutes=60, jobs=2, folder=tmp_path)
    assert {kind: len(found) for kind, found in one.items()} == {kind: len(found) for kind, found in two.items()}
    for kind in KINDS:
        assert len(one[kind]) % null.BATCH == 0
        assert [_plain(m) for m in one[kind]] == [_plain(m) for m in two[kind]]
        assert null_evidence.settled(real, one[kind], hits=3)
    fixed = null_draws(study, 5, jobs=1)
    assert [_plain(m) for m in fixed["factor"]] == [_plain(m) for m in one["factor"][:5]]


def test_drawing_stops_when_the_time_is_over_and_goes_on_from_there(study: Study, tmp_path: Path) -> None:
    ticks = iter(range(10_000))
    found = null.draw_until(
        study, lambda *_: False, minutes=6 / 60, jobs=1, folder=tmp_path, clock=lambda: float(next(ticks))
    )
    counts = [len(rows) for rows in found.values()]
    assert min(counts) >= 1
    assert max(counts) - min(counts) <= 1
    assert sum(counts) < 12
    again = null.draw_until(study, lambda *_: True, minutes=60, jobs=2, folder=tmp_path)
    for kind, rows in found.items():
        assert [_plain(m) for m in rows] == [_plain(m) for m in again[kind][: len(rows)]]
        assert len(again[kind]) == null.BATCH
    with pytest.raises(ValueError, match="minutes = 0"):
        null.draw_until(study, lambda *_: True, minutes=0)


# ------------------------------------------------------------------------------------------- what chance selects


def rules(**changes: object) -> Selection:
    book = {"two_way": "none", "johansen": "book", "var_order": "book", "combine": "all"}
    return Selection.model_validate({**book, **changes})


def chance_of(selection: Selection) -> Chance:
    """On Gaussian walks, train windows of two years."""
    config = Config.from_dict({"data": {"path": "walks"}, "selection": selection.model_dump(), "run": {"seed": 3}})
    return simulate_chance(prepare(config, check_prices(random_walks(20, 1600, seed=5))))


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (rules(tests=("engle_granger",)), 0.091),
        (rules(tests=("johansen",)), 0.054),
        (rules(), 0.014),
        (rules(combine="any"), 0.130),
    ],
    ids=["min EG p < .05", "Johansen, book", "both", "either"],
)
def test_the_books_rules_select_what_they_select_from_random_walks(selection: Selection, expected: float) -> None:
    """Rates known from another program, which carry a sampling error and a rounding of their own."""
    found = chance_of(selection)
    assert abs(found.rate - expected) < 3 * found.std_error + 0.0015


def test_the_mended_engle_granger_rule_has_its_nominal_size() -> None:
    mended = Selection(tests=("engle_granger",))
    found = chance_of(mended)
    assert abs(found.rate - 0.05) < 3 * found.std_error + 0.003


# ------------------------------------------------------------------------------------------------- what is real


def test_the_audit_finds_strong_planted_pairs() -> None:
    market = make_market(
        seed=3, n_bars=1300, n_independent=0,
        pairs=[PlantedPair(half_life=4 + k / 2, spread_vol=0.02) for k in range(6)],
    )  # fmt: skip
    config = Config.from_dict(
        {
            "windows": {"trade": "6M", "step": "6M", "entry_within": "6M"},
            "hedge": {"variants": ["averaged", "fixed_last"]},
            "portfolio": {"min_pairs": 1},
        }
    )
    study = prepare(config, check_prices(market.prices))
    real, drawn = universe_statistics(study), null_draws(study, 79)
    judged = null_evidence.judge_against_null(null_evidence.null_frame(real, drawn))
    assert all(call.stands_out for call in judged), judged
    assert max(item.rate for item in null_evidence.discoveries(real, drawn)) < 0.7


@pytest.mark.slow
def test_on_random_walks_p_values_are_uniform_and_nothing_is_called_real() -> None:
    """100 seeded universes of independent walks, each audited with 39 draws of every kind."""
    n, seeds = 39, 100
    rng = np.random.default_rng(0)
    uniform: dict[tuple[str, str], list[float]] = {}
    called = {"candidates": 0, "variants": 0}
    for seed in range(seeds):
        config = small().with_changes(f"run.seed={seed}")
        study = prepare(config, check_prices(random_walks(8, 700, seed=[77, seed])))
        real, drawn = universe_statistics(study), null_draws(study, n)
        for kind, found in drawn.items():
            values = {"candidates": (sum(real.passed), [sum(m.passed) for m in found])}
            for variant in real.variants:
                for name in ("sharpe", "mean_trade_bp", "trades"):
                    row = [null_evidence.value(m, variant, name) for m in found]
                    values[f"{variant} {name}"] = (null_evidence.value(real, variant, name), row)
            for name, (mine, others) in values.items():
                above, ties = sum(v > mine for v in others), sum(v == mine for v in others)
                # ties broken at random, and spread within a step: uniform if the real one is one of them
                uniform.setdefault((kind, name), []).append((above + rng.uniform() * (ties + 1)) / (n + 1))
        candidates, *judged = null_evidence.judge_against_null(null_evidence.null_frame(real, drawn))
        called["candidates"] += candidates.stands_out
        called["variants"] += any(call.stands_out for call in judged)
    for key, values_ in uniform.items():
        # a resampled path carries its sample's chance autocorrelation as if it were the truth, which makes the blocks'
        # candidates a little too many: their p-values may be too large, but not too small
        side = "greater" if key[0] == "block_bootstrap" else "two-sided"
        assert kstest(values_, "uniform", alternative=side).pvalue > 0.05 / len(uniform), key
    # 5% at most, and a call has to survive all kinds: 3 standard errors above 5% would be 11.5%
    assert called["candidates"] <= 11
    assert called["variants"] <= 11


# -------------------------------------------------------------------------------------------- the whole command


FILES = {
    "audit.html", "audit.json", "causality.json", "ladder", "ladder.csv", "null.csv", "null_windows.csv",
    "null_draws",
}  # fmt: skip


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with prices and a config."""
    folder = tmp_path_factory.mktemp("audit")
    random_walks(6, 560, seed=9).to_csv(folder / "prices.csv")
    (folder / "study.toml").write_text(
        '[data]\npath = "prices.csv"\n'
        '[windows]\ntrain = "1Y"\nstep = "6M"\nentry_within = "6M"\n'
        '[selection]\nalpha = 0.3\ncombine = "any"\n'
        '[hedge]\nvariants = ["dynamic", "averaged"]\n'
    )
    return folder


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["audit", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_the_command_writes_an_audit_that_a_person_can_read(command: Path) -> None:
    config, out = str(command / "study.toml"), command / "out"
    text = invoke(config, "--draws", "3", "--dates", "1", "--out", str(out))
    for phrase in ("HOW MUCH IS BIAS", "HOW MUCH IS NOISE", "Look-ahead: none", "a claim, not money", "audit.html"):
        assert phrase in text
    assert max(map(len, text.splitlines())) < 240
    assert {path.name for path in out.iterdir()} == FILES
    told = json.loads((out / "causality.json").read_text())
    assert told["holds"] is True
    assert told["rows_compared"] > 0
    page = (out / "audit.html").read_text()
    for phrase in ("Is this result real?", "How much is bias", "<svg", "Benjamini-Yekutieli"):
        assert phrase in page
    assert "http" not in page.replace("http://www.w3.org", "")
    rows = pd.read_csv(out / "null.csv")
    assert set(rows["kind"]) == set(KINDS)
    assert rows["p_value"].between(1 / 4, 1).all()
    ladder = pd.read_csv(out / "ladder.csv")
    assert (ladder["rung"].nunique(), ladder.loc[0, "pnl"]) == (len(list((out / "ladder").iterdir())), "spread")
    before = {name: (out / name).read_bytes() for name in FILES - {"ladder", "null_draws"}}
    invoke(config, "--draws", "3", "--dates", "1", "--out", str(out), "--jobs", "1")
    assert before == {name: (out / name).read_bytes() for name in before}


def test_ten_draws_declare_nothing(command: Path) -> None:
    config, out = str(command / "study.toml"), command / "ten"
    text = invoke(config, "--draws", "10", "--dates", "1", "--out", str(out))
    assert "stands out" not in text.replace("stands out of noise cannot be said", "")
    assert "10 null universes of a kind give no p-value below 0.091, and it takes at least 19" in text
    assert "it takes at least 39 (Holm's correction for 2 variants)" in text
    assert "Common factors kept, by the criterion of Bai and Ng:" in text
    assert all(not call["known"] for call in json.loads((out / "audit.json").read_text())["calls"])


def test_without_draws_an_audit_draws_until_it_knows(command: Path) -> None:
    config, out = str(command / "study.toml"), command / "until"
    text = invoke(config, "--minutes", "0.05", "--dates", "1", "--out", str(out))
    told = json.loads((out / "audit.json").read_text())
    assert set(told["draws"]) == set(KINDS)
    assert min(told["draws"].values()) >= 1
    assert set(pd.read_csv(out / "null_windows.csv")["factors"]) <= set(range(3))
    assert "common factors kept" in text
    both = CliRunner().invoke(cli, ["audit", config, "--draws", "3", "--minutes", "1"])
    assert both.exit_code == 2
    assert "give one" in both.output


def test_a_failed_certificate_is_not_hidden(command: Path) -> None:
    out = command / "drop"
    text = invoke(
        str(command / "study.toml"), "--draws", "1", "--dates", "3", "--out", str(out),
        "--set", "execution.unconverged=drop",
    )  # fmt: skip
    assert "Look-ahead: the stage 'trades' knows the future" in text
    assert "fails its causality certificate" in (out / "audit.html").read_text()


def test_a_folder_that_is_not_this_audits_is_refused(command: Path, tmp_path: Path) -> None:
    config = Config.load(command / "study.toml")
    check_folder(tmp_path / "new", config, fresh=False)
    check_folder(tmp_path, config, fresh=False)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds no audit"):
        check_folder(tmp_path, config, fresh=True)
    with pytest.raises(ConfigError, match="is a file"):
        check_folder(tmp_path / "notes.txt", config, fresh=False)
    run_audit(config, draws_each=1, dates=1, out=tmp_path / "a")
    check_folder(tmp_path / "a", config, fresh=False)
    other = config.with_changes("signal.entry=2.5")
    with pytest.raises(ConfigError, match="audit of another config"):
        check_folder(tmp_path / "a", other, fresh=False)
    check_folder(tmp_path / "a", other, fresh=True)


def test_of_two_audits_at_once_the_second_is_told(command: Path, tmp_path: Path) -> None:
    config, out = Config.load(command / "study.toml"), tmp_path / "a"
    out.mkdir()
    with folder_lock(out), pytest.raises(ConfigError, match="at work in"):
        run_audit(config, draws_each=1, dates=1, out=out)
    assert not list(out.iterdir())


def test_a_disk_that_refuses_is_told_and_finished_draws_stay(
    command: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = Config.load(command / "study.toml"), tmp_path / "a"
    with monkeypatch.context() as patch:
        patch.setattr("pairs_bt.audit.runner.replacing", _full)
        with pytest.raises(PartialError, match="no space is left on the disk"):
            run_audit(config, draws_each=1, dates=1, out=out)
    assert json.loads((out / "audit.json").read_text())["status"] == "begun"
    assert len(list((out / "null_draws").iterdir())) == len(KINDS)
    assert not list(out.rglob("*.tmp"))
    run_audit(config, draws_each=1, dates=1, out=out)
    assert json.loads((out / "audit.json").read_text())["status"] == "complete"
    assert not (out / ".lock").exists()


def _full(path: Path) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


def test_the_best_placed_variant_is_named_with_the_p_value_that_judges_it() -> None:
    calls = [
        null_evidence.NullVerdict("candidates", 1.0, 0.5, 0.5, False, True, 19),
        null_evidence.NullVerdict("a", 0.4, 0.03, 0.06, False, True, 39),
        null_evidence.NullVerdict("b", 0.1, 0.5, 0.5, False, True, 39),
    ]
    audit: Any = SimpleNamespace(calls=calls, labels={"a": "a", "b": "b"})
    assert _variant_sentences(audit) == [
        "No variant's net Sharpe ratio stands out of noise (the best placed, a, Holm-adjusted p = 0.060)."
    ]
