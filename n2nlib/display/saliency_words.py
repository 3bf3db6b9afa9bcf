"""Sentences of chapter 05 on what TNet does to an image; each is tested in all its branches."""

from __future__ import annotations

import numpy as np

from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.image_statistics import ImageStatistics
from n2nlib.analysis.intervals import Interval
from n2nlib.display.words import plural, side


def looked_at(runs: Comparison) -> str:
    """Which networks are looked at: TNet's seeds and, if there is one, a run of UNet."""
    if "TNet" not in runs.rows:
        return ""
    seeds, level = len(runs.rows["TNet"]), runs.values("TNet")[0]
    unet = "(no run of UNet is stored at this size)"
    if "UNet" in runs.rows:
        unet = f"and UNet ({runs.values('UNet')[0]:.2f} dB)"
    return (
        f"Networks: TNet ({seeds} {plural(seeds, 'seed', 'seeds')}, {level:.2f} dB for the first) {unet}, "
        f"after {runs.images:,} training images. Pictures show the first TNet."
    )


def noisy_pixels(found: ImageStatistics) -> str:
    """The first three statements of section 3 for TNet: change, loss gradient, output gradient."""
    if "TNet" not in found.labels:
        return ""
    aucs = ("change_auc", "loss_gradient_auc")
    change, loss = (found.difference("TNet", "Gaussian", name) for name in aucs)
    pixel, ring = (found.average("TNet", name) for name in ("output_gradient_ratio", "ring_ratio"))
    if np.isnan([x.value for x in (change, pixel)]).all():
        return "No image has noisy pixels to look at: **not tested on these photographs**."
    pixel_off, ring_off = (f"by {100 * abs(x.value - 1):.1f} %" for x in (pixel, ring))
    nothing = found.average("noisy image", "loss_gradient_auc")
    finds, equal = "TNet finds the noisy pixels", "not significantly different from 1"
    better = side(change, 0, f"{finds} better", f"{finds} worse", "the two do not differ significantly")
    at_pixel = side(pixel, 1, f"higher, {pixel_off}", f"lower, as the paper says, {pixel_off}", equal)
    at_ring = side(ring, 1, f"higher, as the paper says, {ring_off}", f"lower, {ring_off}", equal)
    return "\n\n".join(
        [
            "**Change.** TNet's AUC minus that of the Gaussian filter, which ignores the content of the "
            f"picture, is {change:.3f}: {better}.",
            f"**Loss gradient.** TNet's AUC minus that of the Gaussian filter is {loss:.3f}. The noisy "
            f"image itself reaches {_value(nothing)} by construction, so a high value does not show that "
            "anything was learnt.",
            f"**Output gradient.** Ratio to quiet pixels of equal detail: at noisy pixels {pixel:.3f} "
            f"({at_pixel}), around them {ring:.3f} ({at_ring}).",
        ]
    )


def changes(found: ImageStatistics) -> str:
    """Which share of TNet's change falls on noisy pixels, and whether it smooths them."""
    share, towards = (found.average("TNet", name) for name in ("change_share", "towards_surroundings"))
    if share is None or np.isnan(share.value):
        return ""
    other = found.average("Gaussian", "change_share")
    beside = "" if other is None else f" (Gaussian filter: {100 * other.value:.0f} %)"
    same = "not significantly different from half"
    half = side(share, 0.5, "more than half, so TNet mainly changes them",
                "less than half, so most of the change is elsewhere", same)  # fmt: skip
    moved = side(towards, 0.5, "more than half", "fewer than half", same)
    return (
        f"The noisiest 5 % of the pixels get {100 * share.value:.0f} % of TNet's change{beside}: {half}. "
        f"{100 * towards.value:.0f} % of them move towards the mean of their neighbours ({moved})."
    )


def background(found: ImageStatistics) -> str:
    """Which side of an edge the output gradient is larger on, as the paper reads it off one square."""
    ratio = found.average("TNet", "background_ratio")
    if ratio is None or np.isnan(ratio.value):
        return ""
    which = side(ratio, 1, "the background weighs more, as the paper says",
                 "the object weighs more, unlike in the paper's square",
                 "neither side weighs more significantly")  # fmt: skip
    return f"Background over object: {ratio:.3f}; {which}."


def learnt(correlation: np.ndarray | None, found: ImageStatistics) -> str:
    """What cascading randomisation leaves of the maps, and shuffled weights of the loss gradient's AUC.

    correlation: (layers + 1,2) for the maps of loss and output.
    """
    if correlation is None:
        return ""
    loss, output = (f"{x:z.2f}" if np.isfinite(x) else "undefined" for x in correlation[-1])
    rest = "As a whole the maps depend on the learnt weights."
    if correlation[-1].max() > 0.1:
        rest = ("A correlation that remains without learnt weights comes from how a map is made: the error "
                "f(x) - c is a factor of the gradient of the loss whatever the weights are.")  # fmt: skip
    shuffled, trained = (found.average(x, "loss_gradient_auc") for x in ("TNet, shuffled weights", "TNet"))
    use = side(shuffled, 0.5, "still above chance, so this use of the map is no evidence of learning",
               "below chance", "not significantly above chance")  # fmt: skip
    return (
        f"With all layers randomised the rank correlation with the trained map is {loss} for the loss and "
        f"{output} for the output. {rest} With weights shuffled within each layer, the loss gradient finds "
        f"the noise with an AUC of {shuffled:.3f} (trained: {trained:.3f}): {use}."
    )


def content_awareness(sides: ImageStatistics) -> str:
    """Whether TNet weighs an edge pixel's own side more than filters do, and than before training."""
    tnet, untrained = (sides.average(label, "same_side") for label in ("TNet", "TNet, untrained"))
    if tnet is None:
        return ""
    if np.isnan(tnet.value):
        return ("No image has edges at which to measure content-awareness: **not tested on these "
                "photographs**.")  # fmt: skip
    trained = sides.difference("TNet", "TNet, untrained", "same_side")
    one = "the 1 of a mean or Gaussian filter"
    here = side(tnet, 1, f"TNet is above {one}", f"TNet is below {one}",
                f"TNet does not differ significantly from {one}")  # fmt: skip
    if untrained.value >= tnet.value:
        control = "a value above 1 alone does not show that anything was learnt"
    else:
        control = side(trained, 0, "training increased it", "training decreased it",
                       "no significant effect of training is seen")  # fmt: skip
    adaptive = " and ".join(
        f"{label} is {_at(sides.average(label, 'same_side'))}" for label in ("bilateral", "non-local means")
    )
    return (
        f"Content-awareness at this size: {here}. TNet before training (the same seeds, which have "
        f"learnt nothing) is {_at(untrained)}, so {control}. Of the filters that were designed for it, "
        f"{adaptive}. (Tuned for PSNR, the bilateral filter is almost a Gaussian where its σ in colour "
        "is large.) To see whether content-awareness makes a denoiser powerful, compare these numbers "
        "with the PSNR of chapter 02: the two rankings need not agree."
    )


def _value(x: Interval | None) -> str:
    return "–" if x is None or np.isnan(x.value) else f"{x.value:.3f}"


def _at(x: Interval | None) -> str:
    """Where a value lies, or why there is none."""
    if _value(x) == "–":
        return "without a value (no image has an edge, or the pixel itself has all the weight)"
    return f"at {x.value:.3f}"
