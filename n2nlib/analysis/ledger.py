"""The claims ledger on disk.

Gather what a report measured, judge it, write `claims.json`, keep reviewed verdicts.
`n2n accept FOLDER` takes the verdicts of a report's claims.json, once they have been looked at, as the
ones that the tests hold from then on (tests/ledger/<dataset>-<profile>.json).
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from n2nlib import experiments, paper, paths
from n2nlib.agreement import agree, rounded
from n2nlib.analysis import claims, measurements
from n2nlib.analysis.claim_words import condition, number_format
from n2nlib.analysis.claims import Evidence, Judged
from n2nlib.analysis.intervals import Interval, printed
from n2nlib.analysis.verdicts import judge
from n2nlib.errors import ReportError
from n2nlib.paper import Claim
from n2nlib.profiles import Profile, profile

#: A verdict as the answer to a question of our own, which the paper does not claim.
OWN = {
    claims.REPRODUCED: "yes",
    claims.DIRECTION: "yes, by another amount",
    claims.NOT_REPRODUCED: "not decided",
    claims.CONTRADICTED: "no",
}

#: Raised when claims.json means something else than before.
SCHEMA = 2


@dataclass(frozen=True)
class Ledger:
    """A report's judged claims, the paper's and our own, and the evidence behind them."""

    judged: list[Judged]
    evidence: Evidence

    def __getitem__(self, claim: str) -> Judged:
        return next(j for j in self.judged if j.claim.id == claim)

    @property
    def paper(self) -> list[Judged]:
        """The paper's claims that a test could judge, without those that are listed only."""
        return [j for j in self.judged if not j.claim.own and j.verdict != claims.LISTED]

    def of(self, verdict: str) -> list[Judged]:
        """Return the paper's claims that got one verdict."""
        return [j for j in self.judged if j.verdict == verdict and not j.claim.own]

    def about(self, topic: str) -> list[Judged]:
        """Return the claims of one topic of `claims.toml`."""
        return [j for j in self.judged if j.claim.topic == topic]

    def number(self, name: str) -> Interval | None:
        """Return a number that a chapter kept; None where it was not measured."""
        return self.evidence.number(name)

    @property
    def tests(self) -> int:
        """How many tests the p values are adjusted for."""
        return sum(j.p is not None for j in self.judged)

    @property
    def full_size(self) -> bool:
        """Whether a run here saw as many training images as one of the paper's."""
        return self.evidence.images >= paper.images()


def judge_report(study) -> Ledger:
    """Judge the claims for a chapter's report, and write its `claims.json`."""
    evidence = gather(study.dataset, study.profile, study.store, study.folder)
    judged = judge(evidence)
    write(judged, study.folder, study.dataset, study.profile)
    return Ledger(judged, evidence)


def gather(dataset, size: Profile, store, folder: Path) -> Evidence:
    """Collect the stored runs of a dataset and size, and the numbers that the chapters kept.

    dataset: opened at that size; store: a RunStore; folder: `paths.report(...)`. Trains nothing: a row of a
    table has the seeds that are there.
    """
    rows = experiments.judged(size, dataset.fingerprint)
    runs = {label: [store.get(s) for s in specs if store.has(s)] for label, specs in rows.items()}
    images = measurements.validation_images.stored(store, dataset=dataset)["arrays"]
    return Evidence({label: found for label, found in runs.items() if found}, numbers(folder),
                    images["noisy"], images["photo"], size.n_train * size.epochs,
                    authors_data=getattr(dataset, "authentic", False))  # fmt: skip


def numbers(folder: Path) -> dict:
    """Return every number that chapters measured, by name, from `numbers/*.json` of a report's folder."""
    out: dict = {}
    for file in sorted((folder / "numbers").glob("*.json")):
        out |= json.loads(file.read_text(encoding="utf-8"))
    return out


def write(judged: list[Judged], folder: Path, dataset, size: Profile) -> Path:
    """Write `claims.json` into a report's folder, whole or not at all, and return its path."""
    values = {
        "schema": SCHEMA,
        "dataset": dataset.name.partition(":")[0],
        "fingerprint": dataset.fingerprint,
        "profile": size.name,
        "adjustment": {"method": "Holm", "tests": sum(j.p is not None for j in judged)},
        "claims": [j.to_dict() for j in judged],
    }
    return _write(folder / "claims.json", values)


def read(folder: Path) -> dict:
    """Read a report's claims.json; raises ReportError when there is none or it is of another schema."""
    file = Path(folder) / "claims.json"
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(
            f"{file} cannot be read ({type(error).__name__}): make that report first."
        ) from error
    if values.get("schema") != SCHEMA:
        raise ReportError(
            f"{file} has schema {values.get('schema')!r}, this version reads {SCHEMA}: make that report "
            "again."
        )
    return values


def table(judged: list[Judged]) -> pd.DataFrame:
    """The ledger: claim (and its place), when it holds, the paper's value, ours, unit, verdict."""
    return pd.DataFrame([
        {
            "claim": f"{j.claim.says} ({j.claim.place})",
            "holds if": condition(j.claim),
            "paper": _cell(j.claim.published, j.claim),
            "ours": _cell(j.ours, j.claim),
            "unit": "" if j.claim.kind == "count" and j.claim.b else j.claim.unit,
            "verdict": OWN.get(j.verdict, j.verdict) if j.claim.own else j.verdict,
        }
        for j in judged
    ], dtype=object)  # fmt: skip


def listed(judged: list[Judged]) -> pd.DataFrame:
    """Statements of the paper without a test: statement (and its place), and why it has none."""
    return pd.DataFrame([
        {"statement": f"{j.claim.says} ({j.claim.place})", "not tested because": j.why} for j in judged
    ])  # fmt: skip


def reason(judged: Judged) -> str:
    """Return a claim, where it is shown, and why it is judged as it is (Markdown)."""
    chapter, _, anchor = judged.claim.shown.partition("#")
    kind, _, name = anchor.partition("-")
    where = f"{kind.title()} `{name}`" if name else f"chapter {chapter[:2]}"
    return f"*{judged.claim.says}* ({judged.claim.place}; {where}.) {judged.why}"


def accept(folder: Path) -> Path:
    """Keep the verdicts of a report's claims.json as reviewed; return the file that the tests read."""
    values = read(folder)
    kept = {key: values[key] for key in ("schema", "dataset", "fingerprint", "profile")}
    kept["verdicts"] = {c["id"]: c["verdict"] for c in values["claims"]}
    kept["measured"] = [c["id"] for c in values["claims"] if c["ours"] is not None]
    return _write(paths.root() / "tests" / "ledger" / f"{values['dataset']}-{values['profile']}.json", kept)


def judge_again(dataset_name: str, profile_name: str, store=None) -> list[Judged]:
    """Judge a report's claims from the store and its numbers as they are now."""
    from n2nlib.data import open_dataset
    from n2nlib.runs.store import RunStore

    size = profile(profile_name)
    dataset = open_dataset(dataset_name, n_train=size.n_train, n_val=size.n_val)
    return judge(gather(dataset, size, store or RunStore(), paths.report(dataset_name, profile_name)))


def _cell(x: Interval | float | None, claim: Claim) -> Interval | int | None:
    """A claim's value, printed or measured, as a cell with the claim's own digits; counts are exact."""
    if x is None:
        return None
    if not isinstance(x, Interval) or claim.kind == "count":
        x = printed(x.value if isinstance(x, Interval) else x)
    how = number_format(claim)
    return round(x.value) if how == ",.0f" else replace(x, plus=how.startswith("+"), digits=int(how[-2]))


def _write(file: Path, values: dict) -> Path:
    text = json.dumps(rounded(values), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    paths.update(file, text, agree)
    return file


def main(argv: list[str]) -> int:
    """Accept the verdicts of the report folders named; return 2 after a sentence about what is wrong."""
    parser = argparse.ArgumentParser(prog="n2n accept", description="Take a report's verdicts as reviewed.")
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="like results/imagenet-sample-overnight")
    folders = parser.parse_args(argv).folders
    try:
        for folder in folders:
            print(f"reviewed: {accept(Path(folder)).relative_to(paths.root())}")
    except ReportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
