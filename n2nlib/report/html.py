"""report.html: one file that needs nothing else, with the code folded away but there."""

from __future__ import annotations

import re
from html import escape, unescape
from itertools import groupby
from pathlib import Path

from n2nlib.report import pandoc, tree
from n2nlib.report.document import Block, Code, Document, Figure, Prose, Table
from n2nlib.report.markdown import one_line
from n2nlib.report.pictures import Picture
from n2nlib.report.provenance import provenance
from n2nlib.report.tree import Node, plain, raw, walk

HERE = Path(__file__).parent
#: A picture of more pixels across than this is not squeezed into a phone's width, but scrolls.
WIDE = 1_000


def html(document: Document) -> str:
    """Return the page: title, abstract, opening, chapters, and how it was made."""
    abstract = _all(document, document.abstract)
    blocks = [raw('<div class="abstract">', "html"), *abstract, raw("</div>", "html")] if abstract else []
    blocks += _all(document, [*document.opening, *document.body, *document.appendix])
    rows = "".join(
        f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in provenance(document.settings).items()
    )
    title = escape(plain(document.title))
    page = pandoc.page(
        blocks, "--mathml", "--standalone", "--toc", "--toc-depth=3", "--shift-heading-level-by=1",
        f"--template={HERE / 'page.html'}", "-V", f"title={title}", "-V", f"pagetitle={title}",
        "-V", f"dataset={escape(document.settings.dataset)}", "-V", f"profile={document.settings.profile}",
        "-V", f"provenance={rows}",
    )  # fmt: skip
    # Pictures and style are put in afterwards: pandoc takes most of a minute over a few megabytes of them.
    page = page.replace("/*style*/", (HERE / "style.css").read_text(encoding="utf-8"))
    pictures = {
        f"{block.number}.png": Picture(block.png, "image/png", b"", "", 0, 0)
        for block in document.blocks()
        if isinstance(block, Figure)
    }
    for name, picture in (pictures | document.found.pictures).items():
        page = page.replace(f'src="{name}"', f'src="{picture.uri}"')
    # On a phone the contents are one line: chapters by the part of their title before the colon.
    return re.sub(r'(<a href="#[^>]*id="toc-[^>]*>[^<:]*)(:[^<]*)</a>', r"\1<span>\2</span></a>", page)


def _all(document: Document, blocks: list[Block]) -> list[Node]:
    out: list[Node] = []
    for is_code, group in groupby(blocks, lambda block: isinstance(block, Code)):
        for part in [_code(list(group))] if is_code else [_block(document, block) for block in group]:
            out += part
    return out


def _block(document: Document, block: Prose | Figure | Table) -> list[Node]:
    if isinstance(block, Prose):
        return [
            part
            for node in walk(block.blocks, _fold)
            for part in (_scrolling(node) if block.output else [node])
        ]
    kind = "Figure" if isinstance(block, Figure) else "Table"
    how = escape(document.settings.command_for(block.where.chapter))
    size = "wide" if isinstance(block, Figure) and _width(block.png) > WIDE else "narrow"
    content = (
        [
            raw(
                f'<div class="scroll {size}" tabindex="0">'
                f'<img alt="{escape(unescape(one_line(block.caption)), quote=True)}" src="{block.number}.png"></div>',
                "html",
            )
        ]
        if isinstance(block, Figure)
        else [raw('<div class="scroll" tabindex="0">', "html"), *block.blocks, raw("</div>", "html")]
    )
    number = {"t": "Strong", "c": tree.words(f"{kind} {block.number}.")}
    words = tree.para(
        number,
        {"t": "Space"},
        *block.words,
        {"t": "Space"},
        tree.raw_inline(f"<code class='how'>{how}</code>", "html"),
    )
    caption = [raw("<figcaption>", "html"), words, raw("</figcaption>", "html")]
    inner = content + caption if isinstance(block, Figure) else caption + content
    return [
        raw(f'<figure class="{kind.lower()}" id="{escape(block.anchor)}">', "html"),
        *inner,
        raw("</figure>", "html"),
    ]


def _fold(node: Node) -> list[Node] | None:
    """Return a fold (`<details>`) as HTML has it."""
    if node["t"] != "Div":
        return None
    name = next((c for c in ("details", "summary") if c in node["c"][0][1]), None)
    return [raw(f"<{name}>", "html"), *node["c"][1], raw(f"</{name}>", "html")] if name else None


def _scrolling(node: Node) -> list[Node]:
    """Let a wide table of an output scroll by itself."""
    return (
        [raw('<div class="scroll" tabindex="0">', "html"), node, raw("</div>", "html")]
        if node["t"] == "Table"
        else [node]
    )


def _code(cells: list[Code]) -> list[Node]:
    """Fold neighbouring cells away under one line."""
    lines = sum(cell.source.count("\n") + 1 for cell in cells)
    summary = f"<summary>Code <small>{lines} line{'s' if lines > 1 else ''}</small></summary>"
    inner = [
        tree.code_block(*block)
        for cell in cells
        for block in [(cell.source, "python"), (cell.printed, "printed")]
        if block[0]
    ]
    return [raw(f'<details class="code">\n{summary}', "html"), *inner, raw("</details>", "html")]


def _width(png: bytes) -> int:
    """Return a PNG's width in pixels, from its header."""
    return int.from_bytes(png[16:20])
