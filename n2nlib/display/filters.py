"""Figures of classical filters: tuning, error by detail beside networks', and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from n2nlib.analysis.detail import PARTS, ErrorByDetail
from n2nlib.analysis.filters import Filters
from n2nlib.display.pictures import methods_grid
from n2nlib.display.style import PAGE, colour, plain_log_ticks
from n2nlib.evaluation import classical

#: Method -> how a narrow column or a legend calls it.
SHORT = {"gaussian": "Gaussian", "linear": "linear, fitted", "nlm": "non-local", "tv": "total var."}
#: Parameter -> its symbol on an axis.
SYMBOL = {"sigma": "σ", "sigma_spatial": "σ in pixels", "sigma_color": "σ in colour", "h": "$h$"}
#: The fitted kernel's line would hide the Gaussian's.
DASHES = {"noisy": (3, 1.5), "linear": (3, 1.5)}


def tuning(filters: Filters) -> Figure:
    """Error against the second noisy copy at every value tried, a panel per parameter.

    A circle marks the chosen value.
    """
    panels = [(name, p) for name in filters.fast for p in classical.FILTERS[name].grid]
    level = 1e3 * filters.curve("noisy")["mse"][0]
    floor = 1e3 * min(filters.curve(name)["mse"].min() for name in filters.fast)
    fig, axes = plt.subplots(2, -(-len(panels) // 2), figsize=(PAGE, 3.1), sharey=True, squeeze=False)
    for ax, (name, p) in zip(axes.flat, panels, strict=False):
        curve = 1e3 * filters.curve(name).groupby(p)["mse"].min()  # the other parameter at its best
        best = filters.found[name]["parameters"][p]
        ax.axhline(level, color=colour("noisy"), linestyle=":", linewidth=1)
        sns.lineplot(x=curve.index, y=curve, marker="o", markeredgewidth=0, color=colour(name), ax=ax)
        ax.plot(best, curve[best], "o", markersize=7, markerfacecolor="none", color="black")
        ax.annotate(f"{best:.3g}", (best, curve[best]), xytext=(0, 7), textcoords="offset points",
                    ha="center", fontsize=8)  # fmt: skip
        ax.set(title=filters.title(name), xlabel=SYMBOL.get(p, p), ylabel="")
        ax.set_xscale("linear" if classical.FILTERS[name].grid[p].step else "log")
        ax.set_xticks(ends := [curve.index[0], curve.index[-1]], [f"{x:.2g}" for x in ends])
        ax.minorticks_off()
    if level > floor:
        axes[0, 0].set_ylim(floor - 0.15 * (level - floor), level + 0.2 * (level - floor))
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    fig.supylabel("squared error against $b$ (×$10^{-3}$)", fontsize=9)
    return fig


def error_by_detail(errors: ErrorByDetail) -> Figure | None:
    """Error of each method, TNet's gain (dB) and the error it saves, in tenths of the pixels by detail."""
    if not errors:
        return None
    filters = [name for name in classical.FILTERS if name in errors.sums]
    networks = sorted(errors.sums.keys() - set(filters), reverse=True)  # UNet, TNet
    methods, others = [*filters, *networks], [name for name in filters if name != "noisy"]
    gains = {name: [errors.gain(name, slice(k, k + 1)) for k in range(PARTS)] for name in others}
    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(PAGE, 2.5))
    _lines(left, {name: errors.rms(name) for name in methods})
    left.set(title="Error of each method", ylabel="root mean square, of 255", yscale="log")
    plain_log_ticks(left, (1, 2, 5, 10, 20, 50, 100))
    _lines(middle, {name: [d.value for d in found] for name, found in gains.items()})
    for name in (name for name, found in gains.items() if all(found)):
        low, high = ([getattr(d, end) for d in gains[name]] for end in ("low", "high"))
        middle.fill_between(range(1, PARTS + 1), low, high, color=colour(name), alpha=0.15, lw=0)
    middle.set(title="Gain of TNet over filters", ylabel="dB, mean over photographs")
    _lines(right, {name: 1e4 * errors.saved(name) for name in others}, legend=False)
    right.set(title="Squared error that TNet saves", ylabel="mean squared error (×$10^{-4}$)")
    for ax in (middle, right):
        ax.axhline(0, color="black", linewidth=0.8)
    return fig


def _lines(ax, values: Mapping[str, Sequence[float]], legend: bool = True) -> None:
    """Draw a line per method over the tenths of the pixels."""
    tenths = range(1, PARTS + 1)
    names = {SHORT.get(name, name): name for name in values}
    frame = pd.DataFrame({short: values[name] for short, name in names.items()}, index=tenths)
    sns.lineplot(frame, palette={short: colour(name) for short, name in names.items()}, marker="o",
                 dashes={short: DASHES.get(name, "") for short, name in names.items()}, markeredgewidth=0,
                 legend=legend, ax=ax)  # fmt: skip
    ax.set(xlabel="tenth of the pixels, by detail", xticks=tenths[::3])
    if legend:
        ax.legend(fontsize=7, handlelength=2)


def pictures(images: Mapping[str, np.ndarray]) -> Figure:
    """A row per window of `measurements.filter_pictures`, a column per method, each with its PSNR.

    The clean image last.
    """
    filters = [name for name in classical.FILTERS if name in images]
    networks = [name for name in images if name not in (*filters, "clean")]
    return methods_grid({SHORT.get(name, name): images[name] for name in (*filters, *networks, "clean")})
