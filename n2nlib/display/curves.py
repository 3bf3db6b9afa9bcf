"""Statistical plots of comparisons: learning curves, dots for seeds, differences with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from n2nlib import paper
from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.generalisation import WholePhotographs
from n2nlib.analysis.intervals import Interval
from n2nlib.display.pictures import picture_grid, psnr_beneath
from n2nlib.display.style import PAGE, colour
from n2nlib.display.tables import published_difference
from n2nlib.evaluation.classical import FILTERS

#: Three learning rates, which are no methods with colours of their own.
TRIO = ("#E69F00", "#0072B2", "#CC79A7")
#: Rows further from the reference than this (dB) would squeeze all others into a line.
FAR = 1.0
#: Variants that are no methods with colours of their own.
GREY, VIOLET = "#444444", "#7A5195"
#: What others published.
PALE = "#8C8C8C"


def learning_curves(rows: Comparison) -> Figure | None:
    """Training loss (left) and validation PSNR (right) against images seen.

    Thin lines are seeds, thick ones their mean.
    """
    if not rows:
        return None
    history, palette = rows.history(), dict(zip(rows.labels, TRIO, strict=False))
    fig, axes = plt.subplots(1, 2, figsize=(PAGE, 2.5))
    for ax, column in zip(axes, ("published_loss", "psnr"), strict=True):
        curves = history.dropna(subset=[column])
        marker = "o" if curves["images"].nunique() < 10 else None
        shared = {"data": curves, "x": "images", "y": column, "hue": "row", "palette": palette, "ax": ax}
        sns.lineplot(**shared, units="seed", estimator=None, lw=0.6, alpha=0.5, legend=False)
        sns.lineplot(**shared, errorbar=None, lw=1.8, marker=marker, markersize=4, legend=ax is axes[0])
        ax.set_xlabel("training images seen")
        ax.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:,g}k" if x else "0")
    axes[0].set(ylabel="training loss (published scale)", yscale="log")
    axes[0].yaxis.set_minor_formatter(lambda x, _: f"{x:g}")
    axes[0].yaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes[0].legend(title="learning rate", title_fontsize=8)
    axes[1].set_ylabel("validation PSNR (dB)")
    noisy_line(axes[1], rows.noisy.mean())
    return fig


def noisy_line(ax, level: float) -> None:
    """Mark the PSNR (dB) of the noisy images by a dotted line."""
    ax.axhline(level, color=colour("noisy"), ls=":", lw=1)
    ax.annotate("noisy", (1, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8,
                color=colour("noisy"))  # fmt: skip


def dots(
    ax, frame: pd.DataFrame, x: str, palette: Mapping[str, str] | Sequence[str], spread: bool = True
) -> None:
    """Draw a line of dots for each row of a comparison's frame, one per seed, and a stroke at their mean.

    The first row is on top. `spread`: dots that would hide one another are moved up and down.
    """
    order = list(dict.fromkeys(frame["row"]))
    shared = {"data": frame, "x": x, "y": "row", "order": order, "hue": "row", "hue_order": order,
              "palette": palette, "ax": ax, "legend": False}  # fmt: skip
    if spread:  # no jitter in either case: the same data give the same picture
        sns.swarmplot(**shared, size=4, zorder=3, warn_thresh=1)
    else:
        sns.stripplot(**shared, size=4, zorder=3, jitter=False)
    sns.pointplot(**shared, errorbar=None, linestyle="none", marker="|", markersize=15, markeredgewidth=1.6,
                  zorder=2)  # fmt: skip
    ax.set(ylabel="")
    ax.grid(axis="y", visible=False)


def columns_around_mean(trios: Mapping[str, Comparison]) -> Figure | None:
    """The columns of Table 1 around their mean.

    The paper's (mean and deviation), and ours (a dot for each seed).
    Only trios with all three columns are drawn; without any there is no figure.
    """
    published = paper.table1()
    whole = {name: trio for name, trio in trios.items() if len(trio.rows) == len(published)}
    if not whole:
        return None
    fig, axes = plt.subplots(1, len(whole) + 1, figsize=(PAGE, 1.7), sharex=True)
    first, *others = axes
    first.errorbar(published.psnr - published.psnr.mean(), published.index, xerr=published.psnr_sd, fmt="|",
                   color="black", markersize=13, markeredgewidth=1.6, lw=1)  # fmt: skip
    first.set(title="the paper's Table 1", ylim=(len(published) - 0.4, -0.6))
    for ax, (name, trio) in zip(others, whole.items(), strict=True):
        centre = np.mean([trio.level(label).mean for label in trio.labels])
        dots(ax, trio.frame.assign(around=trio.frame["psnr"] - centre), "around", TRIO)
        ax.set(title=name, xlabel="")
    for ax in axes:
        ax.axvline(0, color="#444444", lw=0.6)
        ax.grid(axis="y", visible=False)
    fig.supxlabel("PSNR minus the mean of the three columns (dB)", fontsize=9)
    return fig


# --- chapter 04 ---


def around_reference(rows: Comparison, grey: Sequence[str] = (), violet: Sequence[str] = ()) -> Figure | None:
    """PSNR minus the reference row's mean, a dot for each seed; a second panel looks closer where it must.

    The closer look leaves out rows further than `FAR` and points to where they are. `grey`, `violet`:
    labels drawn in that colour.
    """
    if not rows.differences():
        return None
    palette = {label: colour(label) for label in rows.labels}
    palette |= dict.fromkeys(grey, GREY) | dict.fromkeys(violet, VIOLET)
    frame = rows.frame
    means = frame.groupby("row", sort=False)["minus reference"].mean()
    far = means[means.abs() > FAR]
    closer = 0 < len(far) < len(rows.others)
    size = PAGE, 0.24 * len(means) + 0.65
    fig, axes = plt.subplots(1, 1 + closer, figsize=size, sharey=True, squeeze=False)
    near = frame["minus reference"].mask(frame["row"].isin(far.index))
    for ax, values in zip(axes[0], (frame["minus reference"], near), strict=False):
        ax.axvline(0, color=colour(rows.reference), lw=0.8, zorder=1)
        fit(ax, values, 0.06)
        dots(ax, frame.assign(shown=values), "shown", palette, spread=not closer or ax is axes[0, 1])
        ax.set_xlabel(f"PSNR minus {rows.reference}'s mean (dB)")
    if closer:
        axes[0, 1].set_title("closer")
        for label, value in far.items():
            point_to(axes[0, 1], rows.labels.index(label), value)
    return fig


def fit(ax, values: pd.Series, margin: float) -> None:
    """Set the scale of the horizontal axis before dots are drawn, which are spread on this scale."""
    margin *= max(np.ptp(values.dropna()), 0.02)
    ax.set_xlim(values.min() - margin, values.max() + margin)


def point_to(ax, y: float, value: float) -> None:
    """Write a value that lies outside the panel at the edge where it is, with an arrow."""
    text, low = f"{value:+z.1f}".replace("-", "−"), value < 0
    ax.annotate(f"← {text}" if low else f"{text} →", (0.01 if low else 0.99, y), fontsize=8, va="center",
                xycoords=("axes fraction", "data"), ha="left" if low else "right", color=GREY)  # fmt: skip


def parameters_against_psnr(rows: Comparison) -> Figure | None:
    """Trainable parameters and PSNR minus the reference's: a dot for each seed, and published values."""
    if not rows.differences():
        return None
    parameters = {label: runs[0].metrics["parameters"] for label, runs in rows.rows.items()}
    # Networks of almost the same size are drawn side by side, all slightly right of the paper's values.
    beside = {label: 1.05 ** (1 + sum(abs(parameters[other] / n - 1) < 0.05 for other in rows.labels[:i]))
              for i, (label, n) in enumerate(parameters.items())}  # fmt: skip
    frame = rows.frame.assign(parameters=lambda f: f["row"].map(parameters) * f["row"].map(beside))
    variant = f"{rows.reference},"
    palette = {label: VIOLET if label.startswith(variant) else colour(label) for label in rows.labels}
    published, zero = paper.table2().drop(index="BaseNet"), paper.value(f"table2.{rows.reference}.psnr")
    peers = paper.peers().query("not network.str.startswith('the paper')")
    fig, ax = plt.subplots(figsize=(PAGE, 2.9))
    ax.axhline(0, color=colour(rows.reference), lw=0.8)
    sns.scatterplot(frame, x="parameters", y="minus reference", hue="row", palette=palette, ax=ax,
                    s=16, linewidth=0, zorder=3)  # fmt: skip
    ax.scatter(peers.parameters, peers.psnr - zero, marker="x", color=PALE, s=22, lw=1,
               label="other groups, authors' data")  # fmt: skip
    ax.errorbar(1000 * published.parameters_thousand, published.psnr - zero, yerr=published.psnr_sd,
                fmt="o", mfc="white", color="black", lw=1, label="the paper, authors' data")  # fmt: skip
    ax.set(xscale="log", xlim=(1.5e4, 1.5e6), xlabel="trainable parameters",
           ylabel=f"PSNR minus {rows.reference}'s (dB)")  # fmt: skip
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), borderaxespad=0)
    return fig


def pair_differences(
    rows: Comparison, pairs: Mapping[str, tuple[str, str]], published: Interval
) -> Figure | None:
    """TNet minus UNet in several ways of training: mean differences with their intervals, and every seed.

    A blue dot is a seed of TNet against UNet's mean, an orange one TNet's mean against a seed of UNet.
    `published`, in grey: the authors' own difference.
    """
    found = rows.versus(pairs)
    if not found:
        return None
    seeds = []
    for name in found:
        a, b = (np.array(rows.values(label)) for label in pairs[name])
        seeds += [{"training": name, "difference": value, "network": "TNet"} for value in a - b.mean()]
        seeds += [{"training": name, "difference": value, "network": "UNet"} for value in a.mean() - b]
    lines = found | {"the authors' own runs": published}
    fig, ax = plt.subplots(figsize=(PAGE, 0.3 * len(lines) + 0.45))
    ax.axvline(0, color=GREY, lw=0.6)
    sns.swarmplot(pd.DataFrame(seeds), x="difference", y="training", order=list(lines), hue="network",
                  palette={network: colour(network) for network in ("TNet", "UNet")},
                  dodge=True, size=4, legend=False, warn_thresh=1, ax=ax)  # fmt: skip
    for y, (name, d) in enumerate(lines.items()):
        ink = "black" if name in found else PALE
        ax.plot([d.low, d.high] if d else [], [y, y] if d else [], color=ink, lw=1.2, zorder=2)
        ax.plot(d.value, y, "|", color=ink, markersize=10, markeredgewidth=1.6)
    ax.set(xlabel="TNet minus UNet (dB)", ylabel="", ylim=(len(lines) - 0.4, -0.6))
    ax.grid(axis="y", visible=False)
    return fig


# --- chapter 06 ---


def rows_by_seed(rows: Comparison) -> Figure | None:
    """PSNR of each row: a dot for each seed, a stroke at their mean; dashed: the mean of the reference."""
    if not rows:
        return None
    fig, ax = plt.subplots(figsize=(0.75 * PAGE, 0.6 + 0.27 * len(rows.labels)))
    fit(ax, rows.frame["psnr"], 0.05)
    dots(ax, rows.frame, "psnr", {label: colour(runs[0].spec.network) for label, runs in rows.rows.items()})
    if rows.reference:
        mean = rows.level(rows.reference).mean
        ax.axvline(mean, color=colour(rows.reference), lw=0.8, ls="--", zorder=1)
    ax.set_xlabel("PSNR (dB)")
    return fig


def data_sizes(sizes: pd.DataFrame, noisy: Comparison, clean: Comparison) -> Figure | None:
    """PSNR of Noise2Noise and Noise2Clean against training pairs (left), and their gap (right).

    sizes: `beyond_tables.data_sizes` of the two comparisons.
    """
    if sizes.empty:
        return None
    palette = {"Noise2Noise": colour("TNet"), "Noise2Clean": colour("clean")}
    frame = pd.concat([rows.frame.assign(pairs=lambda f: f["row"].astype(int), scheme=scheme)
                       for scheme, rows in zip(palette, (noisy, clean), strict=True)])  # fmt: skip
    frame = frame[frame["pairs"].isin(sizes["pairs"])]
    fig, (left, right) = plt.subplots(1, 2, figsize=(PAGE, 2.4))
    shared = {"data": frame, "x": "pairs", "y": "psnr", "hue": "scheme", "palette": palette, "ax": left}
    sns.scatterplot(**shared, s=12, alpha=0.5, linewidth=0, legend=False)
    sns.lineplot(**shared, errorbar=None)
    left.legend(title=None)
    left.set_ylabel("PSNR (dB)")
    noisy_line(left, noisy.noisy.mean())
    right.axhline(0, color="black", lw=0.8)
    blue = palette["Noise2Noise"]
    right.plot(sizes["pairs"], [d.value for d in sizes["gap (dB)"]], "o-", markersize=3, color=blue)
    for n, d in zip(sizes["pairs"], sizes["gap (dB)"], strict=True):
        right.errorbar(n, d.value, yerr=d.whiskers, color=blue, capsize=3, lw=1.2)
    right.set(ylabel="gap (dB)", title="Noise2Clean minus Noise2Noise")
    for ax in (left, right):
        ax.set(xscale="log", xlabel="training pairs")
        ax.set_xticks(sizes["pairs"], [f"{n:,}" for n in sizes["pairs"]])
        ax.minorticks_off()
    return fig


def whole_photographs(whole: WholePhotographs) -> Figure | None:
    """PSNR above the noisy image's (left) and SSIM (right) against the size of cells; filters are dashed."""
    if not whole:
        return None
    name = {one.title: name for name, one in FILTERS.items()}  # colours are by name
    palette = {method: colour(name.get(method, method)) for method in whole.methods}
    solid = ("noisy", *whole.networks)
    dashes = {method: "" if method in solid else (3, 1.5) for method in whole.methods}
    frame = whole.frame
    fig, axes = plt.subplots(1, 2, figsize=(PAGE, 2.3))
    for ax, column in zip(axes, ("gain", "ssim"), strict=True):
        shown = frame[(frame["method"] != "noisy") | (column == "ssim")]  # the noisy image's gain is 0
        sns.lineplot(shown, x="cell", y=column, hue="method", style="method", palette=palette, dashes=dashes,
                     markers=dict.fromkeys(whole.methods, "o"), markersize=5, markeredgewidth=0, ax=ax,
                     legend=ax is axes[1])  # fmt: skip
        ax.set(xlabel="side of a cell (pixels)", xticks=whole.cells)
    axes[0].set_ylabel("PSNR minus the noisy image's (dB)")
    axes[0].axhline(0, color="black", lw=0.6)
    axes[1].set_ylabel("SSIM")
    axes[1].legend(title=None, fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5), borderaxespad=0)
    return fig


def whole_pictures(whole: WholePhotographs) -> Figure | None:
    """Two whole photographs, a row each: noisy, denoised and clean, with PSNR against clean."""
    if not whole.pictures:
        return None
    methods = [m for m in whole.methods if m in ("noisy", "Gaussian", "Bilateral", *whole.networks)]
    rows, psnr, height = [], [], 0.25
    for i in range(2):
        shown = {name: whole.pictures[f"{i} {name}"][None] for name in (*methods, "clean")}
        rows.append([image[0] for image in shown.values()])
        psnr.append([value for (value,) in psnr_beneath(shown)])
        height += 0.15 + PAGE / len(shown) * shown["clean"].shape[2] / shown["clean"].shape[3]
    fig = picture_grid(rows, [*methods, "clean"], psnr)
    fig.set_figheight(height)
    return fig


# --- chapter 07 ---


def differences(rows: Comparison) -> Figure | None:
    """PSNR minus the reference row's (dB): a dot and an interval per row, a stroke if published.

    A row further than `FAR` from the reference is pointed to at the edge, unless all are.
    """
    found = rows.differences()
    if not found:
        return None
    near = [label for label, d in found.items() if abs(d.value) <= FAR] or list(found)
    fig, ax = plt.subplots(figsize=(PAGE, 0.24 * len(found) + 0.7))
    ax.axvline(0, color=colour(rows.reference), lw=1)
    sns.pointplot(x=[found[label].value for label in near], y=near, order=list(found), hue=near,
                  palette={label: colour(label) for label in near},
                  linestyle="none", marker="o", markersize=4, errorbar=None, legend=False, ax=ax)  # fmt: skip
    for y, (label, d) in enumerate(found.items()):
        published = published_difference(label, rows.reference)
        if published is not None:
            ax.plot(published.value, y, "|", color="black", markersize=11, markeredgewidth=1.6)
        if label not in near:
            point_to(ax, y, d.value)
        elif d:
            ax.plot([d.low, d.high], [y, y], color=colour(label), lw=2)
    ax.set(ylim=(len(found) - 0.4, -0.6), xlabel=f"PSNR minus {rows.reference}'s (dB)", ylabel="")
    return fig
