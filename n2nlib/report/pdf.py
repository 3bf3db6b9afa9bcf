"""report.pdf: the chapters without their code, set as a paper by Typst; the same chapters give the same bytes."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from functools import partial
from pathlib import Path

import typst

from ..errors import ReportError
from .document import Block, Code, Document, Figure, Prose, Table, pdf_of
from .markdown import convert, one_line, raw
from .provenance import provenance

TEMPLATE = Path(__file__).with_name("template.typ")
#: Widths in points of one column and of the page's text, as template.typ sets them.
COLUMN, PAGE = 241, 497
#: A table of up to so many characters a line fits a column.
COLUMN_CHARACTERS = 50
#: Lines of a table that fit one page.
LONGEST = 52

#: Characters that a table across the page holds side by side, and those from which a cell may be broken to fit.
PAGE_CHARACTERS, BREAKABLE = 115, 25

#: Where a figure or table stands: at the top or foot of the page, across it, or right here in its column. (What floats
#: within a column may be set over what floats across the page.)
WIDE, HERE = 'placement: auto, scope: "parent"', "placement: none"


def pdf(document: Document) -> bytes:
    """Return the PDF; raises ReportError with Typst's own words if it cannot be set."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copy(TEMPLATE, root)
        for block in document.blocks():
            if isinstance(block, Figure):
                shutil.copy(pdf_of(document, block), root / f"figure{block.number}.pdf")
        (root / "main.typ").write_text(source(document), encoding="utf-8")
        try:
            return typst.compile(root / "main.typ", root=root, format="pdf", ignore_system_fonts=True, timestamp=0)
        except typst.TypstError as error:
            raise ReportError(f"report.pdf cannot be set: {error}") from None


def source(document: Document) -> str:
    """Return the Typst source of the paper."""
    settings = document.settings
    text = partial(json.dumps, ensure_ascii=False)  # Typst's strings have JSON's escapes but for \u0000
    made = ", ".join(f"({text(k)}, {text(v)})" for k, v in provenance(settings).items())
    abstract = f"[{_typst(document, document.abstract)}]" if document.abstract else "none"
    opening = [_unnumbered(block) for block in document.opening]
    return (
        '#import "template.typ": *\n'
        f"#show: paper.with(title: [{convert(document.title, 'typst').strip()}], abstract: {abstract},\n"
        f"  subtitle: [Corpus #strong({text(settings.corpus)}), profile #strong({text(settings.profile)})],\n"
        f"  made: ({made},))\n\n"
        f"{_typst(document, opening)}\n\n{_typst(document, document.body)}\n"
    )


def _typst(document: Document, blocks: list[Block]) -> str:
    text = "\n\n".join(_block(document, block) for block in blocks if not isinstance(block, Code))
    # pandoc writes every table as a figure of its own; where it stands and how wide its columns are is said here
    set_here = r"// placed (.+)\n// columns (.+)\n+#figure\((\s*align\(center\)\[#table\(\s*columns:) \d+,"
    return re.sub(set_here, r"#figure(\1,\3 \2,", convert(text, "typst"))


def _block(document: Document, block: Block) -> str:
    if isinstance(block, Prose):
        return _for_paper(block.text)
    if isinstance(block, Figure):
        width = page_width(pdf_of(document, block))
        start = f'#figure({WIDE if width > COLUMN * 1.05 else HERE}, image("figure{block.number}.pdf", width: {min(width, PAGE):.1f}pt), caption: ['
        return f"{raw(start, 'typst')}\n{one_line(block.caption)}\n{raw('])', 'typst')}"
    widths = _characters(block)
    # Longer than a page: it breaks, and only what stands in a column can.
    wide = sum(widths) > COLUMN_CHARACTERS and block.text.count("\n") <= LONGEST
    marks = raw(f"// placed {WIDE if wide else HERE}\n// columns {_columns(widths)}", "typst")
    return f"{marks}\n{block.text}\n\n: {one_line(block.caption)}\n"


def _for_paper(text: str) -> str:
    """Leave out what only who runs a chapter needs (how long it takes, what it reads and writes), and its number."""
    text = re.sub(r"^\*\*(Takes|How long|Reads|Writes)\b.*?(\n\n|\Z)", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\$\$(.*?)\$\$", _stacked, text, flags=re.DOTALL)
    text = re.sub(r"^# 0\d\b[ ·.:]*", "# ", text, flags=re.MULTILINE)
    return re.sub(r"^# References$", "# References {.unnumbered}", text, flags=re.MULTILINE)


def _stacked(equation: re.Match) -> str:
    """Put equations that stand side by side under one another: a column has no room for them."""
    parts = equation[1].split(r"\qquad")
    return equation[0] if len(parts) == 1 else r"$$\begin{gathered}" + r" \\ ".join(parts) + r"\end{gathered}$$"


def _unnumbered(block: Block) -> Block:
    """Take the number from the headings that stand before the first chapter."""
    return Prose(re.sub(r"^(#+ .+)$", r"\1 {.unnumbered}", block.text, flags=re.MULTILINE)) if isinstance(block, Prose) else block


def _characters(table: Table) -> list[int]:
    """Return about how many characters wide each column of a pipe table is when set."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in table.text.splitlines() if "|" in line]
    rows = [row for row in rows if not all(set(cell) <= set(":- ") for cell in row)]
    return [max(len(cell) for cell in column) + 2 for column in zip(*rows, strict=False)]


def _columns(widths: list[int]) -> str:
    """Return Typst's widths of a table's columns: their own, or, where the page is too narrow, long texts share what is left."""
    if sum(widths) <= PAGE_CHARACTERS:
        return str(len(widths))
    return f"({', '.join(f'{width**0.5:.1f}fr' if width > BREAKABLE else 'auto' for width in widths)})"


def page_width(path: Path) -> float:
    """Return the width of a PDF's first page in points."""
    box = re.search(rb"/MediaBox\s*\[\s*([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)", path.read_bytes())
    if not box:
        raise ReportError(f"{path} is not a PDF with a page size.")
    return float(box[3]) - float(box[1])
