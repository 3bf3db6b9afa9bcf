"""Whether there is a GPU that the installed PyTorch can use, told without importing it (that takes seconds)."""

from __future__ import annotations

import ctypes
import re
from importlib.util import find_spec
from pathlib import Path

from ..errors import unknown_name


def resolve(device: str) -> str:
    """Return `cpu` or `cuda` for `auto`, `cpu` or `cuda`; raises ReportError for any other name."""
    if device not in ("auto", "cpu", "cuda"):
        raise unknown_name("device", device, ("auto", "cpu", "cuda"))
    if device == "auto":
        return "cuda" if _built_for_cuda() and _gpus() else "cpu"
    return device


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
