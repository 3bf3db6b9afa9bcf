"""Sentences of chapter 05 on what TNet changes and on the side of the background; tested in all their branches."""

from __future__ import annotations

import numpy as np

from n2nlib.analysis.image_statistics import ImageStatistics
from n2nlib.display.words import side


def changes(found: ImageStatistics) -> str:
    """Which share of TNet's change falls on the noisy pixels, and whether it moves them towards their surroundings."""
    share, towards = (found.average("TNet", name) for name in ("change_share", "towards_surroundings"))
    if share is None or np.isnan(share.value):
        return ""
    other = found.average("Gaussian", "change_share")
    beside = "" if other is None else f" (Gaussian filter: {100 * other.value:.0f} %)"
    half = side(share, 0.5, "more than half, so TNet mainly changes them", "less than half, so most of the "
                "change is elsewhere", "not significantly different from half")  # fmt: skip
    moved = side(towards, 0.5, "more than half", "fewer than half", "not significantly different from half")
    return (
        f"The noisiest 5 % of the pixels get {100 * share.value:.0f} % of TNet's change{beside}: {half}. "
        f"{100 * towards.value:.0f} % of them move towards the mean of their neighbours ({moved})."
    )


def background(found: ImageStatistics) -> str:
    """Which side of an edge the output gradient is larger on, as the paper reads it off one square."""
    ratio = found.average("TNet", "background_ratio")
    if ratio is None or np.isnan(ratio.value):
        return ""
    which = side(ratio, 1, "the background weighs more, as the paper says", "the object weighs more, unlike in "
                 "the paper's square", "neither side weighs more significantly")  # fmt: skip
    return f"Background over object: {ratio:.3f}; {which}."
