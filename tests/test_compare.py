"""What `diff` says of two report folders made by hand."""

import json

import pytest

from n2nlib.analysis import ledger
from n2nlib.errors import ReportError
from n2nlib.tools import compare


def claim(key, value, spread, verdict="reproduced"):
    return {"id": key, "ours": {"value": value}, "spread": spread, "verdict": verdict}


def report(folder, claims, csv=""):
    (folder / "tables").mkdir(parents=True)
    (folder / "claims.json").write_text(json.dumps({"schema": ledger.SCHEMA, "claims": claims}))
    (folder / "tables" / "table2.csv").write_text(csv)
    return folder


@pytest.fixture
def two(tmp_path):
    csv = 'model,parameters,psnr,sd\nTNet,"43,064",{tnet},0.01\nUNet,"991,203",25.24 ± 0.08,\n'
    a = report(
        tmp_path / "a",
        [claim("x", 0.08, 0.01), claim("y", 0.5, None), claim("same", 1.0, 0.1)],
        csv.format(tnet=25.32),
    )
    b = report(
        tmp_path / "b",
        [claim("x", 0.10, 0.01), claim("y", 0.6, None, "contradicted"), claim("same", 1.0, 0.1)],
        csv.format(tnet=25.325).replace("25.24 ± 0.08", "25.40 ± 0.07"),
    )
    for folder, value in ((a, 0.9), (b, 0.8)):
        (folder / "numbers").mkdir()
        (folder / "numbers" / "05.json").write_text(
            json.dumps({"auc": {"value": value}, "same": 1, "absent": None})
        )
    return a, b


def test_lists_what_moved_and_by_how_much(two):
    moved = compare.compare(*two).set_index("number")
    assert list(moved.index) == ["y", "x", "y", "auc", "TNet / psnr", "UNet / psnr"]
    assert moved.loc["x", "change"] == pytest.approx(0.02) and moved.loc["x", "beyond"]
    assert not moved.loc["TNet / psnr", "beyond"] and moved.loc["TNet / psnr", "spread"] == 0.01
    assert moved.loc["UNet / psnr", "beyond"] and moved.loc["UNet / psnr", "spread"] == 0.08
    assert moved.iloc[0]["after"] == "contradicted"
    assert moved.iloc[2]["beyond"] is None


def test_prints_a_summary(two, capsys):
    assert compare.main(*map(str, two)) == 0
    printed = capsys.readouterr().out
    assert (
        "1 verdicts changed; 5 numbers moved: 2 by more than the spread" in printed
        and "contradicted" in printed
    )
    assert compare.main(str(two[0]), str(two[0])) == 0
    assert "nothing moved" in capsys.readouterr().out


def test_a_folder_that_is_no_report(tmp_path):
    with pytest.raises(ReportError, match="make that report first"):
        compare.main(str(tmp_path), str(tmp_path))
