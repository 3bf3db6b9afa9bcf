"""What all tests and committed notebooks share: one thread, results of their own, and how nbval compares."""

from __future__ import annotations

import json
import os
import tempfile
from functools import partial
from pathlib import Path
from unittest import mock

import pytest

ROOT = Path(__file__).parent
# Two pytest workers share the cores, and a run's bits are defined for one thread. Set before torch's import.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("MPLBACKEND", "agg")
# The public pairs of the authors are downloaded on demand, which no test does.
os.environ["N2N_REAL"] = str(ROOT / "tests" / "no-real-pairs")


def pytest_configure(config):
    """Send what tests compute to a folder of their own; the checkout's evidence and pairs are read."""
    if "N2N_RESULTS" in os.environ:
        return
    folder = tempfile.TemporaryDirectory(prefix="n2n-tests-")
    config.add_cleanup(folder.cleanup)
    results, cache = Path(folder.name), Path(os.environ.get("N2N_CACHE") or ROOT / "results" / ".cache")
    (results / ".cache" / "datasets").mkdir(parents=True)
    for built in (*cache.glob("datasets/*"), *cache.glob("imagenet-sample")):
        (results / ".cache" / built.relative_to(cache)).symlink_to(built.resolve())
    context = mock.patch.dict(os.environ, N2N_RESULTS=folder.name, N2N_CACHE=str(results / ".cache"))
    context.start()
    config.add_cleanup(context.stop)


def pytest_ignore_collect(collection_path):
    """Leave out notebooks that are a reader's own; None leaves the decision to pytest."""
    if collection_path.suffix == ".ipynb" and collection_path.parent == ROOT / "notebooks":
        from n2nlib.tools.tidy import tracked

        return collection_path not in tracked() or None
    return None


def pytest_collectstart(collector):
    if collector.path is None or collector.path.suffix != ".ipynb" or not hasattr(collector, "skip_compare"):
        return
    # Progress bars and warnings are no results.
    collector.skip_compare += ("stderr",)
    if collector.path.parent == ROOT / "notebooks":
        collector.collect = partial(_collect_committed, collector.path, collector.collect)


def _collect_committed(path, collect):
    """Collect a notebook's cells from its committed version if JupyterLab has saved it since."""
    import nbformat

    from n2nlib.tools.tidy import as_committed

    notebook = nbformat.reads(json.dumps(as_committed(path)), as_version=4)
    with mock.patch("nbformat.read", return_value=notebook):
        return list(collect())


def pytest_report_header(config):
    """Name the notebooks whose committed version is tested instead of the file."""
    from n2nlib.report.closure import load_notebook
    from n2nlib.tools.tidy import as_committed, tracked

    saved = [path.name for path in tracked() if as_committed(path) != load_notebook(path)]
    sentence = "saved by JupyterLab, so that the committed version is tested: "
    return sentence + ", ".join(saved) if saved else None


#: The files of tests that take longest. Those that begin last should be short, or one worker idles.
LONGEST = "report_run runs odd_photographs nbval cluster partial_store training cells bench".split()


def pytest_collection_modifyitems(items):
    """Begin with the chapters and the longest files; xdist hands out files in this order."""
    order = {f"test_{name}": i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda i: -1 if i.path.suffix == ".ipynb" else order.get(i.path.stem, len(LONGEST)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of a file on one worker, and all chapters: the last reads what the others wrote."""
    from xdist.scheduler import LoadFileScheduling

    class Chapters(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return "chapters" if ".ipynb" in nodeid else super()._split_scope(nodeid)

    config.option.loadscopereorder = False
    return Chapters(config, log)
