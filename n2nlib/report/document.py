"""The report as a sequence of blocks, read from the executed chapters; what HTML and PDF are both made from.

What `Study` displays is known by its metadata. Other outputs are shown after their cell, without a number.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from n2nlib.errors import ReportError
from n2nlib.report import outputs, pandoc, tree
from n2nlib.report.closure import load_notebook
from n2nlib.report.content import Found, Where, clean, link_up
from n2nlib.report.markdown import DIALECT, fenced, one_line
from n2nlib.report.plan import Settings, chapters, reads_others
from n2nlib.report.tree import Node, plain

NOWHERE = Where("", "")
#: Sections of the last chapter that open the report; the abstract is set apart, the others follow it.
ABSTRACT = "abstract"
FRONT = ("headline", "in short", "how it was measured")
#: What `Study` displays and this shows in its own way: a figure's caption is in its metadata.
LEFT_OUT = ("caption", "provenance")


@dataclass(frozen=True)
class Prose:
    """A Markdown cell, or what a cell displayed (`output`), as pandoc's blocks; `text` is the source."""

    text: str
    blocks: list[Node] = field(default_factory=list)
    where: Where = NOWHERE
    output: outputs.Shown | None = None


@dataclass(frozen=True)
class Code:
    """A code cell, with what it printed."""

    source: str
    printed: str


@dataclass(frozen=True)
class Table:
    """A pipe table; `number` counts tables through the report. `blocks` is the table, `words` its caption."""

    name: str
    caption: str
    text: str
    chapter: str
    number: int = 0
    blocks: list[Node] = field(default_factory=list)
    words: list[Node] = field(default_factory=list)
    where: Where = NOWHERE


@dataclass(frozen=True)
class Figure:
    """A picture, as PNG bytes for the screen; its PDF lies in the figures' folder. `words` is its caption."""

    name: str
    caption: str
    png: bytes
    chapter: str
    number: int = 0
    words: list[Node] = field(default_factory=list)
    where: Where = NOWHERE


@dataclass(frozen=True)
class Absent(Prose):
    """Said in place of what no stored run can show."""


Block = Prose | Code | Table | Figure


@dataclass
class Document:
    """The whole report: title, abstract, opening, chapters; `found` holds pictures and problems."""

    title: list[Node]
    abstract: list[Block]
    opening: list[Block]
    body: list[Block]
    settings: Settings
    found: Found = field(default_factory=Found)

    def blocks(self) -> Iterator[Block]:
        """Yield every block in the order of the page."""
        yield from (*self.abstract, *self.opening, *self.body)


def read(settings: Settings) -> Document:
    """Return the report of the executed chapters; raises ReportError if one of them was not executed."""
    found = Found()
    names = chapters()
    cells: list[tuple[str, Block, Mapping]] = []
    for name in names:
        path = settings.file(f"notebooks/{name}.ipynb")
        if not path.exists():
            raise ReportError(f"chapter {name} was not executed: run `{settings.command}`.")
        cells += [
            (name, block, attachments) for block, attachments in _blocks(load_notebook(path), name, found)
        ]
    blocks = parsed([block for _, block, _ in cells], [attachments for *_, attachments in cells], found)

    body: list[Block] = []
    abstract: list[Block] = []
    opening: list[Block] = []
    title = tree.words("Report")
    for name in names:
        mine = _without_empty(
            [block for (chapter, *_), block in zip(cells, blocks, strict=True) if chapter == name]
        )
        if not reads_others(name):
            body += mine
            continue
        title, mine = _title(mine, title)
        for heading, section in _sections([_promoted(block) for block in mine]):
            kind = heading.lower()
            if kind == ABSTRACT:
                abstract += [_unheaded(section[0]), *section[1:]]
            elif not kind:  # its contract is for who opens the notebook; its code stays
                abstract += [block for block in section if isinstance(block, Code)]
            else:
                place = opening if kind.startswith(FRONT) else body
                place += section
    abstract, opening, body = (
        [b for b in part if not isinstance(b, Prose) or b.blocks] for part in (abstract, opening, body)
    )
    abstract.sort(key=lambda block: isinstance(block, Code))  # the text first, then what made it
    document = _numbered(Document(title, abstract, opening, body, settings, found))
    taken = [
        f"{kind.__name__.lower()}-{block.name}"
        for block in document.blocks()
        for kind in (Figure, Table)
        if isinstance(block, kind)
    ]
    parts = [
        (block.where.chapter, part)
        for block in document.blocks()
        if not isinstance(block, Code)
        for part in trees(block)
    ]
    link_up(parts, taken, names)
    return document


def parsed(blocks: Sequence[Block], attachments: Sequence[Mapping], found: Found) -> list[Block]:
    """Return blocks whose Markdown, and whose caption's, has been read by one process and cleaned."""
    texts: list[tuple[str, str]] = []
    for block in blocks:
        if isinstance(block, Prose):
            form = block.output.form if block.output else DIALECT
            texts += [] if block.blocks else [(form, fenced(block.text) if form == DIALECT else block.text)]
        elif isinstance(block, Table):
            texts += [(DIALECT, block.text), (DIALECT, one_line(block.caption))]
        elif isinstance(block, Figure):
            texts += [(DIALECT, one_line(block.caption))]
    results = iter([(text, result) for (_, text), result in zip(texts, pandoc.read(texts), strict=True)])

    def tree_of(block: Prose | Table | Figure, pictures: Mapping) -> list[Node]:
        text, result = next(results)
        if result is None:
            found.problem(block.where, "pandoc cannot read it, so that it is shown as it is written.")
            return [
                tree.para(*tree.words("This cell cannot be read and is shown as it is written:")),
                tree.code_block(text),
            ]
        return clean(result, block.where, found, pictures)

    out = []
    for block, pictures in zip(blocks, attachments, strict=True):
        if isinstance(block, Prose) and not block.blocks:
            block = replace(block, blocks=tree_of(block, pictures))
            if block.output:
                block = replace(block, blocks=outputs.read(block.output, block.blocks, block.where, found))
        elif isinstance(block, Table):
            block = replace(block, blocks=tree_of(block, pictures), words=_inlines(tree_of(block, pictures)))
        elif isinstance(block, Figure):
            block = replace(block, words=_inlines(tree_of(block, pictures)))
        out.append(block)
    return out


def trees(block: Block) -> list[list[Node]]:
    """Return the lists of nodes of a block: its content, its caption."""
    return (
        []
        if isinstance(block, Code)
        else [getattr(block, name) for name in ("blocks", "words") if hasattr(block, name)]
    )


def _inlines(blocks: list[Node]) -> list[Node]:
    """Return a caption's blocks as one run of inlines."""
    out: list[Node] = []
    for block in blocks:
        inner = (
            block["c"]
            if block["t"] in ("Para", "Plain")
            else block["c"][2]
            if block["t"] == "Header"
            else tree.words(plain(block))
        )
        out += [{"t": "Space"}] * bool(out) + inner
    return out


def _without_empty(blocks: list[Block]) -> list[Block]:
    """Leave out each section that has neither table nor figure and says that its runs are not there; name them at the end."""
    out: list[Block] = []
    left_out: list[list[Node]] = []
    for heading, section in _sections(blocks, deepest=6, shallowest=2):
        empty = any(isinstance(block, Absent) for block in section) and not any(
            isinstance(block, Table | Figure) for block in section
        )
        if heading and empty:
            left_out.append(_header(section[0])["c"][2])
        else:
            out += [
                Prose(block.text, block.blocks, block.where) if isinstance(block, Absent) else block
                for block in section
            ]
    if not left_out:
        return out
    names = [
        node
        for i, name in enumerate(left_out)
        for node in ([] if i == 0 else tree.words(";") + [{"t": "Space"}]) + [{"t": "Emph", "c": name}]
    ]
    said = [
        {"t": "Strong", "c": tree.words("Not run at this size, and left out here:")},
        {"t": "Space"},
        *names,
        {"t": "Str", "c": "."},
    ]
    return [
        *out,
        Prose(
            plain(said),
            [tree.para(*said)],
            Where(blocks[0].where.chapter if hasattr(blocks[0], "where") else "", ""),
        ),
    ]


def _blocks(notebook: dict, chapter: str, found: Found) -> Iterator[tuple[Block, Mapping]]:
    """Yield each block of a notebook, its Markdown still to be read, with the attachments of its cell."""
    for number, cell in enumerate(notebook["cells"], 1):
        where = Where(chapter, cell.get("id", str(number)))
        source = "".join(cell["source"]).strip("\n").rstrip()
        if cell["cell_type"] == "markdown":
            yield Prose(source, where=where), cell.get("attachments", {})
        elif cell["cell_type"] == "code":
            printed: list[str] = []
            shown: list[Block] = []
            own: list[Block] = []
            for output in cell["outputs"]:
                mark = output.get("metadata", {}).get("n2n")
                if mark and mark["kind"] == "caption":
                    continue  # for JupyterLab: the figure or table before it carries the same words
                if not mark:
                    plainly = outputs.shown(output, where, found)
                    printed.append(plainly.printed)
                    own += (
                        [Prose(plainly.text, list(plainly.blocks), where, plainly)]
                        if plainly.blocks or plainly.form
                        else []
                    )
                elif mark["kind"] not in LEFT_OUT:
                    shown.append(_shown(output, mark, where))
            yield from ((block, {}) for block in shown)
            if source:
                yield Code(source, "".join(printed).strip()), {}
            yield from ((block, {}) for block in own)


def _shown(output: dict, mark: dict, where: Where) -> Block:
    data = output["data"]
    if mark["kind"] == "figure":
        return Figure(
            mark["name"],
            mark["caption"],
            base64.b64decode(outputs.text(data["image/png"])),
            where.chapter,
            where=where,
        )
    if mark["kind"] == "table":
        return Table(
            mark["name"], mark["caption"], outputs.text(data["text/markdown"]), where.chapter, where=where
        )
    return (Absent if mark["kind"] == "absent" else Prose)(outputs.text(data["text/markdown"]), where=where)


def _title(blocks: list[Block], default: list[Node]) -> tuple[list[Node], list[Block]]:
    """Take the title out of the first heading of the last chapter."""
    for i, block in enumerate(blocks):
        header = _header(block)
        if header and header["c"][0] == 1:
            return header["c"][2], [*blocks[:i], _unheaded(block), *blocks[i + 1 :]]
    return default, blocks


def _header(block: Block) -> Node | None:
    """Return the heading that a block begins with."""
    return (
        block.blocks[0]
        if isinstance(block, Prose) and block.blocks and block.blocks[0]["t"] == "Header"
        else None
    )


def _unheaded(block: Prose) -> Prose:
    return replace(block, blocks=block.blocks[1:])


def _promoted(block: Block) -> Block:
    """Raise the headings of the last chapter by one level: its sections are sections of the whole report."""
    if not isinstance(block, Prose):
        return block
    return replace(
        block,
        blocks=[
            {"t": "Header", "c": [max(1, n["c"][0] - 1), *n["c"][1:]]} if n["t"] == "Header" else n
            for n in block.blocks
        ],
    )


def _sections(
    blocks: Sequence[Block], deepest: int = 1, shallowest: int = 1
) -> Iterator[tuple[str, list[Block]]]:
    """Yield (heading, blocks) for each section that begins with a heading of those levels.

    What comes before the first has the heading ''.
    """
    heading, section = "", []
    for block in blocks:
        if not isinstance(block, Prose):
            section.append(block)
            continue
        part: list[Node] = []
        for node in block.blocks:
            if node["t"] == "Header" and shallowest <= node["c"][0] <= deepest:
                section += [replace(block, blocks=part)] if part else []
                if section:
                    yield heading, section
                heading, section, part = plain(node["c"][2]).strip(), [], []
            part.append(node)
        section += [replace(block, blocks=part)] if part else []
    if section:
        yield heading, section


def _numbered(document: Document) -> Document:
    counts = {Table: 0, Figure: 0}

    def number(blocks: list[Block]) -> list[Block]:
        out = []
        for block in blocks:
            if type(block) in counts:
                counts[type(block)] += 1
                block = replace(block, number=counts[type(block)])
            out.append(block)
        return out

    document.abstract, document.opening, document.body = map(
        number, (document.abstract, document.opening, document.body)
    )
    return document


def pdf_of(document: Document, figure: Figure) -> Path:
    """Return the path of a figure's vector file."""
    return document.settings.file(f"figures/{figure.name}.pdf")
