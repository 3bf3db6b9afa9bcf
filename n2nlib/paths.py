"""The only place that knows where things are on disk, and how a file gets there whole."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from n2nlib.errors import ReportError


def root() -> Path:
    """Return the project's folder: `N2N_ROOT` if set, else the checkout that holds this package."""
    return Path(os.environ.get("N2N_ROOT") or Path(__file__).resolve().parent.parent)


def notebooks() -> Path:
    """Return the folder of the chapters."""
    return root() / "notebooks"


def results() -> Path:
    """Return the folder of everything that is computed: `N2N_RESULTS` if set, else `results/`."""
    return Path(os.environ.get("N2N_RESULTS") or root() / "results")


def store() -> Path:
    """Return the local layer of the run store, which takes what is trained and measured on this machine."""
    return results() / "store"


def evidence() -> Path:
    """Return the tracked layer of the run store, which is read and never written by a report."""
    return tracked() / "evidence"


def tracked() -> Path:
    """Return the folder of the results that git tracks, wherever `N2N_RESULTS` is."""
    return root() / "results"


def result(name: str) -> Path:
    """Return a file or folder of the results: the one made here, else the one that git tracks."""
    made = results() / name
    return made if made.exists() else tracked() / name


def cache() -> Path:
    """Return the folder for what can be remade at any time (built pairs, downloads)."""
    return Path(os.environ.get("N2N_CACHE") or results() / ".cache")


def report(dataset: str, profile: str) -> Path:
    """Return the folder of one report, named after its dataset and profile."""
    return results() / f"{slug(dataset)}-{profile}"


def figures(dataset: str, profile: str) -> Path:
    """Return the folder of one report's figures (`N2N_RESULTS` moves it along with the results)."""
    return _figures() / f"{slug(dataset)}-{profile}"


def _figures() -> Path:
    return results() / "figures" if os.environ.get("N2N_RESULTS") else root() / "figures"


def absolute(path: str) -> str:
    """Return a path as it means from the present folder, `~` included."""
    return os.path.abspath(os.path.expanduser(path))


def slug(dataset: str) -> str:
    """Return a dataset's name as a folder name; `folder:/a/b` becomes `folder-b-` and six digits of a hash.

    A long name is cut, since a file system takes 255 bytes.
    """
    kind, _, where = dataset.partition(":")
    if not where:
        return kind
    path = absolute(where)
    tail = "".join(c if c.isalnum() or c in "-_" else "-" for c in Path(path).name)[:48]
    return f"{kind}-{tail}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:6]}"


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Give a binary file that replaces `path` in one move when the block ends, and not after an error.

    So a reader never sees half of it, and two writers never mix. Folders are made as needed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        part = Path(file.name)
        try:
            yield file
            file.close()
            part.chmod(0o644)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def write(path: Path, content: str | bytes) -> None:
    """Write a file in one move (see `writing`), a text as UTF-8; raises ReportError if that fails."""
    try:
        with writing(path) as file:
            file.write(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise ReportError(unwritable(path, error)) from error


def unwritable(path: Path, error: Exception) -> str:
    """Return the sentence on a file or folder that cannot be written; it names the variable that moves it."""
    moved = {cache(): "N2N_CACHE", results(): "N2N_RESULTS", _figures(): "N2N_RESULTS"}
    names = [name for folder, name in moved.items() if path.absolute().is_relative_to(folder.absolute())]
    elsewhere = f", or set {names[0]} to a folder elsewhere" if names else ""
    reason = getattr(error, "strerror", None) or error
    return f"{path} cannot be written ({reason}): free some space, check the permissions{elsewhere}."


def update(path: Path, content: str, agrees: Callable[[str, str], bool]) -> bool:
    """Write a text unless the file's present one agrees with it; return whether it was written."""
    try:
        if agrees(path.read_text(encoding="utf-8"), content):
            return False
    except (OSError, UnicodeDecodeError):
        pass
    write(path, content)
    return True


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; an empty one where there is none, or none that can be read."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON object with sorted keys in one move; raises ReportError if that fails."""
    write(path, json.dumps(values, indent=1, sort_keys=True) + "\n")
