"""requirements.lock: the exact versions of one tested set, worked out from the one list in pyproject.toml."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .. import paths
from ..errors import ReportError

#: Extras that the tested set holds; bm3d is left out, being licensed for non-commercial use only.
EXTRAS = ("lab", "test", "search", "dask")

HEADER = """\
# The tested set: exact versions of everything that pyproject.toml asks for, and of what that needs in turn.
# Used as constraints, so that nothing else is installed. Written by `python -m n2nlib.report lock`.
"""


def declared() -> list[Requirement]:
    """Return what pyproject.toml asks for: its dependencies and those of the extras in the tested set."""
    project = tomllib.loads((paths.root() / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    return [Requirement(line) for line in (*project["dependencies"], *(r for e in EXTRAS for r in extras[e]))]


def pins() -> dict[str, str]:
    """Return package -> installed version for everything declared and, in turn, needed.

    torch's local version (`+cpu`) is cut off, since it could be installed from nowhere else.
    """
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    queue = [(r, "") for r in declared()]
    while queue:
        requirement, extra = queue.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in ("", *requirement.extras):
            if (name, wanted) in seen:
                continue
            seen.add((name, wanted))
            try:
                found[name] = version(name).partition("+")[0]
                queue += [(Requirement(line), wanted) for line in requires(name) or []]
            except PackageNotFoundError:
                raise ReportError(f"{name} is needed and not installed: run `make test` once, then lock again.") from None
    return dict(sorted(found.items()))


def locked() -> dict[str, str]:
    """Return package -> version as requirements.lock has them."""
    lines = lock_file().read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def write() -> Path:
    """Write requirements.lock from what is installed; return its path."""
    paths.write(lock_file(), HEADER + "".join(f"{name}=={number}\n" for name, number in pins().items()))
    return lock_file()


def lock_file() -> Path:
    """Return the path of requirements.lock."""
    return paths.root() / "requirements.lock"
