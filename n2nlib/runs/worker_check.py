"""The check of Dask's workers: each sees and writes the store, and has this library's versions."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from n2nlib import __version__, paths
from n2nlib.errors import StoreError
from n2nlib.spec import SEMANTICS


@contextlib.contextmanager
def token_in(folder: Path) -> Iterator[Path]:
    """Put a file into the store by which workers show that they see it; without it they stop training."""
    token = folder / ".cluster" / uuid.uuid4().hex[:12]
    try:
        token.parent.mkdir(parents=True, exist_ok=True)
        token.write_text(token.name)
    except OSError as error:
        raise StoreError(paths.unwritable(token.parent, error)) from error
    try:
        yield token
    finally:
        for file in token.parent.glob(f"{token.name}*"):
            file.unlink(missing_ok=True)


def expected() -> dict:
    """Return the versions that a worker must have: those that decide what a run's numbers are."""
    return {"n2nlib": __version__, "semantics": SEMANTICS, "torch": version("torch").partition("+")[0]}


def facts_function():
    """Return the function that a worker runs; it is nested so that it travels whole to a worker without
    this library.
    """

    def facts(token: str) -> dict:
        import pathlib
        import socket
        import uuid

        out = {"host": socket.gethostname()}
        try:
            from n2nlib.runs.worker_check import expected

            out |= expected()
        except Exception as error:
            out["import"] = f"{type(error).__name__}: {error}"
        path = pathlib.Path(token)
        try:
            out["read"] = path.read_text() == path.name
        except OSError:
            out["read"] = False
        if out["read"]:
            answer = path.with_name(f"{path.name}-{uuid.uuid4().hex[:8]}")
            try:
                answer.write_text(out["host"])
                out["answer"] = str(answer)
            except OSError as error:
                out["unwritable"] = str(error)
        return out

    return facts


def fault_of(worker: str, facts, token: Path, wanted: Mapping) -> str | None:
    """Return why a worker that gave these facts about itself cannot be used, in a sentence, or None."""
    if facts is None:  # it went away meanwhile
        return None
    if isinstance(facts, Exception):
        if isinstance(facts, OSError):  # it cannot be reached: the scheduler will notice
            return None
        return (
            f"worker {worker} cannot run a check ({type(facts).__name__}: {facts}): give it the same Python "
            "and Dask as here."
        )
    name = f"worker {worker} on {facts['host']}"
    if "import" in facts:
        return (
            f"{name} cannot import n2nlib ({facts['import']}): install the project there, and start the "
            "worker in that environment."
        )
    for what, ours in wanted.items():
        if facts[what] != ours:
            label = "the training semantics" if what == "semantics" else what
            return f"{name} has {label} {facts[what]} where {ours} is needed: install the same version there."
    folder = token.parent.parent
    if not facts["read"]:
        return (
            f"{name} does not see {folder}: it must have the same results folder, on a shared file system "
            "and under the same path."
        )
    if "unwritable" in facts:
        return (
            f"{name} cannot write to {folder} ({facts['unwritable']}): give it the permission, or mount the "
            "folder writable."
        )
    if not Path(facts["answer"]).exists():
        return f"{name} writes to another {folder} than this machine: it must be on a shared file system."
    return None
