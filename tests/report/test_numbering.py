"""One numbering for both documents: sections, figures and tables, the references to them, and the appendix."""

from __future__ import annotations

import re

import pytest
from fake_chapters import TABLE, write
from fake_outputs import typst_of
from test_render import PDF, code, figure, table, text

from n2nlib.report import document, pdf
from n2nlib.report.blocks import Prose, Shown, trees
from n2nlib.report.html import html
from n2nlib.report.tree import nodes, plain


def tagged(cell: dict, *tags: str) -> dict:
    return cell | {"metadata": {"tags": list(tags)}}


CHAPTERS = {
    "01_data": [
        text("# 01 · Data\n\n**Question.** Why?\n**Takes** a minute. **Writes** table `a`.\n\nThe ledger of chapter 07."),
        text("## Noise\n\nIts sizes, as Figure `noise` shows (and Tables `a` and `b`):"),
        code("f", figure("noise")),
        code("t", table("a", TABLE), table("b", TABLE)),
        tagged(code("t", table("layers", TABLE)), "appendix"),
        text("## Other noise\n\nMore, see chapter 02.", "appendix"),
        code("f", figure("other")),
        text("### Small print\n\nOf the other noise."),
        text("## Last\n\n- a list"),
        code("t", table("c", TABLE)),
    ],
    "02_networks": [text("# 02 · Networks\n\nThey are `noise`, not Figure `none`, nor figure `noise`.")],
    "07_report": [
        text("# Title\n\nThe contract."),
        text("## Abstract\n\nIn short.", "abstract"),
        text("## Front\n\n### Scope", "front"),
        text("### Method"),
        code("t", table("headline", TABLE)),
        text("## Claims\n\nOf chapter 01, and [Section](#the-ledger)."),
        text("## The ledger", "appendix"),
        code("t", table("ledger", TABLE)),
        text("## References\n\nOne."),
    ],
}  # fmt: skip


@pytest.fixture
def report(fake_report):
    for name, cells in CHAPTERS.items():
        write(fake_report.folder / "notebooks", name, {"cells": cells})
    fake_report.figures.mkdir(parents=True)
    for name in ("noise", "other"):
        (fake_report.figures / f"{name}.pdf").write_bytes(PDF % 240)
    return document.read(fake_report)


def headings(blocks) -> list[str]:
    return [
        plain(node["c"][2])
        for block in blocks
        if isinstance(block, Prose)
        for node in block.blocks
        if node["t"] == "Header"
    ]


def paragraphs(blocks) -> list[str]:
    prose = [node for block in blocks if isinstance(block, Prose) for node in block.blocks]
    return [plain(node) for node in prose if node["t"] == "Para"]


def shown(report, name: str) -> Shown:
    return next(block for block in report.blocks() if isinstance(block, Shown) and block.name == name)


def test_sections_are_numbered_and_the_appendix_has_letters(report):
    assert headings(report.opening) == ["Front", "Scope", "Method"]
    assert headings(report.body) == [
        "1 Data", "1.1 Noise", "1.2 Last", "2 Networks", "3 Claims", "References"
    ]  # fmt: skip
    assert headings(report.appendix) == [
        "A Data: further results", "A.1 Other noise", "Small print", "B The ledger"
    ]  # fmt: skip
    assert headings(report.abstract) == []


def test_figures_and_tables_are_numbered_in_the_order_of_the_page(report):
    numbers = [(block.anchor, block.number) for block in report.blocks() if isinstance(block, Shown)]
    assert numbers == [
        ("table-headline", 1), ("figure-noise", 1), ("table-a", 2), ("table-b", 3), ("table-c", 4),
        ("table-layers", 5), ("figure-other", 2), ("table-ledger", 6),
    ]  # fmt: skip


def test_names_become_numbers_and_what_is_not_named_is_named_before_it(report):
    assert paragraphs(report.opening) == ["See Table\u00a01."]
    assert paragraphs(report.body) == [
        "Question. Why?",
        "The ledger of Section\u00a03.",
        "Its sizes, as Figure\u00a01 shows (and Tables 2 and 3) (Table\u00a05):",
        "See Table\u00a04.",
        "Continued in Appendix\u00a0A.1 (Other noise).",
        "They are noise, not Figure none, nor figure noise.",
        "Of Section\u00a01, and Appendix\u00a0B.",
        "Continued in Appendix\u00a0B (The ledger).",
        "One.",
    ]
    assert paragraphs(report.appendix) == [
        "More, see Section\u00a02 (Figure\u00a02).",
        "Of the other noise.",
        "See Table\u00a06.",
    ]
    assert plain(shown(report, "layers").words) == "The layers table. From Section\u00a01.1."


def test_a_tag_moves_a_cell_or_a_whole_section(report):
    moved = [type(block).__name__ for block in report.appendix]
    assert moved == "Prose Table Code Prose Figure Code Prose Prose Prose Table Code".split()


def test_both_documents_have_the_same_numbers_and_links(report):
    page, source = html(report), typst_of(report)
    links = [
        (node["c"][2][0][1:], plain(node["c"][1]))
        for block in report.blocks()
        for part in trees(block)
        for node in nodes(part)
        if node["t"] == "Link"
    ]
    assert ("table-layers", "Table\u00a05") in links and ("the-ledger", "Appendix\u00a0B") in links
    assert len(links) == 15
    for anchor, words in links:
        assert f'href="#{anchor}">{words}</a>' in page
        assert f"#link(<{anchor}>)[{words.replace(chr(160), '~')}" in source
    for words in ["A.1", "Table 5.", "Figure 2."]:
        assert f">{words}</" in page
    assert re.search(r"== A\.1;? Other noise", re.sub(r"#\w+\[|\]", "", source))
    assert pdf.pdf(report).startswith(b"%PDF")
