"""report.pdf: the chapters without their code, set as a paper by Typst; the same chapters give the same bytes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import typst

from ..errors import ReportError
from . import pandoc, tree
from .content import Found
from .document import Block, Code, Document, Figure, Prose, Table, pdf_of
from .provenance import provenance
from .tree import Node, nodes, plain, walk

TEMPLATE = Path(__file__).with_name("template.typ")
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


@dataclass
class Part:
    """A block of the paper and its Typst source."""

    block: Block
    typst: str = ""


def pdf(document: Document) -> bytes:
    """Return the PDF; raises ReportError with Typst's own words if it cannot be set.

    A block that Typst refuses is set as it was written, and said so.
    """
    sections = _sections(document)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copy(TEMPLATE, root)
        for block in document.blocks():
            if isinstance(block, Figure):
                shutil.copy(pdf_of(document, block), root / f"figure{block.number}.pdf")
        for name, picture in document.found.pictures.items():
            (root / f"{name}.{picture.suffix}").write_bytes(picture.printed)
        try:
            return _compiled(root, _source(document, sections))
        except typst.TypstError:
            _repair(root, document, [part for section in sections for part in section])
        try:
            return _compiled(root, _source(document, sections))
        except typst.TypstError as error:
            raise ReportError(
                f"Typst: {error}{_place(error, _source(document, sections), sections)}"
            ) from None


def _compiled(root: Path, text: str) -> bytes:
    """Compile a Typst source; fonts and packages of the reader's have no effect."""
    (root / "main.typ").write_text(text, encoding="utf-8")
    fonts = os.environ.pop("TYPST_FONT_PATHS", None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", typst.TypstWarning)  # such as a character that no font has
            return typst.compile(
                root / "main.typ", root=root, format="pdf", ignore_system_fonts=True, timestamp=0
            )
    finally:
        if fonts is not None:
            os.environ["TYPST_FONT_PATHS"] = fonts


def source(document: Document) -> str:
    """Return the Typst source of the paper."""
    return _source(document, _sections(document))


def _sections(document: Document) -> list[list[Part]]:
    """Return title, abstract, opening and body as written by one process."""
    title = Part(Prose(plain(document.title), [{"t": "Plain", "c": document.title}]))
    sections = [[title], document.abstract, [_unnumbered(block) for block in document.opening], document.body]
    parts = [
        [part if isinstance(part, Part) else Part(part) for part in section if not isinstance(part, Code)]
        for section in sections
    ]
    write([part for section in parts for part in section], document)
    return parts


def _source(document: Document, sections: list[list[Part]]) -> str:
    settings = document.settings
    made = ", ".join(f"({quoted(k)}, {quoted(v)})" for k, v in provenance(settings).items())
    title, abstract, opening, body = (
        "\n\n".join(part.typst.strip("\n") for part in section) for section in sections
    )
    return (
        '#import "template.typ": *\n'
        f"#show: paper.with(title: [{title.strip()}], "
        f"abstract: {f'[{abstract}]' if sections[1] else 'none'},\n"
        f"  subtitle: [Corpus #strong({quoted(settings.corpus)}), "
        f"profile #strong({quoted(settings.profile)})],\n"
        f"  made: ({made},))\n\n"
        f"{opening}\n\n{body}\n"
    )


def write(parts: list[Part], document: Document) -> None:
    """Write the Typst of some parts; one that pandoc cannot write is shown as it was written."""
    texts = pandoc.write([_tree(part.block, document) for part in parts], "typst")
    for part, text in zip(parts, texts, strict=True):
        part.typst = _set(part.block, text, document) if text is not None else _verbatim(part.block)


def _tree(block: Block, document: Document) -> list[Node]:
    """Return the blocks that pandoc writes for a block of the paper."""
    if isinstance(block, Figure):
        return safe([tree.para(*block.words)], document.found)
    if isinstance(block, Table):
        return safe(_captioned(block), document.found)
    return _with_tables(safe(for_paper(block.blocks), document.found))


def _set(block: Block, text: str, document: Document) -> str:
    """Return the Typst of a block from what pandoc wrote for it."""
    # pandoc writes every table as a figure; its place and the widths of its columns are set here
    table = r"#figure\((\s*align\(center\)\[#table\(\s*columns:) (?:\d+|\([^)]*\)),"
    set_here = rf"// placed (.+)\n// columns (.+)\n+{table}"
    text = re.sub(set_here, r"#figure(\1,\3 \2,", text)
    if isinstance(block, Table):
        return f"{text.rstrip()} <{label(f'table-{block.name}')}>"
    if isinstance(block, Figure):
        width = page_width(pdf_of(document, block))
        start = f'#figure({WIDE if width > COLUMN * 1.05 else HERE}, image("figure{block.number}.pdf", width: {min(width, PAGE):.1f}pt), caption: ['
        return f"{start}{text.strip()}]) <{label(f'figure-{block.name}')}>"
    return text


def _captioned(table: Table) -> list[Node]:
    """Return a table with its caption, after what says where it stands and how wide its columns are."""
    return [
        part
        for node in table.blocks
        for part in (_placed(node, table.words) if node["t"] == "Table" else [node])
    ]


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


def _with_tables(blocks: list[Node]) -> list[Node]:
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


def for_paper(blocks: list[Node]) -> list[Node]:
    """Leave out what only who runs a chapter needs (how long it takes, what it reads and writes), and its number."""
    out = []
    for node in blocks:
        if node["t"] in ("Para", "Plain"):
            cut = next((i for i, n in enumerate(node["c"]) if _for_who_runs(node["c"], i)), None)
            node = {"t": node["t"], "c": node["c"] if cut is None else node["c"][: max(0, cut - 1)]}
            if not node["c"]:
                continue
        if node["t"] == "Header" and node["c"][0] == 1:
            level, attributes, words = node["c"]
            number = re.match(r"0\d\b[ ·.:]*", plain(words))
            if plain(words).strip() == "References":
                attributes = [attributes[0], [*attributes[1], "unnumbered"], attributes[2]]
            node = {
                "t": "Header",
                "c": [level, attributes, _without(words, number.end()) if number else words],
            }
        out.append(node)
    return walk(out, lambda n: [_stacked(n)] if n["t"] == "Math" else None)


def _for_who_runs(words: list[Node], i: int) -> bool:
    at_start = i == 0 or words[i - 1]["t"] in ("SoftBreak", "LineBreak")
    return (
        at_start
        and words[i]["t"] == "Strong"
        and bool(re.match(r"(Takes|How long|Reads|Writes)\b", plain(words[i])))
    )


def _without(words: list[Node], n: int) -> list[Node]:
    """Return inlines without their first n characters."""
    for i, node in enumerate(words):
        if n <= 0:
            return words[i:]
        text = plain(node)
        if node["t"] == "Str" and len(text) > n:
            return [{"t": "Str", "c": text[n:]}, *words[i + 1 :]]
        n -= len(text)
    return []


def _stacked(equation: Node) -> Node:
    """Put equations that stand side by side under one another: a column has no room for them."""
    kind, text = equation["c"]
    parts = text.split(r"\qquad")
    if kind["t"] != "DisplayMath" or len(parts) == 1:
        return equation
    return {"t": "Math", "c": [kind, r"\begin{gathered}" + r" \\ ".join(parts) + r"\end{gathered}"]}


def _unnumbered(block: Block) -> Block:
    """Take the number from the headings that stand before the first chapter."""
    if not isinstance(block, Prose):
        return block

    def change(node: Node) -> list[Node] | None:
        if node["t"] != "Header":
            return None
        level, (name, classes, pairs), words = node["c"]
        return [{"t": "Header", "c": [level, [name, [*classes, "unnumbered"], pairs], words]}]

    return replace(block, blocks=walk(block.blocks, change))


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


ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def label(name: str) -> str:
    """Return a name as a Typst label; one with characters that labels lack becomes its hash."""
    return (
        name
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name)
        else f"x{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:16]}"
    )


def _repair(root: Path, document: Document, parts: list[Part]) -> None:
    """Replace what Typst refuses: an equation by its TeX where that suffices, else a cell by its source."""
    names = {name for part in parts for name in _labels(part)}
    for part in parts:
        if not _fits(root, part, names):
            _simplified(root, part, names, document)
    while not _fits(root, Part(parts[0].block, "\n\n".join(part.typst for part in parts)), set()):
        # each is fine by itself: find the first that is not, after those before it
        low, high = 0, len(parts)
        while high - low > 1:
            middle = (low + high) // 2
            together = "\n\n".join(part.typst for part in parts[:middle])
            low, high = (
                (middle, high) if _fits(root, Part(parts[0].block, together), names) else (low, middle)
            )
        if parts[low].typst == (plainer := _verbatim(parts[low].block)):
            return
        parts[low].typst = plainer
        document.found.problem(
            _name(parts[low].block), "Typst refuses it, so that report.pdf shows it as it was written."
        )


def _simplified(root: Path, part: Part, names: set[str], document: Document) -> None:
    block, refused = part.block, []
    if isinstance(block, Prose):

        def change(node: Node) -> list[Node] | None:
            if node["t"] != "Math":
                return None
            alone = Part(Prose("", [tree.para(node)]))
            write([alone], document)
            if _fits(root, alone, set()):
                return None
            refused.append(node["c"][1])
            return [tree.code(node["c"][1])]

        simpler = Part(replace(block, blocks=walk(block.blocks, change)))
        if refused:
            write([simpler], document)
            if _fits(root, simpler, names):
                part.block, part.typst = simpler.block, simpler.typst
                document.found.problem(
                    _name(block),
                    f"report.pdf shows an equation as TeX, because Typst refuses it: {refused[0]}",
                )
                return
    part.typst = _verbatim(block)
    document.found.problem(_name(block), "Typst refuses it, so that report.pdf shows it as it was written.")


def _fits(root: Path, part: Part, names: set[str]) -> bool:
    """Say whether Typst sets a part by itself; `names` are labels that stand in other parts."""
    elsewhere = "\n".join(f"#metadata(none)<{name}>" for name in sorted(names - _labels(part)))
    try:
        _compiled(
            root, f'#import "template.typ": *\n#show: paper.with(title: [x])\n\n{part.typst}\n\n{elsewhere}\n'
        )
    except typst.TypstError:
        return False
    return True


def _labels(part: Part) -> set[str]:
    return set(re.findall(r"<([A-Za-z][A-Za-z0-9_-]*)>(?!\))", part.typst))


def _verbatim(block: Block) -> str:
    """Return the source of a block after a sentence; its labels stay, since links may lead there."""
    names = (
        [label(a[0]) for node in nodes(block.blocks) if (a := tree.attributes(node)) and a[0]]
        if isinstance(block, Prose)
        else []
    )
    names += (
        [label(f"{type(block).__name__.lower()}-{block.name}")] if isinstance(block, Table | Figure) else []
    )
    text = block.text if isinstance(block, Prose | Table) else block.caption
    anchors = "".join(f"#metadata(none)<{name}>\n" for name in names)
    sentence = f"This cannot be set and is shown as it was written ({_name(block)}):"
    return f"{anchors}#emph({quoted(sentence)})\n\n#raw(block: true, {quoted(text)})"


def _name(block: Block) -> str:
    return str(block.where) if block.where.chapter else "the title"


def _place(error: typst.TypstError, text: str, sections: list[list[Part]]) -> str:
    """Return where in the chapters an error stands, if Typst says on which line of the source."""
    found = re.search(r"main\.typ:(\d+):", error.diagnostic or "")
    if not found:
        return ""
    line, begins = int(found[1]), 0
    for part in (part for section in sections for part in section):
        begins = text.find(part.typst, begins)
        first = text.count("\n", 0, begins) + 1
        if begins >= 0 and first <= line <= first + part.typst.count("\n"):
            return f" ({_name(part.block)})"
    return ""


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


def page_width(path: Path) -> float:
    """Return the width of a PDF's first page in points."""
    box = re.search(rb"/MediaBox\s*\[\s*([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)", path.read_bytes())
    if not box:
        raise ReportError(f"{path} is not a PDF with a page size.")
    return float(box[3]) - float(box[1])
