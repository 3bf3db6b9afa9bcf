"""Images side by side, pixel for pixel, with their PSNR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from n2nlib.display.style import PAGE
from n2nlib.errors import ReportError


def picture_grid(
    rows: Sequence[Sequence[np.ndarray]],
    titles: Sequence[str],
    psnr: Sequence[Sequence[float | None]] | None = None,
    *,
    labels: Sequence[str] = (),
    width: float = PAGE,
) -> Figure:
    """Draw images side by side, pixel for pixel, with column titles and PSNR beneath.

    `rows`: rows of images, each uint8 or float in [0, 1], (3,H,W) or (H,W); all share the range 0 (black) to
    full scale, so that they can be compared. `psnr`: decibels in the same layout, None for no text. `labels`:
    one a row. Raises ReportError when a row has not one image for each title.
    """
    if any(len(row) != len(titles) for row in rows):
        raise ReportError(
            f"picture_grid has {len(titles)} titles, but rows of {[len(row) for row in rows]} images."
        )
    side = width / (len(titles) + (0.25 if labels else 0))
    height = len(rows) * (side + (0.15 if psnr is not None else 0.03)) + 0.25
    fig, axes = plt.subplots(len(rows), len(titles), figsize=(width, height), squeeze=False,
                             layout="compressed")  # fmt: skip
    fig.get_layout_engine().set(w_pad=0.02, h_pad=0.015, wspace=0, hspace=0)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            ax = axes[i, j]
            show(ax, image)
            if i == 0:
                ax.set_title(titles[j], loc="center", pad=3)
            if psnr is not None and psnr[i][j] is not None:
                ax.set_xlabel(f"{psnr[i][j]:.2f} dB", fontsize=8, labelpad=2)
        if labels:
            axes[i, 0].set_ylabel(labels[i])
    return fig


def psnr_beneath(images: Mapping[str, np.ndarray]) -> list[list[float | None]]:
    """Return the PSNR (dB) of the images of each label, uint8 (N,3,H,W); None for those called "clean"."""
    from n2nlib.evaluation import metrics  # here: saving a figure must not wait for PyTorch

    return [[None] * len(x) if label == "clean" else metrics.psnr(images["clean"], x, data_range=255).tolist()
            for label, x in images.items()]  # fmt: skip


def methods_grid(images: Mapping[str, np.ndarray], width: float = PAGE) -> Figure:
    """Draw a column for each label and a row for each of its images, uint8 (N,3,H,W), with PSNR beneath."""
    rows, psnr = (list(zip(*columns, strict=True)) for columns in (images.values(), psnr_beneath(images)))
    return picture_grid(rows, list(images), psnr, width=width)


def denoised_grid(pictures: Mapping[str, Any], labels: Sequence[str]) -> Figure | None:
    """Draw windows before and after denoising, a row for each label that is there, with PSNR beneath each.

    pictures: `names` of the photographs and uint8 `arrays` (N,3,H,W) by label, "clean" among them. None is
    returned where `pictures` is empty.
    """
    if not pictures:
        return None
    rows = {label: pictures["arrays"][label] for label in labels if label in pictures["arrays"]}
    return picture_grid(list(rows.values()), pictures["names"], psnr_beneath(rows), labels=list(rows))


def bare(ax) -> None:
    """Take ticks, grid and frame away from axes that show an image."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)


def show(ax, image: np.ndarray) -> None:
    """Draw one image on `ax` without ticks, frame or smoothing.

    image: uint8 or float in [0, 1], (3,H,W) or (H,W).
    """
    image = np.asarray(image)
    white = 255 if image.dtype == np.uint8 else 1.0
    image = np.moveaxis(image, 0, -1) if image.ndim == 3 else image  # (3,H,W) -> (H,W,3)
    # Clipping changes what is shown only: a screen cannot show more than white.
    ax.imshow(np.clip(image, 0, white), cmap="gray", vmin=0, vmax=white, interpolation="nearest")
    bare(ax)
