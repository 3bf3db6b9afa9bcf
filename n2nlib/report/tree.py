"""Pandoc's syntax tree as JSON: how to walk it, read its text and make its nodes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Node = dict[str, Any]

NO_ATTRIBUTES = ["", [], []]
#: Where an element's attributes are: in its content, or first in it.
ATTRIBUTES = {"Header": 1}
FIRST = ("Code", "Link", "Image", "Span", "Div", "CodeBlock", "Table", "Figure")


def is_node(value: Any) -> bool:
    """Say whether a value is a node: an inline, a block, or a word such as an alignment."""
    return isinstance(value, dict) and "t" in value


def walk(value: Any, change: Callable[[Node], list[Node] | None]) -> Any:
    """Return a tree in which `change` has replaced nodes, from the leaves up.

    `change` returns the nodes that take the place of one, or None to keep it.

    Only nodes in lists are handed to `change`, since only there several can take one's place.
    """
    if isinstance(value, list):
        out = []
        for item in value:
            item = walk(item, change)
            new = change(item) if is_node(item) else None
            out += [item] if new is None else new
        return out
    if isinstance(value, dict):
        return {key: walk(inner, change) for key, inner in value.items()}
    return value


def nodes(value: Any) -> Iterator[Node]:
    """Yield every node of a tree, an outer one before what is in it."""
    if is_node(value):
        yield value
    for inner in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
        yield from nodes(inner)


def plain(value: Any) -> str:
    """Return the text of a tree, without what only notes say."""
    if isinstance(value, list):
        return "".join(plain(inner) for inner in value)
    if not is_node(value):
        return ""
    kind, content = value["t"], value.get("c")
    if kind in ("Space", "SoftBreak", "LineBreak"):
        return " "
    if kind == "Str":
        return content
    if kind in ("Code", "Math", "CodeBlock", "RawInline", "RawBlock"):
        return content[1]
    return "" if kind == "Note" else plain(content)


def attributes(node: Node) -> list | None:
    """Return an element's [identifier, classes, pairs], or None if its kind has none."""
    if node["t"] in ATTRIBUTES:
        return node["c"][ATTRIBUTES[node["t"]]]
    return node["c"][0] if node["t"] in FIRST else None


def string(text: str) -> Node:
    """Return text without spaces as an inline."""
    return {"t": "Str", "c": text}


def link(text: str, anchor: str) -> Node:
    """Return a link to a place in the document."""
    return {"t": "Link", "c": [NO_ATTRIBUTES, words(text), [f"#{anchor}", ""]]}


def words(*parts: str | Node) -> list[Node]:
    """Return plain texts, and inlines between them, as inlines; a no-break space stays in its word."""
    out: list[Node] = []
    for part in parts:
        if isinstance(part, str):
            found = re.findall(r"[ \t\r\n]+|[^ \t\r\n]+", part)
            out += [{"t": "Space"} if word[0] in " \t\r\n" else string(word) for word in found]
        else:
            out.append(part)
    return out


def code(text: str) -> Node:
    """Return text as inline code."""
    return {"t": "Code", "c": [NO_ATTRIBUTES, text]}


def code_block(text: str, *classes: str) -> Node:
    """Return text as a block of code."""
    return {"t": "CodeBlock", "c": [["", list(classes), []], text]}


def para(*inlines: Node) -> Node:
    """Return a paragraph."""
    return {"t": "Para", "c": list(inlines)}


def div(blocks: list[Node], *classes: str) -> Node:
    """Return blocks in an element of their own."""
    return {"t": "Div", "c": [["", list(classes), []], blocks]}


def raw(text: str, to: str) -> Node:
    """Return a block that one format passes through as it is."""
    return {"t": "RawBlock", "c": [to, text]}


def raw_inline(text: str, to: str) -> Node:
    """Return an inline that one format passes through as it is."""
    return {"t": "RawInline", "c": [to, text]}
