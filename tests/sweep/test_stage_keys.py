"""Each stage declares the keys of the config that decide it: proved by changing every key, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel

from pairs_bt import Config
from pairs_bt.backtest.hedge_rules import variants
from pairs_bt.backtest.selection import select_pairs
from pairs_bt.backtest.study import Study, load_prices, prepare
from pairs_bt.backtest.window_tasks import pair_paths, rule_signals, trade_book
from pairs_bt.data.prices import PriceData
from pairs_bt.engine.pipeline import orient_pairs, scan_window, serial
from pairs_bt.errors import ConfigError, DataError
from pairs_bt.sweep.shared_stages import StageKeys, stage_keys
from tests.book_filter import BOOK_FILTER

STAGES = ("study", "scan", "choice", "filter", "signals", "ledger")
# What a sweep does not vary, or what changes no return.
FIXED = {"data.path", "data.synthetic", "data.start", "data.end", "data.max_bytes", "data.max_cells"}
BASES = (
    ("selection.alpha=0.3",),
    ("selection.alpha=0.3", *BOOK_FILTER),
    ("selection.combine=any", "filter.model=random_walk", "filter.noise=mle", "filter.price_space=log",
     "portfolio.sizing=volatility", 'hedge.rehedge=["daily"]', 'hedge.variants=["rolling_ols", "beta", "dynamic"]',
     "signal.stop=3.0"),
    ("selection.alpha=0.3", "signal.entry=optimal", "signal.optimal=sharpe"),
    ("selection.alpha=0.3", "signal.entry=optimal", "signal.stop=4.0", "signal.z=stationary"),
)  # fmt: skip


@pytest.fixture(scope="module")
def data() -> PriceData:
    return load_prices(Config.load(None, ["data.end=2008-12-31"]))


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A value for each key that no rule can make up."""
    folder = tmp_path_factory.mktemp("tables")
    (folder / "members.csv").write_text(
        "ticker,start,end\nAAPL,2004-01-01,\nIBM,2004-01-01,\nKO,2004-01-01,2007-01-01\n"
    )
    (folder / "rates.csv").write_text("ticker,borrow_bps\nKO,300\nAAPL,900\n")
    return {
        "universe.pairs": {"left": ["AAPL", "KO", "PEP"], "right": ["XOM", "CVX", "JPM"]},
        "universe.membership": str(folder / "members.csv"),
        "execution.borrow_table": str(folder / "rates.csv"),
        "filter.smooth": {"transition_cov": 0.1},
        "data.bars_per_year": 365.0,
        "hedge.market": "AAPL",
        "hedge.variants": ["fixed_last"],
        "hedge.rehedge": [{"band": 0.1}],
    }


def others(annotation: Any, value: Any) -> Iterator[Any]:
    """Values that a key may have beside its own, likely ones first; the config says which of them it takes."""
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            for other in others(field.annotation, getattr(value, name)):
                yield {**value.model_dump(), name: other}
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (value * 2, value + 1, value / 2, type(value)(0))
    elif isinstance(value, tuple):
        yield from (list(value[:1]), list(value[1:]))
    elif value is None:
        yield from (0.5, 1.5, 2)
    elif isinstance(value, str):
        yield from ("1Y", "4M", "1M")
    for part in (annotation, *get_args(annotation)):
        if get_origin(part) is Literal:
            yield from (option for option in get_args(part) if option != value)


def changed(base: Config, key: str, made_up: dict[str, Any]) -> list[Config]:
    """Configs that differ from the base in one key."""
    table, name = key.split(".")
    section = getattr(base, table)
    values = (
        [made_up[key]]
        if key in made_up
        else others(type(section).model_fields[name].annotation, getattr(section, name))
    )
    found = []
    for value in values:
        plain = base.to_dict()
        try:
            config = Config.from_dict({**plain, table: {**plain.get(table, {}), name: value}})
        except (ConfigError, TypeError):
            continue
        if config != base and config not in found:
            found.append(config)
    return found[:3]


def keys_of_a_sweep() -> list[str]:
    kept = {
        name: field.default for name, field in Config.model_fields.items() if name not in ("comparison", "run", "sweep")
    }
    return [
        f"{name}.{key}"
        for name, table in kept.items()
        for key in type(table).model_fields
        if f"{name}.{key}" not in FIXED
    ]


def results(study: Study) -> dict[str, Any]:
    """What every stage makes of one window."""
    k = 3
    scan = scan_window(study, k, serial)
    choice = select_pairs(scan, study.config.selection)
    candidates = orient_pairs(scan, choice)
    task = (candidates, 0, candidates.y.size)
    path = pair_paths(study, k, *task)
    names = variants(study.config.hedge)
    signals = {variant.rule: rule_signals(study, k, path, variant.rule, *task) for variant in names}
    books = {variant.name: trade_book(study, k, signals[variant.rule], variant, *task) for variant in names}
    shared = replace(study, config=Config(), notes=(), source={}, prices=pd.DataFrame())
    return dict(zip(STAGES, (shared, scan, candidates, path, signals, books), strict=True))


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, dict):
        # Signals and trades are kept by variant: those that both have are the same.
        return all(same(ours[name], theirs[name]) for name in ours.keys() & theirs.keys())
    if isinstance(ours, pd.DataFrame):
        return ours.equals(theirs)
    if is_dataclass(ours):
        return type(ours) is type(theirs) and all(
            same(getattr(ours, f.name), getattr(theirs, f.name)) for f in fields(ours) if f.compare
        )
    if isinstance(ours, np.ndarray):
        return np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f")
    if isinstance(ours, list | tuple | pd.Index):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return bool(ours == theirs)


def undeclared(
    data: PriceData, tables: dict[str, Any], keys: Callable[[Config], StageKeys] = stage_keys
) -> tuple[set[tuple[str, str]], set[str]]:
    """(stage, key) where the stage's result changes and its key does not; and the config keys that were changed."""
    missed, tried = set(), set()
    for changes in BASES:
        base = Config.from_dict({}).with_changes(*changes)
        before, own = results(prepare(base, data)), keys(base)
        for key in keys_of_a_sweep():
            for config in changed(base, key, tables):
                tried.add(key)
                there = keys(config)
                alike = [stage for stage in STAGES if getattr(own, stage) == getattr(there, stage)]
                if not alike:
                    continue
                try:
                    after = results(prepare(config, data))
                except DataError:
                    continue
                missed |= {(stage, key) for stage in alike if not same(before[stage], after[stage])}
    return missed, tried


def test_no_stage_reads_a_key_that_it_does_not_declare(data, tables) -> None:
    missed, tried = undeclared(data, tables)
    assert not missed
    assert tried == set(keys_of_a_sweep())


@pytest.mark.parametrize(
    ("stage", "key"),
    [("ledger", "execution.cost_bps"), ("signals", "signal.half_life"), ("signals", "execution.cost_bps"),
     ("signals", "signal.optimal"), ("choice", "selection.alpha"),
     ("filter", "filter.hedge"), ("study", "execution.borrow_bps")],
)  # fmt: skip
def test_a_declaration_that_lacks_a_key_is_found(data, tables, monkeypatch, stage: str, key: str) -> None:
    table, name = key.split(".")
    default = getattr(getattr(Config(), table), name)

    def blind(config: Config) -> StageKeys:
        return stage_keys(config.model_copy(update={table: getattr(config, table).model_copy(update={name: default})}))

    monkeypatch.setattr(f"{__name__}.keys_of_a_sweep", lambda: [key])
    missed, _ = undeclared(data, tables, blind)
    assert (stage, key) in missed


def test_each_stage_holds_the_keys_of_those_before_it() -> None:
    keys = stage_keys(Config())
    for before, after in pairwise(("scan", "choice", "filter", "signals", "ledger")):
        assert getattr(keys, after).startswith(getattr(keys, before))
    assert keys.study in keys.filter
