"""`make verify` retrains what is stored, sees what was altered, and leaves the store alone."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from n2nlib.__main__ import main
from n2nlib.data import open_dataset
from n2nlib.runs.store import RunStore
from n2nlib.spec import RunSpec
from n2nlib.tools import verify
from n2nlib.training.engine import train


@pytest.fixture
def stored(results, monkeypatch):
    dataset = open_dataset("bundled", n_train=64, n_val=12)
    monkeypatch.setattr(verify, "datasets", lambda names: {dataset.fingerprint: dataset})
    trained = train([RunSpec(dataset.fingerprint, 64, 1, seed=s) for s in range(2)], dataset)
    return trained


def test_runs_come_back_to_the_bit(stored, capsys):
    for t in stored:
        RunStore().put(t)
    before = sorted(RunStore().folder.rglob("*"))
    assert verify.main([]) == 0
    out = capsys.readouterr().out
    assert "2 of 2 runs came back" in out and out.count("| same | same |") == 2
    assert sorted(RunStore().folder.rglob("*")) == before


def test_a_number_that_was_not_obtained_is_seen(stored, capsys):
    stored[0].metrics["psnr"] += 0.1
    stored[0].psnr = np.asarray(stored[0].psnr) + 0.1
    for t in stored:
        RunStore().put(t)
    assert verify.main([]) == 1
    assert "1 of 2 runs came back, 1 did not" in capsys.readouterr().out


def test_other_weights_are_judged_by_the_spread_of_their_own_row(stored):
    """A row that spreads by 0.4 dB allows what one that spreads by 0.01 dB does not; two seeds have no spread."""
    rows = {"wide": [24.0, 24.4, 24.8], "narrow": [24.0, 24.01, 24.02], "short": [24.0, 24.4]}
    allowed = {}
    for i, (name, values) in enumerate(rows.items()):
        specs = [stored[0].spec.replace(lr=1e-4 * (i + 1), seed=seed) for seed in range(len(values))]
        runs = [SimpleNamespace(spec=s, metrics={"psnr": v}) for s, v in zip(specs, values, strict=True)]
        allowed[name] = verify.tolerance(runs[0], runs)
    assert allowed["wide"] == pytest.approx(
        9.925 * 2**0.5 * 0.4, rel=1e-3
    )  # t of 2 degrees of freedom at 99.5 %
    assert allowed["narrow"] == pytest.approx(allowed["wide"] / 40)
    found = pd.DataFrame(
        {"difference (dB)": [0.5, 0.5, 0.5, 0.5], "weights": ["differ", "differ", "differ", "same"]}
    )
    verdicts = verify.judged(found, [*allowed.values(), allowed["wide"]])["came back"]
    assert list(verdicts) == ["yes", "no", "not judged", "no"]


def test_runs_in_bf16_are_left_out_where_the_cpu_emulates_it(stored, monkeypatch, capsys):
    runs = [SimpleNamespace(spec=stored[0].spec.replace(precision=p)) for p in ("fp32", "bf16", "fp32")]
    for emulated, kept in ((True, 2), (False, 3)):
        monkeypatch.setattr(verify, "emulates_bf16", lambda emulated=emulated: emulated)
        assert len(verify.without_emulation(runs, "cpu")) == kept
    assert capsys.readouterr().err.count("1 runs in bf16 are left out") == 1


def test_an_empty_store_says_so(results, capsys):
    assert main(["verify"]) == 2
    assert "holds no run" in capsys.readouterr().err


@pytest.mark.parametrize("n", ["0", "-1"])
def test_no_run_or_fewer_is_no_number_of_runs(stored, capsys, n):
    for t in stored:
        RunStore().put(t)
    assert main(["verify", "-n", n]) == 2
    assert f"-n is {n}: retrain at least 1" in capsys.readouterr().err
