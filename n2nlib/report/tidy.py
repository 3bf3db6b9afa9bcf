"""The committed chapters: executed in place at smoke size, with nothing in them that changes from one time to the next."""

from __future__ import annotations

import os
import time
from pathlib import Path

from .. import paths
from ..errors import ReportError
from . import kernel
from .plan import chapters
from .run import ONE_THREAD, START_SECONDS

#: Of a notebook's metadata, what its reader needs.
KEPT = {"kernelspec": {"name": kernel.NAME, "display_name": kernel.DISPLAY_NAME, "language": "python"},
        "language_info": {"name": "python"}}  # fmt: skip


def committed() -> list[Path]:
    """Return the chapters in their order, then what else there is to open in JupyterLab."""
    numbered = [paths.notebooks() / f"{name}.ipynb" for name in chapters()]
    return numbered + sorted(set(paths.notebooks().glob("*.ipynb")) - set(numbered))


def tidy_all() -> None:
    """Execute every notebook with its own parameters and write it back with its outputs.

    Raises ReportError naming the notebook that failed and why; its file is left as it was.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
    from nbformat import from_dict, read

    os.environ.update(ONE_THREAD)
    kernel.install()
    for path in committed():
        start = time.monotonic()
        notebook = from_dict(tidy(read(path, as_version=4)))
        client = NotebookClient(notebook, timeout=None, kernel_name=kernel.NAME, record_timing=False,
                                startup_timeout=START_SECONDS, resources={"metadata": {"path": path.parent}})  # fmt: skip
        try:
            client.execute()
        except CellExecutionError as error:
            raise ReportError(f"{path.name}: {error.ename}: {error.evalue}") from None
        _write(path, tidy(notebook))
        print(f"{path.stem:<28}{time.monotonic() - start:7.1f} s", flush=True)


def tidy(notebook: dict) -> dict:
    """Return a notebook without what changes from one execution to the next: times, paths, progress on stderr.

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
    return output.get("name") == "stderr" or mark.get("kind") == "provenance"


def _write(path: Path, content: dict) -> None:
    """Write a notebook in one move, in the form that Jupyter saves."""
    from nbformat import from_dict, writes

    paths.write(path, writes(from_dict(content)) + "\n")
