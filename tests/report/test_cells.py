"""Whatever JupyterLab shows goes through both documents: Markdown, pictures, links, and what cells display on their own."""

from __future__ import annotations

import base64
import io
import os
import re
from html.parser import HTMLParser

import pytest
from fake_chapters import notebook, write
from fake_outputs import typst_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from n2nlib.errors import ReportError
from n2nlib.report import blocks as blocks_
from n2nlib.report import document, links, pandoc, pdf, plan, render, run, tree, typeset
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
    "```\nplain\n```\n\n```c++\nint x;\n```\n\n```{r, echo=FALSE}\ny <- 1\n```\n\n~~~~ odd language!\n**z**\n~~~~\n\n```{=html}\n<b>raw</b>\n```": ["plain", "intx;", "y<-1", "**z**", "<b>raw</b>"],
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
    return {
        "cell_type": "code",
        "id": cell,
        "metadata": {},
        "source": source,
        "outputs": list(outputs),
        "execution_count": 1,
    }


def displayed(data: dict, **metadata) -> dict:
    return {"output_type": "display_data", "data": data, "metadata": metadata}


@pytest.fixture
def project(fake_report):
    """Return what makes a document of one chapter's cells (the other chapters are short)."""

    def made(*cells: dict) -> document.Document:
        folder = fake_report.folder / "notebooks"
        write(folder, "01_data", {"cells": [markdown("# Data", "first"), *cells]})
        write(folder, "02_networks", {"cells": [markdown("# Networks\n\n## Part", "first")]})
        write(
            folder,
            "07_report",
            {"cells": [markdown("# The *title*.", "first"), markdown("## Claims", "second")]},
        )
        return document.read(fake_report)

    return made


def words_of(pdf_source: str) -> str:
    return re.sub(r"\s+", "", pdf_source)


def checked(page: str, own_scripts: int = 1) -> Page:
    """Return a page that loads nothing, runs only its own script, and whose links all lead somewhere."""
    page = Page(page)
    assert page.acts == ["script"] * own_scripts
    assert all(
        re.match(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,", source) for source in page.sources
    )
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


def compiled(text: str) -> None:
    """Compile Typst; raises TypstError."""
    template = pdf.TEMPLATE.read_text(encoding="utf-8")
    pdf.typst.compile(f"{template}\n{text}".encode(), format="svg", ignore_system_fonts=True)


@pytest.fixture(scope="module")
def alone():
    """Typst of each cell, linked without the others; pandoc starts once for all of them."""
    found = document.Found()
    cells = [document.Prose(source, where=document.Where("01_data", "c")) for source in CELLS]
    blocks = blocks_.parsed(cells, [{}] * len(cells), found)
    for block in blocks:
        links.link_up([("01_data", block.blocks)], [], [])
    return dict(zip(CELLS, typeset.written(blocks, found, {}), strict=True))


@pytest.mark.parametrize("source", CELLS)
def test_no_cell_needs_its_neighbours(alone, source):
    """Each cell alone is Typst that compiles."""
    compiled(alone[source])


INLINE = st.sampled_from([*"*_`~#@<>$[](){}|\\/&;:.,-+=!^\"' \n\t", "**", "__", "$$", "```", "![", "](", "](#a)", "<b>", "</b>", "<div>", "</div>", "<!--", "-->", "\n\n", "\n- ",
                          "\n1. ", "\n> ", "\n# ", "\n| a | b |\n|--|--|\n", "[^1]", "\n[^1]: ", "\\begin{align}", "\\end{align}", "\\frac{", "<td>", "<img src=x>", "&amp;", "a", "b1", "é", "😀",
                          "א", "\u200b", "https://a.org", "http:", "---", "...", "\\\\(", "<details>", "<a id='x'>", "<script>"])  # fmt: skip


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(INLINE, max_size=25).map("".join), min_size=1, max_size=6))
def test_no_markdown_stops_a_document(sources):
    found = document.Found()
    cells = [
        document.Prose(source, where=document.Where("01_data", str(i))) for i, source in enumerate(sources)
    ]
    blocks = blocks_.parsed(cells, [{}] * len(cells), found)
    links.link_up([("01_data", block.blocks) for block in blocks], [], [])
    compiled("\n\n".join(typeset.written(blocks, found, {})))
    checked(pandoc.page([node for block in blocks for node in block.blocks], "--mathml"), own_scripts=0)


# Pictures


def png(colour: str = "red", size: tuple[int, int] = (40, 20), form: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, form)
    return out.getvalue()


SVG = "<svg xmlns='http://www.w3.org/2000/svg' width='40' height='20'><rect width='9' height='9'/><script>alert(1)</script></svg>"


def data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def pictures_in(report: document.Document) -> int:
    """Return how many pictures both documents hold; they hold the same number."""
    text, source = html(report), typst_of(report)
    checked(text)
    page = Page(text[text.index("<main") :])  # one in a heading is in the contents as well
    assert pdf.pdf(report).startswith(b"%PDF")
    assert source.count('#box(image("picture-') == len(page.sources)
    return len(page.sources)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_a_pasted_or_linked_picture_is_in_both_documents(project, tmp_path, form):
    (tmp_path / "notebooks" / "figures").mkdir()
    content, kind = png(form=form), f"image/{form.lower()}"
    for name in ("a.png", "b c.png", "ü.png"):
        (tmp_path / "notebooks" / "figures" / name).write_bytes(content)
    (tmp_path / "above.png").write_bytes(content)
    report = project(
        markdown("![x](attachment:image.png) and ![](attachment:b%20c.png)", files={n: {kind: base64.b64encode(content).decode()} for n in ("image.png", "b c.png")}),
        markdown("![x](figures/a.png) ![x](<figures/b c.png>) ![x](figures/b%20c.png) ![x](./figures/ü.png) ![x](../above.png) ![x][r]\n\n[r]: figures/a.png"),
        markdown("<img src='figures/a.png' width=30 onerror='alert(1)'>\n\n<p><img src=\"figures/a.png\" width=\"50%\"/></p>"),
        markdown(f"![x]({data_uri(content, kind)} 'title') | <img src='{data_uri(content, kind)}'>"),
        markdown("| a |\n|---|\n| ![x](figures/a.png) |\n\n- ![x](figures/a.png)\n\n> ![x](figures/a.png)\n\n## ![x](figures/a.png)"),
    )  # fmt: skip
    assert report.found.problems == []
    assert pictures_in(report) == 2 + 6 + 2 + 2 + 4


def test_svg_is_a_picture_and_runs_nothing(project, tmp_path):
    (tmp_path / "notebooks" / "a.svg").write_text(SVG)
    encoded = (
        SVG.replace("<", "%3C")
        .replace(">", "%3E")
        .replace(" ", "%20")
        .replace("'", "%27")
        .replace("(", "%28")
        .replace(")", "%29")
    )
    report = project(
        markdown("![x](a.svg) ![x](attachment:a.svg)", files={"a.svg": {"image/svg+xml": base64.b64encode(SVG.encode()).decode()}}),
        markdown(f"![x](data:image/svg+xml,{encoded})"), markdown(f"before\n\n{SVG}\n\nafter"),
    )  # fmt: skip
    assert report.found.problems == []
    assert pictures_in(report) == 4


NOT_SHOWN = {
    "![Loss](missing.png)": "picture 'Loss' is not shown: there is no file notebooks/missing.png.",
    "![](https://a.org/x.png)": "picture 'https://a.org/x.png' is not shown: it is on a server",
    "![x](//a.org/x.png)": "it is on a server",
    "<img src='http://a.org/x.png' alt='y'>": "picture 'y' is not shown: it is on a server",
    "![x](attachment:none.png)": "the cell has no attachment of that name",
    "![x](../../outside.png)": "it is outside the project",
    "![x](/etc/hostname)": "it is outside the project",
    "![x](file:///etc/hostname)": "it is outside the project",
    "![x](text.png)": "it is damaged, or no picture",
    "![x](cut.png)": "it is damaged, or no picture",
    "![x](empty.png)": "it is empty",
    "![x](bad.svg)": "an SVG that is not valid XML",
    "![x](page.svg)": "it is no picture",
    "![x](data:image/png;base64,AAAA)": "it is damaged, or no picture",
    "![x](data:image/png;base64,A)": "its content is not valid base64",
    "![x](data:nothing)": "its data URI has no content",
    "![x](figures)": "the file cannot be read",
    "![<b>&\"](<img onerror=alert(1) src=x>.png)": "is not shown",
    "![x](%00)": "it is outside the project",
}  # fmt: skip


@pytest.mark.parametrize("link", NOT_SHOWN)
def test_what_cannot_be_shown_is_named_with_chapter_and_cell(project, tmp_path, capsys, link):
    folder = tmp_path / "notebooks"
    (folder / "figures").mkdir()
    (tmp_path.parent / "outside.png").write_bytes(png())
    for name, content in {
        "text.png": b"text",
        "cut.png": png(size=(300, 300))[:200],
        "empty.png": b"",
        "bad.svg": b"<svg",
        "page.svg": b"<html/>",
    }.items():
        (folder / name).write_bytes(content)
    report = project(markdown(f"Before {link} after.", "the-cell"))
    page = checked(html(report))
    assert page.sources == [] and "isnotshown:" in page.text and "after." in page.text
    assert "is not shown: " in typst_of(report) and pdf.pdf(report)
    report.found.tell()
    said = capsys.readouterr().err
    assert said.startswith("note: chapter 01_data, cell 'the-cell': picture ") and NOT_SHOWN[link] in said
    assert said.count("\n") == 1


def test_a_picture_fits_its_column_and_its_page(project):
    report = project(
        *(
            markdown(f"![x]({data_uri(png(size=size), 'image/png')})")
            for size in [(40, 20), (2000, 100), (30, 3000)]
        )
    )
    sizes = re.findall(r'#box\(image\("picture-[^)]*alt: "x", ([^)]*)\)\)', typst_of(report))
    assert sizes == ["width: 30.0pt", "width: 100%", "height: 640pt"]


def test_a_changed_picture_makes_the_report_stale(fake_report, tmp_path):
    (tmp_path / "notebooks" / "a b.png").write_bytes(png())
    write(
        fake_report.folder / "notebooks",
        "01_data",
        {"cells": [markdown("![x](a%20b.png) <img src='a b.png'> ![y](none.png) [l](01_data.ipynb)")]},
    )
    before = plan.Build(fake_report).inputs(plan.REPORT)
    (tmp_path / "notebooks" / "a b.png").write_bytes(png("blue"))
    after = plan.Build(fake_report).inputs(plan.REPORT)
    assert {name for name in after if after[name] != before.get(name)} == {"notebooks/a b.png"}


# Links


def test_links_lead_into_the_report_to_the_web_or_nowhere(project):
    report = project(
        markdown("## Noise of *pairs*\n\n[a](#Noise-of-pairs) [b](#noise-of-pairs) [c](#nowhere) [d](02_networks.ipynb) [e](02_networks.ipynb#Part)"),
        markdown("## Noise of pairs\n\n[f](javascript:alert(1)) [g](data:text/html,x) [h](other.ipynb) [i](https://a.org) [j](mailto:a@b.org) [k](#claims)"),
    )  # fmt: skip
    page = html(report)
    checked(page)
    found = {words: link for link, words in re.findall(r'<a href="([^"]*)"[^>]*>([a-k])</a>', page)}
    assert found == {
        "a": "#noise-of-pairs",
        "b": "#noise-of-pairs",
        "d": "#networks",
        "e": "#part",
        "i": "https://a.org",
        "j": "mailto:a@b.org",
        "k": "#claims",
    }
    assert typst_of(report).count("#link(<") == 5 and pdf.pdf(report)


# What a cell displays on its own

FRAME = """<div><style scoped>.dataframe tbody tr th { vertical-align: top; }</style><table border="1" class="dataframe"><thead>
<tr style="text-align: right;"><th></th><th>name</th><th>psnr</th></tr></thead><tbody>
<tr><th>0</th><td>TNet &lt;b&gt;</td><td>25.3</td></tr><tr><th>1</th><td>UNet</td><td>-1.5</td></tr></tbody></table><p>2 rows × 2 columns</p></div>"""


def test_a_readers_own_outputs_are_in_both_documents(project):
    base = base64.b64encode(png()).decode()
    report = project(
        code(displayed({"image/png": base + "\n", "text/plain": "<Figure size 640x480 with 1 Axes>"}, **{"image/png": {"width": 20}}), cell="plot"),
        code(displayed({"image/svg+xml": [SVG], "image/png": base, "text/plain": "stub"})),
        code(displayed({"text/html": FRAME, "text/plain": "   name  psnr"})),
        code(displayed({"text/markdown": "A **strong** word.py and $x^2$", "text/plain": "<Markdown object>"})),
        code(displayed({"text/latex": "$\\displaystyle \\frac{a}{b}$", "text/plain": "<Math object>"}), displayed({"text/latex": "\\begin{align}u\\end{align}"})),
        code(displayed({"text/html": "<b onclick='x()'>bold</b><script>alert(1)</script><iframe src='https://a.org'></iframe><img src='https://a.org/x.png'>"}), cell="html"),
        code({"output_type": "execute_result", "data": {"text/plain": "'a <b> value'"}, "metadata": {}, "execution_count": 1},
             {"output_type": "stream", "name": "stdout", "text": ["printed\n", "  5%|█\r100%|██ done\n", "\x1b[31mred\x1b[0m\n"]},
             {"output_type": "stream", "name": "stderr", "text": "x.py:3: UserWarning: careful\n 50%|█████     | 5/10 [00:01<00:01, 5.00it/s]\n"},
             {"output_type": "stream", "name": "stderr", "text": "plain progress 3 of 4\n"},
             {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["\x1b[0;31mValueError\x1b[0m: no <i>way</i>"]}),
    )  # fmt: skip
    page, source = html(report), typst_of(report)
    seen = checked(page)
    assert pdf.pdf(report) and len(seen.sources) == 2
    assert source.count('#box(image("picture-') == 2 and ", width: 15.0pt" in source
    for words in [
        "TNet<b>",
        "25.3",
        "\u22121.5",
        "2rows×2columns",
        "Astrongword.py",
        "bold",
        "'a<b>value'",
        "printed",
        "done",
        "red",
        "UserWarning:careful",
        "ValueError:no<i>way</i>",
    ]:
        assert words in seen.text, words
    for words in [
        "stub",
        "Figuresize",
        "object>",
        "dataframe",
        "alert",
        "5.00it/s",
        "plainprogress",
        "\x1b",
        "5%|",
    ]:
        assert words not in seen.text, words
    for words in ["TNet \\<b\\>", "25.3", "#strong[strong]; word.py", "$x^2$", "a / b", "#strong[bold]"]:
        assert words in source, words
    assert "TNet" in page[page.index("<table") : page.index("</table>")] and page.count("<table") == 1
    assert report.found.problems == ["chapter 01_data, cell 'html': picture 'https://a.org/x.png' is not shown: it is on a server, and a report loads nothing: "
                                     "save it beside the notebook and link to the file."]  # fmt: skip


def test_widgets_and_progress_bars_never_appear(project):
    view = {"model_id": "1", "version_major": 2, "version_minor": 0}
    report = project(code(
        displayed({"application/vnd.jupyter.widget-view+json": view, "text/plain": "IntSlider(value=3)"}),
        displayed({"application/vnd.jupyter.widget-view+json": view, "text/plain": "  0%|          | 0/10 [00:00<?, ?it/s]"}),
        displayed({"text/html": "<div><progress value='3' max='10'></progress> 30%</div>", "text/plain": "Progress 30%"})))  # fmt: skip
    page = checked(html(report))
    assert not re.search(r"IntSlider|0/10|30%|Progress", page.text) and not re.search(
        "IntSlider|30%", typst_of(report)
    )
    assert report.found.problems == []


def test_html_that_needs_scripts_is_shown_as_text_and_named(project):
    report = project(
        code(
            displayed(
                {
                    "text/html": "<div id='plot'></div><script>Plotly.newPlot()</script>",
                    "text/plain": "Figure({'data': 1})",
                }
            ),
            cell="plotly",
        )
    )
    assert "Figure({'data':1})" in checked(html(report)).text and "Figure({'data': 1})" in typst_of(report)
    assert report.found.problems == [
        "chapter 01_data, cell 'plotly': an output is only shown as text, because its HTML shows nothing without scripts."
    ]


@pytest.mark.parametrize(
    "text, printed",
    [
        ("Plain, é, −1, 10 °C, α", "Plain, é, −1, 10 °C, α"),
        ("😀 ☃ ✓ עברית العربية Ж", "😀 ☃ ✓ עברית العربية Ж"),  # DejaVu Sans has them
        ("🚀漢", "[rocket][cjk unified ideograph-6f22]"),
        ("👩\u200d🔬", "[woman]\u200d[microscope]"),
        ("e\u0301\u00a0\ufe0f", "e\u0301\u00a0\ufe0f"),  # marks and spaces need no glyph of their own
    ],
)
def test_a_character_without_a_font_is_replaced_by_its_name(text, printed):
    assert typeset.printable(text) == printed


def test_a_wide_table_gets_the_width_of_the_page(project):
    head = "".join(f"<th>column {i}</th>" for i in range(9))
    report = project(
        code(displayed({"text/html": f"<table><tr>{head}</tr><tr>{head.replace('th>', 'td>')}</tr></table>"}))
    )
    assert "#tabular(none, wraps: false)[" in typst_of(report) and pdf.pdf(report)
    assert re.search(r'<div class="scroll" tabindex="0" [^>]*>\n<table', html(report))


# One failure costs one cell, or one document


def test_what_typst_refuses_costs_one_equation_or_one_cell(project, monkeypatch, capsys):
    """As if pandoc wrote invalid Typst: for an equation, for a word, and for two cells that only fail together."""
    pandoc_writes = pandoc.write

    def write_badly(parts, to):
        texts = pandoc_writes(parts, to)
        return [
            t.replace("BAD", "#panic()")
            .replace("TWICE", "#metadata(1)<twice>#link(<twice>)[x]")
            .replace("$b a d$", "$#panic()$")
            for t in texts
        ]

    monkeypatch.setattr(pandoc, "write", write_badly)
    cells = [markdown("Fine **before** [to](#other)", "fine"), markdown("Good $x$ and $bad$ kept", "equation"), markdown("Some BAD `word`", "word"),
             markdown("TWICE", "first"), markdown("TWICE *again*", "second"), markdown("## Other\n\nFine after", "after")]  # fmt: skip
    report = project(*cells)
    assert pdf.pdf(report).startswith(b"%PDF")
    assert report.found.problems == [
        "chapter 01_data, cell 'equation': report.pdf shows an equation as TeX, because Typst refuses it: bad",
        "chapter 01_data, cell 'word': Typst refuses it, so that report.pdf shows it as it was written.",
        "chapter 01_data, cell 'first': Typst refuses it, so that report.pdf shows it as it was written.",
    ]


@pytest.mark.parametrize("fails, other", [("html", "report.pdf"), ("pdf", "report.html")])
def test_one_document_does_not_cost_the_other(project, fake_report, monkeypatch, capsys, fails, other):
    project(markdown("![x](missing.png)", "the-cell"))

    def failing(_):
        raise RuntimeError("a reason")

    monkeypatch.setattr(render, fails, failing)
    with pytest.raises(ReportError, match=rf"^report.{fails} cannot be written: RuntimeError: a reason$"):
        render.render(fake_report)
    assert fake_report.file(other).stat().st_size > 1000 and not fake_report.file(f"report.{fails}").exists()
    assert "cell 'the-cell': picture 'x' is not shown" in capsys.readouterr().err


def test_a_cell_that_pandoc_cannot_read_is_shown_as_it_is_written(project, monkeypatch):
    pandoc_reads = pandoc.read
    monkeypatch.setattr(
        pandoc,
        "read",
        lambda texts: [
            None if "SLOW" in text else tree_
            for (_, text), tree_ in zip(texts, pandoc_reads(texts), strict=True)
        ],
    )
    report = project(markdown("SLOW *x*.y", "slow"), markdown("kept"))
    assert "SLOW*x*.y" in checked(html(report)).text and pdf.pdf(report)
    assert report.found.problems == [
        "chapter 01_data, cell 'slow': pandoc cannot read it, so that it is shown as it is written."
    ]


def test_a_text_that_takes_too_long_costs_no_other(monkeypatch):
    pandoc_runs = pandoc.run

    def run(words, text, seconds):
        if "SLOW" in text:
            raise ReportError("pandoc did not finish")
        return pandoc_runs(words, text, seconds)

    monkeypatch.setattr(pandoc, "run", run)
    assert [
        read and tree.plain(read)
        for read in pandoc.read([("markdown", "one"), ("markdown", "SLOW"), ("markdown", "two")])
    ] == ["one", None, "two"]


# The pinned programs


@pytest.fixture
def other_programs(tmp_path, monkeypatch):
    """A pandoc on PATH that fails, and a reader's own templates, defaults, filters, fonts and variables."""
    home = tmp_path / "home"
    for name in ("pandoc", "typst"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(
            "#!/bin/sh\n[ \"$1\" = --version ] && echo 'pandoc 99.9' && exit\necho wrong >&2\nexit 9\n"
        )
        program.chmod(0o755)
    for folder in (home / ".pandoc", home / ".local/share/pandoc", home / "xdg/pandoc"):
        (folder / "templates").mkdir(parents=True)
        (folder / "defaults").mkdir()
        (folder / "defaults.yaml").write_text("to: latex\n")
        for name in ("default.html5", "default.typst", "styles.html"):
            (folder / "templates" / name).write_text("wrong $body$")
        (folder / "init.lua").write_text("error('wrong')")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(home))
    for name, value in {
        "PYPANDOC_PANDOC": tmp_path / "bin/pandoc",
        "XDG_DATA_HOME": home / "xdg",
        "PANDOC_DATA_DIR": home / ".pandoc",
        "LUA_INIT": "error('wrong')",
        "LUA_PATH": str(tmp_path),
        "TYPST_FONT_PATHS": home,
        "TYPST_PACKAGE_PATH": home,
        "SOURCE_DATE_EPOCH": "1",
        "GHCRTS": "-M1m",
        "LC_ALL": "C",
    }.items():
        monkeypatch.setenv(name, str(value))  # fmt: skip


def test_a_readers_own_pandoc_and_settings_have_no_effect(project, request):
    cells = (markdown("# Ünïcode **a**.b $x^2$\n\n```python\nx = 1\n```"),)
    report = project(*cells)
    before = html(report), pdf.pdf(report)
    request.getfixturevalue("other_programs")
    report = project(*cells)
    assert (html(report), pdf.pdf(report)) == before
    assert pandoc.program().parent.name == "files"


def test_without_its_pandoc_the_report_says_what_to_install(monkeypatch):
    monkeypatch.setattr(pandoc, "find_spec", lambda name: None)
    pandoc.program.cache_clear()
    with pytest.raises(ReportError, match="run `pip install pypandoc_binary`"):
        pandoc.program()
    pandoc.program.cache_clear()


def test_a_readers_chapter_from_its_notebook_to_both_documents(fake_report, tmp_path, monkeypatch):
    """Executed by papermill: IPython's syntax, a plot, a table, a widget, an attachment and a link."""
    monkeypatch.delenv("MPLBACKEND", raising=False)
    base = base64.b64encode(png()).decode()
    own = notebook(
        ("markdown", "# Mine\n\n![pasted](attachment:image.png) See **model**.py"),
        (
            "code",
            "%matplotlib inline\nimport matplotlib.pyplot as plt\nimport pandas as pd\nwords = !echo shelled\nwords",
        ),
        ("code", "if True:\n    !echo indented\n    plt.plot([1, 2])\n    plt.show()"),
        ("code", "%%bash\necho bashed"),
        ("code", "%%html\n<b onclick='x'>bold</b>"),
        ("code", "pd?"),
        (
            "code",
            "%time x = 1\nimport asyncio\nawait asyncio.sleep(0)\npd.DataFrame({'name': ['a'], 'psnr': [25.5]})",
        ),
        ("code", "from tqdm.auto import tqdm\nfor i in tqdm(range(3)): pass"),
    )
    own["cells"][0]["attachments"] = {"image.png": {"image/png": base}}
    write(tmp_path / "notebooks", "08_mine", own)
    write(tmp_path / "notebooks", "01_data-Copy1", notebook(("code", "raise ValueError")))
    assert run.make(fake_report)
    page = checked(fake_report.file("report.html").read_text())
    assert page.sources.count(f"data:image/png;base64,{base}") == 1
    assert len(page.sources) == 4  # the pasted picture, the plot, and the two figures of the other chapters
    for words in ("shelled", "indented", "bashed", "bold", "25.5", "Seemodel.py"):
        assert words in page.text[page.text.index("Mine", 200) :], words
    assert "3/3" not in page.text and fake_report.file("report.pdf").read_bytes().startswith(b"%PDF")
    assert not any(plan.Build(fake_report).steps().values())
