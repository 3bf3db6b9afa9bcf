"""Pandoc's tree made ready for report.pdf: what the paper leaves out, where tables stand, and valid Typst."""

from __future__ import annotations

import hashlib
import re

from n2nlib.report import tree
from n2nlib.report.content import Found
from n2nlib.report.document import Table
from n2nlib.report.tree import Node, plain, walk

#: Points: the width of a column and of the page's text, as template.typ sets them, and the height of a
#: picture that fits a page.
COLUMN, PAGE, HIGHEST = 241, 497, 640
#: A table of up to so many characters a line fits a column.
COLUMN_CHARACTERS = 50
#: Lines of a table that fit one page.
LONGEST = 52

#: Characters that a table across the page holds side by side, and those from which a cell may be broken to fit.
PAGE_CHARACTERS, BREAKABLE = 115, 25
#: Points of a CSS pixel.
POINTS = 0.75

#: Where a figure or table stands: at the top or foot of the page, across it, or right here in its column. (What floats
#: within a column may be set over what floats across the page.)
WIDE, HERE = 'placement: auto, scope: "parent"', "placement: none"

#: Elements that pandoc writes as `#strong[...]` and the like: Typst reads a full stop after one as field access.
CALLS = (
    "Strong",
    "Emph",
    "Underline",
    "Strikeout",
    "Superscript",
    "Subscript",
    "SmallCaps",
    "Link",
    "Note",
    "Span",
)
ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def stacked(node: Node) -> list[Node] | None:
    """Put equations that stand side by side under one another: a column has no room for them."""
    if node["t"] != "Math" or node["c"][0]["t"] != "DisplayMath" or r"\qquad" not in node["c"][1]:
        return None
    lines = r" \\ ".join(node["c"][1].split(r"\qquad"))
    return [{"t": "Math", "c": [node["c"][0], rf"\begin{{gathered}}{lines}\end{{gathered}}"]}]


def captioned(table: Table) -> list[Node]:
    """Return a table with its caption, after what says where it stands and how wide its columns are."""
    return [
        part
        for node in table.blocks
        for part in (_placed(node, table.words) if node["t"] == "Table" else [node])
    ]


def with_tables(blocks: list[Node]) -> list[Node]:
    """Return blocks whose tables are unnumbered; one that needs the width of the page gets it."""
    out = []
    for node in blocks:
        if node["t"] == "Table" and sum(_characters(node)) > COLUMN_CHARACTERS:
            out += _placed(node, None)
        else:
            out += walk(
                [node],
                lambda n: (
                    [{"t": "Table", "c": [["", ["typst:no-figure"], []], *n["c"][1:]]}]
                    if n["t"] == "Table"
                    else None
                ),
            )
    return out


def _placed(table: Node, caption: list[Node] | None) -> list[Node]:
    widths = _characters(table)
    # Longer than a page: it breaks, and only what stands in a column can.
    wide = sum(widths) > COLUMN_CHARACTERS and _lines(table) <= LONGEST
    place = (WIDE if wide else HERE) + ("" if caption else ", numbering: none")
    words = [None, [{"t": "Plain", "c": caption}] if caption else []]
    if not caption and max(widths) <= BREAKABLE:
        opening, closing = tree.raw("#[#show table: fit", "typst"), tree.raw("]", "typst")
        return [opening, tree.raw(f"// placed {place}\n// columns {len(widths)}", "typst"), table, closing]
    return [
        tree.raw(f"// placed {place}\n// columns {_columns(widths, wide)}", "typst"),
        {"t": "Table", "c": [table["c"][0], words, *table["c"][2:]]},
    ]


def _rows(table: Node) -> list[list[str]]:
    _, _, _, head, bodies, foot = table["c"]
    rows = [*head[1], *(row for _, _, first, rest in bodies for row in (*first, *rest)), *foot[1]]
    return [[plain(cell[4]) for cell in cells] for _, cells in rows]


def _lines(table: Node) -> int:
    return len(_rows(table)) + 1


def _characters(table: Node) -> list[int]:
    """Return about how many characters wide each column of a table is when set."""
    rows = _rows(table)
    return [
        max((len(row[i]) for row in rows if i < len(row)), default=0) + 2 for i in range(len(table["c"][2]))
    ]


def _columns(widths: list[int], wide: bool = True) -> str:
    """Return Typst's widths of columns: their own, or, without room for them, long texts share the rest."""
    if sum(widths) <= (PAGE_CHARACTERS if wide else COLUMN_CHARACTERS):
        return str(len(widths))
    return f"({', '.join(f'{width**0.5:.1f}fr' if width > BREAKABLE else 'auto' for width in widths)})"


def safe(blocks: list[Node], found: Found) -> list[Node]:
    """Return blocks that pandoc writes as valid Typst: calls end, code is in strings, labels are simple."""

    def change(node: Node) -> list[Node] | None:
        kind, content = node["t"], node.get("c")
        if kind == "Code":
            return [tree.raw_inline(f"#raw({quoted(content[1])});", "typst")]
        if kind == "CodeBlock":
            language = next((c for c in content[0][1] if c != "printed"), None)
            lang = f"lang: {quoted(language)}, " if language else ""
            return [tree.raw(f"#raw(block: true, {lang}{quoted(content[1])})", "typst")]
        if kind == "Image":
            return [tree.raw_inline(_image(node, found), "typst")]
        if kind == "Header":
            level, (name, classes, _), words = content
            return [{"t": "Header", "c": [level, [label(name) if name else "", classes, []], words]}]
        if kind == "Link":
            target = content[2][0]
            place = f"<{label(target[1:])}>" if target.startswith("#") else quoted(target)
            return [tree.raw_inline(f"#link({place})[", "typst"), *content[1], tree.raw_inline("];", "typst")]
        if kind == "Div":
            return _anchor(content[0][0], block=True) + content[1]
        if kind == "Span":
            return _anchor(content[0][0], block=False) + content[1]
        return [node, tree.raw_inline(";", "typst")] if kind in CALLS else None

    return walk(blocks, change)


def _anchor(name: str, block: bool) -> list[Node]:
    return (
        [(tree.raw if block else tree.raw_inline)(f"#metadata(none)<{label(name)}>", "typst")] if name else []
    )


def _image(node: Node, found: Found) -> str:
    """Return a picture at its size, at most as wide as its column and as high as the page."""
    attributes, alt, (name, _) = node["c"]
    picture = found.pictures[name]
    asked = {key: float(re.sub(r"px$", "", value)) for key, value in attributes[2] if not value.endswith("%")}
    width = asked.get("width") or (
        asked["height"] * picture.width / picture.height if asked.get("height") else picture.width
    )
    share = next(
        (
            min(float(value[:-1]), 100)
            for key, value in attributes[2]
            if key == "width" and value.endswith("%")
        ),
        None,
    )
    points = width * POINTS if share is None else COLUMN * share / 100
    if points * picture.height / picture.width > HIGHEST:
        size = f"height: {HIGHEST}pt"
    else:
        size = f"width: {points:.1f}pt" if 0 < points < 0.85 * COLUMN else "width: 100%"
    return f'#box(image("{name}.{picture.suffix}", alt: {quoted(plain(alt))}, {size}));'


def quoted(text: str) -> str:
    """Return a text as a string of Typst."""
    inner = "".join(f"\\u{{{ord(c):x}}}" if ord(c) < 32 and c not in "\n\t\r" else c for c in text)
    return f'"{inner.translate(ESCAPES)}"'


def label(name: str) -> str:
    """Return a name as a Typst label; one with characters that labels lack becomes its hash."""
    return (
        name
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name)
        else f"x{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:16]}"
    )
