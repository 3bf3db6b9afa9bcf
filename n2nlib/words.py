"""Sentences that depend on results, each tested in all its branches.

They call something a difference only where a 95 % confidence interval shows one, and say nothing where nothing was
measured: a comparison without rows gives an empty text.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import paper, stats
from .comparison import Comparison
from .image_statistics import ImageStatistics
from .spec import Profile
from .stats import FEWEST, Interval


def listed(items) -> str:
    """Return items as words: "a, b and c"; nothing for none."""
    *head, last = items or [""]
    return f"{', '.join(head)} and {last}" if head else last


def outcome(rows: Comparison) -> str:
    """Which rows end above or below the reference row, as far as their intervals show it."""
    groups: dict[str, list[str]] = {"below": [], "above": [], "not significantly different from": []}
    for label, d in rows.differences().items():
        if d:
            side = "above" if d.low > 0 else "below" if d.high < 0 else "not significantly different from"
            groups[side].append(f"{label} ({d} dB)")
    told = [f"{'Ends' if len(labels) == 1 else 'End'} {side} {rows.reference}: {listed(labels)}." for side, labels in groups.items() if labels]
    if rows and not told:
        return f"No row has {FEWEST} seeds, so there is no confidence interval and no difference is called one."
    return " ".join(told)


def pair(a: str, b: str, d: Interval) -> str:
    """How two rows compare in PSNR (dB): d is a minus b."""
    if not d:
        return f"There is no confidence interval, so nothing is said of {a} and {b}."
    if d.low <= 0 <= d.high:
        return f"{a} and {b} do not differ significantly ({d} dB)."
    return f"{a} ends {'above' if d.value > 0 else 'below'} {b} ({d} dB)."


def size_note(profile: Profile) -> str:
    """What a report of this size cannot say; nothing at the paper's size."""
    images, enough, whole = profile.n_train * profile.epochs, paper.value("calibration.gaussian_passed_at"), paper.images()
    told = []
    if images < enough:
        told.append(
            f"**The paper's claims are not tested at this size.** Each run sees {images:,} training images; TNet passes a tuned Gaussian "
            f"filter only after about {enough:,}. The numbers compare networks early in training and say nothing about trained ones."
        )
    elif images < whole:
        told.append(f"Each run sees {images:,} training images, {100 * images / whole:.2g} % of the paper's: rankings may still change.")
    if profile.seeds < FEWEST:
        told.append(f"With at most {profile.seeds} seeds there is no confidence interval, and no difference is called one.")
    return " ".join(told)


def best_rate(rates: Comparison) -> str:
    """Which learning rate ends best in PSNR and in training loss, and how far the means lie apart."""
    if len(rates.rows) < 2:
        return ""
    psnr = {label: rates.level(label).mean for label in rates.labels}
    loss = {label: rates.level(label, "published_loss").mean for label in rates.labels}
    best, least = max(psnr, key=psnr.get), min(loss, key=loss.get)
    first = (f"{best} ends best in PSNR and in training loss" if best == least else
             f"{best} ends highest in PSNR and {least} lowest in training loss")  # fmt: skip
    return (f"Here {first}. The means lie within {np.ptp(list(psnr.values())):.2f} dB of one another; the paper's within "
            f"{np.ptp(paper.table1().psnr):.2f} dB.")  # fmt: skip


def last_gain(rows: Comparison) -> str:
    """By how much the mean PSNR still moved between the last two points of the learning curves."""
    gains, share = [], None
    for label in rows.labels:
        curve = rows.history().query("row == @label").dropna(subset=["psnr"]).groupby("images")["psnr"].mean()
        if len(curve) > 1:
            gains.append(f"{curve.iloc[-1] - curve.iloc[-2]:+z.2f} dB at {label}")
            share = 1 - curve.index[-2] / curve.index[-1]
    if not gains:
        return ""
    return (f"Over the last {100 * share:.0f} % of the training images the mean PSNR moved by {listed(gains)}. While a curve still "
            "climbs, a table of end points shows how far each row has come, not where it will end.")  # fmt: skip


def printed_columns() -> str:
    """Whether the printed columns of Table 1 differ by more than repetitions of one experiment would."""
    published, n = paper.table1(), paper.value("table1.initialisations")
    p_psnr = stats.equal_means(published.psnr, published.psnr_sd, n)
    p_loss = stats.equal_means(published.loss, published.loss_sd, n)
    twice = [paper.value(f"{key}.psnr") for key in ("table1.5e-4", "table2.TNet")]
    return (
        f"On the printed means and deviations (n = {n} each) one-way analysis of variance gives p = {p_psnr:.2f} for PSNR and p = {p_loss:.2f} "
        "for the loss. PSNR is printed to 0.01 dB, as coarse as its spread, so the loss is the better witness. "
        f"The printed columns {'do not differ' if p_loss > 0.05 else 'differ'} by more than repetitions of one experiment would. "
        f"The paper reports one setting, TNet at 5e-4, twice: {twice[0]:.2f} dB in Table 1 and {twice[1]:.2f} dB in Table 2. These two are "
        f"{abs(twice[0] - twice[1]):.2f} dB apart, the columns of Table 1 at most {np.ptp(published.psnr):.2f} dB."
    )


def nearest_range(ranges: pd.DataFrame, whole: bool) -> str:
    """Which of our experiments spreads its columns most like the published table: `tables.column_ranges`.

    whole: whether the runs have the paper's size.
    """
    theirs, *ours = ranges[["columns", "range (dB)"]].itertuples(index=False, name=None)
    if not ours:
        return ""
    text = f"The means of the paper's columns lie within {theirs[1]:.2f} dB; ours within {listed([f'{x:.2f} dB for {name}' for name, x in ours])}."
    if not whole:
        return f"{text} After so few images a low rate has not caught up, so **this does not yet test how the published table was made**."
    if len(ours) < 2:
        return text
    nearest = min(ours, key=lambda row: abs(np.log(max(row[1], 1e-3) / theirs[1])))
    return f"{text} Of our experiments, **{nearest[0]}** comes nearest to the published table; only its authors can say how it was made."


# --- chapter 05 ---


def looked_at(runs: Comparison) -> str:
    """Which networks are looked at: TNet's seeds and, if there is one, a run of UNet."""
    if "TNet" not in runs.rows:
        return ""
    seeds, level = len(runs.rows["TNet"]), runs.values("TNet")[0]
    unet = (
        f"and UNet ({runs.values('UNet')[0]:.2f} dB)"
        if "UNet" in runs.rows
        else "(no run of UNet is stored at this size)"
    )
    return (
        f"Networks: TNet ({seeds} seed{'s' * (seeds > 1)}, {level:.2f} dB for the first) {unet}, "
        f"after {runs.images:,} training images. Pictures show the first TNet."
    )


def side(d: Interval | None, reference: float, above: str, below: str, neither: str) -> str:
    """Choose among three phrases by where an interval lies; say so where there is no interval or no value."""
    if d is None or np.isnan(d.value):
        return "no image qualifies, so nothing can be said"
    if not d:
        return "too few photographs for a confidence interval"
    return above if d.low > reference else below if d.high < reference else neither


def noisy_pixels(found: ImageStatistics) -> str:
    """The first three statements of section 3 for TNet: change, loss gradient, output gradient."""
    if "TNet" not in found.labels:
        return ""
    change, loss = (
        found.difference("TNet", "Gaussian", name) for name in ("change_auc", "loss_gradient_auc")
    )
    pixel, ring = (found.average("TNet", name) for name in ("output_gradient_ratio", "ring_ratio"))
    if np.isnan([x.value for x in (change, pixel)]).all():
        return "No image has noisy pixels to look at: **not tested on these photographs**."
    pixel_off, ring_off = (f"by {100 * abs(x.value - 1):.1f} %" for x in (pixel, ring))
    nothing = found.average("noisy image", "loss_gradient_auc")
    better = side(
        change,
        0,
        "TNet finds the noisy pixels better",
        "TNet finds the noisy pixels worse",
        "the two do not differ significantly",
    )
    at_pixel = side(
        pixel,
        1,
        f"higher, {pixel_off}",
        f"lower, as the paper says, {pixel_off}",
        "not significantly different from 1",
    )
    at_ring = side(
        ring,
        1,
        f"higher, as the paper says, {ring_off}",
        f"lower, {ring_off}",
        "not significantly different from 1",
    )
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


def learnt(correlation: np.ndarray | None, found: ImageStatistics) -> str:
    """What cascading randomisation leaves of the maps, and shuffled weights of the loss gradient's AUC.

    correlation: (layers + 1,2) for the maps of loss and output.
    """
    if correlation is None:
        return ""
    loss, output = (f"{x:z.2f}" if np.isfinite(x) else "undefined" for x in correlation[-1])
    rest = (
        "A correlation that remains without learnt weights comes from how a map is made: the error f(x) - c "
        "is a factor of the gradient of the loss whatever the weights are."
        if correlation[-1].max() > 0.1
        else "As a whole the maps depend on the learnt weights."
    )
    shuffled, trained = (
        found.average(label, "loss_gradient_auc") for label in ("TNet, shuffled weights", "TNet")
    )
    use = side(
        shuffled,
        0.5,
        "still above chance, so this use of the map is no evidence of learning",
        "below chance",
        "not significantly above chance",
    )
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
        return (
            "No image has edges at which to measure content-awareness: **not tested on these photographs**."
        )
    trained = sides.difference("TNet", "TNet, untrained", "same_side")
    here = side(
        tnet,
        1,
        "TNet is above the 1 of a mean or Gaussian filter",
        "TNet is below the 1 of a mean or Gaussian filter",
        "TNet does not differ significantly from the 1 of a mean or Gaussian filter",
    )
    control = (
        "a value above 1 alone does not show that anything was learnt"
        if untrained.value >= tnet.value
        else side(
            trained,
            0,
            "training increased it",
            "training decreased it",
            "no significant effect of training is seen",
        )
    )
    adaptive = " and ".join(
        f"{label} is {_at(sides.average(label, 'same_side'))}" for label in ("bilateral", "non-local means")
    )
    return (
        f"Content-awareness at this size: {here}. TNet before training (one network, which has learnt "
        f"nothing) is {_at(untrained)}, so {control}. Of the filters that were designed for it, {adaptive}. "
        "(Tuned for PSNR, the bilateral filter is almost a Gaussian where its σ in colour is large.) To see "
        "whether content-awareness makes a denoiser powerful, compare these numbers with the PSNR of chapter "
        "02: the two rankings need not agree."
    )


def _value(x: Interval | None) -> str:
    return "–" if x is None or np.isnan(x.value) else f"{x.value:.3f}"


def _at(x: Interval | None) -> str:
    """Where a value lies, or why there is none."""
    return (
        "without a value (no image has an edge, or the pixel itself has all the weight)"
        if _value(x) == "–"
        else f"at {x.value:.3f}"
    )
