import json

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from pairs_bt.errors import DataError
from pairs_bt.models.online.kalman_ols import HISTORY, KalmanOLS
from tests.twins import kalman as twin

GENERAL = [[0.9, 0.001], [-0.3, 0.8]]
OPTIONS = {"init_beta": 1.5, "init_alpha": -3.0, "init_cov": 10.0, "trans_cov": 1e-4, "obs_cov": 0.5}


def dataset(n=60):
    rng = np.random.default_rng(3)
    x = 200.0 + np.cumsum(rng.normal(size=n))
    data = pd.DataFrame({"Y": 0.6 * x + rng.normal(size=n), "X": x})
    data.iloc[20, 0] = np.nan
    return data


@pytest.mark.parametrize("transition", [0.95, 0.0, GENERAL, [[1.0, 0.0], [0.0, 0.5]], [[0.0, 1.0], [1.0, 0.0]]])
@pytest.mark.parametrize("options", [OPTIONS, {**OPTIONS, "init_cov": 0.0, "trans_cov": 0.0}])
def test_it_is_the_textbook_filter(transition, options):
    data = dataset()
    f = transition * np.eye(2) if np.ndim(transition) == 0 else transition
    wanted = twin.transition_filter(
        data["Y"], data["X"], f, options["trans_cov"], options["obs_cov"], (1.5, -3.0), options["init_cov"] * np.eye(2)
    )
    got = KalmanOLS(data, **options, transition=transition).history
    for column, row in zip(HISTORY[2:], wanted, strict=True):
        assert_allclose(got[column], row, rtol=1e-9, atol=1e-10 * np.nanmax(np.abs(row)))


def test_it_is_pykalman():
    from pykalman import KalmanFilter

    data = dataset()
    observed = np.ma.masked_invalid(data["Y"].to_numpy())
    means, covs = KalmanFilter(
        transition_matrices=np.array(GENERAL),
        transition_covariance=1e-4 * np.eye(2),
        observation_matrices=np.column_stack([data["X"], np.ones(len(data))])[:, None, :],
        observation_covariance=0.5,
        initial_state_mean=[1.5, -3.0],
        initial_state_covariance=10.0 * np.eye(2),
    ).filter(observed)
    got = KalmanOLS(data, **OPTIONS, transition=GENERAL).history
    assert_allclose(got[["beta", "alpha"]], means, rtol=1e-6, atol=1e-9)
    assert_allclose(got["beta_var"], covs[:, 0, 0], rtol=1e-5)
    assert_allclose(got["alpha_var"], covs[:, 1, 1], rtol=1e-5)


@pytest.mark.parametrize("transition", [1, np.eye(2)])
def test_the_identity_is_the_random_walk_and_its_file(tmp_path, transition):
    plain = KalmanOLS(dataset())
    given = KalmanOLS(dataset(), transition=transition)
    pd.testing.assert_frame_equal(given.history, plain.history, check_exact=True)
    assert plain.save(tmp_path / "a").read_bytes() == given.save(tmp_path / "b").read_bytes()
    assert "transition" not in json.loads((tmp_path / "a").read_text())["parameters"]


def test_updates_and_a_saved_file_give_the_same_bytes(tmp_path):
    data = dataset()
    batch = KalmanOLS(data, transition=GENERAL)
    stream = KalmanOLS(data.iloc[:30], transition=GENERAL)
    stream = KalmanOLS.load(stream.save(tmp_path / "model.json"))
    for row in data.iloc[30:].itertuples():
        stream.update(X=row.X, Y=row.Y)
    pd.testing.assert_frame_equal(stream.history, batch.history, check_exact=True)
    again = KalmanOLS.load(stream.save(tmp_path / "model.json"))
    assert again.get_state() == batch.get_state()


@pytest.mark.parametrize("value", ["1", None, np.nan, [1.0, 2.0], np.eye(3), [[1.0, np.inf], [0.0, 1.0]], True])
def test_a_bad_transition_is_named(value):
    with pytest.raises(ValueError, match="transition"):
        KalmanOLS(dataset(), transition=value)


def test_a_state_that_overflows_is_refused():
    with pytest.raises(DataError, match="eigenvalues"):
        KalmanOLS(dataset(), transition=1e50)
