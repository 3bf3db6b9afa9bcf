"""report.html: one file that needs nothing else, with the code folded away but there."""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape, unescape
from itertools import groupby
from pathlib import Path

from n2nlib.report import pandoc, tree
from n2nlib.report.crosslinks import Crosslinks
from n2nlib.report.document import Block, Code, Document, Figure, Prose, Shown, Table, level, sections
from n2nlib.report.pandoc import one_line
from n2nlib.report.pictures import for_page
from n2nlib.report.provenance import provenance
from n2nlib.report.tree import Node, plain, raw, walk

HERE = Path(__file__).parent
#: A picture of more pixels across than this is not squeezed into a phone's width, but scrolls.
WIDE = 1_000
#: The section of the opening that is set in two columns.
SUMMARY = "reproducibility summary"


def html(document: Document) -> str:
    """Return the page: title, abstract, opening, chapters, and how it was made."""
    writer = _Writer(document)
    blocks = [
        *writer.abstract(document.abstract),
        *writer.opening(document.opening),
        *writer.all([*document.body, *document.appendix]),
    ]
    made = provenance(document.settings)
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in made.items())
    title = escape(plain(document.title))
    page = pandoc.page(
        blocks, "--mathml", "--standalone", "--toc", "--toc-depth=3", "--shift-heading-level-by=1",
        f"--template={HERE / 'page.html'}", "-V", f"title={title}", "-V", f"pagetitle={title}",
        "-V", f"dataset={escape(document.settings.dataset)}", "-V", f"profile={document.settings.profile}",
        "-V", f"provenance={rows}",
    )  # fmt: skip
    page = _without_dead_links(_accessible(page), document)
    # On a phone the contents are one line: chapters by the part of their title before the colon.
    page = re.sub(r'(<a href="#[^>]*id="toc-[^>]*>[^<:]*)(:[^<]*)</a>', r"\1<span>\2</span></a>", page)
    page = _with_style_and_script(page)
    # Pictures are put in last: pandoc takes most of a minute over a few megabytes of them.
    pictures = {
        f"{block.number}.png": for_page(block.png) for block in document.blocks() if isinstance(block, Figure)
    }
    for name, picture in (pictures | document.found.pictures).items():
        page = page.replace(f'src="{name}"', f'src="{picture.uri}"')
    return page


def _accessible(page: str) -> str:
    """Make what pandoc leaves out: no empty table header, equations that a keyboard can scroll."""
    page = re.sub(r"<th( [^>]*)?>\s*</th>", r"<td\1></td>", page)
    return page.replace('<math display="block"', '<math display="block" tabindex="0"')


def _without_dead_links(page: str, document: Document) -> str:
    """Replace a link into the page that has no target by its text, and note it as a problem."""
    targets = set(re.findall(r'\bid="([^"]*)"', page))

    def checked(link: re.Match) -> str:
        if unescape(link[1]) in targets or link[1] in targets:
            return link[0]
        document.found.problem("report.html", f"the link to #{link[1]} has no target and is left out.")
        return link[2]

    return re.sub(r'<a href="#([^"]+)"[^>]*>(.*?)</a>', checked, page, flags=re.DOTALL)


def _with_style_and_script(page: str) -> str:
    """Put style and script in; the page's policy allows this script alone, and no request at all."""
    script = f"\n{(HERE / 'page.js').read_text(encoding='utf-8')}\n"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = page.replace("/*style*/", (HERE / "style.css").read_text(encoding="utf-8"))
    return page.replace("/*hash*/", f"sha256-{digest}").replace("\n/*script*/\n", script)


class _Writer:
    """Writes the blocks of one document as pandoc's nodes with raw HTML around them."""

    def __init__(self, document: Document):
        self.document = document
        self.links = Crosslinks(document)

    def abstract(self, blocks: list[Block]) -> list[Node]:
        """The abstract with its picture beside it; its code follows."""
        if not blocks:
            return []
        words = [block for block in blocks if isinstance(block, Prose)]
        others = [block for block in blocks if isinstance(block, Figure | Table)]
        code = [block for block in blocks if isinstance(block, Code)]
        return [
            raw(f'<div class="front{" pictured" if others else ""}"><div class="abstract">', "html"),
            *self.all(words),
            raw("</div>", "html"),
            *self.all(others),
            raw("</div>", "html"),
            *self.all(code),
        ]

    def opening(self, blocks: list[Block]) -> list[Node]:
        """The sections before the first chapter, one of them in two columns."""
        out: list[Node] = []
        for section in sections(blocks, (1,)):
            if level(section[0]) and plain(section[0].blocks[0]).strip().lower() == SUMMARY:
                words = [block for block in section if isinstance(block, Prose)]
                shown = [block for block in section if isinstance(block, Shown)]
                code = [block for block in section if isinstance(block, Code)]
                out += _element('<section class="summary">', self.all([*words, *shown, *code]))
            else:
                out += self.all(section)
        return out

    def all(self, blocks: list[Block]) -> list[Node]:
        """Return the nodes of blocks; neighbouring code cells are folded away together."""
        out: list[Node] = []
        for is_code, group in groupby(blocks, lambda block: isinstance(block, Code)):
            for part in [_code(list(group), self.links)] if is_code else map(self.block, group):
                out += part
        return out

    def block(self, block: Prose | Figure | Table) -> list[Node]:
        """Return the nodes of one block."""
        if isinstance(block, Prose):
            return [
                part
                for node in walk(block.blocks, _fold)
                for part in (_scrolling([node], "Table") if node["t"] == "Table" else [node])
            ]
        label = f"{block.kind} {block.number}"
        self.links.pending.append(block.anchor)
        start = (
            f'<figure class="{block.kind.lower()}" id="{escape(block.anchor)}" data-label="{label.lower()}">'
        )
        if isinstance(block, Figure):
            inner = [self._picture(block), *self._caption(block, label)]
        else:
            rows = self.links.ledger(block.blocks)
            inner = [*self._caption(block, label), *_scrolling(rows, label)]
        return _element(start, inner)

    def _picture(self, block: Figure) -> Node:
        width, height = (int.from_bytes(block.png[i : i + 4]) for i in (16, 20))  # a PNG's header
        size = "wide" if width > WIDE else "narrow"
        alt = escape(unescape(one_line(block.alt or block.caption)), quote=True)
        return raw(
            f'<div class="picture"><div class="scroll {size}" tabindex="0" role="group" '
            f'aria-label="Figure {block.number}, picture">'
            f'<img alt="{alt}" src="{block.number}.png" width="{width}" height="{height}"></div></div>',
            "html",
        )

    def _caption(self, block: Figure | Table, label: str) -> list[Node]:
        how = escape(self.document.settings.command_for(block.where.chapter))
        strong = {"t": "Strong", "c": tree.words(f"{label}.")}
        command = tree.raw_inline(f"<code class='how'>{how}</code>", "html")
        words = tree.para(*tree.words(strong, " ", *block.words, " ", command))
        return _element("<figcaption>", [words, *self.links.back(block.anchor)])


def _scrolling(blocks: list[Node], label: str) -> list[Node]:
    """Let a wide table scroll by itself."""
    return _element(f'<div class="scroll" tabindex="0" role="group" aria-label="{label}, cells">', blocks)


def _fold(node: Node) -> list[Node] | None:
    """Return a fold (`<details>`) as HTML has it."""
    if node["t"] != "Div":
        return None
    name = next((c for c in ("details", "summary") if c in node["c"][0][1]), None)
    return _element(f"<{name}>", node["c"][1]) if name else None


def _code(cells: list[Code], links: Crosslinks) -> list[Node]:
    """Fold neighbouring cells away under one line, with the anchors of what they displayed."""
    lines = sum(cell.source.count("\n") + 1 for cell in cells)
    summary = f"<summary>Code <small>{lines} line{'s' if lines > 1 else ''}</small></summary>"
    texts = [text for cell in cells for text in ((cell.source, "python"), (cell.printed, "printed"))]
    inner = [tree.code_block(text, kind) for text, kind in texts if text]
    return _element(f'<details class="code">\n{summary}{links.anchors()}', inner)


def _element(start: str, blocks: list[Node]) -> list[Node]:
    """Return blocks in an element of HTML; `start` is its first tag, and what else comes first."""
    name = re.match(r"<(\w+)", start)[1]
    return [raw(start, "html"), *blocks, raw(f"</{name}>", "html")]
