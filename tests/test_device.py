"""What is computed on: a GPU only where PyTorch can use it, bf16 only where the processor has it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from n2nlib import device
from n2nlib.__main__ import _settings, parser
from n2nlib.errors import ReportError, say_once


@pytest.fixture
def counted(monkeypatch):
    """A GPU that the driver counts, for a PyTorch that says it is built for CUDA."""
    monkeypatch.setattr(device, "_gpus", lambda: 1)
    monkeypatch.setattr(device, "_built_for_cuda", lambda: True)
    caches = (device.gpu_fault, say_once)
    for each in caches:
        each.cache_clear()
    yield monkeypatch
    for each in caches:
        each.cache_clear()


def fails(error):
    def trial():
        raise error

    return trial


OLD = RuntimeError(
    "The NVIDIA driver on your system is too old (found version 11040).\nPlease update your GPU driver."
)


def test_a_gpu_that_pytorch_cannot_use_is_not_chosen_by_auto(counted, capsys):
    import torch  # noqa: F401  (loaded: the trial is made in this process)

    counted.setattr(device, "try_gpu", fails(OLD))
    assert [device.resolve("auto"), device.resolve("auto")] == ["cpu", "cpu"]
    error = capsys.readouterr().err
    assert (
        error.count("\n") == 1
        and "PyTorch cannot use it (RuntimeError: The NVIDIA driver on your system is too old" in error
    )
    with pytest.raises(ReportError, match="cannot use the GPU .*too old.*update the driver.*DEVICE=cpu"):
        device.resolve("cuda")
    assert device.resolve("cpu") == "cpu"


def test_a_gpu_that_gives_the_right_result_is_chosen(counted, capsys):
    counted.setattr(device, "try_gpu", lambda: None)
    assert device.resolve("auto") == device.resolve("cuda") == "cuda"
    assert capsys.readouterr().err == ""


def test_the_default_profile_follows_the_trial(counted):
    for trial, profile in ((lambda: None, "paper"), (fails(OLD), "paper-bf16")):
        device.gpu_fault.cache_clear()
        counted.setattr(device, "try_gpu", trial)
        assert _settings(parser().parse_args(["plan"])).profile == profile


def test_another_process_tries_the_gpu_where_pytorch_is_not_loaded():
    """The installed PyTorch cannot use the pretended GPU, and `resolve` does not load it to find that out."""
    code = (
        "import sys; from n2nlib import device; device._gpus = lambda: 1; device._built_for_cuda = lambda: True\n"
        "print(device.resolve('auto'), 'torch' in sys.modules)"
    )
    env = {"CUDA_VISIBLE_DEVICES": "-1"}

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | env)
    assert done.stdout == "cpu False\n"
    assert "A GPU is present, but PyTorch cannot use it (" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("outcome", "fault"),
    [
        (0, None),
        (-11, "ended with status -11"),
        (subprocess.TimeoutExpired("python", 180), "did not end within 180 s"),
    ],
)
def test_a_trial_that_crashes_or_hangs_is_a_fault(counted, outcome, fault):
    def run(*_, **__):
        if isinstance(outcome, Exception):
            raise outcome
        return subprocess.CompletedProcess([], outcome, "", "a warning of the driver\n")

    counted.delitem(sys.modules, "torch", raising=False)
    counted.setattr(device.subprocess, "run", run)
    found = device.gpu_fault()
    assert found is None if fault is None else fault in found


def test_bf16_is_measured_and_the_threads_are_left_as_they_were():
    import torch

    device._bf16_ratio.cache_clear()
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    assert 0 < device._bf16_ratio() < 1000
    assert torch.get_num_threads() == threads and torch.equal(torch.random.get_rng_state(), state)


def test_bf16_is_emulated_where_onednn_may_not_use_the_instructions():
    """Emulation takes 11 to 26 times as long there, whatever the processor can do."""

    code = "from n2nlib.device import emulates_bf16; print(emulates_bf16())"
    limits = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | limits
    )

    if platform.machine() in ("x86_64", "AMD64"):
        assert done.stdout == "True\n", done.stderr
