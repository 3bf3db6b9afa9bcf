"""The engine against the textbook loop, its resume, and runs side by side."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import time

import numpy as np
import pandas as pd
import pytest
import torch

from n2nlib.data import open_dataset
from n2nlib.errors import ReportError, StoreError, TrainingError
from n2nlib.evaluation.metrics import denoise, psnr
from n2nlib.models import build
from n2nlib.spec import RunSpec
from n2nlib.training.engine import settings, train
from n2nlib.training.plain import train_plain
from n2nlib.training.replica import MOMENTUM, Replica
from n2nlib.training.steps import BufferedStep, GraphedStep, Stepper, make_optimiser_state

#: 70 pairs: two full batches and one of 6.
N = 70
DROPOUT = {"options": {"dropout": 0.2}}
TRICKS = {"augment": ("flip", "mix", "rotate", "shuffle"), "schedule": "cosine", "averaging": 0.9}
VARIANTS = [{}, {"loss": "L1"}, {"options": {"batch_norm": True}}, DROPOUT, TRICKS, {"scheme": "noise2void"}]


@pytest.fixture(scope="module")
def dataset():
    return open_dataset("bundled", n_train=N, n_val=20)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def spec(**changes):
    return RunSpec(dataset="c" * 16, n_train=N, **{"epochs": 2, **changes})


@pytest.mark.parametrize("network, epochs", [("TNet", 4), ("BaseNet", 2), ("UNet", 1)])
def test_engine_and_textbook_loop_agree(dataset, network, epochs):
    """The same arithmetic in another layout: sums in another order differ by rounding, about 1e-7 of a
    value a step.
    """
    s = spec(network=network, epochs=epochs)
    plain, losses = train_plain(s, dataset.train)
    trained = train([s], dataset)[0]
    batches = len(losses) // epochs
    for epoch, row in enumerate(trained.history):
        expected = np.mean(losses[epoch * batches : (epoch + 1) * batches])
        assert row["loss"] == pytest.approx(expected, rel=1e-4)
    start = build(network, seed=0).state_dict()

    def apart(a, b):
        return torch.cat([(a[k] - b[k]).abs().flatten() for k in a]).mean().item()

    # On average: where a gradient is nearly zero rounding may turn its sign, which Adam makes a whole step
    # of one weight.
    moved = apart(trained.weights, start)
    assert moved > 1e-4
    assert apart(trained.weights, plain.state_dict()) < 1e-3 * moved


@pytest.mark.parametrize("changes", VARIANTS)
def test_the_same_seed_gives_the_same_bits(dataset, changes):
    first, second = (train([spec(**changes)], dataset)[0] for _ in range(2))
    assert same(first, second)
    other = train([spec(seed=1, **changes)], dataset)[0]
    assert not same(first, other)


class Cut(Exception):
    """What breaks a training off in a test."""


@pytest.fixture
def cut(monkeypatch):
    """Chunks of two steps with a checkpoint after each; return what makes a `progress` that cuts the
    second chunk off.
    """
    monkeypatch.setattr("n2nlib.training.steps.CHUNK_STEPS", 2)
    monkeypatch.setattr("n2nlib.training.engine.CHECKPOINT_SECONDS", -1.0)

    def progress():
        calls = itertools.count()  # the first says what the checkpoint held

        def count(images):
            if next(calls) == 2:
                raise Cut

        return count

    return progress


@pytest.mark.parametrize(
    "changes",
    [{}, DROPOUT, TRICKS, {"options": {"batch_norm": True}}, {"optimiser": "sgd-momentum", "lr": 0.1}],
)
def test_a_run_that_is_cut_off_resumes_to_the_same_bits(dataset, tmp_path, cut, changes):
    whole = train([spec(**changes)], dataset)[0]
    cuts = 0
    while True:
        try:
            resumed = train([spec(**changes)], dataset, checkpoints=tmp_path, progress=cut())[0]
            break
        except Cut:
            cuts += 1
            assert cuts < 10
    assert cuts == 3  # four chunks of at most two steps, of which each call keeps one
    assert same(whole, resumed)
    assert [r["loss"] for r in whole.history] == [r["loss"] for r in resumed.history]


def test_a_killed_run_resumes_to_the_same_bits(dataset, tmp_path, monkeypatch):
    """SIGKILL at an arbitrary moment, checkpoints after each chunk; nothing of the dead process is needed."""
    long = spec(epochs=8)
    whole = train([long], dataset)[0]
    process = multiprocessing.get_context("spawn").Process(
        target=_train_slowly, args=(long, dataset, tmp_path)
    )
    process.start()
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    state = torch.load(tmp_path / f"{long.id}.cpu.ckpt", weights_only=True)
    assert 0 < state["step"] < 3 * long.epochs
    assert same(whole, train([long], dataset, checkpoints=tmp_path)[0])


def _train_slowly(spec, dataset, folder):
    from n2nlib.training import engine, steps

    engine.CHECKPOINT_SECONDS, steps.CHUNK_STEPS = 0.0, 2
    train([spec], dataset, checkpoints=folder, progress=lambda images: time.sleep(0.1))


def test_a_truncated_checkpoint_is_put_aside(dataset, tmp_path):
    whole = train([spec()], dataset)[0]
    (tmp_path / f"{spec().id}.cpu.ckpt").write_bytes(b"PK\x03\x04 half of something")
    assert same(whole, train([spec()], dataset, checkpoints=tmp_path)[0])
    assert (tmp_path / f"{spec().id}.cpu.broken").read_bytes() == b"PK\x03\x04 half of something"


def test_a_checkpoint_of_another_kind_of_device_stays_for_it(dataset, tmp_path):
    """A GPU's generator and optimiser settings mean nothing to a CPU: the run starts again, and ends as it
    always does.
    """
    whole = train([spec()], dataset)[0]
    of_gpu = tmp_path / f"{spec().id}.cuda.ckpt"
    of_gpu.write_bytes(b"hours of work")
    assert same(whole, train([spec()], dataset, checkpoints=tmp_path)[0])
    assert of_gpu.read_bytes() == b"hours of work"


@pytest.mark.parametrize("trouble", [OSError("Stale file handle"), MemoryError("cannot allocate")])
def test_a_passing_trouble_costs_no_checkpoint(dataset, tmp_path, monkeypatch, cut, trouble):
    with pytest.raises(Cut):
        train([spec()], dataset, checkpoints=tmp_path, progress=cut())

    def load(*_, **__):
        raise trouble

    with monkeypatch.context() as patch, pytest.raises(TrainingError, match="cannot be read now"):
        patch.setattr("n2nlib.training.checkpoint.torch.load", load)
        train([spec()], dataset, checkpoints=tmp_path)
    assert (tmp_path / f"{spec().id}.cpu.ckpt").exists()


def test_a_full_disk_is_the_stores_trouble_not_the_runs(dataset, tmp_path, monkeypatch, cut):
    def save(state, file):
        file.write(b"half")
        raise RuntimeError("file write failed")

    monkeypatch.setattr("n2nlib.training.checkpoint.torch.save", save)
    message = r"\.cpu\.ckpt cannot be written \(file write failed\): free some space"
    with pytest.raises(StoreError, match=message):
        train([spec()], dataset, checkpoints=tmp_path, progress=cut())
    assert list(tmp_path.iterdir()) == []


def test_a_group_that_was_cut_at_unequal_steps_goes_on(dataset, tmp_path, cut):
    """One of three is a chunk ahead; cut off again and again, the group ends, and each run as it would
    alone.
    """
    group = [spec(seed=i) for i in range(3)]
    alone = [train([s], dataset)[0] for s in group]
    with pytest.raises(Cut):
        train(group[1:2], dataset, checkpoints=tmp_path, progress=cut())
    for _ in range(30):
        try:
            together = train(group, dataset, checkpoints=tmp_path, progress=cut())
            break
        except Cut:
            pass
    assert all(same(a, b) for a, b in zip(alone, together, strict=True))


def test_runs_side_by_side_end_as_each_would_alone(dataset):
    group = [spec(**v) for v in VARIANTS] + [spec(seed=3), spec(network="BaseNet")]
    for alone, beside in zip((train([s], dataset)[0] for s in group), train(group, dataset), strict=True):
        assert same(alone, beside)


@pytest.mark.parametrize("name", ["adam", *MOMENTUM])
def test_an_optimiser_whose_state_was_made_before_takes_the_same_first_steps(dataset, name):
    """What a capture needs: moments that exist before the step that it holds."""
    one, other = (Replica(spec(optimiser=name), dataset.train, torch.device("cpu"), {}) for _ in range(2))
    make_optimiser_state(other)
    for replica in (one, other):
        Stepper([replica], torch.device("cpu")).advance(0, 0, N)
    assert all(torch.equal(x, y) for x, y in zip(one.tensors(), other.tensors(), strict=True))


@pytest.mark.parametrize("changes", [{}, TRICKS])
def test_steps_from_buffers_are_the_same_steps(dataset, changes):
    """What a CUDA graph holds, run without one: batches read from buffers at a position on the device."""
    device = torch.device("cpu")
    direct, buffered = (
        [Replica(spec(seed=i, **changes), dataset.train, device, {}) for i in range(2)] for _ in range(2)
    )
    for replicas, step in ((direct, None), (buffered, BufferedStep)):
        stepper = Stepper(replicas, device, step)
        for epoch in range(2):
            stepper.advance(epoch, 0, 64)
            stepper.advance(epoch, 64, N)
    for a, b in zip(direct, buffered, strict=True):
        assert a.step == b.step == 6
        assert all(torch.equal(x, y) for x, y in zip(a.tensors(), b.tensors(), strict=True))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(
    "changes",
    [
        *VARIANTS,
        {"precision": "bf16"},
        {"scheme": "neighbor2neighbor"},
        {"optimiser": "never-updated"},
        *({"optimiser": o, "lr": 0.1} for o in MOMENTUM),
    ],
)
def test_a_graph_takes_the_steps_that_it_holds(dataset, changes):
    """Eager steps and replays on a GPU, the partial batch's second graph in mid-epoch included.

    cuDNN may choose other algorithms for each, so sums are rounded in another order, as between engine and
    textbook loop: what is compared is the mean over the weights, because one weight's Adam step may change
    its sign.
    """
    device = torch.device("cuda")
    with settings(device):
        eager, graphed = (
            [Replica(spec(seed=i, **changes), dataset.train, device, {}) for i in range(3)] for _ in range(2)
        )
        start = [[p.detach().clone() for p in r.network.parameters()] for r in eager]
        for replicas, step in ((eager, BufferedStep), (graphed, GraphedStep)):
            stepper = Stepper(replicas, device, step)
            for epoch in range(2):
                stepper.advance(epoch, 0, 64)
                stepper.advance(epoch, 64, N)

    def apart(a, b):
        return torch.cat([(x - y).abs().flatten() for x, y in zip(a, b, strict=True)]).mean().item()

    # A step on other images would be as far off as it moves; bf16 rounds thousands of times as coarsely as
    # fp32.
    tolerance = 0.1 if changes.get("precision") == "bf16" else 1e-2
    for a, b, first in zip(eager, graphed, start, strict=True):
        assert torch.equal(a.generator.get_state(), b.generator.get_state())
        assert a.step == b.step == 6 and a.clock.item() == b.clock.item() == 6
        moved = apart(a.network.parameters(), first)
        assert (moved > 1e-5) == (changes.get("optimiser") != "never-updated")
        assert apart(a.network.parameters(), b.network.parameters()) <= tolerance * moved


def test_numbers_of_a_run(dataset):
    trained = train([spec()], dataset)[0]
    network = build("TNet").to(
        memory_format=torch.channels_last
    )  # the engine's layout: the same kernels, the same bits
    network.load_state_dict(trained.weights)
    image = denoise(network, dataset.val.a)
    expected = psnr(dataset.val.clean, image, data_range=255)
    np.testing.assert_array_equal(trained.psnr, expected)
    assert trained.metrics["psnr"] == expected.mean()
    assert trained.history[-1]["psnr"] == pytest.approx(expected.mean(), abs=1e-6)
    assert trained.metrics["published_loss"] == pytest.approx(trained.history[-1]["loss"] * 1563 / 32)
    assert trained.metrics["images"] == 2 * N


def test_another_layout_moves_a_pixel_by_one_level_at_most(dataset):
    """Rounding in another order can only matter to a pixel that lies on the edge between two of the 256
    levels.
    """
    network = train([spec()], dataset)[0].weights
    layouts = []
    for layout in (torch.channels_last, torch.contiguous_format):
        model = build("TNet").to(memory_format=layout)
        model.load_state_dict(network)
        layouts.append(denoise(model, dataset.val.a).astype(int))
    apart = np.abs(layouts[0] - layouts[1])
    assert apart.max() <= 1 and apart.mean() < 1e-3


def test_never_updated_weights_stay_at_their_initialisation(dataset):
    trained = train([spec(network="BaseNet", optimiser="never-updated")], dataset)[0]
    for name, tensor in build("BaseNet", seed=0).state_dict().items():
        assert torch.equal(trained.weights[name], tensor)


def full_and_shortened(dataset, monkeypatch, **changes):
    """A never-updated run with all of its epochs computed, and as the engine makes it."""
    s = spec(optimiser="never-updated", **{"epochs": 30, **changes})
    with monkeypatch.context() as patch:
        patch.setattr(Replica, "repeats", lambda self: False)
        full = train([s], dataset)[0]
    return full, train([s], dataset)[0]


def test_what_is_never_updated_computes_one_epoch(dataset, monkeypatch):
    """To the bit the history of the whole computation, with the time of one epoch: 30 epochs, a curve of
    16 points.
    """
    full, shortened = full_and_shortened(dataset, monkeypatch)
    assert same(full, shortened) and "epochs_computed" not in full.notes
    assert shortened.notes["epochs_computed"] == 1
    rows, expected = (pd.DataFrame(t.history).drop(columns="seconds") for t in (shortened, full))
    pd.testing.assert_frame_equal(rows, expected, check_exact=True)
    assert rows.psnr.count() == 16 and set(rows.loss) == {rows.loss[0]}
    assert {r["seconds"] for r in shortened.history} == {shortened.metrics["seconds"]}
    assert {k: v for k, v in full.metrics.items() if k != "seconds"} == {
        k: v for k, v in shortened.metrics.items() if k != "seconds"
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"options": {"batch_norm": True}},
        DROPOUT,
        {"augment": ("mix",)},
        {"augment": ("shuffle",)},
        {"scheme": "noise2void"},
    ],
)
def test_what_changes_from_epoch_to_epoch_is_computed_in_full(dataset, monkeypatch, changes):
    """Statistics that move, and random draws: the epochs differ although nothing is updated."""
    full, other = full_and_shortened(dataset, monkeypatch, epochs=3, **changes)
    assert same(full, other) and "epochs_computed" not in other.notes
    assert [r["loss"] for r in full.history] == [r["loss"] for r in other.history]
    numbers = {(r["loss"], r["psnr"]) for r in other.history}
    assert len(numbers) == 3


def test_a_never_updated_run_that_was_cut_off_still_computes_one_epoch(dataset, tmp_path, cut):
    s = spec(network="BaseNet", optimiser="never-updated", epochs=5)
    whole = train([s], dataset)[0]
    with pytest.raises(Cut):
        train([s], dataset, checkpoints=tmp_path, progress=cut())
    counted = []
    resumed = train([s], dataset, checkpoints=tmp_path, progress=counted.append)[0]
    assert counted == [64, 6] and resumed.notes["epochs_computed"] == 1
    assert same(whole, resumed) and [r["loss"] for r in whole.history] == [r["loss"] for r in resumed.history]


@pytest.mark.parametrize("name, momentum", [("sgd", 0.0), ("sgd-momentum", 0.9)])
def test_sgd_takes_the_steps_of_its_definition(dataset, name, momentum):
    """v = momentum * v + gradient; w = w - lr * v, over the three batches of an epoch."""
    s = spec(optimiser=name, lr=0.1, epochs=1)
    network = build("TNet", seed=0).to(memory_format=torch.channels_last)
    x, target = (
        torch.from_numpy(np.array(t)).float() / 255 for t in (dataset.train.a[:N], dataset.train.b[:N])
    )
    velocity = [torch.zeros_like(p) for p in network.parameters()]
    for i in range(0, N, 32):
        loss = torch.nn.functional.mse_loss(network(x[i : i + 32]), target[i : i + 32])
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        with torch.no_grad():
            for p, v, g in zip(network.parameters(), velocity, gradients, strict=True):
                p -= s.lr * v.mul_(momentum).add_(g)
    trained = train([s], dataset)[0]
    for key, expected in network.state_dict().items():
        torch.testing.assert_close(trained.weights[key], expected, rtol=1e-4, atol=1e-6)


def test_each_epoch_is_told_as_it_ends(dataset):
    rows = []
    trained = train(
        [spec(seed=i) for i in range(2)], dataset, on_epoch=lambda s, row: rows.append((s.seed, row))
    )
    assert [(seed, row["epoch"]) for seed, row in rows] == [(0, 1), (1, 1), (0, 2), (1, 2)]
    assert [row for seed, row in rows if seed == 1] == trained[1].history


def test_cosine_schedule_ends_at_zero(dataset):
    """The last step's rate is lr/2 * (1 + cos(pi * 5/6)) of six steps: 6.7 % of lr."""
    replica = Replica(spec(schedule="cosine"), dataset.train, torch.device("cpu"), {})
    stepper = Stepper([replica], torch.device("cpu"))
    rates = []
    for epoch in range(2):
        for start in range(0, N, 32):
            stepper.advance(epoch, start, min(start + 32, N))
            rates.append(replica.optimiser.param_groups[0]["lr"])
    expected = 5e-4 / 2 * (1 + np.cos(np.pi * np.arange(6) / 6))
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


def test_divergence_stops_the_run_with_a_sentence(dataset):
    steep = spec(lr=0.9, epochs=30)
    with pytest.raises(TrainingError, match="diverged in epoch .*Lower lr") as error:
        train([spec(epochs=30), steep], dataset)
    assert error.value.run == steep.id


def test_a_sane_loss_is_let_through_in_the_middle_of_an_epoch(dataset, monkeypatch):
    """The mean over the steps so far is what is judged: here about 0.3 a step, with a limit of 1."""
    monkeypatch.setattr("n2nlib.training.steps.CHUNK_STEPS", 2)
    monkeypatch.setattr("n2nlib.training.replica.DIVERGED", 1.0)
    assert train([spec(epochs=1)], dataset)[0].metrics["loss"] < 1


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"loss": "L3"}, "unknown loss 'L3'"),
        ({"precision": "fp16"}, "unknown precision 'fp16'"),
        ({"augment": ("flips",)}, "unknown augmentation 'flips': did you mean 'flip'"),
        ({"epochs": 0}, "RunSpec.epochs is 0"),
        ({"lr": 5.0}, "RunSpec.lr is 5.0"),
        ({"averaging": 1.0}, "RunSpec.averaging"),
        ({"learning_rate": 1e-3}, "unknown RunSpec field 'learning_rate'"),
        ({"network": "TNett"}, "unknown network 'TNett': did you mean 'TNet'"),
        ({"options": {"batchnorm": True}}, "unknown option of TNet 'batchnorm': did you mean 'batch_norm'"),
        ({"n_train": N + 1}, f"fewer than the {N + 1} asked for"),
        ({"scheme": "noise2void", "loss": "L1"}, "defined with loss L2"),
    ],
)
def test_impossible_specifications_say_why(dataset, changes, sentence):
    with pytest.raises(ReportError, match=sentence):
        train([spec().replace(**changes)], dataset)


def same(a, b) -> bool:
    return all(torch.equal(a.weights[k], b.weights[k]) for k in a.weights) and np.array_equal(a.psnr, b.psnr)
