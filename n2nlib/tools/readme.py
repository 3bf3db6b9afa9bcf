"""The tables and sentences that README.md and RESULTS.md copy from results, between two marks."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from n2nlib import paths
from n2nlib.analysis.claims import COMPATIBLE, INCOMPATIBLE, REPRODUCED
from n2nlib.analysis.intervals import Interval, seem_exchanged
from n2nlib.errors import ReportError

DOCUMENTS = ("README.md", "RESULTS.md")
#: Name of a mark -> the file under `results/` that stands there.
BLOCKS = {
    "tally": "imagenet-sample-paper-bf16/claims.json",
    "findings": "imagenet-sample-paper-bf16/claims.json",
    "speed": "bench/cpu.json",
    "headline": "imagenet-sample-overnight/tables/headline.md",
    "table 2": "imagenet-sample-paper-bf16/tables/headline.md",
    "paper size": "imagenet-sample-paper-bf16/tables/headline.md",
    "learning rates": "imagenet-sample-paper-bf16/tables/table1.md",
    "filters": "imagenet-sample-paper-bf16/tables/filters_question.md",
    "small network": "imagenet-sample-paper-bf16/tables/small_network.md",
    "small network, early": "imagenet-sample-overnight/tables/small_network.md",
}
MARK = re.compile(r"(<!-- (?P<name>[\w ,-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def filled(text: str, results: Path) -> str:
    """Return a document with the present content of its blocks.

    Raises ReportError for an unknown mark or a missing file.
    """

    def content(mark: re.Match) -> str:
        if mark["name"] not in BLOCKS:
            raise ReportError(f"unknown mark <!-- {mark['name']} -->: choose one of {', '.join(BLOCKS)}.")
        source = results / BLOCKS[mark["name"]]
        if not source.exists():
            raise ReportError(f"a document shows {source}, which does not exist: make that report first.")
        written = source.read_text(encoding="utf-8")
        shown = FORMS.get(mark["name"], str.strip)(written)
        return f"{mark[1]}{shown}\n{mark[4]}"

    return MARK.sub(content, text)


def without_caption(table: str) -> str:
    """Return the rows of a Markdown table that is followed by its caption."""
    return table.strip().partition("\n\n")[0]


def tally(ledger: dict) -> str:
    """Return how many of the paper's tested claims have which verdict, as one sentence."""
    tested = [claim for claim in ledger["claims"] if claim.get("topic") not in ("own", "listed")]
    counts = Counter(claim["verdict"] for claim in tested)
    parts = ", ".join(f"{n} {verdict}" for verdict, n in counts.most_common())
    return f"Of {counts.total()} claims of the paper, judged on runs of its own size: {parts}."


def findings(ledger: dict) -> str:
    """Return the three findings of README as a list, each with its confidence interval."""
    claims = {claim["id"]: claim for claim in ledger["claims"]}
    found = (_rows(claims["psnr-l1"], claims["psnr-bn"]), _filter(claims), _targets(claims))
    return "\n".join(f"- {text}" for text in found)


def _rows(l1: dict, bn: dict) -> str:
    """Compare the printed levels of TNet+L1 and TNet+BN with the predictions from the public pairs."""
    title = "**L1 and batch normalisation.**"
    if not {l1["verdict"], bn["verdict"]} <= {COMPATIBLE, INCOMPATIBLE}:
        return f"{title} The two rows have not been measured on the authors' public pairs."
    a, b = (Interval(**claim["ours"]) for claim in (l1, bn))
    exchanged = seem_exchanged(a, b, (l1["published"], bn["published"]))
    meaning = (
        "Each interval contains the value printed for the other row: the two rows of Table 2 seem to be "
        "exchanged."
        if exchanged
        else "The intervals do not show that the two rows are exchanged."
    )
    return (
        f"{title} From eleven public pairs of the authors we predict {a} dB on their validation images for "
        f"TNet+L1 (Table 2: {l1['published']:.2f}) and {b} dB for TNet+BN (Table 2: {bn['published']:.2f}). "
        f"{meaning}"
    )


def _filter(claims: dict) -> str:
    gain = Interval(**claims["filters-gaussian"]["ours"]).signed()
    order = "TNet is better than" if gain and gain.low > 0 else "TNet is not significantly better than"
    return f"**Classical filters.** {order} a Gaussian filter tuned on noisy pairs: {gain} dB."


def _targets(claims: dict) -> str:
    claim = claims["noisy-targets-suffice"]
    cost = Interval(**claim["ours"]).signed()
    as_well = claim["verdict"] == REPRODUCED
    meaning = "train TNet about as well as clean ones" if as_well else "against clean ones, both with TNet"
    return f"**Noisy targets.** Noisy targets {meaning}: {cost} dB."


def speed(record: dict) -> str:
    """Return how fast the engine trains TNet beside the textbook loop, on one thread each."""
    rate = {
        (row["loop"], row["runs"], row["precision"]): row["images/s"]
        for row in record["training"]
        if row["network"] == "TNet"
    }
    ratio = rate["engine", 1, "fp32"] / rate["plain, 1 thread", 1, "as PyTorch"]
    return (
        f"On one core ({record['machine']}), the engine trains TNet {ratio:.1f} times as fast as a textbook "
        "PyTorch loop, with the same numbers in fp32."
    )


#: Blocks that are not their file as it is written.
FORMS: dict[str, Callable[[str], str]] = {
    "tally": lambda written: tally(json.loads(written)),
    "findings": lambda written: findings(json.loads(written)),
    "speed": lambda written: speed(json.loads(written)),
    "table 2": without_caption,
}


def update() -> list[str]:
    """Fill the documents from the tracked results; return (and print) the names of those that changed."""
    changed = []
    for name in DOCUMENTS:
        before = (paths.root() / name).read_text(encoding="utf-8")
        after = filled(before, paths.tracked())
        if after != before:
            paths.write(paths.root() / name, after)
            changed.append(name)
    print(f"brought up to date: {', '.join(changed) or 'nothing to do'}")
    return changed
