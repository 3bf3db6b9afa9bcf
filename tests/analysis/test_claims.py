"""The list of claims, and the ledger on disk."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from test_verdicts import LEVEL, PHOTO, QUICK, runs

from n2nlib import paper, paths
from n2nlib.analysis import claims, ledger, quantities
from n2nlib.analysis.claim_words import condition, describe, number_format
from n2nlib.analysis.claims import CONTRADICTED, DIRECTION, LISTED, REPRODUCED, Evidence, Judged
from n2nlib.analysis.verdicts import judge
from n2nlib.errors import ReportError
from n2nlib.text import cell, flat

# --- the list of claims -------------------------------------------------------------------------------------


def test_claims_are_well_formed():
    from n2nlib import experiments
    from n2nlib.profiles import PROFILES

    listed = paper.claims()
    assert len({c.id for c in listed}) == len(listed) >= 20
    rows = {*experiments.judged(PROFILES["paper"], "c"), *experiments.networks(), "noisy"}
    kinds = {"difference", "amount", "level", "best", "spread", "cost", "number", "count", "statement"}
    topics = {"levels", "networks", "training", "inside", "own", "listed"}
    for c in listed:
        assert {c.a, c.b, *c.others} - {""} <= rows, c.id
        assert c.kind in kinds and c.topic in topics and (c.kind == "statement") == (c.topic == "listed"), (
            c.id
        )
        assert c.size == "paper" or 0 <= c.size < paper.images(), c.id
        assert c.place and c.says.endswith("."), c.id
        assert c.kind not in ("count", "statement") or c.why, c.id
        assert (c.shown and describe(c) and condition(c) and number_format(c)) or c.kind == "statement", c.id
        assert c.tolerance is None or c.published is not None, c.id
        if c.kind != "statement":
            assert c.above is not None or c.below is not None or c.tolerance is not None, c.id


def test_every_margin_is_the_practical_size_and_three_published_spreads():
    assert paper.margin("TNet") == 0.08 and paper.margin("UNet") == 0.29  # 0.05 + 3 x 0.01, 0.05 + 3 x 0.08
    assert paper.margin("TNet", "UNet") == round(0.05 + 3 * np.hypot(0.01, 0.08), 2) == 0.29
    assert paper.margin("TNet, average pooling", "Noise2Clean") == paper.margin("TNet", "TNet") == 0.09
    assert paper.margin("UNet (shared decoder)") == paper.margin("UNet at 5e-4") == paper.margin("UNet")
    assert paper.margin("BaseNet", "noisy") == paper.margin("BaseNet") == 1.01
    assert paper.margin("9e-4", metric="published_loss") == round(0.001 + 3 * 0.00083, 4)


def test_of_runs_every_tolerance_is_the_margin():
    for c in paper.claims():
        if c.kind in paper.OF_RUNS and c.published is not None:
            rows = [row for row in (c.a, c.b) if row]
            assert c.tolerance == paper.margin(*rows, metric=c.metric), c.id


@pytest.mark.parametrize("chapter", sorted({c.shown.partition("#")[0] for c in paper.claims() if c.shown}))
def test_claims_point_at_tables_and_figures_that_exist(chapter):
    source = (paths.notebooks() / f"{chapter}.ipynb").read_text(encoding="utf-8")
    for c in paper.claims():
        where, _, anchor = c.shown.partition("#")
        name = anchor.partition("-")[2]
        assert where != chapter or f'\\"{name}\\"' in source or not name, (
            f"{c.id}: {chapter} shows no {name!r}"
        )


@pytest.mark.parametrize(
    "claim",
    [c for c in paper.claims() if c.published is not None and c.kind == "difference"],
    ids=lambda c: c.id,
)
def test_published_values_agree_with_the_paper_s_own_claim(claim):
    """The bounds are set so that the paper's printed means satisfy them."""
    assert claim.above is None or claim.published > claim.above
    assert claim.below is None or claim.published < claim.below


# --- on disk ------------------------------------------------------------------------------------------------


@dataclass
class FakeDataset:
    name: str = "bundled"
    fingerprint: str = "c"
    warnings: tuple = ()


def test_claims_json_and_its_review(tmp_path, monkeypatch):
    from n2nlib.profiles import PROFILES

    judged = judge(Evidence({"TNet": runs(-3.0, n=2, size=QUICK)}, {}, LEVEL - 4, PHOTO, 12_000))
    folder = tmp_path / "bundled-quick"
    file = ledger.write(judged, folder, FakeDataset(), PROFILES["quick"])
    values = json.loads(file.read_text())
    assert values["schema"] == ledger.SCHEMA and len(values["claims"]) == len(judged)
    assert [p.name for p in folder.iterdir()] == ["claims.json"]
    monkeypatch.setattr(ledger.paths, "root", lambda: tmp_path)
    reviewed = json.loads(ledger.accept(folder).read_text())
    assert reviewed["verdicts"]["denoises"] == DIRECTION
    table = ledger.table(judged)
    assert isinstance(table, pd.DataFrame) and len(table) == len(judged)
    counted = table.set_index(table.claim.str.partition(" (")[0])
    assert cell(counted.loc["TNet has 43,064 parameters.", "ours"], 2) == "43,064"
    assert cell(counted.loc["UNet has 991 thousand parameters.", "ours"], 2) == "991.2"
    assert counted.loc["UNet has 991 thousand parameters.", ["paper", "unit"]].map(str).tolist() == [
        "991.00",
        "thousand",
    ]
    assert flat(table)["ours"].map(lambda value: value is None or isinstance(value, int | float)).all()


def test_a_ledger_finds_claims_by_verdict_topic_and_name():
    evidence = Evidence(
        {"TNet": runs(-3.0, n=2, size=QUICK)}, {"known": 0.5, "null": None}, LEVEL - 4, PHOTO, 12_000
    )
    found = ledger.Ledger(judge(evidence), evidence)
    assert found["denoises"].verdict == DIRECTION and found["denoises"] in found.of(DIRECTION)
    own = found.about("own")
    assert sum(len(found.of(v)) for v in claims.VERDICTS) == len(found.judged) - len(own)
    assert len(found.paper) == len(paper.claims()) - len(own) - len(found.about("listed"))
    assert {j.claim.topic for j in found.about("levels")} == {"levels"} and not found.about("nothing")
    assert found.number("known").value == 0.5 and found.number("null") is None is found.number("unknown")
    assert not found.full_size and found.tests == sum(j.p is not None for j in found.judged)


def test_rows_are_named_in_words():
    assert quantities.row_name("1e-4") == "TNet at 1e-4"
    assert quantities.row_name("UNet at 5e-4") == "UNet at 5e-4"


def test_unreadable_ledgers_are_a_sentence(tmp_path, capsys):
    with pytest.raises(ReportError, match="make that report first"):
        ledger.read(tmp_path)
    (tmp_path / "claims.json").write_text('{"schema": 0}')
    with pytest.raises(ReportError, match="has schema 0"):
        ledger.read(tmp_path)
    assert ledger.main([str(tmp_path)]) == 2 and "error:" in capsys.readouterr().err


def test_questions_of_our_own_have_answers_and_listed_statements_reasons():
    asked = {c.id: c for c in paper.claims() if c.topic in ("own", "listed")}
    own = [Judged(asked["max-beats-stride"], None, None, v, "A reason.") for v in (REPRODUCED, CONTRADICTED)]
    assert ledger.table(own)["verdict"].tolist() == ["yes", "no"]
    cited = ledger.listed([Judged(asked["unet-original"], None, None, LISTED, "Cited.")])
    assert cited.iloc[0].tolist() == ["UNet is the original Noise2Noise architecture. (Abstract)", "Cited."]
