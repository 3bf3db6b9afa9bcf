"""The hardware: processor cores, a GPU that the installed PyTorch can use, and bf16."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from n2nlib.errors import ReportError, say_once, unknown_name

#: Seconds that PyTorch may take to start and to run one small kernel on the GPU.
TRIAL_SECONDS = 180
#: bf16 counts as emulated where a convolution takes this many times as long as in fp32. Measured: 0.4 with
#: AMX, 1.5 with AVX512_BF16 alone, 3 to 26 where oneDNN emulates it.
EMULATED = 2.0


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resolve(device: str) -> str:
    """Return `cpu` or `cuda` for `auto`, `cpu` or `cuda`.

    The driver is asked first, which needs no PyTorch; a GPU that it counts is then tried once per process.
    `auto` falls back to the CPU with a sentence on stderr. Raises ReportError for any other name, and for
    `cuda` without a usable GPU.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise unknown_name("device", device, ("auto", "cpu", "cuda"))
    if device == "cpu":
        return "cpu"
    if not (_built_for_cuda() and _gpus() > 0):
        if device == "auto":
            return "cpu"
        raise ReportError(
            "device 'cuda' was asked for and there is no GPU that the installed PyTorch can use: "
            "choose DEVICE=cpu, or install a CUDA build of PyTorch."
        )
    fault = gpu_fault()
    if fault is None:
        return "cuda"
    if device == "cuda":
        raise ReportError(
            f"device 'cuda' was asked for, but PyTorch cannot use the GPU ({fault}): update the driver, "
            "install a build of PyTorch for this GPU, or choose DEVICE=cpu."
        )
    say_once(
        f"A GPU is present, but PyTorch cannot use it ({fault}). The CPU is used instead; to use the "
        "GPU, update the driver or install a build of PyTorch for it."
    )
    return "cpu"


@cache
def gpu_fault() -> str | None:
    """Return why PyTorch cannot compute on the GPU; None if a small convolution is right.

    Where PyTorch is not loaded, another process tries it, so that this one stays quick and survives a crash.
    """
    if "torch" in sys.modules:
        try:
            try_gpu()
        except Exception as error:  # whatever it is, the GPU cannot be used
            return _first_line(f"{type(error).__name__}: {error}")
        return None
    code = "from n2nlib.device import try_gpu; try_gpu()"
    path = os.pathsep.join(filter(None, (str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH"))))
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, errors="replace",
                              timeout=TRIAL_SECONDS, env={**os.environ, "PYTHONPATH": path})  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"a small convolution did not end within {TRIAL_SECONDS} s"
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.splitlines() if re.match(r"[\w.]+(Error|Exception)\b", line)]
    return (
        _first_line(lines[-1]) if lines else f"a small convolution there ended with status {done.returncode}"
    )


def try_gpu() -> None:
    """Compute one small convolution and its gradient on the GPU; raises whatever goes wrong there."""
    import torch

    x = torch.ones(1, 3, 8, 8, device="cuda")
    weight = torch.ones(4, 3, 3, 3, device="cuda", requires_grad=True)
    y = torch.nn.functional.conv2d(x, weight)  # (1,3,8,8) -> (1,4,6,6), each value 27
    y.sum().backward()
    if y.mean().item() != 27 or weight.grad.mean().item() != 36:
        raise RuntimeError("a small convolution gave a wrong result")


def emulates_bf16() -> bool:
    """Whether this CPU only emulates bf16, measured by a small convolution and its gradient.

    Measured, not read from the processor's flags: limits on the instruction set, and other processors, are
    then right as well.
    """
    return _bf16_ratio() > EMULATED


@cache
def _bf16_ratio() -> float:
    """Return the time of a convolution in bf16 over fp32, on one thread; the best of three."""
    import torch

    def seconds(low: bool) -> float:
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            y = conv(x)
        y.float().sum().backward()
        return time.perf_counter() - start

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            conv = torch.nn.Conv2d(32, 32, 3, padding=1).to(memory_format=torch.channels_last)
            x = torch.ones(8, 32, 32, 32).contiguous(memory_format=torch.channels_last)
            times = [(seconds(True), seconds(False)) for _ in range(4)][1:]
    finally:
        torch.set_num_threads(threads)
    low, full = (min(t) for t in zip(*times, strict=True))
    return low / full


def _first_line(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), text).rstrip(".")
    return line if len(line) <= 200 else line[:197] + "..."


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
