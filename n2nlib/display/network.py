"""A network drawn from its own recorded steps, laid out as a U (Figure 1)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Patch, Rectangle
from matplotlib.path import Path
from torch import nn

from n2nlib.display.style import PAGE
from n2nlib.models.summary import Step, trace

#: Steps that work on each value where it is: they belong to the block that they work on.
_IN_PLACE = ("activation", "normalisation", "dropout")
_COLOURS = {
    "convolution": "#444444",
    "strided": "#CC79A7",
    "shared": "#7A5195",
    "pooling": "#D55E00",
    "upsampling": "#009E73",
    "other": "#888888",
    "skip": "#0072B2",
}
_OWN, _COPIED, _EDGE = "#E4E6E8", "#BBD9EE", "#555555"
_NORM, _DROP = "#E69F00", "#000000"
_SMALL = 6.5


@dataclass
class Block:
    """One feature map: (channels, source block or None) of each part, height and width in pixels."""

    parts: list[tuple[int, int | None]]
    height: int
    width: int
    marks: set[str] = field(default_factory=set)  # in-place steps other than activations

    @property
    def channels(self) -> int:
        return sum(channels for channels, _ in self.parts)


@dataclass(frozen=True)
class Arrow:
    """An operation that leads from one block to another."""

    source: int
    target: int
    kind: str
    label: str  # its size in a few signs, as "3×3" or "×4"
    text: str


@dataclass
class Diagram:
    """What is drawn: blocks in order, operations, and skips as (from, to) block numbers."""

    blocks: list[Block]
    arrows: list[Arrow]
    skips: list[tuple[int, int]]
    activations: list[str]


def diagram(network: nn.Module, shape: tuple[int, int, int] = (3, 32, 32)) -> Diagram:
    """Return blocks, operations and skip connections of a network for an image of that shape."""
    steps = trace(network, shape)
    uses = [sum(i in step.inputs for step in steps) for i in range(len(steps))]
    shared = {step.name for step in steps if step.again}
    out = Diagram([], [], [], sorted({step.text for step in steps if step.kind == "activation"}))
    block_of: dict[int, int] = {}
    for i, step in enumerate(steps):
        sources = [block_of[j] for j in step.inputs]
        same_size = sources and _size(out.blocks[sources[0]]) == step.shape
        if step.kind in _IN_PLACE or step.kind == "other" and len(sources) == 1 and same_size:
            block_of[i] = sources[0]
            if step.kind != "activation":
                out.blocks[sources[0]].marks.add(step.text)
        elif len(sources) > 1:
            block_of[i] = _join(out, step, sources, alone=uses[max(step.inputs)] == 1)
        else:
            block_of[i] = len(out.blocks)
            channels, height, width = (*step.shape, 1, 1)[:3]
            out.blocks.append(Block([(channels, None)], height, width))
            if sources:
                out.arrows.append(_arrow(step, sources[0], block_of[i], step.name in shared))
    return out


def _join(out: Diagram, step: Step, sources: list[int], alone: bool) -> int:
    """Let the newest of some blocks take the others in; the others arrive by skip connections."""
    main, new = max(sources), len(out.blocks)
    joined = step.kind == "concatenation"
    if not alone or not joined and _size(out.blocks[main]) != step.shape:
        # something else needs the block as it was, or it takes another shape
        channels, height, width = _size(out.blocks[main]) if joined else step.shape
        out.blocks.append(Block([(channels, None)], height, width))
        out.arrows.append(Arrow(main, new, "other", "", "copy" if joined else step.text))
        sources = [new if s == main else s for s in sources]
        main = new
    others = [s for s in sources if s != main]
    out.skips += [(s, main) for s in others]
    if joined:
        out.blocks[main].parts = [(out.blocks[s].channels, s) for s in others] + out.blocks[main].parts
    elif main != new:
        out.blocks[main].marks.add(step.text)
    return main


def _arrow(step: Step, source: int, target: int, shared: bool) -> Arrow:
    if step.kind == "other":
        return Arrow(source, target, "other", "", step.text)
    what, _, label = step.text.partition(",")[0].rpartition(" ")
    kind = step.kind
    if what.endswith("transposed convolution"):
        kind = "upsampling"
    elif ", stride" in step.text:
        kind, what = "strided", f"{what}, strided"
    return Arrow(source, target, "shared" if shared else kind, label, what)


def _size(block: Block) -> tuple[int, int, int]:
    return block.channels, block.height, block.width


def network_figure(network: nn.Module) -> Figure:
    """Draw a network from left to right for an image of 32×32 pixels, a row for each image size.

    The network object decides everything shown.
    Block widths are in proportion to channels, heights to the logarithm of the image's height; numbers above
    blocks are channels. Skip connections and what they bring are blue, the copied channels to the left.
    """
    plan, width = diagram(network), PAGE
    levels = sorted({block.height for block in plan.blocks}, reverse=True)
    highest = 0.67 if len(levels) <= 6 else 0.45
    tall = {
        level: 0.17 + (highest - 0.17) * math.log2(level) / max(math.log2(levels[0]), 1) for level in levels
    }
    x, broad = _columns(plan, width)
    y, bottom = _rows(levels, tall)

    fig = Figure(figsize=(width, 0.32 - bottom))
    fig.set_layout_engine("none")
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(bottom, 0.32))
    ax.axis("off")
    for i, level in enumerate(levels):
        if i % 2 == 0:
            low, high = y[level] - tall[level] / 2 - 0.07, y[level] + tall[level] / 2 + 0.28
            ax.axhspan(low, high, color="#F6F7F8", zorder=0, lw=0)
        across = next(b.width for b in plan.blocks if b.height == level)
        ax.text(0.06, y[level], f"{level}×{across}", va="center", fontsize=7, color="#666666")

    boxes = [_Box(x[i], y[b.height], broad[i], tall[b.height], b) for i, b in enumerate(plan.blocks)]
    for box in boxes:
        _draw_block(ax, box, roomy=len(boxes) < 20)
    labelled = len({a.label for a in plan.arrows if a.kind in ("convolution", "shared")}) > 1
    for arrow in plan.arrows:
        _draw_arrow(ax, arrow, boxes, labelled)
    for source, target in plan.skips:
        _draw_skip(ax, boxes, source, target)
    free = len(boxes) < 2 or boxes[0].y == boxes[1].y  # no operation leaves the image's block downwards
    for box, word in ((boxes[0], "input"), (boxes[-1], "output")):
        place, side = (box.bottom - 0.04, "top") if free else (box.top + 0.15, "bottom")
        ax.text(box.x, place, word, ha="center", va=side, fontsize=7, style="italic")
    _legend(ax, plan, labelled)
    return fig


@dataclass(frozen=True)
class _Box:
    x: float
    y: float
    wide: float
    tall: float
    block: Block

    @property
    def left(self):
        return self.x - self.wide / 2

    @property
    def right(self):
        return self.x + self.wide / 2

    @property
    def top(self):
        return self.y + self.tall / 2

    @property
    def bottom(self):
        return self.y - self.tall / 2


def _drawn(block: Block, least: float) -> list[float]:
    """Return the channels that each part of a block is drawn with: at least so many, to be seen."""
    return [max(channels, least) for channels, _ in block.parts]


def _columns(plan: Diagram, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the centre and width of each block in inches.

    Gaps first, the rest of the page in proportion to channels.
    """
    n, room = len(plan.blocks), width - 0.7
    least = max(block.channels for block in plan.blocks) / 12
    gap = min(0.26, 0.55 * room / max(n - 1, 1))
    channels = np.array([sum(_drawn(block, least)) for block in plan.blocks])
    broad = channels * min((room - gap * (n - 1)) / channels.sum(), 0.012)
    left = 0.5 + (room - broad.sum() - gap * (n - 1)) / 2
    return left + np.cumsum(broad) - broad / 2 + gap * np.arange(n), broad


def _rows(levels: list[int], tall: dict[int, float]) -> tuple[dict[int, float], float]:
    """Return the centre of each row, from the top down, and the lower edge of the drawing."""
    y, top = {}, 0.0
    for level in levels:
        y[level] = top - tall[level] / 2
        top -= tall[level] + 0.36
    return y, top + 0.36 - 0.2


def _draw_block(ax, box: _Box, roomy: bool) -> None:
    left, drawn = box.left, _drawn(box.block, box.block.channels / 8)
    for channels, (_, copied_from) in zip(drawn, box.block.parts, strict=True):
        wide = box.wide * channels / sum(drawn)
        face = _OWN if copied_from is None else _COPIED
        ax.add_patch(Rectangle((left, box.bottom), wide, box.tall, fc=face, ec=_EDGE, lw=0.6, zorder=3))
        left += wide
    for i, mark in enumerate(sorted(box.block.marks)):
        ax.plot([box.right + 0.03 * i] * 2, [box.bottom, box.top], color=_mark_colour(mark), lw=2.2, zorder=4,
                solid_capstyle="butt")  # fmt: skip
    counts = [str(c) for c, _ in box.block.parts]
    text = " + ".join(counts) if len(counts) == 1 or roomy and box.wide > 0.15 else str(box.block.channels)
    ax.text(box.x, box.top + 0.03, text, ha="center", va="bottom", fontsize=_SMALL)


def _mark_colour(mark: str) -> str:
    return _NORM if "normalisation" in mark else _DROP


def _draw_arrow(ax, arrow: Arrow, boxes: list[_Box], labelled: bool) -> None:
    """Draw an operation: straight on one row, down or up around a corner between two."""
    a, b = boxes[arrow.source], boxes[arrow.target]
    colour = _COLOURS[arrow.kind]
    if a.y == b.y:
        points = [(a.right, a.y), (b.left, b.y)]
        x, y, ha, va = (a.right + b.left) / 2, a.y + 0.03, "center", "bottom"
    elif a.y > b.y:
        points = [(a.x, a.bottom), (a.x, b.y), (b.left, b.y)]
        x, y, ha, va = a.x - 0.03, a.bottom - 0.12, "right", "center"
    else:
        points = [(a.right, a.y), (b.x, a.y), (b.x, b.bottom)]
        x, y, ha, va = b.x + 0.04, b.bottom - 0.12, "left", "center"
    _line(ax, points, colour)
    if arrow.kind not in ("convolution", "shared") or labelled:
        ax.text(x, y, arrow.label, ha=ha, va=va, fontsize=_SMALL - 0.5, color=colour)


def _draw_skip(ax, boxes: list[_Box], source: int, target: int) -> None:
    """Draw a skip connection: straight where the row is free, over the blocks in between where it is not."""
    a, b = boxes[source], boxes[target]
    between = [c for c in boxes[source + 1 : target] if c.y == a.y]
    if a.y != b.y or not between:
        _line(ax, [(a.right, a.y), (b.left, b.y)], _COLOURS["skip"])
        return
    over = max(c.top for c in (a, b, *between)) + 0.2
    out, into, shoulder = a.right + 0.035, b.left - 0.06, a.top - 0.06
    rise, fall = [(out, shoulder), (out, over)], [(into, over), (into, shoulder)]
    points = [(a.right, shoulder), *rise, *fall, (b.left, shoulder)]
    _line(ax, points, _COLOURS["skip"])


def _line(ax, points, colour: str) -> None:
    style = {"joinstyle": "miter", "capstyle": "butt", "shrinkA": 0, "shrinkB": 0, "zorder": 2, "lw": 0.9}
    ax.add_patch(FancyArrowPatch(path=Path(points), arrowstyle="-|>", mutation_scale=6, color=colour,
                                 fc=colour, **style))  # fmt: skip


def _legend(ax, plan: Diagram, labelled: bool) -> None:
    """Explain the colours that this network uses, in the corner that a U leaves free."""
    entries = {}
    for arrow in plan.arrows:
        text = arrow.text
        if text == "convolution" and not labelled:
            text += f" {arrow.label}"
        if text.startswith(("convolution", "transposed")) and plan.activations:
            text += f", {' or '.join(plan.activations)}"
        if arrow.kind == "shared":
            text += " (same weights each time)"
        entries.setdefault((arrow.kind, text), Line2D([], [], color=_COLOURS[arrow.kind], lw=1.3))
    handles = {text: line for (_, text), line in entries.items()}
    if plan.skips:
        handles["skip connection"] = Line2D([], [], color=_COLOURS["skip"], lw=1.3)
    if any(source is not None for block in plan.blocks for _, source in block.parts):
        handles["channels that it brings"] = Patch(fc=_COPIED, ec=_EDGE, lw=0.6)
    for mark in sorted({mark for block in plan.blocks for mark in block.marks}):
        handles[mark] = Line2D([], [], color=_mark_colour(mark), lw=2.2)
    ax.legend(handles.values(), handles.keys(), loc="lower right", fontsize=7, handlelength=1.3,
              borderaxespad=0.3, labelspacing=0.35)  # fmt: skip
