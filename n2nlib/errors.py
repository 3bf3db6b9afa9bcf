"""The package's own exceptions, few, and remarks: each message says what, where and what to do."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from functools import cache
from numbers import Integral


class ReportError(Exception):
    """Something that the reader of the message can fix: bad input, a missing file, a full disk."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows: the message without a traceback, which would not help."""
        return [f"{type(self).__name__}: {self}"]


class DatasetError(ReportError):
    """Photographs or pairs that cannot be read or have an unexpected content."""


class TrainingError(ReportError):
    """A run that cannot be trained: NaN, divergence, an invalid specification; `run` is its id."""

    def __init__(self, message: str, run: str | None = None):
        super().__init__(message)
        self.run = run


class StoreError(ReportError):
    """A stored run that is missing, half-written or altered, or a store that cannot be written."""


class MissingPackage(ReportError):
    """An optional package that is not installed."""


@cache
def say_once(text: str) -> None:
    """Print a sentence on stderr, the first time that it is said in this process."""
    print(text, file=sys.stderr, flush=True)


def whole_number(what: str, value: object, least: int, error: type[ReportError] = ReportError) -> int:
    """Return a whole number as an int; raises `error` for anything else, and for one below `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise error(f"{what} is {value!r}: expected a whole number of at least {least}.")
    return int(value)


def unknown_name(
    kind: str, name: object, known: Iterable[str], error: type[ReportError] = ReportError
) -> ReportError:
    """Return the error for a name that is not one of `known`, naming the nearest one."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return error(f"unknown {kind} {name!r}: {hint}Choose one of {', '.join(known)}.")
