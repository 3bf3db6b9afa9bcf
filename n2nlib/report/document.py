"""The report as a sequence of blocks, read from the executed chapters; what HTML and PDF are both made from.

What is shown is told by the metadata that `Study` puts on what it displays; nothing is guessed from the look of an output.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import ReportError
from .closure import load_notebook
from .plan import Settings, chapters, reads_others

#: Sections of the last chapter that open the report; the abstract is set apart, the others follow it.
ABSTRACT = "abstract"
FRONT = ("headline", "in short", "how it was measured")
#: What `Study` displays and this shows in its own way: a figure's caption is in its metadata.
LEFT_OUT = ("caption", "provenance")


@dataclass(frozen=True)
class Prose:
    """Markdown; headings and equations inside."""

    text: str


@dataclass(frozen=True)
class Code:
    """A code cell, with what it printed."""

    source: str
    printed: str


@dataclass(frozen=True)
class Table:
    """A pipe table; `number` counts tables through the report."""

    name: str
    caption: str
    text: str
    chapter: str
    number: int = 0


@dataclass(frozen=True)
class Figure:
    """A picture, as PNG bytes for the screen; its PDF lies in the figures' folder."""

    name: str
    caption: str
    png: bytes
    chapter: str
    number: int = 0


@dataclass(frozen=True)
class Absent:
    """Said in place of what no stored run can show."""

    text: str


Block = Prose | Code | Table | Figure


@dataclass
class Document:
    """The whole report: title, abstract, opening, then the chapters."""

    title: str
    abstract: list[Block]
    opening: list[Block]
    body: list[Block]
    settings: Settings

    def blocks(self) -> Iterator[Block]:
        """Yield every block in the order of the page."""
        yield from (*self.abstract, *self.opening, *self.body)


def read(settings: Settings) -> Document:
    """Return the report of the executed chapters; raises ReportError if one of them was not executed."""
    body: list[Block] = []
    abstract: list[Block] = []
    opening: list[Block] = []
    title = "Report"
    for name in chapters():
        path = settings.file(f"notebooks/{name}.ipynb")
        if not path.exists():
            raise ReportError(f"chapter {name} was not executed: run `{settings.command}`.")
        blocks = _without_empty(list(_blocks(load_notebook(path), name)))
        if reads_others(name):
            title, blocks = _title(blocks, title)
            blocks = [_promoted(block) for block in blocks]
            for heading, section in _sections(blocks):
                kind = heading.lower()
                if kind == ABSTRACT:
                    abstract += section[1:]
                elif not kind:  # its contract is for who opens the notebook; its code stays
                    abstract += [block for block in section if isinstance(block, Code)]
                else:
                    place = opening if kind.startswith(FRONT) else body
                    place += section
        else:
            body += blocks
    abstract.sort(key=lambda block: isinstance(block, Code))  # the text first, then what made it
    document = Document(title, abstract, opening, body, settings)
    return _numbered(document)


def _without_empty(blocks: list[Block | Absent]) -> list[Block]:
    """Leave out each section that has neither table nor figure and says that its runs are not there; name them at the end."""
    out, left_out = [], []
    for heading, section in _sections(blocks, r"#{2,} "):
        empty = any(isinstance(block, Absent) for block in section) and not any(isinstance(block, Table | Figure) for block in section)
        if heading and empty:
            left_out.append(heading)
        else:
            out += [Prose(block.text) if isinstance(block, Absent) else block for block in section]
    return [*out, Prose(f"**Not run at this size, and left out here:** {'; '.join(f'*{heading}*' for heading in left_out)}.")] if left_out else out


def _blocks(notebook: dict, chapter: str) -> Iterator[Block | Absent]:
    for cell in notebook["cells"]:
        source = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            yield Prose(source)
        elif cell["cell_type"] == "code":
            printed, shown = [], []
            for output in cell["outputs"]:
                mark = output.get("metadata", {}).get("n2n")
                if mark and mark["kind"] == "caption":
                    continue  # for JupyterLab: the figure or table before it carries the same words
                if not mark:
                    printed.append(_plain(output))
                elif mark["kind"] not in LEFT_OUT:
                    shown.append(_shown(output, mark, chapter))
            yield from shown
            if source:
                yield Code(source, "".join(printed).strip())


def _shown(output: dict, mark: dict, chapter: str) -> Block | Absent:
    data = output["data"]
    if mark["kind"] == "figure":
        return Figure(mark["name"], mark["caption"], base64.b64decode(_text(data["image/png"])), chapter)
    if mark["kind"] == "table":
        return Table(mark["name"], mark["caption"], _text(data["text/markdown"]), chapter)
    return (Absent if mark["kind"] == "absent" else Prose)(_text(data["text/markdown"]))


def _plain(output: dict) -> str:
    """Return an output that `Study` did not make, as text: what was printed, or an object's own text."""
    if output["output_type"] == "stream":
        return _text(output["text"]) if output["name"] == "stdout" else ""
    return _text(output.get("data", {}).get("text/plain", ""))


def _text(lines: str | list[str]) -> str:
    return lines if isinstance(lines, str) else "".join(lines)


def _title(blocks: list[Block], default: str) -> tuple[str, list[Block]]:
    """Take the title out of the first heading of the last chapter."""
    for i, block in enumerate(blocks):
        if isinstance(block, Prose) and (found := re.match(r"# +(.+)\n*", block.text)):
            return found[1].strip(), [*blocks[:i], Prose(block.text[found.end() :]), *blocks[i + 1 :]]
    return default, blocks


def _promoted(block: Block) -> Block:
    """Raise the headings of the last chapter by one level: its sections are sections of the whole report."""
    return Prose(re.sub(r"^##", "#", block.text, flags=re.MULTILINE)) if isinstance(block, Prose) else block


def _sections(blocks: list[Block | Absent], mark: str = "# ") -> Iterator[tuple[str, list[Block | Absent]]]:
    """Yield (heading, blocks with it) for each section, begun by a line with that mark; what comes before the first has the heading ''."""
    heading, section = "", []
    for block in blocks:
        parts = re.split(rf"^(?={mark})", block.text, flags=re.MULTILINE) if isinstance(block, Prose) else [None]
        for part in parts:
            if part is not None and (found := re.match(rf"{mark}+(.+)", part)):
                if section:
                    yield heading, section
                heading, section = found[1].strip(), []
            if part is None or part.strip():
                section.append(block if part is None else Prose(part.strip()))
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

    document.abstract, document.opening, document.body = map(number, (document.abstract, document.opening, document.body))
    return document


def pdf_of(document: Document, figure: Figure) -> Path:
    """Return the path of a figure's vector file."""
    return document.settings.file(f"figures/{figure.name}.pdf")
