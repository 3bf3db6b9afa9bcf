"""README and RESULTS show what was measured, and only that."""

from __future__ import annotations

import re

import pytest

from n2nlib import paths
from n2nlib.errors import ReportError
from n2nlib.tools.readme import BLOCKS, DOCUMENTS, MARK, filled, tally

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
    with pytest.raises(ReportError, match="is not there: make that report"):
        filled(TEXTS["README.md"], tmp_path)
    with pytest.raises(ReportError, match="unknown mark <!-- sped -->"):
        filled("<!-- sped -->\n<!-- end -->", tmp_path)


def test_the_tally_counts_verdicts():
    claims = [{"verdict": v} for v in ("reproduced", "contradicted", "reproduced")]
    assert tally({"claims": claims}).endswith(
        "Of 3 claims of the paper, judged on runs of its own size: 2 reproduced, 1 contradicted."
    )


@pytest.mark.parametrize("name", [*DOCUMENTS, "CONTRIBUTING.md"])
def test_links_and_pictures_are_there(name):
    text = (paths.root() / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text) + re.findall(r'src="([^"]+)"', text):
        assert (paths.root() / target).exists(), target
