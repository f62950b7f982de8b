"""The flags equal a slow twin that looks at one price at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pairs_bt.data.quality_flags import suspect_names, suspect_prices

DAYS = np.arange(np.datetime64("2020-01-01"), np.datetime64("2020-06-01"))


def planted_market(seed: int) -> np.ndarray:
    """Random walks with gaps, jumps of every size, reversals and frozen stretches."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.01, (len(DAYS), 6))
    factors = [0.01, 0.1, 0.2, 0.25, 1 / 3, 0.5, 0.7, 1.5, 1.9, 2.0, 2.2, 2.6, 3.0, 3.5, 4.0, 5.0, 7.0, 10.0, 100.0]
    for _ in range(30):
        t, j = rng.integers(1, len(DAYS) - 3), rng.integers(6)
        move = math.log(rng.choice(factors))
        steps[t, j] += move
        if rng.random() < 0.5:
            steps[t + rng.integers(1, 3), j] -= move * rng.choice([1.0, 0.8, 0.6])
    prices = 50 * np.exp(steps.cumsum(axis=0))
    for length in (4, 5, 6, 12, 28, 29, 30, 31, 45):
        t, j = rng.integers(0, len(DAYS) - 1), rng.integers(6)
        prices[t : t + length, j] = prices[t, j] if length > 20 else np.nan
    if rng.random() < 0.5:
        prices[: rng.integers(4, 9), 0] = np.nan
        prices[-int(rng.integers(4, 9)) :, 1] = np.nan
    return prices


def slow_flags(prices: list[float]) -> dict[str, list[int]]:
    """Rows flagged by each rule, from the wording of docs/data.md."""
    n = len(prices)
    seen = [t for t in range(n) if not math.isnan(prices[t])]
    found: dict[str, list[int]] = {}

    def note(rule: str, row: int) -> None:
        found.setdefault(rule, []).append(row)

    if seen[0] > 5:
        note("starts_late", seen[0])
    if n - 1 - seen[-1] > 5:
        note("ends_early", seen[-1])
    back = False
    for k in range(1, len(seen)):
        if seen[k] - seen[k - 1] > 6:
            note("gap", seen[k - 1] + 1)
        move = math.log(prices[seen[k]]) - math.log(prices[seen[k - 1]])
        onward = math.log(prices[seen[k + 1]]) - math.log(prices[seen[k]]) if k + 1 < len(seen) else None
        reverts = onward is not None and abs(move) >= math.log(1.8) and abs(move + onward) <= 0.3 * abs(move)
        if back:
            back = False
        elif reverts:
            note("spike", seen[k])
            back = True
        elif any(abs(abs(move) - math.log(ratio)) <= 0.05 for ratio in (2, 3, 4, 5, 10)):
            note("split", seen[k])
        elif abs(move) >= math.log(3):
            note("jump", seen[k])
    start = 0
    for t in range(1, n + 1):
        if t == n or prices[t] != prices[start]:
            if t - start >= 30 and not math.isnan(prices[start]):
                note("stale", start)
            start = t
    return found


@pytest.mark.parametrize("seed", range(40))
def test_flags_equal_their_slow_twin(seed: int) -> None:
    prices = planted_market(seed)
    tickers = list("ABCDEF")
    notes = suspect_prices(prices, DAYS, tickers)
    fast = {(n.ticker, n.rule): (n.count, n.date) for n in notes}
    assert len(fast) == len(notes)
    slow = {
        (ticker, rule): (len(rows), str(DAYS[rows[0]]))
        for j, ticker in enumerate(tickers)
        for rule, rows in slow_flags(prices[:, j].tolist()).items()
    }
    assert fast == slow


def test_every_second_move_of_an_alternating_price_is_a_spike() -> None:
    prices = np.where(np.arange(len(DAYS)) % 2 == 0, 10.0, 30.0)
    notes = {n.rule: (n.count, n.date) for n in suspect_prices(prices[:, None], DAYS, ["A"])}
    # 10 30 10 ... 30 10 30: each rise comes back, and the last one, which cannot, is near a split of 3
    assert len(DAYS) % 2 == 0
    assert slow_flags(prices.tolist()) == {"spike": list(range(1, len(DAYS) - 1, 2)), "split": [len(DAYS) - 1]}
    assert notes["spike"] == (len(DAYS) // 2 - 1, "2020-01-02")
    assert notes["split"] == (1, "2020-05-31")


def test_many_tickers_are_looked_at_in_blocks_without_a_seam() -> None:
    prices = np.hstack([planted_market(seed) for seed in range(15)])
    tickers = [f"T{j}" for j in range(prices.shape[1])]
    together = {(n.ticker, n.rule, n.date, n.count) for n in suspect_prices(prices, DAYS, tickers)}
    alone = {
        (n.ticker, n.rule, n.date, n.count)
        for j in range(len(tickers))
        for n in suspect_prices(prices[:, [j]], DAYS, [tickers[j]])
    }
    assert together == alone


@pytest.mark.parametrize("rows", [1, 2, 29, 30, 31])
def test_short_tables_and_dead_columns(rows: int) -> None:
    prices = np.column_stack([np.full(rows, np.nan), np.full(rows, 3.0), np.arange(1.0, rows + 1)])
    notes = suspect_prices(prices, DAYS[:rows], ["none", "same", "up"])
    dead = [(n.kind, n.rule, n.ticker, n.count) for n in notes if n.kind == "left_out"]
    assert dead[:2] == [("left_out", "empty", "none", rows), ("left_out", "constant", "same", rows)]
    assert "stale" not in {n.rule for n in notes}


def test_names_that_look_alike() -> None:
    assert suspect_names(["BRK/B", "Ünı", "<script>", "700"]) == []
    rules = [(n.rule, n.ticker) for n in suspect_names(["АAPL", "ＩＢＭ", " x", "X", "KO\u200b"])]
    assert rules == [("lookalike", "АAPL"), ("lookalike", "ＩＢＭ"), ("trimmed_name", "x"), ("case_collision", "X")]
