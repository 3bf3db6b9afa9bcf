"""Where in an image a method errs: in the flat or in the detailed parts of the clean image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from n2nlib.analysis import intervals
from n2nlib.analysis.intervals import Interval
from n2nlib.evaluation.detail import PARTS, gain

#: The flattest and the most detailed fifth of the pixels.
FLAT, DETAILED = slice(0, 2), slice(PARTS - 2, PARTS)


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
        sums = self.sums[name], self.sums["TNet"], self.pixels
        return _crossed(gain(*sums, DETAILED) - gain(*sums, FLAT))

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
    return intervals.crossed(by_photo, photo=np.arange(by_photo.shape[1])).signed()
