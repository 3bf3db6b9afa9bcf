"""`make bench`: its tables, and one short measurement of everything it times."""

from __future__ import annotations

import numpy as np
import pytest

from n2nlib.tools import bench


def test_a_device_without_a_record_says_not_measured(results):
    assert bench.records() == {"cpu": None, "cuda": None}
    assert "not measured" in bench.table(None, "cuda").to_string()


def test_every_rate_is_measured(monkeypatch, capsys):
    """A few steps of TNet on this machine: rates are finite and positive, and the table holds them."""
    monkeypatch.setattr(bench, "STEPS", {"TNet": 2})
    monkeypatch.setattr(bench, "REPETITIONS", 3)
    monkeypatch.setattr(bench, "BUDGET", 2.0)
    monkeypatch.setattr(bench, "emulates_bf16", lambda: False)
    monkeypatch.setattr(bench, "bench_pairs", lambda: 200.0)
    monkeypatch.setattr(bench, "bench_plain", lambda: 100.0)
    monkeypatch.setattr(bench, "cores", lambda: 1)
    record = bench.measure("cpu")
    assert record["dataset"]["ratio"] == 2 and record["inference"]["seconds"] > 0
    assert {(r["loop"], r["precision"]) for r in record["training"]} == {
        ("plain", "as PyTorch"), ("plain, 1 thread", "as PyTorch"), ("engine", "fp32"), ("engine", "bf16"),
    }  # fmt: skip
    for row in record["training"]:
        assert 0 < row["ratio low"] <= row["ratio"] <= row["ratio high"] < np.inf
        assert 0 < row["of a large convolution"] < np.inf
        assert row["core for core"] is None if row["loop"] == "plain" else 0 < row["core for core"] < np.inf
    assert len(bench.table(record, "cpu")) == 4
    lines = capsys.readouterr().err
    assert (
        "TNet: repetition 3 of 3 done" in lines
        and "TNet, engine, 1 run, bf16: " in lines
        and "(3 repetitions)" in lines
    )


def test_bf16_is_left_out_with_a_sentence_where_it_is_emulated(results, monkeypatch, capsys):
    monkeypatch.setattr(bench, "STEPS", {"TNet": 1})
    monkeypatch.setattr(bench, "REPETITIONS", 3)
    monkeypatch.setattr(bench, "BUDGET", 2.0)
    monkeypatch.setattr(bench, "emulates_bf16", lambda: True)
    monkeypatch.setattr(bench, "bench_pairs", lambda: 200.0)
    monkeypatch.setattr(bench, "bench_plain", lambda: 100.0)
    monkeypatch.setattr(bench, "cores", lambda: 1)
    assert bench.main(["--device", "cpu"]) == 0
    record = bench.records()["cpu"]
    assert {r["precision"] for r in record["training"]} == {"as PyTorch", "fp32"} and record["skipped"] == [
        bench.NO_BF16
    ]
    shown = capsys.readouterr()
    assert (
        bench.NO_BF16 in shown.err and bench.NO_BF16 in shown.out and "Medians of 3 repetitions" in shown.out
    )


@pytest.mark.parametrize(
    ("rate", "most", "steps"),
    [
        (1_000.0, 64, 64),  # 32 ms per step: all that is allowed
        (30.0, 8, 8),  # 1.07 s: 12 s per repetition hold 11 steps, at most 8 of the network
        (30.0, 64, 10),  # one of the 11 is not timed
        (3.0, 64, 1),  # 10.7 s: too slow for the budget, and still a step
    ],
)
def test_steps_fit_the_budget(rate, most, steps):
    assert bench.affordable(rate, 1, 1, most) == steps


def test_the_budget_is_kept_by_many_slow_rows():
    """Six rows of UNet on two slow cores, 0.8 s per step: all repetitions take no longer than the budget."""
    steps = [bench.affordable(n * 32 / 0.8, n, 6, 64) for n in range(1, 7)]
    assert bench.REPETITIONS * sum(0.8 * (1 + s) for s in steps) <= bench.BUDGET
