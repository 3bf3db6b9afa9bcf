"""Names of headings and anchors, and links to them or to the web."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from urllib.parse import unquote, urlsplit

from n2nlib.report import tree
from n2nlib.report.tree import NO_ATTRIBUTES, Node, nodes, plain, walk

#: Longest address that Typst takes is 8,000 bytes.
LONGEST_LINK = 4_000
#: Names that the page uses itself.
RESERVED = ("top", "provenance", "TOC", "footnotes")


def link_up(parts: Iterable[tuple[str, list[Node]]], taken: Iterable[str], chapters: Collection[str]) -> None:
    """Give each heading and anchor a unique name, and make links lead there or to the web.

    `parts`: (chapter, blocks) in the order of the page, changed in place. A link without a target becomes
    its text. `taken`: names of figures and tables.
    """
    parts, taken = [*parts], [*taken]
    targets, titles = _named(parts, taken)
    for chapter, blocks in parts:

        def change(node: Node, chapter: str = chapter) -> list[Node] | None:
            if node["t"] != "Link":
                return None
            _, text, (link, _) = node["c"]
            link = _target(link, chapter, targets, titles, chapters)
            return text if link is None else [{"t": "Link", "c": [NO_ATTRIBUTES, text, [link, ""]]}]

        blocks[:] = walk(blocks, change)


def _named(parts: list[tuple[str, list[Node]]], taken: list[str]) -> tuple[dict, dict[str, str]]:
    """Name headings and anchors; return (chapter, own name or key) -> name, chapter -> first."""
    used = {*taken, *RESERVED}
    targets, titles = {(None, name): name for name in taken}, {}
    for chapter, blocks in parts:
        for node in nodes(blocks):
            attributes = tree.attributes(node)
            if attributes is None:
                continue
            old, heading = attributes[0], node["t"] == "Header"
            named = heading or (old and node["t"] in ("Span", "Div"))
            attributes[0] = new = _unused(old or "section", used) if named else ""
            if heading:
                titles.setdefault(chapter, new)
                targets.setdefault((chapter, key(plain(node["c"][2]))), new)
            if named:
                targets.setdefault((chapter, old), new)
                targets.setdefault((None, old), new)
    return targets, titles


def _target(
    link: str, chapter: str, targets: Mapping, titles: Mapping[str, str], chapters: Collection[str]
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
    """Return a name that no element has, and that neither pandoc nor the page gives."""
    name = "".join(c if c.isalnum() or c in "-_.:" else "-" for c in unicodedata.normalize("NFC", name))
    if re.match(r"(toc-|fn\d|fnref\d|cb\d)", name):
        name = f"x-{name}"
    new, number = name, 0
    while new in used:
        number += 1
        new = f"{name}-{number}"
    used.add(new)
    return new
