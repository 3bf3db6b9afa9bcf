"""Sanitises what cells show: only elements that both documents have, and no scripts or event handlers.

Raw HTML, TeX and Typst are removed. Pictures become part of the document.
Links lead to the web or into the document.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from n2nlib.report import pictures, tree
from n2nlib.report.tree import NO_ATTRIBUTES, Node, nodes, plain, walk

#: Environments of TeX that MathJax shows as an equation without any dollar sign.
EQUATIONS = (
    "equation",
    "align",
    "alignat",
    "gather",
    "multline",
    "flalign",
    "eqnarray",
    "split",
    "cases",
    "matrix",
    "pmatrix",
    "bmatrix",
    "vmatrix",
    "array",
)
#: Classes that mean something to a document. A language of code is one more.
CLASSES = {"task-list", "unnumbered", "details", "summary", "printed"}
#: Longest address that Typst takes is 8,000 bytes.
LONGEST_LINK = 4_000
#: Names that the page uses itself.
RESERVED = ("top", "provenance", "TOC", "footnotes")


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
    """What a report's cells hold besides text: pictures by name, and sentences about what cannot be shown."""

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
    """Return sanitised blocks; their pictures are moved into `found`, and links are left for `link_up`."""

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
        if (
            kind == "Header"
            and not plain(node["c"][2]).strip()
            and not any(n["t"] == "Image" for n in nodes(node["c"][2]))
        ):
            return []
        if kind == "Cite":
            return node["c"][1]
        return None

    return walk(blocks, change)


def _attributes(old: list, kind: str) -> list:
    name, classes, pairs = old
    if kind in ("Code", "CodeBlock"):
        return [
            "",
            [
                c
                for c in classes
                if re.fullmatch(r"[A-Za-z][A-Za-z0-9_+#-]{0,30}", c)
                and (kind == "CodeBlock" or c not in CLASSES)
            ],
            [],
        ]
    kept = [
        [key, value]
        for key, value in pairs
        if kind == "Image" and key in ("width", "height") and re.fullmatch(r"\d{1,5}(\.\d*)?(px|%)?", value)
    ]
    return [name, [c for c in classes if c in CLASSES], kept]


def _raw(node: Node) -> list[Node]:
    """Return raw TeX as an equation where MathJax shows one, else as text; HTML is removed."""
    form, text = node["c"]
    if form not in ("tex", "latex"):
        return []
    found = re.match(r"\\begin\{(\w+)\*?\}", text.strip())
    inline = (
        {"t": "Math", "c": [{"t": "DisplayMath"}, text.strip()]}
        if found and found[1] in EQUATIONS
        else {"t": "Str", "c": text.strip()}
    )
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
    if isinstance(value, list):
        if (
            len(value) == 3
            and isinstance(value[0], str)
            and isinstance(value[1], list)
            and isinstance(value[2], list)
        ):
            return NO_ATTRIBUTES
        return [_without_attributes(inner) for inner in value]
    return value  # the blocks in a cell: they are clean


def link_up(parts: Iterable[tuple[str, list[Node]]], taken: Iterable[str], chapters: Iterable[str]) -> None:
    """Give every heading and anchor a unique name, and make links lead there or to the web.

    `parts`: (chapter, blocks) in the order of the page, changed in place. A link without a target becomes
    its text.
    `taken`: names of figures and tables.
    """
    parts = list(parts)
    taken = list(taken)
    used, targets, titles = {*taken, *RESERVED}, {(None, name): name for name in taken}, {}
    for chapter, blocks in parts:
        for node in nodes(blocks):
            attributes = tree.attributes(node)
            if attributes is None:
                continue
            old = attributes[0]
            if node["t"] == "Header":
                attributes[0] = _unused(old or "section", used)
                titles.setdefault(chapter, attributes[0])
                targets.setdefault((chapter, key(plain(node["c"][2]))), attributes[0])
            elif old and node["t"] in ("Span", "Div"):
                attributes[0] = _unused(old, used)
            else:
                attributes[0] = ""
                continue
            for place in (chapter, None):
                targets.setdefault((place, old), attributes[0])
    for chapter, blocks in parts:

        def change(node: Node, chapter: str = chapter) -> list[Node] | None:
            if node["t"] != "Link":
                return None
            _, text, (link, _) = node["c"]
            link = _target(link, chapter, targets, titles, set(chapters))
            return text if link is None else [{"t": "Link", "c": [NO_ATTRIBUTES, text, [link, ""]]}]

        blocks[:] = walk(blocks, change)


def _target(
    link: str, chapter: str, targets: Mapping, titles: Mapping[str, str], chapters: set[str]
) -> str | None:
    """Return where a link leads in a document, or None where it leads nowhere or would act."""
    link = link.strip()
    try:
        scheme = urlsplit(link).scheme.lower()
    except ValueError:
        return None
    if scheme in ("http", "https", "mailto"):
        return link if len(link.encode()) <= LONGEST_LINK and len(link) > len(scheme) + 3 else None
    path, _, fragment = link.partition("#")
    name = re.fullmatch(r"(?:\./)?([^/]+)\.ipynb", unquote(path))
    if path and not (name and name[1] in chapters):
        return None
    place = name[1] if name else chapter
    fragment = unquote(fragment)
    for wanted in [(place, fragment), (place, key(fragment)), *([] if name else [(None, fragment)])]:
        if fragment and wanted in targets:
            return f"#{targets[wanted]}"
    return f"#{titles[place]}" if name and place in titles else None


def key(text: str) -> str:
    """Return what a heading and JupyterLab's link to it (`#Data-and-noise`) have in common."""
    return "".join(c for c in text.casefold() if c.isalnum())


def _unused(name: str, used: set[str]) -> str:
    """Return a name that no element has yet, and that neither pandoc nor the page gives by itself."""
    name = "".join(c if c.isalnum() or c in "-_.:" else "-" for c in unicodedata.normalize("NFC", name))
    if re.match(r"(toc-|fn\d|fnref\d|cb\d)", name):
        name = f"x-{name}"
    new, number = name, 0
    while new in used:
        number += 1
        new = f"{name}-{number}"
    used.add(new)
    return new
