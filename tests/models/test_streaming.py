import json
import os
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from pairs_bt.common import files
from pairs_bt.errors import DataError
from pairs_bt.models.online.kalman_ols import HISTORY, KalmanOLS
from tests.twins import kalman as twin

CLOSES = Path(__file__).resolve().parents[3] / "shared" / "data" / "aapl_spy_close_2016-01_2017-03.csv"


def dataset(n=60, seed=0):
    rng = np.random.default_rng(seed)
    x = 200.0 + np.cumsum(rng.normal(size=n))
    index = pd.date_range("2016-01-04", periods=n, freq="B", name="date")
    return pd.DataFrame({"AAPL": 0.6 * x + rng.normal(size=n), "SPY": x}, index=index)


def test_it_prints_the_published_states():
    if not CLOSES.exists():
        pytest.skip("no real prices here")
    closes = pd.read_csv(CLOSES, index_col="date")
    model = KalmanOLS(closes)
    state = model.get_state()
    assert_allclose(state["mean"], [0.5861620741470888, 0.003405671636829966], rtol=1e-12)
    assert_allclose(
        state["cov"],
        [[0.005238177410697875, -1.2409605965399522], [-1.2409605965399522, 294.9887852793271]],
        rtol=1e-12,
    )
    state = model.update(X=237.97, Y=139.34)
    assert_allclose(state["mean"], [0.5855216995507875, 0.0034038488248975996], rtol=1e-12)
    assert_allclose(
        state["cov"],
        [[0.005244396950524588, -1.243807056418034], [-1.243807056418034, 295.98877717694285]],
        rtol=1e-12,
    )
    assert model.get_state() == state


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"init_beta": 1.5, "init_alpha": -3, "init_cov": 10, "trans_cov": 1e-4, "obs_cov": 0.5},
        {"init_cov": 0, "trans_cov": 0},
    ],
)
def test_it_is_the_textbook_filter(parameters):
    data = dataset()
    model = KalmanOLS(data, **parameters)
    options = {"init_beta": 0, "init_alpha": 0, "init_cov": 1, "trans_cov": 1, "obs_cov": 1, **parameters}
    wanted = twin.hedge_filter(
        data["AAPL"],
        data["SPY"],
        options["trans_cov"],
        options["obs_cov"],
        (options["init_beta"], options["init_alpha"]),
        options["init_cov"] * np.eye(2),
    )
    got = model.history
    columns = ["beta", "alpha", "beta_var", "beta_alpha_cov", "alpha_var", "innovation", "innovation_var"]
    for column, row in zip(columns, wanted, strict=True):
        assert_allclose(got[column], row, rtol=1e-11, atol=1e-12 * np.abs(row).max())


@pytest.mark.parametrize("start", [1, 2, 30, 59])
def test_batch_and_stream_give_the_same_bytes(start):
    data = dataset()
    batch = KalmanOLS(data)
    stream = KalmanOLS(data.iloc[:start])
    for y, x in data.iloc[start:].to_numpy():
        stream.update(X=x, Y=y)
    assert stream.get_state() == batch.get_state()
    pd.testing.assert_frame_equal(stream.history, batch.history, check_exact=True)


def test_history_and_training_data():
    data = dataset(5)
    model = KalmanOLS(data)
    pd.testing.assert_frame_equal(model.get_training_data(), data, check_freq=False)
    state = model.update(X=201.0, Y=np.float64(120.0))
    history = model.history
    assert list(history.columns) == list(HISTORY)
    assert list(history.index) == [0, 1, 2, 3, 4, 5]
    last = history.iloc[-1]
    assert [last["beta"], last["alpha"]] == state["mean"]
    assert [[last["beta_var"], last["beta_alpha_cov"]], [last["beta_alpha_cov"], last["alpha_var"]]] == state["cov"]
    assert (last["y"], last["x"]) == (120.0, 201.0)
    assert len(model.get_training_data()) == 5


def test_what_it_hands_out_is_a_copy():
    data = dataset(5)
    model = KalmanOLS(data)
    before = model.get_state()
    data.iloc[:] = 0.0
    model.get_state()["cov"][0][0] = 7.0
    for frame in (model.get_training_data(), model.history):
        frame.iloc[:] = 0.0
    assert model.get_state() == before
    assert model.get_training_data().iloc[0, 1] != 0.0
    assert model.history.iloc[0, 1] != 0.0


def test_arrays_and_lists_are_datasets_too():
    data = dataset(8)
    wanted = KalmanOLS(data).get_state()
    assert KalmanOLS(data.to_numpy()).get_state() == wanted
    assert KalmanOLS(data.to_numpy().tolist()).get_state() == wanted
    assert list(KalmanOLS(data.to_numpy()).get_training_data().columns) == ["Y", "X"]


def test_a_gap_in_the_training_data_is_predicted_over():
    data = dataset(20)
    data.iloc[4, 0] = np.nan
    history = KalmanOLS(data).history
    assert history.loc[4, "beta"] == history.loc[3, "beta"]
    assert history.loc[4, "beta_var"] == history.loc[3, "beta_var"] + 1.0
    assert np.isnan(history.loc[4, "innovation"])
    assert np.isfinite(history[["beta", "alpha", "beta_var"]]).all(axis=None)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, None, "139.34", True, [1.0], 1j, np.array([1.0])])
@pytest.mark.parametrize("name", ["X", "Y"])
def test_a_bad_update_is_refused_and_changes_nothing(name, value):
    model = KalmanOLS(dataset(10))
    before, rows = model.get_state(), len(model.history)
    with pytest.raises(DataError, match=f"{name} is .* needs one finite real number"):
        model.update(**{"X": 200.0, "Y": 120.0, name: value})
    assert model.get_state() == before
    assert len(model.history) == rows


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.ones((5, 3)), r"shape \(5, 3\)"),
        (np.ones(5), r"shape \(5,\)"),
        (np.ones((0, 2)), r"shape \(0, 2\)"),
        (pd.DataFrame({"a": [1.0]}), r"shape \(1, 1\)"),
        ([[1.0, 2.0], [3.0]], "not a table"),
        ([["a", "b"]], "dataset holds something"),
        (pd.DataFrame({"a": ["x"], "b": [1.0]}), "dataset holds something"),
        ([[1.0, np.inf]], "dataset is inf at bar 0"),
        (None, "dataset has shape"),
    ],
)
def test_a_bad_dataset_is_refused(data, message):
    with pytest.raises(DataError, match=message):
        KalmanOLS(data)


@pytest.mark.parametrize(
    ("name", "value"),
    [("init_beta", np.nan), ("init_alpha", "0"), ("init_cov", -1), ("trans_cov", -1e-9), ("obs_cov", 0)],
)
def test_a_bad_parameter_is_named(name, value):
    with pytest.raises(ValueError, match=name):
        KalmanOLS(dataset(5), **{name: value})


INDEXES = [
    pd.RangeIndex(3, 9),
    pd.date_range("2020-01-01 09:30", periods=6, freq="min", name="time"),
    pd.date_range("2020-01-01", periods=6, unit="s"),
    pd.Index([5, 3, 1, 2, 8, 9], name="n"),
    pd.Index(list("abcdef"), name="day"),
]


@pytest.mark.parametrize("index", INDEXES, ids=["range", "minutes", "seconds", "integers", "text"])
def test_a_saved_model_comes_back_bit_for_bit(tmp_path, index):
    data = dataset(6).set_axis(index)
    data.iloc[2, 1] = np.nan
    model = KalmanOLS(data, init_beta=0.1, init_cov=3, trans_cov=1e-3, obs_cov=2)
    model.update(X=201.25, Y=121.1)
    model.update(X=202.5, Y=120.9)
    path = model.save(tmp_path / "model.json")
    loaded = KalmanOLS.load(path)
    assert loaded.get_state() == model.get_state()
    pd.testing.assert_frame_equal(loaded.history, model.history, check_exact=True)
    pd.testing.assert_frame_equal(loaded.get_training_data(), data, check_exact=True, check_freq=False)
    assert loaded.update(X=203.0, Y=122.0) == model.update(X=203.0, Y=122.0)
    assert [p.name for p in tmp_path.iterdir()] == ["model.json"]
    loaded.save(tmp_path / "again.json")
    model.save(path)
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_the_file_is_strict_json_with_a_version(tmp_path):
    path = KalmanOLS(dataset(4)).save(str(tmp_path / "model.json"))
    document = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert document["format"] == "pairs_bt.KalmanOLS"
    assert document["version"] == 1
    assert len(document["training"]) == 4


def test_a_save_that_fails_keeps_the_old_file(tmp_path, monkeypatch):
    path = KalmanOLS(dataset(4)).save(tmp_path / "model.json")
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(DataError, match="no space is left"):
        KalmanOLS(dataset(7)).save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.json"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.*cannot be written"):
        KalmanOLS(dataset(4)).save(tmp_path / "nowhere" / "model.json")


@pytest.mark.parametrize(
    "index", [pd.Index([0.5, 1.5]), pd.date_range("2020-01-01", periods=2, tz="UTC"), pd.Index([("a", 1), ("b", 2)])]
)
def test_an_index_that_json_cannot_hold_is_refused(tmp_path, index):
    with pytest.raises(DataError, match="index of type"):
        KalmanOLS(dataset(2).set_axis(index)).save(tmp_path / "model.json")
    assert not list(tmp_path.iterdir())


def test_a_column_that_json_cannot_hold_is_refused(tmp_path):
    data = dataset(2).set_axis([("a", 1), ("b", 2)], axis=1)
    with pytest.raises(DataError, match="column"):
        KalmanOLS(data).save(tmp_path / "model.json")


def change(**changes):
    def apply(document):
        document.update(changes)

    return apply


def drop(key):
    def apply(document):
        del document[key]

    return apply


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change(version=2), "version 2"),
        (change(format="other"), "not a saved KalmanOLS"),
        (drop("updates"), "updates"),
        (change(extra=1), "extra"),
        (change(parameters={"init_beta": 0}), "parameters"),
        (change(parameters=[]), "parameters"),
        (change(training=[]), "not a saved KalmanOLS that can be read"),
        (change(training=None), "not a saved KalmanOLS that can be read"),
        (change(training=[[1.0]] * 4), "not a saved KalmanOLS that can be read"),
        (change(training=[["1", 2.0]] * 4), "a saved price is '1'"),
        (change(updates=[[1.0, None]]), "X is nan; an update needs"),
        (change(updates=[1.0]), "not a saved KalmanOLS that can be read"),
        (change(index={"kind": "pickle", "name": None, "values": []}), "pickle"),
        (change(index={"kind": "range"}), "not a saved KalmanOLS that can be read"),
        (change(index=[1, 2]), "not a saved KalmanOLS that can be read"),
        (change(columns=["a"]), "not a saved KalmanOLS that can be read"),
        (change(state=[0.0] * 5), "changed after it was saved"),
        (change(state=[0.0] * 4), "changed after it was saved"),
        (change(state="x"), "not a saved KalmanOLS that can be read"),
        (change(training=[[100.0, 200.0]] * 4), "changed after it was saved"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, damage, message):
    path = KalmanOLS(dataset(4)).save(tmp_path / "model.json")
    document = json.loads(path.read_text())
    damage(document)
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=message) as caught:
        KalmanOLS.load(path)
    assert "model.json" in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1, 2]", b"\xff\xfe\x00", b"null", b"[" * 100_000, pickle.dumps({"state": 1})],
    ids=["empty", "cut", "list", "binary", "null", "deep", "pickle"],
)
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / "model.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"model\.json"):
        KalmanOLS.load(path)


def test_a_cut_file_is_refused_wherever_it_was_cut(tmp_path):
    path = KalmanOLS(dataset(4)).save(tmp_path / "model.json")
    content = path.read_bytes()
    for size in range(0, len(content) - 2, 7):
        path.write_bytes(content[:size])
        with pytest.raises(DataError):
            KalmanOLS.load(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(DataError, match=f"{os.fspath(path)} cannot be read"):
            KalmanOLS.load(path)
