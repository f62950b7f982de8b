"""The same bytes for any number of threads, any cut into tasks, and any thread setting of the machine."""

import ast
import hashlib
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pairs_bt import run
from pairs_bt.backtest.hedge_rules import HEDGE_RULES
from pairs_bt.backtest.ledger import BLOCK
from pairs_bt.backtest.signals import REFUSALS, SignalSet, filter_pairs, make_signals, prefilter, window_levels
from pairs_bt.config.schema import Config
from pairs_bt.engine.pipeline import TABLES, run_windows
from pairs_bt.kernels import mean_reversion
from pairs_bt.kernels.ledger import HELD
from pairs_bt.kernels.mean_reversion import half_lives, rolling_zscores_and_means
from pairs_bt.runner import open_study
from tests.book_filter import BOOK_FILTER

SMALL = {
    "data": {"synthetic": {"left": 20, "right": 13, "cointegrated_share": 0.1}, "end": "2017-09-29"},
    "selection": {"combine": "any", "alpha": 0.9, "two_way": "none", "max_pairs": 230},
    "hedge": {"rehedge": ("never", "daily"), "reject_negative": False},
    "comparison": {"draws": 100},
}


def small_config() -> Config:
    tables = {name: dict(table) for name, table in SMALL.items()}
    tables["data"]["end"] = pd.Timestamp(tables["data"]["end"]).date()
    return Config.from_dict(tables)


def digest(made) -> dict[str, str]:
    """sha256 of every value of every table."""
    out = {}
    for name in (*TABLES, "returns", "summary"):
        sums = hashlib.sha256()
        table = getattr(made, name)
        for column in table.columns:
            values = table[column]
            plain = values.astype(str) if isinstance(values.dtype, pd.CategoricalDtype | pd.StringDtype) else values
            array = plain.to_numpy()
            sums.update("\n".join(array).encode() if array.dtype == object else np.ascontiguousarray(array).tobytes())
        out[name] = sums.hexdigest()
    return out


@pytest.fixture(scope="module")
def serial():
    return run(small_config(), jobs=1)


def test_the_run_is_large_enough_to_be_cut(serial) -> None:
    counts = serial.windows
    assert len(counts) >= 3
    assert (counts["selected"] > 3 * BLOCK).all()
    assert serial.trades.groupby("variant").size().min() > 100


@pytest.mark.parametrize(
    ("jobs", "scan_chunk", "trade_chunk"), [(2, 4096, 128), (5, 7, 64), (3, 50, 65), (1, 1, 10_000), (2, 259, 1)]
)
def test_jobs_and_chunks_change_no_bit(serial, jobs: int, scan_chunk: int, trade_chunk: int) -> None:
    other = run(small_config(), jobs=jobs, scan_chunk=scan_chunk, trade_chunk=trade_chunk)
    assert digest(other) == digest(serial)


def test_thread_variables_change_no_bit(serial) -> None:
    code = (
        "from tests.engine.test_pipeline_determinism import small_config, digest\n"
        "from pairs_bt import run\n"
        "for name, text in digest(run(small_config(), jobs=2)).items(): print(name, text)\n"
    )
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, "4") | {"PYTHONHASHSEED": "3"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert dict(line.split() for line in done.stdout.splitlines()) == digest(serial)


def test_what_is_not_wanted_is_left_out_and_changes_nothing_else() -> None:
    study = open_study(small_config())
    full = list(run_windows(study, jobs=1))
    lean = list(run_windows(study, jobs=2, wanted=("trades",), delayed=False))
    for whole, part in zip(full, lean, strict=True):
        pd.testing.assert_frame_equal(part.trades, whole.trades, check_exact=True)
        for name in TABLES:
            if name != "trades":
                assert getattr(part, name).empty
                assert list(getattr(part, name).columns) == list(getattr(whole, name).columns)
        for name, daily in whole.cohort.daily.items():
            assert np.array_equal(part.cohort.daily[name], daily)
            assert not part.cohort.delayed[name].any()
            assert whole.cohort.delayed[name][:, HELD].any()


def test_spreads_of_all_variants_come_in_the_order_of_candidates(serial) -> None:
    keys = serial.spreads.drop_duplicates(["test_end", "variant", "y", "x"])
    chosen = serial.half_lives[serial.half_lives["reason"] == ""]
    columns = ["test_end", "variant", "y", "x"]
    got, expected = (
        [tuple(map(str, row)) for row in table[columns].itertuples(index=False)] for table in (keys, chosen)
    )
    assert got == expected


# ------------------------------------------------------------------------------- the fused kernel's obvious twin


def slow_signals(path, rule, levels, iy, ix, n_train, config) -> SignalSet:
    """Stage by stage over whole arrays."""
    beta = HEDGE_RULES[rule](path, n_train)
    log_space = config.filter.price_space == "log"
    if config.filter.price_space == "normalised":
        beta = beta * (levels.spread[iy, :1] / levels.spread[ix, :1])
    y, x = (path.y, path.x) if log_space else (levels.spread[iy], levels.spread[ix])
    spread = y - beta * x
    life = np.empty(iy.size)
    half_lives(spread, n_train, life)
    share = beta * (levels.raw[iy] / levels.raw[ix]) if log_space else np.array(beta)
    if config.signal.half_life == "book":
        life = np.where(np.isfinite(life), np.maximum(np.round(life), 1.0), 1.0)
    reverts = np.isfinite(life)
    window = np.where(reverts, np.minimum(np.round(2.0 * np.where(reverts, life, 0.0)), n_train), 0).astype(np.int64)
    reach = (window - 1) / np.sqrt(np.maximum(window, 1))
    ratio, price_y, price_x = share[:, n_train - 1], levels.raw[iy, n_train - 1], levels.raw[ix, n_train - 1]
    larger = np.maximum(price_y, np.abs(ratio) * price_x)
    reasons = [
        ~reverts,
        (reach < config.signal.entry) & (config.signal.half_life != "book"),
        ~(ratio > 0.0) & config.hedge.reject_negative,
        larger > config.hedge.max_leg_share * (price_y + np.abs(ratio) * price_x),
    ]
    refusal = np.select(reasons, range(1, 5), 0).astype(np.int8)
    z = np.empty((iy.size, spread.shape[1] - n_train))
    mean = np.empty_like(z)
    rolling_zscores_and_means(spread, n_train, np.where(refusal > 0, 0, window), z, mean)
    trade = np.s_[:, n_train:]
    return SignalSet(beta[trade], share[trade], spread[trade], z, life, window, refusal, mean)


@pytest.mark.parametrize("space", ["raw", "normalised", "log"])
@pytest.mark.parametrize(("half_life", "negative", "leg"), [("reject", True, 0.52), ("book", False, 1.0)])
def test_the_fused_kernel_equals_stage_by_stage_to_the_bit(space, half_life, negative, leg) -> None:
    rng = np.random.default_rng(3)
    raw = np.exp(np.cumsum(rng.normal(0, 0.015, (24, 330)), axis=1) + rng.uniform(2, 5, (24, 1)))
    raw[5, 300:] = np.nan  # delisted while it is traded
    raw[3] = 2.0 * raw[2]  # a spread without a variance
    iy, ix = (a.astype(np.int64) for a in np.triu_indices(24, 1))
    seen = set()
    for spread_on in ("raw", "filtered"):
        config = Config.from_dict(
            {
                "filter": {"price_space": space, "spread_on": spread_on},
                "signal": {"half_life": half_life},
                "hedge": {"reject_negative": negative, "max_leg_share": leg},
            }
        ).with_changes(*BOOK_FILTER)
        levels = window_levels(raw, prefilter(raw, config.filter) if spread_on == "filtered" else raw, config.filter)
        path = filter_pairs(levels, iy, ix, config.filter)
        for rule in ("dynamic", "fixed_first", "averaged", "fixed_last"):
            ours = make_signals(path, rule, levels, iy, ix, 250, config)
            twin = slow_signals(path, rule, levels, iy, ix, 250, config)
            for field in fields(SignalSet):
                got, expected = getattr(ours, field.name), getattr(twin, field.name)
                same = got is expected if expected is None else np.array_equal(got, expected, equal_nan=True)
                assert same, (rule, field.name)
            seen |= set(ours.refusal.tolist())
    assert seen >= ({0, 1, 4} if half_life == "reject" else {0})
    assert max(seen) < len(REFUSALS)


# ------------------------------------------------------------------------------------------------ kernel caches

_USE = (
    "import numpy as np\n"
    "from bag.rolling import half_lives\n"
    "out = np.empty(1)\n"
    "half_lives(np.array([[1.0, 0.5, 0.25, 0.125, 0.0625]]), 5, out)\n"
    "print(out[0], sum(half_lives.stats.cache_hits.values()))\n"
)


def test_a_kernel_cache_survives_and_is_not_stale_after_an_edit_of_a_callee(tmp_path) -> None:
    package = tmp_path / "bag"
    package.mkdir()
    (package / "__init__.py").touch()
    text = Path(mean_reversion.__file__).read_text(encoding="utf-8")
    (package / "rolling.py").write_text(text, encoding="utf-8")

    def use() -> tuple[float, int]:
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "-c", _USE], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        life, hits = done.stdout.split()
        return float(life), int(hits)

    assert use() == (pytest.approx(1.3862943611198906), 0)
    assert use() == (pytest.approx(1.3862943611198906), 1)
    # `reversion` is what `half_lives` calls; the caller's own text stays as it was
    edited = text.replace("return slope, -LN2 / slope", "return slope, -2.0 * LN2 / slope")
    assert edited != text
    (package / "rolling.py").write_text(edited, encoding="utf-8")
    assert use() == (pytest.approx(2 * 1.3862943611198906), 0)


def test_kernels_call_nothing_of_another_module() -> None:
    # numba does not compile a caller again when a callee in another file has changed
    for path in Path(mean_reversion.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or "pairs_bt"] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.startswith("pairs_bt")], path.name
