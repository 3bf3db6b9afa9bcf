"""What every test shares: one thread, results in a folder of its own, and how nbval compares."""

from __future__ import annotations

import os

import pytest

# Two pytest workers share the cores, and a run's bits are defined for one thread. Before torch is imported.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Send everything that is computed to a folder of the test's own; return it."""
    monkeypatch.setenv("N2N_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


@pytest.fixture
def fake_report(tmp_path, results, monkeypatch):
    """A project of three small chapters that train nothing; return its settings."""
    import fake_chapters
    from n2nlib.report import plan, run

    monkeypatch.setenv("N2N_ROOT", str(tmp_path))
    monkeypatch.setattr(plan.Settings, "opened", fake_chapters.opened())
    monkeypatch.setattr(run, "missing_runs", lambda settings: [])
    fake_chapters.write_report(tmp_path)
    return plan.Settings("bundled", "smoke", "cpu")
