"""The tables in README.md and RESULTS.md: copied from results between two marks, so that no number is typed by hand."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from n2nlib import paths
from n2nlib.errors import ReportError

DOCUMENTS = ("README.md", "RESULTS.md")
#: Name of a mark -> the file under `results/` that stands there.
BLOCKS = {
    "tally": "imagenet-sample-paper-bf16/claims.json",
    "speed": "bench/cpu.json",
    "headline": "imagenet-sample-overnight/tables/headline.md",
    "paper size": "imagenet-sample-paper-bf16/tables/headline.md",
    "filters": "imagenet-sample-paper-bf16/tables/filters_question.md",
    "small network": "imagenet-sample-paper-bf16/tables/small_network.md",
    "small network, early": "imagenet-sample-overnight/tables/small_network.md",
}
MARK = re.compile(r"(<!-- (?P<name>[\w ,-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def filled(text: str, results: Path) -> str:
    """Return a document with each block's present content; raises ReportError for an unknown mark or a missing file."""

    def content(mark: re.Match) -> str:
        if mark["name"] not in BLOCKS:
            raise ReportError(f"unknown mark <!-- {mark['name']} -->: choose one of {', '.join(BLOCKS)}.")
        source = results / BLOCKS[mark["name"]]
        if not source.exists():
            raise ReportError(f"a document shows {source}, which is not there: make that report first.")
        written = source.read_text(encoding="utf-8")
        shown = SENTENCES[mark["name"]](json.loads(written)) if mark["name"] in SENTENCES else written.strip()
        return f"{mark[1]}{shown}\n{mark[4]}"

    return MARK.sub(content, text)


def tally(ledger: dict) -> str:
    """Return how many claims have which verdict, as one sentence."""
    counts = Counter(claim["verdict"] for claim in ledger["claims"])
    parts = ", ".join(f"{n} {verdict}" for verdict, n in counts.most_common())
    return f"Of {counts.total()} claims of the paper, judged on runs of its own size: {parts}."


def speed(record: dict) -> str:
    """Return how fast the engine trains TNet on one core beside the textbook loop on one thread, as one sentence."""
    rate = {
        (row["loop"], row["runs"], row["precision"]): row["images/s"]
        for row in record["training"]
        if row["network"] == "TNet"
    }
    ratio = rate["engine", 1, "fp32"] / rate["plain, 1 thread", 1, "as PyTorch"]
    return (
        f"On one core of a machine with {record['machine']} the engine trains TNet {ratio:.1f} times as fast as a textbook PyTorch loop, "
        "with the same numbers in fp32."
    )


#: Blocks that are a sentence made from a JSON file.
SENTENCES = {"tally": tally, "speed": speed}


def update() -> list[str]:
    """Fill the documents from the tracked results; return the names of those that changed."""
    changed = []
    for name in DOCUMENTS:
        before = (paths.root() / name).read_text(encoding="utf-8")
        after = filled(before, paths.root() / "results")
        if after != before:
            paths.write(paths.root() / name, after)
            changed.append(name)
    return changed
