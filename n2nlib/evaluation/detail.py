"""Squared error in the flat and in the detailed parts of the clean images."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from n2nlib.evaluation.metrics import MSE_FLOOR

#: Pixels are ranked by local deviation and cut into this many parts of equal size.
PARTS = 10


def local_deviation(clean: np.ndarray) -> np.ndarray:
    """Standard deviation of the clean grey values in the 5x5 pixels around each pixel.

    (N,3,H,W) uint8 -> (N,H,W).
    On [0, 1] data. Five pixels, as in the SmoothGrad measurements: narrow enough to be local, wide enough to
    be known.
    """
    grey = clean.mean(axis=1) / 255  # (N,3,H,W) -> (N,H,W)
    mean, square = (
        ndimage.uniform_filter(x, size=(5, 5), axes=(1, 2), mode="reflect") for x in (grey, grey**2)
    )
    return np.sqrt(np.maximum(square - mean**2, 0))


def parts(deviation: np.ndarray) -> np.ndarray:
    """Number the tenth of all pixels that each pixel belongs to, 0 flattest to 9 most detailed.

    Same shape, int.
    Pixels of the very same deviation share a tenth, so where large areas are perfectly flat the first is the
    larger.
    """
    edges = np.quantile(deviation, np.arange(1, PARTS) / PARTS)
    return np.searchsorted(edges, deviation, side="left")


def error_by_part(image: np.ndarray, clean: np.ndarray, part: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """Sum an image's squared error over the pixels of each photograph and part: -> (photographs, parts).

    `image` and `clean` uint8 (N,3,H,W), compared on [0, 1] and averaged over channels; `part` (N,H,W) from
    `parts`; `photo` (N,) numbers the photograph of each image.
    """
    error = np.square((image.astype(np.float64) - clean) / 255).mean(axis=1)  # (N,3,H,W) -> (N,H,W)
    return _sum(error, part, photo)


def pixels_by_part(part: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """Count the pixels of each photograph and part: -> (photographs, parts)."""
    return _sum(np.ones(part.shape), part, photo)


def gain(before: np.ndarray, after: np.ndarray, pixels: np.ndarray, which: slice = slice(None)) -> np.ndarray:
    """Gain in dB of `after` over `before` within some parts: -> (..., photographs).

    All three as `error_by_part` and `pixels_by_part` give them, with leading axes for seeds if any.
    A photograph without such pixels has NaN; errors are floored as those of the PSNR are.
    """
    pixels = pixels[..., which].sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mse_before, mse_after = (x[..., which].sum(axis=-1) / pixels for x in (before, after))
        return 10 * np.log10(np.maximum(mse_before, MSE_FLOOR) / np.maximum(mse_after, MSE_FLOOR))


def _sum(values: np.ndarray, part: np.ndarray, photo: np.ndarray) -> np.ndarray:
    photo = np.unique(np.asarray(photo), return_inverse=True)[1]
    cell = photo[:, None, None] * PARTS + part
    return np.bincount(cell.ravel(), values.ravel(), minlength=(photo.max() + 1) * PARTS).reshape(-1, PARTS)
