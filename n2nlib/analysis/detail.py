"""Where in an image a method errs: in the flat or in the detailed parts of the clean image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from n2nlib.analysis import stats
from n2nlib.analysis.stats import Interval
from n2nlib.evaluation.metrics import MSE_FLOOR

#: Pixels are ranked by local deviation and cut into this many parts of equal size.
PARTS = 10
#: The flattest and the most detailed fifth of the pixels.
FLAT, DETAILED = slice(0, 2), slice(PARTS - 2, PARTS)


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
    """Gain in dB of `after` over `before` within some parts, photograph by photograph: -> (..., photographs).

    All three as `error_by_part` and `pixels_by_part` give them, with leading axes for initialisations if any.
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


@dataclass(frozen=True)
class ErrorByDetail:
    """Squared error of filters and networks in tenths of the pixels.

    The arrays of `measurements.error_by_detail`.

    sums: method -> (photographs, tenths) for a filter, (seeds, photographs, tenths) for a network; pixels
    (photographs, tenths). False without TNet, whose gain over the filters it is about.
    """

    sums: Mapping[str, np.ndarray]
    pixels: np.ndarray

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> ErrorByDetail:
        """Take the arrays of the measurement apart."""
        return cls({name: array for name, array in arrays.items() if name != "pixels"}, arrays["pixels"])

    def __bool__(self) -> bool:
        return "TNet" in self.sums

    def rms(self, method: str) -> np.ndarray:
        """Return the root mean squared error in each tenth in grey levels, 0 to 255: (tenths,).

        The mean is over all seeds and photographs.
        """
        total = self.sums[method].reshape(-1, *self.pixels.shape).mean(axis=0).sum(axis=0)
        return 255 * np.sqrt(total / np.maximum(self.pixels.sum(axis=0), 1))

    def saved(self, name: str) -> np.ndarray:
        """Return what each tenth adds to the error that TNet saves over a filter: (tenths,).

        Mean squared error on [0, 1] data.
        """
        return (self.sums[name] - self.sums["TNet"]).mean(axis=0).sum(axis=0) / self.pixels.sum()

    def gain(self, name: str, which: slice) -> Interval:
        """Return TNet's gain (dB) over a filter in some tenths, over seeds and photographs."""
        return _crossed(gain(self.sums[name], self.sums["TNet"], self.pixels, which))

    def contrast(self, name: str) -> Interval:
        """Return TNet's gain (dB) over a filter in the most detailed fifth minus that in the flattest."""
        detailed, flat = (
            gain(self.sums[name], self.sums["TNet"], self.pixels, which) for which in (DETAILED, FLAT)
        )
        return _crossed(detailed - flat)

    def gains(self, name: str = "gaussian") -> dict[str, Interval]:
        """Return the numbers that the ledger keeps: the gain in both fifths and their difference.

        Empty without TNet.
        """
        if not self:
            return {}
        return {
            "gain_detail_minus_flat": self.contrast(name),
            "gain_detail": self.gain(name, DETAILED),
            "gain_flat": self.gain(name, FLAT),
        }

    def share(self, name: str, which: slice) -> float:
        """Return the share of a filter's squared error in some tenths; NaN without any error."""
        total = self.sums[name].sum()
        return float(self.sums[name][:, which].sum() / total) if total else float("nan")


def _crossed(by_photo: np.ndarray) -> Interval:
    """Return the mean over seeds and photographs, (seeds, photographs); a photograph may lack such pixels."""
    by_photo = by_photo[:, np.isfinite(by_photo).all(axis=0)]
    return stats.crossed(by_photo, photo=np.arange(by_photo.shape[1])).signed()
