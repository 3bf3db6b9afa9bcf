"""Tables of chapter 05: the statements of the paper's section 3, measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from n2nlib.analysis.image_statistics import ImageStatistics

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


def noise_found(found: ImageStatistics) -> pd.DataFrame:
    """How well the change and the loss gradient of each subject find the noisy pixels (AUC)."""
    return _averages(
        found, {"AUC of the change": "change_auc", "AUC of the loss gradient": "loss_gradient_auc"}
    )


def output_gradients(found: ImageStatistics) -> pd.DataFrame:
    """The output gradient at noisy pixels and around them over that at quiet ones, if it is there."""
    ratios = {
        "noisy / quiet pixel": "output_gradient_ratio",
        "around noisy / around quiet": "ring_ratio",
        "pixel to ring": "pixel_to_ring",
    }
    with_gradient = {label: arrays for label, arrays in found.found.items() if "pixel" in arrays}
    return _averages(ImageStatistics(with_gradient), ratios)


def changes(found: ImageStatistics) -> pd.DataFrame:
    """The share of the change on noisy pixels, and of these pixels that move to their neighbours."""
    columns = {"share of the change": "change_share", "moved towards the neighbours": "towards_surroundings"}
    return _averages(found, columns)


def background(found: ImageStatistics) -> pd.DataFrame:
    """The output gradient on the side of the background over that of the object, beside edges."""
    return _averages(found, {"background / object": "background_ratio"})


def _averages(found: ImageStatistics, columns: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "": label,
                **{title: found.average(label, name) for title, name in columns.items()},
                "images": max(found.images(label, name) for name in columns.values()),
            }
            for label in found.labels
        ]
    )


def smoothgrad_sensitivity(
    found: Mapping[tuple[int, float], ImageStatistics], label: str = "TNet"
) -> pd.DataFrame:
    """The statements about gradients at several (samples, sigma) of SmoothGrad."""
    columns = {
        "AUC of the loss gradient": "loss_gradient_auc",
        "noisy / quiet pixel": "output_gradient_ratio",
        "around noisy / around quiet": "ring_ratio",
    }
    return pd.DataFrame(
        [
            {
                "σ": sigma,
                "samples": samples,
                **{title: each.average(label, name) for title, name in columns.items()},
            }
            for (samples, sigma), each in found.items()
            if label in each.labels
        ]
    )


def own_side(sides: ImageStatistics, filters: Mapping[str, Sequence] | None = None) -> pd.DataFrame:
    """Weight on the own side of an edge over that on the other, with what each of the filters is tuned to."""
    settings = {
        label: ", ".join(f"{k} {v:.3g}" for k, v in f.parameters.items())
        for label, (f, *_) in (filters or {}).items()
    }
    return pd.DataFrame(
        [
            {
                "": label,
                "tuned to": settings.get(label),
                "own side / other side": sides.average(label, "same_side"),
                "images": sides.images(label, "same_side"),
                "edge pixels": int(arrays["edges"][0].sum()),
            }
            for label, arrays in sides.found.items()
        ]
    )


def section3(
    found: ImageStatistics,
    sides: ImageStatistics,
    labels: Sequence[str] = ("TNet", "Gaussian", "TNet, untrained"),
) -> pd.DataFrame:
    """Each sentence of section 3 beside what was measured of some subjects; empty without the first."""
    return pd.DataFrame(
        [
            {
                "the paper": sentence,
                "measured": measured,
                **{label: (sides if name == "same_side" else found).average(label, name) for label in labels},
            }
            for name, (sentence, measured) in SECTION3.items()
            if labels[0] in found.labels
        ]
    )
