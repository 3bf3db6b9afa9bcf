"""`make bench`: its tables, and one short measurement of everything it times."""

from __future__ import annotations

import numpy as np

from n2nlib import bench


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
