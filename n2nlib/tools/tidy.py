"""The committed chapters: executed in place, without anything that changes between executions."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from n2nlib import paths
from n2nlib.errors import ReportError
from n2nlib.report import kernel
from n2nlib.report.closure import load_notebook
from n2nlib.report.plan import chapters
from n2nlib.report.run import ONE_THREAD, START_SECONDS

#: A notebook's metadata, as JupyterLab saves it with the project's kernel.
KEPT = {"kernelspec": {"name": kernel.NAME, "display_name": kernel.DISPLAY_NAME, "language": "python"},
        "language_info": kernel.LANGUAGE}  # fmt: skip

WIDGET = "application/vnd.jupyter.widget-view+json"

#: The project's notebooks besides the chapters. Any other notebook in the folder is the reader's own.
BESIDE = ("explore",)


def committed() -> list[Path]:
    """Return the project's notebooks: the chapters in their order, then the others."""
    named = [paths.notebooks() / f"{name}.ipynb" for name in (*chapters(), *BESIDE)]
    return [path for path in named if path.exists()]


def tracked() -> list[Path]:
    """Return the notebooks that the tests check: those that git tracks, or all without git."""
    listed = _git("ls-files", "-z", "--", ".")
    if not listed:
        return committed()
    names = set(os.fsdecode(listed).split("\0"))
    return [path for path in committed() if path.name in names]


def as_committed(path: Path) -> dict:
    """Return a notebook as `make notebooks` wrote it.

    JupyterLab saves other metadata, and the outputs of the reader's own runs. For such a file this is the
    version that git has staged or committed, or, without git, the file itself.
    """
    notebook = load_notebook(path)
    if is_tidy(notebook):
        return notebook
    stored = _git("show", f":./{path.name}")
    return json.loads(stored) if stored else notebook


def is_tidy(notebook: dict) -> bool:
    """Say whether a notebook is as `make notebooks` writes it: executed in order, without errors."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    in_order = [cell.get("execution_count") for cell in code] == list(range(1, len(code) + 1))
    failed = any(output["output_type"] == "error" for cell in code for output in cell["outputs"])
    return in_order and not failed and tidy(notebook) == notebook


def _git(*words: str) -> bytes:
    """Return the output of git in the notebooks' folder; nothing if git fails or is not installed."""
    try:
        done = subprocess.run(["git", *words], cwd=paths.notebooks(), capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return b""
    return done.stdout if done.returncode == 0 else b""


def tidy_all() -> None:
    """Execute every notebook with its own parameters and write it back with its outputs.

    Raises ReportError naming the notebook that failed and why; its file is left as it was.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
    from nbformat import from_dict, read, writes

    os.environ.update(ONE_THREAD)
    kernel.install()
    os.environ.update(kernel.environment())
    for path in committed():
        start = time.monotonic()
        notebook = from_dict(tidy(read(path, as_version=4)))
        client = NotebookClient(notebook, timeout=None, kernel_name=kernel.NAME, record_timing=False,
                                startup_timeout=START_SECONDS,
                                resources={"metadata": {"path": path.parent}})  # fmt: skip
        try:
            client.execute()
        except CellExecutionError as error:
            raise ReportError(f"{path.name}: {error.ename}: {error.evalue}") from None
        paths.write(path, writes(from_dict(tidy(notebook))) + "\n")  # as Jupyter saves it
        print(f"{path.stem:<28}{time.monotonic() - start:7.1f} s", flush=True)


def tidy(notebook: dict) -> dict:
    """Return a notebook without what changes between executions: times, paths, progress on stderr.

    Where a page comes from (commit, device) is left out too: the commit that holds the notebook says it.
    """
    cells = []
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags")
        cell = dict(cell) | {"metadata": {"tags": list(tags)} if tags else {}}
        if cell["cell_type"] == "code":
            cell["outputs"] = [o for o in cell["outputs"] if not _volatile(o)]
        cells.append(cell)
    return {**notebook, "cells": cells, "metadata": KEPT}


def _volatile(output: dict) -> bool:
    mark = output.get("metadata", {}).get("n2n", {})
    live = WIDGET in output.get("data", {})  # bound to the kernel that made it
    return live or output.get("name") == "stderr" or mark.get("kind") == "provenance"
