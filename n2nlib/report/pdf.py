"""report.pdf: the chapters without their code, set as a paper by Typst; the same chapters give the same bytes."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import typst

from n2nlib.errors import ReportError
from n2nlib.report import pandoc, tree
from n2nlib.report.document import Block, Code, Document, Figure, Prose, Shown, Table, pdf_of
from n2nlib.report.provenance import provenance
from n2nlib.report.tree import Node, nodes, plain, walk
from n2nlib.report.typeset import (
    COLUMN,
    HERE,
    PAGE,
    WIDE,
    captioned,
    label,
    quoted,
    safe,
    stacked,
    with_tables,
)

TEMPLATE = Path(__file__).with_name("template.typ")


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
    """Return title, abstract, opening, body and appendix as written by one process."""
    title = Part(Prose(plain(document.title), [{"t": "Plain", "c": document.title}]))
    sections = [[title], document.abstract, document.opening, document.body, document.appendix]
    parts = [
        [part if isinstance(part, Part) else Part(part) for part in section if not isinstance(part, Code)]
        for section in sections
    ]
    write([part for section in parts for part in section], document)
    return parts


def _source(document: Document, sections: list[list[Part]]) -> str:
    settings = document.settings
    made = ", ".join(f"({quoted(k)}, {quoted(v)})" for k, v in provenance(settings).items())
    title, abstract, opening, body, appendix = (
        "\n\n".join(part.typst.strip("\n") for part in section) for section in sections
    )
    return (
        '#import "template.typ": *\n'
        f"#show: paper.with(title: [{title.strip()}], "
        f"abstract: {f'[{abstract}]' if sections[1] else 'none'},\n"
        f"  subtitle: [Dataset #strong({quoted(settings.dataset)}), "
        f"profile #strong({quoted(settings.profile)})],\n"
        f"  made: ({made},))\n\n"
        f"{opening}\n\n{body}\n\n{appendix}\n"
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
        return safe(captioned(block), document.found)
    return with_tables(safe(walk(block.blocks, stacked), document.found))


def _set(block: Block, text: str, document: Document) -> str:
    """Return the Typst of a block from what pandoc wrote for it."""
    # pandoc writes every table as a figure; its place and the widths of its columns are set here
    table = r"#figure\((\s*align\(center\)\[#table\(\s*columns:) (?:\d+|\([^)]*\)),"
    set_here = rf"// placed (.+)\n// columns (.+)\n+{table}"
    text = re.sub(set_here, r"#figure(\1,\3 \2,", text)
    if isinstance(block, Table):
        return f"{text.rstrip()} <{label(block.anchor)}>"
    if isinstance(block, Figure):
        width = page_width(pdf_of(document, block))
        start = f'#figure({WIDE if width > COLUMN * 1.05 else HERE}, image("figure{block.number}.pdf", width: {min(width, PAGE):.1f}pt), caption: ['
        return f"{start}{text.strip()}]) <{label(block.anchor)}>"
    return text


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
    names += [label(block.anchor)] if isinstance(block, Shown) else []
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


def page_width(path: Path) -> float:
    """Return the width of a PDF's first page in points."""
    box = re.search(rb"/MediaBox\s*\[\s*([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)", path.read_bytes())
    if not box:
        raise ReportError(f"{path} is not a PDF with a page size.")
    return float(box[3]) - float(box[1])
