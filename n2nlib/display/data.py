"""Figures of the data: photographs, how a pair is made, its noise, and the effect of averaging."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from n2nlib.data import Photograph, measure, sampling
from n2nlib.display.pictures import show
from n2nlib.display.style import COLOURS, PAGE

_WINDOW = "#F0E442"  # yellow reads on dark and on light photographs
_DRAWS = ("#D55E00", "#0072B2")


def photographs(train: Sequence[Photograph], val: Sequence[Photograph]) -> Figure:
    """Draw all photographs at one height in two labelled rows, training above validation."""
    sides = {"training": train, "validation": val}
    pixels = {label: [p.load() for p in side] for label, side in sides.items()}
    gap, margin, title = 0.07, 0.2, 0.19  # inches
    shapes = {label: [x.shape[1] / x.shape[0] for x in images] for label, images in pixels.items()}
    height = min((PAGE - margin - gap * len(s)) / sum(s) for s in shapes.values())
    total = 2 * (height + title)
    fig = plt.figure(figsize=(PAGE, total))
    fig.set_layout_engine("none")  # every photograph is placed by hand
    for row, (label, side) in enumerate(sides.items()):
        x, y = margin, total - (row + 1) * (height + title)
        fig.text(0.5 * margin / PAGE, (y + height / 2) / total, label, rotation=90, ha="center", va="center",
                 fontsize=8)  # fmt: skip
        for photograph, image, shape in zip(side, pixels[label], shapes[label], strict=True):
            ax = fig.add_axes((x / PAGE, y / total, height * shape / PAGE, height / total))
            show(ax, image.transpose(2, 0, 1))
            name = photograph.name.rsplit(".", 1)[0].replace("_", " ")
            ax.set_title(name, fontsize=7.5, loc="center", pad=2)
            x += height * shape + gap
    return fig


def pair(
    image: np.ndarray, window: tuple[int, int, int, int], corner: tuple[int, int], seed: int = 0
) -> Figure:
    """Draw how one pair is made: window, cells with both drawn pixels, and the three results.

    image: uint8 (H, W, 3); window: top, left, height, width; corner: row and column of the first of the 5x5
    cells shown.
    """
    top, left, height, width = window
    rows, columns = sampling.edges([top], [height]), sampling.edges([left], [width])
    numbers = sampling.halves(sampling.words(sampling.generator(seed, "figure"), (1, 32, 32)))
    pictures = [sampling.cell_means(sampling.integral(image), rows, columns)[0]]
    pictures += [sampling.draw(image, rows, columns, number)[0] for number in numbers]
    # Drawn from a picture of coordinates, the same numbers say where each pixel came from.
    where = np.moveaxis(np.indices(image.shape[:2]), 0, -1)
    places = [sampling.draw(where, rows, columns, number)[0] for number in numbers]

    mosaic = [["photo"] * 3 + ["cells"] * 3, ["clean", "clean", "a", "a", "b", "b"]]
    fig, axes = plt.subplot_mosaic(mosaic, figsize=(PAGE, 4.6), height_ratios=[1, 1.05])
    show(axes["photo"], image.transpose(2, 0, 1))
    frame(axes["photo"], left, top, width, height, _WINDOW, 1.4)
    i, j = corner
    y, x = rows[0, i : i + 6], columns[0, j : j + 6]
    frame(axes["photo"], x[0], y[0], x[-1] - x[0], y[-1] - y[0])
    axes["photo"].set_title("a photograph, a random window of it (yellow)")

    ax = axes["cells"]
    show(ax, image.transpose(2, 0, 1))
    ax.set(xlim=(x[0] - 0.5, x[-1] - 0.5), ylim=(y[-1] - 0.5, y[0] - 0.5))
    ax.vlines(x - 0.5, y[0] - 0.5, y[-1] - 0.5, color=_WINDOW, linewidth=1.2)
    ax.hlines(y - 0.5, x[0] - 0.5, x[-1] - 0.5, color=_WINDOW, linewidth=1.2)
    for place, colour, marker, label in zip(places, _DRAWS, "os", "ab", strict=True):
        down, across = place[i : i + 5, j : j + 5].reshape(-1, 2).T
        ax.scatter(across, down, s=26, color=colour, marker=marker, edgecolor="white", linewidth=0.8,
                   clip_on=False, zorder=3, label=f"drawn for {label}")  # fmt: skip
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=2)
    ax.set_title("5×5 of its 32×32 cells (white, left), enlarged")

    titles = ("clean: the mean of each cell", "noisy a: one pixel of each cell", "noisy b: another one")
    for name, picture, title in zip(("clean", "a", "b"), pictures, titles, strict=True):
        show(axes[name], picture.transpose(2, 0, 1))
        frame(axes[name], j, i, 5, 5)
        axes[name].set_title(title, color={"a": _DRAWS[0], "b": _DRAWS[1]}.get(name, "black"))
    return fig


def frame(ax, left, top, width, height, ink: str = "white", lw: float = 1) -> None:
    """Frame the pixels from (left, top) on."""
    ax.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor=ink, linewidth=lw))


def noise(found: dict) -> Figure:
    """Draw the error's distribution, its size by neighbour difference, and its correlation.

    found: what `measurements.noise` returned.
    """
    fig, (tails, detail, space) = plt.subplots(1, 3, figsize=(PAGE, 2.35), width_ratios=[1.1, 1.1, 0.9])
    centres, step = (measure.EDGES[1:] + measure.EDGES[:-1]) / 2, np.diff(measure.EDGES)[0]
    density = found["arrays"]["histogram"] / found["arrays"]["histogram"].sum() / step
    sns.histplot(x=centres, weights=found["arrays"]["histogram"], bins=list(measure.EDGES), stat="density",
                 color=COLOURS["noisy"], alpha=1, linewidth=0, label="measured", ax=tails)  # fmt: skip
    x, sd = np.linspace(-255, 255, 400), found["sd"]
    if sd:
        gaussian = np.exp(-((x / sd) ** 2) / 2) / sd / np.sqrt(2 * np.pi)
        tails.plot(x, gaussian, color="black", label="Gaussian, same variance")
    shown = density[np.abs(centres) < 200]
    lowest = max(shown[shown > 0].min() / 2, 1e-7)
    tails.set(yscale="log", ylim=(lowest, density.max() * 60), xlim=(-200, 200), ylabel="density",
              xlabel="error (grey levels)", title="Distribution of the error")  # fmt: skip
    tails.legend(loc="upper center", fontsize=7, ncols=1)

    by_detail = found["by_detail"]
    sns.lineplot(x=by_detail["detail"], y=by_detail["sd"], marker="o", color=COLOURS["noisy"],
                 markeredgecolor="black", markeredgewidth=0.5, ax=detail)  # fmt: skip
    label_by_detail(detail)

    spatial = found["arrays"]["spatial"]
    reach = len(spatial) // 2
    texts = [["–" if np.isnan(value) else f"{value:z.2f}" for value in row] for row in spatial]
    offsets = [f"{d}".replace("-", "−") for d in range(-reach, reach + 1)]
    sns.heatmap(np.nan_to_num(spatial), cmap="RdBu_r", vmin=-1, vmax=1, square=True, cbar=False,
                annot=np.array(texts), fmt="",
                annot_kws={"fontsize": 6.5}, xticklabels=offsets, yticklabels=offsets, ax=space)  # fmt: skip
    space.set(title="Correlation in space", xlabel="pixels to the right", ylabel="pixels down")
    space.tick_params(axis="y", rotation=0)
    return fig


def label_by_detail(ax) -> None:
    """Name the axes on which an error's standard deviation stands against neighbour difference."""
    ax.set(title="Size of the error and detail", xlabel="neighbour difference (grey levels)",
           ylabel="sd of the error (grey levels)", xlim=(0, None), ylim=(0, None))  # fmt: skip


def averaging(
    table, means: np.ndarray, clean: np.ndarray, shown: Sequence[int], given_a: dict | None
) -> Figure:
    """Draw means of more and more noisy images, their error, and that of one copy by the other's.

    table and means: from `data.measure.averaged_draws`; shown: numbers of draws whose means are pictured;
    given_a: from `data.measure.summary`, None where there is only one noisy image.
    """
    fig = plt.figure(figsize=(PAGE, 4.1))
    above, below = fig.subfigures(2, 1, height_ratios=[1, 1.3])
    pictures = above.subplots(1, len(shown) + 1)
    draws = table["draws"].tolist()
    for ax, n in zip(pictures, shown, strict=False):
        show(ax, means[draws.index(n)] / 255)
        ax.set_title("one noisy image" if n == 1 else f"mean of {n:,}", loc="center")
    show(pictures[-1], clean)
    pictures[-1].set_title("clean", loc="center")

    left, right = below.subplots(1, 2)
    left.plot(table["draws"], table["expected"], color="black", label="unbiased and independent: sd / √n")
    left.plot(table["draws"], table["error"], "o", color=COLOURS["TNet"], label="measured")
    left.set(xscale="log", yscale="log", xlabel="noisy images averaged, n", ylabel="error (grey levels)",
             title="Mean of n noisy images against the clean one")  # fmt: skip
    left.legend()
    if given_a is None or not given_a["x"]:
        right.set_axis_off()
        why = "nearly all errors of a are zero:\nthey make no classes"
        if given_a is None:
            why = "this dataset holds one noisy image\nfor each clean one"
        right.text(0.5, 0.5, why, ha="center", transform=right.transAxes)
        return fig
    x, mean, se, sd = (np.array(given_a[k]) for k in ("x", "mean", "se", "sd"))
    right.fill_between(x, mean - sd, mean + sd, color=COLOURS["noisy"], alpha=0.3, linewidth=0,
                       label="± sd of the error of b")  # fmt: skip
    right.axhline(0, color="black", linewidth=0.8)
    right.errorbar(x, mean, 2 * se, fmt="o", color=COLOURS["TNet"],
                   label="mean error of b, ± 2 standard errors")  # fmt: skip
    right.set(xlabel="error of a (grey levels)", ylabel="error of b (grey levels)",
              title="Error of b given the error of a", ylim=(-1.9 * sd.max(), 1.9 * sd.max()))  # fmt: skip
    right.legend(loc="upper center", fontsize=7)
    return fig
