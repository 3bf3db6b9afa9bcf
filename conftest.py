"""What every test and every committed notebook shares: one thread, results of its own, and how nbval compares."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
# Two pytest workers share the cores, and a run's bits are defined for one thread. Set before torch is imported.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("MPLBACKEND", "agg")


def pytest_configure(config):
    """Send what tests compute to a folder of their own, which reads the stored runs of the checkout."""
    if "N2N_RESULTS" in os.environ:
        return
    folder = tempfile.TemporaryDirectory(prefix="n2n-tests-")
    config.add_cleanup(folder.cleanup)
    store = ROOT / "results" / "store"
    store.mkdir(parents=True, exist_ok=True)
    (Path(folder.name) / "store").symlink_to(store)
    os.environ["N2N_RESULTS"] = folder.name
    os.environ.setdefault("N2N_CACHE", str(ROOT / "results" / ".cache"))
    config.add_cleanup(lambda: os.environ.pop("N2N_RESULTS"))


def pytest_collectstart(collector):
    if collector.path is not None and collector.path.suffix == ".ipynb" and hasattr(collector, "skip_compare"):
        # Progress bars and warnings are no results.
        collector.skip_compare += ("stderr",)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of a file on one worker, and all chapters on one: the last reads what the others wrote."""
    from xdist.scheduler import LoadFileScheduling

    class Chapters(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return "chapters" if ".ipynb" in nodeid else super()._split_scope(nodeid)

    return Chapters(config, log)
