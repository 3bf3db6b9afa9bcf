"""Blocks as Typst: pandoc writes them after what Typst reads differently is made safe."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from n2nlib.errors import ReportError
from n2nlib.report import pandoc, tree
from n2nlib.report.blocks import Block, Figure, Prose, Shown, Table
from n2nlib.report.content import Found
from n2nlib.report.tree import Node, plain, walk

#: Points: the width of a column, as template.typ sets it, and the height of a picture that fits a page.
COLUMN, HIGHEST = 241, 640
#: Points of a CSS pixel.
POINTS = 0.75
#: Characters that a table across the page holds side by side, and those from which a cell may be broken to
#: fit.
PAGE_CHARACTERS, BREAKABLE = 115, 25
#: Elements that pandoc writes as `#strong[...]` and the like: Typst reads a full stop after one as field
#: access.
CALLS = ("Strong", "Emph", "Underline", "Strikeout", "Superscript", "Subscript", "SmallCaps", "Note")
ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def font() -> Path:
    """Return matplotlib's DejaVu Sans: it has Hebrew, Arabic, symbols and emoticons."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def written(blocks: Sequence[Block], found: Found, widths: dict[str, float]) -> list[str | None]:
    """Return the Typst of blocks, written by one process; None for one that pandoc cannot write.

    `widths`: of figures by name, in points.
    """
    return pandoc.write([_tree(block, found, widths) for block in blocks], "typst")


def _tree(block: Block, found: Found, widths: dict[str, float]) -> list[Node]:
    if isinstance(block, Prose):
        nodes = _safe(walk(block.blocks, _stacked), found)
        return [part for node in nodes for part in (_placed(node) if node["t"] == "Table" else [node])]
    number = {"t": "Strong", "c": [tree.string(f"{block.kind}\u00a0{block.number}.")]}
    caption = {"t": "Plain", "c": _safe(tree.words(number, " ", *block.words), found)}
    if isinstance(block, Figure):
        call = f'#picture(<{label(block.anchor)}>, "figure{block.number}.pdf", {widths[block.name]:.1f}pt)['
        return [tree.raw(call, "typst"), caption, tree.raw("]", "typst")]
    table, *rest = _safe(block.blocks, found)
    return [*_placed(table, f"<{label(block.anchor)}>", [caption]), *rest]


def _placed(table: Node, anchor: str = "none", caption: Sequence[Node] = ()) -> list[Node]:
    """Return a table of the page's own level: template.typ measures it and finds its place."""
    wraps = _share_width(table)
    begin = tree.raw(f"#tabular({anchor}, wraps: {str(wraps).lower()})[", "typst")
    return [begin, *caption, tree.raw("][", "typst"), table, tree.raw("]", "typst")]


def _share_width(table: Node) -> bool:
    """Give the columns of long texts what the others leave of a page, and say whether that was needed."""
    _, _, columns, head, bodies, foot = table["c"]
    rows = [*head[1], *(row for _, _, first, rest in bodies for row in (*first, *rest)), *foot[1]]
    texts = [[plain(cell[4]) for cell in cells] for _, cells in rows]
    widths = [max((len(row[i]) + 2 for row in texts if i < len(row)), default=2) for i in range(len(columns))]
    long = {i: width**0.5 for i, width in enumerate(widths) if width > BREAKABLE}
    if sum(widths) <= PAGE_CHARACTERS or not long:
        return False
    left = 1 - sum(width for i, width in enumerate(widths) if i not in long) / PAGE_CHARACTERS
    for i, share in long.items():
        columns[i][1] = {"t": "ColWidth", "c": round(max(left, 0.3) * share / sum(long.values()), 3)}
    return True


def _stacked(node: Node) -> list[Node] | None:
    """Put equations that stand side by side under one another: a column has no room for them."""
    if node["t"] != "Math" or node["c"][0]["t"] != "DisplayMath" or r"\qquad" not in node["c"][1]:
        return None
    lines = r" \\ ".join(node["c"][1].split(r"\qquad"))
    return [{"t": "Math", "c": [node["c"][0], rf"\begin{{gathered}}{lines}\end{{gathered}}"]}]


def _safe(blocks: list[Node], found: Found) -> list[Node]:
    """Return nodes that pandoc writes as valid Typst: calls end, code is in strings, labels are simple."""

    def change(node: Node) -> list[Node] | None:
        kind, content = node["t"], node.get("c")
        if kind == "Str":
            return [tree.string(printable(content))]
        if kind == "Code":
            return [tree.raw_inline(f"#raw({quoted(content[1])});", "typst")]
        if kind == "CodeBlock":
            language = next((c for c in content[0][1] if c != "printed"), None)
            lang = f"lang: {quoted(language)}, " if language else ""
            return [tree.raw(f"#raw(block: true, {lang}{quoted(content[1])})", "typst")]
        if kind == "Image":
            return [tree.raw_inline(_image(node, found), "typst")]
        if kind == "Header":
            level, (name, *_), words = content
            return [{"t": "Header", "c": [level, [label(name) if name else "", [], []], words]}]
        if kind == "Link":
            target = content[2][0]
            place = f"<{label(target[1:])}>" if target.startswith("#") else quoted(target)
            return [tree.raw_inline(f"#link({place})[", "typst"), *content[1], tree.raw_inline("];", "typst")]
        if kind == "Div":
            return _anchor(content[0][0], tree.raw) + content[1]
        if kind == "Span":
            return _anchor(content[0][0], tree.raw_inline) + content[1]
        if kind == "Table":  # pandoc would make it a numbered figure
            return [{"t": "Table", "c": [["", ["typst:no-figure"], []], *content[1:]]}]
        return [node, tree.raw_inline(";", "typst")] if kind in CALLS else None

    return walk(blocks, change)


def _anchor(name: str, raw) -> list[Node]:
    return [raw(f"#metadata(none)<{label(name)}>", "typst")] if name else []


def _image(node: Node, found: Found) -> str:
    """Return a picture at its size, at most as wide as its column and as high as the page."""
    (_, _, pairs), alt, (name, _) = node["c"]
    picture = found.pictures[name]
    sizes = dict(pairs)
    if sizes.get("width", "").endswith("%"):
        points = COLUMN * min(float(sizes["width"][:-1]), 100) / 100
    else:
        pixels = {key: float(value.removesuffix("px")) for key, value in sizes.items() if "%" not in value}
        scaled = pixels.get("height", 0) * picture.width / picture.height
        points = (pixels.get("width") or scaled or picture.width) * POINTS
    if points * picture.height / picture.width > HIGHEST:
        size = f"height: {HIGHEST}pt"
    else:
        size = f"width: {points:.1f}pt" if 0 < points < 0.85 * COLUMN else "width: 100%"
    return f'#box(image("{name}.{picture.suffix}", alt: {quoted(plain(alt))}, {size}));'


def verbatim(block: Block) -> str:
    """Return a block as it was written, with its labels, since links may lead there."""
    names = [block.anchor] if isinstance(block, Shown) else []
    if isinstance(block, Prose):
        names += [a[0] for node in tree.nodes(block.blocks) if (a := tree.attributes(node)) and a[0]]
    text = block.text if isinstance(block, Prose | Table) else block.caption
    anchors = "".join(f"#metadata(none)<{label(name)}>\n" for name in names)
    sentence = f"This cannot be set and is shown as it was written ({block.where}):"
    return f"{anchors}#emph({quoted(sentence)})\n\n#raw(block: true, {quoted(text)})"


@cache
def _drawn() -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(font())).get_charmap())


def printable(text: str) -> str:
    """Return text in which a character that no font has is replaced by its name: 🚀 by [rocket]."""
    if text.isascii():
        return text
    return "".join(c if ord(c) in _drawn() or _invisible(c) else f"[{_name(c)}]" for c in text)


def _invisible(character: str) -> bool:
    return unicodedata.category(character)[0] in "CMZ"


def _name(character: str) -> str:
    return unicodedata.name(character, f"U+{ord(character):04X}").lower()


def quoted(text: str) -> str:
    """Return a text as a string of Typst."""
    text = printable(text)
    inner = "".join(f"\\u{{{ord(c):x}}}" if ord(c) < 32 and c not in "\n\t\r" else c for c in text)
    return f'"{inner.translate(ESCAPES)}"'


def label(name: str) -> str:
    """Return a name as a Typst label; one with characters that labels lack becomes its hash."""
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        return name
    return f"x{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:16]}"


def page_width(path: Path) -> float:
    """Return the width of a PDF's first page in points."""
    box = re.search(rb"/MediaBox\s*\[\s*([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)", path.read_bytes())
    if not box:
        raise ReportError(f"{path} is not a PDF with a page size.")
    return float(box[3]) - float(box[1])
