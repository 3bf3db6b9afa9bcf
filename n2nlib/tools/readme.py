"""The README's tables: copied from results between two marks, so that no number in it is typed by hand."""

from __future__ import annotations

import re
from pathlib import Path

from n2nlib import paths
from n2nlib.errors import ReportError

#: Name of a mark in the README -> the file under `results/` that stands there.
BLOCKS = {
    "headline": "imagenet-sample-overnight/tables/headline.md",
    "paper size": "imagenet-sample-paper-bf16/tables/headline.md",
    "filters": "imagenet-sample-paper-bf16/tables/filters_question.md",
    "small network": "imagenet-sample-paper-bf16/tables/small_network.md",
    "small network, early": "imagenet-sample-overnight/tables/small_network.md",
    "speed": "bench/README.md",
}


def filled(text: str, results: Path) -> str:
    """Return the README with each block's present content; raises ReportError for a mark or a file that is not there."""
    for name, relative in BLOCKS.items():
        source = results / relative
        if not source.exists():
            raise ReportError(
                f"the README shows {source}, which is not there: make that report (or `make bench`) first."
            )
        content = re.sub(r"^# .*\n+", "", source.read_text()).strip()
        content = re.sub(r"^#", "###", content, flags=re.MULTILINE)
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not block.search(text):
            raise ReportError(f"the README has no mark <!-- {name} --> ... <!-- end -->: put it back.")
        text = block.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text, count=1)
    return text


def update() -> bool:
    """Fill the README from the tracked results; return whether anything changed."""
    readme = paths.root() / "README.md"
    before = readme.read_text()
    after = filled(before, paths.root() / "results")
    if after != before:
        paths.write(readme, after)
    return after != before
