"""How the report's figures look and are saved: one style file, one colour per method."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib import get_data_path
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from n2nlib import paths
from n2nlib.agreement import pictures_agree

#: Widths in inches of one column and of the full page in report.pdf: figures are drawn at their final size.
COLUMN, PAGE = 3.35, 6.9

#: Method -> colour, the same in every figure: blues are TNet, oranges UNet, greens the classical filters
#: (Okabe-Ito).
COLOURS = {
    "clean": "#000000",
    "noisy": "#8C8C8C",
    "zero": "#BBBBBB",
    "TNet": "#0072B2",
    "TNet+L1": "#56B4E9",
    "TNet+BN": "#00395A",
    "UNet": "#D55E00",
    "UNet (shared decoder)": "#E69F00",
    "BaseNet": "#CC79A7",
    "SmallNet": "#7A5195",
    "gaussian": "#009E73",
    "mean": "#7CC9A9",
    "linear": "#00563F",
    "bilateral": "#8FB339",
    "nlm": "#4E6E1E",
}


def use() -> None:
    """Set `report.mplstyle`, beside this file, on matplotlib's defaults as the style of all figures.

    Nothing of a reader's own `matplotlibrc` remains. The font comes with matplotlib, but a reader's font
    cache may lack it.
    """
    if "STIXGeneral" not in fontManager.get_font_names():
        for file in Path(get_data_path(), "fonts", "ttf").glob("STIX*.ttf"):
            fontManager.addfont(file)
    plt.style.use(["default", Path(__file__).with_name("report.mplstyle")])


def colour(name: str) -> str:
    """Return a method's colour: its own, its network's ("TNet, ReLU"), or grey."""
    known = [method for method in COLOURS if name.startswith(method)]
    return COLOURS[max(known, key=len)] if known else "#777777"


def plain_log_ticks(ax: Axes, levels: Sequence[float]) -> None:
    """Set those of some levels that lie inside as ticks of a logarithmic y axis, without powers of ten."""
    low, high = ax.get_ylim()
    inside = [x for x in levels if low < x < high]
    ax.set_yticks(inside, [f"{x:g}" for x in inside])
    ax.minorticks_off()


def save(fig: Figure, stem: str | Path) -> tuple[Path, Path]:
    """Write `<stem>.pdf` and `<stem>.png` and return both paths; the same figure gives the same bytes.

    Files that hold the same picture already are left as they are (`pictures_agree`).

    No date and no version of the program goes into the files, so that a figure that has not changed shows no
    change.
    """
    pdf, png = Path(f"{stem}.pdf"), Path(f"{stem}.png")
    names = {pdf: ("CreationDate", "ModDate", "Creator", "Producer"), png: ("Software",)}
    contents = {}
    for path, metadata in names.items():
        content = io.BytesIO()
        fig.savefig(content, format=path.suffix[1:], metadata=dict.fromkeys(metadata))
        contents[path] = content.getvalue()
    if not (pdf.exists() and png.exists() and pictures_agree(png.read_bytes(), contents[png])):
        for path, content in contents.items():
            paths.write(path, content)
    return pdf, png
