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
    csv = (
        "model,parameters,psnr,psnr sd,psnr n,gain,gain low,gain high\n"
        "TNet,43064,{tnet},0.01,5,0.1,0.0,0.2\nUNet,991203,{unet},0.08,3,0.2,,\n"
    )
    a = report(
        tmp_path / "a",
        [claim("x", 0.08, 0.01), claim("y", 0.5, None), claim("same", 1.0, 0.1)],
        csv.format(tnet=25.32, unet=25.24),
    )
    b = report(
        tmp_path / "b",
        [claim("x", 0.10, 0.01), claim("y", 0.6, None, "contradicted"), claim("same", 1.0, 0.1)],
        csv.format(tnet=25.325, unet=25.4).replace("0.1,0.0,0.2", "0.15,0.05,0.25").replace("0.2,,", "0.3,,"),
    )
    for folder, value in ((a, 0.9), (b, 0.8)):
        (folder / "numbers").mkdir()
        (folder / "numbers" / "05.json").write_text(
            json.dumps({"auc": {"value": value}, "same": 1, "absent": None})
        )
    return a, b


def test_lists_what_moved_and_by_how_much(two):
    moved = compare.compare(*two).set_index("number")
    assert list(moved.index) == [
        *("y", "x", "y", "auc", "TNet / psnr", "UNet / psnr", "TNet / gain", "UNet / gain")
    ]
    assert moved.loc["TNet / gain", "spread"] == pytest.approx(0.1) and not moved.loc["TNet / gain", "beyond"]
    assert moved.loc["UNet / gain", "beyond"] is None
    assert moved.loc["x", "change"] == pytest.approx(0.02) and moved.loc["x", "beyond"]
    assert not moved.loc["TNet / psnr", "beyond"] and moved.loc["TNet / psnr", "spread"] == 0.01
    assert moved.loc["UNet / psnr", "beyond"] and moved.loc["UNet / psnr", "spread"] == 0.08
    assert moved.iloc[0]["after"] == "contradicted"
    assert moved.iloc[2]["beyond"] is None


def test_prints_a_summary(two, capsys):
    assert compare.main([*map(str, two)]) == 0
    printed = capsys.readouterr().out
    assert (
        "1 verdicts changed; 7 numbers moved: 2 by more than the spread" in printed
        and "verdict y: reproduced -> contradicted" in printed
        and max(map(len, printed.splitlines())) <= compare.WIDTH
    )
    assert compare.main([str(two[0]), str(two[0])]) == 0
    assert "nothing moved" in capsys.readouterr().out


def test_a_folder_that_is_no_report(tmp_path):
    with pytest.raises(ReportError, match="make that report first"):
        compare.main([str(tmp_path), str(tmp_path)])
