"""Figures of finished runs in which every initialisation can be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from .curves import FAR, point_to
from .figures import PAGE, colour
from .stats import Interval


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
            point_to(ax, y, d.value)
            continue
        if d:
            ax.plot([d.low, d.high], [y, y], color=colour(label), linewidth=2)
        ax.plot(d.value, y, "o", color=colour(label))
    ax.set(yticks=range(len(found)), yticklabels=list(found), ylim=(len(found) - 0.4, -0.6), xlabel=f"PSNR minus {reference}'s (dB)")
    return fig
