"""The report in its parts, from which both HTML and PDF are made.

A cell's tag gives it a place of its own: `abstract`, `front` (before the first chapter) or `appendix`. The
tag of a Markdown cell that begins with a heading holds for its whole section. Everything else is the body.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from n2nlib.errors import ReportError
from n2nlib.report import tree
from n2nlib.report.blocks import Absent, Block, Code, Figure, Prose, Shown, Table, of_notebook, parsed, trees
from n2nlib.report.closure import load_notebook
from n2nlib.report.content import Found, Where
from n2nlib.report.links import link_up
from n2nlib.report.numbering import name_shown, number, section_link
from n2nlib.report.plan import Settings, chapters, reads_others
from n2nlib.report.tree import Node, plain

__all__ = ["Block", "Code", "Document", "Figure", "Prose", "Shown", "Table", "pdf_of", "read"]

#: Tag of a cell -> the part of the document where it stands.
PARTS = {"abstract": "abstract", "front": "opening", "appendix": "appendix"}


@dataclass
class Document:
    """The whole report in the order of the page; `found` holds pictures and problems."""

    title: list[Node]
    abstract: list[Block]
    opening: list[Block]
    body: list[Block]
    appendix: list[Block]
    settings: Settings
    found: Found = field(default_factory=Found)

    def blocks(self) -> Iterator[Block]:
        """Yield every block in the order of the page."""
        yield from (*self.abstract, *self.opening, *self.body, *self.appendix)


def read(settings: Settings) -> Document:
    """Return the report of the executed chapters; raises ReportError if one is missing."""
    cells: list[tuple[Block, Mapping]] = []
    found = Found()
    for name in chapters():
        path = settings.file(f"notebooks/{name}.ipynb")
        if not path.exists():
            raise ReportError(f"chapter {name} was not executed: run `{settings.command}`.")
        cells += of_notebook(load_notebook(path), name, found)
    blocks = parsed([block for block, _ in cells], [attachments for _, attachments in cells], found)

    document = Document(tree.words("Report"), [], [], [], [], settings, found)
    for name, mine in groupby(blocks, lambda block: block.where.chapter):
        chapter = without_absent(cut(for_readers(mine)))
        if reads_others(name):
            chapter = _opened(document, chapter)
        named_all = [block for section in sections(chapter, (1, 2)) for block in name_shown(section)]
        for section in sections(named_all, (1,)):
            place(document, section)
    document.abstract.sort(key=lambda block: isinstance(block, Code))  # the text first, then what made it
    parts = [(block.where.chapter, part) for block in document.blocks() for part in trees(block)]
    link_up(parts, [block.anchor for block in document.blocks() if isinstance(block, Shown)], chapters())
    number(document)
    return document


def for_readers(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield blocks without the paragraph on a chapter's duration, inputs and outputs."""
    for block in blocks:
        if isinstance(block, Prose):
            nodes = [_without_contract(node) for node in block.blocks]
            block = replace(block, blocks=[node for node in nodes if node.get("c") != []])
        yield block


def _without_contract(node: Node) -> Node:
    if node["t"] not in ("Para", "Plain"):
        return node
    words = node["c"]
    for i, word in enumerate(words):
        first = i == 0 or words[i - 1]["t"] in ("SoftBreak", "LineBreak")
        if first and word["t"] == "Strong" and re.match(r"(Takes|How long|Reads|Writes)\b", plain(word)):
            return tree.para(*words[: max(0, i - 1)])
    return node


def cut(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield blocks cut so that each heading begins one; an empty block is dropped."""
    for block in blocks:
        if not isinstance(block, Prose):
            yield block
            continue
        parts: list[list[Node]] = [[]]
        for node in block.blocks:
            parts += [[]] if node["t"] == "Header" else []
            parts[-1].append(node)
        yield from (replace(block, blocks=part) for part in parts if part)


def level(block: Block) -> int:
    """Return the level of the heading that a block begins with, or 0."""
    first = block.blocks[0] if isinstance(block, Prose) and block.blocks else None
    return first["c"][0] if first and first["t"] == "Header" else 0


def sections(blocks: Iterable[Block], levels: Collection[int]) -> Iterator[list[Block]]:
    """Yield the blocks from each heading of those levels to the next; first, what is before any."""
    section: list[Block] = []
    for block in blocks:
        if section and level(block) in levels:
            yield section
            section = []
        section.append(block)
    if section:
        yield section


def without_absent(blocks: Iterable[Block]) -> list[Block]:
    """Leave out sections whose runs are not stored, and name them at the end."""
    kept: list[Block] = []
    titles: list[Node] = []
    for section in sections(blocks, range(1, 7)):
        absent = any(isinstance(block, Absent) for block in section)
        if absent and level(section[0]) > 1 and not any(isinstance(block, Shown) for block in section):
            titles += tree.words("; " if titles else " ", {"t": "Emph", "c": section[0].blocks[0]["c"][2]})
        else:
            kept += section
    if titles:
        begins = {"t": "Strong", "c": tree.words("Not run at this size, and left out here:")}
        said = tree.para(begins, *titles, tree.string("."))
        kept.append(Prose(plain(said), [said], Where(kept[0].where.chapter if kept else "", "")))
    return kept


def _opened(document: Document, chapter: list[Block]) -> list[Block]:
    """Take the title out of the last chapter and raise its sections to those of the whole report.

    What is before its first section is for who opens the notebook; only its code stays, with the abstract.
    """
    first, *rest = [*sections(chapter, (2,))]
    if level(first[0]) == 1:
        document.title = first[0].blocks[0]["c"][2]
    if level(first[0]) == 2:
        rest = [first, *rest]
    else:
        document.abstract += [block for block in first if isinstance(block, Code)]
    return [_raised(block) for section in rest for block in section]


def _raised(block: Block, by: int = 1) -> Block:
    if not level(block):
        return block
    (depth, *header), *rest = block.blocks[0]["c"], *block.blocks[1:]
    return replace(block, blocks=[{"t": "Header", "c": [max(1, depth - by), *header]}, *rest])


def place(document: Document, section: list[Block]) -> None:
    """Put a section of level 1 into the parts of the document that its tags name.

    What is tagged `appendix` stands there under a heading of its own."""
    alone: list[Block] = []
    whole: list[Block] = []
    raised = 0
    for part, block, home in _by_tag(section):
        if part == "appendix" and home:
            alone.append(_pointing_back(block, home))
        elif part == "appendix":
            tagged = level(block) and "appendix" in block.where.tags
            raised = max(0, level(block) - 2) if tagged else raised
            whole.append(_raised(block, raised))
        elif part == "abstract" and level(block):
            document.abstract += [replace(block, blocks=block.blocks[1:])] if block.blocks[1:] else []
        else:
            getattr(document, part).append(block)
    where = replace(section[0].where, cell="", tags=())
    if alone or (whole and level(whole[0]) > 1):
        heading = tree.words(f"{plain(_title(section[0]) or where.chapter)}: further results")
        document.appendix.append(Prose("", [{"t": "Header", "c": [1, ["", [], []], heading]}], where))
    document.appendix += [*alone, *whole]
    if titles := [_title(block) for block in whole if 0 < level(block) <= 2]:
        links = [n for title in titles for n in tree.words(", ", section_link(title), f" ({plain(title)})")]
        said = tree.para(*tree.words("Continued in ", *links[2:], "."))
        document.body.append(Prose("", [said], where))


def _by_tag(section: Sequence[Block]) -> Iterator[tuple[str, Block, list[Node]]]:
    """Yield (part, block, home); home is the title of the section a lone block is taken from."""
    part, depth, title = "body", 0, tree.words("Report")
    for block in section:
        here = level(block)
        if here and here <= depth:
            part, depth = "body", 0
        own = next((PARTS[tag] for tag in block.where.tags if tag in PARTS), "")
        if own and here and part != own:
            part, depth = own, here
        title = _title(block) if 0 < here <= 2 else title
        yield own or part, block, title if own and part != own else []


def _title(block: Block) -> list[Node]:
    return block.blocks[0]["c"][2] if level(block) else []


def _pointing_back(block: Block, title: list[Node]) -> Block:
    """Return a figure or table whose caption ends with the section that it is taken from."""
    if not isinstance(block, Shown):
        return block
    return replace(block, words=tree.words(*block.words, " From ", section_link(title), "."))


def pdf_of(document: Document, figure: Figure) -> Path:
    """Return the path of a figure's vector file."""
    return document.settings.file(f"figures/{figure.name}.pdf")
