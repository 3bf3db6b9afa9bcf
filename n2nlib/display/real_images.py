"""Tables, figures and sentences about the authors' own images: chapters 01 and 04."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from n2nlib import paper
from n2nlib.analysis.intervals import Interval, MeanSD
from n2nlib.analysis.real_images import REACH, Calibration, Level, Levels, Noise
from n2nlib.data import authors, measure
from n2nlib.data.authors import COUNT
from n2nlib.display.data import label_by_detail
from n2nlib.display.data_tables import measured
from n2nlib.display.style import COLOURS, PAGE
from n2nlib.display.words import listed, plural

#: Statistic of `analysis.real_images.Noise` -> its name in the table, and decimals.
STATISTICS = {
    "psnr": ("PSNR (dB)", 2),
    "mean_error": ("mean error", 2),
    "channels_low": ("correlation between channels, lowest", 2),
    "channels_high": ("correlation between channels, highest", 2),
    "neighbours": ("correlation with the neighbouring pixel", 3),
    "kurtosis": ("kurtosis (Gaussian: 3)", 1),
    "sd_flattest": ("standard deviation, flattest twelfth of the pixels", 1),
    "sd_finest": ("standard deviation, most detailed twelfth", 1),
    "per_detail": ("root mean square error per neighbour difference", 2),
}
OURS, THEIRS = "rebuilt", "real pairs"


def noise_table(found: Noise) -> pd.DataFrame:
    """The noise of the eleven pairs, and the middle 95 % of as many rebuilt images; errors in grey levels."""
    lines = []
    for name, (title, digits) in STATISTICS.items() if found else ():
        real, quantiles = found.statistics[name]
        low, middle, high = (round(float(x), digits) + 0.0 for x in quantiles)
        lines.append({
            "of the noise": title,
            f"the {COUNT} real pairs": measured(real, digits),
            f"{COUNT} rebuilt images, median [95 %]": Interval(middle, low, high, COUNT, "quantiles of draws",
                                                              digits=digits),
            "within": "no" if name in found.outside else "yes",
        })  # fmt: skip
    return pd.DataFrame(lines)


def noise_figure(found: Noise) -> Figure | None:
    """The error of the real and of the rebuilt images: its distribution, and its size against detail."""
    if not found:
        return None
    fig, (tails, detail) = plt.subplots(1, 2, figsize=(PAGE, 2.4))
    palette = {THEIRS: COLOURS["TNet"], OURS: COLOURS["noisy"]}
    centres, step = (measure.EDGES[1:] + measure.EDGES[:-1]) / 2, np.diff(measure.EDGES)[0]
    lines, classes = [], []
    for name, one in ((OURS, found.rebuilt), (THEIRS, found.pairs)):
        counts = np.asarray(one["arrays"]["histogram"], float)
        density = counts / counts.sum() / step
        lines.append(pd.DataFrame({"error": centres, "density": density, "images": name}))
        classes.append(pd.DataFrame({k: one["by_detail"][k] for k in ("detail", "sd")}).assign(images=name))
    shown = pd.concat(lines).query("density > 0 and -200 < error < 200")
    style = {"hue": "images", "palette": palette}
    sns.lineplot(shown, x="error", y="density", **style, ax=tails)
    tails.set(yscale="log", xlabel="error (grey levels)", title="Distribution of the error")
    tails.legend(title=None)
    sns.lineplot(pd.concat(classes), x="detail", y="sd", **style, marker="o", legend=False, ax=detail)
    label_by_detail(detail)
    return fig


def noise_words(found: Noise) -> str:
    """Whether the noise of the eleven pairs is what eleven rebuilt images have; nothing without the pairs."""
    if not found:
        return ""
    tested, outside = len(found.statistics), [STATISTICS[name][0] for name in found.outside]
    if not outside:
        return (
            f"All {tested} statistics of the {COUNT} real pairs are within the middle 95 % of what {COUNT} "
            "rebuilt images have: these pairs do not distinguish the rebuilt noise from the authors'. They "
            "are few, so moderate differences would not show."
        )
    return (
        f"Of {tested} statistics of the {COUNT} real pairs, {len(outside)} "
        f"{plural(len(outside), 'is', 'are')} outside the middle 95 % of what {COUNT} rebuilt images "
        f"have: {listed(outside)}. By chance alone, about one in twenty would be."
    )


def levels_table(found: Levels) -> pd.DataFrame:
    """Rows of Tables 1 and 2: on the eleven pairs, predicted for the validation set, printed (dB)."""
    words = {True: "yes", False: "no", None: None}
    lines = [
        {
            "row": title(label),
            f"on the {COUNT} pairs": level.on_pairs,
            "predicted": level.predicted,
            "printed": level.printed,
            "compatible": words[level.compatible],
            "calibration": _reach(level),
        }
        for label, level in found.rows.items()
    ]
    return pd.DataFrame(lines)


def _reach(level: Level) -> str:
    if level.predicted is None:
        return "beyond its reach"
    return "within its range" if not level.outside else f"extrapolated by {abs(level.outside):.2f} dB"


def levels_figure(found: Levels) -> Figure | None:
    """Predicted levels with their prediction intervals, and the printed ones."""
    shown = {label: level for label, level in found.rows.items() if level.predicted is not None}
    if not shown:
        return None
    frame = pd.DataFrame(
        {"row": title(label), "psnr": psnr, "level": name}
        for label, level in shown.items()
        for name, psnr in (("predicted", level.predicted.value), ("printed", level.printed.mean))
    )
    fig, ax = plt.subplots(figsize=(0.75 * PAGE, 0.7 + 0.27 * len(shown)))
    palette = {"predicted": COLOURS["TNet"], "printed": "black"}
    sns.stripplot(frame, x="psnr", y="row", hue="level", palette=palette, jitter=False, size=6, ax=ax)
    for y, level in enumerate(shown.values()):
        if level.predicted:
            ends = [level.predicted.low, level.predicted.high]
            ax.plot(ends, [y, y], color=COLOURS["TNet"], lw=1.2, zorder=1)
    ax.set(xlabel="PSNR on the authors' validation set (dB)", ylabel="")
    ax.legend(title=None, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return fig


def calibration_words(found: Levels) -> str:
    """How the calibration was made, and where it holds; nothing without levels."""
    if not found:
        return ""
    groups = authors.groups()
    c = Calibration.of(groups)
    return (
        f"{c.n} groups of the course published a checkpoint and its PSNR on the authors' 1,000 validation "
        f"images, {groups['reported'].min():.2f} to {groups['reported'].max():.2f} dB. On the {COUNT} pairs "
        f"their checkpoints reach {c.low:.2f} to {c.high:.2f} dB. The difference is {c.offset:+.3f} dB with "
        f"a standard deviation of {c.spread:.3f} dB, and it is added to what a network reaches on the pairs. "
        f"Outside that range the interval widens with the distance; beyond {REACH * (c.high - c.low):.1f} dB "
        "nothing is predicted."
    )


def levels_words(found: Levels) -> str:
    """Which printed levels are compatible with the predictions, and whether two rows look exchanged."""
    if not found:
        return ""
    agree = [title(label) for label, level in found.rows.items() if level.compatible is True]
    differ = [f"{title(label)} (predicted {level.predicted}, printed {level.printed.mean:.2f} dB)"
              for label, level in found.rows.items() if level.compatible is False]  # fmt: skip
    told = []
    if agree:
        told.append(f"The printed level is compatible with the prediction for {listed(agree)}.")
    if differ:
        start = "It is not" if agree else "The printed level is not compatible"
        told.append(f"{start} for {listed(differ)}.")
    if not agree and not differ:
        told.append("No row has the three seeds that a prediction interval takes.")
    for a, b in found.exchanged:
        told.append(
            f"Each of {a} and {b} is compatible with the level that is printed for the other: **the numbers "
            "suggest that these two rows of Table 2 are exchanged.** Only the authors' records could prove "
            "it."
        )
    far = [title(label) for label, level in found.rows.items() if level.predicted is None]
    if far:
        told.append(f"{listed(far)} {plural(len(far), 'is', 'are')} beyond the reach of the calibration.")
    return " ".join(told)


def title(label: str) -> str:
    """Return a row's name for readers: those of Table 1 are learning rates."""
    return f"TNet at {label}" if label in paper.table1().index else label


def released_table(found: Levels) -> pd.DataFrame:
    """The authors' released TNet beside ours, on their pairs and on our validation images (dB)."""
    where = {"pairs": f"the {COUNT} pairs", "validation": "our validation images"}
    lines = [
        {
            "images": where[name],
            "the authors' TNet": float(theirs.mean()),
            "ours": MeanSD.of(found.ours[name].mean(axis=1)),
            "ours minus theirs": float(found.ours[name].mean() - theirs.mean()),
            "n images": len(theirs),
        }
        for name, theirs in found.released.items()
    ]
    return pd.DataFrame(lines)


def released_words(found: Levels) -> str:
    """What the released checkpoint records of its own training."""
    if not found:
        return ""
    losses, printed = found.record["losses"], paper.table1().loc["5e-4", "loss"]
    text = (
        f"The authors' file records {len(losses)} epochs at a learning rate of {found.record['lr']:g}, "
        f"{found.record['steps']:,} steps of Adam, and losses from {losses[0]:.5f} in the first epoch to "
        f"{losses[-1]:.5f} in the last."
    )
    if losses[0] < printed:
        text += (
            f" The first is already below the {printed:.5f} that Table 1 gives after a whole training. That "
            "suggests that these epochs continued an earlier training, and that the released network is none "
            "of the table's runs."
        )
    return text
