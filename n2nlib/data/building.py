"""From photographs to arrays, and their cache on disk."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from n2nlib import paths
from n2nlib.data import noise as noises
from n2nlib.data import sampling
from n2nlib.data.decoding import area
from n2nlib.data.photos import ROOM, Photograph, decoder
from n2nlib.data.sampling import SIDE
from n2nlib.device import cores
from n2nlib.errors import DatasetError

_CHUNK = 128  # windows sampled at once: bounds the memory, changes no byte
_ARRAYS = ("a", "b", "clean", "photo")


def build(
    photographs: tuple[Photograph, ...],
    n: int,
    *,
    fractions: tuple[float, float],
    split: str,
    seed: int,
    noise: str = "subpixel",
    threads: int | None = None,
) -> dict[str, np.ndarray]:
    """Return n pairs as arrays a, b, clean (n, 3, 32, 32) uint8 and photo (n,) int32.

    Pairs are spread evenly over the photographs (over the scenes first, then over the views of a scene) and
    stored in a seeded permutation. Each of `threads` works on one photograph at a time: decoding and array
    arithmetic release Python's lock, so threads scale like processes without copying arrays or starting
    interpreters. Their number changes no byte. Raises DatasetError for a photograph that cannot be read.
    """
    out = {k: np.empty((n, 3, SIDE, SIDE), np.uint8) for k in ("a", "b", "clean")}
    groups = [p.group for p in photographs]
    rows_of = _places(groups, n, split, seed)
    out["photo"] = numbers(groups, n, split=split, seed=seed)

    def one(index: int) -> None:
        if len(rows := rows_of[index]):
            with ROOM(area(photographs[index].path)):
                image = photographs[index].load()
                _sample(image, index, rows, out, fractions, split, seed, noise)

    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(threads or cores()) as pool:
        futures = [pool.submit(one, i) for i in range(len(photographs))]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return out


def numbers(groups: list[int], n: int, *, split: str, seed: int) -> np.ndarray:
    """Return the scene that each of n pairs is cut from, int32 (n,)."""
    out = np.empty(n, np.int32)
    for group, rows in zip(groups, _places(groups, n, split, seed), strict=True):
        out[rows] = group
    return out


def _places(groups: list[int], n: int, split: str, seed: int) -> list[np.ndarray]:
    """Where each photograph's pairs are stored."""
    order = sampling.permutation(sampling.generator(seed, f"{split}/order"), n)
    return np.split(order, np.cumsum(_shares(groups, n))[:-1])


def _shares(groups: list[int], n: int) -> list[int]:
    """Pairs per photograph: even over groups, then over the photographs of each."""

    def even(total: int, parts: int) -> list[int]:
        return [(k + 1) * total // parts - k * total // parts for k in range(parts)]

    of_group = even(n, max(groups) + 1)
    queues = {g: even(of_group[g], groups.count(g)) for g in set(groups)}
    return [queues[g].pop(0) for g in groups]


def _sample(image, index, rows, out, fractions, split, seed, noise) -> None:
    kind, value = noises.parse(noise)
    window = sampling.windows(
        image.shape[:2], len(rows), fractions, sampling.generator(seed, f"{split}/windows", index)
    )
    rng = sampling.generator(seed, f"{split}/{'pixels' if kind == 'subpixel' else kind}", index)
    clean = _clean(image, window)
    for start in range(0, len(rows), _CHUNK):
        part = window[start : start + _CHUNK]
        top_edges, left_edges = sampling.edges(part[:, 0], part[:, 2]), sampling.edges(part[:, 1], part[:, 3])
        mirrored = part[:, 4].astype(bool)
        where = rows[start : start + _CHUNK]

        def store(name, pixels):  # (k, 32, 32, 3) -> (k, 3, 32, 32)
            pixels[mirrored] = pixels[mirrored, :, ::-1]
            out[name][where] = pixels.transpose(0, 3, 1, 2)

        store("clean", clean[start : start + _CHUNK])
        if kind == "subpixel":
            a, b = sampling.halves(sampling.words(rng, (len(part), SIDE, SIDE)))
            store("a", sampling.draw(image, top_edges, left_edges, a))
            store("b", sampling.draw(image, top_edges, left_edges, b))
        else:
            both = np.repeat(out["clean"][where][:, None], 2, axis=1)  # (k, 2, 3, 32, 32)
            both = noises.to_uint8_clipped(noises.NOISES[kind][0](both, rng, value))
            out["a"][where], out["b"][where] = both[:, 0], both[:, 1]


def _clean(image: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Return the clean images of some windows, unmirrored, uint8 (n, 32, 32, 3)."""
    out = np.empty((len(window), SIDE, SIDE, 3), np.uint8)
    for channel in range(3):  # one after the other: the table of a channel takes four bytes per pixel
        table = sampling.integral(image[:, :, channel : channel + 1])
        for start in range(0, len(window), _CHUNK):
            part = window[start : start + _CHUNK]
            rows, columns = sampling.edges(part[:, 0], part[:, 2]), sampling.edges(part[:, 1], part[:, 3])
            out[start : start + _CHUNK, ..., channel : channel + 1] = sampling.cell_means(
                table, rows, columns
            )
        del table  # before the next one is made
    return out


# --- cache --------------------------------------------------------------------------------------------------


def cached(fingerprint: str, split: str, n: int, make) -> dict[str, np.ndarray]:
    """Return the arrays of a split, memory-mapped from the cache.

    `make()` builds them when the cache has none.
    The folder is written under another name and renamed when complete; one with arrays of the wrong kind,
    or decoded by another version of the image decoder, is rebuilt. Raises DatasetError when it cannot be
    written (full disk).
    """
    place = paths.cache() / "datasets" / fingerprint / split
    arrays = _read(place, n)
    if arrays is None:
        _write(place, make())
        arrays = _read(place, n)
        if arrays is None:
            raise DatasetError(f"the pairs just written to {place} cannot be read back: check the disk.")
    return arrays


def _read(place: Path, n: int) -> dict[str, np.ndarray] | None:
    try:
        if json.loads((place / "meta.json").read_text()) != {"decoder": decoder()}:
            return None
        arrays = {name: np.load(place / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
    except (OSError, ValueError, EOFError):
        return None
    image, number = ((n, 3, SIDE, SIDE), np.uint8), ((n,), np.int32)
    good = all((v.shape, v.dtype) == (number if k == "photo" else image) for k, v in arrays.items())
    return arrays if good else None


def _write(place: Path, arrays: dict[str, np.ndarray]) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        try:
            for name, array in arrays.items():
                with open(part / f"{name}.npy", "wb") as file:
                    np.save(file, array)
                    file.flush()
                    os.fsync(file.fileno())
            (part / "meta.json").write_text(json.dumps({"decoder": decoder()}))
            if place.exists() and _read(place, len(arrays["photo"])) is None:
                shutil.rmtree(place)
            try:
                os.rename(part, place)
            except OSError:
                if not place.exists():  # otherwise another process was faster; it wrote the same bytes
                    raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise DatasetError(paths.unwritable(place.parent, error)) from error
