"""What is stale: the import closure, and which change re-makes which chapter."""

from __future__ import annotations

import json

import pytest
from fake_chapters import opened, write

from n2nlib import paths
from n2nlib.errors import ReportError
from n2nlib.report import plan
from n2nlib.report.closure import closure, code_of, data_files, load_notebook

LIBRARY = {
    "__init__.py": '_PUBLIC = {"Net": "models", "far": "corpus.far"}',
    "errors.py": "",
    "models/__init__.py": "from .net import Net",
    "models/net.py": "from ..errors import X",
    "models/unused.py": "",
    "corpus/__init__.py": "def open():\n    from . import far\n    from .. import data",
    "corpus/far.py": "import numpy",
    "data.py": 'from importlib import import_module\nimport_module(".late", __name__)\nNAME = "numbers.toml"',
    "late.py": "",
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
        ("def f():\n    from n2nlib.corpus import open", {"corpus", "corpus.far", "data", "late"}),  # imports inside functions
        ("from n2nlib import far", {"corpus", "corpus.far", "data", "late"}),  # a package stands for its __init__ too
        ("import n2nlib.report.run", set()),  # the chain shows results, it does not make them
    ],
)
def test_closure_follows_every_kind_of_import(package, code, expected):
    found = {name.partition(".")[2] for name in closure(code, package)} - {""}
    assert found == expected
    assert ("n2nlib" in closure(code, package)) == ("n2nlib" in code)


def test_a_data_file_counts_where_it_is_named_and_an_unnamed_one_everywhere(package):
    names = {code: [p.name for p in data_files(package, closure(code, package).values())] for code in ("from n2nlib import data", "from n2nlib import errors")}
    assert names == {"from n2nlib import data": ["common.css", "numbers.toml"], "from n2nlib import errors": ["common.css"]}


def test_magics_are_no_python():
    cells = [{"cell_type": "code", "source": ["%matplotlib inline\n", "import n2nlib\n", "!ls"]}, {"cell_type": "markdown", "source": "x ="}]
    assert code_of({"cells": cells}) == "import n2nlib"


def test_the_real_chapters_reach_the_training_code():
    for name in plan.chapters():
        modules = closure(code_of(load_notebook(paths.notebooks() / f"{name}.ipynb")), paths.root() / "n2nlib")
        assert {"n2nlib.study", "n2nlib.training", "n2nlib.corpus.sampling"} <= set(modules), name
        assert not [m for m in modules if m.startswith("n2nlib.report")], name


def stale(settings) -> dict[str, str]:
    return {step.name: step.reason for step in plan.plan(settings) if step.reason}


@pytest.fixture
def made(fake_report):
    """The fake report, as if every step had been made (each chapter wrote one table)."""
    settings = fake_report
    for name in [*plan.chapters(), plan.REPORT]:
        output = "report.html" if name == plan.REPORT else f"tables/{name}.csv"
        settings.file(output).parent.mkdir(parents=True, exist_ok=True)
        settings.file(output).write_text(name)
        state = plan.State(settings)
        inputs = plan.report_inputs(settings, state) if name == plan.REPORT else plan.chapter_inputs(settings, name, state)
        state.record(name, inputs, [output], 1.0)
    return settings


def test_nothing_is_stale_right_after_making(made):
    assert stale(made) == {}


def test_a_changed_notebook_remakes_itself_and_what_reads_it(made, tmp_path):
    path = tmp_path / "notebooks" / "02_networks.ipynb"
    content = json.loads(path.read_text())
    content["cells"][0]["source"] += " More."
    path.write_text(json.dumps(content))
    assert stale(made) == {"02_networks": "the notebook changed", "07_report": "reads 02_networks", "report": "shows the chapters above"}


def test_new_outputs_in_a_committed_notebook_change_nothing(made, tmp_path):
    path = tmp_path / "notebooks" / "01_data.ipynb"
    content = json.loads(path.read_text())
    content["cells"][1] |= {"execution_count": 7, "outputs": [{"output_type": "stream", "name": "stdout", "text": "3"}]}
    path.write_text(json.dumps(content))
    assert stale(made) == {}


def test_a_changed_module_remakes_the_chapters_that_import_it(made, monkeypatch, tmp_path):
    """Chapter 03 alone imports the filters: only it (and what reads it) is stale when they change."""
    write(tmp_path / "notebooks", "03_filters", json.loads((tmp_path / "notebooks/01_data.ipynb").read_text()) | {
        "cells": [{"cell_type": "code", "id": "x", "metadata": {}, "outputs": [], "execution_count": None, "source": "from n2nlib import classical"}]})  # fmt: skip
    inputs = plan.chapter_inputs(made, "03_filters", plan.State(made))
    assert "n2nlib.classical" in inputs
    state = plan.State(made)
    made.file("tables/03.csv").write_text("3")
    state.record("03_filters", inputs | {"n2nlib.classical": "as it was before"}, ["tables/03.csv"], 1.0)
    found = stale(made)
    assert found["03_filters"] == "n2nlib.classical changed"
    assert "01_data" not in found and "02_networks" not in found
    assert "07_report" in found


def test_another_parameter_or_corpus_remakes_every_chapter(made, monkeypatch):
    other = plan.Settings("bundled", "smoke", "cuda")
    assert stale(other)["01_data"] == "parameter device changed"
    monkeypatch.setattr(plan.Settings, "opened", opened("another corpus"))
    assert stale(made)["01_data"] == "the corpus changed"
    assert set(stale(made)) == {"01_data", "02_networks", "07_report", "report"}


@pytest.mark.parametrize(("damage", "reason"), [("missing", "tables/01_data.csv missing"), ("altered", "tables/01_data.csv altered")])
def test_a_missing_or_altered_output_is_made_again(made, damage, reason):
    path = made.file("tables/01_data.csv")
    path.unlink() if damage == "missing" else path.write_text("99.99")
    assert stale(made)["01_data"] == reason


def test_a_chapter_whose_others_wrote_something_else_is_stale(made):
    state = plan.State(made)
    made.file("tables/02_networks.csv").write_text("new")
    state.record("02_networks", state.steps["02_networks"]["inputs"], ["tables/02_networks.csv"], 1.0)
    assert stale(made) == {"07_report": "what 02_networks wrote changed", "report": "shows the chapters above"}


def test_what_a_chapter_no_longer_writes_is_deleted(made):
    state = plan.State(made)
    made.file("tables/new.csv").write_text("new")
    state.record("01_data", state.steps["01_data"]["inputs"], ["tables/new.csv"], 1.0)
    assert not made.file("tables/01_data.csv").exists()
    assert made.file("tables/02_networks.csv").exists()


def test_what_a_forgotten_step_wrote_is_still_deleted_when_it_is_made_without_it(made):
    plan.State(made).forget()
    assert set(stale(made).values()) == {"FRESH=1 was not finished"}
    state = plan.State(made)
    made.file("tables/new.csv").write_text("new")
    state.record("01_data", {"the notebook": "as it is now"}, ["tables/new.csv"], 1.0)
    assert not made.file("tables/01_data.csv").exists()


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
