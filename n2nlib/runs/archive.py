"""The form of everything stored: one zip file per entry, whose members carry checksums."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from n2nlib.spec import identity

WEIGHTS = "model.safetensors"
SUMS = "SHA256SUMS"
#: What an entry must hold, by the ending of its file; a measurement holds its arrays beside.
MEMBERS = {
    ".zip": {"spec.json", "history.csv", "metrics.json", "psnr.npy", "env.json", WEIGHTS},
    ".npz": {"inputs.json", "values.json", "env.json"},
}
#: Zip's earliest time: the same members are the same bytes whenever they are written.
EPOCH = (1980, 1, 1, 0, 0, 0)
#: Errors of zipfile and of the parsing of members for an altered file.
UNREADABLE = (
    OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def pack(members: Mapping[str, bytes], left_out: Mapping[str, str] | None = None) -> bytes:
    """Return members as one zip file; the same members give the same bytes.

    Members are stored, sorted and dated 1980. `SHA256SUMS` among them lists each as `sha256sum` does, and
    those `left_out` (name -> SHA-256), which are known by their sum alone.
    """
    sums = {name: sha256(content) for name, content in members.items()} | dict(left_out or {})
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as file:
        for name, content in sorted({**members, SUMS: text.encode()}.items()):
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system, info.external_attr = 3, 0o100644 << 16  # as on Unix, on every system
            file.writestr(info, content)
    return out.getvalue()


def read(path: Path, name: str) -> bytes:
    """Return the content of one member; raises KeyError where the entry lacks it."""
    with zipfile.ZipFile(path) as file:
        return file.read(name)


@contextmanager
def opened(path: Path) -> Iterator[Callable[[str], bytes]]:
    """Give the function that reads a member of an entry by its name."""
    with zipfile.ZipFile(path) as file:
        yield file.read


def read_all(path: Path) -> dict[str, bytes]:
    """Return all members but the checksums, by name."""
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist() if name != SUMS}


def names(path: Path) -> list[str]:
    """Return the names of the members, the checksums included."""
    with zipfile.ZipFile(path) as file:
        return file.namelist()


def sums(path: Path) -> dict[str, str]:
    """Return the SHA-256 of each member by name, those that are left out included."""
    return _sums(read(path, SUMS))


def _sums(text: bytes) -> dict[str, str]:
    return {name: digest for digest, name in (line.split("  ", 1) for line in text.decode().splitlines())}


def whole(path: Path) -> bool:
    """Say whether a stored file has all members of its kind, unaltered, and the name of what it holds."""
    return fault(path) is None


def fault(path: Path) -> str | None:
    """Say what is wrong with a stored file, or None; a process hashes each state of a file once."""
    try:
        state = path.stat()
    except OSError:
        return "is missing"
    return _fault(path, state.st_mtime_ns, state.st_size, state.st_ino)


@cache
def _fault(path: Path, *_state: int) -> str | None:
    try:
        with zipfile.ZipFile(path) as file:
            expected = _sums(file.read(SUMS))
            held = set(file.namelist()) - {SUMS}
            altered = sorted(name for name in held if _digest(file, name) != expected.get(name))
            missing = sorted((expected.keys() - held - {WEIGHTS}) | (MEMBERS[path.suffix] - expected.keys()))
            name = None if altered or missing else name_of(file.read, path.suffix)
    except UNREADABLE:
        return "is not a readable archive"
    if name and not path.as_posix().endswith(f"/{name}"):
        return f"holds another entry ({name})"
    faults = [
        f"has {what} members ({', '.join(names)})"
        for what, names in (("missing", missing), ("altered", altered))
        if names
    ]
    return "; ".join(faults) or None


def name_of(read: Callable[[str], bytes], suffix: str) -> str:
    """Return the name in a layer of what an entry holds; `read` returns a member by its name."""
    if suffix == ".npz":
        return measurement_name(**json.loads(read("inputs.json")))
    semantics = json.loads(read("env.json"))["semantics"]
    return f"runs/{identity(json.loads(read('spec.json')), semantics)}.zip"


def _digest(file: zipfile.ZipFile, name: str) -> str:
    try:
        return sha256(file.read(name))
    except (zipfile.BadZipFile, zlib.error):  # zip's own checksum has found it first
        return ""


def measurement_name(name: str, inputs: Mapping[str, Any]) -> str:
    """Return a measurement's file in a layer, named after the hash of its name and inputs."""
    # As they are read back: keys are texts.
    values = json.loads(json.dumps({"name": name, "inputs": dict(inputs)}))
    digest = sha256(json.dumps(values, sort_keys=True).encode())
    return f"measurements/{name}/{digest[:16]}.npz"


def sha256(content: bytes) -> str:
    """Return SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def array_bytes(array: np.ndarray) -> bytes:
    """Return an array in NumPy's file format."""
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def array(content: bytes) -> np.ndarray:
    """Return the array that `array_bytes` wrote."""
    return np.load(io.BytesIO(content), allow_pickle=False)


def json_text(values: Any) -> str:
    """Return values as JSON that any reader takes: NaN is refused, not written."""
    return json.dumps(values, indent=1, sort_keys=True, allow_nan=False, default=_plain) + "\n"


def _plain(value):
    """Turn NumPy's scalars and arrays into JSON's."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not a JSON value")
