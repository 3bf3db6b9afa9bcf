"""How fast pairs are made, beside a plain loop that makes the same pairs one cell at a time."""

from __future__ import annotations

import time

import numpy as np

from n2nlib.data import photos, sampling
from n2nlib.data.building import build
from n2nlib.data.sampling import SIDE


def bench_pairs(n: int = 2_000) -> float:
    """Return pairs per second, decoding included, for n training pairs of the bundled photographs."""
    source = photos.bundled()
    start = time.perf_counter()
    build(source.train, n, fractions=source.fractions, split="train", seed=0)
    return n / (time.perf_counter() - start)


def bench_plain(n: int = 20) -> float:
    """Return pairs per second of `plain_pair` on one bundled photograph: the yardstick for `bench_pairs`."""
    source = photos.bundled()
    image = source.train[0].load()
    start = time.perf_counter()
    window = sampling.windows(image.shape[:2], n, source.fractions, sampling.generator(0, "bench"))
    for i, row in enumerate(window):
        plain_pair(image, row, sampling.words(sampling.generator(0, "bench", i), (SIDE, SIDE)))
    return n / (time.perf_counter() - start)


def plain_pair(
    image: np.ndarray, window: np.ndarray, word: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (a, b, clean), each uint8 (32, 32, 3), of one window by a plain loop: the tests' oracle.

    window: top, left, height, width, flip; word: uint64 (32, 32), whose halves choose the pixel of a and of
    b.
    """
    top, left, height, width, flip = (int(v) for v in window)
    a, b, clean = (np.empty((SIDE, SIDE, 3), np.uint8) for _ in range(3))
    for i in range(SIDE):
        for j in range(SIDE):
            y0, y1 = top + i * height // SIDE, top + (i + 1) * height // SIDE
            x0, x1 = left + j * width // SIDE, left + (j + 1) * width // SIDE
            cell = image[y0:y1, x0:x1]
            clean[i, j] = np.rint(cell.mean(axis=(0, 1)))
            for out, number in ((a, int(word[i, j]) >> 32), (b, int(word[i, j]) & 0xFFFFFFFF)):
                product = number * (y1 - y0)
                out[i, j] = cell[product >> 32, (product & 0xFFFFFFFF) * (x1 - x0) >> 32]
    return tuple(x[:, ::-1] if flip else x for x in (a, b, clean))
