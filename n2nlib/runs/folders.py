"""The former form of a store, a folder per entry, and its conversion to one file per entry.

A folder's `FINISHED` holds the SHA-256 of every file. All entries are written and read back before any
folder is removed; a folder that does not match its checksums is set aside.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from n2nlib import paths
from n2nlib.errors import StoreError
from n2nlib.runs import archive
from n2nlib.spec import RunSpec

FINISHED = "FINISHED"
FOLDERS = ("runs/[0-9a-f]*", "measurements/*/[0-9a-f]*")

_converted: set[Path] = set()


def convert_once(store: Path) -> None:
    """Convert a local store that is in the former form, with one line of output; later calls do nothing.

    Raises StoreError where it cannot be written.
    """
    if store in _converted:
        return
    _converted.add(store)
    if not _folders(store):
        return
    from n2nlib.locks import lock

    try:
        (store / ".locks").mkdir(exist_ok=True)
        with lock(store / ".locks" / "conversion"):
            found = _folders(store)  # another process may have converted it meanwhile
            written = convert(store, store)
            for folder in found:
                if folder in written:
                    shutil.rmtree(folder)
                else:
                    aside = store / "set-aside" / folder.relative_to(store)
                    aside.parent.mkdir(parents=True, exist_ok=True)
                    folder.rename(aside)
    except OSError as error:
        raise StoreError(
            f"{store} has a folder per run and cannot be converted to a file per run ({error}): free some "
            "space or check the permissions."
        ) from error
    damaged = len(found) - len(written)
    print(
        f"{store}: {len(written)} runs and measurements converted to one file each"
        + (f"; {damaged} damaged ones moved to {store / 'set-aside'}" if damaged else ""),
        file=sys.stderr,
        flush=True,
    )


def convert(source: Path, target: Path) -> dict[Path, Path]:
    """Write every undamaged folder of a store as a file into `target`; return the files by folder.

    Each file is read back and compared. A file that is there already and whole is kept. The source stays as
    it is. Runs that were asked for in tf32 and computed on a CPU, in fp32, take the identity of fp32, and
    measurements name them by it.
    """
    entries = {folder: members for folder in _folders(source) if (members := _members(folder))}
    renamed = {}
    for folder in entries:
        if folder.parent.name == "runs" and (members := _in_fp32(folder.name, entries[folder])):
            entries[folder] = members
            renamed[folder.name] = RunSpec.from_dict(json.loads(members["spec.json"])).id
    written = {}
    for folder, members in entries.items():
        name, members = _current(folder, members, renamed)
        written[folder] = file = target / name
        if archive.whole(file):
            continue
        with paths.writing(file) as out:
            out.write(archive.pack(members))
        if archive.fault(file) or archive.read_all(file) != members:
            raise StoreError(f"{file} was not written as {folder} is: nothing was removed; try again.")
    return written


def named(inputs: bytes) -> set[str]:
    """Return the runs and datasets that a measurement's inputs name, also within a text."""
    return set(re.findall(r'\b([0-9a-f]{16})"', inputs.decode()))


def _folders(store: Path) -> list[Path]:
    return sorted(f for pattern in FOLDERS for f in store.glob(pattern) if f.is_dir())


def _members(folder: Path) -> dict[str, bytes] | None:
    """Return the files of an entry by name; None where one does not match its checksum, or all its name."""
    try:
        sums = json.loads((folder / FINISHED).read_text(encoding="utf-8"))["files"]
        members = {name: (folder / name).read_bytes() for name in sums}
        suffix = ".zip" if folder.parent.name == "runs" else ".npz"
        sound = all(archive.sha256(members[name]) == digest for name, digest in sums.items())
        if not sound or not archive.MEMBERS[suffix] <= members.keys():
            return None
        named = archive.name_of(members.__getitem__, suffix).removesuffix(suffix)
        return members if folder.as_posix().endswith(f"/{named}") else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _in_fp32(old: str, members: dict[str, bytes]) -> dict[str, bytes] | None:
    """Return the members of a run that was stored as tf32 and computed in fp32 as those of fp32, or None."""
    spec, env = (json.loads(members[name]) for name in ("spec.json", "env.json"))
    if spec.get("precision") != "tf32" or env.get("kind", "cpu") != "cpu":
        return None
    del spec["precision"]
    note = {"was": old, "reason": "stored as tf32; a CPU computes it in fp32"}
    texts = {"spec.json": archive.json_text(spec), "env.json": archive.json_text(env | {"identity": note})}
    return members | {name: text.encode() for name, text in texts.items()}


def _current(
    folder: Path, members: dict[str, bytes], renamed: Mapping[str, str]
) -> tuple[str, dict[str, bytes]]:
    """Return an entry's file name and members where some runs have other identities."""
    if folder.parent.name == "runs":
        return f"runs/{renamed.get(folder.name, folder.name)}.zip", members
    inputs = members["inputs.json"]
    if not named(inputs) & renamed.keys():
        return f"measurements/{folder.parent.name}/{folder.name}.npz", members
    text = inputs.decode()
    for old, new in renamed.items():
        text = re.sub(rf'\b{old}"', f'{new}"', text)
    name = archive.measurement_name(folder.parent.name, json.loads(text)["inputs"])
    env = json.loads(members["env.json"]) | {
        "identity": {"was": folder.name, "reason": "its runs were renamed"}
    }
    return name, members | {"inputs.json": text.encode(), "env.json": archive.json_text(env).encode()}
