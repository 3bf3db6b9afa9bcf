"""The tables of chapter 07 on its six questions."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from test_claims import LEVEL, PHOTO
from test_report_words import ledger
from test_tables import comparison, made_up, shown
from test_verdicts import reaching

from n2nlib.analysis.claims import COMPATIBLE, NO_DATA
from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.intervals import Interval
from n2nlib.display import question_tables


class Kept:
    """The numbers that chapters kept, as `ledger.Ledger` gives them."""

    def __init__(self, **numbers):
        self.evidence = SimpleNamespace(numbers={k.replace("__", "."): v for k, v in numbers.items()})

    def number(self, name):
        kept = self.evidence.numbers.get(name)
        return None if kept is None else Interval(kept["value"], kept.get("low"), kept.get("high"), 3, "t")


def test_basenet_is_measured_from_a_black_image():
    rows = comparison({"TNet": made_up(), "BaseNet": made_up("BaseNet", levels=(15.0, 15.2)),
                       "BaseNet, never updated": made_up("BaseNet", levels=(6.4,))}, "TNet")  # fmt: skip
    texts = shown(question_tables.basenet_trained_or_not(rows, zero=6.0))
    assert texts.loc["the paper"].tolist() == ["6.95 ± 0.32", "0.75", "–", "–"]
    assert texts.loc["trained"].tolist() == ["15.10", "9.10", "15.00", "15.20"]
    assert texts.loc["never updated"].tolist() == ["6.40", "0.40", "6.40", "–"]
    assert shown(question_tables.basenet_trained_or_not(comparison({}, "TNet"), zero=6.0)).index.tolist() == [
        "the paper"
    ]


def test_l1_and_bn_stand_beside_the_exchanged_rows():
    rows = comparison({"TNet": made_up(), "TNet+L1": made_up(levels=(24.5, 24.6, 24.7), loss="L1")}, "TNet")
    texts = shown(question_tables.l1_and_bn(rows))
    assert texts.loc["the paper, as printed"].tolist() == ["-0.03", "-0.87"]
    assert texts.loc["the paper, rows exchanged"].tolist() == ["-0.87", "-0.03"]
    assert texts.loc["ours"].tolist() == ["-0.50 [-0.50, -0.50]", "–"]
    low, high = (float(texts.loc[f"other groups, {which} cost", "+L1"]) for which in ("smallest", "largest"))
    assert high < low < 0


def test_filters_that_were_measured_stand_beside_tnet():
    gain = {"value": 1.0, "low": 0.9, "high": 1.1}
    found = Kept(filters__mean__psnr={"value": 23.5}, filters__tnet_minus_mean=gain,
                 filters__gaussian__psnr={"value": 24.9}, filters__tnet_minus_gaussian=None)  # fmt: skip
    assert shown(question_tables.filters_question(found)).to_dict("index") == {
        "mean": {"filter (dB)": "23.50", "TNet minus filter (dB)": "+1.00 [+0.90, +1.10]"}
    }
    assert question_tables.filters_question(Kept()).empty


def test_edges_that_were_measured():
    same_side = {"value": 1.0, "low": 0.98, "high": 1.02, "images": 209}
    found = Kept(smoothgrad__same_side__TNet=same_side, smoothgrad__same_side__nlm=same_side,
                 smoothgrad__same_side__UNet=None, smoothgrad__other=same_side)  # fmt: skip
    table = shown(question_tables.edges_question(found), 3)
    assert table.index.tolist() == ["TNet", "non-local means"]
    assert table.loc["TNet"].tolist() == ["1.000 [0.980, 1.020]", "209"]
    assert question_tables.edges_question(Kept()).empty


def test_peers_are_those_of_the_papers_data():
    assert {"network", "parameters", "PSNR (dB)", "what helped"} == set(question_tables.peers().columns)


def test_printed_levels_stand_beside_predicted_ones():
    def level(value, in_range):
        return {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 5, "in_range": in_range}

    numbers = {"authors.level.TNet": level(25.3, True), "authors.level.1e-4": level(20.0, False)}
    table = shown(
        question_tables.authors_levels(ledger(numbers=numbers, psnr_tnet=COMPATIBLE, psnr_lr_1e_4=NO_DATA))
    )
    assert table.loc["TNet"].tolist() == ["25.32", "25.30 [25.20, 25.40]", "yes", COMPATIBLE]
    assert table.loc["TNet at 1e-4"].tolist() == ["25.31", "20.00 [19.90, 20.10]", "no", NO_DATA]
    assert len(table) == 2 and question_tables.authors_levels(ledger()).empty


def test_the_cost_of_a_level_needs_both_networks():
    rows = {"TNet": reaching(5, 5, 5), "UNet": reaching(1, 2, 3)}
    table = question_tables.cost(Comparison(rows, "TNet", PHOTO, LEVEL))
    assert shown(table).loc["TNet", ["to (dB)", "training images", "n"]].tolist() == [
        "20.00",
        "5000 ± 0",
        "3",
    ]
    unet = table.set_index("network").loc["UNet"]
    assert unet["training images"].mean == 2000 and unet["seconds"].mean == pytest.approx(20)
    assert question_tables.cost(Comparison({"TNet": rows["TNet"]}, "TNet", PHOTO, LEVEL)).empty
