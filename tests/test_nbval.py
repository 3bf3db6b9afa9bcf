"""The committed chapters: complete, tidy, and really checked by nbval (which runs over them beside these tests)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest

from n2nlib import paths
from n2nlib.report.closure import load_notebook
from n2nlib.report.tidy import KEPT, committed, tidy

NOTEBOOKS = {path.stem: path for path in committed()}
CHECK = "nbval-check-output"


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def printed(cell: dict) -> str:
    return "".join("".join(o["text"]) for o in cell.get("outputs", []) if o.get("name") == "stdout")


@pytest.fixture(params=sorted(NOTEBOOKS))
def notebook(request):
    return load_notebook(NOTEBOOKS[request.param])


def test_is_committed_executed_and_tidy(notebook):
    assert tidy(notebook) == notebook, "run `make notebooks`"
    assert notebook["metadata"] == KEPT
    code = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    assert [c["execution_count"] for c in code] == list(range(1, len(code) + 1))
    assert not [o for c in code for o in c["outputs"] if o["output_type"] == "error"]


def test_has_a_title_one_parameters_cell_and_stable_ids(notebook):
    cells = notebook["cells"]
    assert cells[0]["cell_type"] == "markdown" and "".join(cells[0]["source"]).startswith("# ")
    (parameters,) = [c for c in cells if "parameters" in tags(c)]
    values = {}
    exec("".join(parameters["source"]), values)  # noqa: S102 (the project's own notebook)
    assert {name: values[name] for name in ("corpus", "profile", "device")} == {"corpus": "bundled", "profile": "smoke", "device": "auto"}
    ids = [c["id"] for c in cells]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", i) for i in ids)


@pytest.mark.parametrize("name", sorted(n for n in NOTEBOOKS if n[0].isdigit()))
def test_each_chapter_has_checked_cells_that_print_measured_values(name):
    checked = [c for c in load_notebook(NOTEBOOKS[name])["cells"] if CHECK in tags(c)]
    assert checked
    for cell in checked:
        assert re.search(r"\d", printed(cell)), f"{name}, cell {cell['id']} prints no value"


@pytest.mark.parametrize("altered", [False, True])
def test_nbval_sees_an_altered_value(tmp_path, altered):
    """One digit of one stored value is changed: nbval fails, and passes without the change."""
    path = tmp_path / NOTEBOOKS["01_data"].name
    shutil.copy(NOTEBOOKS["01_data"], path)
    shutil.copy(paths.root() / "conftest.py", tmp_path)
    content = load_notebook(path)
    cell = next(c for c in content["cells"] if CHECK in tags(c))
    if altered:
        (output,) = [o for o in cell["outputs"] if o.get("name") == "stdout"]
        text = "".join(output["text"])
        output["text"] = re.sub(r"(\d)(\D*)$", lambda m: str((int(m[1]) + 1) % 10) + m[2], text)
        path.write_text(json.dumps(content))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--nbval-lax", str(path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == int(altered), done.stdout[-2000:]
    assert ("mismatch" in done.stdout) == altered
