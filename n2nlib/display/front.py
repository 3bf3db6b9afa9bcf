"""The front page of the report.

Abstract, reproducibility summary, one picture, and every claim in one graphic.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from n2nlib import paper
from n2nlib.analysis import claims
from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.ledger import Ledger
from n2nlib.display.pictures import methods_grid
from n2nlib.display.question_words import exchange
from n2nlib.display.report_words import lower_precision
from n2nlib.display.style import COLUMN, PAGE
from n2nlib.display.words import plural

#: Verdict -> colour and marker of the graphic; any other verdict is a grey circle.
LOOKS = {
    claims.REPRODUCED: ("#0072B2", "o"),
    claims.DIRECTION: ("#009E73", "^"),
    claims.NOT_REPRODUCED: ("#E69F00", "s"),
    claims.CONTRADICTED: ("#D55E00", "X"),
}
#: The same for levels that are judged by a prediction.
PREDICTED = {claims.COMPATIBLE: ("#0072B2", "D"), claims.INCOMPATIBLE: ("#D55E00", "D")}
OTHER = ("#777777", "o")
#: What the graphic shows of its standardised axis; a value beyond is an arrow at the edge.
LIMITS = (-1.5, 2.5)


# Sentences


def abstract(found: Ledger, dataset: str) -> str:
    """The abstract: what was done, the main outcomes by verdict, and how the claims fared; few numbers."""
    return " ".join(filter(None, [
        "We reproduce a student report that presents TNet, a Noise2Noise denoiser of "
        f"{paper.value('abstract.parameters'):,} parameters for 32×32 images. The authors' images are not "
        f"public; ours are made from the dataset {dataset}, by sampling one pixel from each cell of a "
        "photograph.",
        _unet(found),
        _exchange(found),
        _filter(found),
        _fared(found),
    ]))  # fmt: skip


def _unet(found: Ledger) -> str:
    claim = found["tnet-outperforms-unet"]
    if claim.verdict == claims.TOO_FEW:
        apart, seeds = claim.ours.value, f"{claim.ours.n} seed{'s' * (claim.ours.n > 1)}"
        side = "above" if apart > 0 else "below"
        return f"With {seeds} of UNet, too few for a verdict, TNet ends {abs(apart):.2f} dB {side} it."
    return {
        claims.REPRODUCED: "TNet ends above UNet by about the published amount.",
        claims.DIRECTION: "TNet ends above UNet, though not by the published amount.",
        claims.NOT_REPRODUCED: "Our runs do not decide whether TNet or UNet ends higher.",
        claims.CONTRADICTED: "UNet ends above TNet, unlike in the paper.",
    }.get(claim.verdict, "TNet and UNet are not yet compared at this size.")


def _exchange(found: Ledger) -> str:
    fits = exchange(found)
    if fits and fits.exchanged:
        l1, bn = fits.predicted
        return (
            f"On the authors' public pairs our runs predict {l1:.2f} dB for TNet+L1 and {bn:.2f} dB for "
            "TNet+BN: these two rows of Table 2 seem to be exchanged."
        )
    printed = "TNet with an L1 loss ends above TNet with batch normalisation, as printed."
    other = "An L1 loss costs more than batch normalisation: Table 2 prints the other order."
    told = {claims.REPRODUCED: printed, claims.DIRECTION: printed, claims.CONTRADICTED: other}
    return told.get(found["l1-above-bn"].verdict, "")


def _filter(found: Ledger) -> str:
    return {
        claims.REPRODUCED: "TNet beats tuned Gaussian filters.",
        claims.DIRECTION: "TNet beats tuned Gaussian filters, by little.",
        claims.CONTRADICTED: "A tuned Gaussian filter beats TNet.",
    }.get(found["filters-gaussian"].verdict, "")


def _fared(found: Ledger) -> str:
    reproduced, direction, undecided, contradicted = (len(found.of(verdict)) for verdict in LOOKS)
    total = len(found.paper)
    others = total - reproduced - direction - undecided - contradicted
    rest = f"; the other {others} are levels that depend on the images, or lack runs" if others else ""
    return (
        f"Of {total} claims, {reproduced} are reproduced and {direction} in direction only, {contradicted} "
        f"contradicted, {undecided} not reproduced{rest}."
    )


def scope(found: Ledger) -> str:
    """What the report tests."""
    return (
        f"We test {len(found.paper)} claims of the paper: the numbers of its two tables; that TNet denoises "
        f"at least as well as UNet with {paper.value('abstract.times_fewer')} times fewer parameters; what "
        "learning rate, L1 loss, batch normalisation and parts of the network change; and what its gradients "
        "say about noise, objects and background. Each claim has bounds and ends with a verdict."
    )


def methodology(rows: Comparison, profile, dataset: str) -> str:
    """How the claims are tested: networks, runs, intervals, and what makes the report."""
    lower = lower_precision(rows)
    precision = f" Networks were trained in {lower}; chapter 04 compares them with fp32." if lower else ""
    return (
        "The networks are written from the paper's text and the authors' notebooks, and trained with "
        f"the paper's optimiser on {profile.n_train:,} noisy pairs of the dataset {dataset} for "
        f"{profile.epochs} epochs. PSNR is measured on {rows.validation} that no network was trained on; "
        "Figure `front_picture` shows two. Differences have 95 % confidence intervals over seeds "
        "crossed with photographs; the tests are adjusted together. One command rebuilds every table "
        f"and figure from stored runs.{precision}"
    )


# Figures


def picture(found: Mapping[str, Any], windows: Sequence[int] = (1, 4)) -> Figure | None:
    """Draw some windows of `measurements.examples` noisy, denoised by TNet, and clean, with PSNR."""
    if not found or "TNet" not in found["arrays"]:
        return None
    shown = {name: found["arrays"][name][list(windows)] for name in ("noisy", "TNet", "clean")}
    return methods_grid(shown, width=COLUMN)


@dataclass(frozen=True)
class Row:
    """A claim on the standardised axis: it holds above 0, and 1 is the claimed value (`claimed`)."""

    judged: claims.Judged
    value: float
    low: float | None
    high: float | None
    claimed: float | None


def standardised(judged: claims.Judged) -> Row | None:
    """Put a claim's effect on the axis that all claims share; None where nothing comparable was measured.

    0 is the bound at which the claim begins to hold. 1 is the claimed value or, where the paper prints none,
    the smallest effect that the words stand for, else twice the bound, or the gain that the paper prints for
    TNet over UNet where the bound is 0. A claim of equality is at 1 in the middle of its bounds.
    """
    claim, ours = judged.claim, judged.ours
    if ours is None or judged.verdict == claims.NO_DATA:
        return None
    to = log if claim.scale == "log" else float
    above, below, printed, least = (
        None if x is None else to(x) for x in (claim.above, claim.below, claim.published, claim.least)
    )
    if above is below is None:
        if printed is None:
            return None
        above, below = printed - (claim.tolerance or 0.5), printed + (claim.tolerance or 0.5)
    both = above is not None and below is not None
    if both:
        middle, half = (above + below) / 2, (below - above) / 2

        def place(x: float) -> float:
            return 1 - abs(x - middle) / half
    else:
        bound, sign = (above, 1) if above is not None else (below, -1)
        gain = paper.value("table2.TNet.psnr") - paper.value("table2.UNet.psnr")
        sizes = [sign * (x - bound) for x in (printed, least) if x is not None]
        unit = next((size for size in sizes if size > 0), abs(bound) or gain)

        def place(x: float) -> float:
            return sign * (x - bound) / unit

    low = high = None
    if ours.low is not None and ours.low < ours.high:
        ends = to(ours.low), to(ours.high)
        places = [place(x) for x in ends]
        if both and ends[0] <= middle <= ends[1]:
            places.append(1.0)
        low, high = min(places), max(places)
    return Row(judged, place(to(ours.value)), low, high, None if printed is None else place(printed))


def rows_of(found: Ledger) -> list[Row]:
    """Return the claims of the graphic, by verdict and then in the order of the ledger."""
    order = {verdict: i for i, verdict in enumerate([*LOOKS, *PREDICTED])}
    rows = [row for row in map(standardised, found.paper) if row is not None]
    return sorted(rows, key=lambda row: order.get(row.judged.verdict, len(order)))


def overview(found: Ledger) -> Figure | None:
    """Draw a row per claim: our effect with its interval beside the claimed value, on one axis.

    Colour and marker are the verdict. None where no claim has a measured value.
    """
    rows = rows_of(found)
    if not rows:
        return None
    half = (len(rows) + 1) // 2
    labels = short({row.judged.claim.id: row.judged.claim.says for row in rows})
    fig, axes = plt.subplots(1, 2, figsize=(PAGE, 0.8 + 0.185 * half), sharex=True)
    for ax, part in zip(axes, (rows[:half], rows[half:]), strict=True):
        for i, row in enumerate(part):
            _draw(ax, i, row)
        shown = [labels[row.judged.claim.id] for row in part]
        ax.set_yticks(range(len(part)), shown, fontsize=5.8, linespacing=0.9)
        ax.set(xlim=(LIMITS[0] - 0.15, LIMITS[1] + 0.15), ylim=(half - 0.4, -0.6))
        ax.set(xticks=[-1, 0, 1, 2], xlabel="fails ← 0 → holds")
        ax.axvline(0, color="#444444", lw=0.6)
        ax.tick_params(axis="y", length=0)
    _legend(fig, rows)
    return fig


def _look(verdict: str) -> dict[str, Any]:
    colour, marker = (LOOKS | PREDICTED).get(verdict, OTHER)
    return {"color": colour, "marker": marker, "mfc": colour if verdict in LOOKS else "white"}


def _draw(ax: Axes, i: int, row: Row) -> None:
    look = _look(row.judged.verdict)
    if row.low is not None:
        ax.plot(np.clip([row.low, row.high], *LIMITS), [i, i], color=look["color"], lw=1.2, zorder=2)
    if row.claimed is not None and LIMITS[0] <= row.claimed <= LIMITS[1]:
        ax.plot(row.claimed, i, "|", color="black", ms=7, mew=1.2, zorder=3)
    if LIMITS[0] <= row.value <= LIMITS[1]:
        look["mew"] = 0.9
    else:
        look["marker"] = ">" if row.value > 0 else "<"
    ax.plot(np.clip(row.value, *LIMITS), i, ls="", ms=4.5, zorder=4, **look)


def _legend(fig: Figure, rows: Sequence[Row]) -> None:
    verdicts = dict.fromkeys(row.judged.verdict for row in rows)
    handles = [plt.Line2D([], [], ls="", label=verdict, **_look(verdict)) for verdict in verdicts]
    handles.append(plt.Line2D([], [], ls="", marker="|", color="black", ms=7, label="claimed"))
    fig.legend(handles=handles, loc="outside upper center", ncols=4, fontsize=7, handletextpad=0.3)


def short(sentences: Mapping[str, str]) -> dict[str, str]:
    """Return each claim for the side of the graphic, on at most two lines.

    Remarks in brackets are left out; where that leaves several claims alike, the remark is the label.
    """
    texts = {name: re.sub(r"\s*\([^)]*\)", "", says) for name, says in sentences.items()}
    alike = {text for text, n in Counter(texts.values()).items() if n > 1}
    for name, says in sentences.items():
        if texts[name] in alike and (remark := re.search(r"\(here: ([^)]*)\)", says)):
            texts[name] = remark[1]
    for name, text in texts.items():
        line = text.strip().removesuffix(".").replace(" dB", "\u00a0dB")
        texts[name] = "\n".join(textwrap.wrap(line, 46, max_lines=2, placeholder=" …"))
    return texts


def overview_alt(found: Ledger) -> str:
    """What the graphic shows, in words: the claims by verdict, and on which side of the bound they are."""
    rows = rows_of(found)
    told = []
    for verdict in dict.fromkeys(row.judged.verdict for row in rows):
        mine = [row for row in rows if row.judged.verdict == verdict]
        right = sum(row.value > 0 for row in mine)
        told.append(f"{len(mine)} {verdict}, {right} of them right of the bound")
    return f"A forest plot of {len(rows)} {plural(len(rows), 'claim', 'claims')}: {'; '.join(told)}."
