"""One dialect of Markdown for both documents: what Jupyter shows, read by pandoc the same way."""

from __future__ import annotations

from pathlib import Path

import pypandoc

NUMBERS = Path(__file__).with_name("numbers.lua")

#: Jupyter's habits (lists and headings without a blank line before them), and nothing that would surprise its writer.
DIALECT = (
    "markdown+lists_without_preceding_blankline+autolink_bare_uris"
    "-blank_before_header-blank_before_blockquote-yaml_metadata_block-citations-subscript-superscript"
    "-simple_tables-multiline_tables-grid_tables-example_lists-latex_macros"
)


def convert(text: str, to: str, *arguments: str) -> str:
    """Return Markdown as `html5` or `typst`; tables keep their natural widths however long their lines are.

    Negative numbers get a minus sign, and an interval stays on one line.
    """
    extra = ["--columns=100000", f"--lua-filter={NUMBERS}", *arguments]
    return pypandoc.convert_text(text, to, format=DIALECT, extra_args=extra)


def raw(text: str, to: str) -> str:
    """Return text that pandoc passes through to one format as it is."""
    return f"\n```{{={to}}}\n{text}\n```\n"


def one_line(text: str) -> str:
    """Return a caption as one paragraph."""
    return " ".join(text.split())
