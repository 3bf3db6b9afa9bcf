"""Steps of a group of runs: direct on a CPU, from buffers and as a CUDA graph on a GPU."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Sequence

import torch

from n2nlib.errors import ReportError
from n2nlib.training.replica import Replica

#: Steps between two looks at the clock; also the images that a CUDA graph reads from, times the batch.
CHUNK_STEPS = 64
#: Kind of device -> why the capture of a CUDA graph failed in this process. After one failure all later steps
#: there are eager, because a failed capture may leave PyTorch's allocator and generators in a state that
#: spoils the next.
NOT_CAPTURED: dict[str, str] = {}


class CaptureError(Exception):
    """The step of a group of runs could not be captured as a CUDA graph; the message is the first cause."""


class BufferedStep:
    """One step of all replicas that takes its images from buffers, at a position that is on the device.

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
        # On a stream that is none of the replicas': streams come from a small pool, and theirs must not
        # wait for one another.
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
    """Create the optimiser's moments at zero, which it would otherwise do inside its first step."""
    if replica.optimiser is None or replica.optimiser.state:
        return
    for p in replica.network.parameters():
        p.grad = torch.zeros_like(p)
    replica.optimiser.step()  # with zero gradients it moves nothing
    for state in replica.optimiser.state.values():
        for tensor in state.values():
            tensor.zero_()
    replica.optimiser.zero_grad(set_to_none=True)


class Stepper:
    """Advances replicas through a chunk of an epoch: batch by batch, or by replaying graphs."""

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
    """Return the type of step for a device.

    With a graph where there are graphs, unless a capture has failed in this process.
    """
    capturing = CAPTURING.get(device.type)
    return BufferedStep if capturing and device.type in NOT_CAPTURED else capturing


def first_cause(error: BaseException) -> str:
    """Return the first line of the first error, which later ones of a broken capture hide."""
    while (earlier := error.__cause__ or error.__context__) is not None:
        error = earlier
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def warn_of_capture(device: torch.device, error: CaptureError) -> None:
    """Remember that graphs cannot be captured in this process, and say so the first time."""
    if device.type not in NOT_CAPTURED:
        print(
            f"Capturing a CUDA graph failed ({error}). Training continues without graphs, which is slower; "
            "env.json of each run records it.",
            file=sys.stderr,
            flush=True,
        )
    NOT_CAPTURED.setdefault(device.type, str(error))


def notes(stepper: Stepper) -> dict:
    """Return what env.json says of the steps: whether a graph held them, and why not."""
    if stepper.step_type is None:
        return {}
    if stepper.step_type is BufferedStep:
        return {"graph": False, "graph_failure": NOT_CAPTURED.get(stepper.device.type, "not tried")}
    return {"graph": True}
