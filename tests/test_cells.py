"""Whatever JupyterLab shows goes through both documents: Markdown, pictures, links, and what cells display on their own."""

from __future__ import annotations

import base64
import io
import json
import os
import re
from html.parser import HTMLParser

import pytest
from fake_chapters import TABLE, notebook, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from n2nlib.errors import ReportError
from n2nlib.report import document, pandoc, pdf, plan, render, tree
from n2nlib.report.html import html

#: Markdown cell -> what a reader must find in both documents (spaces apart), in this order.
CELLS = {
    "See **model**.py and *x*.y": ["model.py", "x.y"],
    "**a**(b) *a*[b] **a**;b `c`.d `c`(e) ~~s~~.t [l](https://a.org).m ***b***.n": ["a(b)", "a[b]", "a;b", "c.d", "c(e)", "s.t", "l.m", "b.n"],
    "**= x** *- y* **+ z** **/ w: v** *1. u* **#t** *@s* **<r>** *$q*": ["=x", "-y", "+z", "/w:v", "1.u", "#t", "@s", "$q"],
    "= no heading\\\n+ no list\n/ no: term\n\n@nobody #nothing <nowhere> // no comment /* none */": ["=noheading", "@nobody", "#nothing", "//nocomment"],
    "`#raw` ``a`b`` `$x$` ` ` `\"\\\\n`": ["#raw", "a`b", "$x$"],
    "Prices: $5 and $6, or \\$7": ["$5and$6,or$7"],
    "$\\foo{$ and $\\unknown x$ and $x_{$ and $$": ["\\foo{", "\\unknown"],
    "$$\n\\frac{a\n$$": ["\\frac"],
    "$$a = b$$ $\\left( x$ $\\begin{foo} y \\end{foo}$ $x^$ $\\hbox{a}$ $\\color{red}x$": ["a=b"],
    "\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}": ["a", "b", "d"],
    "\\begin{equation*}\nE = mc^2\n\\end{equation*} and \\\\(x\\\\) and \\\\[y\\\\]": ["E", "m", "x", "y"],
    "\\begin{tabular}{l} cell \\end{tabular} \\textbf{bold} \\input{/etc/passwd} \\newpage": ["cell", "\\textbf{bold}", "\\input"],
    "| a | b |\n|---|--:|\n| `x|y` | 1 |\n| too | many | cells |\n| few |": ["a", "b", "1", "too", "few"],
    "| only | head |\n|---|---|": ["only", "head"],
    "|  |  |\n|--|--|\n|  |  |": [],
    "| " + " | ".join(f"column{i}" for i in range(20)) + " |\n|" + "--|" * 20 + "\n| " + " | ".join("1234567" for _ in range(20)) + " |": ["column19"],
    "A note[^1], another[^2].\n\n[^1]: First **note**.\n\n[^2]: Second\n\n    with `code`.": ["Firstnote.", "Second"],
    "Again[^1].\n\n[^1]: Of another cell.": ["Ofanothercell."],
    "[^missing] and [text][missing] and ![][missing]": ["[^missing]", "[text][missing]"],
    "- [ ] open\n- [x] done": ["open", "done"],
    "1. a\n   - b\n     1. c\n\n       > d\n\n           e\n2. f\n\n1000000. g\n\n* * *\n- \n-\n\n+ h": ["a", "b", "c", "d", "f", "g", "h"],
    "text\n- at once\n  1) and\n     - deeper": ["atonce", "and", "deeper"],
    "# Same\n\n# Same\n\n## *Marked* `up` $x$\n\n####### seven\n\n#\n\n# 99 [link](https://a.org)\n\nSetext\n===": ["Same", "Marked", "seven", "link", "Setext"],
    "```\nplain\n```\n\n```c++\nint x;\n```\n\n```{r, echo=FALSE}\ny <- 1\n```\n\n~~~~ odd language!\nz\n~~~~\n\n```{=html}\n<b>raw</b>\n```": ["plain", "intx;", "y<-1", "z"],
    "```python\n# a comment\nx = '#'\n": ["#acomment", "x='#'"],  # never closed
    "```{=typst}\n#panic(\"typst\")\n```\n\n`#panic(1)`{=typst}": ['#panic("typst")', "#panic(1)"],
    "    indented #code\n    `x`": ["indented#code", "`x`"],
    "<b>bold</b> <i>it</i><br>next <sub>2</sub> <sup>3</sup> <kbd>K</kbd> <u>under</u> <font color='red'>red</font> &lt;tag&gt; &amp; &copy; &nbsp; &#x1F600; &bogus;":
        ["bold", "it", "next", "2", "3", "K", "under", "red", "<tag>", "&", "©", "&bogus;"],
    "<!-- a comment -->shown<!-- never closed": ["shown"],
    "<details><summary>More</summary>\n\nHidden **text** and $x^2$\n\n```python\ny = 1\n```\n\n| a | b |\n|---|---|\n| $c|d$ | e |\n\n</details>": ["More", "Hiddentext", "y=1", "e"],
    "<details>\n<summary>never closed": ["neverclosed"],
    "</div></main></body></html> after": ["after"],
    "<table><tr><th>h</th><th>i</th></tr><tr><td rowspan='2'>j</td><td>k *l*</td></tr><tr><td>m</td></tr></table>": ["h", "i", "j", "k", "m"],
    "<table></table><table><tr></tr></table><ul></ul><p></p>rest": ["rest"],
    "<div align='center'>\n\n**middle** of $y$\n\n</div>": ["middle"],
    "<center><h2 id='odd id/ü'>Head</h2></center>\n\n[there](#odd%20id/ü)": ["Head", "there"],
    "[a](<with space.html>) [b](ünï/çödé) [c](mailto:a@b.org) [d](javascript:alert(1)) [e]() [f](#) [g](https://a.org/?q=\"<>&#x) [h](http://[bad) [i](file:///etc/passwd)":
        list("abcdefghi"),
    "[see](#nowhere) [up](#Same) [ch](02_networks.ipynb) [part](./02_networks.ipynb#Part) [gone](09_gone.ipynb) <https://a.org/x_y#z> https://b.org/~c":
        ["see", "up", "ch", "part", "gone", "https://a.org/x_y#z", "https://b.org/~c"],
    "<a id='mine'></a><a name='old'></a>[to mine](#mine) [to old](#old)": ["tomine", "toold"],
    f"[long](https://a.org/{'x' * 9_000})": ["long"],
    "word " * 2_000 + "x" * 3_000: ["word", "xxx"],
    "Emoji 😀 👩‍👩‍👧 🇨🇭, עברית and العربية, zero\u200bwidth\u200d\ufeff, combining e\u0301, 漢字, \u202eoverride\u202c": ["Emoji", "zero"],
    "control \x00\x07\x1b[31m chars \ufffe \U000f0000 1 \U000f0001": ["control", "chars"],
    "> quote\n> > deeper\n>\n> ```\n> code\n> ```": ["quote", "deeper", "code"],
    "Term\n: definition `x`.y\n\n| line\n| block": ["Term", "definition", "line"],
    "[span]{.class #id} {.not} ::: {.warning}\nin a div\n:::\n\n@citation [@doe99] (@) (@good) H~2~O x^2^": ["span", "inadiv", "@citation"],
    "\\# \\* \\_ \\` \\\\ \\[ \\] \\< \\> \\@ \\~ \\- a\\\nb  \nc": ["#", "*", "a", "b", "c"],
    "---\ntitle: not metadata\n---\n\n% not a title": ["title"],
    "\"quoted\" 'single' -- --- ... it's 5'10\"": ["quoted", "single"],
    "*a **b* c** ****d**** _e__f_ **g": ["a", "b", "d", "g"],
    "[![alt](missing.png)](https://a.org)": ["Picture", "isnotshown"],
    "": [], "   \n\n  ": [], "\\": [], "#": [], "$$": [], "<": [], "[": [], "![](": [], "`": [], "***": [], "\u2028": [],
}  # fmt: skip


class Page(HTMLParser):
    """The text of a page, and whatever in it acts or loads."""

    def __init__(self, page: str):
        super().__init__()
        self.words, self.acts, self.sources, self.links, self.ids, self.hidden = [], [], [], [], [], 0
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.hidden += tag in ("style", "title")
        if tag in ("script", "iframe", "object", "embed", "form", "link", "base", "audio", "video", "svg"):
            self.acts.append(tag)
        for name, value in attributes:
            if name.startswith("on") or (name == "href" and not re.match(r"#|https?:|mailto:", value)):
                self.acts.append(f"{tag} {name}={value}")
            if name in ("src", "srcset", "poster", "background", "data"):
                self.sources.append(value)
            if name == "href" and value.startswith("#"):
                self.links.append(value[1:])
            if name == "id":
                self.ids.append(value)

    def handle_endtag(self, tag):
        self.hidden -= tag in ("style", "title")

    def handle_data(self, words):
        if not self.hidden:
            self.words.append(words)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", "", "".join(self.words[-len(self.words) :]))


def markdown(source: str, cell: str = "m", **attachments) -> dict:
    out = {"cell_type": "markdown", "id": cell, "metadata": {}, "source": source}
    return out | ({"attachments": attachments["files"]} if attachments else {})


def code(*outputs: dict, source: str = "x", cell: str = "c") -> dict:
    return {"cell_type": "code", "id": cell, "metadata": {}, "source": source, "outputs": list(outputs), "execution_count": 1}


def displayed(data: dict, **metadata) -> dict:
    return {"output_type": "display_data", "data": data, "metadata": metadata}


@pytest.fixture
def project(fake_report):
    """Return what makes a document of one chapter's cells (the other chapters are short)."""

    def made(*cells: dict) -> document.Document:
        folder = fake_report.folder / "notebooks"
        write(folder, "01_data", {"cells": [markdown("# Data", "first"), *cells]})
        write(folder, "02_networks", {"cells": [markdown("# Networks\n\n## Part", "first")]})
        write(folder, "07_report", {"cells": [markdown("# The *title*.", "first"), markdown("## Claims", "second")]})
        return document.read(fake_report)

    return made


def words_of(pdf_source: str) -> str:
    return re.sub(r"\s+", "", pdf_source)


def checked(page: str) -> Page:
    """Return a page that loads nothing, runs nothing, and whose links all lead somewhere."""
    page = Page(page)
    assert page.acts == []
    assert all(re.match(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,", source) for source in page.sources)
    assert set(page.links) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    return page


def test_all_that_jupyterlab_shows_goes_through_both_documents(project):
    """All cells at once: none is shown as its source, and each one's words are in the page."""
    report = project(*(markdown(source, f"cell-{i}") for i, source in enumerate(CELLS)))
    page = checked(html(report))
    assert pdf.pdf(report).startswith(b"%PDF")
    assert [p for p in report.found.problems if "picture" not in p] == []
    text = page.text[page.text.index("Data", page.text.index("Claims")) :]
    for source, wanted in CELLS.items():
        assert [words for words in wanted if words not in text] == [], source


@pytest.mark.parametrize("source", CELLS)
def test_no_cell_needs_its_neighbours(source):
    """Each cell alone is Typst that compiles; what it says is there."""
    found = document.Found()
    (block,) = document.parsed([document.Prose(source, where=document.Where("01_data", "c"))], [{}], found)
    part, report = pdf.Part(block), document.Document([], [], [], [], None, found)
    document.link_up([("01_data", block.blocks)], [], [])
    pdf.write([part], report)
    pdf.typst.compile(f'#set page(width: 20cm)\n#let horizontalrule = line()\n{part.typst}'.encode(), format="svg", ignore_system_fonts=True)


INLINE = st.sampled_from([*"*_`~#@<>$[](){}|\\/&;:.,-+=!^\"' \n\t", "**", "__", "$$", "```", "![", "](", "](#a)", "<b>", "</b>", "<div>", "</div>", "<!--", "-->", "\n\n", "\n- ",
                          "\n1. ", "\n> ", "\n# ", "\n| a | b |\n|--|--|\n", "[^1]", "\n[^1]: ", "\\begin{align}", "\\end{align}", "\\frac{", "<td>", "<img src=x>", "&amp;", "a", "b1", "é", "😀",
                          "א", "\u200b", "https://a.org", "http:", "---", "...", "\\\\(", "<details>", "<a id='x'>", "<script>"])  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(INLINE, max_size=25).map("".join), min_size=1, max_size=6))
def test_no_markdown_stops_a_document(sources):
    found = document.Found()
    cells = [document.Prose(source, where=document.Where("01_data", str(i))) for i, source in enumerate(sources)]
    blocks = document.parsed(cells, [{}] * len(cells), found)
    document.link_up([("01_data", block.blocks) for block in blocks], [], [])
    report = document.Document(tree.words("T"), [], [], blocks, plan.Settings("bundled", "smoke", "cpu"), found)
    parts = [pdf.Part(block) for block in blocks]
    pdf.write(parts, report)
    for part in parts:
        pdf.typst.compile(f"#let horizontalrule = line()\n{part.typst}".encode() + LABELS(parts, part), format="svg", ignore_system_fonts=True)
    checked(pandoc.page([node for block in blocks for node in block.blocks], "--mathml"))


def LABELS(parts, part) -> bytes:
    names = {name for other in parts for name in pdf._labels(other)} - pdf._labels(part)
    return "".join(f"\n#metadata(none)<{name}>" for name in sorted(names)).encode()
