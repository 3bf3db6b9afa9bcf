"""The README shows what was measured, and only that."""

from __future__ import annotations

import re

import pytest

from n2nlib import paths
from n2nlib.errors import ReportError
from n2nlib.tools.readme import BLOCKS, filled

README = paths.root() / "README.md"


def test_its_tables_are_those_of_the_results():
    assert filled(README.read_text(), paths.root() / "results") == README.read_text(), (
        "run `python -m n2nlib readme`"
    )


def test_an_altered_number_is_put_right():
    text = README.read_text()
    row = re.search(r"^\| TNet \|.*$", text, re.MULTILINE)[0]
    altered = text.replace(row, row.replace("2", "3"))
    assert altered != text and filled(altered, paths.root() / "results") == text


def test_a_missing_result_or_mark_says_so(tmp_path):
    with pytest.raises(ReportError, match="is not there: make that report"):
        filled(README.read_text(), tmp_path)
    for relative in BLOCKS.values():
        (tmp_path / relative).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / relative).write_text("| a |\n")
    with pytest.raises(ReportError, match="has no mark"):
        filled("# nothing", tmp_path)


def test_its_links_and_pictures_are_there():
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", README.read_text()) + re.findall(
        r'src="([^"]+)"', README.read_text()
    ):
        assert (paths.root() / target).exists(), target
