"""What is stale: the import closure, and which change re-makes which chapter."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from fake_chapters import opened, write

from n2nlib import paths
from n2nlib.errors import ReportError
from n2nlib.report import plan
from n2nlib.report.closure import Library, code_of, load_notebook
from n2nlib.report.plan import Build

LIBRARY = {
    "__init__.py": '_PUBLIC = {"Net": "models", "far": "dataset.far"}',
    "errors.py": "",
    "models/__init__.py": "from .net import Net",
    "models/net.py": "from ..errors import X",
    "models/unused.py": "",
    "dataset/__init__.py": "def open():\n    from . import far\n    from .. import data",
    "dataset/far.py": "import numpy",
    "data.py": 'NAME = "numbers.toml"',
    "report/run.py": "from .. import data",
    "numbers.toml": "a = 1",
    "common.css": "",
}


@pytest.fixture
def package(tmp_path):
    for name, text in LIBRARY.items():
        path = tmp_path / "n2nlib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "n2nlib"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import numpy", set()),
        ("from n2nlib import errors", {"errors"}),
        ("from n2nlib import Net", {"models", "models.net", "errors"}),  # a lazy name
        ("import n2nlib\nn2nlib.Net()", {"models", "models.net", "errors"}),
        ("import n2nlib.models.unused", {"models", "models.net", "models.unused", "errors"}),
        (
            "def f():\n    from n2nlib.dataset import open",
            {"dataset", "dataset.far", "data"},
        ),  # imports inside functions
        (
            "from n2nlib import far",
            {"dataset", "dataset.far", "data"},
        ),  # a package stands for its __init__ too
        ("import n2nlib.report.run", set()),  # the chain shows results, it does not make them
    ],
)
def test_closure_follows_every_kind_of_import(package, code, expected):
    found = {name.partition(".")[2] for name in Library(package).closure(code)} - {""}
    assert found == expected
    assert ("n2nlib" in Library(package).closure(code)) == ("n2nlib" in code)


def test_a_data_file_counts_where_it_is_named_and_an_unnamed_one_everywhere(package):
    names = {
        code: [p.name for p in Library(package).data_files(Library(package).closure(code).values())]
        for code in ("from n2nlib import data", "from n2nlib import errors")
    }
    assert names == {
        "from n2nlib import data": ["common.css", "numbers.toml"],
        "from n2nlib import errors": ["common.css"],
    }


def cells(*sources: str, tags: tuple[str, ...] = ()) -> dict:
    return {
        "cells": [
            {"cell_type": "code", "id": f"c{i}", "metadata": {"tags": list(tags)}, "source": s}
            for i, s in enumerate(sources)
        ]
    }


#: What IPython runs and Python alone does not, without a word of the library.
IPYTHON = ["study?", "?study", "study.table??", "%%bash\nfor i in 1 2; do echo $i; done", "%%html\n<b onclick='x'>", "%%writefile x.txt\nif (", "%time x = 1",
           "files = !ls", "x = %who_ls", "if True:\n    !ls *.png\n    %matplotlib inline", "  %matplotlib inline", "await f()", "async with a as b: pass", "x;",
           "!ls {x} \\\n  y", "%%time", "", ">>> x = 1\n>>> y", "In [1]: x", "%pip install a", "/f x", ",f a b", "x = '\\d'", "%%script false\nfoo bar", "%%latex\n$x$",
           "%%javascript\nalert(1)", "%%R -i x\ny <- x", "x = 1  # comment?", "%lsmagic\n%env", "for i in a: await i", "%%time\nawait f()", "%%capture o\n%%bash\nls ;;"]  # fmt: skip


@pytest.mark.parametrize("source", IPYTHON)
def test_ipython_syntax_is_read_as_ipython_reads_it(package, source):
    code = code_of(cells("import n2nlib", source, "from n2nlib import errors"))
    assert Library(package).closure(code).keys() == {"n2nlib", "n2nlib.errors"}


@pytest.mark.parametrize("source", ["!python -m n2nlib.tools.bench", "x = !python -c 'import n2nlib'", "%%bash\npython -m n2nlib.tools.verify", "%timeit -n 1 import n2nlib.errors",
                                    "%run mine.py", "%run -i mine.py", "from n2nlib import *", "%%time\nfrom n2nlib import errors",
                                    "%%capture out\n%%time\nfrom n2nlib import errors\nx?", "if 1:\n    %time from n2nlib import errors", "%%timeit import n2nlib.errors\nx"])  # fmt: skip
def test_what_may_use_any_module_counts_every_module(package, source):
    every = {
        "n2nlib"
        + "".join(f".{part}" for part in p.relative_to(package).with_suffix("").parts if part != "__init__")
        for p in package.rglob("*.py")
    }
    assert Library(package).closure(code_of(cells(source))).keys() == {
        name for name in every if not name.startswith("n2nlib.report")
    }


def test_a_cell_that_cannot_run_is_named_before_anything_is_trained():
    with pytest.raises(
        ReportError,
        match=r"01_x.ipynb, cell 'c1': .* in `def f\(:`. Correct the cell, or tag it `raises-exception`",
    ):
        code_of(cells("x = 1", "def f(:\n    pass"), "01_x.ipynb")
    with pytest.raises(ReportError, match="cell 'c0'"):
        code_of(cells("x = '\0'"))
    assert code_of(cells("def f(:", tags=("raises-exception",))) == ""
    assert "import *" in code_of(cells("%load_ext mine", "a syntax of its own"))  # its extension may read it


def test_other_cells_are_no_code():
    others = [{"cell_type": kind, "id": "m", "metadata": {}, "source": "x ="} for kind in ("markdown", "raw")]
    assert code_of({"cells": others}) == ""


@pytest.mark.parametrize(
    "content",
    ["", "{half", "[]", "{}", '{"cells": [1]}', '{"cells": [{}]}', '{"nbformat": 3, "worksheets": []}'],
)
def test_a_file_that_is_no_notebook_is_named(tmp_path, content):
    (tmp_path / "08_x.ipynb").write_text(content)
    with pytest.raises(ReportError, match="08_x.ipynb cannot be read as a notebook"):
        load_notebook(tmp_path / "08_x.ipynb")


def test_a_link_to_nothing_is_a_sentence_and_a_folder_is_no_chapter(fake_report, tmp_path):
    (tmp_path / "notebooks" / "08_folder.ipynb").mkdir()
    assert "08_folder" not in plan.chapters()
    (tmp_path / "notebooks" / "08_link.ipynb").symlink_to("nowhere")
    with pytest.raises(
        ReportError, match="08_link.ipynb cannot be read .No such file or directory.: restore it"
    ):
        plan.Build(fake_report).steps()


def test_planning_imports_ipython_only_where_a_cell_needs_it(tmp_path):
    script = "import sys; from n2nlib.report.closure import code_of; cell = {'cell_type': 'code', 'metadata': {}, 'source': %r}; code_of({'cells': [cell]}); print('IPython' in sys.modules)"
    for source, needed in [("import n2nlib\nawait x", "False"), ("x?", "True")]:
        done = subprocess.run(
            [sys.executable, "-c", script % source], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == needed


def test_the_real_chapters_reach_the_training_code():
    library = Library(paths.root() / "n2nlib")
    for name in plan.chapters():
        modules = library.closure(code_of(load_notebook(paths.notebooks() / f"{name}.ipynb")))
        assert {"n2nlib.study", "n2nlib.training.engine", "n2nlib.data.sampling"} <= set(modules), name
        assert not [m for m in modules if m.startswith("n2nlib.report")], name


def stale(settings) -> dict[str, str]:
    return {name: reason for name, reason in Build(settings).steps().items() if reason}


@pytest.fixture
def made(fake_report):
    """The fake report, as if every step had been made (each chapter wrote one table)."""
    settings = fake_report
    for name in [*plan.chapters(), plan.REPORT]:
        output = "report.html" if name == plan.REPORT else f"tables/{name}.csv"
        settings.file(output).parent.mkdir(parents=True, exist_ok=True)
        settings.file(output).write_text(name)
        build = Build(settings)
        build.record(name, build.inputs(name), [output], 1.0)
    return settings


def test_nothing_is_stale_right_after_making(made):
    assert stale(made) == {}


def test_a_changed_notebook_remakes_itself_and_what_reads_it(made, tmp_path):
    path = tmp_path / "notebooks" / "02_networks.ipynb"
    content = json.loads(path.read_text())
    content["cells"][0]["source"] += " More."
    path.write_text(json.dumps(content))
    assert stale(made) == {
        "02_networks": "the notebook changed",
        "07_report": "reads 02_networks",
        "report": "shows the chapters above",
    }


def test_new_outputs_in_a_committed_notebook_change_nothing(made, tmp_path):
    path = tmp_path / "notebooks" / "01_data.ipynb"
    content = json.loads(path.read_text())
    content["cells"][1] |= {
        "execution_count": 7,
        "outputs": [{"output_type": "stream", "name": "stdout", "text": "3"}],
    }
    path.write_text(json.dumps(content))
    assert stale(made) == {}


def test_what_jupyterlab_saves_changes_nothing(made, tmp_path):
    path = tmp_path / "notebooks" / "01_data.ipynb"
    content = json.loads(path.read_text())
    for cell in content["cells"]:
        cell["metadata"] |= {
            "trusted": True,
            "collapsed": False,
            "execution": {"iopub.status.idle": "2026"},
            "jp-MarkdownHeadingCollapsed": True,
        }
        cell["source"] = cell["source"].splitlines(keepends=True)
    content |= {
        "metadata": {
            "kernelspec": {"name": "python3"},
            "language_info": {"version": "3.13.1"},
            "widgets": {},
        },
        "nbformat_minor": 4,
    }
    path.write_text(json.dumps(content))
    assert stale(made) == {}
    content["cells"][0]["attachments"] = {"a.png": {"image/png": "AAAA"}}
    path.write_text(json.dumps(content))
    assert stale(made)["01_data"] == "the notebook changed"


def test_a_changed_module_remakes_the_chapters_that_import_it(made, monkeypatch, tmp_path):
    """Chapter 03 alone imports the filters: only it (and what reads it) is stale when they change."""
    write(tmp_path / "notebooks", "03_filters", json.loads((tmp_path / "notebooks/01_data.ipynb").read_text()) | {
        "cells": [{"cell_type": "code", "id": "x", "metadata": {}, "outputs": [], "execution_count": None, "source": "from n2nlib.evaluation import classical"}]})  # fmt: skip
    build = Build(made)
    inputs = build.inputs("03_filters")
    assert "n2nlib.evaluation.classical" in inputs
    made.file("tables/03.csv").write_text("3")
    inputs["n2nlib.evaluation.classical"] = "as it was before"
    build.record("03_filters", inputs, ["tables/03.csv"], 1.0)
    found = stale(made)
    assert found["03_filters"] == "n2nlib.evaluation.classical changed"
    assert "01_data" not in found and "02_networks" not in found
    assert "07_report" in found


def test_another_parameter_or_dataset_remakes_every_chapter(made, monkeypatch):
    other = plan.Settings("bundled", "smoke", "cuda")
    assert stale(other)["01_data"] == "parameter device changed"
    monkeypatch.setattr(plan.Settings, "opened", opened("another dataset"))
    assert stale(made)["01_data"] == "the dataset changed"
    assert set(stale(made)) == {"01_data", "02_networks", "07_report", "report"}


@pytest.mark.parametrize(
    ("damage", "reason"),
    [("missing", "tables/01_data.csv missing"), ("altered", "tables/01_data.csv altered")],
)
def test_a_missing_or_altered_output_is_made_again(made, damage, reason):
    path = made.file("tables/01_data.csv")
    path.unlink() if damage == "missing" else path.write_text("99.99")
    assert stale(made)["01_data"] == reason


def test_a_chapter_whose_others_wrote_something_else_is_stale(made):
    build = Build(made)
    made.file("tables/02_networks.csv").write_text("new")
    build.record("02_networks", build.made["02_networks"]["inputs"], ["tables/02_networks.csv"], 1.0)
    assert stale(made) == {
        "07_report": "what 02_networks wrote changed",
        "report": "shows the chapters above",
    }


def test_what_a_chapter_no_longer_writes_is_deleted(made):
    build = Build(made)
    made.file("tables/new.csv").write_text("new")
    build.record("01_data", build.made["01_data"]["inputs"], ["tables/new.csv"], 1.0)
    assert not made.file("tables/01_data.csv").exists()
    assert made.file("tables/02_networks.csv").exists()


def test_what_a_forgotten_step_wrote_is_still_deleted_when_it_is_made_without_it(made):
    Build(made).forget()
    assert set(stale(made).values()) == {"FRESH=1 was not finished"}
    build = Build(made)
    made.file("tables/new.csv").write_text("new")
    build.record("01_data", {"the notebook": "as it is now"}, ["tables/new.csv"], 1.0)
    assert not made.file("tables/01_data.csv").exists()


def test_a_plan_reads_each_file_once(made, monkeypatch):
    read = Counter()
    before = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.update([path]) or before(path))
    build = Build(made)
    assert not any(build.steps().values()) and not any(build.steps().values())
    assert {"style.py", "01_data.csv", "report.html"} <= {path.name for path in read}
    assert set(read.values()) == {1}


def test_training_makes_nothing_stale_that_showed_every_run(made, monkeypatch):
    """`train` is no input: what is missing will have been trained, and what is stored is shown alike."""
    runs = [plan.profiles.profile("smoke").spec("f" * 16, seed=seed) for seed in (0, 1)]
    monkeypatch.setattr(Build, "wanted", runs)
    wanted = Build(made).inputs("01_data")
    for stored, same in ((runs, True), (runs[:1], False)):
        build = Build(replace(made, train=False))
        build.stored = stored
        assert (build.inputs("01_data") == wanted) == same
        assert len(build.missing) == 2 - len(stored)


def test_a_damaged_state_is_no_state(made):
    (made.folder / "state.json").write_text("{half")
    assert set(stale(made).values()) == {"never made"}


def test_chapters_are_named_by_number_or_name_and_the_report_comes_last(fake_report, tmp_path):
    write(tmp_path / "notebooks", "08_more", {"cells": []})
    assert plan.chapters() == ["01_data", "02_networks", "08_more", "07_report"]
    assert plan.chapter_named("02") == plan.chapter_named("02_networks") == "02_networks"
    with pytest.raises(ReportError, match="unknown chapter '2_network': did you mean '02_networks'"):
        plan.chapter_named("2_network")


def test_no_chapters_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("N2N_ROOT", str(tmp_path))
    with pytest.raises(ReportError, match="there is no chapter in"):
        plan.chapters()
