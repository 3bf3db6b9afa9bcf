"""The Jupyter kernel `n2n`: the interpreter that runs this, whatever JupyterLab it is opened from."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .. import paths

NAME = "n2n"
DISPLAY_NAME = "Python (n2n)"


def spec() -> dict:
    """Return the kernel's specification; ipykernel 7 warns of its transport at every start, and of every shutdown."""
    argv = [sys.executable, "-m", "ipykernel_launcher", "--log-level=CRITICAL", "-f", "{connection_file}"]
    return {"argv": argv, "display_name": DISPLAY_NAME, "language": "python", "metadata": {"debugger": True}}


def install(prefix: Path | str = sys.prefix) -> Path:
    """Write the kernel into an environment unless it is there already; return its kernel.json."""
    path = Path(prefix) / "share" / "jupyter" / "kernels" / NAME / "kernel.json"
    text = json.dumps(spec(), indent=1) + "\n"
    if not path.exists() or path.read_text() != text:
        paths.write(path, text)
    return path
