"""The alternative text of figures, made from what is drawn."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

#: A longer text is cut after a panel: whoever needs all numbers has the tables.
LONGEST = 900
#: More rows or curves than this are counted, not listed.
MANY = 12


def describe(fig: Figure) -> str:
    """Return what a figure shows: its panels with their axes, curves, rows of dots and pictures."""
    fig.draw_without_rendering()  # places ticks
    panels = [ax for ax in fig.axes if ax.get_visible() and ax.get_label() != "<colorbar>"]
    pictures = [ax for ax in panels if ax.images and not _labels(ax.get_xticklabels())]
    plots = [ax for ax in panels if ax not in pictures and ax.axison]
    drawings = [ax for ax in panels if ax not in pictures and not ax.axison]
    parts = [_pictures(pictures)] if pictures else []
    parts += [_drawing(ax) for ax in drawings]
    for number, ax in enumerate(plots, 1):
        name = f"Panel {number}" if len(plots) > 1 else "A plot"
        parts.append(f"{name}{f' ({title})' if (title := _title(ax)) else ''}: {_plot(ax)}")
    out = ""
    for part in filter(None, parts):
        if out and len(out) + len(part) > LONGEST:
            break
        out += f" {part}" if out else part
    return " ".join(out.replace("$", "").split())


def _title(ax: Axes) -> str:
    return ax.get_title(loc="left") or ax.get_title()


def _labels(texts) -> list[str]:
    return [text.get_text() for text in texts if text.get_text().strip()]


def _listed(items: list[str], what: str) -> str:
    """Name items, or count them where they are many."""
    return ", ".join(items) if len(items) <= MANY else f"{len(items)} {what}"


def _pictures(panels: list[Axes]) -> str:
    """Say what a grid of pictures has as rows, columns and labels."""
    rows = len({round(ax.get_position().y1, 2) for ax in panels})
    columns = len({round(ax.get_position().x0, 2) for ax in panels})
    titles = list(dict.fromkeys(filter(None, map(_title, panels))))
    sides = list(dict.fromkeys(filter(None, (ax.get_ylabel() for ax in panels))))
    below = [ax.get_xlabel() for ax in panels if ax.get_xlabel()]
    said = f"Pictures in {rows} {'row' if rows == 1 else 'rows'} and {columns} columns."
    said += f" Columns: {_listed(titles, 'titles')}." if titles else ""
    said += f" Rows: {_listed(sides, 'labels')}." if sides else ""
    said += f" Below them: {', '.join(below[: 2 * MANY])}." if below else ""
    return said


def _drawing(ax: Axes) -> str:
    words = list(dict.fromkeys(_labels(ax.texts)))
    return f"A drawing with the labels {', '.join(words[: 3 * MANY])}." if words else ""


def _plot(ax: Axes) -> str:
    """Say what a plot's axes and curves are, and where the curves or the dots of its rows lie."""
    rows = _labels(ax.get_yticklabels())
    named = bool(rows) and not _is_number(rows[0])
    across = f"{ax.get_xlabel() or 'the horizontal axis'} from {_span(ax.get_xlim())}"
    up = ax.get_ylabel() or "the vertical axis"
    if named:
        found = _row_values(ax)
        told = [f"{name} {found[name]}".strip() for name in rows if name in found]
        return f"{across}; rows: {_listed(told, 'rows')}."
    scale = " on a logarithmic scale" if ax.get_yscale() == "log" else ""
    curves = _curves(ax)
    said = f"{up} from {_span(ax.get_ylim())}{scale}, against {across}"
    return f"{said}; {_listed(curves, 'curves')}." if curves else f"{said}."


def _is_number(text: str) -> bool:
    try:
        float(text.replace("\N{MINUS SIGN}", "-").replace(",", "").rstrip("k%"))
    except ValueError:
        return "mathdefault" in text
    return True


def _span(limits: tuple[float, float]) -> str:
    low, high = sorted(limits)
    return f"{low:.3g} to {high:.3g}"


def _curves(ax: Axes) -> list[str]:
    """Return each curve of the legend with its first and last value: the widest line of its colour."""
    legend = ax.get_legend()
    if legend is None:
        return []
    told = []
    for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
        colour = getattr(handle, "get_color", lambda: None)()
        lines = [
            line
            for line in ax.lines
            if isinstance(colour, str)
            and to_hex(line.get_color()) == to_hex(colour)
            and len(line.get_ydata()) > 1
        ]
        values = np.ravel(max(lines, key=lambda line: line.get_linewidth()).get_ydata()) if lines else []
        values = [value for value in values if np.isfinite(float(value))]
        ends = f" from {values[0]:.4g} to {values[-1]:.4g}" if len(values) else ""
        told.append(f"{text.get_text()}{ends}")
    return told


def _row_values(ax: Axes) -> dict[str, str]:
    """Return row -> where its dots lie on the horizontal axis."""
    points = [np.asarray(part.get_offsets(), float) for part in ax.collections if len(part.get_offsets())]
    points += [
        np.column_stack([line.get_xdata(), line.get_ydata()]).astype(float)
        for line in ax.lines
        if len(line.get_xdata()) == len(line.get_ydata()) and line.get_marker() not in ("", "None", None)
    ]
    every = np.concatenate(points) if points else np.empty((0, 2))
    found = {}
    for tick, label in zip(ax.get_yticks(), ax.get_yticklabels(), strict=False):
        mine = every[np.abs(every[:, 1] - tick) < 0.4, 0]
        mine = mine[np.isfinite(mine)]
        ends = dict.fromkeys(f"{value:.4g}" for value in (mine.min(), mine.max())) if len(mine) else ()
        found[label.get_text()] = f"at {' to '.join(ends)}" if ends else ""
    return found
