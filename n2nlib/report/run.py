"""Make what is stale: train what is missing, execute chapters with papermill, render the report."""

from __future__ import annotations

import ast
import multiprocessing
import os
import shutil
import time
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .. import paths
from ..errors import ReportError, unknown_name
from ..experiments import initialisations
from ..runs import RunStore, cores, may_train
from ..spec import profile
from . import kernel
from .closure import load_notebook
from .plan import REPORT, Settings, State, chapter_inputs, chapters, missing_runs, plan, reads_others, report_inputs

#: One thread a process: two chapters share the cores, and a CPU run's bits are defined for one thread.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SIDE_BY_SIDE = 2


def make(settings: Settings, executor: str = "local", fresh: bool = False, only: str | None = None) -> bool:
    """Bring a report up to date; return False if there was nothing to do.

    `fresh` re-executes every chapter and retrains every run; `only` names one chapter to execute again.
    Raises ReportError naming chapter and cell when a cell fails; what was finished by then stays finished. Where nothing
    may be trained, at least one run of TNet must be stored.
    """
    if not may_train() and not tnet_is_stored(settings):
        raise ReportError(
            f"no run of TNet on {settings.corpus} at profile {settings.profile} is stored, so there is nothing to show "
            "without training: leave TRAIN=0 out, or choose another PROFILE."
        )
    force = chapters() if fresh else [only] if only else []
    if not any(step.reason for step in plan(settings, force)):
        return False
    settings.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(settings.folder / ".lock", timeout=0):
            _make(settings, executor, fresh, force)
    except Timeout:
        raise ReportError(f"another `make report` is at work in {settings.folder}: wait for it, or stop it.") from None
    return True


def _make(settings: Settings, executor: str, fresh: bool, force: list[str]) -> None:
    os.environ.update({name: os.environ.get(name, value) for name, value in ONE_THREAD.items()})
    kernel.install()
    stale = [step.name for step in plan(settings, force) if step.reason and step.name != REPORT]
    if stale:
        if fresh:
            forget(settings)
        with timed("training"):
            train(settings, executor)
    execute(settings, [name for name in stale if not reads_others(name)])
    # What the last chapter reads has just been written, so whether it is stale is asked again.
    execute(settings, [s.name for s in plan(settings, force) if s.reason and s.name in chapters() and reads_others(s.name)])
    with timed("report.html and report.pdf") as clock:
        from .render import render

        state = State(settings)
        inputs = report_inputs(settings, state)
        outputs = render(settings)
    state.record(REPORT, inputs, outputs, clock.seconds)
    print(f"done: {settings.folder / 'report.html'}")


def tnet_is_stored(settings: Settings) -> bool:
    """Say whether the store holds an initialisation of the paper's TNet at this size, which every chapter shows."""
    tnet = initialisations(profile(settings.profile), settings.opened.fingerprint)
    return any(RunStore().has(spec) for spec in tnet)


def train(settings: Settings, executor: str) -> None:
    """Train the runs that the store does not hold, in one sweep."""
    from ..sweep import sweep

    missing = missing_runs(settings)
    if missing:
        sweep(missing, {settings.opened.fingerprint: settings.opened}, device=settings.device, executor=executor)


def forget(settings: Settings) -> None:
    """Remove every run and measurement on the report's corpus from the store, so that it is made again."""
    store, fingerprint = RunStore().folder, settings.opened.fingerprint
    made = [p for kind in ("runs/*/spec.json", "measurements/*/*/inputs.json") for p in store.glob(kind)]
    gone = [p.parent for p in made if f'"{fingerprint}"' in p.read_text()]
    for folder in gone:
        shutil.rmtree(folder)
    if gone:
        print(f"FRESH: {len(gone)} stored runs and measurements removed; `git checkout results/store` brings tracked ones back")


def execute(settings: Settings, names: list[str]) -> None:
    """Execute chapters, two at a time where there are cores for it, and record each as it finishes."""
    if not names:
        return
    state = State(settings)
    jobs = {name: _Job(settings, name, chapter_inputs(settings, name, state)) for name in names}
    workers = min(SIDE_BY_SIDE, cores(), len(jobs))
    failures = []
    # spawn: papermill runs an event loop, and torch's threads do not survive a fork.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(_execute, job.source, job.part, job.parameters): job for job in jobs.values()}
        pending = set(running)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                job = running[future]
                try:
                    seconds, failure = future.result()
                except BrokenProcessPool:
                    raise ReportError(f"the process that executes {job.name} died: killed, or out of memory. Start again.") from None
                if failure:  # what runs beside it may finish, what waits is not begun
                    pending = {other for other in pending if not other.cancel()}
                    if job.part.exists():
                        os.replace(job.part, job.failed)
                    failures.append(f"chapter {job.name} stopped in {failure}\n  The notebook as far as it came: {job.failed}")
                    continue
                os.replace(job.part, job.target)
                job.failed.unlink(missing_ok=True)
                state.record(job.name, job.inputs, outputs_of(settings, job.name), seconds)
                print(f"{job.name:<28}{seconds:7.1f} s", flush=True)
    if failures:
        raise ReportError("\n".join(failures))


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

    @property
    def parameters(self) -> dict[str, Any]:
        s = self.settings
        known = parameters_of(self.source)
        extra = {name: value for name, value in s.extra.items() if name in known}
        return {"corpus": s.corpus, "profile": s.profile, "device": s.device, **extra}


def _execute(source: Path, part: Path, parameters: Mapping[str, Any]) -> tuple[float, str | None]:
    """Execute one notebook into `part`; return its seconds and, if a cell failed, which and why."""
    import papermill
    from nbclient.exceptions import DeadKernelError

    part.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    failure = None
    try:
        papermill.execute_notebook(
            source, part, dict(parameters), kernel_name=kernel.NAME, cwd=source.parent,
            progress_bar=False, request_save_on_cell_execute=False, autosave_cell_every=0,
        )  # fmt: skip
    except papermill.PapermillExecutionError as error:
        cells = load_notebook(part)["cells"]
        # papermill marks the cell that failed, and puts a banner above it
        bad = next((c for c in cells if c["metadata"].get("papermill", {}).get("exception")), cells[error.cell_index])
        first = next((line for line in "".join(bad["source"]).splitlines() if line.strip()), "")
        failure = f"cell {bad['id']!r} (`{first}`):\n  {error.ename}: {error.evalue}"
    except DeadKernelError:
        failure = "its kernel, which died: killed, or out of memory."
    return time.monotonic() - start, failure


def outputs_of(settings: Settings, chapter: str) -> list[str]:
    """Return the outputs of an executed chapter: the notebook, and the files of what it displays."""
    name = f"notebooks/{chapter}.ipynb"
    files = [name, f"numbers/{chapter}.json", *(["claims.json"] if reads_others(chapter) else [])]
    for cell in load_notebook(settings.file(name))["cells"]:
        for output in cell.get("outputs", []):
            shown = output.get("metadata", {}).get("n2n", {})
            if shown.get("kind") == "table":
                files += [f"tables/{shown['name']}.{suffix}" for suffix in ("csv", "md", "tex")]
            elif shown.get("kind") == "figure":
                files += [f"figures/{shown['name']}.{suffix}" for suffix in ("pdf", "png")]
    return [f for f in dict.fromkeys(files) if settings.file(f).exists()]


def parameters_of(notebook: Path) -> dict[str, str]:
    """Return name -> default (as source text) of the parameters that a notebook declares."""
    import papermill

    return {name: p["default"] for name, p in papermill.inspect_notebook(notebook).items()}


def checked(values: Mapping[str, str], names: list[str] | None = None) -> dict[str, Any]:
    """Return notebook parameters given as text, as values of the types that the chapters declare.

    Raises ReportError for a name that no chapter knows (papermill would only warn) or a value of another type.
    """
    if not values:
        return {}
    declared: dict[str, str] = {}
    for name in names or chapters():
        declared |= parameters_of(paths.notebooks() / f"{name}.ipynb")
    out = {}
    for name, text in values.items():
        if name not in declared:
            raise unknown_name("notebook parameter", name, declared)
        out[name] = _typed(name, text, ast.literal_eval(declared[name]))
    return out


def _typed(name: str, text: str, default: Any) -> Any:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    if isinstance(default, str):
        return text
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        raise ReportError(f"notebook parameter {name} = {text!r}: give a value of type {type(default).__name__}, like {default!r}.")
    return value


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
