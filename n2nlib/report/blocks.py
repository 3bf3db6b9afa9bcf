"""What an executed chapter shows, cell by cell, as blocks: prose, code, tables and figures.

What `Study` displays is known by its metadata. Other outputs are shown after their cell, without a number.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from n2nlib.report import outputs, pandoc, tree
from n2nlib.report.content import Found, Where, clean
from n2nlib.report.pandoc import DIALECT, fenced, one_line
from n2nlib.report.tree import Node, plain

NOWHERE = Where("", "")
#: What `Study` displays for JupyterLab alone: a figure's caption is in its metadata, too.
LEFT_OUT = ("caption", "provenance")


@dataclass(frozen=True)
class Prose:
    """A Markdown cell or a displayed `output` as pandoc's blocks; `text` is the source."""

    text: str
    blocks: list[Node] = field(default_factory=list)
    where: Where = NOWHERE
    output: outputs.Shown | None = None


@dataclass(frozen=True)
class Absent(Prose):
    """Said in place of what no stored run can show."""


@dataclass(frozen=True)
class Code:
    """A code cell, with what it printed."""

    source: str
    printed: str
    where: Where = NOWHERE


@dataclass(frozen=True)
class Shown:
    """A numbered figure or table of `Study`; `words` is its caption."""

    name: str
    caption: str
    where: Where = NOWHERE
    number: int = 0
    words: list[Node] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """`Figure` or `Table`."""
        return type(self).__name__

    @property
    def anchor(self) -> str:
        """Where links to it lead."""
        return f"{self.kind.lower()}-{self.name}"


@dataclass(frozen=True)
class Table(Shown):
    """A pipe table (`text`), and the same as pandoc's blocks."""

    text: str = ""
    blocks: list[Node] = field(default_factory=list)


@dataclass(frozen=True)
class Figure(Shown):
    """A picture as PNG, and in words (`alt`); its PDF is in the figures' folder."""

    png: bytes = b""
    alt: str = ""


Block = Prose | Code | Table | Figure


def parsed(blocks: Sequence[Block], attachments: Sequence[Mapping], found: Found) -> list[Block]:
    """Return blocks with their Markdown and captions read, by one process, and cleaned."""
    texts = [_texts(block) for block in blocks]
    results = iter(pandoc.read([text for mine in texts for text in mine]))
    out = []
    for block, mine, pictures in zip(blocks, texts, attachments, strict=True):
        read = [_tree(text, next(results), block.where, found, pictures) for _, text in mine]
        if isinstance(block, Prose) and read:
            nodes = outputs.read(block.output, *read, block.where, found) if block.output else read[0]
            block = replace(block, blocks=nodes)
        elif isinstance(block, Table):
            block = replace(block, blocks=read[0], words=_inlines(read[1]))
        elif isinstance(block, Figure):
            block = replace(block, words=_inlines(read[0]))
        out.append(block)
    return out


def _texts(block: Block) -> list[tuple[str, str]]:
    """Return what pandoc reads for a block: (format, text)."""
    if isinstance(block, Code) or (isinstance(block, Prose) and block.blocks):
        return []
    if isinstance(block, Prose):
        form = block.output.form if block.output else DIALECT
        return [(form, fenced(block.text) if form == DIALECT else block.text)]
    caption = (DIALECT, one_line(block.caption))
    return [(DIALECT, block.text), caption] if isinstance(block, Table) else [caption]


def _tree(text: str, result: list[Node] | None, where: Where, found: Found, pictures: Mapping) -> list[Node]:
    if result is not None:
        return clean(result, where, found, pictures)
    found.problem(where, "pandoc cannot read it, so that it is shown as it is written.")
    return [
        tree.para(*tree.words("This cell cannot be read and is shown as it is written:")),
        tree.code_block(text),
    ]


def _inlines(blocks: list[Node]) -> list[Node]:
    """Return a caption's blocks as one run of inlines."""
    out: list[Node] = []
    for block in blocks:
        inner = block["c"] if block["t"] in ("Para", "Plain") else tree.words(plain(block))
        out += tree.words(" " if out else "", *inner)
    return out


def of_notebook(notebook: dict, chapter: str, found: Found) -> Iterator[tuple[Block, Mapping]]:
    """Yield (block, attachments of its cell) for a notebook; Markdown is still to be read."""
    for number, cell in enumerate(notebook["cells"], 1):
        where = Where(chapter, cell.get("id", str(number)), tuple(cell["metadata"].get("tags", ())))
        source = "".join(cell["source"]).strip("\n").rstrip()
        if cell["cell_type"] == "markdown":
            yield Prose(source, where=where), cell.get("attachments", {})
        elif cell["cell_type"] == "code":
            yield from ((block, {}) for block in _outputs(cell["outputs"], source, where, found))


def _outputs(cell_outputs: list[dict], source: str, where: Where, found: Found) -> list[Block]:
    """Return what a code cell showed through `Study`, the code, and what it displayed on its own."""
    printed, study, own = "", [], []
    for output in cell_outputs:
        mark = output.get("metadata", {}).get("n2n")
        if not mark:
            plainly = outputs.shown(output, where, found)
            printed += plainly.printed
            if plainly.blocks or plainly.form:
                own.append(Prose(plainly.text, list(plainly.blocks), where, plainly))
        elif mark["kind"] not in LEFT_OUT:
            study.append(_shown(output["data"], mark, where))
    return [*study, *([Code(source, printed.strip(), where)] if source else []), *own]


def _shown(data: dict, mark: dict, where: Where) -> Block:
    if mark["kind"] == "figure":
        png = base64.b64decode(outputs.text(data["image/png"]))
        return Figure(mark["name"], mark["caption"], where, png=png, alt=mark.get("alt", ""))
    text = outputs.text(data["text/markdown"])
    if mark["kind"] == "table":
        return Table(mark["name"], mark["caption"], where, text=text)
    return (Absent if mark["kind"] == "absent" else Prose)(text, where=where)


def trees(block: Block) -> list[list[Node]]:
    """Return the lists of nodes of a block: its content, its caption."""
    return [getattr(block, name) for name in ("blocks", "words") if hasattr(block, name)]
