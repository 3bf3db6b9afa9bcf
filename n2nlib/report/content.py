"""Sanitises what cells show: only what both documents have, no scripts or handlers.

Raw HTML, TeX and Typst are removed. Pictures become part of the document.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from n2nlib.report import pictures, tree
from n2nlib.report.tree import NO_ATTRIBUTES, Node, nodes, plain, walk

#: Environments of TeX that MathJax shows as an equation without any dollar sign.
EQUATIONS = frozenset(
    "equation align alignat gather multline flalign eqnarray split cases matrix pmatrix bmatrix vmatrix "
    "array".split()
)
#: Classes that mean something to a document. A language of code is one more.
CLASSES = {"task-list", "unnumbered", "details", "summary", "printed"}


@dataclass(frozen=True)
class Where:
    """A cell of a chapter, and its tags."""

    chapter: str
    cell: str
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"chapter {self.chapter}, cell {self.cell!r}"


@dataclass
class Found:
    """Pictures of a report by name, and sentences about what cannot be shown."""

    pictures: dict[str, pictures.Picture] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def problem(self, where: Where | str, text: str) -> None:
        """Note something that is not shown as its writer meant it."""
        sentence = f"{where}: {text}"
        if sentence not in self.problems:
            self.problems.append(sentence)

    def tell(self) -> None:
        """Print what could not be shown, once."""
        for sentence in self.problems:
            print(f"note: {sentence}", file=sys.stderr, flush=True)


def clean(
    blocks: list[Node], where: Where, found: Found, attachments: Mapping[str, Mapping] | None = None
) -> list[Node]:
    """Return sanitised blocks; pictures move into `found`, links are left for `link_up`."""

    def change(node: Node) -> list[Node] | None:
        kind = node["t"]
        if (old := tree.attributes(node)) is not None:
            old[:] = _attributes(old, kind)
        if kind in ("RawInline", "RawBlock"):
            return _raw(node)
        if kind == "Image":
            return _image(node, where, found, attachments or {})
        if kind == "Figure":  # only the project's own figures are numbered
            return [tree.div([*node["c"][2], *node["c"][1][1]])]
        if kind == "Table":
            return _table(node)
        if kind == "Header" and not (plain(node["c"][2]).strip() or _has_picture(node)):
            return []
        if kind == "Cite":
            return node["c"][1]
        return None

    return walk(blocks, change)


def _has_picture(node: Node) -> bool:
    return any(inner["t"] == "Image" for inner in nodes(node))


def _attributes(old: list, kind: str) -> list:
    """Return an element's attributes without what acts, styles or is unknown."""
    name, classes, pairs = old
    if kind in ("Code", "CodeBlock"):
        languages = [c for c in classes if re.fullmatch(r"[A-Za-z][A-Za-z0-9_+#-]{0,30}", c)]
        return ["", [c for c in languages if kind == "CodeBlock" or c not in CLASSES], []]
    sizes = [
        [k, v] for k, v in pairs if k in ("width", "height") and re.fullmatch(r"\d{1,5}(\.\d*)?(px|%)?", v)
    ]
    return [name, [c for c in classes if c in CLASSES], sizes if kind == "Image" else []]


def _raw(node: Node) -> list[Node]:
    """Return raw TeX as an equation where MathJax shows one, else as text; HTML is removed."""
    form, text = node["c"][0], node["c"][1].strip()
    if form not in ("tex", "latex"):
        return []
    found = re.match(r"\\begin\{(\w+)\*?\}", text)
    is_equation = found is not None and found[1] in EQUATIONS
    inline = {"t": "Math", "c": [{"t": "DisplayMath"}, text]} if is_equation else tree.string(text)
    return [inline] if node["t"] == "RawInline" else [tree.para(inline)]


def _image(node: Node, where: Where, found: Found, attachments: Mapping[str, Mapping]) -> list[Node]:
    attributes, alt, (link, _) = node["c"]
    if link in found.pictures:  # an output's
        return [node]
    try:
        picture = pictures.find(link, attachments)
    except pictures.NotShown as reason:
        name = (
            _short(plain(alt).strip() or ("" if link.startswith("data:") else unquote(link)))
            or "without a name"
        )
        found.problem(where, f"picture {name!r} is not shown: {reason}.")
        return [{"t": "Emph", "c": tree.words(f"[Picture {name} is not shown: {reason}.]")}]
    found.pictures[picture.name] = picture
    return [{"t": "Image", "c": [attributes, tree.words(plain(alt)), [picture.name, ""]]}]


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def _table(node: Node) -> list[Node]:
    _, caption, columns, *_ = node["c"]
    if not columns:
        return []
    for column in columns:
        column[1] = {"t": "ColWidthDefault"}
    blank = _without_attributes(node["c"][3:])
    return [{"t": "Table", "c": [NO_ATTRIBUTES, [None, []], columns, *blank]}, *caption[1]]


def _without_attributes(value: Any) -> Any:
    """Return head, bodies and foot of a table whose rows and cells have no attributes."""
    if not isinstance(value, list):
        return value  # the blocks in a cell: they are clean
    if [type(inner) for inner in value] == [str, list, list]:
        return NO_ATTRIBUTES
    return [_without_attributes(inner) for inner in value]
