"""The environment of a result: versions, processor and commit."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from n2nlib import __version__, paths

#: Variables by which a git hook names its own repository.
REPOSITORY = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_NAMESPACE"}


def environment(device: str = "cpu") -> dict[str, Any]:
    """Return the environment of a result: versions, device, commit."""
    import torch

    return {
        "commit": commit(),
        "device": processor() if device == "cpu" else device,
        "kind": "cpu" if device == "cpu" else "cuda",
        "n2nlib": __version__,
        "numpy": np.__version__,
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


@cache
def commit() -> str:
    """Return the checkout's commit, with a + where the library differs, or the archive's commit.

    "unknown", with the reason in brackets, where neither is known.
    """
    root = paths.root()
    if not (root / ".git").exists():  # not in a checkout, or in that of another project
        text = (Path(__file__).with_name("commit.txt")).read_text(encoding="utf-8").strip()
        return "unknown (not a git checkout)" if "$" in text else text[:12]
    environment = {k: v for k, v in os.environ.items() if k not in REPOSITORY}

    def git(*words):
        return subprocess.run(
            ["git", *words], cwd=root, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=normal", "--", "n2nlib", "notebooks")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except FileNotFoundError:
        return "unknown (git is not installed)"
    except subprocess.CalledProcessError as error:
        if "dubious ownership" in error.stderr:
            return "unknown (the checkout belongs to another user)"
        return "unknown (git cannot read the checkout)"


@cache
def processor() -> str:
    """Return the name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or sys.platform
