"""The certificate: it holds for the pipeline as it is, and every planted leak breaks it at its own stage."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from pairs_bt.audit.causality import certify, perturbed, pick_bars
from pairs_bt.audit.run_differences import STAGES, StudyRun, compare
from pairs_bt.backtest.study import prepare
from pairs_bt.config.schema import Config
from pairs_bt.data.synthetic.market import make_market
from pairs_bt.runner import open_study, run
from pairs_bt.runs import build
from tests.planted_leaks import LEAKS, Leak


@pytest.fixture(scope="module")
def market() -> pd.DataFrame:
    """Nine tickers over two years and a half; one with gaps, one that ends."""
    made = make_market(
        seed=11, n_bars=640, n_independent=3,
        gaps={"W001": [(200, 2), (430, 3)], "P02X": [(300, 12)]}, delistings={"W003": 600},
    )  # fmt: skip
    return made.prices


@pytest.fixture(scope="module")
def config() -> Config:
    """Lax enough for many trades in a few windows."""
    return Config.from_dict(
        {
            "windows": {"train": "1Y", "trade": "6M", "step": "3M", "entry_within": "6M"},
            "selection": {"combine": "any", "two_way": "none", "alpha": 0.3},
            "signal": {"entry": 1.5},
            "hedge": {"variants": ["dynamic", "averaged"]},
        }
    )


@pytest.fixture(autouse=True)
def no_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chance band plays no part in what is tested here; leaving it out halves a run."""
    monkeypatch.setattr(build, "expected_chance", lambda study: {"rate": 0.0, "std_error": 0.0, "pairs": 0})


def cuts(prices: pd.DataFrame) -> list[pd.Timestamp]:
    """Inside trade windows, one of them inside a gap."""
    return [prices.index[431], prices.index[540]]


def test_the_pipeline_holds_its_certificate(market: pd.DataFrame, config: Config) -> None:
    found = certify(config, market, dates=4, jobs=1)
    assert found.holds, found.first_break
    assert len(found.dates) == 4
    assert len(found.probes) == 8
    assert found.trades_checked > 20
    told = json.loads(json.dumps(found.to_dict()))
    assert told["holds"] is True
    assert told["rows_compared"] > 10_000
    assert told["tables_compared"] == sum(p["tables"] for p in told["probes"])


@pytest.mark.parametrize(
    "overrides",
    [
        ("filter.price_space=raw", "filter.spread_on=filtered", "execution.lag=2"),
        ("hedge.variants=['kalman_reverting']", "hedge.rehedge=['never', 'daily']", "filter.intercept=subtract"),
        ("filter.price_space=log", "signal.side=book", "execution.lag=0"),
        ("hedge.rehedge=['never', 'daily', {band=0.1}]", "portfolio.sizing=volatility"),
        ("signal.stop=3.0", "signal.time_stop=2.0", "signal.stop_loss=0.02", "execution.delisting_loss=0.3"),
        ("portfolio.max_gross=0.3", "portfolio.max_pairs_held=3", "portfolio.netting=true"),
        ("portfolio.compounding=true", "portfolio.cash_rate=0.02", "windows.step=1M"),
        ("signal.entry=optimal", "signal.stop=4.0"),
        ("signal.entry=optimal", "signal.optimal=sharpe", "signal.z=stationary", "filter.price_space=log"),
        ("selection.multiplicity=bh", "selection.max_pairs=3", "data.fill_limit=0"),
    ],
    ids=lambda overrides: overrides[0] + overrides[-1],
)
def test_it_holds_under_other_options(market: pd.DataFrame, config: Config, overrides: tuple[str, ...]) -> None:
    found = certify(config.with_changes(*overrides), market, at=cuts(market), jobs=1)
    assert found.holds, found.first_break


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.name)
def test_every_planted_leak_is_caught_and_placed(
    market: pd.DataFrame, config: Config, leak: Leak, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaky = config.with_changes(*leak.overrides) if leak.overrides else config
    leak.plant(monkeypatch)
    found = certify(leaky, market, at=cuts(market), jobs=1)
    assert not found.holds
    assert found.first_break is not None
    assert found.first_break.stage == leak.stage
    told = found.to_dict()
    assert told["holds"] is False
    assert told["first_break"]["stage"] == leak.stage


@pytest.mark.parametrize("window", ["longest", "60"])
def test_the_certificate_holds_with_one_window_for_all(market: pd.DataFrame, config: Config, window: str) -> None:
    assert certify(config.with_changes(f"signal.window={window}"), market, at=cuts(market), jobs=1).holds


def test_the_leaks_cover_the_stages() -> None:
    assert {leak.stage for leak in LEAKS} >= set(STAGES)


def test_a_single_bit_is_found(market: pd.DataFrame, config: Config) -> None:
    """One return moved by one unit in the last place, and nothing else."""
    study = open_study(config, market)
    whole = StudyRun(study, run(config, prices=market, jobs=1))
    other = StudyRun(study, run(config, prices=market, jobs=1))
    bar = len(study.dates) - 2
    assert compare(whole, other, bar).first_break is None
    returns = other.run.returns
    row = int(np.flatnonzero(returns["net"].to_numpy() != 0.0)[3])
    returns.loc[row, "net"] = np.nextafter(returns.loc[row, "net"], np.inf)
    found = compare(whole, other, bar).first_break
    assert found is not None
    assert found.stage == "returns"
    assert "returns.net" in found.where


def test_dates_are_drawn_where_the_cut_can_be_known(market: pd.DataFrame, config: Config) -> None:
    study = prepare(config, _data(market))
    bars = pick_bars(study, 60, seed=3)
    assert bars == sorted(set(bars))
    assert min(bars) >= study.windows[0].split
    assert max(bars) < len(study.dates) - 1
    assert bars == pick_bars(study, 60, seed=3)
    assert bars != pick_bars(study, 60, seed=4)
    in_gaps = study.prices.iloc[bars].isna() & study.prices.ffill().iloc[bars].notna()
    assert in_gaps.to_numpy().any()


def _data(prices: pd.DataFrame):  # type: ignore[no-untyped-def]
    from pairs_bt.data.prices import check_prices

    return check_prices(prices)


def test_no_date_is_drawn_where_a_holiday_ends_a_window(market: pd.DataFrame, config: Config) -> None:
    """A quarter's last weekday without a bar: on the bar before it, nobody knows that the window is over."""
    ends = market.index[market.index.is_quarter_end]
    closed = market.drop(ends)
    study = prepare(config, _data(closed))
    lasts = {w.stop - 1 for w in study.windows if w.closed and w.stop < len(study.dates)}
    assert lasts
    assert not lasts & set(pick_bars(study, 400, seed=1))


def test_the_other_future_leaves_the_past_alone(market: pd.DataFrame) -> None:
    bar = 500
    other = perturbed(market, bar, 5, np.random.default_rng(0))
    pd.testing.assert_frame_equal(other.iloc[: bar + 1], market.iloc[: bar + 1], check_exact=True)
    later = other.iloc[bar + 1 :]
    assert ((later > 0) | later.isna()).all(axis=None)
    assert (later.isna() & market.iloc[bar + 1 :].notna()).any(axis=None)
    assert not later.isna().all(axis=1).any()
    assert (later != market.iloc[bar + 1 :]).mean(axis=None) > 0.9


def test_dates_that_are_no_bars_are_refused(market: pd.DataFrame, config: Config) -> None:
    with pytest.raises(ValueError, match="no bar on 1999-01-01"):
        certify(config, market, at=[pd.Timestamp("1999-01-01")], jobs=1)
    with pytest.raises(ValueError, match="at least 1 date"):
        certify(config, market, dates=0, jobs=1)
