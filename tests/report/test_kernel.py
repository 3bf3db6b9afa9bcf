"""The project's kernel: no reader's settings act in it, and the library is the one beside the notebook."""

from __future__ import annotations

import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from n2nlib import paths
from n2nlib.report import kernel

CODE = """
import matplotlib, os, sys, n2nlib
from n2nlib.display import style
before = {k: matplotlib.rcParams[k] for k in ("text.usetex", "image.origin")}
style.use()
print([before, {k: matplotlib.rcParams[k] for k in before}, "started" in globals(), os.environ.get("STARTED"),
       matplotlib.get_backend(), sys.flags.utf8_mode, sys.flags.optimize, n2nlib.__file__])
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The kernel in a prefix of the test's own, where Jupyter is told to look first."""
    prefix = tmp_path_factory.mktemp("prefix")
    kernel.install(prefix)
    return prefix


def executed(folder, env) -> list:
    """Execute CODE by the kernel `n2n` in a folder; return what it printed, as a list."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)])
    client = NotebookClient(
        notebook,
        kernel_name="n2n",
        timeout=120,
        startup_timeout=120,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=env)
    (output,) = notebook.cells[0].outputs
    return eval(output["text"])  # noqa: S307 (the test's own list)


def test_a_readers_settings_do_not_act(tmp_path, installed, monkeypatch):
    """Start-up files, kernel configuration, matplotlibrc (in the home folder and beside the notebook) and variables."""
    home, notebooks = tmp_path / "home", tmp_path / "notebooks"
    notebooks.mkdir()
    profile = home / ".ipython" / "profile_default"
    (profile / "startup").mkdir(parents=True)
    settings = "text.usetex: True\nimage.origin: lower\n"
    for file, text in {
        profile / "startup" / "00.py": "started = 1",
        profile / "ipython_kernel_config.py": "import os; os.environ['STARTED'] = 'by kernel configuration'",
        profile / "ipython_config.py": "c.InteractiveShellApp.exec_lines = ['started = 2']",
        home / "start.py": "started = 3",
        home / ".config" / "matplotlib" / "matplotlibrc": settings,
        home / "matplotlibrc": settings,
        notebooks / "matplotlibrc": settings,
    }.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    other = home / "jupyter" / "kernels" / "n2n"
    other.mkdir(parents=True)
    (other / "kernel.json").write_text(
        '{"argv": ["false"], "display_name": "not ours", "language": "python"}'
    )
    monkeypatch.setenv("JUPYTER_PATH", str(home / "jupyter"))
    monkeypatch.setattr(kernel.sys, "prefix", str(installed))
    monkeypatch.setenv("JUPYTER_PATH", kernel.environment()["JUPYTER_PATH"])  # looks in ours first
    monkeypatch.setattr(kernel.sys, "prefix", sys.base_prefix)
    env = {
        "PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONSTARTUP": str(home / "start.py"), "PYTHONOPTIMIZE": "2", "LC_ALL": "C",
        "MATPLOTLIBRC": str(home), "MPLBACKEND": "TkAgg", "IPYTHONDIR": str(home / ".ipython"), "PYTHONPATH": str(paths.root()),
    }  # fmt: skip
    before, after, started, variable, backend, utf8, optimize, library = executed(notebooks, env)
    assert before == {
        "text.usetex": True,
        "image.origin": "lower",
    }  # matplotlib looks beside the notebook first
    assert after == {"text.usetex": False, "image.origin": "upper"}
    assert not started and variable is None
    assert "inline" in backend and utf8 == 1 and optimize == 0
    assert library.startswith(str(paths.root()))


def test_the_library_is_that_of_the_notebooks_own_checkout(tmp_path):
    """A checkout was copied, and its environment still knows the old one's library."""
    (tmp_path / "copy" / "n2nlib").mkdir(parents=True)
    (tmp_path / "copy" / "notebooks").mkdir()
    (tmp_path / "copy" / "n2nlib" / "__init__.py").write_text("copied = True\n")
    code = (
        "import n2nlib; from pathlib import Path; from n2nlib.report.kernel import use_library_beside\n"
        f"use_library_beside(Path({str(tmp_path / 'copy' / 'notebooks')!r}))\n"
        "import n2nlib; print(n2nlib.copied)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=paths.root(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"


def test_figures_begin_from_matplotlibs_defaults(monkeypatch):
    import matplotlib

    from n2nlib.display import style

    for key, value in {
        "text.usetex": True,
        "image.origin": "lower",
        "figure.dpi": 17.0,
        "axes.facecolor": "red",
    }.items():
        monkeypatch.setitem(matplotlib.rcParams, key, value)
    style.use()
    assert not matplotlib.rcParams["text.usetex"] and matplotlib.rcParams["image.origin"] == "upper"
    assert matplotlib.rcParams["axes.facecolor"] == "white" and matplotlib.rcParams["figure.dpi"] != 17.0
