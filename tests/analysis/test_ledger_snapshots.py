"""Reviewed verdicts: every claim of a report that is here must still be measured, and get the verdict that somebody has looked at.

After looking at what changed, `n2n accept results/<dataset>-<profile>` takes the new verdicts as reviewed.
"""

import json

import pytest

from n2nlib import paths
from n2nlib.analysis import ledger
from n2nlib.runs.store import RunStore

SNAPSHOTS = sorted((paths.root() / "tests" / "ledger").glob("*.json"))


class ReadOnly(RunStore):
    """A store that tests cannot write to."""

    def measurement(self, name, inputs, compute):
        def refuse():
            pytest.fail(f"{name} of this dataset is not in the store: run chapter 07, then commit it")

        return super().measurement(name, inputs, refuse)


@pytest.mark.parametrize("file", SNAPSHOTS, ids=lambda f: f.stem)
def test_verdicts_are_the_reviewed_ones(file, monkeypatch):
    for name in ("N2N_RESULTS", "N2N_ROOT"):
        monkeypatch.delenv(name, raising=False)
    reviewed = json.loads(file.read_text(encoding="utf-8"))
    judged = {j.claim.id: j for j in ledger.judge_again(reviewed["dataset"], reviewed["profile"], ReadOnly())}
    assert judged.keys() == reviewed["verdicts"].keys(), "claims came or went: review the ledger again"
    made = (paths.root() / "results" / file.stem / "claims.json").exists()
    if (
        not made
    ):  # not every report is tracked: then its runs are not here, and only what needs none is judged
        judged = {key: j for key, j in judged.items() if j.ours is not None}
    changed = [
        f"{key}: {reviewed['verdicts'][key]} -> {j.verdict}. {j.why}"
        for key, j in judged.items()
        if j.verdict != reviewed["verdicts"][key]
    ]
    assert not changed, "verdicts changed; look at them, then accept them:\n" + "\n".join(changed)
    measured = {key for key, j in judged.items() if j.ours is not None}
    assert measured == set(reviewed["measured"]) or not made, (
        "a report's claims are no longer measured as when they were reviewed: its runs or numbers are gone"
    )
    assert measured, "nothing is judged"
