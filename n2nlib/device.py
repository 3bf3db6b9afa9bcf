"""What there is to compute on: processor cores, and a GPU that the installed PyTorch can use (told without importing it)."""

from __future__ import annotations

import ctypes
import os
import re
from importlib.util import find_spec
from pathlib import Path

from .errors import ReportError, unknown_name


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resolve(device: str) -> str:
    """Return `cpu` or `cuda` for `auto`, `cpu` or `cuda`; raises ReportError for any other name or a GPU that is not there."""
    if device not in ("auto", "cpu", "cuda"):
        raise unknown_name("device", device, ("auto", "cpu", "cuda"))
    there = device != "cpu" and _built_for_cuda() and _gpus() > 0
    if device == "cuda" and not there:
        raise ReportError("device 'cuda' was asked for and there is no GPU that the installed PyTorch can use: DEVICE=cpu does without.")
    return "cuda" if there else "cpu"


def _built_for_cuda() -> bool:
    torch = find_spec("torch")
    text = (Path(torch.origin).parent / "version.py").read_text() if torch else ""
    return re.search(r"^cuda\b.*= '", text, re.MULTILINE) is not None


def _gpus() -> int:
    """Ask the driver how many GPUs there are; 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    ready = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return count.value if ready else 0
