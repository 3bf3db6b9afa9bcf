"""One dialect of Markdown for both documents: what Jupyter shows, read by pandoc the same way."""

from __future__ import annotations

import re

#: Jupyter's habits (lists and headings without a blank line before them), and nothing that would surprise its writer.
DIALECT = (
    "markdown+lists_without_preceding_blankline+autolink_bare_uris+tex_math_double_backslash"
    "-blank_before_header-blank_before_blockquote-yaml_metadata_block-pandoc_title_block-citations-subscript-superscript"
    "-simple_tables-multiline_tables-grid_tables-example_lists-latex_macros"
    "-raw_attribute-implicit_figures-implicit_header_references-fenced_divs"
)


def one_line(text: str) -> str:
    """Return a caption as one paragraph."""
    return " ".join(text.split())


def closed(text: str) -> str:
    """Return Markdown whose last fence of code is closed: JupyterLab reads on to the end of the cell, pandoc does not."""
    fence = ""
    for line in text.splitlines():
        found = re.match(r" {0,3}(`{3,}|~{3,})(.*)", line)
        if not found:
            continue
        if not fence:
            fence = found[1] if found[1][0] == "~" or "`" not in found[2] else ""
        elif found[1].startswith(fence) and not found[2].strip():
            fence = ""
    return f"{text}\n{fence}\n" if fence else text
