"""The search: it sees training photographs only, goes on where it stopped, and never trains what is too large."""

import dataclasses
import pickle

import numpy as np
import pytest

from n2nlib import experiments
from n2nlib.__main__ import main
from n2nlib.data import open_dataset
from n2nlib.errors import DatasetError, TrainingError
from n2nlib.models import build, count_parameters
from n2nlib.profiles import profile
from n2nlib.runs.store import RunStore
from n2nlib.tools import search

pytest.importorskip("optuna")


@pytest.fixture(scope="module")
def dataset():
    return open_dataset("bundled", n_train=160, n_val=16)


@pytest.fixture
def tiny(monkeypatch):
    """A profile of seconds; small networks only, so that a trial costs little."""
    monkeypatch.setitem(search.SPACE, "width", (8, 16))
    monkeypatch.setitem(search.SPACE, "deep", (16, 22, 64))
    monkeypatch.setattr(search, "GENERATION", 2)
    return dataclasses.replace(profile("smoke"), epochs=2, trials=4)


def test_split_is_by_photograph_and_of_the_training_side(dataset):
    split = search.Split(dataset)
    there, held_back = set(split.train.photo.tolist()), set(split.val.photo.tolist())
    assert there and held_back and not there & held_back
    assert there | held_back == set(np.asarray(dataset.train.photo).tolist())
    assert split.fingerprint != dataset.fingerprint
    assert len(split.val) <= 16
    assert len(pickle.dumps(split)) < 10_000  # travels to worker processes without its arrays
    alone = dataclasses.replace(dataset.train, photo=np.zeros(160, np.int32))
    one = search.Split(dataset)
    one.dataset = type("One", (), {"train": alone, "name": "one", "recipe": dataset.recipe})()
    with pytest.raises(DatasetError, match="too few to split"):
        _ = one.val


def test_search_resumes_to_the_same_trials(dataset, tiny, tmp_path):
    whole = search.search(dataset, tiny, "cpu", RunStore(tmp_path / "a"))
    store = RunStore(tmp_path / "b")
    half = search.search(dataset, dataclasses.replace(tiny, trials=search.GENERATION), "cpu", store)
    assert len(half) < len(whole)
    resumed = search.search(dataset, tiny, "cpu", store)
    assert resumed.equals(whole)
    before = set((store.folder / "runs").iterdir())
    assert search.search(dataset, tiny, "cpu", store).equals(whole)  # nothing left to do
    assert set((store.folder / "runs").iterdir()) == before

    assert whole.loc[0, list(search.START)].to_dict() == search.START
    assert (whole.state != "too large").sum() == tiny.trials
    limit = count_parameters(build("TNet"))
    assert ((whole.parameters > limit) == (whole.state == "too large")).all()
    for row in whole.to_dict("records"):
        assert row["parameters"] == search.parameters({name: row[name] for name in search.SPACE})
        assert np.isnan(row["psnr@2"]) == (row["state"] != "complete")
        assert np.isnan(row["psnr@1"]) == (row["state"] == "too large")
    top = search.best(whole, 3)
    assert top["psnr@2"].iloc[0] == whole["psnr@2"].max()


def test_rungs_end_at_the_whole_run():
    assert search.rungs(profile("paper")) == [5, 16, 50]
    assert search.rungs(profile("smoke")) == [1, 2]


def test_no_trials_yet(dataset, tiny, tmp_path):
    table = search.trials(dataset, tiny, RunStore(tmp_path))
    assert table.empty and {"state", "parameters", *search.SPACE} <= set(table.columns)


def test_an_unknown_dataset_is_one_sentence(capsys):
    assert main(["search", "--dataset", "bundeld", "--profile", "smoke"]) == 2
    assert "did you mean 'bundled'" in capsys.readouterr().err


def test_rates_are_compared_on_training_photographs_that_were_held_back(dataset, monkeypatch, tmp_path):
    """A rate at which training diverges has no PSNR; where none is left, the reason is raised."""
    size = dataclasses.replace(profile("smoke"), epochs=1)
    monkeypatch.setattr(search, "RATES", {"sgd": (0.001, 0.1), "sgd-momentum": (0.1,)})
    store = RunStore(tmp_path)
    table = search.rates(dataset, size, "cpu", store)
    assert table[["optimiser", "lr"]].values.tolist() == [["sgd", 0.001], ["sgd", 0.1], ["sgd-momentum", 0.1]]
    assert table.psnr.between(3, 40).all() and table.psnr.nunique() == 3
    assert {run.spec.dataset for run in store.all()} == {search.Split(dataset).fingerprint}

    monkeypatch.setattr("n2nlib.training.replica.DIVERGED", 0.0)
    monkeypatch.setitem(search.RATES, "sgd", (0.001, 0.2))
    again = search.rates(dataset, size, "cpu", store)
    assert again.psnr[0] == table.psnr[0] and np.isnan(again.psnr[1])
    with pytest.raises(TrainingError, match="diverged"):
        search.rates(dataset, size, "cpu", RunStore(tmp_path / "other"))


def test_the_rates_of_the_report_are_among_those_compared():
    assert experiments.SGD_LR.keys() == search.RATES.keys()
    assert all(lr in search.RATES[name] for name, lr in experiments.SGD_LR.items())
