"""Fixtures that several files of tests use."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from n2nlib import paths

# Tests use made-up runs, claims and chapters of tests in other folders.
sys.path += [str(Path(__file__).parent / name) for name in ("analysis", "display", "report")]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Send everything that is computed to a folder of the test's own, and hide what git tracks; return it."""
    monkeypatch.setenv("N2N_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(paths, "tracked", lambda: tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def fake_report(tmp_path, results, monkeypatch):
    """A project of three small chapters that train nothing; return its settings."""
    import fake_chapters

    from n2nlib.report import plan

    monkeypatch.setenv("N2N_ROOT", str(tmp_path))
    monkeypatch.setattr(plan.Settings, "opened", fake_chapters.opened())
    monkeypatch.setattr(plan.Build, "wanted", [])
    fake_chapters.write_report(tmp_path)
    return plan.Settings("bundled", "smoke", "cpu")


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, headless, as playwright's browser."""
    import browsing

    with browsing.chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def lab(browser, tmp_path_factory):
    """JupyterLab on copies of the notebooks, as `make lab` starts it; return (address with token, folder)."""
    import browsing

    folder = tmp_path_factory.mktemp("lab")
    with browsing.jupyterlab(folder) as address:
        yield address, folder
