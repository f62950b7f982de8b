"""Configs: strict, told about all at once, and the same after a round trip."""

from __future__ import annotations

import re
import tomllib
from datetime import date

import pytest

from pairs_bt.backtest.hedge_rules import HEDGE_RULES, variants
from pairs_bt.config.reader import builtin
from pairs_bt.config.schema import Config
from pairs_bt.config.writer import fingerprint, to_json, to_toml
from pairs_bt.errors import ConfigError

CHANGES = (
    "hedge.rehedge=['never', 'daily', {band = 0.1}]",
    "universe.pairs={left=['A', 'ON'], right=['NO']}",
    "signal.stop=4",
    "portfolio.max_pairs_held=3",
    "data.end=2015-06-30",
)


@pytest.mark.parametrize("name", ["demo.toml", "book.toml", "book_size.toml"])
def test_built_in_configs_load_and_survive_a_round_trip(name: str) -> None:
    config = Config.load(builtin(name))
    assert Config.from_dict(tomllib.loads(to_toml(config))) == config
    changed = config.with_changes(*CHANGES[:4])
    assert Config.from_dict(tomllib.loads(to_toml(changed))) == changed
    assert fingerprint(changed) != fingerprint(config)


def test_the_demo_has_the_documented_defaults() -> None:
    demo, plain = Config.load(), Config()
    for table in ("windows", "selection", "filter", "signal", "execution", "portfolio", "comparison", "run"):
        assert getattr(demo, table) == getattr(plain, table), table
    assert [v.name for v in variants(plain.hedge)] == ["dynamic", "fixed_first", "averaged", "fixed_last"]
    assert [v.label for v in variants(demo.hedge)][:2] == ["dynamic-frozen", "dynamic-rehedged"]


def test_defaults_file_set_take_precedence_in_this_order(tmp_path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[signal]\nentry = 1.5\nexit = 0.25\n[data]\npath = 'p.csv'\n")
    config = Config.load(path, ["signal.entry=3", "data.end=2015-06-30"])
    assert (config.signal.entry, config.signal.exit, config.execution.lag) == (3, 0.25, 1)
    assert config.data.end == date(2015, 6, 30)
    assert config.data.path == str(tmp_path / "p.csv")


def test_a_value_that_is_not_toml_is_text() -> None:
    assert Config.load(None, ["filter.price_space=log"]).filter.price_space == "log"
    # One assignment, not a way to smuggle in a second key.
    with pytest.raises(ConfigError):
        Config.load(None, ["signal.entry=1\nexit=0"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("signal.entri=2", ["signal.entri", "did you mean 'entry'"]),
        ("signl.entry=2", ["signl", "did you mean 'signal'"]),
        ("signal.entry='two'", ["signal.entry", "'two'", "number"]),
        ("signal.entry=true", ["signal.entry", "number"]),
        ("signal.entry=nan", ["signal.entry", "finite"]),
        ("signal.entry=0", ["signal.entry", "greater than 0"]),
        ("signal.exit=2.5", ["signal.entry", "above signal.exit"]),
        ("signal.stop=1.0", ["signal.stop", "beyond signal.entry"]),
        ("windows.train=2Q", ["windows.train", "'2Q'", "Y, M, W or D"]),
        ("windows.entry_within=1Y", ["entry_within", "longer than"]),
        ("data.end=1999-01-01", ["data.end", "after data.start"]),
        ("execution.cost_bps=-1", ["execution.cost_bps", "greater than or equal to 0"]),
        ("hedge.rehedge=[{band=0}]", ["band", "greater than 0"]),
        ("hedge.variants=['dynamc']", ["hedge.variants", "'dynamc'"]),
        ("hedge.variants=['dynamic', 'dynamic']", ["hedge.variants", "twice"]),
        ("hedge.variants=[]", ["hedge.variants", "at least 1"]),
        ("portfolio.capital=0", ["portfolio.capital", "greater than 0"]),
        ("run.seed=1.5", ["run.seed", "integer"]),
        ("signal=3", ["signal", "table"]),
        ("universe.pairs={lft=['A']}", ["universe.pairs.lft", "did you mean 'left'"]),
        ("noequals", ["table.key=value"]),
    ],
)
def test_errors_name_the_key_the_value_and_the_rule(change: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.load(None, [change])
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_all_errors_are_named_at_once() -> None:
    wrong = ["execution.cost_bps=-1", "hedge.rehedge=[{band=0}]", "signal.stop=1", "portfolio.capital=0", "run.sed=1"]
    with pytest.raises(ConfigError) as caught:
        Config.load(None, wrong)
    for key in ("cost_bps", "band", "signal.stop", "portfolio.capital", "run.sed"):
        assert key in str(caught.value)
    assert re.match(r"The config has \d+ errors", str(caught.value))


def test_a_borrow_table_s_errors_are_told_with_the_rest(tmp_path) -> None:
    table = tmp_path / "borrow.csv"
    table.write_text("ticker,borrow_bps\nNOPE,5\nKO,-1\n")
    wrong = ["execution.cost_bps=-1", "hedge.rehedge=[{band=0}]", "signal.stop=1", "portfolio.capital=0"]
    with pytest.raises(ConfigError) as caught:
        Config.load(None, [*wrong, f"execution.borrow_table={table}"])
    for word in (
        "5 errors",
        "cost_bps",
        "band",
        "signal.stop",
        "portfolio.capital",
        "'NOPE'",
        "'KO' has borrow_bps '-1'",
    ):
        assert word in str(caught.value)


def test_files_that_are_no_config(tmp_path) -> None:
    cases = {
        "missing.toml": (None, "no config file"),
        "broken.toml": (b"[signal\nentry = 2", "not valid TOML"),
        "latin.toml": ("[data]\npath = 'é'".encode("latin-1"), "UTF-8"),
    }
    for name, (content, word) in cases.items():
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError, match=word):
            Config.load(path)
    with pytest.raises(ConfigError, match="folder"):
        Config.load(tmp_path)


def test_fingerprint_ignores_where_the_data_lie_but_not_what_is_asked(tmp_path) -> None:
    base = Config.load()
    moved = base.with_changes(f"data.path={tmp_path}/us_large_caps.parquet")
    assert fingerprint(moved) == fingerprint(base)
    assert fingerprint(base.with_changes("signal.entry=2.5")) != fingerprint(base)
    assert to_json(base) == to_json(Config.load())


def test_every_rule_that_a_config_may_name_exists() -> None:
    for rule in HEDGE_RULES:
        assert Config.load(None, [f"hedge.variants=['{rule}']"]).hedge.variants == (rule,)


def test_configs_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Config().signal.entry = 3.0  # type: ignore[misc]
