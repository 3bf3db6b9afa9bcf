"""What a chapter talks to: parameters that are refused, tables and numbers that are kept, rows that are left out."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from types import SimpleNamespace

import pandas as pd
import pytest
from matplotlib import pyplot as plt

from n2nlib import experiments
from n2nlib import study as module
from n2nlib.analysis import ledger, measurements
from n2nlib.errors import ReportError
from n2nlib.owners import disown
from n2nlib.parameters import refuse_unknown_parameters
from n2nlib.spec import RunSpec
from n2nlib.study import Study


@pytest.fixture
def study(results):
    return Study.open("03_lr_grid_search", dataset="bundled", profile="smoke", device="cpu")


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"dataset": "bundeld"}, "unknown dataset 'bundeld': did you mean 'bundled'"),
        ({"profile": "quik"}, "unknown profile 'quik': did you mean 'quick'"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
        ({"profile": 3}, "parameter profile is 3: expected a string"),
        ({"train": 1}, "parameter train is 1: expected True or False"),
        ({"executor": "lokal"}, "unknown executor 'lokal': did you mean 'local'"),
        ({"dataset": "folder:/nowhere/at/all"}, "/nowhere/at/all"),
    ],
)
def test_what_cannot_be_opened_says_why(results, changes, sentence):
    with pytest.raises(ReportError, match=sentence):
        Study.open("01_data", **{"dataset": "bundled", "profile": "smoke", **changes})


def test_a_prompt_shows_what_a_study_is_and_which_fields_a_spec_has(study):
    assert repr(study) == (
        "<Study 03_lr_grid_search: dataset bundled, profile smoke, device cpu, trains by local>"
    )
    fields = inspect.signature(study.spec).parameters
    assert list(fields) == [f.name for f in dataclasses.fields(RunSpec) if f.name != "dataset"]
    assert fields["network"].default == "TNet" and fields["options"].default == {}
    study.spec(**{name: f.default for name, f in fields.items() if f.default is not ...})


def test_an_injected_parameter_that_the_notebook_lacks_is_refused(monkeypatch):
    own = 'dataset = "bundled"\nprofile = "smoke"'

    def history(injected):
        shell = SimpleNamespace(user_ns={"In": ["", own, injected, "import torch"]})
        monkeypatch.setattr("IPython.get_ipython", lambda: shell)

    history('# Parameters\nprofile = "quick"\n')
    refuse_unknown_parameters()
    history("# Parameters of my own network\nwidth = 24\n")  # a reader's cell, not papermill's
    refuse_unknown_parameters()
    history('# Parameters\nprofil = "quick"\n')
    with pytest.raises(ReportError, match="unknown notebook parameter 'profil': did you mean 'profile'"):
        refuse_unknown_parameters()


def test_a_table_is_shown_and_written(study, monkeypatch):
    shown = []
    monkeypatch.setattr(module, "show_markdown", lambda text, mark: shown.append((text, mark)))
    frame = pd.DataFrame({"model": ["TNet", "a|b"], "PSNR": [25.316, float("nan")], "#P": [43064, 991203]})
    study.table(frame, "t", "Caption & more.", digits=1)
    markdown, mark = shown[0]
    assert markdown.splitlines() == [
        "| model | PSNR | #P |",
        "| :-- | --: | --: |",
        "| TNet | 25.3 | 43,064 |",
        "| a\\|b | – | 991,203 |",
    ]
    assert mark == {
        "kind": "table",
        "name": "t",
        "caption": "Caption & more.",
    }
    pd.testing.assert_frame_equal(pd.read_csv(study.folder / "tables/t.csv"), frame)
    assert (study.folder / "tables/t.md").read_text().startswith(markdown)


def test_an_empty_table_says_why_it_is_absent(study, monkeypatch):
    shown = []
    monkeypatch.setattr(module, "show_markdown", lambda text, mark: shown.append((text, mark["kind"])))
    study.table(pd.DataFrame(columns=["model"]), "t", "Caption.")
    study.table(None, "t", "Caption.", absent="No search is stored.")
    study.figure(None, "f", "Caption.", absent="no photograph is large enough.")
    assert shown.pop() == ("No photograph is large enough.", "absent")
    assert "*Table t has no row: none of its runs is stored" in shown[0][0]
    assert shown[1] == ("No search is stored.", "absent") and not (study.folder / "tables/t.csv").exists()


def test_numbers_are_kept_for_the_ledger(study):
    study.number("lr.best", {"value": 25.3, "low": None})
    study.number("lr.n", 5)
    assert json.loads((study.folder / "numbers/03_lr_grid_search.json").read_text()) == {
        "lr.best": {"value": 25.3, "low": None},
        "lr.n": 5,
    }
    assert ledger.numbers(study.folder)["lr.n"] == 5


def test_a_chapter_does_not_replace_what_another_one_makes(study, monkeypatch):
    """Not a table, a figure or a number, and nothing is written before that is known."""
    monkeypatch.setattr(module, "show_markdown", lambda *_: None)
    mine, gone = (
        Study.open(name, dataset="bundled", profile="smoke", device="cpu") for name in ("08_mine", "09_gone")
    )
    frame, fig = pd.DataFrame({"PSNR": [25.3]}), plt.figure()
    made = {
        "table": lambda chapter: chapter.table(frame, "x", "Caption."),
        "figure": lambda chapter: chapter.figure(fig, "x", "Caption."),
        "number": lambda chapter: chapter.number("x", 1),
    }
    for kind, make in made.items():
        make(gone)  # a chapter without a notebook
        make(study)
        make(study)
        before = {p: p.read_bytes() for p in study.folder.parent.rglob("*.*")}
        with pytest.raises(
            ReportError,
            match=f"^chapter 08_mine makes {kind} x, and so does chapter 03_lr_grid_search: choose another name.",
        ):
            make(mine)
        assert before == {p: p.read_bytes() for p in study.folder.parent.rglob("*.*")}
    disown(study.folder, ["03_lr_grid_search"])
    for make in made.values():
        make(mine)


@pytest.mark.parametrize("name", ["../x", "a/b", "", "a b", ".x", "x.csv"])
def test_the_name_of_a_table_or_figure_is_one_of_a_file(study, name):
    for show, what in ((study.table, pd.DataFrame({"a": [1]})), (study.figure, plt.figure())):
        with pytest.raises(
            ReportError, match=f"^{show.__name__} {name!r}: choose a name of letters, digits, _ and -"
        ):
            show(what, name, "Caption.")
    assert not study.folder.exists()


def test_a_chapter_that_a_report_executes_opens_its_own_study(results, monkeypatch):
    """As a copied chapter does not; in JupyterLab the notebook's name is not known."""
    sizes = {"dataset": "bundled", "profile": "smoke", "device": "cpu"}
    monkeypatch.setenv("N2N_NOTEBOOK", "/somewhere/notebooks/08_mine.ipynb")
    assert Study.open("08_mine", **sizes).chapter == "08_mine"
    with pytest.raises(ReportError) as error:
        Study.open("03_lr_grid_search", **sizes)
    assert str(error.value) == (
        "chapter 08_mine opens the study of 03_lr_grid_search, whose results it would replace: "
        'write Study.open("08_mine", ...).'
    )
    monkeypatch.delenv("N2N_NOTEBOOK")
    assert Study.open("03_lr_grid_search", **sizes).chapter == "03_lr_grid_search"


def test_where_nothing_is_trained_rows_are_left_out(study, capsys):
    there, absent = study.spec(), study.spec(seed=1)
    study.run([there])
    study.train = False
    found = study.runs({"both": [there, absent], "one": [absent]})
    assert {label: [run.spec for run in runs] for label, runs in found.items()} == {"both": [there]}
    assert [run.spec for run in study.prepare([absent, there])] == [there]
    told = re.fullmatch(
        r"Rows without stored runs are omitted: (\d+) of the report's (\d+) runs are missing; training them takes "
        r"about \d+ (s|min|h \d+ min)\. Set train = True in the parameters cell to do so\.\n",
        "".join(capsys.readouterr().err.splitlines(keepends=True)[-1:]),
    )
    assert int(told[1]) == int(told[2]) - 1


def test_a_run_that_may_not_be_trained_is_named(study):
    there, absent = study.spec(), study.spec(seed=1, network="SmallNet")
    study.run([there])
    study.train = False
    assert [run.spec for run in study.run([there])] == [there]
    with pytest.raises(
        ReportError,
        match=rf"1 of 2 runs not stored \(the first: {absent.id}, SmallNet, seed 1\), and train = False: set train = True",
    ):
        study.run([there, absent])
    assert not study.store.has(absent)


def test_pictures_are_bundled_whatever_the_dataset(study):
    assert study.pictures.name.startswith("bundled") and len(study.pictures) == study.profile.n_val


def test_without_runs_nothing_is_measured(study):
    assert study.measure(measurements.examples, bundled=study.dataset, levels=(0.5,), runs=[]) == {}
    assert not (study.store.folder / "measurements").exists()


def test_a_table_without_rows_says_why(study, monkeypatch):
    shown = []
    monkeypatch.setattr(module, "show_markdown", lambda text, mark: shown.append((text, mark["kind"])))
    study.table(pd.DataFrame(), "t", "Caption.")
    study.table(None, "t", "Caption.", absent="Nothing to compare.")
    assert "none of its runs is stored" in shown[0][0] and shown[1] == ("Nothing to compare.", "absent")
    assert shown[0][1] == "absent" and not (study.folder / "tables").exists()


def test_rows_are_asked_for_by_function_or_as_they_are(study):
    rows = study.rows(experiments.table2)
    assert rows == experiments.table2(study.profile, study.fingerprint) and study.rows(rows) is rows
