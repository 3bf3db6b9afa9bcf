"""report.pdf: the chapters without code, set by Typst; equal input gives equal bytes."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import typst

from n2nlib.errors import ReportError
from n2nlib.report import tree
from n2nlib.report.document import Block, Code, Document, Figure, Prose, pdf_of
from n2nlib.report.provenance import authors, provenance
from n2nlib.report.tree import Node, plain, walk
from n2nlib.report.typeset import font, page_width, quoted, verbatim, written

TEMPLATE = Path(__file__).with_name("template.typ")


@dataclass
class Part:
    """A block of the paper and its own Typst file, so that an error names its block."""

    block: Block
    file: str
    typst: str = ""


class Paper:
    """The Typst of a document, written once: a main file that includes a file per block."""

    def __init__(self, document: Document):
        self.document = document
        title = Prose(plain(document.title), [{"t": "Plain", "c": document.title}])
        sections = ([title], document.abstract, document.opening, document.body, document.appendix)
        self.sections = [
            [Part(block, f"{i}-{j}.typ") for j, block in enumerate(section) if not isinstance(block, Code)]
            for i, section in enumerate(sections)
        ]
        figures = [part.block for part in self.parts() if isinstance(part.block, Figure)]
        self.widths = {block.name: page_width(pdf_of(document, block)) for block in figures}
        self.write(*self.parts())

    def parts(self) -> Iterator[Part]:
        """Yield every part in the order of the pages."""
        yield from (part for section in self.sections for part in section)

    def write(self, *parts: Part) -> None:
        """Write the Typst of some parts; one that pandoc cannot write is shown as it was written."""
        texts = written([part.block for part in parts], self.document.found, self.widths)
        for part, text in zip(parts, texts, strict=True):
            part.typst = verbatim(part.block) if text is None else text

    def main(self) -> str:
        """Return the main file."""
        title, abstract, opening, body, appendix = (
            "".join(f'#include "{part.file}"\n\n' for part in section) for section in self.sections
        )
        settings = self.document.settings
        made = "".join(f"({quoted(k)}, {quoted(v)}), " for k, v in provenance(settings).items())
        names = "".join(f"{quoted(name)}, " for name in authors())
        return f"""#import "template.typ": *
#show: paper.with(
  title: [{title.strip()}], name: {quoted(plain(self.document.title))}, authors: ({names}),
  subtitle: [Dataset #strong({quoted(settings.dataset)}), profile #strong({quoted(settings.profile)})],
  abstract: {f"[{abstract}]" if self.sections[1] else "none"},
)
{opening}{body}
#made(({made}))
{f"#show: appendix{chr(10)}{appendix}" if self.sections[4] else ""}
"""

    def save(self, root: Path) -> None:
        """Write all files that Typst reads."""
        shutil.copy(TEMPLATE, root)
        (root / "fonts").mkdir()
        shutil.copy(font(), root / "fonts")
        (root / "main.typ").write_text(self.main(), encoding="utf-8")
        for part in self.parts():
            self.save_part(root, part)
            if isinstance(part.block, Figure):
                shutil.copy(pdf_of(self.document, part.block), root / f"figure{part.block.number}.pdf")
        for name, picture in self.document.found.pictures.items():
            (root / f"{name}.{picture.suffix}").write_bytes(picture.printed)

    def save_part(self, root: Path, part: Part) -> None:
        """Write the file of one part."""
        (root / part.file).write_text(f'#import "template.typ": *\n{part.typst}', encoding="utf-8")


def pdf(document: Document) -> bytes:
    """Return the PDF; raises ReportError with Typst's own words if it cannot be set.

    A block that Typst refuses is set as it was written, and said so.
    """
    paper = Paper(document)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paper.save(root)
        while True:
            try:
                return _compiled(root)
            except typst.TypstError as error:
                refused = re.findall(r"\b(\d+-\d+\.typ):", error.diagnostic or "")
                part = next((part for part in paper.parts() if part.file in refused), None)
                if part is None or not _simplify(paper, part, root):
                    raise ReportError(f"Typst: {error}{f' ({part.block.where})' if part else ''}") from None
                paper.save_part(root, part)


def _compiled(root: Path, name: str = "main.typ") -> bytes:
    """Compile a file; fonts and packages of the reader's have no effect."""
    fonts = os.environ.pop("TYPST_FONT_PATHS", None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", typst.TypstWarning)
            return typst.compile(
                root / name,
                root=root,
                format="pdf",
                ignore_system_fonts=True,
                font_paths=[root / "fonts"],
                timestamp=0,
            )
    finally:
        if fonts is not None:
            os.environ["TYPST_FONT_PATHS"] = fonts


def _simplify(paper: Paper, part: Part, root: Path) -> bool:
    """Replace what Typst refuses in a part: its equations by their TeX, else all of it by its source."""
    block, found, refused = part.block, paper.document.found, []

    def change(node: Node) -> list[Node] | None:
        if node["t"] != "Math":
            return None
        alone = Part(Prose("", [tree.para(node)]), "alone.typ")
        paper.write(alone)
        paper.save_part(root, alone)
        try:
            _compiled(root, alone.file)
        except typst.TypstError:
            refused.append(node["c"][1])
            return [tree.code(node["c"][1])]
        return None

    if isinstance(block, Prose):
        part.block = replace(block, blocks=walk(block.blocks, change))
    if refused:
        paper.write(part)
        text = "report.pdf shows an equation as TeX, because Typst refuses it"
        found.problem(block.where, f"{text}: {refused[0]}")
        return True
    before, part.typst = part.typst, verbatim(block)
    found.problem(block.where, "Typst refuses it, so that report.pdf shows it as it was written.")
    return part.typst != before
