"""Statistics per validation image: averages, differences and their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from n2nlib.analysis.intervals import FEWEST, Interval, crossed, over_photographs
from n2nlib.evaluation import saliency

#: Statistic as the ledger names it -> the arrays it is made of, and how.
STATISTICS = {
    "change_auc": (("change_auc",), lambda auc: auc),
    "loss_gradient_auc": (("loss_auc",), lambda auc: auc),
    "output_gradient_ratio": (("pixel",), lambda pixel: pixel),
    "ring_ratio": (("ring",), lambda ring: ring),
    "pixel_to_ring": (("pixel", "ring"), lambda pixel, ring: pixel - ring),
    "same_side": (("weights",), saliency.log_same_side),
    "change_share": (("change_share",), lambda share: share),
    "towards_surroundings": (("towards",), lambda share: share),
    "background_ratio": (("background",), lambda logs: logs),
}

#: Statistics that are shares or areas, from 0 to 1; the others are logarithms of ratios.
SHARES = ("change_auc", "loss_gradient_auc", "change_share", "towards_surroundings")

#: Label of a subject -> its name in the ledger.
LEDGER_NAMES = {
    "TNet": "TNet",
    "TNet, untrained": "untrained",
    "TNet, shuffled weights": "shuffled",
    "UNet": "UNet",
    "mean, 3x3": "mean",
    "Gaussian": "gaussian",
    "bilateral": "bilateral",
    "non-local means": "nlm",
}


class ImageStatistics:
    """Statistics of each validation image by subject, with averages, differences and their intervals.

    found: label -> arrays (seeds,N,...) by name, and `photo` (N,), the photograph of each image.
    `STATISTICS` says which statistics are made of them; logarithms of ratios are averaged geometrically. Two
    of these objects of different subjects are joined by `|`; one without any is false.
    """

    sample = (
        "Means over images; intervals are over photographs, and over seeds as well where there are three or "
        "more. Untrained and shuffled networks have the seeds of the trained ones."
    )
    pairing = ""

    def __init__(self, found: Mapping[str, Mapping[str, np.ndarray]]):
        self.found = dict(found)

    def __bool__(self) -> bool:
        return bool(self.found)

    def __or__(self, other: ImageStatistics) -> ImageStatistics:
        return ImageStatistics({**self.found, **other.found})

    @property
    def labels(self) -> list[str]:
        return list(self.found)

    @property
    def names(self) -> dict[str, str]:
        """Name in the ledger -> label, of the subjects here that the ledger has."""
        return {name: label for label, name in LEDGER_NAMES.items() if label in self.found}

    def values(self, label: str, statistic: str) -> np.ndarray | None:
        """Return a statistic (seeds,N), NaN where an image has none; None if it was not measured."""
        arrays, combine = STATISTICS[statistic]
        found = self.found.get(label, {})
        return combine(*(found[name] for name in arrays)) if set(arrays) <= found.keys() else None

    def average(self, label: str, statistic: str) -> Interval | None:
        """Return the mean over images with its interval; None if not measured.

        A share is clipped to [0, 1].
        """
        values = self.values(label, statistic)
        if values is None:
            return None
        found = replace(average(values, self.found[label]["photo"], logs=statistic not in SHARES), digits=3)
        if statistic in SHARES and found:
            found = replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))
        return found

    def difference(self, label: str, other: str, statistic: str) -> Interval | None:
        """Return one subject minus another on the images of both: shares or logarithms.

        Seeds are paired where both have as many (a control has those of what it controls), else the other's
        mean is taken.
        """
        a, b = self.values(label, statistic), self.values(other, statistic)
        if a is None or b is None:
            return None
        n = min(a.shape[1], b.shape[1])
        b = b if len(a) == len(b) else b.mean(0)
        return average(a[:, :n] - b[..., :n], self.found[label]["photo"][:n]).signed(3)

    def images(self, label: str, statistic: str | None = None) -> int:
        """Count the images that were looked at, or those that have a statistic."""
        if statistic is None:
            return int(self.found[label]["photo"].size)
        values = self.values(label, statistic)
        return 0 if values is None else int(np.isfinite(values).all(0).sum())

    def ledger(self, label: str, statistic: str) -> dict | None:
        """Return the average as the claims ledger reads it, `images` added; None where no image qualifies.

        `n` is that of `Interval`: seeds or photographs; `low` and `high` are None for fewer than three.
        """
        images = self.images(label, statistic)
        if not images:
            return None
        values, photo = self.values(label, statistic), self.found[label]["photo"]
        return average(values, photo, logs=statistic not in SHARES).to_dict() | {"images": images}

    def told(self, label: str, statistic: str) -> str:
        """Return the average and its images in words."""
        images = self.images(label, statistic)
        if not images:
            return "no image qualifies"
        return f"{self.average(label, statistic).value:.3f} over {images} images"


def average(values: np.ndarray, photo: np.ndarray, *, logs: bool = False) -> Interval:
    """Average over images with its interval: (N,) or (seeds,N), (N,) -> Interval.

    Of three seeds or more the interval crosses them with photographs, as that of a PSNR does; of fewer it is
    over photographs. Images without a number (NaN) are left out; `logs` gives the geometric mean.
    """
    values, photo = np.atleast_2d(values), np.asarray(photo)
    there = np.isfinite(values).all(0)
    if not there.any():
        return Interval(math.nan, None, None, 0, "no image qualifies")
    values, photo = values[:, there], photo[there]
    if len(values) >= FEWEST and len(np.unique(photo)) >= FEWEST:
        found = crossed(values, photo=photo)
    else:
        found = over_photographs(values.mean(0), photo)
    return found.mapped(math.exp) if logs else found
