"""The committed chapters: complete, tidy, and really checked by nbval (which runs over them beside these tests)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from fake_chapters import write

from n2nlib import paths
from n2nlib.report import plan
from n2nlib.report.closure import load_notebook
from n2nlib.tools.tidy import KEPT, as_committed, committed, is_tidy, tracked

NOTEBOOKS = {path.stem: path for path in tracked()}
CHECK = "nbval-check-output"


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def printed(cell: dict) -> str:
    return "".join("".join(o["text"]) for o in cell.get("outputs", []) if o.get("name") == "stdout")


@pytest.fixture(params=sorted(NOTEBOOKS))
def notebook(request):
    return as_committed(NOTEBOOKS[request.param])


def test_is_committed_executed_and_tidy(notebook):
    """Executed from top to bottom without an error, and nothing in it that changes from one time to the next.

    Of a notebook that JupyterLab has saved since, the version that git has staged or committed is checked.
    """
    assert is_tidy(notebook), "run `make notebooks`"
    assert notebook["metadata"] == KEPT


def test_has_a_title_one_parameters_cell_and_stable_ids(notebook):
    cells = notebook["cells"]
    assert cells[0]["cell_type"] == "markdown" and "".join(cells[0]["source"]).startswith("# ")
    (parameters,) = [c for c in cells if "parameters" in tags(c)]
    values = {}
    exec("".join(parameters["source"]), values)  # noqa: S102 (the project's own notebook)
    del values["__builtins__"]
    explore = {"dataset": "bundled", "profile": "quick", "train": True}
    chapter = {"dataset": "imagenet-sample", "profile": "paper-bf16", "train": False}
    opens = explore if "# Explore" in "".join(cells[0]["source"]) else chapter
    assert values == opens | {"device": "auto", "executor": "local"}
    ids = [c["id"] for c in cells]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", i) for i in ids)


#: Checked cells about rows that have no run at the paper's size yet; once they print a value, they leave this list.
WITHOUT_RUNS = {"04_ablations": {"architecture-check"}, "06_beyond": {"data-sizes-check"}}


@pytest.mark.parametrize("name", sorted(n for n in NOTEBOOKS if n[0].isdigit()))
def test_each_chapter_has_checked_cells_that_print_measured_values(name):
    checked = [c for c in as_committed(NOTEBOOKS[name])["cells"] if CHECK in tags(c)]
    without = {cell["id"] for cell in checked if not re.search(r"\d", printed(cell))}
    assert without == WITHOUT_RUNS.get(name, set()) and len(checked) > len(without)


@pytest.mark.parametrize("altered", [False, True])
def test_nbval_sees_an_altered_value(tmp_path, altered):
    """One digit of one stored value is changed: nbval fails, and passes without the change."""
    path = tmp_path / NOTEBOOKS["01_data"].name
    shutil.copy(paths.root() / "conftest.py", tmp_path)
    content = as_committed(NOTEBOOKS["01_data"])
    cell = next(c for c in content["cells"] if CHECK in tags(c))
    del content["cells"][content["cells"].index(cell) + 1 :]
    if altered:
        (output,) = [o for o in cell["outputs"] if o.get("name") == "stdout"]
        text = "".join(output["text"])
        output["text"] = re.sub(r"(\d)(\D*)$", lambda m: str((int(m[1]) + 1) % 10) + m[2], text)
    path.write_text(json.dumps(content))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "--nbval-lax",
        str(path),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == int(altered), done.stdout[-2000:]
    assert ("mismatch" in done.stdout) == altered


def as_jupyterlab_saves(notebook: dict) -> dict:
    """Return a notebook as JupyterLab saves it after some cells were run again, out of order, at another size."""
    cells = [
        {
            **cell,
            "metadata": {
                **cell["metadata"],
                "trusted": True,
                "collapsed": False,
                "execution": {"iopub.execute_input": "2026-01-01"},
            },
        }
        | ({"execution_count": None, "outputs": []} if cell["cell_type"] == "code" and i % 2 else {})
        for i, cell in enumerate(notebook["cells"])
    ]
    language = {"name": "python", "version": "3.13.1", "codemirror_mode": {"name": "ipython", "version": 3}}
    widgets = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return {
        **notebook,
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": language, "widgets": widgets},
        "nbformat_minor": 5,
    }


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout of its own with two small committed chapters and the folder's conftest."""
    shutil.copy(paths.root() / "conftest.py", tmp_path)
    monkeypatch.setenv("N2N_ROOT", str(tmp_path))
    count = {"output_type": "stream", "name": "stdout", "text": ["3\n"]}
    cells = [{"cell_type": "markdown", "id": "title", "metadata": {}, "source": ["# One"]},
             {"cell_type": "code", "id": "count", "metadata": {"tags": [CHECK]}, "source": ["print(3)"], "execution_count": 1, "outputs": [count]}]  # fmt: skip
    for name in ("01_one", "explore"):
        write(
            tmp_path / "notebooks",
            name,
            {"cells": cells, "metadata": KEPT, "nbformat": 4, "nbformat_minor": 5},
        )
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "notebooks"], [*who, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path / "notebooks"


def nbval(folder) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "--nbval-lax",
        "notebooks",
    ]
    environment = {**os.environ, "N2N_ROOT": str(folder.parent)}
    return subprocess.run(command, cwd=folder.parent, env=environment, capture_output=True, text=True)


def test_what_jupyterlab_saves_and_a_readers_own_notebooks_fail_nothing(checkout):
    before = load_notebook(checkout / "01_one.ipynb")
    saved = as_jupyterlab_saves(before)
    saved["cells"][1] |= {"source": ["raise ValueError"]}
    write(checkout, "01_one", saved)
    fails = {**before, "cells": [{**before["cells"][1], "source": ["raise ValueError"]}]}
    for name in ("Untitled", "Untitled1", "01_one-Copy1", "my_notes", "99_mine"):
        write(checkout, name, fails)
    assert as_committed(checkout / "01_one.ipynb") == before
    done = nbval(checkout)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "2 passed" in done.stdout and "ValueError" not in done.stdout
    assert "saved by JupyterLab, so that the committed version is tested: 01_one.ipynb" in done.stdout


def test_a_committed_notebook_that_is_not_tidy_is_seen(checkout):
    saved = as_jupyterlab_saves(load_notebook(checkout / "01_one.ipynb"))
    write(checkout, "01_one", saved)
    assert is_tidy(as_committed(checkout / "01_one.ipynb"))
    subprocess.run(["git", "add", "notebooks"], cwd=checkout.parent, check=True)
    assert not is_tidy(as_committed(checkout / "01_one.ipynb"))


def test_without_git_the_files_are_checked(checkout):
    shutil.rmtree(checkout.parent / ".git")
    saved = as_jupyterlab_saves(load_notebook(checkout / "01_one.ipynb"))
    write(checkout, "01_one", saved)
    assert as_committed(checkout / "01_one.ipynb") == saved
    assert tracked() == committed() == [checkout / "01_one.ipynb", checkout / "explore.ipynb"]


@pytest.mark.parametrize("name, is_one", [("08_mine", True), ("99_mine", True), ("01_data_2", True), ("Untitled", False), ("Untitled1", False),
                                          ("01_data-Copy1", False), ("01_data (1)", False), ("my_notes", False), ("1_data", False)])  # fmt: skip
def test_a_notebook_is_a_chapter_by_its_name(checkout, name, is_one):
    write(checkout, name, {"cells": []})
    assert (name in plan.chapters()) == is_one
    assert ((checkout / f"{name}.ipynb") in committed()) == is_one
    assert (checkout / f"{name}.ipynb") not in tracked()
