"""`make bench`: its equivalence test, its tables, and one short measurement of everything it times."""

from __future__ import annotations

import numpy as np
import pytest

from n2nlib import bench
from n2nlib.runs import RunStore
from n2nlib.spec import RunSpec
from n2nlib.training import Trained


def stored(store, precision, psnrs):
    for seed, psnr in enumerate(psnrs):
        spec = RunSpec("c" * 16, 64, 1, seed=seed, precision=precision)
        store.put(Trained(spec, {}, [{"epoch": 1}], {"psnr": psnr, "seconds": 1.0}, np.array([psnr])))


@pytest.mark.parametrize("shift, outcome", [(0.0, "shown"), (0.05, "not shown")])
def test_equivalence_is_shown_only_within_the_margin(tmp_path, shift, outcome):
    store = RunStore(tmp_path)
    stored(store, "fp32", [24.64, 24.62, 24.67, 24.49, 24.56])
    stored(store, "bf16", np.array([24.635, 24.625, 24.675, 24.485, 24.56]) + shift)
    (row,) = bench.equivalences(store).to_dict("records")
    assert row["n"] == 5 and row["precision"] == "bf16" and row["within ±0.03 dB"].startswith(outcome)


def test_two_initialisations_show_nothing(tmp_path):
    stored(RunStore(tmp_path), "fp32", [24.6, 24.7])
    stored(RunStore(tmp_path), "bf16", [24.6, 24.7])
    assert bench.equivalences(RunStore(tmp_path)).empty


def test_a_device_without_a_record_says_not_measured(results):
    assert bench.records() == {"cpu": None, "cuda": None}
    assert "not measured" in bench.table(None, "cuda").to_string()


def test_every_rate_is_measured(monkeypatch):
    """A few steps of TNet on this machine: rates are finite and positive, and the table holds them."""
    monkeypatch.setattr(bench, "STEPS", {"TNet": 2})
    monkeypatch.setattr(bench, "REPETITIONS", 2)
    monkeypatch.setattr(bench, "bench_pairs", lambda: 200.0)
    monkeypatch.setattr(bench, "bench_plain", lambda: 100.0)
    monkeypatch.setattr(bench, "cores", lambda: 1)
    record = bench.measure("cpu")
    assert record["corpus"]["ratio"] == 2 and record["inference"]["seconds"] > 0
    assert {(r["loop"], r["precision"]) for r in record["training"]} == {
        ("plain", "as PyTorch"), ("plain, 1 thread", "as PyTorch"), ("engine", "fp32"), ("engine", "bf16"),
    }  # fmt: skip
    for row in record["training"]:
        assert 0 < row["ratio low"] <= row["ratio"] <= row["ratio high"] < np.inf
        assert 0 < row["of a large convolution"] < np.inf
        assert row["core for core"] is None if row["loop"] == "plain" else 0 < row["core for core"] < np.inf
    assert len(bench.table(record, "cpu")) == 4
