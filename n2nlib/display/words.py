"""Sentences that depend on results, each tested in all its branches.

They call something a difference only where a 95 % confidence interval shows one. Where nothing was measured,
as in a comparison without rows, the text is empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from n2nlib import paper
from n2nlib.analysis import intervals
from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.intervals import FEWEST, Interval
from n2nlib.analysis.precision import Effect, described
from n2nlib.evaluation import metrics
from n2nlib.profiles import Profile

#: Both networks are trained so in the rows of this name.
MORE = "augmented + cosine"


def listed(items) -> str:
    """Return items as words: "a, b and c"; nothing for none."""
    *head, last = items or [""]
    return f"{', '.join(head)} and {last}" if head else last


def plural(n: int, one: str, several: str) -> str:
    """Return the word that goes with a number of items."""
    return one if n == 1 else several


def outcome(rows: Comparison) -> str:
    """Which rows end above or below the reference row, as far as their intervals show it."""
    neither = "not significantly different from"
    groups: dict[str, list[str]] = {"below": [], "above": [], neither: []}
    for label, d in rows.differences().items():
        if d:
            groups[side(d, 0, "above", "below", neither)].append(f"{label} ({d} dB)")
    told = [f"{plural(len(labels), 'Ends', 'End')} {where} {rows.reference}: {listed(labels)}."
            for where, labels in groups.items() if labels]  # fmt: skip
    if rows and not told:
        return (f"There is no confidence interval, which takes {FEWEST} seeds and {FEWEST} photographs, so "
                "no difference is called one.")  # fmt: skip
    return " ".join(told)


def pair(a: str, b: str, d: Interval) -> str:
    """How two rows compare in PSNR (dB): d is a minus b."""
    if not d:
        return f"There is no confidence interval, so nothing is said of {a} and {b}."
    return side(d, 0, f"{a} ends above {b} ({d} dB).", f"{a} ends below {b} ({d} dB).",
                f"{a} and {b} do not differ significantly ({d} dB).")  # fmt: skip


def side(d: Interval | None, reference: float, above: str, below: str, neither: str) -> str:
    """Choose among three phrases by where an interval lies; say so where there is no interval or no value."""
    if d is None or np.isnan(d.value):
        return "no image qualifies, so nothing can be said"
    if not d:
        return "too few photographs for a confidence interval"
    return above if d.low > reference else below if d.high < reference else neither


def size_note(profile: Profile) -> str:
    """What a report of this size cannot say; nothing at the paper's size."""
    images, whole = profile.n_train * profile.epochs, paper.images()
    enough = paper.value("calibration.gaussian_passed_at")
    told = []
    if images < enough:
        told.append(
            f"**The paper's claims are not tested at this size.** Each run sees {images:,} training "
            f"images; TNet passes a tuned Gaussian filter only after about {enough:,}. The numbers "
            "compare networks early in training and say nothing about trained ones."
        )
    elif images < whole:
        told.append(
            f"Each run sees {images:,} training images, {100 * images / whole:.2g} % of the paper's: "
            "rankings may still change."
        )
    if profile.seeds < FEWEST:
        told.append(
            f"With at most {profile.seeds} seeds there is no confidence interval, and no difference is "
            "called one."
        )
    return " ".join(told)


def absent(rows: Comparison) -> str:
    """Which rows were asked for and have no run."""
    return f"Rows without stored runs are omitted: {'; '.join(rows.absent)}." if rows.absent else ""


def noisy_level(rows: Comparison) -> str:
    """The mean PSNR of the validation images before denoising."""
    return f"The noisy images have {rows.noisy.mean():.2f} dB on average." if rows.rows else ""


def best_rate(rates: Comparison) -> str:
    """Which learning rate ends best in PSNR and in training loss, and how far the means lie apart."""
    if len(rates.rows) < 2:
        return ""
    psnr = {label: rates.level(label).mean for label in rates.labels}
    loss = {label: rates.level(label, "published_loss").mean for label in rates.labels}
    best, least = max(psnr, key=psnr.get), min(loss, key=loss.get)
    first = (f"{best} ends best in PSNR and in training loss" if best == least else
             f"{best} ends highest in PSNR and {least} lowest in training loss")  # fmt: skip
    few = [label for label in rates.labels if rates.level(label).n < FEWEST]
    return (f"Here {first}. The means lie within {np.ptp(list(psnr.values())):.2f} dB of one another; "
            f"the paper's within {np.ptp(paper.table1().psnr):.2f} dB."
            + (f" Fewer than {FEWEST} seeds are stored at {listed(few)}." if few else ""))  # fmt: skip


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
    return (f"Over the last {100 * share:.0f} % of the training images the mean PSNR moved by "
            f"{listed(gains)}. A row whose curve still rises has not reached its final PSNR.")  # fmt: skip


def printed_columns() -> str:
    """Whether the printed columns of Table 1 differ by more than repetitions of one experiment would."""
    published, n = paper.table1(), paper.value("table1.seeds")
    p_psnr = intervals.equal_means(published.psnr, published.psnr_sd, n)
    p_loss = intervals.equal_means(published.loss, published.loss_sd, n)
    twice = [paper.value(f"{key}.psnr") for key in ("table1.5e-4", "table2.TNet")]
    return (
        f"On the printed means and deviations (n = {n} each) one-way analysis of variance gives p = "
        f"{p_psnr:.2f} for PSNR and p = {p_loss:.2f} for the loss. PSNR is printed to 0.01 dB, as coarse as "
        "its spread, so the loss says more. The printed columns "
        f"{'do not differ' if p_loss > 0.05 else 'differ'} by more than repetitions of one experiment would. "
        f"The paper reports one setting, TNet at 5e-4, twice: {twice[0]:.2f} dB in Table 1 and "
        f"{twice[1]:.2f} dB in Table 2. These two are {abs(twice[0] - twice[1]):.2f} dB apart, the columns "
        f"of Table 1 at most {np.ptp(published.psnr):.2f} dB."
    )


def nearest_range(ranges: pd.DataFrame, whole: bool) -> str:
    """Which of our experiments spreads its columns most like the published table: `tables.column_ranges`.

    whole: whether the runs have the paper's size.
    """
    theirs, *ours = ranges[["columns", "range (dB)"]].itertuples(index=False, name=None)
    if not ours:
        return ""
    spans = listed([f"{x:.2f} dB for {name}" for name, x in ours])
    text = f"The means of the paper's columns lie within {theirs[1]:.2f} dB; ours within {spans}."
    if not whole:
        return (
            f"{text} After so few images a low rate has not caught up, so **this does not yet test "
            "how the published table was made**."
        )
    if len(ours) < 2:
        return text
    nearest = min(ours, key=lambda row: abs(np.log(max(row[1], 1e-3) / theirs[1])))
    return (
        f"{text} Of our experiments, **{nearest[0]}** comes nearest to the published table; only its "
        "authors can say how it was made."
    )


def parameter_ratio(sizes: pd.DataFrame, rows: Comparison) -> str:
    """How the paper's "20x fewer parameters" is counted, and which UNets were trained."""
    both = ("UNet", "UNet (shared decoder)")
    ratio, cited = sizes.set_index("network").loc[list(both), "times TNet's"]
    weights = sizes.set_index("network").loc[both[1], "parameters"]
    trained = [label for label in both if label in rows.rows]
    told = (
        "At this size no run of either is stored.",
        f"At this size only runs of {listed(trained)} are stored.",
        "Both are trained below, under separate names.",
    )[len(trained)]
    return (
        f"The paper's \"{paper.value('abstract.times_fewer')}x fewer parameters\" counts UNet's decoder "
        f"block at each use: {ratio:.1f} times TNet's. The cited implementation trains {weights:,} weights, "
        f"{cited:.1f} times TNet's. {told}"
    )


def precision_note(effects: Iterable[Effect], rows: Comparison) -> str:
    """How far lower precision may have shifted rows, from `precision_effects`; nothing in fp32."""
    if rows.arithmetic <= {"fp32"}:
        return ""
    own = {(run.spec.dataset, run.spec.images) for runs in rows.rows.values() for run in runs}
    here = {described(kind): d for kind, _, d in effects if (kind.dataset, kind.images) in own}
    if not here:
        return ("At this report's own size no row is stored both in fp32 and in lower precision, so small "
                "differences are not secure, however narrow their interval.")  # fmt: skip
    shift = max(max(-d.low, d.high) for d in here.values())
    return (f"At this report's own size this was measured for {listed(here)}. Shifts of {shift:.2f} dB "
            "cannot be excluded, so differences of that size are not secure, however narrow their "
            "interval.")  # fmt: skip


def equal_training(found: Mapping[str, Interval], profile: Profile) -> str:
    """How TNet and UNet compare in each way of training; `found`: name -> TNet minus UNet (dB)."""
    told = [f"{name[0].upper()}{name[1:]}: {pair('TNet', 'UNet', d)}" for name, d in found.items() if d]
    if profile.seeds < FEWEST:
        told.append("Equal learning rates and augmentation are **not tested at this size**: "
                    f"{profile.seeds} seeds give no confidence interval.")  # fmt: skip
    return " ".join(told)


def timed(record: Mapping[str, Any] | None) -> str:
    """On which machine `make bench` timed training; `record`: one of `bench.records()`."""
    if not record:
        return "`make bench` has not been run, so there are no times."
    return f"Times: one run in fp32 on one core of {record['machine']}, measured by `make bench`."


def examples(pictures: Mapping[str, Any], rows: Comparison) -> str:
    """In how many of Figure 2's windows TNet is above UNet, and the means over all validation images.

    pictures: `measurements.examples`. Nothing where one of the two networks is missing.
    """
    images = pictures.get("arrays", {})
    if not {"TNet", "UNet"} <= images.keys() & rows.rows.keys():
        return ""
    tnet, unet = (metrics.psnr(images["clean"], images[label], 255) for label in ("TNet", "UNet"))
    better = int((tnet > unet).sum())
    return (
        f"TNet is above UNet in {better or 'none'} of these {len(tnet)} windows. Single windows say little: "
        f"over all validation images of the dataset the means are {rows.level('TNet').mean:.2f} dB for TNet "
        f"and {rows.level('UNet').mean:.2f} dB for UNet; the noisy images have {rows.noisy.mean():.2f} dB."
    )
