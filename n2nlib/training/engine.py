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
import copy
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from n2nlib import paper
from n2nlib.device import emulates_bf16
from n2nlib.errors import ReportError, StoreError, TrainingError
from n2nlib.evaluation.metrics import MSE_FLOOR, denoise, global_psnr, psnr
from n2nlib.models import build, count_parameters
from n2nlib.models.layers import Dropout
from n2nlib.spec import RunSpec
from n2nlib.training.schemes import Samples, objective

#: Steps between two looks at the clock; also the images that a CUDA graph reads from, times the batch.
CHUNK_STEPS = 64
CHECKPOINT_SECONDS = 60.0
#: Points of a learning curve, at most.
CURVE_POINTS = 25
#: An image has squared error 1 at the very worst; a mean beyond this has left every sane range.
DIVERGED = 10.0
#: Kind of device -> why the capture of a CUDA graph failed in this process. After one failure all later steps
#: there are eager, because a failed capture may leave PyTorch's allocator and generators in a state that
#: spoils the next.
NOT_CAPTURED: dict[str, str] = {}


class CaptureError(Exception):
    """The step of a group of runs could not be captured as a CUDA graph; the message is the first cause."""


@dataclass
class Trained:
    """A finished run on its way to the store."""

    spec: RunSpec
    weights: dict[str, torch.Tensor]
    history: list[dict]
    metrics: dict
    psnr: np.ndarray
    device: str = "cpu"
    notes: dict = field(default_factory=dict)  # for env.json, beside what `runs.environment` finds


class Replica:
    """One RunSpec in the making: network, optimiser, place in the data, and how it has done so far."""

    def __init__(self, spec: RunSpec, pairs, device: torch.device, resident: dict):
        self.spec, self.device = spec, device
        self.samples = Samples(spec, pairs, device, resident)
        self.network = build(spec.network, seed=spec.seed, **spec.options)
        self.network.to(device, memory_format=torch.channels_last).train()
        self.objective = objective(spec)
        graphed = (
            device.type == "cuda"
        )  # a CUDA graph replays addresses: the rate must be a tensor, the step count too
        rate = torch.tensor(spec.lr, device=device) if graphed else spec.lr
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=rate, fused=True, capturable=graphed)
        self.average = copy.deepcopy(self.network).requires_grad_(False) if spec.averaging else None
        self.generator = torch.Generator(device).manual_seed(spec.seed)
        for module in self.network.modules():
            if isinstance(module, Dropout):
                module.generator = self.generator
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self.clock = torch.zeros((), dtype=torch.float64, device=device)
        self.steps_an_epoch = math.ceil(spec.n_train / spec.batch)
        self.steps = self.steps_an_epoch * spec.epochs
        self.step = 0
        self.history: list[dict] = []
        self.seconds = 0.0

    @property
    def images_done(self) -> int:
        epoch, step = divmod(self.step, self.steps_an_epoch)
        return epoch * self.spec.n_train + min(step * self.spec.batch, self.spec.n_train)

    def update(self, *batch: torch.Tensor) -> None:
        """Take one step of Adam on a batch of uint8 tensors (B,H,W,C); runs alike inside and outside a CUDA graph."""
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.spec.precision == "bf16", cache_enabled=False
        ):
            loss = self.objective(self.network, *batch)
        if self.spec.optimiser == "adam":  # gradients that no optimiser sees need not be computed
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            if self.spec.schedule == "cosine":
                self._set_rate()
            self.optimiser.step()
        if self.average is not None:
            with torch.no_grad():
                torch._foreach_lerp_(
                    list(self.average.parameters()), list(self.network.parameters()), 1 - self.spec.averaging
                )
        self.loss_sum += loss.detach()
        self.clock += 1

    def _set_rate(self) -> None:
        """Half a cosine from lr down to 0 over the whole run, read from the device's own clock."""
        rate = self.spec.lr / 2 * (1 + torch.cos(self.clock * (math.pi / self.steps)))
        for group in self.optimiser.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].copy_(rate)
            else:
                group["lr"] = rate.item()

    def judged(self) -> torch.nn.Module:
        """Return the network that counts: the last weights, or their moving average with the last statistics."""
        if self.average is None:
            return self.network
        for mean, last in zip(self.average.buffers(), self.network.buffers(), strict=True):
            mean.copy_(last)
        return self.average

    def end_epoch(self, validation) -> None:
        """Close an epoch: its mean loss, and the validation PSNR at up to 25 points of the run."""
        epoch = self.step // self.steps_an_epoch
        loss = self.loss_sum.item() / self.steps_an_epoch
        self.check(loss, epoch)
        self.loss_sum.zero_()
        every = math.ceil(self.spec.epochs / CURVE_POINTS)
        shown = epoch % every == 0 or epoch in (1, self.spec.epochs)
        self.history.append(
            {
                "epoch": epoch,
                "images": self.images_done,
                "loss": loss,
                "published_loss": loss * paper.loss_factor(),
                "psnr": validation_psnr(self.judged(), *validation) if shown else math.nan,
                "seconds": self.seconds,  # set again by who keeps the time, validation included
            }
        )

    def check(self, loss: float, epoch: int) -> None:
        """Raise TrainingError once the mean loss is not a number or out of every sane range."""
        if not math.isfinite(loss) or loss > DIVERGED and self.spec.loss != "L_HDR":
            raise TrainingError(
                f"run {self.spec.id} ({self.spec.network}, lr {self.spec.lr:g}, initialisation {self.spec.seed}) "
                f"diverged in epoch {epoch}: its mean loss is {loss:.3g}. Lower lr, or train in fp32.",
                run=self.spec.id,
            )

    def state(self) -> dict:
        """Return all that a run needs to go on to the same bits."""
        return {
            "spec": self.spec.to_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
            "generator": self.generator.get_state(),
            "loss_sum": self.loss_sum.cpu(),
            "clock": self.clock.cpu(),
        }

    def load(self, state: dict) -> None:
        """Take over a checkpoint's state."""
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]
        self.network.load_state_dict(state["network"])
        rates = [group["lr"] for group in self.optimiser.param_groups]
        self.optimiser.load_state_dict(state["optimiser"])
        for group, rate in zip(self.optimiser.param_groups, rates, strict=True):
            group["lr"] = rate  # this run's own tensor or number; a schedule sets it anew at each step
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.generator.set_state(state["generator"].cpu())
        self.loss_sum.copy_(state["loss_sum"])
        self.clock.copy_(state["clock"])

    def tensors(self) -> list[torch.Tensor]:
        """Return every tensor that a step changes."""
        out = [*self.network.state_dict().values(), self.loss_sum, self.clock]
        out += [t for state in self.optimiser.state.values() for t in state.values()]
        if self.average is not None:
            out += self.average.state_dict().values()
        return out

    def finish(self, validation) -> Trained:
        """Judge the last weights on the validation pairs, in fp32."""
        network = self.judged().eval()
        noisy, clean = validation.a, validation.clean
        image = denoise(network, noisy)
        per_image = psnr(clean, image, data_range=255)
        last = self.history[-1]
        metrics = {
            "psnr": float(per_image.mean()),
            "psnr_global": global_psnr(clean, image, data_range=255),
            "loss": last["loss"],
            "published_loss": last["published_loss"] if self.spec.loss == "L2" else None,
            "images": self.images_done,
            "parameters": count_parameters(self.network),
            "seconds": self.seconds,
        }
        weights = {
            k: v.detach().float().cpu().contiguous() if v.is_floating_point() else v.cpu()
            for k, v in network.state_dict().items()
        }
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        return Trained(self.spec, weights, self.history, metrics, per_image, name)


@torch.no_grad()
def validation_psnr(network: torch.nn.Module, noisy: torch.Tensor, clean: torch.Tensor) -> float:
    """Mean PSNR in dB on the device, with the same cut to 8 bits as `metrics`: uint8 (N,3,H,W) twice -> float."""
    network.eval()
    total = 0.0
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for x, c in zip(noisy.split(250), clean.split(250), strict=True):
            y = network(x.float().div(255).contiguous(memory_format=torch.channels_last))
            error = ((y * 255).clamp(0, 255).to(torch.uint8).double() - c.double()) / 255
            total += (-10 * (error**2).mean(dim=(1, 2, 3)).clamp(min=MSE_FLOOR).log10()).sum().item()
    network.train()
    return total / len(noisy)


class BufferedStep:
    """One step of all replicas that takes its images from buffers, at a position that lies on the device.

    Nothing in it depends on the host, which is what lets a CUDA graph hold it.
    """

    def __init__(
        self, replicas: Sequence[Replica], buffers: list[tuple[torch.Tensor, ...]], position, size: int
    ):
        self.replicas, self.buffers, self.position = replicas, buffers, position
        self.rows = torch.arange(size, device=position.device)

    def __call__(self):
        picked = self.position + self.rows
        for replica, buffer in zip(self.replicas, self.buffers, strict=True):
            with self.beside(replica):
                replica.update(*(t.index_select(0, picked) for t in buffer))
        self.join()
        self.position += len(self.rows)

    def beside(self, replica: Replica):
        """Return the context in which a replica's step runs."""
        return contextlib.nullcontext()

    def join(self) -> None:
        """Wait until every replica's step is done."""


class GraphedStep(BufferedStep):
    """The same, captured once as a CUDA graph with a stream a replica; calling it replays the graph."""

    def __init__(self, *parts):
        super().__init__(*parts)
        self.streams = {id(r): torch.cuda.Stream() for r in self.replicas}
        self.graph = torch.cuda.CUDAGraph()
        for replica in self.replicas:
            make_optimiser_state(replica)
            self.graph.register_generator_state(replica.generator)
        # The steps that warm up libraries and allocator must leave no trace.
        kept = [(t, t.clone()) for t in (self.position, *(t for r in self.replicas for t in r.tensors()))]
        generators = [r.generator.get_state() for r in self.replicas]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.position.zero_()
                super().__call__()
        torch.cuda.synchronize()
        # On a stream that is none of the replicas': streams come from a small pool, and theirs must not wait for one another.
        with torch.cuda.graph(self.graph, stream=side, capture_error_mode="thread_local"):
            super().__call__()
        with torch.no_grad():
            for tensor, value in kept:
                tensor.copy_(value)
        for replica, state in zip(self.replicas, generators, strict=True):
            replica.generator.set_state(state)

    @contextlib.contextmanager
    def beside(self, replica: Replica):
        stream = self.streams[id(replica)]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            yield

    def join(self) -> None:
        for stream in self.streams.values():
            torch.cuda.current_stream().wait_stream(stream)

    def __call__(self):
        self.graph.replay()


def make_optimiser_state(replica: Replica) -> None:
    """Create Adam's moments at zero, which it would otherwise do inside its first step."""
    if replica.optimiser.state or replica.spec.optimiser != "adam":
        return
    for p in replica.network.parameters():
        p.grad = torch.zeros_like(p)
    replica.optimiser.step()  # with zero gradients it moves nothing
    for state in replica.optimiser.state.values():
        for tensor in state.values():
            tensor.zero_()
    replica.optimiser.zero_grad(set_to_none=True)


class Stepper:
    """Advances replicas through a chunk of an epoch: batch by batch on a CPU, by replaying graphs on a GPU."""

    def __init__(
        self, replicas: Sequence[Replica], device: torch.device, step: type[BufferedStep] | None = None
    ):
        self.replicas, self.device = replicas, device
        self.step_type = step or step_type(device)
        self.steps: dict[int, BufferedStep] = {}
        self.buffers: list[tuple[torch.Tensor, ...]] | None = None

    def advance(self, epoch: int, start: int, stop: int) -> None:
        """Take the steps on images start..stop of an epoch (start at a batch's beginning)."""
        batch = self.replicas[0].spec.batch
        chunks = [r.samples.chunk(epoch, start, stop) for r in self.replicas]
        if self.step_type is not None:
            self._from_buffers(chunks, stop - start, batch)
        else:
            for replica, chunk in zip(self.replicas, chunks, strict=True):
                for i in range(0, stop - start, batch):
                    replica.update(*(t[i : i + batch] for t in chunk))
        for replica in self.replicas:
            replica.step += math.ceil((stop - start) / batch)

    def _from_buffers(self, chunks, images: int, batch: int) -> None:
        if self.buffers is None:
            self.buffers = [
                tuple(t.new_zeros(CHUNK_STEPS * batch, *t.shape[1:]) for t in chunk) for chunk in chunks
            ]
            self.position = torch.zeros((), dtype=torch.int64, device=self.device)
        for buffer, chunk in zip(self.buffers, chunks, strict=True):
            for kept, new in zip(buffer, chunk, strict=True):
                kept[:images].copy_(new)
        sizes = [batch] * (images // batch) + [images % batch] * (images % batch > 0)
        for size in dict.fromkeys(sizes):
            if size not in self.steps:
                self.steps[size] = self._step_of(size)
        self.position.zero_()
        for size in sizes:
            self.steps[size]()

    def _step_of(self, size: int) -> BufferedStep:
        """Return the step on batches of one size; raises CaptureError where it should hold a graph and
        cannot.
        """
        try:
            return self.step_type(self.replicas, self.buffers, self.position, size)
        except Exception as error:
            # Full memory is met by smaller groups, and what the project raises itself has nothing to do with
            # a capture.
            if self.step_type is BufferedStep or isinstance(error, ReportError | torch.OutOfMemoryError):
                raise
            raise CaptureError(first_cause(error)) from error


#: Kind of device -> the step that captures a graph there; a kind that is not named takes its steps directly.
CAPTURING: dict[str, type[BufferedStep]] = {"cuda": GraphedStep}


def step_type(device: torch.device) -> type[BufferedStep] | None:
    """Return the type of step for a device: with a graph where there are graphs, unless a capture has
    failed in this process.
    """
    capturing = CAPTURING.get(device.type)
    return BufferedStep if capturing and device.type in NOT_CAPTURED else capturing


def first_cause(error: BaseException) -> str:
    """Return the first line of the error that came first: one that ends a broken capture hides the one
    that broke it.
    """
    while (earlier := error.__cause__ or error.__context__) is not None:
        error = earlier
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def train(
    specs: Sequence[RunSpec],
    corpus,
    *,
    device: str | torch.device = "cpu",
    checkpoints: Path | None = None,
    progress: Callable[[int], None] | None = None,
    emulate_bf16: bool = False,
) -> list[Trained]:
    """Train runs of equal length on one corpus and one device together; on a CPU each ends as it would
    alone, to the bit.

    On a GPU the sums of a run may be rounded in another order from one call to the next (see the module's
    text). A step that cannot be captured there as a CUDA graph is taken eagerly, with one warning per
    process. `checkpoints`: folder of `<id>.<device>.ckpt`, written every minute and read at the start, so
    that a killed call goes on where it was (on a CPU to the same bits). `progress` is called with the number
    of images done since its last call. `emulate_bf16` allows bf16 on a CPU that has no arithmetic for it.
    Raises TrainingError on divergence or an impossible specification, StoreError where no checkpoint can be
    written.
    """
    device = torch.device(device)
    shapes = {(s.corpus, s.n_train, s.epochs, s.batch, s.precision) for s in specs}
    if len(shapes) != 1:
        raise TrainingError(
            "runs that train together must share corpus, n_train, epochs, batch and precision."
        )
    if not emulate_bf16:
        refuse_emulated(specs, device.type)
    done = 0

    def counted(images: int) -> None:
        nonlocal done
        done += images
        if progress is not None:
            progress(images)

    with settings(device, specs[0].precision):
        try:
            return _attempt(specs, corpus, device, checkpoints, counted)
        except CaptureError as error:
            _warn_of_capture(device, error)
            traceback.clear_frames(error.__traceback__)  # they hold the networks and the graph
        if device.type == "cuda":
            torch.cuda.empty_cache()
        counted(
            -done
        )  # from the checkpoints, or the start, again: the failed capture may have changed the replicas
        return _attempt(specs, corpus, device, checkpoints, counted)


def _attempt(specs, corpus, device, checkpoints, progress) -> list[Trained]:
    """Build the replicas, take over their checkpoints, and train them to the end; raises CaptureError."""
    resident: dict = {}
    replicas = [_begin(spec, corpus.train, device, resident) for spec in specs]
    for replica in replicas:
        load_checkpoint(replica, checkpoints)
    if (
        len(steps := sorted({r.step for r in replicas})) > 1
    ):  # cut at unequal steps: those that are level go on together
        level = [[r.spec for r in replicas if r.step == step] for step in steps]
        del replicas, resident
        return _in_parts(level, specs, corpus, device, checkpoints, progress)
    return _train(replicas, corpus, device, checkpoints, progress)


def _warn_of_capture(device: torch.device, error: CaptureError) -> None:
    """Remember that graphs cannot be captured in this process, and say so the first time."""
    if device.type not in NOT_CAPTURED:
        print(
            f"Capturing a CUDA graph failed ({error}). Training continues without graphs, which is slower; "
            "env.json of each "
            "run records it.",
            file=sys.stderr, flush=True,
        )  # fmt: skip
    NOT_CAPTURED.setdefault(device.type, str(error))


def refuse_emulated(specs: Sequence[RunSpec], device: str) -> None:
    """Raise TrainingError where runs ask for bf16 on a CPU that has no arithmetic for it, before anything
    is trained.
    """
    asked = [s for s in specs if s.precision == "bf16"] if device == "cpu" else []
    if asked and emulates_bf16():
        raise TrainingError(
            f"{len(asked)} run{'s' * (len(asked) > 1)} to be trained in bf16 (the first: {asked[0].id}), "
            "which this processor only "
            "emulates, several times slower than fp32: choose PROFILE=paper (precision fp32 or tf32), or "
            "insist with EMULATE=1 "
            "(--emulate-bf16; emulate_bf16=True in Python).",
            run=asked[0].id,
        )


def _begin(spec: RunSpec, pairs, device: torch.device, resident: dict) -> Replica:
    """Return a run before its first step; raises TrainingError with the run's id where its specification is impossible."""
    try:
        return Replica(spec, pairs, device, resident)
    except ReportError as error:
        raise TrainingError(str(error), run=spec.id) from error


def _in_parts(parts, specs, corpus, device, checkpoints, progress):
    """Train parts of a group one after the other."""
    done = {
        trained.spec: trained
        for part in parts
        for trained in train(
            part, corpus, device=device, checkpoints=checkpoints, progress=progress, emulate_bf16=True
        )
    }
    return [done[spec] for spec in specs]


def _train(replicas, corpus, device, checkpoints, progress):
    """Go through the epochs in chunks, with a look at the clock after each."""
    spec, first = replicas[0].spec, replicas[0]
    validation = tuple(torch.from_numpy(np.array(v)).to(device) for v in (corpus.val.a, corpus.val.clean))
    stepper = Stepper(replicas, device)
    before, saved = time.monotonic(), time.monotonic()
    progress(sum(r.images_done for r in replicas))
    while first.step < first.steps:
        epoch, step = divmod(first.step, first.steps_an_epoch)
        start = step * spec.batch
        stop = min(start + CHUNK_STEPS * spec.batch, spec.n_train)
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
        before = now
        progress((stop - start) * len(replicas))
        if checkpoints is not None and now - saved > CHECKPOINT_SECONDS:
            for replica in replicas:
                save_checkpoint(replica, checkpoints)
            saved = now
    finished = [replica.finish(corpus.val) for replica in replicas]
    for trained in finished:
        trained.notes.update(_notes(stepper))
    return finished


def _notes(stepper: Stepper) -> dict:
    """Return what env.json says of the steps: nothing of a CPU's, on a GPU whether a graph held them and
    why not.
    """
    if stepper.step_type is None:
        return {}
    if stepper.step_type is BufferedStep:
        return {"graph": False, "graph_failure": NOT_CAPTURED.get(stepper.device.type, "not tried")}
    return {"graph": True}


@contextlib.contextmanager
def settings(device: torch.device, precision: str):
    """Set what defines the arithmetic (one thread on a CPU; TF32 only where the spec says so), and set it back."""
    threads = torch.get_num_threads()
    tf32 = precision == "tf32"
    matmul = torch.backends.cuda.matmul.allow_tf32
    try:
        if device.type == "cpu":
            torch.set_num_threads(1)
        torch.backends.cuda.matmul.allow_tf32 = tf32
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=tf32):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = matmul
        torch.set_num_threads(threads)


def checkpoint(replica: Replica, folder: Path) -> Path:
    """Return where a run's checkpoint lies; half of a run on a CPU and half on a GPU would be a run of neither."""
    return folder / f"{replica.spec.id}.{replica.device.type}.ckpt"


def save_checkpoint(replica: Replica, folder: Path) -> None:
    """Write a checkpoint in one move, so that a kill in between leaves the one before."""
    path = checkpoint(replica, folder)
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(replica.state(), part)
        part.replace(path)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        part.unlink(missing_ok=True)
        raise StoreError(
            f"no checkpoint can be written to {folder} ({error}): free some space and start again."
        ) from error


def load_checkpoint(replica: Replica, folder: Path | None) -> None:
    """Go on from a run's checkpoint if there is one; a damaged one is renamed to `.broken` and the run starts anew."""
    path = checkpoint(replica, folder) if folder is not None else None
    if path is None or not path.exists():
        return
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)  # a full GPU is no fault of the file
        if state["spec"] != replica.spec.to_dict():
            raise ValueError("it belongs to another run")
    except (OSError, MemoryError) as error:
        raise TrainingError(
            f"the checkpoint {path} cannot be read now ({error}): try again, or delete it.",
            run=replica.spec.id,
        ) from error
    except Exception:  # whatever a foreign or truncated file raises, it is no checkpoint
        path.replace(path.with_suffix(".broken"))
        return
    replica.load(state)
