"""Whether processes that a test has started are still there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path


def alive(pid: int) -> bool:
    """Say whether a process runs; one that has ended and waits to be fetched does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def ended(pids: Iterable[int], seconds: float = 60) -> bool:
    """Wait until none of some processes is left; say whether that came about in time."""
    return comes_true(lambda: not any(alive(pid) for pid in pids), seconds)


def comes_true(condition: Callable[[], bool], seconds: float = 60) -> bool:
    """Wait for a condition; say whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not (true := condition()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return true
