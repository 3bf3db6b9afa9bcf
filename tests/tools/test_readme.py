"""README and RESULTS show measured results only."""

from __future__ import annotations

import re

import pytest

from n2nlib import paths
from n2nlib.analysis.claims import INCOMPATIBLE, NO_DATA, NOT_REPRODUCED
from n2nlib.errors import ReportError
from n2nlib.tools.readme import BLOCKS, DOCUMENTS, MARK, filled, findings, tally, without_caption

TEXTS = {name: (paths.root() / name).read_text(encoding="utf-8") for name in DOCUMENTS}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_its_tables_are_those_of_the_results(name):
    assert filled(TEXTS[name], paths.root() / "results") == TEXTS[name], "run `python -m n2nlib readme`"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_an_altered_number_is_put_right(name):
    row = re.search(r"^\| TNet \|.*$", TEXTS[name], re.MULTILINE)[0]
    altered = TEXTS[name].replace(row, row.replace("2", "3"))
    assert altered != TEXTS[name] and filled(altered, paths.root() / "results") == TEXTS[name]


def test_every_block_is_shown_somewhere():
    assert {mark["name"] for text in TEXTS.values() for mark in MARK.finditer(text)} == set(BLOCKS)


def test_a_missing_result_or_an_unknown_mark_says_so(tmp_path):
    with pytest.raises(ReportError, match="does not exist: make that report"):
        filled(TEXTS["README.md"], tmp_path)
    with pytest.raises(ReportError, match="unknown mark <!-- sped -->"):
        filled("<!-- sped -->\n<!-- end -->", tmp_path)


def test_the_tally_counts_verdicts():
    claims = [{"verdict": v} for v in ("reproduced", "contradicted", "reproduced")]
    assert tally({"claims": claims}).endswith(
        "Of 3 claims of the paper, judged on runs of its own size: 2 reproduced, 1 contradicted."
    )


def test_the_tally_leaves_out_own_questions_and_listed_statements():
    claims = [{"verdict": "reproduced", "topic": topic} for topic in ("levels", "own", "listed")]
    assert "Of 1 claims of the paper" in tally({"claims": claims})


def test_the_first_table_is_shown_without_its_caption():
    table = "| a |\n| :-- |\n| 1 |\n\nA caption.\n"
    assert without_caption(table) == "| a |\n| :-- |\n| 1 |"
    assert "Dataset imagenet-sample" not in TEXTS["README.md"]


def ledger(l1: str, bn: str, high: float = 25.4, gain: float = 0.5) -> dict:
    def claim(name, verdict, value, low, high, published=None):
        ours = {"value": value, "low": low, "high": high, "n": 3, "method": "test"}
        return {"id": name, "verdict": verdict, "ours": ours, "published": published}

    return {
        "claims": [
            claim("psnr-l1", l1, 24.55, 24.15, 24.94, 25.29),
            claim("psnr-bn", bn, 25.3, 25.14, high, 24.45),
            claim("filters-gaussian", "reproduced", gain, gain - 0.1, gain + 0.1),
            claim("noisy-targets-suffice", "reproduced", -0.05, -0.07, -0.04),
        ]
    }


def test_findings_have_their_intervals():
    rows, gaussian, targets = findings(ledger(INCOMPATIBLE, INCOMPATIBLE)).splitlines()
    assert "24.55 [24.15, 24.94] dB on their validation images for TNet+L1 (Table 2: 25.29)" in rows
    assert "25.30 [25.14, 25.40] dB for TNet+BN (Table 2: 24.45)" in rows and "seem to be exchanged" in rows
    assert "TNet is better than a Gaussian" in gaussian and gaussian.endswith("+0.50 [+0.40, +0.60] dB.")
    assert targets.endswith("train TNet about as well as clean ones: -0.05 [-0.07, -0.04] dB.")


def test_findings_claim_no_more_than_the_intervals():
    found = findings(ledger(INCOMPATIBLE, INCOMPATIBLE, high=25.2))
    assert "do not show that the two rows are exchanged" in found
    assert "not been measured" in findings(ledger(NO_DATA, NO_DATA))
    open_ = ledger(NO_DATA, NO_DATA)
    open_["claims"][-1]["verdict"] = NOT_REPRODUCED
    assert "against clean ones, both with TNet: -0.05" in findings(open_)
    assert "not significantly better" in findings(ledger(NO_DATA, NO_DATA, gain=0.05))


@pytest.mark.parametrize("name", [*DOCUMENTS, "CONTRIBUTING.md"])
def test_links_and_pictures_are_there(name):
    text = (paths.root() / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text) + re.findall(r'src="([^"]+)"', text):
        assert (paths.root() / target).exists(), target
