"""Train the runs that are missing, many at a time: processes on a CPU, groups that share a graph on a GPU, or Dask's workers."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from .device import cores, resolve
from .errors import ReportError, TrainingError, unknown_name
from .runs import Run, RunStore
from .spec import RunSpec

#: `local`: processes of this machine. `dask`: workers of this machine; `dask:tcp://HOST:PORT`: those of a scheduler
#: that runs already and whose workers see the same results folder.
EXECUTORS = ("local", "dask")
#: Relative cost of a training image on one CPU core, measured: for longest-first order and estimates (TNet = 1).
COST = {"TNet": 1.0, "SmallNet": 2.3, "BaseNet": 4.3, "UNet": 12.6}
#: Runs that a GPU trains side by side: enough to fill it.
GROUP = {"TNet": 12, "SmallNet": 8, "BaseNet": 5, "UNet": 5}
#: Work (in TNet images) that is done sooner in this process than processes start for it.
SMALL = 5_000


def sweep(
    specs: Iterable[RunSpec],
    corpora: Mapping[str, object],
    *,
    device: str = "auto",
    executor: str = "local",
    store: RunStore | None = None,
    quiet: bool = False,
) -> list[Run]:
    """Return the runs of some specs in their order, training those that the store lacks.

    `corpora` maps fingerprints to corpora. `quiet` shows no progress bar.
    Raises ReportError if a run fails (all others are finished first). An interrupt ends what is being trained, and
    begins nothing that waits; each run goes on from its last checkpoint.
    """
    kind, _, address = executor.partition(":")
    if kind not in EXECUTORS or (address and kind == "local"):
        raise unknown_name("executor", executor, EXECUTORS)
    specs, store = list(specs), store or RunStore()
    missing = [s for s in dict.fromkeys(specs) if not store.has(s)]
    for spec in missing:
        if spec.corpus not in corpora:
            raise TrainingError(f"run {spec.id} needs the corpus {spec.corpus}, which is not open: open it and try again.")
    if missing:
        with _Bar(missing, quiet) as bar:
            if kind == "dask":
                errors = _on_dask(missing, corpora, store, bar, device, address)
            elif resolve(device) == "cuda":
                errors = _on_gpu(missing, corpora, store, bar)
            else:
                errors = _on_cpu(missing, corpora, store, bar)
        if errors:
            raise errors[0]
    return [store.get(s) for s in specs]


def estimate(specs: Iterable[RunSpec], rate: float) -> float:
    """Return the seconds that runs take at `rate` TNet images a second."""
    return sum(s.images * COST.get(s.network, 1.0) for s in specs) / rate


def _train_here(specs: Sequence[RunSpec], corpus, store: RunStore, device: str, progress) -> None:
    """Train one group and put it into the store; another process that holds one of its runs is waited for."""
    from .training import train

    with contextlib.ExitStack() as locks:
        for spec in sorted(specs, key=lambda s: s.id):  # one order for everybody, so that nobody waits in a circle
            locks.enter_context(store.lock(spec))
        specs = [s for s in specs if not store.has(s)]
        if specs:
            for trained in train(specs, corpus, device=device, checkpoints=store.checkpoints, progress=progress):
                store.put(trained)


def _on_gpu(missing, corpora, store, bar) -> list[Exception]:
    """Train group by group: a run that fails leaves its group; where it is not known which one it was, the group is halved."""
    import torch

    errors: list[Exception] = []
    waiting = groups(missing)
    while waiting:
        group = waiting.pop(0)
        try:
            _train_here(group, corpora[group[0].corpus], store, "cuda", bar.add)
        except Exception as error:
            traceback.clear_frames(error.__traceback__)  # they would keep networks and graphs on the device
            rest = [s for s in group if s.id != getattr(error, "run", None)]
            half = len(group) // 2
            if isinstance(error, ReportError) and not isinstance(error, TrainingError):  # a full disk: no run's fault
                errors.append(error)
            elif len(rest) < len(group):
                errors.append(error)
                waiting[:0] = [rest] if rest else []
            elif half:
                waiting[:0] = [group[:half], group[half:]]
            elif isinstance(error, torch.OutOfMemoryError):
                errors.append(TrainingError(f"run {group[0].id} ({group[0].network}) does not fit the GPU's memory: DEVICE=cpu trains it."))
            else:
                errors.append(_failure(group[0], error))
        torch.cuda.empty_cache()
    return errors


def groups(specs: Sequence[RunSpec]) -> list[list[RunSpec]]:
    """Split runs into groups that may train together, like networks side by side."""
    kinds: dict[tuple, list[RunSpec]] = {}
    for s in specs:
        kinds.setdefault((s.corpus, s.n_train, s.epochs, s.batch, s.precision, s.network), []).append(s)
    out = []
    for (*_, network), members in kinds.items():
        size = GROUP.get(network, 12)
        out += [members[i : i + size] for i in range(0, len(members), size)]
    return out


def _failure(spec: RunSpec, error: Exception) -> ReportError:
    """Return the error for a run that failed: a ReportError as it is, what nobody foresaw with the run's name before it."""
    if isinstance(error, ReportError):
        return error
    named = TrainingError(
        f"run {spec.id} ({spec.network} with options {dict(spec.options)}, initialisation {spec.seed}) cannot be trained "
        f"({type(error).__name__}: {error}): change its options, or mend the network."
    )
    named.__cause__ = error
    return named


def _on_cpu(missing, corpora, store, bar) -> list[Exception]:
    """Longest first, a process a core and one thread a process; a single short run stays in this process."""
    from .models import NETWORKS

    ordered = sorted(missing, key=lambda s: -s.images * COST.get(s.network, 1.0))
    # A class that was written in a notebook or script is known to this process alone.
    here = [s for s in ordered if getattr(NETWORKS.get(s.network), "__module__", "") == "__main__"]
    if min(cores(), len(ordered)) == 1 or sum(s.images * COST.get(s.network, 1.0) for s in ordered) < SMALL:
        here = ordered
    errors: list[Exception] = []
    for spec in here:
        try:
            _train_here([spec], corpora[spec.corpus], store, "cpu", bar.add)
        except Exception as error:
            errors.append(_failure(spec, error))
    others = [s for s in ordered if s not in here]
    return errors + _in_processes(others, corpora, store, bar) if others else errors


def _in_processes(ordered, corpora, store, bar) -> list[Exception]:
    for fingerprint in {s.corpus for s in ordered}:  # build pairs once, not in every process
        corpora[fingerprint].train, corpora[fingerprint].val  # noqa: B018
    context = multiprocessing.get_context("spawn")
    counter, stop = context.Value("q", 0), context.Event()
    errors: list[Exception] = []
    before = bar.images
    with _single_threaded(), ProcessPoolExecutor(min(cores(), len(ordered)), context, _start_worker, (counter, stop, os.getpid())) as pool:
        try:
            jobs = {pool.submit(_in_worker, s, corpora[s.corpus], store.folder): s for s in ordered}
            pending = set(jobs)
            while pending:
                done, pending = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
                for future in done:
                    try:
                        future.result()
                    except BrokenProcessPool:
                        raise
                    except Exception as error:
                        errors.append(_failure(jobs[future], error))
                bar.set(before + counter.value)
        except BrokenProcessPool:
            raise TrainingError("a process that trained runs died: killed, or out of memory. Start again; its runs go on from their checkpoints.") from None
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return errors


def _on_dask(missing, corpora, store, bar, device, address) -> list[Exception]:
    """Hand groups to Dask's workers, dearest first; a worker that dies is replaced and its group resumes from its checkpoints."""
    try:
        from dask.distributed import Client, LocalCluster, as_completed
    except ImportError:
        raise ReportError("executor 'dask' needs dask[distributed]: pip install -e '.[dask]', or use EXECUTOR=local.") from None

    here = resolve(device) if not address else device  # a scheduler's workers may have what this machine lacks
    jobs = groups(missing) if here == "cuda" else [[s] for s in missing]
    jobs.sort(key=lambda job: -sum(s.images * COST.get(s.network, 1.0) for s in job))
    errors: list[Exception] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(_single_threaded())
        if not address:
            cluster = LocalCluster(min(cores(), len(jobs)), threads_per_worker=1, dashboard_address=None, host="127.0.0.1")
            address = stack.enter_context(cluster).scheduler_address
        try:
            client = stack.enter_context(Client(address, timeout="10s"))
        except (OSError, ValueError) as error:  # ValueError: an address without a port
            raise ReportError(f"no Dask scheduler answers at {address} ({error}): start one, or use EXECUTOR=dask.") from error
        folder = store.folder.resolve()
        sizes = {
            client.submit(_on_worker, job, corpora[job[0].corpus], folder, device, pure=False): sum(s.images for s in job)
            for job in jobs
        }
        for future in as_completed(sizes):
            if (error := future.exception()) is not None:
                known = isinstance(error, ReportError)
                errors.append(error if known else TrainingError(f"a Dask worker gave up ({type(error).__name__}: {error}): look at its log."))
            bar.add(sizes[future])
    return errors


def _on_worker(specs: Sequence[RunSpec], corpus, folder: Path, device: str) -> None:
    _train_here(specs, corpus, RunStore(folder), resolve(device), lambda images: None)


@contextlib.contextmanager
def _single_threaded():
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
    """Prepare a worker: it adds to the shared counter of images, and ends when it is told to or its parent is gone."""
    global _counter, _stop
    _counter, _stop = counter, stop
    end_with_parent(parent)


def end_with_parent(parent: int) -> None:
    """Let this process end within a second of its parent, and leave a terminal's interrupt, which both get, to the parent."""
    import signal
    import threading

    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _in_worker(spec: RunSpec, corpus, folder: Path) -> None:
    def progress(images: int) -> None:
        if _stop.is_set():
            raise KeyboardInterrupt
        with _counter.get_lock():
            _counter.value += images

    _train_here([spec], corpus, RunStore(folder), "cpu", progress)


class _Bar:
    """A progress bar of training images: in a terminal, in JupyterLab, and silent in a log."""

    def __init__(self, specs: Sequence[RunSpec], quiet: bool):
        self.total, self.runs, self.quiet = sum(s.images for s in specs), len(specs), quiet
        self.images = 0  # trained so far; tqdm forgets it where it is silent

    def __enter__(self):
        from tqdm.auto import tqdm

        in_notebook = "ipykernel" in sys.modules
        self.bar = tqdm(
            total=self.total,
            desc=f"training {self.runs} run{'s' * (self.runs > 1)}",
            unit=" images",
            unit_scale=True,
            smoothing=0.1,
            disable=self.quiet or not (in_notebook or sys.stderr.isatty()),
        )
        return self

    def __exit__(self, *_):
        self.bar.close()

    def add(self, images: int) -> None:
        self.set(self.images + images)

    def set(self, images: int) -> None:
        self.bar.update(images - self.images)
        self.images = images
