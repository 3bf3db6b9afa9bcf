"""One dialect of Markdown for both documents: what Jupyter shows, read by pandoc the same way."""

from __future__ import annotations

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
