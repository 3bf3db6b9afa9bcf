"""Statistical plots of comparisons: learning curves, one dot for each seed, differences with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from . import paper
from .comparison import Comparison
from .figures import PAGE, colour

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
