"""Random sub-pixel sampling: windows, cells, one random pixel per cell, and the cell mean.

A window of a photograph is cut into 32x32 cells. The clean image is the mean of each cell; a noisy image
takes one pixel of each cell, uniformly, the same pixel for the three channels. So E[noisy] is the cell
mean, exactly.
"""

from __future__ import annotations

import hashlib

import numpy as np

from n2nlib.errors import DatasetError

#: Raised by hand whenever the same recipe would give other bytes; part of every dataset fingerprint.
SAMPLER_VERSION = 1
SIDE = 32

_BAND = 1 << 20  # pixels summed at once: bounds the memory, changes no byte
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def generator(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """Return the Philox generator of (seed, purpose, index), independent of earlier draws."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def words(rng: np.random.Generator, shape) -> np.ndarray:
    """Return the generator's next raw 64-bit words as a uint64 array of that shape.

    Everything random in a dataset is made from these words by the integer arithmetic of this file: NumPy
    keeps the raw stream of a bit generator fixed, but may change what the Generator's methods make of it.
    """
    if isinstance(rng.bit_generator, np.random.MT19937):
        raise TypeError(
            "MT19937 gives 32-bit words; use n2nlib.data.sampling.generator(seed, purpose, index)"
        )
    return rng.bit_generator.random_raw(int(np.prod(shape))).reshape(shape)


def halves(word: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split 64-bit words into two independent 32-bit numbers, each still in a uint64 array."""
    return word >> _HALF, word & _LOW


def below(n, number: np.ndarray) -> np.ndarray:
    """Return integers uniform on 0..n-1 from 32-bit numbers (bias at most n / 2^32)."""
    return (number * np.asarray(n, np.uint64)) >> _HALF


def permutation(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return a random permutation of 0..n-1."""
    return np.argsort(words(rng, n), kind="stable")


def windows(
    shape: tuple[int, int], n: int, fractions: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """Draw n windows of a photograph of that (height, width).

    Both sides are one random fraction (between `fractions`) of the photograph's, but at least 32 pixels;
    the position is uniform. Returns an int64 array (n, 5) of top, left, height, width, flip (1: mirror left
    to right). The first windows of a photograph are the same however many are drawn.
    """
    low, high = fractions
    word = words(rng, (n, 2))
    fraction = low + (high - low) * ((word[:, 0] >> np.uint64(11)).astype(np.float64) * 2.0**-53)
    row, column = halves(word[:, 1])
    height = np.maximum(SIDE, np.floor(fraction * shape[0])).astype(np.uint64)
    width = np.maximum(SIDE, np.floor(fraction * shape[1])).astype(np.uint64)
    top = below(np.uint64(shape[0]) - height + np.uint64(1), row)
    left = below(np.uint64(shape[1]) - width + np.uint64(1), column)
    return np.stack([top, left, height, width, word[:, 0] & np.uint64(1)], axis=1).astype(np.int64)


def edges(start, length, cells: int = SIDE) -> np.ndarray:
    """Return the bounds of the cells of a window side: start + floor(i * length / cells).

    Cells are whole pixels, so their sizes differ by one where `cells` does not divide `length`.
    """
    i = np.arange(cells + 1)
    return np.asarray(start)[..., None] + i * np.asarray(length)[..., None] // cells


def integral(image: np.ndarray) -> np.ndarray:
    """Return the integral image (H+1, W+1, 3): entry (i, j) sums the pixels above and left of it.

    The sums wrap modulo 2^32, which their differences undo for every cell of fewer than 2^24 pixels.
    """
    height, width, channels = image.shape
    out = np.zeros((height + 1, width + 1, channels), np.uint32)
    step = max(1, _BAND // width)  # in bands of rows: NumPy copies what it sums
    for y in range(0, height, step):
        band = np.cumsum(image[y : y + step], axis=1, dtype=np.uint32)
        band[0] += out[y, 1:]
        np.cumsum(band, axis=0, out=out[y + 1 : y + 1 + step, 1:])
    return out


def cell_means(table: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the mean of each cell, rounded once, half to even.

    table: integral image; rows (n, h+1) and columns (n, w+1): cell edges. Returns uint8 (n, h, w, 3).
    """
    corner = np.take(
        table.reshape(-1, table.shape[2]), rows[:, :, None] * table.shape[1] + columns[:, None, :], axis=0
    )
    total = corner[:, 1:] - corner[:, :-1]  # (n, h, w+1, 3)
    total = total[:, :, 1:] - total[:, :, :-1]  # (n, h, w, 3)
    area = np.diff(rows)[:, :, None, None] * np.diff(columns)[:, None, :, None]
    # A quotient of such small integers is a tie in floating point exactly when it is one in truth.
    return np.rint(total / area).astype(np.uint8)


def draw(image: np.ndarray, rows: np.ndarray, columns: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Return one pixel of each cell, uniform over the cell, the same for the three channels.

    image: uint8 (H, W, 3); rows (n, h+1) and columns (n, w+1): cell edges; number: 32-bit random numbers
    (n, h, w), one per cell: its product with the cell's height picks the row, and what is left of it the
    column. Returns uint8 (n, h, w, 3).
    """
    product = number * np.diff(rows).astype(np.uint64)[:, :, None]
    row = rows[:, :-1, None] + (product >> _HALF).astype(np.int64)
    column = columns[:, None, :-1] + below(np.diff(columns)[:, None, :], product & _LOW).astype(np.int64)
    return np.take(image.reshape(-1, image.shape[2]), row * image.shape[1] + column, axis=0)


def box_mean(image: np.ndarray, cells: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    """Return the rounded mean of each cell of a uint8 image (H, W, 3), as uint8 (3, h, w).

    Raises DatasetError for an image smaller than its cells.
    """
    rows, columns = _grid(image, cells)
    tables = (integral(image[:, :, c : c + 1]) for c in range(image.shape[2]))
    return np.stack([cell_means(table, rows, columns)[0, :, :, 0] for table in tables])


def subsample(
    image: np.ndarray, rng: np.random.Generator, cells: tuple[int, int] = (SIDE, SIDE)
) -> np.ndarray:
    """Return a uniformly drawn pixel of each cell of a uint8 image (H, W, 3), as uint8 (3, h, w).

    Raises DatasetError for an image smaller than its cells.
    """
    rows, columns = _grid(image, cells)
    return draw(image, rows, columns, halves(words(rng, (1, *cells)))[0])[0].transpose(2, 0, 1)


def _grid(image: np.ndarray, cells: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    if image.ndim != 3 or image.dtype != np.uint8:
        raise DatasetError(
            f"expected a uint8 image (height, width, channels), not {image.dtype} {image.shape}."
        )
    if image.shape[0] < cells[0] or image.shape[1] < cells[1]:
        raise DatasetError(
            f"an image of {image.shape[0]}x{image.shape[1]} pixels cannot be divided into "
            f"{cells[0]}x{cells[1]} cells."
        )
    return edges([0], [image.shape[0]], cells[0]), edges([0], [image.shape[1]], cells[1])
