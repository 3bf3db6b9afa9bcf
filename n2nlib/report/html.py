"""report.html: one file that needs nothing else, with the code folded away but there."""

from __future__ import annotations

import base64
import re
from html import escape
from itertools import groupby
from pathlib import Path

from .document import Block, Code, Document, Figure, Prose, Table
from .markdown import convert, one_line
from .provenance import provenance

HERE = Path(__file__).parent
#: A picture of more pixels across than this is not squeezed into a phone's width, but scrolls.
WIDE = 1_000


def html(document: Document) -> str:
    """Return the page: title, abstract, opening, chapters, and how it was made."""
    parts = [f'<div class="abstract">\n\n{_all(document, document.abstract)}\n\n</div>'] if document.abstract else []
    parts += [_all(document, document.opening), _all(document, document.body)]
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in provenance(document.settings).items())
    page = convert(
        "\n\n".join(parts), "html5", "--mathml", "--standalone", "--toc", "--toc-depth=3", "--shift-heading-level-by=1",
        f"--template={HERE / 'page.html'}", "-M", f"title={document.title}", "-V", f"corpus={document.settings.corpus}",
        "-V", f"profile={document.settings.profile}", "-V", f"provenance={rows}",
    )  # fmt: skip
    # Pictures and style are put in afterwards: pandoc takes most of a minute over a few megabytes of them.
    page = page.replace("/*style*/", (HERE / "style.css").read_text())
    for block in document.blocks():
        if isinstance(block, Figure):
            page = page.replace(f'src="{block.number}.png"', f'src="data:image/png;base64,{base64.b64encode(block.png).decode()}"')
    # On a phone the contents are one line: chapters by the part of their title before the colon.
    return re.sub(r'(<a href="#[^>]*id="toc-[^>]*>[^<:]*)(:[^<]*)</a>', r"\1<span>\2</span></a>", page)


def _all(document: Document, blocks: list[Block]) -> str:
    parts = []
    for is_code, group in groupby(blocks, lambda block: isinstance(block, Code)):
        parts += [_code(list(group))] if is_code else [_block(document, block) for block in group]
    return "\n\n".join(parts)


def _block(document: Document, block: Prose | Figure | Table) -> str:
    if isinstance(block, Prose):
        return block.text
    kind = "Figure" if isinstance(block, Figure) else "Table"
    how = escape(document.settings.command_for(block.chapter))
    size = "wide" if isinstance(block, Figure) and _width(block.png) > WIDE else "narrow"
    content = (
        f'<div class="scroll {size}" tabindex="0"><img alt="{escape(one_line(block.caption), quote=True)}" '
        f'src="{block.number}.png"></div>'
        if isinstance(block, Figure)
        else f'<div class="scroll" tabindex="0">\n\n{block.text}\n\n</div>'
    )
    caption = f"<figcaption>\n\n**{kind} {block.number}.** {one_line(block.caption)} <code class='how'>{how}</code>\n\n</figcaption>"
    inner = f"{content}\n\n{caption}" if isinstance(block, Figure) else f"{caption}\n\n{content}"
    return f'<figure class="{kind.lower()}" id="{kind.lower()}-{block.name}">\n\n{inner}\n\n</figure>'


def _code(cells: list[Code]) -> str:
    """Fold neighbouring cells away under one line."""
    fence = "`" * 8
    text = ""
    for cell in cells:
        text += f"\n\n{fence}python\n{cell.source}\n{fence}"
        text += f"\n\n{fence}{{.printed}}\n{cell.printed}\n{fence}" if cell.printed else ""
    lines = sum(cell.source.count("\n") + 1 for cell in cells)
    summary = f"<summary>Code <small>{lines} line{'s' if lines > 1 else ''}</small></summary>"
    return f'<details class="code">\n{summary}{text}\n\n</details>'


def _width(png: bytes) -> int:
    """Return a PNG's width in pixels, from its header."""
    return int.from_bytes(png[16:20])
