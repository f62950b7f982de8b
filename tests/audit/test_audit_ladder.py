"""The bias ladder: a list of config changes from the book's choices to the user's, and what it shows on noise."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from benchmarks.noise_ladder import noise_t
from pairs_bt.audit.bias_ladder import STEPS, ladder_configs, run_ladder, write_rungs
from pairs_bt.cli.commands import cli
from pairs_bt.config.reader import builtin
from pairs_bt.config.schema import Config
from pairs_bt.data.synthetic.market import random_walks
from pairs_bt.runner import run
from pairs_bt.runs import build
from pairs_bt.stats.clustered_mean import trade_t

KEYS = [key for step in STEPS for key in step.book]


def value(config: Config, key: str) -> object:
    table, name = key.split(".")
    return getattr(getattr(config, table), name)


def test_the_ladder_begins_with_the_book_and_ends_with_the_config() -> None:
    user = Config.load(None, ["selection.multiplicity=bh", "execution.spread=0.01", "windows.train=1Y"])
    ladder = ladder_configs(user)
    assert ladder[-1].config == user
    assert [rung.number for rung in ladder] == list(range(len(STEPS) + 1))
    book = Config.load(builtin("book.toml"))
    for key in KEYS:
        assert value(ladder[0].config, key) == value(book, key), key
        assert value(user, key) != value(book, key) or key in ("execution.borrow_table",), key
    # what the ladder does not mend is the config's own from the start
    for rung in ladder:
        assert rung.config.windows == user.windows
        assert rung.config.data == user.data
        assert rung.config.hedge.variants == user.hedge.variants


def test_every_choice_of_the_book_is_on_the_ladder() -> None:
    book, default = Config.load(builtin("book.toml")).to_dict(), Config().to_dict()
    differs = {
        f"{table}.{key}"
        for table, keys in book.items()
        for key, here in keys.items()
        if table not in ("data", "run") and default[table].get(key) != here and key != "variants"
    }
    assert differs <= set(KEYS)


def test_a_rung_changes_only_its_own_keys() -> None:
    ladder = ladder_configs(Config.load(None, ["selection.multiplicity=by"]))
    steps = {step.name: step for step in STEPS}
    for before, rung in pairwise(ladder):
        changed = {
            f"{table}.{key}"
            for table, keys in rung.config.to_dict().items()
            for key, here in keys.items()
            if before.config.to_dict()[table].get(key) != here
        }
        assert changed == {text.partition("=")[0] for text in rung.changed}
        assert changed <= set(steps[rung.name].book)
        assert before.config.with_changes(*rung.changed) == rung.config


def test_choices_shared_with_the_book_make_no_rung() -> None:
    user = Config.load(None, ["execution.lag=0", "execution.cost_bps=0", "signal.side=book"])
    names = [rung.name for rung in ladder_configs(user)]
    assert not {"lag", "costs", "side", "multiplicity"} & set(names)
    book = Config.load(builtin("book.toml"))
    assert [rung.name for rung in ladder_configs(book)] == ["book"]


def test_every_rung_is_a_file_that_run_accepts(tmp_path: Path) -> None:
    user = Config.load(None, ["data.end=2008-06-30"])
    ladder = ladder_configs(user)
    (tmp_path / "99_stale.toml").write_text("")
    write_rungs(ladder, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [rung.file_name for rung in ladder]
    for rung in ladder:
        path = tmp_path / rung.file_name
        assert Config.load(path) == rung.config
        assert CliRunner().invoke(cli, ["validate", str(path)]).exit_code == 0


def test_a_rungs_numbers_are_those_of_its_run(demo_prices: pd.DataFrame) -> None:
    user = Config.load(None, ["data.end=2008-12-31"])
    ladder = [ladder_configs(user)[k] for k in (0, -1)]
    table = run_ladder(ladder, demo_prices, jobs=1)
    assert list(table["rung"].unique()) == [0, ladder[-1].number]
    for rung in ladder:
        made = run(rung.config, prices=demo_prices, jobs=1)
        rows = table[table["rung"] == rung.number].reset_index(drop=True)
        for column, name in (
            ("trades", "trades"), ("mean_trade_bp", "mean_trade_net_bp"),
            ("annual_return", "net_annual_return"), ("volatility", "net_volatility"), ("sharpe", "net_sharpe"),
        ):  # fmt: skip
            np.testing.assert_array_equal(rows[column], made.summary[name])
        own = [trade_t(made.trades[made.trades["variant"] == name]) for name in rows["variant"]]
        np.testing.assert_array_equal(rows["mean_trade_t"], own)
        assert (rows["candidates"] == int(made.windows["passed"].sum())).all()
        assert (rows["pnl"] == rung.config.execution.pnl).all()


@pytest.fixture(scope="module")
def noise_ladder(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The default config's ladder on pairs of independent walks that share neither ticker nor time, without costs."""
    prices = random_walks(800, 1160, seed=5, volatility=0.3)
    listed = tmp_path_factory.mktemp("walks") / "pairs.csv"
    pd.DataFrame({"y": prices.columns[::2], "x": prices.columns[1::2]}).to_csv(listed, index=False)
    user = Config.from_dict(
        {
            "universe": {"pairs": str(listed)},
            "windows": {"step": "6M"},
            "selection": {"max_pairs": 500},
            "execution": {"cost_bps": 0.0, "borrow_bps": 0.0},
        }
    )
    names = ("book", "shares", "side", "unconverged")
    return run_ladder([rung for rung in ladder_configs(user) if rung.name in names], prices)


def test_the_first_rung_shows_the_phantom_profit_on_random_walks(noise_ladder: pd.DataFrame) -> None:
    table = noise_ladder.set_index(["name", "variant"])
    claim, shares = table.loc[("book", "dynamic")], table.loc[("shares", "dynamic")]
    assert claim["pnl"] == "spread"
    assert claim["trades"] > 200
    assert claim["mean_trade_t"] > 10
    assert claim["mean_trade_bp"] > 0
    assert shares["pnl"] == "shares"
    assert abs(shares["mean_trade_t"]) < 3


def test_closing_what_has_not_converged_takes_the_last_profit_from_noise(noise_ladder: pd.DataFrame) -> None:
    """Held ratios have no phantom; what flatters them on noise is that losing pairs vanish."""
    table = noise_ladder.set_index(["name", "variant"])
    for variant in ("fixed_first", "averaged", "fixed_last"):
        assert table.loc[("side", variant), "mean_trade_t"] > 3
        assert table.loc[("unconverged", variant), "mean_trade_t"] < 2
    # the inverted side books the other sign of the same trades
    for variant in ("dynamic", "averaged"):
        inverted, bet = table.loc[("shares", variant)], table.loc[("side", variant)]
        assert inverted["trades"] == bet["trades"]
        assert inverted["mean_trade_bp"] == pytest.approx(-bet["mean_trade_bp"], rel=1e-9)


def test_on_noise_the_clustered_t_is_small_where_the_plain_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quick form of benchmarks/noise_ladder.py --size."""
    monkeypatch.setattr(build, "expected_chance", lambda study: {"rate": 0.0, "std_error": 0.0, "pairs": 0})
    found = noise_t(20)
    outside = (found[["clustered", "plain"]].abs() > 2.5).mean()
    assert outside["clustered"] <= 0.1
    assert outside["plain"] > 0.15
    assert 0.7 < found["clustered"].std() < 1.3
