"""`make verify` retrains what is stored, sees what was altered, and leaves the store alone."""

from __future__ import annotations

import numpy as np
import pytest

from n2nlib import verify
from n2nlib.corpus import open_corpus
from n2nlib.runs import RunStore
from n2nlib.spec import RunSpec
from n2nlib.training import train


@pytest.fixture
def stored(results, monkeypatch):
    corpus = open_corpus("bundled", n_train=64, n_val=12)
    monkeypatch.setattr(verify, "corpora", lambda names: {corpus.fingerprint: corpus})
    trained = train([RunSpec(corpus.fingerprint, 64, 1, seed=s) for s in range(2)], corpus)
    return trained


def test_runs_come_back_to_the_bit(stored, capsys):
    for t in stored:
        RunStore().put(t)
    before = sorted(RunStore().folder.rglob("*"))
    assert verify.main([]) == 0
    out = capsys.readouterr().out
    assert "2 of 2 runs come back" in out and out.count("| same | same |") == 2
    assert sorted(RunStore().folder.rglob("*")) == before


def test_a_number_that_was_not_obtained_is_seen(stored, capsys):
    stored[0].metrics["psnr"] += 0.1
    stored[0].psnr = np.asarray(stored[0].psnr) + 0.1
    for t in stored:
        RunStore().put(t)
    assert verify.main([]) == 1
    assert "1 of 2 runs come back" in capsys.readouterr().out


def test_an_empty_store_says_so(results, capsys):
    assert verify.main([]) == 2
    assert "holds no run" in capsys.readouterr().err


@pytest.mark.parametrize("n", ["0", "-1"])
def test_no_run_or_fewer_is_no_number_of_runs(stored, capsys, n):
    for t in stored:
        RunStore().put(t)
    assert verify.main(["-n", n]) == 2
    assert f"-n is {n}: retrain at least 1" in capsys.readouterr().err
