"""The training engine: one or many runs on one device, with checkpoints and exact resume.

The textbook loop is in `plain`; this one does the same arithmetic with less around it. The images stay on the
device as uint8 and become floats a batch at a time; layout is channels last; Adam is fused; nothing waits for
the device within an epoch. On a CPU a run uses one thread, so that its bits are defined, and several runs go
side by side in processes (`sweep`). On a GPU the whole step of several runs is captured once as a CUDA graph
with a stream per run, so that their kernels overlap. cuDNN chooses its algorithms there by timing, so a run
on a GPU is not repeatable to the bit. If the capture fails, the same steps are taken eagerly, and the run's
record says so.
"""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from n2nlib.device import emulates_bf16
from n2nlib.errors import ReportError, TrainingError
from n2nlib.spec import RunSpec
from n2nlib.training import checkpoint, steps
from n2nlib.training.replica import Replica, Trained
from n2nlib.training.steps import CaptureError

CHECKPOINT_SECONDS = 60.0


def train(
    specs: Sequence[RunSpec],
    dataset,
    *,
    device: str | torch.device = "cpu",
    checkpoints: Path | None = None,
    progress: Callable[[int], None] | None = None,
    on_epoch: Callable[[RunSpec, dict], None] | None = None,
    emulate_bf16: bool = False,
) -> list[Trained]:
    """Train runs of equal length together; on a CPU each ends as it would alone, to the bit.

    On a GPU the sums of a run may be rounded in another order from one call to the next (see the module's
    text). A step that cannot be captured there as a CUDA graph is taken eagerly, with one warning per
    process. `checkpoints`: folder of `<id>.<device>.ckpt`, written every minute and read at the start, so
    that an interrupted call resumes (on a CPU to the same bits). `progress` is called with the number of
    images done since its last call, `on_epoch` with a run's spec and each new row of its history.
    `emulate_bf16` allows bf16 on a CPU that has no arithmetic for it.
    Raises TrainingError on divergence or an impossible specification, StoreError where no checkpoint can be
    written.
    """
    device = torch.device(device)
    shapes = {(s.dataset, s.n_train, s.epochs, s.batch, s.precision) for s in specs}
    if len(shapes) != 1:
        raise TrainingError(
            "runs that train together must share dataset, n_train, epochs, batch and precision."
        )
    if not emulate_bf16:
        refuse_emulated(specs, device.type)
    watch = Watch(checkpoints, progress or (lambda images: None), on_epoch or (lambda spec, row: None))
    with settings(device):
        return _group(specs, dataset, device, watch)


@dataclass
class Watch:
    """Where a training keeps its checkpoints, and whom it reports progress to."""

    checkpoints: Path | None
    progress: Callable[[int], None]
    on_epoch: Callable[[RunSpec, dict], None]
    done: int = 0

    def count(self, images: int) -> None:
        self.done += images
        self.progress(images)


def _group(specs, dataset, device, watch: Watch) -> list[Trained]:
    """Train a group of runs, with eager steps where capturing them fails."""
    before = watch.done
    try:
        return _attempt(specs, dataset, device, watch)
    except CaptureError as error:
        steps.warn_of_capture(device, error)
        traceback.clear_frames(error.__traceback__)  # they hold the networks and the graph
    if device.type == "cuda":
        torch.cuda.empty_cache()
    # From the checkpoints, or the start, again: the failed capture may have changed the replicas.
    watch.count(before - watch.done)
    return _attempt(specs, dataset, device, watch)


def _attempt(specs, dataset, device, watch: Watch) -> list[Trained]:
    """Build the replicas, take over their checkpoints, and train them to the end; raises CaptureError."""
    resident: dict = {}
    replicas = [_begin(spec, dataset.train, device, resident) for spec in specs]
    if watch.checkpoints is not None:
        for replica in replicas:
            checkpoint.load(replica, watch.checkpoints)
    levels = sorted({r.step for r in replicas})
    if len(levels) > 1:  # interrupted at unequal steps: those that are level train together
        parts = [[r.spec for r in replicas if r.step == step] for step in levels]
        del replicas, resident
        made = [trained for part in parts for trained in _group(part, dataset, device, watch)]
        return sorted(made, key=lambda trained: specs.index(trained.spec))
    return _train(replicas, dataset, device, watch)


def refuse_emulated(specs: Sequence[RunSpec], device: str) -> None:
    """Raise TrainingError for runs in bf16 on a CPU without arithmetic for it."""
    asked = [s for s in specs if s.precision == "bf16"] if device == "cpu" else []
    if asked and emulates_bf16():
        raise TrainingError(
            f"{len(asked)} run{'s' * (len(asked) > 1)} to be trained in bf16 (the first: {asked[0].id}), "
            "which this processor only emulates, several times slower than fp32: choose PROFILE=paper "
            "(precision fp32), or insist with EMULATE=1 (--emulate-bf16; emulate_bf16=True in Python).",
            run=asked[0].id,
        )


def _begin(spec: RunSpec, pairs, device: torch.device, resident: dict) -> Replica:
    """Return a run before its first step.

    Raises TrainingError with the run's id where its specification is impossible.
    """
    try:
        return Replica(spec, pairs, device, resident)
    except ReportError as error:
        raise TrainingError(str(error), run=spec.id) from error


def _train(replicas: list[Replica], dataset, device, watch: Watch) -> list[Trained]:
    """Go through the epochs in chunks, with a look at the clock after each."""
    spec, first = replicas[0].spec, replicas[0]
    validation = tuple(torch.from_numpy(np.array(v)).to(device) for v in (dataset.val.a, dataset.val.clean))
    stepper = steps.Stepper(replicas, device)
    before, saved = time.monotonic(), time.monotonic()
    watch.count(sum(r.images_done for r in replicas))
    computed = None
    while first.step < first.steps:
        epoch, step = divmod(first.step, first.steps_an_epoch)
        start = step * spec.batch
        stop = min(start + steps.CHUNK_STEPS * spec.batch, spec.n_train)
        stepper.advance(epoch, start, stop)
        if stop == spec.n_train:
            for replica in replicas:
                replica.end_epoch(validation)
        elif device.type == "cpu":
            for replica in replicas:
                replica.check(replica.loss_sum.item() / (stop / spec.batch), epoch + 1)
        now = time.monotonic()
        for replica in replicas:
            replica.seconds += (now - before) / len(replicas)
            if stop == spec.n_train:
                replica.history[-1]["seconds"] = replica.seconds
                watch.on_epoch(replica.spec, replica.history[-1])
        before = now
        watch.count((stop - start) * len(replicas))
        if stop == spec.n_train and all(r.repeats() for r in replicas):
            computed = epoch + 1
            for replica in replicas:
                replica.repeat()
                for row in replica.history[epoch + 1 :]:
                    watch.on_epoch(replica.spec, row)
        if watch.checkpoints is not None and now - saved > CHECKPOINT_SECONDS:
            for replica in replicas:
                checkpoint.save(replica, watch.checkpoints)
            saved = now
    finished = [replica.finish(dataset.val) for replica in replicas]
    for trained in finished:
        trained.notes.update(steps.notes(stepper))
        if computed is not None:
            trained.notes["epochs_computed"] = computed
    return finished


@contextlib.contextmanager
def settings(device: torch.device):
    """Set what defines the arithmetic (one thread on a CPU, no TF32 on a GPU), and set it back."""
    threads = torch.get_num_threads()
    matmul = torch.backends.cuda.matmul.allow_tf32
    try:
        if device.type == "cpu":
            torch.set_num_threads(1)
        torch.backends.cuda.matmul.allow_tf32 = False
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = matmul
        torch.set_num_threads(threads)
