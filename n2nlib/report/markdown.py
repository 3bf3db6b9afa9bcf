"""One dialect of Markdown for both documents: what Jupyter shows, read by pandoc the same way."""

from __future__ import annotations

import re

#: Jupyter's habits (lists and headings without a blank line before them), and nothing unexpected.
DIALECT = (
    "markdown+lists_without_preceding_blankline+autolink_bare_uris+tex_math_double_backslash"
    "-blank_before_header-blank_before_blockquote-yaml_metadata_block-pandoc_title_block"
    "-citations-subscript-superscript"
    "-simple_tables-multiline_tables-grid_tables-example_lists-latex_macros"
    "-raw_attribute-implicit_figures-implicit_header_references-fenced_divs"
)


def one_line(text: str) -> str:
    """Return a caption as one paragraph."""
    return " ".join(text.split())


def fenced(text: str) -> str:
    """Return Markdown whose fences of code pandoc reads as JupyterLab does.

    The first word after an opening fence is the language, as in ` ```{r, echo=FALSE} `. The last fence need
    not be closed.
    """
    lines, fence = text.split("\n"), ""
    for i, line in enumerate(lines):
        found = re.match(r"( {0,3})(`{3,}|~{3,})(.*)", line)
        if not found:
            continue
        indent, marks, words = found.groups()
        if not fence and not (marks[0] == "`" and "`" in words):
            fence = marks
            language = re.search(r"[\w+#-]+", words.split()[0] if words.split() else "", re.ASCII)
            lines[i] = f"{indent}{marks}{language[0] if language else ''}"
        elif fence and marks.startswith(fence) and not words.strip():
            fence = ""
    return "\n".join([*lines, fence, ""] if fence else lines)
