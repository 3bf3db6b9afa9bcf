"""Train what is missing: in processes on a CPU, in groups that share a graph on a GPU, on Dask's workers."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from n2nlib.device import cores, resolve
from n2nlib.errors import ReportError, TrainingError, unknown_name
from n2nlib.runs.progress import Meter, Progress, still
from n2nlib.runs.speed import cost, kind
from n2nlib.runs.store import Run, RunStore
from n2nlib.spec import RunSpec

#: `local`: processes of this machine. `dask`: workers of this machine; `dask:tcp://HOST:PORT`: those of a
#: scheduler that runs already and whose workers see the same results folder.
EXECUTORS = ("local", "dask")
#: Runs that a GPU trains side by side: enough to fill it.
GROUP = {"TNet": 12, "SmallNet": 8, "BaseNet": 5, "UNet": 5}
#: Work (in TNet images) that is done sooner in this process than processes start for it.
SMALL = 5_000


def sweep(
    specs: Iterable[RunSpec],
    datasets: Mapping[str, object],
    *,
    device: str = "auto",
    executor: str = "local",
    store: RunStore | None = None,
    quiet: bool = False,
    on_epoch: Callable[[RunSpec, dict], None] | None = None,
    emulate_bf16: bool = False,
) -> list[Run]:
    """Return the runs of some specs in their order, training those that the store lacks.

    `datasets` maps fingerprints to datasets. `quiet` shows no progress. `on_epoch` is called with a run's
    spec and each new row of its history; the runs then train in this process, one after the other.
    `emulate_bf16` allows bf16 on a CPU that has no arithmetic for it, which is refused otherwise. Raises
    ReportError if a run fails, after all others are finished. An error that is no run's fault, as on a full
    disk, begins nothing that waits. An interrupt also ends what is being trained; each run resumes from its
    last checkpoint.
    """
    where, address = check_executor(executor)
    specs, store = list(specs), store or RunStore()
    missing = [s for s in dict.fromkeys(specs) if not store.has(s)]
    for spec in missing:
        if spec.dataset not in datasets:
            raise TrainingError(
                f"run {spec.id} needs the dataset {spec.dataset}, which is not open: open it and try again."
            )
    if missing:
        # A scheduler's workers may have what this machine lacks; each looks for itself.
        on = device if address else resolve(device)
        if not address and not emulate_bf16:
            from n2nlib.training.engine import refuse_emulated

            refuse_emulated(missing, on)
        with Progress(missing, "cuda" if on == "cuda" else "cpu", quiet) as bar:
            if where == "dask":
                from n2nlib.runs.cluster import on_dask

                jobs = groups(missing) if on == "cuda" else [[s] for s in missing]
                errors = on_dask(jobs, datasets, store, bar, on, address, emulate_bf16)
            elif on == "cuda":
                errors = _on_gpu(missing, datasets, store, bar, on_epoch)
            else:
                errors = _on_cpu(missing, datasets, store, bar, on_epoch)
        if errors:
            raise next(filter(no_runs_fault, errors), errors[0])
    return [store.get(s) for s in specs]


def check_executor(text: str) -> tuple[str, str]:
    """Return kind and scheduler's address of an executor; raises ReportError for an unknown one."""
    kind, _, address = text.partition(":")
    if kind not in EXECUTORS or (address and kind == "local"):
        raise unknown_name("executor", text, EXECUTORS)
    return kind, address


def no_runs_fault(error: BaseException) -> bool:
    """Say whether other runs would fail as well, as on a full disk."""
    return isinstance(error, ReportError) and not isinstance(error, TrainingError)


def train_here(specs: Sequence[RunSpec], dataset, store: RunStore, device: str, progress, on_epoch=None,
               emulate_bf16: bool = True) -> None:  # fmt: skip
    """Train one group and put it into the store; another process that holds one of its runs is waited for."""
    from n2nlib.training.engine import train

    with contextlib.ExitStack() as locks:
        # One order for all processes prevents a deadlock.
        for spec in sorted(specs, key=lambda s: s.id):
            locks.enter_context(store.lock(spec))
        specs = [s for s in specs if not store.has(s)]
        if specs:
            made = train(specs, dataset, device=device, checkpoints=store.checkpoints, progress=progress,
                         on_epoch=on_epoch, emulate_bf16=emulate_bf16)  # fmt: skip
            for trained in made:
                store.put(trained)


def _on_gpu(missing, datasets, store, bar, on_epoch=None) -> list[Exception]:
    """Train group by group: a run that fails leaves its group; where it is not known which one it was, the
    group is halved.
    """
    import torch

    errors: list[Exception] = []
    waiting = groups(missing)
    bar.open()
    while waiting:
        group = waiting.pop(0)
        try:
            train_here(group, datasets[group[0].dataset], store, "cuda", bar.meter(group[0]), on_epoch)
            bar.finished(len(group))
        except Exception as error:
            traceback.clear_frames(error.__traceback__)  # they would keep networks and graphs on the device
            before = len(errors)
            rest = [s for s in group if s.id != getattr(error, "run", None)]
            half = len(group) // 2
            if no_runs_fault(error):
                errors.append(error)
                waiting = []
            elif len(rest) < len(group):
                errors.append(error)
                waiting[:0] = [rest] if rest else []
            elif half:
                waiting[:0] = [group[:half], group[half:]]
            elif isinstance(error, torch.OutOfMemoryError):
                errors.append(
                    TrainingError(
                        f"run {group[0].id} ({group[0].network}) does not fit the GPU's memory: "
                        "DEVICE=cpu trains it."
                    )
                )
            else:
                errors.append(_failure(group[0], error))
            bar.finished(0, failed=len(errors) - before)
        torch.cuda.empty_cache()
    return errors


def groups(specs: Sequence[RunSpec]) -> list[list[RunSpec]]:
    """Split runs into groups that may train together, like networks side by side."""
    kinds = defaultdict(list)
    for s in specs:
        kinds[s.dataset, s.n_train, s.epochs, s.batch, s.precision, s.optimiser, s.network].append(s)
    out = []
    for (*_, network), members in kinds.items():
        size = GROUP.get(network, 12)
        out += [members[i : i + size] for i in range(0, len(members), size)]
    return out


def _failure(spec: RunSpec, error: Exception) -> ReportError:
    """Return the error for a run that failed; unexpected exceptions are wrapped with the run's id."""
    if isinstance(error, ReportError):
        return error
    from n2nlib.training.steps import NOT_CAPTURED

    advice = ": change its options, or fix the network."
    if capture := NOT_CAPTURED.get("cuda"):
        advice = (
            f". Before that, capturing a CUDA graph failed ({capture}), which may have left the GPU unusable "
            "for this process: start again; if it fails again, choose DEVICE=cpu."
        )
    named = TrainingError(
        f"run {spec.id} ({spec.network} with options {dict(spec.options)}, seed {spec.seed}) cannot be "
        f"trained ({type(error).__name__}: {error}){advice}"
    )
    named.__cause__ = error
    return named


def _on_cpu(missing, datasets, store, bar, on_epoch=None) -> list[Exception]:
    """Longest first, one process per core and one thread per process; a single short run stays in this
    process.
    """
    from n2nlib.models import NETWORKS

    ordered = sorted(missing, key=cost, reverse=True)
    # A class that was written in a notebook or script is known to this process alone.
    here = [s for s in ordered if getattr(NETWORKS.get(s.network), "__module__", "") == "__main__"]
    if on_epoch or min(cores(), len(ordered)) == 1 or sum(map(cost, ordered)) < SMALL:
        here = ordered
    others = [s for s in ordered if s not in here]
    bar.slots = min(cores(), len(others)) or 1
    bar.open()
    errors: list[Exception] = []
    for spec in here:
        try:
            train_here([spec], datasets[spec.dataset], store, "cpu", bar.meter(spec), on_epoch)
            bar.finished()
        except Exception as error:
            errors.append(_failure(spec, error))
            bar.finished(0, failed=1)
            if no_runs_fault(error):
                return errors
    return errors + _in_processes(others, datasets, store, bar) if others else errors


def _in_processes(ordered, datasets, store, bar) -> list[Exception]:
    for fingerprint in {s.dataset for s in ordered}:  # build pairs once, not in every process
        with still(f"building the pairs of {getattr(datasets[fingerprint], 'name', fingerprint)}", bar.quiet):
            datasets[fingerprint].train, datasets[fingerprint].val  # noqa: B018
    context = multiprocessing.get_context("spawn")
    # A row per kind of run: images, images that were timed, seconds.
    counter, stop = context.Array("d", 3 * len(bar.kinds)), context.Event()
    errors: list[Exception] = []
    before = {k: (bar.images[k], bar.timed[k], bar.seconds[k]) for k in bar.kinds}
    workers = min(cores(), len(ordered))
    start = (_start_worker, (counter, stop, os.getpid()))
    waiting, running = list(ordered), {}
    with single_threaded(), ProcessPoolExecutor(workers, context, *start) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < workers:  # a pool may begin every job that it holds
                    s = waiting.pop(0)
                    job = (_in_worker, s, bar.kinds.index(kind(s)), datasets[s.dataset], store.folder)
                    running[pool.submit(*job)] = s
                for future in wait(running, timeout=0.1, return_when=FIRST_COMPLETED).done:
                    spec = running.pop(future)
                    try:
                        future.result()
                        bar.finished()
                    except BrokenProcessPool:
                        raise
                    except Exception as error:
                        errors.append(_failure(spec, error))
                        bar.finished(0, failed=1)
                        waiting = [] if no_runs_fault(error) else waiting
                counted = list(counter)
                bar.set({
                    k: tuple(x + y for x, y in zip(before[k], counted[3 * i : 3 * i + 3], strict=True))
                    for i, k in enumerate(bar.kinds)
                })  # fmt: skip
        except BrokenProcessPool:
            raise TrainingError(
                "a process that trained runs died: killed, or out of memory. Start again; its runs resume "
                "from their checkpoints."
            ) from None
        except BaseException:
            stop.set()
            raise
    return errors


@contextlib.contextmanager
def single_threaded():
    """Let child processes start with one thread each; two busy pools of threads would wait for each other."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


_counter = _stop = None


def _start_worker(counter, stop, parent: int) -> None:
    """Prepare a worker: it adds to the shared counters, and ends on request or when its parent has ended."""
    global _counter, _stop
    _counter, _stop = counter, stop
    end_with_parent(parent)


def end_with_parent(parent: int) -> None:
    """Let this process end within a second of its parent, and leave a terminal's interrupt, which both
    get, to the parent.
    """
    import signal
    import threading

    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _in_worker(spec: RunSpec, row: int, dataset, folder: Path) -> None:
    def report(*counted: float) -> None:
        with _counter.get_lock():
            for i, value in enumerate(counted):
                _counter[3 * row + i] += value

    meter = Meter(report)

    def progress(images: int) -> None:
        if _stop.is_set():
            raise KeyboardInterrupt
        meter(images)

    train_here([spec], dataset, RunStore(folder), "cpu", progress)
