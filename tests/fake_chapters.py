"""Small chapters for the tests of the report: they show what real ones show, and train nothing."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

PARAMETERS = 'dataset = "bundled"\nprofile = "smoke"\ndevice = "auto"\ntrain = True\nexecutor = "local"'

SHOW = """
from IPython.display import Image, Markdown, display
from n2nlib import paths
from n2nlib.errors import ReportError

def say(text):
    display(Markdown(text), metadata={"n2n": {"kind": "prose"}})

def table(text, name, caption):
    folder = paths.report(dataset, profile) / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ("csv", "md", "tex"):
        (folder / f"{name}.{suffix}").write_text(text)
    display(Markdown(text), metadata={"n2n": {"kind": "table", "name": name, "caption": caption}})

def figure(fig, name, caption):
    _, png = style.save(fig, paths.figures(dataset, profile) / name)
    plt.close(fig)
    display(Image(png.read_bytes()), metadata={"n2n": {"kind": "figure", "name": name, "caption": caption}})
"""

DRAW = """
import matplotlib.pyplot as plt
from n2nlib.display import style
style.use()
fig, ax = plt.subplots(figsize={size})
ax.plot([0, 1, 2], [20.7, 24.0, 25.3], label="TNet")
ax.set(xlabel="epoch", ylabel="PSNR (dB)")
figure(fig, {name!r}, "Validation PSNR of **TNet** ($n = 2$ seeds). Higher is better.")
"""

TABLE = """| Model | #P (k) | Loss | PSNR (dB) |
|:--|--:|:--|--:|
| TNet | 43.1 | $L_2$ | 25.32 ± 0.01 |
| UNet | 991.2 | $L_2$ | 25.24 ± 0.08 |"""

WIDE = "\n".join(
    ["| Claim of the paper | Where | Published | Measured | Verdict |", "|:--|:--|--:|--:|:--|"]
    + [
        f"| Claim {i}: TNet outperforms UNet while using twenty times fewer parameters | Table {i} | 25.32 ± 0.01 | 24.9 | not tested at this size |"
        for i in range(9)
    ]
)

PROSE = (
    """Each pair has the same clean image, so that $E[y_1] = E[y_2] = x$ and

$$\\arg\\min_\\theta E\\,\\lVert f_\\theta(y_1) - y_2 \\rVert^2 = \\arg\\min_\\theta E\\,\\lVert f_\\theta(y_1) - x \\rVert^2 .$$

What follows from it:
- the network never sees a clean image, and it needs none;
- the loss does not go below the variance of the noise, about ~5 % of it.

"""
    + "A mean of many draws comes close to the clean image, one draw does not. " * 6
)


def notebook(*cells: tuple[str, str] | tuple[str, str, list[str]]) -> dict:
    """Return a notebook of (type, source[, tags]) cells with ids `cell-0`, `cell-1`, ..."""
    out = []
    for i, (kind, source, *tags) in enumerate(cells):
        cell = {
            "cell_type": kind,
            "id": f"cell-{i}",
            "metadata": {"tags": tags[0]} if tags else {},
            "source": source,
        }
        out.append(cell | ({"outputs": [], "execution_count": None} if kind == "code" else {}))
    kernel = {"name": "n2n", "display_name": "Python (n2n)", "language": "python"}
    return {"cells": out, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def chapter(title: str, *cells) -> dict:
    """Return a chapter: title, parameters, helpers, then those cells."""
    return notebook(("markdown", f"# {title}\n\nThe question of this chapter."), ("code", PARAMETERS, ["parameters"]),
                    ("code", SHOW), *cells)  # fmt: skip


def write(folder: Path, name: str, content: dict) -> Path:
    """Write a notebook into `folder`; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.ipynb"
    path.write_text(json.dumps(content, indent=1))
    return path


def write_report(root: Path) -> None:
    """Write three chapters under `root/notebooks`: data, networks, and the report that opens with its abstract."""
    folder = root / "notebooks"
    write(folder, "01_data", chapter(
        "Data", ("markdown", "## Pairs\n\n" + PROSE), ("code", DRAW.format(name="psnr", size=(3.35, 2.2))),
        ("code", "print('PSNR', 20.72)\nprint(dataset, profile, device)", ["nbval-check-output"]),
        ("markdown", "## Noise\n\n" + PROSE * 2)))  # fmt: skip
    write(folder, "02_networks", chapter(
        "Networks", ("code", f"table('''{TABLE}''', 'models', 'Networks compared (bundled, smoke).')"),
        ("markdown", "## Training\n\n" + PROSE), ("code", DRAW.format(name="curves", size=(6.9, 2.4))),
        ("markdown", "### Details\n\n" + PROSE)))  # fmt: skip
    write(folder, "07_report", chapter(
        "A thin denoiser, done again",
        ("markdown", "## Abstract", ["abstract"]), ("code", "say('TNet reaches **25.32** dB. ' * 12)"),
        ("markdown", "## Headline", ["front"]), ("code", f"table('''{TABLE}''', 'headline', 'The headline, measured again.')"),
        ("markdown", "## Claims\n\nEach claim with its verdict."),
        ("code", f"table('''{WIDE}''', 'claims', 'Every claim of the paper.')")))  # fmt: skip


def opened(fingerprint: str = "0123456789abcdef") -> SimpleNamespace:
    """Return what stands in for an opened dataset."""
    return SimpleNamespace(fingerprint=fingerprint, notes_digest="none")
