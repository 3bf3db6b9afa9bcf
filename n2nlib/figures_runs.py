"""Figures of finished runs in which every initialisation can be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .figures import PAGE, colour
from .runs import Run
from .stats import Interval

#: Rows further from the reference than this (dB) would squeeze all others into a line.
FAR = 1.0


def learning_curves(rows: Mapping[str, Sequence[Run]], colours: Mapping[str, str], noisy: float) -> Figure:
    """Draw training loss and validation PSNR against images seen: initialisations thin, their mean thick.

    `noisy`: PSNR (dB) of the noisy validation images, dotted.
    """
    fig, axes = plt.subplots(1, 2, figsize=(PAGE, 2.5))
    for ax, column in zip(axes, ("published_loss", "psnr"), strict=True):
        for label, runs in rows.items():
            curves = [run.history.dropna(subset=[column]).set_index("images")[column] for run in runs]
            for curve in curves:
                ax.plot(curve.index, curve, color=colours[label], lw=0.6, alpha=0.5)
            mean = pd.concat(curves, axis=1).mean(axis=1)
            ax.plot(mean.index, mean, color=colours[label], lw=1.8, label=label, marker="o" if len(mean) < 10 else None)
        ax.set_xlabel("training images seen")
        ax.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:,g}k" if x else "0")
    axes[0].set(ylabel="training loss (published scale)", yscale="log")
    axes[0].yaxis.set_minor_formatter(lambda x, _: f"{x:g}")
    axes[0].yaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes[0].legend(title="learning rate", title_fontsize=8)
    axes[1].set_ylabel("validation PSNR (dB)")
    axes[1].axhline(noisy, color=colour("noisy"), ls=":", lw=1)
    axes[1].annotate("noisy", (1, noisy), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8, color=colour("noisy"))
    return fig


def dots(ax, rows: Mapping[str, Sequence[float]], colours: Mapping[str, str] | None = None) -> None:
    """Draw a row of dots for each label, one an initialisation, and a stroke at their mean; first row on top."""
    for y, (label, values) in enumerate(rows.items()):
        ink = (colours or {}).get(label) or colour(label)
        # Spread up and down, so that equal values do not hide each other.
        spread = (np.arange(len(values)) - (len(values) - 1) / 2) * min(0.14, 0.5 / len(values))
        ax.scatter(values, y + spread, color=ink, s=14, zorder=3, linewidths=0)
        ax.plot([np.mean(values)] * 2, [y - 0.34, y + 0.34], color=ink, lw=1.6, zorder=2)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)


def dots_around(rows: Mapping[str, Sequence[float]], reference: str, colours: Mapping[str, str] | None = None) -> Figure:
    """Draw PSNR minus the reference row's mean, a dot an initialisation; a second panel looks closer where it must.

    `rows`: PSNR (dB) of each initialisation by label, the reference among them. The closer look leaves out rows whose
    mean is further than `FAR` from the reference and points to the side where they are.
    """
    zero = np.mean(rows[reference])
    shifted = {label: np.asarray(values) - zero for label, values in rows.items()}
    far = {label for label, values in shifted.items() if abs(values.mean()) > FAR}
    closer = bool(far) and len(far) < len(rows) - 1
    fig, axes = plt.subplots(1, 1 + closer, figsize=(PAGE, 0.24 * len(rows) + 0.65), sharey=True, squeeze=False)
    for i, ax in enumerate(axes[0]):
        ax.axvline(0, color=colour(reference), lw=0.8, zorder=1)
        dots(ax, {label: x * np.nan if i and label in far else x for label, x in shifted.items()}, colours)
        ax.set_xlabel(f"PSNR minus {reference}'s mean (dB)")
    if closer:
        ax = axes[0, 1]
        near = np.concatenate([values for label, values in shifted.items() if label not in far])
        margin = 0.15 * max(np.ptp(near), 0.02)
        ax.set(xlim=(near.min() - margin, near.max() + margin), title="closer")
        for y, (label, values) in enumerate(shifted.items()):
            if label in far:
                _point(ax, y, values.mean())
    return fig


def differences(found: Mapping[str, Interval], published: Mapping[str, float], reference: str) -> Figure:
    """Draw differences to a reference row in dB: a dot each, a line for its interval, a black stroke for what was published.

    A row further than `FAR` from the reference is pointed to at the edge, unless all are.
    """
    far = {label for label, d in found.items() if abs(d.value) > FAR}
    far = far if len(far) < len(found) else set()
    fig, ax = plt.subplots(figsize=(PAGE, 0.24 * len(found) + 0.7))
    ax.axvline(0, color=colour(reference), linewidth=1)
    for y, (label, d) in enumerate(found.items()):
        if label in published:
            ax.plot(published[label], y, "|", color="black", markersize=11, markeredgewidth=1.6)
        if label in far:
            _point(ax, y, d.value)
            continue
        if d:
            ax.plot([d.low, d.high], [y, y], color=colour(label), linewidth=2)
        ax.plot(d.value, y, "o", color=colour(label))
    ax.set(yticks=range(len(found)), yticklabels=list(found), ylim=(len(found) - 0.4, -0.6), xlabel=f"PSNR minus {reference}'s (dB)")
    return fig


def _point(ax, y: float, value: float) -> None:
    """Write a value that lies outside the panel at the edge where it is, with an arrow."""
    text, low = f"{value:+z.1f}".replace("-", "−"), value < 0
    ax.annotate(f"← {text}" if low else f"{text} →", (0.01 if low else 0.99, y), fontsize=8, va="center",
                xycoords=("axes fraction", "data"), ha="left" if low else "right", color="#444444")  # fmt: skip
