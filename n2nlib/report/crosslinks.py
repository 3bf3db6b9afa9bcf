"""Links between the claims of the ledger and the tables, figures and code that test them, and back."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable
from html import escape

from n2nlib.report import tree
from n2nlib.report.document import Document, Shown, Table
from n2nlib.report.links import key
from n2nlib.report.tree import Node, plain, raw

#: More claims than this in one caption are folded away.
FEW = 2


class Crosslinks:
    """Anchors and links of one page; `pending` names what was displayed since the last code.

    Claims are read from the report's `claims.json`: its fields `id`, `says`, `verdict`, and `shown`, whose
    part after # is the anchor of a table or figure. Without that file there are no such links.
    """

    def __init__(self, document: Document):
        self.pending: list[str] = []
        self.labels = {
            block.anchor: f"{block.kind} {block.number}"
            for block in document.blocks()
            if isinstance(block, Shown)
        }
        file = document.settings.file("claims.json")
        self.claims = json.loads(file.read_text(encoding="utf-8"))["claims"] if file.exists() else []
        self.listed = {claim["id"] for table in _tables(document) for _, claim in self._rows(table)}

    def anchors(self) -> str:
        """Return the anchors of the code of what was displayed since the last code."""
        out = "".join(f'<span id="code-{escape(name)}"></span>' for name in self.pending)
        self.pending.clear()
        return out

    def back(self, anchor: str) -> list[Node]:
        """Return links from a table or figure to the claims that it tests."""
        tested = [c for c in self.claims if c["id"] in self.listed and _anchor(c) == anchor]
        if not tested:
            return []
        items = "".join(
            f'<li><a href="#claim-{escape(c["id"])}">{escape(c["says"])}</a> {_badge(c["verdict"])}</li>'
            for c in tested
        )
        summary = f"<summary>Tests {len(tested)} claims</summary>"
        fold = f"<details>{summary}<ul>{items}</ul></details>"
        return [raw(f'<div class="tests">{fold if len(tested) > FEW else f"<ul>{items}</ul>"}</div>', "html")]

    def ledger(self, blocks: list[Node]) -> list[Node]:
        """Return tables; one whose rows are claims gets anchors, links and marked verdicts."""
        blocks = copy.deepcopy(blocks)  # report.pdf is made from the same document
        for table in (node for node in blocks if node["t"] == "Table"):
            rows = list(self._rows(table))
            if not rows:
                continue
            headings = [plain(cell[4]).strip() for cell in table["c"][3][1][0][1]]
            table["c"][0] = ["", ["ledger"], [["role", "table"]]]
            for row in table["c"][3][1]:
                _set_roles(row, "columnheader", headings)
            for row, claim in rows:
                _set_roles(row, "cell", headings)
                row[0] = [f"claim-{claim['id']}", [], row[0][2]]
                row[1][0][4] += [{"t": "Plain", "c": [self._links(claim)]}]
                for heading, cell in zip(headings, row[1], strict=True):
                    if heading == "verdict":
                        cell[4] = [{"t": "Plain", "c": [tree.raw_inline(_badge(claim["verdict"]), "html")]}]
        return blocks

    def _rows(self, table: Node) -> Iterable[tuple[list, dict]]:
        """Yield (row, claim) for each row whose first cell begins with a claim."""
        says = [(key(claim["says"]), claim) for claim in self.claims]
        for _, _, _, body in table["c"][4]:
            for row in body:
                cells = [plain(cell[4]).strip() for cell in row[1]]
                first = key(cells[0]) if cells else ""
                found = [claim for words, claim in says if first.startswith(words)]
                claim = max(found, key=lambda claim: len(claim["says"]), default=None)
                if claim and claim["verdict"] in cells:
                    yield row, claim

    def _links(self, claim: dict) -> Node:
        anchor = _anchor(claim)
        label = self.labels.get(anchor)
        if label is None:
            return tree.raw_inline("", "html")
        about = escape(claim["id"])
        return tree.raw_inline(
            f'<span class="links"><a href="#{anchor}" aria-label="{label}: {about}">{label}</a> '
            f'<a href="#code-{anchor}" aria-label="Code: {about}">code</a></span>',
            "html",
        )


def _tables(document: Document) -> Iterable[Node]:
    for block in document.blocks():
        if isinstance(block, Table):
            yield from (node for node in block.blocks if node["t"] == "Table")


def _anchor(claim: dict) -> str:
    return claim["shown"].partition("#")[2]


def _badge(verdict: str) -> str:
    kind = re.sub(r"\W+", "-", verdict.lower())
    return f'<span class="verdict" data-verdict="{kind}">{escape(verdict)}</span>'


def _set_roles(row: list, role: str, headings: list[str]) -> None:
    """Say what rows and cells are, since a phone shows them as blocks, and what each cell is about."""
    row[0] = ["", [], [["role", "row"]]]
    for heading, cell in zip(headings, row[1], strict=True):
        cell[0] = ["", [], [["role", role], ["data-label", heading]]]
