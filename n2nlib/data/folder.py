"""`folder:PATH`: the photographs below a folder, near-duplicates, and notes on all others."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import warnings
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from n2nlib import paths
from n2nlib.data.decoding import Examined, area, examine
from n2nlib.data.photos import ROOM, Photograph, Source, decoder, numbered
from n2nlib.data.sampling import generator, permutation
from n2nlib.device import cores
from n2nlib.errors import DatasetError, ReportError
from n2nlib.text import visible

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm"}
# What telephones, cameras and drawing programs write, and Pillow does not open or not as it was meant:
# counted in a folder.
UNREAD = set(
    ".heic .heif .avif .jxl .jp2 .dng .raw .cr2 .cr3 .nef .arw .orf .raf .rw2 .pef .srw .psd .xcf .svg "
    ".eps .tga .exr .hdr .ico .jfif .pgm .pnm".split()
)
# Folders of thumbnails, deleted files and previews (in small letters). Photo programs, cameras' cards, NAS
# boxes and operating systems make them beside the photographs; nearly all others begin with one of `HIDDEN`.
NOT_ALBUMS = {
    "__macosx", "lost+found", "thumbnails", "thumbnail", "thumbs", "thumb", "_thumbs", "_thumbnails",
    "previews", "recycler", "recycled", "recycle bin", "system volume information", "network trash folder",
    "temporary items", "__pycache__", "node_modules",
}  # fmt: skip
NOT_ALBUM_SUFFIXES = (".lrdata", ".lrcat-data")  # Lightroom's previews and their like
HIDDEN = (".", "@", "$", "#")
#: Of many files that are skipped, so many are named.
NAMED = 5
#: Photographs whose perceptual hashes differ in at most this many of 63 bits, and whose shapes agree, look
#: alike.
ALIKE_BITS, ALIKE_SHAPE = 4, 0.05
_SCAN_VERSION = 1  # raised when `examine` would find something else in the same file


@dataclass
class Scan:
    """The content of a folder: photographs in the order of their paths, and what was left out."""

    good: list[tuple[str, str, Examined]] = field(default_factory=list)  # path below the folder, SHA-256
    faults: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    unread: Counter = field(default_factory=Counter)
    hidden: Counter = field(default_factory=Counter)  # folder (or "hidden files") -> image files in it
    links: list[str] = field(default_factory=list)


def folder(path: str, seed: int) -> Source:
    """Return every photograph below `path`, a tenth of them (at least one) held out.

    Unreadable and too small files, kinds that are not read, thumbnails and hidden files are skipped and
    counted in `warnings`. Of identical files one is kept; those that look alike form one group, so that none
    straddles the split. Raises DatasetError when fewer than two photographs remain.
    """
    base = Path(path).expanduser()
    try:
        there = base.is_dir()
    except (OSError, ValueError) as error:  # a name that is too long, a folder above it that is closed
        raise DatasetError(
            f"folder:{visible(path)} cannot be read: {getattr(error, 'strerror', None) or error}."
        ) from error
    if not there:
        what = "this is a file, not a folder" if base.exists() else "there is no such folder"
        raise DatasetError(f"folder:{visible(path)}: {what}.")
    found = _scan(base)
    notes = list(_left_out(found, f"folder:{visible(path)}"))
    if len(found.good) < 2:
        raise DatasetError(
            f"folder:{visible(path)} holds {_count(len(found.good), 'readable photograph')}, and at least 2 "
            f"are needed (one is held out). {' '.join(notes)}"
        )
    scenes = _scenes([examined for *_, examined in found.good])
    if len(scenes) == 1:
        notes.append(
            f"All {len(found.good)} photographs look alike (series of one scene, or copies of one "
            "photograph): they are split between training and validation all the same, so validation does "
            "not show how well networks do on other photographs."
        )
        scenes = [[i] for i in range(len(found.good))]
    notes += _of_photographs(found.good, scenes)
    order = permutation(generator(seed, "folder/split"), len(scenes))
    held_out = max(1, round(len(scenes) / 10))

    photographs = [Photograph(_shown(file), sha256, base / file, 0) for file, sha256, _ in found.good]
    val, train = (
        numbered([photographs[k] for k in scenes[i]] for i in chosen)
        for chosen in (order[:held_out], order[held_out:])
    )
    return Source(train, val, (0.2, 1.0), tuple(notes))


# --- content ------------------------------------------------------------------------------------------------


def _scan(base: Path) -> Scan:
    """Walk a folder and examine each file that its name calls a photograph.

    Decoding every file takes a while, so its outcome is kept until the file's size or time changes; `load`
    compares sums again when the pixels are read.
    """
    out = Scan()
    files = sorted(walk(base, out))
    kept = paths.cache() / "folders" / f"{hashlib.sha256(os.fsencode(base.resolve())).hexdigest()[:32]}.json"
    version = [decoder(), _SCAN_VERSION]
    try:
        known = json.loads(kept.read_text())
        known = known["files"] if known["version"] == version else {}
    except (OSError, ValueError, KeyError, TypeError):
        known = {}
    state = {file: _state(base / file) for file in files}
    stale = [file for file in files if state[file] is None or known.get(file, [None])[0] != state[file]]
    outcomes = {file: known[file][1] for file in files if file in known}
    if stale:
        outcomes |= zip(stale, _examined(base, stale), strict=True)
    if stale or len(known) != len(files):
        found = {file: [state[file], outcomes[file]] for file in files if state[file]}
        with contextlib.suppress(ReportError):  # only a shortcut for the next time
            paths.write(kept, json.dumps({"version": version, "files": found}))
    seen = set()
    for file in files:
        sha256, fault, examined = outcomes[file]
        if fault:
            out.faults.append(fault)
        elif sha256 in seen:
            out.copies.append(_shown(file))
        else:
            seen.add(sha256)
            out.good.append((file, sha256, Examined(**examined)))
    return out


def walk(base: Path, out: Scan):
    """Yield the paths (below `base`) of files that may be photographs; note the others."""

    def closed(error: OSError) -> None:
        name = visible(_shown(_below(error.filename, base)))
        out.faults.append(f"{name} cannot be listed: {error.strerror}.")

    own = {paths.results().resolve(), (paths.root() / "figures").resolve()} - {
        base.resolve(),
        *base.resolve().parents,
    }
    for where, folders, files in os.walk(base, onerror=closed):
        for name in sorted(folders):
            place = os.path.join(where, name)
            if os.path.islink(place):
                if not _no_album(name):
                    out.links.append(_shown(_below(place, base)))
            elif _no_album(name) or Path(place).resolve() in own:
                if count := sum(
                    _suffix(f) in SUFFIXES
                    for _, _, inside in os.walk(place)
                    for f in inside
                    if not f.startswith("._")
                ):
                    out.hidden[visible(name)] += count
            else:
                continue
            folders.remove(name)
        for file in files:
            if file.startswith("."):
                # `._`: no image, but its attributes.
                out.hidden["hidden files"] += _suffix(file) in SUFFIXES and not file.startswith("._")
            elif _suffix(file) in SUFFIXES:
                yield _below(os.path.join(where, file), base)
            elif _suffix(file) in UNREAD:
                out.unread[_suffix(file)] += 1


def _no_album(name: str) -> bool:
    return (
        name.startswith(HIDDEN)
        or name.casefold() in NOT_ALBUMS
        or name.casefold().endswith(NOT_ALBUM_SUFFIXES)
    )


def _suffix(file: str) -> str:
    return os.path.splitext(file)[1].lower()


def _below(file: str, base: Path) -> str:
    return os.path.relpath(file, base)


def _state(file: Path) -> list[int] | None:
    try:
        stat = file.stat()
    except OSError:  # a dangling link: reading it names the fault
        return None
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _examined(base: Path, files: list[str]) -> list[tuple[str, str, dict]]:
    from tqdm.auto import tqdm

    # Warnings about odd metadata are silenced around the pool: filters are per process.
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(cores()) as pool:
        found = pool.map(lambda file: _examine(base / file, visible(_shown(file))), files)
        bar = {"desc": "photographs examined", "unit": "file", "delay": 5, "mininterval": 1}
        return list(tqdm(found, total=len(files), **bar))


def _examine(path: Path, name: str) -> tuple[str, str, dict]:
    """Return (SHA-256, fault, what `examine` found) of a file; the fault is '' for a photograph."""
    try:
        if not path.is_file() and path.exists():  # a pipe would be waited for
            return "", f"{name} is not a regular file.", {}
        with ROOM(area(path)):
            data = path.read_bytes()
            return hashlib.sha256(data).hexdigest(), "", asdict(examine(data, name))
    except OSError as error:
        return "", f"{name} cannot be read: {error.strerror or error}.", {}
    except DatasetError as error:
        return "", str(error), {}


def _shown(file: str) -> str:
    """Return a path as the recipe holds it: with slashes, and U+FFFD for bytes outside UTF-8."""
    return os.fsencode(Path(file).as_posix()).decode("utf-8", "replace")


# --- which look alike ---------------------------------------------------------------------------------------


def _scenes(examined: list[Examined]) -> list[list[int]]:
    """Return the numbers of the photographs in groups that look alike, in the order of each group's first."""
    look = np.array([e.look for e in examined], np.uint64)
    shape = np.log([e.ratio for e in examined])
    varied = np.array([not e.one_colour for e in examined])
    scene = np.arange(len(examined))
    for i in np.flatnonzero(varied):
        alike = varied & (np.bitwise_count(look ^ look[i]) <= ALIKE_BITS)
        alike &= np.abs(shape - shape[i]) < ALIKE_SHAPE
        scene[np.isin(scene, scene[alike])] = scene[i]
    groups: dict[int, list[int]] = {}
    for i, number in enumerate(scene.tolist()):
        groups.setdefault(number, []).append(i)
    return list(groups.values())


# --- warnings -----------------------------------------------------------------------------------------------


def _left_out(found: Scan, name: str):
    """Yield a sentence for each reason for which files were left out."""
    if found.faults:
        more = [f"And {len(found.faults) - NAMED} more."] if len(found.faults) > NAMED else []
        told = " ".join(found.faults[:NAMED] + more)
        yield f"{_count(len(found.faults), 'file')} of {name} skipped: {told}"
    if found.copies:
        yield (
            f"{_count(len(found.copies), 'file')} of {name} skipped, identical to another one: "
            f"{_named(found.copies)}."
        )
    if found.unread:
        kinds = ", ".join(f"{n} {suffix}" for suffix, n in sorted(found.unread.items()))
        yield (
            f"{_count(found.unread.total(), 'file')} of {name} skipped, of kinds that are not read "
            f"({kinds}): convert them to one of {', '.join(sorted(SUFFIXES))}."
        )
    if hidden := +found.hidden:
        yield (
            f"{_count(hidden.total(), 'file')} of {name} skipped, hidden or in folders of thumbnails, "
            f"previews or deleted files or of this project's own results ({_named(sorted(hidden))})."
        )
    if found.links:
        yield (
            f"{_count(len(found.links), 'link')} to folders of {name} not followed "
            f"({_named(found.links)}): move the photographs there, or name the other folder."
        )


def _of_photographs(good: list[tuple[str, str, Examined]], scenes: list[list[int]]) -> list[str]:
    """Return a sentence for each property of the photographs themselves that a reader must know."""
    names = [_shown(file) for file, *_ in good]
    notes = []
    if alike := [names[i] for scene in scenes for i in scene[1:]]:
        notes.append(
            f"{_count(len(alike), 'photograph')} looking like another one (resized or edited copies, "
            f"or one scene twice: {_named(alike)}) counted as views of the same photograph, all on one side "
            "of the split."
        )
    assumed = defaultdict(list)
    for name, (*_, examined) in zip(names, good, strict=True):
        assumed[examined.assumed].append(name)
    for what, which in sorted(assumed.items()):
        if what:
            notes.append(
                f"{_count(len(which), 'photograph')} read as {what}, as the largest value in each file "
                f"suggests: {_named(which)}."
            )
    if flat := [name for name, (*_, examined) in zip(names, good, strict=True) if examined.one_colour]:
        notes.append(
            f"{_count(len(flat), 'photograph')} nearly of one colour, so that pairs made from "
            f"{'it have' if len(flat) == 1 else 'them have'} no noise: {_named(flat)}."
        )
    if profiles := sum(examined.profile for *_, examined in good):
        notes.append(
            f"{_count(profiles, 'photograph')} with a colour profile other than sRGB, whose values are "
            "taken as they are stored."
        )
    return notes


def _named(names: list[str]) -> str:
    more = [f"and {len(names) - NAMED} more"] if len(names) > NAMED else []
    return ", ".join([*map(visible, names[:NAMED]), *more])


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
