"""Nothing of a sweep depends on how much of it is in memory at once."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from pairs_bt.config.schema import Config
from pairs_bt.stats.backtest_overfitting import overfitting_of, probability_of_backtest_overfitting
from pairs_bt.stats.multiple_comparison import superiority, superiority_of
from pairs_bt.sweep import outcomes, shared_stages, sweep
from pairs_bt.sweep.evidence import trials
from pairs_bt.sweep.evidence.trial_cost import cost_of_trying
from pairs_bt.sweep.evidence.trials import Trials
from pairs_bt.sweep.outcomes import Outcome, Outcomes
from tests.twins import sweep as twin

GRID = {"signal.exit": [0.0, 0.5], "signal.stop": [3.0, None]}


@pytest.fixture(scope="module")
def config(short_config: Config) -> Config:
    return short_config.with_changes("sweep.minimum_cohorts=2", "sweep.partitions=6", "comparison.block=20")


def noise(days: int, settings: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 0.01, (days, settings)) + rng.normal(0, 0.01, (days, 1))
    values[:, 3] = values[:, 0]
    values[:, 5] = 0.0
    return pd.DataFrame(values, columns=[f"s{k}" for k in range(settings)])


# ------------------------------------------------------------------------------------------- running Sharpe ratios


@pytest.mark.parametrize(
    ("first", "length", "step", "count", "variants"),
    [(5, 20, 10, 8, 3), (0, 20, 20, 5, 1), (0, 15, 20, 6, 2), (3, 21, 7, 12, 6), (0, 1, 1, 6, 2), (0, 10, 4, 1, 2)],
)
def test_running_sharpe_ratios_equal_the_twin(first: int, length: int, step: int, count: int, variants: int) -> None:
    rng = np.random.default_rng([first, length, step])
    windows = [SimpleNamespace(split=first + k * step, stop=first + k * step + length) for k in range(count)]
    daily = [rng.normal(0.001, 0.01, (variants, length)) for _ in windows]
    # a variant that does nothing at first, and days on which nothing moves
    for k, part in enumerate(daily):
        part[0] *= k > 1
        part[:, ::3] = 0.0
    got = outcomes.running_sharpe(daily, windows, 252.0)  # type: ignore[arg-type]
    assert_allclose(got, twin.running_sharpe(daily, windows, 252.0), rtol=1e-11, atol=1e-13)


def test_a_running_sharpe_ratio_does_not_depend_on_the_other_variants() -> None:
    rng = np.random.default_rng(4)
    windows = [SimpleNamespace(split=10 * k, stop=10 * k + 25) for k in range(9)]
    daily = [rng.normal(size=(5, 25)) for _ in windows]
    together = outcomes.running_sharpe(daily, windows, 252.0)  # type: ignore[arg-type]
    for v in range(5):
        alone = outcomes.running_sharpe([part[v : v + 1] for part in daily], windows, 252.0)  # type: ignore[arg-type]
        assert_array_equal(alone[0], together[v])


# ----------------------------------------------------------------------------------------------- blocks of settings


@pytest.mark.parametrize("rows", [1, 2, 5, 100])
def test_the_cost_of_trying_does_not_depend_on_the_blocks(rows: int, monkeypatch) -> None:
    returns = noise(420, 13, 8)
    options = {"partitions": 8, "draws": 150, "block": 20, "seed": 3}
    want = cost_of_trying(returns, "s3", **options)
    monkeypatch.setattr(trials, "ROWS", rows)
    assert cost_of_trying(returns, "s3", **options) == want
    assert want.equal == 1
    assert not np.isnan([want.pbo, want.superior, want.effective]).any()


def test_blocks_say_what_whole_frames_say() -> None:
    returns = noise(300, 11, 5)
    rows = np.ascontiguousarray(returns.to_numpy().T)
    blocks = [rows[:4], rows[4:5], rows[5:]]
    whole = probability_of_backtest_overfitting(returns, partitions=6)
    parts = overfitting_of(blocks, 300, partitions=6)
    for name in ("logits", "in_sample", "out_of_sample", "chosen"):
        assert_array_equal(getattr(parts, name), getattr(whole, name))
    others, largest = np.delete(rows, 2, axis=0), float(np.abs(rows).max())
    options = {"draws": 200, "block": 25, "seed": 6}
    cut = superiority_of([others[:1], others[1:6], others[6:]], rows[2], largest, **options)
    assert cut == superiority(returns, "s2", **options)


def test_equal_series_are_known_by_their_returns() -> None:
    returns = noise(60, 7, 1).assign(minus=0.0)
    returns.loc[3, "minus"] = -0.0
    found = Trials.of_frame(returns)
    assert found.firsts() == [0, 1, 2, 0, 4, 5, 6, 5]
    assert found.firsts(base=3) == [3, 1, 2, 3, 4, 5, 6, 5]
    assert [trial.moved for trial in found.kept] == [True] * 5 + [False, True, False]


# ------------------------------------------------------------------------------------------------ outcomes on a disk


def outcome(rng: np.random.Generator, days: int, names: tuple[str, ...]) -> Outcome:
    shape = (len(names), days)
    dates = np.datetime64("2001-01-01", "us") + np.arange(days) * np.timedelta64(1, "D")
    return Outcome(
        variants=names, dates=dates, net=rng.normal(size=shape), gross=rng.normal(size=shape),
        ends=dates[:3].astype("datetime64[D]"), cohort=rng.normal(size=(len(names), 3)),
        score=rng.normal(size=(len(names), 3)), trades=rng.integers(9, size=(len(names), 3)),
    )  # fmt: skip


@pytest.mark.parametrize("room", [1, 3_000, 10**9])
def test_outcomes_come_back_as_they_went(room: int, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(outcomes, "MEMORY_BYTES", room)
    rng = np.random.default_rng(2)
    made = [outcome(rng, days, names) for days, names in ((50, ("a", "b")), (40, ("b",)), (50, ("b", "c")))]
    kept = Outcomes(3, tmp_path)
    for place in (2, 0, 1):
        assert not kept.has(place)
        kept.put(place, made[place])
        assert kept.has(place)
    assert list(tmp_path.iterdir()) == []
    assert len(kept) == 3
    for got in (list(kept), kept[:], pickle.loads(pickle.dumps(kept))):
        for ours, theirs in zip(got, made, strict=True):
            assert ours.variants == theirs.variants
            for name in ("dates", "net", "gross", "ends", "cohort", "score", "trades"):
                assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert_array_equal(kept.net(2, 1, 30), made[2].net[1, -30:])
    assert kept.standings[0].dates is kept.standings[2].dates


def test_a_sweep_whose_returns_are_on_the_disk_has_the_same_files(config: Config, tmp_path, monkeypatch) -> None:
    def files(name: str) -> dict[str, bytes]:
        folder = tmp_path / name
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    sweep(config, GRID, out=tmp_path / "a", jobs=1)
    monkeypatch.setattr(outcomes, "MEMORY_BYTES", 1)
    monkeypatch.setattr(outcomes, "BATCH_BYTES", 1)
    monkeypatch.setattr(trials, "ROWS", 2)
    result = sweep(config, GRID, out=tmp_path / "b", jobs=2)
    assert files("a") == files("b")
    assert len(result.outcomes[0].net) == len(result.variants)


def test_stops_and_exits_share_their_signals(config: Config, monkeypatch) -> None:
    calls = []
    real = shared_stages.rule_signals

    def noted(study, k, path, rule, *task):
        calls.append((k, rule, task[1]))
        return real(study, k, path, rule, *task)

    monkeypatch.setattr(shared_stages, "rule_signals", noted)
    monkeypatch.setattr("pairs_bt.sweep.runner.walk_forward_returns", lambda *a, **k: pd.DataFrame())
    monkeypatch.setattr("pairs_bt.sweep.runner.analyse", lambda *a, **k: None)
    sweep(config, GRID | {"execution.cost_bps": [1.0, 5.0]}, jobs=1)
    assert len(calls) == len(set(calls)) > 20
