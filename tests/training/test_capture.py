"""A CUDA graph that cannot be captured: training goes on eagerly, says so once, and the run's record says
so too.

Run on a CPU, with a step whose construction fails as a capture would.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from n2nlib.data import open_dataset
from n2nlib.errors import TrainingError
from n2nlib.runs.store import RunStore
from n2nlib.spec import RunSpec
from n2nlib.training import engine, steps
from n2nlib.training.engine import train
from n2nlib.training.steps import BufferedStep

N = 150


@pytest.fixture(scope="module")
def dataset():
    return open_dataset("bundled", n_train=N, n_val=20)


def spec(**changes):
    return RunSpec(dataset="c" * 16, n_train=N, **{"epochs": 2, **changes})


class Broken(BufferedStep):
    """Takes steps, as a warm-up does, and then fails the way PyTorch does: the last error hides the first."""

    tried = 0

    def __init__(self, *parts):
        super().__init__(*parts)
        type(self).tried += 1
        if len(self.rows) < self.fails_below:
            self()
            try:
                raise RuntimeError(
                    "CUDA error: operation not permitted when stream is capturing\nCUDA kernel errors might be ..."
                )
            except RuntimeError:
                raise RuntimeError("CUDA error: operation failed due to a previous error during capture")  # noqa: B904


@pytest.fixture(params=[100, 32], ids=["at the first step", "at the last batch of an epoch"])
def broken(monkeypatch, request):
    step = type("Step", (Broken,), {"fails_below": request.param, "tried": 0})
    monkeypatch.setattr(steps, "CAPTURING", {"cpu": step})
    monkeypatch.setattr(steps, "NOT_CAPTURED", {})
    return step


def test_the_run_goes_on_eagerly_to_the_same_weights(dataset, broken, tmp_path, capsys):
    """What the failed capture has changed is thrown away; the second group does not try again."""
    group = [spec(seed=i, options={"dropout": 0.2}) for i in range(2)]
    images = []
    eager = train(group, dataset, progress=images.append)
    assert sum(images) == 2 * 2 * N
    tried = broken.tried
    again = train(group[:1], dataset)
    assert broken.tried == tried
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == 1
    assert warnings[0].startswith(
        "Capturing a CUDA graph failed (RuntimeError: CUDA error: operation not permitted when stream is"
    )

    store = RunStore(tmp_path)
    for trained in (*eager, *again):
        assert trained.notes["graph"] is False and "operation not permitted" in trained.notes["graph_failure"]
    env = store.put(eager[0]).env
    assert env["graph"] is False and "operation not permitted" in env["graph_failure"]

    steps.CAPTURING.clear()
    for trained, direct in zip(eager, train(group, dataset), strict=True):
        assert all(torch.equal(trained.weights[k], direct.weights[k]) for k in direct.weights)
        np.testing.assert_array_equal(trained.psnr, direct.psnr)
        assert direct.notes == {}


def test_it_goes_on_from_the_checkpoint(dataset, broken, tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "CHUNK_STEPS", 2)
    monkeypatch.setattr(engine, "CHECKPOINT_SECONDS", -1.0)

    class Cut(Exception):
        pass

    def cut(images, seen=[]):  # noqa: B006
        seen.append(images)
        if len(seen) == 3:
            raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(steps, "CAPTURING", {})
        with pytest.raises(Cut):
            train([spec()], dataset, checkpoints=tmp_path, progress=cut)
        whole = train([spec()], dataset)[0]
    first = []
    resumed = train([spec()], dataset, checkpoints=tmp_path, progress=first.append)[0]
    assert first[0] == 64 and sum(first) == 2 * N  # two steps were in the checkpoint
    assert all(torch.equal(whole.weights[k], resumed.weights[k]) for k in whole.weights)


def test_a_graph_that_is_captured_is_recorded(dataset, monkeypatch):
    monkeypatch.setattr(steps, "CAPTURING", {"cpu": type("Fine", (BufferedStep,), {})})
    monkeypatch.setattr(steps, "NOT_CAPTURED", {})
    assert train([spec(epochs=1)], dataset)[0].notes == {"graph": True}


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("full"), TrainingError("what the project raises itself")]
)
def test_full_memory_is_no_failed_capture(dataset, monkeypatch, error):
    """Smaller groups are the answer to it (`sweep`), and they may be captured."""

    class Full(BufferedStep):
        def __init__(self, *parts):
            raise error

    monkeypatch.setattr(steps, "CAPTURING", {"cpu": Full})
    monkeypatch.setattr(steps, "NOT_CAPTURED", {})
    with pytest.raises(type(error)):
        train([spec()], dataset)
    assert steps.NOT_CAPTURED == {}
