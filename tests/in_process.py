"""Chapters executed cell by cell in the tests' own process: no kernel starts, and sizes can be smaller
than any profile's."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from n2nlib import paths, profiles
from n2nlib.display import style
from n2nlib.report.closure import load_notebook
from n2nlib.report.plan import Settings, chapters

#: What must not be printed: a number that is none.
NO_NUMBER = re.compile(r"(?<![\w.])[+\-−]?(nan|inf|NaN|Infinity|None|NaT)(?![\w])")


@dataclass
class Shown:
    """What the chapters showed: (chapter, cell, text) of prose, tables, captions and printed lines; and
    each figure's problems."""

    texts: list[tuple[str, str, str]] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Everything that was shown, as one text."""
        return "\n".join(text for *_, text in self.texts)

    def faults(self) -> list[str]:
        """Texts that hold no-numbers, and figures without content."""
        lines = [(chapter, cell, line) for chapter, cell, text in self.texts for line in text.splitlines()]
        return [f"{c}, {cell}: {line[:160]}" for c, cell, line in lines if NO_NUMBER.search(line)] + [
            f"figure {name}: {fault}" for name, fault in self.figures.items() if fault
        ]


def shrink(monkeypatch, **changes) -> None:
    """Make `smoke` smaller than it is."""
    from dataclasses import replace

    monkeypatch.setitem(profiles.PROFILES, "smoke", replace(profiles.PROFILES["smoke"], **changes))


def execute(settings: Settings, monkeypatch, names: list[str] | None = None) -> Shown:
    """Execute chapters in order, as papermill would with these settings; return what they showed."""
    import builtins

    import IPython.display
    from matplotlib import pyplot as plt

    shown, here = Shown(), ["", ""]

    def display(*objects, **_):
        shown.texts.extend(
            (*here, getattr(o, "data", None)) for o in objects if isinstance(getattr(o, "data", None), str)
        )

    def save(fig, path):
        fig.canvas.draw()
        shown.figures[path.name] = fault_of(fig)
        png = path.with_suffix(".png")
        paths.write(png, b"")
        return png, png

    def show_text(*values, sep=" ", end="\n", file=None, **_):
        shown.texts.append((*here, sep.join(map(str, values))))

    monkeypatch.setattr(IPython.display, "display", display)
    monkeypatch.setattr(style, "save", save)
    for name in names or chapters():
        space = {"__name__": "__main__", "print": show_text, "__builtins__": builtins}
        for cell in load_notebook(paths.notebooks() / f"{name}.ipynb")["cells"]:
            if cell["cell_type"] != "code":
                continue
            here[:] = name, cell["id"]
            code = compile("".join(cell["source"]), f"{name}:{cell['id']}", "exec")
            exec(code, space)  # noqa: S102 (the project's own chapters)
            if "parameters" in cell["metadata"].get("tags", []):
                space.update(settings.parameters)
        plt.close("all")
    return shown


def fault_of(fig) -> str:
    """Say what is wrong with a figure: no axes, or one that is shown without anything in it."""
    axes = [ax for ax in fig.axes if ax.axison or ax.texts]
    if not axes:
        return "no axes"
    for ax in axes:
        lines = [np.asarray(line.get_ydata(), float) for line in ax.lines]
        has_data = (
            any(np.isfinite(y).any() for y in lines) or ax.images or ax.collections or ax.patches or ax.texts
        )
        if not has_data:
            return f"nothing drawn in the panel {ax.get_title() or ax.get_xlabel()!r}"
        if not all(np.isfinite(limit).all() for limit in (ax.get_xlim(), ax.get_ylim())):
            return f"limits that are no numbers in the panel {ax.get_title()!r}"
    return ""
