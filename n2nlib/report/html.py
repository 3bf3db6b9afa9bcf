"""report.html: one file that needs nothing else, with the code folded away but there."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

from .document import Block, Code, Document, Figure, Prose
from .markdown import convert, one_line
from .provenance import provenance

HERE = Path(__file__).parent


def html(document: Document) -> str:
    """Return the page: title, abstract, opening, chapters, and how it was made."""
    parts = [f'<div class="abstract">\n\n{_all(document, document.abstract)}\n\n</div>'] if document.abstract else []
    parts += [_all(document, document.opening), _all(document, document.body)]
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in provenance(document.settings).items())
    return convert(
        "\n\n".join(parts), "html5", "--mathml", "--embed-resources", "--standalone", "--toc", "--toc-depth=3",
        "--shift-heading-level-by=1", f"--template={HERE / 'page.html'}", f"--css={HERE / 'style.css'}",
        "-M", f"title={document.title}", "-V", f"corpus={document.settings.corpus}",
        "-V", f"profile={document.settings.profile}", "-V", f"provenance={rows}",
    )  # fmt: skip


def _all(document: Document, blocks: list[Block]) -> str:
    return "\n\n".join(_block(document, block) for block in blocks)


def _block(document: Document, block: Block) -> str:
    if isinstance(block, Prose):
        return block.text
    if isinstance(block, Code):
        return _code(block)
    kind = "Figure" if isinstance(block, Figure) else "Table"
    how = escape(document.settings.command_for(block.chapter))
    content = (
        f'<img alt="{escape(one_line(block.caption), quote=True)}" '
        f'src="data:image/png;base64,{base64.b64encode(block.png).decode()}">'
        if isinstance(block, Figure)
        else f'<div class="scroll" tabindex="0">\n\n{block.text}\n\n</div>'
    )
    caption = f"<figcaption>\n\n**{kind} {block.number}.** {one_line(block.caption)} <code class='how'>{how}</code>\n\n</figcaption>"
    inner = f"{content}\n\n{caption}" if isinstance(block, Figure) else f"{caption}\n\n{content}"
    return f'<figure class="{kind.lower()}" id="{kind.lower()}-{block.name}">\n\n{inner}\n\n</figure>'


def _code(block: Code) -> str:
    fence = "`" * 8
    printed = f"\n\n{fence}{{.printed}}\n{block.printed}\n{fence}" if block.printed else ""
    lines = block.source.count("\n") + 1
    summary = f"<summary>Code <small>{lines} line{'s' if lines > 1 else ''}</small></summary>"
    return f'<details class="code">\n{summary}\n\n{fence}python\n{block.source}\n{fence}{printed}\n\n</details>'
