"""Statistical plots of comparisons: learning curves, one dot for each seed, differences with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from . import metrics, paper
from .classical import FILTERS
from .comparison import Comparison
from .figures import PAGE, colour, picture_grid
from .generalisation import WholePhotographs

#: Three learning rates, which are no methods with colours of their own.
TRIO = ("#E69F00", "#0072B2", "#CC79A7")


def learning_curves(rows: Comparison) -> Figure | None:
    """Training loss (left) and validation PSNR (right) against images seen: thin lines are seeds, thick ones their mean."""
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
    ax.annotate("noisy", (1, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8, color=colour("noisy"))


def dots(ax, frame: pd.DataFrame, x: str, palette: Mapping[str, str] | Sequence[str]) -> None:
    """Draw a line of dots for each row of a comparison's frame, one a seed, and a stroke at their mean; first row on top."""
    order = list(dict.fromkeys(frame["row"]))
    shared = {"data": frame, "x": x, "y": "row", "order": order, "hue": "row", "hue_order": order, "palette": palette, "ax": ax, "legend": False}
    sns.swarmplot(**shared, size=4, zorder=3)  # no jitter: the same data give the same picture
    sns.pointplot(**shared, errorbar=None, linestyle="none", marker="|", markersize=15, markeredgewidth=1.6, zorder=2)
    ax.set(ylabel="")
    ax.grid(axis="y", visible=False)


def columns_around_mean(trios: Mapping[str, Comparison]) -> Figure:
    """The columns of Table 1 around their mean: the paper's (mean and deviation), and each whole trio of ours (a dot a seed)."""
    published = paper.table1()
    whole = {name: trio for name, trio in trios.items() if len(trio.rows) == len(published)}
    fig, axes = plt.subplots(1, len(whole) + 1, figsize=(PAGE, 1.7), sharex=True, squeeze=False)
    first, *others = axes[0]
    first.errorbar(published.psnr - published.psnr.mean(), published.index, xerr=published.psnr_sd, fmt="|", color="black",
                   markersize=13, markeredgewidth=1.6, lw=1)  # fmt: skip
    first.set(title="the paper's Table 1", ylim=(len(published) - 0.4, -0.6))
    for ax, (name, trio) in zip(others, whole.items(), strict=True):
        frame = trio.frame
        centre = np.mean([trio.level(label).mean for label in trio.labels])
        dots(ax, frame.assign(around=frame["psnr"] - centre), "around", TRIO)
        ax.set(title=name, xlabel="")
    for ax in axes[0]:
        ax.axvline(0, color="#444444", lw=0.6)
        ax.grid(axis="y", visible=False)
    fig.supxlabel("PSNR minus the mean of the three columns (dB)", fontsize=9)
    return fig


# --- chapter 06 ---


def rows_by_seed(rows: Comparison) -> Figure | None:
    """PSNR of each row: a dot for each seed, a stroke at their mean; dashed: the mean of the reference."""
    if not rows:
        return None
    fig, ax = plt.subplots(figsize=(0.75 * PAGE, 0.6 + 0.27 * len(rows.labels)))
    frame = rows.frame
    margin = 0.05 * max(np.ptp(frame["psnr"]), 0.02)
    # Before the dots, which the swarm places by the scale.
    ax.set_xlim(frame["psnr"].min() - margin, frame["psnr"].max() + margin)
    dots(ax, frame, "psnr", {label: colour(runs[0].spec.network) for label, runs in rows.rows.items()})
    for label in filter(None, [rows.reference]):
        ax.axvline(rows.level(label).mean, color=colour(label), lw=0.8, ls="--", zorder=1)
    ax.set_xlabel("PSNR (dB)")
    return fig


def data_sizes(sizes: pd.DataFrame, noisy: Comparison, clean: Comparison) -> Figure | None:
    """PSNR of Noise2Noise and Noise2Clean against the number of training pairs (left), and their gap (right).

    sizes: `tables.data_sizes` of the two comparisons.
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
    right.plot(
        sizes["pairs"], [d.value for d in sizes["gap (dB)"]], "o-", markersize=3, color=palette["Noise2Noise"]
    )
    for n, d in zip(sizes["pairs"], sizes["gap (dB)"], strict=True):
        half = [[d.value - d.low], [d.high - d.value]] if d else None
        right.errorbar(n, d.value, yerr=half, color=palette["Noise2Noise"], capsize=3, lw=1.2)
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
        clean = whole.pictures[f"{i} clean"]
        rows.append([*(whole.pictures[f"{i} {method}"] for method in methods), clean])
        psnr.append([*(metrics.psnr(clean[None], image[None], 255)[0] for image in rows[-1][:-1]), None])
        height += 0.15 + PAGE / len(rows[-1]) * clean.shape[1] / clean.shape[2]
    fig = picture_grid(rows, [*methods, "clean"], psnr=psnr)
    fig.set_figheight(height)
    return fig
