"""A report of what is stored, without training: runs that a store lacks leave rows out, and break no chapter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import in_process
import pytest

from n2nlib import paths
from n2nlib.data import open_dataset
from n2nlib.experiments import with_seeds
from n2nlib.profiles import profile
from n2nlib.report.plan import Settings, chapters
from n2nlib.runs.store import RunStore


@pytest.fixture
def tnet():
    """The specifications of TNet's runs at smoke size."""
    size = profile("smoke")
    return with_seeds(size, open_dataset("bundled", n_train=size.n_train, n_val=size.n_val).fingerprint)


def copy(spec, results):
    """Copy a stored run into another results folder."""
    file = RunStore().get(spec).file
    (results / "store" / "runs").mkdir(parents=True, exist_ok=True)
    shutil.copy(file, results / "store" / "runs")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with the chapters and without evidence, whose results are in `tmp_path`; return its folder."""
    monkeypatch.setenv("N2N_CACHE", str(paths.cache()))
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "notebooks").symlink_to(paths.notebooks())
    return folder


@pytest.fixture
def make(tmp_path, tnet, project):
    """Make the smoke report without training, on a store that holds TNet's runs alone or nothing."""

    def run(stored: bool):
        for spec in tnet if stored else []:
            copy(spec, tmp_path)
        env = os.environ | {"N2N_RESULTS": str(tmp_path), "N2N_ROOT": str(project)}
        command = [
            sys.executable,
            "-m",
            "n2nlib",
            "report",
            "--profile",
            "smoke",
            "--device",
            "cpu",
            "--no-train",
        ]
        return subprocess.run(command, env=env, cwd=paths.root(), capture_output=True, text=True, timeout=240)

    return run


def test_tnet_alone_is_enough_for_every_chapter(tmp_path, tnet, project, monkeypatch):
    for spec in tnet:
        copy(spec, tmp_path)
    monkeypatch.setenv("N2N_RESULTS", str(tmp_path))
    monkeypatch.setenv("N2N_ROOT", str(project))
    shown = in_process.execute(Settings("bundled", "smoke", "cpu", train=False), monkeypatch)
    assert shown.faults() == [] and {chapter for chapter, *_ in shown.texts} == set(chapters())
    rows = (tmp_path / "bundled-smoke" / "tables" / "headline.csv").read_text()
    assert "TNet" in rows and "UNet" not in rows
    assert len(list((tmp_path / "store" / "runs").iterdir())) == 2, "nothing was trained"


@pytest.mark.campaign
def test_tnet_alone_makes_a_report(make, tmp_path):
    done = make(stored=True)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "bundled-smoke"
    rows = (folder / "tables" / "headline.csv").read_text()
    assert "TNet" in rows and "UNet" not in rows
    assert (folder / "report.html").stat().st_size > 100_000 and (
        folder / "report.pdf"
    ).stat().st_size > 50_000
    assert len(list((tmp_path / "store" / "runs").iterdir())) == 2, "nothing was trained"


def test_an_empty_store_is_a_sentence(make, tmp_path):
    done = make(stored=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "no run of TNet on bundled at profile smoke is stored" in done.stderr
    assert not (tmp_path / "bundled-smoke" / "report.html").exists()
