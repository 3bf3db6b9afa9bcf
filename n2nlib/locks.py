"""Locks between processes, and what happens on a file system that has none."""

from __future__ import annotations

import contextlib
import errno
import tempfile
from functools import cache
from pathlib import Path

from filelock import FileLock

from n2nlib.errors import say_once

#: Errors of a file system without locks, such as NFS without its lock service.
WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def lock(path: Path, timeout: float = -1):
    """Return a held lock on a file as a context; without file locks a sentence and no lock.

    A lock file that only exists or not would stay behind on a cluster's machine that dies, and everybody
    would wait for it. Raises OSError where the file cannot be written, filelock.Timeout where another process
    holds it for too long.
    """
    if (fault := _fault(path.parent)) is None:
        return FileLock(path, timeout=timeout).acquire()
    say_once(
        f"The file system of {path.parent} has no locks ({fault}): two commands at a time may train the same "
        "run twice. Run one at a time, or set N2N_RESULTS to a folder on another disk."
    )
    return contextlib.nullcontext()


@cache
def _fault(folder: Path) -> str | None:
    """Return why a folder has no file locks, or None.

    Raises OSError where nothing can be written.
    """
    try:
        import fcntl
    except ImportError:  # Windows has other locks, which filelock knows
        return None
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in WITHOUT_LOCKS:
                return str(error)
    return None
