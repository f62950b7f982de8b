"""The filter's noise by maximum likelihood, against statsmodels' state space models."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pairs_bt.errors import DataError
from pairs_bt.kernels import kalman as filters
from pairs_bt.kernels import kalman_mle as kernel
from pairs_bt.models.kalman_mle import BURN, FLAGS, USED, burn_in_bars, fit_noise, pair_noise


def simulated(seed: int, n: int = 400, q_beta: float = 1e-5, q_alpha: float = 1e-5, r: float = 0.5):
    rng = np.random.default_rng(seed)
    x = 100.0 + np.cumsum(rng.normal(size=n))
    beta = 0.8 + np.cumsum(rng.normal(size=n) * math.sqrt(q_beta))
    alpha = 5.0 + np.cumsum(rng.normal(size=n) * math.sqrt(q_alpha))
    return beta * x + alpha + rng.normal(size=n) * math.sqrt(r), x


def statsmodels_twin(y: np.ndarray, x: np.ndarray, burn: int = BURN):
    """log L(q_beta, q_alpha, r) of the same model, started alike, and the path of its filter."""
    from statsmodels.tsa.statespace.mlemodel import MLEModel

    model = MLEModel(y, k_states=2, k_posdef=2, loglikelihood_burn=burn)
    model.ssm["design"] = np.stack([x, np.ones_like(x)])[None, :, :]
    model.ssm["transition"] = np.eye(2)
    model.ssm["selection"] = np.eye(2)
    model.ssm.filter_univariate = False
    # statsmodels stops updating once it calls the covariance steady; a time-varying design never is
    model.ssm.tolerance = 0.0

    def loglike(q_beta: float, q_alpha: float, r: float) -> float:
        model.ssm["state_cov"] = np.diag([q_beta, q_alpha])
        model.ssm["obs_cov"] = np.array([[r]])
        model.ssm.initialize_known(np.zeros(2), kernel.KAPPA * r * np.eye(2))
        return float(model.ssm.loglike())

    return loglike


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_concentrated_likelihood_is_statsmodels_at_its_own_r(seed):
    y, x = simulated(seed)
    loglike = statsmodels_twin(y, x)
    for g_beta, g_alpha in ((1e-6, 1e-6), (1e-4, 1e-2), (1e-8, 1.0), (1e-2, 1e-5)):
        value, r = kernel.concentrated(y, x, g_beta, g_alpha, BURN)
        assert value == pytest.approx(loglike(g_beta * r, g_alpha * r, r), abs=1e-5)
        # r is the best one
        for other in (0.98 * r, 1.02 * r):
            assert value > loglike(g_beta * other, g_alpha * other, other)


@pytest.mark.parametrize(("seed", "model"), [(3, "mle"), (4, "mle"), (5, "mle_two"), (6, "mle_two"), (7, "mle_two")])
def test_the_maximum_is_the_one_statsmodels_finds(seed, model):
    from scipy.optimize import minimize

    y, x = simulated(seed, q_beta=4e-6, q_alpha=0.02, r=0.4) if model == "mle_two" else simulated(seed)
    loglike = statsmodels_twin(y, x)

    def loss(point):
        q = np.exp(np.clip(point, -40, 20))
        return -loglike(q[0], q[1], q[2]) if model == "mle_two" else -loglike(q[0], q[0], q[1])

    starts = ([-12.0, -4.0, -1.0], [-9.0, -9.0, 0.0]) if model == "mle_two" else ([-12.0, -1.0], [-8.0, 0.0])
    found = [minimize(loss, s, method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-8}) for s in starts]
    best = -min(one.fun for one in found)
    fit = fit_noise(y, x, model=model)
    assert fit.flag == ""
    assert fit.log_likelihood == pytest.approx(best, abs=1e-4)
    assert fit.log_likelihood == pytest.approx(loglike(fit.q_beta, fit.q_alpha, fit.observation_cov), abs=1e-5)


def test_the_true_noise_is_recovered_on_average():
    fits = [fit_noise(*simulated(100 + k, n=600, q_beta=1e-5, q_alpha=1e-5, r=0.5)) for k in range(40)]
    assert np.median([fit.observation_cov for fit in fits]) == pytest.approx(0.5, rel=0.08)
    assert np.median([fit.q_beta for fit in fits]) == pytest.approx(1e-5, rel=0.35)
    assert fits[0].delta == pytest.approx(fits[0].q_beta / (1 + fits[0].q_beta))


def test_units_change_nothing():
    """In the model of two, x in cents gives a slope in cents; y in cents scales every variance."""
    y, x = simulated(8, q_beta=4e-6, q_alpha=0.02)
    one, other = fit_noise(y, x, model="mle_two"), fit_noise(y * 100.0, x, model="mle_two")
    assert other.q_beta == pytest.approx(one.q_beta * 1e4, rel=1e-9)
    assert other.observation_cov == pytest.approx(one.observation_cov * 1e4, rel=1e-9)


def test_failures_are_flagged_and_fall_back_to_the_fixed_noise():
    rng = np.random.default_rng(9)
    x = 100.0 + np.cumsum(rng.normal(size=300))
    rows = np.ascontiguousarray(
        [
            0.7 * x + 2.0 + rng.normal(size=300),  # a constant ratio: no step is the best step
            100.0 + np.cumsum(rng.normal(size=300)),  # nothing but steps
            simulated(10, n=300)[0],
            x,
            simulated(10, n=300)[1],
            np.full(300, np.nan),
        ]
    )
    iy, ix = np.array([0, 1, 2, 5]), np.array([3, 3, 4, 3])
    noise = pair_noise(rows, iy, ix, 300, model="mle", delta=1e-3, observation_cov=2.0)
    texts = [FLAGS[k] for k in noise.flag]
    assert texts[0] == "at the lower bound"
    assert texts[2] == ""
    assert texts[3] == "no likelihood"
    # a ratio that stands still is an answer, not a failure: its noise is used
    assert noise.q[0].max() < 1e-6
    assert noise.r[0] == pytest.approx(1.0, rel=0.2)
    for p in np.flatnonzero(~np.isin(noise.flag, USED)):
        assert noise.q[p].tolist() == [1e-3 / 0.999] * 2
        assert noise.r[p] == 2.0
    short = pair_noise(rows, iy, ix, 20, model="mle", delta=1e-3, observation_cov=2.0)
    assert (short.flag == kernel.FAILED).all()


@pytest.mark.parametrize("model", ["mle", "mle_two"])
def test_only_train_bars_and_the_own_pair_count(model):
    rows = np.ascontiguousarray([row for seed in range(4) for row in simulated(seed, n=300)])
    iy, ix = np.arange(0, 8, 2), np.arange(1, 8, 2)
    options = {"model": model, "delta": 1e-3, "observation_cov": 2.0}
    whole = pair_noise(rows, iy, ix, 200, **options)
    changed = rows.copy()
    changed[:, 200:] = 7.0
    cut = pair_noise(changed, iy[1:3], ix[1:3], 200, **options)
    assert np.array_equal(whole.q[1:3], cut.q)
    assert np.array_equal(whole.r[1:3], cut.r)


def test_the_filter_of_each_pair_is_the_common_filter_bit_for_bit():
    rows = np.ascontiguousarray([row for seed in range(5) for row in simulated(seed, n=250)])
    rows[0, 100:103] = np.nan
    iy, ix = np.arange(0, 10, 2), np.arange(1, 10, 2)
    shape = (5, 250)
    beta, alpha = np.empty(shape), np.empty(shape)
    filters.hedge_paths(rows, iy, ix, 1e-3, 2.0, np.zeros(2), np.ones((2, 2)), beta, alpha)
    fixed = pair_noise(rows, iy, ix, 200, model="fixed", delta=1e-3, observation_cov=2.0)
    own = [np.empty(shape) for _ in range(4)]
    filters.hedge_paths_each(rows, iy, ix, fixed.q, fixed.r, np.zeros((5, 2)), np.ones((5, 2, 2)), *own)
    assert np.array_equal(own[0], beta)
    assert np.array_equal(own[1], alpha)
    assert np.isnan(own[2][0, 100:103]).all()


def test_the_filter_with_fitted_noise_is_pykalman():
    from pykalman import KalmanFilter

    y, x = simulated(11, n=200)
    rows, p = np.ascontiguousarray([y, x]), np.zeros(1, np.int64)
    noise = pair_noise(rows, p, p + 1, 150, model="mle_two", delta=1e-3, observation_cov=2.0)
    start = kernel.KAPPA * noise.r[0] * np.eye(2)[None]
    twin = KalmanFilter(
        n_dim_obs=1, n_dim_state=2, initial_state_mean=np.zeros(2), initial_state_covariance=start[0],
        transition_matrices=np.eye(2), observation_matrices=np.stack([x, np.ones_like(x)], axis=1)[:, None, :],
        observation_covariance=noise.r[0], transition_covariance=np.diag(noise.q[0]),
    )  # fmt: skip
    mean, cov = twin.filter(y)
    own = [np.empty((1, 200)) for _ in range(4)]
    filters.hedge_paths_each(rows, p, p + 1, noise.q, noise.r, np.zeros((1, 2)), start, *own)
    # the diffuse start costs the textbook recursion digits, which the factored one keeps
    assert np.allclose(own[0][0, 5:], mean[5:, 0], rtol=1e-6)
    assert np.allclose(own[1][0, 5:], mean[5:, 1], rtol=1e-5, atol=1e-4)
    h = np.stack([x, np.ones_like(x)], axis=1)
    for t in range(5, 200):
        predicted = cov[t - 1] + np.diag(noise.q[0])
        assert own[3][0, t] == pytest.approx(h[t] @ predicted @ h[t] + noise.r[0], rel=1e-5)
        assert own[2][0, t] == pytest.approx(y[t] - h[t] @ mean[t - 1], abs=1e-5)


def test_bars_until_the_level_filter_has_settled():
    from pairs_bt.models.kalman import local_level_filter

    bars = burn_in_bars(0.05, 1.0)
    level = local_level_filter(np.full(200, 100.0))
    assert abs(level[bars - 1] - 100.0) <= 1e-3 < abs(level[bars - 2] - 100.0)


def test_arguments_are_checked():
    y, x = simulated(12)
    with pytest.raises(ValueError, match="model is 'fixed'"):
        fit_noise(y, x, model="fixed")
    with pytest.raises(ValueError, match="burn is 1"):
        fit_noise(y, x, burn=1)
    with pytest.raises(DataError, match="align"):
        fit_noise(y, x[:-1])
    with pytest.raises(DataError, match="20 bars"):
        fit_noise(y[:20], x[:20])
