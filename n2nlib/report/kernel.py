"""The Jupyter kernel `n2n`: this environment's interpreter, and none of the reader's IPython settings.

A chapter must give the same result for every reader. So start-up files, profiles and configuration files of
IPython are not read, figures begin from matplotlib's defaults, text is UTF-8, and the library is the one
beside the notebook.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

from n2nlib import paths

NAME = "n2n"
DISPLAY_NAME = "Python (n2n)"
#: Variables that a kernel starts with, whatever the reader has set. An empty matplotlibrc: the defaults.
FIXED = {
    "MATPLOTLIBRC": os.devnull,
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYTHONUTF8": "1",
    "PYTHONWARNINGS": "",
    "PYTHONOPTIMIZE": "",
    "PYTHONSTARTUP": "",
}
#: The kernel's language. JupyterLab writes it into every notebook that it saves, so it names no
#: version of Python: saving would change the file on another machine.
LANGUAGE = {
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
    "version": "3",
}


def spec() -> dict:
    """Return the kernel's specification; its log level silences ipykernel 7's warnings at every start."""
    argv = [sys.executable, "-m", "n2nlib.report.kernel", "--log-level=CRITICAL", "-f", "{connection_file}"]
    return {
        "argv": argv,
        "display_name": DISPLAY_NAME,
        "env": FIXED,
        "language": "python",
        "metadata": {"debugger": True},
    }


def install(prefix: Path | str = sys.prefix) -> Path:
    """Write the kernel into an environment unless it is there already; return its kernel.json."""
    path = Path(prefix) / "share" / "jupyter" / "kernels" / NAME / "kernel.json"
    text = json.dumps(spec(), indent=1) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        paths.write(path, text)
    return path


def environment() -> dict[str, str]:
    """Return the variables with which any process finds this environment's kernel, and it this library."""
    ours = str(Path(sys.prefix) / "share" / "jupyter")
    found = {"JUPYTER_PATH": ours, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    return {
        name: os.pathsep.join(filter(None, [first, os.environ.get(name)])) for name, first in found.items()
    }


def use_library_beside(folder: Path) -> None:
    """Make `import n2nlib` give the library of the checkout that a notebook's folder belongs to.

    An environment that was copied along with a checkout still knows the old one's library.
    """
    root = folder.resolve().parent
    mine = Path(__file__).resolve().parents[2]
    if root != mine and (root / "n2nlib" / "__init__.py").exists():
        for name in [name for name in sys.modules if name.partition(".")[0] == "n2nlib"]:
            del sys.modules[name]
        sys.path.insert(0, str(root))


def main() -> None:
    """Run the kernel; called with the arguments of `ipykernel_launcher`."""
    from ipykernel.ipkernel import IPythonKernel
    from ipykernel.kernelapp import IPKernelApp

    class Python(IPythonKernel):
        language_info = LANGUAGE

    class Kernel(IPKernelApp):
        """A kernel that reads no configuration file and no start-up file."""

        def load_config_file(self, *_, **__):
            pass

        def _run_startup_files(self):
            pass

    use_library_beside(Path.cwd())
    profile = Path(sys.prefix) / "share" / "n2n" / "ipython"  # an empty one
    with contextlib.suppress(OSError):  # where it cannot be made, IPython takes a temporary folder
        profile.mkdir(parents=True, exist_ok=True)
    os.environ["IPYTHONDIR"] = str(profile)
    Kernel.launch_instance([*sys.argv[1:], "--HistoryManager.enabled=False"], kernel_class=Python)


if __name__ == "__main__":
    main()
