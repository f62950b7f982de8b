"""Levels of an Ornstein-Uhlenbeck spread: the paper's numbers, brute force, and a process that trades at them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.special import dawsn, erfi

from pairs_bt.errors import DataError
from pairs_bt.kernels import ornstein_uhlenbeck as kernel
from pairs_bt.models.ornstein_uhlenbeck.thresholds import Thresholds, optimal_thresholds
from tests.twins import ou as twin

PAPER = {"reversion": 180.967, "sigma": 0.1538, "cost": 0.001}


def levels(cost: float, *, interest: float = 0.0, stop: float = math.inf, rule: int = kernel.RETURN) -> np.ndarray:
    """Entry, exit, length and rate in units of u; `stop` in those, too."""
    out = np.empty(kernel.N_LEVELS)
    kernel.best_levels(cost, interest, stop, rule, out)
    return out


def test_the_papers_numbers() -> None:
    best = optimal_thresholds(**PAPER)
    assert best.entry == pytest.approx(-0.004715, abs=5e-7)
    assert best.exit == -best.entry
    assert best.trade_length == pytest.approx(0.0171224, abs=5e-8)
    assert best.rate == pytest.approx(0.492358, abs=5e-7)
    # 0.58 stationary standard deviations
    assert -best.entry * math.sqrt(2 * PAPER["reversion"]) / PAPER["sigma"] == pytest.approx(0.58, abs=0.005)


def test_special_functions_are_scipys() -> None:
    x = np.r_[np.linspace(1e-6, 12.0, 1200), 20.0, 25.9]
    assert np.allclose([kernel.erfi(v) for v in x], erfi(x), rtol=3e-14, atol=0.0)
    assert np.allclose([kernel.erfi(-v) for v in x[:9]], -erfi(x[:9]), rtol=3e-14, atol=0.0)
    assert np.allclose([kernel._less_dawson(v)[1] for v in x], dawsn(x), rtol=3e-14, atol=0.0)
    small = np.array([1e-4, 1e-2])
    assert np.allclose([kernel._less_dawson(v)[0] for v in small], 2 * small**3 / 3 - 4 * small**5 / 15, rtol=1e-8)
    assert kernel.erfi(30.0) == math.inf


@pytest.mark.parametrize("cost", [1e-6, 0.01, 0.0875, 0.5, 1.0, 3.0])
def test_no_other_pair_of_levels_earns_more(cost: float) -> None:
    """Entry and exit searched freely, by Bertram's formula of the whole cycle."""
    got = levels(cost)

    def loss(p: np.ndarray) -> float:
        return -(p[1] - p[0] - cost) / (math.pi * (erfi(p[1]) - erfi(p[0]))) if p[1] > p[0] else 0.0

    found = minimize(loss, [got[0] - 0.3, got[1] + 0.2], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-14})
    assert got[kernel.RATE] >= -found.fun - 1e-12
    assert got[:2] == pytest.approx(found.x, rel=1e-3, abs=1e-3)
    assert got[kernel.RATE] == pytest.approx(-loss(got[:2]), rel=1e-7)
    assert got[kernel.LENGTH] == pytest.approx(twin.time_up(*got[:2]) + twin.time_down(got[1], got[0]), rel=1e-9)


@pytest.mark.parametrize("e", [0.15, 0.6, 1.2])
def test_the_cycles_variance_is_the_integrals(e: float) -> None:
    mean, variance, d_mean, d_variance = kernel.cycle_moments(e)
    assert mean == pytest.approx(2.0 * twin.time_up(-e, e), rel=1e-10)
    assert variance == pytest.approx(2.0 * twin.variance_up(-e, e), rel=1e-3)
    h = 1e-6
    above, below = kernel.cycle_moments(e + h), kernel.cycle_moments(e - h)
    assert (d_mean, d_variance) == pytest.approx(((above[0] - below[0]) / (2 * h), (above[1] - below[1]) / (2 * h)))


@pytest.mark.parametrize(("cost", "interest"), [(0.0875, 0.02), (0.0875, 0.2), (0.5, 0.05), (0.01, 0.1)])
def test_the_sharpe_ratio_is_greatest_there(cost: float, interest: float) -> None:
    got = levels(cost, interest=interest, rule=kernel.SHARPE)

    def loss(e: float) -> float:
        mean, variance, *_ = kernel.cycle_moments(e)
        gain = 2 * e - cost
        return -(gain / mean - interest) / math.sqrt(gain**2 * variance / mean**3)

    top = levels(cost)[1]
    grid = np.linspace(cost / 2 + 1e-6, top + 1.0, 4000)
    at = grid[np.argmin([loss(v) for v in grid])]
    found = minimize_scalar(loss, bounds=(max(at - 0.01, cost / 2 + 1e-9), at + 0.01), method="bounded")
    assert got[1] == pytest.approx(found.x, abs=1e-4)
    assert loss(got[1]) <= found.fun + 1e-10
    assert got[kernel.RATE] > interest
    assert got[1] < top


def test_sharpe_without_a_level_that_beats_the_interest_is_nan() -> None:
    got = optimal_thresholds(**PAPER, rule="sharpe", rate=np.array([0.05, 0.6]))
    assert np.isfinite(got.entry[0])
    assert np.isnan([got.entry[1], got.exit[1], got.trade_length[1], got.rate[1]]).all()


@pytest.mark.parametrize("cost", [0.02, 0.3, 1.0])
def test_two_sided_is_the_best_of_zeng_and_lees_rules(cost: float) -> None:
    """Every exit between the entries, the mean included, by first-passage integrals: none earns more."""
    got = levels(cost, rule=kernel.TWO_SIDED)
    grid = [
        (a, b, twin.two_sided_rate(a, b, cost)) for a in np.linspace(0.05, 2.2, 24) for b in np.linspace(-a, a, 13)[:-1]
    ]
    top = max(grid, key=lambda row: row[2])
    assert top[1] == pytest.approx(-top[0])
    assert got[kernel.RATE] >= top[2] - 1e-9
    assert got[kernel.RATE] == pytest.approx(twin.two_sided_rate(got[1], got[0], cost), rel=1e-9)
    assert got[kernel.LENGTH] == pytest.approx(twin.time_down(got[1], got[0]), rel=1e-9)
    at_mean = minimize_scalar(lambda a: -twin.two_sided_rate(a, 0.0, cost), bounds=(0.05, 3.0), method="bounded")
    assert got[kernel.RATE] > 1.01 * -at_mean.fun


@pytest.mark.parametrize(("cost", "stop"), [(0.0875, 1.06), (0.0875, 2.1), (0.5, 2.0), (0.01, 0.8), (1.0, 2.8)])
def test_a_stop_against_a_free_search(cost: float, stop: float) -> None:
    got = levels(cost, stop=stop)

    def loss(p: np.ndarray) -> float:
        a, b = p
        return -twin.stopped_rate(a, b, stop, cost) if -stop < a < b else 1.0

    found = minimize(loss, [-min(0.6, 0.9 * stop), 0.7], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-11})
    assert got[:2] == pytest.approx(found.x, abs=2e-4)
    assert got[kernel.RATE] == pytest.approx(-found.fun, rel=1e-7)
    lost = 1.0 - twin.scale(-stop, got[0]) / twin.scale(-stop, got[1])
    length = (
        twin.time_out(got[0], -stop, got[1])
        + (1 - lost) * twin.time_down(got[1], got[0])
        + lost * twin.time_up(-stop, got[0])
    )
    assert got[kernel.LENGTH] == pytest.approx(length, rel=1e-8)
    free = levels(cost)
    # Leung and Li (2015): the nearer the stop, the lower the exit; and it costs, in this model
    assert got[kernel.RATE] < free[kernel.RATE]
    assert -stop < got[0] < free[0]


def test_every_stop_against_a_grid() -> None:
    """Where a grid finds a rate above 0 the levels do, and no lower one."""
    rng = np.random.default_rng(3)
    pays = 0
    for _ in range(200):
        cost, stop = 10 ** rng.uniform(-3, 0.6), rng.uniform(0.2, 4.0)
        a = np.linspace(-stop + 1e-3, 1.0, 90)[:, None]
        b = np.linspace(-stop + 2e-3, 4.0, 110)[None, :]
        right = b > a + 1e-9
        top = np.where(right, b, a + 1.0)
        at = erfi(a)
        rate = ((top - a - cost) / (erfi(top) - at) - (a + stop + cost) / (at + erfi(stop))) / math.pi
        best = np.where(right, rate, -np.inf).max()
        got = levels(cost, stop=stop)[kernel.RATE]
        if best > 1e-9:
            pays += 1
            assert got >= best - 1e-9, (cost, stop)
        elif not np.isnan(got):
            assert 0.0 < got < 2e-3, (cost, stop)
    assert pays > 50


def test_a_far_stop_is_none_and_a_near_one_leaves_nothing() -> None:
    far = optimal_thresholds(**PAPER, stop=60.0)
    assert far.entry == optimal_thresholds(**PAPER).entry
    assert far.rate == pytest.approx(optimal_thresholds(**PAPER).rate, rel=1e-13)
    near = optimal_thresholds(**PAPER, stop=8.0)
    assert near.entry == pytest.approx(optimal_thresholds(**PAPER).entry, rel=1e-6)
    assert math.isnan(optimal_thresholds(**PAPER, stop=0.5).entry)


def test_arrays_are_their_rows_and_the_mean_shifts_the_levels() -> None:
    rng = np.random.default_rng(0)
    reversion, sigma = rng.uniform(1, 300, (4, 5)), rng.uniform(0.01, 2, (4, 5))
    got = optimal_thresholds(reversion=reversion, sigma=sigma, cost=0.01, mean=3.0)
    assert got.entry.shape == (4, 5)
    for place in ((0, 0), (3, 4)):
        one = optimal_thresholds(reversion=reversion[place], sigma=sigma[place], cost=0.01)
        assert got.entry[place] == pytest.approx(one.entry + 3.0, rel=1e-14)
        assert (got.trade_length[place], got.rate[place]) == (one.trade_length, one.rate)
        assert isinstance(one.entry, float)
    # units: X in cents, time in other years
    cents = optimal_thresholds(reversion=180.967, sigma=15.38, cost=0.1)
    assert cents.entry == pytest.approx(100 * optimal_thresholds(**PAPER).entry, rel=1e-12)
    months = optimal_thresholds(reversion=180.967 / 12, sigma=0.1538 / math.sqrt(12), cost=0.001)
    assert months.trade_length == pytest.approx(12 * optimal_thresholds(**PAPER).trade_length, rel=1e-12)


def test_the_ends_of_the_range() -> None:
    free = optimal_thresholds(reversion=180.967, sigma=0.1538, cost=0.0)
    assert (free.entry, free.exit, free.trade_length) == (0.0, 0.0, 0.0)
    assert free.rate == pytest.approx(0.1538 * math.sqrt(180.967 / (4 * math.pi)), rel=1e-14)
    tiny = optimal_thresholds(reversion=180.967, sigma=0.1538, cost=1e-12)
    assert tiny.rate == pytest.approx(free.rate, rel=1e-6)
    dear = optimal_thresholds(reversion=180.967, sigma=0.1538, cost=10.0)
    assert dear.entry == pytest.approx(-5.0, rel=1e-3)
    assert (dear.trade_length, dear.rate) == (math.inf, 0.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reversion": 0.0}, "reversion is 0; it must be above 0"),
        ({"sigma": [0.1, -1.0]}, "sigma is -1 at 1; it must be above 0"),
        ({"cost": -1e-3}, "cost is -0.001; it must be at least 0"),
        ({"cost": math.nan}, "cost is nan"),
        ({"mean": math.inf}, "mean is inf; it must be finite"),
        ({"sigma": "much"}, "sigma is 'much'; it must be a real number"),
        ({"reversion": True}, "reversion is True"),
        ({"stop": 0.0}, "stop is 0; it must be above 0"),
        ({"reversion": [1.0, 2.0], "sigma": [1.0, 2.0, 3.0]}, "must be of one shape"),
        ({"rule": "best"}, "rule is 'best'; it must be one of 'return', 'sharpe', 'two_sided'"),
        ({"rule": "sharpe"}, "rate must be above 0"),
        ({"rule": "sharpe", "rate": 0.01, "stop": 2.0}, "stop is not known to rule 'sharpe'"),
    ],
    ids=str,
)
def test_bad_input_is_refused_in_words(change: dict[str, object], words: str) -> None:
    with pytest.raises((DataError, ValueError)) as said:
        optimal_thresholds(**{**PAPER, **change})
    assert words in str(said.value)


def simulate(best: Thresholds, steps: int, years: float, lag: int, paths: int = 400) -> tuple:
    """Net earnings a year of the long trade on paths seen `steps` times a year, filled `lag` steps later; (paths,)."""
    mu, sigma, cost = PAPER["reversion"], PAPER["sigma"], PAPER["cost"]
    rng = np.random.default_rng(11)
    phi, noise = math.exp(-mu / steps), sigma * math.sqrt((1 - math.exp(-2 * mu / steps)) / (2 * mu))
    x = rng.normal(0.0, sigma / math.sqrt(2 * mu), paths)
    held = np.zeros(paths, dtype=bool)
    wanted = [held.copy() for _ in range(lag + 1)]
    earned = np.zeros(paths)
    for _ in range(int(steps * years)):
        new = phi * x + rng.normal(0.0, noise, paths)
        earned += held * (new - x)
        x = new
        now = np.where(wanted[-1], x < best.exit, x <= best.entry)
        wanted = [*wanted[1:], now]
        earned -= 0.5 * cost * (wanted[0] != held)
        held = wanted[0]
    return earned / years


def test_a_process_traded_there_earns_what_the_formula_says() -> None:
    """A step of a 50,000th of a year; the levels moved for the overshoot of a discrete step, 0.5826 sigma sqrt(dt).

    Siegmund (1979), Broadie, Glasserman and Kou (1997): a level watched at steps is hit like one that far beyond it.
    """
    best = optimal_thresholds(**PAPER)
    steps = 50_000
    shift = 0.5826 * PAPER["sigma"] / math.sqrt(steps)
    near = type(best)(best.entry + shift, best.exit - shift, best.trade_length, best.rate)
    earned = simulate(near, steps, 2.0, 0)
    error = earned.std(ddof=1) / math.sqrt(earned.size)
    assert abs(earned.mean() - best.rate) < 2.0 * error
    assert error < 0.02 * best.rate


def test_closes_and_a_lag_cost_what_the_docs_say() -> None:
    """Half-life of a day: the first close beyond a level is already past it, and the next one is a day later."""
    best = optimal_thresholds(**PAPER)
    close = simulate(best, 252, 20.0, 0).mean() / best.rate
    late = simulate(best, 252, 20.0, 1).mean() / best.rate
    assert 0.3 < late < close < 1.0


@pytest.mark.parametrize("cost", [0.0, 1e-3, 1e-2, 0.1, 1.0, 3.0])
def test_a_stop_that_goes_far_away_is_no_stop(cost: float) -> None:
    """No rate is below that of a nearer stop; where the stop is lost in rounding the levels are those without."""
    stops = np.arange(1.5, 60.0, 0.05)
    free = optimal_thresholds(reversion=1.0, sigma=1.0, cost=cost)
    made = optimal_thresholds(reversion=1.0, sigma=1.0, cost=cost, stop=stops)
    pays = np.isfinite(made.rate)
    assert pays[np.argmax(pays) :].all()
    assert (np.diff(made.rate[pays]) > -1e-12).all()
    far = stops > 12.0
    np.testing.assert_allclose(made.rate[far], free.rate, rtol=1e-12)
    np.testing.assert_allclose(made.entry[far], free.entry, rtol=1e-8, atol=1e-12)


def test_without_a_cost_every_rule_has_its_limit() -> None:
    least = 0.3 * np.sqrt(20.0 / (4.0 * np.pi))
    sharpe = optimal_thresholds(reversion=20.0, sigma=0.3, cost=0.0, rate=0.01, rule="sharpe")
    assert (sharpe.entry, sharpe.exit, sharpe.trade_length) == (0.0, 0.0, 0.0)
    assert sharpe.rate == pytest.approx(least)
    near = optimal_thresholds(reversion=20.0, sigma=0.3, cost=1e-12, rate=0.01, rule="sharpe")
    assert near.rate == pytest.approx(sharpe.rate, rel=1e-6)
    stopped = optimal_thresholds(reversion=20.0, sigma=0.3, cost=0.0, stop=2.0)
    small = optimal_thresholds(reversion=20.0, sigma=0.3, cost=1e-10, stop=2.0)
    for name in ("entry", "exit", "trade_length", "rate"):
        assert getattr(stopped, name) == pytest.approx(getattr(small, name), rel=1e-6)
    # a search over both levels finds no more
    a, b = np.linspace(-1.4, 0.0, 400)[:, None], np.linspace(-1.4, 1.4, 800)[None, :]
    unit, stop = 0.3 / np.sqrt(20.0), np.sqrt(2.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = (b - a) / (erfi(b) - erfi(a)) - (a + stop) / (erfi(a) + erfi(stop))
    assert np.nanmax(np.where(b > a, gain, -np.inf)) / np.pi * unit * 20.0 == pytest.approx(stopped.rate, rel=1e-4)
