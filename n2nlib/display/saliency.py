"""The figures of chapter 05: maps beside their pictures, Jacobian rows, and statistics.

`shown` is always what `saliency_measurements.pictured` returns; without it, every function returns None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from n2nlib.analysis.image_statistics import ImageStatistics
from n2nlib.display.pictures import bare, show
from n2nlib.display.style import COLUMN, PAGE, colour, plain_log_ticks
from n2nlib.evaluation import saliency

Arrays = Mapping[str, np.ndarray]

#: Weights of a Jacobian row beyond this share one colour: the one in the middle is larger, and of less
#: interest.
WEIGHT = 0.3

#: Subjects in the figure of edges, with the method whose colour they have.
EDGES = {
    "TNet": "TNet",
    "UNet": "UNet",
    "Gaussian": "gaussian",
    "bilateral": "bilateral",
    "non-local means": "nlm",
    "TNet, untrained": "untrained",
}


def draw_map(ax, values: np.ndarray, limit: float, centre: float = 0.0):
    """Draw a signed map in red and blue around its centre, without ticks; return it for a colour bar."""
    image = ax.imshow(values, cmap="RdBu_r", vmin=centre - limit, vmax=centre + limit)
    bare(ax)
    return image


def draw_square(ax, pixel, half: int = 3) -> None:
    """Frame the pixels up to `half` away from a pixel (row, column)."""
    corner = (pixel[1] - half - 0.5, pixel[0] - half - 0.5)
    ax.add_patch(Rectangle(corner, 2 * half + 1, 2 * half + 1, fill=False, ec="#00C000", lw=1.3))


def gradients(shown: Arrays, which: Iterable[int]) -> Figure | None:
    """Noisy input, output, clean image and both maps of some of the pictures, all on the same two scales."""
    which = [i for i in which if shown and i < len(shown["noisy"])]
    if not which:
        return None
    of_loss, of_output = np.moveaxis(shown["trained"], 1, 0)  # (n,2,H,W) -> (n,H,W) twice
    # One scale for each kind of map, whichever pictures are drawn; values past the 99.5th percentile are cut.
    loss_limit, output_limit = (np.percentile(np.abs(x), 99.5) for x in (of_loss, of_output - 1))
    titles = ("noisy input", "output of TNet", "clean", "gradient of the loss", "gradient of the output")
    size = (PAGE, 1.33 * len(which) + 0.55)
    fig, axes = plt.subplots(len(which), len(titles), figsize=size, squeeze=False, layout="compressed")
    for row, i in zip(axes, which, strict=True):
        for ax, name in zip(row, ("noisy", "denoised", "clean"), strict=False):
            show(ax, shown[name][i])
        bars = draw_map(row[3], of_loss[i], loss_limit), draw_map(row[4], of_output[i], output_limit, 1.0)
        for ax in row:
            draw_square(ax, shown["squares"][i])
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, loc="center")
    for column, bar in enumerate(bars, start=3):
        fig.colorbar(bar, ax=axes[:, column], location="bottom", shrink=0.9, extend="both")
    return fig


def jacobian_rows(shown: Arrays, rows: Arrays, half: int) -> Figure | None:
    """The Jacobian row of the chosen pixel of each picture by subject, within `half` pixels, and the crop."""
    if not shown or not rows:
        return None
    # The store returns arrays in alphabetical order.
    rows = {label: rows[label] for label in EDGES if label in rows}
    n = len(next(iter(rows.values())))
    size = (PAGE, 0.88 * n + 0.3)
    fig, axes = plt.subplots(n, 2 + len(rows), figsize=size, squeeze=False, layout="compressed")
    for i, row in enumerate(axes):
        y, x = (int(v) for v in shown["squares"][i])
        light = saliency.grey(shown["clean"][i : i + 1])[0]
        crop = (slice(max(y - half, 0), y + half + 1), slice(max(x - half, 0), x + half + 1))
        for ax, name in zip(row, ("noisy", "clean"), strict=False):
            show(ax, shown[name][i][:, *crop])
        for ax, weights in zip(row[2:], rows.values(), strict=True):
            bar = draw_map(ax, weights[i][crop], WEIGHT)
            ax.contour(light[crop], levels=[light[crop].mean()], colors="#444444", linewidths=0.6)
        for ax in row:
            draw_square(ax, (y - crop[0].start, x - crop[1].start), half=0)
    for ax, title in zip(axes[0], ["noisy", "clean", *rows], strict=True):
        ax.set_title(title, loc="center", fontsize=8)
    fig.colorbar(bar, ax=axes, shrink=0.8, extend="both", label="weight")
    return fig


def standardised(values: np.ndarray) -> np.ndarray:
    """A map about its median in units of its spread (half the distance from 16th to 84th percentile)."""
    low, middle, high = np.percentile(values, [16, 50, 84])
    return (values - middle) / max((high - low) / 2, 1e-12)


def sanity(shown: Arrays) -> Figure | None:
    """Both maps of the first picture for trained, shuffled and untrained TNet, in units of their spread."""
    if not shown:
        return None
    names = ("trained", "shuffled weights", "untrained")
    fig, axes = plt.subplots(2, 1 + len(names), figsize=(PAGE * 0.9, 3.2), layout="compressed")
    for ax, name in zip(axes[:, 0], ("noisy", "clean"), strict=True):
        show(ax, shown[name][0])
        ax.set_title(name, loc="center")
    for column, name in zip(axes[:, 1:].T, names, strict=True):
        for ax, values, kind in zip(column, shown[name][0], ("loss", "output"), strict=True):
            bar = draw_map(ax, standardised(values), 3)
            ax.set_title(f"{kind}, {name}", loc="center", fontsize=8)
    for ax in axes.flat:
        draw_square(ax, shown["squares"][0])
    fig.colorbar(bar, ax=axes, shrink=0.8, extend="both", label="deviation from the median (spreads)")
    return fig


def cascade(correlation: np.ndarray | None) -> Figure | None:
    """Rank correlation with the trained network's maps by number of randomised layers: (layers + 1,2)."""
    if correlation is None:
        return None
    kinds = ["gradient of the loss", "gradient of the output"]
    fig, ax = plt.subplots(figsize=(COLUMN, 2.2))
    sns.lineplot(pd.DataFrame(correlation, columns=kinds), palette=["black", "#777777"], markers=["o", "s"],
                 dashes=["", (4, 2)], markeredgewidth=0, markersize=5, ax=ax)  # fmt: skip
    ax.axhline(0, color="#444444", lw=0.8)
    lowest = min(np.nanmin(correlation) - 0.1, -0.1)
    ax.set(xlabel="randomised layers, from the output", ylabel="rank correlation", ylim=(lowest, 1.05))
    ax.legend(title=None)
    return fig


def edges(sides: ImageStatistics) -> Figure | None:
    """Weight on an edge pixel's own side over that on the other, over all distances and by distance.

    None where no image has an edge.
    """
    found = {label: sides.average(label, "same_side") for label in EDGES if label in sides.labels}
    if not np.isfinite([x.value for x in found.values()]).any():
        return None
    palette = {label: colour(EDGES[label]) for label in found}
    fig, (left, right) = plt.subplots(1, 2, figsize=(PAGE, 2.6), gridspec_kw={"width_ratios": [1.1, 1]})
    for y, (label, x) in enumerate(found.items()):
        left.errorbar(x.value, y, xerr=x.whiskers, fmt="o", color=palette[label])
    left.axvline(1, color="#444444", lw=0.8)
    left.set_yticks(range(len(found)), list(found))
    left.set(xlabel="own side / other side", title="All distances")
    left.invert_yaxis()
    left.grid(axis="y", visible=False)
    by_distance = pd.concat([_by_distance(sides, label) for label in found], ignore_index=True)
    markers = dict(zip(EDGES, ("o", "s", "D", "^", "v", "X"), strict=True))
    dashes = dict(zip(EDGES, ("", "", "", (4, 2), (4, 2), (1, 1.5)), strict=True))
    sns.lineplot(by_distance, x="distance", y="ratio", hue="subject", style="subject", palette=palette,
                 markers={label: markers[label] for label in found},
                 dashes={label: dashes[label] for label in found}, markeredgewidth=0, markersize=5,
                 ax=right)  # fmt: skip
    right.axhline(1, color="#444444", lw=0.8, zorder=1)
    right.set(xlabel="distance (pixels)", ylabel="", yscale="log", title="By distance")
    plain_log_ticks(right, (0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.2, 1.5, 2, 3, 5, 10))
    right.legend(title=None, fontsize=7)
    return fig


def _by_distance(sides: ImageStatistics, label: str) -> pd.DataFrame:
    """One line a distance at which a subject has weights on both sides: subject, distance (pixels), ratio."""
    weights = sides.found[label]["weights"]  # (seeds,N,6,2)
    own, other = weights.sum(axis=(0, 1)).T
    there = other > 0
    distance, ratio = saliency.DISTANCES[there], own[there] / other[there]
    return pd.DataFrame({"subject": label, "distance": distance, "ratio": ratio})
