"""The model with the spread in it: against plain matrices, against statsmodels, and on pairs whose truth is planted."""

from __future__ import annotations

import numpy as np
import pytest

from pairs_bt.data.synthetic.random_walks import ar1
from pairs_bt.errors import DataError
from pairs_bt.kernels import reverting_spread as kernel
from pairs_bt.models.reverting_spread import fit_reverting_spread, pair_spreads, reverting_spread_filter
from tests.twins.reverting_spread import filter_spread

PLACES = ((0.1, 0.0), (0.5, 1e-7), (0.9, 0.0), (0.95, 1e-6), (0.99, 1e-5), (0.3, 1e-4))


def planted(seed, half_life=15.0, n=504, walk=0.0):
    """y, x, the true u and the true beta: y = 40 + beta x + u."""
    rng = np.random.default_rng(seed)
    x = 100.0 * np.exp(np.cumsum(rng.normal(size=n)) * 0.25 / np.sqrt(252))
    u = ar1(rng.normal(size=n), half_life, 2.0)
    beta = 0.8 * (1.0 + walk * np.cumsum(rng.normal(size=n)))
    return 40.0 + beta * x + u, x, u, beta


def value_at(y, x, phi, g):
    start, out = np.empty(2), np.empty((6, y.size))
    kernel.start_covariance(y, x, y.size, start)
    value, s2 = kernel.path(y, x, phi, g, start, y.size, out)
    return value, s2, out


def statsmodels_twin(y, x, phi, g, r):
    """Exact diffuse likelihood and filtered states of (beta, alpha, u)."""
    from statsmodels.tsa.statespace.mlemodel import MLEModel

    model = MLEModel(y, k_states=3, k_posdef=2)
    model.ssm["design"] = np.stack([x, np.ones_like(x), np.ones_like(x)])[None, :, :]
    model.ssm["transition"] = np.diag([1.0, 1.0, phi])
    model.ssm["selection"] = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    model.ssm["state_cov"] = r * np.diag([g, 1.0])
    model.ssm.tolerance = 0.0
    from statsmodels.tsa.statespace.initialization import Initialization

    start = Initialization(3)
    start.set(0, "diffuse")
    start.set(1, "diffuse")
    start.set(2, "known", constant=[0.0], stationary_cov=[[r / (1.0 - phi * phi)]])
    model.ssm.initialization = start
    found = model.ssm.filter()
    return float(found.llf_obs[2:].sum()), found.filtered_state


@pytest.mark.parametrize(("phi", "g"), PLACES)
def test_likelihood_and_path_are_those_of_plain_matrices(phi, g):
    y, x, _, _ = planted(1, n=250)
    y[[40, 41, 90]] = np.nan
    x[120] = np.nan
    value, r, path = value_at(y, x, phi, g)
    twin, twin_r, states = filter_spread(y, x, phi, g)
    seen = np.isfinite(y) & np.isfinite(x)
    assert value == pytest.approx(twin, abs=1e-3)
    assert r == pytest.approx(twin_r, rel=1e-5)
    assert np.allclose(path[:2, 20:], states.T[:2, 20:], rtol=1e-5, atol=1e-3)
    assert np.allclose(path[2, seen][20:], states.T[2, seen][20:], atol=1e-3)


@pytest.mark.parametrize(("phi", "g"), PLACES)
def test_likelihood_and_path_are_those_of_statsmodels_with_an_exact_diffuse_start(phi, g):
    y, x, _, _ = planted(2, n=250)
    y[60] = np.nan
    value, r, path = value_at(y, x, phi, g)
    oracle, states = statsmodels_twin(y, x, phi, g, r)
    assert value == pytest.approx(oracle, abs=1e-4)
    seen = np.isfinite(y)
    assert np.allclose(path[:2, 5:], states[:2, 5:], rtol=1e-5, atol=1e-4)
    assert np.allclose(path[2, seen][5:], states[2, seen][5:], atol=1e-4)
    # r is the best one
    for other in (0.97 * r, 1.03 * r):
        assert oracle > statsmodels_twin(y, x, phi, g, other)[0]


@pytest.mark.parametrize(("seed", "walk"), [(3, 0.0), (4, 0.0), (5, 0.002), (6, 0.003), (7, 0.001)])
def test_the_maximum_is_as_good_as_a_general_optimiser_finds(seed, walk):
    from scipy.optimize import minimize

    y, x, _, _ = planted(seed, half_life=10.0, n=300, walk=walk)

    def loss(point):
        phi = 1.0 - np.exp(np.clip(point[0], np.log(np.log(2.0) / 150.0), np.log(0.9)))
        return -value_at(y, x, phi, np.exp(np.clip(point[1], -35.0, 0.0)))[0]

    starts = ([-2.0, -14.0], [-4.0, -10.0], [-1.0, -25.0])
    best = -min(minimize(loss, s, method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-9}).fun for s in starts)
    assert fit_reverting_spread(y, x, gain=0.0).log_likelihood > best - 0.05


def walks(seed, n=300):
    return tuple(100.0 + np.cumsum(np.random.default_rng(seed).normal(size=(2, n)), axis=1))


@pytest.mark.parametrize(
    "pair",
    [
        *(walks(seed) for seed in (52, 142, 171, 355)),
        planted(127, 10.0, 300)[:2],
        *(planted(seed, 10.0, 300, walk=0.003)[:2] for seed in (49, 136)),
        *(planted(seed, 40.0, 300, walk=0.003)[:2] for seed in (44, 170, 233)),
        *(planted(seed, 3.0, 300, walk=0.001)[:2] for seed in (24, 62, 139)),
    ],
)
def test_the_higher_of_two_summits_is_found_and_a_ridge_is_followed(pair):
    """A search from one start, with steps that shrink, ended up to 1.5 below on these."""
    from scipy.optimize import minimize

    y, x = (np.ascontiguousarray(row) for row in pair)
    power = kernel.start_covariance(y, x, y.size, np.empty(2))
    lives, shares = (np.log(kernel.SHORTEST), np.log(0.5 * y.size)), (kernel.LOW, kernel.HIGH)

    def value(point):
        life, share = np.clip(point[0], *lives), np.clip(point[1], *shares)
        return value_at(y, x, np.exp(-np.log(2.0) / np.exp(life)), np.exp(share) / power)[0]

    grid = [(value((a, b)), a, b) for a in np.linspace(*lives, 36) for b in np.linspace(*shares, 30)]
    best = max(grid)
    options = {"xatol": 1e-7, "fatol": 1e-10, "maxiter": 2000}
    polished = -minimize(lambda p: -value(p), best[1:], method="Nelder-Mead", options=options).fun
    fit = fit_reverting_spread(y, x, gain=0.0)
    assert fit.log_likelihood > max(best[0], polished) - 1e-4


def filtered(y, x, fit):
    return reverting_spread_filter(y, x, phi=fit.phi, step_var=fit.step_var, shock_var=fit.shock_var)


@pytest.mark.parametrize("half_life", [5.0, 15.0, 40.0])
@pytest.mark.parametrize("walk", [0.0, 0.001])
def test_the_truth_is_recovered_on_thirty_seeds(half_life, walk):
    ratios, phis, alike = [], [], []
    for seed in range(30):
        y, x, u, beta = planted(100 + seed, half_life, walk=walk)
        fit = fit_reverting_spread(y, x)
        path = filtered(y, x, fit)
        ratios.append(path.beta[-1] / beta[-1])
        phis.append(fit.phi)
        alike.append(np.corrcoef(path.spread[60:], u[60:])[0, 1])
    assert np.median(ratios) == pytest.approx(1.0, abs=0.02)
    assert np.quantile(np.abs(np.array(ratios) - 1.0), 0.9) < 0.1
    true = 2.0 ** (-1.0 / half_life)
    assert np.median(phis) == pytest.approx(true, abs=0.15 * (1.0 - true) + 0.005)
    assert np.median(alike) > (0.95 if walk == 0.0 else 0.88)


def test_a_constant_ratio_stands_still_and_one_that_moves_much_moves():
    still = [fit_reverting_spread(*planted(s)[:2]).step_var for s in range(20)]
    moved = [fit_reverting_spread(*planted(s, half_life=3.0, walk=0.005)[:2]).step_var for s in range(20)]
    assert np.mean(np.array(still) == 0.0) >= 0.7
    assert np.mean(np.array(moved) > 0.0) >= 0.75


def test_walks_do_not_revert():
    rng = np.random.default_rng(11)
    walks = np.ascontiguousarray(100.0 + np.cumsum(rng.normal(size=(120, 504)), axis=1))
    fits = pair_spreads(walks, np.arange(0, 120, 2), np.arange(1, 120, 2), 504, 62)
    assert np.mean(np.isinf(fits.half_life)) > 0.4
    assert np.median(fits.half_life) > 100
    quick = np.ascontiguousarray([row for s in range(30) for row in planted(s)[:2]])
    assert (pair_spreads(quick, np.arange(0, 60, 2), np.arange(1, 60, 2), 504, 62).flag == 0).mean() >= 0.95


def test_units_change_the_ratio_alone():
    y, x, _, _ = planted(8, half_life=5.0, walk=0.003)
    one = fit_reverting_spread(y, x)
    plain = filtered(y, x, one)
    for a, b in ((100.0, 1.0), (1.0, 0.01), (1e-3, 1e4)):
        other = fit_reverting_spread(a * y, b * x)
        assert other.phi == pytest.approx(one.phi, rel=1e-5)
        assert other.deviation == pytest.approx(one.deviation * a, rel=1e-4)
        assert other.step_var == pytest.approx(one.step_var * (a / b) ** 2, rel=1e-4)
        path = filtered(a * y, b * x, other)
        assert path.beta[5:] == pytest.approx(plain.beta[5:] * a / b, rel=1e-4)
        assert path.spread[5:] / other.deviation == pytest.approx(plain.spread[5:] / one.deviation, abs=1e-3)


def test_only_train_bars_the_own_pair_and_the_past_count():
    rows = np.ascontiguousarray([row for s in range(4) for row in planted(s, n=400)[:2]])
    iy, ix = np.arange(0, 8, 2), np.arange(1, 8, 2)
    whole = pair_spreads(rows, iy, ix, 300, 62)
    changed = rows.copy()
    changed[:, 350:] = 7.0
    cut = pair_spreads(changed, iy[1:3], ix[1:3], 300, 62)
    for name in ("deviation", "half_life", "flag"):
        assert np.array_equal(getattr(whole, name)[1:3], getattr(cut, name))
    for name in ("beta", "alpha", "spread", "innovation", "innovation_var"):
        assert np.array_equal(getattr(whole, name)[1:3, :350], getattr(cut, name)[:, :350], equal_nan=True)


def test_a_missing_bar_is_predicted_only():
    y, x, _, _ = planted(9)
    fit = fit_reverting_spread(y, x)
    y[200:203] = np.nan
    path = filtered(y, x, fit)
    assert (path.beta[200:203] == path.beta[199]).all()
    assert np.isnan(path.spread[200:203]).all()
    assert np.isnan(path.innovation[200:203]).all()


def test_a_first_price_that_stands_still_leaves_the_ratio_open_and_no_more():
    y, x, _, _ = planted(10)
    x[1] = x[0]
    fit = fit_reverting_spread(y, x)
    assert fit.flag == ""
    assert filtered(y, x, fit).beta[-1] == pytest.approx(0.8, abs=0.1)


def test_innovations_are_white_and_of_their_variance():
    y, x, _, _ = planted(13, n=3000)
    fit = fit_reverting_spread(y, x)
    path = filtered(y, x, fit)
    score = path.innovation[50:] / np.sqrt(path.innovation_var[50:])
    assert score.var() == pytest.approx(1.0, abs=0.08)
    assert abs(np.corrcoef(score[1:], score[:-1])[0, 1]) < 0.05


def test_arguments_are_checked():
    y, x, _, _ = planted(12)
    with pytest.raises(DataError, match="align"):
        fit_reverting_spread(y, x[:-1])
    with pytest.raises(DataError, match="20 bars"):
        fit_reverting_spread(y[:20], x[:20])
    with pytest.raises(ValueError, match="gain"):
        fit_reverting_spread(y, x, gain=-1.0)
    assert fit_reverting_spread(np.full(70, np.nan), x[:70]).flag == "no likelihood"
    for wrong, word in (({"phi": 1.0}, "phi"), ({"shock_var": 0.0}, "shock_var"), ({"step_var": -1.0}, "step_var")):
        with pytest.raises(ValueError, match=word):
            reverting_spread_filter(y, x, **({"phi": 0.9, "step_var": 0.0, "shock_var": 1.0} | wrong))
