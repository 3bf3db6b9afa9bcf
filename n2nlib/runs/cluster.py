"""Training on Dask's workers: of this machine, or of a scheduler whose workers see the same results folder.

Before anything is trained, each worker shows that it reads and writes the store and has the same versions;
one that joins later does so before its first run. What goes wrong is noticed within seconds and said in a
sentence; finished runs stay.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from n2nlib.device import cores, resolve
from n2nlib.errors import ReportError, TrainingError
from n2nlib.runs.progress import EVERY, Meter, Progress, duration, say, still
from n2nlib.runs.speed import cost, kind, work
from n2nlib.runs.store import RunStore
from n2nlib.runs.sweep import no_runs_fault, single_threaded
from n2nlib.runs.worker_check import expected, facts_function, fault_of, token_in
from n2nlib.spec import RunSpec

#: Seconds without a usable worker after which a sweep stops: a cluster's queue may take minutes to start
#: one.
WORKER_WAIT = 600.0
#: Seconds without a usable worker until the first line about it.
WORKER_FIRST = 5.0
#: Seconds in which a scheduler must answer a question, and seconds from one question to the next.
ANSWER, LOOK = 20.0, 2.0
#: Seconds in which workers must have answered the check: their first import may come from a slow disk.
CHECK = 120.0
#: How often a job is handed out again after a worker turned out to be unusable.
TRIES = 5


class WorkerError(ReportError):
    """A worker of a cluster that cannot train for this store; `worker` is its address."""

    def __init__(self, message: str, worker: str = ""):
        super().__init__(message)
        self.worker = worker


def on_dask(
    jobs, datasets: Mapping, store: RunStore, bar: Progress, device: str, address: str, emulate_bf16: bool
) -> list[Exception]:
    """Train groups of runs on Dask's workers, most expensive first, and return the errors of those that
    failed.

    A worker that dies is replaced, and its group resumes from its checkpoints. `address` is a running
    scheduler's; "" starts workers on this machine. Raises ReportError where no scheduler or no usable worker
    is there.
    """
    try:
        from dask.distributed import Client, LocalCluster
    except ImportError:
        raise ReportError(
            "executor 'dask' needs dask[distributed]: pip install -e '.[dask]', or use EXECUTOR=local."
        ) from None
    jobs = sorted(jobs, key=lambda job: -sum(cost(s) for s in job))
    with contextlib.ExitStack() as stack:
        stack.enter_context(single_threaded())
        stack.enter_context(_quiet())
        if not address:
            cluster = LocalCluster(n_workers=min(cores(), len(jobs)), threads_per_worker=1,
                                   dashboard_address=None, host="127.0.0.1")  # fmt: skip
            address = stack.enter_context(cluster).scheduler_address
        try:
            client = Client(address, timeout="10s", set_as_default=False)
        except (OSError, ValueError) as error:  # ValueError: an address without a port
            raise ReportError(
                f"no Dask scheduler answers at {address} ({error}): start one, or use EXECUTOR=dask."
            ) from error
        stack.callback(client.close, timeout=2)
        token = stack.enter_context(token_in(store.folder.resolve()))
        return _Campaign(client, address, token, jobs, datasets, store, bar, device, emulate_bf16).finish()


class _Campaign:
    """The jobs of one sweep on the workers of one scheduler."""

    def __init__(self, client, address, token: Path, jobs, datasets, store, bar, device, emulate_bf16):
        self.client, self.address, self.token, self.jobs, self.bar = client, address, token, jobs, bar
        shared = store.folder.resolve(), device, emulate_bf16, token, expected()
        self.arguments = [(job, i, datasets[job[0].dataset], *shared) for i, job in enumerate(jobs)]
        self.fit: dict[str, int] = {}  # worker -> threads, of those that are connected and usable
        self.unfit: dict[str, str] = {}  # worker -> why
        self.counted: dict[int, tuple[int, int, float]] = {}  # job -> images, timed, seconds
        self.tries = [0] * len(jobs)
        self.pending: dict = {}  # future -> number of the job
        self.errors: list[Exception] = []
        self.finished = 0

    def finish(self) -> list[Exception]:
        """Hand out all jobs, wait for them, and return the errors of those that failed."""
        topic = f"n2n-{self.token.name}"
        self.client.subscribe_topic(topic, self._count)
        with still(f"checking the workers of {self.address}", self.bar.quiet):
            self._look()
        self._refuse_if_all_are_unfit()
        self.bar.slots = max(1, sum(self.fit.values()))
        if self.fit:
            self.bar.open()
        for number in range(len(self.jobs)):
            self._submit(number)
        looked = seen = time.monotonic()
        due = seen + WORKER_FIRST
        while self.pending:
            time.sleep(0.1)
            if self.client.status != "running":
                raise self._lost()
            for future in [f for f in self.pending if f.done()]:
                self._take(future, self.pending.pop(future))
            if not self.pending:
                break
            now = time.monotonic()
            if now - looked >= LOOK:
                self._look()
                self._refuse_if_all_are_unfit()
                looked = now = time.monotonic()
            if self.fit:
                seen, due = now, now + WORKER_FIRST
                self._show()
            elif now - seen > WORKER_WAIT:
                raise ReportError(
                    f"no worker of the Dask scheduler at {self.address} was connected for "
                    f"{duration(WORKER_WAIT)}: start workers (`dask worker {self.address}`, or your "
                    f"cluster's queue) and start again; {self._kept()}"
                )
            elif now >= due:
                if not self.bar.quiet:
                    say(
                        f"training: waiting for a worker of the scheduler at {self.address}; none connected "
                        f"{'yet' if not self.finished else 'any more'}, {duration(now - seen)} (for up to "
                        f"{duration(WORKER_WAIT)})"
                    )
                due = now + EVERY
        return self.errors

    def _submit(self, number: int) -> None:
        # A preference, not a command: a job must not wait for a worker that has gone.
        where = {"workers": list(self.fit), "allow_other_workers": True} if self.unfit and self.fit else {}
        future = self.client.submit(_on_worker, *self.arguments[number], pure=False, **where)
        self.pending[future] = number

    def _take(self, future, number: int) -> None:
        """Note how a job ended; hand it out again where the worker was at fault."""
        job = self.jobs[number]
        if future.status == "finished":
            self.finished += len(job)
            _, timed, seconds = self.counted.get(number, (0, 0, 0.0))
            self.counted[number] = (sum(map(work, job)), timed, seconds)
            self._show()
            self.bar.finished(len(job))
            return
        if future.status in ("cancelled", "lost"):
            raise self._lost()
        error, workers_fault = future.exception(), False
        if isinstance(error, WorkerError):
            self._turn_down(error.worker, str(error))
            workers_fault = True
        elif type(error).__name__ == "KilledWorker":
            error = TrainingError(
                f"{_runs(job)} given up: {error.allowed_failures + 1} workers died while training, the last "
                f"at {error.last_worker.address}. They were killed, or out of memory: look at their logs, "
                "and start again to resume."
            )
        elif not isinstance(error, ReportError):
            known = set(self.unfit)
            self._look(again=True)  # a worker that lacks this library fails before it can say who it is
            workers_fault = set(self.unfit) != known
        self._refuse_if_all_are_unfit()
        self.tries[number] += 1
        if workers_fault and self.tries[number] < TRIES:
            self._submit(number)
            return
        self.errors.append(error if isinstance(error, ReportError) else _named(job, error))
        self.bar.finished(0, failed=len(job))
        if no_runs_fault(error) and not workers_fault:
            # Take back the jobs of which no worker has reported anything yet.
            for waiting, other in list(self.pending.items()):
                if other not in self.counted:
                    waiting.cancel()
                    del self.pending[waiting]

    def _look(self, again: bool = False) -> None:
        """Find out which workers are connected, and check those that are new (with `again`, all)."""
        threads = self._ask(self.client.scheduler.ncores, workers=None, callback_timeout=ANSWER)
        new = [w for w in threads if w not in self.unfit and (again or w not in self.fit)]
        self.fit = {w: n for w, n in threads.items() if w in self.fit}
        if new:
            answers = self._ask(self.client._run, facts_function(), str(self.token), workers=new,
                                on_error="return", callback_timeout=CHECK)  # fmt: skip
            for worker in new:
                if fault := fault_of(worker, answers.get(worker), self.token, expected()):
                    self._turn_down(worker, fault)
                elif worker in answers:
                    self.fit[worker] = threads[worker]
        self.bar.slots = max(1, sum(self.fit.values()))

    def _ask(self, question, *about, **how):
        """Return a scheduler's answer; raises ReportError where it does not answer."""
        try:
            return self.client.sync(question, *about, **how)
        except (TimeoutError, OSError) as error:
            # A connection that breaks is a scheduler that has gone; the client may notice later.
            if self.client.status != "running" or not isinstance(error, TimeoutError):
                raise self._lost() from error
            raise ReportError(
                f"the Dask scheduler at {self.address} does not answer ({type(error).__name__} {error}): "
                f"look at its log and start again; {self._kept()}"
            ) from error

    def _turn_down(self, worker: str, why: str) -> None:
        self.fit.pop(worker, None)
        if worker not in self.unfit:
            self.unfit[worker] = why
            if not self.bar.quiet:
                say(f"training: not on this worker: {why}")

    def _refuse_if_all_are_unfit(self) -> None:
        if self.unfit and not self.fit:
            first = next(iter(self.unfit))
            more = len(self.unfit) - 1
            others = f" ({more} other workers cannot be used either.)" if more else ""
            raise WorkerError(self.unfit[first] + others, first)

    def _count(self, event) -> None:
        """Take over what a worker has reported of its job; called from Dask's own thread."""
        _, values = event
        self.counted[values["job"]] = (values["images"], values["timed"], values["seconds"])

    def _show(self) -> None:
        sums = {k: [0, 0, 0.0] for k in self.bar.kinds}
        for number, values in list(self.counted.items()):
            row = sums[kind(self.jobs[number][0])]
            for i, value in enumerate(values):
                row[i] += value
        self.bar.set({k: tuple(v) for k, v in sums.items()})

    def _lost(self) -> ReportError:
        return ReportError(
            f"the Dask scheduler at {self.address} was stopped or restarted, and with it the runs under way: "
            f"start again when it is there; {self._kept()}"
        )

    def _kept(self) -> str:
        return (
            f"{self.finished} of {self.bar.runs} runs are finished and stored, the others resume from their "
            "checkpoints."
        )


def _on_worker(specs: Sequence[RunSpec], number: int, dataset, folder: Path, device: str,
               emulate_bf16: bool, token: Path, wanted: dict) -> None:  # fmt: skip
    """Train a job on a worker, after the same check that its fellows passed, until its sweep has ended."""
    from dask.distributed import get_worker

    from n2nlib.runs.sweep import train_here

    worker = get_worker()
    facts = facts_function()(str(token))
    if fault := fault_of(worker.address, facts, token, wanted):
        raise WorkerError(fault, worker.address)
    Path(facts["answer"]).unlink(missing_ok=True)
    totals, told = [0, 0, 0.0], 0.0

    def report(*counted: float) -> None:
        nonlocal told
        for i, value in enumerate(counted):
            totals[i] += value
        now = time.monotonic()
        if now - told > 1:
            told = now
            try:
                token.stat()
            except FileNotFoundError:
                raise ReportError("the sweep that asked for this run has ended.") from None
            except OSError:  # a shared file system's passing trouble
                return
            worker.log_event(
                f"n2n-{token.name}",
                {"job": number, "images": totals[0], "timed": totals[1], "seconds": totals[2]},
            )

    train_here(specs, dataset, RunStore(folder), resolve(device), Meter(report), emulate_bf16=emulate_bf16)


def _runs(job: Sequence[RunSpec]) -> str:
    first = job[0]
    more = f" and {len(job) - 1} more" if len(job) > 1 else ""
    return f"run {first.id} ({first.network}, seed {first.seed}){more}"


def _named(job: Sequence[RunSpec], error: Exception) -> TrainingError:
    named = TrainingError(
        f"{_runs(job)} failed on a Dask worker ({type(error).__name__}: {error}): look at the worker's log."
    )
    named.__cause__ = error
    return named


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's own reports of a lost scheduler or worker from the terminal: a sentence says it."""
    names = ("distributed", "distributed.client", "distributed.nanny", "distributed.core")
    before = {logger: logger.level for logger in map(logging.getLogger, names)}
    for logger in before:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)
