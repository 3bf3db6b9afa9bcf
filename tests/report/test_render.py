"""The two documents: self-contained, complete, numbered alike, and the same bytes from the same chapters."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser

import pytest
from fake_chapters import TABLE, WIDE, write
from fake_outputs import CHAPTERS, code, executed, figure, ledger, shown, table, text, typst_of
from PIL import Image, ImageChops

from n2nlib.errors import ReportError
from n2nlib.report import blocks, document, pandoc, pdf, pictures, plan, tree, typeset
from n2nlib.report.html import _without_dead_links, html
from n2nlib.report.pandoc import DIALECT

#: A page of one blue square, small enough to write by hand.
PDF = (
    b"%%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d 100]/Contents 4 0 R/Resources<<>>>>endobj\n"
    b"4 0 obj<</Length 31>>stream\n0 0 1 rg 10 10 80 80 re f       \nendstream endobj\ntrailer<</Root 1 0 R>>\n%%%%EOF\n"
)


def convert(text: str, to: str) -> str:
    """Return Markdown as one of the two documents has it."""
    return pandoc.write(pandoc.read([(DIALECT, text)]), to)[0]


@pytest.fixture
def report(fake_report):
    """The settings of a report whose chapters have been executed."""
    executed(fake_report)
    fake_report.figures.mkdir(parents=True)
    for name, width in [("narrow", 240), ("wide", 497)]:
        (fake_report.figures / f"{name}.pdf").write_bytes(PDF % width)
    return fake_report


def test_a_section_that_only_says_what_is_missing_is_left_out(fake_report):
    missing = code("study.absent('...')", shown("absent", {"text/markdown": "**Not run.**"}))
    write(fake_report.folder / "notebooks", "02_networks", {"cells": [
        text("# Networks\n\nIntroduction."), text("## Made\n\nWords."), code("x", table("models", TABLE)), missing,
        text("## Missing\n\nPromises."), missing, text("### Small print"), code("say", shown("prose", {"text/markdown": "Kept."})),
    ]})  # fmt: skip
    for name in ("01_data", "07_report"):
        write(fake_report.folder / "notebooks", name, {"cells": CHAPTERS[name][:1]})
    words = " ".join(
        tree.plain(block.blocks)
        for block in document.read(fake_report).blocks()
        if isinstance(block, document.Prose)
    )
    assert "Promises" not in words and "Small print" in words
    assert words.count("Missing") == 1 and "Not run at this size, and left out here: Missing." in words
    assert all(kept in words for kept in ("Not run.", "Kept.", "NetworksIntroduction."))


@pytest.fixture
def page(report):
    return html(document.read(report))


class Loads(HTMLParser):
    """Collects what a browser would fetch, and whether every tag that must be closed is."""

    VOID = {"meta", "link", "img", "br", "hr", "input", "col"}

    def __init__(self):
        super().__init__()
        self.fetched, self.open = [], []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag in ("iframe", "object", "embed"):
            self.fetched.append(tag)
        wanted = attributes.get("src") or (attributes.get("href") if tag == "link" else None)
        if wanted and not wanted.startswith("data:"):
            self.fetched.append(wanted)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass


def test_html_needs_nothing_else(page):
    loads = Loads()
    loads.feed(page)
    assert loads.fetched == []
    assert loads.open == []
    assert not re.search(r"url\(\s*['\"]?(?!data:)|@import", page)


def test_html_allows_its_own_script_alone(page):
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy


def test_html_shows_everything_in_its_place(page):
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page[page.index("<main") :]))
    order = ["A thin denoiser", "In short: it works.", "Headline", "Table 1. The", "1 Data", "Figure 1. The", "20.72", "2 Networks",
             "Table 2. The", "Figure 2. The", "3 Claims", "Table 3. The", "How this report was made", "0123456789abcdef"]  # fmt: skip
    places = [plain.replace("Dataset", "").index(what) for what in order]
    assert places == sorted(places)
    assert page.count("<math") == 8  # two in prose, one in each figure's caption, two in each small table
    assert "a progress bar" not in page and "*Figure narrow.*" not in page and "commit abc" not in page


def test_html_folds_code_and_what_it_printed(page):
    folded = re.findall(r"<details.*?</details>", page, re.DOTALL)
    assert len(folded) == 8  # each cell of CHAPTERS, since outputs stand between them
    assert "secret detail" in folded[2] and "secret detail" not in page.replace(folded[2], "")
    assert "open" not in re.findall(r"<details([^>]*)>", page)[0]


def test_each_figure_and_table_says_how_to_make_it_again(page):
    assert page.count("make report PROFILE=smoke DATASET=bundled CHAPTER=02") == 2
    assert page.count("CHAPTER=07") == 2


def test_pdf_leaves_code_out_and_numbers_as_the_page_does(report):
    source = typst_of(document.read(report))
    assert "secret detail" not in source and "import numpy" not in source
    assert (
        source.index("The headline table.")
        < source.index("The models table.")
        < source.index("The claims table.")
    )
    assert '#picture(<figure-wide>, "figure2.pdf", 497.0pt)' in source
    assert '#picture(<figure-narrow>, "figure1.pdf", 240.0pt)' in source
    assert "#tabular(<table-models>, wraps: false)" in source
    assert "#tabular(<table-claims>, wraps: true)" in source


def placed(text: str) -> str:
    """Return the Typst of a table of the report."""
    (block,) = blocks.parsed([document.Table("t", "T.", text=text)], [{}], document.Found())
    return typeset.written([block], document.Found(), {})[0]


def test_long_cells_share_what_the_page_has_left():
    """Numbers keep their width; of two texts the four times longer one gets twice the room."""
    table = (
        "| claim | why | ours |\n| :-- | :-- | --: |\n| " + "long " * 20 + "| " + "short " * 4 + "x| 1.00 |\n"
    )
    assert "columns: (62.5%, 32.3%, auto)," in placed(table)
    assert "columns: 2," in placed("| a | b |\n| :-- | --: |\n| x | 1 |\n")


#: Asks Typst where it has put figures, links and headings: (name or level, page[, points from the page's
#: top]).
WHERE = """
#context [#metadata((
  shown: query(figure).map(it => (str(it.label), it.location().page())),
  links: query(link).filter(it => type(it.dest) == label).map(it => (str(it.dest), it.location().page())),
  headings: query(heading).map(it => (it.level, it.location().page(), it.location().position().y / 1pt)),
)) <where>]
"""


def places(document_, root) -> dict:
    """Return where things stand in the PDF of a document."""
    pdf.Paper(document_).save(root)
    main = root / "main.typ"
    main.write_text(main.read_text() + WHERE)
    found = pdf.typst.query(main, "<where>", field="value", one=True, root=root, ignore_system_fonts=True)
    return json.loads(found)


def test_pdf_shows_each_figure_and_table_beside_its_reference(report, tmp_path):
    """Also where wide figures fill the pages: each is on the page of its reference or on the next."""
    cells = [text("# Data")]
    for i in range(12):
        (report.figures / f"wide{i}.pdf").write_bytes(PDF % 497)
        cells += [text(f"## Part {i}\n\n{'Long words of this part. ' * 60}"), code("x", figure(f"wide{i}"))]
    write(report.folder / "notebooks", "01_data", {"cells": cells})
    found = places(document.read(report), tmp_path)
    referred = {}
    for name, page in found["links"]:
        referred.setdefault(name, page)
    assert len(found["shown"]) == 16
    assert [(name, page) for name, page in found["shown"] if page - referred[name] not in (0, 1)] == []
    assert found["shown"][-1][1] > 2
    assert max(y for _, _, y in found["headings"]) < 760  # of 842: at least two lines follow each


def test_pdf_names_its_title_and_authors(report, tmp_path):
    (tmp_path / "CITATION.cff").write_text(
        "authors:\n  - name: A Group\n  - {given-names: Jo, family-names: Doe}\n"
    )
    made = pdf.pdf(document.read(report))
    assert b"/Title(A thin denoiser, done again)/Author(A Group, Jo Doe)" in made
    assert len(re.findall(rb"/Subtype\s*/Link", made)) == 10


def test_pdf_is_the_same_bytes_twice(report):
    first = pdf.pdf(document.read(report))
    assert first == pdf.pdf(document.read(report))
    assert first.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", first)) >= 1


def test_a_chapter_that_was_not_executed_is_named(report):
    report.file("notebooks/02_networks.ipynb").unlink()
    with pytest.raises(
        ReportError,
        match="chapter 02_networks was not executed: run `make report PROFILE=smoke DATASET=bundled`",
    ):
        document.read(report)


def test_markdown_is_read_as_jupyter_reads_it():
    page = convert("# A\ntext\n- one\n- two\n## B\nab~c~ 2^10 ~5 @name\n\n---\n\nend", "html5")
    assert page.count("<li>") == 2 and "<h2" in page and "<hr" in page
    assert "<sub>" not in page and "<sup>" not in page and "@name" in page


def test_a_long_table_line_keeps_its_natural_width():
    assert "colgroup" not in convert(WIDE, "html5")


def test_a_file_that_is_no_pdf_is_named(tmp_path):
    (tmp_path / "x.pdf").write_bytes(b"not one")
    with pytest.raises(ReportError, match="x.pdf is not a PDF"):
        typeset.page_width(tmp_path / "x.pdf")


def test_state_and_notebooks_alone_make_the_documents(report):
    """Rendering reads files only: no chapter is executed, nothing is trained."""
    assert json.loads(report.file("notebooks/01_data.ipynb").read_text())["cells"]
    assert plan.Build(report).made == {}
    assert html(document.read(report))


@pytest.mark.parametrize("to", ["html5", "typst"])
def test_negative_numbers_have_a_minus_sign(to):
    """In prose and tables; code, equations, exponents and spans of numbers are left as they are."""
    text = convert("TNet -8.98 [-9.59, -8.37] dB at 1e-4, 2-3, `-5`\n\n| a |\n| --: |\n| -0.31 |\n", to)
    for minus in ("−8.98", "−9.59", "−8.37", "−0.31"):
        assert minus in text
    for kept in ("1e-4", "2-3", "-5"):
        assert kept in text


@pytest.mark.parametrize("to, space", [("html5", "\u00a0"), ("typst", "~")])
def test_an_interval_stays_on_one_line(to, space):
    text = convert(
        "TNet [-9.59, -8.37] dB, [a, b], `[1, 2]`\n\n| a |\n| --: |\n| +0.31 [+0.20, +0.42] |\n", to
    )
    assert f"−9.59,{space}−8.37" in text and f"+0.20,{space}+0.42" in text
    assert "a, b" in text and "[1, 2]" in text


def test_alternative_text_says_what_is_seen_and_the_caption_is_kept(report):
    seen = figure("narrow")
    seen["metadata"]["n2n"]["alt"] = 'A curve that rises to "25.3" dB.'
    executed(report, {"02_networks": [code("x", seen)]})
    page = html(document.read(report))
    images = re.findall(r'<img alt="([^"]*)"', page)
    assert images[-1] == "A curve that rises to &quot;25.3&quot; dB."
    assert images[0].startswith("The *narrow* figure")  # a notebook executed before figures had one


def test_claims_lead_to_their_evidence_and_back(report):
    executed(report, {"07_report": ledger(report)})
    page = html(document.read(report))
    row = re.search(r'<tr id="claim-order".*?</tr>', page, re.DOTALL)[0]
    assert 'href="#table-models" aria-label="Table 2: order">Table 2</a>' in row
    assert 'href="#code-table-models"' in row
    assert '<span class="verdict" data-verdict="contradicted">contradicted</span>' in row
    assert 'data-verdict="no-run"' in page  # a verdict of any name is shown
    models = re.search(r'<figure class="table" id="table-models".*?</figure>', page, re.DOTALL)[0]
    assert '<a href="#claim-order">TNet outperforms UNet.</a>' in models and "claim-order-cited" not in models
    fold = re.search(r'<details class="code">(?:(?!</details>).)*id="code-table-models"', page, re.DOTALL)
    assert fold and 'id="claim-adam"' in page
    targets = set(re.findall(r'\bid="([^"]*)"', page))
    assert set(re.findall(r'href="#([^"]*)"', page)) <= targets
    assert typst_of(document.read(report)).count("contradicted") == 1  # the tree is not shared


def test_a_link_without_a_target_becomes_text_and_is_named(report):
    found = document.read(report)
    page = _without_dead_links('<p id="a"><a href="#a">A</a> <a href="#b"><b>B</b></a></p>', found)
    assert page == '<p id="a"><a href="#a">A</a> <b>B</b></p>'
    assert "the link to #b has no target" in found.found.problems[-1]


def test_the_summary_is_set_apart(report):
    summary = [
        text("## Reproducibility summary", "front"),
        text("### Scope\n\nWords."),
        text("## After\n\nMore."),
    ]
    executed(report, {"07_report": summary})
    section = re.search(r'<section class="summary">(.*?)</section>', html(document.read(report)), re.DOTALL)[
        1
    ]
    assert "Words." in section and "More." not in section and '<h3 id="scope">' in section


def test_a_table_header_is_not_empty(report):
    executed(report, {"01_data": [code("x", table("blank", "|  | a |\n| :-- | --: |\n| b | 1 |\n"))]})
    page = html(document.read(report))
    assert not re.search(r"<th[^>]*>\s*</th>", page) and re.search(r'<td style="[^"]*"></td>\s*<th', page)


def test_a_plot_is_the_same_to_the_pixel_on_the_page():
    plot = Image.new("RGB", (400, 200), "white")
    plot.paste((0, 114, 178), (20, 20, 380, 24))
    png = io.BytesIO()
    plot.save(png, "PNG")
    picture = pictures.for_page(png.getvalue())
    assert (picture.media, picture.width, picture.height) == ("image/webp", 400, 200)
    assert len(picture.content) < len(png.getvalue())
    assert (
        ImageChops.difference(Image.open(io.BytesIO(picture.content)).convert("RGB"), plot).getbbox() is None
    )
