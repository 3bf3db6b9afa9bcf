"""Train the runs that are missing, many at a time: processes on a CPU, groups that share a graph on a GPU, or Dask's workers."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from .device import resolve
from .errors import ReportError, TrainingError, unknown_name
from .runs import Run, RunStore, cores
from .spec import RunSpec

#: `local`: processes of this machine. `dask`: workers of this machine; `dask:tcp://HOST:PORT`: those of a scheduler
#: that runs already and whose workers see the same results folder.
EXECUTORS = ("local", "dask")
#: Relative cost of a training image on one CPU core, measured: for longest-first order and estimates (TNet = 1).
COST = {"TNet": 1.0, "SmallNet": 2.3, "BaseNet": 4.3, "UNet": 12.6}
#: Runs that a GPU trains side by side: enough to fill it, few enough that a slice ends in time.
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
    seconds: float | None = None,
    quiet: bool = False,
) -> list[Run]:
    """Return the runs of some specs in their order, training those that the store lacks.

    `corpora` maps fingerprints to corpora. `seconds`: end the slice after that time; what is unfinished stays in its
    checkpoint. `quiet` shows no progress bar.
    Raises TrainingError if a run fails (all others are finished first), training.Paused when the time is over.
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
        until = time.monotonic() + seconds if seconds is not None else None
        with _Bar(missing, quiet) as bar:
            if kind == "dask":
                errors = _on_dask(missing, corpora, store, until, bar, device, address)
            elif resolve(device) == "cuda":
                errors = _on_gpu(missing, corpora, store, until, bar)
            else:
                errors = _on_cpu(missing, corpora, store, until, bar)
        if errors:
            raise errors[0]
    return [store.get(s) for s in specs]


def estimate(specs: Iterable[RunSpec], rate: float) -> float:
    """Return the seconds that runs take at `rate` TNet images a second."""
    return sum(s.images * COST.get(s.network, 1.0) for s in specs) / rate


def _train_here(specs: Sequence[RunSpec], corpus, store: RunStore, device: str, until, progress) -> None:
    """Train one group and put it into the store; another process that holds one of its runs is waited for."""
    from .training import train

    with contextlib.ExitStack() as locks:
        for spec in sorted(specs, key=lambda s: s.id):  # one order for everybody, so that nobody waits in a circle
            locks.enter_context(store.lock(spec))
        specs = [s for s in specs if not store.has(s)]
        if specs:
            for trained in train(
                specs, corpus, device=device, checkpoints=store.checkpoints, until=until, progress=progress
            ):
                store.put(trained)


def _on_gpu(missing, corpora, store, until, bar) -> list[Exception]:
    errors: list[Exception] = []
    waiting = groups(missing)
    while waiting:
        group = waiting.pop(0)
        try:
            _train_here(group, corpora[group[0].corpus], store, "cuda", until, bar.add)
        except TrainingError as error:
            if len(group) == 1:
                errors.append(error.with_traceback(None))  # its frames would keep networks and graphs on the device
            else:
                waiting[:0] = [[spec] for spec in group]  # one of them failed: the others must not suffer for it
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


def _on_cpu(missing, corpora, store, until, bar) -> list[Exception]:
    """Longest first, a process a core and one thread a process; a single short run stays in this process."""
    ordered = sorted(missing, key=lambda s: -s.images * COST.get(s.network, 1.0))
    workers = min(cores(), len(ordered))
    errors: list[Exception] = []
    if workers == 1 or sum(s.images * COST.get(s.network, 1.0) for s in ordered) < SMALL:
        for spec in ordered:
            try:
                _train_here([spec], corpora[spec.corpus], store, "cpu", until, bar.add)
            except TrainingError as error:
                errors.append(error)
        return errors
    for fingerprint in {s.corpus for s in ordered}:  # build pairs once, not in every process
        corpora[fingerprint].train, corpora[fingerprint].val  # noqa: B018
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    with _single_threaded(), ProcessPoolExecutor(workers, context, _start_worker, (counter, os.getpid())) as pool:
        futures = [pool.submit(_in_worker, s, corpora[s.corpus], store.folder, until) for s in ordered]
        pending = set(futures)
        while pending:
            done = {f for f in pending if f.done()}
            pending -= done
            for future in done:
                error = future.exception()
                if isinstance(error, ReportError):
                    errors.append(error)
                elif error is not None:
                    for other in pending:
                        other.cancel()
                    raise error
            bar.set(counter.value)
            time.sleep(0.1 if pending else 0)
    bar.set(counter.value)
    return errors


def _on_dask(missing, corpora, store, until, bar, device, address) -> list[Exception]:
    """Hand groups to Dask's workers, dearest first; a worker that dies is replaced and its group resumes from its checkpoints."""
    try:
        from dask.distributed import Client, LocalCluster, as_completed
    except ImportError:
        raise ReportError("executor 'dask' needs dask[distributed]: pip install -e '.[dask]', or use EXECUTOR=local.") from None

    from .training import Paused

    here = resolve(device) if not address else device  # a scheduler's workers may have what this machine lacks
    jobs = groups(missing) if here == "cuda" else [[s] for s in missing]
    jobs.sort(key=lambda job: -sum(s.images * COST.get(s.network, 1.0) for s in job))
    deadline = None if until is None else time.time() + until - time.monotonic()  # other machines have other clocks
    errors: list[Exception] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(_single_threaded())
        if not address:
            cluster = LocalCluster(min(cores(), len(jobs)), threads_per_worker=1, dashboard_address=None, host="127.0.0.1")
            address = stack.enter_context(cluster).scheduler_address
        try:
            client = stack.enter_context(Client(address, timeout="10s"))
        except OSError as error:
            raise ReportError(f"no Dask scheduler answers at {address} ({error}): start one, or use EXECUTOR=dask.") from error
        folder = store.folder.resolve()
        sizes = {
            client.submit(_on_worker, job, corpora[job[0].corpus], folder, device, deadline, pure=False): sum(s.images for s in job)
            for job in jobs
        }
        for future in as_completed(sizes):
            if (error := future.exception()) is not None:
                known = isinstance(error, ReportError | Paused)
                errors.append(error if known else TrainingError(f"a Dask worker gave up ({type(error).__name__}: {error}): look at its log."))
            bar.add(sizes[future])
    return errors


def _on_worker(specs: Sequence[RunSpec], corpus, folder: Path, device: str, deadline: float | None) -> None:
    until = None if deadline is None else time.monotonic() + deadline - time.time()
    _train_here(specs, corpus, RunStore(folder), resolve(device), until, lambda images: None)


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


_counter = None


def _start_worker(counter, parent: int) -> None:
    """Prepare a worker: it adds to the shared counter of images, and ends when its parent is gone."""
    import threading

    global _counter
    _counter = counter

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _in_worker(spec: RunSpec, corpus, folder: Path, until: float | None) -> None:
    def progress(images: int) -> None:
        with _counter.get_lock():
            _counter.value += images

    _train_here([spec], corpus, RunStore(folder), "cpu", until, progress)


class _Bar:
    """A progress bar of training images: in a terminal, in JupyterLab, and silent in a log."""

    def __init__(self, specs: Sequence[RunSpec], quiet: bool):
        self.total, self.done = sum(s.images for s in specs), 0
        # papermill and make's log want no line an update
        self.quiet = quiet or bool(os.environ.get("N2N_QUIET"))
        self.runs = len(specs)

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
        self.bar.update(images)

    def set(self, images: int) -> None:
        self.bar.update(images - self.bar.n)
