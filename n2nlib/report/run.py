"""Rebuild stale steps: train missing runs, execute chapters with papermill, render the report."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from n2nlib import paths
from n2nlib.device import cores
from n2nlib.errors import ReportError
from n2nlib.experiments import with_seeds
from n2nlib.locks import lock
from n2nlib.owners import disown
from n2nlib.profiles import profile
from n2nlib.report import kernel, live
from n2nlib.report.closure import load_notebook
from n2nlib.report.plan import CHECK, REPORT, Build, Settings, chapters, reads_others
from n2nlib.runs.progress import BEGINNINGS, EVERY, duration, say, still
from n2nlib.runs.store import SUPERSEDED
from n2nlib.runs.sweep import end_with_parent, sweep
from n2nlib.spec import RunSpec

#: One thread per process: two chapters share the cores, and a CPU run's bits are defined for one thread.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SIDE_BY_SIDE = 2
#: Seconds that a kernel may take to start: minutes on a busy machine or from a slow disk.
START_SECONDS = 600


def make(
    settings: Settings,
    fresh: bool = False,
    only: str | None = None,
    device: str | None = None,
    emulate_bf16: bool = False,
) -> bool:
    """Bring a report up to date; return False if there was nothing to do.

    `fresh` re-executes every chapter and retrains this report's runs on its dataset; `only` names one chapter
    to execute again; `device` is where runs are trained, if that is another than where the chapters run;
    `emulate_bf16` allows bf16 on a CPU without arithmetic for it. Raises ReportError naming chapter and cell
    when a cell fails; what was finished by then stays finished. Where nothing is trained, at least one run of
    TNet must be stored.
    """
    build = Build(settings, chapters() if fresh else [only] if only else [])
    refuse(build, fresh)
    build.tell_damage()
    stale = [name for name, reason in build.steps().items() if reason]
    if not stale:
        return False
    try:
        settings.folder.mkdir(parents=True, exist_ok=True)
        held = lock(settings.folder / ".lock", timeout=0)
    except Timeout:
        raise ReportError(
            f"another `make report` is at work in {settings.folder}: wait for it, or stop it."
        ) from None
    except OSError as error:
        raise ReportError(paths.unwritable(settings.folder, error)) from error
    with held:
        _make(build, stale, fresh, device, emulate_bf16)
    return True


def refuse(build: Build, fresh: bool) -> None:
    """Raise ReportError where nothing may be trained, but must be: for `fresh`, or for lack of a run."""
    settings = build.settings
    if fresh and not settings.train:
        raise ReportError(
            "FRESH=1 retrains and TRAIN=0 forbids it: leave one of them out (CHAPTER= re-executes a chapter)."
        )
    if not settings.train and not tnet_is_stored(build):
        instead = "choose a PROFILE, which trains" if settings.check else "leave TRAIN=0 out"
        raise ReportError(
            f"no run of TNet on {settings.dataset} at profile {settings.profile} is stored, so there is "
            f"nothing to show without training: {instead}, or fetch {paths.evidence()} with git."
        )


def _make(build: Build, stale: list[str], fresh: bool, device: str | None, emulate_bf16: bool) -> None:
    settings = build.settings
    os.environ.update({name: os.environ.get(name, value) for name, value in ONE_THREAD.items()})
    # The bars of chapters are not watched, even if `make` was started from a notebook.
    os.environ.pop("JPY_SESSION_NAME", None)
    kernel.install()
    os.environ.update(kernel.environment())
    if CHECK in stale:
        with timed(CHECK) as clock:
            told = live.check()
        build.record(CHECK, build.inputs(CHECK), [], clock.seconds, told=told)
        print(f"{CHECK}: {told}")
    stale = [name for name in stale if name in build.chapters]
    if stale and settings.train:
        if fresh:
            if not (emulate_bf16 or settings.executor.partition(":")[2]):
                from n2nlib.training.engine import refuse_emulated

                refuse_emulated(build.wanted, device or settings.device)  # before anything is removed
            forget(build)
        with timed("training"):
            missing = build.wanted if fresh else build.missing
            train(settings, missing, device or settings.device, emulate_bf16)
    execute(build, [name for name in stale if not reads_others(name)])
    # Whether the last chapter is stale depends on what the others have just written.
    execute(build, [name for name in build.chapters if reads_others(name) and build.reason(name)])
    with timed("report.html and report.pdf") as clock, still("rendering report.html and report.pdf"):
        from n2nlib.report.render import render

        inputs = build.inputs(REPORT)
        outputs = render(settings, keep=not build.layout_changed)
    build.record(REPORT, inputs, outputs, clock.seconds)
    print(f"done: {settings.folder / 'report.html'}")


def tnet_is_stored(build: Build) -> bool:
    """Say whether the store holds a seed of the paper's TNet at this size, which every chapter shows."""
    settings = build.settings
    return any(map(build.store.has, with_seeds(profile(settings.profile), settings.opened.fingerprint)))


def train(settings: Settings, missing: list[RunSpec], device: str, emulate_bf16: bool = False) -> None:
    """Train the runs that the store does not hold, in one sweep."""
    if missing:
        known = {settings.opened.fingerprint: settings.opened}
        sweep(missing, known, device=device, executor=settings.executor, emulate_bf16=emulate_bf16)


def forget(build: Build) -> None:
    """Let this report's runs be trained again, and measured again what names them or its dataset alone.

    Local entries are removed. Evidence is never removed: the store notes that its copies do not count, and
    what is computed again goes into the local layer, which wins where both have an id. Runs of other profiles
    stay.
    """
    # First: if interrupted later, the report would pass for up to date without its runs.
    build.forget()
    store = build.store
    if gone := store.forget(build.wanted, build.settings.opened.fingerprint):
        print(
            f"FRESH: {gone} stored runs and measurements will be computed again; the tracked evidence stays, "
            f"and counts again without {store.folder / SUPERSEDED}"
        )


def execute(build: Build, names: list[str]) -> None:
    """Execute chapters, two at a time where there are cores for it, and record each as it finishes."""
    if not names:
        return
    settings = build.settings
    disown(settings.folder, names)
    waiting = [_Job(settings, name, build.inputs(name)) for name in names]
    workers = min(SIDE_BY_SIDE, cores(), len(waiting))
    failures = []
    times = [build.made.get(name, {}).get("seconds") for name in names]
    last = f", about {duration(sum(times) / workers)} by the times of before" if all(times) else ""
    say(f"executing {len(names)} chapter{'s' * (len(names) > 1)}, {workers} at a time{last}")
    with _pool(workers) as pool:
        running: dict[Future, _Job] = {}
        begun: dict[str, float] = {}
        due = time.monotonic() + EVERY
        while waiting or running:
            while waiting and len(running) < workers:  # one per process: a pool may begin every job it holds
                job = waiting.pop(0)
                running[pool.submit(_execute, job.source, job.part, settings.parameters)] = job
                begun[job.name] = time.monotonic()
            ended = wait(running, timeout=max(0.0, due - time.monotonic()), return_when=FIRST_COMPLETED).done
            if not ended:
                now = time.monotonic()
                under_way = [f"{job.name}, {duration(now - begun[job.name])}" for job in running.values()]
                done = len(names) - len(waiting) - len(running)
                say(f"still executing {' and '.join(under_way)} ({done} of {len(names)} chapters done)")
                due = now + EVERY
            for future in ended:
                job = running.pop(future)
                try:
                    seconds, failure = future.result()
                except BrokenProcessPool:
                    raise ReportError(
                        f"the process that executes {job.name} died: killed, or out of memory. Start again."
                    ) from None
                if failure:  # what runs beside it may finish, what waits is not begun
                    waiting = []
                    if job.part.exists():
                        os.replace(job.part, job.failed)
                    failures.append(
                        f"chapter {job.name} stopped in {failure}\n"
                        f"  The notebook as far as it came: {job.failed}"
                    )
                    continue
                os.replace(job.part, job.target)
                job.failed.unlink(missing_ok=True)
                build.record(job.name, job.inputs, outputs_of(settings, job.name), seconds)
                print(f"{job.name:<28}{seconds:7.1f} s", flush=True)
    if failures:
        raise ReportError("\n".join(failures))


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Open a pool of processes that end with this one, and at once if the block ends in an exception."""
    others = set(multiprocessing.active_children())
    # spawn: papermill runs an event loop, and torch's threads do not survive a fork.
    with ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), end_with_parent, (os.getpid(),)
    ) as pool:
        try:
            yield pool
        except BaseException:
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()  # its kernel detects it, and ends
            raise


@dataclass(frozen=True)
class _Job:
    settings: Settings
    name: str
    inputs: Mapping[str, str]

    @property
    def source(self) -> Path:
        return paths.notebooks() / f"{self.name}.ipynb"

    @property
    def target(self) -> Path:
        return self.settings.file(f"notebooks/{self.name}.ipynb")

    @property
    def part(self) -> Path:
        return self.target.with_name(f".{self.name}.part.ipynb")

    @property
    def failed(self) -> Path:
        return self.target.with_name(f"{self.name}.failed.ipynb")


def _execute(source: Path, part: Path, parameters: Mapping[str, str | bool]) -> tuple[float, str | None]:
    """Execute one notebook into `part`; return its seconds and, if a cell failed, which and why."""
    import papermill
    from nbclient.exceptions import DeadKernelError

    part.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    failure = None
    logging.getLogger("papermill").setLevel(logging.ERROR)  # it warns in a line per parameter
    own = papermill.inspect_notebook(source)
    if lacking := [name for name in parameters if name not in own]:
        say(
            f"{source.name}: no cell tagged `parameters` sets {', '.join(lacking)}, so that this report "
            "cannot: add them as in docs/chapter.md"
        )
    os.environ["N2N_NOTEBOOK"] = str(source)  # the kernel inherits it: see `Study.open`
    try:
        papermill.execute_notebook(
            source, part, dict(parameters), kernel_name=kernel.NAME, cwd=source.parent,
            progress_bar=False, request_save_on_cell_execute=False, autosave_cell_every=0,
            start_timeout=START_SECONDS, stderr_file=_PassedOn(source.stem),
        )  # fmt: skip
    except papermill.PapermillExecutionError:
        pass  # it is raised for an error that a tag allows too, and not for each SystemExit: `stopped` looks
    except DeadKernelError:
        failure = "its kernel, which died: killed, or out of memory."
    except RuntimeError as error:  # jupyter_client's, before the first cell
        if "Kernel d" not in str(error):  # "didn't respond", "died before replying"
            raise
        failure = (
            f"its kernel, which did not start ({error}): the machine may be too busy, or the environment "
            "broken. Start again."
        )
    finally:
        del os.environ["N2N_NOTEBOOK"]
    return time.monotonic() - start, failure or stopped(part)


def stopped(path: Path) -> str | None:
    """Return where and why an executed notebook stopped, if it did; take out what papermill added to it.

    As for nbclient and nbval, a cell that is tagged `raises-exception` may fail, and the next one follows.
    """
    notebook = load_notebook(path)
    tags = [cell["metadata"].get("tags", []) for cell in notebook["cells"]]
    cells = [c for c, t in zip(notebook["cells"], tags, strict=True) if "papermill-error-cell-tag" not in t]
    if len(cells) < len(tags):
        paths.write(path, json.dumps(notebook | {"cells": cells}, indent=1, ensure_ascii=False) + "\n")
    for cell in cells:
        errors = [o for o in cell.get("outputs", []) if o["output_type"] == "error"]
        failed = errors or cell["metadata"].get("papermill", {}).get("exception")
        if failed and "raises-exception" not in cell["metadata"].get("tags", []):
            error = errors[0] if errors else {"ename": "an error", "evalue": "without a message"}
            ending = "the cells below it were not executed" if error["ename"] == "SystemExit" else ""
            why = ": ".join(filter(None, [error["ename"], error["evalue"], ending]))
            first = next((line for line in "".join(cell["source"]).splitlines() if line.strip()), "")
            return f"cell {cell['id']!r} (`{first}`):\n  {why}"
    return None


class _PassedOn:
    """A file for what a chapter writes to stderr: lines of progress go to this process's stderr, with the
    chapter's name.
    """

    def __init__(self, name: str):
        self.name, self.rest = name, ""

    def write(self, text: str) -> None:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            if line.startswith(BEGINNINGS):
                say(f"{self.name}: {line}")

    def flush(self) -> None:
        pass


def outputs_of(settings: Settings, chapter: str) -> list[str]:
    """Return the outputs of an executed chapter: the notebook, and the files of what it displays."""
    name = f"notebooks/{chapter}.ipynb"
    files = [name, f"numbers/{chapter}.json", *(["claims.json"] if reads_others(chapter) else [])]
    for cell in load_notebook(settings.file(name))["cells"]:
        for output in cell.get("outputs", []):
            shown = output.get("metadata", {}).get("n2n", {})
            if shown.get("kind") == "table":
                files += [f"tables/{shown['name']}.{suffix}" for suffix in ("csv", "md")]
            elif shown.get("kind") == "figure":
                files += [f"figures/{shown['name']}.{suffix}" for suffix in ("pdf", "png")]
    return [f for f in dict.fromkeys(files) if settings.file(f).exists()]


class timed:
    """Print what was done and its seconds when the block ends well."""

    def __init__(self, what: str):
        self.what = what

    def __enter__(self):
        self.start = time.monotonic()
        return self

    def __exit__(self, kind, *_):
        self.seconds = time.monotonic() - self.start
        if kind is None:
            print(f"{self.what:<28}{self.seconds:7.1f} s", flush=True)
