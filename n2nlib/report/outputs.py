"""Outputs that a cell makes without `Study`, in a form that both documents can show.

Pictures stay pictures, HTML tables become tables, text stays text. Widgets and progress bars are left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from n2nlib.report import pictures, tree
from n2nlib.report.content import Found, Where
from n2nlib.report.pandoc import DIALECT
from n2nlib.report.tree import Node, nodes, plain

PICTURES = ("image/svg+xml", "image/png", "image/jpeg", "image/gif", "image/webp")
#: Outputs for the screen only; their text is a stub such as "IntSlider(value=3)".
WIDGETS = ("application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json")
#: A line that a progress bar wrote, and the beginning of one that reports a warning or an error.
PROGRESS = re.compile(r"\r|\d+%\|| (it|s|B|[kMG]B)/(s|it)\b|[█▏▎▍▌▋▊▉]")
WARNING = re.compile(r"\b\w*(Warning|Error|Exception)\b")
#: A cell of a column of numbers.
NUMBER = re.compile(r"[+\u2212-]?[\d,.]*\d(e[+\u2212-]?\d+)?%?|NaN|nan|–|\.\.\.|")
COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")


@dataclass(frozen=True)
class Shown:
    """One output: text for the fold of its cell, or a text to be read in `form`, or blocks that are ready.

    `instead` is the plain text that takes the place of HTML that shows nothing without scripts.
    """

    printed: str = ""
    text: str = ""
    form: str = ""
    blocks: tuple[Node, ...] = ()
    instead: str = ""


def shown(output: dict, where: Where, found: Found) -> Shown:
    """Return the richest form of an output that both documents have.

    The order is picture, Markdown, TeX, HTML, text.
    """
    if output["output_type"] == "stream":
        words = text(output["text"])
        return Shown(printed=_terminal(words if output["name"] == "stdout" else _warnings(words)))
    if output["output_type"] == "error":
        return Shown(
            printed=_terminal(
                "\n".join(output.get("traceback") or [f"{output['ename']}: {output['evalue']}"])
            )
            + "\n"
        )
    data = output.get("data", {})
    words = _terminal(text(data.get("text/plain", "")))
    if any(kind in data for kind in WIDGETS):
        return Shown()
    for kind in PICTURES:
        if kind in data:
            try:
                return Shown(text=words, blocks=(_picture(output, kind, found),))
            except pictures.NotShown as reason:
                found.problem(where, f"its {kind} output is not shown: {reason}.")
    if "text/markdown" in data:
        return Shown(text=text(data["text/markdown"]), form=DIALECT, instead=words)
    if "text/latex" in data:
        return Shown(text=_tex(text(data["text/latex"])), form=DIALECT, instead=words)
    if "text/html" in data:
        page = text(data["text/html"])
        if re.search(r"<progress\b", page) and not re.search(r"<table\b|<img\b", page):
            return Shown()
        return Shown(text=page, form="html", instead=words)
    return Shown(printed=words)


def text(lines: str | list[str]) -> str:
    """Return a text that a notebook's JSON may hold as its lines."""
    return lines if isinstance(lines, str) else "".join(lines)


def read(output: Shown, blocks: list[Node], where: Where, found: Found) -> list[Node]:
    """Return the blocks of an output that was read as HTML or Markdown, or its text if nothing is left."""
    if not plain(blocks).strip() and not any(node["t"] == "Image" for node in nodes(blocks)):
        if not output.instead.strip():
            return []
        found.problem(
            where, "an output is only shown as text, because its HTML shows nothing without scripts."
        )
        return [tree.code_block(output.instead.strip(), "printed")]
    if output.form == "html":
        for node in nodes(blocks):
            if node["t"] == "Table":
                _numbers_right(node)
    return blocks


def _picture(output: dict, kind: str, found: Found) -> Node:
    picture = pictures.from_output(kind, output["data"][kind])
    found.pictures[picture.name] = picture
    size = output.get("metadata", {}).get(kind) or {}
    pairs = [
        [name, f"{size[name]}px"]
        for name in ("width", "height")
        if isinstance(size, dict) and isinstance(size.get(name), int)
    ]
    return tree.para(
        {"t": "Image", "c": [["", [], pairs], tree.words("Output of the cell above"), [picture.name, ""]]}
    )


def _tex(source: str) -> str:
    """Return TeX as Markdown: in dollar signs unless it has some or is an environment."""
    source = source.strip()
    return source if source.startswith(("$", "\\begin", "\\(", "\\[")) or "$" in source else f"$${source}$$"


def _terminal(words: str) -> str:
    """Return a text as a terminal shows it: without colour codes and overwritten lines."""
    lines = COLOUR.sub("", words).split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


def _warnings(words: str) -> str:
    """Return warnings and errors of stderr; progress is left out."""
    lines = [line for line in words.splitlines() if not PROGRESS.search(line)]
    return "\n".join(lines) + "\n" if any(WARNING.search(line) for line in lines) else ""


def _numbers_right(table: Node) -> None:
    """Set columns of numbers to the right where nothing else is asked for."""
    rows = [row for _, _, _, body in table["c"][4] for _, row in body]
    for i, column in enumerate(table["c"][2]):
        texts = [plain(row[i][4]).strip() for row in rows if len(row) == len(table["c"][2])]
        if texts and column[0]["t"] == "AlignDefault" and all(NUMBER.fullmatch(t) for t in texts):
            column[0] = {"t": "AlignRight"}
