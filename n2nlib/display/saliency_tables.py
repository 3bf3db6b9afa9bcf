"""Tables of chapter 05: the statements of the paper's section 3, measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from n2nlib.analysis.image_statistics import ImageStatistics
from n2nlib.analysis.intervals import Interval

#: What the paper's section 3 says, and the statistic that measures it.
SECTION3 = {
    "change_auc": ("the network mainly changes the noisy pixels", "AUC with which the change finds them"),
    "loss_gradient_auc": ("the loss gradient is high there", "AUC with which it finds them"),
    "output_gradient_ratio": (
        "the output gradient is low there",
        "ratio to that at quiet pixels of equal detail",
    ),
    "ring_ratio": ("and high around them", "the same ratio for the eight neighbours"),
    "same_side": ("object and background are distinguished", "weight on the own side over the other"),
}

#: Heading of a statistic in a table.
HEADINGS = {
    "change_auc": "AUC of the change",
    "loss_gradient_auc": "AUC of the loss gradient",
    "output_gradient_ratio": "noisy / quiet pixel",
    "ring_ratio": "around noisy / around quiet",
    "pixel_to_ring": "pixel to ring",
    "change_share": "share of the change",
    "towards_surroundings": "moved towards the neighbours",
    "background_ratio": "background / object",
}


def noise_found(found: ImageStatistics) -> pd.DataFrame:
    """How well the change and the loss gradient of each subject find the noisy pixels (AUC)."""
    return _averages(found, "change_auc", "loss_gradient_auc")


def output_gradients(found: ImageStatistics) -> pd.DataFrame:
    """The output gradient at noisy pixels and around them over that at quiet ones, if it is there."""
    with_gradient = {label: arrays for label, arrays in found.found.items() if "pixel" in arrays}
    return _averages(ImageStatistics(with_gradient), "output_gradient_ratio", "ring_ratio", "pixel_to_ring")


def changes(found: ImageStatistics) -> pd.DataFrame:
    """The share of the change on noisy pixels, and of these pixels that move to their neighbours."""
    return _averages(found, "change_share", "towards_surroundings")


def background(found: ImageStatistics) -> pd.DataFrame:
    """The output gradient on the side of the background over that of the object, beside edges."""
    return _averages(found, "background_ratio")


def _averages(found: ImageStatistics, *statistics: str) -> pd.DataFrame:
    lines = []
    for label in found.labels:
        images = max(found.images(label, name) for name in statistics)
        lines.append({"": label, **_cells(found, label, *statistics), "images": images})
    return pd.DataFrame(lines)


def _cells(found: ImageStatistics, label: str, *statistics: str) -> dict[str, Interval | None]:
    return {HEADINGS[name]: found.average(label, name) for name in statistics}


def smoothgrad_sensitivity(found: Mapping[tuple[int, float], ImageStatistics]) -> pd.DataFrame:
    """The statements about gradients for TNet at several (samples, sigma) of SmoothGrad."""
    statistics = ("loss_gradient_auc", "output_gradient_ratio", "ring_ratio")
    return pd.DataFrame([
        {"σ": sigma, "samples": samples, **_cells(each, "TNet", *statistics)}
        for (samples, sigma), each in found.items() if "TNet" in each.labels
    ])  # fmt: skip


def own_side(sides: ImageStatistics, filters: Mapping[str, Sequence] | None = None) -> pd.DataFrame:
    """Weight on the own side of an edge over that on the other, with what each of the filters is tuned to."""
    settings = {
        label: ", ".join(f"{k} {v:.3g}" for k, v in f.parameters.items())
        for label, (f, *_) in (filters or {}).items()
    }
    lines = [
        {
            "": label,
            "tuned to": settings.get(label),
            "own side / other side": sides.average(label, "same_side"),
            "images": sides.images(label, "same_side"),
            "edge pixels": int(arrays["edges"][0].sum()),
        }
        for label, arrays in sides.found.items()
    ]
    return pd.DataFrame(lines)


def section3(found: ImageStatistics, sides: ImageStatistics) -> pd.DataFrame:
    """Each sentence of section 3 beside what was measured of some subjects; empty without TNet."""
    lines = []
    for name, (sentence, measured) in SECTION3.items() if "TNet" in found.labels else ():
        of = sides if name == "same_side" else found
        averages = {label: of.average(label, name) for label in ("TNet", "Gaussian", "TNet, untrained")}
        lines.append({"the paper": sentence, "measured": measured, **averages})
    return pd.DataFrame(lines)
