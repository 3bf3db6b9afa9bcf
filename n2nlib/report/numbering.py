"""The numbers of sections, figures and tables, and references to them, for both documents.

In a chapter, "Figure `lr_curves`" and "Tables `a` and `b`" name what the captions there name; "chapter 03"
is a chapter. In the report each becomes a number and a link. A figure or table that its section does not
name is named at the end of the paragraph before it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from n2nlib.report import tree
from n2nlib.report.blocks import Block, Prose, Shown, trees
from n2nlib.report.content import Where
from n2nlib.report.tree import Node, plain

if TYPE_CHECKING:
    from n2nlib.report.document import Document

#: Headings of these levels are numbered.
DEEPEST = 2
#: The one section of the body without a number.
UNNUMBERED = "References"
#: The number that a file's name puts before a chapter's title.
FILE_NUMBER = re.compile(r"\d\d\b[ ·.:]*")


# --- naming: before anything has a number ---


def named(shown: Sequence[Shown]) -> list[Node]:
    """Return inlines like those of a chapter: "Figures `a` and `b`, Table `c`"."""
    out: list[Node] = []
    for kind in dict.fromkeys(block.kind for block in shown):
        names = [tree.code(block.name) for block in shown if block.kind == kind]
        out += tree.words(", " if out else "", kind + "s" * (len(names) > 1), " ", names[0])
        for name in names[1:]:
            out += tree.words(" and " if name is names[-1] else ", ", name)
    return out


def section_link(title: Sequence[Node]) -> Node:
    """Return a link to the section of that title, which becomes "Section 4"."""
    return {"t": "Link", "c": [tree.NO_ATTRIBUTES, tree.words("Section"), [f"#{quote(plain(title))}", ""]]}


def name_shown(section: Sequence[Block]) -> list[Block]:
    """Return a section whose text names each of its figures and tables."""
    text = [block for block in section if isinstance(block, Prose)]
    known = {found.anchor for block in text for items in _inlines(block.blocks) for found in _found(items)}
    out: list[Block] = []
    waiting: list[Shown] = []
    for block in [*section, None]:
        if isinstance(block, Shown) and block.anchor not in known:
            waiting.append(block)
        if waiting and (block is None or isinstance(block, Prose)):
            first = next(i for i, other in enumerate(out) if other is waiting[0])
            out[:first] = _with_reference(out[:first], named(waiting))
            waiting = []
        if block is not None:
            out.append(block)
    return out


def _with_reference(blocks: list[Block], reference: list[Node]) -> list[Block]:
    """Return blocks whose last paragraph ends with a reference, in a sentence of its own if it has none."""
    at = next((i for i in reversed(range(len(blocks))) if isinstance(blocks[i], Prose)), None)
    last = blocks[at].blocks[-1] if at is not None and not blocks[at].output else {"t": ""}
    if last["t"] in ("Para", "Plain") and last["c"][-1]["t"] == "Str":
        *words, end = last["c"]
        text, stop = re.fullmatch(r"(.*?)([.:;]?)", end["c"], re.DOTALL).groups()
        nodes = tree.words(*words, text, " (", *reference, f"){stop}")
        blocks[at] = replace(blocks[at], blocks=[*blocks[at].blocks[:-1], tree.para(*nodes)])
        return blocks
    where = blocks[-1].where if blocks else Where("", "")
    return [*blocks, Prose("", [tree.para(*tree.words("See ", *reference, "."))], where)]


# --- numbering ---


def number(document: Document) -> None:
    """Number sections, figures and tables, and turn their names into links, in place."""
    shown: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for blocks in (document.abstract, document.opening, document.body, document.appendix):
        for i, block in enumerate(blocks):
            if isinstance(block, Shown):
                counts[block.kind] += 1
                blocks[i] = replace(block, number=counts[block.kind])
                shown[block.anchor] = str(counts[block.kind])
    numbered: dict[str, str] = {}
    chapters = _number_sections(document.body, "Section", numbered)
    _number_sections(document.appendix, "Appendix", numbered)
    for block in document.blocks():
        for part in trees(block):
            for node in tree.nodes(part):
                if node["t"] == "Link" and plain(node["c"][1]) == "Section":
                    node["c"][1] = tree.words(numbered.get(node["c"][2][0][1:], "Section"))
            for items in _inlines(part):
                _link_shown(items, shown)
                _link_chapters(items, chapters)


def _number_sections(
    blocks: Sequence[Block], word: str, numbered: dict[str, str]
) -> dict[str, list[tuple[str, str]]]:
    """Number headings in `numbered` (name -> "Section 2.1"); return each chapter's (number, name)."""
    counts = [0] * DEEPEST
    chapters: dict[str, list[tuple[str, str]]] = {}
    for block in blocks:
        for node in block.blocks if isinstance(block, Prose) else ():
            if node["t"] != "Header":
                continue
            level, (name, *_), words = node["c"]
            if level == 1:
                words = node["c"][2] = _without_number(words)
            if level > DEEPEST or plain(words) == UNNUMBERED:
                continue
            counts[level - 1 :] = [counts[level - 1] + 1] + [0] * (DEEPEST - level)
            first = str(counts[0]) if word == "Section" else chr(ord("A") + counts[0] - 1)
            text = ".".join([first, *map(str, counts[1:level])])
            span = {"t": "Span", "c": [["", ["number"], []], [tree.string(text)]]}
            node["c"][2] = tree.words(span, " ", *words)
            numbered[name] = f"{word}\u00a0{text}"
            if level == 1:
                chapters.setdefault(block.where.chapter[:2], []).append((text, name))
    return chapters


def _without_number(words: list[Node]) -> list[Node]:
    """Return inlines without the number of the file at their start."""
    found = FILE_NUMBER.match(plain(words))
    left = found.end() if found else 0
    for i, node in enumerate(words):
        text = plain(node)
        if left < len(text) or not left:
            return [tree.string(text[left:]), *words[i + 1 :]] if left else words[i:]
        left -= len(text)
    return []


def _inlines(value: Any) -> Iterator[list[Node]]:
    """Yield each list of nodes in a tree except those in links; one may be changed meanwhile."""
    if isinstance(value, list):
        if value and all(map(tree.is_node, value)):
            yield value
        for inner in value:
            yield from _inlines(inner)
    elif isinstance(value, dict) and value.get("t") != "Link":
        for inner in value.values():
            yield from _inlines(inner)


@dataclass(frozen=True)
class _Name:
    """The name of a figure or table: the nodes from "Figure" to the code, or, of several, the code alone."""

    start: int
    end: int
    kind: str
    name: str

    @property
    def anchor(self) -> str:
        return f"{self.kind.lower()}-{self.name}"


def _found(items: Sequence[Node]) -> Iterator[_Name]:
    start, kind, several = 0, "", ""
    for i, node in enumerate(items):
        text = node["c"] if node["t"] == "Str" else None
        if text and (word := re.search(r"(Figure|Table)(s?)$", text)):
            start, (kind, several) = i, word.groups()
        elif kind and node["t"] == "Code":
            yield _Name(i if several else start, i + 1, kind, node["c"][1])
            kind = kind if several else ""
        elif text not in (",", "and", "or", "to") and node["t"] not in ("Space", "SoftBreak"):
            kind = ""


def _link_shown(items: list[Node], numbers: Mapping[str, str]) -> None:
    for found in reversed([*_found(items)]):
        if found.anchor in numbers:
            text, before = numbers[found.anchor], []
            if found.end - found.start > 1:
                text = f"{found.kind}\u00a0{text}"
                before = [tree.string(items[found.start]["c"].removesuffix(found.kind))]
            items[found.start : found.end] = [*before, tree.link(text, found.anchor)]


def _link_chapters(items: list[Node], chapters: Mapping[str, list[tuple[str, str]]]) -> None:
    """Turn "chapter 03" into "Section 3", or, of a chapter with several, "Sections 7 to 11"."""
    for i in reversed(range(len(items) - 2)):
        texts = [node["c"] if node["t"] == "Str" else " " for node in items[i : i + 3]]
        found = re.fullmatch(r"(\W*)[Cc]hapter (\d\d)(\W.*)?", "".join(texts), re.DOTALL)
        if found and texts[1] == " " and found[2] in chapters:
            own = chapters[found[2]]
            several = f"Sections\u00a0{own[0][0]} to {own[-1][0]}"
            text = several if len(own) > 1 else f"Section\u00a0{own[0][0]}"
            items[i : i + 3] = [
                tree.string(found[1]),
                tree.link(text, own[0][1]),
                tree.string(found[3] or ""),
            ]
